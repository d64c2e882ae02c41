from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.curve import Curve
from dicecast.forecast.families import EXPONENTIAL, FAMILIES
from dicecast.forecast.fit import LeastSquaresFit, _linear, _Model, least_squares


def curve_of(n: list[int], y: list[float] | np.ndarray) -> Curve:
    order = np.argsort(n, kind="stable")
    sizes = np.array(n, dtype=np.int64)[order]
    draws = np.array([list(sizes[:i]).count(size) for i, size in enumerate(sizes)], dtype=np.int64)
    return Curve(
        *("arm", "all", "dice", "test", "all", ""),
        n=sizes,
        draw=draws,
        y=np.asarray(y, dtype=float)[order],
        n_test=None,
        n_left_out=0,
        n_annotated=max(n),
        pool=(max(n),),
    )


def exponential(n: list[int], dm: float, d0: float, k: float) -> np.ndarray:
    return dm - (dm - d0) * np.exp(-k * np.array(n))


@pytest.mark.parametrize(
    ("dm", "d0", "k"),
    [(0.85, 0.35, 0.012), (0.93, 0.0001, 0.05), (0.7, 0.69, 0.02), (0.999, 0.2, 0.004), (0.3, 0.1, 0.2)],
)
def test_least_squares_recovers_exact_parameters(dm: float, d0: float, k: float) -> None:
    sizes = [5, 10, 20, 40, 80, 160]
    fit = least_squares(curve_of(sizes, exponential(sizes, dm, d0, k)))
    np.testing.assert_allclose(fit.values, [dm, d0, k], rtol=1e-6)
    assert fit.status == "ok"


# Certified values: NIST StRD, nonlinear regression, BoxBOD and Misra1a, b1 (1 - exp(-b2 x)); D0 is 0 here.
BOXBOD = ([1, 2, 3, 5, 7, 10], [109, 149, 149, 191, 213, 224], 250.0)
BOXBOD_CERTIFIED = (2.1380940889e2, 5.4723748542e-1, 1.2354515176e1, 1.0455993237e-1)
MISRA1A_X = [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0]
MISRA1A_Y = [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78]
MISRA1A_CERTIFIED = (2.3894212918e2, 5.5015643181e-4, 2.7070075241e0, 7.2668688436e-6)


def assert_certified(fit: LeastSquaresFit, certified: tuple[float, ...], scale_y: float, scale_x: float) -> None:
    dm, k, dm_error, k_error = certified
    found = [fit.values[0] * scale_y, fit.values[2] * scale_x, fit.stderr[0] * scale_y, fit.stderr[2] * scale_x]
    np.testing.assert_allclose(found, [dm, k, dm_error, k_error], rtol=1e-6)


@pytest.mark.parametrize("start", [None, (1 / 250, 0.0, 1.0), (100 / 250, 0.0, 0.75)])
def test_boxbod_agrees_with_the_certified_values(start: tuple[float, float, float] | None) -> None:
    n, y, scale = BOXBOD
    fit = least_squares(curve_of(n, np.array(y) / scale), through_origin=True, start=start)
    assert_certified(fit, BOXBOD_CERTIFIED, scale, 1.0)


@pytest.mark.parametrize("start", [None, (500 / 1000, 0.0, 1e-5), (250 / 1000, 0.0, 5e-5)])
def test_misra1a_agrees_with_the_certified_values(start: tuple[float, float, float] | None) -> None:
    # sizes are whole cases, so x is scaled by 10; k scales with it
    sizes = [round(10 * x) for x in MISRA1A_X]
    fit = least_squares(curve_of(sizes, np.array(MISRA1A_Y) / 1000), through_origin=True, start=start)
    assert_certified(fit, MISRA1A_CERTIFIED, 1000.0, 10.0)


def test_rescaling_sizes_rescales_the_rate_and_nothing_else() -> None:
    sizes, y = [5, 10, 20, 40, 80], [0.5, 0.62, 0.70, 0.78, 0.80]
    one, ten = least_squares(curve_of(sizes, y)), least_squares(curve_of([10 * n for n in sizes], y))
    np.testing.assert_allclose(ten.values * [1, 1, 10], one.values, rtol=1e-6)
    np.testing.assert_allclose(ten.plateau(0.01)[0], 10 * one.plateau(0.01)[0], rtol=1e-6)


def test_the_order_of_observations_is_irrelevant() -> None:
    sizes, y = [5, 10, 20, 40, 80], [0.5, 0.62, 0.70, 0.78, 0.80]
    one, other = least_squares(curve_of(sizes, y)), least_squares(curve_of(sizes[::-1], y[::-1]))
    assert np.array_equal(one.values, other.values)


def test_standard_errors_match_the_spread_over_repetitions() -> None:
    rng = np.random.default_rng(1)
    sizes = [10, 20, 40, 80, 160, 320] * 3
    truth = exponential(sizes, 0.85, 0.4, 0.015)
    fits = [least_squares(curve_of(sizes, truth + 0.01 * rng.standard_normal(len(sizes)))) for _ in range(200)]
    spread = np.std([fit.values for fit in fits], axis=0)
    claimed = np.median([fit.stderr for fit in fits], axis=0)
    np.testing.assert_allclose(claimed, spread, rtol=0.2)


