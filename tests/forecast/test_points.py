"""Points of the prior: the curves they stand for and the density they have."""

from __future__ import annotations

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.points import STEEPEST, Points, anchors_of, from_prior
from dicecast.forecast.prior import AVERAGE, Prior, shipped_prior

SIZES = np.array([10, 20, 40, 80])
CURVE = averaged_curve("arm", SIZES, np.zeros(4, dtype=np.int64), np.array([0.5, 0.6, 0.66, 0.7]), 80, 80)


def prior() -> Prior:
    return shipped_prior().only(AVERAGE)


def drawn(count: int = 900, seed: int = 0) -> Points:
    return from_prior(prior(), CURVE, count, np.random.default_rng(seed))


def test_the_anchor_is_the_largest_size_or_the_smallest_of_early_curves() -> None:
    early = [one.early for one in prior().families]
    assert True in early and False in early
    assert anchors_of(prior(), CURVE).tolist() == [10.0 if one else 80.0 for one in early]
    assert anchors_of(prior(), CURVE, 40.0).tolist() == [10.0 if one else 40.0 for one in early]


def test_errors_are_those_of_the_curve_in_its_own_parameters() -> None:
    points = drawn()
    relative, most = points.errors_and_most(SIZES)
    error = 0.9 * most
    dm, amplitude, theta = points.natural(error)
    for component, one in enumerate(points.prior.families):
        who = points.members(component)
        names = len(one.family.theta_names)
        assert np.all(np.isnan(theta[who, names:])) and np.all(np.isfinite(theta[who, :names]))
        curve = one.family.score(SIZES, dm[who, None], amplitude[who, None], *theta[who, :names].T[:, :, None])
        fine = relative[who].max(axis=1) < 1e6
        assert fine.mean() > 0.5
        np.testing.assert_allclose(curve[fine], (1 - error[:, None] * relative)[who][fine], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(dm, 1 - error * (1 - points.share))


def test_the_error_at_the_anchor_is_the_unit() -> None:
    points = drawn()
    relative, _ = points.errors_and_most(SIZES)
    late = np.array([not one.early for one in points.prior.families])[points.pick]
    np.testing.assert_allclose(relative[late, -1], 1)
    np.testing.assert_allclose(relative[~late, 0], 1)


def test_no_score_falls_below_zero_from_where_the_family_begins() -> None:
    points = drawn()
    relative, most = points.errors_and_most(SIZES)
    assert np.all(most <= 1)
    assert np.all(1 - most[:, None] * relative >= -1e-12)
    at_zero = np.array([one.family.at_zero for one in points.prior.families])[points.pick]
    bound = most < 1
    np.testing.assert_allclose((most[:, None] * relative)[bound & ~at_zero, 0], 1)
    assert np.all((most[:, None] * relative)[bound & at_zero, 0] <= 1 + 1e-12)


def test_the_slope_is_cut_where_the_decay_is_over_within_a_step() -> None:
    points = drawn(60)
    steep = Points(points.prior, points.anchors, points.pick, points.share, 1e6 * points.share, points.shape)
    (component,) = [i for i, one in enumerate(points.prior.families) if one.family.name == "power-law"][:1]
    who = steep.members(component)
    (power,) = steep.theta(component, who)
    np.testing.assert_allclose(power, STEEPEST)


def test_joining_and_picking_keep_every_coordinate() -> None:
    one, other = drawn(30, 1), drawn(20, 2)
    both = one.joined(other)
    assert (len(one), len(both)) == (30, 50)
    for name in ("pick", "share", "slope", "shape"):
        np.testing.assert_array_equal(getattr(both, name), [*getattr(one, name), *getattr(other, name)])
        np.testing.assert_array_equal(getattr(both.at(np.array([31, 4])), name), getattr(both, name)[[31, 4]])


def test_the_prior_draws_as_often_as_its_cells_say() -> None:
    points = drawn(12_000)
    for component, one in enumerate(points.prior.families):
        who = points.members(component)
        assert len(who) == pytest.approx(12_000 / len(points.prior.families), abs=1)
        cell = np.searchsorted(points.prior.shares, points.share[who], side="right") - 1
        found = np.bincount(cell, minlength=len(points.prior.shares) - 1) / len(who)
        np.testing.assert_allclose(found, one.mass.sum(axis=(0, 2)), atol=6 / len(who))


def test_the_density_is_that_of_the_cell() -> None:
    points = drawn(300)
    found = points.log_prior()
    inside = points.slope <= STEEPEST * points.share
    for i in range(len(points)):
        one = points.prior.families[points.pick[i]]
        block = next(b for b, (lo, hi) in enumerate(one.shapes) if lo <= points.shape[i] <= hi)
        row = int(np.searchsorted(points.prior.shares, points.share[i], side="right")) - 1
        column = int(np.searchsorted(points.prior.slopes, points.slope[i], side="right")) - 1
        table = points.prior.log_density(int(points.pick[i]))
        place = (block, row, column if one.family.theta_names else 0)
        assert found[i] == (table[place] if inside[i] or not one.family.theta_names else -np.inf)
    assert np.isfinite(found).mean() > 0.9


@pytest.mark.parametrize("change", [{"share": 1.5}, {"share": -0.1}, {"slope": 1e-9}, {"slope": 1e4}, {"shape": 99.0}])
def test_outside_the_cells_there_is_no_density(change: dict[str, float]) -> None:
    points = drawn(300)
    (component,) = [i for i, one in enumerate(points.prior.families) if len(one.edges) > 1][:1]
    who = points.at(points.members(component))
    columns = {name: getattr(who, name) for name in ("share", "slope", "shape")}
    columns |= {name: np.full(len(who), value) for name, value in change.items()}
    assert np.all(np.isneginf(Points(who.prior, who.anchors, who.pick, **columns).log_prior()))
