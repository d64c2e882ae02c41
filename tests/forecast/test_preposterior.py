"""What pilots are worth, where what they will show is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.diagnostics import importance
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.goal import Goal
from dicecast.forecast.lookahead import Prices, plan_batch
from dicecast.forecast.outlook import Outlook, round_batches
from dicecast.forecast.pilots import Design
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.preposterior import cost_after_pilots

NOW, N_MAX, DRAWS = 20, 120, 200


def posterior(levels: np.ndarray, noise: tuple[float, float, float]) -> Posterior:
    """Flat curves at these levels: amplitudes of nothing."""
    n = np.array([5, 10, NOW])
    curve = averaged_curve("arm", n, np.zeros(3, dtype=np.int64), np.full(3, 0.7), NOW, NOW)
    count = len(levels)
    return Posterior(
        curve=curve,
        model="exponential",
        families=(FAMILIES["exponential"],),
        pick=np.zeros(count, dtype=np.int64),
        dm=levels,
        amplitude=np.zeros(count),
        theta=np.column_stack([np.full(count, 0.01), np.full(count, np.nan)]),
        noise=np.tile(noise, (count, 1)),
        nested=np.ones(count, dtype=bool),
        noise_source="draws",
        diagnostics=importance(1e9),
        seed=3,
        prior="none",
    )


def outlook(done: np.ndarray) -> Outlook:
    """Draws that are done, and draws that need 60 cases in all."""
    totals = NOW + np.concatenate([[0], round_batches(N_MAX - NOW)])
    scores = np.where(done[None, :] | (totals[:, None] >= 60), 0.8, 0.7)
    return Outlook(Goal("target", 0.75), totals, scores, np.zeros(len(done)))


DONE = np.arange(DRAWS) % 2 == 0
LEVELS = np.where(DONE, 0.80, 0.70)
PRICES, PILOTS = Prices(case=1, round=10), Design((NOW,), (2,), 1.0)


def test_pilots_that_tell_everything_leave_the_cost_of_what_is_still_open() -> None:
    plan = plan_batch(outlook(np.zeros(DRAWS, dtype=bool)), PRICES, 60)
    assert plan is not None and plan.batch == 40
    cost = cost_after_pilots(posterior(LEVELS, (1e-4, 0.0, 0.0)), outlook(DONE), PRICES, 60, PILOTS)
    assert cost == pytest.approx(plan.expected_cost / 2, rel=1e-6)


def test_pilots_that_tell_nothing_leave_the_cost_as_it_is() -> None:
    before = plan_batch(outlook(DONE), PRICES, 60)
    assert before is not None
    cost = cost_after_pilots(posterior(LEVELS, (50.0, 0.0, 0.0)), outlook(DONE), PRICES, 60, PILOTS)
    assert cost == pytest.approx(before.expected_cost, rel=0.02)


@pytest.mark.parametrize("noise", [(0.08, 0.0, 0.0), (0.0, 0.08 * NOW**0.5, 0.0), (0.0, 0.0, 0.08)])
def test_every_kind_of_noise_hides_something(noise: tuple[float, float, float]) -> None:
    clear = cost_after_pilots(posterior(LEVELS, (1e-4, 0.0, 0.0)), outlook(DONE), PRICES, 60, PILOTS)
    found = cost_after_pilots(posterior(LEVELS, noise), outlook(DONE), PRICES, 60, PILOTS)
    assert found > clear + 0.5


def test_more_draws_show_more_of_what_training_hides() -> None:
    hidden = posterior(LEVELS, (0.1, 0.0, 0.0))
    costs = [
        cost_after_pilots(hidden, outlook(DONE), PRICES, 60, replace(PILOTS, draws=(draws,))) for draws in (1, 4, 16)
    ]
    assert costs[0] > costs[1] > costs[2]


def test_nothing_is_to_come_where_the_goal_is_reached_or_nothing_can_be_paid() -> None:
    sure = outlook(np.ones(DRAWS, dtype=bool))
    assert cost_after_pilots(posterior(LEVELS, (1e-4, 0.0, 0.0)), sure, PRICES, 60, PILOTS) == 0
    assert cost_after_pilots(posterior(LEVELS, (1e-4, 0.0, 0.0)), outlook(DONE), PRICES, 0, PILOTS) == 0


def test_the_same_posterior_imagines_the_same() -> None:
    hidden = posterior(LEVELS, (0.1, 0.0, 0.0))
    one, again = (cost_after_pilots(hidden, outlook(DONE), PRICES, 60, PILOTS) for _ in range(2))
    assert one == again
    assert one != cost_after_pilots(replace(hidden, seed=4), outlook(DONE), PRICES, 60, PILOTS)
