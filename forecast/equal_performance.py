"""How many cases one arm needs for what another reaches, and where their curves cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arms import Arm, sizes_between
from .types import CensoredInterval, Interval
from .words import probability_words

STEPS = 200
"""Sizes at which two curves are compared to find where they cross."""
POINTS = 24
"""Sizes of a curve of equal performance."""


@dataclass(frozen=True)
class EqualPerformance:
    """Cases that a second arm needs for the expected score of a first one with `n` cases.

    They can be told between the second arm's smallest trained size and its horizon; an arm that never reaches the
    score is past the horizon.
    """

    n: int
    """Cases of the first arm."""
    cases: CensoredInterval
    """Cases of the second arm."""
    ratio: CensoredInterval
    """The same as a multiple of `n`; below 1 the second arm needs fewer."""
    p_fewer: float | None
    """Probability that the second arm needs fewer than `n`; None where it cannot speak of `n` cases."""
    p_beyond: float
    """Probability that it needs more than its horizon, or never gets there."""
    p_never: float
    """Probability that it never gets there: that its ceiling lies below."""

    @property
    def saved(self) -> CensoredInterval:
        """Share of the first arm's cases that the second saves; negative where it needs more."""
        ratio = self.ratio
        ends = (1 - ratio.median, 1 - ratio.hi, 1 - ratio.lo)
        return CensoredInterval(*ends, ratio.level, 1 - ratio.horizon, 1 - ratio.floor)


@dataclass(frozen=True)
class Crossing:
    """Which of two curves lies above the other between two sizes, and where that changes."""

    start: int
    end: int
    """The sizes looked at: from the larger of the smallest trained sizes to the smaller horizon."""
    p_first: float
    """Probability that the first arm is ahead all the way."""
    p_second: float
    """Probability that the second arm is ahead all the way."""
    p_second_overtakes: float
    """Probability that the curves cross and the second arm is ahead in the end."""
    p_first_overtakes: float
    """The same of the first arm."""
    n: Interval | None
    """Size at which the arm that is likelier to overtake does (the last time), where it does; None where none does."""


def equal_performance(first: Arm, second: Arm, n: int, level: float) -> EqualPerformance:
    """Cases that the second arm needs for what the first is expected to reach with `n`."""
    needed = second.cases_for(first.scores(n))
    cases = CensoredInterval.of(needed, level, second.smallest, second.horizon)
    return EqualPerformance(
        n=n,
        cases=cases,
        ratio=cases.over(n),
        p_fewer=float(np.mean(needed < n)) if second.smallest <= n <= second.horizon else None,
        p_beyond=float(np.mean(needed > second.horizon)),
        p_never=float(np.mean(np.isinf(needed))),
    )


def equal_curve(first: Arm, second: Arm, asked: Sequence[int], level: float) -> tuple[EqualPerformance, ...]:
    """`equal_performance` from the first arm's smallest trained size to its horizon, and at the sizes asked for."""
    even = np.rint(np.geomspace(first.smallest, first.horizon, POINTS)).astype(int)
    sizes = np.unique([*even, *asked])
    return tuple(equal_performance(first, second, int(n), level) for n in sizes)


def crossing(first: Arm, second: Arm, level: float) -> Crossing:
    """Where the curves cross, draw by draw."""
    sizes = sizes_between((first, second), STEPS)
    ahead = second.scores(sizes) - first.scores(sizes)
    above = ahead > 0
    change = above[1:] != above[:-1]
    crosses, end = change.any(axis=0), above[-1]
    where = len(change) - 1 - np.argmax(change[::-1], axis=0)
    by_first, by_second = crosses & ~end, crosses & end
    draws = np.flatnonzero(by_second if by_second.sum() >= by_first.sum() else by_first)
    i = where[draws]
    before, after = ahead[i, draws], ahead[i + 1, draws]
    logs = np.log(sizes)
    found = np.exp(logs[i] + before / (before - after) * (logs[i + 1] - logs[i]))
    return Crossing(
        start=int(np.ceil(sizes[0])),
        end=int(sizes[-1]),
        p_first=float(np.mean(~crosses & ~end)),
        p_second=float(np.mean(~crosses & end)),
        p_second_overtakes=float(np.mean(by_second)),
        p_first_overtakes=float(np.mean(by_first)),
        n=Interval.of(found, level) if len(found) else None,
    )


def saving_words(first: str, second: str, found: EqualPerformance) -> str:
    """The pair in one sentence: "60 cases of 3d reach what 160 of 2d do: 62% fewer [55%, 70%]"."""
    cases, ratio, saved = found.cases, found.ratio, found.saved
    if cases.median >= cases.horizon:
        pair = f"{cases.median:.0f} cases of {second} are not expected to reach what {found.n} of {first} do"
    else:
        fewer = "" if cases.inside(cases.median) else "fewer than "
        pair = f"{fewer}{cases.median:.0f} cases of {second} reach what {found.n} of {first} do"
    if ratio.hi < 1 and ratio.inside(ratio.hi):
        share, least, most = (saved.end(value, "{:.0%}") for value in (saved.median, saved.lo, saved.hi))
        return f"{pair}: {share} fewer [{least}, {most}]"
    times, low, high = (ratio.end(value, "{:.2f}") for value in (ratio.median, ratio.lo, ratio.hi))
    return f"{pair}: {times} times as many [{low}, {high}]"


def crossing_words(first: str, second: str, found: Crossing) -> str:
    """Who is ahead where, likeliest first."""
    chances = [
        (found.p_first, f"{first} is ahead all the way"),
        (found.p_second, f"{second} is ahead all the way"),
        (found.p_second_overtakes, f"{second} overtakes {first}"),
        (found.p_first_overtakes, f"{first} overtakes {second}"),
    ]
    told = [
        f"{words} with probability {probability_words(p)}" for p, words in sorted(chances, reverse=True) if p >= 0.005
    ]
    overtakes, arm = max((found.p_second_overtakes, second), (found.p_first_overtakes, first))
    where = ""
    if found.n is not None and overtakes >= 0.05:
        where = f"; where {arm} overtakes, at {found.n.median:.0f} cases [{found.n.lo:.0f}, {found.n.hi:.0f}]"
    return f"From {found.start} to {found.end} cases {', '.join(told)}{where}"
