"""Which cases the training sets of runs share.

A draw orders the pool at random, and its runs take nested subsets. Subset noise of two runs covaries as
`tau1^2 |S and S'| / (n n')`, which is `tau1^2 / max(n, n')` within a draw and `tau1^2 / N` for two random subsets
of a pool of N, so at n = N all draws are one set, as they must be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .curve import Curve
from .types import FloatArray, IntArray


def overlap(curve: Curve) -> FloatArray:
    """Covariance of subset noise per unit tau1^2, shape [observations, observations]."""
    same = curve.draw[:, None] == curve.draw[None, :]
    return np.where(same, within_draw(curve.n), between_draws(curve.n, curve.pool))


def mean_overlap(curve: Curve) -> FloatArray:
    """The same of the mean over draws at each distinct size, shape [sizes, sizes]."""
    trained = (_places(curve) >= 0).astype(float)
    both = (trained.T @ trained) / (curve.draws[:, None] * curve.draws[None, :])
    other = between_draws(curve.sizes, curve.pool)
    return np.asarray(other + both * (within_draw(curve.sizes) - other))


def within_draw(n: IntArray) -> FloatArray:
    """Covariance per unit tau1^2 of runs of one draw, shape [sizes, sizes]."""
    return np.asarray(1 / np.maximum(n[:, None], n[None, :]))


def between_draws(n: IntArray, pool: Sequence[int]) -> FloatArray:
    """Covariance per unit tau1^2 of runs of two draws, shape [sizes, sizes].

    Each draw is a random ordering of round 0's pool followed by shuffled later batches, so two draws of all of a batch
    share all of it.
    """
    taken, batch = _taken(n, pool)
    return np.asarray((taken / batch) @ taken.T / (n[:, None] * n[None, :]))


def shared_by(draws: IntArray, n: IntArray, pool: Sequence[int]) -> FloatArray:
    """Variance of the mean of draws of size n, per unit tau1^2, shape [sizes].

    Args:
        draws: Draws at each size, shape [sizes].
        n: Sizes; of one past the pool, as it will be when the pool has that size, shape [sizes].
        pool: Size of the pool after each round.
    """
    taken, batch = _taken(n, pool)
    pair = np.where(n > max(pool), 1 / n, (taken**2 / batch).sum(axis=1) / n.astype(float) ** 2)
    return np.asarray((1 / n + (draws - 1) * pair) / draws)


def _taken(n: IntArray, pool: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Cases that a draw of each size takes from every batch, shape [sizes, batches], and how many these have."""
    edges = np.array([0, *sorted(set(pool))], dtype=float)
    batch = np.diff(edges)
    return np.clip(n[:, None] - edges[None, :-1], 0, batch), batch


def alike_draws(curve: Curve) -> list[IntArray]:
    """Draws that were trained at the same sizes.

    Returns:
        Positions of their observations, each array of shape [draws, sizes], sizes ascending.
    """
    places = _places(curve)
    patterns, member = np.unique(places >= 0, axis=0, return_inverse=True)
    return [places[member.ravel() == i][:, pattern] for i, pattern in enumerate(patterns)]


def _places(curve: Curve) -> IntArray:
    """Position of the observation of each draw and size, -1 where there is none, shape [draws, sizes]."""
    draws, row = np.unique(curve.draw, return_inverse=True)
    places = np.full((len(draws), len(curve.sizes)), -1)
    places[row, np.searchsorted(curve.sizes, curve.n)] = np.arange(len(curve.n))
    return places
