"""Statistics of agreement, of arrays: two measurements of the same cases, their scores, and strata of cases.

Differences are always predicted minus reference, or second minus first. What too few or constant values cannot tell
is None, and `note` says why. Small samples are tested exactly, over every ordering, ties or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import combinations, pairwise, permutations, product
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy  # its stats are loaded when first used
from numpy.typing import ArrayLike

from .errors import InputError
from .types import FloatArray

FEWEST = 3
"""Values below which an interval or a test says nothing."""
NORMAL = 1.96
"""Standard deviations from the bias to a limit of agreement (95 % of the differences)."""
EXACT = 50_000
"""Orderings up to which a rank test counts them all."""
EXACT_PAIRS = 10_000
"""Pairs of cases up to which two groups without ties are tested exactly, by recursion."""
ROUNDING = 12
"""Decimal digits of the largest value that are more than rounding noise."""


@dataclass(frozen=True)
class ConfidenceInterval:
    """Two-sided interval of stated probability; its kind is named where it is held."""

    lo: float
    hi: float
    level: float


@dataclass(frozen=True)
class BlandAltman:
    """Differences of two measurements of the same cases and the limits that hold 95 % of them.

    Bland and Altman, Lancet 1986;1:307 and Stat Methods Med Res 1999;8:135.
    """

    n: int
    left_out: int
    """Cases with reference 0, which have no difference in percent."""
    bias: float | None
    """Mean difference, predicted minus reference, in `unit`."""
    sd: float | None
    """Standard deviation of the differences, n - 1 in the denominator."""
    lower: float | None
    upper: float | None
    """Limits of agreement: bias -+ 1.96 SD."""
    bias_ci: ConfidenceInterval | None
    lower_ci: ConfidenceInterval | None
    upper_ci: ConfidenceInterval | None
    """Confidence intervals by Student's t with n - 1 degrees of freedom."""
    unit: str
    """Of the differences."""
    measured_in: str
    """Unit of the measurements and of `means`."""
    definition: str
    """What a difference is, in words."""
    differences: FloatArray
    means: FloatArray
    """One per case kept, shape [n]; `means` are of reference and prediction."""
    note: str


def bland_altman(
    reference: ArrayLike,
    predicted: ArrayLike,
    *,
    relative: bool,
    relative_to: Literal["reference", "mean"] = "reference",
    unit: str = "mL",
    level: float = 0.95,
) -> BlandAltman:
    """Bias and limits of agreement of two measurements, shapes [cases].

    A limit of agreement has the variance `(1 / n + 1.96^2 / (2 (n - 1))) SD^2` (Bland and Altman 1999).

    Args:
        reference: Reference measurements.
        predicted: Predicted measurements of the same cases.
        relative: Whether differences are in percent; cases with reference 0 are then left out and counted.
        relative_to: What 100 % is: the reference, or the mean of both.
        unit: Of the measurements.
        level: Probability of the confidence intervals.

    Raises:
        InputError: Arrays that are not finite or not of one length; negative measurements in percent.
    """
    first, second = _pair(reference, predicted)
    if relative and min(first.min(initial=0.0), second.min(initial=0.0)) < 0:
        raise InputError("differences in percent need measurements >= 0, found a negative one. Use relative=False.")
    kept = first != 0 if relative else np.ones(len(first), dtype=bool)
    first, second = first[kept], second[kept]
    means = (first + second) / 2
    differences, shown, definition = _differences(first, second), unit, "predicted minus reference"
    if relative:
        whole, named = (first, "reference") if relative_to == "reference" else (means, "mean of both")
        shown, definition = "%", f"{definition}, % of the {named}"
        differences = _rounded(100 * (second - first) / whole, 100.0)
    bias, sd = mean_sd(differences)
    made = BlandAltman(
        n=len(differences),
        left_out=int((~kept).sum()),
        bias=bias,
        sd=sd,
        lower=None,
        upper=None,
        bias_ci=None,
        lower_ci=None,
        upper_ci=None,
        unit=shown,
        measured_in=unit,
        definition=definition,
        differences=differences,
        means=means,
        note="",
    )
    return _with_limits(made, level)


