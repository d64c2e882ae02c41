"""The likelihood over the grid of noises, against the multivariate normal it stands for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.noise import (
    KNOWN_LOG_SD,
    KNOWN_SHARE_SD,
    SHAPES,
    SPREAD_PRIOR,
    SPREADS,
    mean_covariance,
    noise_grid,
)
from dicecast.forecast.subsets import alike_draws, mean_overlap, overlap, shared_by

N, DRAW = np.array([10, 10, 20, 40, 40]), np.array([0, 1, 0, 0, 1])
Y = np.array([0.50, 0.52, 0.60, 0.66, 0.65])
MISFIT, MASS = np.array([0.002, 0.01]), np.array([0.25, 0.75])


def curve(**more: object) -> Curve:
    return replace(averaged_curve("arm", N, DRAW, Y, 40, 40), **more)  # type: ignore[arg-type]


def test_draws_share_cases_within_and_between() -> None:
    found = overlap(curve(pool=(20, 40)))
    # the second batch of 20 is added in an order of its own: two draws of 40 share all, of 10 a half of 10 / 20
    expected = np.array(
        [
            [1 / 10, 5 / 100, 1 / 20, 1 / 40, 10 / 400],
            [5 / 100, 1 / 10, 10 / 200, 10 / 400, 1 / 40],
            [1 / 20, 10 / 200, 1 / 20, 1 / 40, 20 / 800],
            [1 / 40, 10 / 400, 1 / 40, 1 / 40, 40 / 1600],
            [10 / 400, 1 / 40, 20 / 800, 40 / 1600, 1 / 40],
        ]
    )
    np.testing.assert_allclose(found, expected)
    whole = overlap(curve(pool=(40,)))
    np.testing.assert_allclose(whole[0, 1], 10 * 10 / 40 / 100)


def shared(draws: int, n: int, *pool: int) -> float:
    return float(shared_by(np.array([draws]), np.array([n]), pool)[0])


def test_the_mean_of_draws_shares_the_pool() -> None:
    assert shared(1, 10, 40) == pytest.approx(0.1)
    assert shared(3, 10, 40) == pytest.approx((0.1 + 2 / 40) / 3)
    assert shared(3, 80, 40) == pytest.approx((1 / 80 + 2 * (40 / 80**2 + 40 / 80**2)) / 3)  # all of both batches
    assert shared(4, 20, 20, 200) == pytest.approx(1 / 20)  # the first batch again, whatever came later
    n, draw = np.repeat([10, 20, 30, 40], 3), np.tile([0, 1, 2], 4)
    data = curve(n=n, draw=draw, y=np.full(12, 0.5), pool=(20, 40))
    np.testing.assert_allclose(shared_by(data.draws, data.sizes, data.pool), mean_overlap(data).diagonal())


def test_draws_alike_are_found_by_their_sizes() -> None:
    n, draw = np.array([10, 10, 10, 20, 20, 40]), np.array([0, 1, 7, 0, 7, 1])
    found = alike_draws(curve(n=n, draw=draw, y=np.full(6, 0.5)))
    assert {tuple(n[places[0]]): draw[places].tolist() for places in found} == {
        (10, 20): [[0, 0], [7, 7]],
        (10, 40): [[1, 1]],
    }
    with pytest.raises(ValueError, match="one run at a size"):
        curve(n=np.array([10, 10]), draw=np.array([3, 3]), y=np.array([0.5, 0.6]))


def test_means_have_the_covariance_of_their_runs() -> None:
    found = mean_covariance(curve(), 0.03, 0.2, 0.01)
    average = np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0.5, 0.5]])
    runs = 0.03**2 * np.eye(5) + 0.2**2 * overlap(curve())
    np.testing.assert_allclose(found, average @ runs @ average.T + 0.01**2 * np.eye(3))


ALL, SOME = (10, 20, 40), (10, 40)


@pytest.mark.parametrize("pool", [(40,), (20, 40), (50,)])
@pytest.mark.parametrize("draws", [(ALL, SOME), (ALL,) * 3, (ALL, SOME, ALL, SOME, ALL, (20,)), (SOME, (20,))])
def test_every_noise_is_a_normal_likelihood(draws: tuple[tuple[int, ...], ...], pool: tuple[int, ...]) -> None:
    runs = sorted((n, draw) for draw, sizes in enumerate(draws) for n in sizes)
    n, draw = np.array(runs).T
    y = 0.75 - 2 / n + np.random.default_rng(3).normal(0, 0.01, len(n))
    data = curve(n=n, draw=draw, y=y, pool=pool)
    grid = noise_grid(data, MISFIT, MASS)
    assert grid.layout == (len(SHAPES), len(SPREADS), 2)
    assert grid.prior.sum() == pytest.approx(1)
    means = np.array([[0.5, 0.58, 0.66], [0.4, 0.5, 0.7]])
    terms = grid.log_likelihood_terms(means)
    design = (n[:, None] == np.unique(n)).astype(float)
    median, log_sd = SPREAD_PRIOR
    spread_mass = stats.norm.pdf(np.log(SPREADS / median) / log_sd)
    spread_mass /= spread_mass.sum()
    for place in np.ndindex(grid.layout):
        g = int(np.ravel_multi_index(place, grid.layout))
        (share, nested), spread, misfit = SHAPES[place[0]], SPREADS[place[1]], MISFIT[place[2]]
        assert grid.tau0[g] == pytest.approx(spread * np.sqrt(1 - share))
        assert grid.tau1[g] == pytest.approx(spread * np.sqrt(share * 10))
        assert (grid.misfit[g], grid.nested[g]) == (misfit, nested)
        falling = overlap(data) if nested else np.diag(1 / n)
        covariance = grid.tau0[g] ** 2 * np.eye(len(n)) + grid.tau1[g] ** 2 * falling
        covariance = covariance + misfit**2 * design @ design.T
        prior = np.log(spread_mass[place[1]] * MASS[place[2]] / len(SHAPES))
        for point, mean in enumerate(means):
            expected = stats.multivariate_normal.logpdf(y, design @ mean, covariance) + prior
            assert terms[point, g] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_marginal_adds_up_every_noise() -> None:
    grid = noise_grid(curve(), MISFIT, MASS)
    means = np.array([[0.5, 0.58, 0.66], [0.51, 0.6, 0.655]])
    terms = grid.log_likelihood_terms(means)
    np.testing.assert_allclose(grid.log_likelihood(means), np.log(np.exp(terms).sum(axis=1)))
    np.testing.assert_allclose(grid.perfect, grid.log_likelihood_terms(np.ones((1, 3)))[0])


def test_noises_are_drawn_by_their_probability() -> None:
    grid = noise_grid(curve(), MISFIT, MASS)
    means = np.tile([0.5, 0.58, 0.66], (20_000, 1))
    drawn = np.bincount(grid.sample(means, np.random.default_rng(0)), minlength=len(grid.prior)) / 20_000
    terms = grid.log_likelihood_terms(means[:1])[0]
    expected = np.exp(terms - terms.max())
    np.testing.assert_allclose(drawn, expected / expected.sum(), atol=0.01)


def test_trimming_keeps_the_noises_that_can_matter() -> None:
    grid = noise_grid(curve(), MISFIT, MASS)
    best = grid.constant.reshape(grid.layout).max(axis=(0, 2))
    floor = float(np.sort(best)[-5])
    small = grid.trimmed(floor)
    keep = np.tile(np.repeat(best >= floor, 2), len(SHAPES))
    assert small.layout == (len(SHAPES), 5, 2)
    for name in ("tau0", "tau1", "misfit", "prior", "constant", "nested", "first_guess"):
        if name != "first_guess":
            np.testing.assert_array_equal(getattr(small, name), getattr(grid, name)[keep])
    means = np.array([[0.5, 0.58, 0.66]])
    np.testing.assert_allclose(small.log_likelihood_terms(means), grid.log_likelihood_terms(means)[:, keep])


def test_the_first_guess_is_half_prior_half_scatter_within_sizes() -> None:
    grid = noise_grid(curve(), MISFIT, MASS)
    # one mean per size, uniform: the integral of the likelihood over the means
    log = grid.constant - 0.5 * np.log(grid.precision).sum(axis=2).ravel()
    within = np.exp(log - log.max())
    np.testing.assert_allclose(grid.first_guess, 0.5 * within / within.sum() + 0.5 * grid.prior)
    assert grid.first_guess.sum() == pytest.approx(1)
    np.testing.assert_allclose(grid.table, np.column_stack([grid.tau0, grid.tau1, grid.misfit]))


@pytest.mark.parametrize(
    ("errors", "middle", "share"),
    [
        ([0.02, 0.02, 0.02, 0.02, 0.02], 0.02, 0.0),  # the same at every size: training noise alone
        ([0.04, 0.04, 0.04 / 2**0.5, 0.02, 0.02], 0.04, 1.0),  # falls with the root of n: subset noise alone
        ([np.sqrt(0.02**2 + 0.04**2 * 10 / n) for n in N], np.sqrt(0.002), 0.8),
        ([0.02, np.nan, 0.02, 0.0, 0.02], 0.02, 0.0),  # what is not known is left out
    ],
)
def test_given_errors_centre_the_grid(errors: list[float], middle: float, share: float) -> None:
    grid = noise_grid(curve(se_draws=np.array(errors)), MISFIT, MASS)
    assert grid.source == "se_draws"
    spreads = np.unique(np.round(np.sqrt(grid.tau0**2 + grid.tau1**2 / 10), 9))
    np.testing.assert_allclose(spreads, middle * np.geomspace(0.55, 1 / 0.55, 5), rtol=1e-6)
    mass = grid.prior.reshape(grid.layout)
    by_shape = mass.sum(axis=(1, 2))
    expected = stats.norm.pdf((np.array([one for one, _ in SHAPES]) - share) / KNOWN_SHARE_SD)
    np.testing.assert_allclose(by_shape, expected / expected.sum(), rtol=1e-6)
    by_spread = mass.sum(axis=(0, 2))
    expected = stats.norm.pdf(np.log(np.geomspace(0.55, 1 / 0.55, 5)) / KNOWN_LOG_SD)
    np.testing.assert_allclose(by_spread, expected / expected.sum(), rtol=1e-6)


def test_the_source_of_the_noise_is_told() -> None:
    assert noise_grid(curve(), MISFIT, MASS).source == "draws"
    single = averaged_curve("arm", np.array([10, 20]), np.array([0, 0]), np.array([0.5, 0.6]), 20, 20)
    assert noise_grid(single, MISFIT, MASS).source == "scatter about the curve"
    assert noise_grid(replace(single, se_draws=np.zeros(2)), MISFIT, MASS).source == "scatter about the curve"
