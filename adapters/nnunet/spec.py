"""What a pilot run is: its inputs, its folder's state, its folds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...forecast.errors import InputError
from ..files import json_holds, read_json
from ..json_shape import ANY, misfit
from ..sections import TrainingSettings
from .dataset import CaseFiles
from .preparation import Preparation

if TYPE_CHECKING:  # scoring takes long to import, and status reads no scores
    from .scoring import Scoring

PILOT = "Pilot_"
"""What the class of a pilot's trainer is called before the trainer's own name."""
RECORDED = {"arm": str, "n": int, "draw": int, "cases": [str], "protocol": dict, "seconds": {ANY: float}}
"""What the `run.json` of a completed run must say to be used."""
TOLD = {
    "seconds?": {ANY: float},
    "seconds_per_iteration?": (float, None),
    "seconds_spent?": float,
    "memory_gb?": {ANY: float},
    "extra?": [str],
    "error?": str,
    "versions?": {ANY: (str, None)},
    "device?": str,
}
"""What it may say, also where the run failed."""

TRAINING, PREDICTING, SCORING = "training", "predicting", "scoring"
"""What a run does one after the other, as its `progress.json` says."""


class RunStatus(Enum):
    """PLANNED -> RUNNING -> COMPLETED | FAILED; a failed run is tried again by the next `run`."""

    PLANNED = "planned"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class FinishedModel:
    """A model that nnU-Net trained elsewhere."""

    folder: Path
    """Trained-model folder: Trainer__Plans__Configuration."""
    folds: tuple[int, ...]
    checkpoint: str
    """File name of the weights in every fold."""

    @property
    def checkpoints(self) -> list[Path]:
        """The weights of every fold."""
        return [self.folder / f"fold_{fold}" / self.checkpoint for fold in self.folds]

    def document(self) -> dict[str, Any]:
        """Identity of the model."""
        return {"folder": str(self.folder), "folds": list(self.folds), "checkpoint": self.checkpoint}

    def differences(self, pilot: PilotSpec) -> list[str]:
        """In what it differs from the pilots of its curve, as far as its name and folds tell."""
        trainer, plans, configuration = self.folder.name.removeprefix(PILOT).split("__")
        own = {"trainer": trainer, "plans": plans, "configuration": configuration, "folds": len(self.folds)}
        theirs = {
            "trainer": pilot.trainer.rpartition(":")[2],
            "plans": pilot.preparation.name,
            "configuration": pilot.configuration,
            "folds": pilot.folds,
        }
        changed = [f"{key} {own[key]} where pilots have {theirs[key]}" for key in own if own[key] != theirs[key]]
        return [f"the model at its size was not trained here: {', '.join([self.folder.name, *changed])}"]


@dataclass(frozen=True)
class PilotSpec:
    """Everything a worker needs to do one run; picklable."""

    folder: Path
    """The run folder."""
    workspace: Path
    """The study's private nnU-Net folder."""
    arm: str
    n: int
    draw: int
    cases: Mapping[str, CaseFiles]
    """The n training cases, in the order of the draw."""
    folds: int
    rules: tuple[str, ...]
    """Ensemble rules; the first makes the scores."""
    patient: Mapping[str, str]
    """Patient of every training case."""
    cross_validation: bool
    """Whether fold models are scored on the cases they did not train on."""
    mirroring: bool
    configuration: str
    trainer: str
    preparation: Preparation
    training: TrainingSettings
    seed: int
    test: Mapping[str, Mapping[str, CaseFiles]]
    """Cases by test set."""
    annotators: Mapping[str, Mapping[str, Path]]
    """Further references of the first test set: annotator, case, label file."""
    scoring: Scoring
    declared: Mapping[str, Any]
    """The dataset's `dataset.json`."""
    protocol: Mapping[str, Any]
    """What makes scores comparable; its hash guards the curve."""
    device: str
    augmentation_workers: int
    extra: tuple[str, ...] = ()
    """Names of preprocessed cases trained on beside the n."""
    pretrained: Path | None = None
    boxes: Path | None = None
    """Run folder whose predictions say where test cases are cropped; None takes their references."""
    finished: FinishedModel | None = None
    """Predict with this instead of training."""
    tracking: str = "none"
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What a reader of the run should know."""
    keep_models: bool = True
    """Whether the trained models stay once the run is complete."""

    @property
    def name(self) -> str:
        """How the run is called in messages."""
        return f"{self.arm}, n = {self.n}, draw {self.draw}"

    def scored_by(self) -> dict[str, Any]:
        """What is kept beside scores to know whether they are up to date."""
        folders = {name: str(next(iter(labels.values())).parent) for name, labels in self.annotators.items()}
        return {**self.scoring.document(), "annotators": folders}

    @property
    def models(self) -> int:
        """Fold models to train."""
        return 0 if self.finished is not None else min(self.folds, max(1, self.n))

    @property
    def epochs(self) -> int:
        """Epochs of all fold models together; at least 1, so that shares of it can be told."""
        return max(1, self.models * self.training.epochs)

    @property
    def tested(self) -> int:
        """Test cases to predict."""
        return sum(len(cases) for cases in self.test.values())


def is_scored(spec: PilotSpec) -> bool:
    """Whether a completed run has been scored as it is asked for now."""
    return (spec.folder / "scores.csv").is_file() and json_holds(spec.folder / "scoring.json", spec.scored_by())


def is_done(spec: PilotSpec) -> bool:
    """Whether nothing is left to do for a run."""
    return run_status(spec.folder) is RunStatus.COMPLETED and is_scored(spec)


def protocol_hash(protocol: Mapping[str, Any]) -> str:
    """Identity of a protocol; what is left to nnU-Net (None) does not count."""
    stated = {key: _as_floats(value) for key, value in protocol.items() if value is not None}
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:12]


def _as_floats(value: Any) -> Any:
    """Numbers as floats, so that 3 and 3.0 are one setting."""
    if isinstance(value, Mapping):
        return {key: _as_floats(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_floats(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def run_status(folder: Path) -> RunStatus:
    """How far a run folder has come."""
    return run_state(folder)[0]


def run_state(folder: Path) -> tuple[RunStatus, dict[str, Any] | None]:
    """How far a run folder has come, and its record if it has one; reads each file once."""
    if not (folder / "run.json").is_file():
        return RunStatus.RUNNING if (folder / "progress.json").is_file() else RunStatus.PLANNED, None
    try:
        record = read_record(folder)
    except InputError:
        if (folder / "run.json").exists():
            raise
        return RunStatus.RUNNING, None  # a failed attempt's record went while it is tried again
    return RunStatus(record["status"]), record


def read_record(folder: Path) -> dict[str, Any]:
    """The `run.json` of a run that ended.

    Raises:
        InputError: Not the record of a run.
    """
    path = folder / "run.json"
    made = read_json(path)
    status = made.get("status") if isinstance(made, dict) else None
    if status not in (RunStatus.COMPLETED.value, RunStatus.FAILED.value):
        raise InputError(
            f"{path}: must be the record of a run, with status completed or failed, found "
            f"{'none' if status is None else repr(status)}. Restore it, or delete {folder} to repeat the run."
        )
    completed = status == RunStatus.COMPLETED.value
    missing = [key for key in RECORDED if key not in made] if completed else []
    if missing:
        raise InputError(
            f"{path}: the record of a completed run must say {', '.join(RECORDED)}, found no {missing[0]}. Restore it, "
            f"or delete {folder} to repeat the run."
        )
    wrong = misfit(made, {**TOLD, **RECORDED} if completed else TOLD)
    if wrong is not None:
        raise InputError(f"{path}: {wrong}. Restore it, or delete {folder} to repeat the run.")
    return dict(made)


def fold_splits(
    cases: tuple[str, ...], folds: int, seed: int, patient: Mapping[str, str] | None = None
) -> list[tuple[list[str], list[str]]]:
    """Training and validation cases of each model; those of a patient stay together.

    One fold trains on all cases. k folds are the first k of five 80/20 splits; of n < 5 patients each is held out in
    turn, by at most n folds.

    Raises:
        InputError: Several folds of a single patient.
    """
    if folds == 1:
        return [(sorted(cases), [])]
    owner = {case: (patient or {}).get(case, case) for case in cases}
    patients = sorted(set(owner.values()))
    if len(patients) < 2:
        raise InputError(f"{folds} folds need cases of at least 2 patients, found {len(patients)}. Use folds = 1.")
    parts = min(5, len(patients))
    order = np.random.default_rng(seed).permutation(patients)
    held = [sorted(c for c in cases if owner[c] in set(map(str, part))) for part in np.array_split(order, parts)]
    return [(sorted(set(cases) - set(part)), part) for part in held[: min(folds, parts)]]