def _with_limits(made: BlandAltman, level: float) -> BlandAltman:
    n, bias, sd = made.n, made.bias, made.sd
    if n < FEWEST or bias is None or sd is None:
        return replace(made, note=f"{n} case(s): limits of agreement need {FEWEST}")
    lower, upper = bias - NORMAL * sd, bias + NORMAL * sd
    made = replace(made, lower=lower, upper=upper)
    if sd == 0:
        return replace(made, note="all differences are the same: no spread to judge the bias by")
    t = float(scipy.stats.t.ppf((1 + level) / 2, n - 1)) * sd
    outer = t * math.sqrt(1 / n + NORMAL**2 / (2 * (n - 1)))
    return replace(
        made,
        bias_ci=_around(bias, t / math.sqrt(n), level),
        lower_ci=_around(lower, outer, level),
        upper_ci=_around(upper, outer, level),
    )


@dataclass(frozen=True)
class VolumeRegression:
    """Least-squares line of predicted on reference measurements, and how near they are to being equal."""

    n: int
    slope: float | None
    intercept: float | None
    slope_se: float | None
    intercept_se: float | None
    """Standard errors, n - 2 degrees of freedom."""
    r2: float | None
    """Coefficient of determination of the line."""
    concordance: float | None
    """Lin's concordance correlation coefficient: 1 only on the line of identity (Lin, Biometrics 1989;45:255)."""
    unit: str
    reference: FloatArray
    predicted: FloatArray
    """Shapes [n]."""
    note: str


def volume_regression(reference: ArrayLike, predicted: ArrayLike, *, unit: str = "mL") -> VolumeRegression:
    """Regress predicted on reference measurements, shapes [cases].

    Raises:
        InputError: Arrays that are not finite or not of one length.
    """
    x, y = _pair(reference, predicted)
    empty = VolumeRegression(len(x), None, None, None, None, None, None, unit, x, y, "")
    if len(x) < FEWEST:
        return replace(empty, note=f"{len(x)} case(s): a line needs {FEWEST}")
    if _constant(x):
        return replace(empty, note="all references are the same: no line")
    if _constant(y):
        flat = "all predictions are the same: no R^2"
        return replace(empty, slope=0.0, intercept=float(y[0]), concordance=0.0, note=flat)
    line = scipy.stats.linregress(x, y)
    apart = np.var(x) + np.var(y) + (x.mean() - y.mean()) ** 2
    return replace(
        empty,
        slope=float(line.slope),
        intercept=float(line.intercept),
        slope_se=float(line.stderr),
        intercept_se=float(line.intercept_stderr),
        r2=min(float(line.rvalue) ** 2, 1.0),
        concordance=float(2 * np.mean((x - x.mean()) * (y - y.mean())) / apart),
    )


@dataclass(frozen=True)
class PairedTest:
    """Two scores of the same cases, second minus first."""

    n: int
    mean: float | None
    """Mean difference, score units."""
    mean_ci: ConfidenceInterval | None
    """By Student's t with n - 1 degrees of freedom."""
    p_t: float | None
    """Two-sided paired t-test."""
    p_wilcoxon: float | None
    """Two-sided Wilcoxon signed-rank test, differences of 0 left out; 1 when all are."""
    zeros: int
    """Differences of 0."""
    note: str


