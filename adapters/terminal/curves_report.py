"""What a terminal shows of many curves: a line each, from the curves of a forecast document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ...forecast.forecast import Question
from ...forecast.words import level_words
from .screen import plain_table, score_words

TAKES_NO_PART = "by quadrature alone; no part in the decision"
MOST_LINES = 200
"""Curves a quick report lists."""


def quick_report(entries: Sequence[Mapping[str, Any]], question: Question) -> RenderableType:
    """One line per curve, from the curves of a forecast document; at most `MOST_LINES`."""
    columns = ("curve", "cases", "gain", f"{level_words(question.level)} interval", "n*", "verdict")
    table = plain_table("Forecasts: what more cases can still add (reachable gain)", *columns)
    table.columns[-1].justify = "left"
    note = "Everything by quadrature; for MCMC, backtest and families leave out --quick."
    for entry in entries[:MOST_LINES]:
        extra = [entry[key] for key, usual in (("test_set", "test"), ("stratum", "all")) if entry[key] != usual]
        name = " / ".join([entry["arm"], entry["structure"], entry["metric"], *extra])
        gain, plateau, posterior = entry["reachable_gain"], entry["plateau"], entry["posterior"]
        if gain is None or plateau is None or posterior is None:
            table.add_row(name, str(entry["n_annotated"]), "-", "-", "-", entry["verdict"]["code"].replace("_", " "))
            continue
        size = plateau["n"]["median"]
        table.add_row(
            name,
            str(entry["n_annotated"]),
            score_words(gain["median"]),
            f"[{score_words(gain['lo'])}, {score_words(gain['hi'])}]",
            "beyond" if size is None else f"{size:.0f}",
            entry["verdict"]["code"].replace("_", " "),
        )
    rest = len(entries) - MOST_LINES
    return Group(table, *([Text(f"... and {rest} more curves: see --json.")] if rest > 0 else []), Text(note, "dim"))


def others_table(entries: Sequence[Mapping[str, Any]], question: Question) -> RenderableType:
    """Curves that have no part in the decision."""
    level = level_words(question.level)
    columns = ("arm", "structure", "of", "test cases", "gain", f"{level} interval", "DM", "n*")
    table = plain_table(f"Strata, other test sets and metrics ({TAKES_NO_PART})", *columns)
    for entry in sorted(entries, key=_in_order):
        usual = ("metric", "dice"), ("test_set", "test"), ("stratum", "all")
        gain, plateau, posterior = entry["reachable_gain"], entry["plateau"], entry["posterior"]
        cells = [entry["arm"], entry["structure"], ", ".join(entry[k] for k, word in usual if entry[k] != word)]
        cells.append("-" if entry["n_test"] is None else str(entry["n_test"]))
        if gain is None or plateau is None or posterior is None:
            table.add_row(*cells, "-", "-", "-", entry["verdict"]["code"].replace("_", " "))
            continue
        size = plateau["n"]["median"]
        ends = f"[{score_words(gain['lo'])}, {score_words(gain['hi'])}]"
        dm = score_words(posterior["DM"]["median"])
        table.add_row(*cells, score_words(gain["median"]), ends, dm, "beyond" if size is None else f"{size:.0f}")
    return table


def _in_order(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """By arm, structure and what else it is; strata of numbers from low to high."""
    stratum = entry["stratum"]
    first = re.search(r"\d[\d.]*", stratum)
    low = (float(first[0]), "<=" not in stratum) if first else (0.0, False)
    by = re.split(r"<=|>", stratum)[0]
    return entry["arm"], entry["structure"], entry["metric"], entry["test_set"], by, *low, stratum
