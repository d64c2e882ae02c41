"""What terminals show, compared as whole strings, and that any terminal can show it.

The texts lie in `terminal/*.txt`. After a change that is meant, write them anew and look at the difference:

    DICECAST_REFRESH=1 python -m pytest tests/adapters/test_terminal.py && git diff tests/adapters/terminal
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Group, RenderableType

from dicecast.adapters.terminal.comparison_report import comparison_report
from dicecast.adapters.terminal.console import encodable, fitting
from dicecast.adapters.terminal.forecast_report import forecast_report
from dicecast.adapters.terminal.round_report import recommendation_panel
from dicecast.adapters.terminal.screen import as_text, plain_table
from dicecast.adapters.terminal.status_report import status_report
from dicecast.tests.adapters.terminal import made

TEXTS = Path(__file__).parent / "terminal"
EIGHT = ("2d", "2d_wide", "3d_fullres", "3d_lowres", "cascade", "no augmentation", "real + synthetic", "ResEnc L")
REPORTS: dict[str, Callable[[], RenderableType]] = {
    "forecast": lambda: forecast_report(made.forecast()),
    "forecast_doubtful": lambda: forecast_report(made.forecast(doubtful=True)),
    "forecast_too_few": lambda: forecast_report(made.unforecast()),
    "recommend": lambda: recommendation_panel(*made.recommendation(), [f"case_{i:03}" for i in range(25)]),
    "compare": lambda: comparison_report(made.comparison(("2d", "3d_fullres"))),
    "compare_cost": lambda: comparison_report(made.comparison(("2d", "3d_fullres", "cascade"), cost=True)),
    "compare_8": lambda: comparison_report(made.comparison(EIGHT)),
    "status": lambda: status_report(made.study(), made.status(3)),
    "status_many": lambda: status_report(made.study(), made.status(12)),
}
VERDICTS = {
    "forecast": "MORE CASES HELP: 240 more cases",
    "forecast_doubtful": "CANNOT TELL YET:",
    "forecast_too_few": "TOO FEW SIZES: 2 sizes were trained",
    "recommend": "ANNOTATE 40 MORE CASES, 120 in all",
    "compare": "RUN 3d_fullres:",
    "compare_cost": "RUN cascade:",
    "compare_8": "RUN ResEnc L:",
    "status": "1 of 12 runs done, 11 left, 2 failed",
    "status_many": "8 of 48 runs done, 40 left, 8 failed",
}
ANSI = "\x1b["


@pytest.mark.skipif(int(version("rich").split(".")[0]) < 15, reason="rich before 15 makes columns of other widths")
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_as_they_were(name: str, width: int) -> None:
    path, shown = TEXTS / f"{name}_{width}.txt", as_text(REPORTS[name](), width)
    if os.environ.get("DICECAST_REFRESH"):
        path.write_text(shown, encoding="utf-8")
    kept = path.read_text(encoding="utf-8")
    difference = difflib.unified_diff(kept.splitlines(), shown.splitlines(), str(path), "now", lineterm="")
    assert kept == shown, "\n".join(difference)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_no_line_is_longer_than_the_terminal_and_nothing_is_cut(name: str, width: int) -> None:
    text = as_text(REPORTS[name](), width)
    if not name.startswith("forecast"):  # a plot is as wide as it is
        assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text


@pytest.mark.parametrize("name", REPORTS)
def test_no_interval_is_broken(name: str) -> None:
    for line in as_text(REPORTS[name](), 80).splitlines():
        assert line.count("[") == line.count("]"), line


@pytest.mark.parametrize("name", REPORTS)
def test_the_answer_comes_first(name: str) -> None:
    assert VERDICTS[name] in "\n".join(as_text(REPORTS[name](), 80).splitlines()[:3])


@pytest.mark.parametrize("name", REPORTS)
def test_plain_terminals_get_plain_characters(name: str) -> None:
    report = fitting(REPORTS[name](), "ascii")
    text = re.sub(r"[╭╮╰╯│─]", "", as_text(report, 80))  # rich draws its own boxes plainly where it must
    assert text.isascii()


def test_a_table_that_does_not_fit_becomes_a_list() -> None:
    table = plain_table("Title", "arm", "score", "interval", "")
    table.add_row("one", "0.812", "[0.801, 0.823]", "a note that may fold")
    assert as_text(table, 60).splitlines()[1].split() == ["arm", "score", "interval"]
    folded = as_text(table, 36).splitlines()
    assert "[0.801, 0.823]" in folded[2] and len(folded) > 3
    listed = ["Title", "arm one", "  score: 0.812", "  interval: [0.801, 0.823]", "  a note that may fold"]
    assert as_text(table, 28).splitlines() == listed


@pytest.mark.parametrize("level", [0.001, 0.5, 0.955, 0.99])
def test_levels_are_told_with_the_digits_they_need(level: float) -> None:
    text = as_text(Group(forecast_report(made.forecast(level))), 80)
    assert set(re.findall(r"([\d.]+)% interval", text)) == {f"{100 * level:g}"}


def test_huge_costs_are_short() -> None:
    assert "1e+300" in as_text(REPORTS["compare_cost"](), 80)
    assert "1.25e+15 EUR" in as_text(REPORTS["recommend"](), 80)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("ascii", "+/- 0.1 -> o ?"), ("cp1252", "± 0.1 -> o ?"), ("cp437", "± 0.1 -> o ?"), ("utf-8", "± 0.1 → ● 肝")],
)
def test_only_what_an_encoding_lacks_is_replaced(encoding: str, told: str) -> None:
    assert encodable("± 0.1 → ● 肝", encoding) == told


# ---- whole commands ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms, four sizes, an arm's name with letters that ASCII lacks."""
    rows = ["arm,structure,n_cases,draw,case,score"]
    for arm, ceiling in (("2d", 0.8), ("größer", 0.84)):
        for n in made.SIZES:
            for draw in range(2):
                y = ceiling - 0.3 * 2 ** (-n / 20) + 0.004 * draw
                rows += [f"{arm},kidney,{n},{draw},c{i},{y + 0.01 * (i - 2):.4f}" for i in range(5)]
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process of its own, its output piped."""
    dropped = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING", "DICECAST_DEBUG", "PYTHONWARNINGS")
    env = {key: value for key, value in os.environ.items() if key not in dropped}
    env |= {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **environment}
    words = [sys.executable, "-m", "dicecast", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, env=env, check=False, timeout=120)


def shown(*arguments: object, **environment: str) -> list[str]:
    done = command(*arguments, **environment)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


ONE = ("--arm", "2d", "--family", "exponential")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (("forecast", ..., *ONE), "LITTLE LEFT TO GAIN|MORE CASES|ENOUGH CASES|CANNOT TELL"),
        (("recommend", ..., "--arm", "2d"), "ANNOTATE|STOP|TRAIN|CANNOT"),
        (("compare", ...), "RUN größer"),
    ],
    ids=["forecast", "recommend", "compare"],
)
def test_piped_output_is_plain_and_80_wide(scores: Path, words: tuple[Any, ...], verdict: str) -> None:
    lines = shown(*(scores if word is ... else word for word in words))
    assert max(map(cell_len, lines)) <= 80
    assert not any(ANSI in line for line in lines)
    assert re.search(verdict, "\n".join(lines[:3]))
    wide = shown(*(scores if word is ... else word for word in words), COLUMNS="120")
    assert 80 < max(map(cell_len, wide)) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp437"])
def test_any_encoding_will_do(scores: Path, encoding: str) -> None:
    done = command("compare", scores, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert ("gr??er" if encoding == "ascii" else "größer") in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", ["", "init"])
def test_help_and_errors_can_be_shown_anywhere(name: str, tmp_path: Path) -> None:
    asked = command(*filter(None, [name]), "--help", PYTHONIOENCODING="ascii")
    assert asked.returncode == 0 and asked.stdout.isascii()
    wrong = command("forecast", tmp_path / "größer.csv", PYTHONIOENCODING="ascii")
    assert wrong.returncode == 2 and b"Traceback" not in wrong.stderr


@pytest.mark.slow
def test_colours_can_be_read_on_white_and_on_black_and_left_out(scores: Path) -> None:
    """No yellow, white, black, blue or bright colour: 30, 33, 34, 37 and 90 to 97."""
    words, terminal = ("forecast", scores, *ONE), {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    coloured = "\n".join(shown(*words, **terminal))
    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", coloured) for code in found.split(";")}
    assert {"1", "35"} <= codes <= {"", "0", "1", "2", "31", "32", "35", "36"}, codes
    assert ANSI not in "\n".join(shown(*words, **terminal, NO_COLOR="1"))


def test_status_is_shown_on_every_terminal(new_study: Callable[..., Path]) -> None:
    study = new_study("--configuration", "2d", "--sizes", "2,4", "--draws", 1)
    for encoding in ("utf-8", "ascii"):
        done = command("status", study, PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.decode(encoding).splitlines()
        assert "runs done" in "\n".join(lines[:4]) and max(map(len, lines)) <= 80
