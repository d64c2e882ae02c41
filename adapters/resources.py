"""What trainings take: measured on those that are done, predicted for those that are due; and room on the disk."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..forecast.errors import StorageError
from .nnunet.network import pilot_plans
from .nnunet.preparation import read_plans
from .nnunet.spec import PilotSpec
from .settings import Settings
from .study import Study

FLOAT = 4
"""Bytes of a weight."""
MOMENTS = {"SGD": 1, "AdamW": 2}
"""Numbers that an optimiser keeps beside every weight."""
RESERVE_GB = 0.02
"""Left free for logs and tables."""
RAW_BYTES = 6
"""Of a preprocessed voxel: a float32 intensity and an int16 label, uncompressed."""
PREDICTED_BYTES = 0.1
"""Of a voxel of a prediction, compressed."""


@dataclass(frozen=True)
class Pace:
    """What a run of an arm takes, in medians over its completed runs."""

    seconds_per_iteration: float
    overhead: float = 0.0
    """Seconds for prediction and scoring."""
    memory_gb: float | None = None
    device_memory_gb: float | None = None
    """Of an accelerator."""
    runs: int = 0
    """Completed runs it was measured on; 0 where `study.toml` says it."""


def paces(settings: Settings, records: Iterable[Mapping[str, Any]]) -> dict[str, Pace]:
    """The pace of every arm: that of its own runs, else the one that `study.toml` gives; absent where neither is known.

    Args:
        settings: The study's.
        records: The `run.json` of completed runs.
    """
    told = settings.execution.seconds_per_iteration
    found = {} if told is None else {arm.name: Pace(told) for arm in settings.arms}
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if record.get("seconds_per_iteration") is not None:
            by_arm.setdefault(str(record["arm"]), []).append(record)
    return found | {arm: _pace(made) for arm, made in by_arm.items()}


def _pace(records: Sequence[Mapping[str, Any]]) -> Pace:
    seconds = [record["seconds"] for record in records]
    memory = {
        place: [record["memory_gb"][place] for record in records if place in record.get("memory_gb", {})]
        for place in ("host", "device")
    }
    return Pace(
        float(statistics.median(record["seconds_per_iteration"] for record in records)),
        float(statistics.median(one.get("prediction", 0.0) + one.get("scoring", 0.0) for one in seconds)),
        max(memory["host"], default=None),
        max(memory["device"], default=None),
        len(records),
    )


def iterations(settings: Settings, arm: str, n: int, *, check: bool) -> int:
    """Training iterations of a run, all its fold models together."""
    training = settings.arm(arm).training(settings.pilots)
    return training.epochs * training.iterations * settings.pilots.models_at(n) * (2 if check else 1)


def run_hours(settings: Settings, arm: str, n: int, pace: Pace, *, check: bool = False) -> float:
    """Predicted hours of a run."""
    return (iterations(settings, arm, n, check=check) * pace.seconds_per_iteration + pace.overhead) / 3600


def case_gb(study: Study) -> float:
    """Disk space of a preprocessed case on the average, uncompressed and not resampled."""
    voxels = study.cases.loc[study.cases["voxels"] != "", "voxels"].astype(int)
    return float(voxels.mean()) * RAW_BYTES / 1e9 if len(voxels) else 0.0


def preprocessed_gb(study: Study) -> float:
    """Disk space of all preprocessed cases, about: uncompressed, not resampled."""
    voxels = study.cases.loc[study.cases["role"] != "unannotated", "voxels"].replace("", "0").astype(int).sum()
    configurations = len({(arm.configuration, repr(arm.planning)) for arm in study.settings.arms})
    extra = max((arm.extra_cases.ratio for arm in study.settings.arms if arm.extra_cases is not None), default=0.0)
    return float(voxels) * RAW_BYTES * configurations * (1 + extra) / 1e9


def checkpoint_gb(spec: PilotSpec) -> float:
    """Size of a checkpoint: the weights of the network, and what the optimiser keeps beside each."""
    plans = pilot_plans(read_plans(spec.workspace, spec.preparation), spec.configuration, spec.training, spec.arm)
    network = plans["configurations"][spec.configuration]["architecture"]["arch_kwargs"]
    return weights(network) * FLOAT * (1 + MOMENTS[spec.training.optimiser]) / 1e9


def weights(network: Mapping[str, Any]) -> int:
    """Weights of the convolutions of a U-Net, plain or with a residual encoder, by its `arch_kwargs` in the plans."""
    width = list(network["features_per_stage"])
    kernel = [math.prod(edges) for edges in network["kernel_sizes"]]
    stride = [math.prod(edges) for edges in network["strides"]]
    residual = "n_blocks_per_stage" in network
    depth = network["n_blocks_per_stage" if residual else "n_conv_per_stage"]
    total = kernel[0] * width[0] if residual else 0  # the stem, of one channel
    for stage, (own, size) in enumerate(zip(width, kernel, strict=True)):
        before = width[stage - 1] if stage else (own if residual else 1)
        convolutions = depth[stage] * (2 if residual else 1)
        total += size * own * (before + (convolutions - 1) * own)
        total += before * own if residual and before != own else 0
    for stage, convolutions in enumerate(network["n_conv_per_stage_decoder"]):
        own, size = width[stage], kernel[stage]
        total += stride[stage + 1] * width[stage + 1] * own + size * own * (2 * own + (convolutions - 1) * own)
    return int(total)


def check_training_space(study: Study, due: Sequence[PilotSpec], at_once: int) -> None:
    """Refuse runs whose checkpoints, models and predictions cannot fit on the disk.

    Raises:
        StorageError: Less is free.
    """
    due = [spec for spec in due if not (spec.folder / "models").exists()]  # what was begun has its room already
    if due:
        voxels = study.cases.loc[(study.cases["role"] == "test") & (study.cases["voxels"] != ""), "voxels"].astype(int)
        needed = training_gb(due, at_once, int(voxels.sum()))
        require_space(study.folder, needed, f"the models and predictions of {len(due)} runs")


def training_gb(due: Sequence[PilotSpec], at_once: int, test_voxels: int) -> float:
    """Disk space that due runs take at most at a time: checkpoints of running ones, models and predictions kept.

    Args:
        due: Runs to do.
        at_once: How many run beside each other.
        test_voxels: Of all test images together.
    """
    size = {key: checkpoint_gb(spec) for key, spec in {_network(spec): spec for spec in due}.items()}
    # while a fold is written, its last checkpoint is still there
    running = sorted(((spec.models + 1) * size[_network(spec)] for spec in due), reverse=True)[:at_once]
    kept = sum(spec.models * size[_network(spec)] for spec in due if spec.keep_models)
    return sum(running) + kept + len(due) * test_voxels * PREDICTED_BYTES / 1e9


def _network(spec: PilotSpec) -> tuple[str, str]:
    return spec.arm, spec.training.optimiser


def require_space(folder: Path, gigabytes: float, what: str) -> None:
    """Refuse work that cannot fit on the disk.

    Raises:
        StorageError: Less is free.
    """
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes + RESERVE_GB:
        raise StorageError(
            f"{folder}: {what} take about {gigabytes:.2f} GB, found {free:.2f} GB free. Free some space, move the "
            "study to a larger disk, or let fewer run at the same time (jobs)."
        )
