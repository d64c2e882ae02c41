"""Annotation campaigns on paper: a known curve, noisy pilots, a policy that says what to annotate next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from .costs import LEAST, MOST, ROUND_SHARE
from .curve import Curve, averaged_curve
from .errors import InputError
from .goal import TARGET, VALUE, Goal
from .pilots import Design
from .promises import Promise, PromiseOutcome
from .types import FloatArray, IntArray

UNBOUNDED = 10**9
"""Pool of simulated draws: each draw is of other cases."""
FIRST_SIZES = (0.5, 0.5**0.5, 1.0)
"""Pilots at the start, as shares of the cases at hand."""
SPLIT, WIDE = 1.3, 2.2
"""Growth of the pool from which one, and two, sizes between the old and the new pool are trained as well."""
EXTRA = 2
"""Sizes trained in a round besides that of the new pool."""
MOST_PLAYED = 500
"""Rounds of a campaign, and draws of a size."""
NEAR = 1.12
"""Ratio up to which two sizes count as the same."""


@dataclass(frozen=True)
class Truth:
    """A learning curve that is known, with its noise."""

    name: str
    sizes: FloatArray
    """Cases, ascending, shape [sizes]; between them scores are interpolated in log n."""
    scores: FloatArray
    """Expected score, never falling, shape [sizes]."""
    run_sd: FloatArray
    """SD of a single run, shape [sizes]."""
    start: int
    """Cases annotated at the start."""
    n_max: int
    """Cases there will ever be."""
    source: str = ""
    """What is resampled together."""
    seen: tuple[tuple[int, tuple[float, ...]], ...] = ()
    """Sizes trained before the start and their scores; by default pilots are simulated there."""

    def score(self, n: float | FloatArray | IntArray) -> FloatArray:
        """Expected score at n cases."""
        return np.asarray(np.interp(np.log(n), np.log(self.sizes), self.scores))

    def sd(self, n: float) -> float:
        """SD of a single run at n cases."""
        return float(np.interp(np.log(n), np.log(self.sizes), self.run_sd))

    @cached_property
    def all_scores(self) -> FloatArray:
        """Scores of every total from the start to the end."""
        return self.score(np.arange(self.start, self.n_max + 1))

    @property
    def rise(self) -> float:
        """What annotating everything adds to the start."""
        return float(self.all_scores[-1] - self.all_scores[0])

    def needed(self, goal: Goal, per_case: float = 1.0) -> int | None:
        """Smallest total that meets the goal; None where none does."""
        if goal.kind == VALUE:
            worth = 100 * goal.amount * self.all_scores - per_case * np.arange(len(self.all_scores))
            return self.start + int(np.argmax(worth))
        bar = goal.amount if goal.kind == TARGET else self.all_scores[-1] - goal.amount
        met = self.all_scores >= bar - 1e-12
        return self.start + int(np.argmax(met)) if met.any() else None


@dataclass(frozen=True)
class Terms:
    """What a campaign is played under."""

    goal: Goal = field(default_factory=Goal)
    rounds: int = 6
    growth: float = 4.0
    """Largest pool after a round, as a multiple of the pool before it."""
    draws: int = 3
    per_case: float = 1.0
    per_round: float | None = None
    """By default 0.05 of annotating every case."""
    budget: float | None = None
    level: float = 0.9
    """Probability of the promises."""

    def __post_init__(self) -> None:
        """Refuse what cannot be played."""
        for name, least in (("rounds", 1), ("draws", 1), ("growth", 1.01), ("per_round", 0), ("budget", 0)):
            value = getattr(self, name)
            if value is not None and not least <= value < np.inf:
                raise InputError(f"{name} must be >= {least:g} and finite, found {value:g}.")
            if name in ("rounds", "draws") and value > MOST_PLAYED:
                raise InputError(f"{name} must be at most {MOST_PLAYED}, found {value}.")
        if not 0 < self.per_case < np.inf:
            raise InputError(f"per_case must be > 0 and finite, found {self.per_case:g}.")
        if self.per_case < LEAST or max(self.per_case, self.per_round or 0.0, self.budget or 0.0) > MOST:
            raise InputError(f"per_case must be at least {LEAST:g}, and costs and budget at most {MOST:g}.")

    def of_round(self, truth: Truth) -> float:
        """Cost of a round besides its cases."""
        return ROUND_SHARE * self.per_case * truth.n_max if self.per_round is None else self.per_round


@dataclass(frozen=True)
class State:
    """What a policy may know."""

    curve: Curve
    now: int
    n_max: int
    rounds_left: int
    spent: float
    terms: Terms
    of_round: float
    """Cost of a round besides its cases."""
    seed: int


@dataclass(frozen=True)
class Action:
    """What a policy wants: a larger total, pilots, or (the same total, no pilots) to stop."""

    total: int
    pilots: Design | None = None
    code: str = ""
    promise: Promise | None = None


Policy = Callable[[State], Action]


@dataclass(frozen=True)
class Played:
    """How a campaign went."""

    truth: Truth
    collected: int
    """Cases annotated at the end."""
    rounds: int
    cost: float
    """Cases and rounds, without what falling short costs."""
    score: float
    """True score at the end."""
    end: str
    """Code of the last action."""
    outcomes: tuple[PromiseOutcome, ...]
    """What was promised for each batch and what was observed."""

    def met(self, goal: Goal) -> bool:
        """Whether the goal is met with the cases collected."""
        needed = self.truth.needed(goal)
        return needed is not None and self.collected >= needed

    @property
    def gap(self) -> float:
        """What annotating everything would still add."""
        return float(self.truth.all_scores[-1]) - self.score


def play(truth: Truth, policy: Policy, terms: Terms, seed: int) -> Played:
    """Play one campaign; the same seed gives the same noise to every policy that trains the same sizes in turn."""
    rng = np.random.default_rng([seed, 21])
    first = [max(round(share * truth.start), int(np.ceil(truth.sizes[0]))) for share in FIRST_SIZES]
    seen = {n: list(scores) for n, scores in truth.seen}
    for n in [] if seen else sorted(set(first)):
        _observe(truth, n, terms.draws, seen, rng)
    now, spent, of_round, outcomes = truth.start, 0.0, terms.of_round(truth), []
    for number in range(terms.rounds + 1):
        left = terms.rounds - number
        state = State(_curve(seen, now), now, truth.n_max, left, spent, terms, of_round, 100 * seed + number)
        action = policy(state)
        total = _allowed(action.total, state)
        if left == 0 or (total <= now and action.pilots is None):
            break
        spent += (total - now) * terms.per_case + of_round
        if total > now:
            for n in [*extra_sizes(list(seen), total), total]:
                _observe(truth, n, terms.draws, seen, rng)
            if action.promise is not None and action.promise.n == total:
                outcomes.append(
                    PromiseOutcome(action.promise, now, float(np.mean(seen[total][: action.promise.draws])))
                )
        elif action.pilots is not None:
            for n, draws in zip(action.pilots.sizes, action.pilots.draws, strict=True):
                _observe(truth, n, draws, seen, rng)
        now = total
    return Played(truth, now, number, spent, float(truth.score(now)), action.code, tuple(outcomes))


def extra_sizes(trained: Sequence[int], new: int, most: int = EXTRA) -> list[int]:
    """Sizes worth training beside a new largest one: between the old and the new, then in the widest gaps below."""
    old = max(trained)
    count = 2 if new > WIDE * old else 1 if new > SPLIT * old else 0
    found = [round(old * (new / old) ** (i / (count + 1))) for i in range(1, min(count, most) + 1)]
    while len(found) < most:
        have = sorted({*trained, *found, new})
        gaps = [((b / a - 1) * (b / new) ** 0.25, a, b) for a, b in pairwise(have) if b > NEAR * a]
        if not gaps:
            break
        _, a, b = max(gaps)
        found.append(round((a * b) ** 0.5))
    return sorted(set(found) - {new})


def _allowed(wanted: int, state: State) -> int:
    """A wanted total within growth, what there is and what can be paid; the pool at hand where that allows nothing."""
    most = min(int(state.terms.growth * state.now), state.n_max)
    if state.terms.budget is not None:
        payable = (state.terms.budget - state.spent - state.of_round) / state.terms.per_case
        most = min(most, state.now + max(int(payable + 1e-9), 0))
    return max(min(wanted, most), state.now)


def _observe(truth: Truth, n: int, draws: int, seen: dict[int, list[float]], rng: np.random.Generator) -> None:
    scores = truth.score(n) + truth.sd(n) * rng.standard_normal(draws)
    seen.setdefault(n, []).extend(np.clip(scores, 0, 1).tolist())


def _curve(seen: dict[int, list[float]], now: int) -> Curve:
    sizes = sorted(seen)
    n = np.repeat(sizes, [len(seen[size]) for size in sizes]).astype(np.int64)
    draw = np.concatenate([np.arange(len(seen[size])) for size in sizes]).astype(np.int64)
    return averaged_curve("simulated", n, draw, np.concatenate([seen[size] for size in sizes]), now, UNBOUNDED)
