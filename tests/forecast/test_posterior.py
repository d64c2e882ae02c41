"""The MCMC and the quadrature against exact integration on a dense grid, which shares none of their code."""

import dataclasses
import functools
import itertools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dicecast.forecast import noise as noise_module
from dicecast.forecast import sampler as sampler_module
from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.families import FAMILIES, NAMED
from dicecast.forecast.noise import noise_grid
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.prior import Prior, shipped_prior
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.sampler import Target, sample_posterior
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.subsets import overlap
from dicecast.forecast.walkers import WALKERS, start_of

TRUTH = (0.85, 0.35, 0.03)
PROBABILITIES = [0.05, 0.5, 0.95]


def observed(sizes: list[int], draws: int, seed: int = 0, sd: float = 0.012) -> Curve:
    rng = np.random.default_rng(seed)
    dm, d0, k = TRUTH
    rows = [
        (n, r, dm - (dm - d0) * np.exp(-k * n) + sd * rng.standard_normal())
        for n, r in itertools.product(sizes, range(draws))
    ]
    return curve(rows)


def curve(rows: list[tuple[int, int, float]]) -> Curve:
    return curves_from_scores(validate_scores(pd.DataFrame(rows, columns=["n_cases", "draw", "score"])))[0]


def exponential(found: Posterior) -> np.ndarray:
    """Draws of (DM, D0, log k)."""
    drawn = found.parameters()
    return np.stack([drawn["DM"], drawn["D0"], np.log(drawn["k"])], axis=1)


def coarse_prior() -> Prior:
    """The shipped prior of the exponential, anchored at the largest size, with two misfits only."""
    misfit, mass = np.array([0.003, 0.009]), np.array([0.7, 0.3])
    prior = shipped_prior().only("exponential")
    late = tuple(dataclasses.replace(one, weight=1.0) for one in prior.families if not one.early)
    return dataclasses.replace(prior, families=late, misfit=misfit, misfit_mass=mass)


Box = list[tuple[float, float]]
GRIDS = ((90, 90, 140), (60, 120, 140), (60, 140, 160))
"""Points in the error, the root of phi and the log slope: the first grid holds the prior, the next ones the mass."""


def exact_quantiles(data: Curve, prior: Prior) -> np.ndarray:
    """Quantiles of DM, D0 and log k by summing the posterior over a dense grid, one noise at a time."""
    first, last = np.log(prior.slopes[[0, -1]])
    box = [(0.0, 1.0), (0.0, 1.0), (float(first), float(last))]
    for counts in GRIDS:
        axes = [lo + (hi - lo) * (np.arange(count) + 0.5) / count for (lo, hi), count in zip(box, counts, strict=True)]
        # the root of phi: phi is small for a curve that has levelled off
        root, log_slope = (axis.ravel() for axis in np.meshgrid(*axes[1:], indexing="ij"))
        mass = exact_mass(data, prior, axes[0], root, log_slope)
        box = narrowed(box, mass.reshape(counts[1], counts[2], counts[0]).transpose(2, 0, 1))
    error, share, k = axes[0], root**2, rate(data, root**2, log_slope)
    dm = 1 - error * (1 - share[:, None])
    d0 = dm - error * (share * np.exp(k * data.sizes[-1]))[:, None]
    values = [dm, d0, np.broadcast_to(np.log(k)[:, None], mass.shape)]
    return np.array([weighted_quantiles(value.ravel(), mass.ravel()) for value in values])


def exact_mass(data: Curve, prior: Prior, error: np.ndarray, root: np.ndarray, log_slope: np.ndarray) -> np.ndarray:
    """Posterior probability of every point and error, up to a constant, shape [points, errors]."""
    share, largest = root**2, float(data.sizes[-1])
    k = rate(data, share, log_slope)
    relative = 1 - share[:, None] * (1 - np.exp(-k[:, None] * (data.n - largest)))
    possible = error * (1 - share * (1 - np.exp(k * largest)))[:, None] <= 1
    prior_mass = root * histogram_by_hand(prior, share, log_slope)
    missing = 1 - data.y
    joint, scale = np.zeros(possible.shape), -np.inf
    for covariance, mass in noises_by_hand(data, prior):
        inverse = np.linalg.inv(covariance)
        constant = np.log(mass) - 0.5 * np.linalg.slogdet(covariance)[1]
        # the residual is linear in the error: r = E relative - (1 - y)
        cross = relative @ inverse @ missing
        square = np.einsum("pi,ij,pj->p", relative, inverse, relative)
        distance = error**2 * square[:, None] - 2 * error * cross[:, None] + missing @ inverse @ missing
        terms = constant - 0.5 * distance
        if terms.max() > scale:
            joint, scale = joint * np.exp(max(scale - terms.max(), -700.0)), terms.max()
        joint += np.exp(terms - scale)
    found: np.ndarray = joint * prior_mass[:, None] * possible
    return found


