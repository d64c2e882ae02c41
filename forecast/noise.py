"""What scatters the observed scores about the curve, and how much.

Within a draw the subsets nest: `tau0^2 1{n = n'} + tau1^2 / max(n, n')`, training noise plus which cases were
drawn; draws from one pool overlap (`subsets`). On top, a misfit SD per size, shared by its draws: no curve family is
exactly true.

The three SDs are unknown. They are integrated over a grid rather than fixed, so every interval includes not
knowing them. The grid is even in the logarithm of the SD at the smallest size; a few make-ups (what share of that
variance falls with n, and whether it is shared along a draw) keep the rest robust. The covariance without misfit is
then that variance times one matrix per make-up, and everything follows from a few small eigenvalue problems. Draws
trained at the same sizes can change places, so that their means and the scatter about them say all that they know: a
thousand draws take no longer than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag
from scipy.optimize import nnls

from .curve import Curve
from .subsets import alike_draws, between_draws, mean_overlap, within_draw
from .types import BoolArray, FloatArray, IntArray

SPREADS = np.geomspace(0.0005, 0.15, 16)
"""SDs of one run at the smallest size (score units)."""
SHAPES = ((0.1, True), (0.5, True), (0.85, True), (0.99, True), (0.6, False), (0.99, False))
"""How the noise is made up: the share of that variance that falls with n, and whether that part is subset noise
shared along a draw's nested sizes, or independent from run to run."""
SPREAD_PRIOR = (0.013, 1.0)
"""Median (score units) and log-SD of the log-normal prior on the SD of one run at the smallest size; vague, centred
on typical nnU-Net pilots."""
KNOWN_LOG_SD, KNOWN_SHARE_SD = 0.25, 0.25
"""How far given standard errors are trusted: log-SD of the scale, SD of the subset share."""


