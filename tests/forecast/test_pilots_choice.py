"""Which pilots a design may choose from, and what it may know of them."""

from __future__ import annotations

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.pilots import Design, _ladders, _shares, expected_left, next_pilots
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.quadrature import quadrature


def test_sizes_are_steps_of_a_ladder_that_ends_at_the_pool() -> None:
    found = _ladders(16)
    assert {size for one in found for size in one} == {4, 6, 8, 11, 16}
    assert all(one[-1] == 16 and list(one) == sorted(one) for one in found)
    assert sorted({len(one) for one in found}) == [3, 4, 5]
    assert len(found) == 6 + 4 + 1 == len(set(found))


def test_every_choice_of_sizes_is_there_also_of_an_odd_number() -> None:
    assert _ladders(6) == [(2, 3, 6), (2, 4, 6), (3, 4, 6), (2, 3, 4, 6)]


@pytest.mark.parametrize(("pool", "least"), [(4, 2), (8, 2), (12, 3), (40, 5), (64, 4), (160, 10), (800, 50)])
def test_the_smallest_size_is_a_sixteenth_but_four_where_there_are_enough(pool: int, least: int) -> None:
    found = _ladders(pool)
    assert min(one[0] for one in found) == least
    assert max(map(len, found)) <= 7 and min(map(len, found)) == 3


@pytest.mark.parametrize(
    ("sizes", "runs", "found"),
    [
        (3, 6, [(2, 2, 2)]),
        (3, 5, []),
        (3, 9, [(2, 2, 2), (3, 3, 3)]),
        (3, 10, [(2, 2, 2), (3, 3, 3), (4, 4, 2)]),
        (5, 20, [(2,) * 5, (3,) * 5, (4,) * 5, (5, 5, 5, 2, 2)]),
        (4, 12, [(2, 2, 2, 2), (3, 3, 3, 3), (4, 4, 2, 2)]),
    ],
)
def test_runs_are_shared_evenly_or_with_more_at_the_smaller_half(
    sizes: int, runs: int, found: list[tuple[int, ...]]
) -> None:
    assert _shares(sizes, runs) == found


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    n = np.repeat([10, 20, 40, 80], 2)
    y = 0.85 - 0.4 * np.exp(-0.02 * n) + np.tile([-0.005, 0.005], 4)
    return quadrature(averaged_curve("arm", n, np.tile([0, 1], 4), y, 120, 120), draws=1000)


def test_what_is_left_follows_the_bayes_linear_rule(posterior: Posterior) -> None:
    sizes, draws, n_max = [40, 80], [2, 3], 320
    scores = posterior.scores([40, 80, 120, 320])
    gain = scores[3] - scores[2]
    tau0, tau1, misfit = posterior.noise_rms
    noise = [tau0**2 / r + tau1**2 * (1 / n + (r - 1) / 120) / r + misfit**2 for n, r in zip(sizes, draws, strict=True)]
    covariance = np.cov(scores[:2]) + np.diag(noise)
    both = np.array([np.cov(one, gain)[0, 1] for one in scores[:2]])
    left = np.var(gain, ddof=1) - both @ np.linalg.solve(covariance, both)
    assert expected_left(posterior, n_max, sizes, draws) == pytest.approx(np.sqrt(left / np.var(gain, ddof=1)))


def test_the_next_pilots_are_the_most_telling_of_those_at_hand_and_between(posterior: Posterior) -> None:
    found = next_pilots(posterior, 320, 3)
    choices = [10, 14, 20, 28, 40, 57, 80, 120]  # trained, between, and as far as the pool goes
    left = {n: expected_left(posterior, 320, [n], [3]) for n in choices}
    best = min(choices, key=lambda n: (round(left[n], 3), n))
    assert found == Design((best,), (3,), left[best])
    assert Design((10, 20), (3, 2), 0.5).runs == 5
