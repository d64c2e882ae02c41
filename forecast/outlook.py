"""What every possible total of cases would do for a goal, draw by draw of a posterior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .goal import PLATEAU, TARGET, Goal
from .posterior import Posterior
from .types import BoolArray, FloatArray, IntArray

STEPS = ((10, 1), (50, 5), (200, 10), (1000, 50))
"""Up to which batch people plan in which steps; past the last, in steps of about a tenth."""


def round_batches(most: int) -> IntArray:
    """Batches that people plan with, ascending, at most `most`, which is the last of them."""
    found: list[int] = []
    for limit, step in STEPS:
        found += range(found[-1] + step if found else step, limit + 1, step)
    while found[-1] < most:
        scale = 10 ** (len(str(found[-1])) - 2)
        found.append(round(1.1 * found[-1] / scale) * scale)
    return np.array([*[batch for batch in found if batch < most], *([most] if most > 0 else [])], dtype=np.int64)


def misfit_of(posterior: Posterior) -> FloatArray:
    """By how much the score misses each draw's curve, the same at any number of cases, score units, shape [draws]."""
    normal = np.random.default_rng([posterior.seed, 12]).standard_normal(len(posterior.dm))
    return np.asarray(posterior.noise[:, 2] * normal)


@dataclass(frozen=True)
class Outlook:
    """The scores that totals of cases would give, and the goal."""

    goal: Goal
    totals: IntArray
    """Cases annotated in all, ascending from those at hand to all there will ever be, shape [totals]."""
    scores: FloatArray
    """Draws of the expected score, never falling with the total, shape [totals, draws]."""
    misfit: FloatArray
    """By how much the largest total's score misses each draw's curve, score units, shape [draws]."""
    weights: FloatArray | None = None
    """Probability of each draw, sum 1, shape [draws]; by default all the same."""

    @classmethod
    def of(cls, posterior: Posterior, goal: Goal, now: int, n_max: int) -> Outlook:
        """Look from `now` annotated cases to `n_max`, in batches that people plan with."""
        totals = now + np.concatenate([[0], round_batches(n_max - now)])
        return cls(goal, totals, np.maximum.accumulate(posterior.scores(totals), axis=0), misfit_of(posterior))

    @cached_property
    def missing(self) -> FloatArray:
        """What the score still lacks of the goal, at most 0 where it is met, shape [totals, draws].

        The misfit counts: a total suffices on the real curve, not on the drawn one.
        """
        if self.goal.kind == TARGET:
            return np.asarray(self.goal.amount - self.scores - self.misfit)
        rest = self.scores[-1] + self.misfit - self.scores
        rest[-1] = 0.0
        return np.asarray(rest - self.goal.amount if self.goal.kind == PLATEAU else rest)

    @cached_property
    def needed(self) -> FloatArray:
        """Draws of the smallest total that meets the goal, inf where none does, shape [draws]."""
        met = self.missing <= 0
        return np.where(met.any(axis=0), self.totals[np.argmax(met, axis=0)], np.inf)

    @cached_property
    def p_met(self) -> FloatArray:
        """Probability that each total meets the goal, shape [totals]."""
        return self.mean(self.needed[None, :] <= self.totals[:, None])

    @property
    def p_too_few(self) -> FloatArray:
        """Probability that each total does not meet the goal, shape [totals]; 0 for all there will ever be."""
        last = np.searchsorted(self.totals, np.minimum(self.needed, self.n_max))
        mass = np.bincount(last, self.weights, len(self.totals)) / (len(last) if self.weights is None else 1.0)
        return np.append(np.cumsum(mass[::-1])[-2::-1], 0.0)

    def weighed(self, weights: FloatArray) -> Outlook:
        """The same draws with other probabilities, shape [draws]; what they do for the goal is not found anew."""
        found = replace(self, weights=weights)
        vars(found).update(missing=self.missing, needed=self.needed)
        return found

    @property
    def n_max(self) -> int:
        """Cases there will ever be."""
        return int(self.totals[-1])

    def mean(self, values: FloatArray | BoolArray) -> FloatArray:
        """Expectation over the draws, the last axis."""
        return np.asarray(values.mean(axis=-1) if self.weights is None else values @ self.weights)

    @property
    def p_reached(self) -> float:
        """Probability that the cases at hand meet the goal on the curve itself."""
        bar = self.goal.amount if self.goal.kind == TARGET else self.scores[-1] - self.goal.amount
        return float(self.mean(self.scores[0] >= bar))

    def p_at(self, total: int) -> float:
        """Probability that a total meets the goal."""
        return float(self.mean(self.needed <= total))
