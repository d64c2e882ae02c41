"""Curves before and after there are scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.errors import InputError
from dicecast.forecast.guess import POINTS, Guess, truths_of
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.quadrature import quadrature

EXACT = Guess(start=20, score=(0.7, 0.7), ceiling=(0.86, 0.86), plateau=(150, 150), run_sd=0.02)


def test_a_curve_goes_through_what_was_guessed() -> None:
    (one,) = EXACT.truths(400, 1, 0)
    assert (one.name, one.start, one.n_max, one.seen) == ("guess 0", 20, 400, ())
    assert len(one.sizes) == POINTS and one.sizes[0] == 1 and one.sizes[-1] == pytest.approx(400)
    rate = np.log(0.16 / 0.01) / 130
    np.testing.assert_allclose(one.scores, np.clip(0.86 - 0.16 * np.exp(-rate * (one.sizes - 20)), 0, 1))
    assert one.score(20) == pytest.approx(0.7, abs=1e-3)
    assert one.score(150) == pytest.approx(0.85, abs=1e-4)
    np.testing.assert_allclose(one.run_sd, 0.02 * np.sqrt(20 / one.sizes))


def test_every_part_of_a_range_is_drawn_and_seeds_tell_them_apart() -> None:
    wide = dataclasses.replace(EXACT, score=(0.5, 0.8), ceiling=(0.85, 0.95))
    starts = np.array([one.score(20) for one in wide.truths(400, 200, 1)])
    assert 0.5 <= starts.min() < 0.52 and 0.78 < starts.max() <= 0.8
    assert starts.mean() == pytest.approx(0.65, abs=0.02)
    again = [one.score(20) for one in wide.truths(400, 200, 1)]
    assert np.array_equal(starts, again)
    assert not np.array_equal(starts, [one.score(20) for one in wide.truths(400, 200, 2)])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"eps": 0.0}, "eps must lie between 0 and 1 (exclusive), found 0"),
        ({"eps": 1.0}, "eps must lie between 0 and 1 (exclusive), found 1"),
        ({"score": (0.0, 0.7)}, "score must be a range within (0, 1]"),
        ({"score": (0.71, 0.7)}, "the lower end first, found 0.71:0.7"),
        ({"ceiling": (0.9, 1.01)}, "ceiling must be a range within (0, 1], the lower end first, found 0.9:1.01"),
        ({"start": 2}, "at least 3 annotated cases, found 2"),
        ({"plateau": (20, 30)}, "past the 20 cases of the start"),
        ({"plateau": (40, 30)}, "found 40:30"),
        ({"plateau": (40, np.inf)}, "found 40:inf"),
        ({"score": (0.7, 0.85)}, "more than 0.01 below the ceiling, found up to 0.85 and 0.86"),
        ({"run_sd": -0.01}, "must lie in [0, 0.5), found -0.01"),
        ({"run_sd": 0.5}, "must lie in [0, 0.5), found 0.5"),
    ],
)
def test_impossible_guesses_are_refused_with_the_reason(fault: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as said:
        dataclasses.replace(EXACT, **fault)  # type: ignore[arg-type]
    assert words in str(said.value)


@pytest.mark.parametrize(
    "fine",
    [{"start": 3}, {"ceiling": (1.0, 1.0)}, {"run_sd": 0.0}, {"plateau": (20.5, 20.5)}, {"score": (0.7, 0.849)}],
)
def test_what_is_just_possible_is_accepted(fine: dict[str, object]) -> None:
    assert dataclasses.replace(EXACT, **fine).eps == 0.01  # type: ignore[arg-type]


@pytest.mark.parametrize("n_max", [19, 20])
def test_there_must_be_cases_left_to_annotate(n_max: int) -> None:
    with pytest.raises(InputError, match=f"more than the 20 at the start: {n_max}"):
        EXACT.truths(n_max, 1, 0)
    assert EXACT.truths(21, 1, 0)[0].n_max == 21


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    n, draw = np.repeat([10, 20, 40], 2), np.tile([0, 1], 3)
    y = np.array([0.5, 0.52, 0.6, 0.61, 0.66, 0.67])
    return quadrature(averaged_curve("arm", n, draw, y, 60, 60), 1, draws=300)


def test_curves_of_a_posterior_are_its_draws(posterior: Posterior) -> None:
    found = truths_of(posterior, 500, 50, 3)
    assert [one.name for one in found[:2]] == ["draw 0", "draw 1"]
    assert all((one.start, one.n_max) == (60, 500) for one in found)
    assert found[0].seen == ((10, (0.5, 0.52)), (20, (0.6, 0.61)), (40, (0.66, 0.67)))
    scores = posterior.scores(found[0].sizes)
    for one in found:
        who = int(np.argmin(np.abs(scores - one.scores[:, None]).sum(axis=0)))
        np.testing.assert_allclose(one.scores, np.clip(scores[:, who], 0, 1), atol=1e-9)
        tau0, tau1, _ = posterior.noise[who]
        np.testing.assert_allclose(one.run_sd, np.sqrt(tau0**2 + tau1**2 / one.sizes))
    assert found[0].sizes[0] == 10 and found[0].sizes[-1] == pytest.approx(500)
    assert len({one.scores[0] for one in found}) == 50  # without repeats while there are enough


def test_more_curves_than_draws_repeat_some(posterior: Posterior) -> None:
    found = truths_of(posterior, 500, 400, 3)
    assert len(found) == 400
    assert len({one.scores[0] for one in found}) < 400
    assert len({one.scores[0] for one in truths_of(posterior, 500, 300, 3)}) == 300  # as many as there are
    with pytest.raises(InputError, match="more than the 60"):
        truths_of(posterior, 60, 1, 0)
