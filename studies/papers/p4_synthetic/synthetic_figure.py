"""The figure: the printed scores with what dicecast forecast at 500 cases, and cases for equal performance."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from published import COLOURS, facts

ARMS = (("real", COLOURS[0], "o", 0.97), ("real + synthetic", COLOURS[1], "s", 1.03))
"""Colour, marker, and how far points stand aside so that both are seen."""


def figure(found: dict[str, Any]) -> Figure:
    made = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = made.subplots(1, 2)
    _scores(left, found["forecast"]["all"])
    _equal(right, found["compare"]["all"]["equal"])
    return made


def _scores(axes: Axes, found: dict[str, Any]) -> None:
    for arm, colour, marker, aside in ARMS:
        printed = [(int(one.n), one.value / 100) for one in facts() if (one.curve, one.quantity) == (arm, "DSC")]
        n, score = np.array(printed).T
        axes.plot(n * aside, score, marker=marker, color=colour, lw=1.2, label=arm)
        early = [one for one in found[arm]["backtest"] if one["from_sizes"][-1] == 500]
        for i, one in enumerate(early):
            low, high = one["median"] - one["lo"], one["hi"] - one["median"]
            label = f"{arm}: forecast from sizes up to 500, 90 %" if i == 0 else None
            x = one["n"] * aside**3
            axes.errorbar(
                x, one["median"], yerr=[[low], [high]], fmt="_", ms=10, color=colour, alpha=0.6, capsize=4, label=label
            )
    axes.set_xscale("log")
    axes.set_xticks([60, 278, 500, 1500, 3159], ["60", "278", "500", "1,500", "3,159"])
    axes.minorticks_off()
    axes.set_xlabel("real CTs")
    axes.set_ylabel("DSC")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", fontsize=8)
    axes.set_ylim(0.38, 0.88)
    axes.set_title("Printed scores, and forecasts from sizes up to 500", fontsize=10)


def _equal(axes: Axes, curve: list[dict[str, Any]]) -> None:
    n = np.array([one["n_first"] for one in curve])
    low, high = (np.array([one["n_second"][end] for one in curve]) for end in ("lo", "hi"))
    known = np.array([one["n_second"]["median"] is not None for one in curve])
    median = np.array([one["n_second"]["median"] or np.nan for one in curve])
    axes.fill_between(n, low, high, color=COLOURS[1], alpha=0.25, lw=0, label="90 % interval")
    axes.plot(n[known], median[known], color=COLOURS[1], lw=2, label="median")
    axes.plot(n, n, color="0.4", ls="--", lw=1.2, label="as many")
    axes.plot(n, n / 3, color=COLOURS[0], ls=":", lw=1.5, label="a third, as stated")
    axes.plot([1500], [500], "D", color="black", ms=7, label="printed: 500 for 1,500")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(n.min(), n.max())
    axes.set_ylim(50, n.max())
    axes.set_xlabel("real CTs alone")
    axes.set_ylabel("real CTs, with 3x synthetic, for the same DSC")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", fontsize=8)
    axes.set_title("Equal performance", fontsize=10)
