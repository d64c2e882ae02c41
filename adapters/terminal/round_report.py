"""What a terminal shows of a round: its forecasts, scores, checks and recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ...forecast.document import curve_document
from ...forecast.goal import PLATEAU, TARGET, Goal
from ...forecast.plain_words import decision_words, sentence, sure_words
from ...forecast.promises import PromiseOutcome
from ...forecast.recommendation import Recommendation
from ...forecast.stability import RoundSummary
from ...forecast.words import amount_words, level_words
from ..conclusion import Round
from ..findings import FalsePositives, ScheduleCheck
from .curves_report import others_table
from .forecast_report import forecast_report
from .prose import Prose
from .score_tables import score_tables
from .screen import BAD, DOUBT, GOING, GOOD, ends_words, interval_words, plain_table, score_words, size_words

UNTOLD = ("cannot_tell", "train_pilots")
"""Decisions of other curves that are told with their reason."""
MOST_CASES = 20
"""Case ids a recommendation lists."""
CODE_STYLE = {"annotate": GOING, "train_pilots": DOUBT, "cannot_tell": BAD}


def history_table(history: Sequence[RoundSummary]) -> Table:
    """How the forecast moved from round to round, with its intervals."""
    level = f"[{level_words(history[-1].gain.level)}]"
    columns = ("round", "annotated", "DM", level, "n*", level, "reachable gain", level)
    table = plain_table("Round by round", *columns)
    for one in history:
        ends = (ends_words(found) for found in (one.dm, one.gain))
        median, size_ends = size_words(one.plateau)
        dm = (score_words(one.dm.median), next(ends))
        gain = (score_words(one.gain.median), next(ends))
        table.add_row(str(one.round), str(one.n_annotated), *dm, median, size_ends, *gain)
    return table


def promises_table(curves: Sequence[str], outcomes: Sequence[Sequence[PromiseOutcome]]) -> RenderableType:
    """What was promised for the score after each batch, and what came of it: the campaign's own calibration."""
    every = [(name, one) for name, found in zip(curves, outcomes, strict=True) for one in found]
    level = every[0][1].promise.interval.level
    columns = ("curve", "annotated", "promised", f"[{level_words(level)}]", "observed", "")
    table = plain_table("Promises and outcomes", *columns)
    for name, one in every:
        found = one.promise.interval
        table.add_row(
            name,
            f"{one.n_before} -> {one.promise.n}",
            score_words(found.median),
            ends_words(found),
            score_words(one.observed),
            "held" if one.held else "MISSED",
        )
    held = sum(one.held for _, one in every)
    words = f"{held} of {len(every)} promises held ({level_words(level)} expected in the long run)."
    return Group(table, Text(words, "dim"))


def schedule_table(checks: Sequence[ScheduleCheck], eps: float) -> RenderableType:
    """The schedule check: is the curve limited by cases or by training?"""
    table = plain_table(
        "Schedule check (twice the iterations)", "arm", "structure", "cases", "plain", "doubled", "rise", ""
    )
    for check in checks:
        note = "limited by training" if check.rise > eps else "ok"
        table.add_row(
            check.arm,
            check.structure,
            str(check.n),
            score_words(check.plain),
            score_words(check.doubled),
            f"{check.rise:+.3f}",
            note,
        )
    return table


def absent_table(found: Sequence[FalsePositives]) -> Table:
    """False positives where a structure is absent: those cases are not on its curve."""
    table = plain_table(
        "Test cases without the structure",
        "arm",
        "structure",
        "cases trained on",
        "test cases",
        "false-positive rate",
        "mean mL",
    )
    for one in found:
        table.add_row(one.arm, one.structure, str(one.n), str(one.cases), f"{one.rate:.2f}", score_words(one.volume_ml))
    return table


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
        lines.append(Text(f"Cost: {_cost_words(found.cost)}."))
    if cases:
        rest = "" if len(cases) <= MOST_CASES else f" and {len(cases) - MOST_CASES} more (--json lists all)"
        lines.append(Text(f"Annotate next: {', '.join(cases[:MOST_CASES])}{rest}."))
    if len(each) > 1:
        lines += [Text(""), _each_table(found, each)]
        lines += [
            Prose(f"{one.curve}: {one.reason}") for one in each if one.curve != found.curve and one.code in UNTOLD
        ]
    return Panel(Group(*lines), title="Recommendation", title_align="left", border_style=style)


def _each_table(found: Recommendation, each: Sequence[Recommendation]) -> Table:
    """What every curve says on its own."""
    goals = len({one.goal for one in each}) > 1
    columns = ["", *(["goal"] if goals else []), "decision", "chance that it suffices"]
    table = plain_table("Curve by curve", *columns, numbers=False)
    table.columns[-1].justify = "right"
    for one in each:
        batch = f" {one.batch}" if one.code == "annotate" else ""
        chance = "-" if one.p_suffices is None else f"{one.p_suffices:.2f}"
        goal = [_goal_words(one.goal)] if goals else []
        name = Text(one.curve, "bold" if one.curve == found.curve else "")
        table.add_row(name, *goal, f"{one.code.replace('_', ' ')}{batch}", chance)
    return table


def _goal_words(goal: Goal) -> str:
    words = {PLATEAU: f"plateau within {goal.amount:g}", TARGET: f"target {goal.amount:g}"}
    return words.get(goal.kind, f"{amount_words(goal.amount)} a score point")


def _cost_words(cost: Mapping[str, Any]) -> str:
    named = (("cases", "annotation"), ("round", "round"), ("compute", "computing"))
    parts = [f"{words} {amount_words(cost[key])}" for key, words in named if cost[key]]
    total = f"{amount_words(cost['amount'])} {cost['unit']}"
    return total + (f" ({', '.join(parts)})" if len(parts) > 1 else "")


def round_report(result: Round, protocol: str) -> RenderableType:
    """Everything a round says, the decision first and once more at the end."""
    named = result.recommendation.code == "annotate" and result.study.waiting
    cases = result.study.next_cases(result.recommendation.batch) if named else []
    parts: list[RenderableType] = [recommendation_panel(result.recommendation, result.each, cases), Text("")]
    for forecast, history in zip(result.forecasts, result.history, strict=True):
        parts.append(forecast_report(forecast))
        if len(history) > 1:
            parts += [history_table(history), Text("")]
    if any(result.outcomes):
        parts += [promises_table([f.curve.name for f in result.forecasts], result.outcomes), Text("")]
    question = result.forecasts[0].question
    if result.others:
        parts += [others_table([curve_document(forecast) for forecast in result.others], question), Text("")]
    parts += [*score_tables(result), Text("")]
    if result.absent:
        parts += [absent_table(result.absent), Text("")]
    if result.schedule:
        parts += [schedule_table(result.schedule, question.eps), Text("")]
    style = CODE_STYLE.get(result.recommendation.code, GOOD)
    parts.append(Text(decision_words(result.recommendation), f"bold {style}"))
    parts.append(Text(f"The forecast holds for the pilots' protocol: {protocol}.", "dim"))
    return Group(*parts)


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
