"""One pilot run: train the folds, predict the test set, score it, leave a complete run folder.

Runs inside a worker process. A run folder is complete when its `run.json` says so; anything less is resumed
from its last checkpoint, so the process may be killed at any moment.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...forecast.errors import DicecastError, InputError, WorkError
from ..files import read_json, storage_errors, write_json, write_with
from ..settings import TrainingSettings
from ..tables import write_csv
from .dataset import CaseFiles, Label
from .environment import nnunet_environment, output_to
from .planning import case_folder, read_plans

LOGGED = ("train_losses", "epoch_start_timestamps", "epoch_end_timestamps")
"""What is kept of nnU-Net's training log."""
NO_SPACING = 999
"""Slice spacing that nnU-Net's reader of natural images makes up."""


class RunStatus(Enum):
    """PLANNED -> RUNNING -> COMPLETED | FAILED; a failed run is tried again by the next `run`."""

    PLANNED = "planned"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


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
    cases: tuple[str, ...]
    """The n training cases."""
    folds: int
    ensemble: str
    mirroring: bool
    configuration: str
    trainer: str
    training: TrainingSettings
    seed: int
    test: Mapping[str, CaseFiles]
    structures: Mapping[str, Label]
    ignore_label: int | None
    declared: Mapping[str, Any]
    """The dataset's `dataset.json`."""
    protocol: Mapping[str, Any]
    """What makes scores comparable; its hash guards the curve."""
    device: str
    augmentation_workers: int

    @property
    def name(self) -> str:
        """How the run is called in messages."""
        return f"{self.arm}, n = {self.n}, draw {self.draw}"


def protocol_hash(protocol: Mapping[str, Any]) -> str:
    """Identity of a protocol; what is left to nnU-Net (None) does not count."""
    stated = {key: value for key, value in protocol.items() if value is not None}
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:12]


def run_status(folder: Path) -> RunStatus:
    """How far a run folder has come."""
    path = folder / "run.json"
    if not path.is_file():
        return RunStatus.RUNNING if (folder / "progress.json").is_file() else RunStatus.PLANNED
    return RunStatus(read_json(path)["status"])


