"""What the scores per test case say beside their mean: volumes, sizes, small structures.

What cannot be known is None, and a message or note says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from .agreement import (
    FEWEST,
    BlandAltman,
    PairedTest,
    Spearman,
    StrataTest,
    VolumeRegression,
    between_strata,
    bland_altman,
    document_of,
    mean_sd,
    paired,
    spearman,
    volume_regression,
)
from .errors import InputError
from .paired import PairedDifference, holm, paired_difference
from .scores import CROSS_VALIDATION


def scores_by_size(
    scores: pd.DataFrame,
    arm: str,
    structure: str,
    metric: str,
    *,
    test_set: str = "test",
    stratum: str = "all",
    protocol: str | None = None,
) -> pd.DataFrame:
    """Scores of one arm by test case (rows, sorted) and size (columns, ascending), averaged over draws.

    Args:
        scores: As returned by `validate_scores`.
        arm: Way of training.
        structure: Label or region.
        metric: Any metric with scores per case.
        test_set: Which test set.
        stratum: Which part of it.
        protocol: Needed only when there are several.

    Returns:
        NaN where the score of a case is undefined or missing in any draw of that size.

    Raises:
        InputError: No such scores, no scores per case, or several protocols.
    """
    rows = _rows(scores, {"arm": arm, "structure": structure, "test_set": test_set, "stratum": stratum}, protocol)
    rows = rows[rows["metric"] == metric]
    if rows.empty:
        raise InputError(f"metric {metric!r} of {arm}/{structure} has no scores per test case. Check the metric.")
    table = rows.pivot(index="case", columns=["n_cases", "draw"], values="score").sort_index()
    sizes = sorted(set(table.columns.get_level_values("n_cases")))
    return pd.DataFrame({int(n): table[n].mean(axis=1, skipna=False) for n in sizes}, index=table.index)


@dataclass(frozen=True)
class SizeTest:
    """The largest size against a smaller one on the same test cases."""

    n: int
    n_reference: int
    difference: PairedDifference
    """Largest minus smaller: bootstrap interval over cases, paired t-test and its Holm-adjusted p."""
    paired: PairedTest
    """Largest minus smaller: t interval, paired t-test and Wilcoxon signed-rank test."""
    p_wilcoxon_holm: float | None
    """The latter's p, corrected for all sizes (Holm 1979)."""


@dataclass(frozen=True)
class SizesCompared:
    """Every smaller size of one arm against its largest."""

    arm: str
    structure: str
    metric: str
    cases: tuple[str, ...]
    """Test cases scored at every size."""
    left_out: int
    """Test cases undefined or missing at some size."""
    tests: tuple[SizeTest, ...]
    note: str

    def document(self) -> dict[str, Any]:
        """As strict JSON."""
        return dict(document_of(self))


