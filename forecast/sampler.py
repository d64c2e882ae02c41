"""Posterior of one family by MCMC (emcee), vectorised over walkers and marginal over the noise.

The sampler walks in (D(N), log of the rise to come at the smallest size, log kappa at N, shape), N being the largest
size, where the posterior is far rounder than in the family's own parameters; coordinates that the family does not have
are left out. The noise
SDs are summed over their grid inside the likelihood (`noise`). Walkers start at draws of the quadrature posterior, so
little burn-in is needed.

Sampler: emcee (Foreman-Mackey et al. 2013), see `walkers`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import diagnostics
from .curve import Curve
from .diagnostics import Diagnostics
from .errors import InputError
from .families import FAMILIES, NAMED, Family
from .noise import NoiseGrid, noise_grid
from .points import STEEPEST, Points, anchors_of
from .posterior import Chain, Posterior
from .prior import Prior, shipped_prior
from .quadrature import quadrature
from .types import FloatArray

ENSEMBLES = 2
"""Independent ensembles, each with its own start and seed; R-hat compares them."""
CHUNK = 150
"""Steps between looks at convergence."""
MAX_STEPS = 6000
"""Steps after which sampling stops and the diagnostics say that it did not converge."""
LEAST_KAPPA = float(np.exp(-15.0))
"""Smallest log-slope kappa at N; the prior ends well above."""
IRRELEVANT = 40.0
"""Log-likelihood by which a noise at its best must fall short of the posterior's draws to be left out."""
KEPT = 8000
"""Draws of the chains that the posterior keeps, each with a noise."""


def sample_posterior(curve: Curve, seed: int = 0, *, model: str = NAMED.name, prior: Prior | None = None) -> Posterior:
    """Sample the posterior of one family until it has converged.

    Converged means per ensemble at least 50 autocorrelation times, an effective sample size of at least
    `diagnostics.ENOUGH` and R-hat over ensembles of at most `diagnostics.R_HAT`; what falls short is said in
    the diagnostics, never raised.

    Args:
        curve: Any number of sizes; with few, the answer is mostly the prior.
        seed: The same seed gives the same numbers in another process.
        model: A family's name.
        prior: By default the shipped one.

    Raises:
        InputError: Unknown family, or the average of several.
    """
    prior = (prior or shipped_prior()).only(model)
    if len({one.family.name for one in prior.families}) != 1:
        raise InputError(f"MCMC samples one family at a time, asked for {model!r}: name one of {', '.join(FAMILIES)}.")
    from .walkers import walkers  # emcee takes a third of a second to import, and most commands do without

    started = quadrature(curve, seed, model=model, prior=prior)
    target = Target.of(curve, prior).near(started)
    children = np.random.SeedSequence(seed).spawn(ENSEMBLES)
    samplers = [walkers(target, started, child) for child in children]
    steps = 0
    while True:
        for sampler in samplers:
            sampler.run_mcmc(None if steps else sampler.start, CHUNK, skip_initial_state_check=True)
        steps += CHUNK
        chains = [sampler.get_chain() for sampler in samplers]
        verdict, burn_in = diagnostics.assess(chains, [s.acceptance_fraction.mean() for s in samplers])
        if verdict.ok or steps >= MAX_STEPS:
            break
    points = np.concatenate([one[burn_in:] for one in chains], axis=1)
    log_prob = np.concatenate([s.get_log_prob()[burn_in:] for s in samplers], axis=1)
    return _finish(target, points, log_prob, verdict, seed, burn_in)


