"""The JSON contract, entry by entry, beside the forecast it is made of."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.diagnostics import importance
from dicecast.forecast.document import curve_document, forecast_document, interval_document, prior_document
from dicecast.forecast.forecast import Backtest, FamilyView, Forecast, Question, Sensitivity, forecast_curve
from dicecast.forecast.prior import shipped_prior
from dicecast.forecast.types import Interval, SizeInterval

QUESTION = Question(at=(100, 1000), target=0.75, level=0.8, seed=4)


@pytest.fixture(scope="module")
def found() -> Forecast:
    n, draw = np.repeat([10, 20, 40, 80], 2), np.tile([0, 1], 4)
    y = np.array([0.5, 0.52, 0.6, 0.62, 0.7, 0.72, 0.74, 0.75])
    made = forecast_curve(averaged_curve("2d", n, draw, y, 90, 90), QUESTION, quick=True, draws=400)
    assert made.plateau is not None and made.reachable_gain is not None and made.fit is not None
    view = FamilyView(made.fit.family, 0.4, made.plateau, made.reachable_gain, Interval(0.8, 0.7, 0.9, 0.8), made.fit)
    tests = (Backtest((10, 20, 40), 80, 0.745, Interval(0.74, 0.73, 0.75, 0.8)),)
    gain = made.reachable_gain
    return replace(
        made, families=(view,), backtest=tests, sensitivity=Sensitivity(gain, replace(gain, p_below_eps=0.125))
    )


def test_a_document_begins_with_who_answered_what(found: Forecast) -> None:
    document = forecast_document([found, found], QUESTION, "9.9")
    prior = shipped_prior()
    assert {name: document[name] for name in ("dicecast", "seed", "level", "eps", "scope")} == {
        "dicecast": "9.9",
        "seed": 4,
        "level": 0.8,
        "eps": 0.01,
        "scope": "test-set",
    }
    assert document["prior"] == prior_document() == {"id": prior.id, "hash": prior.hash}
    assert len(document["curves"]) == 2
    json.dumps(document, allow_nan=False)


def test_the_data_come_with_the_answer(found: Forecast) -> None:
    entry, curve = curve_document(found), found.curve
    assert [entry[name] for name in ("arm", "structure", "metric", "test_set", "stratum", "protocol")] == [
        *("2d", "all", "dice", "test", "all", ""),
    ]
    assert entry["sizes"] == [10, 20, 40, 80] and entry["draws"] == [2, 2, 2, 2]
    assert entry["observed"] == pytest.approx([0.51, 0.61, 0.71, 0.745])
    assert entry["draw_sd"] == curve.draw_sd and entry["case_sd"] == [None] * 4
    assert (entry["n_test"], entry["n_left_out"], entry["n_annotated"]) == (None, 0, 90)
    assert (entry["n_max"], entry["horizon"]) == (320, 320)


def test_fit_posterior_and_noise_are_told_by_name(found: Forecast) -> None:
    entry = curve_document(found)
    assert found.fit is not None and found.posterior is not None and found.expected is not None
    fit = entry["least_squares"]
    assert [fit[name] for name in ("DM", "D0", "k")] == found.fit.values.tolist()
    assert list(fit["stderr"].values()) == found.fit.stderr.tolist()
    assert (fit["plateau_n"], fit["plateau_score"]) == found.fit.plateau(0.01)
    assert fit["status"] == found.fit.status
    draws = found.posterior.parameters()
    assert list(entry["posterior"]) == ["DM", "D0", "k"]
    for name, values in draws.items():
        assert entry["posterior"][name] == interval_document(Interval.of(values, 0.8))
    tau0, tau1, misfit = found.expected.noise_median
    assert entry["noise"] == {"tau0": tau0, "tau1": tau1, "misfit": misfit, "source": "draws"}


def test_plateau_gains_and_target_are_those_of_the_forecast(found: Forecast) -> None:
    entry = curve_document(found)
    plateau, gain, target = found.plateau, found.reachable_gain, found.n_for_target
    assert plateau is not None and gain is not None and target is not None and found.gain_doubling is not None
    assert entry["plateau"] == {
        "model": "exponential",
        "n": {
            "median": plateau.size.median,
            "lo": plateau.size.lo,
            "hi": plateau.size.hi,
            "hi_censored": plateau.size.hi_censored,
        },
        "score": interval_document(plateau.score),
        "p_reached": plateau.p_reached,
        "p_beyond_horizon": plateau.p_beyond_horizon,
    }
    assert entry["reachable_gain"] == {**interval_document(gain.interval), "p_below_eps": gain.p_below_eps}
    assert entry["gain_doubling"] == interval_document(found.gain_doubling.interval)
    assert entry["n_for_target"]["target"] == 0.75
    assert entry["n_for_target"]["p_unreachable"] == target.p_unreachable
    assert entry["n_for_target"]["hi"] == target.size.hi
    assert entry["sensitivity"]["vague"] == entry["reachable_gain"]
    assert entry["sensitivity"]["learned"]["p_below_eps"] == 0.125


def test_sizes_asked_for_families_and_backtests_are_lists(found: Forecast) -> None:
    entry = curve_document(found)
    near, far = entry["at"]
    assert (near["n"], near["model"], near["within_horizon"]) == (100, "average", True)
    assert (far["n"], far["within_horizon"]) == (1000, False)
    assert near["mean"] == found.at[0].mean and near["lo"] == found.at[0].expected.lo
    assert near["next_run"] == {"lo": found.at[0].next_run.lo, "hi": found.at[0].next_run.hi}
    (family,), view = entry["families"], found.families[0]
    assert (family["name"], family["weight"]) == ("exponential", 0.4)
    assert family["plateau_n"] == view.plateau.size.median and family["plateau_score"] == view.plateau.score.median
    assert family["score_n_max"] == {"median": 0.8, "lo": 0.7, "hi": 0.9}
    assert family["reachable_gain"]["p_below_eps"] == view.gain.p_below_eps
    assert found.fit is not None
    assert family["least_squares"] == {**found.fit.parameters, "status": found.fit.status}
    assert entry["backtest"] == [
        {
            "from_sizes": [10, 20, 40],
            "n": 80,
            "observed": 0.745,
            "median": 0.74,
            "lo": 0.73,
            "hi": 0.75,
            "held": True,
        }
    ]
    assert entry["verdict"] == {"code": found.verdict.code, "reason": found.verdict.reason}


def test_diagnostics_say_what_falls_short(found: Forecast) -> None:
    assert found.posterior is not None and found.expected is not None and found.check is not None
    fine = replace(found, posterior=replace(found.posterior, diagnostics=importance(1234.0)))
    entry = curve_document(fine)["diagnostics"]
    assert (entry["ess"], entry["tau"], entry["rhat"], entry["acceptance"]) == (1234.0, None, None, None)
    assert entry["expected_ess"] == found.expected.diagnostics.ess
    assert entry["predictive_check"] == {"p_dip": found.check.p_dip, "p_misfit": found.check.p_misfit}
    assert entry["messages"] == list(fine.messages) and entry["ok"] is not bool(fine.messages)
    short = replace(found, posterior=replace(found.posterior, diagnostics=importance(12.0)))
    entry = curve_document(short)["diagnostics"]
    assert entry["ok"] is False and "effective sample size 12" in entry["messages"][0]


def test_what_is_not_known_is_null_and_never_nan(found: Forecast) -> None:
    assert found.fit is not None and found.plateau is not None
    open_size = SizeInterval(None, 10.0, 320.0, True, 0.8, 320.0)
    view = replace(found.families[0], fit=None)
    bare = replace(
        found,
        fit=replace(found.fit, covariance=np.full_like(found.fit.covariance, np.nan)),
        plateau=replace(found.plateau, size=open_size),
        families=(view,),
        n_for_target=None,
        sensitivity=None,
        reachable_gain=None,
        gain_doubling=None,
        check=None,
        expected=None,
        posterior=None,
    )
    entry = curve_document(bare)
    assert set(entry["least_squares"]["stderr"].values()) == {None}
    assert entry["plateau"]["n"]["median"] is None and entry["plateau"]["n"]["hi_censored"] is True
    assert entry["families"][0]["least_squares"] is None
    missing = ("n_for_target", "sensitivity", "reachable_gain", "gain_doubling", "diagnostics", "noise", "posterior")
    assert [entry[name] for name in missing] == [None] * len(missing)
    assert entry["n_max"] is None
    json.dumps(entry, allow_nan=False)
