"""A density about points of the posterior: from it the next points are proposed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln, logit

from .points import Points
from .types import BoolArray, FloatArray, IntArray

BANDWIDTH = 0.7
"""Width of the kernels, times Silverman's rate."""
FREEDOM = 5
"""Degrees of freedom of the kernels' Student t: tails heavy enough to bound the weights."""
LOG_T = float(0.5 * np.log(FREEDOM * np.pi) + gammaln(FREEDOM / 2) - gammaln((FREEDOM + 1) / 2))
"""Log of the integral of (1 + t^2 / FREEDOM)^(-(FREEDOM + 1) / 2), the one-dimensional kernel."""
EACH = 40
"""Centres per component."""
CLIPPED = 20
"""Points of a component that share its largest weight."""
FLOOR = 0.05
"""Chance of every component on top of its share of the weights, before they are made to sum to 1."""
LEAST = (1e-4, 1e-4, 1e-5)
"""Least variances of the kernels."""


@dataclass(frozen=True)
class Kernels:
    """A mixture in (logit phi, ln(phi kappa), shape): products of Student t about centres in every component."""

    centres: Points
    """`EACH` of every component, one component after the other."""
    scale: FloatArray
    """Lower Cholesky factors of each component's kernels, shape [components, 3, 3]."""
    chance: FloatArray
    """Probability of each component, shape [components]."""

    @classmethod
    def about(cls, points: Points, log_weights: FloatArray, rng: np.random.Generator) -> Kernels:
        """Kernels about weighted points, as wide as those of their component spread.

        Within a component the largest `CLIPPED` weights are made equal, so that one lucky point among few does not
        draw all attention to itself (Koblents and Miguez 2015).
        """
        places, free = _places(points), _free(points)
        scale, mass, who = np.empty((len(free), 3, 3)), np.zeros(len(free)), []
        for component, has in enumerate(free):
            mine = points.members(component)
            log = log_weights[mine]
            mass[component] = np.exp(log - log_weights.max()).sum()
            log = np.where(np.isfinite(log), log, -np.inf)
            clip = np.partition(log, -CLIPPED)[-CLIPPED] if len(mine) > CLIPPED else log.min()
            weights = np.exp(np.minimum(log, clip) - clip) if np.isfinite(clip) else np.ones(len(mine))
            spread = np.cov(places[mine].T, aweights=weights)
            spread = np.where(np.outer(has, has), spread, 0) + np.diag(np.where(has, LEAST, 1.0))
            scale[component] = BANDWIDTH * EACH ** (-1 / (has.sum() + 4)) * np.linalg.cholesky(spread)
            who.append(mine[resample(weights, EACH, rng)])
        chance = np.sqrt(mass / mass.sum()) + FLOOR
        return cls(points.at(np.concatenate(who)), scale, chance / chance.sum())

    def draw(self, count: int, rng: np.random.Generator) -> Points:
        """Points about random centres."""
        component = np.sort(rng.choice(len(self.chance), size=count, p=self.chance))
        who = component * EACH + rng.integers(EACH, size=count)
        step = np.einsum("nij,nj->ni", self.scale[component], rng.standard_t(FREEDOM, (count, 3)))
        place = _places(self.centres)[who] + np.where(_free(self.centres)[component], step, 0.0)
        share = np.clip(expit(place[:, 0]), 1e-12, 1 - 1e-12)
        slope = np.exp(np.minimum(place[:, 1], 50))
        return Points(self.centres.prior, self.centres.anchors, component, share, slope, place[:, 2])

    def log_density(self, points: Points) -> FloatArray:
        """Log density in (phi, ln(phi kappa), shape), shape [points]."""
        out = np.empty(len(points))
        places = _places(points)
        centres = _places(self.centres).reshape(-1, EACH, 3)
        for component, free in enumerate(_free(self.centres)):
            mine = points.members(component)
            inverse = np.linalg.inv(self.scale[component])
            there, from_ = (places[mine] @ inverse.T)[:, free], (centres[component] @ inverse.T)[:, free]
            kernels = product_of_t(there, from_, np.ones(EACH)).mean(axis=1) * self.chance[component]
            volume = np.log(np.diag(self.scale[component]))[free].sum() + free.sum() * LOG_T
            share = points.share[mine]
            with np.errstate(divide="ignore"):
                out[mine] = np.log(kernels) - volume - np.log(share * (1 - share))
        return out


def product_of_t(there: FloatArray, centres: FloatArray, width: FloatArray) -> FloatArray:
    """Products over the axes of `(1 + t^2 / FREEDOM)^(-(FREEDOM + 1) / 2)` with t in widths of each centre.

    Args:
        there: Shape [points, axes].
        centres: Shape [centres, axes].
        width: Shape [centres].

    Returns:
        Shape [points, centres].
    """
    spread = np.ones((len(there), len(centres)))
    scale = width * np.sqrt(FREEDOM)
    for one, centre in zip(there.T, centres.T, strict=True):
        spread *= 1 + ((one[:, None] - centre) / scale) ** 2
    inverse = found = 1 / spread
    for _ in range((FREEDOM + 1) // 2 - 1):  # far faster than a general power
        found = found * inverse
    return np.asarray(found)


def _free(points: Points) -> BoolArray:
    """Which of the three coordinates each component has, shape [components, 3]."""
    return np.array([[True, bool(one.family.theta_names), len(one.edges) > 1] for one in points.prior.families])


def _places(points: Points) -> FloatArray:
    """(logit phi, ln(phi kappa), shape), shape [points, 3]."""
    return np.stack([logit(np.clip(points.share, 1e-12, 1 - 1e-12)), np.log(points.slope), points.shape], axis=1)


def resample(weights: FloatArray, count: int, rng: np.random.Generator) -> IntArray:
    """Indices drawn by weight, one in each of `count` equal intervals, shuffled."""
    steps = np.cumsum(weights)
    even = (np.arange(count) + rng.random(count)) / count
    return rng.permutation(np.minimum(np.searchsorted(steps, even * steps[-1], side="right"), len(weights) - 1))
