"""What a terminal shows of forecasts. Reports compute nothing; the caller prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from ...forecast.forecast import Forecast
from ...forecast.plain_words import answer_words, headline
from ...forecast.stability import DropLargest
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
from ..report_tables.remarks import notes_of, warnings_of
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
        yield Prose(f"{verdict.reason[:1].upper()}{verdict.reason[1:]}")
    yield from map(warning, warnings_of(forecast))
    yield Text("")
    if forecast.posterior is not None:
        yield curve_plot(forecast)
        yield Text("")
    for table in _tables(forecast):
        yield table
        yield Text("")
    yield from map(note, notes_of(forecast))
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


def stability_report(found: DropLargest, level: float) -> RenderableType:
    """Refits without the largest sizes."""
    verdict = ("stable", f"bold {GOOD}") if found.stable else ("not stable", f"bold {DOUBT}")
    return Group(shown(refits_table(found, level)), Prose.assemble(verdict, ": ", found.reason), Text(""))
