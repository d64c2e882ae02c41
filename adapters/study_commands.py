"""Commands about a study at work: how far it is, and stopping it. They start fast and read no scores."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import time
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from ..forecast.errors import InputError, WorkError
from .execution.batches import read_batches
from .execution.slurm import SlurmEngine
from .status import study_status
from .study import Study, holder, is_running, open_study

WATCH_SECONDS = 5.0
"""Between looks of `status --watch`."""
ENDING = 10.0
"""Seconds to wait for a `run` that was interrupted to end, before it is asked less kindly."""
Answer = tuple[RenderableType, Any]


def status(folder: Path) -> Answer:
    """How far a study has come."""
    return study_status(open_study(folder), planned=False, replay=False)


def dry_run(folder: Path, replay: bool) -> Answer:
    """What `run` would do."""
    return study_status(open_study(folder), planned=True, replay=replay)


def watch_status(folder: Path, console: Console) -> None:
    """Show how far a study has come until nothing is running or queued, or the user interrupts."""
    report, document = status(folder)
    with Live(report, console=console, auto_refresh=False, transient=False) as live:
        while _goes_on(document):
            time.sleep(WATCH_SECONDS)
            report, document = status(folder)
            live.update(report, refresh=True)


def _goes_on(document: dict[str, Any]) -> bool:
    """Whether somebody works on the study, or may do so as far as one can tell."""
    working = document["running"] or any(document["jobs"].values()) or document["preparation"] in ("queued", "running")
    return bool(working or document["problem"])


def cancel(folder: Path) -> Answer:
    """Stop whoever works on a study, here or on a cluster; what was trained is kept.

    Raises:
        InputError: A `run` on another machine works on it.
        WorkError: It did not stop.
    """
    study = open_study(folder)
    here = _interrupt(study) if is_running(study) else False
    runs: list[str] = []
    if read_batches(study.folder):
        runs = SlurmEngine(study.folder, study.settings.execution, lambda text: None).cancel()
    lines = ["The `dicecast run` of this machine was stopped."] if here else []
    lines += [f"{len(runs)} job(s) were taken out of SLURM's queue."] if runs else []
    words = " ".join(lines) or "Nothing of this study was running or queued."
    words += f" To go on: dicecast run {shlex.quote(str(study.folder))}" if lines else ""
    return Text(words), {"study": str(study.folder), "stopped": here, "cancelled": runs}


def _interrupt(study: Study) -> bool:
    """Interrupt the `run` that holds a study, and wait until it has let go; False where it had ended already."""
    found = holder(study.folder)
    if found is None:
        return False
    if found["host"] != socket.gethostname():
        raise InputError(
            f"{study.folder}: a `dicecast run` on {found['host']} (process {found['pid']}) works in this study. Cancel "
            "it there."
        )
    # who was started in the background may ignore an interrupt; workers end with the command either way
    for asked, patience in ((signal.SIGINT, ENDING), (signal.SIGTERM, ENDING), (signal.SIGKILL, ENDING)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(found["pid"], asked)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not is_running(study):
                return True
            time.sleep(0.2)
    raise WorkError(f"{study.folder}: process {found['pid']} did not end.")
