"""What pilots are worth: the cost still to come once they are trained, averaged over what they may show.

Preposterior analysis (Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, ch. 5): an outcome is imagined
from a draw of the curve, the draws are weighed by how probable they make it, and the best decision is taken then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .lookahead import Prices, plan_batch
from .outlook import Outlook
from .pilots import Design
from .posterior import Posterior
from .verdict import SURE

if TYPE_CHECKING:
    from .recommendation import Situation

IMAGINED = 24
"""Outcomes that are imagined."""


def cost_after_pilots(
    posterior: Posterior, outlook: Outlook, prices: Prices, most: int, pilots: Design, situation: Situation
) -> float:
    """Expected cost still to come when pilots at one size are trained first, their own cost and a round included.

    Args:
        posterior: The draws behind the outlook.
        outlook: What totals would do.
        prices: What cases and rounds cost.
        most: Largest batch possible now.
        pilots: Draws at one size.
        situation: What a pilot run costs, and how far to look ahead.
    """
    size, draws = pilots.sizes[0], pilots.draws[0]
    tau0, tau1, misfit = posterior.noise.T
    pool = max(posterior.curve.pool[-1], size)
    variance = tau0**2 / draws + tau1**2 * (1 / size + (draws - 1) / pool) / draws + misfit**2 + 1e-12
    expected = posterior.scores(size)
    rng = np.random.default_rng([posterior.seed, 14])
    truths = rng.choice(len(expected), IMAGINED, replace=len(expected) < IMAGINED)
    found = []
    for truth in truths:
        seen = expected[truth] + np.sqrt(variance[truth]) * rng.standard_normal()
        log = -0.5 * (seen - expected) ** 2 / variance - 0.5 * np.log(variance)
        weights = np.exp(log - log.max())
        after = replace(outlook, weights=weights / weights.sum())
        plan = plan_batch(after, prices, most, situation.look_ahead)
        stops = after.p_reached >= SURE or plan is None
        found.append(
            (1 - after.p_reached) * prices.miss(outlook.n_max) if stops or plan is None else plan.expected_cost
        )
    return float(np.mean(found)) + prices.round + situation.costs.per_run * draws
