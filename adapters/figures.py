"""Figures of a forecast (matplotlib, imported only when one is drawn)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any
from zlib import crc32

import numpy as np

from ..forecast.forecast import Forecast
from ..forecast.stability import RoundSummary
from ..forecast.summary import Summary
from .files import write_with

LONGEST = 50
"""Characters of a name in a file name."""


def write_figures(
    forecasts: Sequence[Forecast],
    folder: Path,
    history: Sequence[Sequence[RoundSummary]] = (),
    ceilings: Mapping[str, float] | None = None,
) -> list[Path]:
    """Draw every curve that could be forecast as an SVG and a PNG, and how its forecast moved from round to round.

    Args:
        forecasts: Curves without a posterior are skipped.
        folder: Made if it does not exist.
        history: The rounds of each curve; fewer than two are not drawn.
        ceilings: Mean Dice between annotators by structure, drawn on its curves of Dice.

    Returns:
        The files written.
    """
    written = []
    for index, forecast in enumerate(forecasts):
        if forecast.posterior is None:
            continue
        name = file_name(forecast.curve.name)
        figure = new_figure()
        dice = forecast.curve.metric == "dice"
        _draw(figure.subplots(), forecast, (ceilings or {}).get(forecast.curve.structure) if dice else None)
        written += save_figure(figure, folder / name)
        if index < len(history) and len(history[index]) > 1:
            figure = new_figure(height=6.4)
            _draw_history(figure.subplots(3, 1, sharex=True), history[index], forecast.question.eps)
            figure.suptitle(f"{forecast.curve.name}: the forecast, round by round", fontsize=11)
            written += save_figure(figure, folder / f"{name}-rounds")
    return written


def file_name(words: str) -> str:
    """A name of a curve as a file name; strata that differ by their sign only stay apart, long names by a checksum."""
    told = words.replace("<=", "up to").replace(">", "over")
    name = re.sub(r"[^\w.-]+", "-", told).strip("-")
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{crc32(name.encode()):08x}"


def label(words: str) -> str:
    """A name given by the user as it fits into a figure."""
    return shorten(words, 60, placeholder=" ...") if " " in words else f"{words[:60]}{'...' * (len(words) > 60)}"


def new_figure(height: float = 4.2) -> Any:
    """A figure of a column's width, inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(6.4, height), layout="constrained")


