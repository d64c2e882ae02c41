"""Posterior of one family by MCMC (emcee), vectorised over walkers and marginal over the noise.

The sampler walks in (D(N), logit phi, log(phi kappa), shape) at the largest size N (`families`), where the posterior
is far rounder than in the family's own parameters; coordinates that the family does not have are left out. The noise
SDs are summed over their grid inside the likelihood (`noise`). Walkers start at draws of the quadrature posterior, so
little burn-in is needed.

Sampler: Goodman and Weare 2010 / Foreman-Mackey et al. 2013 with differential-evolution moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import emcee
import numpy as np
from scipy.special import expit, logit

from . import diagnostics
from .curve import Curve
from .diagnostics import Diagnostics
from .families import NAMED
from .noise import NoiseGrid, noise_grid
from .posterior import Chain, Posterior
from .prior import FamilyPrior, Prior, shipped_prior
from .quadrature import Cells, quadrature
from .types import FloatArray

ENSEMBLES = 2
"""Independent ensembles, each with its own start and seed; R-hat compares them."""
WALKERS = 40
"""Walkers per ensemble."""
CHUNK = 250
"""Steps between looks at convergence."""
MAX_STEPS = 6000
"""Steps after which sampling stops and the diagnostics say that it did not converge."""
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
        InputError: Unknown family.
    """
    prior = (prior or shipped_prior()).only(model)
    if len(prior.families) != 1:
        raise ValueError(f"MCMC samples one family, asked for {model}")
    target = Target(curve, prior, noise_grid(curve, prior.misfit, prior.misfit_mass))
    samplers = [_sampler(target, child) for child in np.random.SeedSequence(seed).spawn(ENSEMBLES)]
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
    """Of one family."""
    grid: NoiseGrid

    @property
    def family(self) -> FamilyPrior:
        """The family with its prior."""
        return self.prior.families[0]

    @property
    def anchor(self) -> float:
        """The largest size N."""
        return float(self.curve.sizes[-1])

    @property
    def dimensions(self) -> int:
        """Number of coordinates."""
        shaped = any(hi > lo for lo, hi in self.family.shapes)
        return 2 + int(self.family.mass.shape[2] > 1) + int(shaped)

    def log_density(self, points: FloatArray) -> FloatArray:
        """Log posterior density at points in sampling coordinates, up to a constant.

        Args:
            points: Shape [points, dimensions].

        Returns:
            Shape [points]; -inf outside the prior.
        """
        error, cells = self.unpack(points)
        out = self._log_prior(cells) + np.log(np.maximum(cells.share * (1 - cells.share), 1e-300))
        out[(error <= 0) | (error >= 1)] = -np.inf
        who = np.flatnonzero(np.isfinite(out))
        if len(who):
            relative, most = cells.at(who).errors_and_most(self.curve.sizes, self.anchor)
            likelihood = self.grid.log_likelihood(1 - error[who, None] * relative)
            out[who] = np.where(error[who] <= most, out[who] + likelihood, -np.inf)
        return np.where(np.isfinite(out), out, -np.inf)

    def unpack(self, points: FloatArray) -> tuple[FloatArray, Cells]:
        """Error at the anchor and the shape of points in sampling coordinates."""
        count, dimensions = points.shape
        sloped = self.family.mass.shape[2] > 1
        slope = np.exp(np.clip(points[:, 2], -50, 50)) if sloped else np.ones(count)
        shape = points[:, -1] if dimensions == 2 + sloped + 1 else np.full(count, self.family.shapes[0][0])
        share = np.clip(expit(points[:, 1]), 1e-12, 1 - 1e-12)
        none = np.zeros(count)
        pick = np.zeros(count, dtype=np.int64)
        return 1 - points[:, 0], Cells((self.family.family,), pick, share, slope, shape, np.zeros((count, 3)), none)

    def pack(self, found: Posterior) -> FloatArray:
        """Sampling coordinates of a posterior's draws, shape [draws, dimensions]."""
        family = self.family.family
        theta = [found.theta[:, j] for j in range(len(family.theta_names))]
        at_anchor = found.scores(self.anchor)
        share = (found.dm - at_anchor) / (1 - at_anchor)
        columns = [at_anchor, logit(np.clip(share, 1e-9, 1 - 1e-9))]
        if self.family.mass.shape[2] > 1:
            columns.append(np.log(share * family.slope(self.anchor, *theta)))
        if self.dimensions > len(columns):
            columns.append(family.shape(self.anchor, *theta))
        return np.stack(columns, axis=1)

    def _log_prior(self, cells: Cells) -> FloatArray:
        """Log density in (phi, log(phi kappa), shape), shape [points]."""
        prior, one = self.prior, self.family
        row = np.searchsorted(prior.shares, cells.share, side="right") - 1
        column = np.searchsorted(prior.slopes, cells.slope, side="right") - 1 if one.mass.shape[2] > 1 else 0
        edges = np.array([shape[0] for shape in one.shapes] + [one.shapes[-1][1]])
        widths = np.maximum(np.diff(edges), 0)
        block = np.searchsorted(edges, cells.shape, side="right") - 1 if widths.any() else np.zeros_like(row)
        inside = np.ones(len(row), dtype=bool)
        for index, count in zip((block, row, column), one.mass.shape, strict=True):
            inside &= (np.asarray(index) >= 0) & (np.asarray(index) < count)
        out = np.full(len(row), -np.inf)
        picked = [np.broadcast_to(index, row.shape)[inside] for index in (block, row, column)]
        with np.errstate(divide="ignore"):
            out[inside] = np.log(one.mass[tuple(picked)])
        if widths.any():
            out[inside] -= np.log(widths[picked[0]])
        return out


