"""How cases are planned and preprocessed, and where plans and preprocessed cases lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError
from ..files import read_json
from .dataset import COLOUR_ENDINGS

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
