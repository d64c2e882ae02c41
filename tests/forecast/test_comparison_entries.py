"""The JSON of a comparison, entry by entry, beside what it is made of."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dicecast.forecast import across_test_sets as across
from dicecast.forecast.arms import ArmCost
from dicecast.forecast.comparison import Comparison, _pair
from dicecast.forecast.comparison_json import _censored, comparison_document
from dicecast.forecast.document import Document, interval_document
from dicecast.forecast.forecast import Gain, Question
from dicecast.forecast.paired import PairedDifference, SizeDifference
from dicecast.forecast.ranking import ranked_at, ranked_for
from dicecast.forecast.types import CensoredInterval, Interval
from dicecast.tests.forecast.made_arms import FLAT, STEEP

COSTS = {"flat": ArmCost(1.0, 10.0), "steep": ArmCost(5.0, 0.0)}
SIZES = SizeDifference(40, 20, PairedDifference(0.02, 0.01, 0.03, 0.9, 0.04, 0.08, 7), 0.005)


def found() -> Comparison:
    arms = (FLAT, STEEP)
    return Comparison(
        curves=(FLAT.curve, STEEP.curve),
        arms=arms,
        pairs=(replace(_pair(FLAT, STEEP, Question(level=0.5), (50,)), observed=(SIZES,)),),
        sizes=((SIZES,), ()),
        by_cases=(ranked_at(arms, 50, 0.5),),
        by_cost=(ranked_for(arms, COSTS, 5, 0.5), ranked_for(arms, COSTS, 500, 0.5)),
        arm="steep",
        reason="why.",
        unit="EUR",
        costs=COSTS,
    )


def document() -> Document:
    made: Document = comparison_document([found()], Question(), "9.9")["comparisons"][0]
    return made


def test_the_whole_is_told_with_its_question() -> None:
    view = across.TestSetView(FLAT.curve, 0.7, Gain(50, 160, Interval(0.01, 0, 0.02, 0.9), 0.97))
    other = replace(view, curve=replace(FLAT.curve, test_set="north"), gain=replace(view.gain, p_below_eps=0.01))
    whole = comparison_document([found()], Question(), "9.9", [across.AcrossTestSets((view, other), "so.")])
    json.dumps(whole, allow_nan=False)
    assert (whole["dicecast"], whole["model"], whole["split_decisions"]) == ("9.9", "average", [])
    (entry,) = whole["across_test_sets"]
    assert (entry["arm"], entry["structure"], entry["metric"], entry["stratum"]) == ("flat", "all", "dice", "all")
    assert (entry["differs"], entry["reason"]) == (True, "so.")
    assert [(one["test_set"], one["state"], one["score_now"]) for one in entry["test_sets"]] == [
        ("test", "saturated", 0.7),
        ("north", "rising", 0.7),
    ]
    gain = {"n_from": 50, "n_to": 160, "median": 0.01, "lo": 0, "hi": 0.02, "p_below_eps": 0.97}
    assert entry["test_sets"][0]["gain"] == gain


def test_arms_curves_and_costs_are_told_by_name() -> None:
    entry = document()
    assert [entry[name] for name in ("structure", "metric", "test_set", "stratum", "unit")] == [
        *("all", "dice", "test", "all", "EUR"),
    ]
    assert (entry["arms"], entry["not_judged"]) == (["flat", "steep"], [])
    assert entry["recommendation"] == {"arm": "steep", "reason": "why."}
    assert entry["costs"]["steep"] == {"per_case": 5.0, "per_run": 0.0}
    curve = entry["curves"][0]
    assert (curve["arm"], curve["sizes"], curve["draws"]) == ("flat", [10, 20, 40], [1, 1, 1])
    assert (curve["n_annotated"], curve["horizon"], curve["n_test"], curve["n_left_out"]) == (50, 160, None, 0)
    assert curve["observed"] == pytest.approx([0.5, 0.6, 0.7])


def test_ranks_are_told_by_cases_and_by_cost() -> None:
    entry, made = document(), found()
    (row,) = entry["by_cases"]
    assert row["n"] == 50
    assert [one["arm"] for one in row["arms"]] == ["flat", "steep"]
    score = made.by_cases[0].scores[1]
    assert score is not None
    assert row["arms"][1] == {"arm": "steep", "n": 50, "score": interval_document(score), "p_best": 0.75}
    poor, rich = entry["by_cost"]
    assert (poor["cost"], poor["unit"]) == (5, "EUR")
    assert poor["arms"][0] == {"arm": "flat", "n": 0, "score": None, "p_best": 0.0, "beyond": False}
    assert [one["beyond"] for one in rich["arms"]] == [True, False]


def test_sizes_are_told_with_their_tests() -> None:
    expected = {"n": 40, "n_reference": 20, "mean": 0.02, "lo": 0.01, "hi": 0.03, "p": 0.04, "p_holm": 0.08}
    entry = document()
    assert entry["sizes"] == {"flat": [{**expected, "cases": 7, "draw_sd": 0.005}], "steep": []}
    assert entry["pairs"][0]["observed"] == entry["sizes"]["flat"]


def test_a_pair_is_told_both_ways() -> None:
    pair, made = document()["pairs"][0], found().pairs[0]
    assert (pair["first"], pair["second"], pair["shared_test_cases"]) == ("flat", "steep", 0)
    assert pair["ceiling_difference"] == interval_document(made.ceiling)
    assert pair["plateau_difference"] == {**interval_document(made.plateau), "horizon": 160, "censored": True}
    assert pair["p_second_smaller_plateau"] == made.p_second_smaller
    (score,) = pair["score_difference"]
    assert (score["n"], score["p_second_better"]) == (50, made.scores[0].p_second_better)
    equal, reverse = pair["equal_performance"], pair["equal_performance_reverse"]
    assert (equal["n_first"], equal["n_second"]["median"]) == (50, made.equal.cases.median)
    assert (reverse["n_second"], reverse["n_first"]["floor"]) == (50, 10)
    assert (equal["p_fewer"], equal["p_beyond_horizon"], equal["p_never"]) == (0.75, 0.25, 0.25)
    assert pair["p_never"] == 0.25 and pair["data_efficiency"] == _censored(made.equal.ratio)
    assert equal["saved"] == _censored(made.equal.saved)
    assert [one["n_first"] for one in pair["equal_performance_curve"]] == [one.n for one in made.equal_curve]
    crossing = pair["crossing"]
    assert (crossing["from"], crossing["to"]) == (10, 160)
    assert [crossing[name] for name in ("p_first_ahead", "p_second_ahead", "p_second_overtakes")] == [0.25, 0.25, 0.5]
    assert made.crossing.n is not None and crossing["n"] == interval_document(made.crossing.n)
    assert crossing["p_first_overtakes"] == 0


@pytest.mark.parametrize(
    ("median", "told", "side"), [(60, 60, None), (10, None, "floor"), (640, None, "horizon"), (9, None, "floor")]
)
def test_a_median_at_an_end_is_not_told(median: float, told: float | None, side: str | None) -> None:
    entry = _censored(CensoredInterval(median, 10, 640, 0.9, 10, 640))
    assert (entry["median"], entry["side"]) == (told, side)
    assert (entry["lo"], entry["hi"], entry["floor"], entry["horizon"]) == (10, 640, 10, 640)
    assert entry["lo_censored"] and entry["hi_censored"]
    inner = _censored(CensoredInterval(median, 11, 639, 0.9, 10, 640))
    assert not inner["lo_censored"] and not inner["hi_censored"]
