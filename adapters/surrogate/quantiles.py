"""The predictive distribution as quantiles at fixed probabilities: intervals, means and draws of it."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from ...forecast.errors import InputError
from ...forecast.types import FloatArray, Interval, probabilities_of

PROBABILITIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
"""Where the network gives quantiles; symmetric about the median."""
MOST_LEVEL = PROBABILITIES[-1] - PROBABILITIES[0]
"""Largest probability of an interval: past the outermost quantiles nothing was learned."""
DRAWS = 999
_NORMAL_SCORES = np.array([NormalDist().inv_cdf(p) for p in PROBABILITIES])


def check_level(level: float) -> None:
    """Refuse a level that the quantiles do not span.

    Raises:
        InputError: It does not lie in (0, MOST_LEVEL].
    """
    if not 0 < level <= MOST_LEVEL + 1e-9:
        raise InputError(
            f"level must lie between 0 (exclusive) and {MOST_LEVEL:g} with the LSTM, found {level:g}: its quantiles "
            f"span {PROBABILITIES[0]:g} to {PROBABILITIES[-1]:g}."
        )


def interval(quantiles: FloatArray, level: float) -> Interval:
    """The equal-tailed interval of one forecast, between quantiles linear in the probability's normal score.

    Raises:
        InputError: The level is past the outermost quantiles.
    """
    check_level(level)
    at = [NormalDist().inv_cdf(p) for p in probabilities_of(level)]
    lo, median, hi = np.interp(at, _NORMAL_SCORES, quantiles)
    return Interval(float(median), float(lo), float(hi), level)


def draws(quantiles: FloatArray, count: int = DRAWS) -> FloatArray:
    """Evenly spread draws of forecasts, shape [count, ...]; the tails past the outermost quantiles lie on them.

    Args:
        quantiles: Shape [..., probabilities].
        count: Number of draws; an odd one has the median among them.
    """
    at = [NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)]
    flat = quantiles.reshape(-1, len(PROBABILITIES))
    found = np.stack([np.interp(at, _NORMAL_SCORES, one) for one in flat], axis=-1)
    return np.asarray(found.reshape(count, *quantiles.shape[:-1]))