def rate(data: Curve, share: np.ndarray, log_slope: np.ndarray) -> np.ndarray:
    """k, as far as the prior goes."""
    found: np.ndarray = np.minimum(np.exp(log_slope) / share, 30) / float(data.sizes[-1])
    return found


def narrowed(box: Box, mass: np.ndarray) -> Box:
    """The box without the sides that hold next to nothing."""
    found = []
    for i, (lo, hi) in enumerate(box):
        along = mass.max(axis=tuple(j for j in range(3) if j != i))
        held, step = np.flatnonzero(along > 1e-6 * along.max()), (hi - lo) / len(along)
        found.append((max(lo, lo + step * (held[0] - 1)), min(hi, lo + step * (held[-1] + 2))))
    return found


def histogram_by_hand(prior: Prior, share: np.ndarray, log_slope: np.ndarray) -> np.ndarray:
    """Prior density of the only family, up to a constant, at shares and slopes."""
    rows, columns = len(prior.shares) - 1, len(prior.slopes) - 1
    low, high = np.log(prior.slopes[[0, -1]])
    row = np.minimum((share * rows).astype(int), rows - 1)
    column = np.minimum(((log_slope - low) / (high - low) * columns).astype(int), columns - 1)
    steep = np.exp(log_slope) / share > 30  # over within a step of sizes: outside the prior
    found: np.ndarray = np.where(steep, 0.0, prior.families[0].mass[0, row, column])
    return found


def noises_by_hand(data: Curve, prior: Prior) -> list[tuple[np.ndarray, float]]:
    """Every covariance of the observations and its prior probability, up to a constant."""
    median, log_sd = noise_module.SPREAD_PRIOR
    found = []
    for spread, (share, nested) in itertools.product(noise_module.SPREADS, noise_module.SHAPES):
        tau0, tau1 = spread * np.sqrt(1 - share), spread * np.sqrt(share * data.sizes[0])
        mass = stats.norm.pdf(np.log(spread), np.log(median), log_sd)
        for misfit, probability in zip(prior.misfit, prior.misfit_mass, strict=True):
            found.append((covariance_by_hand(data, tau0, tau1, misfit, nested), float(mass * probability)))
    return found


