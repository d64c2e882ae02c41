"""What the sampler walks on and proposes from, against the densities they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.kernels import FREEDOM
from dicecast.forecast.points import STEEPEST, from_prior
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.prior import shipped_prior
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.sampler import Target
from dicecast.forecast.walkers import EVERY, MIX, WALKERS, WIDER, FromDraws, start_of, walkers

N, DRAW = np.repeat([10, 20, 40, 80], 2), np.tile([0, 1], 4)
Y = np.array([0.5, 0.52, 0.6, 0.61, 0.66, 0.67, 0.7, 0.69])
CURVE = averaged_curve("arm", N, DRAW, Y, 80, 80)
SIZES = np.unique(N)
each = pytest.mark.parametrize("name", FAMILIES)


def target(name: str) -> Target:
    return Target.of(CURVE, shipped_prior().only(name))


@pytest.fixture(scope="module")
def started() -> dict[str, Posterior]:
    return {name: quadrature(CURVE, 1, model=name, draws=400) for name in FAMILIES}


@each
def test_coordinates_are_another_way_to_write_a_curve(name: str, started: dict[str, Posterior]) -> None:
    made, found = target(name), started[name]
    places = made.pack(found)
    assert places.shape == (400, made.dimensions)
    dm, amplitude, theta = made.unpack(places)
    fine = np.isfinite(dm) & (found.amplitude * found.families[0].decay(10.0, *found.theta.T[: len(theta)]) > 1e-12)
    assert fine.mean() > 0.9
    np.testing.assert_allclose(dm[fine], found.dm[fine], rtol=1e-6)
    np.testing.assert_allclose(amplitude[fine], found.amplitude[fine], rtol=1e-5)
    np.testing.assert_allclose(places[:, 0], found.scores(80.0))


@pytest.mark.parametrize("name", ["power-law", "hill"])
def test_the_density_is_prior_times_likelihood(name: str) -> None:
    """The prior is a density in (E, phi, ln phi kappa, shape): times phi it is one in the sampler's coordinates."""
    made = target(name)
    prior = made.prior
    assert [one.early for one in prior.families] == [False]
    points = from_prior(prior, CURVE, 400, np.random.default_rng(0))
    relative, most = points.errors_and_most(SIZES)
    error = np.minimum(0.3, 0.9 * most)
    _, amplitude, theta = points.natural(error)
    decay = FAMILIES[name].decay
    columns = [theta[:, j] for j in range(len(FAMILIES[name].theta_names))]
    places = [1 - error, np.log(amplitude * decay(10.0, *columns)), np.log(FAMILIES[name].slope(80.0, *columns))]
    if made.shaped:
        places.append(points.shape)
    expected = points.log_prior() + np.log(points.share) + made.grid.log_likelihood(1 - error[:, None] * relative)
    found = made.log_density(np.column_stack(places))
    inside = np.isfinite(expected) & (points.share < 0.999) & (points.slope < 0.9 * STEEPEST * points.share)
    inside &= np.isfinite(found)
    assert inside.sum() > 200
    away = np.abs(found[inside] - expected[inside])
    assert np.mean(away < 1e-6) > 0.98  # a few lie at the very edge of a cell, or of what a shape can be told by


@each
def test_outside_there_is_no_density(name: str, started: dict[str, Posterior]) -> None:
    made = target(name)
    place = made.pack(started[name])[:1]
    assert np.isfinite(made.log_density(made.pack(started[name]))).mean() > 0.9
    for axis, value in ((0, 1.2), (0, -0.5), (1, 20.0)):
        changed = place.copy()
        changed[0, axis] = value
        assert made.log_density(changed)[0] == -np.inf
    if made.sloped:
        for value in (-60.0, 60.0):
            changed = place.copy()
            changed[0, 2] = value
            assert made.log_density(changed)[0] == -np.inf
    if made.shaped:
        for value in (-1.0, 1e3, np.nan):
            changed = place.copy()
            changed[0, -1] = value
            assert made.log_density(changed)[0] == -np.inf


def test_dimensions_count_what_a_family_has() -> None:
    found = {name: (target(name).dimensions, target(name).sloped, target(name).shaped) for name in FAMILIES}
    assert found == {
        "exponential": (3, True, False),
        "stretched-exponential": (4, True, True),
        "power-law": (3, True, False),
        "hill": (4, True, True),
        "inverse-log": (2, False, False),
    }
    assert (target("hill").smallest, target("hill").largest) == (10, 80)


def test_noises_that_matter_nowhere_near_are_left_out(started: dict[str, Posterior]) -> None:
    made = target("exponential")
    near = made.near(started["exponential"])
    assert 0 < len(near.grid.prior) < len(made.grid.prior)
    places = made.pack(started["exponential"])
    full, less = made.log_density(places), near.log_density(places)
    seen = np.isfinite(full) & (full > np.median(full[np.isfinite(full)]) - 3)
    np.testing.assert_allclose(less[seen], full[seen], atol=1e-3)


def test_proposals_have_the_density_they_claim() -> None:
    rng = np.random.default_rng(2)
    draws = rng.multivariate_normal([0, 1], [[1.0, 0.6], [0.6, 2.0]], size=300)
    move = FromDraws(draws)
    old = rng.multivariate_normal([0, 1], [[1.0, 0.6], [0.6, 2.0]], size=2000)
    new, ratio = move.get_proposal(old, None, np.random.RandomState(3))

    def log_density(points: np.ndarray) -> np.ndarray:
        centres = move._white(draws)
        width = move._width
        assert width[0] == pytest.approx(WIDER * width[1]) and (width == width[0]).sum() == np.ceil(300 / EVERY)
        t = (move._white(points)[:, None, :] - centres[None]) / width[None, :, None]
        kernels = ((1 + t**2 / FREEDOM) ** (-(FREEDOM + 1) / 2)).prod(axis=2) / width**2
        return np.asarray(np.log(kernels.sum(axis=1)))

    np.testing.assert_allclose(ratio, log_density(old) - log_density(new), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(new.mean(axis=0), draws.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(np.cov(move._white(draws).T), np.eye(2), atol=1e-9)


def test_walkers_start_inside_the_prior_and_by_their_seed(started: dict[str, Posterior]) -> None:
    made = target("exponential")
    start = start_of(made, started["exponential"], np.random.default_rng(1))
    assert start.shape == (WALKERS, 3) and np.isfinite(made.log_density(start)).all()
    assert len(np.unique(start, axis=0)) == WALKERS
    one, same, other = (walkers(made, started["exponential"], np.random.SeedSequence(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.start.coords, same.start.coords)
    assert not np.array_equal(one.start.coords, other.start.coords)
    states = [made.start.random_state[1] for made in (one, same, other)]
    assert np.array_equal(states[0], states[1]) and not np.array_equal(states[0], states[2])
    assert 0 < MIX < 1
