"""Posterior of one family by MCMC (emcee), vectorised over walkers and marginal over the noise.

The sampler walks in (D(N), logit phi, log(phi kappa), shape) at the largest size N (`families`), where the posterior
is far rounder than in the family's own parameters; coordinates that the family does not have are left out. The noise
SDs are summed over their grid inside the likelihood (`noise`). Walkers start at draws of the quadrature posterior, so
little burn-in is needed.

Sampler: emcee (Foreman-Mackey et al. 2013), moves by differential evolution and from draws of the quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import emcee
import numpy as np
from scipy.special import expit, logit

from . import diagnostics
from .curve import Curve
from .diagnostics import Diagnostics
from .families import NAMED, Family
from .noise import NoiseGrid, noise_grid
from .posterior import Chain, Posterior
from .prior import Prior, shipped_prior
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
CENTRES, BANDWIDTH, TAIL = 400, 0.7, 5
"""Draws about which walkers are proposed, width of the kernels (times Silverman's rate), and their t's degrees of
freedom."""
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
    started = quadrature(curve, seed, model=model, prior=prior)
    target = Target.of(curve, prior, started)
    children = np.random.SeedSequence(seed).spawn(ENSEMBLES)
    samplers = [_sampler(target, started, child) for child in children]
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
    log_prior: FloatArray
    """Log density of each cell in (phi, log(phi kappa), shape), shape [shapes, shares, slopes]."""

    @classmethod
    def of(cls, curve: Curve, prior: Prior, started: Posterior | None = None) -> Target:
        """The target of one family; with draws to start from, only over the noises about theirs."""
        one = prior.families[0]
        grid = noise_grid(curve, prior.misfit, prior.misfit_mass, None if started is None else started.noise)
        widths = np.array([hi - lo if hi > lo else 1.0 for lo, hi in one.shapes])
        with np.errstate(divide="ignore"):
            return cls(curve, prior, grid, np.log(one.mass) - np.log(widths)[:, None, None])

    @property
    def family(self) -> Family:
        """The family."""
        return self.prior.families[0].family

    @property
    def anchor(self) -> float:
        """The largest size N."""
        return float(self.curve.sizes[-1])

    @property
    def sloped(self) -> bool:
        """Whether the slope is a coordinate."""
        return self.log_prior.shape[2] > 1

    @property
    def shaped(self) -> bool:
        """Whether the shape is a coordinate."""
        return any(hi > lo for lo, hi in self.prior.families[0].shapes)

    @property
    def dimensions(self) -> int:
        """Number of coordinates."""
        return 2 + int(self.sloped) + int(self.shaped)

    def log_density(self, points: FloatArray) -> FloatArray:
        """Log posterior density at points in sampling coordinates, up to a constant.

        Args:
            points: Shape [points, dimensions].

        Returns:
            Shape [points]; -inf outside the prior.
        """
        error, cells = self.unpack(points)
        out = self._prior_at(cells) + np.log(cells.share * (1 - cells.share))
        relative, most = cells.errors_and_most(self.curve.sizes, self.anchor)
        inside = (error > 0) & (error <= most) & np.isfinite(out)
        found = np.full(len(points), -np.inf)
        if inside.any():
            found[inside] = out[inside] + self.grid.log_likelihood(1 - error[inside, None] * relative[inside])
        return found

    def unpack(self, points: FloatArray) -> tuple[FloatArray, Cells]:
        """Error at the anchor and the shape of points in sampling coordinates."""
        count = len(points)
        slope = np.exp(np.clip(points[:, 2], -50, 50)) if self.sloped else np.ones(count)
        shape = points[:, -1] if self.shaped else np.full(count, self.prior.families[0].shapes[0][0])
        low, high = self.prior.families[0].shapes[0][0], self.prior.families[0].shapes[-1][1]
        share = np.clip(expit(points[:, 1]), 1e-12, 1 - 1e-12)
        cells = Cells(
            (self.family,),
            np.zeros(count, dtype=np.int64),
            share,
            slope,
            np.clip(shape, low, high),
            np.zeros((count, 3)),
            np.where((shape >= low) & (shape <= high), 0.0, -np.inf),
        )
        return 1 - points[:, 0], cells

    def pack(self, found: Posterior) -> FloatArray:
        """Sampling coordinates of a posterior's draws, shape [draws, dimensions]."""
        theta = [found.theta[:, j] for j in range(len(self.family.theta_names))]
        at_anchor = found.scores(self.anchor)
        share = np.clip((found.dm - at_anchor) / (1 - at_anchor), 1e-9, 1 - 1e-9)
        columns = [at_anchor, logit(share)]
        if self.sloped:
            columns.append(np.log(share * self.family.slope(self.anchor, *theta)))
        if self.shaped:
            columns.append(self.family.shape(self.anchor, *theta))
        return np.stack(columns, axis=1)

    def _prior_at(self, cells: Cells) -> FloatArray:
        """Log density in (phi, log(phi kappa), shape), shape [points]."""
        edges = np.array([shape[0] for shape in self.prior.families[0].shapes])
        block = np.searchsorted(edges, cells.shape, side="right") - 1
        row = np.searchsorted(self.prior.shares, cells.share, side="right") - 1
        column = np.zeros_like(row)
        out = cells.log_mass
        if self.sloped:
            column = np.searchsorted(self.prior.slopes, cells.slope, side="right") - 1
            outside = (column < 0) | (column >= self.log_prior.shape[2])
            column, out = np.where(outside, 0, column), np.where(outside, -np.inf, out)
        return np.asarray(out + self.log_prior[block, row, column])


class _FromDraws(emcee.moves.RedBlueMove):  # type: ignore[misc]
    """Proposals from a kernel density about draws of the quadrature posterior, whatever the walker's place.

    The factor keeps the target exact; it is the independence sampler of Tierney 1994.
    """

    def __init__(self, draws: FloatArray) -> None:
        super().__init__()
        self._scale = np.linalg.cholesky(np.cov(draws.T) + 1e-12 * np.eye(draws.shape[1]))
        self._centres = self._white(draws)
        self._width = BANDWIDTH * len(draws) ** (-1 / (draws.shape[1] + 4))

    def get_proposal(
        self, sample: FloatArray, complement: Any, random: np.random.RandomState
    ) -> tuple[FloatArray, FloatArray]:
        """New places and the log ratio of the proposal density, old over new (emcee's interface)."""
        picked = self._centres[random.randint(len(self._centres), size=len(sample))]
        white = picked + self._width * random.standard_t(TAIL, size=picked.shape)
        return white @ self._scale.T, self._log_density(self._white(sample)) - self._log_density(white)

    def _white(self, points: FloatArray) -> FloatArray:
        return np.asarray(np.linalg.solve(self._scale, points.T).T)

    def _log_density(self, white: FloatArray) -> FloatArray:
        steps = (white[:, None, :] - self._centres[None, :, :]) / self._width
        kernels = np.prod(1 + steps**2 / TAIL, axis=2) ** (-(TAIL + 1) / 2)
        return np.asarray(np.log(kernels.sum(axis=1)))


class _Sampler(emcee.EnsembleSampler):  # type: ignore[misc]
    """An emcee sampler that carries its seeded start."""

    start: emcee.State


def _sampler(target: Target, started: Posterior, seed: np.random.SeedSequence) -> _Sampler:
    rng = np.random.default_rng(seed)
    sampler = _Sampler(
        WALKERS,
        target.dimensions,
        target.log_density,
        vectorize=True,
        moves=[(_FromDraws(target.pack(started)[:CENTRES]), 0.7), (emcee.moves.DEMove(), 0.3)],
    )
    legacy = np.random.RandomState(rng.integers(2**32, dtype=np.uint64))
    sampler.start = emcee.State(_start(target, started, rng), random_state=legacy.get_state())
    return sampler


def _start(target: Target, started: Posterior, rng: np.random.Generator) -> FloatArray:
    """Walkers at draws of the quadrature posterior, each inside the prior."""
    points = rng.permutation(np.unique(target.pack(started), axis=0))
    allowed = points[np.isfinite(target.log_density(points))]
    return np.asarray(allowed[:WALKERS])


def _finish(
    target: Target, points: FloatArray, log_prob: FloatArray, verdict: Diagnostics, seed: int, burn_in: int
) -> Posterior:
    family = target.family
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
