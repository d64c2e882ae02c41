"""Simulation-based calibration of the quadrature, and the MCMC against it, on curves drawn from the prior itself."""

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from dicecast.forecast import noise as noise_module
from dicecast.forecast.curve import Curve
from dicecast.forecast.families import FAMILIES, NAMED, Family
from dicecast.forecast.noise import NoiseGrid, noise_grid
from dicecast.forecast.points import STEEPEST
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.prior import FamilyPrior, Prior, shipped_prior
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.sampler import sample_posterior
from dicecast.forecast.subsets import overlap

pytestmark = pytest.mark.slow

SIMULATIONS = 300
REPEATS = 10
TAIL = 4
"""How many times fewer effective draws quantiles have than means, in chains (Vehtari et al. 2021, section 4)."""
SIZES, DRAWS = (8, 16, 32, 64, 96), 2


def template() -> Curve:
    n = np.repeat(SIZES, DRAWS)
    draw = np.tile(np.arange(DRAWS), len(SIZES))
    key = ("arm", "all", "dice", "test", "all", "")
    return Curve(*key, n, draw, np.full(len(n), 0.5), None, 0, SIZES[-1], (SIZES[-1],))


@dataclass(frozen=True)
class Truth:
    """One curve with its noise."""

    family: Family
    dm: float
    amplitude: float
    theta: tuple[float, ...]
    noise: np.ndarray
    nested: bool

    def score(self, n: float | np.ndarray) -> np.ndarray:
        return self.family.score(n, self.dm, self.amplitude, *self.theta)


