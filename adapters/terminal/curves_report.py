"""What a terminal shows of many curves: a line each, from the curves of a forecast document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ...forecast.forecast import Question
from ..report_tables.overview import brief_table, in_order
from .screen import shown

TAKES_NO_PART = "by quadrature alone; no part in the decision"
MOST_LINES = 200
"""Curves a quick report lists."""


def quick_report(entries: Sequence[Mapping[str, Any]], question: Question) -> RenderableType:
    """One line per curve, from the curves of a forecast document; at most `MOST_LINES`."""
    table = shown(brief_table("Forecasts: what more cases can still add", entries[:MOST_LINES], question))
    rest = len(entries) - MOST_LINES
    note = "Everything by quadrature; for MCMC, backtest and families leave out --quick."
    return Group(table, *([Text(f"... and {rest} more curves: see --json.")] if rest > 0 else []), Text(note, "dim"))


def others_table(entries: Sequence[Mapping[str, Any]], question: Question) -> RenderableType:
    """Curves that have no part in the decision."""
    title = f"Strata, other test sets and metrics ({TAKES_NO_PART})"
    return shown(brief_table(title, sorted(entries, key=in_order), question))
