"""The vague prior's cells, by the rules they follow, and mixtures of priors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.errors import InputError
from dicecast.forecast.prior import (
    AVERAGE,
    EARLY,
    FLAT,
    OVER,
    STEEP,
    VAGUE_MISFIT,
    Prior,
    empty_prior,
    from_document,
    mixed,
    shipped_prior,
    to_document,
    vague_like,
)

SHARES, SLOPES, MISFIT = np.array([0.0, 0.5, 0.75, 1.0]), np.geomspace(0.001, 100, 6), np.array([0.001, 0.003, 0.02])


def prior() -> Prior:
    return empty_prior(
        "small",
        {
            "exponential": [(1.0, 1.0)],
            "stretched-exponential": [(0.3, 0.5), (0.5, 1.0)],
            "inverse-log": [(0.0, 0.0)],
        },
        averaged=["exponential", "stretched-exponential"],
        early=["exponential"],
        shares=SHARES,
        slopes=SLOPES,
        misfit=MISFIT,
    )


def test_families_weigh_by_their_shapes_and_early_ones_a_tenth() -> None:
    found = {(one.family.name, one.early): one.weight for one in prior().families}
    assert found["exponential", False] == pytest.approx((1 - EARLY) / 3)
    assert found["stretched-exponential", False] == pytest.approx((1 - EARLY) * 2 / 3)
    assert found["inverse-log", False] == 0
    assert found["exponential", True] == pytest.approx(EARLY)
    assert prior().id == "small"


def test_without_early_families_the_others_have_all() -> None:
    late = replace(prior(), families=prior().families[:3])
    assert [one.weight for one in vague_like(late).families] == pytest.approx([1 / 3, 2 / 3, 0])
    assert vague_like(late).id == "vague"


def test_misfits_are_log_normal() -> None:
    median, log_sd = VAGUE_MISFIT
    expected = np.exp(-0.5 * (np.log(MISFIT / median) / log_sd) ** 2)
    np.testing.assert_allclose(prior().misfit_mass, expected / expected.sum())


@pytest.mark.parametrize("component", [0, 1, 3])
def test_cells_are_even_where_no_rule_rules_them_out(component: int) -> None:
    one = prior().families[component]
    slope, share = np.sqrt(SLOPES[1:] * SLOPES[:-1]), np.array([0.25, 0.625, 0.875])
    kappa = slope / share[:, None]
    least = OVER if one.early else one.family.straight
    allowed = (kappa >= least) & (kappa <= 2 * STEEP)
    expected = np.array([0.5, 0.25, 0.25])[:, None] * slope / (slope + FLAT) * allowed
    expected = np.tile(expected, (len(one.shapes), 1, 1))
    np.testing.assert_allclose(one.mass, expected / expected.sum())
    assert 0 < allowed.sum() < allowed.size


def test_a_family_without_shape_is_even_in_phi_alone() -> None:
    np.testing.assert_allclose(prior().families[2].mass, np.array([0.5, 0.25, 0.25])[None, :, None])


def test_density_is_mass_over_volume() -> None:
    made = prior()
    step = np.log(SLOPES[1] / SLOPES[0])
    for component, width in ((0, 1.0), (3, 1.0)):
        one = made.families[component]
        with np.errstate(divide="ignore"):
            expected = np.log(one.weight * one.mass / (width * np.diff(SHARES)[None, :, None] * step))
        np.testing.assert_allclose(made.log_density(component), expected)
    stretched = made.families[1]
    with np.errstate(divide="ignore"):
        widths = np.array([0.2, 0.5])[:, None, None]
        expected = np.log(stretched.weight * stretched.mass / (widths * np.diff(SHARES)[None, :, None] * step))
    np.testing.assert_allclose(made.log_density(1), expected)
    assert np.all(np.isneginf(made.log_density(2)))  # outside the average
    alone = made.only("inverse-log")
    np.testing.assert_allclose(alone.log_density(0), 0, atol=1e-12)


def test_one_family_alone_has_all_the_weight() -> None:
    alone = prior().only("exponential")
    assert [one.early for one in alone.families] == [False, True]
    assert [one.weight for one in alone.families] == pytest.approx([0.3 / 0.4, 0.1 / 0.4])
    assert [one.weight for one in prior().only("inverse-log").families] == [1]
    assert [one.family.name for one in prior().only(AVERAGE).families] == [
        *("exponential", "stretched-exponential", "exponential"),
    ]
    with pytest.raises(InputError, match="unknown family 'spline': there is average, exponential"):
        prior().only("spline")


def test_a_mixture_blends_weights_masses_and_misfits() -> None:
    one = prior()
    skewed = one.families[0].mass * np.arange(1, 16).reshape(one.families[0].mass.shape)
    other = replace(
        one,
        id="other",
        families=(replace(one.families[0], weight=0.9, mass=skewed / skewed.sum()), *one.families[1:]),
        misfit_mass=np.array([1.0, 0.0, 0.0]),
    )
    found = mixed(one, other, 0.25)
    assert found.id == "0.25 small + 0.75 other"
    weight = 0.25 * 0.3 + 0.75 * 0.9
    assert found.families[0].weight == pytest.approx(weight)
    expected = (0.25 * 0.3 * one.families[0].mass + 0.75 * 0.9 * other.families[0].mass) / weight
    np.testing.assert_allclose(found.families[0].mass, expected)
    np.testing.assert_allclose(found.misfit_mass, 0.25 * one.misfit_mass + 0.75 * other.misfit_mass)
    np.testing.assert_allclose(found.families[2].mass, one.families[2].mass)  # weight 0 in both


def test_the_hash_sees_every_part() -> None:
    one = prior()
    family = one.families[0]
    others = [
        replace(one, shares=SHARES * 0.99),
        replace(one, slopes=SLOPES * 1.01),
        replace(one, misfit=MISFIT * 1.01),
        replace(one, misfit_mass=one.misfit_mass[::-1].copy()),
        *(
            replace(one, families=(replace(family, **change), *one.families[1:]))
            for change in ({"weight": 0.31}, {"early": True}, {"shapes": ((1.0, 1.1),)}, {"mass": family.mass[:, ::-1]})
        ),
    ]
    assert len({one.hash, *(other.hash for other in others)}) == len(others) + 1
    assert one.hash == prior().hash and len(one.hash) == 16
    assert replace(one, id="another name").hash == one.hash


def test_a_document_normalises_what_it_holds() -> None:
    document = to_document(prior(), "nothing")
    assert (document["id"], document["learned_from"]) == ("small", "nothing")
    for one in document["families"]:
        one["weight"] *= 2
    found = from_document(document)
    for one, old in zip(found.families, prior().families, strict=True):
        assert (one.family, one.shapes, one.early) == (old.family, old.shapes, old.early)
        assert one.weight == pytest.approx(old.weight, abs=1e-4)
        np.testing.assert_allclose(one.mass, old.mass, atol=2e-6)
    np.testing.assert_allclose(found.misfit_mass, prior().misfit_mass, atol=2e-6)
    assert found.misfit.tolist() == MISFIT.tolist()


def test_the_shipped_prior_is_three_quarters_of_the_learned_one() -> None:
    learned, vague, shipped = shipped_prior(1.0), shipped_prior(0.0), shipped_prior()
    np.testing.assert_allclose(shipped.misfit_mass, 0.75 * learned.misfit_mass + 0.25 * vague.misfit_mass)
    np.testing.assert_allclose(vague.misfit_mass, vague_like(learned).misfit_mass)
    assert vague.families[0].weight == vague_like(learned).families[0].weight