@dataclass(frozen=True)
class NoiseGrid:
    """The likelihood of a mean curve, marginal over the noise SDs, exact in the per-size means.

    For noise g, `log p(y, g | m) = constant[g] - sum_j precision[g, j] (rotation[shape[g]] (m - means))_j^2 / 2`
    with m the expected score at each distinct size: the observations enter only through their generalised
    per-size means, which depend on the make-up of the noise alone.
    """

    tau0: FloatArray
    """Training-noise SD, shape [grid]."""
    tau1: FloatArray
    """Subset-noise SD of one case; subset noise of a run is tau1 / sqrt(n), shape [grid]."""
    misfit: FloatArray
    """Misfit SD, shape [grid]."""
    rotation: FloatArray
    """Eigenvectors of the covariance of the per-size means, as rows, shape [shapes, sizes, sizes]."""
    centre: FloatArray
    """Rotated generalised means, shape [shapes, sizes]."""
    precision: FloatArray
    """Inverse variances along the rows of the rotation, shape [shapes, grid / shapes, sizes]."""
    prior: FloatArray
    """Prior probability of each noise, shape [grid]."""
    constant: FloatArray
    """Log prior plus the part of the log-likelihood that does not depend on the curve, shape [grid]."""
    source: str
    """Where the noise scale came from."""

    @property
    def layout(self) -> tuple[int, int, int]:
        """The grid as make-ups x spreads x misfits."""
        misfits = len(np.unique(self.misfit))
        return len(self.rotation), self.precision.shape[1] // misfits, misfits

    @cached_property
    def pull(self) -> FloatArray:
        """Precision times the rotated distance of a perfect score from the means, shape as `precision`."""
        return self.precision * self._target[:, None, :]

    @cached_property
    def perfect(self) -> FloatArray:
        """`log p(y, g | m)` at a score of 1 at every size, shape [grid]."""
        distance = np.einsum("hgs,hs->hg", self.pull, self._target)
        return np.asarray(self.constant - 0.5 * distance.ravel())

    @property
    def _target(self) -> FloatArray:
        return np.asarray(self.rotation.sum(axis=2) - self.centre)

    @cached_property
    def first_guess(self) -> FloatArray:
        """Probability of each noise, half its prior's and half as if every size had a mean of its own, shape [grid].

        The latter is the restricted likelihood of the scatter within sizes (Patterson and Thompson 1971).
        """
        log = self.constant - 0.5 * np.log(self.precision).sum(axis=2).ravel()
        within = np.exp(log - log.max())
        return np.asarray(0.5 * within / within.sum() + 0.5 * self.prior)

    def trimmed(self, floor: float) -> NoiseGrid:
        """Without the spreads under which no curve at all reaches a log-likelihood of `floor`."""
        keep = self.constant.reshape(self.layout).max(axis=(0, 2)) >= floor

        def kept(values: FloatArray) -> FloatArray:
            return values.reshape(*self.layout, -1)[:, keep].reshape(-1, *values.shape[1:])

        shapes, _, sizes = self.precision.shape
        return replace(
            self,
            tau0=kept(self.tau0),
            tau1=kept(self.tau1),
            misfit=kept(self.misfit),
            prior=kept(self.prior),
            constant=kept(self.constant),
            precision=kept(self.precision.reshape(-1, sizes)).reshape(shapes, -1, sizes),
        )

    def quadratic(self, means: FloatArray) -> FloatArray:
        """Squared distance of mean curves from the data under each noise.

        Args:
            means: Expected score at each distinct size, shape [points, sizes].

        Returns:
            Shape [points, grid].
        """
        parts = [
            ((means @ turn.T - centre) ** 2) @ precision.T
            for turn, centre, precision in zip(self.rotation, self.centre, self.precision, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def log_likelihood_terms(self, means: FloatArray) -> FloatArray:
        """`log p(y, g | m)` for every noise g, shape [points, grid]."""
        return self.constant - 0.5 * self.quadratic(means)

    def log_likelihood(self, means: FloatArray) -> FloatArray:
        """Log-likelihood of mean curves, marginal over the noise, shape [points]."""
        terms = self.log_likelihood_terms(means)
        top = terms.max(axis=1)
        found: FloatArray = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
        return found

    def sample(self, means: FloatArray, rng: np.random.Generator) -> IntArray:
        """Draw a noise given mean curves, as indices into the grid, shape [points]."""
        terms = self.log_likelihood_terms(means)
        steps = np.cumsum(np.exp(terms - terms.max(axis=1, keepdims=True)), axis=1)
        pick = (steps < rng.random((len(means), 1)) * steps[:, -1:]).sum(axis=1)
        return np.asarray(np.minimum(pick, len(self.tau0) - 1))

    @property
    def nested(self) -> BoolArray:
        """Whether the falling part of each noise is shared along a draw, shape [grid]."""
        return np.repeat([nested for _, nested in SHAPES], self.precision.shape[1])

    @property
    def table(self) -> FloatArray:
        """(tau0, tau1, misfit) of every noise, shape [grid, 3]."""
        return np.stack([self.tau0, self.tau1, self.misfit], axis=1)


def mean_covariance(curve: Curve, tau0: float, tau1: float, misfit: float) -> FloatArray:
    """Covariance of the observed mean scores at the distinct sizes, shape [sizes, sizes]."""
    return tau1**2 * mean_overlap(curve) + np.diag(tau0**2 / curve.draws + misfit**2)


def noise_grid(curve: Curve, misfit: FloatArray, misfit_mass: FloatArray) -> NoiseGrid:
    """Build the likelihood of a curve's observations over the grid of noise SDs.

    Args:
        curve: The observations.
        misfit: Misfit SDs to integrate over, shape [misfits].
        misfit_mass: Their prior probabilities, shape [misfits].
    """
    spreads, log_mass, source = _spreads(curve)
    smallest = float(curve.sizes[0])
    spread, sd = (a.ravel() for a in np.meshgrid(spreads, misfit, indexing="ij"))
    groups = [_Alike.of(curve, places) for places in alike_draws(curve)]
    parts = [_per_shape(curve, groups, *shape, spread, sd) for shape in SHAPES]
    log_prior = log_mass[:, :, None] + np.log(misfit_mass)
    shares = np.repeat([share for share, _ in SHAPES], len(spread))
    spread, sd = np.tile(spread, len(SHAPES)), np.tile(sd, len(SHAPES))
    return NoiseGrid(
        tau0=spread * np.sqrt(1 - shares),
        tau1=spread * np.sqrt(shares * smallest),
        misfit=sd,
        rotation=np.array([rotation for rotation, _, _, _ in parts]),
        centre=np.array([centre for _, centre, _, _ in parts]),
        precision=np.array([precision for _, _, precision, _ in parts]),
        prior=np.exp(log_prior.ravel()) / np.exp(log_prior).sum(),
        constant=np.concatenate([constant for _, _, _, constant in parts]) + log_prior.ravel(),
        source=source,
    )


def _spreads(curve: Curve) -> tuple[FloatArray, FloatArray, str]:
    """SDs at the smallest size, their log prior by make-up, shape [shapes, spreads], and its source."""
    if curve.se_draws is not None and np.any(curve.se_draws > 0):
        middle, share = _smooth_errors(curve.n, curve.se_draws)
        spreads = middle * np.geomspace(0.55, 1 / 0.55, 5)
        log_mass = _normal(np.log(spreads / middle) / KNOWN_LOG_SD)
        by_share = _normal((np.array([one for one, _ in SHAPES]) - share) / KNOWN_SHARE_SD)
        return spreads, by_share[:, None] + log_mass, "se_draws"
    median, log_sd = SPREAD_PRIOR
    log_mass = _normal(np.log(SPREADS / median) / log_sd)
    source = "scatter about the curve" if np.all(curve.draws < 2) else "draws"
    return SPREADS, np.tile(log_mass - np.log(len(SHAPES)), (len(SHAPES), 1)), source


def _normal(z: FloatArray) -> FloatArray:
    """Log probabilities of a normal on an even grid."""
    log_mass = -0.5 * z**2
    found: FloatArray = log_mass - np.log(np.exp(log_mass).sum())
    return found


def _smooth_errors(n: IntArray, errors: FloatArray) -> tuple[float, float]:
    """SD at the smallest size and its subset share, from `se^2 = a + b / n` by non-negative least squares.

    A smooth variance, never the errors one by one: they correlate with the estimates and bias the fit.
    """
    known = np.isfinite(errors) & (errors > 0)
    relative = n.min() / n[known]
    (training, subset), _ = nnls(np.stack([np.ones_like(relative), relative], axis=1), errors[known] ** 2)
    total = max(training + subset, 1e-8)
    return float(np.sqrt(total)), float(subset / total)


@dataclass(frozen=True)
class _Alike:
    """Draws trained at the same sizes, as far as a likelihood can tell."""

    count: int
    n: IntArray
    """Their sizes, shape [sizes]."""
    mean: FloatArray
    """Mean score over the draws, shape [sizes]."""
    scatter: FloatArray
    """Sums of squares and products about it, shape [sizes, sizes]."""

    @classmethod
    def of(cls, curve: Curve, places: IntArray) -> _Alike:
        """From the positions of their observations, shape [draws, sizes]."""
        mean = curve.y[places].mean(axis=0)
        apart = curve.y[places] - mean
        return cls(len(places), curve.n[places[0]], mean, apart.T @ apart)

    def own(self, share: float, nested: bool, curve: Curve) -> FloatArray:
        """Covariance of one draw beyond what it has in common with others, at a unit SD, shape [sizes, sizes]."""
        falling = within_draw(self.n) - between_draws(self.n, curve.pool) if nested else np.diag(1 / self.n)
        return np.asarray((1 - share) * np.eye(len(self.n)) + share * float(curve.sizes[0]) * falling)


def _per_shape(
    curve: Curve, groups: Sequence[_Alike], share: float, nested: bool, spread: FloatArray, misfit: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Rotation, centre, precision [grid, sizes] and constant [grid] for one make-up of the noise.

    Turned by an orthogonal contrast, r draws alike are the root of r times their mean and r - 1 independent rests,
    each with the covariance of a draw of its own.
    """
    n = np.concatenate([one.n for one in groups])
    common = between_draws(n, curve.pool) if nested else np.zeros((len(n), len(n)))
    own = [one.own(share, nested, curve) for one in groups]
    each = zip(own, groups, strict=True)
    unit = share * float(curve.sizes[0]) * common + block_diag(*[part / one.count for part, one in each])
    log_det, rest = _rests(own, groups)
    design = (n[:, None] == curve.sizes[None, :]).astype(float)
    lower = np.linalg.cholesky(unit)
    half = np.linalg.solve(lower, np.c_[design, np.concatenate([one.mean for one in groups])])
    columns, y = half[:, :-1], half[:, -1]
    covariance = np.linalg.inv(columns.T @ columns)
    means = covariance @ (columns.T @ y)
    rest += float(((y - columns @ means) ** 2).sum())
    variance, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    precision = 1 / (spread[:, None] ** 2 * variance + misfit[:, None] ** 2)
    within = len(curve.y) - len(variance)
    log_det += 2 * np.log(np.diag(lower)).sum() - np.log(variance).sum()
    constant = -0.5 * (
        rest / spread**2
        + 2 * within * np.log(spread)
        + log_det
        - np.log(precision).sum(axis=1)
        + len(curve.y) * np.log(2 * np.pi)
    )
    return vectors.T, vectors.T @ means, precision, constant


def _rests(own: Sequence[FloatArray], groups: Sequence[_Alike]) -> tuple[float, float]:
    """Log-determinant and squared distance, at a unit SD, of all that the means over draws leave."""
    log_det = sum(
        (one.count - 1) * float(np.linalg.slogdet(part)[1]) + len(one.n) * np.log(one.count)
        for part, one in zip(own, groups, strict=True)
    )
    return log_det, sum(float((np.linalg.inv(part) * one.scatter).sum()) for part, one in zip(own, groups, strict=True))
