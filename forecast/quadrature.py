"""The posterior by quadrature and importance sampling: exact in the error at the anchor.

Given the shape and the noise a curve is linear in the error E at the anchor size, so the integral over E is closed
(`marginal`). What is left are two or three dimensions of shape per family, and the noise SDs: points are drawn from the
prior, each weighed under a few noises of the grid, and drawn again about the points that matter (`kernels`), until the
weights are even enough (adaptive multiple importance sampling, Cornuet et al. 2012). A part of every generation comes
from the prior, which bounds the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter

from .curve import Curve
from .diagnostics import WEIGHTED, Diagnostics, importance
from .kernels import Kernels, resample
from .marginal import Marginal, draw_error, under_all, under_some
from .noise import NoiseGrid, noise_grid
from .points import Points, anchors_of, from_prior
from .posterior import Posterior
from .prior import AVERAGE, Prior, shipped_prior
from .types import FloatArray

DRAWS = 4000
"""Draws of a posterior."""
GENERATION, GENERATIONS = 2000, 25
"""Points per generation, and most generations after the first; what falls short is said in the diagnostics."""
NOISES = 6
"""Noises under which each point is weighed."""
FROM_PRIOR = 0.1
"""Share of a generation drawn from the prior."""
ENOUGH = 200.0
"""Effective points from which a generation is kept when the next one is drawn."""
GUESSED = 0.2
"""Share of the noises that come from the first guess at them, whatever was learned since."""


def quadrature(
    curve: Curve, seed: int = 0, *, model: str = AVERAGE, prior: Prior | None = None, draws: int = DRAWS
) -> Posterior:
    """The posterior of one family, or of the weighted average of families.

    Args:
        curve: Any number of sizes; with few, the answer is mostly the prior.
        seed: The same seed gives the same numbers in another process.
        model: A family's name, or `average`.
        prior: By default the shipped one.
        draws: Number of curves drawn; a quarter as many effective points are asked for.

    Raises:
        InputError: Unknown model.
    """
    prior = (prior or shipped_prior()).only(model)
    grid = noise_grid(curve, prior.misfit, prior.misfit_mass)
    rng = np.random.default_rng([seed, 3])
    found = _weighed(curve, grid, from_prior(prior, curve, GENERATION, rng), grid.first_guess, rng)
    needed = max(WEIGHTED * draws / DRAWS, ENOUGH)
    for _ in range(GENERATIONS):
        found = _next_generation(curve, grid, found, rng)
        if found.effective >= needed:
            break
    return _finish(curve, grid, found, draws, model, seed, rng, importance(found.effective, needed))


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
    terms = under_all(grid, *points.errors_and_most(curve.sizes))
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
    """Points of one or several generations with their weights."""

    points: Points
    log_likelihood: FloatArray
    """Marginal over E and, estimated without bias, over the noise, shape [points]."""
    log_prior: FloatArray
    """Log prior density, shape [points]."""
    marginal: Marginal
    """The points under their noises; the log is over the chance of drawing that noise."""
    kernels: tuple[Kernels, ...] = ()
    """What the generations were drawn from, apart from the prior; none for points of the prior alone."""
    log_kernels: FloatArray | None = None
    """Log density of each of them, shape [points, kernels]."""

    @cached_property
    def weights(self) -> FloatArray:
        """Likelihood times prior over proposal density, sum 1, shape [points]."""
        log = self.log_weights
        found = np.exp(log - log.max())
        return np.asarray(found / found.sum())

    @cached_property
    def log_weights(self) -> FloatArray:
        """Log likelihood plus log prior less log proposal density, shape [points]."""
        return self.log_likelihood + self._log_ratio

    @property
    def _log_ratio(self) -> FloatArray:
        """Log of the prior over the mixture that all points were drawn from."""
        inside = np.isfinite(self.log_prior)
        weight = np.array([one.weight for one in self.points.prior.families])
        even = (1 / (len(weight) * weight))[self.points.pick]
        if self.log_kernels is None:
            return np.where(inside, -np.log(even), -np.inf)
        mixture = FROM_PRIOR * even + (1 - FROM_PRIOR) * self._over_prior.mean(axis=1)
        return np.where(inside, -np.log(mixture), -np.inf)

    @property
    def _over_prior(self) -> FloatArray:
        """Density of each kernel mixture over the prior's, shape [points, kernels]; 0 outside the prior."""
        assert self.log_kernels is not None
        with np.errstate(invalid="ignore"):
            log = self.log_kernels - self.log_prior[:, None]
        return np.exp(np.minimum(np.where(np.isfinite(self.log_prior)[:, None], log, -np.inf), 700))

    @cached_property
    def effective(self) -> float:
        """Effective number of points."""
        return float(1 / (self.weights**2).sum())

    def noise_mass(self, grid: NoiseGrid) -> FloatArray:
        """Probability of each noise, smoothed over the grid and mixed with the first guess, shape [grid]."""
        each = np.exp(self.marginal.log - self.marginal.log.max(axis=1, keepdims=True))
        each *= (self.weights / each.sum(axis=1))[:, None]
        found = np.bincount(self.marginal.noises.ravel(), weights=each.ravel(), minlength=len(grid.prior))
        smooth = gaussian_filter(found.reshape(grid.layout), (0, 0.7, 0.7), mode="nearest", truncate=3).ravel()
        return np.asarray((1 - GUESSED) * smooth / smooth.sum() + GUESSED * grid.first_guess)

    def joined(self, new: _Weighted) -> _Weighted:
        """With a further generation, all weighed against the mixture that all were drawn from."""
        assert self.log_kernels is not None and new.log_kernels is not None
        old_under_new = [one.log_density(self.points) for one in new.kernels]
        new_under_old = [one.log_density(new.points) for one in self.kernels]
        log_kernels = [
            np.column_stack([self.log_kernels, *old_under_new]),
            np.column_stack([*new_under_old, new.log_kernels]),
        ]
        return _Weighted(
            points=self.points.joined(new.points),
            log_likelihood=np.concatenate([self.log_likelihood, new.log_likelihood]),
            log_prior=np.concatenate([self.log_prior, new.log_prior]),
            marginal=self.marginal.joined(new.marginal),
            kernels=(*self.kernels, *new.kernels),
            log_kernels=np.concatenate(log_kernels),
        )


