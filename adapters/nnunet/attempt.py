"""An attempt at a run: at most one at a time works in a run folder, and a newer one makes an older one stop.

A lock keeps two attempts on one file system apart. Where locks do not reach other nodes, or a node that was given up
goes on working, the id in `attempt.json` decides: who does not find its own there any more stops.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError
from ..files import TEMPORARY, file_lock, read_json, write_json

STOPPED = 75
"""Exit code of a training that was asked to stop and can go on from its checkpoint (EX_TEMPFAIL)."""
LEFTOVERS = ("progress.json", "attempt.json", ".lock")
"""What a run folder holds only while the run is worked on."""
_stop = threading.Event()


class SupersededError(Exception):
    """Another attempt has taken over the run; this one must leave its folder alone."""


class StoppedError(Exception):
    """The training was asked to stop; its checkpoint is up to date."""


def stop_on_terminate() -> None:
    """From now on SIGTERM asks the training of this process to write a checkpoint after its epoch and stop."""
    signal.signal(signal.SIGTERM, lambda number, frame: _stop.set())


def stopping() -> bool:
    """Whether this process was asked to stop."""
    return _stop.is_set()


@dataclass(frozen=True)
class Attempt:
    """The right to work in a run folder."""

    folder: Path
    id: str
    spent: float
    """Seconds that earlier attempts took."""
    began: float
    number: int

    def check(self) -> None:
        """Make sure that no other attempt has taken over.

        Raises:
            SupersededError: One has.
        """
        if _read(self.folder / "attempt.json").get("id") != self.id:
            raise SupersededError(str(self.folder))

    @property
    def seconds(self) -> float:
        """Seconds that all attempts took so far."""
        return self.spent + max(0.0, time.time() - self.began)  # a clock may be put back


@contextmanager
def attempt(folder: Path) -> Iterator[Attempt]:
    """Wait for the run folder to be free, then hold it; what killed attempts left half-written is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / ".lock") as locked:
        if not locked:
            print("this file system has no locks; attempts are told apart by attempt.json alone", flush=True)
        before = _read(folder / "attempt.json")
        began = time.time()
        found = Attempt(folder, uuid.uuid4().hex, _spent(before, folder), began, int(before.get("number", 0)) + 1)
        record = {"host": socket.gethostname(), "pid": os.getpid(), "job": _job(), "began": began}
        write_json(folder / "attempt.json", {"id": found.id, "number": found.number, "spent": found.spent, **record})
        sweep(folder)  # an attempt that wrote there now finds that it was taken over
        yield found


def _job() -> str | None:
    """The SLURM job this process belongs to."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def _spent(before: dict[str, Any], folder: Path) -> float:
    """Seconds of earlier attempts; of the last one as far as it told."""
    last = _read(folder / "progress.json").get("time", before.get("began", 0.0))
    return float(before.get("spent", 0.0) + max(0.0, last - before.get("began", last)))


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except (InputError, TypeError, ValueError):
        return {}


def saved_epochs(folder: Path) -> int:
    """Epochs of a begun run that its checkpoints hold; another attempt goes on from there."""
    saved = _read(folder / "progress.json").get("epochs_saved")
    return saved if isinstance(saved, int) else 0


def sweep(folder: Path) -> None:
    """Remove files below a folder that a killed process was still writing."""
    for path in folder.rglob(f"*{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def tidy(folder: Path, *, keep_models: bool) -> None:
    """Remove what a completed run needs no more; its scores and predictions stay."""
    for name in LEFTOVERS:
        (folder / name).unlink(missing_ok=True)
    if not keep_models:
        shutil.rmtree(folder / "models", ignore_errors=True)
