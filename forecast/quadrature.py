"""The posterior by quadrature: every shape cell and every noise summed, the error at the anchor integrated exactly.

Given the shape and the noise a curve is linear in the error E at the anchor size, so E is a truncated normal and
its integral is closed. What is left are the cells of the prior, the g of `families`, and the grid of noise SDs: one
sum. Draws are then made inside the cells and weighted by the density there over the density at the cell's middle
(importance sampling), so they follow the continuous prior, not the grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.special import ndtr, ndtri

from .curve import Curve
from .diagnostics import WEIGHTED, importance
from .families import Family
from .noise import NoiseGrid, noise_grid
from .posterior import Posterior
from .prior import AVERAGE, Prior, shipped_prior
from .types import BoolArray, FloatArray, IntArray

DRAWS = 4000
"""Draws of a posterior."""
PROPOSALS = 2
"""Proposals per draw kept."""
NEGLIGIBLE = 3e-3
"""Probability from which a noise, among every other one, has itself and its neighbours summed."""
CERTAIN = 5.0
"""Standard deviations inside a bound from which the bound is not felt."""
STEEPEST = 30.0
"""Largest log-slope kappa of a decay: anything steeper is over before the anchor all the same."""
BEYOND = 1e9
"""Relative errors from which a curve is out of the question; also where they overflow."""
SPLITS, LOST, MOST_CELLS = 4, 1e-3, 1500
"""While the weights degenerate, the cells that hold all but `LOST` of the proposals, at most so many, are cut into
four, at most `SPLITS` times."""


@dataclass(frozen=True)
class Cells:
    """Boxes in the space of curves, each of one family: share phi, log of the slope phi kappa, and shape."""

    families: tuple[Family, ...]
    pick: IntArray
    """Family of each cell, shape [cells]."""
    share: FloatArray
    """Middle in phi, shape [cells]."""
    slope: FloatArray
    """Middle (in the logarithm) in phi kappa, shape [cells]."""
    shape: FloatArray
    """Middle in the shape, shape [cells]."""
    half: FloatArray
    """Half widths in phi, ln(phi kappa) and shape, shape [cells, 3]; 0 for points."""
    log_mass: FloatArray
    """Log prior probability, shape [cells]."""

    def theta(self, index: int, who: IntArray, anchor: float) -> tuple[FloatArray, ...]:
        """Decay parameters of some points, all of family `index`."""
        slope = np.minimum(self.slope[who] / self.share[who], STEEPEST)
        return self.families[index].theta(slope, self.shape[who], anchor)

    def errors(self, sizes: FloatArray, anchor: float) -> FloatArray:
        """Error relative to that at the anchor, `1 - phi (1 - u(n) / u(N))`, shape [cells, sizes]."""
        out = np.empty((len(self.pick), len(sizes)))
        for index, family in enumerate(self.families):
            who = np.flatnonzero(self.pick == index)
            theta = [t[:, None] for t in self.theta(index, who, anchor)]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                relative = family.decay(sizes[None, :], *theta) / family.decay(anchor, *theta)
            out[who] = 1 - self.share[who, None] * (1 - relative)
        return np.where(out < BEYOND, out, BEYOND)

    def errors_and_most(self, sizes: IntArray, anchor: float) -> tuple[FloatArray, FloatArray]:
        """`errors`, and the largest error at the anchor that keeps the score at the first defined size >= 0.

        Returns:
            Shapes [cells, sizes] and [cells]; the first defined size is 0, or the smallest for a family without one.
        """
        found = self.errors(np.r_[0.0, sizes], anchor)
        at_zero = np.array([family.at_zero for family in self.families])[self.pick]
        first = np.where(at_zero, found[:, 0], found[:, 1])
        return found[:, 1:], np.asarray(1 / np.maximum(first, 1.0))

    def natural(self, error: FloatArray, anchor: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """DM, amplitude b and theta [cells, 2] of the middles, given their errors at the anchor."""
        amplitude, theta = np.empty(len(error)), np.full((len(error), 2), np.nan)
        for index, family in enumerate(self.families):
            who = np.flatnonzero(self.pick == index)
            found = self.theta(index, who, anchor)
            amplitude[who] = error[who] * self.share[who] / family.decay(anchor, *found)
            for j, values in enumerate(found):
                theta[who, j] = values
        return 1 - error * (1 - self.share), amplitude, theta

    def at(self, who: IntArray) -> Cells:
        """Some of the cells."""
        return Cells(
            self.families,
            self.pick[who],
            self.share[who],
            self.slope[who],
            self.shape[who],
            self.half[who],
            self.log_mass[who],
        )

    def moved(self, moves: FloatArray) -> Cells:
        """The middles moved by `moves` half widths, shape [cells, 3]."""
        step = self.half * moves
        return replace(
            self,
            share=self.share + step[:, 0],
            slope=self.slope * np.exp(step[:, 1]),
            shape=self.shape + step[:, 2],
        )

    def split(self) -> Cells:
        """Every cell cut into four: halves in phi and in the slope."""
        quarter = self.at(np.repeat(np.arange(len(self.pick)), 4))
        moves = np.array([(-0.5, -0.5, 0), (-0.5, 0.5, 0), (0.5, -0.5, 0), (0.5, 0.5, 0)])
        moved = quarter.moved(np.tile(moves, (len(self.pick), 1)))
        return replace(moved, half=moved.half * [0.5, 0.5, 1], log_mass=moved.log_mass - np.log(4))


def quadrature(
    curve: Curve, seed: int = 0, *, model: str = AVERAGE, prior: Prior | None = None, draws: int = DRAWS
) -> Posterior:
    """The posterior of one family, or of the weighted average of families.

    Args:
        curve: Any number of sizes; with few, the answer is mostly the prior.
        seed: The same seed gives the same numbers in another process.
        model: A family's name, or `average`.
        prior: By default the shipped one.
        draws: Number of curves drawn.

    Raises:
        InputError: Unknown model.
    """
    prior = (prior or shipped_prior()).only(model)
    grid = noise_grid(curve, prior.misfit, prior.misfit_mass)
    joint = _joint(curve, grid, _cells(_Key(prior)))
    rng = np.random.default_rng([seed, 3])
    found, ess = _propose(curve, grid, joint, draws, rng)
    for _ in range(SPLITS):
        if ess >= WEIGHTED * draws / DRAWS:
            break
        joint = _finer(curve, grid, joint)
        found, ess = _propose(curve, grid, joint, draws, rng)
    return _finish(curve, grid, found, ess, model, prior, seed)


def log_evidence(curve: Curve, prior: Prior, anchor: float | None = None) -> FloatArray:
    """Log marginal likelihood of every cell and misfit, other noise integrated out, shape [cells, misfits].

    The misfit's and the cells' own prior are left out; what learns a prior multiplies them in.
    """
    even = np.full(len(prior.misfit), 1.0)
    grid = noise_grid(curve, prior.misfit, even)
    terms = _integrated(curve, grid, _cells(_Key(prior)), np.arange(len(grid.constant)), anchor)
    terms = terms.reshape(len(terms), -1, len(prior.misfit))
    top = terms.max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = top + np.log(np.exp(terms - top[:, None, :]).sum(axis=1))
    return np.asarray(np.where(np.isfinite(top), found, -np.inf))


class _Key:
    """A prior, hashed by identity, so that its cells are made once."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def __hash__(self) -> int:
        return hash(tuple(id(one.mass) for one in self.prior.families))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Key)
            and all(
                a.mass is b.mass and a.weight == b.weight
                for a, b in zip(self.prior.families, other.prior.families, strict=False)
            )
            and len(self.prior.families) == len(other.prior.families)
        )


