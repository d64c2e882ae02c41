"""From round to round: what moves by exactly as much as allowed stands still."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicecast.forecast.stability import RoundSummary, round_stability
from dicecast.forecast.tolerances import Tolerances
from dicecast.forecast.types import Interval, SizeInterval

EPS = 0.25  # a power of two: its sums are exact
STILL = RoundSummary(
    1, 20, Interval(0.5, 0.4, 0.6, 0.9), SizeInterval(64.0, 40.0, 90.0, False, 0.9, 240.0), Interval(0.5, 0.25, 0.75, 0.9)
)


def moved(one: RoundSummary, dm: float = 0.0, gain: float = 0.0, size: float = 0.0) -> RoundSummary:
    median = one.plateau.median
    assert median is not None
    return replace(
        one,
        round=one.round + 1,
        dm=replace(one.dm, median=one.dm.median + dm),
        gain=replace(one.gain, median=one.gain.median + gain),
        plateau=replace(one.plateau, median=median + size),
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("step", "words"),
    [({"dm": 0.25}, "DM moved from 0.500"), ({"gain": 0.25}, "gain moved from 0.500"), ({"size": 16}, "from 64")],
)
def test_the_allowed_movement_is_included(step: dict[str, float], words: str, sign: int) -> None:
    two = Tolerances(rounds=2)
    exact = moved(STILL, **{name: sign * value for name, value in step.items()})
    beyond = moved(STILL, **{name: sign * value * 1.01 for name, value in step.items()})
    assert round_stability([STILL, exact], EPS, two).stable
    held = round_stability([STILL, beyond], EPS, two)
    assert not held.stable
    assert held.reason.startswith("from round 1 to 2 ") and words in held.reason


def test_tolerances_scale_the_allowed_movement() -> None:
    strict = Tolerances(rounds=2, ceiling_move=0.5, gain_move=0.5, size_move=0.125, gain_width=1.0)
    assert not round_stability([STILL, moved(STILL, dm=0.2)], EPS, strict).stable
    assert not round_stability([STILL, moved(STILL, gain=0.2)], EPS, strict).stable
    assert not round_stability([STILL, moved(STILL, size=10)], EPS, strict).stable
    assert not round_stability([STILL, moved(STILL)], EPS, strict).stable  # the gain is known to 0.5, not to 0.25
    assert round_stability([STILL, moved(STILL)], EPS, replace(strict, gain_width=2.0)).stable


def test_only_the_last_rounds_count_and_all_of_them_do() -> None:
    restless = moved(STILL, dm=0.4)
    three = Tolerances(rounds=3)
    assert round_stability([restless, STILL, STILL, STILL], EPS, three).stable
    held = round_stability([restless, STILL, STILL], EPS, three)
    assert not held.stable and "DM moved" in held.reason
    assert round_stability([STILL] * 3, EPS).reason == "DM, plateau size and reachable gain stood still over 3 rounds."
    assert round_stability([STILL] * 2, EPS).reason == "2 round(s) so far; stability needs 3."


def test_the_width_of_the_newest_gain_counts() -> None:
    wide = replace(STILL, gain=Interval(0.5, 0.2, 0.75, 0.9))
    two = Tolerances(rounds=2)
    assert round_stability([wide, STILL], EPS, two).stable
    held = round_stability([STILL, wide], EPS, two)
    assert not held.stable and "known to 0.550 only (narrow is 0.5)" in held.reason


@pytest.mark.parametrize("beyond_first", [True, False])
def test_a_plateau_beyond_the_horizon_is_not_known_to_stand_still(beyond_first: bool) -> None:
    beyond = replace(STILL, plateau=replace(STILL.plateau, median=None))
    pair = [beyond, STILL] if beyond_first else [STILL, beyond]
    held = round_stability(pair, EPS, Tolerances(rounds=2))
    assert not held.stable and "beyond the horizon" in held.reason


def test_a_plateau_size_of_nothing_may_move_by_a_quarter_case() -> None:
    zero = replace(STILL, plateau=replace(STILL.plateau, median=0.0))
    two = Tolerances(rounds=2)
    assert round_stability([zero, moved(zero, size=0.25)], EPS, two).stable
    assert not round_stability([zero, moved(zero, size=0.3)], EPS, two).stable


def test_a_round_is_read_from_its_document() -> None:
    ends = {"median": 0.5, "lo": 0.4, "hi": 0.6}
    document = {
        "sizes": [10, 60, 20],
        "n_annotated": 20,
        "posterior": {"DM": ends},
        "plateau": {"n": {"median": 64.0, "lo": 40.0, "hi": 90.0, "hi_censored": False}},
        "reachable_gain": {"median": 0.5, "lo": 0.25, "hi": 0.75},
    }
    assert RoundSummary.from_document(1, document, 0.9) == STILL
    assert RoundSummary.from_document(1, {**document, "posterior": None}, 0.9) is None
