"""Every family keeps what the others rely on: it falls, inverts, and speaks the language of the anchor."""

import numpy as np
import pytest

from dicecast.forecast.curve import Curve
from dicecast.forecast.families import FAMILIES, Family
from dicecast.forecast.fit import LeastSquaresFit, least_squares

SIZES = np.array([6, 12, 25, 50, 100, 200, 400, 800])
THETA: dict[str, list[tuple[float, ...]]] = {
    "exponential": [(0.001,), (0.012,), (0.2,)],
    "stretched-exponential": [(0.01, 0.35), (0.02, 0.6), (0.004, 1.0), (0.01, 1.8)],
    "power-law": [(0.05,), (0.5,), (2.0,)],
    "hill": [(0.01, 0.6), (0.03, 1.3), (0.005, 2.5)],
    "inverse-log": [()],
}
SHAPES: dict[str, list[float]] = {"stretched-exponential": [0.3, 0.6, 1.0], "hill": [0.5, 2.0, 20.0]}
CASES = [pytest.param(FAMILIES[name], theta, id=f"{name}{theta}") for name, many in THETA.items() for theta in many]
each = pytest.mark.parametrize(("family", "theta"), CASES)


def exact(family: Family, theta: tuple[float, ...], dm: float = 0.85, start: float = 0.3) -> Curve:
    """A curve without noise whose score is `start` at the first size where the family is defined."""
    amplitude = (dm - start) / float(family.decay(0.0 if family.at_zero else float(SIZES[0]), *theta))
    return curve_of(family.score(SIZES, dm, amplitude, *theta))


def curve_of(y: np.ndarray) -> Curve:
    key = ("arm", "all", "dice", "test", "all", "")
    return Curve(*key, SIZES, np.zeros(len(SIZES), dtype=np.int64), y, None, 0, int(SIZES[-1]), (int(SIZES[-1]),))


def test_every_family_is_tried() -> None:
    assert set(THETA) == set(FAMILIES)
    for name, family in FAMILIES.items():
        assert family.name == name
        assert all(len(theta) == len(family.theta_names) for theta in THETA[name])
        assert family.names[:2] == ("DM", "D0" if family.at_zero else "b")


@each
def test_a_decay_falls_towards_zero(family: Family, theta: tuple[float, ...]) -> None:
    u = family.decay(np.geomspace(1, 1e4, 60), *theta)
    assert np.all(u >= 0)
    assert np.all((np.diff(u) < 0) | (u[1:] < 1e-200))
    assert float(family.decay(1e100, *theta)) < 0.01
    if family.at_zero:
        assert float(family.decay(0.0, *theta)) == 1


@each
def test_sizes_invert_the_curve(family: Family, theta: tuple[float, ...]) -> None:
    sizes = np.array([1.0, 7.0, 60.0, 150.0])
    u = family.decay(sizes, *theta)
    seen = u > 1e-12
    np.testing.assert_allclose(family.size_for_decay(u, *theta)[seen], sizes[seen], rtol=1e-6)
    score = family.score(sizes, 0.9, 0.4, *theta)
    told = 0.9 - score > 1e-5
    assert told.any()
    np.testing.assert_allclose(family.size_for_score(score, 0.9, 0.4, *theta)[told], sizes[told], rtol=1e-5)


@each
def test_a_score_above_the_ceiling_is_never_reached(family: Family, theta: tuple[float, ...]) -> None:
    assert family.size_for_score(0.95, 0.9, 0.4, *theta) == np.inf
    assert family.size_for_score(0.9, 0.9, 0.4, *theta) == np.inf
    assert (family.size_for_score(0.45, 0.9, 0.4, *theta) == 0) == family.at_zero


@each
def test_the_plateau_is_within_eps_of_the_ceiling(family: Family, theta: tuple[float, ...]) -> None:
    size = family.plateau_size(0.4, *theta, eps=0.05)
    assert 0.9 - family.score(size, 0.9, 0.4, *theta) == pytest.approx(0.05, rel=1e-6)
    if family.at_zero:
        assert family.plateau_size(0.04, *theta, eps=0.05) == 0


@each
def test_the_slope_is_the_logarithmic_derivative(family: Family, theta: tuple[float, ...]) -> None:
    sizes, step = np.array([2.0, 30.0, 200.0]), 1e-5
    logs = [np.log(family.decay(sizes * np.exp(sign * step), *theta)) for sign in (1, -1)]
    np.testing.assert_allclose(family.slope(sizes, *theta), -(logs[0] - logs[1]) / (2 * step), rtol=1e-5)