@dataclass(frozen=True)
class Target:
    """The posterior density that the sampler walks on."""

    curve: Curve
    prior: Prior
    """Of one family; one component per anchor."""
    grid: NoiseGrid

    @classmethod
    def of(cls, curve: Curve, prior: Prior) -> Target:
        """The target of one family."""
        return cls(curve, prior, noise_grid(curve, prior.misfit, prior.misfit_mass))

    def near(self, started: Posterior) -> Target:
        """Without noises that do not matter anywhere near the draws of a posterior."""
        theta = [started.theta[:, j, None] for j in range(len(self.family.theta_names))]
        means = self.family.score(self.curve.sizes, started.dm[:, None], started.amplitude[:, None], *theta)
        floor = float(np.median(self.grid.log_likelihood(means))) - IRRELEVANT
        return replace(self, grid=self.grid.trimmed(floor))

    @property
    def family(self) -> Family:
        """The family."""
        return self.prior.families[0].family

    @property
    def largest(self) -> float:
        """The largest size N."""
        return float(self.curve.sizes[-1])

    @property
    def smallest(self) -> float:
        """The smallest size."""
        return float(self.curve.sizes[0])

    @property
    def sloped(self) -> bool:
        """Whether the slope is a coordinate."""
        return bool(self.family.theta_names)

    @property
    def shaped(self) -> bool:
        """Whether the shape is a coordinate."""
        return len(self.prior.families[0].edges) > 1

    @property
    def dimensions(self) -> int:
        """Number of coordinates."""
        return 2 + int(self.sloped) + int(self.shaped)

    def log_density(self, places: FloatArray) -> FloatArray:
        """Log posterior density in sampling coordinates, up to a constant.

        A component's prior is a density in (E, phi, ln(phi kappa), shape) at its anchor; in sampling coordinates that
        is the same times phi, since E phi is the rise still to come at the anchor and kappa follows from theta.

        Args:
            places: Shape [points, dimensions].

        Returns:
            Shape [points]; -inf outside the prior.
        """
        dm, amplitude, theta = self.unpack(places)
        columns = [t[:, None] for t in theta]
        sizes = self.curve.sizes.astype(float)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            means = dm[:, None] - amplitude[:, None] * self.family.decay(sizes, *columns)
            start = dm - amplitude if self.family.at_zero else means[:, 0]
        out = self._log_prior(dm, amplitude, theta)
        inside = np.isfinite(out) & np.isfinite(means).all(axis=1) & (start >= 0) & (dm <= 1)
        found = np.full(len(places), -np.inf)
        if inside.any():
            found[inside] = out[inside] + self.grid.log_likelihood(means[inside])
        return found

    def unpack(self, places: FloatArray) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
        """DM, amplitude and theta of points in sampling coordinates."""
        # A curve over early has a slope of at most `STEEPEST` at the smallest size, and this many times it at N.
        most = STEEPEST * self.largest / self.smallest
        log_kappa = places[:, 2] if self.sloped else np.zeros(len(places))
        kappa = np.exp(np.clip(log_kappa, np.log(LEAST_KAPPA), np.log(most)))
        shape = places[:, -1] if self.shaped else np.full(len(places), self.prior.families[0].shapes[0][0])
        low, high = self.prior.families[0].edges[[0, -1]]
        shape = np.where(np.isfinite(shape), shape, low - 1)
        theta = self.family.theta(kappa, np.clip(shape, low, high), self.largest)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            rise = np.exp(np.clip(places[:, 1], -50, 50))
            amplitude = rise / self.family.decay(self.smallest, *theta)
            dm = places[:, 0] + amplitude * self.family.decay(self.largest, *theta)
        outside = (shape < low) | (shape > high) | (log_kappa < np.log(LEAST_KAPPA)) | (log_kappa > np.log(most))
        return np.where(outside, np.inf, dm), amplitude, theta

    def pack(self, found: Posterior) -> FloatArray:
        """Sampling coordinates of a posterior's draws, shape [draws, dimensions]."""
        theta = [found.theta[:, j] for j in range(len(self.family.theta_names))]
        rise = found.amplitude * self.family.decay(self.smallest, *theta)
        columns = [found.scores(self.largest), np.log(np.maximum(rise, 1e-20))]
        if self.sloped:
            columns.append(np.log(self.family.slope(self.largest, *theta)))
        if self.shaped:
            columns.append(self.family.shape(self.largest, *theta))
        return np.stack(columns, axis=1)

    def _log_prior(self, dm: FloatArray, amplitude: FloatArray, theta: tuple[FloatArray, ...]) -> FloatArray:
        """Log density of all components together, in sampling coordinates, shape [points]."""
        parts = []
        anchors = anchors_of(self.prior, self.curve)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            for component, anchor in enumerate(anchors):
                left = amplitude * self.family.decay(anchor, *theta)
                error = 1 - dm + left
                share = np.clip(np.where(error > 0, left / error, 1.0), 1e-300, 1 - 1e-12)
                kappa = self.family.slope(anchor, *theta) if self.sloped else np.ones(len(dm))
                shape = self.family.shape(anchor, *theta) if self.shaped else np.zeros(len(dm))
                points = Points(
                    self.prior,
                    anchors,
                    np.full(len(dm), component),
                    share,
                    share * kappa if self.sloped else kappa,
                    shape,
                )
                allowed = (error > 0) & (error < 1) & np.isfinite(share)
                parts.append(np.where(allowed, points.log_prior() + np.log(share), -np.inf))
        return np.asarray(np.logaddexp.reduce(parts))


def _finish(
    target: Target, points: FloatArray, log_prob: FloatArray, verdict: Diagnostics, seed: int, burn_in: int
) -> Posterior:
    family = target.family
    flat = points.reshape(-1, target.dimensions)
    dm, amplitude, columns = target.unpack(flat)
    theta = np.full((len(flat), 2), np.nan)
    for j, values in enumerate(columns):
        theta[:, j] = values
    second = dm - amplitude if family.at_zero else amplitude
    own = np.column_stack([dm, second, theta[:, : len(family.theta_names)]])
    rng = np.random.default_rng([seed, 1])
    kept = rng.choice(len(flat), size=min(KEPT, len(flat)), replace=False)
    curve = target.curve
    theta_kept = [theta[kept, j, None] for j in range(len(family.theta_names))]
    means = family.score(curve.sizes[None, :], dm[kept, None], amplitude[kept, None], *theta_kept)
    noise = target.grid.sample(means, rng)
    return Posterior(
        curve=curve,
        model=family.name,
        families=(family,),
        pick=np.zeros(len(kept), dtype=np.int64),
        dm=dm[kept],
        amplitude=amplitude[kept],
        theta=theta[kept],
        noise=target.grid.table[noise],
        nested=target.grid.nested[noise],
        noise_source=target.grid.source,
        diagnostics=verdict,
        seed=seed,
        prior=target.prior.id,
        chain=Chain(own.reshape(*points.shape[:2], -1), log_prob, ENSEMBLES, burn_in),
    )
