"""Does the forecast hold still: from round to round, and when the largest sizes are left out."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from ...forecast.errors import InputError
from ...forecast.stability import DropLargest, Refit, RoundSummary
from ...forecast.words import level_words
from .canvas import BLUE, GREEN, GREY, VERMILION, Style, axes_grid, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = (
    ("gain", BLUE, "o", "reachable gain"),
    ("dm", VERMILION, "s", "ceiling DM"),
    ("plateau", GREEN, "D", "plateau n*, cases"),
)


def plot_history(history: Sequence[RoundSummary], axes: Any = None, *, eps: float | None = None) -> Any:
    """Draw how reachable gain, ceiling and plateau size moved from round to round.

    Args:
        history: What each round said of one curve, the newest last; at least one round.
        axes: Three axes; None makes a figure.
        eps: Tolerance of the plateau, drawn as a line beside the gain, score units.

    Returns:
        The axes, shape [3], each against the cases annotated then.

    Raises:
        InputError: No round, or not three axes.

    Example:
        plot_history([RoundSummary.of(0, first), RoundSummary.of(1, second)], eps=0.01)
    """
    if not history:
        raise InputError("a history needs at least one round, found none.")
    found = axes_grid(axes, 3, 1, 6.4, sharex=True)[:, 0]
    for panel, (name, colour, marker, words) in zip(found, KINDS, strict=True):
        _draw_rounds(panel, history, name, colour, marker)
        panel.set_ylabel(words)
        panel.grid(alpha=0.25)
    if eps is not None:
        found[0].axhline(eps, color=GREY, linestyle="--", linewidth=1, label=f"tolerance {eps:g}")
    found[-1].set_xlabel(f"annotated cases, round by round (bars: {level_words(history[0].gain.level)} intervals)")
    legend(*found)
    return found


def _draw_rounds(axes: Axes, history: Sequence[RoundSummary], name: str, colour: str, marker: str) -> None:
    now = [one.n_annotated for one in history]
    found = [getattr(one, name) for one in history]
    axes.vlines(now, [one.lo for one in found], [one.hi for one in found], color=colour, alpha=0.5, linewidth=4)
    known = [(n, one.median) for n, one in zip(now, found, strict=True) if one.median is not None]
    if known:
        axes.plot(*zip(*known, strict=True), linestyle="-", marker=marker, color=colour, label="median")
    censored = [(n, one.hi) for n, one in zip(now, found, strict=True) if getattr(one, "hi_censored", False)]
    if censored:
        axes.plot(*zip(*censored, strict=True), "^", color=colour, label="at least (past the horizon)")


def plot_drop_largest(found: DropLargest, axes: Any = None) -> Any:
    """Draw the ceiling and the plateau size again without the largest one and two sizes.

    Args:
        found: As returned by `drop_largest`.
        axes: Two axes; None makes a figure.

    Returns:
        The axes, shape [2]: DM and n*, by least squares and as posterior intervals.

    Raises:
        InputError: Not two axes.

    Example:
        plot_drop_largest(drop_largest(curve, Question()))
    """
    panels = axes_grid(axes, 2, 1, 5.2, sharex=True)[:, 0]
    level = found.refits[0].dm.level
    for at, refit in enumerate(found.refits):
        _draw_refit(panels, at, refit, level)
    panels[0].set_ylabel("ceiling DM")
    panels[1].set_ylabel("plateau n*, cases")
    panels[1].set_ylim(bottom=0)
    ticks = [f"up to {one.sizes[-1]} cases\n({len(one.sizes)} sizes)" for one in found.refits]
    panels[1].set_xticks(range(len(ticks)), ticks)
    panels[1].set_xlim(-0.6, len(ticks) - 0.4)
    panels[1].set_xlabel("pilots that were used")
    panels[0].set_title(fill(found.reason, 72), fontsize="medium")
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.margins(y=0.12)
    legend(*panels)
    return panels


def _draw_refit(panels: Any, at: int, refit: Refit, level: float) -> None:
    told = at == 0
    least: Style = {"marker": "X", "color": VERMILION, "markersize": 8, "linestyle": "none"}
    middle: Style = {"marker": "o", "color": BLUE, "linestyle": "none"}
    sizes = (refit.n_least_squares, refit.plateau)
    for axes, value, interval in ((panels[0], refit.dm_least_squares, refit.dm), (panels[1], *sizes)):
        words = f"posterior median and {level_words(level)} interval"
        axes.vlines(at + 0.06, interval.lo, interval.hi, color=BLUE, alpha=0.5, linewidth=4)
        if interval.median is not None:
            axes.plot(at + 0.06, interval.median, label=words if told else None, **middle)
        elif told:
            axes.plot([], [], label=words, **middle)
        reached = axes is panels[0] or value <= refit.plateau.horizon
        axes.plot(*((at - 0.06, value) if reached else ([], [])), label="least squares" if told else None, **least)
    if refit.plateau.hi_censored:
        words = "at least (past the horizon)"
        first = words not in panels[1].get_legend_handles_labels()[1]
        panels[1].plot(at + 0.06, refit.plateau.hi, "^", color=BLUE, label=words if first else None)
