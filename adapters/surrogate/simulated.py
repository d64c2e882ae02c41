"""Exercises simulated from the prior over curves that the average of families ships with."""

from __future__ import annotations

import numpy as np

from ...forecast.curve import averaged_curve
from ...forecast.noise import SHAPES, SPREAD_PRIOR
from ...forecast.points import Points, from_prior
from ...forecast.prior import Prior
from ...forecast.types import FloatArray, IntArray
from .exercises import Exercises, joined, padded, times_asked
from .sequences import FEWEST_SIZES, MOST_SIZES

LARGEST = 10_000
"""Largest trained size of simulated curves; any, since everything is free of the scale of n."""
SPAN = (2.0, 40.0)
"""Largest over smallest trained size."""
PER_PATTERN = 100
"""Curves that share their sizes."""
FROM_EACH = 8
"""Points of the prior for every curve kept: they are spread evenly over the families, and kept by their weights."""
LEAST_LEVEL = 0.01
"""Smallest error at the anchor in the half that is spread evenly in its logarithm."""
MOST_NOISE, MOST_MISFIT = 0.4, 0.2
"""Largest SDs of a run and of the misfit, as shares of the error at the largest trained size."""


def simulated(prior: Prior, patterns: int, rng: np.random.Generator) -> Exercises:
    """Exercises whose curves come from a prior and whose noise from that of `noise`.

    Args:
        prior: Over curves and misfits.
        patterns: How many sets of sizes; each is shared by `PER_PATTERN` curves.
        rng: Source of everything random.
    """
    return joined([_with_sizes(prior, sizes_like_pilots(rng), rng) for _ in range(patterns)])


def sizes_like_pilots(rng: np.random.Generator) -> IntArray:
    """Three to ten trained sizes up to `LARGEST`: in equal steps, in equal ratios, or anyhow."""
    count = int(rng.integers(FEWEST_SIZES, MOST_SIZES + 1))
    span = np.exp(rng.uniform(*np.log(SPAN)))
    kind = rng.integers(3)
    if kind == 0:
        sizes = np.linspace(1 / span, 1, count)
    elif kind == 1:
        sizes = np.geomspace(1 / span, 1, count)
    else:
        inner = np.exp(rng.uniform(-np.log(span), 0, count - 2))
        sizes = np.r_[1 / span, np.sort(inner), 1]
    found = np.unique(np.round(sizes * LARGEST).astype(np.int64))
    return found if len(found) >= FEWEST_SIZES else sizes_like_pilots(rng)


def _with_sizes(prior: Prior, sizes: IntArray, rng: np.random.Generator) -> Exercises:
    """Curves that were trained at the same sizes."""
    points = _points(prior, sizes, rng)
    count = len(points)
    asked = np.round(np.array(times_asked(rng)) * LARGEST).astype(np.int64)
    relative, most = points.errors_and_most(np.r_[sizes, asked])
    even, log = rng.random(count), np.exp(rng.uniform(np.log(LEAST_LEVEL), 0, count))
    error = (np.where(rng.random(count) < 0.5, even, log) * most)[:, None] * relative
    last = error[:, len(sizes) - 1]
    misfit = np.minimum(rng.choice(prior.misfit, count, p=prior.misfit_mass), MOST_MISFIT * last)
    error = error + _misfits(misfit, np.r_[sizes, asked], rng)
    score = np.clip(1 - error, 0, 1)
    noise, subset = _noise(last, sizes, rng)
    infinite = rng.random(count) < 0.5
    return Exercises(
        n=padded(np.broadcast_to(sizes.astype(float), (count, len(sizes)))),
        truth=padded(score[:, : len(sizes)]),
        noise=padded(noise),
        subset=subset,
        pool=np.where(infinite, np.inf, float(sizes[-1])),
        length=np.full(count, len(sizes)),
        asked=np.broadcast_to(asked.astype(float), (count, len(asked))),
        answer=score[:, len(sizes) :],
    )


def _points(prior: Prior, sizes: IntArray, rng: np.random.Generator) -> Points:
    """Curves of the prior's average, families by their weights."""
    curve = averaged_curve("", sizes, np.zeros_like(sizes), np.zeros(len(sizes)), int(sizes[-1]), int(sizes[-1]))
    points = from_prior(prior, curve, PER_PATTERN * FROM_EACH, rng)
    weights = np.array([one.weight for one in prior.families])[points.pick]
    return points.at(rng.choice(len(points), PER_PATTERN, p=weights / weights.sum()))


def _misfits(sd: FloatArray, sizes: IntArray, rng: np.random.Generator) -> FloatArray:
    """Misfit by size, one and the same where a size occurs twice, shape [curves, sizes]."""
    distinct, place = np.unique(sizes, return_inverse=True)
    return np.asarray((sd[:, None] * rng.standard_normal((len(sd), len(distinct))))[:, place])


def _noise(last: FloatArray, sizes: IntArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """SD of a run's independent noise, shape [curves, sizes], and of the subset noise of one case, shape [curves]."""
    median, log_sd = SPREAD_PRIOR
    count, smallest = len(last), float(sizes[0])
    spread = np.minimum(median * np.exp(log_sd * rng.standard_normal(count)), MOST_NOISE * last)
    kind = rng.integers(len(SHAPES), size=count)
    share, nested = (np.array(column)[kind] for column in zip(*SHAPES, strict=True))
    training, falling = spread**2 * (1 - share), spread**2 * share * smallest
    independent = training[:, None] + np.where(nested, 0, falling)[:, None] / sizes
    return np.sqrt(independent), np.sqrt(np.where(nested, falling, 0))
