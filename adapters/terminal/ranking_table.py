"""Arms ranked at the same number of cases, or for the same money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ...forecast.comparison import Comparison
from ...forecast.ranking import Ranked
from ...forecast.words import amount_words, interval_words, probability_words
from ..report_tables import arms
from .fitted_table import FittedTable
from .screen import plain_table, shown

SIDE_BY_SIDE = 3
"""Arms up to which they stand side by side."""


def ranking_table(found: Comparison, rows: Sequence[Ranked], head: str) -> FittedTable:
    """Expected score of every arm and its probability of being the best.

    Args:
        found: With two arms or more.
        rows: By cases or by cost.
        head: Of the first column.
    """
    below = _below(found, rows)
    if len(found.arms) > SIDE_BY_SIDE:
        return below
    table = _beside(found, rows, head)
    table.instead = below
    return table


def _beside(found: Comparison, rows: Sequence[Ranked], head: str) -> FittedTable:
    """A line for each number of cases, two columns for each arm."""
    title = f"Expected score [{arms.ranking_level(found)} interval] and probability p of being the best"
    columns = [column for arm in found.arms for column in (arm.name, "p")]
    table = plain_table(title, head, *columns, narrow=True)
    for row in rows:
        table.add_row(str(row.sizes[0]) if row.cost is None else amount_words(row.cost), *_cells(row))
    if note := arms.ranking_note(rows):
        table.caption = Text(note.replace("Cases then", "Before the colon"), "dim")
    return table


def _cells(row: Ranked) -> Iterator[str]:
    """Score and chance of every arm; at a cost with the cases before it."""
    for i, (score, p) in enumerate(zip(row.scores, row.p_best, strict=True)):
        if score is None:
            yield "not affordable"
        else:
            cases = "" if row.cost is None else f"{row.sizes[i]}{'+' * row.beyond[i]}: "
            yield cases + interval_words(score)
        yield probability_words(p)


def _below(found: Comparison, rows: Sequence[Ranked]) -> FittedTable:
    """A line for each arm, the highest score first; lines of one size or cost stand together."""
    made = arms.ranking_table(found, rows)
    table = shown(made)
    for i, row in enumerate(made.rows):
        table.rows[i].end_section = i % len(found.arms) == len(found.arms) - 1
        table.rows[i].style = "bold" if row["best"] else None
    return table
