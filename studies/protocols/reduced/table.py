"""Mean scores over the test cases of a finished study, by arm, structure and stratum: table.py STUDY [METRIC ...]."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    scores = pd.read_csv(Path(sys.argv[1]) / "scores.csv")
    wanted = scores[(scores["test_set"] == "test") & scores["metric"].isin(sys.argv[2:] or ["dice"])]
    means = wanted.groupby(["metric", "arm", "structure", "stratum", "n_cases"])["score"].mean().unstack()
    print(means.round(3).to_string())


if __name__ == "__main__":
    main()
