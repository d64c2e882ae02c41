"""Posterior of the named model by MCMC (emcee), vectorised over walkers and marginal over the noise.

The sampler walks in (D(largest size), log(DM - D0), log k), where the posterior is far rounder than in (DM, D0, k).
Priors are vague and free of scale: DM and D0 uniform on 0 <= D0 <= DM <= 1, log k uniform between a curve
that is straight over the sizes and one that is flat from the first size on. The noise SDs are summed over
their grid inside the likelihood (`noise`), so the chain has the three dimensions of the curve only.

Sampler: Goodman and Weare 2010 / Foreman-Mackey et al. 2013 with differential-evolution moves.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import emcee
import numpy as np

from . import diagnostics, exponential
from .curve import Curve
from .diagnostics import Diagnostics
from .fit import profile
from .noise import NoiseGrid, noise_grid
from .types import FloatArray

ENSEMBLES = 2
"""Independent ensembles, each with its own start and seed; R-hat compares them."""
WALKERS = 40
"""Walkers per ensemble."""
CHUNK = 250
"""Steps between looks at convergence."""
MAX_STEPS = 6000
"""Steps after which sampling stops and the diagnostics say that it did not converge."""
PREDICTIVE_DRAWS = 4000
"""Posterior draws that carry a sampled noise, for predictions."""
STRAIGHT, FLAT = 0.05, 10.0
"""`k * largest size` and `k * smallest size` at the ends of the prior on log k."""


@dataclass(frozen=True)
class Posterior:
    """Draws of (DM, D0, k) with what is needed to judge and to reuse them."""

    curve: Curve
    draws: FloatArray
    """Shape [step, walker, 3] after burn-in, parameters in the order of `exponential.NAMES`; walkers of
    all ensembles side by side."""
    log_prob: FloatArray
    """Log posterior density up to a constant, in sampling coordinates, shape [step, walker]."""
    noise: FloatArray
    """(tau0, tau1, misfit) of `predictive`, shape [predictive draws, 3]."""
    predictive: FloatArray
    """Random subset of the draws, paired with `noise`, shape [predictive draws, 3]."""
    noise_source: str
    diagnostics: Diagnostics
    seed: int
    burn_in: int
    """Steps discarded per ensemble."""

    @property
    def noise_median(self) -> tuple[float, float, float]:
        """Posterior medians of (tau0, tau1, misfit)."""
        tau0, tau1, misfit = (float(value) for value in np.median(self.noise, axis=0))
        return tau0, tau1, misfit

    @property
    def noise_rms(self) -> tuple[float, float, float]:
        """Root mean squares of (tau0, tau1, misfit): the SDs whose variances are the posterior means."""
        tau0, tau1, misfit = (float(value) for value in np.sqrt(np.mean(self.noise**2, axis=0)))
        return tau0, tau1, misfit

    @property
    def flat(self) -> FloatArray:
        """All draws, shape [draws, 3]."""
        return self.draws.reshape(-1, 3)

    def scores(self, n: float) -> FloatArray:
        """Posterior draws of the expected score D(n), shape [draws]."""
        return exponential.score(n, *self.flat.T)


def sample_posterior(curve: Curve, seed: int, *, quick: bool = False) -> Posterior:
    """Sample the posterior of the exponential plateau until it has converged.

    Converged means per ensemble at least 50 autocorrelation times, an effective sample size of at least
    `diagnostics.ENOUGH` and R-hat over ensembles of at most `diagnostics.R_HAT`; what falls short is said in
    the diagnostics, never raised.

    Args:
        curve: Any number of sizes; with few, the answer is mostly the prior.
        seed: The same seed gives the same numbers in another process.
        quick: One ensemble and the first `CHUNK` steps only, about 400 effective draws: enough for the interval of
            a backtest, not for a report.
    """
    noise = noise_grid(curve)
    seeds = np.random.SeedSequence(seed).spawn(1 if quick else ENSEMBLES)
    samplers = [_sampler(curve, noise, child) for child in seeds]
    steps = 0
    while True:
        for sampler in samplers:
            sampler.run_mcmc(None if steps else sampler.start, CHUNK, skip_initial_state_check=True)
        steps += CHUNK
        chains = [sampler.get_chain() for sampler in samplers]
        verdict, burn_in = diagnostics.assess(chains, [s.acceptance_fraction.mean() for s in samplers])
        if verdict.ok or quick or steps >= MAX_STEPS:
            break
    chain = np.concatenate([one[burn_in:] for one in chains], axis=1)
    log_prob = np.concatenate([s.get_log_prob()[burn_in:] for s in samplers], axis=1)
    return _finish(curve, noise, chain, log_prob, verdict, seed, burn_in)


def rate_prior(curve: Curve) -> tuple[float, float]:
    """Ends of the log-uniform prior on the rate k, per case."""
    return STRAIGHT / float(curve.sizes[-1]), FLAT / float(curve.sizes[0])


def log_density(points: FloatArray, curve: Curve, noise: NoiseGrid) -> FloatArray:
    """Log posterior density in sampling coordinates (D(largest size), log(DM - D0), log k), up to a constant.

    Args:
        points: Shape [walkers, 3].
        curve: Gives the sizes and the ends of the prior.
        noise: The likelihood, marginal over the noise.

    Returns:
        Shape [walkers]; -inf outside the prior.
    """
    low, high = np.log(rate_prior(curve))
    params = _to_parameters(points, curve)
    inside = (points[:, 2] >= low) & (points[:, 2] <= high) & (params[:, 1] >= 0) & (params[:, 0] <= 1)
    out = np.full(len(points), -np.inf)
    if inside.any():
        means = exponential.score(curve.sizes[None, :], *params[inside].T[:, :, None])
        out[inside] = noise.log_likelihood(means) + points[inside, 1]
    return out


def _to_parameters(points: FloatArray, curve: Curve) -> FloatArray:
    """(DM, D0, k) of sampling coordinates, shape [points, 3]; the volume element is `DM - D0`."""
    at_largest, log_rise, log_k = points.T
    rise, k = np.exp(np.minimum(log_rise, 50)), np.exp(np.minimum(log_k, 50))
    dm = at_largest + rise * np.exp(-k * curve.sizes[-1])
    return np.stack([dm, dm - rise, k], axis=1)


def _to_coordinates(params: FloatArray, curve: Curve) -> FloatArray:
    """The inverse of `_to_parameters`."""
    dm, d0, k = params.T
    return np.stack(
        [exponential.score(curve.sizes[-1], dm, d0, k), np.log(np.maximum(dm - d0, 1e-12)), np.log(k)], axis=1
    )


class _Sampler(emcee.EnsembleSampler):  # type: ignore[misc]
    """An emcee sampler that carries its seeded start."""

    start: emcee.State


def _sampler(curve: Curve, noise: NoiseGrid, seed: np.random.SeedSequence) -> _Sampler:
    rng = np.random.default_rng(seed)
    sampler = _Sampler(
        WALKERS,
        3,
        functools.partial(log_density, curve=curve, noise=noise),
        vectorize=True,
        moves=[(emcee.moves.DEMove(), 0.9), (emcee.moves.StretchMove(), 0.1)],
    )
    legacy = np.random.RandomState(rng.integers(2**32, dtype=np.uint64))
    sampler.start = emcee.State(_start(curve, noise, rng), random_state=legacy.get_state())
    return sampler


def _start(curve: Curve, noise: NoiseGrid, rng: np.random.Generator) -> FloatArray:
    """Walkers spread over the rates that the data allow, each inside the prior."""
    fits, cost = profile(curve, np.geomspace(*rate_prior(curve), 60))
    spread = max(float(np.sqrt(cost.min() / len(curve.y))), 0.003)
    weight = np.exp(-(cost - cost.min()) / (2 * spread**2))
    picked = _to_coordinates(fits[rng.choice(len(fits), size=40 * WALKERS, p=weight / weight.sum())], curve)
    points = picked + rng.standard_normal(picked.shape) * [spread, 0.1, 0.05]
    allowed = points[np.isfinite(log_density(points, curve, noise))]
    if len(allowed) < WALKERS:
        allowed = np.concatenate([allowed, _to_coordinates(_prior_draws(curve, rng, WALKERS), curve)])
    return np.asarray(allowed[:WALKERS])


def _prior_draws(curve: Curve, rng: np.random.Generator, count: int) -> FloatArray:
    d0, dm = np.sort(rng.random((count, 2)), axis=1).T
    low, high = np.log(rate_prior(curve))
    return np.stack([dm, d0, np.exp(rng.uniform(low, high, count))], axis=1)


def _finish(
    curve: Curve,
    noise: NoiseGrid,
    chain: FloatArray,
    log_prob: FloatArray,
    verdict: Diagnostics,
    seed: int,
    burn_in: int,
) -> Posterior:
    params = _to_parameters(chain.reshape(-1, 3), curve)
    rng = np.random.default_rng([seed, 1])
    subset = params[rng.choice(len(params), size=min(PREDICTIVE_DRAWS, len(params)), replace=False)]
    means = exponential.score(curve.sizes[None, :], *subset.T[:, :, None])
    return Posterior(
        curve=curve,
        draws=params.reshape(chain.shape),
        log_prob=log_prob,
        noise=noise.sample(means, rng),
        predictive=subset,
        noise_source=noise.source,
        diagnostics=verdict,
        seed=seed,
        burn_in=burn_in,
    )
