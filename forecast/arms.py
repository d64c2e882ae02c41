"""An arm ready to be set against others: its curve, draws of what to expect of it, and what its cases cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from .checks import PredictiveCheck, predictive_check
from .costs import LEAST, MOST
from .curve import Curve
from .errors import InputError
from .families import NAMED
from .forecast import SCOPES, Question, horizon_of
from .population import population_posterior
from .posterior import Posterior
from .prior import AVERAGE
from .quadrature import quadrature
from .sampler import sample_posterior
from .types import FloatArray


@dataclass(frozen=True)
class ArmCost:
    """What it costs to annotate cases for an arm and to train it once."""

    per_case: float
    """Annotating a case, in a unit that all arms share."""
    per_run: float = 0.0
    """Training the final model, whatever the number of cases."""

    def __post_init__(self) -> None:
        """Refuse what cannot be divided by."""
        if not 0 < self.per_case < math.inf:
            raise InputError(f"the cost of a case must be > 0 and finite, found {self.per_case:g}.")
        if not 0 <= self.per_run < math.inf:
            raise InputError(f"the cost of a run must be >= 0 and finite, found {self.per_run:g}.")
        if not LEAST <= self.per_case <= MOST or self.per_run > MOST:
            raise InputError(
                f"the cost of a case must lie in [{LEAST:g}, {MOST:g}], that of a run must be at most {MOST:g}, found "
                f"{self.per_case:g} and {self.per_run:g}."
            )

    def cases(self, amount: float) -> int:
        """Cases that an amount pays for beside the training; negative where it does not even pay for that."""
        return math.floor((amount - self.per_run) / self.per_case + 1e-9)

    def of(self, cases: float) -> float:
        """Cost of annotating cases and training on them."""
        return cases * self.per_case + self.per_run


@dataclass(frozen=True)
class Arm:
    """A curve with its posteriors."""

    curve: Curve
    expected: Posterior
    """What expected scores come from: the average, or the family asked for."""
    named: Posterior
    """The exponential plateau."""
    check: PredictiveCheck
    """Whether the curve and its noise could have made the scores."""

    @property
    def name(self) -> str:
        """The name of the arm."""
        return self.curve.arm

    @property
    def smallest(self) -> int:
        """Smallest trained size; nothing is said below it."""
        return int(self.curve.sizes[0])

    @property
    def horizon(self) -> int:
        """Largest size that anything is said of."""
        return horizon_of(self.curve)

    def scores(self, n: ArrayLike) -> FloatArray:
        """Draws of the curve at n, inside [0, 1], shape [*n.shape, draws].

        The misfit of the families is left out: two arms are compared by their curves, and intervals of differences
        and ratios cover more than they say with it.
        """
        return np.clip(self.expected.scores(n), 0, 1)

    def cases_for(self, score: FloatArray) -> FloatArray:
        """Draws of the cases it takes to reach a score (one per draw); inf where it is never reached."""
        return self.expected.sizes_for(score)


def arms_of(curves: Sequence[Curve], question: Question, quick: bool = False) -> list[Arm]:
    """The arms, each with as many draws as the others.

    Every arm has a seed of its own, so that nothing but the same test cases (scope population) ties their draws.

    Args:
        curves: At least three sizes each.
        question: What is asked of them.
        quick: Single families by quadrature instead of MCMC.

    Raises:
        InputError: The scope is the population but nothing is known of the spread over test cases.
    """
    found = [_arm(curve, question, question.seed + 1000 * i, quick) for i, curve in enumerate(curves)]
    expected, named = min(len(arm.expected.dm) for arm in found), min(len(arm.named.dm) for arm in found)
    return [replace(arm, expected=arm.expected.first(expected), named=arm.named.first(named)) for arm in found]


def _arm(curve: Curve, question: Question, seed: int, quick: bool) -> Arm:
    def posterior(model: str) -> Posterior:
        if question.scope == "population":
            return population_posterior(curve, seed, model=model, test_seed=question.seed)
        if quick or model == AVERAGE:
            return quadrature(curve, seed, model=model)
        return sample_posterior(curve, seed, model=model)

    named = posterior(NAMED.name)
    expected = named if question.model == NAMED.name else posterior(question.model)
    check = predictive_check(expected if question.scope == SCOPES[0] else quadrature(curve, question.seed))
    return Arm(curve, expected, named, check)


def span_of(arms: Sequence[Arm]) -> tuple[int, int]:
    """The sizes that every arm can speak of, first and last; the first is the larger one where there are none."""
    return max(arm.smallest for arm in arms), min(arm.horizon for arm in arms)


def sizes_between(arms: Sequence[Arm], count: int) -> FloatArray:
    """Sizes that every arm can speak of, even in their logarithm, shape [count].

    Raises:
        ValueError: There are none.
    """
    first, last = span_of(arms)
    if first > last:
        raise ValueError(f"no size is both >= {first} and <= {last}")
    return np.geomspace(first, last, count)
