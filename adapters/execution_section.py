"""`[execution]` of a `study.toml`: where trainings run, and what their jobs ask a cluster for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from .sections import require

ENGINES = ("local", "slurm")
TRACKING = ("none", "wandb")


def minutes(text: str | int) -> int:
    """A time limit in minutes: a number of minutes, `hours:minutes:seconds` or `days-hours:minutes:seconds`.

    Raises:
        ValueError: Another form, or less than a minute.
    """
    form = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", str(text))
    if form is None:
        found = int(text)
    else:
        days, hours, rest, seconds = (int(part or 0) for part in form.groups())
        found = days * 1440 + hours * 60 + rest + seconds // 60
    if found < 1:
        raise ValueError(text)
    return found


@dataclass(frozen=True)
class SlurmSection:
    """`[execution.slurm]`: what a job asks SLURM for; what is left out is the cluster's default."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: int | str = "24:00:00"
    """Time limit of a job: minutes, "hours:minutes:seconds" or "days-hours:minutes:seconds". A training that reaches
    it goes on from its checkpoint in the next job."""
    gres: str | None = None
    """`gpu:1` unless left out with device = "cpu"."""
    cpus: int | None = None
    """CPU cores of a job; by default 12 beside a GPU, else 1. As many processes augment, at most 12."""
    mem: str | None = None
    setup: list[str] = field(default_factory=list)
    """Shell lines before the training (modules, environments); one that fails ends the job."""
    cpu_partition: str | None = None
    """Partition for planning and preprocessing, which need no GPU."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further options of sbatch, by their long names: { constraint = "a100" }."""

    def __post_init__(self) -> None:
        """Check ranges."""
        try:
            minutes(self.time)
        except ValueError:
            rule = 'must be minutes >= 1, "hours:minutes:seconds" or "days-hours:minutes:seconds"'
            require(False, "time", rule, self.time)
        require(self.cpus is None or self.cpus >= 1, "cpus", "must be >= 1", self.cpus)
        simple = all(isinstance(value, str | int) and value is not False for value in self.options.values())
        require(simple, "options", "must hold texts, whole numbers or true", self.options)
        own = {"job-name", "array", "output", "error", "signal", "open-mode", "requeue", "no-requeue", "dependency"}
        own |= {"time", "partition", "account", "qos", "gres", "cpus-per-task", "mem", "nodes", "ntasks", "wrap"}
        own |= {"ntasks-per-node", "parsable", "test-only", "wait"}
        taken = sorted({name.replace("_", "-") for name in self.options} & own)
        require(
            not taken, "options", "must leave what has a key of its own, and how jobs are submitted, to dicecast", taken
        )


@dataclass(frozen=True)
class ExecutionSection:
    """`[execution]`: where trainings run."""

    engine: str = "local"
    jobs: int | None = None
    """Trainings at the same time; by default one per CPU core, or what the GPUs take; on SLURM 256."""
    device: str = "auto"
    gpus: list[int] | None = None
    """GPUs of this machine to use; by default all that CUDA_VISIBLE_DEVICES lets through."""
    runs_per_gpu: int = 1
    """Trainings that share a GPU of this machine."""
    seconds_per_iteration: float | None = None
    """Measured elsewhere, for what is predicted before a first run is complete."""
    tracking: str = "none"
    """`wandb` lets nnU-Net report to Weights & Biases; a switch inherited from the environment is ignored."""
    slurm: SlurmSection = field(default_factory=SlurmSection)

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.tracking in TRACKING, "tracking", f"must be one of {', '.join(TRACKING)}", self.tracking)
        require(self.engine in ENGINES, "engine", f"must be one of {', '.join(ENGINES)}", self.engine)
        require(self.jobs is None or self.jobs >= 1, "jobs", "must be >= 1", self.jobs)
        devices = ("auto", "cpu", "cuda", "mps")
        require(self.device in devices, "device", f"must be one of {', '.join(devices)}", self.device)
        gpus = self.gpus is None or (bool(self.gpus) and all(gpu >= 0 for gpu in self.gpus))
        require(gpus, "gpus", "must be numbers >= 0", self.gpus)
        require(len(set(self.gpus or [])) == len(self.gpus or []), "gpus", "must not name anything twice", self.gpus)
        require(self.runs_per_gpu >= 1, "runs_per_gpu", "must be >= 1", self.runs_per_gpu)
        seconds = self.seconds_per_iteration
        require(seconds is None or 0 < seconds < math.inf, "seconds_per_iteration", "must be > 0", seconds)

    @property
    def gres(self) -> str | None:
        """What a training asks SLURM for beside cores."""
        return "gpu:1" if self.slurm.gres is None and self.device != "cpu" else self.slurm.gres

    @property
    def cpus(self) -> int:
        """Cores that a job asks SLURM for."""
        return self.slurm.cpus or (1 if self.device == "cpu" else 12)
