"""How many trainings run beside each other on this machine, and on which GPU each of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ...forecast.errors import InputError
from ..nnunet.environment import THREADS

Slot = dict[str, str]
"""What a worker's environment holds beside that of its parent."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
AUGMENTERS = 12
"""Augmentation processes of a training, at most: nnU-Net's own default."""


def cores() -> int:
    """CPU cores that this process may use."""
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(free, int(granted)) if granted.isdigit() and int(granted) else free


def single_threaded(jobs: int) -> list[Slot]:
    """Workers of one thread each: on a CPU, parallel runs beat threads, and results are reproducible."""
    return [dict.fromkeys(THREADS, "1")] * jobs


def slots_of(device: str, jobs: int | None, gpus: Sequence[str], runs_per_gpu: int) -> list[Slot]:
    """The slots of this machine.

    Args:
        device: `cpu`, `cuda` or `mps`.
        jobs: Trainings at the same time, at most; None takes one per CPU core or as many as the GPUs take.
        gpus: GPUs by number or UUID.
        runs_per_gpu: Trainings that share a GPU.

    Raises:
        InputError: There is no GPU, or more trainings are asked for than the GPUs take.
    """
    if device == "cpu":
        return single_threaded(jobs or cores())
    if device == "cuda" and not gpus:
        raise InputError(
            "device cuda needs a GPU, found none (CUDA_VISIBLE_DEVICES lets none through, or there is none). Use "
            "--device cpu, or make one visible."
        )
    places = [gpu for _ in range(runs_per_gpu) for gpu in gpus] if device == "cuda" else [""] * runs_per_gpu
    if jobs is not None and jobs > len(places):
        raise InputError(
            f"--jobs must not exceed the {len(places)} runs that {len(gpus) or 1} GPU(s) take ({runs_per_gpu} each), "
            f"found {jobs}. Let more runs share a GPU with --runs-per-gpu."
        )
    chosen = places[:jobs]
    threads = dict.fromkeys(THREADS, str(max(1, cores() // len(chosen))))
    return [{**threads, VISIBLE: gpu} if device == "cuda" else threads for gpu in chosen]


def augmentation_workers(device: str, runs: int) -> int:
    """Augmentation processes of each of several runs; none on a CPU, where they would cost reproducibility."""
    return 0 if device == "cpu" else max(1, min(AUGMENTERS, cores() // runs))


def visible_gpus() -> list[str]:
    """The GPUs this process may use: those of CUDA_VISIBLE_DEVICES, else all. Imports torch only to count them."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
