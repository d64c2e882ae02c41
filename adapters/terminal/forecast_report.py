"""What a terminal shows of forecasts. Reports compute nothing; the caller prints."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...forecast.forecast import HORIZON, Forecast, Gain
from ...forecast.plain_words import answer_words, headline
from ...forecast.prior import AVERAGE
from ...forecast.stability import DropLargest
from ...forecast.types import Interval
from ...forecast.verdict import NOTABLE
from ...forecast.words import level_words
from .plot import curve_plot
from .prose import Prose
from .screen import (
    BAD,
    DOUBT,
    GOING,
    GOOD,
    Heading,
    ends_words,
    interval_words,
    note,
    plain_table,
    score_words,
    size_words,
    warning,
)

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


def _tables(forecast: Forecast) -> Iterator[Table]:
    """What more cases add first, what it rests on after it."""
    if forecast.posterior is not None:
        yield _gains_table(forecast)
        yield from _at_tables(forecast)
    yield _sizes_table(forecast)
    if forecast.posterior is not None:
        yield _parameters_table(forecast)
        yield _families_table(forecast)
    if forecast.backtest:
        yield _backtest_table(forecast)


def _sizes_table(forecast: Forecast) -> Table:
    curve = forecast.curve
    table = plain_table(
        "Observed", "cases", "draws", f"mean {curve.metric}", "SD over draws", "SD over test cases", "least squares"
    )
    rows = zip(curve.sizes, curve.draws, curve.observed, curve.draw_sd, curve.case_sd, strict=True)
    for size, draws, mean, draw_sd, over_cases in rows:
        fitted = score_words(float(forecast.fit.score(size))) if forecast.fit else "-"
        table.add_row(str(size), str(draws), score_words(mean), score_words(draw_sd), score_words(over_cases), fitted)
    return table


def _parameters_table(forecast: Forecast) -> Table:
    """The named model: least squares beside the posterior."""
    fit, posterior, plateau = forecast.fit, forecast.posterior, forecast.plateau
    assert fit is not None and posterior is not None and plateau is not None
    level, eps = forecast.question.level, forecast.question.eps
    table = plain_table(
        f"The named model, exponential plateau D(n) = {fit.family.formula}",
        "",
        "least squares ± SE",
        "posterior",
        f"{level_words(level)} interval",
    )
    meaning = {"DM": "ceiling DM", "D0": "score at no case D0", "k": "rate k per case"}
    values = zip(fit.parameters.items(), fit.stderr, posterior.parameters().values(), strict=True)
    for (name, value), error, draws in values:
        found = Interval.of(draws, level)
        show = score_words if name != "k" else _rate
        spread = f" ± {show(float(error))}" if math.isfinite(error) else " ± ?"
        table.add_row(
            meaning[name],
            show(value) + spread,
            show(found.median),
            f"[{show(found.lo)}, {show(found.hi)}]",
            end_section=name == "k",
        )
    size, score = fit.plateau(eps)
    table.add_row(f"plateau size n*, {eps:g} below DM", f"{size:.0f}", *size_words(plateau.size))
    table.add_row(
        "score at n*",
        score_words(score),
        score_words(plateau.score.median),
        ends_words(plateau.score),
    )
    return table


def _families_table(forecast: Forecast) -> Table:
    """Every family on its own beside the forecast: where they part, the data do not decide."""
    gain = forecast.reachable_gain
    assert gain is not None
    table = plain_table(
        "Families alone",
        "",
        "weight",
        f"score at {gain.n_to}",
        f"{level_words(forecast.question.level)} interval",
        "gain there",
        "n*",
    )
    for view in forecast.families:
        table.add_row(
            Text(view.family.name, no_wrap=True),
            f"{view.weight:.2f}" if view.weight else "-",
            score_words(view.score.median),
            ends_words(view.score),
            score_words(view.gain.interval.median),
            size_words(view.plateau.size)[0],
        )
    return table


def _backtest_table(forecast: Forecast) -> Table:
    """Larger sizes forecast from smaller ones."""
    level = level_words(forecast.question.level)
    table = plain_table("Backtest", "from sizes up to", "at", "forecast", f"{level} interval", "observed", "interval")
    for test in forecast.backtest:
        found = test.predicted
        table.add_row(
            str(test.from_sizes[-1]),
            str(test.n),
            score_words(found.median),
            ends_words(found),
            score_words(test.observed),
            "held" if test.held else "did NOT hold",
        )
    return table


def _gains_table(forecast: Forecast) -> Table:
    table = plain_table(
        "What more cases can still add",
        "",
        "median",
        f"{level_words(forecast.question.level)} interval",
        f"P(gain <= {forecast.question.eps:g})",
    )
    for name, gain in (("reachable gain", forecast.reachable_gain), ("gain of doubling", forecast.gain_doubling)):
        assert isinstance(gain, Gain)
        found = gain.interval
        table.add_row(
            f"{name} {gain.n_from} -> {gain.n_to} cases",
            score_words(found.median),
            ends_words(found),
            f"{gain.p_below_eps:.2f}",
        )
    return table


def _at_tables(forecast: Forecast) -> Iterator[Table]:
    level = level_words(forecast.question.level)
    if forecast.at:
        table = plain_table(
            "Expected score", "cases", "median", f"{level} interval", f"{level} interval of the next run"
        )
        for one in forecast.at:
            expected, run = one.expected, one.next_run
            table.add_row(
                str(one.n),
                score_words(expected.median),
                ends_words(expected),
                ends_words(run),
            )
        past = ", ".join(str(one.n) for one in forecast.at if not one.within_horizon)
        if past:
            words = f"{past}: past the horizon of {forecast.horizon} cases, beyond what these pilots can tell."
            table.caption = Text(words, DOUBT)
        yield table
    found = forecast.n_for_target
    if found is not None:
        table = plain_table("Cases needed for a target", "target", "median", f"{level} interval", "P(unreachable)")
        table.add_row(score_words(found.target), *size_words(found.size), f"{found.p_unreachable:.2f}")
        yield table


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
    yield f"horizon {forecast.horizon} cases ({HORIZON} x the largest trained size)."
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
    table = plain_table(
        f"Without the largest sizes ({level_words(level)} intervals)",
        "sizes",
        "DM least squares",
        "n* least squares",
        "DM posterior",
        "n* posterior",
    )
    for refit in found.refits:
        table.add_row(
            f"up to {refit.sizes[-1]}",
            score_words(refit.dm_least_squares),
            f"{refit.n_least_squares:.0f}",
            f"{score_words(refit.dm.median)} [{score_words(refit.dm.lo)}, {score_words(refit.dm.hi)}]",
            " ".join(size_words(refit.plateau)),
        )
    verdict = ("stable", f"bold {GOOD}") if found.stable else ("not stable", f"bold {DOUBT}")
    return Group(table, Prose.assemble(verdict, ": ", found.reason), Text(""))


def _rate(value: float) -> str:
    return f"{value:.4g}"
