"""How well annotators agree among themselves, and predictions with each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .agreement import (
    FEWEST,
    ConfidenceInterval,
    Spearman,
    document_of,
    mean_sd,
    spearman,
)
from .errors import InputError
from .paired import BOOTSTRAPS
from .run_agreement import scores_by_size


@dataclass(frozen=True)
class AnnotatorMean:
    """Mean Dice over cases."""

    mean: float | None
    ci: ConfidenceInterval | None
    """Percentile bootstrap over cases."""
    cases: int
    scores: int
    """Dice values behind it; the values of a case are averaged first."""


@dataclass(frozen=True)
class AnnotatorCeiling:
    """How well annotators agree on one structure: what a model scored against one of them can hope for."""

    structure: str
    annotators: tuple[str, ...]
    between: AnnotatorMean
    """Every annotator against every other."""
    with_majority: AnnotatorMean
    """Every annotator against the majority vote, of which each is a part: higher than `between` for that alone."""
    undefined: int
    """Pairs without a Dice (neither found the structure), left out."""
    note: str

    def document(self) -> dict[str, Any]:
        """As strict JSON."""
        return dict(document_of(self))


def inter_annotator(
    table: pd.DataFrame, *, majority: str = "majority", level: float = 0.95, seed: int = 0
) -> tuple[AnnotatorCeiling, ...]:
    """The ceiling that annotators set each other, per structure in order of appearance.

    Args:
        table: Columns `case`, `structure`, `a`, `b` (names of annotators) and `dice`; each pair once per case, in
            either order; an undefined Dice is NaN.
        majority: Name by which `a` or `b` means the majority vote.
        level: Probability of the intervals.
        seed: Of the bootstrap over cases.

    Raises:
        InputError: No row, a missing column, an empty cell, a Dice outside [0, 1], an annotator paired with itself, or
            a pair that repeats.
    """
    groups = _check_annotators(table).groupby("structure", sort=False)
    return tuple(_ceiling(str(structure), rows, majority, level, seed) for structure, rows in groups)


def _ceiling(structure: str, rows: pd.DataFrame, majority: str, level: float, seed: int) -> AnnotatorCeiling:
    known = rows[rows["dice"].notna()]
    voted = (known["a"] == majority) | (known["b"] == majority)
    between, with_majority = (_annotator_mean(known[kind], level, seed) for kind in (~voted, voted))
    return AnnotatorCeiling(
        structure=structure,
        annotators=tuple(sorted({str(one) for name in "ab" for one in rows[name]} - {majority})),
        between=between,
        with_majority=with_majority,
        undefined=len(rows) - len(known),
        note="" if between.ci else f"{between.cases} case(s) with two annotators: an interval needs {FEWEST}",
    )


def _annotator_mean(rows: pd.DataFrame, level: float, seed: int) -> AnnotatorMean:
    means = np.asarray(rows.groupby("case")["dice"].mean(), dtype=np.float64)
    mean = mean_sd(means)[0]
    if len(means) < FEWEST:
        return AnnotatorMean(mean, None, len(means), len(rows))
    rng = np.random.default_rng([seed, 8])
    drawn = means[rng.integers(len(means), size=(BOOTSTRAPS, len(means)))].mean(axis=1)
    lo, hi = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return AnnotatorMean(mean, ConfidenceInterval(float(lo), float(hi), level), len(means), len(rows))


def _check_annotators(table: pd.DataFrame) -> pd.DataFrame:
    """The table with Dice as numbers."""
    columns = ["case", "structure", "a", "b", "dice"]
    lacking = [name for name in columns if name not in table.columns]
    if lacking:
        found = ", ".join(map(str, table.columns)) or "nothing"
        raise InputError(f"annotators: column {lacking[0]!r} is required, found {found}. Add it.")
    if table.empty:
        raise InputError("annotators: at least one pair of annotators is required, found none. Add rows.")
    dice = pd.to_numeric(table["dice"], errors="coerce")
    names = np.sort(table[["a", "b"]].astype(str).to_numpy(), axis=1)
    pairs = table[["case", "structure"]].assign(first=names[:, 0], second=names[:, 1])
    faults = {
        "case, structure, a and b must be filled in": table[columns[:-1]].isna().any(axis=1),
        "dice must lie in [0, 1], or be empty when undefined": table["dice"].notna() & ~dice.between(0, 1),
        "a and b must be two annotators": table["a"] == table["b"],
        "each pair of annotators must appear once per case": pairs.duplicated(),
    }
    for rule, bad in faults.items():
        if bad.any():
            row = table.loc[bad].iloc[0][columns]
            said = ", ".join(f"{name}={value}" for name, value in row.items())
            raise InputError(f"annotators, row {table.index[bad][0]}: {rule}, found {said}. Correct the row.")
    return table.assign(dice=dice)


@dataclass(frozen=True)
class AgainstAnnotator:
    """Scores of one run against one annotator's reference, beside those of the same cases against the majority vote."""

    annotator: str
    cases: int
    """Test cases with a defined score against both."""
    mean: float | None
    """Against this annotator."""
    mean_majority: float | None
    """Against the majority vote, same cases."""
    rank: Spearman
    """Between the two, over cases."""


AVERAGED = "their mean"
"""What the mean over all annotators is called among them."""


def against_annotators(
    scores: pd.DataFrame,
    arm: str,
    n: int,
    structure: str,
    references: Mapping[str, str],
    metric: str = "dice",
    *,
    test_set: str = "test",
    protocol: str | None = None,
) -> tuple[AgainstAnnotator, ...]:
    """Set the scores against every annotator beside those against the majority vote, averaged over draws.

    Args:
        scores: As returned by `validate_scores`.
        arm: Way of training.
        n: Annotated cases used.
        structure: Label or region.
        references: Test set that holds the scores against an annotator, by the annotator's name.
        metric: Any metric with scores per case.
        test_set: Test set of the scores against the majority vote.
        protocol: Needed only when there are several.

    Returns:
        One per annotator; of several also `AVERAGED`, the mean over all of them of every case that has them all.

    Raises:
        InputError: No such scores, no scores per case, or several protocols.
    """
    run = scores[scores["n_cases"] == n]
    majority, *each = (
        scores_by_size(run, arm, structure, metric, test_set=one, protocol=protocol)[n]
        for one in (test_set, *references.values())
    )
    named = list(zip(references, each, strict=True))
    if len(named) > 1:
        named.append((AVERAGED, pd.concat(each, axis=1).mean(axis=1, skipna=False)))
    return tuple(_against(name, column, majority) for name, column in named)


def _against(name: str, scores: pd.Series[float], majority: pd.Series[float]) -> AgainstAnnotator:
    both = pd.concat([scores, majority], axis=1, join="inner").dropna().to_numpy(dtype=float)
    means = [mean_sd(one)[0] for one in both.T]
    return AgainstAnnotator(name, len(both), means[0], means[1], spearman(both[:, 0], both[:, 1]))
