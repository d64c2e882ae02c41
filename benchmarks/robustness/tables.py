"""Scores tables, as `forecast` and `compare` read them, and all that is said of one."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from dicecast.adapters import commands
from dicecast.adapters.agreement import agreement
from dicecast.adapters.commands import Answer
from dicecast.adapters.conclusion import Asked
from dicecast.adapters.sources import Wishes, read_source
from dicecast.adapters.terminal.screen import as_text
from dicecast.benchmarks.robustness.breaking import ODD, broken_text, encoded
from dicecast.benchmarks.robustness.reading import Reader, in_turn

PLAIN = "n_cases,draw,score\n10,0,0.61\n10,1,0.6\n20,0,0.7\n20,1,0.71\n40,0,0.76\n40,1,0.75\n80,0,0.78\n"
CASES = "n_cases,arm,structure,metric,test_set,draw,case,stratum,protocol,score,note\n" + "".join(
    f"{n},{arm},{structure},{metric},test,0,{case},all,p1,{score},\n"
    for n, score in ((4, "0.5"), (8, "0.625"), (16, ".7"))
    for arm in ("2d", "3d")
    for structure in ("kidney", "tumour")
    for metric in ("dice", "msd_mm")
    for case in ("a", "b")
)
AVERAGED = "n_cases;score;se_draws;se_cases\r\n10;0,61;0,01;0,02\r\n20;0,7;0,01;0,02\r\n40;0,76;0,008;0,02\r\n"
CROSS_VALIDATED = "n_cases\tscore\ttest_set\tcase\n" + "".join(
    f"{n}\t0.{n}\tcross-validation\tcase{n}\n" for n in (4, 5, 6)
)
TEXTS = (PLAIN, CASES, AVERAGED, CROSS_VALIDATED, '"sep=;"\n' + AVERAGED, 'score,"n_cases"\n"0.5",3\n0.7,"6"\n0.8,9\n')
SEEDS = (
    *(text.encode() for text in TEXTS),
    "\ufeff".encode() + PLAIN.encode(),
    AVERAGED.encode("utf-16"),
)
NAMES = ("n_cases", "score", "draw", "case", "metric", "test_set", "arm", "se_draws", "se_cases", "stratum", "protocol")
WORDS = ("dice", "Dice", "DICE", "nsd", "volume_ml", "cross-validation", "test", "all", "0.7", "12", *NAMES)


def scores_table(folder: Path) -> Reader:
    """A scores CSV, to its curves."""
    path = folder / "scores.csv"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        source = read_source(path, Wishes())
        for curve in source.curves:
            assert curve.name and len(curve.observed)
        repr(source.curves)

    words = (*ODD, *WORDS)
    return Reader("scores.csv", SEEDS, read, encoded(broken_text(TEXTS, words)))


def commands_on_a_table(folder: Path) -> Reader:
    """A scores CSV, to the reports and documents of the commands that are made for it."""
    path, screen = folder / "scores.csv", Console(file=io.StringIO())

    def answered(answer: Answer) -> None:
        as_text(answer[0])
        json.dumps(answer[1], allow_nan=False)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        asked = Asked(left=100, per_case={"": 3.0}, budget=400.0)
        in_turn(
            lambda: answered(commands.quick_forecast(path, Wishes(at="50,1000"), 1, screen)[:2]),
            lambda: answered(commands.recommend(path, Wishes(), asked, True)[:2]),
            lambda: answered(agreement(path, Wishes(), None, None, None)),
        )

    words = (*ODD, *WORDS)
    return Reader("commands on scores.csv", SEEDS[1:2], read, encoded(broken_text(TEXTS, words)), seconds=20.0)
