"""Learn a prior from finished curves: what shapes they had, by expectation-maximisation over the prior's cells.

Every finished curve is seen at an anchor size inside it, as a forecast from there would have seen it, but with the
sizes that came later. Its likelihood in every cell is exact (`quadrature.log_evidence`); the cells' probabilities that
make the corpus most likely follow by EM (empirical Bayes; Efron and Morris 1973, Laird 1978 for the discrete form),
with pseudo-counts and a smoothing step (EMS; Silverman et al. 1990) against learning too much from too few sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import convolve

from .curve import Curve
from .prior import FamilyPrior, Prior
from .quadrature import log_evidence
from .types import FloatArray, IntArray

ROUNDS = 60
"""Rounds of expectation-maximisation."""
PSEUDO = 0.5
"""Weight of the vague prior, as a share of the corpus."""


KERNEL = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])[None]
"""How a round spreads what a cell has learned over its neighbours in phi and slope."""


@dataclass(frozen=True)
class FinishedCurve:
    """A curve with its later sizes known."""

    curve: Curve
    """All sizes, those past the anchor included."""
    anchor: int
    """The size from which it would have been forecast."""
    source: str
    """Where the data come from; sources count equally, however many curves they gave."""


def learn_prior(corpus: Sequence[FinishedCurve], vague: Prior, identity: str, *, pseudo: float = PSEUDO) -> Prior:
    """The prior of the average that makes a corpus most likely; families outside it learn their cells alone.

    Every family has the misfit of the average, also when it is asked alone.

    Args:
        corpus: Finished curves.
        vague: Cells, families and misfits to learn over.
        identity: Name of the learned prior.
        pseudo: Weight of the vague prior, as a share of the corpus.
    """
    evidence = np.array([log_evidence(one.curve, vague, float(one.anchor)) for one in corpus])
    sources, counts = np.unique([one.source for one in corpus], return_counts=True)
    each = dict(zip(sources, counts, strict=True))
    weight = np.array([1 / each[one.source] for one in corpus])
    return from_evidence(evidence, weight / weight.sum(), vague, identity, pseudo)


def from_evidence(evidence: FloatArray, weight: FloatArray, vague: Prior, identity: str, pseudo: float) -> Prior:
    """As `learn_prior`, from the log evidence [curves, cells, misfits] and weights of the curves that sum to 1."""
    averaged = [one for one in vague.families if one.weight > 0]
    groups = [averaged, *([replace(one, weight=1.0)] for one in vague.families if one.weight == 0)]
    place = {
        (one.family.name, one.early): part for one, part in zip(vague.families, _blocks(vague.families), strict=True)
    }
    found: dict[tuple[str, bool], FamilyPrior] = {}
    misfits = vague.misfit_mass
    for group in groups:
        columns = np.concatenate([place[one.family.name, one.early] for one in group])
        learned, misfit = _maximise(evidence[:, columns], weight, group, vague.misfit_mass, pseudo)
        if group is averaged:
            misfits = misfit
        found.update({(one.family.name, one.early): one for one in learned})
    families = [
        replace(found[one.family.name, one.early], weight=found[one.family.name, one.early].weight * (one.weight > 0))
        for one in vague.families
    ]
    return replace(vague, id=identity, families=tuple(families), misfit_mass=misfits)


def _blocks(families: Sequence[FamilyPrior]) -> list[IntArray]:
    """The columns of each family's cells."""
    ends = np.cumsum([one.mass.size for one in families])
    return np.split(np.arange(ends[-1]), ends[:-1])


def _maximise(
    evidence: FloatArray, weight: FloatArray, families: Sequence[FamilyPrior], misfit: FloatArray, pseudo: float
) -> tuple[list[FamilyPrior], FloatArray]:
    """Families with their learned cells and weights, and the probabilities of the misfits."""
    likelihood = np.exp(evidence - evidence.max(axis=(1, 2), keepdims=True))
    vague = cells = np.concatenate([one.weight * one.mass.ravel() for one in families])
    vague_misfit, blocks = misfit, _blocks(families)
    for _ in range(ROUNDS):
        joint = likelihood * cells[None, :, None] * misfit
        joint *= (weight / joint.sum(axis=(1, 2)))[:, None, None]
        counts = joint.sum(axis=(0, 2))
        for block, one in zip(blocks, families, strict=True):
            spread = convolve(counts[block].reshape(one.mass.shape), KERNEL, mode="nearest").ravel()
            spread *= vague[block] > 0  # what is ruled out stays so
            counts[block] = spread * (counts[block].sum() / spread.sum())
        cells = (counts + pseudo * vague) / (counts.sum() + pseudo)
        misfit = (joint.sum(axis=(0, 1)) + pseudo * vague_misfit) / (1 + pseudo)
    totals = [float(cells[block].sum()) for block in blocks]
    learned = [
        replace(one, mass=(cells[block] / total).reshape(one.mass.shape), weight=total)
        for block, one, total in zip(blocks, families, totals, strict=True)
    ]
    return learned, misfit
