"""Every rule of a decision, on posteriors made by hand: step curves without noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dicecast.forecast.costs import Costs
from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.diagnostics import importance
from dicecast.forecast.errors import InputError
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.forecast import Question
from dicecast.forecast.goal import Goal
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.promises import Promise
from dicecast.forecast.recommendation import LONGER, ORDER, Recommendation, Situation, _is_flat, decide, recommend_all
from dicecast.forecast.types import Interval

NOW, LARGEST = 50, 40
DRAWS = 100


def posterior(rises: int, now: int = NOW, observed: float = 0.7, **more: Any) -> Posterior:
    """So many of the draws rise by 0.1, half of it by 60 more cases; the others are flat at 0.7."""
    n = np.repeat([10, 20, LARGEST], 2)
    y = observed + np.tile([-0.001, 0.001], 3) + np.repeat([-0.2, -0.1, 0.0], 2)
    curve = averaged_curve("arm", n, np.tile([0, 1], 3), y, now, max(now, LARGEST))
    rising = np.arange(DRAWS) < rises
    k = np.log(2) / 60
    made = Posterior(
        curve=curve,
        model="exponential",
        families=(FAMILIES["exponential"],),
        pick=np.zeros(DRAWS, dtype=np.int64),
        dm=np.where(rising, 0.8, 0.7),
        amplitude=np.where(rising, 0.1 * np.exp(k * NOW), 0.0),
        theta=np.column_stack([np.full(DRAWS, k), np.full(DRAWS, np.nan)]),
        noise=np.tile([1e-3, 0.0, 0.0], (DRAWS, 1)),
        nested=np.ones(DRAWS, dtype=bool),
        noise_source="draws",
        diagnostics=importance(1e9),
        seed=0,
        prior="none",
    )
    return replace(made, **more)


def decided(rises: int, goal: Goal | None = None, question: Question | None = None, **more: Any) -> Recommendation:
    return decide(posterior(rises), question or Question(), Situation(goal=goal, **more))


@pytest.mark.parametrize(("rises", "code"), [(0, "stop_plateau"), (5, "stop_plateau"), (6, "train_pilots")])
def test_a_plateau_is_reached_with_95_in_100(rises: int, code: str) -> None:
    found = decided(rises, left=100, draws=2)
    assert found.code == code
    if rises == 5:
        assert found.reason == "with probability 0.95 going from 50 to 150 cases adds at most 0.01 (median 0.0000)."


@pytest.mark.parametrize(("rises", "stops"), [(95, True), (94, False)])
def test_a_target_is_reached_with_95_in_100(rises: int, stops: bool) -> None:
    found = decide(
        replace(posterior(rises), dm=np.where(np.arange(DRAWS) < rises, 0.9, 0.7)),
        Question(),
        Situation(goal=Goal("target", 0.75), left=100),
    )
    assert (found.code == "stop_plateau") == stops
    if stops:
        assert found.reason == "with probability 0.95 50 cases give at least 0.75."


def test_a_target_reached_is_a_stop_even_where_nothing_is_left() -> None:
    assert decided(0, Goal("target", 0.6), left=0).code == "stop_plateau"
    assert decided(0, left=0).code == "stop_budget"


def test_a_target_out_of_reach_is_told_with_what_there_is_to_reach() -> None:
    found = decided(100, Goal("target", 0.85), left=100)
    assert found.code == "stop_unreachable"
    assert found.reason.startswith("with probability > 0.99 even 150 cases do not reach 0.85: they give 0.7")
    assert decided(5, Goal("target", 0.75), left=110).code == "stop_unreachable"
    assert decided(6, Goal("target", 0.75), left=110).code != "stop_unreachable"


def test_a_target_out_of_reach_past_the_horizon_is_looked_for() -> None:
    found = decided(100, Goal("target", 0.85), left=200)  # the pilots tell up to 160
    assert found.code == "annotate"
    assert "even 250 cases reach 0.85 with probability < 0.01 only, but they cannot tell past 160" in found.reason
    assert found.batch == 15  # a quarter of 250, from 50
    assert decided(100, Goal("target", 0.85), left=120).batch in (5, 6)  # a tenth of the pool
    assert decided(100, Goal("target", 0.85), left=110).code == "stop_unreachable"
    assert decided(100, Goal("target", 0.85), left=2000).batch == 110  # no further than the pilots tell
    poor = Costs(per_case=10.0, budget=73.0)
    assert decided(100, Goal("target", 0.85), left=200, costs=poor).batch == 7


def test_a_curve_that_falls_or_did_not_converge_cannot_be_told() -> None:
    found = decide(posterior(50), Question(), Situation(), "it falls.")
    assert (found.code, found.reason) == ("cannot_tell", "it falls.")
    spent = decide(posterior(50), Question(), Situation(left=0), "it falls.")
    assert (spent.code, spent.reason) == ("stop_budget", "Every case there is has been annotated. it falls.")
    rough = decide(posterior(50, diagnostics=importance(10)), Question(), Situation())
    assert rough.code == "cannot_tell"
    assert rough.reason.startswith("the posterior did not converge: effective sample size 10 of")


@pytest.mark.parametrize(("level", "fails"), [(0.0499 - 0.001, True), (0.05, False)])
def test_scores_near_nothing_are_no_plateau(level: float, fails: bool) -> None:
    found = decide(replace(posterior(0), curve=posterior(0, observed=level).curve), Question(), Situation())
    assert (found.code == "cannot_tell" and "no size scores 0.05" in found.reason) == fails


@pytest.mark.parametrize(("rise", "flat"), [(-0.1, True), (0.0017, True), (0.0023, False), (0.1, False)])
def test_a_rise_of_less_than_two_standard_errors_is_flat(rise: float, flat: bool) -> None:
    n, draw = np.repeat([10, 20, LARGEST], 2), np.tile([0, 1], 3)
    y = 0.7 + np.array([0, 0, 0, 0, rise, rise])  # two draws with an SD of 0.001: the rise has an error of 0.001
    found = replace(posterior(0), curve=averaged_curve("arm", n, draw, y, NOW, NOW))
    assert _is_flat(found) == flat


@pytest.mark.parametrize(("now", "size"), [(80, None), (81, 81), (160, 160), (200, 160)])
def test_far_more_cases_than_pilots_ask_for_pilots(now: int, size: int | None) -> None:
    found = decide(posterior(50, now=now), Question(), Situation(draws=4, left=100))
    if size is None:
        assert found.pilots is None or "largest pilot" not in found.reason
        return
    assert found.code == "train_pilots" and found.pilots is not None
    assert (found.pilots.sizes, found.pilots.draws) == ((size,), (4,))
    assert found.reason.startswith(f"{now} cases are annotated but the largest pilot has 40")


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        ({"left": 0}, "Every case there is has been annotated."),
        ({"rounds_left": 0}, "The deadline leaves no further round."),
        ({"rounds_left": -1}, "The deadline leaves no further round."),
        (
            {"costs": Costs(per_case=2000.0, budget=1999.0)},
            "The budget left (1,999 EUR) does not pay for a round with another case.",
        ),
    ],
)
def test_what_is_spent_is_said_with_what_it_costs_to_stop(situation: dict[str, Any], words: str) -> None:
    found = decided(100, **situation)
    assert found.code == "stop_budget"
    assert found.reason.startswith(words)
    assert ("could add" in found.reason) == (situation.get("left") != 0)


def test_one_round_or_one_case_left_is_not_spent() -> None:
    assert decided(100, rounds_left=1).code == "annotate"
    assert decided(100, left=1).code != "stop_budget"
    assert decided(100, costs=Costs(per_case=10.0, budget=10.0)).batch == 1


def test_the_last_round_announces_no_other() -> None:
    doubt = "decide on further batches after the next round"
    assert doubt not in decided(60, Goal("target", 0.76), rounds_left=1, left=100).reason
    assert doubt in decided(60, Goal("target", 0.76), rounds_left=2, left=400).reason
    assert doubt not in decided(60, Goal("target", 0.76), rounds_left=2, left=100).reason, "those are all"


@pytest.mark.parametrize(
    ("more", "most"), [({"left": 3}, 3), ({}, 110), ({"costs": Costs(per_case=1.0, per_round=2.0, budget=42.0)}, 40)]
)
def test_a_batch_is_within_every_limit(more: dict[str, Any], most: int) -> None:
    found = decided(100, Goal("plateau", 0.001), **more)
    assert found.code == "annotate" and found.batch <= most
    assert found.promise is not None and found.promise.n == NOW + found.batch
    assert found.promise.draws == 3


def test_a_known_need_is_met_and_priced() -> None:
    found = decided(100, Goal("target", 0.75), left=200, costs=Costs(per_case=20.0, per_round=100.0), draws=2)
    assert (found.code, found.batch, found.p_suffices) == ("annotate", 60, 1.0)
    assert found.cost == {"amount": 1300.0, "unit": "EUR", "cases": 1200.0, "round": 100.0, "compute": 0.0}
    assert found.promise is not None and (found.promise.n, found.promise.draws) == (110, 2)
    assert found.reason.startswith(
        "up to 250 cases (past the horizon of these pilots, 160) could add 0.090 [0.090, 0.090]"
    )


def test_the_reach_of_a_question_is_how_far_it_looks() -> None:
    assert decided(100, question=Question(reach=90)).evidence["n_max"] == 90
    assert decided(100, question=Question(reach=90), left=10).evidence["n_max"] == 60
    assert decided(100).evidence["n_max"] == 160


def test_evidence_has_every_number() -> None:
    found = decided(60, Goal("target", 0.75), left=200).evidence
    assert (found["n_annotated"], found["n_max"], found["left"]) == (50, 250, 200)
    assert (found["p_goal_reached"], found["p_goal_reachable"]) == (0.0, 0.6)
    assert found["n_needed"] == {"median": 110.0, "lo": 110.0, "hi": None}
    assert found["reachable_gain"]["hi"] == pytest.approx(0.1 * (1 - 2 ** (-200 / 60)))
    assert found["round_stability"] == "0 round(s) so far; stability needs 3."
    value = decided(60, Goal("value", 5.0), left=200, costs=Costs(per_case=1.0)).evidence
    assert [value[name] for name in ("p_goal_reached", "p_goal_reachable", "n_needed")] == [None] * 3


def test_a_point_that_is_not_worth_its_cases_ends_it() -> None:
    dear = decided(100, Goal("value", 1.0), left=200, costs=Costs(per_case=1000.0, per_round=1.0))
    assert dear.code == "stop_stable"
    assert dear.reason.startswith("no batch is worth its cost at 1 EUR a score point: the best costs")
    cheap = decided(100, Goal("value", 1000.0), left=200, costs=Costs(per_case=1.0, per_round=1.0))
    assert cheap.code == "annotate" and cheap.p_suffices is None and "EUR in the end, stopping now to" in cheap.reason
    with pytest.raises(InputError, match="give per_case > 0"):
        Situation(goal=Goal("value", 1.0))


def test_limited_training_turns_a_stop_into_longer_training() -> None:
    stop = decided(0, left=100, training_limited="it is limited.")
    assert (stop.code, stop.stop_blocked) == ("train_pilots", True)
    assert stop.reason.startswith(f"it is limited. {LONGER} (Otherwise this would be a stop: with probability > 0.99")
    more = decided(100, Goal("target", 0.75), left=200, training_limited="it is limited.")
    assert more.code == "annotate" and not more.stop_blocked and more.reason.endswith("But it is limited.")
    assert more.evidence["training_limited"] == "it is limited."


def made(code: str, batch: int = 0, p: float | None = None, curve: str = "a") -> Recommendation:
    return Recommendation(code, "because.", curve, batch=batch, p_suffices=p)


def test_the_document_has_every_part() -> None:
    found = replace(made("annotate", 10, 0.5), promise=Promise(60, 3, Interval(0.7, 0.6, 0.8, 0.9)), evidence={"x": 1})
    document = found.document()
    assert document["promise"] == {"n": 60, "draws": 3, "median": 0.7, "lo": 0.6, "hi": 0.8}
    assert document["goal"] == {"kind": "plateau", "amount": 0.01}
    assert (document["pilots"], document["cost"], document["evidence"]) == (None, None, {"x": 1})
    assert [document[name] for name in ("code", "batch", "p_suffices", "reason", "curve")] == [
        *("annotate", 10, 0.5, "because.", "a"),
    ]
    pilots = decide(posterior(50, now=100), Question(), Situation(draws=4)).document()["pilots"]
    assert pilots == {"sizes": [100], "draws": [4]}
    assert made("annotate").document()["promise"] is None


@pytest.mark.parametrize("code", ORDER)
def test_only_stops_stop(code: str) -> None:
    assert made(code).stops == code.startswith("stop")


@pytest.mark.parametrize(
    ("each", "leading", "words"),
    [
        ([made("stop_plateau", curve="a")], "a", "because."),
        (
            [made("stop_plateau", curve="a"), made("cannot_tell", curve="b"), made("cannot_tell", curve="c")],
            "b",
            "b: because. (2 of 3 curves say cannot tell; the slowest decides.)",
        ),
        (
            [made("annotate", 10, 0.6, "a"), made("annotate", 30, 0.7, "b"), made("stop_budget", curve="c")],
            "b",
            "b: because. (2 of 3 curves say annotate; the slowest decides.) Least likely to have reached its goal by "
            "then is a (0.60).",
        ),
        (
            [made("annotate", 10, 0.6, "a"), made("annotate", 10, 0.5, "b")],
            "b",
            "b: because. (2 of 2 curves say annotate; the slowest decides.)",
        ),
        (
            [made("train_pilots", curve="a"), made("stop_unreachable", 0, 0.2, "b")],
            "a",
            "a: because. (1 of 2 curves say train pilots; the slowest decides.)",
        ),
    ],
)
def test_the_slowest_of_several_leads(
    each: list[Recommendation], leading: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicecast.forecast.recommendation.recommend", lambda forecast, situation: forecast)
    found, all_of_them = recommend_all(each, [Situation()] * len(each))  # type: ignore[arg-type]
    assert (found.curve, found.reason) == (leading, words)
    assert all_of_them == each
