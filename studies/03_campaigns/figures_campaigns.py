"""The figure of this study: what every policy costs against how often it comes within the tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure


def draw_costs(found: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Median cost against the share of campaigns within 0.01, one point per policy; written as .svg and .png."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.88, color="0.6", linestyle="--", linewidth=1)
    axes.text(0.875, 0.02, "0.88", color="0.4", ha="right", fontsize=8, transform=axes.get_xaxis_transform())
    for number, (name, one) in enumerate(found.items()):
        ours = name.startswith("dicecast")
        axes.plot(one["in01"], one["cost"], "D" if ours else "o", color="#E45756" if ours else "#4C78A8")
        shift = (6, 5) if number % 2 else (6, -11)
        right = one["in01"] > 0.7
        axes.annotate(
            name,
            (one["in01"], one["cost"]),
            xytext=(-shift[0] if right else shift[0], shift[1]),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=8,
        )
    axes.set_yscale("log")
    axes.set_xlim(0, 1.03)
    axes.set_xlabel("share of campaigns within 0.01 of what everything gives")
    axes.set_ylabel("median cost over annotating everything")
    axes.grid(alpha=0.25, which="both")
    for ending in ("svg", "png"):
        figure.savefig(path.with_suffix(f".{ending}"), dpi=150)
