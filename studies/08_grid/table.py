"""The table of depth by share of the data, and its figure. Writes table.md and grid.png beside this file.

python studies/08_grid/table.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import dicecast

HERE = Path(__file__).resolve().parent
COLOURS = ("#56B4E9", "#0072B2", "#E69F00", "#D55E00")
MARKERS = "osD^"


def means() -> pd.DataFrame:
    """Mean Dice over the test cases, depths by cases."""
    scores = pd.read_csv(HERE / "scores.csv.gz")
    return scores.groupby(["arm", "n_cases"])["score"].mean().unstack()


def lines(grid: pd.DataFrame) -> list[list[str]]:
    """Per depth: every score, the last gain, and what the curve says of more cases."""
    scores = pd.read_csv(HERE / "scores.csv.gz")
    curves = {one.arm: one for one in dicecast.curves_from_scores(dicecast.validate_scores(scores))}
    rows = []
    for arm, row in grid.iterrows():
        found = dicecast.forecast_curve(curves[str(arm)], dicecast.Question(reach=160), backtest=False)
        assert found.reachable_gain is not None and found.fit is not None
        gain = found.reachable_gain
        size, _ = found.fit.plateau(0.01)
        late = row[grid.columns[-1]] - row[64]
        words = f"{gain.interval.median:.3f} [{gain.interval.lo:.3f}, {gain.interval.hi:.3f}]"
        rows.append([str(arm), *(f"{value:.3f}" for value in row), f"{late:+.3f}", words, f"{size:.0f}"])
    return rows


def draw(grid: pd.DataFrame) -> None:
    largest = int(grid.columns[-1])
    figure = Figure(figsize=(8.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for (arm, row), colour, marker in zip(grid.iterrows(), COLOURS, MARKERS, strict=True):
        left.plot(100 * row.index / largest, row, marker=marker, color=colour, markersize=4, label=str(arm))
    left.axvline(80, color="0.5", linestyle=":", linewidth=1)
    left.annotate("80 %", (80, left.get_ylim()[0]), xytext=(3, 4), textcoords="offset points", fontsize=8, color="0.35")
    left.set_xlabel(f"share of {largest} cases, %")
    left.set_ylabel("Dice, mean over 40 test cases")
    left.grid(alpha=0.25)
    left.legend(fontsize=8, loc="lower right")
    values = grid.to_numpy()
    image = right.imshow(values, aspect="auto", cmap="cividis", origin="lower")
    for (y, x), value in np.ndenumerate(values):
        dark = value < (values.min() + values.max()) / 2
        text = f"{value:.3f}"[1:]
        right.text(x, y, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "black")
    right.set_xticks(range(len(grid.columns)), [f"{100 * n / largest:.0f}" for n in grid.columns], fontsize=8)
    right.set_yticks(range(len(grid)), list(grid.index), fontsize=8)
    right.set_xlabel("share of the data, %")
    figure.colorbar(image, ax=right, label="Dice")
    for ending in ("png", "svg"):
        figure.savefig(HERE / f"grid.{ending}", dpi=150)


def main() -> None:
    grid = means()
    largest = int(grid.columns[-1])
    head = [
        "depth",
        *(f"{n} ({100 * n / largest:.0f} %)" for n in grid.columns),
        "64 to 80",
        "gain 80 to 160",
        "n* (LS)",
    ]
    rows = [head, ["---"] * len(head), *lines(grid)]
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    print(text)
    (HERE / "table.md").write_text(f"# Table\n\nWritten by `table.py`.\n\n{text}\n", encoding="utf-8")
    draw(grid)


if __name__ == "__main__":
    main()
