"""What notebooks show of results: short tables of HTML, the verdict first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from .plain_words import answer_words, decision_words, headline
from .words import amount_words, chance_words, interval_words, level_words, size_words

if TYPE_CHECKING:
    from .comparison import Comparison
    from .curve import Curve
    from .forecast import Forecast
    from .recommendation import Recommendation
    from .types import Interval

Rows = Sequence[tuple[str, str]]


def curve_html(curve: Curve) -> str:
    """A curve: what was trained, and the mean score at each size."""
    tested = "" if curve.n_test is None else f", {curve.n_test} test cases"
    about = f"{len(curve.y)} scores at {len(curve.sizes)} sizes, {curve.n_annotated} cases annotated{tested}"
    rows = zip(curve.sizes, curve.draws, curve.observed, strict=True)
    columns = ("cases", "draws", f"mean {curve.metric}")
    return _block(curve.name, about) + _table(columns, [(str(n), str(k), f"{y:.3f}") for n, k, y in rows])


def forecast_html(found: Forecast) -> str:
    """A forecast: the verdict, then what there is to gain, where it levels off, and the sizes asked for."""
    head = _block(f"{found.curve.name}: {headline(found)}", answer_words(found) or found.verdict.reason)
    if found.posterior is None or found.plateau is None or found.reachable_gain is None:
        return head
    level, gain = level_words(found.question.level), found.reachable_gain
    rows = [
        (f"gain from {gain.n_from} to {gain.n_to} cases", interval_words(gain.interval)),
        ("plateau n*, cases (exponential plateau)", size_words(found.plateau.size)),
        ("score there", interval_words(found.plateau.score)),
        *((f"expected {found.curve.metric} at {one.n} cases", interval_words(one.expected)) for one in found.at),
    ]
    if found.n_for_target is not None:
        rows.append((f"cases for {found.n_for_target.target:g}", size_words(found.n_for_target.size)))
    return head + _table((f"forecast ({found.question.model})", f"median [{level} interval]"), rows)


def recommendation_html(found: Recommendation) -> str:
    """A recommendation: what to do, why, and what was promised for it."""
    rows = []
    if found.chance is not None:
        rows.append(("probability that this suffices", chance_words(found.chance)))
    if found.promise is not None:
        level = level_words(found.promise.interval.level)
        rows.append((f"promised mean at {found.promise.n} cases ({level})", interval_words(found.promise.interval)))
    if found.cost is not None:
        rows.append(("cost", f"{amount_words(found.cost['amount'])} {found.cost['unit']}"))
    if found.pilots is not None:
        rows.append(("pilots to train: sizes", ", ".join(map(str, found.pilots.sizes))))
    head = _block(decision_words(found), found.reason)
    return head + _table(("decided by", found.curve), rows)


def comparison_html(found: Comparison) -> str:
    """A comparison: the arm to run and why, then every arm at the sizes they are ranked at."""
    unsure = "the arms cannot be told apart" if found.pairs else "nothing to compare"
    chosen = unsure if found.arm is None else f"run {found.arm}"
    rows = [
        (_where(row.sizes[index], row.cost, found.unit), arm.name, _maybe(score), chance_words(row.p_best[index]))
        for row in (found.by_cost or found.by_cases)
        for index, (arm, score) in enumerate(zip(found.arms, row.scores, strict=True))
    ]
    columns = ("with", "arm", f"expected {found.curves[0].metric}", "probability of the best")
    return _block(f"{found.title}: {chosen}", found.reason) + (_table(columns, rows) if rows else "")


def _where(n: int, cost: float | None, unit: str) -> str:
    return f"{n} cases" if cost is None else f"{amount_words(cost)} {unit}, {n} cases"


def _maybe(score: Interval | None) -> str:
    return "-" if score is None else interval_words(score)


def _block(headline: str, reason: str) -> str:
    return f"<p><strong>{escape(headline)}</strong><br>{escape(reason)}</p>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
