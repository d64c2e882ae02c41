"""Scores of the same test cases against each other: of two arms at one size, or of two sizes of one arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy  # its stats are loaded when first used

from .curve import Curve
from .types import FloatArray, IntArray

BOOTSTRAPS = 5000
"""Resampled test sets of a paired bootstrap."""


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of scores of the same test cases."""

    mean: float
    """Second minus first, score units."""
    lo: float
    hi: float
    """Ends of the percentile bootstrap interval over test cases."""
    level: float
    p: float | None
    """Two-sided paired t-test; None when every case differs by the same amount."""
    p_holm: float | None
    """The same, corrected for all the tests of its table (Holm 1979)."""
    cases: int


@dataclass(frozen=True)
class SizeDifference:
    """Scores with so many cases against others on the same test cases, each averaged over its draws."""

    n: int
    """Of two arms: cases that both had. Of two sizes: the smaller."""
    n_reference: int
    """Of two sizes: the largest; of two arms the same as `n`."""
    difference: PairedDifference
    """Second arm minus first, or largest size minus smaller: over test cases alone."""
    draw_sd: float | None
    """SD by which other subsets and trainings would move the mean difference, score units; None where no size was
    drawn twice."""


def paired_difference(first: FloatArray, second: FloatArray, level: float, seed: int) -> PairedDifference:
    """Compare two score vectors of the same test cases, shapes [cases].

    Raises:
        ValueError: Fewer than two cases, or vectors of different length.
    """
    if first.shape != second.shape or len(first) < 2:
        raise ValueError(f"needs scores of the same two or more cases, found {first.shape} and {second.shape}")
    differences = second - first
    rng = np.random.default_rng([seed, 8])
    means = differences[rng.integers(len(differences), size=(BOOTSTRAPS, len(differences)))].mean(axis=1)
    lo, hi = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    constant = bool(np.ptp(differences) < 1e-12)
    p = None if constant else float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)
    return PairedDifference(float(differences.mean()), float(lo), float(hi), level, p, None, len(differences))


def holm(found: Sequence[PairedDifference]) -> list[PairedDifference]:
    """The differences with their p values corrected for all of them (Holm 1979)."""
    known = sorted((one.p, i) for i, one in enumerate(found) if one.p is not None)
    corrected: dict[int, float] = {}
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[i] = largest
    return [replace(one, p_holm=corrected.get(i)) for i, one in enumerate(found)]


def compare_sizes(curve: Curve, level: float, seed: int) -> tuple[SizeDifference, ...]:
    """The largest size against every smaller one, per test case averaged over draws; empty without cases."""
    if curve.cases is None or curve.cases.shape[1] < 2:
        return ()
    largest = int(curve.sizes[-1])
    smaller = [int(n) for n in curve.sizes[:-1]]
    found = [paired_difference(curve.case_means(n), curve.case_means(largest), level, seed) for n in smaller]
    return tuple(
        SizeDifference(n, largest, one, _draw_sd((curve, n), (curve, largest)))
        for n, one in zip(smaller, holm(found), strict=True)
    )


def compare_arms(first: Curve, second: Curve, level: float, seed: int) -> tuple[SizeDifference, ...]:
    """Second minus first at the sizes both were trained on, on the test cases both were scored on; empty without."""
    shared = [case for case in first.case_ids if case in set(second.case_ids)]
    if len(shared) < 2:
        return ()
    one, other = _columns(first, shared), _columns(second, shared)
    common = [int(n) for n in np.intersect1d(first.sizes, second.sizes)]
    found = [paired_difference(first.case_means(n)[one], second.case_means(n)[other], level, seed) for n in common]
    return tuple(
        SizeDifference(n, n, found_at, _draw_sd((first, n), (second, n)))
        for n, found_at in zip(common, holm(found), strict=True)
    )


def _draw_sd(*means: tuple[Curve, int]) -> float | None:
    """SD of a difference of means over draws, as if no two shared a subset.

    The SD of a draw is that of its size, of a size drawn once the SD pooled over the other sizes.
    """
    variance = 0.0
    for curve, n in means:
        freedom = curve.draws - 1
        if not freedom.any():
            return None
        squares = np.array([0.0 if sd is None else sd**2 for sd in curve.draw_sd])
        (at,) = np.flatnonzero(curve.sizes == n)
        own = squares[at] if freedom[at] else (freedom * squares).sum() / freedom.sum()
        variance += float(own / curve.draws[at])
    return float(np.sqrt(variance))


def _columns(curve: Curve, cases: Sequence[str]) -> IntArray:
    place = {case: i for i, case in enumerate(curve.case_ids)}
    return np.array([place[case] for case in cases], dtype=np.int64)
