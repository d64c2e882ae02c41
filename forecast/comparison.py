"""Arms against each other, and sizes of one arm against each other, on the same test cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from .curve import Curve
from .errors import InputError
from .families import NAMED
from .forecast import FEWEST_SIZES, SCOPES, Question, horizon_of
from .population import population_posterior
from .posterior import Posterior
from .prior import AVERAGE
from .quadrature import quadrature
from .sampler import sample_posterior
from .types import FloatArray, Interval, SizeInterval

LIKELY = 0.8
"""Probability of being the best from which an arm is recommended."""
BOOTSTRAPS = 5000
"""Resampled test sets of a paired bootstrap."""


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of scores of the same test cases."""

    mean: float
    """Second minus first, score units."""
    lo: float
    hi: float
    """Ends of the percentile bootstrap interval over test cases."""
    level: float
    p: float | None
    """Two-sided paired t-test; None when every case differs by the same amount."""
    p_holm: float | None
    """The same, corrected for all the tests of its table (Holm 1979)."""
    cases: int


@dataclass(frozen=True)
class SizeDifference:
    """The largest size of one arm against a smaller one."""

    n: int
    n_reference: int
    difference: PairedDifference
    """Largest minus smaller."""


def paired_difference(first: FloatArray, second: FloatArray, level: float, seed: int) -> PairedDifference:
    """Compare two score vectors of the same test cases, shapes [cases].

    Raises:
        ValueError: Fewer than two cases, or vectors of different length.
    """
    if first.shape != second.shape or len(first) < 2:
        raise ValueError(f"needs scores of the same two or more cases, found {first.shape} and {second.shape}")
    differences = second - first
    rng = np.random.default_rng([seed, 8])
    means = differences[rng.integers(len(differences), size=(BOOTSTRAPS, len(differences)))].mean(axis=1)
    lo, hi = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    constant = bool(np.ptp(differences) < 1e-12)
    p = None if constant else float(stats.ttest_1samp(differences, 0.0).pvalue)
    return PairedDifference(float(differences.mean()), float(lo), float(hi), level, p, None, len(differences))


def holm(found: Sequence[PairedDifference]) -> list[PairedDifference]:
    """The differences with their p values corrected for all of them (Holm 1979)."""
    known = sorted((one.p, i) for i, one in enumerate(found) if one.p is not None)
    corrected: dict[int, float] = {}
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[i] = largest
    return [replace(one, p_holm=corrected.get(i)) for i, one in enumerate(found)]


def compare_sizes(curve: Curve, question: Question) -> tuple[SizeDifference, ...]:
    """The largest size against every smaller one, per test case averaged over draws; empty without cases."""
    if curve.cases is None or curve.cases.shape[1] < 2:
        return ()
    largest = int(curve.sizes[-1])
    smaller = [int(n) for n in curve.sizes[:-1]]
    found = [
        paired_difference(curve.case_means(n), curve.case_means(largest), question.level, question.seed)
        for n in smaller
    ]
    return tuple(SizeDifference(n, largest, one) for n, one in zip(smaller, holm(found), strict=True))


@dataclass(frozen=True)
class ScoreDifference:
    """Expected score of the second arm minus that of the first at one size."""

    n: int
    interval: Interval
    p_second_better: float


@dataclass(frozen=True)
class ArmComparison:
    """Two arms of one structure."""

    first: Curve
    second: Curve
    paired: bool
    """Whether both were scored on the same test cases."""
    ceiling: Interval
    """DM of the second minus DM of the first (exponential plateau), score units."""
    plateau: Interval
    """Plateau size of the second minus that of the first (exponential plateau), cases, each at most `horizon`."""
    horizon: int
    """The smaller horizon of the two arms."""
    plateau_censored: bool
    """Whether a plateau size lay past the horizon in more draws than the interval leaves out."""
    p_second_smaller: float
    """Probability that the second arm's plateau size is the smaller one."""
    scores: tuple[ScoreDifference, ...]
    """At the annotated cases, at twice as many and at N_max."""
    equal: SizeInterval
    """Cases the second arm needs for what the first reaches with the annotated cases."""
    efficiency: SizeInterval
    """The same as a multiple of the annotated cases; below 1 the second arm needs fewer."""
    p_never: float
    """Probability that the second arm never reaches it."""
    observed: tuple[SizeDifference, ...]
    """Second minus first on the same test cases at the sizes both were trained on."""


