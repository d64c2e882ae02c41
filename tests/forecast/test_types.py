"""Intervals on draws whose quantiles are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dicecast.forecast.types import CensoredInterval, Interval, SizeInterval, probabilities_of

DRAWS = np.arange(101.0)
"""0 to 100: the quantile p is 100 p."""


def test_an_interval_has_equal_tails() -> None:
    assert probabilities_of(0.9) == pytest.approx((0.05, 0.5, 0.95))
    found = Interval.of(DRAWS.reshape(101, 1), 0.8)
    assert (found.median, found.lo, found.hi, found.level) == pytest.approx((50, 10, 90, 0.8))


@pytest.mark.parametrize(
    ("horizon", "median", "lo", "hi", "censored"),
    [
        (1000, 50, 10, 90, False),
        (90, 50, 10, 90, False),  # the horizon itself can be told
        (89, 50, 10, 89, True),
        (50, 50, 10, 50, True),
        (49, None, 10, 49, True),
        (9, None, 9, 9, True),
    ],
)
def test_sizes_are_censored_at_the_horizon(
    horizon: float, median: float | None, lo: float, hi: float, censored: bool
) -> None:
    found = SizeInterval.of(DRAWS, 0.8, horizon)
    assert (found.median, found.lo, found.hi, found.hi_censored) == (median, lo, hi, censored)
    assert (found.level, found.horizon) == (0.8, horizon)


def test_endless_sizes_are_past_any_horizon() -> None:
    found = SizeInterval.of(np.where(DRAWS > 60, np.inf, DRAWS), 0.8, 1000)
    assert (found.median, found.hi, found.hi_censored) == (50, 1000, True)


def test_a_censored_interval_is_cut_to_its_span() -> None:
    found = CensoredInterval.of(np.where(DRAWS > 80, np.inf, DRAWS), 0.8, 20, 85)
    assert (found.median, found.lo, found.hi, found.level, found.floor, found.horizon) == (50, 20, 85, 0.8, 20, 85)
    assert found.words("{:.0f}") == "50 [< 20, > 85]"
    assert [found.inside(value) for value in (19.9, 20, 20.1)] == [False, False, True]
    assert [found.inside(value) for value in (84.9, 85, 85.1)] == [True, False, False]


def test_what_a_censored_interval_holds_is_cut_alike() -> None:
    found = CensoredInterval(50, 20, 70, 0.8, 20, 85)
    assert [found.holds(truth) for truth in (0, 20, 70, 70.1, math.inf)] == [True, True, True, False, False]
    assert CensoredInterval(50, 30, 85, 0.8, 20, 85).holds(math.inf)
    assert not CensoredInterval(50, 30, 85, 0.8, 20, 85).holds(25)


def test_dividing_divides_the_span_as_well() -> None:
    found = CensoredInterval(50, 20, 70, 0.8, 10, 80).over(10)
    assert found == CensoredInterval(5, 2, 7, 0.8, 1, 8)


def test_no_number_is_minus_nothing() -> None:
    span = CensoredInterval(0, -0.5, 0.5, 0.8, -1, 1)
    assert span.end(-0.001, "{:.0%}") == "0%"
    assert span.end(-0.004, "{:.2f}") == "0.00"
    assert span.end(-0.4, "{:.0%}") == "-40%"
    assert span.end(-2, "{:.0f}") == "< -2"
