"""Scores pooled over test cases: voxels are counted over all of them before the ratio is taken."""

from __future__ import annotations

import pandas as pd

from ..forecast.errors import InputError
from ..forecast.scores import validate_scores
from .metrics import pooled

COUNTS = ["tp", "fp", "fn", "tn"]


def pooled_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """One averaged score per run instead of one per test case; large structures then weigh more.

    Args:
        scores: A valid scores table with the metrics tp, fp, fn and tn per test case.

    Returns:
        A valid scores table of dice, f1, jaccard, recall, precision, specificity and accuracy without test cases. Cases
        that do not contain the structure count too, with their false positives.

    Raises:
        InputError: The counts are not among the metrics.
    """
    rows = scores[scores["metric"].isin(COUNTS)]
    missing = [name for name in COUNTS if name not in set(rows["metric"])]
    if missing:
        raise InputError(
            f"pooled scores need the metrics {', '.join(COUNTS)} per test case, found no {missing[0]}. Add them to "
            "metrics in [scores] and run again: nothing is trained anew."
        )
    keys = ["arm", "structure", "test_set", "stratum", "protocol", "n_cases", "draw"]
    sums = rows.pivot_table(index=keys, columns="metric", values="score", aggfunc="sum")
    found = [
        {**dict(zip(keys, key, strict=True)), "metric": metric, "score": score}
        for key, counts in zip(sums.index, sums.to_dict("records"), strict=True)
        for metric, score in pooled({str(name): float(count) for name, count in counts.items()}).items()
        if score is not None
    ]
    return validate_scores(pd.DataFrame(found), "pooled scores") if found else scores.iloc[:0]
