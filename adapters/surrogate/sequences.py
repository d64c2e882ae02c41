"""A curve as the network reads it: one token per trained size, ascending, free of the scale of n."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...forecast.curve import Curve
from ...forecast.types import FloatArray

FEWEST_SIZES, MOST_SIZES = 3, 10
"""Lengths of the sequences that the network was trained on."""
MOST_DRAWS = 5
"""Most draws per size that it was trained on."""
FURTHEST = 16
"""How many times the largest trained size it can be asked at all."""
LEAST_ERROR = 0.002
"""Floor of an error 1 - score before its logarithm is taken."""
FREEDOM = 4
"""How many draws' worth the pooled variance counts at each size: with two or three draws, a size's own is a guess."""
NOISE_SPAN = (0.003, 3.0)
"""Standard errors relative to the error are cut to this span."""
TOKEN = 6
"""Numbers in a token, without those of the configuration."""


@dataclass(frozen=True)
class Observed:
    """Mean scores of several curves with equally many sizes; every array has the shape [curves, sizes]."""

    n: FloatArray
    """Sizes, ascending."""
    score: FloatArray
    """Mean score over the draws, in [0, 1]."""
    draws: FloatArray
    """Number of draws."""
    error: FloatArray
    """Standard error of the mean over draws; NaN where nothing is known of it."""

    @property
    def last_error(self) -> FloatArray:
        """The error 1 - score at the largest size, at least `LEAST_ERROR`, shape [curves]."""
        return np.maximum(1 - self.score[:, -1], LEAST_ERROR)

    @property
    def tokens(self) -> FloatArray:
        """What the network reads, shape [curves, sizes, TOKEN].

        The logarithms of the size over the largest, of the error over the last error, and of the last error itself;
        the logarithm of the number of draws; of the mean's standard error over the error, 0 where it is unknown; and
        whether it is known.
        """
        error = np.maximum(1 - self.score, LEAST_ERROR)
        last = np.log(self.last_error)[:, None]
        known = np.isfinite(self.error)
        relative = np.log(np.clip(np.where(known, self.error, error) / error, *NOISE_SPAN))
        parts = [
            np.log(self.n / self.n[:, -1:]),
            np.log(error) - last,
            np.broadcast_to(last, error.shape),
            np.log(np.minimum(self.draws, MOST_DRAWS)),
            relative,
            known.astype(float),
        ]
        return np.stack(parts, axis=-1)


def standard_errors(spread: FloatArray, draws: FloatArray) -> FloatArray:
    """Standard errors of means over draws, from each size's SD over draws and from the SD pooled over sizes.

    A size's variance is moderated towards the pooled one, which counts as `FREEDOM` degrees of freedom (Smyth 2004,
    doi 10.2202/1544-6115.1027); a size with one draw has the pooled one.

    Args:
        spread: SD over draws; whatever it is where there is one draw, shape [curves, sizes].
        draws: Number of draws, shape [curves, sizes].

    Returns:
        Shape [curves, sizes]; NaN for curves with one draw at every size.
    """
    freedom = draws - 1
    variance = np.where(freedom > 0, spread, 0.0) ** 2
    total = freedom.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (freedom * variance).sum(axis=1, keepdims=True) / total
        moderated = (FREEDOM * pooled + freedom * variance) / (FREEDOM + freedom)
    return np.asarray(np.sqrt(moderated / draws))


def observed(curve: Curve, most: int = MOST_SIZES) -> Observed:
    """A curve as a batch of one: its largest `most` sizes; given standard errors are taken as they are."""
    keep = slice(-most, None)
    draws = curve.draws[None].astype(float)
    variance = _given_variance(curve)
    if variance is None:
        error = standard_errors(np.array([[0.0 if sd is None else sd for sd in curve.draw_sd]]), draws)
    else:
        error = np.sqrt(variance / draws)
    score = np.clip(curve.observed, 0, 1)[None]
    columns = (curve.sizes[None].astype(float), score, draws, error)
    return Observed(*(values[:, keep] for values in columns))


def _given_variance(curve: Curve) -> FloatArray | None:
    """Variance of a run at every size by the standard errors given, shape [sizes]; None where none is > 0.

    Sizes without one have the mean of the others'.
    """
    if curve.se_draws is None:
        return None
    known = np.isfinite(curve.se_draws) & (curve.se_draws > 0)
    if not known.any():
        return None
    squares = np.where(known, np.nan_to_num(curve.se_draws), 0.0) ** 2
    at_size = curve.n[:, None] == curve.sizes[None, :]
    count = (at_size & known[:, None]).sum(axis=0)
    sums = (at_size * squares[:, None]).sum(axis=0)
    return np.asarray(np.where(count > 0, sums / np.maximum(count, 1), squares.sum() / known.sum()))
