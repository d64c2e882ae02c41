"""What a terminal shows of forecasts. Reports compute nothing; the caller prints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..forecast.forecast import HORIZON, Forecast, Gain, Question
from ..forecast.prior import AVERAGE
from ..forecast.stability import DropLargest
from ..forecast.types import Interval
from ..forecast.verdict import NOTABLE
from .plot import curve_plot
from .screen import interval_words, plain_table, score_words, size_words

VERDICT_STYLE = {
    "plateau_reached": "green",
    "plateau_ahead": "cyan",
    "beyond_horizon": "yellow",
    "families_disagree": "yellow",
    "ill_behaved": "red",
    "too_few_sizes": "red",
}
TAKES_NO_PART = "by quadrature alone; no part in the decision"
MOST_LINES = 200
"""Curves a quick report lists."""


def forecast_report(forecast: Forecast) -> RenderableType:
    """One curve: verdict, plot, sizes, parameters, gains and what to doubt."""
    return Group(*_forecast_parts(forecast))


def _forecast_parts(forecast: Forecast) -> Iterator[RenderableType]:
    verdict = forecast.verdict
    yield Rule(Text(forecast.curve.name, "bold"), align="left")
    style = VERDICT_STYLE[verdict.code]
    yield Text.assemble((verdict.code.replace("_", " "), f"bold {style}"), (": ", style), verdict.reason)
    yield Text("")
    if forecast.posterior is not None:
        yield curve_plot(forecast)
        yield Text("")
        yield _gains_table(forecast)
        yield from _at_tables(forecast)
    yield _sizes_table(forecast)
    if forecast.posterior is not None:
        yield _parameters_table(forecast)
        yield _families_table(forecast)
    if forecast.backtest:
        yield _backtest_table(forecast)
    for line in _notes(forecast):
        yield Text.assemble(("· ", "dim"), line)
    yield Text("")


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
        "posterior median",
        f"{level:.0%} interval",
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
    table.add_row(f"plateau size n* (within {eps:g} of DM)", f"{size:.0f}", *size_words(plateau.size))
    table.add_row(
        "score at n*",
        score_words(score),
        score_words(plateau.score.median),
        f"[{score_words(plateau.score.lo)}, {score_words(plateau.score.hi)}]",
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
        f"{forecast.question.level:.0%} interval",
        "gain there",
        "n*",
    )
    for view in forecast.families:
        table.add_row(
            Text(view.family.name, no_wrap=True),
            f"{view.weight:.2f}" if view.weight else "-",
            score_words(view.score.median),
            f"[{score_words(view.score.lo)}, {score_words(view.score.hi)}]",
            score_words(view.gain.interval.median),
            size_words(view.plateau.size)[0],
        )
    return table


def _backtest_table(forecast: Forecast) -> Table:
    """Larger sizes forecast from smaller ones."""
    level = f"{forecast.question.level:.0%}"
    table = plain_table("Backtest", "from sizes up to", "at", "forecast", f"{level} interval", "observed", "interval")
    for test in forecast.backtest:
        found = test.predicted
        table.add_row(
            str(test.from_sizes[-1]),
            str(test.n),
            score_words(found.median),
            f"[{score_words(found.lo)}, {score_words(found.hi)}]",
            score_words(test.observed),
            "held" if test.held else "did NOT hold",
        )
    return table


def _gains_table(forecast: Forecast) -> Table:
    table = plain_table(
        "What more cases can still add",
        "",
        "median",
        f"{forecast.question.level:.0%} interval",
        f"P(gain <= {forecast.question.eps:g})",
    )
    for name, gain in (("reachable gain", forecast.reachable_gain), ("gain of doubling", forecast.gain_doubling)):
        assert isinstance(gain, Gain)
        found = gain.interval
        table.add_row(
            f"{name} {gain.n_from} -> {gain.n_to} cases",
            score_words(found.median),
            f"[{score_words(found.lo)}, {score_words(found.hi)}]",
            f"{gain.p_below_eps:.2f}",
        )
    return table


def _at_tables(forecast: Forecast) -> Iterator[Table]:
    level = f"{forecast.question.level:.0%}"
    if forecast.at:
        table = plain_table(
            "Expected score", "cases", "median", f"{level} interval", f"{level} interval of the next run", ""
        )
        for one in forecast.at:
            note = (
                ""
                if one.within_horizon
                else f"past the horizon of {forecast.horizon}: beyond what these pilots can tell"
            )
            expected, run = one.expected, one.next_run
            table.add_row(
                str(one.n),
                score_words(expected.median),
                f"[{score_words(expected.lo)}, {score_words(expected.hi)}]",
                f"[{score_words(run.lo)}, {score_words(run.hi)}]",
                note,
            )
        yield table
    found = forecast.n_for_target
    if found is not None:
        table = plain_table("Cases needed for a target", "target", "median", f"{level} interval", "P(unreachable)")
        table.add_row(score_words(found.target), *size_words(found.size), f"{found.p_unreachable:.2f}")
        yield table


def _notes(forecast: Forecast) -> Iterator[str]:
    curve = forecast.curve
    if curve.n_test is not None:
        left_out = (
            f"; {curve.n_left_out} left out of every size (structure absent, or no score at some size)"
            if curve.n_left_out
            else ""
        )
        yield f"scored on {curve.n_test} test cases{left_out}."
    yield {
        "test-set": "intervals are for the mean on this test set; for all patients use --scope population.",
        "population": "intervals are for the mean over all patients: they include which patients the test set holds.",
    }[forecast.question.scope]
    if forecast.fit is not None and forecast.fit.status != "ok":
        yield f"least squares: {forecast.fit.status}."
    if forecast.posterior is not None:
        yield _sampling(forecast)
    yield from (f"WARNING {message}." for message in forecast.messages)
    if forecast.sensitivity is not None:
        vague, learned = forecast.sensitivity.vague.interval, forecast.sensitivity.learned.interval
        yield (
            f"sensitivity of the reachable gain to the prior: {interval_words(vague)} with its vague half alone, "
            f"{interval_words(learned)} with its learned half alone."
        )
    yield f"horizon {forecast.horizon} cases ({HORIZON} x the largest trained size)."
    if forecast.posterior is not None:
        if forecast.question.model != AVERAGE:
            yield f"expected scores and gains are those of the family {forecast.question.model} alone."
        yield from _named_notes(forecast)


def _named_notes(forecast: Forecast) -> Iterator[str]:
    view, gain = forecast.named_view, forecast.reachable_gain
    assert view is not None and gain is not None
    if view.weight < NOTABLE and forecast.question.model == AVERAGE:
        yield (
            f"these scores speak against the exponential plateau (weight {view.weight:.2f}): alone it expects "
            f"{score_words(view.score.median)} at {gain.n_to}; do not plan by its n*."
        )
    yield (
        "the exponential plateau tends to flatten too early on real curves: read its n* as optimistic, and decide "
        "by the gains."
    )


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


def quick_report(entries: Sequence[Mapping[str, Any]], question: Question) -> RenderableType:
    """One line per curve, from the curves of a forecast document; at most `MOST_LINES`."""
    columns = ("curve", "cases", "reachable gain", f"{question.level:.0%} interval", "DM", "n*", "verdict")
    table = plain_table("Forecasts", *columns)
    note = "Everything by quadrature; for MCMC, backtest and families leave out --quick."
    for entry in entries[:MOST_LINES]:
        extra = [entry[key] for key, usual in (("test_set", "test"), ("stratum", "all")) if entry[key] != usual]
        name = " / ".join([entry["arm"], entry["structure"], entry["metric"], *extra])
        gain, plateau, posterior = entry["reachable_gain"], entry["plateau"], entry["posterior"]
        if gain is None or plateau is None or posterior is None:
            table.add_row(name, str(entry["n_annotated"]), "-", "-", "-", "-", entry["verdict"]["code"])
            continue
        size = plateau["n"]["median"]
        table.add_row(
            name,
            str(entry["n_annotated"]),
            score_words(gain["median"]),
            f"[{score_words(gain['lo'])}, {score_words(gain['hi'])}]",
            score_words(posterior["DM"]["median"]),
            "beyond" if size is None else f"{size:.0f}",
            entry["verdict"]["code"].replace("_", " "),
        )
    rest = len(entries) - MOST_LINES
    return Group(table, *([Text(f"... and {rest} more curves: see --json.")] if rest > 0 else []), Text(note, "dim"))


def others_table(entries: Sequence[Mapping[str, Any]], question: Question) -> RenderableType:
    """Curves that have no part in the decision."""
    level = f"{question.level:.0%}"
    columns = ("arm", "structure", "of", "test cases", "gain", f"{level} interval", "DM", "n*")
    table = plain_table(f"Strata, other test sets and metrics ({TAKES_NO_PART})", *columns)
    for entry in sorted(entries, key=_in_order):
        usual = ("metric", "dice"), ("test_set", "test"), ("stratum", "all")
        gain, plateau, posterior = entry["reachable_gain"], entry["plateau"], entry["posterior"]
        cells = [entry["arm"], entry["structure"], ", ".join(entry[k] for k, word in usual if entry[k] != word)]
        cells.append("-" if entry["n_test"] is None else str(entry["n_test"]))
        if gain is None or plateau is None or posterior is None:
            table.add_row(*cells, "-", "-", "-", entry["verdict"]["code"].replace("_", " "))
            continue
        size = plateau["n"]["median"]
        ends = f"[{score_words(gain['lo'])}, {score_words(gain['hi'])}]"
        dm = score_words(posterior["DM"]["median"])
        table.add_row(*cells, score_words(gain["median"]), ends, dm, "beyond" if size is None else f"{size:.0f}")
    return table


def _in_order(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """By arm, structure and what else it is; strata of numbers from low to high."""
    stratum = entry["stratum"]
    first = re.search(r"\d[\d.]*", stratum)
    low = (float(first[0]), "<=" not in stratum) if first else (0.0, False)
    by = re.split(r"<=|>", stratum)[0]
    return entry["arm"], entry["structure"], entry["metric"], entry["test_set"], by, *low, stratum


def stability_report(found: DropLargest, level: float) -> RenderableType:
    """Refits without the largest sizes."""
    table = plain_table(
        f"Without the largest sizes ({level:.0%} intervals)",
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
    verdict = ("stable", "bold green") if found.stable else ("not stable", "bold yellow")
    return Group(table, Text.assemble(verdict, ": ", found.reason), Text(""))


def _rate(value: float) -> str:
    return f"{value:.4g}"
