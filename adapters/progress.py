"""Progress bars with ETA for long work, on the error stream so that standard output stays clean."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
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

from ..forecast.errors import InputError
from .conclusion import Round
from .execution import Outcome
from .files import read_json
from .loop import Watchers
from .nnunet.spec import PilotSpec
from .round_report import round_line


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
        self._started = time.time()

    def notice(self, text: str) -> None:
        self._progress.console.print(text, highlight=False)

    def round(self, result: Round) -> None:
        self._clear()
        self._progress.console.print(round_line(result), highlight=False)

    def step(self, what: str, done: int, total: int) -> None:
        self._bar(what, done, total)
        if done >= total:
            self._remove(what)

    def runs(self, specs: Sequence[PilotSpec], outcome: Outcome) -> None:
        finished = len(outcome.done) + len(outcome.failed)
        parts = [_epochs(spec) for spec in specs]
        self._bar(
            "[bold]all pilot runs",
            round(sum(parts)),
            round(sum(_total(spec) for spec in specs)),
            label=f"[bold]pilot runs {finished}/{len(specs)}, epochs",
        )
        for spec, done in zip(specs, parts, strict=True):
            if 0 < done < _total(spec):
                self._bar(f"  {spec.name}", round(done), _total(spec))
            else:
                self._remove(f"  {spec.name}")
        self._line(specs, outcome, sum(parts))
        if finished == len(specs):
            self._clear()

    def _line(self, specs: Sequence[PilotSpec], outcome: Outcome, epochs: float) -> None:
        """Without a terminal, say so when a training ends."""
        finished = len(outcome.done) + len(outcome.failed)
        if finished < self._lines:
            self._lines, self._started = 0, time.time()
        if self._progress.console.is_terminal or finished == self._lines:
            return
        self._lines = finished
        passed = time.time() - self._started
        total = sum(_total(spec) for spec in specs)
        eta = f", about {passed * (total / epochs - 1):.0f} s left" if epochs else ""
        self._progress.console.print(f"{finished}/{len(specs)} pilot runs, {passed:.0f} s{eta}", highlight=False)

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


def _total(spec: PilotSpec) -> int:
    return spec.epochs


def _epochs(spec: PilotSpec) -> float:
    """Epochs a run has done, from what its worker last wrote."""
    if (spec.folder / "run.json").is_file():
        return _total(spec)
    path = spec.folder / "progress.json"
    if not path.is_file():
        return 0
    try:
        return min(float(read_json(path)["epochs_done"]), _total(spec))
    except InputError:  # the run was completed between the two looks
        return _total(spec)
