"""The MCMC against exact integration on a dense grid, which shares none of its code."""

import dataclasses
import itertools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dicecast.forecast import noise as noise_module
from dicecast.forecast import posterior as posterior_module
from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.noise import noise_grid, overlap
from dicecast.forecast.posterior import rate_prior, sample_posterior
from dicecast.forecast.scores import validate_scores

TRUTH = (0.85, 0.35, 0.03)


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


def exact_quantiles(data: Curve, probabilities: list[float]) -> np.ndarray:
    """Quantiles of DM, D0 and log k by summing the posterior over a dense grid, one noise at a time."""
    low, high = np.log(rate_prior(data))
    axes = [
        (np.arange(220) + 0.5) / 220,
        (np.arange(220) + 0.5) / 220,
        low + (high - low) * (np.arange(120) + 0.5) / 120,
    ]
    dm, d0, _ = (axis.reshape(shape) for axis, shape in zip(axes, [(-1, 1, 1), (1, -1, 1), (1, 1, -1)], strict=True))
    allowed = d0 <= dm
    grid = list(itertools.product(noise_module.GRID, noise_module.GRID, noise_module.MISFIT_GRID))
    joint = np.zeros((220, 220, 120))
    scale = None
    for tau0, subset, misfit in grid:
        log_prior = sum(
            stats.norm.logpdf(np.log(value), np.log(median), log_sd)
            for value, (median, log_sd) in zip((tau0, subset, misfit), noise_module.PRIOR.values(), strict=True)
        )
        covariance = covariance_by_hand(data, tau0, subset * np.sqrt(data.sizes[0]), misfit)
        inverse = np.linalg.inv(covariance)
        constant = log_prior - 0.5 * np.linalg.slogdet(covariance)[1]
        # the residual is linear in (DM, D0) for given k: r = y - DM a - D0 b
        decay = np.exp(-np.exp(axes[2])[:, None] * data.n[None, :])
        a, b = 1 - decay, decay
        parts = {
            "yy": data.y @ inverse @ data.y,
            "ya": a @ inverse @ data.y,
            "yb": b @ inverse @ data.y,
            "aa": np.einsum("ki,ij,kj->k", a, inverse, a),
            "bb": np.einsum("ki,ij,kj->k", b, inverse, b),
            "ab": np.einsum("ki,ij,kj->k", a, inverse, b),
        }
        square = (
            parts["yy"]
            - 2 * dm * parts["ya"]
            - 2 * d0 * parts["yb"]
            + dm**2 * parts["aa"]
            + d0**2 * parts["bb"]
            + 2 * dm * d0 * parts["ab"]
        )
        log_density = constant - 0.5 * square
        scale = scale if scale is not None else float(log_density[np.broadcast_to(allowed, joint.shape)].max()) + 20
        joint += np.exp(log_density - scale) * allowed
    quantiles = []
    for i, axis in enumerate(axes):
        mass = joint.sum(axis=tuple(j for j in range(3) if j != i))
        quantiles.append(np.interp(probabilities, np.cumsum(mass) / mass.sum() - 0.5 * mass / mass.sum(), axis))
    return np.array(quantiles)


def covariance_by_hand(data: Curve, tau0: float, tau1: float, misfit: float) -> np.ndarray:
    """The draw-noise model written out pair by pair, for draws from one pool."""
    found = np.zeros((len(data.n), len(data.n)))
    for i, j in itertools.product(range(len(data.n)), repeat=2):
        same_draw = data.draw[i] == data.draw[j]
        found[i, j] = tau1**2 * (1 / max(data.n[i], data.n[j]) if same_draw else 1 / data.pool[-1])
        found[i, j] += tau0**2 if i == j else 0
        found[i, j] += misfit**2 if data.n[i] == data.n[j] else 0
    return found


