"""What pilots are worth: the cost still to come once they are trained, averaged over what they may show.

Preposterior analysis (Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, ch. 5): an outcome is imagined
from a draw of the curve, the draws are weighed by how probable they make it, and the best decision is taken then.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from .lookahead import Prices, plan_batch
from .outlook import Outlook
from .pilots import Design
from .posterior import Posterior
from .subsets import shared_by
from .verdict import SURE

IMAGINED = 48
"""Outcomes that are imagined, at even steps of the expected score and of the noise."""


def cost_after_pilots(posterior: Posterior, outlook: Outlook, prices: Prices, most: int, pilots: Design) -> float:
    """Expected cost still to come once pilots at one size are trained, without what they cost themselves.

    Args:
        posterior: The draws behind the outlook.
        outlook: What totals would do.
        prices: What cases and rounds cost, and what is left of both once the pilots are trained.
        most: Largest batch possible now.
        pilots: Draws at one size.
    """
    size, draws = pilots.sizes[0], pilots.draws[0]
    shared = float(shared_by(np.array([draws]), np.array([size]), posterior.curve.pool).item())
    tau0, tau1, misfit = posterior.noise.T
    variance = tau0**2 / draws + tau1**2 * shared + misfit**2 + 1e-12
    expected = posterior.scores(size)
    even = (np.arange(IMAGINED) + 0.5) / IMAGINED
    truths = np.argsort(expected)[(even * len(expected)).astype(int)]
    normal = np.random.default_rng([posterior.seed, 14]).permutation(ndtri(even))
    found = []
    for truth, away in zip(truths, normal, strict=True):
        seen = expected[truth] + np.sqrt(variance[truth]) * away
        log = -0.5 * (seen - expected) ** 2 / variance - 0.5 * np.log(variance)
        weights = np.exp(log - log.max())
        found.append(_cost_then(outlook.weighed(weights / weights.sum()), prices, most))
    return float(np.mean(found))


def _cost_then(outlook: Outlook, prices: Prices, most: int) -> float:
    """Nothing where the campaign would stop, else that of the best batch."""
    plan = None if outlook.p_reached >= SURE else plan_batch(outlook, prices, most)
    return 0.0 if plan is None else plan.expected_cost
