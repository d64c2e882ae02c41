"""Arms ranked at the same number of cases, or for the same money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...forecast.comparison import Comparison
from ...forecast.ranking import Ranked
from ...forecast.words import amount_words, level_words, score_words
from .columns import Column, Table, chance, ends, interval, table, text


def ranking_tables(found: Comparison) -> list[Table]:
    """By cases, and by cost where the arms' costs are known."""
    return [ranking_table(found, rows) for rows in (found.by_cases, found.by_cost) if rows]


def ranking_table(found: Comparison, ranked: Sequence[Ranked]) -> Table:
    """Expected score of every arm and its probability of being the best, the highest score first.

    Args:
        found: With two arms or more.
        ranked: By cases or by cost.
    """
    by_cost = ranked[0].cost is not None
    rows = [one for row in ranked for one in _rows(found, row)]
    cases = Column("cases then" if by_cost else "cases", _cases)
    spent = Column(f"spent, {found.unit}", lambda row: amount_words(row["cost"]))
    columns = [
        *([spent] if by_cost else [cases]),
        text("arm", "arm"),
        *([cases] if by_cost else []),
        Column("expected score", lambda row: score_words(row["median"]) if row["n"] else "not affordable"),
        ends(f"{ranking_level(found)} interval of the curve"),
        chance("P(best)", "p_best"),
    ]
    title = f"{found.title}: every arm {'for the same money' if by_cost else 'at the same number of cases'}"
    return table("arms_by_cost" if by_cost else "arms", title, rows, columns, ranking_note(ranked))


def ranking_level(found: Comparison) -> str:
    """Probability of the intervals, in words."""
    return level_words(found.pairs[0].ceiling.level)


def ranking_note(ranked: Sequence[Ranked]) -> str:
    """What the cases of a ranking by cost are; nothing of one by cases."""
    if ranked[0].cost is None:
        return ""
    beyond = " (+: could be more than the pilots tell of)" if any(any(row.beyond) for row in ranked) else ""
    return f"Cases then: annotated by then{beyond}."


def _rows(found: Comparison, row: Ranked) -> Iterator[dict[str, Any]]:
    medians = [-1.0 if score is None else score.median for score in row.scores]
    for i in sorted(range(len(medians)), key=lambda i: -medians[i]):
        yield {
            "structure": found.title,
            "cost": row.cost,
            "n": row.sizes[i],
            "more": bool(row.beyond and row.beyond[i]),
            "arm": found.arms[i].name,
            **interval(row.scores[i]),
            "p_best": row.p_best[i],
            "best": i == row.best,
        }


def _cases(row: Any) -> str:
    return f"{row['n']}{'+' * row['more']}" if row["n"] else "-"
