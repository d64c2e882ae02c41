"""Figures of agreement, 12 cm wide: volumes, scores by size, by volume and over the test cases (matplotlib)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..forecast.agreement import BlandAltman, ConfidenceInterval, VolumeRegression
from ..forecast.errors import InputError
from ..forecast.run_agreement import RunAgreement
from ..forecast.types import FloatArray
from .figures import file_name, save_figure
from .metric_table import METRICS

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.35"
"""Told apart by colour-blind readers and in grey (Wong 2011, Nat Methods 8:441)."""
ARMS = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", ORANGE)
"""One per arm."""
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")
"""One per arm, for print without colour."""
LOGARITHMIC = 30
"""Largest over smallest volume from which volumes are shown on a logarithmic axis."""
NAMES = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "msd_mm": "mean surface distance",
    "hd95_mm": "95 % Hausdorff distance",
    "nsd": "surface Dice",
    "volume_ml": "predicted volume",
    "reference_ml": "reference volume",
}
"""How a metric is called on an axis, when not by its name."""


def write_agreement_figures(found: RunAgreement, folder: Path) -> list[Path]:
    """Draw what a run can show: volumes, the histogram of Dice, Dice by volume; each as SVG and PNG.

    Args:
        found: What there is no data for is not drawn.
        folder: Made if it does not exist.

    Returns:
        The files written.
    """
    extra = [value for value, usual in ((found.test_set, "test"), (found.stratum, "all")) if value != usual]
    known = [found.arm, found.structure, *extra]
    title = f"{' / '.join(known)}, {found.n} cases"
    name = file_name(f"{'-'.join(known)}-n{found.n}")
    written: list[Path] = []
    for kind, limits in (("ml", found.bland_altman), ("percent", found.bland_altman_percent)):
        if limits is not None and limits.n:
            written += bland_altman_figure(limits, folder / f"{name}-bland-altman-{kind}", title)
    if found.regression is not None and found.regression.n:
        written += regression_figure(found.regression, folder / f"{name}-volumes", title)
    if any(one.metric == "dice" and one.n for one in found.metrics):
        written += histogram_figure(found, "dice", folder / f"{name}-dice", title)
    if found.dice_by_volume is not None and found.dice_by_volume.n:
        written += dice_volume_figure(found, folder / f"{name}-dice-by-volume", title)
    return written


def bland_altman_figure(found: BlandAltman, path: Path, title: str = "") -> list[Path]:
    """Differences against means, with the bias, the limits of agreement and their confidence intervals.

    Returns:
        The files written, `path` with .svg and .png.

    Raises:
        InputError: No case to draw.
    """
    _refuse_empty(found.n, "a Bland-Altman figure")
    figure, axes = _figure(title)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.plot(found.means, found.differences, "o", color=BLUE, alpha=0.7, markersize=4, markeredgewidth=0, zorder=3)
    _volume_scale(axes, found.means)
    lines: list[tuple[str, float | None, ConfidenceInterval | None, str]] = [
        ("bias", found.bias, found.bias_ci, "-"),
        ("bias + 1.96 SD", found.upper, found.upper_ci, "--"),
        ("bias − 1.96 SD", found.lower, found.lower_ci, "--"),
    ]
    for name, value, interval, style in lines if found.sd else lines[:1]:
        if value is None:
            continue
        if interval is not None:
            axes.axhspan(interval.lo, interval.hi, color=ORANGE, alpha=0.15, linewidth=0)
        axes.axhline(value, color=ORANGE, linestyle=style, linewidth=1.2)
        _beside(axes, value, f"{name}\n{_number(value)} {found.unit}")
    axes.set_xlabel(f"mean of reference and predicted, {found.measured_in}")
    percent = found.unit == "%"
    axes.set_ylabel(found.definition.replace(", ", ",\n") if percent else f"{found.definition}, {found.unit}")
    left_out = f"; {found.left_out} with reference 0 left out" if found.left_out else ""
    note = f"; {found.note}" if found.note else ""
    band = f"; shaded: {found.bias_ci.level:.0%} confidence intervals" if found.bias_ci else ""
    _footnote(figure, _cases(found.n) + left_out + band + note)
    return save_figure(figure, path)


def regression_figure(found: VolumeRegression, path: Path, title: str = "") -> list[Path]:
    """Predicted against reference volumes, with the line of identity and the least-squares line.

    Returns:
        The files written, `path` with .svg and .png.

    Raises:
        InputError: No case to draw.
    """
    _refuse_empty(found.n, "a regression figure")
    figure, axes = _figure(title, height_cm=12)
    top = 1.05 * float(max(found.reference.max(), found.predicted.max())) or 1.0
    axes.plot([0, top], [0, top], color=GREY, linestyle="--", linewidth=1, label="identity")
    axes.plot(found.reference, found.predicted, "o", color=BLUE, alpha=0.7, markersize=4, markeredgewidth=0)
    if found.slope is not None and found.intercept is not None:
        ends = np.array([found.reference.min(), found.reference.max()])
        sign = "+" if found.intercept >= 0 else "−"
        label = f"{_number(found.slope)} × reference {sign} {_number(abs(found.intercept))} {found.unit}"
        axes.plot(ends, found.intercept + found.slope * ends, color=ORANGE, linewidth=1.6, label=label)
    told = {"R² of the line": found.r2, "concordance": found.concordance}
    for name, value in told.items():
        if value is not None:
            axes.plot([], [], " ", label=f"{name} {value:.3f}")
    axes.set_xlim(-0.02 * top, top)
    axes.set_ylim(-0.02 * top, top)
    axes.set_aspect("equal")
    axes.set_xlabel(f"reference volume, {found.unit}")
    axes.set_ylabel(f"predicted volume, {found.unit}")
    axes.plot([], [], " ", label=_cases(found.n) + (f"; {found.note}" if found.note else ""))
    _legend_below(figure)
    return save_figure(figure, path)


def size_boxes_figure(
    tables: Mapping[str, pd.DataFrame], metric: str, path: Path, title: str = "", *, same_cases: bool = True
) -> list[Path]:
    """Box plots of a metric over the test cases by size, arm beside arm.

    Args:
        tables: Per arm its scores by test case and size, as returned by `scores_by_size`.
        metric: Named on the axis.
        path: Without ending.
        title: Above the figure.
        same_cases: Whether cases undefined at any size of an arm are left out of all its sizes.

    Returns:
        The files written, `path` with .svg and .png.

    Raises:
        InputError: No arm with a case to draw.
    """
    shown = {arm: table.dropna() if same_cases else table for arm, table in tables.items()}
    _refuse_empty(sum(int(table.notna().sum().sum()) for table in shown.values()), "box plots")
    sizes = sorted({int(n) for table in shown.values() for n in table.columns})
    figure, axes = _figure(title)
    width = 0.8 / len(shown)
    for index, (arm, table) in enumerate(shown.items()):
        offset = (index - (len(shown) - 1) / 2) * width
        at = [sizes.index(int(n)) + offset for n in table.columns]
        values = [table[n].dropna().to_numpy(dtype=float) for n in table.columns]
        counts = sorted({len(one) for one in values})
        words = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        left_out = len(tables[arm]) - len(table)
        label = f"{arm}: {words} cases" + (f" ({left_out} left out)" if left_out else "")
        _boxes(axes, at, values, 0.85 * width, index, label)
    axes.plot([], [], "D", color="white", markeredgecolor="black", markersize=4, label="mean")
    axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
    axes.set_xlim(-0.6, len(sizes) - 0.4)
    axes.set_xlabel("annotated cases (training + validation)")
    axes.set_ylabel(_label(metric))
    _legend_below(figure)
    return save_figure(figure, path)


def _boxes(axes: Any, at: list[float], values: list[FloatArray], width: float, index: int, label: str) -> None:
    """Quartiles as boxes, whiskers to 1.5 of their range, every case beyond as a point, the mean as a diamond."""
    colour, hatch = ARMS[index % len(ARMS)], HATCHES[index % len(HATCHES)]
    found = axes.boxplot(
        values,
        positions=at,
        widths=width,
        patch_artist=True,
        showmeans=True,
        manage_ticks=False,
        medianprops={"color": "black", "linewidth": 1.4},
        meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": "black", "markersize": 4},
        flierprops={"marker": ".", "markersize": 4, "markerfacecolor": colour, "markeredgecolor": colour},
    )
    for number, box in enumerate(found["boxes"]):
        box.set(facecolor=colour, alpha=0.55, hatch=hatch, label=label if number == 0 else None)


def histogram_figure(found: RunAgreement, metric: str, path: Path, title: str = "") -> list[Path]:
    """Distribution of a metric over the test cases of a run, with its mean and median.

    Returns:
        The files written, `path` with .svg and .png.

    Raises:
        InputError: The run has no defined score of the metric.
    """
    summary = next((one for one in found.metrics if one.metric == metric), None)
    _refuse_empty(summary.n if summary else 0, f"a histogram of {metric}")
    assert summary is not None and summary.mean is not None and summary.median is not None
    values = found.cases[metric].dropna().to_numpy(dtype=float)
    known = METRICS.get(metric)
    figure, axes = _figure(title)
    ratio = known is not None and (known.low, known.high) == (0, 1)
    axes.hist(values, bins=_bins(values, ratio), color=BLUE, alpha=0.75, edgecolor="white", linewidth=0.6)
    unit = f" {known.unit}" if known and known.unit else ""
    spread = "" if summary.sd is None else f" (SD {_number(summary.sd)})"
    for value, colour, style, name, more in (
        (summary.mean, ORANGE, "-", "mean", spread),
        (summary.median, "black", "--", "median", ""),
    ):
        axes.axvline(value, color=colour, linestyle=style, linewidth=1.5, label=f"{name} {_number(value)}{unit}{more}")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(_label(metric))
    axes.set_ylabel("test cases")
    _legend_below(figure)
    return save_figure(figure, path)


def _bins(values: FloatArray, ratio: bool) -> FloatArray:
    """Twentieths of the range of a ratio; else at most 30 bins from 0."""
    if ratio:
        return np.linspace(0, 1, 21)
    edges = np.histogram_bin_edges(values, "auto", (min(0.0, float(values.min())), float(values.max()) or 1.0))
    return edges if len(edges) <= 31 else np.linspace(edges[0], edges[-1], 31)


def dice_volume_figure(found: RunAgreement, path: Path, title: str = "") -> list[Path]:
    """Dice of every test case against its reference volume, with the median volume and what the rank tests say.

    Returns:
        The files written, `path` with .svg and .png.

    Raises:
        InputError: The run has no case with Dice and reference volume.
    """
    _refuse_empty(found.dice_by_volume.n if found.dice_by_volume else 0, "Dice by volume")
    assert found.dice_by_volume is not None and found.median_ml is not None
    known = found.cases[["reference_ml", "dice"]].dropna().to_numpy(dtype=float)
    volumes, dice = known[:, 0], known[:, 1]
    figure, axes = _figure(title, height_cm=10.5)
    large = volumes > found.median_ml
    groups = [(~large, "o", BLUE, "up to"), (large, "s", ORANGE, "above")]
    for chosen, marker, colour, words in groups:
        if chosen.any():
            label = f"{words} {_number(found.median_ml)} mL: median Dice {np.median(dice[chosen]):.3f}"
            style = {"color": colour, "alpha": 0.7, "markersize": 4, "markeredgewidth": 0, "label": label}
            axes.plot(volumes[chosen], dice[chosen], marker, **style)
    axes.axvline(found.median_ml, color=GREY, linestyle=":", linewidth=1.2)
    _volume_scale(axes, volumes)
    axes.set_ylim(min(-0.02, float(dice.min())), 1.02)
    axes.set_xlabel("reference volume, mL")
    axes.set_ylabel("Dice")
    rank, groups_test = found.dice_by_volume, found.small_and_large
    tests = [_cases(rank.n)] + ([] if rank.r is None else [f"Spearman r = {_number(rank.r)}, {_p(rank.p)}"])
    if groups_test is not None and groups_test.p is not None:
        tests.append(f"Mann-Whitney U = {groups_test.u:g}, {_p(groups_test.p)}")
    axes.plot([], [], " ", label="\n".join(tests))
    _legend_below(figure)
    return save_figure(figure, path)


def _figure(title: str, height_cm: float = 9) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12 / 2.54, height_cm / 2.54), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def _footnote(figure: Any, text: str) -> None:
    figure.supxlabel(text, fontsize=7.5, color=GREY, x=0.99, ha="right")


def _legend_below(figure: Any) -> None:
    """One entry a line where two would not fit beside each other."""
    labels = figure.axes[0].get_legend_handles_labels()[1]
    short = max(map(len, labels), default=0) < 32
    figure.legend(fontsize=8, loc="outside lower center", ncols=2 if short else 1)


def _beside(axes: Any, height: float, text: str) -> None:
    """Write what a horizontal line is to the right of the axes."""
    axes.text(1.01, height, text, transform=axes.get_yaxis_transform(), ha="left", va="center", fontsize=7.5)


def _volume_scale(axes: Any, volumes: FloatArray) -> None:
    """A logarithmic axis, in plain numbers, where the largest volumes would crowd the others into a corner."""
    if volumes.min() > 0 and volumes.max() / volumes.min() > LOGARITHMIC:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _label(metric: str) -> str:
    known = METRICS.get(metric)
    name = NAMES.get(metric, metric.replace("_", " "))
    return f"{name}, {known.unit}" if known and known.unit else name


def _cases(count: int) -> str:
    return f"{count} test case" if count == 1 else f"{count} test cases"


def _number(value: float) -> str:
    """Three significant digits, or all before the decimal point, with a true minus sign."""
    words = f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
    return words.replace("-", "−")


def _p(p: float | None) -> str:
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _refuse_empty(count: int, what: str) -> None:
    if count == 0:
        raise InputError(f"{what} needs at least one test case with a defined score, found none. Check the run.")
