"""What a study adds to forecasts: its rounds, promises, checks and false positives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...forecast.promises import PromiseOutcome
from ...forecast.stability import RoundSummary
from ...forecast.words import level_words
from ..conclusion import Round
from ..findings import FalsePositives, ScheduleCheck
from .columns import Column, Row, Table, ends, interval, score, size, size_interval, table, text, whole


def study_tables(found: Round) -> list[Table]:
    """Every table of a round that has rows."""
    names = [forecast.curve.name for forecast in found.forecasts]
    made = [
        rounds_table(dict(zip(names, found.history, strict=True))),
        promises_table(dict(zip(names, found.outcomes, strict=True))),
        schedule_table(found.schedule, found.forecasts[0].question.eps),
        absent_table(found.absent),
    ]
    return [one for one in made if one.rows]


def rounds_table(histories: Mapping[str, Sequence[RoundSummary]]) -> Table:
    """How the forecasts moved from round to round; empty before the second.

    Args:
        histories: By the curve's name; a single one is not named in the table.
    """
    rows: list[dict[str, Any]] = [
        {
            "curve": name,
            "round": one.round,
            "n_annotated": one.n_annotated,
            **interval(one.dm, "dm"),
            **size_interval(one.plateau, "n_star"),
            **interval(one.gain, "gain"),
        }
        for name, history in histories.items()
        for one in history
        if len(history) > 1
    ]
    level = next((level_words(one.gain.level) for history in histories.values() for one in history), "")
    columns = [
        *([text("curve", "curve")] if len(histories) > 1 else []),
        whole("round", "round"),
        whole("annotated", "n_annotated"),
        score("ceiling DM", "dm"),
        ends(f"{level} interval", "dm"),
        size(f"n* [{level} interval]", "n_star"),
        score("reachable gain", "gain"),
        ends(f"{level} interval", "gain"),
    ]
    return table("rounds", "Round by round", rows, columns)


def promises_table(outcomes: Mapping[str, Sequence[PromiseOutcome]]) -> Table:
    """What was promised for the score after each batch, and what came of it: the campaign's own calibration.

    Args:
        outcomes: By the curve's name.
    """
    rows: list[dict[str, Any]] = [
        {
            "curve": name,
            "n_before": one.n_before,
            "n": one.promise.n,
            **interval(one.promise.interval),
            "observed": one.observed,
            "held": one.held,
        }
        for name, found in outcomes.items()
        for one in found
    ]
    level = next((level_words(one.promise.interval.level) for found in outcomes.values() for one in found), "")
    columns = [
        text("curve", "curve"),
        Column("annotated", lambda row: f"{row['n_before']} → {row['n']}"),
        score("promised", "median"),
        ends(f"{level} interval"),
        score("observed", "observed"),
        held("interval"),
    ]
    count = sum(row["held"] for row in rows)
    note = f"{count} of {len(rows)} promises held; {level} are expected to in the long run."
    return table("promises", "Promises and outcomes", rows, columns, note)


def held(head: str) -> Column:
    """Whether an interval held."""
    return Column(head, lambda row: "held" if row["held"] else "MISSED", number=False)


def schedule_table(checks: Sequence[ScheduleCheck], eps: float) -> Table:
    """The schedule check: is the curve limited by cases or by training?"""
    rows = [
        {
            "arm": one.arm,
            "structure": one.structure,
            "n": one.n,
            "as_planned": one.plain,
            "twice_as_long": one.doubled,
            "rise": one.rise,
            "stderr": one.error,
            "limited_by_training": one.rise > eps,
        }
        for one in checks
    ]
    columns = [
        text("arm", "arm"),
        text("structure", "structure"),
        whole("cases", "n"),
        score("as planned", "as_planned"),
        score("twice as long", "twice_as_long"),
        Column("rise ± SE", _rise),
        Column("", lambda row: "limited by training" if row["limited_by_training"] else "ok", number=False),
    ]
    return table("schedule", "Schedule check: is the curve limited by cases or by training?", rows, columns)


def _rise(row: Row) -> str:
    error = "?" if row["stderr"] is None else f"{row['stderr']:.3f}"
    return f"{row['rise']:+.3f} ± {error}"


def absent_table(found: Sequence[FalsePositives]) -> Table:
    """False positives where a structure is absent: those cases are not on its curve."""
    rows = [
        {
            "arm": one.arm,
            "structure": one.structure,
            "n": one.n,
            "test_cases": one.cases,
            "rate": one.rate,
            "volume_ml": one.volume_ml,
        }
        for one in found
    ]
    columns = [
        text("arm", "arm"),
        text("structure", "structure"),
        whole("cases trained on", "n"),
        whole("test cases", "test_cases"),
        Column("false-positive rate", lambda row: f"{row['rate']:.2f}"),
        score("mean mL", "volume_ml"),
    ]
    return table("false_positives", "Test cases without the structure", rows, columns)
