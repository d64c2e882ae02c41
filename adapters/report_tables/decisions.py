"""What every curve says on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...forecast.goal import PLATEAU, TARGET, Goal
from ...forecast.recommendation import Recommendation
from ...forecast.words import amount_words
from .columns import Table, chance, table, text


def decisions_table(decision: Recommendation, each: Sequence[Recommendation]) -> Table:
    """The decision of every curve.

    Args:
        decision: The one to act on.
        each: Of every curve.
    """
    goals = len({one.goal for one in each}) > 1
    rows = [_row(one, decision) for one in each]
    columns = [
        text("curve", "curve"),
        *([text("goal", "goal")] if goals else []),
        text("decision", "decision"),
        chance("chance that it suffices", "chance"),
    ]
    return table("decisions", "Curve by curve", rows, columns)


def _row(one: Recommendation, decision: Recommendation) -> dict[str, Any]:
    batch = f" {one.batch}" if one.code == "annotate" else ""
    return {
        "curve": one.curve,
        "goal": _goal_words(one.goal),
        "decision": f"{one.code.replace('_', ' ')}{batch}",
        "chance": one.chance,
        "decides": one.curve == decision.curve,
    }


def _goal_words(goal: Goal) -> str:
    words = {PLATEAU: f"plateau within {goal.amount:g}", TARGET: f"target {goal.amount:g}"}
    return words.get(goal.kind, f"{amount_words(goal.amount)} a score point")
