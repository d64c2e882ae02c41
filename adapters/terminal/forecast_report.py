"""What a terminal shows of forecasts. Reports compute nothing; the caller prints."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from ...forecast.forecast import HORIZON, Forecast
from ...forecast.plain_words import answer_words, headline
from ...forecast.prior import AVERAGE
from ...forecast.stability import DropLargest
from ...forecast.verdict import NOTABLE
from ...forecast.words import interval_words, score_words
from ..report_tables.curve import (
    backtest_table,
    expected_rows,
    expected_table,
    families_table,
    gains_table,
    observed_table,
    parameters_table,
    refits_table,
    target_table,
)
from .fitted_table import FittedTable
from .plot import curve_plot
from .prose import Prose
from .screen import BAD, DOUBT, GOING, GOOD, Heading, note, shown, warning

VERDICT_STYLE = {
    "plateau_reached": GOOD,
    "plateau_ahead": GOING,
    "beyond_horizon": DOUBT,
    "families_disagree": DOUBT,
    "ill_behaved": BAD,
    "too_few_sizes": BAD,
}


def forecast_report(forecast: Forecast) -> RenderableType:
    """One curve: verdict, plot, sizes, parameters, gains and what to doubt."""
    return Group(*_forecast_parts(forecast))


def _forecast_parts(forecast: Forecast) -> Iterator[RenderableType]:
    verdict = forecast.verdict
    yield Heading(forecast.curve.name)
    style, answer = VERDICT_STYLE[verdict.code], answer_words(forecast)
    code = verdict.code.replace("_", " ")
    if answer is None:
        said = "" if headline(forecast).lower() == code else f"{code}: "
        yield Prose.assemble((f"{headline(forecast)}: ", f"bold {style}"), f"{said}{verdict.reason}")
    else:
        yield Prose.assemble((f"{headline(forecast)}: ", f"bold {style}"), (answer, "bold"))
        yield Prose(f"{code}: {verdict.reason}")
    yield from map(warning, _warnings(forecast))
    yield Text("")
    if forecast.posterior is not None:
        yield curve_plot(forecast)
        yield Text("")
    for table in _tables(forecast):
        yield table
        yield Text("")
    yield from map(note, _notes(forecast))
    yield Text("")


def _tables(forecast: Forecast) -> Iterator[FittedTable]:
    """What more cases add first, what it rests on after it."""
    made = [
        gains_table(forecast),
        expected_table(forecast, expected_rows(forecast)),
        target_table(forecast),
        observed_table(forecast),
        parameters_table(forecast),
        families_table(forecast),
        backtest_table(forecast),
    ]
    for one in made:
        if one.rows:
            yield shown(one)


def _warnings(forecast: Forecast) -> Iterator[str]:
    """What the answer must not be read without."""
    yield from (f"{message}." for message in forecast.messages)
    view, gain = forecast.named_view, forecast.reachable_gain
    if forecast.posterior is None or view is None or gain is None:
        return
    if view.weight < NOTABLE and forecast.question.model == AVERAGE:
        yield (
            f"these scores speak against the exponential plateau (weight {view.weight:.2f}): alone it expects "
            f"{score_words(view.score.median)} at {gain.n_to}; do not plan by its n*."
        )


def _notes(forecast: Forecast) -> Iterator[str]:
    """What the numbers are of, the most important first, and how they came about."""
    if forecast.fit is not None and forecast.fit.status != "ok":
        yield f"least squares: {forecast.fit.status}."
    if forecast.posterior is not None:
        if forecast.question.model != AVERAGE:
            yield f"expected scores and gains are those of the family {forecast.question.model} alone."
        yield (
            "the exponential plateau tends to flatten too early on real curves: read its n* as optimistic, and decide "
            "by the gains."
        )
    yield {
        "test-set": "intervals are for the mean on this test set; for all patients use --scope population.",
        "population": "intervals are for the mean over all patients: they include which patients the test set holds.",
    }[forecast.question.scope]
    yield from _basis(forecast)


def _basis(forecast: Forecast) -> Iterator[str]:
    """Data, horizon, prior and sampling."""
    curve = forecast.curve
    if curve.n_test is not None:
        left_out = (
            f"; {curve.n_left_out} left out of every size (structure absent, or no score at some size)"
            if curve.n_left_out
            else ""
        )
        yield f"scored on {curve.n_test} test cases{left_out}."
    yield f"looked at up to {forecast.horizon} cases, the horizon ({HORIZON} x the largest trained size)."
    if forecast.sensitivity is not None:
        vague, learned = forecast.sensitivity.vague.interval, forecast.sensitivity.learned.interval
        yield (
            f"sensitivity of the reachable gain to the prior: {interval_words(vague)} with its vague half alone, "
            f"{interval_words(learned)} with its learned half alone."
        )
    if forecast.posterior is not None:
        yield _sampling(forecast)


def _sampling(forecast: Forecast) -> str:
    assert forecast.posterior is not None and forecast.expected is not None
    d = forecast.posterior.diagnostics
    tau0, tau1, misfit = forecast.expected.noise_median
    smallest = forecast.curve.sizes[0]
    chains = "" if d.tau is None else f", tau {d.tau:.0f}, R-hat {d.rhat:.3f}, acceptance {d.acceptance:.2f}"
    return (
        f"named model by {'quadrature' if d.tau is None else 'MCMC'}: ESS {d.ess:.0f}{chains}. Noise SDs from "
        f"{forecast.expected.noise_source}: training {tau0:.4f}, subset at {smallest} cases "
        f"{tau1 / math.sqrt(smallest):.4f}, misfit {misfit:.4f}."
    )


def stability_report(found: DropLargest, level: float) -> RenderableType:
    """Refits without the largest sizes."""
    verdict = ("stable", f"bold {GOOD}") if found.stable else ("not stable", f"bold {DOUBT}")
    return Group(shown(refits_table(found, level)), Prose.assemble(verdict, ": ", found.reason), Text(""))
