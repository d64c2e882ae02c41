"""What was promised for the score after a batch, and what came of it: a campaign's own calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from .curve import Curve
from .forecast import FEWEST_SIZES, Question, with_noise
from .posterior import Posterior
from .quadrature import quadrature
from .subsets import shared_by
from .types import Interval


@dataclass(frozen=True)
class Promise:
    """The mean score of the pilots to be trained after a batch."""

    n: int
    """Cases annotated then."""
    draws: int
    """Draws of the mean."""
    interval: Interval

    def document(self) -> dict[str, Any]:
        """As in the JSON contract."""
        found = self.interval
        return {"n": self.n, "draws": self.draws, "median": found.median, "lo": found.lo, "hi": found.hi}


@dataclass(frozen=True)
class PromiseOutcome:
    """A promise and what was then observed."""

    promise: Promise
    n_before: int
    """Cases annotated when it was made."""
    observed: float

    @property
    def held(self) -> bool:
        """Whether the interval held what was observed."""
        return self.promise.interval.lo <= self.observed <= self.promise.interval.hi


def promise_at(posterior: Posterior, n: int, draws: int, level: float) -> Promise:
    """The mean score over `draws` pilots at n cases, all drawn from the pool there will be then."""
    shared = float(shared_by(np.array([draws]), np.array([n]), posterior.curve.pool).item())
    _, runs = with_noise(posterior, posterior.scores(n), n, draws, shared)
    return Promise(n, draws, Interval.of(runs, level))


def outcomes(curve: Curve, question: Question, promised: Sequence[Promise] = ()) -> tuple[PromiseOutcome, ...]:
    """Every growth of the pool: the promise made before it, and the mean score observed at its new size.

    Args:
        curve: The scores so far, with the size of the pool after each round.
        question: Seed, level and model of the promises.
        promised: Promises on record, the newest last. Where none is on record for a size that was reached, it is made
            again from the sizes known before.
    """
    found: list[PromiseOutcome] = []
    for before, after in pairwise(curve.pool):
        if after not in curve.sizes or np.sum(curve.sizes <= before) < FEWEST_SIZES:
            continue
        scores = curve.y[curve.n == after]
        recorded = next((one for one in reversed(promised) if one.n == after and one.draws <= len(scores)), None)
        if recorded is None:
            posterior = quadrature(_known_at(curve, before), question.seed, model=question.model)
            recorded = promise_at(posterior, after, len(scores), question.level)
        found.append(PromiseOutcome(recorded, before, float(np.mean(scores[: recorded.draws]))))
    return tuple(found)


def _known_at(curve: Curve, pool: int) -> Curve:
    """The curve as it was when the pool had that size."""
    larger = int(np.sum(curve.sizes > pool))
    steps = tuple(size for size in curve.pool if size <= pool)
    return replace(curve.without_largest(larger), pool=steps, n_annotated=pool)