@dataclass(frozen=True)
class Comparison:
    """All arms of one structure, metric, test set and stratum."""

    curves: tuple[Curve, ...]
    """One per arm."""
    ranked: tuple[str, ...]
    """The arms with sizes enough to be forecast."""
    pairs: tuple[ArmComparison, ...]
    sizes: tuple[tuple[SizeDifference, ...], ...]
    """Per arm: its largest size against the smaller ones."""
    n: tuple[int, ...]
    """Sizes at which the arms are ranked: annotated now, twice as many, N_max."""
    p_best: FloatArray
    """Probability of the highest expected score, shape [sizes, ranked arms]; empty with fewer than two of them."""
    arm: str | None
    """The arm to run; None when they cannot be told apart."""
    reason: str


def compare_curves(curves: Sequence[Curve], question: Question) -> list[Comparison]:
    """Compare the arms of every structure.

    Raises:
        InputError: Arms that occur twice for one structure, as with two protocols; the scope is the population but
            nothing is known of the spread over test cases.
    """
    groups: dict[tuple[str, ...], list[Curve]] = {}
    for curve in curves:
        groups.setdefault((curve.structure, curve.metric, curve.test_set, curve.stratum), []).append(curve)
    return [_compare(group, question) for group in groups.values()]


def _compare(group: list[Curve], question: Question) -> Comparison:
    arms = [curve.arm for curve in group]
    twice = next((arm for arm in arms if arms.count(arm) > 1), None)
    if twice is not None:
        raise InputError(
            f"arm {twice!r} of {group[0].structure} comes with several protocols; an arm must have one. Keep one "
            "protocol, or name the arms differently."
        )
    sizes = tuple(compare_sizes(curve, question) for curve in group)
    able = [curve for curve in group if len(curve.sizes) >= FEWEST_SIZES]
    if len(able) < 2:
        reason = f"{len(able)} arm(s) with at least {FEWEST_SIZES} sizes: nothing to compare."
        return Comparison(tuple(group), (), (), sizes, (), np.empty((0, 0)), None, reason)
    drawn = [_Drawn.of(curve, question, i) for i, curve in enumerate(able)]
    at = _sizes(able, question)
    count = min(len(one.expected.dm) for one in drawn)
    scores = np.array([one.expected.scores(at)[:, :count] for one in drawn])
    best = np.argmax(scores, axis=0)
    p_best = np.array([(best == i).mean(axis=1) for i in range(len(able))]).T
    arm, reason = _choose(able, at, p_best, scores)
    if question.scope == SCOPES[0] and any(c.case_ids != able[0].case_ids for c in able):
        reason += (
            " The arms were scored on different test cases, so part of the difference may be the cases; score them on "
            "the same, or use --scope population."
        )
    pairs = tuple(_pair(one, other, at, question) for one, other in combinations(drawn, 2))
    return Comparison(tuple(group), tuple(c.arm for c in able), pairs, sizes, at, p_best, arm, reason)


@dataclass(frozen=True)
class _Drawn:
    """Posteriors of one arm."""

    curve: Curve
    expected: Posterior
    named: Posterior

    @classmethod
    def of(cls, curve: Curve, question: Question, number: int) -> _Drawn:
        """Arms get seeds of their own, so that nothing but the same test cases ties their draws."""
        seed = question.seed + 1000 * number
        if question.scope == "population":
            expected = population_posterior(curve, seed, model=question.model, test_seed=question.seed)
            return cls(curve, expected, population_posterior(curve, seed, model=NAMED.name, test_seed=question.seed))
        model = question.model
        expected = quadrature(curve, seed) if model == AVERAGE else sample_posterior(curve, seed, model=model)
        return cls(curve, expected, sample_posterior(curve, seed))