def save_figure(figure: Any, path: Path) -> list[Path]:
    """Write a figure beside `path` as .svg and .png, the same bytes for the same figure; the files written."""
    import matplotlib
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if "$" in text.get_text():
            text.set_parse_math(False)  # a name given by the user, not mathematics
    written = [path.with_name(f"{path.name}.{ending}") for ending in ("svg", "png")]
    with matplotlib.rc_context({"svg.hashsalt": "dicecast"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # letters that the font lacks are shown as boxes
        for target in written:
            undated = {"Date": None} if target.suffix == ".svg" else None
            write_with(target, partial(figure.savefig, dpi=150, metadata=undated))
    return written


def _draw_history(axes: Any, history: Sequence[RoundSummary], eps: float) -> None:
    """Reachable gain, ceiling and plateau size with their intervals against the cases annotated then."""
    now = [one.n_annotated for one in history]
    kinds = ("gain", "#4C78A8", "reachable gain"), ("dm", "#E45756", "ceiling DM"), ("plateau", "#54A24B", "n*, cases")
    for axis, (name, colour, label) in zip(axes, kinds, strict=True):
        found = [getattr(one, name) for one in history]
        axis.vlines(now, [one.lo for one in found], [one.hi for one in found], color=colour, alpha=0.5, linewidth=4)
        known = [(n, one.median) for n, one in zip(now, found, strict=True) if one.median is not None]
        axis.plot(*zip(*known, strict=True), "o-", color=colour) if known else None
        censored = [(n, one.hi) for n, one in zip(now, found, strict=True) if getattr(one, "hi_censored", False)]
        if censored:
            axis.plot(*zip(*censored, strict=True), "^", color=colour, label="at least (past the horizon)")
            axis.legend(fontsize=8)
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
    axes[0].axhline(eps, color="0.4", linestyle="--", linewidth=1, label=f"tolerance {eps:g}")
    axes[0].legend(fontsize=8)
    axes[-1].set_xlabel(f"annotated cases ({history[0].gain.level:.0%} intervals)")


def _draw(axes: Any, forecast: Forecast, ceiling: float | None) -> None:
    curve, expected, level = forecast.curve, forecast.expected, forecast.question.level
    assert expected is not None and forecast.posterior is not None and forecast.plateau is not None
    last = min(forecast.horizon, max(2 * int(curve.sizes[-1]), int(1.3 * (forecast.plateau.size.median or 0))))
    sizes = np.linspace(1, last, 300)
    lo, middle, hi = np.quantile(expected.scores(sizes), [(1 - level) / 2, 0.5, (1 + level) / 2], axis=1)
    named = np.median(forecast.posterior.scores(sizes), axis=1)
    axes.fill_between(
        sizes, lo, hi, color="#4C78A8", alpha=0.25, linewidth=0, label=f"{level:.0%} interval of the curve"
    )
    axes.plot(sizes, middle, color="#4C78A8", label=f"forecast ({forecast.question.model}), median")
    axes.plot(sizes, named, color="#E45756", linestyle="-.", linewidth=1, label="exponential plateau, posterior median")
    if forecast.fit is not None:
        least = {"color": "#54A24B", "linestyle": "--", "linewidth": 1, "label": "exponential plateau, least squares"}
        axes.plot(sizes, forecast.fit.score(sizes), **least)
    if ceiling is not None:
        axes.axhline(ceiling, color="black", linewidth=1, label=f"between annotators ({ceiling:.3f})")
    axes.plot(curve.n, curve.y, ".", color="#F58518", alpha=0.6, label="one draw")
    axes.plot(curve.sizes, curve.observed, "o", color="#F58518", markeredgecolor="black", label="mean over draws")
    axes.axvline(curve.n_annotated, color="0.5", linestyle=":", label=f"annotated now ({curve.n_annotated})")
    size = forecast.plateau.size
    if size.median is not None:
        axes.plot([size.lo, size.hi], [forecast.plateau.score.median] * 2, color="#B279A2", linewidth=3, alpha=0.7)
        axes.plot(
            size.median, forecast.plateau.score.median, "D", color="#B279A2", label=f"plateau n* = {size.median:.0f}"
        )
    span = max(curve.y.max() - curve.y.min(), 0.02)
    top = max(curve.y.max(), float(hi[-1]), ceiling or 0.0)
    axes.set_ylim(max(0.0, curve.y.min() - 0.35 * span), min(1.0, top + 0.2 * span))
    axes.set_xlim(0, last)
    axes.set_xlabel("annotated cases (training + validation)")
    axes.set_ylabel(f"{curve.metric}, mean over the test set")
    axes.set_title(curve.name)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")


def simulation_figure(found: Sequence[Summary], unit: str, path: Path) -> list[Path]:
    """Curves and where our campaigns ended on them; and the chance of success by cost, and by budget.

    Both are of the largest budget; diamonds show the chance under every budget.

    Returns:
        The files written, `path` with .svg and .png.
    """
    from matplotlib.figure import Figure

    budgets = [np.inf if one.terms.budget is None else one.terms.budget for one in found]
    largest = [one for one, budget in zip(found, budgets, strict=True) if budget == max(budgets)]
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_campaigns(left, largest[0])
    for index, one in enumerate(largest):
        same = [other for other in found if other.policy == one.policy and other.terms.budget is not None]
        _draw_success(right, one, same if len(found) > len(largest) else [], f"C{index}")
    if len(found) > len(largest):
        right.plot([], [], "D", color="0.5", label="under each budget")
    right.set_xlabel(f"cost, {unit}")
    ended = "ended" if found[0].success is None else "met the goal"
    right.set_ylabel(f"share of campaigns that {ended} by then")
    right.set_ylim(-0.02, 1.02)
    right.set_xlim(left=0)
    right.grid(alpha=0.25)
    right.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return save_figure(figure, path)


def _draw_campaigns(axes: Any, one: Summary) -> None:
    truth, level = one.played[0].truth, one.terms.level
    sizes = np.linspace(truth.start, truth.n_max, 200)
    scores = np.array([played.truth.score(sizes) for played in one.played])
    lo, middle, hi = np.quantile(scores, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
    axes.fill_between(sizes, lo, hi, color="#4C78A8", alpha=0.25, linewidth=0, label=f"{level:.0%} of the curves")
    axes.plot(sizes, middle, color="#4C78A8", label="median curve")
    groups = {True: ("#54A24B", "o", "ended, goal met"), False: ("#E45756", "x", "ended short of it")}
    for kind, (colour, marker, label) in groups.items():
        ends = [(p.collected, p.score) for p in one.played if (one.success is None or p.met(one.terms.goal)) is kind]
        if ends:
            axes.plot(*zip(*ends, strict=True), marker, color=colour, alpha=0.6, markersize=5, label=label)
    axes.set_xlabel("annotated cases")
    axes.set_ylabel("expected score")
    budget = "" if one.terms.budget is None else f", budget {one.terms.budget:g}"
    axes.set_title(f"{len(one.played)} campaigns by {one.policy}{budget}", fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")


def _draw_success(axes: Any, one: Summary, budgets: Sequence[Summary], colour: str) -> None:
    """The share of campaigns that had met the goal by a cost, and under every budget."""
    good = sorted(p.cost for p in one.played if one.success is None or p.met(one.terms.goal))
    worst = max(p.cost for p in one.played)
    share = np.arange(len(good) + 1) / len(one.played)
    width = 2.5 if one.policy == "dicecast" else 1.2
    axes.step([0.0, *good, worst], [*share, share[-1]], where="post", label=one.policy, color=colour, linewidth=width)
    axes.plot([other.terms.budget for other in budgets], [other.success for other in budgets], "D", color=colour)
