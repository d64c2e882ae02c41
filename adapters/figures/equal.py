"""Equal performance: the cases of one arm that do what so many cases of another do."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from ...forecast.comparison import ArmComparison
from ...forecast.words import level_words
from .canvas import BAND, BLACK, BLUE, GREY, PURPLE, SMALL, axes_or_new, labels, legend, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_equal_performance(pair: ArmComparison, axes: Axes | None = None) -> Axes:
    """Draw the cases that the second arm needs for what the first is expected to reach.

    Args:
        pair: One of the pairs of a comparison.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes, both logarithmic: cases of the first arm against cases of the second. Below the dashed line the second
        arm needs fewer. Between the dotted lines the second arm's pilots can tell.

    Example:
        (found,) = compare_curves(curves, Question())
        plot_equal_performance(found.pairs[0])
    """
    axes = axes_or_new(axes, 5.2)
    points = pair.equal_curve
    n = np.array([one.n for one in points])
    median, lo, hi = (np.array([getattr(one.cases, name) for one in points]) for name in ("median", "lo", "hi"))
    floor, horizon, level = points[0].cases.floor, points[0].cases.horizon, points[0].cases.level
    axes.fill_between(n, lo, hi, label=f"{level_words(level)} interval", **BAND)
    told = (median > floor) & (median < horizon)
    axes.plot(np.where(told, n, np.nan), np.where(told, median, np.nan), color=BLUE, label="median")
    ends = [max(n[0], floor), min(n[-1], horizon)]
    axes.plot(ends, ends, color=BLACK, linestyle="--", linewidth=1, label="as many cases of each")
    now = pair.equal
    arms = [pair.second.arm, pair.first.arm]
    short, names = labels(arms, 20), labels(arms)
    words = f"{now.cases.words('{:.0f}')} of {short[0]} do what {now.n} of {short[1]} do"
    axes.plot(now.n, now.cases.median, "D", color=PURPLE, markeredgecolor=BLACK, label=words)
    for value, said, above in (
        (floor, "smallest trained size: that or fewer", -10),
        (horizon, "horizon: that or more", 3),
    ):
        axes.axhline(value, color=GREY, linestyle=":", linewidth=1)
        axes.annotate(said, (n[0], value), xytext=(2, above), textcoords="offset points", fontsize=SMALL, color=GREY)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(floor / 1.5, horizon * 1.5)
    for axis in (axes.xaxis, axes.yaxis):
        whole_numbers(axis)
    axes.set_xlabel(f"cases of {names[1]}")
    axes.set_ylabel(fill(f"cases of {names[0]} for the same {pair.first.metric}", 44))
    axes.grid(alpha=0.25)
    legend(axes)
    return axes
