"""Which needs fewer cases, 2D or 3D, and would pilots up to 20, 60 or 160 cases have said so? Writes answer.md.

python studies/06_2d_or_3d/answer.py
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

import dicecast

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import answers  # noqa: E402

STRUCTURES = ("hippocampus", "anterior", "posterior")
SEEN = (20, 60, 160)
"""Largest pilots that the answer is given from."""
LAST = 160


def curves_up_to(scores: pd.DataFrame, largest: int) -> list[dicecast.Curve]:
    """The curves of Dice as they were before larger sizes were trained; every draw is of the pool of 160."""
    seen = scores[(scores["n_cases"] <= largest) & (scores["metric"] == "dice")]
    return [replace(one, pool=(LAST,)) for one in dicecast.curves_from_scores(dicecast.validate_scores(seen))]


def line(found: dicecast.Comparison, observed: tuple[float, float, float]) -> list[str]:
    """Which arm the pilots say to run, and whether the runs at 160 agree; those that were seen confirm nothing."""
    (pair,) = found.pairs
    asked, largest = pair.scores[-1], int(pair.first.sizes[-1])
    ahead = "3d" if observed[0] > 0 else "2d"
    sure = observed[1] > 0 or observed[2] < 0
    verdict = "open" if found.arm is None or not sure else "confirmed" if found.arm == ahead else "refuted"
    return [
        str(largest),
        found.arm or "cannot tell",
        str(asked.n),
        f"{asked.p_second_better:.2f}",
        signed(asked.interval.median, asked.interval.lo, asked.interval.hi),
        signed(*observed),
        verdict if largest < LAST else "-",
    ]


def at_last(found: dicecast.Comparison) -> tuple[float, float, float]:
    """3D minus 2D at 160 cases on the same test cases, averaged over draws, with its 90 % interval over cases."""
    (there,) = (one.difference for one in found.pairs[0].observed if one.n == LAST)
    return there.mean, there.lo, there.hi


def signed(middle: float, low: float, high: float) -> str:
    return f"{middle:+.3f} [{low:+.3f}, {high:+.3f}]"


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
            runs = full.y[full.n == LAST]
            held = int(((at.next_run.lo <= runs) & (runs <= at.next_run.hi)).sum())
            ends = f"{at.expected.median:.3f} [{at.next_run.lo:.3f}, {at.next_run.hi:.3f}]"
            note = "" if at.within_horizon else " (past the horizon)"
            seen = ", ".join(f"{y:.3f}" for y in runs)
            rows.append([str(largest), curve.arm, ends + note, seen, f"{held} of {len(runs)}"])
    return rows


def main() -> None:
    scores = pd.read_csv(HERE / "scores.csv.gz")
    parts = []
    for structure in STRUCTURES:
        of = scores[scores["structure"] == structure]
        found = []
        for largest in SEEN:
            question = dicecast.Question(at=tuple(sorted({largest, min(4 * largest, LAST)})))
            found += dicecast.compare_curves(curves_up_to(of, largest), question)
        rows = [line(one, at_last(found[-1])) for one in found]
        head = ["pilots up to", "run", "asked at", "P(3D better)", "3D - 2D", "3D - 2D of the runs at 160", "verdict"]
        parts += [f"## {structure}", answers.table(head, rows)]
        parts.append(f"From all pilots: {'. '.join(found[-1].pairs[0].words)}.")
        head = ["pilots up to", "arm", "Dice of a run at 160, forecast", "observed", "held"]
        parts.append(answers.table(head, forecasts(scores, structure)))
    answers.write(HERE / "answer.md", "Answer", "answer.py", "\n\n".join(parts))


if __name__ == "__main__":
    main()
