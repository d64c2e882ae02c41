"""Figures of the extrapolation benchmark."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure


def draw(rows: pd.DataFrame, summary: pd.DataFrame, folder: Path) -> None:
    """Error by horizon of every forecaster, and how often the intervals hold."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = summary[~summary["forecaster"].str.contains("gain|prior")]
    for name, part in shown.groupby("forecaster", sort=False):
        fitted = str(name).endswith("least squares") or name == "last value"
        style = {"color": "#d62728", "linewidth": 2.5, "zorder": 5} if name == "average" else {"alpha": 0.8}
        left.plot(part["times"], part["MAE"], marker="o", linestyle="--" if fitted else "-", label=name, **style)
        right.plot(part["times"], part["90% held"], marker="o", linestyle="--" if fitted else "-", label=name, **style)
    for axes, words in ((left, "mean absolute error"), (right, "90 % intervals that held the true score")):
        axes.set_xscale("log", base=2)
        axes.set_xticks([2, 4, 8], ["2x", "4x", "8x"])
        axes.set_xlabel("forecast size over largest trained size")
        axes.set_ylabel(words)
        axes.grid(alpha=0.25)
    right.axhspan(0.87, 0.93, color="0.85", zorder=0)
    right.set_ylim(0, 1)
    left.legend(fontsize=7)
    figure.savefig(folder / "errors.png", dpi=150)
    figure.savefig(folder / "errors.svg")
