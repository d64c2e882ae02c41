"""Points in the space of curves, in the language of the priors: share phi, slope phi kappa and shape at an anchor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .curve import Curve
from .prior import Prior
from .types import FloatArray, IntArray

STEEPEST = 30.0
"""Largest log-slope kappa of a decay at its anchor: anything steeper is over within a step of sizes."""
BEYOND = 1e9
"""Relative errors from which a curve is out of the question; also where they overflow."""


@dataclass(frozen=True)
class Points:
    """Curves up to their error E at the anchor, each of one component of a prior."""

    prior: Prior
    anchors: FloatArray
    """Anchor size of each component, cases."""
    pick: IntArray
    """Component of each point, shape [points]."""
    share: FloatArray
    """phi, shape [points]."""
    slope: FloatArray
    """phi kappa, shape [points]."""
    shape: FloatArray
    """The family's shape, shape [points]."""

    def __len__(self) -> int:
        return len(self.pick)

    def at(self, who: IntArray) -> Points:
        """Some of the points."""
        picked = self.pick[who], self.share[who], self.slope[who], self.shape[who]
        return Points(self.prior, self.anchors, *picked)

    def joined(self, other: Points) -> Points:
        """Both, one after the other."""
        pairs = [(self.pick, other.pick), (self.share, other.share), (self.slope, other.slope)]
        pairs.append((self.shape, other.shape))
        return Points(self.prior, self.anchors, *(np.concatenate(pair) for pair in pairs))

    def members(self, component: int) -> IntArray:
        """The points of one component."""
        return np.flatnonzero(self.pick == component)

    def theta(self, component: int, who: IntArray) -> tuple[FloatArray, ...]:
        """Decay parameters of some points of one component."""
        slope = np.minimum(self.slope[who] / self.share[who], STEEPEST)
        one = self.prior.families[component]
        shape = np.clip(self.shape[who], one.edges[0], one.edges[-1])
        return one.family.theta(slope, shape, float(self.anchors[component]))

    def errors_and_most(self, sizes: IntArray) -> tuple[FloatArray, FloatArray]:
        """Error relative to that at the anchor, and the largest error there that keeps every score >= 0.

        Returns:
            `1 - phi (1 - u(n) / u(anchor))`, shape [points, sizes], and the bound, shape [points]: the score must be
            >= 0 from the first size on where the family is defined, 0 or the smallest of `sizes`.
        """
        out = np.empty((len(self), len(sizes) + 1))
        first = np.empty(len(self))
        for component, one in enumerate(self.prior.families):
            who = self.members(component)
            if not len(who):
                continue
            theta = [t[:, None] for t in self.theta(component, who)]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                relative = one.family.decay(np.r_[0.0, sizes], *theta)
                relative = relative / one.family.decay(self.anchors[component], *theta)
            found = 1 - self.share[who, None] * (1 - relative)
            out[who] = np.where(found < BEYOND, found, BEYOND)
            first[who] = out[who, 0 if one.family.at_zero else 1]
        return out[:, 1:], np.asarray(1 / np.maximum(first, 1.0))

    def natural(self, error: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """DM, amplitude b and theta [points, 2], given the errors at the anchor."""
        amplitude, theta = np.empty(len(error)), np.full((len(error), 2), np.nan)
        for component, one in enumerate(self.prior.families):
            who = self.members(component)
            found = self.theta(component, who)
            amplitude[who] = error[who] * self.share[who] / one.family.decay(self.anchors[component], *found)
            for j, values in enumerate(found):
                theta[who, j] = values
        return 1 - error * (1 - self.share), amplitude, theta

    def log_prior(self) -> FloatArray:
        """Log prior density in (phi, ln(phi kappa), shape), times the component's weight, shape [points]."""
        out = np.full(len(self), -np.inf)
        for component, one in enumerate(self.prior.families):
            who = self.members(component)
            table = self.prior.log_density(component)
            place = np.zeros((3, len(who)), dtype=np.int64)
            edges = [one.edges, self.prior.shares, self.prior.slopes if one.family.theta_names else None]
            inside = (
                self.slope[who] <= STEEPEST * self.share[who] if one.family.theta_names else np.ones(len(who), bool)
            )
            for axis, (cuts, values) in enumerate(zip(edges, (self.shape, self.share, self.slope), strict=True)):
                if cuts is not None and len(cuts) > 1:
                    place[axis] = np.searchsorted(cuts, values[who], side="right") - 1
                    inside &= (place[axis] >= 0) & (place[axis] < len(cuts) - 1)
            out[who[inside]] = table[tuple(place[:, inside])]
        return out


def from_prior(prior: Prior, curve: Curve, count: int, rng: np.random.Generator) -> Points:
    """Points of the prior, as many of each component, evenly spread over its cells; some lie beyond `STEEPEST`."""
    pick = np.arange(count) * len(prior.families) // count
    share, slope, shape = np.empty(count), np.ones(count), np.empty(count)
    for component, one in enumerate(prior.families):
        who = np.flatnonzero(pick == component)
        steps = np.cumsum(one.mass.ravel())
        even = (np.arange(len(who)) + rng.random(len(who))) / len(who) * steps[-1]
        cells = np.minimum(np.searchsorted(steps, even, side="right"), len(steps) - 1)
        block, row, column = np.unravel_index(cells, one.mass.shape)
        low, high = np.array(one.shapes)[block].T
        shape[who] = rng.uniform(low, high)
        share[who] = rng.uniform(prior.shares[row], prior.shares[row + 1])
        if one.family.theta_names:
            logs = np.log(prior.slopes)
            slope[who] = np.exp(rng.uniform(logs[column], logs[column + 1]))
    return Points(prior, anchors_of(prior, curve), pick, share, slope, shape)


def anchors_of(prior: Prior, curve: Curve, largest: float | None = None) -> FloatArray:
    """Anchor size of each component: the largest size, or the smallest for curves that are over early."""
    last = float(curve.sizes[-1]) if largest is None else largest
    return np.array([float(curve.sizes[0]) if one.early else last for one in prior.families])
