"""What a study adds: its rounds, promises, checks and false positives, as tables of the page."""

from __future__ import annotations

from typing import Any

from ...forecast.words import level_words
from ..answer import Answer
from ..conclusion import Round
from ..terminal.screen import size_words
from .tables import Column, Table, chance, ends, score, table, text, whole


def history_tables(answer: Answer) -> list[Table]:
    """Tables of a study's campaign; none for other sources."""
    found = answer.round
    if found is None:
        return []
    level = level_words(answer.source.question.level)
    made = [_rounds(found, level), _promises(found, level), _schedule(found), _absent(found)]
    return [one for one in made if one.rows]


def _rounds(found: Round, level: str) -> Table:
    rows: list[dict[str, Any]] = [
        {
            "curve": forecast.curve.name,
            "round": one.round,
            "n_annotated": one.n_annotated,
            "dm": one.dm.median,
            "dm_lo": one.dm.lo,
            "dm_hi": one.dm.hi,
            "n_star": " ".join(size_words(one.plateau)),
            "gain": one.gain.median,
            "gain_lo": one.gain.lo,
            "gain_hi": one.gain.hi,
        }
        for forecast, history in zip(found.forecasts, found.history, strict=True)
        for one in history
        if len(history) > 1
    ]
    columns = [
        text("curve", "curve"),
        whole("round", "round"),
        whole("annotated", "n_annotated"),
        score("ceiling DM", "dm"),
        ends(f"{level} interval", "dm_lo", "dm_hi"),
        Column(f"n* [{level} interval]", lambda row: row["n_star"]),
        score("reachable gain", "gain"),
        ends(f"{level} interval", "gain_lo", "gain_hi"),
    ]
    return table("rounds", "Round by round", rows, columns)


def _promises(found: Round, level: str) -> Table:
    rows: list[dict[str, Any]] = [
        {
            "curve": forecast.curve.name,
            "annotated": f"{one.n_before} → {one.promise.n}",
            "promised": one.promise.interval.median,
            "lo": one.promise.interval.lo,
            "hi": one.promise.interval.hi,
            "observed": one.observed,
            "held": one.held,
        }
        for forecast, outcomes in zip(found.forecasts, found.outcomes, strict=True)
        for one in outcomes
    ]
    columns = [
        text("curve", "curve"),
        text("annotated", "annotated"),
        score("promised", "promised"),
        ends(f"{level} interval", "lo", "hi"),
        score("observed", "observed"),
        Column("", lambda row: "held" if row["held"] else "MISSED", number=False),
    ]
    held = sum(row["held"] for row in rows)
    note = f"{held} of {len(rows)} promises held; {level} are expected to in the long run."
    return table("promises", "Promises and outcomes", rows, columns, note)


def _schedule(found: Round) -> Table:
    eps = found.forecasts[0].question.eps
    rows = [
        {
            "arm": one.arm,
            "structure": one.structure,
            "n": one.n,
            "plain": one.plain,
            "doubled": one.doubled,
            "rise": one.rise,
            "limited": one.rise > eps,
        }
        for one in found.schedule
    ]
    columns = [
        text("arm", "arm"),
        text("structure", "structure"),
        whole("cases", "n"),
        score("as planned", "plain"),
        score("twice as long", "doubled"),
        Column("rise", lambda row: f"{row['rise']:+.3f}"),
        Column("", lambda row: "limited by training" if row["limited"] else "ok", number=False),
    ]
    return table("schedule", "Schedule check: is the curve limited by cases or by training?", rows, columns)


def _absent(found: Round) -> Table:
    rows = [
        {
            "arm": one.arm,
            "structure": one.structure,
            "n": one.n,
            "cases": one.cases,
            "rate": one.rate,
            "ml": one.volume_ml,
        }
        for one in found.absent
    ]
    columns = [
        text("arm", "arm"),
        text("structure", "structure"),
        whole("cases trained on", "n"),
        whole("test cases", "cases"),
        chance("false-positive rate", "rate"),
        score("mean mL", "ml"),
    ]
    return table("false_positives", "Test cases without the structure", rows, columns)
