"""The likelihood of a curve with its error at the anchor integrated out.

Given the shape and the noise a curve is linear in the error E at the anchor, so the likelihood is normal in E. The
prior of E is uniform on (0, 1), cut where scores would fall below 0: what is left is a truncated normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from .noise import NoiseGrid
from .types import FloatArray, IntArray

CERTAIN = 5.0
"""Standard deviations inside a bound from which the bound is not felt."""
CHUNK = 200_000
"""Points times noises computed at a time; larger blocks leave the processor's cache."""


@dataclass(frozen=True)
class Marginal:
    """Points under a few noises each, all of shape [points, noises]."""

    noises: IntArray
    """Which noises, as indices into the grid."""
    log: FloatArray
    """Log of the likelihood times the noise's prior, E integrated out."""
    mean: FloatArray
    """Mean of E before truncation."""
    sd: FloatArray
    """SD of E before truncation."""

    def joined(self, other: Marginal) -> Marginal:
        """Both, one after the other."""
        pairs = zip(self._columns, other._columns, strict=True)
        return Marginal(*(np.concatenate(pair) for pair in pairs))

    def at(self, row: IntArray, column: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Noise, mean and SD of single entries."""
        return self.noises[row, column], self.mean[row, column], self.sd[row, column]

    @property
    def _columns(self) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
        return self.noises, self.log, self.mean, self.sd


def under_some(grid: NoiseGrid, relative: FloatArray, most: FloatArray, noises: IntArray) -> Marginal:
    """Each point under its own few noises.

    Args:
        grid: The noises.
        relative: Error relative to that at the anchor, shape [points, sizes].
        most: Largest error at the anchor, shape [points].
        noises: Indices into the grid, shape [points, noises].
    """
    shapes, each, sizes = grid.precision.shape
    turned = (relative @ grid.rotation.reshape(-1, sizes).T).reshape(len(relative), shapes, sizes)
    turned = turned[np.arange(len(noises))[:, None], noises // each]
    precision, pull = grid.precision.reshape(-1, sizes)[noises], grid.pull.reshape(-1, sizes)[noises]
    square = np.einsum("pgs,pgs,pgs->pg", turned, turned, precision)
    cross = np.einsum("pgs,pgs->pg", turned, pull)
    return Marginal(noises, *_closed(square, cross, grid.perfect[noises], most))


def under_all(grid: NoiseGrid, relative: FloatArray, most: FloatArray) -> FloatArray:
    """The log of `Marginal` for every point under every noise, shape [points, grid]."""
    size = max(CHUNK // grid.perfect.size, 1)
    blocks = [slice(start, start + size) for start in range(0, len(relative), size)]
    return np.concatenate([_under_all(grid, relative[block], most[block]) for block in blocks])


def _under_all(grid: NoiseGrid, relative: FloatArray, most: FloatArray) -> FloatArray:
    square, cross = [], []
    for turn, precision, pull in zip(grid.rotation, grid.precision, grid.pull, strict=True):
        turned = relative @ turn.T
        square.append(turned**2 @ precision.T)
        cross.append(turned @ pull.T)
    return _closed(np.concatenate(square, axis=1), np.concatenate(cross, axis=1), grid.perfect, most)[0]


def _closed(
    square: FloatArray, cross: FloatArray, perfect: FloatArray, most: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log integral over E, its mean and SD, from the coefficients of the quadratic in E."""
    mean, variance = cross / square, 1 / square
    sd = np.sqrt(variance)
    log = perfect + 0.5 * (cross * mean + np.log(2 * np.pi * variance))
    outside = np.zeros_like(mean)
    for side in (mean / sd, (most[:, None] - mean) / sd):
        near = side < CERTAIN
        outside[near] += ndtr(-side[near])
    cut = np.nonzero(outside)
    log[cut] += np.log(np.maximum(1 - outside[cut], 1e-300))
    return log, mean, sd


def draw_error(mean: FloatArray, sd: FloatArray, most: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A draw of E from each truncated normal, shape [draws]."""
    low, high = ndtr(-mean / sd), ndtr((most - mean) / sd)
    with np.errstate(invalid="ignore"):
        found = mean + sd * ndtri(low + (high - low) * rng.random(len(mean)))
    return np.asarray(np.clip(np.where(np.isfinite(found), found, mean), 1e-9, most))
