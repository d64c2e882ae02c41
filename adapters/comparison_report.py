"""What a terminal shows of arms against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..forecast.across_test_sets import AcrossTestSets
from ..forecast.comparison import ArmComparison, Comparison
from ..forecast.equal_performance import EqualPerformance
from ..forecast.forecast import Question
from ..forecast.paired import SizeDifference
from ..forecast.ranking import Ranked, amount_words
from ..forecast.types import Interval
from .screen import interval_words, plain_table, score_words

SHOWN = 4
"""Lines of a table of equal performance beside those that were asked for."""
OBSERVED = (
    "· observed differences: interval (bootstrap) and p (paired t) are over test cases alone; SD over draws: what "
    "other subsets and trainings would move the difference by."
)
PAIRS = 3
"""Pairs up to which all are shown."""


def comparison_report(found: Comparison) -> RenderableType:
    """Arms of one structure against each other, and sizes of each arm."""
    return Group(*_parts(found))


def _parts(found: Comparison) -> Iterator[RenderableType]:
    yield Rule(Text(f"{found.title}: {' vs '.join(curve.arm for curve in found.curves)}", "bold"), align="left")
    if not found.pairs:
        yield Text.assemble(("CANNOT TELL", "bold yellow"), (": ", "yellow"), found.reason)
    else:
        words, style = (f"RUN {found.arm}", "green") if found.arm else ("CANNOT TELL", "yellow")
        yield Text.assemble((words, f"bold {style}"), (": ", style), found.reason)
        yield Text("")
        yield _ranking(found, found.by_cases, "cases")
        if found.by_cost:
            yield _ranking(found, found.by_cost, f"spent, {found.unit}")
    shown = _shown(found)
    for pair in shown:
        yield from _pair_parts(pair)
    if len(shown) < len(found.pairs):
        yield Text("Other pairs: --arms one,other; all of them: --json FILE.", "dim")
    for curve, sizes in zip(found.curves, found.sizes, strict=True):
        if sizes:
            title = f"{curve.arm}: {sizes[0].n_reference} cases against fewer, same {sizes[0].difference.cases} cases"
            yield _differences(title, "against", sizes)
    if any(found.sizes) or any(pair.observed for pair in found.pairs):
        yield Text(OBSERVED, "dim")
    yield Text("")


def _shown(found: Comparison) -> tuple[ArmComparison, ...]:
    """Every pair of up to three arms; of more, those of the first with the others."""
    if len(found.pairs) <= PAIRS:
        return found.pairs
    return tuple(pair for pair in found.pairs if pair.first.arm == found.arms[0].name)


def _level(pair: ArmComparison) -> str:
    return f"{pair.ceiling.level:.0%}"


def _ranking(found: Comparison, rows: Sequence[Ranked], head: str) -> Table:
    """Expected score and probability of being the best, arm by arm."""
    level = found.pairs[0].ceiling.level
    by_cost = rows[0].cost is not None
    title = f"Expected score [{level:.0%} interval] and probability p of being the best"
    columns = [column for arm in found.arms for column in (arm.name, "p")]
    table = plain_table(title, head, *columns, narrow=True)
    for row in rows:
        table.add_row(str(row.sizes[0]) if row.cost is None else amount_words(row.cost), *_ranked_cells(row))
    if by_cost:
        note = " (+: could be more than the pilots tell of)" if any(any(row.beyond) for row in rows) else ""
        table.caption = Text(f"Before the colon: cases annotated then{note}.")
        table.caption_justify = "left"
    return table


def _ranked_cells(row: Ranked) -> Iterator[str]:
    """Score and chance of every arm; at a cost with the cases before it."""
    for i, (n, score, p) in enumerate(zip(row.sizes, row.scores, row.p_best, strict=True)):
        if score is None:
            yield "not affordable"
        else:
            cases = "" if row.cost is None else f"{n}{'+' * row.beyond[i]}: "
            yield cases + interval_words(score)
        yield f"{p:.2f}"


def _pair_parts(pair: ArmComparison) -> Iterator[RenderableType]:
    saved, reverse, crossing = pair.words
    for words in (f"{saved} ({_level(pair)} interval)", reverse, crossing):
        yield Text(f"{words}.")
    yield _pair_table(pair)
    yield _equal_table(pair)
    if pair.observed:
        title = f"Observed, {pair.second.arm} minus {pair.first.arm}, same {pair.observed[0].difference.cases} cases"
        yield _differences(title, "cases", pair.observed)
    else:
        averaged = not (pair.first.case_ids and pair.second.case_ids)
        why = "Scores came averaged over test cases" if averaged else "The arms share no two test cases or no size"
        yield Text(f"{why}: no paired comparison.", "yellow")


def _pair_table(pair: ArmComparison) -> Table:
    second = pair.second.arm
    table = plain_table(f"{second} minus {pair.first.arm}", "", "median", f"{_level(pair)} interval", "probability")
    for one in pair.scores:
        words = f"{one.p_second_better:.2f} that {second} is better"
        table.add_row(f"expected score at {one.n} cases", *_signed(one.interval), words)
    table.add_row("ceiling DM (exponential plateau)", *_signed(pair.ceiling), "")
    median, ends = f"{pair.plateau.median:+.0f}", f"[{pair.plateau.lo:+.0f}, {pair.plateau.hi:+.0f}]"
    note = "beyond a horizon in part; " if pair.plateau_censored else ""
    words = f"{note}{pair.p_second_smaller:.2f} that {second} levels off with fewer"
    table.add_row("plateau size n* (exponential plateau)", median, ends, words)
    return table


def _equal_table(pair: ArmComparison) -> Table:
    """Cases of the second arm for the same score as the first, at sizes from end to end."""
    first, second = pair.first.arm, pair.second.arm
    title = f"Equal performance: cases of {second} for what {first} reaches [{_level(pair)} interval]"
    table = plain_table(title, first, second, "as a multiple", "p fewer", "p beyond")
    for one in _spread(pair):
        cells = (
            one.cases.words("{:.0f}"),
            one.ratio.words("{:.2f}"),
            "-" if one.p_fewer is None else f"{one.p_fewer:.2f}",
            f"{one.p_beyond:.2f}",
        )
        table.add_row(str(one.n), *cells)
    return table


def _spread(pair: ArmComparison) -> list[EqualPerformance]:
    """A few of the curve's points, those asked for among them."""
    points = pair.equal_curve
    places = {round(i * (len(points) - 1) / (SHOWN - 1)) for i in range(SHOWN)}
    chosen = {points[i].n: points[i] for i in places}
    asked = {one.n for one in pair.scores} | {pair.equal.n}
    chosen |= {one.n: one for one in points if one.n in asked}
    return [chosen[n] for n in sorted(chosen)]


