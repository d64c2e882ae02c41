"""The posterior of the exponential plateau: every parameter alone and against every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from ...forecast.errors import InputError
from ...forecast.forecast import Forecast
from ...forecast.types import FloatArray, probabilities_of
from ...forecast.words import chance_words, level_words
from .canvas import BLACK, BLUE, GREY, SMALL, WIDTH, axes_grid, label, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS, COARSE = 40, 24
"""Bins of a marginal, and along each side of a pair."""
SIDE = 6.6
"""Height of the figure, inches."""
MARGINS = {"left": 0.12, "right": 0.985, "top": 0.935, "bottom": 0.115, "wspace": 0.16, "hspace": 0.42}
OUTSIDE, MIDDLE, TAIL = 0.005, 0.05, 0.75
"""A panel reaches from one to the other far quantile, but past the middle 90 % no further than this share of its width:
a far tail would squeeze the rest."""
HALF = 0.5


@dataclass(frozen=True)
class _Quantity:
    """One row and column of the corner."""

    name: str
    draws: FloatArray
    """NaN where the pilots cannot tell, shape [draws]."""
    words: str
    """Median and interval."""

    @property
    def told(self) -> FloatArray:
        return self.draws[np.isfinite(self.draws)]

    @property
    def span(self) -> tuple[float, float] | None:
        """From where to where it is drawn; None where there is nothing to see."""
        if len(self.told) < 2:
            return None
        first, lo, hi, last = np.quantile(self.told, [OUTSIDE, MIDDLE, 1 - MIDDLE, 1 - OUTSIDE])
        room = TAIL * (hi - lo)
        return (float(max(first, lo - room)), float(min(last, hi + room))) if hi > lo else None


def plot_posterior(forecast: Forecast, axes: Any = None) -> Any:
    """Draw the posterior of DM, D0, k and n* of the exponential plateau.

    Args:
        forecast: Of at least three sizes.
        axes: 4 x 4 axes; None makes a figure.

    Returns:
        The axes, shape [4, 4]: marginals on the diagonal with median and interval, pairs below it with the smallest
        regions that hold half of the draws and the forecast's level. Plateau sizes past the horizon are left out and
        counted.

    Raises:
        InputError: The forecast has too few sizes, or not 16 axes were given.

    Example:
        plot_posterior(forecast_curve(curve))[0, 0].figure.savefig("posterior.pdf")
    """
    if forecast.posterior is None or forecast.plateau is None:
        raise InputError(f"{forecast.curve.name} has no posterior to draw: {forecast.verdict.reason}")
    grid = corner_axes() if axes is None else axes_grid(axes, 4, 4, SIDE)
    found, level = _quantities(forecast), forecast.question.level
    for i, row in enumerate(found):
        for j, column in enumerate(found):
            panel = grid[i, j]
            if j > i:
                panel.set_axis_off()
                continue
            (_draw_marginal(panel, row, level) if i == j else _draw_pair(panel, column, row, level))
            _label_panel(panel, i, j, row.name, column.name)
    _explain(grid[0, 1], forecast)
    plain_text(*grid.ravel(), *grid[0, 0].figure.texts)
    return grid


def corner_axes(figure: Any = None) -> Any:
    """The axes of a corner, shape [4, 4], on a figure with fixed margins, by default one that a notebook shows."""
    if figure is None:
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=(WIDTH, SIDE))
    figure.set_layout_engine("none")
    return figure.subplots(4, 4, gridspec_kw=MARGINS)


def _quantities(forecast: Forecast) -> list[_Quantity]:
    posterior, level = forecast.posterior, forecast.question.level
    assert posterior is not None and forecast.plateau is not None
    ends = probabilities_of(level)
    found = []
    units = {"k": "k, 1/case"}
    for name, draws in posterior.parameters().items():
        lo, middle, hi = np.quantile(draws, ends)
        words = f"{middle:#.3g} [{lo:#.3g}, {hi:#.3g}]"
        found.append(_Quantity(units.get(name, name), draws, words))
    sizes, size = posterior.plateau_sizes(forecast.question.eps), forecast.plateau.size
    middle = f"> {size.horizon:.0f}" if size.median is None else f"{size.median:.0f}"
    words = f"{middle} [{size.lo:.0f}, {'> ' if size.hi_censored else ''}{size.hi:.0f}]"
    told = np.where(sizes <= forecast.horizon, sizes, np.nan)
    return [*found, _Quantity("n*, cases", told, words)]


def _draw_marginal(axes: Axes, one: _Quantity, level: float) -> None:
    axes.set_title(f"{one.name}\n{one.words}", fontsize=SMALL)
    axes.set_yticks([])
    if one.span is None:
        words = "past the horizon" if len(one.told) < 2 else "constant"
        axes.text(0.5, 0.5, words, fontsize=SMALL, ha="center", va="center", transform=axes.transAxes, color=GREY)
        axes.set_xticks([])
        return
    axes.hist(one.told, bins=BINS, range=one.span, color=BLUE, alpha=0.35, density=True)
    ends, draws = probabilities_of(level), np.nan_to_num(one.draws, nan=np.inf)
    lo, middle, hi = np.quantile(draws, ends, method="inverted_cdf")  # nothing between a number and infinity
    for value, style in ((lo, "--"), (middle, "-"), (hi, "--")):
        if np.isfinite(value):
            axes.axvline(value, color=BLACK, linestyle=style, linewidth=1)
    axes.set_xlim(*one.span)


def _draw_pair(axes: Axes, across: _Quantity, up: _Quantity, level: float) -> None:
    if across.span is None or up.span is None:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    both = np.isfinite(across.draws) & np.isfinite(up.draws)
    limits = [across.span, up.span]
    counts, x, y = np.histogram2d(across.draws[both], up.draws[both], bins=COARSE, range=limits)
    smooth = gaussian_filter(counts.T, 0.8, mode="nearest")
    middle = [(edge[1:] + edge[:-1]) / 2 for edge in (x, y)]
    heights = sorted({_height(smooth, level), _height(smooth, HALF)})
    if smooth.max() > heights[0]:
        axes.contourf(*middle, smooth, levels=[*heights, smooth.max() * 1.01], colors=[BLUE] * 2, alpha=0.3)
        axes.contour(
            *middle, smooth, levels=heights, colors=BLUE, linewidths=0.8, linestyles=["--", "-"][: len(heights)]
        )
    axes.set_xlim(*across.span)
    axes.set_ylim(*up.span)


def _height(density: FloatArray, share: float) -> float:
    """The density above which a share of the draws lies."""
    ordered = np.sort(density.ravel())[::-1]
    reached = int(np.searchsorted(np.cumsum(ordered), share * ordered.sum()))
    return float(ordered[min(reached, len(ordered) - 1)])


def _label_panel(axes: Axes, i: int, j: int, up: str, across: str) -> None:
    """Names and numbers at the left and at the bottom only, few enough not to touch."""
    from matplotlib.ticker import MaxNLocator

    axes.tick_params(labelsize=SMALL, labelbottom=i == 3, labelleft=j == 0 and i > 0)
    if len(axes.get_xticks()):
        axes.xaxis.set_major_locator(MaxNLocator(3, prune="both"))
        axes.tick_params(axis="x", labelrotation=45)
    if i != j and len(axes.get_yticks()):
        axes.yaxis.set_major_locator(MaxNLocator(3, prune="both"))
    if i == 3:
        axes.set_xlabel(across, fontsize=SMALL + 1)
        axes.xaxis.set_label_coords(0.5, -0.48)
    if j == 0 and i > 0:
        axes.set_ylabel(up, fontsize=SMALL + 1)
        axes.yaxis.set_label_coords(-0.44, 0.5)


def _explain(axes: Axes, forecast: Forecast) -> None:
    """What is drawn, in the empty corner."""
    assert forecast.posterior is not None and forecast.plateau is not None
    level = forecast.question.level
    lines = [
        *_wrapped(label(forecast.curve.name, 120)),
        f"exponential plateau, {len(forecast.posterior.dm)} draws",
        f"diagonal: median and {level_words(level)} interval",
        f"below: regions of {HALF:.0%} (solid) and {level_words(level)} (dashed)",
        f"n*: smallest n within {forecast.question.eps:g} of DM; past the",
        f"horizon of {forecast.horizon} cases in {chance_words(forecast.plateau.p_beyond_horizon)} of draws",
    ]
    axes.text(0.35, 1.0, "\n".join(lines), fontsize=SMALL, va="top", transform=axes.transAxes, in_layout=False)


def _wrapped(words: str) -> list[str]:
    from textwrap import wrap

    return wrap(words, 48)
