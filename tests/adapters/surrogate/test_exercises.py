"""What the network learns from: simulated and real curves, observed anew each time."""

from __future__ import annotations

import numpy as np
import pytest

from dicecast.adapters.surrogate.exercises import Exercises, joined
from dicecast.adapters.surrogate.observed_curves import RealCurve, cut_from
from dicecast.adapters.surrogate.sequences import FEWEST_SIZES, FURTHEST, MOST_DRAWS, MOST_SIZES
from dicecast.adapters.surrogate.simulated import PER_PATTERN, simulated
from dicecast.forecast.prior import shipped_prior


@pytest.fixture(scope="module")
def made() -> Exercises:
    return simulated(shipped_prior(), 12, np.random.default_rng(0))


@pytest.fixture
def real() -> list[RealCurve]:
    n = np.round(16 * 2 ** (np.arange(30) / 4))
    return [RealCurve(f"s{i}", n, 0.9 - (0.3 + 0.1 * i) * (n / 16) ** -0.5, np.full(30, 0.01)) for i in range(3)]


def check(exercises: Exercises) -> None:
    assert exercises.length.min() >= FEWEST_SIZES and exercises.length.max() <= MOST_SIZES
    for n, truth, noise, length, asked in zip(
        exercises.n, exercises.truth, exercises.noise, exercises.length, exercises.asked, strict=True
    ):
        assert np.all(np.diff(n[:length]) > 0) and np.all(np.isnan(n[length:]))
        assert np.all((truth[:length] >= 0) & (truth[:length] <= 1)) and np.all(noise[:length] >= 0)
        assert np.all((asked >= n[length - 1]) & (asked <= FURTHEST * n[length - 1]))
    assert np.all((exercises.answer >= 0) & (exercises.answer <= 1))


def test_simulated_exercises_are_whole(made: Exercises) -> None:
    assert len(made) == 12 * PER_PATTERN
    check(made)


def test_cut_exercises_are_whole_and_true(real: list[RealCurve]) -> None:
    found = cut_from(real, 300, np.random.default_rng(0))
    assert len(found) == 300
    check(found)
    now = found.asked == found.n[np.arange(300), found.length - 1][:, None]
    last = found.truth[np.arange(300), found.length - 1][:, None]
    assert now.any()
    np.testing.assert_allclose(found.answer[now], np.broadcast_to(last, now.shape)[now])


def test_the_same_seed_gives_the_same_exercises(real: list[RealCurve]) -> None:
    one, other = (cut_from(real, 50, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.truth, other.truth)
    one, other = (simulated(shipped_prior(), 2, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.truth, other.truth)


def test_curves_are_taken_by_source_and_weight() -> None:
    n = np.geomspace(16, 2048, 30)

    def flat(source: str, score: float, weight: float = 1.0) -> RealCurve:
        return RealCurve(source, n, np.full(30, score), np.full(30, 0.01), weight=weight)

    many = [flat("many", 0.5) for _ in range(9)]
    rare = flat("many", 0.9, weight=1e-12)
    found = cut_from([*many, flat("one", 0.7), rare], 1000, np.random.default_rng(0))
    error = np.round(0.01 * (1 - found.truth[:, 0]) / found.noise[:, 0], 6)  # scaling moves both
    assert set(error) == {0.5, 0.3}, "the one of no weight never comes"
    assert np.mean(error == 0.3) == pytest.approx(0.5, abs=0.06), "sources count equally"


def test_nested_noise_has_its_covariance() -> None:
    """Within a draw subset^2 / max(n, n'), between draws subset^2 / pool, seen in the mean of many draws."""
    count, n = 40_000, np.array([10.0, 20.0, 40.0])
    pad = np.full((count, MOST_SIZES - 3), np.nan)
    whole = np.c_[np.broadcast_to(n, (count, 3)), pad]
    flat = Exercises(
        n=whole,
        truth=0 * whole + 0.5,
        noise=0 * whole,
        subset=np.full(count, 0.2),
        pool=np.full(count, 40.0),
        length=np.full(count, 3),
        asked=np.full((count, 4), 80.0),
        answer=np.full((count, 4), 0.5),
    )
    noise = flat._noise(np.arange(count), 3, np.random.default_rng(0))
    assert noise.shape == (count, MOST_DRAWS, 3)
    within = np.cov(noise[:, 0].T)
    np.testing.assert_allclose(within, 0.04 / np.maximum(n[:, None], n[None, :]), rtol=0.05)
    between = np.mean(noise[:, 0] * noise[:, 1], axis=0)
    np.testing.assert_allclose(between, 0.04 / 40, rtol=0.1)


def test_observed_means_are_about_the_truth(made: Exercises) -> None:
    who = np.flatnonzero(made.length == 5)
    who = who[:200] if len(who) else np.flatnonzero(made.length == made.length[0])
    seen = made.observe(who, np.random.default_rng(0))
    sizes = seen.n.shape[1]
    error = seen.score - made.truth[who, :sizes]
    assert np.abs(error.mean()) < 0.01
    assert seen.draws.min() >= 1 and seen.draws.max() <= MOST_DRAWS
    assert np.all(np.diff(seen.draws, axis=1) <= 0)


def test_parts_are_joined_in_order(made: Exercises, real: list[RealCurve]) -> None:
    cut = cut_from(real, 10, np.random.default_rng(0))
    both = joined([cut, made])
    assert len(both) == 10 + len(made)
    np.testing.assert_array_equal(both.length[:10], cut.length)
