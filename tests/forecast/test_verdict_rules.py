"""Each verdict at the edge of its rule, on parts made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.checks import PredictiveCheck
from dicecast.forecast.families import FAMILIES, NAMED
from dicecast.forecast.forecast import FamilyView, Gain, Plateau, Question
from dicecast.forecast.types import Interval, SizeInterval
from dicecast.forecast.verdict import Verdict, verdict_of
from dicecast.tests.forecast.made_arms import FLAT, arm

EASY = PredictiveCheck(1.0, 1.0, None)
GAIN = Gain(50, 160, Interval(0.03, 0.01, 0.05, 0.9), 0.2)
SIZE = SizeInterval(64.0, 40.0, 90.0, False, 0.9, 160.0)
PLATEAU = Plateau(SIZE, Interval(0.8, 0.7, 0.9, 0.9), 0.1, 0.5)
EXPECTED = arm("flat", list(np.linspace(0.70, 0.80, 101)), [0.0] * 101).expected
"""At any size between 0.705 and 0.795 with probability 0.9."""


def view(median: float, weight: float = 0.3, name: str = "power-law") -> FamilyView:
    score = Interval(median, median - 0.1, median + 0.1, 0.9)
    return FamilyView(FAMILIES[name], weight, PLATEAU, GAIN, score, None)


def told(
    plateau: Plateau = PLATEAU,
    gain: Gain = GAIN,
    check: PredictiveCheck = EASY,
    views: tuple[FamilyView, ...] = (),
    question: Question | None = None,
) -> Verdict:
    return verdict_of(FLAT.curve, plateau, gain, check, views, EXPECTED, question or Question(), 160)


def test_more_cases_add_what_they_add() -> None:
    assert told() == Verdict(
        "plateau_ahead",
        "up to 160 cases can add 0.030 [0.010, 0.050] (90% interval); the exponential plateau levels off at 64 cases "
        "[40, 90]; 50 are annotated.",
    )
    past = told(gain=replace(GAIN, n_to=161))
    assert past.reason.startswith("up to 161 cases (past the horizon) can add 0.030")
    open_size = replace(PLATEAU, size=replace(SIZE, median=None, hi=160.0, hi_censored=True))
    assert "levels off beyond the horizon [40, > 160]; 50 are" in told(plateau=open_size).reason


@pytest.mark.parametrize(("weight", "said"), [(0.05, True), (0.049, False)])
def test_a_named_model_of_no_weight_is_not_quoted(weight: float, said: bool) -> None:
    found = told(views=(view(0.75), view(0.75, weight, NAMED.name)))
    assert ("exponential plateau levels off" in found.reason) == said


@pytest.mark.parametrize(("p", "code"), [(0.95, "plateau_reached"), (0.949, "plateau_ahead")])
def test_a_plateau_is_reached_with_95_in_100(p: float, code: str) -> None:
    found = told(gain=replace(GAIN, p_below_eps=p))
    assert found.code == code
    if code == "plateau_reached":
        assert found.reason == "with probability 0.95 going from 50 to 160 cases adds at most 0.01."


@pytest.mark.parametrize(("p", "code"), [(0.5, "plateau_ahead"), (0.501, "beyond_horizon")])
def test_a_plateau_is_beyond_the_horizon_where_it_is_likelier_there(p: float, code: str) -> None:
    found = told(plateau=replace(PLATEAU, p_beyond_horizon=p))
    assert found.code == code
    if code == "beyond_horizon":
        assert (
            "more than 160 cases with probability 0.50 (exponential plateau); up to 160 cases can add" in found.reason
        )


@pytest.mark.parametrize(
    ("views", "disagree"),
    [
        ((view(0.75),), False),
        ((view(0.705),), False),
        ((view(0.704),), True),
        ((view(0.795),), False),
        ((view(0.796),), True),
        ((view(0.9, 0.049),), False),
        ((view(0.9, 0.05),), True),
    ],
)
def test_families_disagree_where_one_of_weight_lies_outside(views: tuple[FamilyView, ...], disagree: bool) -> None:
    assert (told(views=views).code == "families_disagree") == disagree


def test_a_disagreement_names_the_families() -> None:
    found = told(views=(view(0.9, 0.25), view(0.75), view(0.6, 0.1, "hill")))
    assert found.reason == (
        "at 160 cases the forecast is 0.750 [0.705, 0.795], but a family alone expects power-law 0.900 (weight 0.25) "
        "and hill 0.600 (weight 0.10): what these scores can tell depends on the family. Train a larger size."
    )


def test_the_most_serious_verdict_comes_first() -> None:
    falls, sure = PredictiveCheck(0.001, 1.0, (10, 20)), replace(GAIN, p_below_eps=1.0)
    nothing, outside = replace(sure, n_to=50), (view(0.9),)
    assert told(check=falls, gain=nothing, views=outside).code == "ill_behaved"
    assert told(gain=nothing, views=outside).code == "beyond_horizon"
    assert told(gain=sure, views=outside).code == "plateau_reached"
    assert told(views=outside, plateau=replace(PLATEAU, p_beyond_horizon=1.0)).code == "families_disagree"


def test_with_nothing_left_to_reach_the_reason_is_said() -> None:
    nothing = replace(GAIN, n_to=50)
    assert told(gain=nothing).reason.startswith(
        "50 cases are annotated, which is as far as pilots on up to 40 can tell (horizon 160)."
    )
    asked = told(gain=nothing, question=Question(reach=50))
    assert asked.reason.startswith("all 50 cases that could ever be annotated are annotated")
