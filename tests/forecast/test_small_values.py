"""Small values: what they refuse, to the last number, and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from dicecast.forecast.errors import (
    LONGEST,
    LONGEST_WORD,
    DicecastError,
    InputError,
    StorageError,
    WorkError,
    install_words,
    readable,
)
from dicecast.forecast.goal import Goal
from dicecast.forecast.short_repr import short_fields, short_repr
from dicecast.forecast.tolerances import Tolerances

KINDS = {"plateau": "tolerance of the plateau", "target": "target score", "value": "value of a score point"}


@pytest.mark.parametrize(
    ("kind", "amount", "fine"),
    [
        *[("plateau", amount, 0 < amount < 1) for amount in (0.0, 1e-6, 0.99, 1.0, 1.5)],
        *[("target", amount, 0 < amount <= 1) for amount in (0.0, 1e-6, 1.0, 1.01)],
        *[("value", amount, 0 < amount < math.inf) for amount in (0.0, 0.5, 1e9, math.inf)],
    ],
)
def test_goals_keep_to_their_range(kind: str, amount: float, fine: bool) -> None:
    if fine:
        assert Goal(kind, amount).amount == amount
        return
    with pytest.raises(InputError, match=f"found {amount:g}"):
        Goal(kind, amount)
    with pytest.raises(InputError, match=rf"{KINDS[kind]}.*found 1e\+16"):
        Goal(kind, 1e16)


def test_a_goal_in_words() -> None:
    assert Goal().words(400) == "be within 0.01 of what 400 cases give"
    assert Goal("target", 0.85).words(400) == "reach 0.85"
    assert Goal("value", 20.0).words(400) == "have what pays at 20 a score point"
    with pytest.raises(InputError, match="unknown goal 'best': there is plateau, target and value"):
        Goal("best")


@pytest.mark.parametrize("kind", ["plateau", "target", "value"])
def test_a_goal_read_from_a_file_is_the_same_goal(kind: str) -> None:
    read = "".join(list(kind))  # the same letters, another object
    assert Goal(read, 0.5) == Goal(kind, 0.5)
    assert Goal(read, 0.5).words(400) == Goal(kind, 0.5).words(400)
    if kind != "value":
        with pytest.raises(InputError, match=r"found 1\.5"):
            Goal(read, 1.5)


@pytest.mark.parametrize("name", ["ceiling_move", "gain_move", "size_move", "gain_width"])
def test_tolerances_are_above_nothing_and_finite(name: str) -> None:
    least = Tolerances(**{name: 1e-9})  # type: ignore[arg-type]
    assert getattr(least, name) == 1e-9
    for bad in (0, -1, math.inf):
        with pytest.raises(InputError, match=f"{name} must be > 0 and finite, found {bad:g}"):
            Tolerances(**{name: bad})  # type: ignore[arg-type]


def test_two_rounds_are_the_fewest_that_can_be_compared() -> None:
    assert Tolerances(rounds=2).rounds == 2
    with pytest.raises(InputError, match="at least 2 rounds to compare, found rounds = 1"):
        Tolerances(rounds=1)
    assert Tolerances() == Tolerances(3, 1.0, 1.0, 0.25, 2.0)


@dataclass
class Result:
    scores: np.ndarray
    names: tuple[str, ...]
    n: int = 3


def test_arrays_are_told_by_shape_and_range_and_long_tuples_by_their_ends() -> None:
    found = Result(np.array([[0.5, np.nan], [0.25, 1.0]]), tuple("abcdefghi"))
    assert short_repr(found) == "Result(scores=<array 2 x 2, 0.25 to 1>, names=<9: 'a' to 'i'>, n=3)"
    assert dict(short_fields(found))["n"] == 3


def test_short_tuples_are_written_out_and_arrays_without_numbers_have_no_range() -> None:
    found = Result(np.array([True, False]), tuple("abcdefgh"))
    assert short_repr(found) == f"Result(scores=<array 2>, names={tuple('abcdefgh')!r}, n=3)"
    assert "scores=<array 1>" in short_repr(Result(np.array([np.nan]), ()))
    assert "scores=<array 0>" in short_repr(Result(np.array([]), ()))


def test_exit_codes_tell_wrong_input_from_failed_work() -> None:
    codes = {one: one.exit_code for one in (DicecastError, InputError, StorageError, WorkError)}
    assert codes == {DicecastError: 1, InputError: 2, StorageError: 2, WorkError: 1}
    assert "-e '.[arviz]'" in install_words("arviz")


def test_a_long_word_keeps_its_ends_and_a_short_one_all() -> None:
    word = "a" * 200 + "b" * LONGEST_WORD + "c" * 50
    assert readable(f"found {word}. Correct it") == f"found {'a' * 200}...{'c' * 49}. Correct it"
    just = "x" * (LONGEST_WORD - 1)
    assert readable(f"found {just} here") == f"found {just} here"
    assert readable("x" * LONGEST_WORD) == "x" * 200 + "..." + "x" * 50


def test_a_long_message_keeps_its_ends() -> None:
    fine, long = ("ab " * LONGEST)[:LONGEST], "ab " * LONGEST
    assert readable(fine) == fine
    assert readable(long) == f"{long[: LONGEST - 1000]} ... {long[-900:]}"
    assert len(readable(fine + "c")) < LONGEST
