"""What the page shows of a curve at any number of cases, and the chart it is shown in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...forecast.forecast import Forecast, gain_draws, with_noise
from ...forecast.outlook import misfit_of
from ...forecast.types import FloatArray, Interval, probabilities_of

POINTS = 60
"""Numbers of cases that the slider stops at."""
WIDTH, HEIGHT = 720, 400
"""Of the chart, in its own units."""
LEFT, RIGHT, TOP, BOTTOM = 74, 14, 14, 46
"""Room around the plotted area."""
Y_TICKS = 6
ROUND_SHARES = (1, 1.25, 1.5, 2, 3)
"""Times the cases annotated now that one may ask about."""


@dataclass(frozen=True)
class Point:
    """What to expect with a number of cases."""

    n: int
    mid: float
    """Expected score: median, and ends of its interval."""
    lo: float
    hi: float
    run_lo: float
    """Interval of the next run there."""
    run_hi: float
    gain: tuple[float, float, float] | None
    """Median and ends of the gain over the cases annotated now; None up to those."""
    p_small: float | None
    """Probability that the gain is at most the tolerance."""
    p_target: float | None
    """Probability that the mean score reaches the target; None without one."""


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis: from a value to a place in the chart."""

    first: float
    last: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Place of a value, in the chart's units."""
        place = math.log if self.log else float
        share = (place(value) - place(self.first)) / (place(self.last) - place(self.first))
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class Mark:
    """A tick or an observed score."""

    place: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A drawn curve: places in a chart of WIDTH x HEIGHT."""

    x: Axis
    y: Axis
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]
    band: str
    """Points of the interval of the expected score, as SVG writes them; so are the next ones."""
    runs: str
    median: str
    named: str
    """The exponential plateau's posterior median."""
    draws: tuple[tuple[float, float], ...]
    means: tuple[tuple[float, float, str], ...]
    """With what to say of each."""
    now: float
    plateau: tuple[float, float, float, float] | None
    """Lower end, median and upper end of the plateau size, and the score there."""


def points_of(forecast: Forecast, batch: int = 0) -> list[Point]:
    """What to expect from the smallest trained size to the horizon.

    Args:
        forecast: With a posterior.
        batch: Cases to annotate next.
    """
    return _points(forecast, _numbers(forecast, batch))


def point_at(forecast: Forecast, n: int) -> Point:
    """What to expect with a number of cases.

    Args:
        forecast: With a posterior.
        n: >= 1.
    """
    return _points(forecast, [n])[0]


def _points(forecast: Forecast, numbers: Sequence[int]) -> list[Point]:
    assert forecast.expected is not None
    now, *curve = forecast.expected.scores([forecast.curve.n_annotated, *numbers])
    target = forecast.question.target
    reached = None if target is None else np.mean(curve + misfit_of(forecast.expected) >= target, axis=1)
    return [
        _point(forecast, n, at, at - now, None if reached is None else reached[i])
        for i, (n, at) in enumerate(zip(numbers, curve, strict=True))
    ]


def _point(forecast: Forecast, n: int, curve_at: FloatArray, rise: FloatArray, p_target: float | None) -> Point:
    """What to expect, given draws of the curve there and of its rise from the cases annotated now."""
    expected, question, now = forecast.expected, forecast.question, forecast.curve.n_annotated
    assert expected is not None
    score, run = with_noise(expected, curve_at, n)
    lo, mid, hi = np.quantile(score, probabilities_of(question.level)).tolist()
    run_lo, _, run_hi = np.quantile(run, probabilities_of(question.level)).tolist()
    gain, small = None, None
    if n > now:
        found = Interval.of(gain_draws(expected, now, n, rise=rise), question.level)
        gain = _rounded(found.median), _rounded(found.lo), _rounded(found.hi)
        small = _rounded(np.mean(rise <= question.eps))
    return Point(
        n=n,
        mid=_rounded(mid),
        lo=_rounded(lo),
        hi=_rounded(hi),
        run_lo=_rounded(run_lo),
        run_hi=_rounded(run_hi),
        gain=gain,
        p_small=small,
        p_target=None if p_target is None else _rounded(p_target),
    )


def _rounded(value: float | np.floating[Any]) -> float:
    """Digits enough that words made of it round as those of the value itself."""
    return round(float(value), 7) + 0.0


