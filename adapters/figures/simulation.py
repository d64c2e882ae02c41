"""Campaigns on paper: where they end on their curves, and the chance of success by cost and by budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...forecast.summary import Summary
from ...forecast.types import probabilities_of
from ...forecast.words import amount_words, level_words
from .canvas import (
    BAND,
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    LINES,
    MARKERS,
    VERMILION,
    Style,
    axes_or_new,
    label,
    legend,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 200


def simulation_figure(found: Sequence[Summary], unit: str, path: Path) -> list[Path]:
    """Write both figures of simulated campaigns, one above the other, as SVG, PNG and PDF.

    Args:
        found: Of every policy and budget.
        unit: Of costs.
        path: Without ending.

    Returns:
        The files written.
    """
    figure = new_figure(height=8.8)
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    plot_campaigns(_largest(found)[0], above.subplots())
    plot_success(found, unit, below.subplots())
    return save_figure(figure, path)


def plot_campaigns(one: Summary, axes: Axes | None = None) -> Axes:
    """Draw the curves that campaigns were played on, and where they ended.

    Args:
        one: The campaigns of one policy under one budget.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes: annotated cases against the expected score.
    """
    axes = axes_or_new(axes, 4.4)
    truth, level = one.played[0].truth, one.terms.level
    sizes = np.linspace(truth.start, truth.n_max, STEPS)
    scores = np.array([played.truth.score(sizes) for played in one.played])
    lo, middle, hi = np.quantile(scores, probabilities_of(level), axis=0)
    axes.fill_between(sizes, lo, hi, label=f"{level_words(level)} of the curves", **BAND)
    axes.plot(sizes, middle, color=BLUE, label="median curve")
    groups = {True: (GREEN, "o", "ended, goal met"), False: (VERMILION, "x", "ended short of it")}
    for kind, (colour, marker, words) in groups.items():
        ends = [(p.collected, p.score) for p in one.played if (one.success is None or p.met(one.terms.goal)) is kind]
        if ends:
            style: Style = {"color": colour, "alpha": 0.6, "markersize": 5, "label": f"{words} ({len(ends)})"}
            axes.plot(*zip(*ends, strict=True), marker, **style)
    axes.set_xlabel("annotated cases")
    axes.set_ylabel("expected score")
    budget = "" if one.terms.budget is None else f", budget {amount_words(one.terms.budget)}"
    axes.set_title(f"{len(one.played)} campaigns by {one.policy}{budget}", fontsize="medium")
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def plot_success(found: Sequence[Summary], unit: str, axes: Axes | None = None) -> Axes:
    """Draw the share of campaigns that had met the goal by a cost.

    Args:
        found: Of every policy and budget; lines are of the largest budget, markers of every budget.
        unit: Of costs.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes: cost against that share.
    """
    axes = axes_or_new(axes, 4.4)
    largest = _largest(found)
    several = len(found) > len(largest)
    for index, one in enumerate(largest):
        same = [other for other in found if other.policy == one.policy and other.terms.budget is not None]
        _draw_success(axes, one, same if several else [], index)
    if several:
        axes.plot([], [], " ", label="markers: under each budget")
    axes.set_xlabel(f"cost, {label(unit, 30)}")
    ended = "ended" if found[0].success is None else "met the goal"
    axes.set_ylabel(f"share that {ended} by then")
    axes.set_title(f"{len(largest[0].played)} campaigns of each policy", fontsize="medium")
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: amount_words(value))
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def _largest(found: Sequence[Summary]) -> list[Summary]:
    budgets = [np.inf if one.terms.budget is None else one.terms.budget for one in found]
    return [one for one, budget in zip(found, budgets, strict=True) if budget == max(budgets)]


def _draw_success(axes: Axes, one: Summary, budgets: Sequence[Summary], index: int) -> None:
    good = sorted(p.cost for p in one.played if one.success is None or p.met(one.terms.goal))
    worst = max(p.cost for p in one.played)
    share = np.arange(len(good) + 1) / len(one.played)
    width = 2.5 if one.policy == "dicecast" else 1.4
    style: Style = {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index % len(LINES)], "linewidth": width}
    marker = MARKERS[index % len(MARKERS)] if budgets else ""
    axes.step([0.0, *good, worst], [*share, share[-1]], where="post", **style)
    axes.plot([], [], marker=marker, label=one.policy, **style)
    shown = [(other.terms.budget, other.success) for other in budgets if other.success is not None]
    if shown:
        size = max(13 - 1.5 * index, 5)  # of policies that come to the same, each is seen around the next
        axes.plot(*zip(*shown, strict=True), marker, color=style["color"], markeredgecolor=BLACK, markersize=size)
