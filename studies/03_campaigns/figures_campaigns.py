"""The figure of this study: how often every policy comes within the tolerance, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure


def draw_costs(found: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """One row per policy: share of campaigns within 0.01, and median cost; written as .svg and .png."""
    names = list(found)
    rows = range(len(names))[::-1]
    colours = ["#E45756" if name.startswith("dicecast") else "#4C78A8" for name in names]
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.barh(rows, [one["in01"] for one in found.values()], color=colours, height=0.6)
    left.axvline(0.88, color="0.3", linestyle="--", linewidth=1)
    left.set_yticks(rows, names, fontsize=9)
    left.set_xlim(0, 1)
    left.set_xlabel("share of campaigns within 0.01 of everything\n(dashed: 0.88)", fontsize=9)
    for row, one, colour in zip(rows, found.values(), colours, strict=True):
        reaches = one["in01"] >= 0.88
        right.plot(one["cost"], row, "o", color=colour, fillstyle="full" if reaches else "none")
        right.annotate(f"{one['cost']:.2f}", (one["cost"], row), xytext=(7, -3), textcoords="offset points", fontsize=8)
    right.set_xscale("log")
    right.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    right.set_xlim(0.7, 12)
    right.minorticks_off()
    right.set_xlabel("median cost, cases of everything = 1\n(filled: reaches 0.88)", fontsize=9)
    for axes in (left, right):
        axes.grid(alpha=0.25, axis="x")
    for ending in ("svg", "png"):
        figure.savefig(path.with_suffix(f".{ending}"), dpi=150)
