"""Which test cases of a run are worth a picture: the best, the middle one, the worst, and one with missed lesions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

Kind = Literal["best", "median", "worst", "missed"]


@dataclass(frozen=True)
class Choice:
    """A case, and where it stands among the others."""

    kind: Kind
    case: str
    score: float
    of: int
    """Test cases with a score."""
    mean: float
    """Over these."""
    missed: int
    """How many of them have missed lesions, or miss the structure."""
    called: str = ""
    """What others may call it; by default its id."""

    @property
    def name(self) -> str:
        """As it is shown."""
        return self.called or self.case


def cases_to_draw(scores: pd.DataFrame, metric: str) -> list[Choice]:
    """Choose up to four cases, none twice; of equal ones the first by name is better.

    Args:
        scores: One run, structure and test set: columns `case`, `metric`, `score`. `missed` and `lesion_sensitivity`,
            where it was scored, tell which cases have missed lesions.
        metric: Ranks the cases; higher is better.

    Returns:
        In the order best, median, worst, missed; none without scores. A single case is the median, two are the best
        and the worst. The case with missed lesions is the one with the lowest sensitivity, of equal ones with the
        lowest score, that is not one of the others.
    """
    table = scores.pivot_table(index="case", columns="metric", values="score", dropna=False)
    if metric not in table or table[metric].isna().all():
        return []
    table = table[table[metric].notna()].rename_axis(columns=None).reset_index()
    ranked = table.sort_values([metric, "case"], ascending=[False, True], ignore_index=True)
    last = len(ranked) - 1
    kinds: dict[int, Kind] = {0: "best", last: "worst", (last + 1) // 2: "median"} if last > 1 else {}
    kinds = kinds or ({0: "best", 1: "worst"} if last else {0: "median"})
    sensitivity = _sensitivity(ranked)
    missed = [row for row in ranked.index if sensitivity[row] < 1]
    left = [row for row in missed if row not in kinds]
    if left:
        kinds[min(left, key=lambda row: (sensitivity[row], -row))] = "missed"
    order = {"best": 0, "median": 1, "worst": 2, "missed": 3}
    mean = float(ranked[metric].mean())
    return [
        Choice(kind, str(ranked["case"][row]), float(ranked[metric][row]), len(ranked), mean, len(missed))
        for row, kind in sorted(kinds.items(), key=lambda item: order[item[1]])
    ]


def _sensitivity(ranked: pd.DataFrame) -> pd.Series:
    """Share of the lesions found; where they were not counted 0 if the structure is missed or not hit, else 1."""
    unknown = pd.Series(float("nan"), ranked.index)
    nothing = (ranked.get("missed", unknown) == 1) | (ranked.get("dice", unknown) == 0)
    return ranked.get("lesion_sensitivity", unknown).fillna(1 - nothing.astype(float))
