"""Arms ranked at the same number of cases, or for the same money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ...forecast.comparison import Comparison
from ...forecast.ranking import Ranked
from ...forecast.words import amount_words, level_words
from .fitted_table import FittedTable
from .screen import ends_words, interval_words, plain_table, score_words

SIDE_BY_SIDE = 3
"""Arms up to which they stand side by side."""


def ranking_table(found: Comparison, rows: Sequence[Ranked], head: str) -> FittedTable:
    """Expected score of every arm and its probability of being the best.

    Args:
        found: With two arms or more.
        rows: By cases or by cost.
        head: Of the first column.
    """
    below = _below(found, rows, head)
    if len(found.arms) > SIDE_BY_SIDE:
        return below
    table = _beside(found, rows, head)
    table.instead = below
    return table


def _beside(found: Comparison, rows: Sequence[Ranked], head: str) -> FittedTable:
    """A line for each number of cases, two columns for each arm."""
    title = f"Expected score [{_level(found)} interval] and probability p of being the best"
    columns = [column for arm in found.arms for column in (arm.name, "p")]
    table = plain_table(title, head, *columns, narrow=True)
    for row in rows:
        table.add_row(_where(row), *_cells(row))
    _explain(table, rows, "before the colon")
    return table


def _cells(row: Ranked) -> Iterator[str]:
    """Score and chance of every arm; at a cost with the cases before it."""
    for i, (score, p) in enumerate(zip(row.scores, row.p_best, strict=True)):
        if score is None:
            yield "not affordable"
        else:
            yield ("" if row.cost is None else f"{_size(row, i)}: ") + interval_words(score)
        yield f"{p:.2f}"


def _below(found: Comparison, rows: Sequence[Ranked], head: str) -> FittedTable:
    """A line for each arm, the highest score first."""
    by_cost = rows[0].cost is not None
    columns = [head, "arm", *(["cases then"] if by_cost else []), "score", f"{_level(found)} interval", "P(best)"]
    table = plain_table("Expected score of every arm, and its probability of being the best", *columns)
    table.columns[1].justify = "left"
    for row in rows:
        medians = [-1.0 if score is None else score.median for score in row.scores]
        order = sorted(range(len(medians)), key=lambda i: -medians[i])
        for place, i in enumerate(order):
            score, first = row.scores[i], "" if place else _where(row)
            cells = [f"{row.p_best[i]:.2f}"]
            cells = (
                ["-", "not affordable", *cells]
                if score is None
                else [score_words(score.median), ends_words(score), *cells]
            )
            sizes = [_size(row, i) if score else "-"] if by_cost else []
            name = Text(found.arms[i].name, "bold" if i == row.best else "")
            table.add_row(first, name, *sizes, *cells, end_section=place == len(order) - 1)
    _explain(table, rows, "cases then")
    return table


def _size(row: Ranked, i: int) -> str:
    return f"{row.sizes[i]}{'+' * row.beyond[i]}"


def _where(row: Ranked) -> str:
    return str(row.sizes[0]) if row.cost is None else amount_words(row.cost)


def _explain(table: FittedTable, rows: Sequence[Ranked], where: str) -> None:
    """Say what the cases of a table by cost are."""
    if rows[0].cost is not None:
        note = " (+: could be more than the pilots tell of)" if any(any(row.beyond) for row in rows) else ""
        table.caption = Text(f"{where.capitalize()}: annotated by then{note}.", "dim")


def _level(found: Comparison) -> str:
    return level_words(found.pairs[0].ceiling.level)