def _numbers(forecast: Forecast, batch: int) -> list[int]:
    """Sizes even in their square root, close together where curves bend; those that are spoken of among them."""
    curve = forecast.curve
    now, first = curve.n_annotated, int(curve.sizes[0])
    last = max(forecast.horizon, now + batch)
    even = np.linspace(math.sqrt(first), math.sqrt(last), POINTS) ** 2
    spoken = [*curve.sizes.tolist(), *(round(share * now) for share in ROUND_SHARES), now + batch, last]
    spoken += [one.n for one in forecast.at]
    if forecast.reachable_gain is not None:
        spoken.append(forecast.reachable_gain.n_to)
    return sorted({n for n in map(round, [*even, *spoken]) if first <= n <= last})


def chart_of(forecast: Forecast, points: Sequence[Point], *, log: bool) -> Chart:
    """Draw a curve with its points."""
    curve, named, plateau = forecast.curve, forecast.posterior, forecast.plateau
    assert named is not None and plateau is not None
    sizes = np.array([point.n for point in points], dtype=float)
    low, high = _span(forecast, points)
    first = float(sizes[0]) / 1.15 if log else 0.0
    x = Axis(first, float(sizes[-1]) * (1.03 if log else 1.0), LEFT, WIDTH - RIGHT, log)
    y = Axis(low, high, HEIGHT - BOTTOM, TOP)
    middle = np.median(named.scores(sizes), axis=1)
    means = [
        (x.at(n), y.at(score), f"{n} cases: mean {curve.metric} {score:.3f} of {count} draw{'s' * int(count != 1)}")
        for n, score, count in zip(curve.sizes, curve.observed, curve.draws, strict=True)
    ]
    size, mark = plateau.size, None
    if size.median is not None and size.median <= x.last and plateau.score.median >= low:
        lo, middle_size, hi = (x.at(max(min(value, x.last), x.first)) for value in (size.lo, size.median, size.hi))
        mark = lo, middle_size, hi, y.at(plateau.score.median)
    return Chart(
        x=x,
        y=y,
        x_ticks=tuple(Mark(x.at(n), f"{n:g}") for n in _size_ticks(x)),
        y_ticks=tuple(Mark(y.at(value), label) for value, label in _score_ticks(low, high)),
        band=_area(x, y, sizes, [point.lo for point in points], [point.hi for point in points]),
        runs=_area(x, y, sizes, [point.run_lo for point in points], [point.run_hi for point in points]),
        median=_line(x, y, sizes, [point.mid for point in points]),
        named=_line(x, y, sizes, middle),
        draws=tuple((x.at(n), y.at(score)) for n, score in zip(curve.n, curve.y, strict=True)),
        means=tuple(means),
        now=x.at(curve.n_annotated),
        plateau=mark,
    )


def _span(forecast: Forecast, points: Sequence[Point]) -> tuple[float, float]:
    """Lowest and highest score in view: the observed ones and the forecast past them; wide bands are cut off."""
    curve = forecast.curve
    past = [point for point in points if point.n >= curve.sizes[-1]] or [points[-1]]
    low = min(float(curve.y.min()), points[0].mid)
    high = max(float(curve.y.max()), *(point.hi for point in past))
    pad = max(0.08 * (high - low), 0.01)
    return max(low - pad, 0.0), min(high + pad, 1.0)


def _size_ticks(axis: Axis) -> list[float]:
    if not axis.log:
        from matplotlib.ticker import MaxNLocator

        ticks = MaxNLocator(7, integer=True).tick_values(axis.first, axis.last)
        return [n for n in ticks if axis.first <= n <= axis.last]
    decades = range(math.floor(math.log10(axis.first)), math.ceil(math.log10(axis.last)) + 1)
    candidates = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    return [n for n in candidates if n >= 1 and axis.first <= n <= axis.last]


def _score_ticks(low: float, high: float) -> list[tuple[float, str]]:
    from matplotlib.ticker import MaxNLocator

    ticks = [float(value) for value in MaxNLocator(Y_TICKS).tick_values(low, high) if low <= value <= high]
    digits = next((count for count in (2, 3, 4) if all(abs(round(one, count) - one) < 1e-9 for one in ticks)), 5)
    return [(value, f"{value:.{digits}f}") for value in ticks]


def _line(x: Axis, y: Axis, sizes: FloatArray, scores: Sequence[float] | FloatArray) -> str:
    return " ".join(f"{x.at(n):g},{y.at(score):g}" for n, score in zip(sizes, scores, strict=True))


def _area(x: Axis, y: Axis, sizes: FloatArray, lo: Sequence[float], hi: Sequence[float]) -> str:
    return f"{_line(x, y, sizes, hi)} {_line(x, y, sizes[::-1], lo[::-1])}"


def explorer_data(points: Sequence[Point]) -> dict[str, list[Any]]:
    """The points by column, for the script of the page."""
    rows = [asdict(point) for point in points]
    return {name: [row[name] for row in rows] for name in rows[0]}
