"""The forecast as the JSON contract: plain dicts of numbers, text and None, never NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .families import NAMED
from .forecast import FamilyView, Forecast, Gain, Question
from .posterior import Posterior
from .prior import shipped_prior
from .types import Interval, SizeInterval

Document = dict[str, Any]


def forecast_document(forecasts: Sequence[Forecast], question: Question, version: str) -> Document:
    """All curves of one source as one JSON-ready document."""
    return {
        **question_document(question, version),
        "curves": [curve_document(forecast) for forecast in forecasts],
    }


def question_document(question: Question, version: str) -> Document:
    """What every document begins with: who answered, and what was asked."""
    return {
        "dicecast": version,
        "seed": question.seed,
        "level": question.level,
        "eps": question.eps,
        "scope": question.scope,
        "prior": prior_document(),
    }


def prior_document() -> Document:
    """Identity of the prior: its name and a hash of every number in it."""
    prior = shipped_prior()
    return {"id": prior.id, "hash": prior.hash}


def curve_document(forecast: Forecast) -> Document:
    """One curve with its forecast."""
    curve = forecast.curve
    return {
        "arm": curve.arm,
        "structure": curve.structure,
        "metric": curve.metric,
        "test_set": curve.test_set,
        "stratum": curve.stratum,
        "protocol": curve.protocol,
        "sizes": curve.sizes.tolist(),
        "observed": curve.observed.tolist(),
        "draws": curve.draws.tolist(),
        "draw_sd": curve.draw_sd,
        "case_sd": curve.case_sd,
        "n_test": curve.n_test,
        "n_left_out": curve.n_left_out,
        "n_annotated": curve.n_annotated,
        "n_max": forecast.reachable_gain.n_to if forecast.reachable_gain else None,
        "horizon": forecast.horizon,
        "noise": _noise(forecast.expected),
        "least_squares": _least_squares(forecast),
        "posterior": _parameters(forecast),
        "plateau": _plateau(forecast),
        "families": [_family(view) for view in forecast.families],
        "reachable_gain": _gain(forecast.reachable_gain, p_below_eps=True),
        "gain_doubling": _gain(forecast.gain_doubling, p_below_eps=False),
        "at": [
            {
                "n": one.n,
                "model": forecast.question.model,
                "mean": one.mean,
                **interval_document(one.expected),
                "next_run": {"lo": one.next_run.lo, "hi": one.next_run.hi},
                "within_horizon": one.within_horizon,
            }
            for one in forecast.at
        ],
        "sensitivity": _sensitivity(forecast),
        "n_for_target": _target(forecast),
        "diagnostics": _diagnostics(forecast),
        "backtest": [
            {
                "from_sizes": list(test.from_sizes),
                "n": test.n,
                "observed": test.observed,
                **interval_document(test.predicted),
                "held": test.held,
            }
            for test in forecast.backtest
        ],
        "verdict": {"code": forecast.verdict.code, "reason": forecast.verdict.reason},
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def interval_document(interval: Interval) -> Document:
    """Median and ends."""
    return {"median": interval.median, "lo": interval.lo, "hi": interval.hi}


def _size(size: SizeInterval) -> Document:
    return {"median": size.median, "lo": size.lo, "hi": size.hi, "hi_censored": size.hi_censored}


def _noise(found: Posterior | None) -> Document | None:
    if found is None:
        return None
    tau0, tau1, misfit = found.noise_median
    return {"tau0": tau0, "tau1": tau1, "misfit": misfit, "source": found.noise_source}


def _least_squares(forecast: Forecast) -> Document | None:
    fit = forecast.fit
    if fit is None:
        return None
    size, score = fit.plateau(forecast.question.eps)
    return {
        **fit.parameters,
        "stderr": {name: _number(error) for name, error in zip(fit.family.names, fit.stderr, strict=True)},
        "plateau_n": _number(size),
        "plateau_score": score,
        "status": fit.status,
    }


def _parameters(forecast: Forecast) -> Document | None:
    if forecast.posterior is None:
        return None
    columns = forecast.posterior.parameters().items()
    return {name: interval_document(Interval.of(draws, forecast.question.level)) for name, draws in columns}


def _plateau(forecast: Forecast) -> Document | None:
    plateau = forecast.plateau
    if plateau is None:
        return None
    return {
        "model": NAMED.name,
        "n": _size(plateau.size),
        "score": interval_document(plateau.score),
        "p_reached": plateau.p_reached,
        "p_beyond_horizon": plateau.p_beyond_horizon,
    }


def _family(view: FamilyView) -> Document:
    return {
        "name": view.family.name,
        "weight": view.weight,
        "plateau_n": view.plateau.size.median,
        "plateau_score": view.plateau.score.median,
        "score_n_max": interval_document(view.score),
        "reachable_gain": _gain(view.gain, p_below_eps=True),
        "least_squares": None if view.fit is None else {**view.fit.parameters, "status": view.fit.status},
    }


def _sensitivity(forecast: Forecast) -> Document | None:
    found = forecast.sensitivity
    if found is None:
        return None
    return {
        "vague": _gain(found.vague, p_below_eps=True),
        "learned": _gain(found.learned, p_below_eps=True),
    }


def _gain(gain: Gain | None, p_below_eps: bool) -> Document | None:
    if gain is None:
        return None
    found = interval_document(gain.interval)
    return {**found, "p_below_eps": gain.p_below_eps} if p_below_eps else found


def _target(forecast: Forecast) -> Document | None:
    found = forecast.n_for_target
    if found is None:
        return None
    return {"target": found.target, **_size(found.size), "p_unreachable": found.p_unreachable}


def _diagnostics(forecast: Forecast) -> Document | None:
    posterior, expected, check = forecast.posterior, forecast.expected, forecast.check
    if posterior is None or expected is None or check is None:
        return None
    d = posterior.diagnostics
    return {
        "ess": d.ess,
        "tau": d.tau,
        "rhat": d.rhat,
        "acceptance": d.acceptance,
        "expected_ess": expected.diagnostics.ess,
        "predictive_check": {"p_dip": check.p_dip, "p_misfit": check.p_misfit},
        "ok": not forecast.messages,
        "messages": list(forecast.messages),
    }
