"""Intervals and draws of a predictive distribution given by its quantiles."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from dicecast.adapters.surrogate.quantiles import MOST_LEVEL, PROBABILITIES, draws, interval
from dicecast.forecast.errors import InputError

NORMAL = np.array([0.8 + 0.02 * NormalDist().inv_cdf(p) for p in PROBABILITIES])


@pytest.mark.parametrize("level", [0.3, 0.5, 0.8, 0.9, 0.97, MOST_LEVEL])
def test_intervals_of_a_normal_are_its_own(level: float) -> None:
    found = interval(NORMAL, level)
    z = NormalDist().inv_cdf((1 + level) / 2)
    assert (found.lo, found.median, found.hi) == pytest.approx((0.8 - 0.02 * z, 0.8, 0.8 + 0.02 * z))
    assert found.level == level


@pytest.mark.parametrize("level", [0.0, 0.985, 1.0])
def test_a_level_past_the_quantiles_is_refused(level: float) -> None:
    with pytest.raises(InputError, match=r"0\.98"):
        interval(NORMAL, level)


def test_draws_have_the_quantiles() -> None:
    found = draws(np.stack([NORMAL, NORMAL - 0.1]))
    assert found.shape == (999, 2)
    np.testing.assert_allclose(np.quantile(found[:, 0], PROBABILITIES), NORMAL, atol=1e-3)
    np.testing.assert_allclose(found.mean(axis=0), [0.8, 0.7], atol=1e-3)
