"""Exercises the network learns from: finished curves, seen at some of their sizes and asked at later ones.

An exercise holds true scores; the runs that are observed at the trained sizes are drawn anew every time it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ...forecast.types import FloatArray, IntArray
from .sequences import FURTHEST, MOST_DRAWS, MOST_SIZES, Observed, standard_errors

ASKED = 4
"""Sizes asked for in every exercise."""
NOW = 0.15
"""Share of the questions about the largest trained size itself."""
EVEN_DRAWS, KNOWN = 0.7, 0.1
"""Share of curves with equally many draws at every size, and of averages that come with their true standard errors."""


@dataclass(frozen=True)
class Exercises:
    """Finished curves with their noise; sizes are filled in from the left, the rest is NaN."""

    n: FloatArray
    """Trained sizes, shape [exercises, MOST_SIZES]."""
    truth: FloatArray
    """Expected scores there, shape as `n`."""
    noise: FloatArray
    """SD of a single run, independent from run to run, shape as `n`."""
    subset: FloatArray
    """SD of the subset noise of one case, shared along a draw's nested sizes, shape [exercises]."""
    pool: FloatArray
    """Cases that the draws are drawn from, shape [exercises]."""
    length: IntArray
    """Number of trained sizes, shape [exercises]."""
    asked: FloatArray
    """Sizes asked for, shape [exercises, ASKED]."""
    answer: FloatArray
    """Expected scores there, shape as `asked`."""

    def __len__(self) -> int:
        return len(self.length)

    def observe(self, who: IntArray, rng: np.random.Generator) -> Observed:
        """Runs of some exercises with equally many sizes, averaged over their draws."""
        sizes = int(self.length[who[0]])
        n = self.n[who, :sizes]
        runs = self.truth[who, None, :sizes] + self._noise(who, sizes, rng)
        runs = np.clip(runs, 0, 1)
        draws = _draws(len(who), sizes, rng)
        there = np.arange(MOST_DRAWS)[None, :, None] < draws[:, None, :]
        mean = np.where(there, runs, 0).sum(axis=1) / draws
        squares = np.where(there, (runs - mean[:, None]) ** 2, 0).sum(axis=1)
        error = standard_errors(np.sqrt(squares / np.maximum(draws - 1, 1)), draws)
        true = np.sqrt((self.noise[who, :sizes] ** 2 + self.subset[who, None] ** 2 / n) / draws)
        known = rng.random(len(who)) < KNOWN
        return Observed(n, mean, draws, np.where(known[:, None], true, error))

    def _noise(self, who: IntArray, sizes: int, rng: np.random.Generator) -> FloatArray:
        """Noise of `MOST_DRAWS` runs at every size, shape [exercises, draws, sizes].

        Subset noise of a draw has covariance `subset^2 / max(n, n')` along its nested sizes and `subset^2 / pool` with
        the other draws: a part common to all draws plus steps, independent, from each size to the next smaller one.
        """
        shape = (len(who), MOST_DRAWS, sizes)
        independent = self.noise[who, None, :sizes] * rng.standard_normal(shape)
        inverse = np.c_[1 / self.n[who, :sizes], 1 / self.pool[who]]
        steps = np.sqrt(np.maximum(-np.diff(inverse), 0))[:, None, :] * rng.standard_normal(shape)
        walk = steps[..., ::-1].cumsum(axis=-1)[..., ::-1]
        common = rng.standard_normal((len(who), 1, 1)) * np.sqrt(inverse[:, None, -1:])
        return np.asarray(independent + self.subset[who, None, None] * (walk + common))


def joined(parts: Sequence[Exercises]) -> Exercises:
    """All exercises, one part after the other."""
    columns = {one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Exercises)}
    return Exercises(**columns)


def _draws(curves: int, sizes: int, rng: np.random.Generator) -> FloatArray:
    """Draws per size, 1 to `MOST_DRAWS`; never more at a larger size than at a smaller one, as users plan them."""
    largest = rng.integers(1, MOST_DRAWS + 1, (curves, 1))
    varied = np.sort(rng.integers(1, MOST_DRAWS + 1, (curves, sizes)), axis=1)[:, ::-1]
    even = rng.random((curves, 1)) < EVEN_DRAWS
    return np.where(even, np.broadcast_to(largest, varied.shape), varied).astype(float)


def padded(values: Sequence[FloatArray] | FloatArray) -> FloatArray:
    """Rows of different lengths as one array [rows, MOST_SIZES], NaN past their ends."""
    out = np.full((len(values), MOST_SIZES), np.nan)
    for row, one in zip(out, values, strict=True):
        row[: len(one)] = one
    return out


def times_asked(rng: np.random.Generator) -> FloatArray:
    """How many times the largest trained size is asked for: 1, or evenly in the logarithm up to the furthest."""
    times = np.exp(rng.uniform(0, np.log(FURTHEST), ASKED))
    return np.where(rng.random(ASKED) < NOW, 1.0, times)
