"""The posterior by quadrature and importance sampling: exact in the error at the anchor and in the noise.

Given the shape and the noise a curve is linear in the error E at the anchor size, so E is a truncated normal and its
integral is closed; the grid of noise SDs is summed. What is left are two or three dimensions of shape per family:
points are drawn from the prior, weighted by their likelihood, and drawn again about the points that matter (adaptive
multiple importance sampling, Cornuet et al. 2012; tempered while few matter) until the weights are even enough. A fifth
of every generation comes from the prior, which bounds the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr, ndtri

from .curve import Curve
from .diagnostics import WEIGHTED, importance
from .noise import NoiseGrid, noise_grid
from .points import Points, anchors_of, from_prior
from .posterior import Posterior
from .prior import AVERAGE, Prior, shipped_prior
from .types import BoolArray, FloatArray, IntArray

DRAWS = 4000
"""Draws of a posterior."""
FIRST, GENERATION = 2500, 4000
"""Points drawn from the prior at first, and per generation."""
GENERATIONS = 8
"""Most generations; what falls short is said in the diagnostics."""
CENTRES, BANDWIDTH, TAIL = 120, 0.7, 5
"""Points about which a generation is drawn, width of the kernels (times Silverman's rate), their t's freedom."""
T_VOLUME = float(np.log(np.sqrt(5.0) * 3 * np.pi / 8))
"""Log of the integral of (1 + t^2 / 5)^-3, the one-dimensional kernel."""
FROM_PRIOR = 0.2
"""Share of a generation drawn from the prior."""
ENOUGH, LEAST = 150.0, 1e-6
"""Effective points that must carry a generation; with fewer the likelihood is tempered, to this power at least."""
NEGLIGIBLE = 1e-3
"""Probability from which a noise, among every other one, has itself and its neighbours summed."""
CERTAIN = 5.0
"""Standard deviations inside a bound from which the bound is not felt."""


def quadrature(
    curve: Curve, seed: int = 0, *, model: str = AVERAGE, prior: Prior | None = None, draws: int = DRAWS
) -> Posterior:
    """The posterior of one family, or of the weighted average of families.

    Args:
        curve: Any number of sizes; with few, the answer is mostly the prior.
        seed: The same seed gives the same numbers in another process.
        model: A family's name, or `average`.
        prior: By default the shipped one.
        draws: Number of curves drawn.

    Raises:
        InputError: Unknown model.
    """
    prior = (prior or shipped_prior()).only(model)
    grid = noise_grid(curve, prior.misfit, prior.misfit_mass)
    rng = np.random.default_rng([seed, 3])
    found = _first_generation(curve, grid, prior, rng)
    for _ in range(GENERATIONS):
        found = _next_generation(curve, grid, found, rng)
        if found.effective(1.0) >= max(WEIGHTED * draws / DRAWS, ENOUGH):
            break
    return _finish(curve, grid, found, draws, model, prior, seed, rng)


def log_evidence(curve: Curve, prior: Prior, largest: float | None = None) -> FloatArray:
    """Log marginal likelihood of every cell's middle and misfit, other noise integrated out, [cells, misfits].

    The misfit's and the cells' own prior are left out; what learns a prior multiplies them in.

    Args:
        curve: The observations.
        prior: Its cells are taken.
        largest: The largest size of the pilots; by default the curve's.
    """
    grid = noise_grid(curve, prior.misfit, np.ones(len(prior.misfit)))
    points = replace(_middles(prior, curve), anchors=anchors_of(prior, curve, largest))
    terms, _, _ = _terms(curve, grid, points, np.arange(len(grid.constant)))
    terms = terms.reshape(len(terms), -1, len(prior.misfit))
    top = terms.max(axis=1)
    return np.asarray(top + np.log(np.exp(terms - top[:, None, :]).sum(axis=1)))


def _middles(prior: Prior, curve: Curve) -> Points:
    """The middle of every cell, in the order of the components' masses."""
    parts = []
    for component, one in enumerate(prior.families):
        share = (prior.shares[1:] + prior.shares[:-1]) / 2
        slope = np.sqrt(prior.slopes[1:] * prior.slopes[:-1]) if one.family.theta_names else np.ones(1)
        middles = np.array(one.shapes).mean(axis=1)
        shapes, shares, slopes = (a.ravel() for a in np.meshgrid(middles, share, slope, indexing="ij"))
        parts.append((np.full(len(shapes), component), shares, slopes, shapes))
    return Points(prior, anchors_of(prior, curve), *(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True)
class _Weighted:
    """Points of several generations with their weights (adaptive multiple importance sampling, Cornuet et al. 2012).

    The first generation is the prior's alone and only shows where to look.
    """

    points: Points
    log_likelihood: FloatArray
    """Marginal over E and noise, shape [points]."""
    log_prior: FloatArray
    """Log prior density, shape [points]."""
    kernels: tuple[_Kernels, ...]
    """What the generations after the first were drawn from."""
    log_kernels: FloatArray
    """Log density of each of them, shape [points, kernels]."""
    noises: IntArray
    """The noises summed for the last generation, as indices into the grid."""
    by_noise: FloatArray
    """Probability of each of them given the point, shape [last generation, noises]."""

    def weights(self, power: float) -> FloatArray:
        """Prior over proposal density, times a power of the likelihood, sum 1, shape [points]."""
        log = power * self.log_likelihood + self._log_ratio
        found = np.exp(log - log.max())
        return np.asarray(found / found.sum())

    @cached_property
    def _log_ratio(self) -> FloatArray:
        """Log of the prior over the mixture that all points were drawn from."""
        if not self.kernels:
            return np.where(np.isfinite(self.log_prior), 0.0, -np.inf)
        drawn = np.log([FROM_PRIOR * len(self.kernels), 1 - FROM_PRIOR])
        parts = np.column_stack([self.log_prior + drawn[0], self.log_kernels + drawn[1]])
        with np.errstate(invalid="ignore"):
            ratio = self.log_prior - np.logaddexp.reduce(parts, axis=1)
        return np.asarray(np.where(np.isfinite(self.log_prior), ratio, -np.inf))

    def effective(self, power: float) -> float:
        """Effective number of points."""
        return float(1 / (self.weights(power) ** 2).sum())

    def power(self) -> float:
        """The largest power of the likelihood, at most 1, that leaves enough effective points."""
        if self.effective(1.0) >= ENOUGH:
            return 1.0
        if self.effective(LEAST) <= ENOUGH:
            return LEAST
        return float(brentq(lambda power: self.effective(power) - ENOUGH, LEAST, 1.0, xtol=1e-3))

    @property
    def noise_mass(self) -> FloatArray:
        """Probability of each noise summed, by the last generation, shape [noises]."""
        weights = self.weights(self.power())[-len(self.by_noise) :]
        return np.asarray(weights @ self.by_noise / max(weights.sum(), 1e-300))


def _first_generation(curve: Curve, grid: NoiseGrid, prior: Prior, rng: np.random.Generator) -> _Weighted:
    points = from_prior(prior, curve, FIRST, rng)
    sparse = np.flatnonzero(_every_other(grid))
    likelihood, by_noise = _likelihood(curve, grid, points, sparse)
    return _Weighted(points, likelihood, points.log_prior(), (), np.empty((FIRST, 0)), sparse, by_noise)


def _likelihood(curve: Curve, grid: NoiseGrid, points: Points, noises: IntArray) -> tuple[FloatArray, FloatArray]:
    """Log likelihood over some noises, and the probability of each of them given the point."""
    terms, _, _ = _terms(curve, grid, points, noises)
    top = terms.max(axis=1)
    each = np.exp(terms - top[:, None])
    total = each.sum(axis=1)
    return top + np.log(total), each / total[:, None]


def _next_generation(curve: Curve, grid: NoiseGrid, before: _Weighted, rng: np.random.Generator) -> _Weighted:
    """Draw about the points that matter and from the prior, and weigh them with those before that still count."""
    power = before.power()
    weights = before.weights(power)
    kernels = _Kernels.about(before.points, _resample(weights, CENTRES, rng))
    fresh = int(FROM_PRIOR * GENERATION)
    prior = before.points.prior
    drawn = _joined(kernels.draw(GENERATION - fresh, rng), from_prior(prior, curve, fresh, rng))
    noises = before.noises
    settled = bool(before.kernels) and power == 1
    if not settled:
        likely = np.zeros(len(grid.constant), dtype=bool)
        likely[noises] = before.noise_mass >= NEGLIGIBLE
        noises = np.flatnonzero(maximum_filter(likely.reshape(grid.layout), size=(1, 3, 3)).ravel())
    likelihood, by_noise = _likelihood(curve, grid, drawn, noises)
    if not settled:
        found = kernels.log_density(drawn)[:, None]
        return _Weighted(drawn, likelihood, drawn.log_prior(), (kernels,), found, noises, by_noise)
    old = np.column_stack([before.log_kernels, kernels.log_density(before.points)])
    new = np.column_stack([one.log_density(drawn) for one in (*before.kernels, kernels)])
    return _Weighted(
        points=_joined(before.points, drawn),
        log_likelihood=np.concatenate([before.log_likelihood, likelihood]),
        log_prior=np.concatenate([before.log_prior, drawn.log_prior()]),
        kernels=(*before.kernels, kernels),
        log_kernels=np.concatenate([old, new]),
        noises=noises,
        by_noise=by_noise,
    )


def _joined(one: Points, other: Points) -> Points:
    columns = [(one.pick, other.pick), (one.share, other.share), (one.slope, other.slope), (one.shape, other.shape)]
    return Points(one.prior, one.anchors, *(np.concatenate(pair) for pair in columns))


@dataclass(frozen=True)
class _Kernels:
    """A density about centres in (logit phi, ln(phi kappa), shape): Student t kernels, one width per component."""

    centres: Points
    scale: FloatArray
    """Lower Cholesky factors of the kernels, shape [components, 3, 3]."""

    @classmethod
    def about(cls, points: Points, who: IntArray) -> _Kernels:
        """Kernels about some of the points, as wide as those of their component spread."""
        centres = points.at(who)
        places = _places(centres)
        scale = np.empty((len(points.anchors), 3, 3))
        for component, one in enumerate(points.prior.families):
            mine = places[centres.pick == component]
            free = np.array([True, bool(one.family.theta_names), len(one.edges) > 1])
            spread = np.cov(mine.T) if len(mine) > 10 else np.diag([1.0, 1.0, 0.05])
            spread = np.where(np.outer(free, free), spread, 0) + np.diag(np.where(free, [1e-4, 1e-4, 1e-5], 1.0))
            width = BANDWIDTH * max(len(mine), 10) ** (-1 / (free.sum() + 4))
            scale[component] = width * np.linalg.cholesky(spread)
        return cls(centres, scale)

    def draw(self, count: int, rng: np.random.Generator) -> Points:
        """Points about random centres."""
        who = rng.integers(len(self.centres), size=count)
        pick = self.centres.pick[who]
        step = np.einsum("nij,nj->ni", self.scale[pick], rng.standard_t(TAIL, (count, 3)))
        place = _places(self.centres)[who] + np.where(self._free()[pick], step, 0.0)
        share = np.clip(expit(place[:, 0]), 1e-12, 1 - 1e-12)
        return Points(
            self.centres.prior, self.centres.anchors, pick, share, np.exp(np.minimum(place[:, 1], 50)), place[:, 2]
        )

    def log_density(self, points: Points) -> FloatArray:
        """Log density in (phi, ln(phi kappa), shape), shape [points]."""
        out = np.full(len(points), -np.inf)
        places, centres = _places(points), _places(self.centres)
        for component, free in enumerate(self._free()):
            mine, about = points.members(component), centres[self.centres.pick == component]
            if not len(mine) or not len(about):
                continue
            inverse = np.linalg.inv(self.scale[component])
            there, from_ = places[mine] @ inverse.T, about @ inverse.T
            log = np.zeros((len(mine), len(about)))
            for axis in np.flatnonzero(free):
                log += np.log1p((there[:, axis, None] - from_[None, :, axis]) ** 2 / TAIL)
            kernels = np.exp(-0.5 * (TAIL + 1) * log).sum(axis=1) / len(self.centres)
            volume = np.log(np.diag(self.scale[component]))[free].sum() + free.sum() * T_VOLUME
            share = points.share[mine]
            with np.errstate(divide="ignore"):
                out[mine] = np.log(kernels) - volume - np.log(share * (1 - share))
        return out

    def _free(self) -> BoolArray:
        """Which of the three coordinates each component has, shape [components, 3]."""
        families = self.centres.prior.families
        return np.array([[True, bool(one.family.theta_names), len(one.edges) > 1] for one in families])


def _places(points: Points) -> FloatArray:
    """(logit phi, ln(phi kappa), shape), shape [points, 3]."""
    return np.stack([logit(np.clip(points.share, 1e-12, 1 - 1e-12)), np.log(points.slope), points.shape], axis=1)


def _resample(weights: FloatArray, count: int, rng: np.random.Generator) -> IntArray:
    """Indices drawn by weight, one in each of `count` equal intervals, shuffled."""
    steps = np.cumsum(weights)
    even = (np.arange(count) + rng.random(count)) / count
    return rng.permutation(np.minimum(np.searchsorted(steps, even * steps[-1], side="right"), len(weights) - 1))


def _every_other(grid: NoiseGrid) -> BoolArray:
    """Every other spread and misfit of each make-up, shape [grid]."""
    chosen = np.zeros(grid.layout, dtype=bool)
    chosen[:, ::2, ::2] = True
    return chosen.ravel()


def _terms(
    curve: Curve, grid: NoiseGrid, points: Points, noises: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log likelihood times noise prior with E integrated out, and mean and SD of E, each [points, noises]."""
    relative, most = points.errors_and_most(curve.sizes)
    per_shape = grid.precision.shape[1]
    columns = []
    for index, (turn, centre) in enumerate(zip(grid.rotation, grid.centre, strict=True)):
        mine = noises[noises // per_shape == index]
        precision = grid.precision[index][mine % per_shape].T
        turned, target = relative @ turn.T, turn.sum(axis=1) - centre
        columns.append((turned**2 @ precision, (turned * target) @ precision, target**2 @ precision))
    square, cross = (np.concatenate([c[i] for c in columns], axis=1) for i in (0, 1))
    mean, sd = cross / square, square**-0.5
    fixed = grid.constant[noises] - 0.5 * np.concatenate([c[2] for c in columns]) + 0.5 * np.log(2 * np.pi)
    return fixed + 0.5 * cross * mean + np.log(sd) + np.log(_inside(mean, sd, most)), mean, sd


def _inside(mean: FloatArray, sd: FloatArray, most: FloatArray) -> FloatArray:
    """Probability that the normal falls into (0, most), at least 1e-300; computed only where it is not 1."""
    out = np.ones_like(mean)
    for side in (mean / sd, (most[:, None] - mean) / sd):
        near = side < CERTAIN
        out[near] -= ndtr(-side[near])
    return np.asarray(np.maximum(out, 1e-300))


def _truncated_normal(mean: FloatArray, sd: FloatArray, most: FloatArray, rng: np.random.Generator) -> FloatArray:
    low, high = ndtr(-mean / sd), ndtr((most - mean) / sd)
    with np.errstate(invalid="ignore"):
        found = mean + sd * ndtri(low + (high - low) * rng.random(len(mean)))
    return np.asarray(np.clip(np.where(np.isfinite(found), found, mean), 1e-9, most))


def _finish(
    curve: Curve,
    grid: NoiseGrid,
    found: _Weighted,
    draws: int,
    model: str,
    prior: Prior,
    seed: int,
    rng: np.random.Generator,
) -> Posterior:
    """Draw points by weight, then a noise and an error for each."""
    points = found.points.at(_resample(found.weights(1.0), draws, rng))
    noises = found.noises
    terms, mean, sd = _terms(curve, grid, points, noises)
    steps = np.cumsum(np.exp(terms - terms.max(axis=1, keepdims=True)), axis=1)
    column = np.minimum((steps < rng.random((len(points), 1)) * steps[:, -1:]).sum(axis=1), len(noises) - 1)
    row = np.arange(len(points))
    error = _truncated_normal(mean[row, column], sd[row, column], points.errors_and_most(curve.sizes)[1], rng)
    dm, amplitude, theta = points.natural(error)
    families = tuple(dict.fromkeys(one.family for one in prior.families))
    place = np.array([families.index(one.family) for one in prior.families])
    return Posterior(
        curve=curve,
        model=model,
        families=families,
        pick=place[points.pick],
        dm=dm,
        amplitude=amplitude,
        theta=theta,
        noise=grid.table[noises[column]],
        noise_source=grid.source,
        diagnostics=importance(found.effective(1.0)),
        seed=seed,
        prior=prior.id,
    )