@pytest.mark.parametrize(
    ("sizes", "draws", "sd"), [([10, 20, 40, 80, 120], 3, 0.03), ([10, 25, 60], 2, 0.03), ([10, 20, 40, 80], 1, 0.02)]
)
def test_mcmc_quantiles_agree_with_exact_quadrature(
    sizes: list[int], draws: int, sd: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a coarser noise grid keeps the exact sum affordable; the sampler uses the very same one
    monkeypatch.setattr(noise_module, "GRID", np.geomspace(0.01, 0.06, 3))
    monkeypatch.setattr(noise_module, "MISFIT_GRID", np.array([0.003, 0.009]))
    data = observed(sizes, draws, seed=3, sd=sd)
    probabilities = [0.05, 0.5, 0.95]
    exact = exact_quantiles(data, probabilities)
    found = sample_posterior(data, seed=1)
    chain = np.stack([found.flat[:, 0], found.flat[:, 1], np.log(found.flat[:, 2])], axis=1)
    for i in range(3):
        spread = chain[:, i].std()
        for p, truth in zip(probabilities, exact[i], strict=True):
            # Monte Carlo error of a quantile, sqrt(p (1 - p) / ESS) / density, plus the grid's own resolution
            density = np.mean(np.abs(chain[:, i] - truth) < 0.2 * spread) / (0.4 * spread)
            error = np.sqrt(p * (1 - p) / found.diagnostics.ess) / density
            resolution = [1 / 220, 1 / 220, 8 / 120][i]
            assert abs(np.quantile(chain[:, i], p) - truth) < 4 * error + 0.3 * resolution


def test_the_posterior_converges_and_holds_the_truth() -> None:
    found = sample_posterior(observed([10, 20, 40, 80, 120], 3), seed=0)
    assert found.diagnostics.ok, found.diagnostics.messages
    assert found.diagnostics.ess >= 2000
    lo, hi = np.quantile(found.flat, [0.005, 0.995], axis=0)
    assert np.all((lo < TRUTH) & (hi > TRUTH))
    assert np.all(found.flat[:, 1] <= found.flat[:, 0])


def test_a_saturated_curve_converges() -> None:
    flat = curve([(n, r, 0.9 + 0.002 * (-1) ** r) for n in (10, 20, 40, 80) for r in range(2)])
    found = sample_posterior(flat, seed=0)
    assert found.diagnostics.ok, found.diagnostics.messages
    assert np.quantile(found.flat[:, 0], 0.5) == pytest.approx(0.9, abs=0.005)


def test_the_same_seed_gives_the_same_numbers_in_another_process() -> None:
    program = (
        "import json, numpy as np, pandas as pd\n"
        "from dicecast.forecast.curve import curves_from_scores\n"
        "from dicecast.forecast.posterior import sample_posterior\n"
        "from dicecast.forecast.scores import validate_scores\n"
        "rows = {'n_cases': [5, 10, 20, 40], 'score': [0.5, 0.62, 0.71, 0.76]}\n"
        "found = sample_posterior(curves_from_scores(validate_scores(pd.DataFrame(rows)))[0], seed=7)\n"
        "print(json.dumps([found.flat.sum(axis=0).tolist(), found.noise.sum(axis=0).tolist()]))\n"
    )
    answers = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in (1, 2)
    ]
    assert answers[0].stdout == answers[1].stdout
    assert np.all(np.isfinite(json.loads(answers[0].stdout)[0]))


def test_another_seed_gives_other_numbers() -> None:
    data = observed([10, 20, 40, 80], 1)
    assert not np.array_equal(sample_posterior(data, 1).flat[:50], sample_posterior(data, 2).flat[:50])


def test_rescaling_sizes_rescales_the_rate_and_nothing_else() -> None:
    rows = [(n, r, y) for r in (0, 1) for n, y in zip((10, 20, 40, 80), (0.5, 0.6 + 0.01 * r, 0.7, 0.74), strict=True)]
    one = sample_posterior(curve(rows), 0)
    ten = sample_posterior(curve([(10 * n, r, y) for n, r, y in rows]), 0)
    # rounding sends the chains apart, so the law holds up to Monte Carlo error
    error = 5 * one.flat.std(axis=0) / np.sqrt(one.diagnostics.ess)
    for p in (0.1, 0.5, 0.9):
        gap = np.quantile(ten.flat * [1, 1, 10], p, axis=0) - np.quantile(one.flat, p, axis=0)
        assert np.all(np.abs(gap) < 2 * error)
    logs = [np.log(found.noise).mean(axis=0) for found in (one, ten)]
    np.testing.assert_allclose(logs[1] - logs[0], [0, np.log(10) / 2, 0], atol=0.15)