@pytest.mark.parametrize(
    ("n", "y", "flag"),
    [
        ([5, 10, 20], [0.5, 0.6, 0.65], "interpolating"),
        ([5, 10, 20], [0.5, 0.6, 0.65], "fewer than 4 sizes"),
        ([5, 10, 20, 40], [0.3, 0.5, 0.7, 1.0], "DM at a bound"),
        ([5, 10, 20, 40], [0.8, 0.79, 0.78, 0.77], "no rise"),
        ([50, 100, 200, 400], [0.8, 0.9, 0.9, 0.9], "D0 at a bound"),
    ],
)
def test_a_doubtful_fit_is_flagged(n: list[int], y: list[float], flag: str) -> None:
    assert flag in least_squares(curve_of(n, y)).flags


def test_parameters_that_the_data_do_not_determine_have_no_standard_error() -> None:
    fit = least_squares(curve_of([5, 10, 20, 40], [0.8, 0.8, 0.8, 0.8]))
    assert np.isnan(fit.stderr[1])
    assert np.isnan(fit.stderr[2])
    exact = least_squares(curve_of([5, 10, 20], [0.5, 0.6, 0.65]))
    assert np.all(np.isnan(exact.stderr))


def test_too_few_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 sizes, found 2"):
        least_squares(curve_of([5, 10], [0.5, 0.6]))


def test_the_plateau_size_is_where_the_curve_is_within_eps() -> None:
    size = float(EXPONENTIAL.plateau_size(0.5, 0.012, eps=0.01))
    assert size == pytest.approx(np.log(0.5 / 0.01) / 0.012)
    assert EXPONENTIAL.score(size, 0.85, 0.5, 0.012) == pytest.approx(0.84)
    assert EXPONENTIAL.plateau_size(0.005, 0.012, eps=0.01) == 0


def test_the_plateau_of_a_fit_is_where_its_curve_is_within_eps() -> None:
    sizes = [5, 10, 20, 40, 80, 160]
    size, score = least_squares(curve_of(sizes, exponential(sizes, 0.85, 0.35, 0.012))).plateau(0.01)
    assert (size, score) == pytest.approx((np.log(0.5 / 0.01) / 0.012, 0.84), rel=1e-6)


def test_the_size_for_a_score_inverts_the_curve() -> None:
    size = EXPONENTIAL.size_for_score(0.7, 0.85, 0.5, 0.012)
    assert EXPONENTIAL.score(size, 0.85, 0.5, 0.012) == pytest.approx(0.7)
    assert EXPONENTIAL.size_for_score(0.9, 0.85, 0.5, 0.012) == np.inf
    assert EXPONENTIAL.size_for_score(0.2, 0.85, 0.5, 0.012) == 0


def test_a_plateau_that_no_size_reaches_still_has_a_score() -> None:
    fit = least_squares(curve_of([5, 10, 20, 40], [0.5, 0.6, 0.66, 0.7]), FAMILIES["power-law"])
    size, score = replace(fit, values=np.array([0.9, 0.5, 1e-3])).plateau(0.01)  # 50^1000 cases
    assert size == np.inf and score == pytest.approx(0.89)


def test_the_best_ceiling_and_start_of_the_true_rate_are_the_true_ones() -> None:
    sizes = [5, 10, 20, 40]
    model = _Model(curve_of(sizes, exponential(sizes, 0.85, 0.34, 0.012)), EXPONENTIAL)
    found, cost = _linear(model, np.array([[0.012], [0.5]]), through_origin=False)
    np.testing.assert_allclose(found[0], [0.85, 0.4, 0.012])
    assert cost[0] == pytest.approx(0, abs=1e-20) and cost[1] > 1e-4


def numeric(function: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """Derivatives by central differences, shape [values, parameters]."""
    steps = 1e-6 * np.maximum(np.abs(at), 1e-3) * np.eye(len(at))
    return np.stack([(function(at + s) - function(at - s)) / (2 * s.sum()) for s in steps], axis=-1)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_jacobians_of_a_fit_are_the_derivatives(name: str) -> None:
    theta = {"exponential": [0.012], "stretched-exponential": [0.02, 0.6], "power-law": [0.7], "hill": [0.03, 1.3]}
    model = _Model(curve_of([3, 30, 300, 600], [0.4, 0.5, 0.7, 0.8]), FAMILIES[name])
    at = np.array([0.85, 0.4, *theta.get(name, [])])
    np.testing.assert_allclose(model.jacobian(at), numeric(model.score, at), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(model.own_jacobian(at), numeric(model.own, at), rtol=1e-5, atol=1e-8)


def test_the_residual_sd_counts_what_is_left_of_the_observations() -> None:
    n = [10, 20, 40, 80, 160] * 2
    wave = 0.01 * np.resize([1, -1, 1, 1, -1, -1], 10)
    data = curve_of(sorted(n), exponential(sorted(n), 0.85, 0.4, 0.03) + wave)
    found = least_squares(data)
    left = data.y - found.score(data.n)
    assert found.residual_sd == pytest.approx(np.sqrt((left**2).sum() / (10 - 3)), rel=1e-6)