def sizes_compared(
    scores: pd.DataFrame,
    arm: str,
    structure: str,
    metric: str = "dice",
    *,
    test_set: str = "test",
    stratum: str = "all",
    protocol: str | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> SizesCompared:
    """Test each smaller size against the largest on the test cases scored at every size, averaged over draws.

    Args:
        scores: As returned by `validate_scores`.
        arm: Way of training.
        structure: Label or region.
        metric: Any metric with scores per case.
        test_set: Which test set.
        stratum: Which part of it.
        protocol: Needed only when there are several.
        level: Probability of the intervals.
        seed: Of the bootstrap over cases.

    Raises:
        InputError: No such scores, no scores per case, or several protocols.
    """
    table = scores_by_size(scores, arm, structure, metric, test_set=test_set, stratum=stratum, protocol=protocol)
    whole = table.dropna()
    *smaller, largest = map(int, table.columns)
    made = SizesCompared(arm, structure, metric, tuple(map(str, whole.index)), len(table) - len(whole), (), "")
    if not smaller or len(whole) < FEWEST:
        return replace(made, note=f"{len(whole)} case(s) at {len(table.columns)} size(s): nothing to test")
    columns = {n: whole[n].to_numpy(dtype=float) for n in (*smaller, largest)}
    differences = holm([paired_difference(columns[n], columns[largest], level, seed) for n in smaller])
    tests = [paired(columns[n], columns[largest], level=level) for n in smaller]
    ranked = holm([replace(one, p=test.p_wilcoxon) for one, test in zip(differences, tests, strict=True)])
    found = zip(smaller, differences, tests, ranked, strict=True)
    return replace(made, tests=tuple(SizeTest(n, largest, one, test, rank.p_holm) for n, one, test, rank in found))


@dataclass(frozen=True)
class MetricSummary:
    """One metric over the test cases of a run."""

    metric: str
    n: int
    """Test cases with a defined score."""
    undefined: int
    """Test cases whose score is undefined or missing in some draw."""
    mean: float | None
    sd: float | None
    """Standard deviation over test cases, n - 1 in the denominator."""
    median: float | None
    q1: float | None
    q3: float | None
    """Quartiles."""


@dataclass(frozen=True)
class Missed:
    """Predictions that find nothing of a structure the reference contains."""

    predictions: int
    """Predictions judged: test cases times draws."""
    missed: int
    cases: int
    """Test cases missed by at least one draw."""


@dataclass(frozen=True)
class RunAgreement:
    """What the predictions of one (arm, structure, size) tell beside the mean score."""

    arm: str
    structure: str
    test_set: str
    stratum: str
    n: int
    """Annotated cases used, training + validation."""
    draws: tuple[int, ...]
    cases: pd.DataFrame
    """Mean over draws by test case (rows) and metric (columns), NaN where undefined in some draw."""
    absent: int
    """Test cases whose reference does not contain the structure; only false positives count them."""
    metrics: tuple[MetricSummary, ...]
    missed: Missed | None
    bland_altman: BlandAltman | None
    bland_altman_percent: BlandAltman | None
    regression: VolumeRegression | None
    dice_by_volume: Spearman | None
    """Rank correlation of Dice with the reference volume."""
    median_ml: float | None
    """Median reference volume, mL."""
    small_and_large: StrataTest | None
    """Dice of the cases up to the median reference volume (a) and above it (b)."""
    messages: tuple[str, ...]
    """What cannot be known, and why."""

    def document(self) -> dict[str, Any]:
        """As strict JSON, the table of cases included."""
        values = self.cases.astype(object).where(self.cases.notna(), None)
        cases = [{"case": str(case), **row} for case, row in zip(values.index, values.to_dict("records"), strict=True)]
        return {**document_of(self), "cases": cases}


def run_agreement(
    scores: pd.DataFrame,
    arm: str,
    n: int,
    structure: str,
    *,
    test_set: str = "test",
    stratum: str = "all",
    protocol: str | None = None,
    draw: int | None = None,
    relative_to: Literal["reference", "mean"] = "reference",
    level: float = 0.95,
) -> RunAgreement:
    """Summarise the scores per test case of one arm, structure and size.

    Args:
        scores: As returned by `validate_scores`; volumes are the metrics `volume_ml` and `reference_ml`.
        arm: Way of training.
        n: Annotated cases used.
        structure: Label or region.
        test_set: Which test set.
        stratum: Which part of it.
        protocol: Needed only when there are several.
        draw: A single draw; by default the scores of a case are averaged over draws.
        relative_to: What 100 % is in the Bland-Altman analysis in percent.
        level: Probability of the confidence intervals.

    Raises:
        InputError: No such scores, no scores per case, several protocols, or a reference volume that is not the same
            in every draw.
    """
    key = {"arm": arm, "structure": structure, "test_set": test_set, "stratum": stratum, "n_cases": n}
    rows = _rows(scores, key if draw is None else {**key, "draw": draw}, protocol)
    draws = tuple(sorted(int(one) for one in rows["draw"].unique()))
    _refuse_moving_reference(rows, f"{arm}/{structure} at {n} cases")
    names = [str(name) for name in rows["metric"].unique()]
    table = rows.pivot(index="case", columns=["metric", "draw"], values="score").sort_index()
    table = table.reindex(columns=pd.MultiIndex.from_product([names, draws]))
    # in cross-validation every draw scores cases of its own
    of_all = test_set != CROSS_VALIDATION
    means = {name: table[[(name, one) for one in draws]].mean(axis=1, skipna=not of_all) for name in names}
    cases = pd.DataFrame(means, index=table.index)
    absent = _absent(cases)
    made = RunAgreement(
        arm=arm,
        structure=structure,
        test_set=test_set,
        stratum=stratum,
        n=n,
        draws=draws,
        cases=cases,
        absent=int(absent.sum()),
        metrics=tuple(_summary(cases.loc[absent == _about_absent(name), name]) for name in names),
        missed=_missed(rows[~rows["case"].isin(cases.index[absent])]),
        bland_altman=None,
        bland_altman_percent=None,
        regression=None,
        dice_by_volume=None,
        median_ml=None,
        small_and_large=None,
        messages=(),
    )
    made = _with_volumes(made, cases[~absent], relative_to, level)
    if len(draws) > 1:
        said = (
            f"averaged over {len(draws)} draws: a single run scatters more than the standard deviations and limits of "
            "agreement here; ask for one draw to see it"
        )
        made = replace(made, messages=(said, *made.messages))
    return made


def _refuse_negative(volumes: pd.DataFrame, what: str) -> None:
    wrong = volumes[(volumes < 0).any(axis=1)]
    if len(wrong):
        raise InputError(
            f"{what}: volumes must be >= 0 mL, found {float(wrong.iloc[0].min()):g} for case {wrong.index[0]!r}. "
            "Correct them."
        )


def _with_volumes(
    made: RunAgreement, cases: pd.DataFrame, relative_to: Literal["reference", "mean"], level: float
) -> RunAgreement:
    """The run with what predicted and reference volumes tell about the cases that contain the structure."""
    messages: list[str] = []
    if {"volume_ml", "reference_ml"} <= set(cases.columns):
        known = cases[["reference_ml", "volume_ml"]].dropna()
        _refuse_negative(known, f"{made.arm}/{made.structure} at {made.n} cases")
        reference, predicted = (known[name].to_numpy(dtype=float) for name in ("reference_ml", "volume_ml"))
        absolute = bland_altman(reference, predicted, relative=False, level=level)
        percent = bland_altman(reference, predicted, relative=True, relative_to=relative_to, level=level)
        line = volume_regression(reference, predicted)
        made = replace(made, bland_altman=absolute, bland_altman_percent=percent, regression=line)
        named = {"Bland-Altman, mL": absolute.note, "Bland-Altman, %": percent.note, "regression": line.note}
        messages += [f"{name}: {note}" for name, note in named.items() if note]
        if len(known) < len(cases):
            messages.append(f"{len(cases) - len(known)} case(s) without both volumes are left out of their comparison")
    else:
        messages.append("volumes: no scores volume_ml and reference_ml, so volumes are not compared")
    if {"dice", "reference_ml"} <= set(cases.columns):
        known = cases[["dice", "reference_ml"]].dropna()
        dice, volume = (known[name].to_numpy(dtype=float) for name in ("dice", "reference_ml"))
        median = float(np.median(volume)) if len(volume) else None
        rank = spearman(dice, volume)
        groups = between_strata(dice[volume <= median], dice[volume > median]) if median is not None else None
        made = replace(made, dice_by_volume=rank, median_ml=median, small_and_large=groups)
        messages += [f"Dice by volume: {rank.note}"] if rank.note else []
        messages += [f"Dice below and above the median volume: {groups.note}"] if groups and groups.note else []
    return replace(made, messages=tuple(messages))


def _absent(cases: pd.DataFrame) -> pd.Series[bool]:
    """Whether the reference of a case does not contain the structure."""
    found = pd.Series(False, index=cases.index)
    if "reference_ml" in cases:
        found |= cases["reference_ml"] == 0
    if "false_positive" in cases:
        found |= cases["false_positive"].notna()
    return found


def _about_absent(metric: str) -> bool:
    """Whether a metric is about the cases that do not contain the structure."""
    return metric in ("false_positive", "false_positive_ml")


def _summary(column: pd.Series[float]) -> MetricSummary:
    values = np.asarray(column.dropna(), dtype=np.float64)
    q1, median, q3 = map(float, np.quantile(values, [0.25, 0.5, 0.75])) if len(values) else (None, None, None)
    mean, sd = mean_sd(values)
    return MetricSummary(str(column.name), len(values), len(column) - len(values), mean, sd, median, q1, q3)


def _missed(rows: pd.DataFrame) -> Missed | None:
    judged = rows[(rows["metric"] == "missed") & rows["score"].notna()]
    if judged.empty:
        return None
    lost = judged[judged["score"] > 0]
    return Missed(len(judged), len(lost), int(lost["case"].nunique()))


def _refuse_moving_reference(rows: pd.DataFrame, name: str) -> None:
    volumes = rows[rows["metric"] == "reference_ml"].groupby("case")["score"]
    moved = volumes.max() - volumes.min() > 1e-6 * volumes.max()
    if moved.any():
        raise InputError(
            f"{name}: the reference volume of a case must be the same in every draw, found several for case "
            f"{moved.idxmax()!r}. Score all draws against the same reference, or tell references apart by test_set."
        )


def _rows(scores: pd.DataFrame, key: dict[str, Any], protocol: str | None) -> pd.DataFrame:
    """The scores per test case that a key names, of one protocol."""
    wanted = key if protocol is None else {**key, "protocol": protocol}
    rows = scores[(scores[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    said = ", ".join(f"{name}={value}" for name, value in wanted.items())
    if rows.empty:
        raise InputError(f"agreement needs scores of {said}, found none. Check these names against the scores table.")
    rows = rows[rows["case"] != ""]
    if rows.empty:
        raise InputError(f"agreement needs scores per test case, found only averages for {said}. Fill in 'case'.")
    if rows["protocol"].nunique() > 1:
        found = ", ".join(repr(one) for one in sorted(rows["protocol"].unique()))
        raise InputError(f"agreement needs scores of one protocol, found {found} for {said}. Name one of them.")
    return rows
