"""What real learning curves look like, before any of this curve's scores are seen.

A prior is a histogram over the curves of each family at the anchor size N (`families`): the share phi of the error
that more cases can remove, the logarithm of the error's log-slope phi kappa, and the shape; uniform inside a cell. The
error at N itself is uniform on (0, 1), as far as the score at the smallest defined size stays >= 0. The shipped
prior is half learned from a corpus of real curves, half vague (see `_even`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import Any

import numpy as np

from .errors import InputError
from .families import FAMILIES, Family
from .types import FloatArray

FILE = "prior.json"
"""The learned prior, package data."""
LEARNED_SHARE = 0.75
"""Share of the learned prior in the shipped one; learning keeps a third of the vague, so half of all is vague."""
VAGUE_MISFIT = (0.003, 0.8)
"""Median (score units) and log-SD of the misfit under the vague prior."""
FLAT = 0.004
"""Log-slope of the error below which a curve is all but flat: a doubling removes 0.3 % of the error."""
STEEP = 15.0
"""Log-slopes kappa above twice this get no mass: such decays are over within a step of sizes."""
EARLY, OVER = 0.1, 0.02
"""Vague weight of curves that may be over long before the largest size, and their least log-slope at the smallest."""
AVERAGE = "average"
"""Name of the weighted average of the families."""


@dataclass(frozen=True)
class FamilyPrior:
    """The prior of one family."""

    family: Family
    shapes: tuple[tuple[float, float], ...]
    """Intervals of the shape; a single value is an interval of no width."""
    mass: FloatArray
    """Probability of each cell given the family, shape [shapes, shares, slopes]; sums to 1."""
    weight: float
    """Probability in the average; 0 for a family that is fitted on request only."""
    early: bool = False
    """Whether the anchor is the smallest size instead of the largest: curves that may be over long before."""

    @cached_property
    def edges(self) -> FloatArray:
        """Ascending ends of the shape intervals; a single value where the shape is fixed."""
        return np.unique(np.array(self.shapes))


@dataclass(frozen=True)
class Prior:
    """Families with their shapes, and the misfit."""

    id: str
    shares: FloatArray
    """Edges of the cells in phi, ascending from 0 to 1."""
    slopes: FloatArray
    """Edges of the cells in phi kappa, ascending, evenly spaced in the logarithm."""
    families: tuple[FamilyPrior, ...]
    misfit: FloatArray
    """Misfit SDs (score units)."""
    misfit_mass: FloatArray
    """Their probabilities."""

    def only(self, name: str) -> Prior:
        """The prior of one family alone, or of the average for `average`.

        Raises:
            InputError: Unknown family.
        """
        if name == AVERAGE:
            return replace(self, families=tuple(one for one in self.families if one.weight > 0))
        found = [one for one in self.families if one.family.name == name]
        total = sum(one.weight for one in found)
        found = [replace(one, weight=one.weight / total if total else 1 / len(found)) for one in found]
        if not found:
            known = ", ".join([AVERAGE, *FAMILIES])
            raise InputError(f"unknown family {name!r}: there is {known}.")
        return replace(self, families=tuple(found))

    def log_density(self, component: int) -> FloatArray:
        """Log density of each cell in (phi, ln(phi kappa), shape), times the weight, shape as `mass`."""
        return _log_density(_Component(self, component))

    @property
    def hash(self) -> str:
        """Hash of every number in the prior."""
        numbers = [self.shares.tolist(), self.slopes.tolist(), self.misfit.tolist(), self.misfit_mass.tolist()]
        tables = [[f.family.name, f.shapes, f.weight, f.early, f.mass.tolist()] for f in self.families]
        return hashlib.sha256(json.dumps([numbers, tables]).encode()).hexdigest()[:16]


class _Component:
    """One component of a prior, told apart by what its density depends on."""

    def __init__(self, prior: Prior, index: int) -> None:
        self.prior, self.one = prior, prior.families[index]
        parts = (prior.shares, prior.slopes, self.one.mass)
        self._key = (*(part.tobytes() for part in parts), self.one.shapes, self.one.weight, self.one.family.name)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Component) and self._key == other._key


@lru_cache(maxsize=64)
def _log_density(component: _Component) -> FloatArray:
    prior, one = component.prior, component.one
    shape = np.array([hi - lo if hi > lo else 1.0 for lo, hi in one.shapes])[:, None, None]
    slope = np.diff(np.log(prior.slopes)) if one.family.theta_names else np.ones(1)
    volume = shape * np.diff(prior.shares)[None, :, None] * slope
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(one.weight * one.mass / volume))


def shipped_prior(learned_share: float = LEARNED_SHARE) -> Prior:
    """The prior that comes with the package.

    Args:
        learned_share: 0 for the vague half alone, 1 for the learned half alone.
    """
    return _shipped(learned_share)


@cache
def _shipped(learned_share: float) -> Prior:
    text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    learned = from_document(json.loads(text))
    return learned if learned_share == 1 else mixed(learned, vague_like(learned), learned_share)


def mixed(one: Prior, other: Prior, share: float) -> Prior:
    """`share` of one prior and the rest of another over the same cells."""

    def blend(a: Any, b: Any) -> Any:
        return share * a + (1 - share) * b

    families = []
    for a, b in zip(one.families, other.families, strict=True):
        weight = blend(a.weight, b.weight)
        mass = blend(a.weight * a.mass, b.weight * b.mass) / weight if weight else blend(a.mass, b.mass)
        families.append(replace(a, mass=mass, weight=weight))
    return replace(
        one,
        id=f"{share:g} {one.id} + {1 - share:g} {other.id}",
        families=tuple(families),
        misfit_mass=blend(one.misfit_mass, other.misfit_mass),
    )


def vague_like(prior: Prior) -> Prior:
    """The same cells, no cell preferred, and small misfits; families at weight 0 stay there."""
    late = np.array([len(one.shapes) * (one.weight > 0 and not one.early) for one in prior.families], dtype=float)
    early = np.array([len(one.shapes) * (one.weight > 0 and one.early) for one in prior.families], dtype=float)
    weights = (1 - EARLY * early.any()) * late / max(late.sum(), 1) + EARLY * early / max(early.sum(), 1)
    families = [
        replace(one, mass=_even(one, prior), weight=float(weight))
        for one, weight in zip(prior.families, weights, strict=True)
    ]
    return replace(
        prior,
        id="vague",
        families=tuple(families),
        misfit_mass=_small(prior.misfit),
    )


def _small(misfit: FloatArray) -> FloatArray:
    """Vague probabilities of misfit SDs: log-normal, a few thousandths."""
    median, log_sd = VAGUE_MISFIT
    mass = np.exp(-0.5 * (np.log(misfit / median) / log_sd) ** 2)
    return np.asarray(mass / mass.sum())


def _even(one: FamilyPrior, prior: Prior) -> FloatArray:
    """Vague probabilities of a family's cells: even in shape and phi; even in the slope below `FLAT`.

    Above `FLAT` they are even in the logarithm of the slope, so flat curves are neither ruled out nor favoured; curves
    that are straight lines in n are ruled out: real scores do not rise evenly with every case.
    """
    slope = np.sqrt(prior.slopes[1:] * prior.slopes[:-1])
    share = (prior.shares[1:] + prior.shares[:-1]) / 2
    by_slope = slope / (slope + FLAT) if one.family.theta_names else np.ones(1)
    mass = np.diff(prior.shares)[None, :, None] * np.ones((len(one.shapes), 1, 1)) * by_slope
    if one.family.theta_names:
        kappa = slope / share[:, None]
        mass *= (kappa >= (OVER if one.early else one.family.straight)) & (kappa <= 2 * STEEP)
    return np.asarray(mass / mass.sum())


def empty_prior(
    identity: str,
    families: Mapping[str, Sequence[tuple[float, float]]],
    averaged: Sequence[str],
    early: Sequence[str],
    shares: FloatArray,
    slopes: FloatArray,
    misfit: FloatArray,
) -> Prior:
    """A vague prior over new cells.

    Args:
        identity: Its name.
        families: Shape intervals of each family by its name.
        averaged: Names of the families that enter the average.
        early: Names of the families that also enter it anchored at the smallest size.
        shares: Edges in phi.
        slopes: Edges in phi kappa, evenly spaced in the logarithm.
        misfit: Misfit SDs (score units).
    """
    made = tuple(
        FamilyPrior(FAMILIES[name], tuple(shapes), np.ones(1), float(name in averaged))
        for name, shapes in families.items()
    )
    made += tuple(FamilyPrior(FAMILIES[name], tuple(families[name]), np.ones(1), 1.0, early=True) for name in early)
    return replace(vague_like(Prior(identity, shares, slopes, made, misfit, np.ones(len(misfit)))), id=identity)


def to_document(prior: Prior, learned_from: str) -> dict[str, Any]:
    """The prior as JSON-ready values; masses in millionths."""
    return {
        "id": prior.id,
        "learned_from": learned_from,
        "shares": prior.shares.round(6).tolist(),
        "slopes": prior.slopes.round(6).tolist(),
        "misfit": {"sd": prior.misfit.tolist(), "millionths": _millionths(prior.misfit_mass).tolist()},
        "families": [
            {
                "name": one.family.name,
                "early": one.early,
                "weight": round(one.weight, 4),
                "shapes": [list(shape) for shape in one.shapes],
                "millionths": _millionths(one.mass).tolist(),
            }
            for one in prior.families
        ],
    }


def _millionths(mass: FloatArray) -> FloatArray:
    return np.asarray(np.round(mass * 1e6).astype(np.int64))


def from_document(document: Mapping[str, Any]) -> Prior:
    """The inverse of `to_document`; masses are normalised."""

    def probabilities(numbers: Any) -> FloatArray:
        mass = np.array(numbers, dtype=float)
        return np.asarray(mass / mass.sum())

    total = sum(one["weight"] for one in document["families"])
    families = tuple(
        FamilyPrior(
            FAMILIES[one["name"]],
            tuple((float(lo), float(hi)) for lo, hi in one["shapes"]),
            probabilities(one["millionths"]),
            one["weight"] / total,
            bool(one["early"]),
        )
        for one in document["families"]
    )
    return Prior(
        id=document["id"],
        shares=np.array(document["shares"]),
        slopes=np.array(document["slopes"]),
        families=families,
        misfit=np.array(document["misfit"]["sd"]),
        misfit_mass=probabilities(document["misfit"]["millionths"]),
    )
