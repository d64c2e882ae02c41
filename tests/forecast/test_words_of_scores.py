"""Scores, sizes and their intervals in words."""

from __future__ import annotations

import math

import pytest

from dicecast.forecast.types import Interval, SizeInterval
from dicecast.forecast.words import (
    amount_words,
    chance_words,
    ends_words,
    interval_words,
    score_words,
    size_ends_words,
    size_median_words,
    size_words,
)

SIZE = SizeInterval(60.4, 40.2, 90.6, False, 0.9, 400.0)
OPEN = SizeInterval(None, 40.0, 400.0, True, 0.9, 400.0)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.85, "0.850"), (-0.0001, "0.000"), (-0.01, "-0.010"), (None, "-"), (math.nan, "-"), (math.inf, "-")],
)
def test_a_score_has_three_decimals_or_is_unknown(value: float | None, words: str) -> None:
    assert score_words(value) == words


def test_intervals_of_scores() -> None:
    assert interval_words(Interval(0.85, 0.8, 0.9, 0.9)) == "0.850 [0.800, 0.900]"
    assert ends_words(None, None) == "-"
    assert ends_words(0.1, None) == "[0.100, -]"


def test_sizes_are_whole_and_open_past_the_horizon() -> None:
    assert size_words(SIZE) == "60 [40, 91]"
    assert size_words(OPEN) == "> 400 [40, > 400]"
    assert (size_median_words(SIZE), size_median_words(OPEN)) == ("60", "> 400")
    assert (size_ends_words(SIZE), size_ends_words(OPEN)) == ("[40, 91]", "[40, > 400]")


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (999.4, "999.4"),
        (999.96, "1000"),
        (1000, "1,000"),
        (1000.4, "1,000"),
        (-1500, "-1,500"),
        (-2e15, "-2e+15"),
        (3, "3"),
        (0.25, "0.25"),
    ],
)
def test_amounts_are_parted_from_a_thousand_on(amount: float, words: str) -> None:
    assert amount_words(amount) == words


@pytest.mark.parametrize(
    ("p", "words"), [(0.0099, "less than 1%"), (0.0101, "1%"), (0.9899, "99%"), (0.9901, "more than 99%")]
)
def test_a_chance_near_its_ends(p: float, words: str) -> None:
    assert chance_words(p) == words