def _differences(title: str, column: str, differences: Sequence[SizeDifference]) -> Table:
    level = f"{differences[0].difference.level:.0%}"
    table = plain_table(title, column, "difference", f"{level} interval", "p", "p (Holm)", "SD over draws")
    for one in differences:
        found = one.difference
        p_values = ("-" if p is None else f"{p:.2g}" for p in (found.p, found.p_holm))
        cells = (f"[{found.lo:+.3f}, {found.hi:+.3f}]", *p_values, score_words(one.draw_sd))
        table.add_row(str(one.n), f"{found.mean:+.3f}", *cells)
    return table


def _signed(interval: Interval) -> tuple[str, str]:
    return f"{interval.median:+.3f}", f"[{interval.lo:+.3f}, {interval.hi:+.3f}]"


def across_report(found: Sequence[AcrossTestSets], question: Question) -> RenderableType:
    """The same arms in and out of distribution."""
    parts: list[RenderableType] = [Rule(Text("In and out of distribution", "bold"), align="left")]
    for one in found:
        first = one.views[0].curve
        parts.append(Text(f"{first.arm} / {first.structure} / {first.metric}: {one.reason}", "yellow" * one.differs))
    level = f"{question.level:.0%}"
    columns = ("arm", "structure", "test set", "score now", "cases", "reachable gain", f"{level} interval")
    table = plain_table("What more cases can still add, by test set", *columns, f"P(gain <= {question.eps:g})", "state")
    for one in found:
        for view in one.views:
            curve, gain = view.curve, view.gain.interval
            ends = f"[{score_words(gain.lo)}, {score_words(gain.hi)}]"
            names = (curve.arm, curve.structure, curve.test_set)
            span, chance = f"{view.gain.n_from} -> {view.gain.n_to}", f"{view.gain.p_below_eps:.2f}"
            table.add_row(*names, score_words(view.now), span, score_words(gain.median), ends, chance, view.state)
    return Group(*parts, table, Text(""))
