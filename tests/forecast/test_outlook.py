"""What totals would do for a goal, on draws made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dicecast.forecast.goal import Goal
from dicecast.forecast.outlook import Outlook, round_batches

TOTALS = np.array([10, 20, 40])
SCORES = np.array([[0.70, 0.70, 0.60, 0.80], [0.75, 0.70, 0.70, 0.80], [0.76, 0.80, 0.74, 0.80]])
"""By total and draw."""
MISFIT = np.array([0.0, -0.05, 0.02, 0.0])


def outlook(goal: Goal | None = None, misfit: np.ndarray = MISFIT) -> Outlook:
    return Outlook(goal or Goal("plateau", 0.02), TOTALS, SCORES, misfit)


def test_batches_grow_in_the_steps_people_plan_in() -> None:
    assert round_batches(1).tolist() == [1]
    assert round_batches(10).tolist() == list(range(1, 11))
    assert round_batches(23).tolist() == [*range(1, 11), 15, 20, 23]
    assert round_batches(75).tolist() == [*range(1, 11), *range(15, 51, 5), 60, 70, 75]
    assert round_batches(200).tolist()[-3:] == [180, 190, 200]
    assert round_batches(320).tolist()[-4:] == [200, 250, 300, 320]
    assert round_batches(1500).tolist()[-6:] == [1000, 1100, 1200, 1300, 1400, 1500]
    assert round_batches(3000).tolist()[-8:] == [1500, 1700, 1900, 2100, 2300, 2500, 2800, 3000]
    assert round_batches(12345).tolist()[-5:] == [8900, 9800, 10800, 12000, 12345]
    assert round_batches(-5).tolist() == []


def test_what_a_total_lacks_of_the_plateau_counts_the_misfit() -> None:
    expected = SCORES[-1] + MISFIT - SCORES - 0.02
    expected[-1] = -0.02  # everything there is lacks nothing of itself
    np.testing.assert_allclose(outlook().missing, expected)
    assert outlook().needed.tolist() == [20, 40, 40, 10]
    np.testing.assert_allclose(outlook().p_met, [0.25, 0.5, 1])
    np.testing.assert_allclose(outlook().p_too_few, [0.75, 0.5, 0])


def test_what_a_total_lacks_of_a_target_counts_the_misfit() -> None:
    found = outlook(Goal("target", 0.75))
    np.testing.assert_allclose(found.missing, 0.75 - SCORES - MISFIT)
    assert found.needed.tolist() == [20, 40, 40, 10]
    harder = outlook(Goal("target", 0.755))
    assert harder.needed.tolist() == [40, np.inf, 40, 10]
    np.testing.assert_allclose(harder.p_met, [0.25, 0.25, 0.75])
    np.testing.assert_allclose(harder.p_too_few, [0.75, 0.75, 0])
    assert (harder.p_at(39), harder.p_at(40)) == (0.25, 0.75)


def test_a_value_lacks_what_everything_would_still_add() -> None:
    found = outlook(Goal("value", 5.0))
    expected = SCORES[-1] + MISFIT - SCORES
    expected[-1] = 0
    np.testing.assert_allclose(found.missing, expected)


@pytest.mark.parametrize(("amount", "p"), [(0.02, 0.25), (0.07, 0.5), (0.11, 0.75), (0.15, 1.0)])
def test_reached_is_asked_of_the_curve_itself(amount: float, p: float) -> None:
    assert outlook(Goal("plateau", amount)).p_reached == p


def test_a_target_is_reached_where_the_cases_at_hand_give_it() -> None:
    assert [outlook(Goal("target", t)).p_reached for t in (0.6, 0.7, 0.75, 0.85)] == [1, 0.75, 0.25, 0]


def test_weights_change_probabilities_and_nothing_else() -> None:
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    found = outlook(Goal("target", 0.755)).weighed(weights)
    assert found.needed.tolist() == [40, np.inf, 40, 10]
    np.testing.assert_allclose(found.p_met, [0.1, 0.1, 0.7])
    np.testing.assert_allclose(found.p_too_few, [0.9, 0.9, 0])
    assert found.p_reached == pytest.approx(0.1)
    assert found.p_at(40) == pytest.approx(0.7)
    np.testing.assert_allclose(found.mean(np.array([[1.0, 0, 0, 0], [0, 2.0, 0, 0]])), [0.4, 0.6])
