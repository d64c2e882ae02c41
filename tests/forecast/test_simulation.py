"""Campaigns on paper: truths, rules of the game, policies, guesses."""

import dataclasses

import numpy as np
import pytest

from dicecast.forecast import policies
from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.errors import InputError
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.goal import Goal
from dicecast.forecast.guess import Guess, truths_of
from dicecast.forecast.pilots import Design, design_pilots, expected_left, next_pilots
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.simulation import Action, State, Terms, Truth, extra_sizes, play
from dicecast.forecast.summary import Summary, needed_cases

GUESS = Guess(start=20, score=(0.7, 0.72), ceiling=(0.85, 0.87), plateau=(150, 200), run_sd=0.008)


def truth(seed: int = 0) -> Truth:
    return GUESS.truths(400, 1, seed)[0]


def test_a_guess_is_what_it_says() -> None:
    for one in GUESS.truths(400, 20, 3):
        assert 0.7 <= one.score(20) <= 0.72
        needed = one.needed(Goal("target", float(one.score(400)) - 0.01))
        assert needed is not None
        assert 130 <= needed <= 200  # at 400 cases the ceiling is all but reached
        assert np.all(np.diff(one.scores) >= 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": 2},
        {"score": (0.8, 0.7)},
        {"score": (0.8, 0.849)},
        {"ceiling": (0.9, 1.1)},
        {"plateau": (10, 50)},
        {"run_sd": -1.0},
    ],
)
def test_an_impossible_guess_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        dataclasses.replace(GUESS, **wrong)  # type: ignore[arg-type]


def test_the_needed_cases_are_the_smallest_that_meet_the_goal() -> None:
    one = truth()
    needed = one.needed(Goal())
    assert needed is not None
    end = one.score(one.n_max)
    assert end - one.score(needed) <= 0.01 < end - one.score(needed - 1)
    assert one.needed(Goal("target", 0.99)) is None
    value = one.needed(Goal("value", 20.0), per_case=1.0)
    assert value is not None
    assert value > 20
    before, at, after = (2000 * one.score(n) - n for n in (value - 1, value, value + 1))
    assert at >= before
    assert at >= after


def test_growth_budget_and_rounds_bind_every_policy() -> None:
    def greedy(state: State) -> Action:
        return Action(10**9)

    terms = Terms(per_case=2.0, per_round=10.0, budget=150.0, rounds=3)
    played = play(truth(), greedy, terms, 0)
    assert played.collected == 20 + 60 + 5  # fourfold at 130, then what 20 still pays for
    assert played.cost == 150
    assert played.rounds == 2
    free = play(truth(), greedy, Terms(rounds=2), 0)
    assert (free.collected, free.rounds) == (320, 2)
    assert play(truth(), lambda state: Action(state.now), Terms(), 0).rounds == 0


def test_the_same_seed_gives_the_same_campaign() -> None:
    one, again = (play(truth(), policies.recommended(), Terms(), 5) for _ in range(2))
    assert (one.collected, one.outcomes) == (again.collected, again.outcomes)


def test_pilots_are_trained_without_annotating() -> None:
    seen = []

    def first_pilots(state: State) -> Action:
        seen.append(dict(zip(state.curve.sizes.tolist(), state.curve.draws.tolist(), strict=True)))
        return Action(state.now, Design((14,), (2,), 1.0)) if len(seen) == 1 else Action(state.now)

    played = play(truth(), first_pilots, Terms(), 0)
    assert (played.collected, played.rounds) == (20, 1)
    assert seen[1] == {**seen[0], 14: seen[0].get(14, 0) + 2}


@pytest.mark.parametrize(("new", "count"), [(80, 2), (30, 2), (22, 2)])
def test_beside_the_new_size_the_widest_gaps_are_trained(new: int, count: int) -> None:
    found = extra_sizes([10, 14, 20], new)
    assert len(found) <= count
    assert all(10 < n < new for n in found)
    assert not set(found) & {10, 14, 20, new}


