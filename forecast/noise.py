"""What scatters the observed scores about the curve, and how much.

Within a draw the subsets nest: `tau0^2 1{n = n'} + tau1^2 / max(n, n')`, training noise plus which cases were
drawn. Two draws from one pool overlap: subset noise of two runs covaries as
`tau1^2 |S and S'| / (n n')`, which is `tau1^2 / max(n, n')` for nested subsets and `tau1^2 / N` for two random
subsets of a pool of N, so at n = N all draws are one set, as they must be. On top, a misfit SD per size, shared
by its draws: no curve family is exactly true.

The three SDs are unknown. They are integrated over a grid with a vague log-normal prior rather than fixed, so
every interval includes not knowing them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import logsumexp

from .curve import Curve
from .types import FloatArray

GRID = np.geomspace(0.0005, 0.12, 8)
"""SDs tried for training noise and, at the smallest size, for subset noise (score units)."""
MISFIT_GRID = np.array([0.001, 0.003, 0.009])
"""Misfit SDs tried (score units)."""
PRIOR = {"training": (0.006, 1.0), "subset": (0.012, 1.0), "misfit": (0.003, 0.8)}
"""Median (score units) and log-SD of the log-normal priors; vague, centred on typical nnU-Net pilots."""


@dataclass(frozen=True)
class NoiseGrid:
    """The likelihood of a mean curve, marginal over the noise SDs, exact in the per-size means.

    For noise g, `log p(y | m, g) = constant[g] - |root[g] m - target[g]|^2 / 2` with m the expected score at
    each distinct size: the observations enter only through their generalised per-size means.
    """

    tau0: FloatArray
    """Training-noise SD, shape [grid]."""
    tau1: FloatArray
    """Subset-noise SD of one case; subset noise of a run is tau1 / sqrt(n), shape [grid]."""
    misfit: FloatArray
    """Misfit SD, shape [grid]."""
    root: FloatArray
    """Upper Cholesky factor of the precision of the per-size means, shape [grid, sizes, sizes]."""
    target: FloatArray
    """`root @ means`, shape [grid, sizes]."""
    constant: FloatArray
    """Log prior weight plus the part of the log-likelihood that does not depend on the curve, shape [grid]."""
    source: str
    """Where the noise scale came from."""

    def log_likelihood_terms(self, means: FloatArray) -> FloatArray:
        """`log p(y, g | m)` for every noise g.

        Args:
            means: Expected score at each distinct size, shape [points, sizes].

        Returns:
            Shape [points, grid].
        """
        grid, sizes, _ = self.root.shape
        whitened = means @ self.root.reshape(grid * sizes, sizes).T - self.target.reshape(-1)
        whitened = whitened.reshape(len(means), grid, sizes)
        squares: FloatArray = np.einsum("pgs,pgs->pg", whitened, whitened)
        return self.constant - 0.5 * squares

    def log_likelihood(self, means: FloatArray) -> FloatArray:
        """Log-likelihood of mean curves, marginal over the noise, shape [points]."""
        terms = self.log_likelihood_terms(means)
        top = terms.max(axis=1)
        found: FloatArray = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
        return found

    def sample(self, means: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw (tau0, tau1, misfit) given mean curves, shape [points, 3]."""
        terms = self.log_likelihood_terms(means)
        steps = np.cumsum(np.exp(terms - terms.max(axis=1, keepdims=True)), axis=1)
        pick = (steps < rng.random((len(means), 1)) * steps[:, -1:]).sum(axis=1)
        table: FloatArray = np.stack([self.tau0, self.tau1, self.misfit], axis=1)
        picked: FloatArray = table[np.minimum(pick, len(self.tau0) - 1)]
        return picked


def overlap(curve: Curve) -> FloatArray:
    """Covariance of subset noise per unit tau1^2, shape [observations, observations].

    `|S and S'| / (n n')`, with the expected overlap for different draws: each draw is a random ordering of
    round 0's pool followed by shuffled later batches, so two draws of all of a batch share all of it.
    """
    edges = np.array([0, *sorted(set(curve.pool))])
    batch = np.diff(edges)
    taken = np.clip(curve.n[:, None] - edges[None, :-1], 0, batch)
    shared = (taken[:, None, :] * taken[None, :, :] / batch).sum(axis=2)
    same = curve.draw[:, None] == curve.draw[None, :]
    smaller = np.minimum(curve.n[:, None], curve.n[None, :])
    return np.asarray(np.where(same, smaller, shared) / (curve.n[:, None] * curve.n[None, :]), dtype=float)


def mean_covariance(curve: Curve, tau0: float, tau1: float, misfit: float) -> FloatArray:
    """Covariance of the observed mean scores at the distinct sizes, shape [sizes, sizes]."""
    average = (curve.n[None, :] == curve.sizes[:, None]) / curve.draws[:, None]
    shared: FloatArray = average @ overlap(curve) @ average.T
    return tau1**2 * shared + np.diag(tau0**2 / curve.draws + misfit**2)


def noise_grid(curve: Curve) -> NoiseGrid:
    """Build the likelihood of a curve's observations over the grid of noise SDs."""
    training, subset = PRIOR["training"], PRIOR["subset"]
    source = "scatter about the curve" if np.all(curve.draws < 2) else "draws"
    if curve.se_draws is not None:
        scale = curve.se_draws / np.sqrt(2)
        training, subset, source = (scale, 0.5), (scale, 0.5), "se_draws"
    grid = np.array(list(product(GRID, GRID, MISFIT_GRID)))
    tau0, at_smallest, misfit = grid.T
    tau1 = at_smallest * np.sqrt(curve.sizes[0])
    priors = ((tau0, training), (at_smallest, subset), (misfit, PRIOR["misfit"]))
    log_prior = np.sum([_log_normal(values, *prior) for values, prior in priors], axis=0)
    return _whiten(curve, tau0, tau1, misfit, log_prior - logsumexp(log_prior), source)


def _log_normal(values: FloatArray, median: float, log_sd: float) -> FloatArray:
    """Log-density over log(values): the grid is even in the logarithm."""
    return np.asarray(-0.5 * (np.log(values / median) / log_sd) ** 2)


def _whiten(
    curve: Curve, tau0: FloatArray, tau1: FloatArray, misfit: FloatArray, log_prior: FloatArray, source: str
) -> NoiseGrid:
    design = (curve.n[:, None] == curve.sizes[None, :]).astype(float)
    same_size = design @ design.T
    covariance = (
        tau0[:, None, None] ** 2 * np.eye(len(curve.n))
        + tau1[:, None, None] ** 2 * overlap(curve)
        + misfit[:, None, None] ** 2 * same_size
    )
    lower = np.linalg.cholesky(covariance)
    half = np.linalg.solve(
        lower, np.broadcast_to(np.c_[design, curve.y], (len(tau0), *design.shape[:1], design.shape[1] + 1))
    )
    columns, y = half[..., :-1], half[..., -1]
    cross = np.swapaxes(columns, 1, 2)
    precision = cross @ columns
    root = np.swapaxes(np.linalg.cholesky(precision), 1, 2)
    means = np.linalg.solve(precision, (cross @ y[..., None]))[..., 0]
    rest = ((y - (columns @ means[..., None])[..., 0]) ** 2).sum(axis=1)
    log_det = 2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    constant = log_prior - 0.5 * (rest + log_det + len(curve.y) * np.log(2 * np.pi))
    return NoiseGrid(tau0, tau1, misfit, root, (root @ means[..., None])[..., 0], constant, source)
