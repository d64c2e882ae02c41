"""What a forecast means in plain words."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from dicecast.forecast.curve import curves_from_scores
from dicecast.forecast.forecast import Forecast, Gain, forecast_curve
from dicecast.forecast.goal import TARGET, Goal
from dicecast.forecast.plain_words import HEADS, answer_words, cost_parts, headline, sentence, sure_words
from dicecast.forecast.recommendation import Recommendation, Situation, recommend
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.types import Interval
from dicecast.forecast.verdict import Verdict
from dicecast.tests.adapters.terminal import made

RISING = pd.DataFrame(
    {"n_cases": [50, 50, 100, 100, 200, 200], "draw": [0, 1] * 3, "score": [0.71, 0.69, 0.78, 0.77, 0.82, 0.83]}
)


def told(code: str, median: float = 0.02, p_below: float = 0.1, n_to: int = 320) -> Forecast:
    gain = Gain(80, n_to, Interval(median, median - 0.01, median + 0.02, 0.9), p_below)
    return replace(made.forecast(), verdict=Verdict(code, "why."), reachable_gain=gain)


def test_how_many_more_how_much_better_and_how_sure() -> None:
    assert answer_words(told("plateau_ahead")) == (
        "240 more cases (80 -> 320) are expected to raise the mean dice by 0.020 (90% interval +0.010 to +0.040, "
        "which holds how far scores stray from a smooth curve). The chance that the curve itself rises by more than "
        "0.01 is 90%."
    )
    little = told("plateau_reached", median=0.0001, p_below=0.97)
    assert "leave the mean dice as it is" in str(answer_words(little))
    assert "rises by no more than 0.01 is 97%" in str(answer_words(little))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (told("plateau_ahead"), "MORE CASES HELP"),
        (told("plateau_ahead", p_below=0.6), "LITTLE LEFT TO GAIN"),
        (told("beyond_horizon", n_to=80), "NOTHING LEFT TO FORECAST"),
        *((told(code), words) for code, words in HEADS.items()),
    ],
)
def test_every_verdict_has_a_headline(found: Forecast, words: str) -> None:
    assert headline(found) == words


def test_few_cases_left_are_not_called_enough() -> None:
    doubling = Gain(80, 160, Interval(0.03, 0.01, 0.05, 0.9), p_below_eps=0.05)
    assert headline(replace(told("plateau_reached", n_to=83), gain_doubling=doubling)) == "THE CASES LEFT ADD LITTLE"
    flat = replace(doubling, p_below_eps=0.9)
    assert headline(replace(told("plateau_reached", n_to=83), gain_doubling=flat)) == HEADS["plateau_reached"]


@pytest.mark.parametrize("found", [made.unforecast(), told("ill_behaved"), told("beyond_horizon", n_to=80)])
def test_nothing_is_said_where_nothing_can_be_said(found: Forecast) -> None:
    assert answer_words(found) is None


def test_families_that_disagree_are_weighed() -> None:
    assert str(answer_words(told("families_disagree"))).startswith("all families weighed together, 240 more")


def asked(left: int, target: float | None = None) -> Recommendation:
    situation = Situation(goal=None if target is None else Goal(TARGET, target), left=left)
    curve = curves_from_scores(validate_scores(RISING))[0]
    return recommend(forecast_curve(curve, quick=True), situation)


def test_the_chance_that_a_batch_suffices_is_told_once() -> None:
    found = asked(left=500)
    assert (found.code, found.stop_blocked) == ("annotate", False)
    (chance,) = sure_words(found)
    assert chance.startswith("Chance that you will then be within 0.01 of what 700 cases give: ")
    assert "probability" not in sentence(found)
    assert sentence(found).endswith("interval); decide on further batches after the next round.")


def test_the_chance_of_a_target_is_told_with_the_last_cases_too() -> None:
    found = asked(left=100, target=0.85)
    assert found.promise is not None and found.promise.n == 300
    last, chance = sure_words(found)
    assert last == "Those are all the cases there are."
    assert chance.startswith("Chance that you will then reach 0.85: ")


def test_a_reason_begins_with_a_capital_but_for_the_name_of_a_curve() -> None:
    assert sentence(Recommendation("annotate", "because.", "arm")) == "Because."
    assert sentence(Recommendation("annotate", "arm: because.", "arm")) == "arm: because."


def test_a_cost_of_one_kind_has_no_parts() -> None:
    assert cost_parts({"cases": 40.0, "round": 5.0, "compute": 0.0}) == ["annotation 40", "round 5"]
    assert cost_parts({"cases": 40.0, "round": 0.0, "compute": 0.0}) == []
