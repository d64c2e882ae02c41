"""What a terminal shows of arms against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ...forecast.across_test_sets import AcrossTestSets
from ...forecast.comparison import Comparison
from ...forecast.forecast import Question
from ...forecast.words import ends_words, level_words, probability_words, score_words
from .pair_tables import against_first, differences_table, pair_parts, pair_words
from .prose import Prose
from .ranking_table import ranking_table
from .screen import DOUBT, GOOD, Heading, note, plain_table

OBSERVED = (
    "observed differences: interval (bootstrap) and p (paired t) are over test cases alone; SD over draws: what "
    "other subsets and trainings would move the difference by."
)
PAIRS = 3
"""Pairs up to which each has its tables: those of three arms."""


def comparison_report(found: Comparison) -> RenderableType:
    """Arms of one structure against each other, and sizes of each arm."""
    return Group(*_parts(found))


def _parts(found: Comparison) -> Iterator[RenderableType]:
    yield Heading(f"{found.title}: {_arms_words(found)}")
    words, style = (f"RUN {found.arm}", GOOD) if found.arm else ("CANNOT TELL", DOUBT)
    yield Prose.assemble((f"{words}: ", f"bold {style}"), found.reason)
    few = len(found.pairs) <= PAIRS
    if few:
        yield from (Prose(pair_words(pair)) for pair in found.pairs)
    yield Text("")
    for rows, head in ((found.by_cases, "cases"), (found.by_cost, f"spent, {found.unit}")):
        if rows:
            yield from (ranking_table(found, rows, head), Text(""))
    if few:
        for pair in found.pairs:
            yield from pair_parts(pair)
        yield from _observed(found)
    else:
        yield against_first([pair for pair in found.pairs if pair.first.arm == found.arms[0].name])
        yield Text("")
        yield note("two arms in detail, with their observed differences: --arms one,other; everything: --json FILE.")
    yield Text("")


def _arms_words(found: Comparison) -> str:
    names = [curve.arm for curve in found.curves]
    return " vs ".join(names) if len(names) <= PAIRS else f"{len(names)} arms"


def _observed(found: Comparison) -> Iterator[RenderableType]:
    """Sizes of each arm against each other, and what the intervals of all observed differences hold."""
    for curve, sizes in zip(found.curves, found.sizes, strict=True):
        if sizes:
            title = f"{curve.arm}: {sizes[0].n_reference} cases against fewer, same {sizes[0].difference.cases} cases"
            yield from (differences_table(title, "against", sizes), Text(""))
    if any(found.sizes) or any(pair.observed for pair in found.pairs):
        yield note(OBSERVED)


def across_report(found: Sequence[AcrossTestSets], question: Question) -> RenderableType:
    """The same arms in and out of distribution."""
    parts: list[RenderableType] = [Heading("In and out of distribution")]
    for one in found:
        first = one.views[0].curve
        parts.append(Text(f"{first.arm} / {first.structure} / {first.metric}: {one.reason}", DOUBT * one.differs))
    level = level_words(question.level)
    columns = ("arm", "structure", "test set", "score now", "cases", "reachable gain", f"{level} interval")
    table = plain_table("What more cases can still add, by test set", *columns, f"P(rise ≤ {question.eps:g})", "state")
    for one in found:
        for view in one.views:
            curve, gain = view.curve, view.gain.interval
            names = (curve.arm, curve.structure, curve.test_set)
            span, chance = f"{view.gain.n_from} → {view.gain.n_to}", probability_words(view.gain.p_below_eps)
            table.add_row(
                *names,
                score_words(view.now),
                span,
                score_words(gain.median),
                ends_words(gain.lo, gain.hi),
                chance,
                view.state,
            )
    return Group(*parts, table, Text(""))