def fold_splits(cases: tuple[str, ...], folds: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Training and validation cases of each model.

    One fold trains on all cases. k folds are the first k of five 80/20 splits (of n when n < 5).
    """
    if folds == 1:
        return [(sorted(cases), [])]
    parts = min(5, len(cases))
    if folds > parts:
        raise InputError(f"{folds} folds need at least {folds} cases, found a size of {len(cases)}. Use folds = 1.")
    order = np.random.default_rng(seed).permutation(sorted(cases))
    held = [sorted(map(str, part)) for part in np.array_split(order, parts)]
    return [(sorted(set(cases) - set(part)), part) for part in held[:folds]]


def run_pilot(spec: PilotSpec) -> None:
    """Do one pilot run, resuming what an earlier attempt left.

    Raises:
        StorageError: The disk is full.
        WorkError: Training or prediction failed; the message names the log.
    """
    log = spec.folder / "log.txt"
    try:
        with (
            storage_errors(spec.workspace.parent),
            output_to(log),
            nnunet_environment(
                spec.workspace,
                spec.folder / "models",
                spec.augmentation_workers,
                compile_network=spec.device == "cuda",
            ),
        ):
            _run(spec)
    except DicecastError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        _record(spec, RunStatus.FAILED, error=reason)
        raise WorkError(f"pilot run {spec.name} failed: {reason}. Its log is {log}; run again to retry it.") from error


def _run(spec: PilotSpec) -> None:
    import torch

    device = torch.device(spec.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    _start_over_if_changed(spec)
    plans = _pilot_plans(spec)
    splits = fold_splits(spec.cases, spec.folds, spec.seed)
    models = [_train(spec, plans, fold, *split, device, len(splits)) for fold, split in enumerate(splits)]
    started = time.time()
    _predict(spec, plans, [model.checkpoint for model in models], device)
    epochs = [seconds for model in models for seconds in model.epoch_seconds]
    _record(
        spec,
        RunStatus.COMPLETED,
        device=str(device),
        deterministic=device.type == "cpu" and spec.augmentation_workers == 0,
        splits=[{"train": train, "validation": validate} for train, validate in splits],
        train_losses=[model.losses for model in models],
        seconds={"training": round(sum(epochs), 1), "prediction": round(time.time() - started, 1)},
        seconds_per_iteration=round(float(np.median(epochs)) / spec.training.iterations, 4),
        versions=_versions(),
    )
    (spec.folder / "progress.json").unlink(missing_ok=True)


@dataclass(frozen=True)
class _Model:
    """A trained fold."""

    checkpoint: Path
    losses: list[float]
    """Mean training loss of each epoch."""
    epoch_seconds: list[float]


def _start_over_if_changed(spec: PilotSpec) -> None:
    """An interrupted run goes on only under the protocol and with the cases it was started with."""
    path = spec.folder / "inputs.json"
    inputs = {"protocol_hash": protocol_hash(spec.protocol), "cases": list(spec.cases)}
    if not path.is_file() or read_json(path) != inputs:
        shutil.rmtree(spec.folder / "models", ignore_errors=True)
        write_json(path, inputs)


def _pilot_plans(spec: PilotSpec) -> dict[str, Any]:
    """The frozen plans with the arm's batch, width and convolutions."""
    plans = copy.deepcopy(read_plans(spec.workspace))
    entry = plans["configurations"][spec.configuration]
    if spec.training.batch is not None:
        entry["batch_size"] = spec.training.batch
    if spec.training.features is not None:
        settings = entry["architecture"]["arch_kwargs"]
        first = settings["features_per_stage"][0]
        scale = spec.training.features / first
        settings["features_per_stage"] = [max(1, round(width * scale)) for width in settings["features_per_stage"]]
    if spec.training.convolutions is not None:
        settings = entry["architecture"]["arch_kwargs"]
        if "n_conv_per_stage" not in settings:
            raise InputError(f"arm {spec.arm!r}: convolutions does not apply to the network of its plans. Remove it.")
        for name in ("n_conv_per_stage", "n_conv_per_stage_decoder"):
            settings[name] = [spec.training.convolutions] * len(settings[name])
    return plans


def _train(
    spec: PilotSpec, plans: dict[str, Any], fold: int, train: list[str], validate: list[str], device: Any, folds: int
) -> _Model:
    """Train one fold, or pick up where it stopped."""
    from .trainer import TRAINERS, seed_everything

    settings = spec.training
    seed = spec.seed + 7919 * fold
    seed_everything(seed)
    private = {**copy.deepcopy(plans), "continue_training": False}
    trainer = TRAINERS[spec.trainer](private, spec.configuration, fold, dict(spec.declared), device)
    trainer.training_cases, trainer.validation_cases, trainer.seed = train, validate, seed
    trainer.num_epochs, trainer.num_iterations_per_epoch = settings.epochs, settings.iterations
    trainer.num_val_iterations_per_epoch = 1
    trainer.save_every = max(1, min(50, settings.epochs // 10))
    trainer.optimiser, trainer.precision = settings.optimiser, settings.precision
    trainer.initial_lr = settings.learning_rate or (1e-2 if settings.optimiser == "SGD" else 1e-3)
    trainer.on_epoch = lambda finished: _progress(spec, fold * settings.epochs + finished, folds * settings.epochs)
    trainer.initialize()
    output = Path(trainer.output_folder)
    final, latest = output / "checkpoint_final.pth", output / "checkpoint_latest.pth"
    if final.is_file():
        trainer.load_checkpoint(str(final))
    else:
        if latest.is_file():
            trainer.load_checkpoint(str(latest))
        _progress(spec, fold * settings.epochs + trainer.current_epoch, folds * settings.epochs)
        trainer.run_training()
    log = {name: trainer.logger.get_value(name, step=None) for name in LOGGED}
    starts, ends = (log[name] for name in LOGGED[1:])
    seconds = [float(end - start) for start, end in zip(starts, ends, strict=True)]
    return _Model(final, [float(loss) for loss in log["train_losses"]], seconds)


def _predict(spec: PilotSpec, plans: dict[str, Any], checkpoints: list[Path], device: Any) -> None:
    """Predict and score the test set; writes `predictions/` and `scores.csv`."""
    from .prediction import load_predictor, predict_cases, score_case

    predictor = load_predictor(plans, dict(spec.declared), spec.configuration, checkpoints, device, spec.mirroring)
    reader = predictor.plans_manager.image_reader_writer_class()
    folder = case_folder(spec.workspace, plans, spec.configuration, test=True)
    protocol = protocol_hash(spec.protocol)
    rows = []
    for case, predicted, properties in predict_cases(predictor, folder, sorted(spec.test), spec.ensemble):
        reference, _ = reader.read_seg(str(spec.test[case].label))
        target = spec.folder / "predictions" / (case + str(spec.declared["file_ending"]))
        write_with(target, lambda path, seg=predicted, props=properties: reader.write_seg(seg, str(path), props))  # type: ignore[misc]
        spacing = properties["spacing"]
        voxel_ml = None if spacing[0] == NO_SPACING else float(np.prod(spacing)) / 1000
        for row in score_case(reference[0], predicted, spec.structures, spec.ignore_label, voxel_ml):
            rows.append(
                {"n_cases": spec.n, "arm": spec.arm, "draw": spec.draw, "case": case, "protocol": protocol, **row}
            )
    write_csv(pd.DataFrame(rows), spec.folder / "scores.csv")


def _progress(spec: PilotSpec, done: int, total: int) -> None:
    write_json(
        spec.folder / "progress.json", {"epochs_done": done, "epochs": total, "pid": os.getpid(), "time": time.time()}
    )


def _record(spec: PilotSpec, status: RunStatus, **found: Any) -> None:
    """Write `run.json`; once it says `completed`, the run is never repeated."""
    write_json(
        spec.folder / "run.json",
        {
            "status": status.value,
            "arm": spec.arm,
            "n": spec.n,
            "draw": spec.draw,
            "cases": list(spec.cases),
            "seed": spec.seed,
            "protocol_hash": protocol_hash(spec.protocol),
            "protocol": dict(spec.protocol),
            "training": dataclasses.asdict(spec.training),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **found,
        },
    )


def _versions() -> dict[str, str]:
    names = ("dicecast", "nnunetv2", "torch", "numpy", "batchgeneratorsv2", "dynamic-network-architectures")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def remove_checkpoints(folder: Path) -> None:
    """Free the disk of a completed run; its scores and predictions stay."""
    shutil.rmtree(folder / "models", ignore_errors=True)
