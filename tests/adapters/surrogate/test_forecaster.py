"""Forecasts by the shipped LSTM."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from dicecast.adapters.surrogate.forecaster import lstm_forecast
from dicecast.adapters.surrogate.quantiles import PROBABILITIES
from dicecast.adapters.surrogate.sequences import MOST_SIZES
from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.errors import InputError


def curve(sizes: list[int], draws: int = 3, noise: float = 0.004, seed: int = 0, top: float = 0.92) -> Curve:
    n = np.repeat(sizes, draws).astype(np.int64)
    draw = np.tile(np.arange(draws), len(sizes))
    y = top - 0.4 * (n / sizes[0]) ** -0.6 + noise * np.random.default_rng(seed).standard_normal(len(n))
    return averaged_curve("2d", n, draw, np.clip(y, 0, 1), int(n[-1]), int(n[-1]))


@pytest.mark.parametrize("sizes", [3, 6, MOST_SIZES, 14])
@pytest.mark.parametrize("draws", [1, 5])
def test_quantiles_ascend_at_every_number_of_sizes_and_draws(sizes: int, draws: int) -> None:
    ladder = [int(10 * 1.5**i) for i in range(sizes)]
    found = lstm_forecast(curve(ladder, draws), [ladder[-1], 2 * ladder[-1], 16 * ladder[-1]])
    assert found.quantiles.shape == (3, len(PROBABILITIES))
    assert np.all(np.diff(found.quantiles, axis=1) >= 0)
    assert np.all((found.quantiles >= 0) & (found.quantiles <= 1))
    assert found.sizes_unseen == tuple(ladder[:-MOST_SIZES])


def test_the_same_curve_gives_the_same_numbers() -> None:
    one, other = (lstm_forecast(curve([20, 40, 80, 160]), [320, 640]) for _ in range(2))
    np.testing.assert_array_equal(one.quantiles, other.quantiles)
    assert one.weights_hash == other.weights_hash


def test_only_ratios_of_sizes_matter() -> None:
    small, large = curve([20, 40, 80, 160]), curve([200, 400, 800, 1600])
    np.testing.assert_allclose(lstm_forecast(small, [320]).quantiles, lstm_forecast(large, [3200]).quantiles, atol=1e-6)


def test_sizes_asked_together_or_alone_are_forecast_alike() -> None:
    one = curve([20, 40, 80, 160])
    together = lstm_forecast(one, [160, 320, 640])
    np.testing.assert_allclose(together.quantiles[1], lstm_forecast(one, [320]).quantiles[0], atol=1e-6)


def test_intervals_nest_about_the_median() -> None:
    found = lstm_forecast(curve([20, 40, 80, 160]), [320])
    narrow, wide = found.interval(320, 0.5), found.interval(320, 0.9)
    assert wide.lo < narrow.lo < narrow.median < narrow.hi < wide.hi
    assert narrow.median == wide.median
    assert wide.lo < found.mean(320) < wide.hi


def test_a_rising_curve_is_forecast_to_rise_and_noise_widens() -> None:
    calm, rough = (lstm_forecast(curve([20, 40, 80, 160], noise=noise), [160, 320, 640]) for noise in (0.002, 0.04))
    medians = [calm.interval(n, 0.9).median for n in calm.n]
    assert medians == sorted(medians)
    assert (
        rough.interval(320, 0.9).hi - rough.interval(320, 0.9).lo
        > calm.interval(320, 0.9).hi - calm.interval(320, 0.9).lo
    )


@pytest.mark.parametrize("top", [0.41, 1.0])
def test_scores_near_the_ends_stay_within(top: float) -> None:
    found = lstm_forecast(curve([20, 40, 80], noise=0, top=top), [80, 1280])
    assert np.all((found.quantiles >= 0) & (found.quantiles <= 1))


@pytest.mark.parametrize("n", [159, 16 * 160 + 1])
def test_sizes_it_was_not_trained_for_are_refused(n: int) -> None:
    with pytest.raises(InputError, match=rf"160 to 16 times as many cases \(2560\), asked for {n}"):
        lstm_forecast(curve([20, 40, 80, 160]), [320, n])


def test_too_few_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="at least 3 trained sizes, found 2"):
        lstm_forecast(curve([20, 40]), [80])


def test_a_level_past_the_quantiles_is_refused() -> None:
    with pytest.raises(InputError, match=r"0\.98"):
        lstm_forecast(curve([20, 40, 80]), [80]).interval(80, 0.99)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def none(name: str, *arguments: Any) -> Any:
        return None if name == "torch" else real(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", none)
    with pytest.raises(InputError, match=r"pip install -c constraints.txt -e '.\[nnunet\]'"):
        lstm_forecast(curve([20, 40, 80]), [80])


def test_given_standard_errors_are_heard() -> None:
    one = curve([20, 40, 80, 160], draws=1)
    sure, unsure = (replace(one, se_draws=np.full(4, error)) for error in (0.001, 0.03))
    narrow, wide = (lstm_forecast(given, [320]).interval(320, 0.9) for given in (sure, unsure))
    assert narrow.hi - narrow.lo < wide.hi - wide.lo
