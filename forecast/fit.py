"""Least squares for the named model, as in the paper, but with starts from the data and honest flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lmfit
import numpy as np

from . import exponential
from .curve import Curve
from .types import FloatArray

TOLERANCE = 1e-13
"""Relative step and cost tolerance of the optimiser; certified problems need it this tight."""
AT_BOUND = 1e-7
"""Distance from a bound, as a share of the parameter's range, at which a parameter counts as stuck there."""


@dataclass(frozen=True)
class LeastSquaresFit:
    """The exponential plateau that minimises the squared distance to every observed mean."""

    curve: Curve
    dm: float
    """Ceiling DM, score units."""
    d0: float
    """Score at n = 0, D0."""
    k: float
    """Rate, per case."""
    covariance: FloatArray
    """Covariance of (DM, D0, k), shape [3, 3]; rows of parameters at a bound, or unknown, are NaN."""
    residual_sd: float
    """Residual standard deviation, score units; NaN when as many parameters as observations."""
    flags: tuple[str, ...]
    """What to doubt about the fit; empty when nothing."""

    @property
    def status(self) -> str:
        """`ok`, or the flags joined by `, `."""
        return ", ".join(self.flags) or "ok"

    @property
    def stderr(self) -> FloatArray:
        """Standard errors of (DM, D0, k); NaN where not defined."""
        return np.sqrt(np.diag(self.covariance))

    def plateau(self, eps: float) -> tuple[float, float]:
        """Plateau size (cases) and the score there."""
        size = float(exponential.plateau_size(self.dm, self.d0, self.k, eps=eps))
        return size, float(exponential.score(size, self.dm, self.d0, self.k))

    def score(self, n: FloatArray) -> FloatArray:
        """The fitted score at n."""
        return exponential.score(n, self.dm, self.d0, self.k)


def least_squares(
    curve: Curve, *, through_origin: bool = False, start: tuple[float, float, float] | None = None
) -> LeastSquaresFit:
    """Fit `D(n) = DM - (DM - D0) exp(-k n)` with `0 <= D0 <= DM <= 1`, `k > 0`, unweighted.

    Inside, D0 is `share * DM` with `0 <= share <= 1`, so that every bound is a box. For given k the model
    is linear: the starts are the best of a grid over k (variable projection, Golub and Pereyra 1973).

    Args:
        curve: At least 3 distinct sizes (2 with `through_origin`).
        through_origin: Fix D0 at 0.
        start: (DM, D0, k) to start from instead of the starts from the data.

    Raises:
        ValueError: Fewer sizes than free parameters.
    """
    needed = 2 if through_origin else 3
    if len(curve.sizes) < needed:
        raise ValueError(f"least squares needs at least {needed} sizes, found {len(curve.sizes)}")
    fixed = ["share"] if through_origin else []
    starts = [start] if start is not None else _starts(curve, through_origin)
    best = min((_minimise(curve, one, fixed) for one in starts), key=lambda result: result.chisqr)
    stuck = [name for name, p in best.params.items() if p.vary and _at_bound(p)]
    if stuck and len(stuck) < needed:
        best = _minimise(curve, _triple(best.params), [*fixed, *stuck])
    return _finish(curve, best, stuck)


def _rate_bounds(curve: Curve) -> tuple[float, float]:
    """Rates that sizes like these can show at all: from a straight line to a plateau before the first size."""
    return 1e-4 / float(curve.sizes[-1]), 100 / float(curve.sizes[0])


def _starts(curve: Curve, through_origin: bool) -> list[tuple[float, float, float]]:
    low, high = _rate_bounds(curve)
    fits, cost = profile(curve, np.geomspace(low * 100, high / 5, 80), through_origin)
    dips = np.flatnonzero(np.r_[True, cost[1:] <= cost[:-1]] & np.r_[cost[:-1] <= cost[1:], True])
    return [tuple(fits[i]) for i in dips[np.argsort(cost[dips])][:3]]


def profile(curve: Curve, rates: FloatArray, through_origin: bool = False) -> tuple[FloatArray, FloatArray]:
    """The best (DM, D0, k) for each rate, shape [rates, 3], and its sum of squares, shape [rates]."""
    fits = np.array([_linear_fit(curve, rate, through_origin) for rate in rates])
    expected = exponential.score(curve.n[None, :], *fits.T[:, :, None])
    return fits, ((curve.y - expected) ** 2).sum(axis=1)


