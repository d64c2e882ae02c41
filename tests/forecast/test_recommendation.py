import dataclasses

import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.costs import Costs
from dicecast.forecast.curve import Curve, averaged_curve, curves_from_scores
from dicecast.forecast.errors import InputError
from dicecast.forecast.forecast import Forecast, Question, forecast_curve
from dicecast.forecast.goal import Goal
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.recommendation import Situation, decide, recommend, recommend_all
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.stability import RoundSummary
from dicecast.forecast.types import Interval, SizeInterval


def curve(k: float, sizes: list[int], sd: float = 0.004, dm: float = 0.85, d0: float = 0.35, draws: int = 3) -> Curve:
    rng = np.random.default_rng(5)
    rows = [(n, r, dm - (dm - d0) * np.exp(-k * n) + sd * rng.standard_normal()) for n in sizes for r in range(draws)]
    return curves_from_scores(validate_scores(pd.DataFrame(rows, columns=["n_cases", "draw", "score"])))[0]


@pytest.fixture(scope="module")
def rising() -> Forecast:
    return forecast_curve(curve(0.02, [10, 20, 40, 80]), backtest=False)


@pytest.fixture(scope="module")
def saturated() -> Forecast:
    return forecast_curve(curve(0.08, [10, 20, 40, 80, 160]), backtest=False)


def test_a_rising_curve_asks_for_more_cases_and_promises_a_score(rising: Forecast) -> None:
    found = recommend(rising)
    assert found.code == "annotate"
    assert 0 < found.batch <= 3 * 80  # the pool at most fourfold
    assert found.promise is not None
    assert found.promise.n == 80 + found.batch
    assert found.p_suffices is not None
    assert 0 <= found.p_suffices <= 1


def test_a_saturated_curve_stops_with_its_probability(saturated: Forecast) -> None:
    found = recommend(saturated)
    assert found.code == "stop_plateau"
    assert found.stops
    assert found.evidence["p_gain_below_eps"] >= 0.95


def test_limited_training_blocks_a_stop(saturated: Forecast) -> None:
    found = recommend(saturated, Situation(training_limited="the curve is limited by training."))
    assert found.code == "train_pilots"
    assert "limited by training" in found.reason


def test_limited_training_is_said_beside_an_annotation(rising: Forecast) -> None:
    found = recommend(rising, Situation(training_limited="the curve is limited by training."))
    assert found.code == "annotate"
    assert "limited by training" in found.reason


@pytest.mark.parametrize(
    "situation",
    [
        Situation(left=0),
        Situation(costs=Costs(per_case=20, budget=10)),
        Situation(rounds_left=0),
    ],
)
def test_nothing_left_to_annotate_or_spend_stops(rising: Forecast, situation: Situation) -> None:
    assert recommend(rising, situation).code == "stop_budget"


def test_a_batch_fits_what_is_left_and_what_can_be_paid(rising: Forecast) -> None:
    assert recommend(rising, Situation(left=7)).batch == 7
    found = recommend(rising, Situation(costs=Costs(per_case=20, per_round=50, budget=150)))
    assert found.batch == 5
    assert found.cost == {"amount": 150, "unit": "EUR", "cases": 100, "round": 50, "compute": 0}


def test_two_sizes_ask_for_more_pilots() -> None:
    found = recommend(forecast_curve(curve(0.02, [10, 20])))
    assert found.code == "train_pilots"
    assert "at least 3" in found.reason


def test_a_flat_noisy_curve_cannot_be_told() -> None:
    flat = forecast_curve(curve(1.0, [5, 10, 20, 40], sd=0.04, draws=2), quick=True)
    found = recommend(flat)
    assert found.code == "cannot_tell"
    assert "does not rise beyond the noise" in found.reason


def test_an_ill_behaved_curve_cannot_be_told() -> None:
    rows = {"n_cases": [10, 20, 40, 80] * 3, "draw": np.repeat(range(3), 4), "score": [0.5, 0.8, 0.82, 0.55] * 3}
    noisy = pd.DataFrame(rows).assign(score=lambda t: t["score"] + 0.002 * t["draw"])
    found = forecast_curve(curves_from_scores(validate_scores(noisy))[0], quick=True)
    assert recommend(found).code == "cannot_tell"
    nothing_left = recommend(found, Situation(left=0))
    assert nothing_left.code == "stop_budget"
    assert nothing_left.reason.startswith("Every case there is has been annotated.")
    assert "falls from" in nothing_left.reason


