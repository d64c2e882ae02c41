"""Numbers in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dicecast.forecast.ranking import best_shares
from dicecast.forecast.words import amount_words, chance_words, level_words


@pytest.mark.parametrize(
    ("level", "words"), [(0.9, "90%"), (0.29, "29%"), (0.955, "95.5%"), (0.001, "0.1%"), (0.99, "99%")]
)
def test_a_level_has_the_digits_it_needs(level: float, words: str) -> None:
    assert level_words(level) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0"),
        (12.34567, "12.35"),
        (1234.5, "1,234"),
        (1_234_567, "1,234,567"),
        (9.99e14, "999,000,000,000,000"),
        (1e15, "1e+15"),
        (1e300, "1e+300"),
        (math.inf, "inf"),
    ],
)
def test_an_amount_is_never_long(amount: float, words: str) -> None:
    assert amount_words(amount) == words


def test_an_amount_may_be_rounded_to_whole_units() -> None:
    assert amount_words(12.6, whole=True) == "13"
    assert amount_words(math.inf, whole=True) == "inf"


@pytest.mark.parametrize(
    ("p", "words"), [(0, "less than 1%"), (0.01, "1%"), (0.834, "83%"), (0.99, "99%"), (1, "more than 99%")]
)
def test_a_chance_is_never_certain(p: float, words: str) -> None:
    assert chance_words(p) == words


def test_arms_that_tie_share_the_draw() -> None:
    same = np.array([0.8, 0.9, 1.0, 1.0])
    assert best_shares([same, same]).tolist() == [0.5, 0.5]
    assert best_shares([same, None, same, same - 0.1]).tolist() == [0.5, 0, 0.5, 0]
    assert best_shares([np.array([1.0, 0.7]), np.array([1.0, 0.8])]).tolist() == [0.25, 0.75]
    assert best_shares([None, None]).tolist() == [0, 0]
