"""Which posteriors an arm is made of, the posteriors themselves put in by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dicecast.forecast import arms
from dicecast.forecast.checks import PredictiveCheck
from dicecast.forecast.curve import Curve
from dicecast.forecast.forecast import Question
from dicecast.forecast.posterior import Posterior
from dicecast.tests.forecast.made_arms import FLAT, STEEP

EASY = PredictiveCheck(1.0, 1.0, None)
Calls = list[tuple[Any, ...]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """(maker, arm, seed, model, more) of every posterior asked for; quadrature gives one draw less than MCMC."""
    seen: Calls = []

    def made(name: str, draws: int) -> Callable[..., Posterior]:
        def make(curve: Curve, seed: int, *, model: str = "average", **more: Any) -> Posterior:
            seen.append((name, curve.arm, seed, model, more))
            found = FLAT.expected if curve.arm == "flat" else STEEP.expected
            return replace(found.first(draws), model=model, seed=seed)

        return make

    monkeypatch.setattr(arms, "sample_posterior", made("mcmc", 4))
    monkeypatch.setattr(arms, "quadrature", made("quadrature", 3))
    monkeypatch.setattr(arms, "population_posterior", made("population", 2))

    def check(posterior: Posterior) -> PredictiveCheck:
        seen.append(("check", posterior.curve.arm, posterior.seed, posterior.model, {}))
        return EASY

    monkeypatch.setattr(arms, "predictive_check", check)
    return seen


CURVES = (FLAT.curve, STEEP.curve)


def test_the_named_model_is_sampled_and_the_average_summed(calls: Calls) -> None:
    found = arms.arms_of(CURVES, Question(seed=5))
    assert calls == [
        ("mcmc", "flat", 5, "exponential", {}),
        ("quadrature", "flat", 5, "average", {}),
        ("check", "flat", 5, "average", {}),
        ("mcmc", "steep", 1005, "exponential", {}),
        ("quadrature", "steep", 1005, "average", {}),
        ("check", "steep", 1005, "average", {}),
    ]
    assert [(len(one.expected.dm), len(one.named.dm)) for one in found] == [(3, 4), (3, 4)]
    assert [one.name for one in found] == ["flat", "steep"] and found[0].check is EASY


def test_in_haste_everything_is_summed(calls: Calls) -> None:
    arms.arms_of(CURVES[:1], Question(model="power-law"), quick=True)
    assert [call[0] for call in calls] == ["quadrature", "quadrature", "check"]


def test_a_family_that_is_asked_for_is_sampled_and_the_named_one_only_once(calls: Calls) -> None:
    arms.arms_of(CURVES[:1], Question(model="power-law"))
    assert [(call[0], call[3]) for call in calls] == [
        ("mcmc", "exponential"),
        ("mcmc", "power-law"),
        ("check", "power-law"),
    ]
    calls.clear()
    arms.arms_of(CURVES[:1], Question(model="exponential"))
    assert [(call[0], call[3]) for call in calls] == [("mcmc", "exponential"), ("check", "exponential")]


def test_all_patients_share_the_test_sets_of_one_seed(calls: Calls) -> None:
    found = arms.arms_of(CURVES, Question(seed=5, scope="population"))
    assert [call[:4] for call in calls if call[1] == "steep"] == [
        ("population", "steep", 1005, "exponential"),
        ("population", "steep", 1005, "average"),
        ("quadrature", "steep", 5, "average"),
        ("check", "steep", 5, "average"),
    ]
    assert all(call[4] == {"test_seed": 5} for call in calls if call[0] == "population")
    assert {len(one.expected.dm) for one in found} == {2}
