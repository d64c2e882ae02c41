"""Exercises cut from real learning curves that are known from small sizes to large ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...forecast.types import FloatArray, IntArray
from .exercises import ASKED, NOW, Exercises, padded
from .sequences import FEWEST_SIZES, FURTHEST, MOST_SIZES

STEPS = 4
"""Regular sequences take every first to fourth size of the curve."""
REGULAR = 0.5
"""Share of sequences with regular steps; the others skip sizes anyhow."""
SCALED = 0.5
"""Share of exercises whose error is scaled: a curve stays one when its error is multiplied."""
SMALLEST_SCALE, LARGEST_SCALE = 0.2, 2.0


@dataclass(frozen=True)
class RealCurve:
    """One curve of a database, every array with one entry per size."""

    source: str
    """What stays together when data are split; sources count equally, however many curves they gave."""
    n: FloatArray
    """Sizes, ascending."""
    score: FloatArray
    """Expected scores, in [0, 1]."""
    noise: FloatArray
    """SD of a single run."""
    weight: float = 1.0
    """How often it is taken among the curves of its source."""


@dataclass(frozen=True)
class _Cut:
    """Which sizes of a curve are seen, which are asked for."""

    curve: RealCurve
    seen: IntArray
    asked: IntArray
    scale: float


def cut_from(curves: Sequence[RealCurve], count: int, rng: np.random.Generator) -> Exercises:
    """Exercises from real curves with at least three sizes; noise as given, independent between runs."""
    usable = [one for one in curves if len(one.n) >= FEWEST_SIZES]
    chance = _chances(usable)
    cuts = [_cut(usable[i], rng) for i in rng.choice(len(usable), count, p=chance)]
    return Exercises(
        n=padded([cut.curve.n[cut.seen] for cut in cuts]),
        truth=padded([_scaled(cut, cut.seen) for cut in cuts]),
        noise=padded([cut.scale * cut.curve.noise[cut.seen] for cut in cuts]),
        subset=np.zeros(count),
        pool=np.full(count, np.inf),
        length=np.array([len(cut.seen) for cut in cuts]),
        asked=np.array([cut.curve.n[cut.asked] for cut in cuts]),
        answer=np.array([_scaled(cut, cut.asked) for cut in cuts]),
    )


def _chances(curves: Sequence[RealCurve]) -> FloatArray:
    """Probability of each curve: sources alike, curves within by their weights."""
    names, place = np.unique([one.source for one in curves], return_inverse=True)
    weight = np.array([one.weight for one in curves])
    total = np.bincount(place, weight, minlength=len(names))
    return np.asarray(weight / total[place] / len(names))


def _cut(curve: RealCurve, rng: np.random.Generator) -> _Cut:
    """Three to ten sizes to be seen, and later ones to be asked for, up to `FURTHEST` times the largest seen."""
    last = int(rng.integers(FEWEST_SIZES - 1, len(curve.n)))
    seen = _regular(last, rng) if rng.random() < REGULAR else _any(last, rng)
    furthest = int(np.searchsorted(curve.n, FURTHEST * curve.n[last], side="right"))
    asked = rng.integers(last, furthest, ASKED)
    asked = np.where(rng.random(ASKED) < NOW, last, asked)
    scale = 1.0
    if rng.random() < SCALED:
        largest = float(np.max(1 - curve.score[np.r_[seen, asked]]))
        most = min(LARGEST_SCALE, 1 / max(largest, 1e-3))
        scale = float(np.exp(rng.uniform(np.log(SMALLEST_SCALE), np.log(max(most, 1.0)))))
    return _Cut(curve, seen, asked, scale)


def _regular(last: int, rng: np.random.Generator) -> IntArray:
    """Every first to fourth size up to the last."""
    step = int(rng.integers(1, STEPS + 1))
    step = min(step, last // (FEWEST_SIZES - 1))
    count = int(rng.integers(FEWEST_SIZES, min(MOST_SIZES, last // step + 1) + 1))
    return np.arange(last - (count - 1) * step, last + 1, step)


def _any(last: int, rng: np.random.Generator) -> IntArray:
    """The last size and some of those before."""
    count = int(rng.integers(FEWEST_SIZES, min(MOST_SIZES, last + 1) + 1))
    return np.asarray(np.r_[np.sort(rng.choice(last, count - 1, replace=False)), last])


def _scaled(cut: _Cut, which: IntArray) -> FloatArray:
    return 1 - cut.scale * (1 - cut.curve.score[which])
