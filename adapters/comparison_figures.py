"""Figures of arms against each other (matplotlib, imported only when one is drawn)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ..forecast.arms import Arm, sizes_between
from ..forecast.comparison import ArmComparison, Comparison
from ..forecast.ranking import now_of
from .figures import file_name, label, new_figure, save_figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind readers."""
MARKERS = "osD^vPX"
STEPS = 150


def comparison_figures(found: Sequence[Comparison], folder: Path, level: float) -> list[Path]:
    """Draw, per structure, the arms' curves with the chance of being the best, and per pair equal performance.

    Returns:
        The files written.
    """
    written: list[Path] = []
    for one in found:
        if not one.pairs:
            continue
        name = file_name(one.title)
        figure = new_figure(height=6.4)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _draw_curves(above, one.arms, level)
        _draw_chances(below, one.arms)
        above.set_title(one.title)
        written += save_figure(figure, folder / _unused(f"{name}-arms", written))
        for pair in one.pairs:
            figure = new_figure(height=4.8)
            _draw_equal(figure.subplots(), pair)
            figure.suptitle(f"{one.title}: equal performance", fontsize="medium")
            ending = _unused(f"{name}-{file_name(f'{pair.second.arm}-for-{pair.first.arm}')}", written)
            written += save_figure(figure, folder / ending)
    return written


def _unused(name: str, written: Sequence[Path]) -> str:
    """The name, with a number where another structure's or pair's letters are the same ones in a file name."""
    taken, number = {path.stem for path in written}, 1
    while (found := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return found


def _draw_curves(axes: Any, arms: Sequence[Arm], level: float) -> None:
    for arm, colour, marker in zip(arms, cycle(COLOURS), cycle(MARKERS), strict=False):
        sizes = np.geomspace(arm.smallest, arm.horizon, STEPS)
        scores = arm.scores(sizes)
        lo, middle, hi = np.quantile(scores, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=1)
        axes.fill_between(sizes, lo, hi, color=colour, alpha=0.2, linewidth=0)
        axes.plot(sizes, middle, color=colour, label=f"{label(arm.name)}, median and {level:.0%} interval")
        axes.plot(arm.curve.n, arm.curve.y, ".", color=colour, alpha=0.5, markersize=5)
        axes.plot(arm.curve.sizes, arm.curve.observed, marker, color=colour, markeredgecolor="black", markersize=5)
    tests = {arm.curve.n_test for arm in arms}
    cases = f", {tests.pop()} test cases" if len(tests) == 1 and None not in tests else ""
    axes.set_ylabel(f"{arms[0].curve.metric}, mean over the test set{cases}")
    axes.set_xscale("log")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="best")


def _draw_chances(axes: Any, arms: Sequence[Arm]) -> None:
    """Probability of the highest expected score, by cases."""
    sizes = sizes_between(arms, STEPS)
    scores = np.array([arm.scores(sizes) for arm in arms])
    best = np.argmax(scores, axis=0)
    for i, (arm, colour) in enumerate(zip(arms, cycle(COLOURS), strict=False)):
        axes.plot(sizes, (best == i).mean(axis=1), color=colour, label=label(arm.name))
    axes.axvline(now_of(arms), color="0.5", linestyle=":", label="annotated now")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("annotated cases (training + validation)")
    axes.set_ylabel("probability of the best")
    _whole_numbers(axes.xaxis)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="best")


def _draw_equal(axes: Any, pair: ArmComparison) -> None:
    """Cases of the second arm against cases of the first for the same score."""
    points = pair.equal_curve
    n = np.array([one.n for one in points])
    median, lo, hi = (np.array([getattr(one.cases, name) for one in points]) for name in ("median", "lo", "hi"))
    floor, horizon, level = points[0].cases.floor, points[0].cases.horizon, points[0].cases.level
    axes.fill_between(n, lo, hi, color=COLOURS[0], alpha=0.25, linewidth=0, label=f"{level:.0%} interval")
    told = (median > floor) & (median < horizon)
    axes.plot(np.where(told, n, np.nan), np.where(told, median, np.nan), color=COLOURS[0], label="median")
    ends = [max(n[0], floor), min(n[-1], horizon)]
    axes.plot(ends, ends, color="black", linestyle="--", linewidth=1, label="as many cases of each")
    for value, words, above in (
        (floor, "smallest trained size: that or fewer", -9),
        (horizon, "horizon: that or more", 3),
    ):
        axes.axhline(value, color="0.5", linestyle=":", linewidth=1)
        axes.annotate(words, (n[0], value), xytext=(2, above), textcoords="offset points", fontsize=7, color="0.35")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(floor / 1.3, horizon * 1.3)
    for axis in (axes.xaxis, axes.yaxis):
        _whole_numbers(axis)
    axes.set_xlabel(f"cases of {label(pair.first.arm)}")
    axes.set_ylabel(fill(f"cases of {label(pair.second.arm)} for the same {pair.first.metric}", 48))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="best")


def _whole_numbers(axis: Any) -> None:
    """Ticks of a logarithmic axis as whole numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())
