"""Arms against each other: which reaches more, which needs fewer cases, where they cross, which to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from .arms import Arm, ArmCost, arms_of, span_of
from .curve import Curve, structure_words
from .equal_performance import (
    Crossing,
    EqualPerformance,
    crossing,
    crossing_words,
    equal_curve,
    equal_performance,
    saving_words,
)
from .errors import InputError
from .forecast import FEWEST_SIZES, SCOPES, Question, check_reach
from .notebook import comparison_html
from .paired import SizeDifference, compare_arms, compare_sizes
from .ranking import Ranked, choose, now_of, ranked_at, ranked_for, sizes_of, usual_amounts
from .scores import TEXT_DEFAULTS
from .types import Interval
from .verdict import ill_behaved_words


@dataclass(frozen=True)
class ScoreDifference:
    """Expected score of the second arm minus that of the first at one size."""

    n: int
    interval: Interval
    p_second_better: float
    """Of draws in which both score the same, half."""


@dataclass(frozen=True)
class ArmComparison:
    """Two arms of one structure."""

    first: Curve
    second: Curve
    shared: int
    """Test cases that both were scored on; 0 where scores came averaged."""
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
    """At the sizes that the arms are ranked at."""
    equal: EqualPerformance
    """Cases the second arm needs for what the first reaches with the cases annotated now, or as many of them as both
    can speak of."""
    reverse: EqualPerformance
    """Cases the first arm needs for what the second reaches with them."""
    equal_curve: tuple[EqualPerformance, ...]
    """`equal` from the first arm's smallest trained size to its horizon, and at the sizes asked for."""
    crossing: Crossing
    observed: tuple[SizeDifference, ...]
    """Second minus first on the same test cases at the sizes both were trained on."""

    @property
    def words(self) -> tuple[str, str, str]:
        """Equal performance both ways, and where the curves cross, as sentences."""
        one, other = self.first.arm, self.second.arm
        return (
            saving_words(one, other, self.equal),
            saving_words(other, one, self.reverse),
            crossing_words(one, other, self.crossing),
        )


@dataclass(frozen=True)
class Comparison:
    """All arms of one structure, metric, test set and stratum."""

    curves: tuple[Curve, ...]
    """One per arm."""
    arms: tuple[Arm, ...]
    """Those with sizes enough to be forecast, with their posteriors; empty with fewer than two of them."""
    pairs: tuple[ArmComparison, ...]
    sizes: tuple[tuple[SizeDifference, ...], ...]
    """Per curve: its largest size against the smaller ones."""
    by_cases: tuple[Ranked, ...]
    """The arms at the same number of cases; empty with fewer than two of them."""
    by_cost: tuple[Ranked, ...]
    """The arms at the same cost from now on; empty where costs are not known."""
    arm: str | None
    """The arm to run; None when they cannot be told apart."""
    reason: str
    unit: str = ""
    """Unit of costs."""
    costs: Mapping[str, ArmCost] = field(default_factory=dict)
    """By arm, of those whose costs are known."""

    def _repr_html_(self) -> str:
        return comparison_html(self)

    @property
    def title(self) -> str:
        """Structure and metric, and what else is not the default."""
        return structure_words(self.curves[0])

    @property
    def not_judged(self) -> tuple[str, ...]:
        """Arms with too few sizes to be compared."""
        return tuple(curve.arm for curve in self.curves if len(curve.sizes) < FEWEST_SIZES)


def compare_curves(
    curves: Sequence[Curve],
    question: Question,
    *,
    costs: Mapping[str, ArmCost] | None = None,
    amounts: Sequence[float] = (),
    unit: str = "",
    quick: bool = False,
) -> list[Comparison]:
    """Compare the arms of every structure.

    Args:
        curves: Of any number of structures.
        question: What is asked; `at` gives the sizes to rank at, by default annotated now, twice as many and N_max.
        costs: By arm; arms are also ranked at the same cost where every arm has one, and that decides.
        amounts: What may be spent from now on, by default what brings the dearest arm to sizes past those annotated.
        unit: Of the costs.
        quick: The exponential plateau by quadrature instead of MCMC.

    Raises:
        InputError: Arms that occur twice for one structure, as with two protocols; a size that an arm cannot speak of;
            fewer cases that could ever be annotated than an arm has; the scope is the population but nothing is known
            of the spread over test cases.
    """
    groups: dict[tuple[str, ...], list[Curve]] = {}
    for curve in curves:
        check_reach(curve, question)
        groups.setdefault((curve.structure, curve.metric, curve.test_set, curve.stratum), []).append(curve)
    money = _Money(dict(costs or {}), tuple(amounts), unit)
    return [_compare(group, question, money, quick) for group in groups.values()]


@dataclass(frozen=True)
class _Money:
    costs: dict[str, ArmCost]
    amounts: tuple[float, ...]
    unit: str

    def ranked(self, arms: Sequence[Arm], question: Question) -> tuple[Ranked, ...]:
        """The arms by cost; nothing where a cost is not known."""
        if any(arm.name not in self.costs for arm in arms):
            return ()
        amounts = self.amounts or usual_amounts(arms, self.costs, question)
        return tuple(ranked_for(arms, self.costs, one, question.level, question.reach) for one in amounts)


