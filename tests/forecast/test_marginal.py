"""The error at the anchor integrated out in closed form, against adding it up."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.marginal import draw_error, under_all, under_some
from dicecast.forecast.noise import NoiseGrid, noise_grid

ERRORS = (np.arange(5000) + 0.5) / 5000
RELATIVE = np.array([[2.0, 1.5, 1.0], [1.1, 1.05, 1.0], [4.0, 2.0, 1.0]])
"""Error relative to that at the largest size, by point and size."""


def scores(level: float) -> Curve:
    n, draw = np.repeat([10, 20, 40], 2), np.tile([0, 1], 3)
    y = level + np.array([-0.10, -0.09, -0.05, -0.06, 0.0, 0.01])
    return averaged_curve("arm", n, draw, y, 40, 40)


def grid(level: float) -> NoiseGrid:
    return noise_grid(scores(level), np.array([0.002, 0.01]), np.array([0.4, 0.6]))


@pytest.mark.parametrize("level", [0.8, 0.985])
def test_the_integral_is_the_sum_over_errors(level: float) -> None:
    noises, most = grid(level), np.array([0.4, 0.25, 0.12])
    found = under_all(noises, RELATIVE, most)
    for point, (relative, end) in enumerate(zip(RELATIVE, most, strict=True)):
        terms = noises.log_likelihood_terms(1 - ERRORS[:, None] * end * relative)
        top = terms.max(axis=0)
        summed = top + np.log(np.exp(terms - top).mean(axis=0) * end)
        seen = summed > summed.max() - 30
        assert seen.sum() > 20
        np.testing.assert_allclose(found[point, seen], summed[seen], atol=2e-3)


def test_few_noises_of_each_point_are_the_same_as_all() -> None:
    noises, most = grid(0.8), np.array([0.4, 0.9, 0.2])
    every = under_all(noises, RELATIVE, most)
    picked = np.array([[0, 40], [100, 7], [191, 64]])
    found = under_some(noises, RELATIVE, most, picked)
    np.testing.assert_allclose(found.log, np.take_along_axis(every, picked, axis=1))
    noise, mean, sd = found.at(np.array([1, 2]), np.array([0, 1]))
    assert noise.tolist() == [100, 64]
    assert mean.tolist() == [found.mean[1, 0], found.mean[2, 1]]
    assert sd.tolist() == [found.sd[1, 0], found.sd[2, 1]]


def test_mean_and_sd_are_those_of_the_likelihood() -> None:
    noises = grid(0.8)
    found = under_some(noises, RELATIVE, np.full(3, 0.25), np.array([[30], [90], [150]]))
    for point, noise in enumerate((30, 90, 150)):
        log = noises.log_likelihood_terms(1 - ERRORS[:, None] * RELATIVE[point])[:, noise]
        weight = np.exp(log - log.max())
        mean = np.average(ERRORS, weights=weight)
        assert found.mean[point, 0] == pytest.approx(mean, rel=1e-3)
        assert found.sd[point, 0] == pytest.approx(np.sqrt(np.average((ERRORS - mean) ** 2, weights=weight)), rel=1e-2)


def test_blocks_make_no_difference_and_joining_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    noises, most = grid(0.8), np.array([0.4, 0.9, 0.2])
    whole = under_all(noises, RELATIVE, most)
    monkeypatch.setattr("dicecast.forecast.marginal.CHUNK", 1)
    np.testing.assert_allclose(under_all(noises, RELATIVE, most), whole)
    one = under_some(noises, RELATIVE[:1], most[:1], np.array([[3]]))
    other = under_some(noises, RELATIVE[1:], most[1:], np.array([[4], [5]]))
    both = one.joined(other)
    assert both.noises.ravel().tolist() == [3, 4, 5]
    np.testing.assert_array_equal(both.log, np.concatenate([one.log, other.log]))
    np.testing.assert_array_equal(both.mean, np.concatenate([one.mean, other.mean]))
    np.testing.assert_array_equal(both.sd, np.concatenate([one.sd, other.sd]))


@pytest.mark.parametrize(("mean", "sd", "most"), [(0.3, 0.02, 1.0), (0.02, 0.03, 0.5), (0.4, 0.1, 0.35)])
def test_draws_are_of_the_truncated_normal(mean: float, sd: float, most: float) -> None:
    count = 4000
    found = draw_error(np.full(count, mean), np.full(count, sd), np.full(count, most), np.random.default_rng(1))
    truth = stats.truncnorm(-mean / sd, (most - mean) / sd, mean, sd)
    assert stats.kstest(found, truth.cdf).pvalue > 0.01


def test_a_draw_from_far_outside_is_at_the_end_that_is_near() -> None:
    far = draw_error(np.array([3.0, -2.0]), np.array([0.01, 0.01]), np.array([0.5, 0.5]), np.random.default_rng(0))
    assert far.tolist() == [0.5, 1e-9]
