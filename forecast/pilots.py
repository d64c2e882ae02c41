"""Which pilots tell most about the decision: sizes and draws for a number of runs.

The Bayes linear rule (Goldstein and Wooff 2007, Bayes Linear Statistics, eq. 3.2): given draws of curves, the variance
of the reachable gain that is left after observing mean scores at some sizes is `Var(g) - C S^-1 C'`, C being the
covariance of the gain with the scores there and S their covariance plus the noise of their means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .curve import Curve, averaged_curve
from .errors import InputError
from .forecast import HORIZON
from .posterior import Posterior
from .quadrature import quadrature
from .subsets import shared_by

GUESS = 0.85
"""Score at the whole pool that a design starts from when nothing has been trained."""
LADDER = 2**0.5
"""Ratio of neighbouring sizes that a design may choose from."""
SMALLEST, SPAN = 4, 16
"""Smallest size a design proposes, where the pool allows, and the largest ratio of the pool to a size."""
DRAWS = 2
"""Fewest draws at a size: with one, noise cannot be told from the curve."""
FEWEST, MOST = 3, 7
"""Fewest and most sizes of a design."""
FEWEST_RUNS = DRAWS * FEWEST
"""Pilot runs below which nothing is designed."""
AMONG = 1000
"""Draws of the curve that a design is judged by."""


@dataclass(frozen=True)
class Design:
    """Pilot runs to train."""

    sizes: tuple[int, ...]
    draws: tuple[int, ...]
    """Draws at each size."""
    left: float
    """SD of the reachable gain once they are trained, over its SD before: 1 tells nothing, 0 everything."""

    @property
    def runs(self) -> int:
        """Pilot runs in all."""
        return sum(self.draws)


def expected_left(posterior: Posterior, n_max: int, sizes: Sequence[int], draws: Sequence[int]) -> float:
    """SD of the gain from the cases at hand to `n_max` after training pilots, over its SD before.

    Args:
        posterior: Curves as known now.
        n_max: Cases there will ever be.
        sizes: Sizes of the pilots, at most the pool.
        draws: Draws at each of them.
    """
    at = posterior.scores([*sizes, posterior.curve.n_annotated, n_max])
    gain = at[-1] - at[-2]
    every = np.cov(np.vstack([at[:-2], gain]))
    before = float(every[-1, -1])
    if before <= 0:
        return 1.0
    tau0, tau1, misfit = posterior.noise_rms
    n, r = np.array(sizes), np.array(draws)
    variance = tau0**2 / r + tau1**2 * shared_by(r, n, posterior.curve.pool) + misfit**2
    inner = every[:-1, :-1] + np.diag(variance)
    explained = float(every[-1, :-1] @ np.linalg.solve(inner, every[:-1, -1]))
    return float(np.sqrt(max(before - explained, 0.0) / before))


def design_pilots(pool: int, runs: int, n_max: int | None = None, seed: int = 0) -> Design:
    """Sizes and draws for a first round, before anything has been trained.

    Sizes are steps of a ladder that ends at the pool; small sizes may get more draws than large ones.

    Args:
        pool: Annotated cases at hand.
        runs: Pilot runs that can be paid for; each costs the same at every size, as nnU-Net trains for a fixed number
            of iterations.
        n_max: Cases there will ever be; by default 4 times the pool.
        seed: Seed of the curves a design is judged by.

    Raises:
        InputError: Fewer than 6 runs, or a pool too small for three sizes.
    """
    if runs < FEWEST_RUNS:
        raise InputError(f"a design needs at least {FEWEST_RUNS} pilot runs, found {runs}.")
    if pool < FEWEST + 1:
        raise InputError(f"a design needs at least {FEWEST + 1} annotated cases, found {pool}.")
    guess = quadrature(_guessed(pool), seed, draws=AMONG)
    judged = [
        Design(sizes, draws, expected_left(guess, n_max or HORIZON * pool, sizes, draws))
        for sizes in _ladders(pool)
        for draws in _shares(len(sizes), runs)
    ]
    return min(judged, key=lambda one: (round(one.left, 3), one.runs, len(one.sizes)))


def next_pilots(posterior: Posterior, n_max: int, draws: int) -> Design:
    """The one size whose further draws, or first draws, would narrow the reachable gain most."""
    curve = posterior.curve
    between = [round(float(np.sqrt(a * b))) for a, b in zip(curve.sizes[:-1], curve.sizes[1:], strict=True)]
    sizes = sorted({*map(int, curve.sizes), *between, int(min(curve.n_annotated, 2 * curve.sizes[-1]))})
    judged = [Design((n,), (draws,), expected_left(posterior, n_max, [n], [draws])) for n in sizes]
    return min(judged, key=lambda one: (round(one.left, 3), one.sizes))


def _ladders(pool: int) -> list[tuple[int, ...]]:
    """Choices of sizes up to the pool."""
    least = max(min(SMALLEST, pool // 4), pool // SPAN, 2)
    steps = int(np.log(pool / least) / np.log(LADDER) + 1e-9)
    below = sorted({max(least, round(pool / LADDER**step)) for step in range(1, steps + 1)} - {pool})
    counts = range(FEWEST - 1, min(MOST, len(below) + 1))
    return [(*chosen, pool) for count in counts for chosen in combinations(below, count)]


def _shares(sizes: int, runs: int) -> list[tuple[int, ...]]:
    """Ways to share runs among sizes: evenly, or more draws at the smaller half."""
    small = (sizes + 1) // 2
    found = []
    for many in range(DRAWS, runs // small + 1):
        few = min((runs - small * many) // (sizes - small), many)
        if few >= DRAWS:
            found.append((*(many,) * small, *(few,) * (sizes - small)))
    return found


def _guessed(pool: int) -> Curve:
    """A curve of one guessed score, which leaves everything else to the prior."""
    n = np.array([pool], dtype=np.int64)
    return averaged_curve("guess", n, 0 * n, np.array([GUESS]), pool, pool)
