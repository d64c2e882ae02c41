"""What others would run for the same curve: NUTS on the named model, and an ensemble of eleven families by emcee."""

from __future__ import annotations

import time

import emcee
import numpy as np

import dicecast
from dicecast.forecast.subsets import overlap

WALKERS, STEPS = 100, 2500
"""Walkers and steps of the ensemble of eleven families in its authors' code."""
TIMED = 60
"""Steps that are timed; the rest take as long each."""


def nuts(data: dicecast.Curve) -> tuple[float, float, float]:
    """The named model by NUTS in numpyro: seconds with compilation, seconds without, effective sample size.

    Two chains of 1000 draws after as much warm-up, with the same covariance of the noise, its three SDs sampled.

    Raises:
        ImportError: numpyro is not installed.
    """
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro.diagnostics import effective_sample_size
    from numpyro.distributions import LogNormal, MultivariateNormal, Uniform
    from numpyro.infer import MCMC, NUTS

    jax.config.update("jax_enable_x64", True)
    shared, same = overlap(data), data.n[:, None] == data.n[None, :]
    largest = float(data.sizes[-1])

    def model(y: np.ndarray) -> None:
        error = numpyro.sample("error", Uniform(0.0, 1.0))
        share = numpyro.sample("share", Uniform(0.0, 1.0))
        kappa = numpyro.sample("kappa", LogNormal(0.0, 1.5))
        tau0, tau1, misfit = (
            numpyro.sample(name, LogNormal(np.log(middle), 1.0))
            for name, middle in (("tau0", 0.01), ("tau1", 0.05), ("misfit", 0.003))
        )
        left = jnp.exp(-kappa * (data.n / largest - 1))
        mean = 1 - error * (1 - share * (1 - left))
        covariance = tau0**2 * jnp.eye(len(data.n)) + tau1**2 * shared + misfit**2 * same
        numpyro.sample("y", MultivariateNormal(mean, covariance + 1e-10 * jnp.eye(len(data.n))), obs=y)

    chains = MCMC(
        NUTS(model), num_warmup=1000, num_samples=1000, num_chains=2, chain_method="sequential", progress_bar=False
    )
    taken = []
    for seed in (0, 1):
        start = time.perf_counter()
        chains.run(jax.random.PRNGKey(seed), data.y)
        found = {name: np.asarray(values) for name, values in chains.get_samples(group_by_chain=True).items()}
        taken.append(time.perf_counter() - start)
    return taken[0], taken[1], float(min(np.min(effective_sample_size(values)) for values in found.values()))


def eleven_families(data: dicecast.Curve) -> float:
    """Seconds of the weighted ensemble of Domhan et al. 2015 (table 1), all parameters and weights sampled at once.

    As in the original: emcee, one density call per walker, 100 walkers, 2500 steps; scaled from the first steps.
    """
    rng = np.random.default_rng(0)
    middle = np.concatenate([*(start for _, start in FAMILIES), np.full(len(FAMILIES), 1 / len(FAMILIES)), [0.02]])
    start = middle * (1 + 1e-2 * rng.standard_normal((WALKERS, len(middle))))
    sampler = emcee.EnsembleSampler(WALKERS, len(middle), _log_density, args=(data.n.astype(float), data.y))
    sampler.run_mcmc(start, 5)
    begin = time.perf_counter()
    sampler.run_mcmc(None, TIMED)
    return (time.perf_counter() - begin) * STEPS / TIMED


FAMILIES = (
    (lambda x, a, b, c: np.exp(a + b / x + c * np.log(x)), (-0.6, -1.2, 0.08)),
    (lambda x, c, a, alpha: c - a * x**-alpha, (0.9, 0.8, 0.5)),
    (lambda x, a, b: np.log(a * np.log(x) + b), (0.2, 1.2)),
    (lambda x, top, eta, kappa: top * x**eta / (kappa**eta + x**eta), (0.9, 0.8, 10.0)),
    (lambda x, a, b, c: a / (1 + (x / np.exp(b)) ** c), (0.9, 2.0, -0.9)),
    (lambda x, c, a, b, alpha: c - (a * x + b) ** -alpha, (0.9, 0.2, 2.0, 0.7)),
    (lambda x, top, low, kappa, delta: top - (top - low) / (1 + (kappa * x) ** delta), (0.9, 0.2, 0.05, 1.0)),
    (lambda x, c, a, b, alpha: c - np.exp(-a * x**alpha + b), (0.9, 0.3, 0.1, 0.5)),
    (lambda x, top, low, kappa, delta: top - (top - low) * np.exp(-kappa * x**delta), (0.9, 0.2, 0.1, 0.7)),
    (lambda x, top, low, kappa, delta: top - (top - low) * np.exp(-((kappa * x) ** delta)), (0.9, 0.2, 0.03, 0.7)),
    (lambda x, c, a: c - a / np.log(x), (1.0, 0.9)),
)
"""Formula and a middling start of each family: vapour pressure, pow3, log log linear, hill3, log power, pow4, MMF,
exp4, Janoschek, Weibull, ilog2."""


def _log_density(place: np.ndarray, n: np.ndarray, y: np.ndarray) -> float:
    used, mean = 0, np.zeros(len(n))
    weights, sd = place[-len(FAMILIES) - 1 : -1], place[-1]
    if np.any(weights < 0) or sd <= 0:
        return -np.inf
    with np.errstate(all="ignore"):
        for (formula, start), weight in zip(FAMILIES, weights, strict=True):
            mean += weight * formula(n, *place[used : used + len(start)])
            used += len(start)
    if not np.all(np.isfinite(mean)):
        return -np.inf
    return float(-0.5 * np.sum(((y - mean) / sd) ** 2) - len(y) * np.log(sd))