def drawn(prior: Prior, grid: NoiseGrid, rng: np.random.Generator) -> Truth:
    """A curve of the prior: a cell, a point inside it, an error at the largest size that keeps scores >= 0."""
    weights = np.array([one.weight for one in prior.families])
    index = rng.choice(len(grid.table), p=noise_mass(prior))
    while True:
        one = prior.families[rng.choice(len(weights), p=weights / weights.sum())]
        with np.errstate(over="ignore", invalid="ignore"):
            found = candidate(one, prior, rng)
            first = 0.0 if one.family.at_zero else float(SIZES[0])
            if one.family.score(first, *found) >= 0:
                dm, amplitude, *theta = found
                nested = noise_module.SHAPES[index * len(noise_module.SHAPES) // len(grid.table)][1]
                return Truth(one.family, dm, amplitude, tuple(theta), grid.table[index], nested)


def candidate(one: FamilyPrior, prior: Prior, rng: np.random.Generator) -> tuple[float, ...]:
    """(DM, b, *theta) at a uniform error, possible or not."""
    cell = rng.choice(one.mass.size, p=one.mass.ravel())
    shape, row, column = np.unravel_index(cell, one.mass.shape)
    share = rng.uniform(*prior.shares[row : row + 2])
    slope = np.exp(rng.uniform(*np.log(prior.slopes[column : column + 2])))
    anchor = float(SIZES[0] if one.early else SIZES[-1])
    error, kappa = rng.random(), slope / share if one.family.theta_names else 1.0
    if kappa > STEEPEST:
        return (-1.0, 0.0, *np.ones(len(one.family.theta_names)))  # outside the prior
    theta = one.family.theta(kappa, rng.uniform(*one.shapes[shape]), anchor)
    amplitude = error * share / float(one.family.decay(anchor, *theta))
    return (1 - error * (1 - share), amplitude, *map(float, theta))


def noise_mass(prior: Prior) -> np.ndarray:
    """Prior probability of every noise: make-ups alike, a log-normal spread, the prior's misfit."""
    median, log_sd = noise_module.SPREAD_PRIOR
    spread = stats.norm.pdf(np.log(noise_module.SPREADS / median) / log_sd)
    mass = np.multiply.outer(np.ones(len(noise_module.SHAPES)), np.multiply.outer(spread, prior.misfit_mass))
    found: np.ndarray = mass.ravel() / mass.sum()
    return found


def simulated(curve: Curve, truth: Truth, rng: np.random.Generator) -> Curve:
    """Scores of the truth, with all the correlations of its noise."""
    tau0, tau1, misfit = truth.noise
    falling = overlap(curve) if truth.nested else np.diag(1 / curve.n)
    covariance = tau0**2 * np.eye(len(curve.n)) + tau1**2 * falling
    covariance += misfit**2 * (curve.n[:, None] == curve.n[None, :])
    return dataclasses.replace(curve, y=rng.multivariate_normal(truth.score(curve.n), covariance, method="cholesky"))


def quantities(found: Posterior, truth: Truth, single: bool) -> dict[str, tuple[np.ndarray, float]]:
    """Draws and true value of what is ranked."""
    sizes = {"smallest": SIZES[0], "largest": SIZES[-1], "horizon": 4 * SIZES[-1]}
    pairs = {f"score at the {name}": (found.scores(n), float(truth.score(n))) for name, n in sizes.items()}
    pairs["DM"] = (found.dm, truth.dm)
    pairs["noise"] = (found.noise[:, 0], truth.noise[0])
    pairs["misfit"] = (found.noise[:, 2], truth.noise[2])
    if single:
        second = truth.dm - truth.amplitude if truth.family.at_zero else truth.amplitude
        own = dict(zip(truth.family.names, (truth.dm, second, *truth.theta), strict=True))
        pairs |= {name: (found.parameters()[name], value) for name, value in own.items()}
    return pairs


def rank(draws: np.ndarray, truth: float, rng: np.random.Generator) -> float:
    """Share of draws below the truth, ties broken at random."""
    return float((draws < truth).mean() + rng.random() * (draws == truth).mean())


@pytest.mark.parametrize("model", [*FAMILIES, "average"])
def test_ranks_are_uniform_in_simulation_based_calibration(model: str) -> None:
    """Talts et al. 2018: what is drawn from the prior ranks uniformly among its posterior draws."""
    rng = np.random.default_rng(42)
    prior, curve = shipped_prior().only(model), template()
    grid = noise_grid(curve, prior.misfit, prior.misfit_mass)
    ranks: dict[str, list[float]] = {}
    for seed in range(SIMULATIONS):
        truth = drawn(prior, grid, rng)
        found = quadrature(simulated(curve, truth, rng), seed, model=model, prior=prior)
        for name, (draws, value) in quantities(found, truth, model != "average").items():
            ranks.setdefault(name, []).append(rank(draws, value, rng))
    p_values = {name: float(stats.kstest(values, "uniform").pvalue) for name, values in ranks.items()}
    # Holm over what is ranked, at 1 %
    ordered = sorted(p_values.values())
    assert all(p > 0.01 / (len(ordered) - i) for i, p in enumerate(ordered)), p_values


@pytest.mark.parametrize(
    ("model", "part"),
    [*((NAMED.name, part) for part in range(6)), *((name, 0) for name in FAMILIES if name != NAMED.name)],
)
def test_mcmc_and_quadrature_agree_on_random_curves(model: str, part: int) -> None:
    """100 curves over the families: 5, 50 and 95 % quantiles of every parameter, in Monte Carlo errors."""
    rng = np.random.default_rng([7, part])
    prior, curve = shipped_prior().only(model), template()
    grid = noise_grid(curve, prior.misfit, prior.misfit_mass)
    gaps: dict[tuple[int, str, float], float] = {}
    for index in range(10):
        data = simulated(curve, drawn(prior, grid, rng), rng)
        chains = sample_posterior(data, index, model=model)
        sums = [quadrature(data, seed, model=model).parameters() for seed in range(REPEATS)]
        for (name, one), p in itertools.product(chains.parameters().items(), (0.05, 0.5, 0.95)):
            ess = min(chains.diagnostics.ess, len(one)) / TAIL
            gaps[index, name, p] = gap(one, ess, [each[name] for each in sums], p)
    sizes = np.abs(list(gaps.values()))
    # The quadrature's error is itself estimated, from few repeats: a few more than the normal's 0.3 % beyond 3.
    assert np.mean(sizes > 3) < 0.03, {where: round(size, 1) for where, size in gaps.items() if abs(size) > 3}
    assert np.max(sizes) < 6, {where: round(size, 1) for where, size in gaps.items() if abs(size) > 5}
    assert abs(np.mean(list(gaps.values()))) < 0.5


def gap(chains: np.ndarray, ess: float, sums: list[np.ndarray], p: float) -> float:
    """How far the quadrature's probability of lying below the chains' quantile is from p, in Monte Carlo errors."""
    quantile = np.quantile(chains, p)
    below = [np.mean(draws < quantile) + 0.5 * np.mean(draws == quantile) for draws in sums]
    error = np.sqrt(p * (1 - p) / ess + np.var(below, ddof=1) / len(below) + 1e-6)
    return float((np.mean(below) - p) / error)