def _linear_fit(curve: Curve, rate: float, through_origin: bool) -> tuple[float, float, float]:
    """The best (DM, D0) for one rate, moved inside the bounds."""
    columns = exponential.basis(curve.n, [rate])[0][:, : 1 if through_origin else 2]
    dm, d0 = [*np.linalg.lstsq(columns, curve.y, rcond=None)[0], 0.0][:2]
    dm = float(np.clip(dm, 1e-6, 1))
    return dm, float(np.clip(d0, 0, dm)), rate


def _minimise(curve: Curve, start: tuple[float, float, float], fixed: list[str]) -> Any:
    """One lmfit run with the analytic Jacobian over the parameters not named in `fixed`."""
    low, high = _rate_bounds(curve)
    dm, d0, k = start
    params = lmfit.Parameters()
    params.add("DM", value=min(max(dm, 1e-9), 1), min=0, max=1)
    params.add("share", value=min(max(d0 / dm, 0), 1), min=0, max=1)
    params.add("k", value=min(max(k, low), high), min=low, max=high)
    for name in fixed:
        params[name].vary = False
    free = [i for i, name in enumerate(params) if params[name].vary]

    def residual(p: Any) -> FloatArray:
        return exponential.score(curve.n, *_triple(p)) - curve.y

    def derivatives(p: Any) -> FloatArray:
        return (exponential.jacobian(curve.n, *_triple(p)) @ _chain(p))[:, free]

    minimiser = lmfit.Minimizer(residual, params, max_nfev=2000)
    with np.errstate(divide="ignore", invalid="ignore"):  # lmfit divides by standard errors that may be 0
        return minimiser.minimize(
            method="least_squares", jac=derivatives, x_scale="jac", ftol=TOLERANCE, xtol=TOLERANCE, gtol=TOLERANCE
        )


def _triple(params: Any) -> tuple[float, float, float]:
    """(DM, D0, k) of lmfit's (DM, share, k)."""
    return params["DM"].value, params["share"].value * params["DM"].value, params["k"].value


def _chain(params: Any) -> FloatArray:
    """Derivatives of (DM, D0, k) by (DM, share, k), shape [3, 3]."""
    return np.array([[1.0, 0, 0], [params["share"].value, params["DM"].value, 0], [0, 0, 1]])


def _at_bound(param: Any) -> bool:
    width = param.max - param.min
    return bool(min(param.value - param.min, param.max - param.value) <= AT_BOUND * width)


def _finish(curve: Curve, result: Any, stuck: list[str]) -> LeastSquaresFit:
    freedom = len(curve.y) - len(result.var_names)
    flags = [f"{'D0' if name == 'share' else name} at a bound" for name in stuck]
    if result.params["share"].value > 1 - AT_BOUND:
        flags.append("no rise")
    if not result.success:
        flags.append("not converged")
    if len(curve.sizes) < 4:
        flags.append("fewer than 4 sizes")
    if freedom <= 0 or len(curve.sizes) <= 3:
        flags.append("interpolating")
    dm, d0, k = _triple(result.params)
    return LeastSquaresFit(
        curve=curve,
        dm=dm,
        d0=d0,
        k=k,
        covariance=_covariance(result, stuck, freedom),
        residual_sd=float(np.sqrt(result.chisqr / freedom)) if freedom > 0 else float("nan"),
        flags=tuple(flags),
    )


def _covariance(result: Any, stuck: list[str], freedom: int) -> FloatArray:
    """Covariance of (DM, D0, k) from that of the free parameters; unknown where stuck or interpolating."""
    covar = getattr(result, "covar", None)
    if covar is None or freedom <= 0 or not np.all(np.isfinite(covar)):
        return np.full((3, 3), np.nan)
    names = list(result.params)
    free = [names.index(name) for name in result.var_names]
    inner = np.zeros((3, 3))
    inner[np.ix_(free, free)] = covar
    chain = _chain(result.params)
    outer = np.asarray(chain @ inner @ chain.T, dtype=float)
    flat = result.params["share"].value > 1 - AT_BOUND
    lost = [names.index(name) for name in ([*stuck, "k"] if flat else stuck)]
    outer[lost, :] = outer[:, lost] = np.nan
    return outer
