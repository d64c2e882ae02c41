"""What a forecast means in plain words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicecast.forecast.forecast import Forecast, Gain
from dicecast.forecast.plain_words import HEADS, answer_words, headline
from dicecast.forecast.types import Interval
from dicecast.forecast.verdict import Verdict
from dicecast.tests.adapters.terminal import made


def told(code: str, median: float = 0.02, p_below: float = 0.1, n_to: int = 320) -> Forecast:
    gain = Gain(80, n_to, Interval(median, median - 0.01, median + 0.02, 0.9), p_below)
    return replace(made.forecast(), verdict=Verdict(code, "why."), reachable_gain=gain)


def test_how_many_more_how_much_better_and_how_sure() -> None:
    assert answer_words(told("plateau_ahead")) == (
        "240 more cases (80 -> 320) are expected to raise the mean dice by 0.020 (90% interval +0.010 to +0.040). The "
        "chance that the curve rises by more than 0.01 is 90%."
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
