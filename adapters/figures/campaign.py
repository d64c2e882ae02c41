"""A campaign's own calibration: what was promised for every batch, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...forecast.curve import Curve
from ...forecast.errors import InputError
from ...forecast.promises import PromiseOutcome
from ...forecast.words import level_words
from ..metric_table import metric_words
from .canvas import BLACK, BLUE, CASES, GREEN, GREY, VERMILION, Style, axes_or_new, legend, over_words, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_promises(curve: Curve, outcomes: Sequence[PromiseOutcome], axes: Axes | None = None) -> Axes:
    """Draw the score promised before every batch beside the score observed after it.

    Args:
        curve: The scores so far.
        outcomes: As returned by `dicecast.forecast.promises.outcomes`; at least one.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes: annotated cases against the mean score of the pilots at that size.

    Raises:
        InputError: No promise was made.

    Example:
        plot_promises(curve, outcomes(curve, Question()))
    """
    if not outcomes:
        raise InputError(f"{curve.name}: no promise has met its outcome yet, so there is none to draw.")
    axes = axes_or_new(axes, 4.6)
    at = np.array([one.promise.n for one in outcomes])
    found = [one.promise.interval for one in outcomes]
    level, held = found[0].level, np.array([one.held for one in outcomes])
    observed = np.array([one.observed for one in outcomes])
    axes.plot(curve.sizes, curve.observed, "-", color=GREY, linewidth=0.8, zorder=1, label="mean over all draws")
    promised = f"promised before the batch: median and {level_words(level)} interval"
    middle = np.array([one.median for one in found])
    ends = np.abs(np.array([[one.lo for one in found], [one.hi for one in found]]) - middle)
    axes.errorbar(at, middle, ends, fmt="_", color=BLUE, markersize=12, capsize=5, linewidth=1.6, label=promised)
    for kind, colour, marker, words in ((held, GREEN, "o", "held"), (~held, VERMILION, "X", "missed")):
        if kind.any():
            style: Style = {"color": colour, "markeredgecolor": BLACK, "markersize": 8, "zorder": 4}
            axes.plot(at[kind], observed[kind], marker, label=f"observed: promise {words}", **style)
    draws = sorted({one.promise.draws for one in outcomes})
    counted = f"{draws[0]}" if len(draws) == 1 else f"{draws[0]} to {draws[-1]}"
    axes.set_xlabel(CASES)
    axes.set_ylabel(
        f"{metric_words(curve.metric)}, {over_words({curve.n_test})}\nand {counted} draw{'s' * (draws[-1] > 1)}"
    )
    kept = f"{held.sum()} of {len(held)} promise{'s' * (len(held) > 1)} held"
    axes.set_title(f"{title(curve.name)}\n{kept}", fontsize="medium")
    axes.margins(x=0.06)
    axes.grid(alpha=0.25)
    legend(axes)
    return axes
