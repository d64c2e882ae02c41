"""Fingerprint, plans and preprocessing, made once from the pool of round 0 and frozen.

nnU-Net's own `preprocess` deletes its output folder at every call, so cases are preprocessed one by one
under the frozen plans, whenever they are annotated. Test cases never enter the fingerprint.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError
from ..files import read_json, write_json
from .dataset import COLOUR_ENDINGS, CaseFiles
from .environment import nnunet_environment, output_to

DATASET_NAME = "Dataset001_Study"
"""nnU-Net name of every study's private dataset."""
PLANNERS = {
    "nnUNetPlans": "default_experiment_planner.ExperimentPlanner",
    "nnUNetResEncUNetPlans": "residual_unets.residual_encoder_unet_planners.ResEncUNetPlanner",
    "nnUNetResEncUNetMPlans": "residual_unets.residual_encoder_unet_planners.nnUNetPlannerResEncM",
    "nnUNetResEncUNetLPlans": "residual_unets.residual_encoder_unet_planners.nnUNetPlannerResEncL",
    "nnUNetResEncUNetXLPlans": "residual_unets.residual_encoder_unet_planners.nnUNetPlannerResEncXL",
}
"""nnU-Net's planners by the name of the plans they make."""
SCHEMES = {"ct": "CTNormalization", "z-score": "ZScoreNormalization", "clip": "NoNormalization"}
SCHEMES["window"] = SCHEMES["clip"]
"""nnU-Net's normalisation per normalisation of ours; `clip` and `window` come before it."""


@dataclass(frozen=True)
class Preparation:
    """How cases are planned and preprocessed; arms that agree in it share plans and preprocessed cases."""

    plans: str = "nnUNetPlans"
    """nnU-Net's name of plans, or a path to a plans file."""
    spacing: tuple[float, ...] | None = None
    """Target spacing, mm, in the axes of the image array; None plans it."""
    normalisation: str | None = None
    clip: tuple[float, ...] | None = None
    window: tuple[float, ...] | None = None
    crop: tuple[int, ...] | None = None
    """Label values around which cases are cropped."""
    margin_mm: float = 0.0

    @property
    def dataset_name(self) -> str:
        """nnU-Net name of the private dataset; cropped cases have a fingerprint, thus a dataset, of their own."""
        return DATASET_NAME if self.crop is None else f"Dataset001_Crop{_digest([self.crop, float(self.margin_mm)])}"

    @property
    def data_suffix(self) -> str:
        """What tells preprocessed data apart that nnU-Net would give one name."""
        numbers = [None if ends is None else list(map(float, ends)) for ends in (self.spacing, self.clip, self.window)]
        changed = [numbers[0], self.normalisation, *numbers[1:]]
        own = Path(self.plans).read_text(encoding="utf-8") if self.is_file else None
        return "" if changed == [None] * 4 and own is None else f"_{_digest([*changed, own])}"

    @property
    def name(self) -> str:
        """Name of the plans."""
        return (Path(self.plans).stem if self.is_file else self.plans) + self.data_suffix

    @property
    def is_file(self) -> bool:
        """Whether the plans are the user's own."""
        return self.plans not in PLANNERS

    def plans_path(self, workspace: Path) -> Path:
        """Where the frozen plans lie in a study's private nnU-Net folder."""
        return workspace / "preprocessed" / self.dataset_name / f"{self.name}.json"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:6]


def check_preparation(preparation: Preparation, where: str, file_ending: str) -> None:
    """What can be refused before anything is planned.

    Raises:
        InputError: Unknown plans, a plans file without configurations, or settings that do not go together.
    """
    if preparation.crop is not None and file_ending.lower() in COLOUR_ENDINGS:
        raise InputError(f"{where}: crop needs images with a physical size, found {file_ending} files. Remove crop.")
    if not preparation.is_file:
        return
    if not Path(preparation.plans).is_file():
        raise InputError(
            f"{where}: plans must be one of {', '.join(PLANNERS)}, or an existing plans file, found "
            f"{preparation.plans!r}. Correct the name or the path."
        )
    if preparation.spacing is not None:
        raise InputError(f"{where}: spacing does not go with a plans file of your own. Set it there.")
    if not isinstance(read_json(Path(preparation.plans)).get("configurations"), dict):
        raise InputError(f"{preparation.plans}: must be nnU-Net plans, found no configurations. Check the path.")


def make_plans(
    workspace: Path, declared: Mapping[str, Any], pool: Mapping[str, CaseFiles], preparation: Preparation
) -> None:
    """Extract the fingerprint of the pool and plan the experiments; does nothing when that was done.

    Args:
        workspace: The study's private nnU-Net folder.
        declared: The content of the dataset's `dataset.json`.
        pool: The cases revealed at round 0.
        preparation: What differs from nnU-Net's own plans.
    """
    target = preparation.plans_path(workspace)
    if target.is_file():
        return
    draft = workspace / "planning"
    shutil.rmtree(draft, ignore_errors=True)
    with output_to(workspace / "planning.log"), nnunet_environment(draft, draft / "results", 1, compile_network=False):
        fingerprint = _fingerprint(draft, target.parent, declared, pool, preparation)
        plans = _planned(preparation)
    # preprocessed must hold what later cases are preprocessed under, even when the raw dataset moves
    write_json(target.parent / "dataset.json", {**declared, "numTraining": len(pool)})
    write_json(target.parent / "dataset_fingerprint.json", fingerprint)
    write_json(target, _adapted(plans, preparation))
    shutil.rmtree(draft)


