"""The paragraph for a grant, sentence by sentence, on values made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.forecast import Forecast, Question, forecast_curve
from dicecast.forecast.goal import Goal
from dicecast.forecast.justification import justification
from dicecast.forecast.promises import Promise
from dicecast.forecast.recommendation import Recommendation
from dicecast.forecast.types import Interval
from dicecast.forecast.verdict import Verdict

SIZES = (10, 20, 40)
EVIDENCE: dict[str, Any] = {
    "n_annotated": 50,
    "n_max": 160,
    "reachable_gain": {"median": 0.0321, "lo": 0.0123, "hi": 0.0567},
}
ANNOTATE = Recommendation(
    "annotate",
    "because.",
    "arm",
    Goal(),
    30,
    0.734,
    Promise(80, 3, Interval(0.8123, 0.8, 0.8246, 0.9)),
    {"amount": 1234.0, "unit": "EUR"},
    evidence=EVIDENCE,
)


@pytest.fixture(scope="module")
def forecast() -> Forecast:
    n, draw = np.repeat(SIZES, 2), np.tile([0, 1], 3)
    y = np.array([0.5, 0.52, 0.6, 0.62, 0.7, 0.72])
    return forecast_curve(averaged_curve("arm", n, draw, y, 50, 50), quick=True, draws=300)


def said(forecast: Forecast, decision: Recommendation = ANNOTATE) -> str:
    return justification(forecast, decision, "9.9")


def test_the_data_are_told_with_every_number(forecast: Forecast) -> None:
    assert said(forecast).startswith(
        "The sample size was chosen from pilot trainings on subsets of the 50 cases annotated so far "
        f"({forecast.curve.name}; 2 random draws per size): the mean dice by number of annotated cases was "
        "10 (0.510), 20 (0.610), 40 (0.710). Learning curves ("
    )


def test_draws_and_test_cases_are_counted(forecast: Forecast) -> None:
    single = averaged_curve("arm", np.array(SIZES), np.zeros(3, dtype=np.int64), np.array([0.5, 0.6, 0.7]), 50, 50)
    assert "; 1 random draw per size)" in said(replace(forecast, curve=single))
    uneven = averaged_curve("arm", np.array([10, 20, 40, 40]), np.array([0, 0, 0, 1]), np.full(4, 0.5), 50, 50)
    assert "; 1 to 2 random draws per size)" in said(replace(forecast, curve=uneven))
    tested = replace(forecast, curve=replace(single, n_test=23))
    assert "the mean dice over 23 held-out test cases by number" in said(tested)


def test_the_model_is_named_with_its_fit(forecast: Forecast) -> None:
    assert forecast.fit is not None and forecast.expected is not None
    dm, d0, k = forecast.fit.values
    text = said(forecast)
    assert ", ".join(family.name for family in forecast.expected.families) in text
    assert f"(dicecast 9.9, prior {forecast.expected.prior}, seed 0)" in text
    assert f"least squares DM = {dm:.3f}, D0 = {d0:.3f}, k = {k:.4g}. The goal was" in text
    assert "least squares" not in said(replace(forecast, fit=None))
    assert "least squares" not in said(replace(forecast, plateau=None))


def test_without_a_curve_the_verdict_speaks(forecast: Forecast) -> None:
    bare = Forecast(forecast.curve, Question(), Verdict("too_few_sizes", "2 sizes."))
    none = Recommendation("train_pilots", "Train more.", "arm")
    text = said(bare, none)
    assert "No learning curve was fitted (dicecast 9.9): 2 sizes. Decision (train pilots): Train more. These" in text
    assert "The goal" not in text


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (Goal("plateau", 0.02), "to come within 0.02 of the score that 160 cases would give"),
        (Goal("target", 0.85), "a mean score of 0.85"),
        (Goal("value", 20.0), "to annotate while a score point (0.01) worth 20 pays for its cases"),
    ],
)
def test_the_goal_is_told_with_what_is_still_to_gain(forecast: Forecast, goal: Goal, words: str) -> None:
    assert (
        f"The goal was {words}; going from 50 to 160 cases is expected to add 0.032 "
        "(90% credible interval 0.012 to 0.057)." in said(forecast, replace(ANNOTATE, goal=goal))
    )


def test_the_decision_is_told_with_its_promise(forecast: Forecast) -> None:
    assert (
        "We therefore annotate 30 further cases (80 in all), at a cost of 1,234 EUR. They suffice with probability "
        "0.73 and are expected to give a mean score of 0.812 (90% prediction interval 0.800 to 0.825, mean of 3 "
        "draws). The number is revised after each batch. These numbers hold for the trained network, schedule and "
        "test set, and up to 160 cases (four times the largest subset trained)." in said(forecast)
    )


def test_what_is_not_known_is_left_out_of_the_decision(forecast: Forecast) -> None:
    one = Promise(80, 1, Interval(0.8, 0.79, 0.81, 0.9))
    text = said(forecast, replace(ANNOTATE, cost=None, p_suffices=None, promise=one))
    assert "30 further cases (80 in all). They are expected to give" in text
    assert "mean of 1 draw)" in text
    stop = replace(ANNOTATE, code="stop_plateau", reason="Enough.")
    assert "Decision (stop plateau): Enough." in said(forecast, stop)
    assert "Decision (annotate): because." in said(forecast, replace(ANNOTATE, promise=None))
