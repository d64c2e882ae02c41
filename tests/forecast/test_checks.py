import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import isotonic_regression

from dicecast.forecast.checks import dip_statistic, predictive_check
from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.forecast import Question, forecast_curve, gains
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.recommendation import recommend
from dicecast.forecast.scores import validate_scores

SIZES = np.array([20, 40, 60, 80, 120, 160, 240])


def simulated(means: np.ndarray, sd: float, rng: np.random.Generator, draws: int = 3) -> Curve:
    rows = [
        (n, r, float(np.clip(mean + sd * rng.standard_normal(), 0, 1)))
        for n, mean in zip(SIZES, means, strict=True)
        for r in range(draws)
    ]
    return curves_from_scores(validate_scores(pd.DataFrame(rows, columns=["n_cases", "draw", "score"])))[0]


def rising(rng: np.random.Generator) -> np.ndarray:
    """A well-behaved curve: exponential, power law or stretched exponential."""
    dm, rise, x = rng.uniform(0.7, 0.95), rng.uniform(0.05, 0.4), SIZES / SIZES[0]
    shapes = [
        np.exp(-rng.uniform(0.06, 0.3) * (x - 1)),
        x ** -rng.uniform(0.3, 1),
        np.exp(-rng.uniform(0.5, 1) * x**0.5),
    ]
    return np.asarray(dm - rise * shapes[rng.integers(3)])


def test_the_dip_statistic_is_the_distance_to_the_isotonic_fit() -> None:
    rng = np.random.default_rng(0)
    means, variance = rng.uniform(0.5, 0.9, (20, 6)), rng.uniform(1e-5, 1e-3, 6)
    by_hand = [((one - isotonic_regression(one, sample_weight=1 / variance)) ** 2 / variance).sum() for one in means]
    np.testing.assert_allclose(dip_statistic(means, variance), by_hand, rtol=1e-9, atol=1e-12)


def test_a_curve_that_never_falls_has_no_dip_at_all() -> None:
    rng = np.random.default_rng(4)
    means = np.sort(rng.uniform(0.3, 0.9, (500, 6)), axis=1)
    assert np.all(dip_statistic(means, rng.uniform(1e-5, 1e-3, 6)) == 0)


def test_dips_are_flagged_and_well_behaved_curves_are_not() -> None:
    rng = np.random.default_rng(1)
    flagged, alarms = 0, 0
    for i in range(60):
        sd = rng.choice([0.005, 0.01, 0.02])
        means = rising(rng)
        alarms += bool(predictive_check(quadrature(simulated(means, sd, rng), i)).messages)
        where = rng.integers(1, len(SIZES))
        means[where] = means[where - 1] - 3 * sd
        flagged += bool(predictive_check(quadrature(simulated(means, sd, rng), i)).messages)
    assert flagged >= 54  # 90 %
    assert alarms <= 6  # 5 % of 60 is 3; a fair coin of that kind shows more than 6 in 1 of 60 tries


def test_a_deep_dip_is_declined_with_the_sizes() -> None:
    means = 0.85 - 0.4 * np.exp(-0.02 * SIZES)
    means[5] -= 0.12
    found = forecast_curve(simulated(means, 0.008, np.random.default_rng(2)), Question(), quick=True)
    assert found.verdict.code == "ill_behaved"
    assert "to" in found.verdict.reason and "160" in found.verdict.reason
    assert recommend(found).code == "cannot_tell"


@pytest.mark.parametrize("level", [0.8, 0.9, 0.96])
def test_saturated_curves_end_in_gain_below_eps(level: float) -> None:
    rng = np.random.default_rng(3)
    stopped = [
        gains(quadrature(simulated(np.full(len(SIZES), level), 0.003, rng), i), Question())[0].p_below_eps >= 0.95
        for i in range(20)
    ]
    assert sum(stopped) >= 18
    found = forecast_curve(simulated(np.full(len(SIZES), level), 0.003, rng), Question(), quick=True)
    assert found.verdict.code == "plateau_reached"
    assert "adds at most 0.01" in found.verdict.reason
