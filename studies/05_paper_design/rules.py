"""Ensemble rules against each other on the same predictions: rules.py phantom | hippocampus.

Mean Dice differences over test cases of all sizes and configurations, with bootstrap intervals over test cases.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

PAIRS = [("vote", "logits"), ("vote", "softmax"), ("softmax", "logits"), ("vote", "one fold alone")]


def main(name: str) -> None:
    table = pd.read_csv(Path(__file__).resolve().parent / name / "ensembles.csv.gz")
    table = table[table["test_set"] == "test"].dropna(subset="score")
    table["rule"] = table["rule"].mask(table["rule"].str.startswith("fold "), "one fold alone")
    keys = ["arm", "structure", "n_cases", "case"]
    wide = table.groupby([*keys, "rule"])["score"].mean().unstack()
    rng = np.random.default_rng(0)
    print("| structure | " + " | ".join(f"{a} - {b}" for a, b in PAIRS) + " |")
    print("|---" * (1 + len(PAIRS)) + "|")
    for structure in wide.index.unique("structure"):
        own = wide.xs(structure, level="structure")
        cells = []
        for a, b in PAIRS:
            by_case = (own[a] - own[b]).groupby("case").mean().to_numpy()
            means = rng.choice(by_case, (2000, len(by_case))).mean(axis=1)
            cells.append("{:+.4f} [{:+.4f}, {:+.4f}]".format(by_case.mean(), *np.quantile(means, [0.025, 0.975])))
        print(f"| {structure} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1])
