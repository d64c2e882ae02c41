"""Learning a prior, where what it must learn is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.learning import FinishedCurve, from_evidence, learn_prior
from dicecast.forecast.prior import Prior, empty_prior

SIZES = np.array([10, 20, 40, 80, 160, 320])


def vague() -> Prior:
    return empty_prior(
        "small",
        {"exponential": [(1.0, 1.0)], "power-law": [(0.0, 0.0)], "inverse-log": [(0.0, 0.0)]},
        averaged=["exponential", "power-law"],
        early=["exponential"],
        shares=np.array([0.0, 0.25, 0.5, 0.75, 1.0]),
        slopes=np.geomspace(0.01, 4, 7),
        misfit=np.array([0.001, 0.004, 0.016]),
    )


def flat(prior: Prior, curves: int = 4) -> np.ndarray:
    return np.zeros((curves, sum(one.mass.size for one in prior.families), len(prior.misfit)))


def blocks(prior: Prior) -> list[slice]:
    ends = np.cumsum([0, *(one.mass.size for one in prior.families)])
    return [slice(a, b) for a, b in pairwise(ends)]


EVEN = np.full(4, 0.25)


def test_curves_that_tell_nothing_leave_weights_and_misfits_as_they_were() -> None:
    before = vague()
    after = from_evidence(flat(before), EVEN, before, "learned", 0.5)
    assert after.id == "learned"
    np.testing.assert_allclose(after.misfit_mass, before.misfit_mass)
    np.testing.assert_allclose([one.weight for one in after.families], [one.weight for one in before.families])
    for one, old in zip(after.families, before.families, strict=True):
        assert one.mass.shape == old.mass.shape
        assert one.mass.sum() == pytest.approx(1)
        assert np.all(one.mass[old.mass == 0] == 0)  # what is ruled out stays so


@pytest.mark.parametrize("pseudo", [0.5, 2.0])
def test_what_every_curve_says_counts_one_against_the_pseudo_counts(pseudo: float) -> None:
    before = vague()
    family = next(i for i, one in enumerate(before.families) if one.family.name == "power-law")
    evidence = flat(before)
    evidence[:, blocks(before)[family], 2] = 200.0
    after = from_evidence(evidence, EVEN, before, "learned", pseudo)
    expected = (1 + pseudo * before.families[family].weight) / (1 + pseudo)
    assert after.families[family].weight == pytest.approx(expected)
    np.testing.assert_allclose(
        after.misfit_mass, (np.array([0, 0, 1]) + pseudo * before.misfit_mass) / (1 + pseudo), atol=1e-9
    )


def test_a_cell_that_is_seen_gains_and_its_neighbours_with_it() -> None:
    before = vague()
    family = next(i for i, one in enumerate(before.families) if one.family.name == "power-law")
    mass = before.families[family].mass
    place = np.ravel_multi_index((0, 1, 3), mass.shape)
    evidence = flat(before)
    evidence[:, blocks(before)[family].start + place] = 200.0
    learned = from_evidence(evidence, EVEN, before, "learned", 0.5).families[family].mass[0]
    rise = learned - mass[0]
    assert rise.max() == rise[1, 3]
    assert rise[0, 3] > 0 and rise[2, 3] > 0 and rise[1, 2] > 0 and rise[1, 4] > 0
    assert rise[3, 0] < 0
    np.testing.assert_allclose(rise[1, 2], rise[1, 4], rtol=0.2)


def test_families_outside_the_average_learn_their_cells_alone() -> None:
    before = vague()
    outside = next(i for i, one in enumerate(before.families) if one.weight == 0)
    evidence = flat(before)
    evidence[:, blocks(before)[outside].start + 2] = 200.0
    after = from_evidence(evidence, EVEN, before, "learned", 0.5)
    assert after.families[outside].weight == 0
    assert np.argmax(after.families[outside].mass) == 2
    np.testing.assert_allclose(sum(one.weight for one in after.families), 1)
    np.testing.assert_allclose(after.misfit_mass, before.misfit_mass)


def finished(source: str, k: float) -> FinishedCurve:
    y = 0.9 - 0.4 * np.exp(-k * SIZES)
    curve = averaged_curve("arm", SIZES, np.zeros(len(SIZES), dtype=np.int64), y, 320, 320)
    return FinishedCurve(curve, 80, source)


def test_sources_count_equally_however_many_curves_they_gave() -> None:
    once = learn_prior([finished("a", 0.02), finished("b", 0.1)], vague(), "learned")
    often = learn_prior([*[finished("a", 0.02)] * 3, finished("b", 0.1)], vague(), "learned")
    for one, other in zip(once.families, often.families, strict=True):
        np.testing.assert_allclose(one.mass, other.mass, atol=1e-9)
        assert one.weight == pytest.approx(other.weight)
    uneven = learn_prior([*[finished("b", 0.1)] * 3, finished("c", 0.02)], vague(), "learned")
    assert uneven.families[0].weight == pytest.approx(once.families[0].weight)


def test_exponential_curves_teach_exponentials() -> None:
    learned = learn_prior([finished("a", 0.02), finished("b", 0.03)], vague(), "learned")
    before = {(one.family.name, one.early): one.weight for one in vague().families}
    after = {(one.family.name, one.early): one.weight for one in learned.families}
    assert after["exponential", False] + after["exponential", True] > 0.75
    assert after["power-law", False] < before["power-law", False]
    more_vague = learn_prior([finished("a", 0.02), finished("b", 0.03)], vague(), "learned", pseudo=50.0)
    weights = {(one.family.name, one.early): one.weight for one in more_vague.families}
    for key, weight in before.items():
        assert weights[key] == pytest.approx(weight, abs=0.02)
