"""Arms against each other: their curves, and the chance of each to be the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...forecast.arms import Arm, sizes_between
from ...forecast.comparison import ArmComparison, Comparison
from ...forecast.errors import InputError
from ...forecast.ranking import now_of
from ...forecast.types import probabilities_of
from ...forecast.words import level_words
from ..metric_table import metric_words
from .canvas import (
    BLACK,
    CASES,
    COLOURS,
    GREY,
    LINES,
    MARKERS,
    Style,
    axes_or_new,
    file_name,
    labels,
    legend,
    new_figure,
    over_words,
    save_figure,
    title,
    unused,
    whole_numbers,
)
from .equal import plot_equal_performance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = 150
FEW_ARMS = 4
"""Arms up to which every pair gets a figure of equal performance, and the bands are drawn in full strength."""
MOST_PAIRS = 6
"""Figures of equal performance of one structure."""


def plot_arms(comparison: Comparison, axes: Axes | None = None) -> Axes:
    """Draw the curve of every arm with its scores.

    Args:
        comparison: Of at least two arms that could be forecast.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes: annotated cases (logarithmic) against the score, each arm in a colour, a line and a marker of its own.

    Raises:
        InputError: Fewer than two arms could be forecast.

    Example:
        (found,) = compare_curves(curves, Question())
        plot_arms(found)
    """
    arms = _required(comparison)
    axes = axes_or_new(axes, 4.8)
    _draw_curves(axes, arms, comparison.pairs[0].equal.cases.level)
    axes.set_title(title(comparison.title), fontsize="medium")
    axes.set_xlabel(CASES)
    legend(axes)
    return axes


def plot_chances(comparison: Comparison, axes: Axes | None = None) -> Axes:
    """Draw the probability of every arm to have the highest expected score.

    Args:
        comparison: Of at least two arms that could be forecast.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes: annotated cases (logarithmic) against that probability.

    Raises:
        InputError: Fewer than two arms could be forecast.

    Example:
        (found,) = compare_curves(curves, Question())
        plot_chances(found)
    """
    arms = _required(comparison)
    axes = axes_or_new(axes, 3.6)
    _draw_chances(axes, arms)
    axes.set_title(title(comparison.title), fontsize="medium")
    legend(axes)
    return axes


def comparison_figures_of(found: Comparison) -> Iterator[tuple[str, str, Figure]]:
    """Every figure of a comparison: the arms, and equal performance of the pairs of `pairs_drawn`.

    Yields:
        What its file is called by, what it shows in words, and the figure.
    """
    if not found.pairs:
        return
    figure = new_figure(height=6.6 + 0.08 * len(found.arms))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_curves(above, found.arms, found.pairs[0].equal.cases.level)
    _draw_chances(below, found.arms)
    above.set_title(title(found.title), fontsize="medium")
    legend(above, below)
    yield "arms", "Every arm's curve, and the probability that each is the best", figure
    for pair in pairs_drawn(found):
        figure = new_figure(height=5.2)
        axes = plot_equal_performance(pair, figure.subplots())
        axes.set_title(title(f"{found.title}: equal performance"), fontsize="medium")
        first, second = pair.first.arm, pair.second.arm
        words = f"Equal performance: cases of {second} for what {first} reaches"
        yield file_name(f"{second}-for-{first}"), words, figure


def pairs_drawn(found: Comparison) -> tuple[ArmComparison, ...]:
    """The pairs whose equal performance is drawn: all of few arms, else the first ones of the first arm."""
    if len(found.arms) <= FEW_ARMS:
        return found.pairs[:MOST_PAIRS]
    reference = found.arms[0].name
    return tuple(pair for pair in found.pairs if pair.first.arm == reference)[:MOST_PAIRS]


def left_out_words(found: Comparison) -> str | None:
    """Which pairs are not drawn, in words; None where all are."""
    drawn = pairs_drawn(found)
    if len(drawn) == len(found.pairs):
        return None
    shown = ", ".join(pair.second.arm for pair in drawn)
    return (
        f"{found.title}: of {len(found.pairs)} pairs, equal performance is drawn for {found.arms[0].name} against "
        f"{shown}; name the arms to be drawn with --arms, the reference first"
    )


def write_comparison_figures(found: Sequence[Comparison], folder: Path) -> list[Path]:
    """Write every figure of comparisons as SVG, PNG and PDF.

    Args:
        found: Those without a pair are skipped.
        folder: Made if it does not exist.

    Returns:
        The files written.
    """
    written: list[Path] = []
    for one in found:
        for kind, _, figure in comparison_figures_of(one):
            written += save_figure(figure, folder / unused(f"{file_name(one.title)}-{kind}", written))
    return written


def _required(found: Comparison) -> tuple[Arm, ...]:
    if not found.pairs:
        raise InputError(f"{found.title} cannot be drawn: {found.reason}")
    return found.arms


def _style(index: int) -> tuple[str, str, str]:
    """Colour, line and marker of an arm; no two of the first 60 arms share all three."""
    return COLOURS[index % len(COLOURS)], LINES[index % len(LINES)], MARKERS[index % len(MARKERS)]


def _names(arms: Sequence[Arm]) -> list[str]:
    return labels([arm.name for arm in arms], 34 if len(arms) > 2 else 50)


def _draw_curves(axes: Axes, arms: Sequence[Arm], level: float) -> None:
    strength = 0.18 if len(arms) <= FEW_ARMS else 0.07
    for index, (arm, name) in enumerate(zip(arms, _names(arms), strict=True)):
        colour, line, marker = _style(index)
        sizes = np.geomspace(arm.smallest, arm.horizon, STEPS)
        lo, middle, hi = np.quantile(arm.scores(sizes), probabilities_of(level), axis=1)
        axes.fill_between(sizes, lo, hi, color=colour, alpha=strength, linewidth=0)
        axes.plot(sizes, middle, linestyle=line, color=colour)
        axes.plot(arm.curve.n, arm.curve.y, ".", color=colour, alpha=0.5, markersize=4)
        means: Style = {"color": colour, "markeredgecolor": BLACK, "markersize": 5}
        axes.plot(arm.curve.sizes, arm.curve.observed, marker, **means)
        axes.plot([], [], linestyle=line, marker=marker, label=name, **means)
    axes.fill_between([], [], color=GREY, alpha=0.3, linewidth=0, label=f"{level_words(level)} interval of the curve")
    axes.plot([], [], ".", color=GREY, markersize=4, label=f"one draw ({_draws_words(arms)})")
    axes.set_ylabel(f"{metric_words(arms[0].curve.metric)}, {over_words({arm.curve.n_test for arm in arms})}")
    axes.set_xscale("log")
    whole_numbers(axes.xaxis)
    axes.grid(alpha=0.25)


def _draws_words(arms: Sequence[Arm]) -> str:
    counts = [int(count) for arm in arms for count in arm.curve.draws]
    least, most = min(counts), max(counts)
    return f"{least} per size" if least == most else f"{least} to {most} per size"


def _draw_chances(axes: Axes, arms: Sequence[Arm]) -> None:
    sizes = sizes_between(arms, STEPS)
    best = np.argmax(np.array([arm.scores(sizes) for arm in arms]), axis=0)
    for index, name in enumerate(_names(arms)):
        colour, line, marker = _style(index)
        style: Style = {"color": colour, "linestyle": line, "marker": marker, "markersize": 5, "markeredgecolor": BLACK}
        axes.plot(sizes, (best == index).mean(axis=1), label=name, markevery=(2 * index, STEPS // 6), **style)
    axes.axvline(now_of(arms), color=GREY, linestyle=":", label=f"annotated now ({now_of(arms)})")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xscale("log")
    whole_numbers(axes.xaxis)
    axes.set_xlabel(CASES)
    axes.set_ylabel("probability of the best")
    axes.grid(alpha=0.25)
