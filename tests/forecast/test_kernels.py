"""Kernels are densities: they agree with Student's t, integrate to 1, and draw what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.kernels import EACH, FLOOR, FREEDOM, LOG_T, Kernels, _free, _places, product_of_t, resample
from dicecast.forecast.points import Points, from_prior
from dicecast.forecast.prior import AVERAGE, shipped_prior

SIZES = np.array([10, 20, 40, 80])
CURVE = averaged_curve("arm", SIZES, np.zeros(4, dtype=np.int64), np.array([0.5, 0.6, 0.66, 0.7]), 80, 80)


def some_points(count: int = 2000, seed: int = 0) -> Points:
    return from_prior(shipped_prior().only(AVERAGE), CURVE, count, np.random.default_rng(seed))


def test_the_kernel_is_students_t() -> None:
    there, centres, width = np.array([[0.3], [2.0]]), np.array([[0.0], [1.0], [-4.0]]), np.array([1.0, 0.5, 2.0])
    found = np.log(product_of_t(there, centres, width)) - LOG_T - np.log(width)
    np.testing.assert_allclose(found, stats.t.logpdf(there, FREEDOM, centres.T, width))


def test_axes_are_multiplied() -> None:
    there, centres, width = np.array([[0.3, -1.0]]), np.array([[0.0, 0.5]]), np.ones(1)
    one, other = (product_of_t(there[:, [i]], centres[:, [i]], width) for i in (0, 1))
    np.testing.assert_allclose(product_of_t(there, centres, width), one * other)


def test_resampling_takes_as_many_as_the_weights_say() -> None:
    picked = resample(np.array([1.0, 0.0, 3.0]), 8, np.random.default_rng(0))
    assert np.bincount(picked, minlength=3).tolist() == [2, 0, 6]
    assert not np.array_equal(picked, np.sort(picked))
    even = resample(np.ones(5), 5, np.random.default_rng(1))
    assert sorted(even) == [0, 1, 2, 3, 4]


def test_a_mixture_integrates_to_one() -> None:
    points = some_points()
    flat = np.zeros(len(points))
    uneven = np.where(points.share > 0.5, 0.0, -1.0)
    rng = np.random.default_rng(2)
    one, other = Kernels.about(points, flat, rng), Kernels.about(points, uneven, rng)
    drawn = one.draw(20_000, rng)
    ratio = np.exp(other.log_density(drawn) - one.log_density(drawn))
    assert np.mean(ratio) == pytest.approx(1, abs=0.05)


def test_draws_keep_to_the_space_of_curves() -> None:
    rng = np.random.default_rng(3)
    points = some_points()
    drawn = Kernels.about(points, np.zeros(len(points)), rng).draw(3000, rng)
    assert len(drawn) == 3000
    assert np.all((drawn.share > 0) & (drawn.share < 1)) and np.all(drawn.slope > 0)
    for component, one in enumerate(points.prior.families):
        mine = drawn.members(component)
        assert len(mine)
        if len(one.edges) == 1:  # a fixed shape stays what it is
            assert np.all(drawn.shape[mine] == one.edges[0])


def test_components_are_drawn_by_the_root_of_their_weight_with_a_floor() -> None:
    points = some_points()
    log_weights = np.where(points.pick == 0, 0.0, -np.inf)
    kernels = Kernels.about(points, log_weights, np.random.default_rng(4))
    others = len(points.prior.families) - 1
    np.testing.assert_allclose(kernels.chance[1:], FLOOR / (1 + FLOOR * (others + 1)))
    assert kernels.chance.sum() == pytest.approx(1)
    assert len(kernels.centres) == EACH * (others + 1)


def test_centres_follow_the_weights_but_no_single_point_takes_all() -> None:
    points = some_points()
    mine = points.members(0)
    heavy = mine[np.argsort(points.share[mine])[-200:]]
    log_weights = np.full(len(points), -50.0)
    log_weights[heavy] = 0.0
    log_weights[heavy[0]] = 30.0
    kernels = Kernels.about(points, log_weights, np.random.default_rng(5))
    centres = kernels.centres.share[:EACH]
    assert centres.min() >= points.share[heavy].min()
    assert len(np.unique(centres)) > EACH // 2


def test_the_density_is_a_mixture_of_students_t_in_every_component() -> None:
    points = some_points(400)
    kernels = Kernels.about(points, np.zeros(len(points)), np.random.default_rng(6))
    found, places = kernels.log_density(points), _places(points)
    centres = _places(kernels.centres).reshape(-1, EACH, 3)
    for component, free in enumerate(_free(points)):
        mine, inverse = points.members(component), np.linalg.inv(kernels.scale[component])
        there, about = places[mine] @ inverse.T, centres[component] @ inverse.T
        density = np.ones((len(mine), EACH))
        for axis in np.flatnonzero(free):
            density *= stats.t.pdf(there[:, [axis]], FREEDOM, about[:, axis]) * inverse[axis, axis]
        share = points.share[mine]
        expected = kernels.chance[component] * density.mean(axis=1) / (share * (1 - share))
        np.testing.assert_allclose(np.exp(found[mine]), expected)