def paired(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> PairedTest:
    """Compare two scores of the same cases, shapes [cases].

    Raises:
        InputError: Arrays that are not finite or not of one length.
    """
    differences = _differences(*_pair(a, b))
    n, zeros = len(differences), int((differences == 0).sum())
    mean = mean_sd(differences)[0]
    if n < FEWEST:
        return PairedTest(n, mean, None, None, None, zeros, f"{n} case(s): a paired test needs {FEWEST}")
    p = _signed_rank(differences[differences != 0])
    if np.ptp(differences) == 0:
        said = "all differences are 0: p = 1 by ranks" if zeros else "all differences are the same"
        return PairedTest(n, mean, None, None, p, zeros, f"{said}, no t-test")
    test = scipy.stats.ttest_1samp(differences, 0.0)
    ends = test.confidence_interval(level)
    interval = ConfidenceInterval(float(ends.low), float(ends.high), level)
    return PairedTest(n, mean, interval, float(test.pvalue), p, zeros, "")


def _signed_rank(differences: FloatArray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test of differences other than 0."""
    if len(differences) == 0:
        return 1.0
    if 2 ** min(len(differences), 60) > EXACT:
        return float(scipy.stats.wilcoxon(differences).pvalue)
    ranks = scipy.stats.rankdata(np.abs(differences))
    signs = np.array(list(product((-1.0, 1.0), repeat=len(ranks))))
    return _two_sided(signs @ ranks, float(np.sign(differences) @ ranks))


@dataclass(frozen=True)
class StrataTest:
    """Scores of two groups of different cases (Mann and Whitney 1947)."""

    n_a: int
    n_b: int
    median_a: float | None
    median_b: float | None
    u: float | None
    """Pairs in which the score of `a` is the higher one; ties count half."""
    p: float | None
    """Two-sided."""
    effect: float | None
    """`u / (n_a n_b)`: the common-language effect size, 0.5 when neither group scores higher."""
    note: str


def between_strata(a: ArrayLike, b: ArrayLike) -> StrataTest:
    """Compare the scores of two strata of cases, shapes [cases of a] and [cases of b].

    Raises:
        InputError: Scores that are not finite.
    """
    first, second = _finite(a), _finite(b)
    n, m = len(first), len(second)
    medians = tuple(float(np.median(values)) if len(values) else None for values in (first, second))
    made = StrataTest(n, m, medians[0], medians[1], None, None, None, "a stratum without cases: nothing to compare")
    if min(n, m) == 0:
        return made
    ranks = scipy.stats.rankdata(np.concatenate([first, second]))
    u = float(ranks[:n].sum() - n * (n + 1) / 2)
    note = ""
    if _constant(ranks):
        p, note = 1.0, "all scores are the same: p = 1"
    elif math.comb(n + m, n) <= EXACT:
        p = _two_sided(np.array(list(combinations(ranks, n))).sum(axis=1), float(ranks[:n].sum()))
    else:
        exact = n * m <= EXACT_PAIRS and len(np.unique(ranks)) == n + m
        p = float(scipy.stats.mannwhitneyu(first, second, method="exact" if exact else "asymptotic").pvalue)
    return replace(made, u=u, p=p, effect=u / (n * m), note=note)


@dataclass(frozen=True)
class Spearman:
    """Rank correlation."""

    n: int
    r: float | None
    p: float | None
    """Two-sided; over all orderings of up to 8 cases, by Student's t above."""
    note: str


def spearman(a: ArrayLike, b: ArrayLike) -> Spearman:
    """Rank correlation of two numbers of the same cases, shapes [cases].

    Raises:
        InputError: Arrays that are not finite or not of one length.
    """
    x, y = _pair(a, b)
    if len(x) < FEWEST:
        return Spearman(len(x), None, None, f"{len(x)} case(s): a correlation needs {FEWEST}")
    ranks = scipy.stats.rankdata(x), scipy.stats.rankdata(y)
    if any(_constant(one) for one in ranks):
        return Spearman(len(x), None, None, "constant values have no correlation")
    found = scipy.stats.spearmanr(x, y)
    p = float(found.pvalue)
    if math.factorial(min(len(x), 20)) <= EXACT:
        p = _two_sided(np.array(list(permutations(ranks[0]))) @ ranks[1], float(ranks[0] @ ranks[1]))
    return Spearman(len(x), float(found.statistic), p, "")


@dataclass(frozen=True)
class Split:
    """Values cut into strata at quantiles."""

    labels: tuple[str, ...]
    """Stratum of every value."""
    names: tuple[str, ...]
    """Strata in ascending order, none of them empty: fewer than asked for when no value lies between two quantiles."""
    cuts: tuple[float, ...]
    """Exact cut points; a value equal to one belongs below it."""


def split_by(values: ArrayLike, quantiles: Sequence[float] = (0.5,), *, unit: str = "mL") -> Split:
    """Name the stratum of every value, shape [cases]: "<= 24.8 mL", "> 24.8 mL".

    Args:
        values: What the cases are cut by.
        quantiles: Where to cut: (0.5,) at the median, (0.25, 0.5, 0.75) into quartiles.
        unit: Said with the cut points.

    Raises:
        InputError: No value, a value that is not finite, or a quantile outside (0, 1).
    """
    found = _finite(values)
    if len(found) == 0 or not quantiles or not all(0 < q < 1 for q in quantiles):
        raise InputError(
            f"strata need at least one value and quantiles between 0 and 1, found {len(found)} value(s) and "
            f"{tuple(quantiles)}. Give quantiles such as (0.25, 0.5, 0.75)."
        )
    cuts = np.quantile(found, sorted(quantiles))
    below, first = np.unique((found[:, None] <= cuts).sum(axis=0), return_index=True)
    cuts = cuts[first[(below > 0) & (below < len(found))]]
    words = _told_apart(cuts)
    if not words:
        names = [f"<= {_told_apart(found[:1])[0]} {unit}".strip()]
    else:
        between = [f"> {lo} to {hi} {unit}" for lo, hi in pairwise(words)]
        names = [one.strip() for one in (f"<= {words[0]} {unit}", *between, f"> {words[-1]} {unit}")]
    index = np.searchsorted(cuts, found, side="left")
    return Split(tuple(names[i] for i in index), tuple(names), tuple(map(float, cuts)))


def _told_apart(cuts: FloatArray) -> list[str]:
    """Numbers with three significant digits, or as many as keep them apart."""
    words: list[str] = []
    for digits in range(3, 18):
        words = [f"{cut:.{max(0, digits - 1 - math.floor(math.log10(abs(cut) or 1.0)))}f}" for cut in cuts]
        if len(set(words)) == len(cuts):
            break
    return words


def _finite(values: ArrayLike) -> FloatArray:
    found = np.asarray(values, dtype=float)
    if found.ndim != 1 or not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        raise InputError(
            f"agreement needs one finite number per case, found shape {found.shape} with {bad} undefined. "
            "Leave out undefined cases and count them."
        )
    return found


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = _finite(a), _finite(b)
    if len(first) != len(second):
        raise InputError(f"agreement needs numbers of the same cases, found {len(first)} and {len(second)}. Pair them.")
    return first, second


def _differences(first: FloatArray, second: FloatArray) -> FloatArray:
    """Second minus first without rounding noise, so that equal differences are equal and none is 0 by a hair."""
    return _rounded(second - first, max(np.abs(first).max(initial=0.0), np.abs(second).max(initial=0.0)))


def _rounded(values: FloatArray, scale: float) -> FloatArray:
    scale = max(scale, float(np.abs(values).max(initial=0.0)))
    return np.asarray(np.round(values / scale, ROUNDING) * scale) if scale > 0 else values


def _constant(values: FloatArray) -> bool:
    return bool(np.ptp(values) <= 10.0**-ROUNDING * np.abs(values).max())


def mean_sd(values: FloatArray) -> tuple[float | None, float | None]:
    """Mean and standard deviation (n - 1 in the denominator) of finite values, shape [cases].

    Returns:
        None for what too few values have none of.
    """
    if len(values) == 0:
        return None, None
    if np.ptp(values) == 0:
        return float(values[0]), 0.0 if len(values) > 1 else None
    return float(values.mean()), float(values.std(ddof=1))


def _around(middle: float, margin: float, level: float) -> ConfidenceInterval:
    return ConfidenceInterval(middle - margin, middle + margin, level)


def _two_sided(every: FloatArray, found: float) -> float:
    """Exact p: twice the smaller tail of the rank sums of every ordering that chance could have made, at most 1.

    Rank sums are multiples of a quarter, so ties are seen exactly.
    """
    return min(1.0, 2 * float(min(np.mean(every >= found), np.mean(every <= found))))


def document_of(value: Any) -> Any:
    """Dataclasses as JSON; arrays and tables stay behind."""
    if is_dataclass(value):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: document_of(one) for name, one in held.items() if not isinstance(one, np.ndarray | pd.DataFrame)}
    return [document_of(one) for one in value] if isinstance(value, tuple) else value
