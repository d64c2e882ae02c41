"""Progress bars with ETA for long work, on the error stream so that standard output stays clean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ..forecast.errors import InputError
from .conclusion import Round
from .execution.supervise import Standing
from .files import read_json
from .loop import Watchers
from .nnunet.spec import PilotSpec
from .terminal.round_report import round_line

MOST_BARS = 16
"""Runs that are shown with a bar of their own."""


def progress_bars(console: Console) -> Progress:
    """Bars with counts, time taken and ETA."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    return Progress(*columns, console=console, transient=True, speed_estimate_period=600)


@contextmanager
def run_display(console: Console) -> Iterator[Watchers]:
    """Show a run on `console`: bars on a terminal, a line per finished training elsewhere."""
    progress = progress_bars(console)
    with progress:
        display = _Display(progress)
        yield Watchers(step=display.step, runs=display.runs, round=display.round, notice=display.notice)


class _Display:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._lines = 0
        self._said: str | None = None
        self._started = time.time()

    def notice(self, text: str) -> None:
        self._progress.console.print(Text(text), highlight=False)  # it may quote what holds brackets

    def round(self, result: Round) -> None:
        self._clear()
        self._progress.console.print(round_line(result), highlight=False)

    def step(self, what: str, done: int, total: int) -> None:
        self._bar(what, done, total)
        if done >= total:
            self._remove(what)

    def runs(self, standing: Standing) -> None:
        specs, finished = standing.specs, len(standing.done) + len(standing.failed)
        parts = {spec.folder: _epochs(spec) for spec in standing.running}
        ended = [*standing.done, *(spec for spec, _ in standing.failed)]
        done = sum(spec.epochs for spec in ended) + sum(parts.values())
        waiting = f", {len(standing.queued)} in the queue" if standing.queued else ""
        self._bar(
            "[bold]all pilot runs",
            round(done),
            sum(spec.epochs for spec in specs),
            label=f"[bold]pilot runs {finished}/{len(specs)}{waiting}, epochs",
        )
        shown = standing.running[:MOST_BARS]
        names = {f"  {spec.name}" for spec in shown if 0 < parts[spec.folder] < spec.epochs}
        for name in [one for one in self._bars if one.startswith("  ") and one not in names]:
            self._remove(name)
        for spec in shown:
            if f"  {spec.name}" in names:
                self._bar(f"  {spec.name}", round(parts[spec.folder]), spec.epochs)
        self._refused(standing)
        self._line(standing, finished, done)
        if standing.over:
            self._clear()

    def _refused(self, standing: Standing) -> None:
        """Say once why runs could not be handed over."""
        text = None if standing.refused is None else str(standing.refused)
        if text is not None and text != self._said:
            self.notice(f"{text} Trying again.")
        self._said = text

    def _line(self, standing: Standing, finished: int, epochs: float) -> None:
        """Without a terminal, say so when a training ends."""
        if finished < self._lines:
            self._lines, self._started = 0, time.time()
        if self._progress.console.is_terminal or finished == self._lines:
            return
        self._lines = finished
        passed = time.time() - self._started
        total = sum(spec.epochs for spec in standing.specs)
        eta = f", about {passed * (total / epochs - 1):.0f} s left" if epochs else ""
        failed = f", {len(standing.failed)} failed" if standing.failed else ""
        self.notice(f"{finished}/{len(standing.specs)} pilot runs{failed}, {passed:.0f} s{eta}")

    def _bar(self, name: str, done: int, total: int, label: str | None = None) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(label or name, total=total)
        self._progress.update(self._bars[name], completed=done, total=total, description=label or name)

    def _remove(self, name: str) -> None:
        if name in self._bars:
            self._progress.remove_task(self._bars.pop(name))

    def _clear(self) -> None:
        for name in list(self._bars):
            self._remove(name)


def _epochs(spec: PilotSpec) -> float:
    """Epochs that a running run has done, from what its worker last wrote."""
    try:
        return min(float(read_json(spec.folder / "progress.json")["epochs_done"]), spec.epochs)
    except (InputError, TypeError, ValueError, KeyError):  # it has just begun, or was just completed
        return 0.0
