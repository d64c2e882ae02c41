"""Other patients: a common shift where scores came averaged, other test cases where they did not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.errors import InputError
from dicecast.forecast.population import TEST_SETS, _union, population_posterior, resampled_cases
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.quadrature import DRAWS, quadrature

N = np.array([10, 20, 40, 80])


def curve(errors: list[float] | None) -> Curve:
    made = averaged_curve("arm", N, 0 * N, np.array([0.5, 0.6, 0.66, 0.7]), 80, 80)
    return replace(made, se_cases=None if errors is None else np.array(errors))


@pytest.fixture(scope="module")
def alone() -> Posterior:
    return quadrature(curve(None), 2)


def test_a_known_error_shifts_every_curve_as_a_whole(alone: Posterior) -> None:
    found = population_posterior(curve([0.5, 0.5, 0.02, np.nan]), 2)  # of the largest size where it is known
    shift = found.dm - alone.dm
    assert np.std(shift) == pytest.approx(0.02, rel=0.1) and abs(np.mean(shift)) < 0.002
    np.testing.assert_allclose(found.scores(40) - alone.scores(40), shift, atol=1e-12)
    other = population_posterior(curve([0.5, 0.5, 0.02, np.nan]), 3)
    assert not np.array_equal(other.dm, found.dm)


def test_no_shift_leaves_0_to_1(alone: Posterior) -> None:
    found = population_posterior(curve([2.0] * 4), 2)
    assert found.dm.max() == pytest.approx(1) and np.mean(found.dm > 1 - 1e-9) > 0.3
    lowest = found.scores(10)
    assert lowest.min() == pytest.approx(0, abs=1e-9) and np.mean(lowest < 1e-9) > 0.3


@pytest.mark.parametrize("errors", [None])
def test_without_an_error_nothing_is_known_of_other_patients(errors: list[float] | None) -> None:
    with pytest.raises(InputError, match="needs scores of at least 2 test cases, or se_cases"):
        population_posterior(seed=0, curve=curve(errors))


def cases(ids: tuple[str, ...]) -> Curve:
    scores = np.linspace(0.3, 0.9, 4 * len(ids)).reshape(4, len(ids))
    return replace(curve(None), cases=scores, case_ids=ids)


def test_curves_of_the_same_cases_have_the_same_test_sets() -> None:
    one, same, other = cases(("a", "b", "c")), cases(("a", "b", "c")), cases(("a", "b", "d"))
    found = resampled_cases(one, 1)
    assert found.shape == (TEST_SETS, 3) and set(np.unique(found)) == {0, 1, 2}
    np.testing.assert_array_equal(found, resampled_cases(same, 1))
    assert not np.array_equal(found, resampled_cases(other, 1))
    assert not np.array_equal(found, resampled_cases(one, 2))
    assert resampled_cases(one, 1, 7).shape == (7, 3)


def test_a_union_has_every_draw_and_says_every_message_once(alone: Posterior) -> None:
    first, second = alone.first(3), replace(alone.first(5), seed=9)
    warned = replace(second, diagnostics=replace(second.diagnostics, messages=("short",)))
    found = _union(alone.curve, [first, warned, warned], 4)
    assert len(found.dm) == len(found.pick) == len(found.nested) == len(found.noise) == len(found.theta) == 13
    np.testing.assert_array_equal(found.dm, [*first.dm, *second.dm, *second.dm])
    np.testing.assert_array_equal(found.amplitude[3:8], second.amplitude)
    assert (found.diagnostics.ess, found.diagnostics.messages, found.seed) == (3.0, ("short",), 4)


def test_every_drawn_test_set_has_a_posterior_and_a_seed_of_its_own(
    alone: Posterior, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int, str]] = []

    def summed(curve: Curve, seed: int, *, model: str, prior: object, draws: int) -> Posterior:
        asked.append((seed, draws, model))
        return replace(alone.first(draws), curve=curve)

    monkeypatch.setattr("dicecast.forecast.population.quadrature", summed)
    data = cases(("a", "b", "c"))
    found = population_posterior(data, 7, model="hill", test_seed=1)
    assert asked == [(7 + i, DRAWS // TEST_SETS, "hill") for i in range(TEST_SETS)]
    assert len(found.dm) == TEST_SETS * (DRAWS // TEST_SETS)
    assert found.curve is data and (found.seed, found.diagnostics.ess) == (7, TEST_SETS)
