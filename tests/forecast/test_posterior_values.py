"""A posterior of four draws, whose every number can be worked out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.curve import averaged_curve
from dicecast.forecast.diagnostics import importance
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.forecast import Question, gains, plateau_of, score_at, size_for_target, with_noise
from dicecast.forecast.posterior import Chain, Posterior
from dicecast.forecast.promises import promise_at

EXPONENTIAL, POWER = FAMILIES["exponential"], FAMILIES["power-law"]
K = 0.05


def posterior(noise: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Posterior:
    n = np.array([5, 10, 20])
    curve = averaged_curve("arm", n, np.zeros(3, dtype=np.int64), np.array([0.5, 0.6, 0.7]), 30, 30)
    return Posterior(
        curve=curve,
        model="average",
        families=(EXPONENTIAL, POWER),
        pick=np.array([0, 1, 0, 0]),
        dm=np.array([0.8, 0.9, 0.7, 0.85]),
        amplitude=np.array([0.4, 0.5, 0.005, 0.2]),
        theta=np.array([[K, np.nan], [0.5, np.nan], [K, np.nan], [2 * K, np.nan]]),
        noise=np.tile(noise, (4, 1)),
        nested=np.ones(4, dtype=bool),
        noise_source="draws",
        diagnostics=importance(1e9),
        seed=3,
        prior="none",
    )


def alone() -> Posterior:
    """The draws of the exponential."""
    found = posterior()
    who = np.array([0, 2, 3])
    names = ("pick", "dm", "amplitude", "theta", "noise", "nested")
    return replace(found, families=(EXPONENTIAL,), **{name: getattr(found, name)[who] for name in names})


def test_each_draw_is_of_its_own_family() -> None:
    found = posterior().scores([10, 40])
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found[:, 0], 0.8 - 0.4 * np.exp(-K * np.array([10, 40])))
    np.testing.assert_allclose(found[:, 1], 0.9 - 0.5 * np.array([10, 40]) ** -0.5)
    np.testing.assert_allclose(posterior().scores(10), found[0])
    np.testing.assert_allclose(posterior().weights, [0.75, 0.25])


def test_sizes_are_those_of_the_draws() -> None:
    sizes = posterior().plateau_sizes(0.01)
    np.testing.assert_allclose(sizes, [np.log(40) / K, 50.0**2, 0, np.log(20) / (2 * K)])
    needed = posterior().sizes_for(0.75)
    np.testing.assert_allclose(needed, [np.log(0.4 / 0.05) / K, (0.5 / 0.15) ** 2, np.inf, np.log(2) / (2 * K)])
    each = posterior().sizes_for(np.array([0.75, 0.89, 0.1, 0.85]))
    np.testing.assert_allclose(each, [np.log(8) / K, 50.0**2, 0, np.inf])


def test_parameters_belong_to_one_family() -> None:
    found = alone().parameters()
    assert list(found) == ["DM", "D0", "k"]
    np.testing.assert_allclose(found["D0"], [0.4, 0.695, 0.65])
    np.testing.assert_allclose(found["k"], [K, K, 2 * K])
    with pytest.raises(ValueError, match="averages several"):
        posterior().parameters()
    power = replace(alone(), families=(POWER,))
    assert list(power.parameters()) == ["DM", "b", *POWER.theta_names]
    np.testing.assert_allclose(power.parameters()["b"], [0.4, 0.005, 0.2])


def test_noise_is_told_by_its_middle_and_by_its_mean_square() -> None:
    found = replace(posterior(), noise=np.array([[1.0, 2, 0], [1, 2, 0], [3, 2, 4], [5, 2, 4]]))
    assert found.noise_median == pytest.approx((2, 2, 2))
    assert found.noise_rms == pytest.approx((3, 2, np.sqrt(8)))


def test_the_first_draws_come_without_chains() -> None:
    chain = Chain(np.zeros((2, 2, 3)), np.zeros((2, 2)), 1, 0)
    found = replace(posterior(), chain=chain).first(2)
    assert found.chain is None
    assert (len(found.dm), len(found.nested), found.noise.shape, found.theta.shape) == (2, 2, (2, 3), (2, 2))
    assert found.pick.tolist() == [0, 1]


def test_results_are_printed_without_their_arrays() -> None:
    chain = Chain(np.zeros((2, 2, 3)), np.zeros((2, 2)), 1, 7)
    assert (
        repr(chain) == "Chain(draws=<array 2 x 2 x 3, 0 to 0>, log_prob=<array 2 x 2, 0 to 0>, ensembles=1, burn_in=7)"
    )
    assert dict(chain.__rich_repr__())["burn_in"] == 7
    assert "dm=<array 4, 0.7 to 0.9>" in repr(posterior())
    assert dict(posterior().__rich_repr__())["seed"] == 3


def test_a_plateau_is_told_by_its_draws() -> None:
    found = plateau_of(posterior(), Question(level=0.5))
    sizes = sorted(posterior().plateau_sizes(0.01))  # 0, 30.0, 73.8, 2500
    assert found.p_reached == 0.5 and sizes[1] == pytest.approx(29.957, abs=1e-3)
    assert found.p_beyond_horizon == 0.25
    more = replace(posterior(), curve=replace(posterior().curve, n_annotated=75, pool=(75,)))
    assert plateau_of(more, Question()).p_reached == 0.75
    assert found.size.horizon == 80
    assert found.score.median == pytest.approx(0.815)  # DM - 0.01, as a power law has no score at 0
    assert plateau_of(alone(), Question()).score.lo == pytest.approx(0.7045)  # between 0.695 and 0.79
    flat = replace(alone(), amplitude=np.zeros(3))
    assert plateau_of(flat, Question()).score.median == 0.8  # never below the score at 0


def test_gains_are_to_what_is_asked_for() -> None:
    reach, double = gains(posterior(), Question())
    assert (reach.n_from, reach.n_to, double.n_to) == (30, 80, 60)
    rise = posterior().scores(80) - posterior().scores(30)
    assert reach.interval.median == pytest.approx(np.median(rise))
    assert reach.p_below_eps == np.mean(rise <= 0.01) == 0.5
    asked = gains(posterior(), Question(reach=200))[0]
    assert (asked.n_to, asked.p_below_eps) == (200, 0.5)
    nothing = gains(posterior((0, 0, 0.1)), Question(reach=30))[0]
    assert (nothing.n_from, nothing.n_to, nothing.interval.lo, nothing.interval.hi) == (30, 30, 0, 0)


def test_a_target_is_out_of_reach_where_the_ceiling_lies_below() -> None:
    found = size_for_target(posterior(), 0.82, 0.9)
    assert (found.target, found.p_unreachable) == (0.82, 0.5)
    assert found.size.hi_censored and found.size.horizon == 80


@pytest.mark.parametrize(
    ("noise", "curve_sd", "run_sd"),
    [
        ((0.03, 0.0, 0.0), 0.0, 0.03),
        ((0.0, 0.2, 0.0), 0.0, 0.02),
        ((0.0, 0.0, 0.03), 0.03, 0.03),
        ((0.03, 0.4, 0.0), 0.0, 0.05),
    ],
)
def test_noise_widens_runs_and_misfit_widens_both(
    noise: tuple[float, float, float], curve_sd: float, run_sd: float
) -> None:
    many = np.full(40_000, 0.5)
    found = replace(posterior(), noise=np.tile(noise, (40_000, 1)))
    expected, runs = with_noise(found, many, 100)
    assert np.std(expected) == pytest.approx(curve_sd, rel=0.02, abs=1e-12)
    assert np.std(runs) == pytest.approx(run_sd, rel=0.02)
    four = with_noise(found, many, 100, 4)[1]
    tau0, tau1, misfit = noise
    assert np.std(four) == pytest.approx(np.sqrt(tau0**2 / 4 + tau1**2 / 100 + misfit**2), rel=0.02)
    shared = with_noise(found, many, 100, 4, 0.0025)[1]
    assert np.std(shared) == pytest.approx(np.sqrt(tau0**2 / 4 + tau1**2 * 0.0025 + misfit**2), rel=0.02)


def test_scores_stay_between_0_and_1_whatever_the_noise() -> None:
    found = score_at(posterior((2.0, 0.0, 2.0)), 81, 0.9)
    assert 0 <= found.expected.lo <= found.expected.hi <= 1
    assert 0 <= found.next_run.lo <= found.next_run.hi <= 1
    assert not found.within_horizon and score_at(posterior(), 80, 0.9).within_horizon
    assert score_at(posterior(), 80, 0.9).mean == pytest.approx(posterior().scores(80).mean())


def test_a_promise_shares_the_pool_there_will_be() -> None:
    found = promise_at(posterior(), 60, 3, 0.5)
    assert (found.n, found.draws, found.interval.level) == (60, 3, 0.5)
    assert found.interval.median == pytest.approx(np.median(posterior().scores(60)))
    assert list(found.document().values())[:2] == [60, 3]
