"""Which exponential plateaus can have given what was printed: arithmetic, no fit.

D(n) = DM - (DM - D0) exp(-k n) and its plateau size n* leave one number open: DM - D0 = eps exp(k n*), so that
DM - D(n) = eps exp(k (n* - n)). A score D(o) below DM pins it: k = ln((DM - D(o)) / eps) / (n* - o).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from published import fact

EPS = 0.01
CURVES = {
    "CT kidney": (50, 300),
    "MR kidney": (50, 300),
    "CT tumour": (50, 300),
    "MR tumour": (50, 300),
    "CT tumour, smallest quartile": (50, 300),
    "MR tumour, smallest quartile": (50, 300),
    "KiTS21 tumour 2D": (80, 240),
    "KiTS21 tumour 3D": (80, 240),
}
"""Smallest and largest trained size."""
WITH_DM = ("CT tumour", "MR tumour", "KiTS21 tumour 2D", "KiTS21 tumour 3D")
"""Curves whose DM was printed; of the others the plateau Dice stands for it, as it does in these four."""
WITH_POINT = ("CT kidney", "MR kidney", *WITH_DM)


def gap(k: np.ndarray | float, size: np.ndarray | float, n: float) -> np.ndarray:
    """DM - D(n)."""
    return np.asarray(EPS * np.exp(np.asarray(k) * (np.asarray(size) - n)))


@dataclass(frozen=True)
class Possible:
    """Curves within the rounding of what was printed of one curve, shapes [draws]."""

    name: str
    dm: np.ndarray
    size: np.ndarray
    """n*, cases."""
    fastest: np.ndarray
    """The largest k for which D0 >= 0."""
    point: np.ndarray | None
    """The best observed score; None where none was printed."""
    at: int
    """Its size, cases."""

    @property
    def pinned(self) -> np.ndarray:
        """k of the curve through the point; NaN where there is none with 0 < k and 0 <= D0."""
        if self.point is None:
            return np.full(len(self.dm), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            k = np.log((self.dm - self.point) / EPS) / (self.size - self.at)
            return np.where((self.point < self.dm) & (k > 0) & (k <= self.fastest), k, np.nan)

    @property
    def at_zero(self) -> np.ndarray:
        """D0 of the pinned curve."""
        return self.dm - gap(self.pinned, self.size, 0)


@cache
def possible(name: str, above: float = 0.0) -> Possible:
    """Draws within the rounding, evenly; `above` is how far DM lies above the printed number."""
    rng = np.random.default_rng(0)
    dm = fact("P1", name, "DM" if name in WITH_DM else "plateau dice").draws(rng) + above
    size = fact("P1", name, "plateau n").draws(rng)
    best = fact("P1", name, "best observed") if name in WITH_POINT else None
    point = best.draws(rng) if best else None
    return Possible(name, dm, size, np.log(dm / EPS) / size, point, int(best.n) if best else 0)


def rate(name: str, at_zero: float) -> float:
    """k of the printed DM and n* for a given D0."""
    dm = fact("P1", name, "DM" if name in WITH_DM else "plateau dice").value
    return float(np.log((dm - at_zero) / EPS) / fact("P1", name, "plateau n").value)


def kidney_rates(name: str, above: float = 0.0) -> np.ndarray:
    """The largest k for which the curve is above the bound printed at 50 cases; 0 where none is."""
    found, bound = possible(name, above), fact("P1", name, "dice above")
    room = np.maximum((found.dm - bound.value) / EPS, 1e-300)
    from_bound = np.log(room) / (found.size - int(bound.n))
    return np.clip(from_bound, 0, found.fastest)


def most_residual_sum(sizes: tuple[int, ...], name: str = "KiTS21 tumour 2D") -> float:
    """Largest sum of (score - curve) over sizes when no score exceeds the best; least squares makes that sum 0."""
    found = possible(name)
    assert found.point is not None
    top = found.point.max()
    shares = np.linspace(1e-3, 1, 400)[:, None]
    draws = slice(0, 500)
    k = shares * found.fastest[draws]
    curve = sum(top - (found.dm[draws] - gap(k, found.size[draws], n)) for n in sizes)
    return float(np.max(curve))


def jaccard_bounds(mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest mean of D / (2 - D) over Dice scores in [0, 1] of this mean and SD.

    Its third derivative is positive, so the extremes have two values, one of them 0 (smallest) or 1 (largest): the
    principal representations of Chebyshev, Markov and Krein.
    """
    low = mean + sd**2 / mean
    high = mean - sd**2 / (1 - mean)
    weight = (1 - mean) / (1 - high)
    return mean / low * _jaccard(low), 1 - weight + weight * _jaccard(high)


def _jaccard(dice: np.ndarray) -> np.ndarray:
    return dice / (2 - dice)


def largest_at_least(mean: float, sd: float, cases: int) -> float:
    """A value that the largest of some values >= 0 reaches at least: E[x^2] <= max x E[x]."""
    return (sd**2 * (cases - 1) / cases + mean**2) / mean
