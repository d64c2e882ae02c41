"""Fingerprint and plans, made once from the pool of round 0 and frozen. Test cases never enter them."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import read_json, write_json
from .dataset import CaseFiles
from .environment import nnunet_environment, output_to
from .preparation import PLANNERS, Preparation

SCHEMES = {"ct": "CTNormalization", "z-score": "ZScoreNormalization", "clip": "NoNormalization"}
SCHEMES["window"] = SCHEMES["clip"]
"""nnU-Net's normalisation per normalisation of ours; `clip` and `window` come before it."""


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
