"""What the schedule check says, and how surely."""

from __future__ import annotations

import numpy as np
import pytest

from dicecast.adapters.findings import ScheduleCheck, limited_by_training
from dicecast.forecast.curve import Curve
from dicecast.tests.adapters.terminal import made

EPS = 0.01


def check(doubled: float, error: float | None, n: int = 160) -> ScheduleCheck:
    return ScheduleCheck("2d", "tumour", n, 0.7, doubled, error)


@pytest.fixture
def curve() -> Curve:
    return made.curve("2d")


def said(curve: Curve, *checks: ScheduleCheck) -> str | None:
    return limited_by_training(curve, checks, EPS, (10, 160))


def test_a_rise_within_the_tolerance_limits_nothing(curve: Curve) -> None:
    assert said(curve, check(0.709, 0.001), check(0.8, 0.001, n=80)) is None


def test_a_clear_rise_is_told_as_it_is(curve: Curve) -> None:
    assert str(said(curve, check(0.73, 0.005))).endswith("from 0.700 to 0.730, more than 0.01.")
    assert str(said(curve, check(0.711, None))).endswith("from 0.700 to 0.711, more than 0.01.")


def test_a_rise_that_other_test_cases_might_not_show_is_called_narrow(curve: Curve) -> None:
    told = str(said(curve, check(0.711, 0.016)))
    assert "more than 0.01, but narrowly: the standard error of the rise is 0.016 over the test cases alone" in told
    assert np.isclose(check(0.711, 0.016).rise, 0.011)
