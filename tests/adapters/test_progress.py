"""What is shown of trainings while they run."""

from __future__ import annotations

import io
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from dicecast.adapters.execution.supervise import Standing
from dicecast.adapters.files import write_json
from dicecast.adapters.nnunet.spec import PilotSpec
from dicecast.adapters.progress import run_display


def run(folder: Path, name: str, **told: Any) -> PilotSpec:
    """A run of 30 epochs and 20 test cases, and what its worker last wrote."""
    if told:
        write_json(folder / name / "progress.json", told)
    return cast(PilotSpec, SimpleNamespace(folder=folder / name, name=name, epochs=30, tested=20))


def seen(standing: Standing, width: int = 80) -> list[str]:
    """The lines on a terminal."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=width, legacy_windows=False)
    with run_display(console) as watchers:
        watchers.runs(standing)
        time.sleep(0.3)  # bars are drawn ten times a second
        shown = screen.getvalue()
    return [one.rpartition("\x1b[2K")[2] for one in shown.splitlines()]


def line(lines: list[str], name: str) -> str:
    return next(one for one in reversed(lines) if name in one)


def test_every_run_shows_its_stage(tmp_path: Path) -> None:
    runs = [
        run(tmp_path, "2d, n = 4, draw 0", stage="training", epochs_done=12),
        run(tmp_path, "2d, n = 6, draw 0", stage="predicting", epochs_done=30, predicted=3, to_predict=20),
        run(tmp_path, "2d, n = 8, draw 0", stage="scoring", epochs_done=30, predicted=20, to_predict=20),
        run(tmp_path, "2d, n = 9, draw 0"),
    ]
    lines = seen(Standing(runs, running=runs))
    assert "training, epochs" in line(lines, "n = 4") and "12/30" in line(lines, "n = 4")
    assert "predicting, cases" in line(lines, "n = 6") and " 3/20" in line(lines, "n = 6")
    assert "scoring" in line(lines, "n = 8") and "/20" not in line(lines, "n = 8")
    assert not any("n = 9" in one for one in lines)
    assert "pilot runs 0/4, epochs + cases" in line(lines, "pilot runs") and "95/200" in line(lines, "pilot runs")
    assert max(map(len, lines)) <= 80


def test_a_progress_file_of_an_older_worker_is_of_training(tmp_path: Path) -> None:
    runs = [run(tmp_path, "net [/a], n = 4", epochs_done=7)]
    lines = seen(Standing(runs, running=runs))
    assert "net [/a], n = 4: training, epochs" in line(lines, "n = 4") and "7/30" in line(lines, "n = 4")


@pytest.mark.parametrize("told", [[], {"epochs_done": "x"}, {"stage": "training"}])
def test_a_progress_file_that_says_nothing_is_passed_over(tmp_path: Path, told: Any) -> None:
    one = run(tmp_path, "2d, n = 4, draw 0")
    write_json(one.folder / "progress.json", told)
    lines = seen(Standing([one], running=[one]))
    assert "0/50" in line(lines, "pilot runs")


def test_without_a_terminal_a_line_says_when_a_run_has_ended(tmp_path: Path) -> None:
    screen, runs = io.StringIO(), [run(tmp_path, "a"), run(tmp_path, "b", epochs_done=30, predicted=10, to_predict=20)]
    with run_display(Console(file=screen, width=80)) as watchers:
        watchers.runs(Standing(runs, running=runs))
        watchers.runs(Standing(runs, done=runs[:1], running=runs[1:]))
    assert screen.getvalue().strip() == "1/2 pilot runs, 0 s, about 0 s left"
