"""Two arms of four draws each: equal performance, crossing, ranks and costs, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.arms import ArmCost, sizes_between, span_of
from dicecast.forecast.comparison import _difference
from dicecast.forecast.costs import MOST
from dicecast.forecast.equal_performance import (
    POINTS,
    Crossing,
    EqualPerformance,
    crossing,
    crossing_words,
    equal_curve,
    equal_performance,
    saving_words,
)
from dicecast.forecast.errors import InputError
from dicecast.forecast.forecast import Question
from dicecast.forecast.ranking import now_of, ranked_at, ranked_for, sizes_of, usual_amounts, usual_sizes
from dicecast.forecast.types import CensoredInterval, Interval
from dicecast.tests.forecast.made_arms import FLAT, STEEP, arm


def test_cases_for_the_same_score_are_found_draw_by_draw() -> None:
    np.testing.assert_allclose(STEEP.cases_for(FLAT.scores(50)), [40, 20, 4, np.inf])
    found = equal_performance(FLAT, STEEP, 50, 0.5)
    assert (found.n, found.p_fewer, found.p_beyond, found.p_never) == (50, 0.75, 0.25, 0.25)
    assert (found.cases.floor, found.cases.horizon) == (10, 160)
    assert found.cases.median == pytest.approx(30)  # of 10 (cut), 20, 40, 160 (cut)
    assert found.ratio.median == pytest.approx(0.6)
    assert found.saved.median == pytest.approx(0.4)
    assert (found.saved.lo, found.saved.hi) == pytest.approx((1 - found.ratio.hi, 1 - found.ratio.lo))
    assert (found.saved.floor, found.saved.horizon) == pytest.approx((1 - 160 / 50, 1 - 10 / 50))


def test_the_horizon_itself_is_not_beyond_it() -> None:
    one, other = arm("one", [0.75], [0.0]), arm("other", [1.0], [32.0], sizes=(8, 16, 32), annotated=32)
    assert other.cases_for(one.scores(50)).tolist() == [other.horizon] == [128]
    assert equal_performance(one, other, 50, 0.9).p_beyond == 0


@pytest.mark.parametrize(("n", "known"), [(9, False), (10, True), (160, True), (161, False)])
def test_fewer_is_told_where_the_second_arm_can_speak(n: int, known: bool) -> None:
    assert (equal_performance(FLAT, STEEP, n, 0.9).p_fewer is not None) == known


def test_a_curve_of_equal_performance_goes_to_the_horizon_and_through_what_is_asked() -> None:
    found = [one.n for one in equal_curve(FLAT, STEEP, [33, 50], 0.9)]
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (10, 160)
    assert {33, 50} <= set(found) and POINTS <= len(found) <= POINTS + 2


def test_curves_cross_where_they_do() -> None:
    found = crossing(FLAT, STEEP, 0.5)
    assert (found.start, found.end) == (10, 160)
    # two draws overtake at 40 and at 20, one is ahead from the start, one never
    assert (found.p_first, found.p_second, found.p_second_overtakes, found.p_first_overtakes) == (0.25, 0.25, 0.5, 0)
    assert found.n is not None
    assert found.n.median == pytest.approx(30, rel=1e-3)
    assert (found.n.lo, found.n.hi) == pytest.approx((25, 35), rel=1e-3)
    turned = crossing(STEEP, FLAT, 0.5)
    assert (turned.p_first, turned.p_second, turned.p_first_overtakes) == (0.25, 0.25, 0.5)
    assert turned.n is not None and turned.n.median == pytest.approx(30, rel=1e-3)
    assert crossing(FLAT, arm("low", [0.6], [0.0]), 0.9).n is None
    last = crossing(arm("flat", [0.7], [0.0]), arm("late", [0.8], [15.99]), 0.9)  # crosses at 159.9 of 160
    assert (last.p_second_overtakes, last.p_first_overtakes) == (1, 0)
    assert last.n is not None and last.n.median == pytest.approx(159.9, abs=0.01)


def equal(median: float, lo: float, hi: float) -> EqualPerformance:
    base = equal_performance(FLAT, STEEP, 100, 0.9)
    cases = CensoredInterval(median, lo, hi, 0.9, 10, 640)
    return replace(base, cases=cases, ratio=cases.over(100))


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((60, 40, 80), "60 cases of b reach what 100 of a do: 40% fewer [20%, 60%]"),
        ((60, 40, 120), "60 cases of b reach what 100 of a do: 0.60 times as many [0.40, 1.20]"),
        ((60, 40, 100), "60 cases of b reach what 100 of a do: 0.60 times as many [0.40, 1.00]"),
        ((10, 10, 80), "fewer than 10 cases of b reach what 100 of a do: > 90% fewer [20%, > 90%]"),
        (
            (640, 200, 640),
            "640 cases of b are not expected to reach what 100 of a do: > 6.40 times as many [2.00, > 6.40]",
        ),
    ],
)
def test_a_saving_is_one_sentence(ends: tuple[float, float, float], words: str) -> None:
    assert saving_words("a", "b", equal(*ends)) == words


@pytest.mark.parametrize(
    ("p", "n", "words"),
    [
        (
            (0.1, 0.2, 0.7, 0.0),
            Interval(30, 25, 35, 0.9),
            "From 10 to 160 cases b overtakes a with probability 0.70, b is ahead all the way with probability 0.20, "
            "a is ahead all the way with probability 0.10; where b overtakes, at 30 cases [25, 35]",
        ),
        (
            (0.0, 0.3, 0.2, 0.5),
            Interval(30, 25, 35, 0.9),
            "From 10 to 160 cases a overtakes b with probability 0.50, b is ahead all the way with probability 0.30, "
            "b overtakes a with probability 0.20; where a overtakes, at 30 cases [25, 35]",
        ),
        (
            (0.956, 0.004, 0.04, 0.0),
            Interval(30, 25, 35, 0.9),
            "From 10 to 160 cases a is ahead all the way with probability 0.96, b overtakes a with probability 0.04",
        ),
        (
            (0.9, 0.0, 0.05, 0.05),
            None,
            "From 10 to 160 cases a is ahead all the way with probability 0.90, b overtakes a with probability 0.05, "
            "a overtakes b with probability 0.05",
        ),
    ],
)
def test_a_crossing_is_told_likeliest_first(
    p: tuple[float, float, float, float], n: Interval | None, words: str
) -> None:
    assert crossing_words("a", "b", Crossing(10, 160, *p, n)) == words


def test_arms_speak_of_what_all_of_them_can() -> None:
    other = arm("other", [0.8], [1.0], sizes=(5, 15, 30), annotated=30)
    late = arm("late", [0.8], [1.0], sizes=(200, 300, 400), annotated=400)
    assert (other.smallest, other.horizon, other.name) == (5, 120, "other")
    assert span_of([FLAT, other]) == (10, 120)
    np.testing.assert_allclose(sizes_between([FLAT, other], 3), [10, np.sqrt(1200), 120])
    with pytest.raises(ValueError, match="no size is both >= 200 and <= 120"):
        sizes_between([other, late], 3)
    edge = arm("edge", [0.8], [1.0], sizes=(160, 320, 640), annotated=640)
    assert sizes_between([FLAT, edge], 2).tolist() == [160, 160]  # one size is enough
    assert now_of([FLAT, other]) == 30
    assert now_of([FLAT, late]) == 160  # `late` cannot speak of 50, `flat` not past 160
    assert usual_sizes([FLAT, other], Question()) == (30, 60, 120)
    assert usual_sizes([FLAT, other], Question(reach=50)) == (30, 50)
    assert usual_sizes([FLAT, other], Question(reach=500)) == (30, 60, 120)
    assert usual_sizes([FLAT, other], Question(reach=10)) == (30,)


def test_sizes_asked_for_must_be_told_by_every_arm() -> None:
    assert sizes_of([FLAT, STEEP], Question(at=(160, 10, 10))) == (10, 160)
    assert sizes_of([FLAT, STEEP], Question()) == (50, 100, 160)
    for outside in (9, 161):
        with pytest.raises(InputError, match=f"from 10 cases, .* up to 160, 4 times the largest; found {outside}"):
            sizes_of([FLAT, STEEP], Question(at=(20, outside)))


def test_scores_are_kept_between_0_and_1() -> None:
    wild = arm("wild", [1.2, 0.1], [0.0, 5.0])
    assert wild.scores(10).tolist() == [1, 0]


def test_ranks_count_draws() -> None:
    found = ranked_at([FLAT, STEEP], 160, 0.5)
    assert found.sizes == (160, 160) and found.cost is None
    assert found.p_best == (0.25, 0.75) and found.best == 1
    assert found.scores[0] is not None and found.scores[0].median == pytest.approx(0.7)
    assert _difference(FLAT, STEEP, 160, 0.5).p_second_better == 0.75
    same = _difference(FLAT, FLAT, 160, 0.5)
    assert (same.p_second_better, same.interval.median) == (0.5, 0)


COSTS = {"flat": ArmCost(1.0, 10.0), "steep": ArmCost(5.0, 0.0)}


def test_money_buys_cases_after_the_training() -> None:
    assert COSTS["flat"].cases(20) == 10 and COSTS["flat"].cases(19.99) == 9 and COSTS["flat"].of(10) == 20
    assert ArmCost(0.1).cases(0.3) == 3
    found = ranked_for([FLAT, STEEP], COSTS, 100, 0.9)
    assert found.sizes == (50 + 90, 50 + 20) and found.beyond == (False, False) and found.cost == 100
    assert ranked_for([FLAT, STEEP], COSTS, 120, 0.9).sizes == (160, 74)
    assert ranked_for([FLAT, STEEP], COSTS, 120, 0.9).beyond == (False, False)
    assert ranked_for([FLAT, STEEP], COSTS, 121, 0.9).beyond == (True, False)
    assert ranked_for([FLAT, STEEP], COSTS, 100, 0.9, reach=60).sizes == (60, 60)
    assert ranked_for([FLAT, STEEP], COSTS, 100, 0.9, reach=40).sizes == (50, 50)
    poor = ranked_for([FLAT, STEEP], COSTS, 9, 0.9)
    assert poor.sizes == (0, 51) and poor.scores[0] is None and poor.p_best == pytest.approx((0, 1))
    assert ranked_for([FLAT, STEEP], COSTS, 10, 0.9).sizes == (50, 52)
    far = arm("flat", [0.7] * 4, [0.0] * 4, annotated=500)  # more than it can speak of, but what is not trained is not
    assert ranked_for([far, STEEP], COSTS, 9, 0.9).beyond == (False, False)
    assert ranked_for([far, STEEP], COSTS, 10, 0.9).beyond == (True, False)


def test_usual_amounts_bring_the_dearest_arm_to_the_usual_sizes() -> None:
    assert usual_amounts([FLAT, STEEP], COSTS, Question()) == (10, 250, 550)
    assert usual_amounts([FLAT, STEEP], COSTS, Question(at=(40, 50, 60))) == (50,)


@pytest.mark.parametrize(
    "wrong", [{"per_case": 0.0}, {"per_case": np.inf}, {"per_case": 1.0, "per_run": -1.0}, {"per_case": -1.0}]
)
def test_impossible_costs_of_an_arm_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="finite, found"):
        ArmCost(**wrong)
    assert ArmCost(MOST, MOST).per_run == MOST