def _sizes(curves: Sequence[Curve], question: Question) -> tuple[int, ...]:
    """Annotated now (by the arm with the fewest), twice as many, and N_max."""
    now = min(curve.n_annotated for curve in curves)
    most = max(question.reach or min(horizon_of(curve) for curve in curves), now)
    return tuple(sorted({now, min(2 * now, most), most}))


def _choose(
    curves: Sequence[Curve], at: tuple[int, ...], p_best: FloatArray, scores: FloatArray
) -> tuple[str | None, str]:
    now, last = p_best[0], p_best[-1]
    leader = int(np.argmax(last))
    words = "; ".join(
        f"with {n} cases {curves[int(np.argmax(p))].arm} is the best with probability {p.max():.2f}"
        for n, p in zip(at, p_best, strict=True)
    )
    if last[leader] >= LIKELY and now[leader] >= 1 - LIKELY:
        return curves[leader].arm, f"{words}."
    if last[leader] >= LIKELY:
        return curves[leader].arm, f"if you go on annotating: {words}."
    medians = np.median(scores[:, -1], axis=1)
    return None, (
        f"the arms cannot be told apart: {words}; their expected scores there differ by "
        f"{np.ptp(medians):.3f}. Run the cheaper one, or train more draws."
    )


def _pair(one: _Drawn, other: _Drawn, at: tuple[int, ...], question: Question) -> ArmComparison:
    first, second, level = one.curve, other.curve, question.level
    count = min(len(one.named.dm), len(other.named.dm))
    common = min(horizon_of(first), horizon_of(second))
    sizes = [drawn.named.plateau_sizes(question.eps)[:count] for drawn in (one, other)]
    ends = [np.minimum(size, common) for size in sizes]
    beyond = max(float(np.mean(size > common)) for size in sizes)
    now = at[0]
    reached = one.expected.scores(now)[: len(other.expected.dm)]
    needed = other.expected.sizes_for(_long_as(reached, len(other.expected.dm)))
    horizon = float(horizon_of(second))
    return ArmComparison(
        first=first,
        second=second,
        paired=bool(first.case_ids) and first.case_ids == second.case_ids,
        ceiling=Interval.of(other.named.dm[:count] - one.named.dm[:count], level),
        plateau=Interval.of(ends[1] - ends[0], level),
        horizon=common,
        plateau_censored=beyond > (1 - level) / 2,
        p_second_smaller=float(np.mean(sizes[1] < sizes[0])),
        scores=tuple(_difference(one.expected, other.expected, n, level) for n in at),
        equal=SizeInterval.of(needed, level, horizon),
        efficiency=SizeInterval.of(needed / now, level, horizon / now),
        p_never=float(np.mean(np.isinf(needed))),
        observed=_observed(first, second, question),
    )


def _long_as(values: FloatArray, count: int) -> FloatArray:
    return np.resize(values, count)


def _difference(first: Posterior, second: Posterior, n: int, level: float) -> ScoreDifference:
    count = min(len(first.dm), len(second.dm))
    difference = second.scores(n)[:count] - first.scores(n)[:count]
    return ScoreDifference(n, Interval.of(difference, level), float(np.mean(difference > 0)))


def _observed(first: Curve, second: Curve, question: Question) -> tuple[SizeDifference, ...]:
    """Paired differences at the common sizes; empty when the test cases are not the same."""
    if first.cases is None or first.case_ids != second.case_ids or len(first.case_ids) < 2:
        return ()
    common = [int(n) for n in np.intersect1d(first.sizes, second.sizes)]
    found = [
        paired_difference(first.case_means(n), second.case_means(n), question.level, question.seed) for n in common
    ]
    return tuple(SizeDifference(n, n, one) for n, one in zip(common, holm(found), strict=True))
