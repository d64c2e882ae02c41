"""Figure of the extrapolation benchmark."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

COLOURS = {
    "average": "black",
    "exponential": "#1f77b4",
    "stretched-exponential": "#17becf",
    "power-law": "#2ca02c",
    "hill": "#d62728",
    "inverse-log": "#9467bd",
    "last value": "0.6",
    "LSTM": "#ff7f0e",
}
"""A family has one colour, whether its posterior (solid) or its least squares (dashed)."""


def draw(summary: pd.DataFrame, folder: Path) -> None:
    """Error by horizon of every forecaster, and how often the intervals hold."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = summary[~summary["forecaster"].str.contains("gain|prior")]
    for name, part in shown.groupby("forecaster", sort=False):
        family = str(name).removesuffix(", least squares")
        style = {"color": COLOURS[family], "marker": "o", "linewidth": 3 if family == "average" else 1.5}
        style["linestyle"] = "-" if family == name else "--"
        left.plot(part["times"], part["MAE"], label=name, **style)
        right.plot(part["times"], part["90% held"], **style)
    for axes, words in ((left, "mean absolute error"), (right, "90 % intervals that held the true score")):
        axes.set_xscale("log", base=2)
        axes.set_xticks([2, 4, 8], ["2x", "4x", "8x"])
        axes.set_xlabel("forecast size over largest trained size")
        axes.set_ylabel(words)
        axes.grid(alpha=0.25)
    left.set_ylim(bottom=0)
    right.axhspan(0.87, 0.93, color="0.85", zorder=0)
    right.set_ylim(0, 1)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(folder / "errors.png", dpi=150)
    figure.savefig(folder / "errors.svg")
