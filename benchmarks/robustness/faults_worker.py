"""What goes wrong inside a training: done to a worker process, before it takes its first task.

A `sitecustomize.py` on the path of every process that the command starts calls `arm`, which lets all but workers be.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

VARIABLE = "DICECAST_FAULT"
SITE = "from dicecast.benchmarks.robustness.faults_worker import arm\narm()\n"


def arm() -> None:
    """Wrap the work on runs where this is a worker and a fault is asked for."""
    if VARIABLE not in os.environ or "--multiprocessing-fork" not in sys.orig_argv:
        return
    asked = json.loads(os.environ[VARIABLE])
    from dicecast.adapters.nnunet import pilot

    do_run = pilot.do_run

    def disturbed(spec: Any) -> None:
        marker = Path(asked["marker"])
        if str(spec.folder).endswith(asked["run"]) and (asked["always"] or not marker.exists()):
            marker.touch()
            FAULTS[asked["fault"]](spec)
        do_run(spec)

    disturbed.__name__ = disturbed.__qualname__ = "do_run"
    pilot.do_run = disturbed


def _at_step(call: Callable[[Any], Any], step: int = 6) -> None:
    """Do something in the so-manieth training step of this process."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    real, count = nnUNetTrainer.train_step, [0]

    def stepped(self: Any, batch: Any) -> Any:
        count[0] += 1
        if count[0] == step:
            call(self)
        return real(self, batch)

    nnUNetTrainer.train_step = stepped


def _raise(error: BaseException) -> None:
    raise error


def _memory(spec: Any) -> None:
    _at_step(lambda trainer: _raise(MemoryError()))


def _gpu_memory(spec: Any) -> None:
    words = "CUDA out of memory. Tried to allocate 20.00 MiB."
    _at_step(lambda trainer: _raise(RuntimeError(words)))


def _address_space(spec: Any) -> None:
    """A real limit: what the process has now."""

    def limit(trainer: Any) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room, (soft, hard) = pages * resource.getpagesize(), resource.getrlimit(resource.RLIMIT_AS)
        import torch

        resource.setrlimit(resource.RLIMIT_AS, (room, hard))
        try:
            trainer.kept = [torch.ones(64_000_000) for _ in range(8)]
        finally:  # the process goes on to the next run
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    _at_step(limit)


def _diverged(spec: Any) -> None:
    def spoil(trainer: Any) -> None:
        import torch

        with torch.no_grad():
            next(iter(trainer.network.parameters())).fill_(float("nan"))

    _at_step(spoil)


def _killed(spec: Any) -> None:
    _at_step(lambda trainer: os.kill(os.getpid(), signal.SIGKILL), step=1)  # each attempt goes on from a checkpoint


def _full_disk(spec: Any) -> None:
    from dicecast.benchmarks.robustness.faults_injected import NEEDS_SPACE, Disk, Fault, install

    install(Disk(spec.folder, Fault(errno.ENOSPC, 20, lasting=True, only=NEEDS_SPACE)))


def _clock(spec: Any) -> None:
    real = time.time
    looks = iter(range(10**9))
    time.time = lambda: real() - 600 * next(looks)  # type: ignore[assignment]


FAULTS: dict[str, Callable[[Any], None]] = {
    "MemoryError": _memory,
    "CUDA out of memory": _gpu_memory,
    "RLIMIT_AS": _address_space,
    "weights that are not finite": _diverged,
    "worker killed": _killed,
    "disk full": _full_disk,
    "clock goes back": _clock,
}
