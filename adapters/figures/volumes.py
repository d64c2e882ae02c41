"""Volumes case by case: differences against means, predicted against reference, Dice against volume."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from ...forecast.agreement import BlandAltman, ConfidenceInterval, VolumeRegression
from ...forecast.run_agreement import RunAgreement
from ...forecast.types import FloatArray
from ...forecast.words import level_words
from .canvas import BLUE, GREY, SMALL, VERMILION, Style, axes_or_new, cases_words, legend
from .words import number_words, p_words, refuse_empty

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC = 30
"""Largest over smallest volume from which volumes are shown on a logarithmic axis."""


def plot_bland_altman(found: BlandAltman, axes: Axes | None = None) -> Axes:
    """Draw differences against means, with the bias, the limits of agreement and their confidence intervals.

    Args:
        found: As returned by `bland_altman`.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes: mean of both measurements against their difference (Bland and Altman, Lancet 1986;1:307).

    Raises:
        InputError: No case to draw.

    Example:
        plot_bland_altman(bland_altman(reference, predicted, relative=False))
    """
    refuse_empty(found.n, "a Bland-Altman figure")
    axes = axes_or_new(axes, 4.2)
    axes.axhline(0, color=GREY, linewidth=0.8)
    dots: Style = {"color": BLUE, "alpha": 0.7, "markersize": 4, "markeredgewidth": 0, "zorder": 3}
    axes.plot(found.means, found.differences, "o", label=_counted(found), **dots)
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
            band = f"{level_words(interval.level)} confidence intervals" if name == "bias" else None
            axes.axhspan(interval.lo, interval.hi, color=VERMILION, alpha=0.15, linewidth=0, label=band)
        axes.axhline(value, color=VERMILION, linestyle=style, linewidth=1.2)
        _beside(axes, value, f"{name}\n{number_words(value)} {found.unit}")
    axes.set_xlabel(f"mean of reference and predicted, {found.measured_in}")
    percent = found.unit == "%"
    axes.set_ylabel(fill(found.definition if percent else f"{found.definition}, {found.unit}", 34))
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def plot_regression(found: VolumeRegression, axes: Axes | None = None) -> Axes:
    """Draw predicted against reference volumes, with the line of identity and the least-squares line.

    Args:
        found: As returned by `volume_regression`.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes, both in the unit of the volumes.

    Raises:
        InputError: No case to draw.

    Example:
        plot_regression(volume_regression(reference, predicted))
    """
    refuse_empty(found.n, "a regression figure")
    axes = axes_or_new(axes, 5.6)
    top = 1.05 * float(max(found.reference.max(), found.predicted.max())) or 1.0
    axes.plot([0, top], [0, top], color=GREY, linestyle="--", linewidth=1, label="identity")
    words = cases_words(found.n) + (f"; {found.note}" if found.note else "")
    dots: Style = {"color": BLUE, "alpha": 0.7, "markersize": 4, "markeredgewidth": 0, "label": words}
    axes.plot(found.reference, found.predicted, "o", **dots)
    if found.slope is not None and found.intercept is not None:
        ends = np.array([found.reference.min(), found.reference.max()])
        sign = "+" if found.intercept >= 0 else "−"
        words = f"{number_words(found.slope)} × reference {sign} {number_words(abs(found.intercept))} {found.unit}"
        axes.plot(ends, found.intercept + found.slope * ends, color=VERMILION, linewidth=1.6, label=words)
    for name, value in {"R² of the line": found.r2, "concordance": found.concordance}.items():
        if value is not None:
            axes.plot([], [], " ", label=f"{name} {value:.3f}")
    axes.set_xlim(-0.02 * top, top)
    axes.set_ylim(-0.02 * top, top)
    axes.set_aspect("equal")
    axes.set_xlabel(f"reference volume, {found.unit}")
    axes.set_ylabel(f"predicted volume, {found.unit}")
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def plot_dice_by_volume(run: RunAgreement, axes: Axes | None = None) -> Axes:
    """Draw the Dice of every test case against its reference volume, and what the rank tests say.

    Args:
        run: As returned by `run_agreement`.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes, with the median volume as a line.

    Raises:
        InputError: The run has no case with Dice and reference volume.

    Example:
        plot_dice_by_volume(run_agreement(scores, "2d", 40, "tumour"))
    """
    refuse_empty(run.dice_by_volume.n if run.dice_by_volume else 0, "Dice by volume")
    assert run.dice_by_volume is not None and run.median_ml is not None
    axes = axes_or_new(axes, 4.6)
    known = run.cases[["reference_ml", "dice"]].dropna().to_numpy(dtype=float)
    volumes, dice = known[:, 0], known[:, 1]
    large = volumes > run.median_ml
    for chosen, marker, colour, words in ((~large, "o", BLUE, "up to"), (large, "s", VERMILION, "above")):
        if chosen.any():
            told = f"{words} {number_words(run.median_ml)} mL: median Dice {np.median(dice[chosen]):.3f}"
            style: Style = {"color": colour, "alpha": 0.7, "markersize": 4, "markeredgewidth": 0, "label": told}
            axes.plot(volumes[chosen], dice[chosen], marker, **style)
    axes.axvline(run.median_ml, color=GREY, linestyle=":", linewidth=1.2)
    _volume_scale(axes, volumes)
    axes.set_ylim(min(-0.02, float(dice.min())), 1.02)
    axes.set_xlabel("reference volume, mL")
    axes.set_ylabel("Dice")
    for told in _rank_tests(run):
        axes.plot([], [], " ", label=told)
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def _rank_tests(run: RunAgreement) -> list[str]:
    rank, groups = run.dice_by_volume, run.small_and_large
    assert rank is not None
    tests = [cases_words(rank.n)]
    if rank.r is not None:
        tests[0] += f": Spearman r = {number_words(rank.r)}, {p_words(rank.p)}"
    if groups is not None and groups.p is not None:
        tests.append(f"Mann-Whitney U = {groups.u:g}, {p_words(groups.p)}")
    return tests


def _counted(found: BlandAltman) -> str:
    left_out = f"; {found.left_out} with reference 0 left out" if found.left_out else ""
    return cases_words(found.n) + left_out + (f"; {found.note}" if found.note else "")


def _beside(axes: Axes, height: float, text: str) -> None:
    """Write what a horizontal line is to the right of the axes."""
    axes.text(1.01, height, text, transform=axes.get_yaxis_transform(), ha="left", va="center", fontsize=SMALL)


def _volume_scale(axes: Axes, volumes: FloatArray) -> None:
    """A logarithmic axis, in plain numbers, where the largest volumes would crowd the others into a corner."""
    if volumes.min() > 0 and volumes.max() / volumes.min() > LOGARITHMIC:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
