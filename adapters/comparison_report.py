"""What a terminal shows of arms against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..forecast.comparison import ArmComparison, Comparison, SizeDifference
from ..forecast.types import Interval
from .screen import plain_table, size_words


def comparison_report(found: Comparison) -> RenderableType:
    """Arms of one structure against each other, and sizes of each arm."""
    return Group(*_comparison_parts(found))


def _comparison_parts(found: Comparison) -> Iterator[RenderableType]:
    first = found.curves[0]
    name = " / ".join([first.structure, first.metric, *({first.test_set, first.stratum} - {"test", "all"})])
    yield Rule(Text(f"{name}: {' vs '.join(curve.arm for curve in found.curves)}", "bold"), align="left")
    words, style = (f"RUN {found.arm}", "green") if found.arm else ("CANNOT TELL", "yellow")
    if found.pairs:
        yield Text.assemble((words, f"bold {style}"), (": ", style), found.reason)
        yield Text("")
        table = plain_table("Probability of the highest expected score", "cases", *found.ranked)
        for n, row in zip(found.n, found.p_best, strict=True):
            table.add_row(str(n), *(f"{p:.2f}" for p in row))
        yield table
    else:
        yield Text(found.reason)
    for pair in found.pairs:
        yield _pair_table(pair)
        if pair.observed:
            title = (
                f"Observed, {pair.second.arm} minus {pair.first.arm}, same {pair.observed[0].difference.cases} cases"
            )
            yield _differences_table(title, "cases trained on", pair.observed)
        elif not pair.paired:
            yield Text("The arms were not scored on the same test cases: no paired comparison.", "yellow")
    for curve, sizes in zip(found.curves, found.sizes, strict=True):
        if sizes:
            title = f"{curve.arm}: {sizes[0].n_reference} cases against fewer, same {sizes[0].difference.cases} cases"
            yield _differences_table(title, "against", sizes)
    yield Text("")


def _pair_table(pair: ArmComparison) -> Table:
    level = f"{pair.ceiling.level:.0%}"
    now = pair.scores[0].n
    table = plain_table(f"{pair.second.arm} minus {pair.first.arm}", "", "median", f"{level} interval", "probability")
    for one in pair.scores:
        words = f"{one.p_second_better:.2f} that {pair.second.arm} is better"
        table.add_row(f"expected score at {one.n} cases", *_signed(one.interval), words)
    table.add_row("ceiling DM (exponential plateau)", *_signed(pair.ceiling), "")
    median, ends = f"{pair.plateau.median:+.0f}", f"[{pair.plateau.lo:+.0f}, {pair.plateau.hi:+.0f}]"
    note = "beyond a horizon in part; " if pair.plateau_censored else ""
    words = f"{note}{pair.p_second_smaller:.2f} that {pair.second.arm} needs fewer"
    table.add_row("plateau size n* (exponential plateau)", median, ends, words)
    words = f"{pair.p_never:.2f} that it never gets there"
    table.add_row(f"cases {pair.second.arm} needs for {pair.first.arm} at {now}", *size_words(pair.equal), words)
    ratio = pair.efficiency
    median = f"> {ratio.horizon:.2f}" if ratio.median is None else f"{ratio.median:.2f}"
    ends = f"[{ratio.lo:.2f}, {'> ' if ratio.hi_censored else ''}{ratio.hi:.2f}]"
    table.add_row(f"the same as a multiple of {now}", median, ends, "")
    return table


def _differences_table(title: str, column: str, differences: Sequence[SizeDifference]) -> Table:
    level = f"{differences[0].difference.level:.0%}"
    table = plain_table(title, column, "mean difference", f"{level} interval (bootstrap)", "p (paired t)", "p (Holm)")
    for one in differences:
        found = one.difference
        p_values = ("-" if p is None else f"{p:.2g}" for p in (found.p, found.p_holm))
        table.add_row(str(one.n), f"{found.mean:+.3f}", f"[{found.lo:+.3f}, {found.hi:+.3f}]", *p_values)
    return table


def _signed(interval: Interval) -> tuple[str, str]:
    return f"{interval.median:+.3f}", f"[{interval.lo:+.3f}, {interval.hi:+.3f}]"
