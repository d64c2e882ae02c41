"""How scores spread over the test cases: boxes by size, arm beside arm, and histograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...forecast.run_agreement import RunAgreement
from ...forecast.types import FloatArray
from ..metric_table import METRICS, metric_words
from .canvas import BLACK, BLUE, CASES, COLOURS, HATCHES, VERMILION, axes_or_new, labels, legend
from .words import number_words, refuse_empty

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_size_boxes(
    tables: Mapping[str, pd.DataFrame], metric: str, axes: Axes | None = None, *, same_cases: bool = True
) -> Axes:
    """Draw box plots of a metric over the test cases by size, arm beside arm (or stratum beside stratum).

    Args:
        tables: Per arm its scores by test case and size, as returned by `scores_by_size`.
        metric: Named on the axis.
        axes: Where to draw; None makes a figure.
        same_cases: Whether cases undefined at any size of an arm are left out of all its sizes.

    Returns:
        The axes: quartiles as boxes, whiskers to 1.5 of their range, every case beyond as a point, means as diamonds.

    Raises:
        InputError: No arm with a case to draw.

    Example:
        plot_size_boxes({"2d": scores_by_size(scores, "2d", "tumour", "dice")}, "dice")
    """
    shown = {arm: table.dropna() if same_cases else table for arm, table in tables.items()}
    refuse_empty(sum(int(table.notna().sum().sum()) for table in shown.values()), "box plots")
    axes = axes_or_new(axes, 4.2)
    sizes = sorted({int(n) for table in shown.values() for n in table.columns})
    width = 0.8 / len(shown)
    names = labels(list(shown), 40)
    for index, (arm, table) in enumerate(shown.items()):
        offset = (index - (len(shown) - 1) / 2) * width
        at = [sizes.index(int(n)) + offset for n in table.columns]
        values = [table[n].dropna().to_numpy(dtype=float) for n in table.columns]
        counts = sorted({len(one) for one in values})
        words = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        left_out = len(tables[arm]) - len(table)
        told = f"{names[index]}: {words} test cases" + (f" ({left_out} left out)" if left_out else "")
        _boxes(axes, at, values, 0.85 * width, index, told)
    axes.plot([], [], "D", color="white", markeredgecolor=BLACK, markersize=4, label="mean")
    axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
    axes.set_xlim(-0.6, len(sizes) - 0.4)
    axes.set_xlabel(CASES)
    axes.set_ylabel(metric_words(metric))
    axes.set_axisbelow(True)
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def _boxes(axes: Axes, at: list[float], values: list[FloatArray], width: float, index: int, words: str) -> None:
    colour, hatch = COLOURS[index % (len(COLOURS) - 1)], HATCHES[(index + index // (len(COLOURS) - 1)) % len(HATCHES)]
    found = axes.boxplot(
        values,
        positions=at,
        widths=width,
        patch_artist=True,
        showmeans=True,
        manage_ticks=False,
        medianprops={"color": BLACK, "linewidth": 1.4},
        meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": BLACK, "markersize": 4},
        flierprops={"marker": ".", "markersize": 4, "markerfacecolor": colour, "markeredgecolor": colour},
    )
    for number, box in enumerate(found["boxes"]):
        box.set(facecolor=colour, alpha=0.55, hatch=hatch, label=words if number == 0 else None)


def plot_histogram(run: RunAgreement, metric: str, axes: Axes | None = None) -> Axes:
    """Draw the distribution of a metric over the test cases of a run, with its mean and median.

    Args:
        run: As returned by `run_agreement`.
        metric: One of those the run was scored by.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes: the metric against test cases.

    Raises:
        InputError: The run has no defined score of the metric.

    Example:
        plot_histogram(run_agreement(scores, "2d", 40, "tumour"), "dice")
    """
    from matplotlib.ticker import MaxNLocator

    summary = next((one for one in run.metrics if one.metric == metric), None)
    refuse_empty(summary.n if summary else 0, f"a histogram of {metric}")
    assert summary is not None and summary.mean is not None and summary.median is not None
    axes = axes_or_new(axes, 4.0)
    values = run.cases[metric].dropna().to_numpy(dtype=float)
    known = METRICS.get(metric)
    ratio = known is not None and (known.low, known.high) == (0, 1)
    axes.hist(values, bins=list(_bins(values, ratio)), color=BLUE, alpha=0.75, edgecolor="white", linewidth=0.6)
    unit = f" {known.unit}" if known and known.unit else ""
    spread = "" if summary.sd is None else f" (SD {number_words(summary.sd)})"
    for value, colour, style, name, more in (
        (summary.mean, VERMILION, "-", "mean", spread),
        (summary.median, BLACK, "--", "median", ""),
    ):
        words = f"{name} {number_words(value)}{unit}{more}"
        axes.axvline(value, color=colour, linestyle=style, linewidth=1.5, label=words)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(metric_words(metric))
    axes.set_ylabel(f"test cases (of {len(values)})")
    axes.set_axisbelow(True)
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def _bins(values: FloatArray, ratio: bool) -> FloatArray:
    """Twentieths of the range of a ratio; else at most 30 bins from 0."""
    if ratio:
        return np.linspace(0, 1, 21)
    edges = np.histogram_bin_edges(values, "auto", (min(0.0, float(values.min())), float(values.max()) or 1.0))
    return edges if len(edges) <= 31 else np.linspace(edges[0], edges[-1], 31)