def weighted_quantiles(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    steps = np.cumsum(weights[order])
    found: np.ndarray = np.interp(PROBABILITIES, steps / steps[-1], values[order])
    return found


def covariance_by_hand(data: Curve, tau0: float, tau1: float, misfit: float, nested: bool) -> np.ndarray:
    """The noise written out pair by pair, for draws from one pool; not nested means fresh cases for every run."""
    found = np.zeros((len(data.n), len(data.n)))
    for i, j in itertools.product(range(len(data.n)), repeat=2):
        if nested:
            same_draw = data.draw[i] == data.draw[j]
            found[i, j] = tau1**2 * (1 / max(data.n[i], data.n[j]) if same_draw else 1 / data.pool[-1])
        elif i == j:
            found[i, j] = tau1**2 / data.n[i]
        found[i, j] += tau0**2 if i == j else 0
        found[i, j] += misfit**2 if data.n[i] == data.n[j] else 0
    return found


DATA = pytest.mark.parametrize(
    ("sizes", "draws", "sd"),
    [
        ([10, 20, 40, 80, 120], 3, 0.03),
        ([10, 20, 40, 80, 120], 3, 0.012),
        ([10, 25, 60], 2, 0.03),
        ([10, 20, 40, 80], 1, 0.02),
        ([10, 20, 40, 80, 160], 3, 0.004),
    ],
)


@pytest.fixture
def coarse_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coarser noise grid, which keeps the exact sum affordable; what is tested uses the very same one."""
    monkeypatch.setattr(noise_module, "SPREADS", np.geomspace(0.004, 0.06, 6))
    monkeypatch.setattr(noise_module, "SHAPES", ((0.3, True), (0.95, True), (0.6, False)))


@functools.cache
def exact(sizes: tuple[int, ...], draws: int, sd: float) -> np.ndarray:
    """What both are compared with, summed once; under `coarse_noise`."""
    return exact_quantiles(observed(list(sizes), draws, seed=3, sd=sd), coarse_prior())


def assert_quantiles(found: np.ndarray, exact: np.ndarray, ess: float) -> None:
    """Quantiles of every column within 4 Monte Carlo errors, sqrt(p (1 - p) / ESS) / density."""
    for drawn, truths in zip(found.T, exact, strict=True):
        spread = drawn.std()
        for p, truth in zip(PROBABILITIES, truths, strict=True):
            density = max(np.mean(np.abs(drawn - truth) < 0.2 * spread) / (0.4 * spread), 0.02 / spread)
            error = np.sqrt(p * (1 - p) / ess) / density
            assert abs(np.quantile(drawn, p) - truth) < 4 * error + 0.02 * spread


@DATA
def test_mcmc_quantiles_agree_with_exact_integration(
    sizes: list[int], draws: int, sd: float, coarse_noise: None
) -> None:
    data, prior = observed(sizes, draws, seed=3, sd=sd), coarse_prior()
    found = sample_posterior(data, seed=1, prior=prior)
    assert_quantiles(exponential(found), exact(tuple(sizes), draws, sd), found.diagnostics.ess)


@DATA
def test_quadrature_quantiles_agree_with_exact_integration(
    sizes: list[int], draws: int, sd: float, coarse_noise: None
) -> None:
    data, prior = observed(sizes, draws, seed=3, sd=sd), coarse_prior()
    found = quadrature(data, 1, model="exponential", prior=prior)
    # a draw is a weighted proposal drawn again, so neither count alone is the effective one
    ess = 1 / (1 / found.diagnostics.ess + 1 / len(found.dm))
    assert_quantiles(exponential(found), exact(tuple(sizes), draws, sd), ess)


def test_the_posterior_converges_and_holds_the_truth() -> None:
    found = sample_posterior(observed([10, 20, 40, 80, 120], 3), seed=0)
    assert found.diagnostics.ok, found.diagnostics.messages
    assert found.diagnostics.ess >= 2000
    lo, hi = np.quantile(exponential(found), [0.005, 0.995], axis=0)
    truth = [*TRUTH[:2], np.log(TRUTH[2])]
    assert np.all((lo < truth) & (hi > truth))
    assert np.all(found.amplitude >= 0)
    assert np.all(found.parameters()["D0"] >= -1e-12)


def test_a_saturated_curve_converges() -> None:
    flat = curve([(n, r, 0.9 + 0.002 * (-1) ** r) for n in (10, 20, 40, 80) for r in range(2)])
    found = sample_posterior(flat, seed=0)
    assert found.diagnostics.ok, found.diagnostics.messages
    assert np.quantile(found.scores(80), 0.5) == pytest.approx(0.9, abs=0.005)


def test_chains_are_in_the_parameters_of_the_draws() -> None:
    found = sample_posterior(observed([10, 20, 40, 80], 2), seed=0, model="power-law")
    assert found.chain is not None
    flat = found.chain.draws.reshape(-1, 3)
    drawn = np.stack(list(found.parameters().values()), axis=1)
    assert set(map(tuple, drawn[:100])) <= set(map(tuple, flat))
    assert found.chain.log_prob.shape == found.chain.draws.shape[:2]


PROGRAM = """
import json, pandas as pd
from dicecast.forecast import sampler
from dicecast.forecast.curve import curves_from_scores
from dicecast.forecast.scores import validate_scores
sampler.MAX_STEPS = 500
rows = {'n_cases': [5, 10, 20, 40], 'score': [0.5, 0.62, 0.71, 0.76]}
found = sampler.sample_posterior(curves_from_scores(validate_scores(pd.DataFrame(rows)))[0], seed=7)
print(json.dumps([found.dm.sum(), found.amplitude.sum(), found.theta[:, 0].sum(), *found.noise.sum(axis=0)]))
"""


def test_the_same_seed_gives_the_same_numbers_in_another_process() -> None:
    answers = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True) for _ in (1, 2)
    ]
    assert answers[0].stdout == answers[1].stdout
    assert np.all(np.isfinite(json.loads(answers[0].stdout)))


@pytest.fixture
def short_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """For laws that hold draw by draw, converged or not."""
    monkeypatch.setattr(sampler_module, "MAX_STEPS", 500)


def test_another_seed_gives_other_numbers(short_chains: None) -> None:
    data = observed([10, 20, 40, 80], 1)
    assert not np.array_equal(sample_posterior(data, 1).dm[:50], sample_posterior(data, 2).dm[:50])


def test_rescaling_sizes_rescales_the_rate_and_nothing_else() -> None:
    rows = [(n, r, y) for r in (0, 1) for n, y in zip((10, 20, 40, 80), (0.5, 0.6 + 0.01 * r, 0.7, 0.74), strict=True)]
    one = sample_posterior(curve(rows), 0)
    ten = sample_posterior(curve([(10 * n, r, y) for n, r, y in rows]), 0)
    # rounding sends the chains apart, so the law holds up to Monte Carlo error
    first, second = exponential(one), exponential(ten) + np.array([0, 0, np.log(10)])
    error = 5 * first.std(axis=0) / np.sqrt(one.diagnostics.ess)
    for p in (0.1, 0.5, 0.9):
        assert np.all(np.abs(np.quantile(second, p, axis=0) - np.quantile(first, p, axis=0)) < 2 * error)
    logs = [np.log(found.noise).mean(axis=0) for found in (one, ten)]
    np.testing.assert_allclose(logs[1] - logs[0], [0, np.log(10) / 2, 0], atol=0.15)


def test_the_order_of_rows_is_irrelevant(short_chains: None) -> None:
    rows = [(n, 0, y) for n, y in zip((10, 20, 40, 80), (0.5, 0.6, 0.7, 0.74), strict=True)]
    one, other = sample_posterior(curve(rows), 0), sample_posterior(curve(rows[::-1]), 0)
    assert np.array_equal(exponential(one), exponential(other))


def test_nested_runs_share_their_cases_and_draws_share_the_pool() -> None:
    data = observed([10, 20, 40], 2)
    shared = overlap(data)
    for i, j in itertools.product(range(len(data.n)), repeat=2):
        expected = 1 / max(data.n[i], data.n[j]) if data.draw[i] == data.draw[j] else 1 / 40
        assert shared[i, j] == pytest.approx(expected)


def test_draws_of_a_whole_batch_share_all_of_it() -> None:
    data = dataclasses.replace(observed([10, 20, 40], 2), pool=(20, 40))
    shared = overlap(data)
    at = {(int(n), int(r)): i for i, (n, r) in enumerate(zip(data.n, data.draw, strict=True))}
    assert shared[at[20, 0], at[20, 1]] == pytest.approx(1 / 20)
    assert shared[at[20, 0], at[40, 1]] == pytest.approx(1 / 40)
    assert shared[at[10, 0], at[10, 1]] == pytest.approx(1 / 20)


def test_the_likelihood_is_the_mixture_of_normals_over_the_noise() -> None:
    """Constants and the prior of the noise included: evidence is compared between shapes."""
    data, prior = observed([10, 20, 40], 2), shipped_prior()
    grid = noise_grid(data, prior.misfit, prior.misfit_mass)
    means = np.array([[0.5, 0.6, 0.7], [0.4, 0.65, 0.72]])
    at = means[:, np.searchsorted(data.sizes, data.n)]
    hands = [
        [np.log(mass) + stats.multivariate_normal.logpdf(data.y, row, covariance) for row in at]
        for covariance, mass in noises_by_hand(data, prior)
    ]
    whole = np.logaddexp.reduce(np.array(hands), axis=0)
    masses = [mass for _, mass in noises_by_hand(data, prior)]
    np.testing.assert_allclose(grid.log_likelihood(means), whole - np.log(np.sum(masses)), rtol=1e-6)


def test_every_noise_has_the_likelihood_of_its_make_up() -> None:
    data, prior = observed([10, 20, 40], 2), shipped_prior()
    grid = noise_grid(data, prior.misfit, prior.misfit_mass)
    means = np.array([[0.5, 0.6, 0.7], [0.4, 0.65, 0.72]])
    at = means[:, np.searchsorted(data.sizes, data.n)]
    terms = grid.log_likelihood_terms(means)
    each = len(grid.table) // len(noise_module.SHAPES)
    for g in range(40, len(grid.table), 29):
        tau0, tau1, misfit = map(float, grid.table[g])
        covariance = covariance_by_hand(data, tau0, tau1, misfit, noise_module.SHAPES[g // each][1])
        normal = [stats.multivariate_normal.logpdf(data.y, row, covariance) for row in at]
        assert terms[0, g] - terms[1, g] == pytest.approx(normal[0] - normal[1], rel=1e-6)


def test_noise_is_drawn_by_its_likelihood() -> None:
    data, prior = observed([10, 20, 40], 2), shipped_prior()
    grid = noise_grid(data, prior.misfit, prior.misfit_mass)
    mean = np.array([[0.5, 0.6, 0.7]])
    mass = np.exp(grid.log_likelihood_terms(mean)[0])
    drawn = grid.table[grid.sample(np.repeat(mean, 4000, axis=0), np.random.default_rng(0))]
    expected = mass @ grid.table / mass.sum()
    spread = np.sqrt(mass @ (grid.table - expected) ** 2 / mass.sum())
    assert np.all(np.abs(drawn.mean(axis=0) - expected) < 4 * spread / np.sqrt(4000))


def test_with_one_draw_noise_is_never_zero(short_chains: None) -> None:
    exact = curve([(n, 0, 0.8 - 0.5 * np.exp(-0.03 * n)) for n in (10, 20, 40, 80)])
    for found in (sample_posterior(exact, 0), quadrature(exact, 0)):
        assert found.noise.min() > 0
        assert found.dm.std() > 1e-3
        assert found.noise_source == "scatter about the curve"


def test_given_standard_errors_set_the_noise_scale(short_chains: None) -> None:
    def with_error(error: float) -> Curve:
        rows = {"n_cases": [10, 20, 40, 80], "score": [0.5, 0.6, 0.7, 0.74], "se_draws": [error] * 4}
        return curves_from_scores(validate_scores(pd.DataFrame(rows)))[0]

    narrow, wide = sample_posterior(with_error(0.003), 0), sample_posterior(with_error(0.03), 0)
    assert narrow.noise_source == "se_draws"
    for n in (10, 80):
        assert narrow.scores(n).std() < 0.7 * wide.scores(n).std()


@pytest.mark.parametrize("name", FAMILIES)
def test_walkers_start_inside_the_prior(name: str) -> None:
    prior = shipped_prior().only(name)
    for data in (
        observed([10, 20, 40], 2),
        curve([(n, r, 0.9 + 0.002 * (-1) ** r) for n in (10, 20, 40, 80) for r in range(2)]),
        curve([(n, 0, 0.9 - n / 1000) for n in (10, 20, 40, 80)]),
        curve([(n, 0, 0.0) for n in (5, 10, 20)]),
        curve([(n, 0, 1.0) for n in (5, 10, 20)]),
    ):
        started = quadrature(data, 0, model=name)
        target = Target.of(data, prior)
        start = start_of(target, started, np.random.default_rng(0))
        assert start.shape == (WALKERS, target.dimensions)
        assert np.all(np.isfinite(target.log_density(start)))


def test_a_flat_curve_over_a_wide_range_is_sampled_inside_the_prior() -> None:
    """Early curves have log-slopes of hundreds at the largest size; what lies beyond the prior must be rejected."""
    rng = np.random.default_rng(1)
    data = curve([(n, r, 0.8 + 0.005 * rng.standard_normal()) for n in (10, 40, 160, 640) for r in range(3)])
    chains, sums = sample_posterior(data), quadrature(data, model=NAMED.name)
    fast = [np.mean(found.parameters()["k"] > 0.005) for found in (chains, sums)]
    assert fast[0] == pytest.approx(fast[1], abs=0.1)


def test_ctrl_c_while_sampling_prints_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, calls = Target.log_density, itertools.count()

    def interrupted(self: Target, places: np.ndarray) -> np.ndarray:
        if next(calls) > 50:
            raise KeyboardInterrupt
        return real(self, places)

    monkeypatch.setattr(Target, "log_density", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample_posterior(observed([10, 20, 40, 80], 2), seed=0)
    assert capsys.readouterr() == ("", "")
