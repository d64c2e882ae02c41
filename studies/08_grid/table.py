"""The table of depth by share of the data, and its figure. Writes table.md and grid.png beside this file.

python studies/08_grid/table.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import dicecast

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import answers  # noqa: E402

COLOURS = ("#56B4E9", "#0072B2", "#E69F00", "#D55E00")
MARKERS = "osD^"
SHARE = 80
"""Past this share of the data, in percent, the paper saw little gain."""


def read(path: Path = HERE / "scores.csv.gz") -> list[dicecast.Curve]:
    """One curve per depth, the shallowest first, all of the same sizes.

    Raises:
        ValueError: A depth comes with several structures or metrics, or sizes differ.
    """
    curves = dicecast.curves_from_scores(dicecast.validate_scores(pd.read_csv(path)))
    arms = [one.arm for one in curves]
    if len(set(arms)) < len(arms) or len({tuple(one.sizes) for one in curves}) > 1:
        raise ValueError(f"{path.name} must hold one curve per depth and the same sizes in each, found {arms}")
    return sorted(curves, key=lambda one: int(one.arm.split()[0]))


def line(curve: dicecast.Curve) -> list[str]:
    """A depth: every score, the last gain, and what the curve says of twice as many cases."""
    found = dicecast.forecast_curve(curve, dicecast.Question(), backtest=False)
    if found.gain_doubling is None or found.fit is None:
        raise ValueError(f"{curve.arm} has too few sizes to be forecast")
    gain, (size, _) = found.gain_doubling.interval, found.fit.plateau(0.01)
    scores = curve.observed
    late = scores[-1] - scores[curve.sizes <= SHARE / 100 * curve.sizes[-1]][-1]
    ends = f"{gain.median:.3f} [{gain.lo:.3f}, {gain.hi:.3f}]"
    return [curve.arm, *(f"{y:.3f}" for y in scores), f"{late:+.3f}", ends, f"{size:.0f}"]


def draw(curves: Sequence[dicecast.Curve]) -> Figure:
    """Scores by share of the data, and the same as a table of colours."""
    sizes = curves[0].sizes
    shares = 100 * sizes / sizes[-1]
    figure = Figure(figsize=(8.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for one, colour, marker in zip(curves, COLOURS, MARKERS, strict=False):
        left.plot(shares, one.observed, marker=marker, color=colour, markersize=4, label=one.arm)
    left.axvline(SHARE, color="0.5", linestyle=":", linewidth=1)
    at = (SHARE, left.get_ylim()[0])
    left.annotate(f"{SHARE} %", at, xytext=(3, 4), textcoords="offset points", fontsize=8, color="0.35")
    left.set_xlabel(f"share of {sizes[-1]} cases, %")
    left.set_ylabel(f"Dice, mean over {curves[0].n_test} test cases")
    left.grid(alpha=0.25)
    left.legend(fontsize=8, loc="center right")
    values = np.array([one.observed for one in curves])
    image = right.imshow(values, aspect="auto", cmap="cividis", origin="lower")
    for (y, x), value in np.ndenumerate(values):
        dark = value < (values.min() + values.max()) / 2
        colour = "white" if dark else "black"
        right.text(x, y, f"{value:.3f}"[1:], ha="center", va="center", fontsize=6.5, color=colour)
    right.set_xticks(range(len(sizes)), [f"{share:.0f}" for share in shares], fontsize=8)
    right.set_yticks(range(len(curves)), [one.arm for one in curves], fontsize=8)
    right.set_xlabel("share of the data, %")
    figure.colorbar(image, ax=right, label="Dice")
    return figure


def main() -> None:
    curves = read()
    sizes = curves[0].sizes
    largest = int(sizes[-1])
    shares = [f"{n} ({100 * n / largest:.0f} %)" for n in sizes]
    head = ["depth", *shares, f"past {SHARE} %", f"gain {largest} to {2 * largest}", "n* (least squares)"]
    text = answers.table(head, [line(one) for one in curves])
    answers.write(HERE / "table.md", "Table", "table.py", text)
    draw(curves).savefig(HERE / "grid.png", dpi=150)


if __name__ == "__main__":
    main()
