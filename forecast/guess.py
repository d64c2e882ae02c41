"""Curves to play campaigns on before there are any scores, and from a posterior once there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .posterior import Posterior
from .scores import MOST_CASES
from .simulation import Truth

Range = tuple[float, float]
POINTS = 200
"""Sizes at which a curve is kept."""


@dataclass(frozen=True)
class Guess:
    """An exponential plateau that nobody has measured yet; every entry is a range, all of it equally likely."""

    start: int
    """Cases annotated at the start."""
    score: Range
    """Score with them."""
    ceiling: Range
    """Score with endless cases, DM."""
    plateau: Range
    """Cases from which the score is within `eps` of the ceiling."""
    run_sd: float = 0.01
    """SD of a single run at the start; it falls with the square root of the cases."""
    eps: float = 0.01

    def __post_init__(self) -> None:
        """Refuse an impossible guess."""
        if not 0 < self.eps < 1:
            raise InputError(f"eps must lie between 0 and 1 (exclusive), found {self.eps:g}.")
        for name in ("score", "ceiling"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= 1:
                raise InputError(f"{name} must be a range within (0, 1], the lower end first, found {low:g}:{high:g}.")
        if self.start < 3:
            raise InputError(f"a campaign starts from at least 3 annotated cases, found {self.start}.")
        if not self.start < self.plateau[0] <= self.plateau[1] < np.inf:
            low, high = self.plateau
            raise InputError(
                f"the plateau must lie past the {self.start} cases of the start, the lower end first, found "
                f"{low:g}:{high:g}."
            )
        if self.score[1] + self.eps >= self.ceiling[0]:
            raise InputError(
                f"the score at the start must lie more than {self.eps:g} below the ceiling, found up to "
                f"{self.score[1]:g} and {self.ceiling[0]:g}."
            )
        if not 0 <= self.run_sd < 0.5:
            raise InputError(f"the SD of a run must lie in [0, 0.5), found {self.run_sd:g}.")

    def truths(self, n_max: int, count: int, seed: int) -> list[Truth]:
        """Curves drawn from the guess: `DM - D(n)` falls from the start's to `eps` at the plateau size."""
        _check_reach(n_max, self.start)
        rng = np.random.default_rng([seed, 31])
        ceiling, score, plateau = (rng.uniform(*ends, count) for ends in (self.ceiling, self.score, self.plateau))
        rate = np.log((ceiling - score) / self.eps) / (plateau - self.start)
        sizes = np.geomspace(1, n_max, POINTS)
        sd = self.run_sd * np.sqrt(self.start / sizes)
        scores = ceiling[:, None] - (ceiling - score)[:, None] * np.exp(-rate[:, None] * (sizes - self.start))
        return [
            Truth(f"guess {i}", sizes, np.clip(curve, 0, 1), sd, self.start, n_max) for i, curve in enumerate(scores)
        ]


def truths_of(posterior: Posterior, n_max: int, count: int, seed: int) -> list[Truth]:
    """Curves drawn from a posterior, each with the noise of a run it was drawn with, and the scores seen so far.

    They are taken as exact: without the misfit of the families.
    """
    start = posterior.curve.n_annotated
    _check_reach(n_max, start)
    who = np.random.default_rng([seed, 32]).choice(len(posterior.dm), count, replace=count > len(posterior.dm))
    sizes = np.geomspace(float(posterior.curve.sizes[0]), n_max, POINTS)
    scores = np.clip(np.maximum.accumulate(posterior.scores(sizes)[:, who], axis=0), 0, 1)
    tau0, tau1, _ = posterior.noise[who].T
    sd = np.sqrt(tau0**2 + tau1**2 / sizes[:, None])
    curve = posterior.curve
    seen = tuple((int(n), tuple(curve.y[curve.n == n].tolist())) for n in curve.sizes)
    return [Truth(f"draw {i}", sizes, scores[:, i], sd[:, i], start, n_max, seen=seen) for i in range(count)]


def _check_reach(n_max: int, start: int) -> None:
    if n_max > MOST_CASES:
        raise InputError(f"the cases that could ever be annotated must be at most {MOST_CASES}, found {n_max}.")
    if n_max <= start:
        raise InputError(f"the cases that could ever be annotated must be more than the {start} at the start: {n_max}.")
