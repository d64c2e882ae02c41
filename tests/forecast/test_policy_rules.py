"""How a simulated campaign follows each decision, the decision itself put in by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dicecast.forecast import policies
from dicecast.forecast.checks import PredictiveCheck
from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.goal import Goal
from dicecast.forecast.pilots import Design
from dicecast.forecast.promises import Promise
from dicecast.forecast.recommendation import ORDER, Recommendation
from dicecast.forecast.simulation import Action, State, Terms
from dicecast.forecast.types import Interval

PILOTS, PROMISE = Design((14,), (2,), 0.5), Promise(60, 3, Interval(0.7, 0.6, 0.8, 0.9))


def state(sizes: int = 3, **terms: Any) -> State:
    n = 10 * 2 ** np.arange(sizes)
    curve = averaged_curve("arm", n, 0 * n, np.linspace(0.5, 0.7, sizes), 40, 40)
    return State(curve, 40, 400, 5, 70.0, Terms(per_case=2.0, per_round=7.0, draws=4, **terms), 7.0, 11)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `decide` was asked; set `code`, `check` and more of its answer here."""
    seen: dict[str, Any] = {"code": "annotate", "check": PredictiveCheck(1.0, 1.0, None), "more": {}}

    def decide(posterior: Any, question: Any, situation: Any, falls: str | None) -> Recommendation:
        seen.update(posterior=posterior, question=question, situation=situation, falls=falls)
        return Recommendation(seen["code"], "why.", "arm", **seen["more"])

    def quadrature(curve: Any, seed: int, draws: int) -> tuple[Any, int, int]:
        return curve, seed, draws

    monkeypatch.setattr(policies, "decide", decide)
    monkeypatch.setattr(policies, "quadrature", quadrature)
    monkeypatch.setattr(policies, "predictive_check", lambda posterior: seen["check"])
    return seen


@pytest.mark.parametrize("code", ORDER)
def test_every_decision_is_followed(code: str, asked: dict[str, Any]) -> None:
    asked.update(code=code, more={"batch": 20, "promise": PROMISE, "pilots": PILOTS})
    expected = {
        "annotate": Action(60, code=code, promise=PROMISE),
        "train_pilots": Action(40, PILOTS, code),
        "cannot_tell": Action(80, code=code),
    }
    assert policies.recommended()(state()) == expected.get(code, Action(40, code=code))


def test_pilots_that_are_not_named_are_a_bigger_pool(asked: dict[str, Any]) -> None:
    asked.update(code="train_pilots")
    assert policies.recommended()(state()) == Action(80, code="train_pilots")


def test_what_is_asked_is_what_the_terms_say(asked: dict[str, Any]) -> None:
    policies.recommended(look_ahead=1)(state(goal=Goal("target", 0.8), budget=100.0, level=0.8))
    situation, question = asked["situation"], asked["question"]
    assert asked["posterior"][1:] == (11, policies.DRAWS)
    assert (question.seed, question.level) == (11, 0.8)
    assert (situation.goal, situation.left, situation.rounds_left) == (Goal("target", 0.8), 360, 5)
    assert (situation.draws, situation.look_ahead) == (4, 1)
    costs = situation.costs
    assert (costs.per_case, costs.per_round, costs.budget) == (2.0, 7.0, 30.0)
    assert asked["falls"] is None
    policies.recommended()(state(budget=50.0))
    assert asked["situation"].costs.budget == 0
    policies.recommended()(state())
    assert asked["situation"].costs.budget is None


def test_a_curve_that_falls_is_told_so(asked: dict[str, Any]) -> None:
    asked.update(check=PredictiveCheck(0.001, 1.0, (10, 20)))
    policies.recommended()(state())
    assert asked["falls"] == "the curve falls"


def test_two_sizes_are_doubled_without_asking(asked: dict[str, Any]) -> None:
    assert policies.recommended()(state(sizes=2)) == Action(80)
    assert "situation" not in asked
