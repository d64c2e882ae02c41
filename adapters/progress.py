"""Progress bars with ETA for long work, on the error stream so that standard output stays clean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
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
from .nnunet.spec import PREDICTING, SCORING, TRAINING, PilotSpec
from .terminal.round_report import round_line

MOST_BARS = 16
"""Runs that are shown with a bar of their own."""
BAR = 14
"""Width of a bar, so that a line fits on 80 columns."""
STAGES = {TRAINING: "training, epochs", PREDICTING: "predicting, cases", SCORING: "scoring"}
"""What the counts of a run's bar are; none are told of scoring."""


class _Count(MofNCompleteColumn):
    """How many of how many; nothing where that is not known."""

    def render(self, task: Task) -> Text:
        return Text("") if task.total is None else super().render(task)


class _Eta(TimeRemainingColumn):
    """The time left; nothing where no end is known."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        return Text("ETA soon" if task.finished else f"ETA {super().render(task).plain}", "progress.remaining")


def progress_bars(console: Console) -> Progress:
    """Bars with counts, time taken and ETA."""
    columns = (TextColumn("{task.description}"), BarColumn(BAR), _Count(), TimeElapsedColumn(), _Eta())
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
        parts = {spec.folder: _stage(spec) for spec in standing.running}
        ended = [*standing.done, *(spec for spec, _ in standing.failed)]
        done = sum(map(_steps, ended)) + sum(part.steps for part in parts.values())
        waiting = f", {len(standing.queued)} queued" if standing.queued else ""
        self._bar(
            "[bold]all pilot runs",
            done,
            sum(map(_steps, specs)),
            label=f"[bold]pilot runs {finished}/{len(specs)}{waiting}, epochs + cases",
        )
        shown = [(spec, part) for spec in standing.running if (part := parts[spec.folder]).words][:MOST_BARS]
        bars = {f"  {spec.name}: {part.words}": part for spec, part in shown}
        for name in [one for one in self._bars if one.startswith("  ") and one not in bars]:
            self._remove(name)
        for name, part in bars.items():
            self._bar(name, part.done, part.total, label=escape(name))
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

    def _line(self, standing: Standing, finished: int, steps: int) -> None:
        """Without a terminal, say so when a training ends."""
        if finished < self._lines:
            self._lines, self._started = 0, time.time()
        if self._progress.console.is_terminal or finished == self._lines:
            return
        self._lines = finished
        passed = time.time() - self._started
        total = sum(map(_steps, standing.specs))
        eta = f", about {passed * (total / steps - 1):.0f} s left" if steps else ""
        failed = f", {len(standing.failed)} failed" if standing.failed else ""
        self.notice(f"{finished}/{len(standing.specs)} pilot runs{failed}, {passed:.0f} s{eta}")

    def _bar(self, name: str, done: int, total: int | None, label: str | None = None) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(label or name, total=total)
        self._progress.update(self._bars[name], completed=done, total=total, description=label or name)

    def _remove(self, name: str) -> None:
        if name in self._bars:
            self._progress.remove_task(self._bars.pop(name))

    def _clear(self) -> None:
        for name in list(self._bars):
            self._remove(name)


@dataclass(frozen=True)
class _Stage:
    """What a running run is doing."""

    words: str = ""
    """Empty where it has not told yet."""
    done: int = 0
    total: int | None = None
    """None where that is not told."""
    steps: int = 0
    """Done of the whole run: epochs and predicted test cases."""


def _steps(spec: PilotSpec) -> int:
    """Steps of a whole run: predictions count too, for of short trainings they take as long as epochs."""
    return spec.epochs + spec.tested


def _stage(spec: PilotSpec) -> _Stage:
    """What a running run is doing, from what its worker last wrote."""
    try:
        told = read_json(spec.folder / "progress.json")
        epochs, stage = min(int(told["epochs_done"]), spec.epochs), str(told.get("stage", TRAINING))
        predicted, to_predict = int(told.get("predicted", 0)), int(told.get("to_predict", 0))
    except (InputError, AttributeError, TypeError, ValueError, KeyError):  # it has just begun, or was just completed
        return _Stage()
    counts = {TRAINING: (epochs, spec.epochs), PREDICTING: (predicted, to_predict)}
    done, total = counts.get(stage, (0, None))
    return _Stage(STAGES.get(stage, stage), done, total, epochs + min(predicted, spec.tested))
