"""P3, how much data a segmentation needs: what levelling off past 80 % of the data means for a curve.

python studies/papers/p3_surrogate/share.py prints the tables and draws the figure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.optimize import brentq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from published import COLOURS, STUDIES, Row, fact, main, protocols_table, table

EPS = 0.01
AT = 0.8
"""Share of the data past which gains were said to level off."""
SMALLEST = {"polyp": 0.02, "glioma": 0.05}
"""Smallest share of the data."""
HERE = "python studies/papers/p3_surrogate/share.py"


def exponential(best: float, at_zero: float, k: float, share: np.ndarray | float) -> np.ndarray:
    """The exponential plateau through D0 and the best score at all the data; k per whole of the data."""
    ceiling = at_zero + (best - at_zero) / -np.expm1(-k)
    return np.asarray(ceiling - (ceiling - at_zero) * np.exp(-k * np.asarray(share)))


def slowest(best: float, at_zero: float) -> float:
    """The smallest k for which the last fifth of the data adds at most eps."""

    def excess(k: float) -> float:
        return float(best - exponential(best, at_zero, k, AT)) - EPS

    return float(brentq(excess, 1e-6, 50.0))


def plateau_share(best: float, at_zero: float, k: float) -> float:
    """n* as a share of the data."""
    ceiling = at_zero + (best - at_zero) / -np.expm1(-k)
    return float(np.log((ceiling - at_zero) / EPS) / k)


def power(best: float, start: float, c: float, share: np.ndarray | float, smallest: float) -> np.ndarray:
    """A power law through the scores at the smallest share and at all the data, DM - b share^-c."""
    b = (best - start) / (smallest**-c - 1)
    return np.asarray(best + b - b * np.asarray(share) ** -c)


def exponential_table() -> str:
    rows = []
    for name in SMALLEST:
        best = fact("P3", name, "best dice").value
        for at_zero in (0.0, 0.3, 0.5, 0.7):
            k = slowest(best, at_zero)
            half, twice = exponential(best, at_zero, k, 0.5), exponential(best, at_zero, k, 2.0)
            cells = [plateau_share(best, at_zero, k), best - half, twice - best]
            rows.append([name, f"{at_zero:.1f}", f"{k:.2f}", f"{cells[0]:.0%}", f"{cells[1]:.3f}", f"{cells[2]:.3f}"])
    header = ["task", "D0", "k at least, per whole data", "its n*, share of the data", "gain from 50 % to 100 %"]
    return table([*header, "gain of doubling the data"], rows)


def power_table() -> str:
    """Curves that never level off, and yet gain no more than eps past 80 %."""
    rows = []
    for name, smallest in SMALLEST.items():
        best = fact("P3", name, "best dice").value
        for start in (best - 0.1, best - 0.2, best - 0.3):
            for c in (0.1, 0.5):
                at = power(best, start, c, np.array([AT, 2.0, 4.0]), smallest)
                gains = [best - at[0], at[1] - best, at[2] - best]
                rows.append([name, f"{smallest:.0%}: {start:.2f}", f"{c:g}", *(f"{gain:.3f}" for gain in gains)])
    header = ["task", "score at the smallest share", "power c", "gain from 80 % to 100 %", "gain of doubling the data"]
    return table([*header, "gain of four times the data"], rows)


def report(_: dict[str, Any]) -> str:
    parts = {"Exponential plateaus that gain at most 0.01 past 80 %": exponential_table(), "Power laws": power_table()}
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def figure(_: dict[str, Any]) -> Figure:
    made = Figure(figsize=(7, 4.4), layout="constrained")
    axes, share = made.subplots(), np.linspace(0.02, 2, 400)
    best = fact("P3", "polyp", "best dice").value
    k = slowest(best, 0.5)
    axes.plot(share, exponential(best, 0.5, k, share), color=COLOURS[0], lw=2, label="exponential plateau, D0 = 0.5")
    axes.plot(
        share, power(best, best - 0.2, 0.1, share, 0.02), color=COLOURS[1], lw=2, ls="--", label="power law, c = 0.1"
    )
    axes.axvspan(AT, 1, color="0.5", alpha=0.2, lw=0, label="80 to 100 % of the data")
    axes.plot([1], [best], "o", color="black", ms=7, label="printed: best DSC 0.86")
    axes.set_xlabel("share of the data (above 1: more than there was)")
    axes.set_ylabel("DSC")
    axes.set_ylim(0.5, 0.95)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=9)
    axes.set_title("Polyps: the last fifth adds at most 0.01 to either curve", fontsize=10)
    return made


def late_gains() -> list[float]:
    """What the last fifth of the data added at each depth of study 8's grid, score units."""
    scores = pd.read_csv(STUDIES / "08_grid" / "scores.csv.gz")
    means = scores[scores["metric"] == "dice"].groupby(["arm", "n_cases"])["score"].mean().unstack()
    return list(means[80] - means[64])


def rows(_: dict[str, Any]) -> list[Row]:
    grid = "cannot be checked: scores by share and depth were not printed where we could read"
    real = protocols_table("| | 5 | 10 | 20 | 40 | 80 |")
    best = max(real, key=lambda stages: float(real[stages][-1]))
    words = f"reduced run on phantom images: {best}, {float(real[best][-1]):.3f} at 80 images"
    init = ("dicecast init STUDY --settings studies/protocols/p3_grid.toml", "dicecast run STUDY")
    made = [Row(f"{name}: best DSC", (fact("P3", name, "best dice"),), words, grid, init) for name in SMALLEST]
    levels = fact("P3", "both", "levels off past")
    low, high = (slowest(fact("P3", "polyp", "best dice").value, d) for d in (0.7, 0.0))
    words = f"k of {low:.1f} to {high:.1f} per whole data (D0 0.7 to 0) or more gains at most 0.01 past 80 %"
    late = late_gains()
    words += f"; study 8, hippocampus: {min(late):+.3f} to {max(late):+.3f} past 80 %"
    agrees = "cannot be checked: power laws that go on rising gain as little there"
    commands = (HERE, "python studies/08_grid/table.py", "dicecast forecast STUDY")
    made.append(Row("levels off past, % of the data", (levels,), words, agrees, commands))
    counts = tuple(fact("P3", name, "configurations") for name in SMALLEST)
    words = "a grid of arms and sizes in one study.toml"
    made.append(
        Row("configurations: polyp / glioma", counts, words, "yes: p3_grid.toml", ("dicecast run STUDY --dry-run",))
    )
    return made


if __name__ == "__main__":
    main(__file__, None, report, figure)
