"""What the slider reads is what the forecast and the decision say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.adapters.html.explorer import POINTS, point_at, points_of
from dicecast.forecast.curve import curves_from_scores
from dicecast.forecast.forecast import Forecast, Question, forecast_curve, gain_draws, score_at
from dicecast.forecast.goal import TARGET, Goal
from dicecast.forecast.outlook import Outlook
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.types import Interval

from .conftest import scores


@pytest.fixture(scope="module")
def forecast() -> Forecast:
    (curve,) = curves_from_scores(validate_scores(scores({"2d": 0.82}, ("kidney",))))
    return forecast_curve(curve, Question(at=(137,), target=0.82), quick=True)


def test_every_stop_reads_as_the_forecast_of_that_size_alone(forecast: Forecast) -> None:
    assert forecast.expected is not None
    points = points_of(forecast, batch=25)
    numbers = [point.n for point in points]
    assert {10, 20, 40, 80, 105, 137, 320} <= set(numbers) and numbers == sorted(set(numbers))
    assert POINTS <= len(numbers) <= POINTS + 15
    for point in points[:: len(points) // 6]:
        alone = score_at(forecast.expected, point.n, 0.9)
        assert (point.mid, point.lo, point.hi) == pytest.approx(
            (alone.expected.median, alone.expected.lo, alone.expected.hi), abs=1e-6
        )
        assert (point.run_lo, point.run_hi) == pytest.approx((alone.next_run.lo, alone.next_run.hi), abs=1e-6)
        assert point == point_at(forecast, point.n)


def test_gains_are_told_past_the_cases_annotated_now(forecast: Forecast) -> None:
    assert forecast.expected is not None and forecast.reachable_gain is not None
    assert point_at(forecast, 80).gain is None and point_at(forecast, 80).p_small is None
    last = point_at(forecast, 320)
    gain = Interval.of(gain_draws(forecast.expected, 80, 320), 0.9)
    assert last.gain == pytest.approx((gain.median, gain.lo, gain.hi), abs=1e-6)
    assert last.p_small == pytest.approx(forecast.reachable_gain.p_below_eps, abs=1e-6)


def test_the_chance_of_the_target_is_that_of_the_decision(forecast: Forecast) -> None:
    assert forecast.expected is not None
    outlook = Outlook.of(forecast.expected, Goal(TARGET, 0.82), 80, 320)
    found = [point_at(forecast, n).p_target for n in (180, 320)]
    assert found == pytest.approx([outlook.p_at(180), outlook.p_at(320)], abs=1e-6)
    assert np.all(np.diff([point.p_target for point in points_of(forecast)]) >= 0)
    assert point_at(replace(forecast, question=Question()), 180).p_target is None
