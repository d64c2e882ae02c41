"""One pilot run: train the folds, predict the test sets, score them, leave a complete run folder.

Runs inside a worker process. A run folder is complete when its `run.json` says so; anything less is resumed
from its last checkpoint, so the process may be killed at any moment.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.metadata
import math
import os
import platform
import shutil
import socket
import sys
import time
import traceback
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...forecast.errors import DicecastError, WorkError
from ...forecast.scores import CROSS_VALIDATION
from ..files import json_holds, storage_errors, write_json, write_with
from ..tables import write_csv
from .attempt import Attempt, StoppedError, SupersededError, attempt, stopping, tidy
from .dataset import CaseFiles
from .environment import nnunet_environment, output_to
from .failures import failure_words
from .network import pilot_plans
from .preparation import case_folder, read_plans
from .scoring import physical, score_case, score_folder
from .spec import PREDICTING, SCORING, TRAINING, PilotSpec, RunStatus, fold_splits, is_scored, protocol_hash, run_status

LOGGED = ("train_losses", "val_losses", "epoch_start_timestamps", "epoch_end_timestamps")
"""What is kept of nnU-Net's training log."""
Splits = list[tuple[list[str], list[str]]]


def do_run(spec: PilotSpec) -> None:
    """Do what is left of one run: train and predict, or score anew, or nothing.

    Waits while another attempt works in the run folder, and leaves the folder to one that takes over.

    Raises:
        StoppedError: This process was asked to stop; doing the run again goes on from the checkpoint.
        StorageError: The disk is full.
        WorkError: Training or prediction failed; the message names the log.
    """
    with output_to(spec.folder / "log.txt"):
        try:
            with attempt(spec.folder) as held:
                if run_status(spec.folder) is not RunStatus.COMPLETED:
                    (spec.folder / "run.json").unlink(missing_ok=True)  # that of a failed attempt
                    _run_pilot(spec, held)
                elif not is_scored(spec):
                    score_run(spec)
                tidy(spec.folder, keep_models=spec.keep_models)
        except SupersededError:
            print("another attempt has taken over this run", flush=True)


def _run_pilot(spec: PilotSpec, held: Attempt) -> None:
    """Do a whole run, resuming what an earlier attempt left; says so in `run.json` where it fails."""
    try:
        with (
            storage_errors(spec.workspace.parent),
            nnunet_environment(
                spec.workspace,
                spec.folder / "models",
                spec.augmentation_workers,
                compile_network=spec.device == "cuda",
                tracking=spec.tracking,
            ),
        ):
            _run(spec, held)
    except (DicecastError, SupersededError, StoppedError):
        raise
    except Exception as error:
        held.check()  # its files may have been taken away by the attempt that took over
        if stopping():  # its augmentation workers may have ended before it
            raise StoppedError from error
        traceback.print_exc()
        reason = failure_words(error)
        _record(spec, held, RunStatus.FAILED, error=reason)
        log = spec.folder / "log.txt"
        raise WorkError(f"pilot run {spec.name} failed: {reason}. Its log is {log}; run again to retry it.") from error


def score_run(spec: PilotSpec) -> None:
    """Score the kept predictions of a run; nothing is trained or predicted."""
    from .checks import reader_of

    test_sets: dict[str, Mapping[str, CaseFiles]] = dict(spec.test)
    held = spec.folder / "predictions" / CROSS_VALIDATION
    if held.is_dir():
        ending = str(spec.declared["file_ending"])
        test_sets[CROSS_VALIDATION] = {c: f for c, f in spec.cases.items() if (held / f"{c}{ending}").is_file()}
    ending, reader = str(spec.declared["file_ending"]), reader_of(spec.declared)
    place = (spec.folder / "predictions", spec.annotators, ending, reader)
    found = pd.concat(
        [
            score_folder(*place, {name: cases}, spec.scoring.quick if name == CROSS_VALIDATION else spec.scoring)
            for name, cases in test_sets.items()
        ],
        ignore_index=True,
    )
    keys: dict[str, Any] = {
        "n_cases": spec.n,
        "arm": spec.arm,
        "draw": spec.draw,
        "protocol": protocol_hash(spec.protocol),
    }
    (spec.folder / "scoring.json").unlink(missing_ok=True)  # stopped in between, it is scored again
    write_csv(found.assign(**keys)[[*keys, *found.columns]], spec.folder / "scores.csv")
    write_json(spec.folder / "scoring.json", spec.scored_by())