def _compare(group: list[Curve], question: Question, money: _Money, quick: bool) -> Comparison:
    names = [curve.arm for curve in group]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"arm {twice!r} of {group[0].structure} comes with several protocols; an arm must have one. Keep one "
            "protocol, or name the arms differently."
        )
    sizes = tuple(compare_sizes(curve, question.level, question.seed) for curve in group)
    able = [curve for curve in group if len(curve.sizes) >= FEWEST_SIZES]
    if len(able) < 2:
        trained = ", ".join(f"{curve.arm}: {len(curve.sizes)}" for curve in group)
        reason = f"two arms of at least {FEWEST_SIZES} sizes are needed, found {trained}: nothing to compare."
        return _nothing(group, (), sizes, reason, money)
    arms = arms_of(able, question, quick)
    first, last = span_of(arms)
    if first > last:
        reason = (
            f"no size is told by every arm: one was trained from {first} cases on, another tells up to {last} (4 times "
            "its largest size). Train sizes that overlap."
        )
        return _nothing(group, tuple(arms), sizes, reason, money)
    at = sizes_of(arms, question)
    by_cases = tuple(ranked_at(arms, n, question.level) for n in at)
    by_cost = money.ranked(arms, question)
    chosen, reason = choose([one.name for one in arms], by_cost or by_cases, money.unit)
    odd = _odd(arms)
    pairs = tuple(_pair(one, other, question, at) for one, other in combinations(arms, 2))
    found = replace(
        _nothing(group, tuple(arms), sizes, reason, money),
        pairs=pairs,
        by_cases=by_cases,
        by_cost=by_cost,
        arm=None if odd else chosen,
    )
    taken = [*odd, f"Taken as they are, {reason}"] if odd else [reason]
    return replace(found, reason=" ".join([*taken, *_caveats(found, question)]))


def split_decisions(found: Sequence[Comparison]) -> list[str]:
    """Structures of which different test sets choose different arms, in words."""
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for one in found:
        if one.arm is not None:
            first = one.curves[0]
            names = (first.structure, first.metric, first.stratum)
            groups.setdefault(names, {})[first.test_set] = one.arm
    return [
        f"{structure} / {metric}{'' if stratum == TEXT_DEFAULTS['stratum'] else f' / {stratum}'}: "
        f"{', '.join(f'{arm} on {test_set}' for test_set, arm in chosen.items())}. No arm is the best on every test "
        "set: go by the one most like the patients the model will meet."
        for (structure, metric, stratum), chosen in groups.items()
        if len(set(chosen.values())) > 1
    ]


def _nothing(
    group: Sequence[Curve],
    arms: tuple[Arm, ...],
    sizes: tuple[tuple[SizeDifference, ...], ...],
    reason: str,
    money: _Money,
) -> Comparison:
    """Arms that are not set against each other."""
    costs = {one.arm: money.costs[one.arm] for one in group if one.arm in money.costs}
    return Comparison(tuple(group), arms, (), sizes, (), (), None, reason, money.unit, costs)


def _odd(arms: Sequence[Arm]) -> list[str]:
    """Arms whose scores fall beyond their noise: no rising curve describes them, and none is to be run by it."""
    found = [(arm.name, ill_behaved_words(arm.curve, arm.check)) for arm in arms]
    return [f"{name} is ill behaved: {words}" for name, words in found if words is not None]


def _caveats(found: Comparison, question: Question) -> list[str]:
    """What the reason must not be read without."""
    curves, words = [arm.curve for arm in found.arms], []
    if found.not_judged:
        words.append(f"Not judged, with fewer than {FEWEST_SIZES} sizes: {', '.join(found.not_judged)}.")
    last = min(arm.horizon for arm in found.arms)
    most = max(min(curve.n_annotated for curve in curves), question.reach or 0)
    if most > last:
        words.append(f"Past {last} cases, 4 times the smallest of the arms' largest sizes, nothing is compared.")
    if found.costs and not found.by_cost:
        words.append("Costs did not decide: no case more can be annotated, so there is nothing to spend on.")
    if any(any(row.beyond) for row in found.by_cost):
        words.append("An arm that could annotate more than its pilots can tell of is ranked with what they tell.")
    if question.scope == SCOPES[0] and any(curve.case_ids != curves[0].case_ids for curve in curves):
        words.append(
            "The arms were not scored on the very same test cases, so part of the difference may be the cases; score "
            "them on the same, or use --scope population."
        )
    return words


def _pair(one: Arm, other: Arm, question: Question, at: tuple[int, ...]) -> ArmComparison:
    first, second, level = one.curve, other.curve, question.level
    common, now = min(one.horizon, other.horizon), now_of((one, other))
    sizes = [arm.named.plateau_sizes(question.eps) for arm in (one, other)]
    ends = [np.minimum(size, common) for size in sizes]
    beyond = max(float(np.mean(size > common)) for size in sizes)
    return ArmComparison(
        first=first,
        second=second,
        shared=len(set(first.case_ids) & set(second.case_ids)),
        ceiling=Interval.of(other.named.dm - one.named.dm, level),
        plateau=Interval.of(ends[1] - ends[0], level),
        horizon=common,
        plateau_censored=beyond > (1 - level) / 2,
        p_second_smaller=float(np.mean(sizes[1] < sizes[0])),
        scores=tuple(_difference(one, other, n, level) for n in at),
        equal=equal_performance(one, other, now, level),
        reverse=equal_performance(other, one, now, level),
        equal_curve=equal_curve(one, other, (now, *question.at), level),
        crossing=crossing(one, other, level),
        observed=compare_arms(first, second, level, question.seed),
    )


def _difference(first: Arm, second: Arm, n: int, level: float) -> ScoreDifference:
    difference = second.scores(n) - first.scores(n)
    better = np.mean(difference > 0) + np.mean(difference == 0) / 2
    return ScoreDifference(n, Interval.of(difference, level), float(better))
