"""The figure: curves that what was printed allows, and how little tells them apart where models were trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from curves import CURVES, EPS, gap, kidney_rates, possible, rate
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from published import COLOURS, fact

BLUE, ORANGE, GREEN, _ = COLOURS


def figure(runs: dict[str, Any]) -> Figure:
    made = Figure(figsize=(10, 7.6), layout="constrained")
    (kidney, pinned), (two, mr) = made.subplots(2, 2)
    _kidneys(kidney)
    _pinned(pinned)
    _contradiction(two)
    _family(mr)
    for axes in (kidney, pinned, two, mr):
        axes.set_xlabel("training + validation cases")
        axes.set_ylabel("Dice")
        axes.grid(alpha=0.25)
        axes.margins(x=0)
    return made


def _kidneys(axes: Axes) -> None:
    n = np.linspace(0, 300, 301)
    for name, colour in (("CT kidney", BLUE), ("MR kidney", ORANGE)):
        found, k = possible(name), kidney_rates(name)
        # of a curve of given DM and n*, every gap lies between eps (k = 0) and that of the fastest rate
        fastest = found.dm[:, None] - gap(k[:, None], found.size[:, None], n)
        slowest = np.repeat(found.dm[:, None] - EPS, len(n), axis=1)
        both = np.concatenate([fastest, slowest])
        axes.fill_between(n, both.min(axis=0), both.max(axis=0), color=colour, alpha=0.35, lw=0, label=name)
        size = fact("P1", name, "plateau n").value
        axes.axvline(size, color=colour, ls="--", lw=1.2)
        axes.annotate(f"n* {size:.0f}", (size, 0.9525), xytext=(4, 0), textcoords="offset points", color=colour)
        best = fact("P1", name, "best observed")
        axes.plot(int(best.n), best.value, "o", color=colour, mec="white", ms=8)
    axes.plot([50], [0.89], marker="^", color="0.2", ls="none", label="printed: above 0.89 at 50")
    axes.set_xlim(0, 312)
    axes.set_ylim(0.84, 0.96)
    axes.legend(loc="lower right", fontsize=9)
    axes.set_title("Kidney (plateau Dice is DM): 54 to 122 cases add 0.014 at most", fontsize=10)


def _pinned(axes: Axes) -> None:
    name, n = "KiTS21 tumour 3D", np.linspace(0, 500, 251)
    found = possible(name)
    curves = found.dm[:, None] - gap(found.pinned[:, None], found.size[:, None], n)
    axes.fill_between(n, *np.nanquantile(curves, [0.05, 0.95], axis=0), color=BLUE, alpha=0.3, lw=0)
    axes.plot(n, np.nanmedian(curves, axis=0), color=BLUE, label="median and 90 % of the rounding")
    _point(axes, name)
    _trained(axes, name)
    axes.axvline(440, color=BLUE, ls="--", lw=1.2, label="n* 440")
    axes.legend(loc="lower right", fontsize=9)
    axes.set_title("KiTS21 tumour 3D: one printed point pins the curve", fontsize=10)


def _contradiction(axes: Axes) -> None:
    name, n = "KiTS21 tumour 2D", np.linspace(0, 260, 261)
    for at_zero, style in ((0.0, "-"), (0.3, "--"), (0.6, ":")):
        curve = 0.76 - (0.76 - at_zero) * np.exp(-rate(name, at_zero) * n)
        axes.plot(n, curve, color=BLUE, ls=style, label=f"possible curve, D0 = {at_zero:.1f}")
    _point(axes, name)
    _trained(axes, name)
    axes.axhline(0.675, color=ORANGE, lw=1, alpha=0.6)
    axes.annotate("no score was above", (128, 0.655), color=ORANGE, fontsize=9)
    axes.set_ylim(0.4, 0.8)
    axes.legend(loc="lower right", fontsize=9)
    axes.set_title("KiTS21 tumour 2D: the best score lies 0.08 under the fitted curve", fontsize=10)


def _family(axes: Axes) -> None:
    name, n = "MR tumour", np.linspace(0, 450, 226)
    for at_zero, colour, style in ((0.0, BLUE, "-"), (0.4, GREEN, "--"), (0.6, COLOURS[3], ":")):
        curve = 0.76 - (0.76 - at_zero) * np.exp(-rate(name, at_zero) * n)
        axes.plot(n, curve, color=colour, ls=style, lw=2, label=f"D0 = {at_zero:.1f}")
    _point(axes, name)
    _trained(axes, name)
    axes.axvline(389, color="0.3", ls="--", lw=1.2)
    axes.annotate("n* 389", (389, 0.05), xytext=(4, 0), textcoords="offset points", color="0.3")
    axes.legend(loc="lower center", fontsize=9)
    axes.set_title("MR tumour: all have DM 0.76 and n* 389", fontsize=10)


def _point(axes: Axes, name: str) -> None:
    best = fact("P1", name, "best observed")
    axes.errorbar(
        int(best.n), best.value, yerr=best.half, fmt="o", color=ORANGE, capsize=4, ms=7, label="best observed", zorder=5
    )


def _trained(axes: Axes, name: str) -> None:
    axes.axvspan(*CURVES[name], color="0.5", alpha=0.12, lw=0, label="trained sizes")