def test_ours_meets_the_goal_for_less_than_everything() -> None:
    ours = [play(one, policies.recommended(), Terms(), i) for i, one in enumerate(GUESS.truths(800, 12, 1))]
    summary = Summary("dicecast", Terms(), tuple(ours))
    assert summary.success is not None
    assert summary.success >= 0.75
    assert summary.over("collected").median < 600
    assert all(len(one.outcomes) == one.rounds for one in ours)
    needed = needed_cases(ours, Terms())
    assert needed is not None
    assert summary.document()["p_success"] == summary.success


def test_simple_rules_do_what_their_names_say() -> None:
    one = truth()
    assert play(one, policies.fixed(0.5), Terms(), 0).collected == 200
    assert play(one, policies.fixed(1.0), Terms(), 0).collected == 400
    assert play(one, policies.growing(0.25), Terms(rounds=2), 0).collected == 32
    inverted = play(one, policies.inverted(FAMILIES["exponential"], margin=2, least_rounds=3), Terms(), 0)
    assert inverted.rounds >= 3


def test_a_zero_budget_stops_every_policy() -> None:
    terms = Terms(per_case=1.0, per_round=0.0, budget=0.0)
    for policy in (policies.recommended(), policies.fixed(1.0), policies.growing(0.25)):
        assert play(truth(), policy, terms, 0).collected == 20


def test_a_target_far_above_everything_is_called_unreachable() -> None:
    ends = [play(one, policies.recommended(), Terms(Goal("target", 0.97)), 0).end for one in GUESS.truths(400, 5, 2)]
    assert ends.count("stop_unreachable") >= 4


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"draws": 0}, {"growth": 1.0}])
def test_impossible_terms_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Terms(**wrong)  # type: ignore[arg-type]


def observed(sizes: tuple[int, ...] = (10, 20, 40, 80)) -> averaged_curve:  # type: ignore[valid-type]
    rng = np.random.default_rng(1)
    n = np.repeat(sizes, 3)
    y = 0.85 - 0.4 * np.exp(-0.02 * n) + 0.006 * rng.standard_normal(len(n))
    return averaged_curve("seen", n, np.tile(np.arange(3), len(sizes)), y, sizes[-1], 10**9)


def test_truths_of_a_posterior_start_where_the_study_stands() -> None:
    found = truths_of(quadrature(observed(), draws=500), 300, 10, 0)
    assert {one.start for one in found} == {80}
    assert np.mean([one.score(80) for one in found]) == pytest.approx(0.77, abs=0.02)
    with pytest.raises(InputError, match="more than the 80"):
        truths_of(quadrature(observed(), draws=500), 80, 10, 0)


def test_more_pilots_leave_less_doubt() -> None:
    posterior = quadrature(observed(), draws=1000)
    few, more = (expected_left(posterior, 320, [80], [draws]) for draws in (1, 6))
    assert 0 < more < few <= 1
    assert next_pilots(posterior, 320, 3).left <= expected_left(posterior, 320, [10], [3]) + 1e-9


@pytest.mark.parametrize(("pool", "runs"), [(12, 6), (40, 15), (160, 30)])
def test_a_design_keeps_to_its_runs_and_its_pool(pool: int, runs: int) -> None:
    found = design_pilots(pool, runs)
    assert found.runs <= runs
    assert found.sizes[-1] == pool
    assert found.sizes[0] >= pool // 16
    assert min(found.draws) >= 2
    assert found.left < 1
    assert found == design_pilots(pool, runs)
    assert design_pilots(pool, 4 * runs).left <= found.left


@pytest.mark.parametrize(("pool", "runs", "message"), [(40, 5, "6 pilot runs"), (3, 15, "4 annotated cases")])
def test_too_few_runs_or_cases_for_a_design(pool: int, runs: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        design_pilots(pool, runs)
