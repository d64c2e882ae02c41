"""Which needs fewer cases, 2D or 3D, and would pilots up to 20, 60 or 160 cases have said so? Writes answer.md.

python studies/06_2d_or_3d/answer.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import dicecast
from dicecast.forecast.equal_performance import saving_words

HERE = Path(__file__).resolve().parent
STRUCTURES = ("hippocampus", "anterior", "posterior")
SEEN = (20, 60, 160)
"""Largest pilots that the answer is given from."""
LAST = 160


def curves_up_to(scores: pd.DataFrame, largest: int) -> list[dicecast.Curve]:
    """The curves of Dice as they were before larger sizes were trained; every draw is of the pool of 160."""
    seen = scores[(scores["n_cases"] <= largest) & (scores["metric"] == "dice")]
    return [replace(one, pool=(LAST,)) for one in dicecast.curves_from_scores(dicecast.validate_scores(seen))]


def line(found: dicecast.Comparison, observed: tuple[float, float, float]) -> list[str]:
    """Which arm the pilots say to run, and whether the runs at 160 agree."""
    (pair,) = found.pairs
    asked = pair.scores[-1]
    ahead = "3d" if observed[0] > 0 else "2d"
    sure = observed[1] > 0 or observed[2] < 0
    verdict = "open" if found.arm is None or not sure else "confirmed" if found.arm == ahead else "refuted"
    return [
        str(pair.first.sizes[-1]),
        found.arm or "cannot tell",
        str(asked.n),
        f"{asked.p_second_better:.2f}",
        signed(asked.interval.median, asked.interval.lo, asked.interval.hi),
        signed(*observed),
        verdict,
    ]


def saved(found: dicecast.Comparison) -> str:
    """Cases of the other arm for what one reaches, as a sentence."""
    (pair,) = found.pairs
    over = pair.crossing
    ahead = f"From {over.start} to {over.end} cases 3d is ahead all the way with probability {over.p_second:.2f}."
    return f"{saving_words('2d', '3d', pair.equal)}; {saving_words('3d', '2d', pair.reverse)}. {ahead}"


def signed(middle: float, low: float, high: float) -> str:
    return f"{middle:+.3f} [{low:+.3f}, {high:+.3f}]"


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def observed_at_last(curves: list[dicecast.Curve]) -> tuple[float, float, float]:
    """3D minus 2D at 160 cases on the same test cases, averaged over draws, with a 90 % bootstrap interval."""
    two, three = (one.case_means(LAST) for one in curves)
    difference = three - two
    rng = np.random.default_rng(0)
    means = difference[rng.integers(len(difference), size=(5000, len(difference)))].mean(axis=1)
    low, high = np.quantile(means, [0.05, 0.95])
    return float(difference.mean()), float(low), float(high)


def forecasts(scores: pd.DataFrame, structure: str) -> list[list[str]]:
    """Scores at 160 forecast from fewer, against the runs there."""
    rows = []
    whole = {(one.arm, one.structure): one for one in curves_up_to(scores, LAST)}
    for largest in SEEN[:-1]:
        for curve in curves_up_to(scores, largest):
            if curve.structure != structure:
                continue
            (at,) = dicecast.forecast_curve(curve, dicecast.Question(at=(LAST,)), backtest=False, quick=True).at
            full = whole[curve.arm, structure]
            seen = float(full.y[full.n == LAST].mean())
            held = "yes" if at.next_run.lo <= seen <= at.next_run.hi else "no"
            ends = f"{at.expected.median:.3f} [{at.next_run.lo:.3f}, {at.next_run.hi:.3f}]"
            note = "" if at.within_horizon else " (past the horizon)"
            rows.append([str(largest), curve.arm, ends + note, f"{seen:.3f}", held])
    return rows


def main() -> None:
    scores = pd.read_csv(HERE / "scores.csv.gz")
    parts = []
    for structure in STRUCTURES:
        of = scores[scores["structure"] == structure]
        observed = observed_at_last(curves_up_to(of, LAST))
        rows = []
        for largest in SEEN:
            curves = curves_up_to(of, largest)
            question = dicecast.Question(at=tuple(sorted({largest, min(4 * largest, LAST)})))
            (found,) = dicecast.compare_curves(curves, question)
            rows.append(line(found, observed))
        head = ["pilots up to", "run", "asked at", "P(3D better)", "3D - 2D", "3D - 2D of the runs at 160", "verdict"]
        parts.append(f"## {structure}\n\n{table(head, rows)}\n\nFrom all pilots: {saved(found)}")
        head = ["pilots up to", "arm", "Dice of a run at 160, forecast", "observed", "held"]
        parts.append(table(head, forecasts(scores, structure)))
    text = "\n\n".join(parts)
    print(text)
    (HERE / "answer.md").write_text(f"# Answer\n\nWritten by `answer.py`.\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
