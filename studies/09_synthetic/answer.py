"""What are three synthetic cases beside every real one worth? Writes answer.md beside this file.

python studies/09_synthetic/answer.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import dicecast

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import answers  # noqa: E402

ARMS = ("real", "real + synthetic")
STRUCTURES = ("kidney", "tumour")
AT = (8, 16, 32)
"""Real cases whose score is to be reached."""
HEAD = ["real alone", "real + synthetic for the same", "as a multiple", "saved", "P(fewer)", "P(beyond horizon)"]


def read(structure: str) -> pd.DataFrame:
    """Dice of one structure, case by case."""
    scores = pd.read_csv(HERE / "scores.csv.gz")
    of = (scores["structure"] == structure) & (scores["metric"] == "dice") & (scores["stratum"] == "all")
    return dicecast.validate_scores(scores[of])


def compared(scores: pd.DataFrame) -> dicecast.Comparison:
    """Real + synthetic against real alone."""
    curves = sorted(dicecast.curves_from_scores(scores, pool=[max(AT)]), key=lambda one: ARMS.index(one.arm))
    return dicecast.compare_curves(curves, dicecast.Question(at=AT))[0]


def observed(curves: Sequence[dicecast.Curve]) -> str:
    """Mean Dice over the test cases by size, and of each draw."""
    rows = []
    for one in curves:
        draws = [one.y[one.n == n] for n in one.sizes]
        cells = [f"{found.mean():.3f} ({', '.join(f'{y:.3f}' for y in found)})" for found in draws]
        rows.append([one.arm, *cells])
    return answers.table(["real cases", *map(str, curves[0].sizes)], rows)


def equal(found: dicecast.Comparison) -> list[list[str]]:
    """Real + synthetic cases for what real ones reach."""
    rows = []
    for one in found.pairs[0].equal_curve:
        if one.n in AT:
            words = [one.cases.words("{:.0f}"), one.ratio.words("{:.2f}"), one.saved.words("{:.0%}")]
            fewer = "-" if one.p_fewer is None else f"{one.p_fewer:.2f}"
            rows.append([str(one.n), *words, fewer, f"{one.p_beyond:.2f}"])
    return rows


def by_draw(scores: pd.DataFrame) -> str:
    """The same from every draw alone, as if it were the whole study."""
    rows = []
    for draw, part in scores.groupby("draw"):
        rows += [[str(draw), *row] for row in equal(compared(part))]
    return answers.table(["draw", *HEAD], rows)


def main() -> None:
    parts = []
    for structure in STRUCTURES:
        scores = read(structure)
        found = compared(scores)
        words = f"{found.pairs[0].words[2]}.\n\nRun: {found.arm or 'cannot tell'}; {found.reason}"
        together = answers.table(HEAD, equal(found))
        parts += [f"## {structure}", observed(found.curves), together, words, "Every draw alone:", by_draw(scores)]
    answers.write(HERE / "answer.md", "Answer", "answer.py", "\n\n".join(parts))


if __name__ == "__main__":
    main()
