"""A decision in a few words, code by code and goal by goal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicecast.forecast.goal import Goal
from dicecast.forecast.plain_words import DECISIONS, decision_words
from dicecast.forecast.promises import Promise
from dicecast.forecast.recommendation import ORDER, Recommendation
from dicecast.forecast.types import Interval

PLATEAU, TARGET, VALUE = Goal(), Goal("target", 0.8), Goal("value", 5.0)
SPECIAL = {("stop_plateau", "target"): "target is reached", ("stop_stable", "value"): "worth its cost"}


@pytest.mark.parametrize("goal", [PLATEAU, TARGET, VALUE], ids=lambda goal: goal.kind)
@pytest.mark.parametrize("code", [code for code in ORDER if code != "annotate"])
def test_a_decision_has_its_words(code: str, goal: Goal) -> None:
    found = decision_words(Recommendation(code, "why.", "arm", goal))
    if (code, goal.kind) in SPECIAL:
        assert SPECIAL[code, goal.kind] in found
    else:
        assert found == DECISIONS[code]


def test_a_batch_is_told_with_its_total() -> None:
    found = Recommendation("annotate", "why.", "arm", PLATEAU, 20)
    assert decision_words(found).startswith("ANNOTATE 20 MORE CASES")
    assert decision_words(replace(found, batch=1)).startswith("ANNOTATE 1 MORE CASE")
    assert "CASES" not in decision_words(replace(found, batch=1))
    assert "70 in all" in decision_words(replace(found, promise=Promise(70, 3, Interval(0.7, 0.6, 0.8, 0.9))))


def test_a_blocked_stop_asks_for_longer_training() -> None:
    blocked = Recommendation("train_pilots", "why.", "arm", stop_blocked=True)
    assert decision_words(blocked).startswith("TRAIN LONGER FIRST")
