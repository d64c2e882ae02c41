"""Diagnostics of chains whose autocorrelation time, means and variances are known."""

from __future__ import annotations

import numpy as np
import pytest

from dicecast.forecast.diagnostics import ENOUGH, R_HAT, WEIGHTED, assess, importance, r_hat


def walkers(steps: int, count: int, memory: float, seed: int) -> np.ndarray:
    """Independent autoregressive walkers of variance 1: tau = (1 + memory) / (1 - memory)."""
    rng = np.random.default_rng(seed)
    out = np.empty((steps, count, 1))
    out[0] = rng.standard_normal((count, 1))
    for i in range(1, steps):
        out[i] = memory * out[i - 1] + np.sqrt(1 - memory**2) * rng.standard_normal((count, 1))
    return out


def column(*values: float) -> np.ndarray:
    """One ensemble of one walker and one parameter."""
    return np.array(values).reshape(-1, 1, 1)


def test_r_hat_compares_halves_of_ensembles() -> None:
    assert r_hat([column(0, 2, 0, 2)]) == pytest.approx(np.sqrt(1 / 2))
    # halves (0, 2) and (4, 6): their means vary by 8, within they vary by 2
    assert r_hat([column(0, 2, 4, 6)]) == pytest.approx(np.sqrt(1 / 2 + 8 / 2))
    # halves of means 1, 1, 2, 2: their means vary by 1/3
    assert r_hat([column(0, 2, 0, 2), column(1, 3, 1, 3)]) == pytest.approx(np.sqrt(1 / 2 + 1 / 6))


def test_r_hat_counts_all_walkers_of_a_half_and_takes_the_worst_parameter() -> None:
    still = np.concatenate([column(0, 2, 0, 2), column(0, 2, 0, 2)], axis=1)
    assert r_hat([still]) == pytest.approx(np.sqrt(3 / 4))
    both = np.concatenate([column(0, 2, 0, 2), column(0, 2, 4, 6)], axis=2)
    assert r_hat([both]) == pytest.approx(np.sqrt(9 / 2))


def test_good_chains_pass_with_the_numbers_they_must_have() -> None:
    found, burn_in = assess([walkers(2000, 8, 0.5, seed) for seed in (1, 2)], [0.4, 0.6])
    assert found.ok and found.messages == ()
    assert found.tau is not None and found.rhat is not None
    assert found.tau == pytest.approx(3, rel=0.15)
    assert burn_in == int(np.ceil(5 * found.tau))
    assert found.ess == pytest.approx(2 * 8 * (2000 - burn_in) / found.tau)
    assert 0.99 < found.rhat < R_HAT
    assert found.acceptance == pytest.approx(0.5)


def test_the_worst_ensemble_decides_the_autocorrelation_time() -> None:
    quick, slow = walkers(2000, 8, 0.0, 1), walkers(2000, 8, 0.8, 2)
    found, _ = assess([quick, slow], [0.5, 0.5])
    assert found.tau is not None
    assert found.tau == pytest.approx(9, rel=0.3)


def test_each_shortcoming_is_said_with_its_number_and_its_bar() -> None:
    apart = [walkers(300, 4, 0.9, seed) + seed for seed in (0, 5)]
    found, burn_in = assess(apart, [0.05, 0.07])
    length, size, scale, moves = found.messages
    assert found.tau is not None and found.rhat is not None
    assert f"{300 / found.tau:.0f} autocorrelation times" in length and "needs 50" in length
    assert f"size {found.ess:.0f} (needs {ENOUGH})" in size
    assert f"R-hat {found.rhat:.3f} (needs <= {R_HAT})" in scale and found.rhat > 2
    assert "acceptance 0.06 (needs 0.1)" in moves
    assert not found.ok
    assert 0 < burn_in <= 150


def test_walkers_that_never_moved_are_one_draw_each() -> None:
    found, burn_in = assess([np.ones((40, 4, 2)), np.ones((40, 4, 2))], [0.0, 0.0])
    assert (found.tau, burn_in) == (40.0, 20)
    assert found.ess == pytest.approx(2 * 4 * 20 / 40)
    assert not found.ok


def test_weighted_draws_are_judged_by_their_size_alone() -> None:
    good, short = importance(WEIGHTED), importance(WEIGHTED - 1)
    assert good.ok and (good.tau, good.rhat, good.acceptance) == (None, None, None)
    assert good.ess == 1000
    (message,) = short.messages
    assert "effective sample size 999 of the weighted draws (needs 1000)" in message
    assert importance(60, needed=50).ok
    assert "needs 80" in importance(60, needed=80).messages[0]