def _run(spec: PilotSpec, held: Attempt) -> None:
    import torch

    device = torch.device(spec.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    if spec.finished is not None:
        from .finished import predict_finished

        started = time.monotonic()
        for count in predict_finished(spec, spec.finished, device):
            _trained(spec, held, PREDICTING, count, spec.tested)
        _trained(spec, held, SCORING, spec.tested, spec.tested)
        score_run(spec)
        seconds = {"prediction": round(time.monotonic() - started, 1)}
        found: dict[str, Any] = {"model": spec.finished.document(), "training": None, "seed": None}
        _record(spec, held, RunStatus.COMPLETED, seconds=seconds, **found)
        return
    _start_over_if_changed(spec)
    plans = pilot_plans(read_plans(spec.workspace, spec.preparation), spec.configuration, spec.training, spec.arm)
    splits = fold_splits(tuple(spec.cases), spec.folds, spec.seed, spec.patient)
    models = [_train(spec, held, plans, fold, *split, device) for fold, split in enumerate(splits)]
    _plot_losses(spec, models)
    started = time.monotonic()
    _predict(spec, held, plans, [model.checkpoint for model in models], splits, device)
    predicted = time.monotonic()
    _trained(spec, held, SCORING, spec.tested, spec.tested)
    score_run(spec)
    epochs = [seconds for model in models for seconds in model.epoch_seconds]
    seconds = {"training": sum(epochs), "prediction": predicted - started, "scoring": time.monotonic() - predicted}
    _record(
        spec,
        held,
        RunStatus.COMPLETED,
        device=str(device),
        deterministic=device.type == "cpu" and spec.augmentation_workers == 0,
        splits=[{"train": train, "validation": validate} for train, validate in splits],
        train_losses=[[x if math.isfinite(x) else None for x in one.losses["train_losses"]] for one in models],
        seconds={name: round(value, 1) for name, value in seconds.items()},
        seconds_per_iteration=round(float(np.median(epochs)) / spec.training.iterations, 4),
        memory_gb=_memory(device),
        versions=_versions(),
    )


@dataclass(frozen=True)
class _Model:
    """A trained fold."""

    checkpoint: Path
    losses: dict[str, list[float]]
    """Mean training and validation loss of each epoch."""
    epoch_seconds: list[float]


def _start_over_if_changed(spec: PilotSpec) -> None:
    """An interrupted run goes on only under the protocol and with the cases it was started with."""
    path = spec.folder / "inputs.json"
    inputs = {"protocol_hash": protocol_hash(spec.protocol), "cases": [*spec.cases, *spec.extra]}
    if not json_holds(path, inputs):
        for name in ("models", "predictions"):
            shutil.rmtree(spec.folder / name, ignore_errors=True)
        write_json(path, inputs)


def _train(
    spec: PilotSpec,
    held: Attempt,
    plans: dict[str, Any],
    fold: int,
    train: list[str],
    validate: list[str],
    device: Any,
) -> _Model:
    """Train one fold, or pick up where it stopped."""
    from .trainer import pilot_trainer, seed_everything

    settings = spec.training
    seed = spec.seed + 7919 * fold
    seed_everything(seed)
    private = {**copy.deepcopy(plans), "continue_training": False}
    trainer = pilot_trainer(spec.trainer)(private, spec.configuration, fold, dict(spec.declared), device)
    trainer.training_cases, trainer.validation_cases, trainer.seed = sorted([*train, *spec.extra]), validate, seed
    trainer.configure(settings)
    before = fold * settings.epochs
    trainer.on_epoch = lambda finished, saved: _progress(spec, held, before + finished, before + saved)
    trainer.before_write = held.check
    trainer.initialize()
    output = Path(trainer.output_folder)
    final, latest = output / "checkpoint_final.pth", output / "checkpoint_latest.pth"
    if _is_sound(final):
        _load(trainer, final)
    else:
        if _is_sound(latest):
            _load(trainer, latest)
        elif spec.pretrained is not None:
            from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

            from .checkpoints import read_checkpoint

            read_checkpoint(spec.pretrained)
            load_pretrained_weights(trainer.network, str(spec.pretrained))
        _progress(spec, held, before + trainer.current_epoch, before + trainer.current_epoch)
        trainer.run_training()
        _progress(spec, held, before + settings.epochs, before + settings.epochs)
    log = {name: trainer.logger.get_value(name, step=None) for name in LOGGED}
    times = zip(log[LOGGED[2]], log[LOGGED[3]], strict=True)
    seconds = [max(0.0, float(end - start)) for start, end in times]  # a clock may be put back
    return _Model(final, {name: [float(loss) for loss in log[name]] for name in LOGGED[:2]}, seconds)


def _load(trainer: Any, checkpoint: Path) -> None:
    """Go on from a checkpoint; nnU-Net would run whatever a file holds, so it is read safely first."""
    from .checkpoints import read_checkpoint

    read_checkpoint(checkpoint)
    trainer.load_checkpoint(str(checkpoint))


def _is_sound(checkpoint: Path) -> bool:
    """Whether a checkpoint is there in full; torch writes zip files, whose end comes last."""
    return checkpoint.is_file() and zipfile.is_zipfile(checkpoint)


def _predict(
    spec: PilotSpec, held: Attempt, plans: dict[str, Any], checkpoints: list[Path], splits: Splits, device: Any
) -> None:
    """Predict the test sets and, by the model that did not see them, the training cases; writes `predictions/`."""
    from .prediction import load_predictor, predict_cases
    from .trainers import trainer_class

    arguments = (dict(spec.declared), spec.configuration, checkpoints, device, spec.mirroring)
    predictor = load_predictor(plans, *arguments, trainer_class(spec.trainer))
    reader = predictor.plans_manager.image_reader_writer_class()
    crossed = spec.cross_validation and len(splits) > 1
    total = spec.tested + crossed * sum(len(left_out) for _, left_out in splits)
    rows, count = [], 0
    _trained(spec, held, PREDICTING, count, total)
    for test_set, cases in spec.test.items():
        folder = case_folder(spec.workspace, plans, spec.configuration, test_set)
        found = (
            predict_cases(predictor, folder, sorted(cases), spec.rules, folds=len(spec.rules) > 1)
            if spec.boxes is None
            else _predict_in_boxes(spec, predictor, plans, test_set)
        )
        for case, maps, properties in found:
            held.check()
            _keep(spec, test_set, case, maps[spec.rules[0]], properties, reader)
            count += 1
            _trained(spec, held, PREDICTING, count, total)
            if len(maps) > 1:
                reference, _ = reader.read_seg(str(cases[case].label))
                rows += list(_by_rule(spec, test_set, case, reference[0], maps, physical(properties["spacing"])))
    if rows:
        write_csv(pd.DataFrame(rows), spec.folder / "ensembles.csv")
    if crossed:
        models, folder = predictor.list_of_parameters, case_folder(spec.workspace, plans, spec.configuration)
        for weights, (_, left_out) in zip(models, splits, strict=True):
            predictor.list_of_parameters = [weights]
            for case, maps, properties in predict_cases(predictor, folder, left_out, ("logits",)):
                _keep(spec, CROSS_VALIDATION, case, maps["logits"], properties, reader)
                count += 1
                _trained(spec, held, PREDICTING, count, total)


def _predict_in_boxes(
    spec: PilotSpec, predictor: Any, plans: dict[str, Any], test_set: str
) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Predict test cases inside the boxes that another run's predictions say."""
    from .prediction import predict_image
    from .preprocessing import crop_box, preprocessor_of

    assert spec.boxes is not None
    for case, files in sorted(spec.test[test_set].items()):
        seen = spec.boxes / "predictions" / test_set / f"{case}{spec.declared['file_ending']}"
        box = crop_box(seen, plans, spec.preparation)
        preprocessor, *arguments = preprocessor_of(spec.workspace, spec.preparation, spec.configuration, box)
        data, _, properties = preprocessor.run_case([str(p) for p in files.images], None, *arguments)
        yield case, predict_image(predictor, data, properties, spec.rules, folds=len(spec.rules) > 1), properties


def _by_rule(
    spec: PilotSpec, test_set: str, case: str, reference: Any, maps: Mapping[str, Any], spacing: Any
) -> Iterator[dict[str, Any]]:
    """Dice of every ensemble rule and of every fold alone."""
    scoring = dataclasses.replace(spec.scoring, metrics=("dice",))
    keys: dict[str, Any] = {"n_cases": spec.n, "arm": spec.arm, "draw": spec.draw, "test_set": test_set, "case": case}
    for rule, predicted in maps.items():
        for row in score_case(reference, predicted, scoring, spacing):
            if row["metric"] == "dice":
                yield {**keys, "rule": rule, **row}


def _keep(spec: PilotSpec, test_set: str, case: str, predicted: Any, properties: Any, reader: Any) -> None:
    target = spec.folder / "predictions" / test_set / (case + str(spec.declared["file_ending"]))
    write_with(target, lambda path: reader.write_seg(predicted, str(path), properties))


def _plot_losses(spec: PilotSpec, models: list[_Model]) -> None:
    """The losses of every fold, for a look at whether training has converged."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for fold, model in enumerate(models):
        for name, style in (("train_losses", "-"), ("val_losses", ":")):
            label = {"train_losses": "training", "val_losses": "validation"}[name] if fold == 0 else None
            axes.plot(range(1, len(model.losses[name]) + 1), model.losses[name], style, color=f"C{fold}", label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    kind = "validation on cases not trained on" if len(models) > 1 else "validation on the training cases themselves"
    axes.set_title(f"{spec.name}: {len(models)} model(s), {kind}", fontsize=9)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    write_with(spec.folder / "losses.png", lambda path: figure.savefig(path, dpi=100))


def _progress(spec: PilotSpec, held: Attempt, done: int, saved: int, stage: str = TRAINING, **more: int) -> None:
    """Tell how far the run is; stops an attempt that another one has taken over."""
    held.check()
    write_json(
        spec.folder / "progress.json",
        {
            "stage": stage,
            "epochs_done": done,
            "epochs_saved": saved,
            "epochs": spec.epochs,
            "pid": os.getpid(),
            "time": time.time(),
            **more,
        },
    )


def _trained(spec: PilotSpec, held: Attempt, stage: str, predicted: int, of: int) -> None:
    """Tell what is done with the trained models, and how many cases of how many they have predicted."""
    _progress(spec, held, spec.epochs, spec.epochs, stage, predicted=predicted, to_predict=of)


def _record(spec: PilotSpec, held: Attempt, status: RunStatus, **found: Any) -> None:
    """Write `run.json`; once it says `completed`, the run is never repeated."""
    held.check()
    write_json(
        spec.folder / "run.json",
        {
            "status": status.value,
            "arm": spec.arm,
            "n": spec.n,
            "draw": spec.draw,
            "cases": list(spec.cases),
            "extra": list(spec.extra),
            "seed": spec.seed,
            "protocol_hash": protocol_hash(spec.protocol),
            "protocol": dict(spec.protocol),
            "training": dataclasses.asdict(spec.training),
            "notes": list(spec.notes),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "host": socket.gethostname(),
            "attempts": held.number,
            "seconds_spent": round(held.seconds, 1),
            **found,
        },
    )


def _memory(device: Any) -> dict[str, float]:
    """Most memory that this process held so far, GB; of an accelerator what torch reserved."""
    import torch

    found = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        found["host"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 2)
    if device.type == "cuda":
        found["device"] = round(torch.cuda.max_memory_reserved() / 1e9, 2)
    return found


def _versions() -> dict[str, str]:
    names = ("dicecast", "nnunetv2", "torch", "numpy", "batchgeneratorsv2", "dynamic-network-architectures")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