@lru_cache(maxsize=32)
def _cells(key: _Key) -> Cells:
    """The cells of a prior."""
    prior = key.prior
    half_share, half_slope = (prior.shares[1] - prior.shares[0]) / 2, np.log(prior.slopes[1] / prior.slopes[0]) / 2
    parts = []
    for index, one in enumerate(prior.families):
        low, high = np.array(one.shapes).T
        share = (prior.shares[1:] + prior.shares[:-1]) / 2
        sloped = one.mass.shape[2] > 1
        slope = np.sqrt(prior.slopes[1:] * prior.slopes[:-1]) if sloped else np.ones(1)
        points = [a.ravel() for a in np.meshgrid((low + high) / 2, share, slope, indexing="ij")]
        half_shape = np.repeat((high - low) / 2, len(share) * len(slope))
        width = [np.full(one.mass.size, half_share), np.full(one.mass.size, half_slope * sloped), half_shape]
        with np.errstate(divide="ignore"):
            log_mass = np.log(one.weight * one.mass.ravel())
        parts.append((np.full(one.mass.size, index), *points, np.stack(width, axis=1), log_mass))
    pick, shape, share, slope, half, log_mass = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Cells(tuple(one.family for one in prior.families), pick, share, slope, shape, half, log_mass)


def _integrated(
    curve: Curve, grid: NoiseGrid, cells: Cells, noises: IntArray, anchor: float | None = None
) -> FloatArray:
    """Log likelihood of (cell middle, noise) with E integrated out, times the noise prior, shape [cells, noises]."""
    at = float(curve.sizes[-1]) if anchor is None else anchor
    relative, most = cells.errors_and_most(curve.sizes, at)
    per_share = grid.precision.shape[1]
    columns = []
    for index, (turn, centre) in enumerate(zip(grid.rotation, grid.centre, strict=True)):
        mine = noises[noises // per_share == index]
        precision = grid.precision[index][mine % per_share].T
        turned, target = relative @ turn.T, turn.sum(axis=1) - centre
        square, cross = turned**2 @ precision, (turned * target) @ precision
        columns.append((square, cross, target**2 @ precision))
    square, cross = (np.concatenate([c[i] for c in columns], axis=1) for i in (0, 1))
    mean, sd = cross / square, square**-0.5
    terms = grid.constant[noises] - 0.5 * np.concatenate([c[2] for c in columns]) + 0.5 * cross * mean + np.log(sd)
    terms += np.log(_inside(mean, sd, most)) + 0.5 * np.log(2 * np.pi)
    return terms


def _inside(mean: FloatArray, sd: FloatArray, most: FloatArray) -> FloatArray:
    """Probability that the normal falls into (0, most), at least 1e-300; computed only where it is not 1."""
    low, high = mean / sd, (most[:, None] - mean) / sd
    out = np.ones_like(mean)
    for side in (low, high):
        near = side < CERTAIN
        out[near] -= ndtr(-side[near])
    return np.asarray(np.maximum(out, 1e-300))


@dataclass(frozen=True)
class _Joint:
    """Probability of every cell with every noise that matters, by the middles of the cells."""

    cells: Cells
    noises: IntArray
    """Indices into the noise grid."""
    likelihood: FloatArray
    """Logarithm, with the noise prior, shape [cells, noises]."""
    mass: FloatArray
    """Likelihood times prior, sums to 1, shape [cells, noises]."""

    @property
    def proposal(self) -> FloatArray:
        """Half the mass, half with the square root of the likelihood: a middle may miss what its cell holds."""
        flat = np.exp(0.5 * (self.likelihood - self.likelihood.max()) + self.cells.log_mass[:, None])
        return np.asarray(0.5 * self.mass + 0.5 * flat / flat.sum())


def _joint(curve: Curve, grid: NoiseGrid, cells: Cells) -> _Joint:
    """The cells and the noises that matter, found on every other noise, weighed on every noise near those."""
    usable = cells.at(np.flatnonzero(np.isfinite(cells.log_mass)))
    sparse = np.flatnonzero(_every_other(grid))
    rough = _weighed(curve, grid, usable, sparse)
    of_noise = rough.mass.sum(axis=0)
    likely = np.zeros(len(grid.constant), dtype=bool)
    likely[sparse] = of_noise >= NEGLIGIBLE * of_noise.sum()
    return _weighed(curve, grid, usable.at(_worth(rough, NEGLIGIBLE / 10)), np.flatnonzero(_beside(grid, likely)))


def _every_other(grid: NoiseGrid) -> BoolArray:
    """Every other spread and misfit of each make-up, shape [grid]."""
    chosen = np.zeros(grid.layout, dtype=bool)
    chosen[:, ::2, ::2] = True
    return chosen.ravel()


def _beside(grid: NoiseGrid, likely: BoolArray) -> BoolArray:
    """Noises at most one step in spread and misfit from a likely one, shape [grid]."""
    return np.asarray(maximum_filter(likely.reshape(grid.layout), size=(1, 3, 3)).ravel())


def _weighed(curve: Curve, grid: NoiseGrid, cells: Cells, noises: IntArray) -> _Joint:
    likelihood = _integrated(curve, grid, cells, noises)
    terms = likelihood + cells.log_mass[:, None]
    mass = np.exp(terms - terms.max())
    return _Joint(cells, noises, likelihood, mass / mass.sum())


def _worth(joint: _Joint, lost: float) -> IntArray:
    """The cells that hold all but `lost` of the proposals, the fullest first."""
    each = joint.proposal.sum(axis=1)
    order = np.argsort(each)[::-1]
    enough = int(np.searchsorted(np.cumsum(each[order]), 1 - lost)) + 1
    return np.asarray(order[:enough])


def _finer(curve: Curve, grid: NoiseGrid, joint: _Joint) -> _Joint:
    """The cells worth proposing, each cut into four."""
    return _joint(curve, grid, joint.cells.at(_worth(joint, LOST)[:MOST_CELLS]).split())


@dataclass(frozen=True)
class _Draws:
    """Points with their noise and error at the anchor."""

    cells: Cells
    noise: IntArray
    error: FloatArray


def _propose(
    curve: Curve, grid: NoiseGrid, joint: _Joint, draws: int, rng: np.random.Generator
) -> tuple[_Draws, float]:
    """Draw cells and noises, move inside the cells, weight, and draw again by weight; and the effective size."""
    proposal = joint.proposal
    steps = np.cumsum(proposal.ravel())
    picked = np.searchsorted(steps, _even(PROPOSALS * draws, rng) * steps[-1], side="right")
    cell, column = np.divmod(np.minimum(picked, len(steps) - 1), len(joint.noises))
    noise = joint.noises[column]
    points = joint.cells.at(cell).moved(rng.uniform(-1, 1, (len(cell), 3)))
    there, mean, sd, most = _one_by_one(curve, grid, points, noise)
    log_weight = there + points.log_mass - np.log(proposal[cell, column])
    weight = np.exp(log_weight - log_weight.max())
    again = np.searchsorted(np.cumsum(weight), _even(draws, rng) * weight.sum(), side="right")
    again = rng.permutation(np.minimum(again, len(weight) - 1))
    error = _truncated_normal(mean[again], sd[again], most[again], rng)
    return _Draws(points.at(again), noise[again], error), float(weight.sum() ** 2 / (weight**2).sum())


def _even(count: int, rng: np.random.Generator) -> FloatArray:
    """Ascending uniform numbers, one in each of `count` equal intervals."""
    return np.asarray((np.arange(count) + rng.random(count)) / count)


def _one_by_one(
    curve: Curve, grid: NoiseGrid, cells: Cells, noise: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """As `_integrated`, but each point with its own noise; also mean, SD and bound of E, shapes [points]."""
    relative, most = cells.errors_and_most(curve.sizes, float(curve.sizes[-1]))
    index, row = np.divmod(noise, grid.precision.shape[1])
    precision = grid.precision[index, row]
    turned = np.empty_like(relative)
    for share, turn in enumerate(grid.rotation):
        mine = index == share
        turned[mine] = relative[mine] @ turn.T
    target = (grid.rotation.sum(axis=2) - grid.centre)[index]
    square = (turned**2 * precision).sum(axis=1)
    cross = (turned * target * precision).sum(axis=1)
    mean, sd = cross / square, square**-0.5
    inside = _inside(mean[:, None], sd[:, None], most)[:, 0]
    fixed = grid.constant[noise] - 0.5 * (target**2 * precision).sum(axis=1) + 0.5 * np.log(2 * np.pi)
    return fixed + 0.5 * cross * mean + np.log(sd) + np.log(inside), mean, sd, most


def _truncated_normal(mean: FloatArray, sd: FloatArray, most: FloatArray, rng: np.random.Generator) -> FloatArray:
    low, high = ndtr(-mean / sd), ndtr((most - mean) / sd)
    with np.errstate(invalid="ignore"):
        found = mean + sd * ndtri(low + (high - low) * rng.random(len(mean)))
    return np.asarray(np.clip(np.where(np.isfinite(found), found, mean), 1e-9, most))


def _finish(curve: Curve, grid: NoiseGrid, draws: _Draws, ess: float, model: str, prior: Prior, seed: int) -> Posterior:
    dm, amplitude, theta = draws.cells.natural(draws.error, float(curve.sizes[-1]))
    return Posterior(
        curve=curve,
        model=model,
        families=draws.cells.families,
        pick=draws.cells.pick,
        dm=dm,
        amplitude=amplitude,
        theta=theta,
        noise=grid.table[draws.noise],
        noise_source=grid.source,
        diagnostics=importance(ess),
        seed=seed,
        prior=prior.id,
    )
