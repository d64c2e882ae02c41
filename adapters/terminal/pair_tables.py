"""Two arms against each other, and many against one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from ...forecast.comparison import ArmComparison
from ...forecast.equal_performance import EqualPerformance
from ...forecast.paired import SizeDifference
from ...forecast.types import Interval
from ...forecast.words import level_words, probability_words, score_words
from .fitted_table import FittedTable
from .screen import DOUBT, plain_table

SHOWN = 4
"""Lines of a table of equal performance beside those that were asked for."""


def pair_words(pair: ArmComparison) -> str:
    """Who needs how many cases for what the other reaches, and who is ahead where."""
    saved, reverse, crossing = pair.words
    return f"{saved} ({_level(pair)} interval). {reverse}. {crossing}."


def pair_parts(pair: ArmComparison) -> Iterator[RenderableType]:
    """The tables of two arms."""
    yield _pair_table(pair)
    yield Text("")
    yield _equal_table(pair)
    yield Text("")
    if pair.observed:
        title = f"Observed, {pair.second.arm} minus {pair.first.arm}, same {pair.observed[0].difference.cases} cases"
        yield differences_table(title, "cases", pair.observed)
    else:
        averaged = not (pair.first.case_ids and pair.second.case_ids)
        why = "Scores came averaged over test cases" if averaged else "The arms share no two test cases or no size"
        yield Text(f"{why}: no paired comparison.", DOUBT)
    yield Text("")


def against_first(pairs: Sequence[ArmComparison]) -> FittedTable:
    """Every other arm against the first, a line each, at the last size they are ranked at.

    Args:
        pairs: Those whose first arm is the same.
    """
    first, n, level = pairs[0].first.arm, pairs[0].scores[-1].n, _level(pairs[0])
    columns = (f"minus, at {n} cases", f"{level} interval", "P(better)", "cases needed", f"{level} interval")
    table = plain_table(f"Every arm against {first}", "arm", *columns)
    for pair in pairs:
        last, cases = pair.scores[-1], pair.equal.cases
        median, *ends = (cases.end(value, "{:.0f}") for value in (cases.median, cases.lo, cases.hi))
        found = (*_signed(last.interval), f"{last.p_second_better:.2f}", median, f"[{ends[0]}, {ends[1]}]")
        table.add_row(pair.second.arm, *found)
    table.caption = Text(
        f"Minus: expected score of the arm less that of {first}. Cases needed: by the arm for what "
        f"{first} is expected to reach with {pairs[0].equal.n}; < and >: less or more than its pilots can tell of.",
        "dim",
    )
    return table


def _pair_table(pair: ArmComparison) -> FittedTable:
    second = pair.second.arm
    table = plain_table(f"{second} minus {pair.first.arm}", "", "median", f"{_level(pair)} interval", "probability")
    for one in pair.scores:
        name = f"expected score at {one.n} cases"
        table.add_row(name, *_signed(one.interval), probability_words(one.p_second_better))
    table.add_row("ceiling DM (exponential plateau)", *_signed(pair.ceiling), "-")
    median, ends = f"{pair.plateau.median:+.0f}", f"[{pair.plateau.lo:+.0f}, {pair.plateau.hi:+.0f}]"
    table.add_row("plateau size n* (exponential plateau)", median, ends, f"{pair.p_second_smaller:.2f}")
    past = f" Plateau sizes are cut at {pair.horizon} cases: some lie beyond." if pair.plateau_censored else ""
    table.caption = Text(
        f"Probability: that {second} scores higher; in the last line, that it levels off with fewer cases.{past}", "dim"
    )
    return table


def _equal_table(pair: ArmComparison) -> FittedTable:
    """Cases of the second arm for the same score as the first, at sizes from end to end."""
    first, second, level = pair.first.arm, pair.second.arm, _level(pair)
    title = f"Equal performance: cases of {second} for what {first} reaches"
    table = plain_table(title, first, second, f"[{level}]", "as a multiple", f"[{level}]", "p fewer", "p beyond")
    for one in _spread(pair):
        cells = [*one.cases.words("{:.0f}").split(" [", 1), *one.ratio.words("{:.2f}").split(" [", 1)]
        cells = [f"[{cell}" if i % 2 else cell for i, cell in enumerate(cells)]
        chances = ("-" if p is None else probability_words(p) for p in (one.p_fewer, one.p_beyond))
        table.add_row(str(one.n), *cells, *chances)
    table.caption = Text(
        f"p fewer: probability that {second} needs fewer cases than {first}. p beyond: that it needs more than its "
        f"pilots can tell of, or never gets there. < and >: less or more than they can tell of.",
        "dim",
    )
    return table


def _spread(pair: ArmComparison) -> list[EqualPerformance]:
    """A few of the curve's points, those asked for among them."""
    points = pair.equal_curve
    places = {round(i * (len(points) - 1) / (SHOWN - 1)) for i in range(SHOWN)}
    chosen = {points[i].n: points[i] for i in places}
    asked = {one.n for one in pair.scores} | {pair.equal.n}
    chosen |= {one.n: one for one in points if one.n in asked}
    return [chosen[n] for n in sorted(chosen)]


def differences_table(title: str, column: str, differences: Sequence[SizeDifference]) -> FittedTable:
    """Observed differences on the same test cases, size by size."""
    level = level_words(differences[0].difference.level)
    table = plain_table(title, column, "difference", f"{level} interval", "p", "p (Holm)", "SD over draws")
    for one in differences:
        found = one.difference
        p_values = ("-" if p is None else f"{p:.2g}" for p in (found.p, found.p_holm))
        cells = (f"[{found.lo:+.3f}, {found.hi:+.3f}]", *p_values, score_words(one.draw_sd))
        table.add_row(str(one.n), f"{found.mean:+.3f}", *cells)
    return table


def _level(pair: ArmComparison) -> str:
    return level_words(pair.ceiling.level)


def _signed(interval: Interval) -> tuple[str, str]:
    return f"{interval.median:+.3f}", f"[{interval.lo:+.3f}, {interval.hi:+.3f}]"