def test_the_order_of_rows_is_irrelevant() -> None:
    rows = [(n, 0, y) for n, y in zip((10, 20, 40, 80), (0.5, 0.6, 0.7, 0.74), strict=True)]
    assert np.array_equal(sample_posterior(curve(rows), 0).flat, sample_posterior(curve(rows[::-1]), 0).flat)


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
    data = observed([10, 20, 40], 2)
    grid = noise_grid(data)
    means = np.array([[0.5, 0.6, 0.7], [0.4, 0.65, 0.72]])
    terms = grid.log_likelihood_terms(means)
    for g in (0, 57, 191):
        covariance = covariance_by_hand(data, grid.tau0[g], grid.tau1[g], grid.misfit[g])
        at = means[:, np.searchsorted(data.sizes, data.n)]
        normal = [stats.multivariate_normal.logpdf(data.y, row, covariance) for row in at]
        assert terms[0, g] - terms[1, g] == pytest.approx(normal[0] - normal[1], rel=1e-6)


def test_with_one_draw_noise_is_never_zero() -> None:
    exact = curve([(n, 0, 0.8 - 0.5 * np.exp(-0.03 * n)) for n in (10, 20, 40, 80)])
    found = sample_posterior(exact, 0)
    assert found.noise.min() > 0
    assert found.flat[:, 0].std() > 1e-3
    assert found.noise_source == "scatter about the curve"


def test_given_standard_errors_set_the_noise_scale() -> None:
    def with_error(error: float) -> Curve:
        rows = {"n_cases": [10, 20, 40, 80], "score": [0.5, 0.6, 0.7, 0.74], "se_draws": [error] * 4}
        return curves_from_scores(validate_scores(pd.DataFrame(rows)))[0]

    narrow, wide = sample_posterior(with_error(0.003), 0), sample_posterior(with_error(0.03), 0)
    assert narrow.noise_source == "se_draws"
    assert narrow.flat[:, 0].std() < 0.7 * wide.flat[:, 0].std()


def test_walkers_start_inside_the_prior() -> None:
    for data in (
        observed([10, 20, 40], 2),
        curve([(n, 0, 0.0) for n in (5, 10, 20)]),
        curve([(n, 0, 1.0) for n in (5, 10, 20)]),
    ):
        start = posterior_module._start(data, noise_grid(data), np.random.default_rng(0))
        assert np.all(np.isfinite(posterior_module.log_density(start, data, noise_grid(data))))


@pytest.mark.slow
def test_ranks_are_uniform_in_simulation_based_calibration() -> None:
    """Talts et al. 2018: parameters drawn from the prior rank uniformly among their posterior draws."""
    rng = np.random.default_rng(42)
    template = observed([8, 16, 32, 64, 96], 2)
    grid = noise_grid(template)
    log_prior = prior_of_noise(grid.tau0, grid.tau1 / np.sqrt(template.sizes[0]), grid.misfit)
    ranks = []
    for seed in range(100):
        d0, dm = np.sort(rng.random(2))
        k = np.exp(rng.uniform(*np.log(rate_prior(template))))
        g = rng.choice(len(log_prior), p=np.exp(log_prior))
        covariance = covariance_by_hand(template, grid.tau0[g], grid.tau1[g], grid.misfit[g])
        y = rng.multivariate_normal(dm - (dm - d0) * np.exp(-k * template.n), covariance)
        flat = sample_posterior(dataclasses.replace(template, y=y), seed).flat
        ranks.append((flat < [dm, d0, k]).mean(axis=0))
    p_values = sorted(stats.kstest(column, "uniform").pvalue for column in np.array(ranks).T)
    # Holm over the three parameters at 1 %
    assert all(p > 0.01 / (3 - i) for i, p in enumerate(p_values)), p_values


def prior_of_noise(tau0: np.ndarray, subset: np.ndarray, misfit: np.ndarray) -> np.ndarray:
    """Log prior of every noise on the grid, normalised."""
    parts = [
        stats.norm.logpdf(np.log(values), np.log(median), log_sd)
        for values, (median, log_sd) in zip((tau0, subset, misfit), noise_module.PRIOR.values(), strict=True)
    ]
    found: np.ndarray = np.sum(parts, axis=0) - np.logaddexp.reduce(np.sum(parts, axis=0))
    return found
