"""The named model: the exponential plateau `D(n) = DM - (DM - D0) exp(-k n)`.

Source: Gottlich et al. 2023, J Digit Imaging, doi 10.1007/s10278-023-00804-1, where DM is the ceiling,
D0 the score at n = 0 and k the rate per case, and the plateau size is the smallest n with
`DM - D(n) <= eps`, eps = 0.01.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .types import FloatArray

NAMES = ("DM", "D0", "k")


def score(n: ArrayLike, dm: ArrayLike, d0: ArrayLike, k: ArrayLike) -> FloatArray:
    """Expected score after training on n cases; arguments broadcast."""
    decay = np.exp(-np.asarray(k, dtype=float) * np.asarray(n, dtype=float))
    return np.asarray(dm - (np.asarray(dm) - np.asarray(d0)) * decay, dtype=float)


def jacobian(n: ArrayLike, dm: float, d0: float, k: float) -> FloatArray:
    """Derivatives of the score by (DM, D0, k), shape [sizes, 3]."""
    n = np.asarray(n, dtype=float)
    decay = np.exp(-k * n)
    return np.stack([1 - decay, decay, (dm - d0) * n * decay], axis=-1)


def basis(n: ArrayLike, k: ArrayLike) -> FloatArray:
    """What DM and D0 are multiplied by: given k the model is linear in both.

    Args:
        n: Sizes, shape [sizes].
        k: Rates, shape [rates].

    Returns:
        Shape [rates, sizes, 2]; `basis @ (DM, D0)` is the score.
    """
    decay = np.exp(-np.asarray(k, dtype=float)[:, None] * np.asarray(n, dtype=float)[None, :])
    return np.stack([1 - decay, decay], axis=-1)


def plateau_size(dm: ArrayLike, d0: ArrayLike, k: ArrayLike, *, eps: float) -> FloatArray:
    """Smallest n with `DM - D(n) <= eps`: `ln((DM - D0) / eps) / k`, 0 when already within eps at n = 0."""
    rise = np.maximum(np.asarray(dm, dtype=float) - np.asarray(d0, dtype=float), 0.0)
    return np.asarray(np.log(np.maximum(rise, eps) / eps) / np.asarray(k, dtype=float))


def size_for_score(target: float, dm: ArrayLike, d0: ArrayLike, k: ArrayLike) -> FloatArray:
    """Smallest n with `D(n) >= target`; 0 when D0 is enough, inf when the ceiling is below the target."""
    dm, d0 = np.asarray(dm, dtype=float), np.asarray(d0, dtype=float)
    missing = dm - target
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log((dm - d0) / missing) / np.asarray(k, dtype=float)
    return np.asarray(np.where(d0 >= target, 0.0, np.where(missing > 0, size, np.inf)))
