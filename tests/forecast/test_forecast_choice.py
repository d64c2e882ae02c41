"""Which posteriors a forecast is made of, the posteriors themselves put in by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dicecast.forecast import forecast
from dicecast.forecast.checks import PredictiveCheck
from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.forecast import BESIDE, Question, forecast_curve
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.quadrature import DRAWS
from dicecast.tests.forecast.made_arms import STEEP

N = np.array([10, 20, 40, 80])
CURVE = averaged_curve("arm", N, 0 * N, np.array([0.5, 0.6, 0.66, 0.7]), 80, 80)
Calls = list[tuple[Any, ...]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """(maker, sizes, model, draws) of every posterior that is asked for."""
    seen: Calls = []

    def made(name: str) -> Callable[..., Posterior]:
        def make(curve: Curve, seed: int, *, model: str = "average", **more: Any) -> Posterior:
            seen.append((name, len(curve.sizes), model, more.get("draws")))
            return replace(STEEP.expected, curve=curve, model=model, seed=seed)

        return make

    for name, place in (("mcmc", "sample_posterior"), ("sum", "quadrature"), ("all", "population_posterior")):
        monkeypatch.setattr(forecast, place, made(name))
    monkeypatch.setattr(forecast, "predictive_check", lambda posterior: PredictiveCheck(1.0, 1.0, None))
    return seen


def test_a_full_forecast_samples_sums_weighs_and_looks_back(calls: Calls) -> None:
    found = forecast_curve(CURVE, Question(at=(100,), target=0.7))
    assert calls[:2] == [("mcmc", 4, "exponential", None), ("sum", 4, "average", DRAWS)]
    families = ["exponential", "stretched-exponential", "power-law", "hill", "inverse-log"]
    assert [call[1:] for call in calls[2:7]] == [(4, name, BESIDE) for name in families]
    assert calls[7:] == [("sum", 4, "average", BESIDE)] * 2 + [("sum", 3, "average", BESIDE)]  # other priors, backtest
    assert found.sensitivity is not None and len(found.backtest) == 1 and len(found.families) == 5
    assert found.n_for_target is not None and [one.n for one in found.at] == [100]


@pytest.mark.parametrize(("draws", "used"), [(None, BESIDE), (7, 7)])
def test_a_quick_forecast_sums_alone(draws: int | None, used: int, calls: Calls) -> None:
    found = forecast_curve(CURVE, quick=True, draws=draws)
    assert calls == [("sum", 4, "exponential", used), ("sum", 4, "average", used)]
    assert (found.sensitivity, found.backtest, found.families) == (None, (), ())
    assert (found.n_for_target, found.at) == (None, ())


def test_without_looking_back_there_are_no_other_priors(calls: Calls) -> None:
    found = forecast_curve(CURVE, backtest=False)
    assert (found.sensitivity, found.backtest) == (None, ()) and len(found.families) == 5


def test_a_family_that_is_asked_for_is_sampled(calls: Calls) -> None:
    forecast_curve(CURVE, Question(model="power-law"), backtest=False)
    assert calls[:2] == [("mcmc", 4, "exponential", None), ("mcmc", 4, "power-law", None)]
    assert ("sum", 4, "average", None) in calls  # for the weights of the families
    calls.clear()
    forecast_curve(CURVE, Question(model="exponential"), quick=True)
    assert calls == [("sum", 4, "exponential", BESIDE)]


def test_all_patients_have_posteriors_of_their_own(calls: Calls) -> None:
    forecast_curve(CURVE, Question(scope="population"), quick=True)
    assert calls == [("all", 4, "exponential", None), ("all", 4, "average", None), ("sum", 4, "average", None)]


def test_fewer_than_three_sizes_ask_for_nothing(calls: Calls) -> None:
    two = averaged_curve("arm", N[:2], 0 * N[:2], np.array([0.5, 0.6]), 20, 20)
    found = forecast_curve(two)
    assert calls == [] and found.verdict.code == "too_few_sizes" and found.expected is None
    assert found.verdict.reason.startswith("2 size(s) trained (10, 20); a forecast needs at least 3")