def test_a_stable_forecast_with_little_to_gain_stops(rising: Forecast) -> None:
    assert rising.expected is not None
    now = rising.curve.n_annotated
    draws = rising.expected.scores(now + 5) - rising.expected.scores(now)
    little, eps = Interval.of(draws, 0.9), float(np.quantile(draws, 0.8))
    size = SizeInterval(100.0, 90.0, 110.0, False, 0.9, 320.0)
    still = tuple(RoundSummary(i, now, Interval(0.85, 0.84, 0.86, 0.9), size, little) for i in range(3))
    goal = Goal("plateau", eps)
    found = recommend(rising, Situation(goal=goal, left=5, history=still))
    assert found.code == "stop_stable"
    moving = (*still[:2], dataclasses.replace(still[2], dm=Interval(0.88, 0.87, 0.89, 0.9)))
    assert recommend(rising, Situation(goal=goal, left=5, history=moving)).code == "annotate"


def test_a_goal_within_reach_counts_only_what_can_be_annotated() -> None:
    near = forecast_curve(curve(0.02, [10, 20, 40, 80]), Question(reach=82), quick=True)
    assert recommend(near, Situation(left=2)).code == "stop_plateau"


def test_the_slowest_curve_decides(rising: Forecast, saturated: Forecast) -> None:
    decision, each = recommend_all([saturated, rising], [Situation(), Situation()])
    assert decision.code == "annotate"
    assert "slowest decides" in decision.reason
    assert [one.code for one in each] == ["stop_plateau", "annotate"]


def test_every_decision_has_a_reason_and_a_complete_document(rising: Forecast, saturated: Forecast) -> None:
    for found in (recommend(rising), recommend(saturated)):
        document = found.document()
        assert document["reason"]
        assert {"code", "batch", "p_suffices", "promise", "cost", "reason", "evidence"} <= set(document)


def test_pilots_are_the_better_buy_where_cases_are_dear_and_they_may_settle_it() -> None:
    rng = np.random.default_rng(0)
    n = np.repeat([10, 20, 40, 80], 2)
    scores = 0.85 - 0.4 * np.exp(-0.12 * n) + 0.006 * rng.standard_normal(8)
    posterior = quadrature(averaged_curve("seen", n, np.tile([0, 1], 4), scores, 80, 10**9))
    dear, cheap = (
        decide(posterior, Question(), Situation(left=220, costs=costs, draws=2))
        for costs in (Costs(per_case=1000, per_round=1), Costs(per_case=1, per_round=1000))
    )
    assert dear.code == "train_pilots"
    assert dear.pilots is not None
    assert dear.pilots.draws == (2,)
    assert f"2 more draws at {dear.pilots.sizes[0]} cases are the better buy" in dear.reason
    assert cheap.code == "annotate"


def test_a_target_has_its_own_stops(rising: Forecast) -> None:
    codes = [recommend(rising, Situation(left=200, goal=Goal("target", target))).code for target in (0.5, 0.82, 0.99)]
    assert codes == ["stop_plateau", "annotate", "stop_unreachable"]


def test_what_a_point_is_worth_decides_how_far_to_go(rising: Forecast) -> None:
    costs = Costs(per_case=1, per_round=5)
    found = [recommend(rising, Situation(left=200, goal=Goal("value", worth), costs=costs)) for worth in (0.5, 20, 500)]
    assert [one.code for one in found] == ["stop_stable", "annotate", "annotate"]
    assert found[1].batch < found[2].batch
    assert found[1].p_suffices is None


@pytest.mark.parametrize("costs", [{"per_case": -1.0}, {"budget": 100.0}, {"per_case": 1.0, "per_round": -2.0}])
def test_impossible_costs_are_refused(costs: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Costs(**costs)  # type: ignore[arg-type]


@pytest.mark.parametrize("annotated", [315, 1000])
def test_far_more_cases_than_the_largest_pilot_ask_for_pilots_not_for_a_stop(annotated: int) -> None:
    data = dataclasses.replace(curve(0.02, [10, 20, 40, 80]), n_annotated=annotated, pool=(annotated,))
    found = recommend(forecast_curve(data, quick=True))
    assert found.code == "train_pilots"
    assert "largest pilot has 80" in found.reason


def test_a_blocked_stop_is_known_as_one(saturated: Forecast, rising: Forecast) -> None:
    limited = Situation(training_limited="the curve is limited by training.")
    assert recommend(saturated, limited).stop_blocked
    assert not recommend(rising, limited).stop_blocked
