"""Least squares for any family, as in the paper, but with starts from the data and honest flags."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import minimum_filter

from .curve import Curve
from .families import NAMED, Family
from .types import FloatArray

TOLERANCE = 1e-13
"""Relative step and cost tolerance of the optimiser; certified problems need it this tight."""
AT_BOUND = 1e-7
"""Distance from a bound, as a share of the parameter's range, at which a parameter counts as stuck there."""
STARTS = {1: 80, 2: 24}
"""Grid points per decay parameter among which the starts are found, by their number."""


@dataclass(frozen=True)
class LeastSquaresFit:
    """The curve of one family that minimises the squared distance to every observed mean."""

    curve: Curve
    family: Family
    values: FloatArray
    """The family's parameters in the order of `family.names`."""
    covariance: FloatArray
    """Their covariance; rows of parameters at a bound, or unknown, are NaN."""
    residual_sd: float
    """Residual standard deviation, score units; NaN when as many parameters as observations."""
    flags: tuple[str, ...]
    """What to doubt about the fit; empty when nothing."""

    @property
    def status(self) -> str:
        """`ok`, or the flags joined by `, `."""
        return ", ".join(self.flags) or "ok"

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters by name."""
        return dict(zip(self.family.names, map(float, self.values), strict=True))

    @property
    def stderr(self) -> FloatArray:
        """Standard errors of the parameters; NaN where not defined."""
        return _root(np.diag(self.covariance))

    @property
    def amplitude(self) -> float:
        """Amplitude b, score units."""
        return float(self.values[0] - self.values[1] if self.family.at_zero else self.values[1])

    def plateau(self, eps: float) -> tuple[float, float]:
        """Plateau size (cases; may be inf) and the score there."""
        size = float(self.family.plateau_size(self.amplitude, *self.values[2:], eps=eps))
        return size, float(self.score(size)) if np.isfinite(size) else float(self.values[0] - eps)

    def score(self, n: ArrayLike) -> FloatArray:
        """The fitted score at n."""
        return self.family.score(n, self.values[0], self.amplitude, *self.values[2:])

    def score_error(self, n: ArrayLike) -> FloatArray:
        """Standard error of the fitted score at n by the delta method, shape [sizes]; NaN where not defined."""
        n, theta = np.atleast_1d(np.asarray(n, dtype=float)), self.values[2:]
        decay = self.family.decay(n, *theta)
        first = [1 - decay, decay] if self.family.at_zero else [np.ones_like(n), -decay]
        gradient = np.column_stack([*first, -self.amplitude * self.family.decay_jacobian(n, *theta)])
        return _root(np.einsum("ni,ij,nj->n", gradient, self.covariance, gradient))


def least_squares(
    curve: Curve, family: Family = NAMED, *, through_origin: bool = False, start: tuple[float, ...] | None = None
) -> LeastSquaresFit:
    """Fit one family with `0 <= DM <= 1` and a rise that starts at 0 or above, unweighted.

    Inside, the score at the first size where the family is defined (0, or the smallest trained) is `share * DM` with
    `0 <= share <= 1`, so that every bound is a box. For given decay the model is linear: the starts are the best of
    a grid over the decay (variable projection, Golub and Pereyra 1973).

    Args:
        curve: At least as many distinct sizes as free parameters.
        family: By default the named model.
        through_origin: Fix D0 at 0.
        start: The family's parameters to start from instead of the starts from the data.

    Raises:
        ValueError: Fewer sizes than free parameters.
    """
    needed = len(family.names) - through_origin
    if len(curve.sizes) < needed:
        raise ValueError(f"least squares needs at least {needed} sizes, found {len(curve.sizes)}")
    model = _Model(curve, family)
    starts = _starts(model, through_origin) if start is None else [model.inner(start)]
    fixed = ["share"] if through_origin else []
    best = min((_minimise(model, one, fixed) for one in starts), key=lambda result: result.chisqr)
    stuck = [name for name, p in best.params.items() if p.vary and _at_bound(p)]
    if stuck and len(stuck) < needed:
        best = _minimise(model, np.array([p.value for p in best.params.values()]), [*fixed, *stuck])
    return _finish(model, best, stuck)


@dataclass(frozen=True)
class _Model:
    """The family in inner parameters (DM, share, theta), `share * DM` being the score at the first size."""

    curve: Curve
    family: Family

    @property
    def first(self) -> FloatArray:
        return np.array([0.0 if self.family.at_zero else float(self.curve.sizes[0])])

    @property
    def bounds(self) -> list[tuple[float, float]]:
        return [(0.0, 1.0), (0.0, 1.0), *self.family.bounds(self.curve.sizes)]

    def inner(self, values: tuple[float, ...]) -> FloatArray:
        """Inner parameters of the family's own, moved inside the bounds."""
        dm, second, *theta = values
        amplitude = dm - second if self.family.at_zero else second
        start = dm - amplitude * float(self.family.decay(self.first, *theta)[0])
        low, high = np.array(self.bounds).T
        return np.clip([dm, start / max(dm, 1e-9), *theta], np.r_[1e-9, low[1:]], high)

    def relative(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Decay relative to the first size at the observations, and its derivatives by theta."""
        n = self.curve.n.astype(float)
        start = float(self.family.decay(self.first, *theta)[0])
        ratio = self.family.decay(n, *theta) / start
        slopes = self.family.decay_jacobian(n, *theta) - ratio[:, None] * self.family.decay_jacobian(self.first, *theta)
        return ratio, slopes / start

    def score(self, inner: FloatArray) -> FloatArray:
        ratio, _ = self.relative(inner[2:])
        return np.asarray(inner[0] - inner[0] * (1 - inner[1]) * ratio)

    def jacobian(self, inner: FloatArray) -> FloatArray:
        dm, share = inner[:2]
        ratio, slopes = self.relative(inner[2:])
        return np.column_stack([1 - (1 - share) * ratio, dm * ratio, -dm * (1 - share) * slopes])

    def own(self, inner: FloatArray) -> FloatArray:
        """The family's parameters."""
        dm, share, *theta = inner
        second = share * dm if self.family.at_zero else dm * (1 - share) / self.family.decay(self.first, *theta)[0]
        return np.array([dm, second, *theta])

    def own_jacobian(self, inner: FloatArray) -> FloatArray:
        """Derivatives of the family's parameters by the inner ones."""
        dm, share, *theta = inner
        out = np.eye(len(inner))
        if self.family.at_zero:
            out[1, :2] = share, dm
            return out
        start = float(self.family.decay(self.first, *theta)[0])
        amplitude = dm * (1 - share) / start
        out[1, :2] = (1 - share) / start, -dm / start
        out[1, 2:] = -amplitude * self.family.decay_jacobian(self.first, *theta)[0] / start
        return out


def _starts(model: _Model, through_origin: bool) -> list[FloatArray]:
    """The best local minima over a grid of decays, in inner parameters."""
    bounds = model.family.bounds(model.curve.sizes)
    if not bounds:
        return [_linear(model, np.empty((1, 0)), through_origin)[0][0]]
    axes = [np.geomspace(low * 3, high / 3, STARTS[len(bounds)]) for low, high in bounds]
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    inner, cost = _linear(model, theta.reshape(-1, len(bounds)), through_origin)
    grid = cost.reshape(theta.shape[:-1])
    dips = np.flatnonzero((grid == minimum_filter(grid, size=3, mode="nearest")).ravel())
    return list(inner[dips[np.argsort(cost[dips])][:3]])


def _linear(model: _Model, theta: FloatArray, through_origin: bool) -> tuple[FloatArray, FloatArray]:
    """The best inner parameters for each decay, shape [decays, parameters], and their sums of squares."""
    ratio = np.array([model.relative(one)[0] for one in theta])
    y = model.curve.y
    if through_origin:
        columns = 1 - ratio
        dm = np.clip((columns @ y) / np.maximum((columns**2).sum(axis=1), 1e-300), 1e-6, 1)
        share = np.zeros_like(dm)
    else:
        centred = ratio - ratio.mean(axis=1, keepdims=True)
        drop = -(centred @ y) / np.maximum((centred**2).sum(axis=1), 1e-300)
        dm = np.clip(y.mean() + drop * ratio.mean(axis=1), 1e-6, 1)
        drop = ((dm[:, None] - y) * ratio).sum(axis=1) / np.maximum((ratio**2).sum(axis=1), 1e-300)
        share = 1 - np.clip(drop, 0, dm) / dm
    cost = ((y - dm[:, None] * (1 - (1 - share[:, None]) * ratio)) ** 2).sum(axis=1)
    return np.column_stack([dm, share, theta]), cost


def _minimise(model: _Model, start: FloatArray, fixed: list[str]) -> Any:
    """One lmfit run with the analytic Jacobian over the parameters not named in `fixed`."""
    import lmfit  # it brings scipy.stats and matplotlib: half a second that commands without a fit do not wait for

    params = lmfit.Parameters()
    names = ["DM", "share", *model.family.theta_names]
    for name, value, (low, high) in zip(names, start, model.bounds, strict=True):
        params.add(name, value=min(max(value, low), high), min=low, max=high, vary=name not in fixed)
    free = [i for i, name in enumerate(params) if params[name].vary]

    def inner(p: Any) -> FloatArray:
        return np.array([one.value for one in p.values()])

    minimiser = lmfit.Minimizer(lambda p: model.score(inner(p)) - model.curve.y, params, max_nfev=2000)
    run = partial(minimiser.minimize, method="least_squares", x_scale="jac")
    with np.errstate(divide="ignore", invalid="ignore"):  # lmfit divides by standard errors that may be 0
        return run(jac=lambda p: model.jacobian(inner(p))[:, free], ftol=TOLERANCE, xtol=TOLERANCE, gtol=TOLERANCE)


def _at_bound(param: Any) -> bool:
    width = param.max - param.min
    return bool(min(param.value - param.min, param.max - param.value) <= AT_BOUND * width)


def _finish(model: _Model, result: Any, stuck: list[str]) -> LeastSquaresFit:
    second = model.family.names[1]
    freedom = len(model.curve.y) - len(result.var_names)
    flags = [f"{second if name == 'share' else name} at a bound" for name in stuck]
    if result.params["share"].value > 1 - AT_BOUND:
        flags.append("no rise")
    if not result.success:
        flags.append("not converged")
    if len(model.curve.sizes) < 4:
        flags.append("fewer than 4 sizes")
    if freedom <= 0 or len(model.curve.sizes) <= len(model.family.names):
        flags.append("interpolating")
    inner = np.array([p.value for p in result.params.values()])
    return LeastSquaresFit(
        curve=model.curve,
        family=model.family,
        values=model.own(inner),
        covariance=_covariance(model, inner, result, stuck, freedom),
        residual_sd=float(np.sqrt(result.chisqr / freedom)) if freedom > 0 else float("nan"),
        flags=tuple(flags),
    )


def _root(variance: FloatArray) -> FloatArray:
    """Standard errors; NaN where rounding has made a variance negative."""
    return np.asarray(np.sqrt(np.where(variance >= 0, variance, np.nan)))


def _covariance(model: _Model, inner: FloatArray, result: Any, stuck: list[str], freedom: int) -> FloatArray:
    """Covariance of the family's parameters from the free ones'; unknown where stuck or interpolating."""
    covar, size = getattr(result, "covar", None), len(inner)
    if covar is None or freedom <= 0 or not np.all(np.isfinite(covar)):
        return np.full((size, size), np.nan)
    names = list(result.params)
    free = [names.index(name) for name in result.var_names]
    free_covariance = np.zeros((size, size))
    free_covariance[np.ix_(free, free)] = covar
    chain = model.own_jacobian(inner)
    outer = np.asarray(chain @ free_covariance @ chain.T, dtype=float)
    flat = result.params["share"].value > 1 - AT_BOUND
    lost = {names.index(name) for name in ([*stuck, *model.family.theta_names] if flat else stuck)}
    outer[list(lost), :] = outer[:, list(lost)] = np.nan
    return outer
