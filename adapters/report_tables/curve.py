"""The numbers behind a forecast: what to expect, what was observed, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...forecast.costs import Costs
from ...forecast.forecast import Forecast, Gain
from ...forecast.stability import DropLargest
from ...forecast.types import Interval
from ...forecast.words import amount_words, ends_words, level_words, score_words, size_median_words
from .columns import (
    Column,
    Row,
    Table,
    chance,
    ends,
    interval,
    score,
    size,
    size_interval,
    table,
    text,
    whole,
)
from .study import held

MEANING = {"DM": "ceiling DM", "D0": "score at no case D0", "k": "rate k per case"}
"""Of the parameters of the exponential plateau."""


def gains_table(forecast: Forecast) -> Table:
    """What more cases can still add."""
    gains = {"reachable gain": forecast.reachable_gain, "gain of doubling": forecast.gain_doubling}
    rows = [{"gain": name, **_gain_row(gain)} for name, gain in gains.items() if gain is not None]
    columns = [
        Column("", lambda row: f"{row['gain']} {row['n_from']} → {row['n_to']} cases", number=False),
        score("median", "median"),
        ends(f"{_level(forecast)} interval"),
        chance(_rise(forecast), "p_rise_below_eps"),
    ]
    return table("gains", "What more cases can still add", rows, columns)


def _gain_row(gain: Gain) -> dict[str, Any]:
    return {"n_from": gain.n_from, "n_to": gain.n_to, **interval(gain.interval), "p_rise_below_eps": gain.p_below_eps}


def expected_rows(forecast: Forecast) -> list[dict[str, Any]]:
    """The sizes that were asked for, as rows of `expected_table`."""
    return [
        {
            "n": one.n,
            **interval(one.expected),
            "next_run_lo": one.next_run.lo,
            "next_run_hi": one.next_run.hi,
        }
        for one in forecast.at
    ]


def expected_table(forecast: Forecast, rows: Sequence[Row], costs: Costs | None = None) -> Table:
    """What to expect with numbers of cases.

    Args:
        forecast: Of a curve.
        rows: With n, median, lo, hi, next_run_lo, next_run_hi; where the gain over now is to be shown, also with
            gain, gain_lo, gain_hi and p_rise_below_eps; with a cost, where costs are given.
        costs: What a case costs.
    """
    level, past = _level(forecast), [row["n"] for row in rows if row["n"] > forecast.horizon]
    columns = [
        whole("cases", "n"),
        score(f"expected {forecast.curve.metric}", "median"),
        ends(f"{level} interval"),
        ends(f"{level} interval of the next run", "next_run"),
    ]
    if any("gain" in row for row in rows):
        columns += [
            score("gain over now", "gain"),
            ends(f"{level} interval of it", "gain"),
            chance(_rise(forecast), "p_rise_below_eps"),
        ]
    if costs is not None and costs.per_case is not None:
        columns.append(Column(f"cost, {costs.unit}", lambda row: _maybe(row["cost"], amount_words)))
    note = f"Past the horizon of {forecast.horizon} cases these pilots cannot tell: {', '.join(map(str, past))}."
    return table("expected", "What to expect", rows, columns, note if past else "")


def target_table(forecast: Forecast) -> Table:
    """Cases needed for the score asked for; empty where none was."""
    found = forecast.n_for_target
    rows = [] if found is None else [{"target": found.target, "p_out_of_reach": found.p_unreachable}]
    columns = [
        score("target", "target"),
        size(f"cases [{_level(forecast)} interval]", "n"),
        chance("P(out of reach)", "p_out_of_reach"),
    ]
    rows = [{**row, **size_interval(found.size, "n")} for row in rows if found is not None]
    return table("target", "Cases needed for a target", rows, columns)


def observed_table(forecast: Forecast) -> Table:
    """Mean scores by size."""
    curve, fit = forecast.curve, forecast.fit
    columns = zip(curve.sizes, curve.draws, curve.observed, curve.draw_sd, curve.case_sd, strict=True)
    rows = [
        {
            "n": int(n),
            "draws": int(draws),
            "mean": float(mean),
            "draw_sd": draw_sd,
            "case_sd": case_sd,
            "least_squares": None if fit is None else float(fit.score(n)),
        }
        for n, draws, mean, draw_sd, case_sd in columns
    ]
    shown = [
        whole("cases", "n"),
        whole("draws", "draws"),
        score(f"mean {curve.metric}", "mean"),
        score("SD over draws", "draw_sd"),
        score("SD over test cases", "case_sd"),
        score("least squares", "least_squares"),
    ]
    return table("observed", "Observed", rows, shown)


def parameters_table(forecast: Forecast) -> Table:
    """The named model: least squares beside the posterior; empty without a posterior."""
    title = "The named model, exponential plateau D(n) = DM - (DM - D0) exp(-k n)"
    shown = [
        text("", "parameter"),
        Column("least squares ± SE", _with_error),
        Column("posterior", lambda row: _parameter(row, "median")),
        Column(f"{_level(forecast)} interval", _parameter_ends),
    ]
    return table("exponential", title, _parameter_rows(forecast), shown)


def _parameter_rows(forecast: Forecast) -> list[dict[str, Any]]:
    fit, posterior, plateau = forecast.fit, forecast.posterior, forecast.plateau
    if posterior is None or plateau is None:
        return []
    level, eps = forecast.question.level, forecast.question.eps
    rows: list[dict[str, Any]] = []
    for i, (name, draws) in enumerate(posterior.parameters().items()):
        error = None if fit is None else float(fit.stderr[i])
        rows.append(
            {
                "parameter": MEANING[name],
                "least_squares": None if fit is None else fit.parameters[name],
                "stderr": error if error is not None and math.isfinite(error) else None,
                **interval(Interval.of(draws, level)),
            }
        )
    size_fitted, score_fitted = (None, None) if fit is None else fit.plateau(eps)
    found = plateau.size
    sizes = {"median": found.median, "lo": found.lo, "hi": found.hi, "hi_censored": found.hi_censored}
    name = f"plateau size n*, {eps:g} below DM"
    rows.append({"parameter": name, "least_squares": size_fitted, "stderr": None, **sizes, "horizon": found.horizon})
    rows.append({"parameter": "score at n*", "least_squares": score_fitted, "stderr": None, **interval(plateau.score)})
    return rows


def _parameter(row: Row, key: str) -> str:
    """A score with three decimals, a rate with four digits, a size as a whole number."""
    value = row[key]
    if "horizon" in row:
        return f"> {row['horizon']:.0f}" if value is None and key == "median" else _maybe(value, "{:.0f}".format)
    return _maybe(value, "{:.4g}".format) if row["parameter"] == MEANING["k"] else score_words(value)


def _parameter_ends(row: Row) -> str:
    return f"[{_parameter(row, 'lo')}, {'> ' * row.get('hi_censored', False)}{_parameter(row, 'hi')}]"


def _with_error(row: Row) -> str:
    known = row["stderr"] is not None
    spread = f" ± {_parameter(row, 'stderr')}" if known else " ± ?" * (row["parameter"] in MEANING.values())
    return _parameter(row, "least_squares") + spread * (row["least_squares"] is not None)


def families_table(forecast: Forecast) -> Table:
    """Every family on its own beside the forecast: where they part, the data do not decide."""
    gain = forecast.reachable_gain
    rows = [
        {
            "family": view.family.name,
            "weight": view.weight,
            **interval(view.score),
            "gain": view.gain.interval.median,
            "n_star": view.plateau.size.median,
            "n_star_words": size_median_words(view.plateau.size),
        }
        for view in forecast.families
    ]
    columns = [
        text("family", "family"),
        Column("weight", lambda row: f"{row['weight']:.2f}" if row["weight"] else "-"),
        score(f"score at {'-' if gain is None else gain.n_to}", "median"),
        ends(f"{_level(forecast)} interval of the curve"),
        score("gain there", "gain"),
        Column("n*", lambda row: row["n_star_words"]),
    ]
    return table("families", "Every family of curves alone", rows, columns)


def backtest_table(forecast: Forecast) -> Table:
    """Larger sizes forecast from smaller ones."""
    rows = [
        {
            "from_sizes_up_to": test.from_sizes[-1],
            "n": test.n,
            **interval(test.predicted),
            "observed": test.observed,
            "held": test.held,
        }
        for test in forecast.backtest
    ]
    columns = [
        whole("from sizes up to", "from_sizes_up_to"),
        whole("at", "n"),
        score("forecast", "median"),
        ends(f"{_level(forecast)} interval"),
        score("observed", "observed"),
        held("interval"),
    ]
    return table("backtest", "Backtest: larger sizes forecast from smaller ones", rows, columns)


def refits_table(found: DropLargest, level: float) -> Table:
    """Refits without the largest sizes."""
    rows = [
        {
            "up_to": refit.sizes[-1],
            "dm_least_squares": refit.dm_least_squares,
            "n_star_least_squares": refit.n_least_squares,
            **interval(refit.dm, "dm"),
            **size_interval(refit.plateau, "n_star"),
        }
        for refit in found.refits
    ]
    columns = [
        Column("sizes", lambda row: f"up to {row['up_to']}", number=False),
        score("DM least squares", "dm_least_squares"),
        whole("n* least squares", "n_star_least_squares"),
        Column("DM posterior", lambda row: f"{score_words(row['dm'])} {ends_words(row['dm_lo'], row['dm_hi'])}"),
        size("n* posterior", "n_star"),
    ]
    return table("refits", f"Without the largest sizes ({level_words(level)} intervals)", rows, columns)


def _level(forecast: Forecast) -> str:
    return level_words(forecast.question.level)


def _rise(forecast: Forecast) -> str:
    return f"P(rise ≤ {forecast.question.eps:g})"


def _maybe(value: float | None, words: Callable[[float], str]) -> str:
    return "-" if value is None else words(value)
