"""Ensembles of walkers, and how they move: the part of the sampling that emcee does.

Moves by differential evolution and from draws of the quadrature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import emcee
import numpy as np

from .kernels import BANDWIDTH, FREEDOM, product_of_t
from .posterior import Posterior
from .types import FloatArray

if TYPE_CHECKING:
    from .sampler import Target

WALKERS = 40
"""Walkers per ensemble."""
CENTRES = 200
"""Draws about which walkers are proposed, by the kernels of `kernels`."""
EVERY, WIDER = 4, 3.0
"""One in so many of these kernels is so many times wider: it reaches the tails."""
MIX = 0.9
"""Share of steps that propose from them; the rest are steps by differential evolution."""


class FromDraws(emcee.moves.RedBlueMove):  # type: ignore[misc]
    """Proposals from a kernel density about draws of the quadrature posterior, whatever the walker's place.

    The factor keeps the target exact; it is the independence sampler of Tierney 1994.
    """

    def __init__(self, draws: FloatArray) -> None:
        super().__init__()
        self._scale = np.linalg.cholesky(np.cov(draws.T) + 1e-12 * np.eye(draws.shape[1]))
        self._centres = self._white(draws)
        width = BANDWIDTH * len(draws) ** (-1 / (draws.shape[1] + 4))
        self._width = np.where(np.arange(len(draws)) % EVERY == 0, WIDER, 1.0) * width
        self._height = self._width ** -float(draws.shape[1])

    def get_proposal(
        self, sample: FloatArray, complement: Any, random: np.random.RandomState
    ) -> tuple[FloatArray, FloatArray]:
        """New places and the log ratio of the proposal density, old over new (emcee's interface)."""
        who = random.randint(len(self._centres), size=len(sample))
        white = self._centres[who] + self._width[who, None] * random.standard_t(FREEDOM, size=sample.shape)
        return white @ self._scale.T, self._log_density(self._white(sample)) - self._log_density(white)

    def _white(self, points: FloatArray) -> FloatArray:
        return np.asarray(np.linalg.solve(self._scale, points.T).T)

    def _log_density(self, white: FloatArray) -> FloatArray:
        kernels = product_of_t(white, self._centres, self._width)
        return np.asarray(np.log((self._height * kernels).sum(axis=1)))


class Walkers(emcee.EnsembleSampler):  # type: ignore[misc]
    """Walkers of emcee that carry their seeded start."""

    start: emcee.State


def walkers(target: Target, started: Posterior, seed: np.random.SeedSequence) -> Walkers:
    """Seeded walkers that start at draws of the quadrature posterior."""
    rng = np.random.default_rng(seed)
    sampler = Walkers(
        WALKERS,
        target.dimensions,
        target.log_density,
        vectorize=True,
        moves=[(FromDraws(target.pack(started)[:CENTRES]), MIX), (emcee.moves.DEMove(), 1 - MIX)],
    )
    sampler.log_prob_fn = target.log_density  # emcee's own wrapper prints a traceback at Ctrl-C
    legacy = np.random.RandomState(rng.integers(2**32, dtype=np.uint64))
    sampler.start = emcee.State(start_of(target, started, rng), random_state=legacy.get_state())
    return sampler


def start_of(target: Target, started: Posterior, rng: np.random.Generator) -> FloatArray:
    """Walkers at draws of the quadrature posterior, each inside the prior."""
    points = rng.permutation(np.unique(target.pack(started), axis=0))
    allowed = points[np.isfinite(target.log_density(points))]
    return np.asarray(allowed[np.arange(WALKERS) % len(allowed)])
