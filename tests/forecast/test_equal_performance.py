"""Equal performance, crossing, ranking and test sets, on pairs of curves whose truth is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from dicecast.forecast.across_test_sets import across_test_sets
from dicecast.forecast.arms import Arm, ArmCost, arms_of
from dicecast.forecast.comparison import Comparison, compare_curves
from dicecast.forecast.comparison_json import comparison_document
from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.equal_performance import crossing, equal_performance, saving_words
from dicecast.forecast.errors import InputError
from dicecast.forecast.forecast import Question
from dicecast.forecast.ranking import Ranked, choose, ranked_at, ranked_for, usual_amounts
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.types import CensoredInterval, Interval

SIZES = (10, 20, 40, 80, 160)
Truth = Callable[[float], float]


def plateau(dm: float, d0: float, k: float) -> Truth:
    return lambda n: float(dm - (dm - d0) * np.exp(-k * n))


EARLY, LATE = plateau(0.80, 0.40, 0.05), plateau(0.90, 0.30, 0.015)
"""The first is ahead with few cases, the second with many."""


def curves(truths: dict[str, Truth], sizes: Sequence[int] = SIZES, noise: float = 0.003, **names: str) -> list[Curve]:
    rng = np.random.default_rng(1)
    rows = [
        {"arm": arm, "n_cases": n, "draw": r, "score": truth(n) + noise * rng.normal(), **names}
        for arm, truth in truths.items()
        for n in sizes
        for r in range(3)
    ]
    return curves_from_scores(validate_scores(pd.DataFrame(rows)))


@pytest.fixture(scope="module")
def arms() -> list[Arm]:
    return arms_of(curves({"early": EARLY, "late": LATE}), Question(), quick=True)


def test_an_interval_is_cut_to_what_can_be_told() -> None:
    draws = np.r_[np.full(10, 1.0), np.linspace(20, 200, 80), np.full(10, np.inf)]
    found = CensoredInterval.of(draws, 0.9, floor=10, horizon=640)
    assert (found.lo, found.hi) == (10, 640)
    assert found.inside(found.median) and not found.inside(found.lo) and not found.inside(found.hi)
    assert found.holds(1) and found.holds(1e6), "that or beyond"
    inner = CensoredInterval(50, 40, 60, 0.9, 10, 640)
    assert inner.holds(60) and not inner.holds(61) and not inner.holds(1)
    half = inner.over(2)
    assert (half.lo, half.median, half.hi, half.floor, half.horizon) == (20, 25, 30, 5, 320)


def test_equal_performance_holds_the_truth(arms: list[Arm]) -> None:
    early, late = arms
    for n in (40, 160):
        found = equal_performance(early, late, n, 0.9)
        truth = brentq(lambda m, n=n: LATE(m) - EARLY(n), 1, 1000)
        assert found.cases.holds(truth)
        assert found.ratio.median == pytest.approx(found.cases.median / n)
        assert found.p_never == 0
    saved = found.saved
    assert saved.lo <= saved.median <= saved.hi
    assert saved.median == pytest.approx(1 - found.cases.median / 160)
    assert found.p_fewer is not None and found.p_fewer > 0.95, "with 160 cases late is ahead"


def test_what_is_never_reached_is_past_the_horizon(arms: list[Arm]) -> None:
    early, late = arms
    found = equal_performance(late, early, 640, 0.9)
    assert found.p_never > 0.9 and found.p_beyond >= found.p_never
    assert found.cases.median == found.cases.hi == early.horizon == 640
    assert not found.cases.inside(found.cases.hi)


def test_less_than_the_smallest_size_is_not_told(arms: list[Arm]) -> None:
    early, late = arms
    found = equal_performance(late, early, 10, 0.9)
    assert found.cases.lo == found.cases.median == early.smallest == 10
    assert saving_words("late", "early", found).startswith("fewer than 10 cases of early reach what 10 of late do: ")


def test_crossing_holds_the_truth(arms: list[Arm]) -> None:
    early, late = arms
    truth = brentq(lambda n: LATE(n) - EARLY(n), 10, 600)
    found = crossing(early, late, 0.9)
    assert found.p_second_overtakes > 0.95
    assert found.p_first + found.p_second + found.p_second_overtakes + found.p_first_overtakes == pytest.approx(1)
    assert found.n is not None and found.n.lo < truth < found.n.hi
    assert (found.start, found.end) == (10, 640)
    turned = crossing(late, early, 0.9)
    assert turned.p_first_overtakes == found.p_second_overtakes
    assert turned.n is not None and turned.n.median == pytest.approx(found.n.median)


def test_arms_that_never_cross() -> None:
    low, high = arms_of(curves({"low": plateau(0.7, 0.3, 0.03), "high": plateau(0.8, 0.4, 0.03)}), Question(), True)
    found = crossing(low, high, 0.9)
    assert found.p_second > 0.95 and found.p_first < 0.01


def test_savings_are_said_in_a_sentence(arms: list[Arm]) -> None:
    early, late = arms
    saves = saving_words("early", "late", equal_performance(early, late, 160, 0.9))
    assert re.fullmatch(r"\d+ cases of late reach what 160 of early do: 2\d% fewer \[2\d%, 2\d%\]", saves)
    more = saving_words("early", "late", equal_performance(early, late, 20, 0.9))
    assert re.fullmatch(r"\d+ cases of late reach what 20 of early do: [\d.]+ times as many \[[\d.]+, [\d.]+\]", more)
    never = saving_words("late", "early", equal_performance(late, early, 640, 0.9))
    assert (
        never
        == "640 cases of early are not expected to reach what 640 of late do: > 1.00 times as many [> 1.00, > 1.00]"
    )


def test_the_best_is_by_cases_and_by_cost(arms: list[Arm]) -> None:
    few, many = ranked_at(arms, 20, 0.9), ranked_at(arms, 320, 0.9)
    assert (few.best, many.best) == (0, 1)
    assert sum(many.p_best) == pytest.approx(1)
    # cases of `late` cost twenty times as much: for the same money it stays where it is
    costs = {"early": ArmCost(1, per_run=10), "late": ArmCost(20, per_run=10)}
    assert costs["late"].cases(10) == 0 and costs["late"].cases(9.5) < 0 and costs["late"].of(3) == 70
    rows = [ranked_for(arms, costs, amount, 0.9) for amount in (5, 10, 330)]
    assert sum(rows[0].sizes) == sum(rows[0].p_best) == 0
    assert all(score is None for score in rows[0].scores)
    assert rows[1].sizes == (160, 160)
    assert rows[2].sizes == (480, 176)
    assert rows[2].beyond == (False, False)
    # 650 cases of `early`, which is told up to 640
    past = ranked_for(arms, costs, 500, 0.9)
    assert (past.sizes, past.beyond) == ((640, 184), (True, False))
    assert ranked_for(arms, costs, 490, 0.9).beyond == (False, False)
    few = ranked_for(arms, costs, 1e6, 0.9, reach=200)
    assert (few.sizes, few.beyond) == ((200, 200), (False, False)), "no more than there are"
    assert usual_amounts(arms, costs, Question(at=(170, 320))) == (20 * 10 + 10, 20 * 160 + 10)
    usual = (10, 20 * 160 + 10, 20 * 480 + 10)
    assert usual_amounts(arms, costs, Question(at=(20, 160))) == usual, "nothing to spend on for those"
    assert usual_amounts(arms, costs, Question(reach=320)) == usual[:2]


def test_what_does_not_pay_for_a_run_is_said() -> None:
    pair = arms_of(curves({"a": EARLY, "b": LATE}), Question(), True)
    row = ranked_for(pair, {name: ArmCost(1, per_run=100) for name in "ab"}, 50, 0.9)
    arm, reason = choose(["a", "b"], [row], "EUR")
    assert arm is None and reason == "nothing to compare: with 50 EUR to spend no arm can be trained."
    one = ranked_for(pair, {"a": ArmCost(1), "b": ArmCost(1, per_run=100)}, 50, 0.9)
    later = ranked_for(pair, {"a": ArmCost(1), "b": ArmCost(1, per_run=100)}, 300, 0.9)
    arm, reason = choose(["a", "b"], [one, later], "EUR")
    assert arm == "b" and reason.startswith(
        "with 50 EUR to spend only a can be trained; with 300 EUR to spend b is the best"
    )


@pytest.mark.parametrize(("per_case", "per_run"), [(0, 0), (-1, 0), (np.inf, 0), (1, -1), (1, np.nan)])
def test_impossible_costs_are_refused(per_case: float, per_run: float) -> None:
    with pytest.raises(InputError, match="the cost of a"):
        ArmCost(per_case, per_run)


def compared(question: Question, **how: object) -> Comparison:
    (found,) = compare_curves(curves({"early": EARLY, "late": LATE}), question, quick=True, **how)  # type: ignore[arg-type]
    return found


def test_sizes_asked_for_are_ranked_and_none_past_the_horizon() -> None:
    found = compared(Question(at=(20, 320)))
    assert [row.sizes[0] for row in found.by_cases] == [20, 320]
    assert {20, 160, 320} <= {one.n for one in found.pairs[0].equal_curve}
    assert found.arm == "late" and "if you go on annotating" in found.reason
    for n in (9, 641):
        with pytest.raises(InputError, match=f"from 10 cases.* up to 640.*found {n}"):
            compared(Question(at=(n,)))


def test_what_is_annotated_past_the_horizon_is_not_compared() -> None:
    many = [replace(one, n_annotated=5000) for one in curves({"early": EARLY, "late": LATE})]
    (found,) = compare_curves(many, Question(), quick=True)
    assert [row.sizes[0] for row in found.by_cases] == [640]
    assert found.pairs[0].equal.n == 640
    assert "Past 640 cases" in found.reason
    (reached,) = compare_curves(curves({"early": EARLY, "late": LATE}), Question(reach=3000), quick=True)
    assert [row.sizes[0] for row in reached.by_cases] == [160, 320, 640] and "Past 640 cases" in reached.reason


def test_a_case_that_costs_far_more_decides(arms: list[Arm]) -> None:
    costs = {"early": ArmCost(5), "late": ArmCost(300)}
    found = compared(Question(at=(20, 320)), costs=costs, unit="s")
    assert [row.cost for row in found.by_cost] == [160 * 300]
    assert found.by_cost[0].sizes == (640, 320) and found.by_cost[0].beyond == (True, False)
    assert found.arm == "late" and "with 48,000 s to spend late is the best" in found.reason
    assert "is ranked with what they tell" in found.reason
    all_there = compared(Question(reach=160), costs=costs)
    assert all_there.by_cost == () and "Costs did not decide" in all_there.reason
    alike = {"a": EARLY, "b": EARLY}
    (same,) = compare_curves(curves(alike), Question(), costs={"a": ArmCost(1), "b": ArmCost(1)}, quick=True)
    assert same.arm is None and "cheapest" not in same.reason


def test_arms_that_are_out_of_the_race_are_no_advice() -> None:
    three = {"a": EARLY, "b": EARLY, "far below": plateau(0.6, 0.3, 0.05)}
    (found,) = compare_curves(curves(three), Question(), quick=True)
    assert found.arm is None and "a and b cannot be told apart" in found.reason
    gap = re.search(r"differ by ([\d.]+)\. Run the cheapest of them", found.reason)
    assert gap is not None and float(gap[1]) < 0.02
    many = Ranked((20,) * 40, (Interval(0.8, 0.7, 0.9, 0.9),) * 40, (0.025,) * 40)
    assert "the arms cannot be told apart" in choose([str(i) for i in range(40)], [many])[1]
    assert "Every other arm is ten times less likely to be the best" in found.reason


def test_an_arm_that_is_not_judged_is_named() -> None:
    short = curves({"short": EARLY}, sizes=(10, 20))
    (found,) = compare_curves([*curves({"early": EARLY, "late": LATE}), *short], Question(), quick=True)
    assert found.not_judged == ("short",)
    (alone,) = compare_curves([*curves({"early": EARLY}), *short], Question(), quick=True)
    assert alone.not_judged == ("short",) and "nothing to compare" in alone.reason
    assert "Not judged, with fewer than 3 sizes: short." in found.reason


def test_an_arm_whose_scores_fall_is_not_run() -> None:
    both = curves({"early": EARLY, "falls": lambda n: 0.8 - 0.001 * n})
    (found,) = compare_curves(both, Question(), quick=True)
    assert found.arm is None and found.reason.startswith("falls is ill behaved: the score falls from")


def test_arms_of_sizes_that_do_not_overlap_are_not_compared() -> None:
    both = curves({"small": EARLY}, sizes=(10, 20, 40)) + curves({"large": LATE}, sizes=(200, 400, 800))
    (found,) = compare_curves(both, Question(), quick=True)
    assert found.arm is None and found.pairs == () and "Train sizes that overlap" in found.reason


def test_the_same_cost_decides_where_costs_are_known() -> None:
    free = compared(Question(at=(20, 320)))
    dear = compared(Question(), costs={"early": ArmCost(1), "late": ArmCost(1, per_run=1e4)}, amounts=(100,), unit="h")
    assert free.arm == "late" and free.by_cost == ()
    assert dear.arm is None and dear.reason == "nothing to compare: with 100 h to spend only early can be trained."
    document = comparison_document([dear], Question(), "1")
    json.dumps(document, allow_nan=False)
    nothing = {"arm": "late", "n": 0, "score": None, "p_best": 0.0, "beyond": False}
    assert document["comparisons"][0]["by_cost"][0]["arms"][1] == nothing
    half = compare_curves(curves({"early": EARLY, "late": LATE}), Question(), costs={"early": ArmCost(1)}, quick=True)
    assert half[0].by_cost == ()


def test_saturation_on_one_test_set_and_not_on_the_other_is_said() -> None:
    flat, rising = plateau(0.85, 0.2, 0.15), plateau(0.80, 0.35, 0.006)
    inside, outside = curves({"real": flat}), curves({"real": rising}, test_set="external")
    (found,) = across_test_sets([*outside, *inside], Question())
    assert [view.curve.test_set for view in found.views] == ["test", "external"]
    assert [view.state for view in found.views] == ["saturated", "rising"]
    assert found.differs
    assert found.reason.startswith("saturated on test (")
    assert found.reason.endswith("Enough cases for test are not enough for external.")
    (turned,) = across_test_sets([*curves({"real": rising}), *curves({"real": flat}, test_set="external")], Question())
    assert turned.differs and "not enough" not in turned.reason
    document = comparison_document([], Question(), "1", [found])
    json.dumps(document, allow_nan=False)
    assert [one["state"] for one in document["across_test_sets"][0]["test_sets"]] == ["saturated", "rising"]


def test_one_test_set_or_too_few_sizes_have_nothing_across() -> None:
    assert across_test_sets(curves({"real": EARLY}), Question()) == []
    few = curves({"real": EARLY}, sizes=(10, 20)) + curves({"real": EARLY}, sizes=(10, 20), test_set="external")
    assert across_test_sets(few, Question()) == []
