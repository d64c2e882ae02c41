"""The look-ahead on outlooks made by hand, where the best batch can be worked out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicecast.forecast.costs import Costs
from dicecast.forecast.errors import InputError
from dicecast.forecast.goal import Goal
from dicecast.forecast.lookahead import GROWTH, LEAST_SHARE, MISS, RECOURSE, Prices, plan_batch
from dicecast.forecast.outlook import Outlook, round_batches


def outlook(needed: list[float], now: int = 20, n_max: int = 320, goal: Goal | None = None) -> Outlook:
    """Draws that jump from 0.7 to 0.8 at the total each of them needs."""
    totals = now + np.concatenate([[0], round_batches(n_max - now)])
    scores = np.where(totals[:, None] >= np.array(needed)[None, :], 0.8, 0.7)
    return Outlook(goal or Goal(), totals, scores, np.zeros(len(needed)))


def test_batches_are_what_people_plan_with_and_end_with_everything() -> None:
    assert round_batches(12).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    assert round_batches(0).tolist() == []
    long = round_batches(12345)
    assert {50, 60, 200, 250, 1000, 12345} <= set(long.tolist())
    assert 11 not in long
    assert np.all(np.diff(long) > 0)


def test_what_is_needed_is_known_from_the_draws() -> None:
    found = outlook([20, 50, 90, 1000])
    assert found.needed.tolist() == [20, 50, 90, 20]  # the last draw never rises: it gains nothing at all
    assert found.p_at(50) == 0.75
    assert found.p_reached == 0.5
    above = outlook([20, 50, 90, 1000], goal=Goal("target", 0.75))
    assert above.needed.tolist() == [20, 50, 90, np.inf]
    assert above.p_met[-1] == 0.75


def test_a_known_need_is_annotated_at_once() -> None:
    plan = plan_batch(outlook([60] * 50), Prices(case=1, round=10), most=60)
    assert plan is not None
    assert plan.batch == 40
    assert plan.expected_cost == 50  # 40 cases and a round; one step further there is nothing left to do


def test_rounds_that_cost_more_make_batches_larger() -> None:
    doubtful = outlook(list(range(24, 80)))
    batches = [plan_batch(doubtful, Prices(case=1, round=r), most=60).batch for r in (0.1, 5, 50)]  # type: ignore[union-attr]
    assert batches == sorted(batches)
    assert batches[0] < batches[-1]


def test_looking_one_step_ahead_takes_more_than_looking_two() -> None:
    doubtful = outlook(list(range(24, 80)))
    one, two = (plan_batch(doubtful, Prices(1, 2, look_ahead=steps), most=60) for steps in (1, 2))
    assert one is not None
    assert two is not None
    assert one.batch >= two.batch
    assert one.expected_cost >= two.expected_cost


def test_the_last_round_is_played_as_one() -> None:
    doubtful = outlook(list(range(24, 80)))
    last = plan_batch(doubtful, Prices(1, 2, rounds=1), most=60)
    alone = plan_batch(doubtful, Prices(1, 2, look_ahead=1), most=60)
    assert last == alone


def test_a_value_that_never_pays_is_not_worth_a_batch() -> None:
    worth = [plan_batch(outlook([60] * 9, goal=Goal("value", v)), Prices(case=1, round=10), most=60) for v in (1, 100)]
    cheap, dear = worth
    assert cheap is not None
    assert dear is not None
    assert cheap.expected_cost > cheap.stopping_cost == pytest.approx(10)  # 10 points at 1 each
    assert dear.batch == 40
    assert dear.expected_cost < dear.stopping_cost


@settings(max_examples=60, deadline=None)
@given(
    needed=st.lists(st.integers(20, 400), min_size=1, max_size=30),
    round_=st.floats(0, 100),
    most=st.integers(1, 60),
    budgets=st.tuples(st.floats(0, 500), st.floats(0, 500)),
    rounds=st.integers(1, 6),
)
def test_more_budget_is_never_worse_and_limits_are_kept(
    needed: list[int], round_: float, most: int, budgets: tuple[float, float], rounds: int
) -> None:
    small, large = sorted(budgets)
    view = outlook([float(n) for n in needed])
    plans = []
    for budget in (small, large):
        affordable = int(max(budget - round_, 0))
        plans.append(plan_batch(view, Prices(1, round_, budget, rounds), min(most, affordable)))
        if plans[-1] is not None:
            assert 1 <= plans[-1].batch <= min(most, affordable)
            assert plans[-1].batch + round_ <= budget * (1 + 1e-6)
    poor, rich = plans
    if poor is not None:
        assert rich is not None
    if poor is not None and rich is not None and poor.batch >= LEAST_SHARE * 20:
        assert rich.expected_cost <= poor.expected_cost + 1e-9


def test_growth_is_bounded() -> None:
    plan = plan_batch(outlook([300] * 5), Prices(1, 1), most=int((GROWTH - 1) * 20))
    assert plan is not None
    assert plan.batch == 60


@pytest.mark.parametrize("costs", [Costs(), Costs(per_case=2.0), Costs(per_case=2.0, per_round=0.0)])
def test_an_unknown_round_is_weighed_as_a_share_of_everything(costs: Costs) -> None:
    case, round_ = costs.weighed(400)
    assert case == (costs.per_case or 1.0)
    assert round_ == (0.0 if costs.per_round == 0 else 0.05 * case * 400)


def test_computing_is_part_of_a_round() -> None:
    costs = Costs(per_case=10, per_round=5, per_run=2, runs=3, budget=51)
    assert costs.affordable() == 4
    assert costs.of(4) == {"amount": 51, "unit": "EUR", "cases": 40, "round": 5, "compute": 6}


@pytest.mark.parametrize(
    ("kind", "amount"), [("plateau", 0), ("plateau", 1), ("target", 1.2), ("value", 0), ("best", 1)]
)
def test_impossible_goals_are_refused(kind: str, amount: float) -> None:
    with pytest.raises(InputError):
        Goal(kind, amount)


def test_a_batch_need_not_be_a_multiple_of_the_pool() -> None:
    plan = plan_batch(outlook([30] * 5), Prices(1, 10), most=60)
    assert plan is not None and (plan.batch, plan.expected_cost) == (10, 20)


def test_as_many_rounds_are_weighed_as_asked_for() -> None:
    far = outlook([1220] * 3, n_max=5020)  # by steps of at most 4 times: 80, 320, 1220
    two, three = (plan_batch(far, Prices(1, 10, rounds=9, look_ahead=steps), most=60) for steps in (2, 3))
    assert two is not None and three is not None
    assert two.expected_cost == 2 + 10 + MISS * 5020  # out of reach: the least batch
    assert (three.batch, three.expected_cost) == (60, 1200 + 10 + 2 * RECOURSE * 10)


@pytest.mark.parametrize(("budget", "reached"), [(220.0, True), (219.0, False)])
def test_a_later_round_is_paid_from_what_is_left(budget: float, reached: bool) -> None:
    plan = plan_batch(outlook([220] * 3), Prices(1, 10, budget=budget, paid_round=10), most=60)
    assert plan is not None
    assert plan.expected_cost == (200 + 10 + RECOURSE * 10 if reached else 2 + 10 + MISS * 320)
