"""The predictive check on noise and curves made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.checks import predictive_check
from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.posterior import Posterior
from dicecast.tests.forecast.made_arms import arm

N, DRAW = np.repeat([10, 20, 40, 80], 2), np.tile([0, 1], 4)
DRAWS = 2000


def scores(means: list[float]) -> Curve:
    y = np.repeat(means, 2) + np.tile([-0.001, 0.001], 4)
    return averaged_curve("arm", N, DRAW, y, 160, 160)


def posterior(
    means: list[float], tau0: float = 0.0, tau1: float = 0.0, misfit: float = 0.0, nested: bool = True
) -> Posterior:
    """A flat curve at 0.7 with this noise, whatever was observed."""
    flat = arm("arm", [0.7] * DRAWS, [0.0] * DRAWS).expected
    noise = np.tile([max(tau0, 1e-9), tau1, misfit], (DRAWS, 1))
    return replace(flat, curve=scores(means), noise=noise, nested=np.full(DRAWS, nested))


@pytest.mark.parametrize(
    "noise",
    [
        {"tau0": 0.02 * 2**0.5},
        {"tau1": 0.15, "nested": False},
        {"tau1": 0.15, "nested": True},
        {"misfit": 0.02},
    ],
    ids=["training", "cases of a run", "cases of a draw", "misfit"],
)
def test_every_kind_of_noise_explains_scores_that_scatter_as_it_does(noise: dict[str, float]) -> None:
    near, far = [0.712, 0.69, 0.708, 0.694], [0.85, 0.55, 0.85, 0.55]
    assert 0.02 < predictive_check(posterior(near, **noise)).p_misfit < 0.98  # type: ignore[arg-type]
    assert predictive_check(posterior(far, **noise)).p_misfit < 0.001  # type: ignore[arg-type]


def test_noise_in_draws_averages_out() -> None:
    tau0 = 0.02 * 2**0.5  # the means of two draws scatter by 0.02
    observed = [0.72, 0.68, 0.72, 0.68]  # a chi square of 4 with 4 degrees of freedom
    assert predictive_check(posterior(observed, tau0=tau0)).p_misfit == pytest.approx(0.406, abs=0.04)
    observed = [0.74, 0.66, 0.7, 0.7]  # of 8
    assert predictive_check(posterior(observed, tau0=tau0)).p_misfit == pytest.approx(0.092, abs=0.025)


def test_a_dip_is_judged_by_the_noise_and_named_by_its_sizes() -> None:
    falls = [0.70, 0.74, 0.66, 0.70]
    quiet, loud = (predictive_check(posterior(falls, tau0=tau0)) for tau0 in (0.005, 0.1))
    assert quiet.dip == loud.dip == (20, 40)
    assert quiet.p_dip < 0.001 and quiet.ill_behaved and quiet.flagged_dip
    assert loud.p_dip > 0.2 and not loud.ill_behaved and not loud.flagged_dip
    later = predictive_check(posterior([0.74, 0.70, 0.72, 0.60], tau0=0.01))
    assert later.dip == (10, 80)


def test_noise_makes_no_dip_where_the_curve_rises_far_more() -> None:
    rising = arm("arm", [0.8] * DRAWS, [4.0] * DRAWS).expected  # 0.4, 0.6, 0.7, 0.75
    noise = np.tile([0.01, 0.0, 0.0], (DRAWS, 1))
    found = predictive_check(replace(rising, curve=scores([0.4, 0.6, 0.7, 0.69]), noise=noise))
    assert found.dip == (40, 80) and found.p_dip == 0


def test_scores_that_rise_have_no_dip() -> None:
    found = predictive_check(posterior([0.68, 0.69, 0.71, 0.72], tau0=0.01))
    assert (found.dip, found.p_dip) == (None, 1.0)
    assert not found.flagged_dip


def test_the_same_seed_gives_the_same_replicates() -> None:
    made = posterior([0.72, 0.68, 0.72, 0.68], tau0=0.03)
    assert predictive_check(made) == predictive_check(made)
    assert predictive_check(made).p_misfit != predictive_check(replace(made, seed=5)).p_misfit
