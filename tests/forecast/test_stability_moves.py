"""From round to round: what moves by exactly as much as allowed stands still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast import stability
from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.forecast import Question
from dicecast.forecast.stability import Refit, RoundSummary, drop_largest, round_stability
from dicecast.forecast.tolerances import Tolerances
from dicecast.forecast.types import Interval, SizeInterval

EPS = 0.25  # a power of two: its sums are exact
SIZE = SizeInterval(64.0, 40.0, 90.0, False, 0.9, 240.0)
STILL = RoundSummary(1, 20, Interval(0.5, 0.4, 0.6, 0.9), SIZE, Interval(0.5, 0.25, 0.75, 0.9))


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


@pytest.mark.parametrize(
    ("sizes", "ceilings", "stable", "reason"),
    [
        (5, (0.80, 0.81, 0.785), True, "DM moves by 0.015 when the largest 2 sizes are dropped (within 0.02)."),
        (5, (0.80, 0.81, 0.779), False, "DM moves by 0.021 when the largest 2 sizes are dropped (more than 0.02)."),
        (4, (0.80, 0.7801), True, "DM moves by 0.020 when the largest size is dropped (within 0.02)."),
        (3, (0.80,), False, "3 sizes: none can be dropped, at least 4 are needed."),
        (9, (0.80, 0.80, 0.80), True, "DM moves by 0.000 when the largest 2 sizes are dropped (within 0.02)."),
    ],
)
def test_a_ceiling_stands_still_within_two_tolerances(
    sizes: int, ceilings: tuple[float, ...], stable: bool, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refit(curve: object, dropped: int, question: Question) -> Refit:
        return Refit(dropped, (10,), ceilings[dropped], 60.0, STILL.dm, SIZE)

    monkeypatch.setattr(stability, "_refit", refit)
    n = 10 * np.arange(1, sizes + 1)
    curve = averaged_curve("arm", n, 0 * n, np.linspace(0.5, 0.7, sizes), int(n[-1]), int(n[-1]))
    found = drop_largest(curve, Question())
    assert [one.dropped for one in found.refits] == list(range(len(ceilings)))
    assert (found.stable, found.reason) == (stable, reason)
    assert found.moved == pytest.approx(max(abs(one - ceilings[0]) for one in ceilings))