def _weighed(
    curve: Curve, grid: NoiseGrid, points: Points, noise_mass: FloatArray, rng: np.random.Generator
) -> _Weighted:
    """Points, each weighed under noises drawn at even steps of their probability."""
    steps = np.cumsum(noise_mass)
    even = (rng.random((len(points), 1)) + np.arange(NOISES)) / NOISES
    noises = np.minimum(np.searchsorted(steps, even * steps[-1], side="right"), len(steps) - 1)
    marginal = under_some(grid, *points.errors_and_most(curve.sizes), noises)
    marginal = replace(marginal, log=marginal.log - np.log(NOISES * noise_mass / steps[-1])[noises])
    top = marginal.log.max(axis=1)
    likelihood = top + np.log(np.exp(marginal.log - top[:, None]).sum(axis=1))
    return _Weighted(points, likelihood, points.log_prior(), marginal)


def _next_generation(curve: Curve, grid: NoiseGrid, before: _Weighted, rng: np.random.Generator) -> _Weighted:
    """Draw about the points that matter and from the prior; keep the points before once they are even enough."""
    kernels = Kernels.about(before.points, before.log_weights, rng)
    fresh = int(FROM_PRIOR * GENERATION)
    drawn = kernels.draw(GENERATION - fresh, rng).joined(from_prior(before.points.prior, curve, fresh, rng))
    found = _weighed(curve, grid, drawn, before.noise_mass(grid), rng)
    found = replace(found, kernels=(kernels,), log_kernels=kernels.log_density(drawn)[:, None])
    return before.joined(found) if before.kernels and before.effective >= ENOUGH else found


def _finish(
    curve: Curve,
    grid: NoiseGrid,
    found: _Weighted,
    draws: int,
    model: str,
    seed: int,
    rng: np.random.Generator,
    diagnostics: Diagnostics,
) -> Posterior:
    """Draw points by weight, then a noise and an error for each."""
    who = resample(found.weights, draws, rng)
    points, log = found.points.at(who), found.marginal.log[who]
    steps = np.cumsum(np.exp(log - log.max(axis=1, keepdims=True)), axis=1)
    column = np.minimum((steps < rng.random((draws, 1)) * steps[:, -1:]).sum(axis=1), NOISES - 1)
    noise, mean, sd = found.marginal.at(who, column)
    error = draw_error(mean, sd, points.errors_and_most(curve.sizes)[1], rng)
    dm, amplitude, theta = points.natural(error)
    prior = points.prior
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
        noise=grid.table[noise],
        nested=grid.nested[noise],
        noise_source=grid.source,
        diagnostics=diagnostics,
        seed=seed,
        prior=prior.id,
    )
