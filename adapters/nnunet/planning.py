"""Fingerprint, plans and preprocessing, made once from the pool of round 0 and frozen.

nnU-Net's own `preprocess` deletes its output folder at every call, so cases are preprocessed one by one
under the frozen plans, whenever they are annotated. Test cases never enter the fingerprint.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError
from ..files import write_json
from .dataset import CaseFiles
from .environment import nnunet_environment, output_to

DATASET_NAME = "Dataset001_Study"
"""nnU-Net name of every study's private dataset."""
PLANS = "nnUNetPlans"


def plans_path(workspace: Path) -> Path:
    """Where the frozen plans of a study lie."""
    return workspace / "preprocessed" / DATASET_NAME / f"{PLANS}.json"


def make_plans(workspace: Path, declared: Mapping[str, Any], pool: Mapping[str, CaseFiles]) -> None:
    """Extract the fingerprint of the pool and plan the experiments; does nothing when that was done.

    Args:
        workspace: The study's private nnU-Net folder.
        declared: The content of the dataset's `dataset.json`.
        pool: The cases revealed at round 0.
    """
    if plans_path(workspace).is_file():
        return
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    listed = {case: {"images": [str(p) for p in f.images], "label": str(f.label)} for case, f in pool.items()}
    draft = workspace / "planning"
    shutil.rmtree(draft, ignore_errors=True)
    private = {**declared, "dataset": listed, "numTraining": len(listed)}
    write_json(draft / "raw" / DATASET_NAME / "dataset.json", private)
    (draft / "preprocessed" / DATASET_NAME).mkdir(parents=True)
    with output_to(workspace / "planning.log"), nnunet_environment(draft, draft / "results", 1, compile_network=False):
        DatasetFingerprintExtractor(DATASET_NAME, num_processes=1).run(overwrite_existing=True)
        ExperimentPlanner(DATASET_NAME).plan_experiment()
    # preprocessed must hold what later cases are preprocessed under, even when the raw dataset moves
    write_json(draft / "preprocessed" / DATASET_NAME / "dataset.json", {**declared, "numTraining": len(listed)})
    shutil.rmtree(workspace / "preprocessed", ignore_errors=True)
    os.replace(draft / "preprocessed", workspace / "preprocessed")
    shutil.rmtree(draft)


def read_plans(workspace: Path) -> dict[str, Any]:
    """The frozen plans."""
    plans: dict[str, Any] = json.loads(plans_path(workspace).read_text(encoding="utf-8"))
    return plans


def check_configuration(plans: Mapping[str, Any], configuration: str) -> None:
    """Refuse a configuration the plans do not have, and cascades.

    Raises:
        InputError: Names the configurations there are.
    """
    usable = [name for name, c in plans["configurations"].items() if "previous_stage" not in c]
    if configuration in usable:
        return
    if configuration in plans["configurations"] or "cascade" in configuration:
        raise InputError(
            f"configuration {configuration!r} is a cascade, which needs another model's predictions and is not "
            f"supported. Use one of {', '.join(usable)}."
        )
    raise InputError(
        f"configuration {configuration!r} is not in nnU-Net's plans for this dataset: {', '.join(usable)}."
    )


def case_folder(workspace: Path, plans: Mapping[str, Any], configuration: str, *, test: bool) -> Path:
    """Where preprocessed cases of a configuration lie; test cases apart, so that no training can find them."""
    name = data_identifier(plans, configuration)
    return workspace / "preprocessed" / DATASET_NAME / (f"test_{name}" if test else name)


def data_identifier(plans: Mapping[str, Any], configuration: str) -> str:
    """nnU-Net's name for the preprocessed data of a configuration, resolving inheritance."""
    entry = plans["configurations"][configuration]
    while "data_identifier" not in entry:
        entry = plans["configurations"][entry["inherits_from"]]
    return str(entry["data_identifier"])


def is_preprocessed(folder: Path, case: str) -> bool:
    """Whether a case is there in full: its properties are put there last."""
    return (folder / f"{case}.pkl").is_file()


def preprocess_case(workspace: Path, configuration: str, case: str, files: CaseFiles, *, test: bool) -> None:
    """Preprocess one case under the frozen plans; does nothing when that was done."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = read_plans(workspace)
    folder = case_folder(workspace, plans, configuration, test=test)
    if is_preprocessed(folder, case):
        return
    manager = PlansManager(plans)
    settings = manager.get_configuration(configuration)
    draft = workspace / "unfinished" / f"{folder.name}-{case}-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    declared = json.loads((folder.parent / "dataset.json").read_text(encoding="utf-8"))
    with output_to(workspace / "preprocessing.log"):
        settings.preprocessor_class(verbose=False).run_case_save(
            str(draft / case),
            [str(p) for p in files.images],
            None if test else str(files.label),
            manager,
            settings,
            declared,
        )
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("_seg.b2nd", ".b2nd", ".pkl"):
        os.replace(draft / f"{case}{ending}", folder / f"{case}{ending}")
    shutil.rmtree(draft)