class _Sampler(emcee.EnsembleSampler):  # type: ignore[misc]
    """An emcee sampler that carries its seeded start."""

    start: emcee.State


def _sampler(target: Target, seed: np.random.SeedSequence) -> _Sampler:
    rng = np.random.default_rng(seed)
    sampler = _Sampler(
        WALKERS,
        target.dimensions,
        target.log_density,
        vectorize=True,
        moves=[(emcee.moves.DEMove(), 0.9), (emcee.moves.StretchMove(), 0.1)],
    )
    legacy = np.random.RandomState(rng.integers(2**32, dtype=np.uint64))
    sampler.start = emcee.State(_start(target, rng), random_state=legacy.get_state())
    return sampler


def _start(target: Target, rng: np.random.Generator) -> FloatArray:
    """Walkers at draws of the quadrature posterior, each inside the prior."""
    name = target.family.family.name
    found = quadrature(target.curve, int(rng.integers(2**31)), model=name, prior=target.prior)
    points = target.pack(found)
    allowed = points[np.isfinite(target.log_density(points))]
    return np.asarray(allowed[:WALKERS])


def _finish(
    target: Target, points: FloatArray, log_prob: FloatArray, verdict: Diagnostics, seed: int, burn_in: int
) -> Posterior:
    family = target.family.family
    flat = points.reshape(-1, target.dimensions)
    error, cells = target.unpack(flat)
    dm, amplitude, theta = cells.natural(error, target.anchor)
    second = dm - amplitude if family.at_zero else amplitude
    own = np.column_stack([dm, second, theta[:, : len(family.theta_names)]])
    rng = np.random.default_rng([seed, 1])
    kept = rng.choice(len(flat), size=min(KEPT, len(flat)), replace=False)
    curve = target.curve
    theta_kept = [theta[kept, j, None] for j in range(len(family.theta_names))]
    means = family.score(curve.sizes[None, :], dm[kept, None], amplitude[kept, None], *theta_kept)
    return Posterior(
        curve=curve,
        model=family.name,
        families=(family,),
        pick=np.zeros(len(kept), dtype=np.int64),
        dm=dm[kept],
        amplitude=amplitude[kept],
        theta=theta[kept],
        noise=target.grid.sample(means, rng),
        noise_source=target.grid.source,
        diagnostics=verdict,
        seed=seed,
        prior=target.prior.id,
        chain=Chain(own.reshape(*points.shape[:2], -1), log_prob, ENSEMBLES, burn_in),
    )
