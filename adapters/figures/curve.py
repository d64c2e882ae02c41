"""The learning curve: what was observed, what is forecast, where it levels off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...forecast.errors import InputError
from ...forecast.forecast import Forecast, with_noise
from ...forecast.types import FloatArray, probabilities_of
from ...forecast.words import level_words
from ..metric_table import metric_words
from .canvas import (
    BAND,
    BLACK,
    BLUE,
    CASES,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    Style,
    axes_or_new,
    legend,
    over_words,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 300


def plot_curve(forecast: Forecast, axes: Axes | None = None, *, ceiling: float | None = None) -> Axes:
    """Draw a curve with what is expected of sizes not trained yet.

    Args:
        forecast: Of at least three sizes.
        axes: Where to draw; None makes a figure.
        ceiling: Mean score between annotators, drawn as a line.

    Returns:
        The axes: annotated cases against the score. The band is of the expected score, the dotted lines are of the next
        single run, both with the probability that the forecast was asked for.

    Raises:
        InputError: The forecast has too few sizes.

    Example:
        axes = plot_curve(forecast_curve(curve, Question(at=(400,))))
        axes.figure.savefig("curve.pdf")
    """
    _require(forecast)
    axes = axes_or_new(axes, 5.0)
    sizes = np.linspace(1, _last(forecast), STEPS)
    hi = _draw_forecast(axes, forecast, sizes)
    if ceiling is not None:
        axes.axhline(ceiling, color=BLACK, linewidth=1, label=f"between annotators ({ceiling:.3f})")
    curve = forecast.curve
    axes.plot(curve.n, curve.y, ".", color=ORANGE, alpha=0.7, label=f"one draw ({len(curve.y)} pilot runs)")
    axes.plot(curve.sizes, curve.observed, "o", color=ORANGE, markeredgecolor=BLACK, label="mean over draws")
    _draw_sizes(axes, forecast, sizes[-1])
    span = max(np.ptp(curve.y), 0.02)
    top = max(curve.y.max(), hi, ceiling or 0.0)
    axes.set_ylim(max(0.0, curve.y.min() - 0.35 * span), min(1.0, top + 0.2 * span))
    axes.set_xlim(0, sizes[-1] * (1.02 if sizes[-1] == forecast.horizon else 1))
    axes.set_xlabel(CASES)
    axes.set_ylabel(f"{metric_words(curve.metric)}, {over_words({curve.n_test})}")
    axes.set_title(title(curve.name), fontsize="medium")
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def _require(forecast: Forecast) -> None:
    if forecast.expected is None or forecast.posterior is None or forecast.plateau is None:
        raise InputError(f"{forecast.curve.name} cannot be drawn: {forecast.verdict.reason}")


def _last(forecast: Forecast) -> int:
    """Up to twice the largest size, and past the plateau, at most the horizon."""
    assert forecast.plateau is not None
    ahead = int(1.3 * (forecast.plateau.size.median or 0))
    now = int(1.05 * forecast.curve.n_annotated)
    return min(forecast.horizon, max(2 * int(forecast.curve.sizes[-1]), ahead, now))


def _draw_forecast(axes: Axes, forecast: Forecast, sizes: FloatArray) -> float:
    """Band, medians and least squares; the upper end of the band at the last size."""
    level = forecast.question.level
    assert forecast.expected is not None and forecast.posterior is not None
    ends = probabilities_of(level)
    lo, middle, hi = np.quantile(forecast.expected.scores(sizes), ends, axis=1)
    axes.fill_between(sizes, lo, hi, label=f"{level_words(level)} interval of the curve", **BAND)
    axes.plot(sizes, middle, color=BLUE, label=f"forecast ({forecast.question.model}), median")
    trained = np.unique(np.linspace(forecast.curve.sizes[0], sizes[-1], STEPS, dtype=np.int64))
    _, runs = with_noise(forecast.expected, forecast.expected.scores(trained), trained)
    below, _, above = np.quantile(runs, ends, axis=1)
    run: Style = {"color": BLUE, "linestyle": ":", "linewidth": 1}
    axes.plot(trained, below, label=f"{level_words(level)} interval of the next run", **run)
    axes.plot(trained, above, **run)
    named = np.median(forecast.posterior.scores(sizes), axis=1)
    axes.plot(sizes, named, color=VERMILION, linestyle="-.", linewidth=1, label="exponential plateau, posterior")
    if forecast.fit is not None:
        least = forecast.fit.score(sizes)
        axes.plot(sizes, least, color=GREEN, linestyle="--", linewidth=1, label="exponential plateau, least squares")
    return float(hi[-1])


def _draw_sizes(axes: Axes, forecast: Forecast, last: float) -> None:
    """What is annotated now, the plateau, and the horizon where it lies in view."""
    now = forecast.curve.n_annotated
    axes.axvline(now, color=GREY, linestyle=":", label=f"annotated now ({now})")
    if last >= forecast.horizon:
        axes.axvline(forecast.horizon, color=GREY, linestyle="--", linewidth=1, label=f"horizon ({forecast.horizon})")
    assert forecast.plateau is not None
    size, score = forecast.plateau.size, forecast.plateau.score.median
    if size.median is None:
        return
    axes.plot([size.lo, size.hi], [score, score], color=PURPLE, linewidth=3, alpha=0.7)
    ends = f"[{size.lo:.0f}, {'> ' if size.hi_censored else ''}{size.hi:.0f}]"
    axes.plot(size.median, score, "D", color=PURPLE, label=f"plateau n* = {size.median:.0f} {ends} cases")
