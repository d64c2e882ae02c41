"""What a terminal shows of a round: its forecasts, scores, checks and recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..forecast.document import curve_document
from ..forecast.goal import PLATEAU, TARGET, VALUE, Goal
from ..forecast.promises import PromiseOutcome
from ..forecast.recommendation import Recommendation
from ..forecast.stability import RoundSummary
from .conclusion import Round
from .findings import FalsePositives, ScheduleCheck
from .forecast_report import forecast_report, others_table
from .score_tables import score_tables
from .screen import plain_table, score_words, size_words

MOST_CASES = 20
"""Case ids a recommendation lists."""
CODE_STYLE = {"annotate": "cyan", "train_pilots": "yellow", "cannot_tell": "red"}
CODE_WORDS = {
    "stop_plateau": "STOP: further cases add too little",
    "stop_stable": "STOP: the forecast is stable",
    "stop_budget": "STOP: nothing left to annotate or to spend",
    "stop_unreachable": "STOP: the target is out of reach",
    "train_pilots": "TRAIN MORE PILOTS",
    "cannot_tell": "CANNOT TELL",
}


def history_table(history: Sequence[RoundSummary]) -> Table:
    """How the forecast moved from round to round, with its intervals."""
    level = f"[{history[-1].gain.level:.0%}]"
    columns = ("round", "annotated", "DM", level, "n*", level, "reachable gain", level)
    table = plain_table("Round by round", *columns)
    for one in history:
        ends = (f"[{score_words(found.lo)}, {score_words(found.hi)}]" for found in (one.dm, one.gain))
        median, size_ends = size_words(one.plateau)
        dm = (score_words(one.dm.median), next(ends))
        gain = (score_words(one.gain.median), next(ends))
        table.add_row(str(one.round), str(one.n_annotated), *dm, median, size_ends, *gain)
    return table


def promises_table(curves: Sequence[str], outcomes: Sequence[Sequence[PromiseOutcome]]) -> RenderableType:
    """What was promised for the score after each batch, and what came of it: the campaign's own calibration."""
    every = [(name, one) for name, found in zip(curves, outcomes, strict=True) for one in found]
    level = every[0][1].promise.interval.level
    columns = ("curve", "annotated", "promised", f"[{level:.0%}]", "observed", "")
    table = plain_table("Promises and outcomes", *columns)
    for name, one in every:
        found = one.promise.interval
        table.add_row(
            name,
            f"{one.n_before} -> {one.promise.n}",
            score_words(found.median),
            f"[{score_words(found.lo)}, {score_words(found.hi)}]",
            score_words(one.observed),
            "held" if one.held else "MISSED",
        )
    held = sum(one.held for _, one in every)
    return Group(table, Text(f"{held} of {len(every)} promises held ({level:.0%} expected in the long run).", "dim"))


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


def _sentence(found: Recommendation) -> str:
    """The reason with a capital, unless it begins with the curve's name."""
    reason = found.reason
    return reason if reason.startswith(found.curve) else reason[:1].upper() + reason[1:]


def recommendation_panel(
    found: Recommendation, each: Sequence[Recommendation] = (), cases: Sequence[str] = ()
) -> RenderableType:
    """The decision and its reason, what the other curves say, and which cases to annotate."""
    style = CODE_STYLE.get(found.code, "green")
    lines: list[RenderableType] = [Text(_decision_words(found), f"bold {style}"), Text(_sentence(found))]
    if found.promise is not None:
        expected, draws = found.promise.interval, found.promise.draws
        lines.append(
            Text(
                f"Expect {score_words(expected.median)} [{score_words(expected.lo)}, {score_words(expected.hi)}] with "
                f"{found.promise.n} cases ({expected.level:.0%} interval of the mean of {draws} "
                f"draw{'' if draws == 1 else 's'}, {found.curve})."
            )
        )
    if found.cost is not None:
        lines.append(Text(f"Cost: {_cost_words(found.cost)}."))
    if len(each) > 1:
        for one in each:
            batch = f" {one.batch}" if one.code == "annotate" else ""
            goal = "" if one.goal == found.goal else f" ({_goal_words(one.goal)})"
            chance = "" if one.p_suffices is None else f", suffices with probability {one.p_suffices:.2f}"
            lines.append(Text(f"  {one.curve}: {one.code.replace('_', ' ')}{batch}{goal}{chance}", "dim"))
    if cases:
        rest = "" if len(cases) <= MOST_CASES else f" and {len(cases) - MOST_CASES} more (--json lists all)"
        lines.append(Text(f"Annotate next: {', '.join(cases[:MOST_CASES])}{rest}."))
    return Panel(Group(*lines), title="Recommendation", title_align="left", border_style=style)


def _decision_words(found: Recommendation) -> str:
    if found.code == "annotate":
        return f"ANNOTATE {found.batch} MORE"
    if found.code == "stop_plateau" and found.goal.kind == TARGET:
        return "STOP: the target is reached"
    if found.code == "stop_stable" and found.goal.kind == VALUE:
        return "STOP: no further batch is worth its cost"
    return CODE_WORDS[found.code]


def _goal_words(goal: Goal) -> str:
    words = {PLATEAU: f"plateau within {goal.amount:g}", TARGET: f"target {goal.amount:g}"}
    return words.get(goal.kind, f"{goal.amount:g} a score point")


def _cost_words(cost: Mapping[str, Any]) -> str:
    named = (("cases", "annotation"), ("round", "round"), ("compute", "computing"))
    parts = [f"{words} {cost[key]:g}" for key, words in named if cost[key]]
    return f"{cost['amount']:g} {cost['unit']}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")


def round_report(result: Round, protocol: str) -> RenderableType:
    """Everything a round says."""
    parts: list[RenderableType] = []
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
    named = result.recommendation.code == "annotate" and result.study.waiting
    cases = result.study.next_cases(result.recommendation.batch) if named else []
    parts.append(recommendation_panel(result.recommendation, result.each, cases))
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
        (words, f"bold {CODE_STYLE.get(found.code, 'green')}"),
    )