@each
def test_the_jacobian_is_the_derivative(family: Family, theta: tuple[float, ...]) -> None:
    sizes, at = np.array([3.0, 30.0, 300.0]), np.array(theta)
    steps = 1e-6 * np.diag(at)
    numeric = [(family.decay(sizes, *(at + s)) - family.decay(sizes, *(at - s))) / (2 * s.sum()) for s in steps]
    expected = np.stack(numeric, axis=1) if numeric else np.empty((3, 0))
    np.testing.assert_allclose(family.decay_jacobian(sizes, *theta), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("anchor", [20.0, 300.0])
def test_theta_has_the_slope_and_the_shape_asked_for(name: str, anchor: float) -> None:
    family = FAMILIES[name]
    for shape in SHAPES.get(name, [0.0]):
        slope = np.array([0.05, 0.4, 3.0])
        theta = family.theta(slope, np.full(3, shape), anchor)
        assert len(theta) == len(family.theta_names)
        if theta:
            np.testing.assert_allclose(family.slope(anchor, *theta), slope, rtol=1e-9)
        if name in SHAPES:
            np.testing.assert_allclose(family.shape(anchor, *theta), shape, rtol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_curve_of_the_prior_is_finite_and_rises(name: str) -> None:
    family = FAMILIES[name]
    slope, shape = np.meshgrid([0.002, 0.1, 4.0, 30.0], SHAPES.get(name, [0.0]))
    theta = [np.asarray(t).ravel()[:, None] for t in family.theta(slope, shape, 100.0)]
    with np.errstate(under="ignore"):
        u = np.atleast_2d(family.decay(np.array([10.0, 50.0, 100.0, 400.0]), *theta))
    assert np.all(np.isfinite(u))
    assert np.all(np.diff(u, axis=1) <= 0)
    assert np.all(u[:, 2] > 0)


@each
def test_least_squares_recovers_exact_data(family: Family, theta: tuple[float, ...]) -> None:
    curve = exact(family, theta)
    fit = least_squares(curve, family)
    np.testing.assert_allclose(fit.score(SIZES), curve.y, atol=1e-7)
    assert fit.values[0] == pytest.approx(0.85, rel=2e-4)
    np.testing.assert_allclose(fit.values[2:], theta, rtol=2e-3)
    assert list(fit.parameters) == list(family.names)
    assert fit.status == "ok"


def moved_scores(fit: LeastSquaresFit, n: np.ndarray, values: np.ndarray) -> np.ndarray:
    amplitude = values[0] - values[1] if fit.family.at_zero else values[1]
    return fit.family.score(n, values[0], amplitude, *values[2:])


@each
def test_the_error_of_the_fitted_score_is_the_delta_method(family: Family, theta: tuple[float, ...]) -> None:
    fit = least_squares(noisy(family, theta, np.random.default_rng(3), sd=1e-4), family)
    assert np.all(np.isfinite(fit.covariance)), fit.status
    n, steps = np.array([10.0, 300.0, 2000.0]), 1e-6 * np.diag(fit.values)
    gradient = np.stack(
        [(moved_scores(fit, n, fit.values + s) - moved_scores(fit, n, fit.values - s)) / (2 * s.sum()) for s in steps],
        axis=1,
    )
    expected = np.sqrt(np.diag(gradient @ fit.covariance @ gradient.T))
    np.testing.assert_allclose(fit.score_error(n), expected, rtol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_error_of_the_fitted_score_matches_the_spread_over_repetitions(name: str) -> None:
    rng, family, theta = np.random.default_rng(5), FAMILIES[name], THETA[name][1 if len(THETA[name]) > 1 else 0]
    n = np.array([10.0, 100.0, 700.0])
    fits = [least_squares(noisy(family, theta, rng), family) for _ in range(60)]
    spread = np.std([fit.score(n) for fit in fits], axis=0)
    claimed = np.sqrt(np.nanmean([fit.score_error(n) ** 2 for fit in fits], axis=0))
    np.testing.assert_allclose(claimed, spread, rtol=0.35)


def noisy(family: Family, theta: tuple[float, ...], rng: np.random.Generator, sd: float = 0.002) -> Curve:
    return curve_of(exact(family, theta).y + sd * rng.standard_normal(len(SIZES)))


def test_a_rate_is_looked_for_from_the_last_size_to_the_first() -> None:
    sizes = np.array([5, 10, 50])
    assert FAMILIES["exponential"].bounds(sizes)[0] == pytest.approx((2e-6, 20))
    assert FAMILIES["stretched-exponential"].bounds(sizes)[0] == pytest.approx((2e-8, 200))
