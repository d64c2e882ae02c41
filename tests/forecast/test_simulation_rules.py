"""The rules of simulated campaigns, one at a time, on a curve without noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast import policies
from dicecast.forecast.errors import InputError
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.goal import Goal
from dicecast.forecast.pilots import Design
from dicecast.forecast.promises import Promise
from dicecast.forecast.simulation import Action, Played, State, Terms, Truth, extra_sizes, play
from dicecast.forecast.subsets import between_draws
from dicecast.forecast.summary import Summary, needed_cases
from dicecast.forecast.types import Interval

SIZES = np.array([1.0, 10.0, 100.0, 1000.0])
TRUTH = Truth("line", SIZES, np.array([0.2, 0.4, 0.6, 0.8]), np.zeros(4), 20, 400)
"""Rises by 0.2 with every factor of ten, without noise."""


def at(n: float) -> float:
    return float(0.2 + 0.2 * np.log10(n))


def grow_once(to: int, **more: object) -> Played:
    def policy(state: State) -> Action:
        return Action(to if state.now == 20 else state.now, code="asked", **more)  # type: ignore[arg-type]

    return play(TRUTH, policy, Terms(per_case=2.0, per_round=7.0), 0)


def test_a_truth_is_a_line_in_the_logarithm_between_its_sizes() -> None:
    noisy = Truth("line", SIZES, TRUTH.scores, np.array([0.04, 0.03, 0.02, 0.01]), 20, 400)
    assert float(TRUTH.score(40)) == pytest.approx(at(40))
    assert noisy.sd(10**1.5) == pytest.approx(0.025)
    assert TRUTH.rise == pytest.approx(at(400) - at(20))
    assert replace(TRUTH, start=1).rise == pytest.approx(at(400) - at(1))
    assert len(TRUTH.all_scores) == 381
    assert TRUTH.all_scores[0] == pytest.approx(at(20)) and TRUTH.all_scores[-1] == pytest.approx(at(400))


@pytest.mark.parametrize(
    ("goal", "needed"),
    [
        (Goal("plateau", 0.1), 127),  # 400 / sqrt(10) = 126.5
        (Goal("plateau", 0.9), 20),
        (Goal("target", 0.6), 100),
        (Goal("target", 0.3), 20),
        (Goal("target", 0.9), None),
    ],
)
def test_the_needed_cases_follow_from_the_line(goal: Goal, needed: int | None) -> None:
    assert TRUTH.needed(goal) == needed


def test_a_value_is_worth_cases_until_the_slope_no_longer_pays() -> None:
    # 100 * 5 * 0.2 / ln(10) / n = price: n = 43.4 at a price of 1, 86.9 at half of it
    assert TRUTH.needed(Goal("value", 5.0)) == pytest.approx(43, abs=1)
    assert TRUTH.needed(Goal("value", 5.0), 0.5) == pytest.approx(87, abs=1)
    assert TRUTH.needed(Goal("value", 40.0)) == pytest.approx(347, abs=1)
    assert TRUTH.needed(Goal("value", 5.0), 10.0) == 20


def test_a_round_is_paid_with_its_cases() -> None:
    played = grow_once(60)
    assert (played.collected, played.rounds, played.cost, played.end) == (60, 1, 40 * 2.0 + 7.0, "asked")
    assert played.score == pytest.approx(at(60))
    assert played.gap == pytest.approx(at(400) - at(60))
    assert played.met(Goal("target", at(60) - 1e-6)) and not played.met(Goal("target", at(61)))
    assert not played.met(Goal("target", 0.99))


def test_a_round_costs_a_share_of_everything_where_nobody_said() -> None:
    assert Terms(per_case=2.0).of_round(TRUTH) == 0.05 * 2 * 400
    assert Terms(per_case=2.0, per_round=0.0).of_round(TRUTH) == 0


@pytest.mark.parametrize(("wanted", "got"), [(1000, 80), (80, 80), (79, 79), (5, 20)])
def test_growth_is_bounded_and_the_pool_never_shrinks(wanted: int, got: int) -> None:
    assert grow_once(wanted).collected == got


@pytest.mark.parametrize(("budget", "got"), [(6.0, 20), (8.9, 20), (9.0, 21), (107.0, 70), (1e6, 80)])
def test_a_batch_is_cut_to_what_the_budget_pays(budget: float, got: int) -> None:
    def once(state: State) -> Action:
        return Action(80 if state.now == 20 else state.now)

    assert play(TRUTH, once, Terms(per_case=2.0, per_round=7.0, budget=budget), 0).collected == got


def test_a_policy_sees_what_was_spent_and_what_is_left() -> None:
    seen: list[State] = []

    def double(state: State) -> Action:
        seen.append(state)
        return Action(2 * state.now)

    played = play(TRUTH, double, Terms(per_case=2.0, per_round=7.0, rounds=3), 4)
    assert [(one.now, one.rounds_left, one.spent) for one in seen] == [
        (20, 3, 0.0),
        (40, 2, 47.0),
        (80, 1, 134.0),
        (160, 0, 301.0),
    ]
    assert [one.seed for one in seen] == [400, 401, 402, 403]
    assert all((one.n_max, one.of_round) == (400, 7.0) for one in seen)
    assert (played.collected, played.rounds) == (160, 3)
    assert seen[0].curve.sizes.tolist() == [10, 14, 20]
    assert seen[0].curve.draws.tolist() == [3, 3, 3]
    np.testing.assert_allclose(seen[0].curve.observed, [at(10), at(14), at(20)])
    assert between_draws(seen[0].curve.sizes, seen[0].curve.pool).max() < 1e-6  # draws share no cases
    assert seen[0].curve.n_annotated == 20 and seen[1].curve.n_annotated == 40
    assert set(seen[1].curve.sizes) >= {10, 14, 20, 28, 40}
    assert len(seen[1].curve.sizes) == 6  # the new size and two more


def test_scores_seen_before_are_not_trained_again() -> None:
    seen: list[State] = []

    def look(state: State) -> Action:
        seen.append(state)
        return Action(state.now)

    told = Truth("line", SIZES, TRUTH.scores, np.zeros(4), 20, 400, seen=((5, (0.3,)), (20, (0.5, 0.6))))
    played = play(told, look, Terms(), 0)
    assert seen[0].curve.sizes.tolist() == [5, 20]
    assert seen[0].curve.y.tolist() == [0.3, 0.5, 0.6]
    assert seen[0].curve.draw.tolist() == [0, 0, 1]
    assert (played.rounds, played.cost, played.outcomes) == (0, 0.0, ())


def test_pilots_alone_cost_a_round_and_no_case() -> None:
    def first_pilots(state: State) -> Action:
        fresh = 14 in state.curve.sizes and state.curve.draws[list(state.curve.sizes).index(14)] == 3
        return Action(state.now, Design((14, 30), (2, 1), 1.0) if fresh else None, "pilots")

    played = play(TRUTH, first_pilots, Terms(per_case=2.0, per_round=7.0), 0)
    assert (played.collected, played.rounds, played.cost) == (20, 1, 7.0)


def test_a_promise_is_held_against_the_mean_of_its_draws() -> None:
    promise = Promise(60, 2, Interval(0.5, 0.4, 0.6, 0.9))
    (outcome,) = grow_once(60, promise=promise).outcomes
    assert outcome.promise is promise and outcome.n_before == 20
    assert outcome.observed == pytest.approx(at(60))
    assert outcome.held
    assert grow_once(61, promise=promise).outcomes == ()


@pytest.mark.parametrize(
    ("trained", "new", "found"),
    [
        ([10, 14, 20], 80, [32, 50]),  # two between, even in the ratio: 20 * 4^(1/3), 20 * 4^(2/3)
        ([10, 14, 20], 40, [28, 33]),  # one between, then the widest gap, 28 to 40
        ([10, 20], 22, [14, 17]),  # 20 and 22 are all but the same
        ([19, 20], 21, []),
        ([190, 200], 210, []),
    ],
)
def test_beside_a_new_size_gaps_are_filled(trained: list[int], new: int, found: list[int]) -> None:
    assert extra_sizes(trained, new) == found


def test_one_more_size_may_be_all_that_is_asked_for() -> None:
    assert extra_sizes([10, 14, 20], 80, most=1) == [32]
    assert extra_sizes([10, 14, 20], 80, most=0) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rounds": 0}, "rounds must be >= 1 and finite, found 0"),
        ({"draws": 0}, "draws must be >= 1"),
        ({"growth": 1.0}, "growth must be >= 1.01"),
        ({"per_round": -1}, "per_round must be >= 0"),
        ({"budget": -0.5}, "budget must be >= 0"),
        ({"budget": np.inf}, "budget must be >= 0 and finite"),
        ({"per_case": 0}, "per_case must be > 0 and finite, found 0"),
        ({"per_case": np.inf}, "per_case must be > 0"),
    ],
)
def test_terms_that_cannot_be_played_are_refused(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Terms(**wrong)  # type: ignore[arg-type]
    assert Terms(rounds=1, draws=1, growth=1.01, per_round=0, budget=0, per_case=0.01).rounds == 1


def test_least_squares_is_inverted_with_its_margin() -> None:
    """The power law cannot bend like the line; what it says is needed is looked up and multiplied."""
    totals = np.array([20.0, 50.0, 100.0, 400.0])
    scores = np.array([0.70, 0.80, 0.845, 0.85])
    assert policies._needed(totals, scores, Terms()) == 100
    assert policies._needed(totals, scores, Terms(Goal("plateau", 0.004))) == 400
    assert policies._needed(totals, scores, Terms(Goal("target", 0.8))) == 50
    assert policies._needed(totals, scores, Terms(Goal("target", 0.9))) == 400
    assert policies._needed(totals, scores, Terms(Goal("value", 5.0), per_case=1.0)) == 50
    assert policies._needed(totals, scores, Terms(Goal("value", 5.0), per_case=5.0)) == 20
    assert policies._needed(totals, scores, Terms(Goal("value", 1.0), per_case=0.1)) == 50


def exact_state(now: int = 20, rounds_left: int = 6, sizes: int = 4) -> State:
    """Pilots on an exponential plateau of 0.85 that needs 150 cases to come within 0.01 of what 400 give."""
    n = np.unique(np.geomspace(4, 20, sizes).astype(int))
    k = np.log(0.3 / 0.01) / 130
    grid = np.unique([*n, *range(20, 401)]).astype(float)
    truth = Truth("exact", grid, 0.85 - 0.3 * np.exp(-k * (grid - 20)), np.zeros(len(grid)), 20, 400)
    seen: list[State] = []

    def look(state: State) -> Action:
        seen.append(state)
        return Action(state.now)

    told = tuple((int(m), (float(truth.score(m)),)) for m in n)
    play(Truth("exact", grid, truth.scores, truth.run_sd, 20, 400, seen=told), look, Terms(rounds=rounds_left), 0)
    return seen[0]


def test_an_exact_fit_asks_for_what_is_needed_times_the_margin() -> None:
    exponential = FAMILIES["exponential"]
    one = policies.inverted(exponential)(exact_state()).total
    assert one == pytest.approx(150, rel=0.03)
    assert policies.inverted(exponential, margin=2.0)(exact_state()).total == pytest.approx(2 * one, abs=1)
    assert policies.inverted(exponential)(exact_state(sizes=2)).total == 40  # too few sizes for three parameters


def test_first_rounds_grow_by_a_quarter_at_least() -> None:
    small = policies.inverted(FAMILIES["exponential"], margin=0.01, least_rounds=1)
    assert small(exact_state()).total == 25


def test_simple_policies_round_up() -> None:
    state = exact_state()
    assert policies.growing(0.33)(state).total == 27
    assert policies.fixed(0.333)(state).total == 134
    assert policies.fixed(0.01)(state).total == 20
    assert policies.fixed(1.0)(state).code == "fixed"


def test_a_summary_counts_campaigns() -> None:
    played = tuple(grow_once(n) for n in (40, 60, 80))
    terms = Terms(Goal("target", at(60) - 1e-9), budget=500.0, level=0.8)
    summary = Summary("rule", terms, played)
    assert summary.success == pytest.approx(2 / 3)
    assert summary.over("collected").median == 60
    document = summary.document()
    assert (document["policy"], document["budget"]) == ("rule", 500.0)
    assert document["collected"] == {"median": 60, "lo": pytest.approx(44), "hi": pytest.approx(76)}
    assert document["cost"]["median"] == 87
    needed = needed_cases(played, terms)
    assert needed is not None and (needed.median, needed.level) == (60, 0.8)
    assert needed_cases(played, Terms(Goal("target", 0.95))) is None
    assert Summary("rule", Terms(Goal("value", 1.0)), played).success is None