def _fingerprint(
    draft: Path, target: Path, declared: Mapping[str, Any], pool: Mapping[str, CaseFiles], preparation: Preparation
) -> Any:
    """The fingerprint of the pool, extracted unless other plans of the same cases had it extracted."""
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

    name, path = preparation.dataset_name, Path("dataset_fingerprint.json")
    (draft / "preprocessed" / name).mkdir(parents=True)
    known = (target / path).is_file()
    if preparation.crop is not None and not known:
        from .preprocessing import cropped_copies

        pool = cropped_copies(draft / "cropped", pool, preparation.crop, preparation.margin_mm)
    listed = {case: {"images": [str(p) for p in f.images], "label": str(f.label)} for case, f in pool.items()}
    write_json(draft / "raw" / name / "dataset.json", {**declared, "dataset": listed, "numTraining": len(listed)})
    if known:
        shutil.copyfile(target / path, draft / "preprocessed" / name / path)
    else:
        DatasetFingerprintExtractor(name, num_processes=1).run(overwrite_existing=True)
    return read_json(draft / "preprocessed" / name / path)


def _planned(preparation: Preparation) -> dict[str, Any]:
    """The plans as nnU-Net's planner makes them, or the user's."""
    if preparation.is_file:
        plans: dict[str, Any] = read_json(Path(preparation.plans))
        return plans
    module, name = PLANNERS[preparation.plans].rsplit(".", 1)
    planner = getattr(importlib.import_module(f"nnunetv2.experiment_planning.experiment_planners.{module}"), name)
    spacing = None if preparation.spacing is None else [float(s) for s in preparation.spacing]
    made: dict[str, Any] = planner(preparation.dataset_name, overwrite_target_spacing=spacing).plan_experiment()
    return made


def _adapted(plans: dict[str, Any], preparation: Preparation) -> dict[str, Any]:
    """Plans under our names, with our normalisation."""
    plans = {**plans, "dataset_name": preparation.dataset_name, "plans_name": preparation.name}
    for entry in plans["configurations"].values():
        if "data_identifier" in entry:
            entry["data_identifier"] += preparation.data_suffix
        if preparation.normalisation is not None and "normalization_schemes" in entry:
            entry["normalization_schemes"] = [SCHEMES[preparation.normalisation]] * len(entry["normalization_schemes"])
    return plans


def read_plans(workspace: Path, preparation: Preparation) -> dict[str, Any]:
    """The frozen plans."""
    plans: dict[str, Any] = json.loads(preparation.plans_path(workspace).read_text(encoding="utf-8"))
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
            f"supported. Use one of {', '.join(usable)}, or crop around a structure that another arm predicts."
        )
    raise InputError(
        f"configuration {configuration!r} is not in nnU-Net's plans for this dataset: {', '.join(usable)}."
    )


def case_folder(workspace: Path, plans: Mapping[str, Any], configuration: str, test_set: str | None = None) -> Path:
    """Where preprocessed cases of a configuration lie; test cases apart, so that no training can find them."""
    name = data_identifier(plans, configuration)
    return (
        workspace / "preprocessed" / str(plans["dataset_name"]) / (name if test_set is None else f"{test_set}_{name}")
    )


def data_identifier(plans: Mapping[str, Any], configuration: str) -> str:
    """nnU-Net's name for the preprocessed data of a configuration, resolving inheritance."""
    entry = plans["configurations"][configuration]
    while "data_identifier" not in entry:
        entry = plans["configurations"][entry["inherits_from"]]
    return str(entry["data_identifier"])


def is_preprocessed(folder: Path, case: str) -> bool:
    """Whether a case is there in full: its properties are put there last."""
    return (folder / f"{case}.pkl").is_file()


def preprocess_case(
    workspace: Path,
    preparation: Preparation,
    configuration: str,
    case: str,
    files: CaseFiles,
    test_set: str | None = None,
) -> None:
    """Preprocess one case under the frozen plans; does nothing when that was done.

    Args:
        workspace: The study's private nnU-Net folder.
        preparation: Names the plans.
        configuration: nnU-Net configuration.
        case: Name of the preprocessed case.
        files: Its images and label.
        test_set: Test set it belongs to; its label is then left out. None for a training case.
    """
    from .preprocessing import crop_box, preprocessor_of

    plans = read_plans(workspace, preparation)
    folder = case_folder(workspace, plans, configuration, test_set)
    if is_preprocessed(folder, case):
        return
    draft = workspace / "unfinished" / f"{folder.name}-{case}-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    with output_to(workspace / "preprocessing.log"):
        cut = None if preparation.crop is None else crop_box(files.label, plans, preparation)
        preprocessor, *arguments = preprocessor_of(workspace, preparation, configuration, cut)
        images, label = [str(p) for p in files.images], None if test_set is not None else str(files.label)
        preprocessor.run_case_save(str(draft / case), images, label, *arguments)
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("_seg.b2nd", ".b2nd", ".pkl"):
        os.replace(draft / f"{case}{ending}", folder / f"{case}{ending}")
    shutil.rmtree(draft)
