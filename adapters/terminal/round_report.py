"""What a terminal shows of a round: its forecasts, scores, checks and recommendation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from ...forecast.document import curve_document
from ...forecast.plain_words import cost_words, decision_words, sentence, sure_words
from ...forecast.recommendation import Recommendation
from ...forecast.words import interval_words, level_words
from ..conclusion import Round
from ..report_tables.columns import Table as ReportTable
from ..report_tables.decisions import decisions_table
from ..report_tables.study import absent_table, promises_table, rounds_table, schedule_table
from .curves_report import others_table
from .fitted_table import FittedTable
from .forecast_report import forecast_report
from .prose import Prose
from .score_tables import score_tables
from .screen import BAD, DOUBT, GOING, GOOD, shown

UNTOLD = ("cannot_tell", "train_pilots")
"""Decisions of other curves that are told with their reason."""
MOST_CASES = 20
"""Case ids a recommendation lists."""
CODE_STYLE = {"annotate": GOING, "train_pilots": DOUBT, "cannot_tell": BAD}


def recommendation_panel(
    found: Recommendation, each: Sequence[Recommendation] = (), cases: Sequence[str] = ()
) -> RenderableType:
    """The decision and its reason, what the other curves say, and which cases to annotate."""
    style = CODE_STYLE.get(found.code, GOOD)
    lines: list[RenderableType] = [Text(decision_words(found), f"bold {style}"), *map(Prose, sure_words(found))]
    lines.append(Prose(sentence(found)))
    if found.promise is not None:
        expected, draws = found.promise.interval, found.promise.draws
        lines.append(
            Prose(
                f"Expect {interval_words(expected)} with {found.promise.n} cases ({level_words(expected.level)} "
                f"interval of the mean of {draws} draw{'' if draws == 1 else 's'}, {found.curve})."
            )
        )
    if found.cost is not None:
        lines.append(Text(f"Cost: {cost_words(found.cost)}."))
    if cases:
        rest = "" if len(cases) <= MOST_CASES else f" and {len(cases) - MOST_CASES} more (--json lists all)"
        lines.append(Text(f"Annotate next: {', '.join(cases[:MOST_CASES])}{rest}."))
    if len(each) > 1:
        lines += [Text(""), _each_table(found, each)]
        lines += [
            Prose(f"{one.curve}: {one.reason}") for one in each if one.curve != found.curve and one.code in UNTOLD
        ]
    return Panel(Group(*lines), title="Recommendation", title_align="left", border_style=style)


def _each_table(found: Recommendation, each: Sequence[Recommendation]) -> FittedTable:
    """What every curve says on its own, the one that decides in bold."""
    made = decisions_table(found, each)
    table = shown(made)
    for row, line in zip(made.rows, table.rows, strict=True):
        line.style = "bold" if row["decides"] else None
    return table


def round_report(result: Round, protocol: str) -> RenderableType:
    """Everything a round says, the decision first and once more at the end."""
    named = result.recommendation.code == "annotate" and result.study.waiting
    cases = result.study.next_cases(result.recommendation.batch) if named else []
    parts: list[RenderableType] = [recommendation_panel(result.recommendation, result.each, cases), Text("")]
    for forecast, history in zip(result.forecasts, result.history, strict=True):
        name = forecast.curve.name
        parts += [forecast_report(forecast), *_with_rows(rounds_table({name: history}))]
    names = [forecast.curve.name for forecast in result.forecasts]
    parts += _with_rows(promises_table(dict(zip(names, result.outcomes, strict=True))))
    question = result.forecasts[0].question
    if result.others:
        parts += [others_table([curve_document(forecast) for forecast in result.others], question), Text("")]
    parts += [*score_tables(result), Text("")]
    parts += [*_with_rows(absent_table(result.absent)), *_with_rows(schedule_table(result.schedule, question.eps))]
    style = CODE_STYLE.get(result.recommendation.code, GOOD)
    parts.append(Text(decision_words(result.recommendation), f"bold {style}"))
    parts.append(Text(f"The forecast holds for the pilots' protocol: {protocol}.", "dim"))
    return Group(*parts)


def _with_rows(found: ReportTable) -> list[RenderableType]:
    """A table and a blank line, where it has rows."""
    return [shown(found), Text("")] if found.rows else []


def round_line(result: Round) -> RenderableType:
    """A round in one paragraph, for the log of a run."""
    scores = ", ".join(f"{f.curve.arm} {f.curve.structure} {f.curve.observed[-1]:.3f}" for f in result.forecasts)
    found = result.recommendation
    words = f"annotate {found.batch}" if found.code == "annotate" else found.code.replace("_", " ")
    return Text.assemble(
        (f"Round {result.number}", "bold"),
        f": {result.study.pool_sizes[-1]} annotated; {scores} -> ",
        (words, f"bold {CODE_STYLE.get(found.code, GOOD)}"),
    )
