"""Posterior predictive checks: could these curves and this noise have made the scores observed?

Gelman, Meng and Stern 1996: scores are replicated from the posterior and a statistic of the replicates is compared
with that of the observed scores. Two statistics: how far the mean scores are from any rising curve (a dip), and how
far they are from the curve forecast (misfit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .curve import Curve
from .posterior import Posterior
from .subsets import mean_overlap
from .types import FloatArray

REPLICATES = 2000
"""Replicated data sets."""
DIP_FLAG, DIP_DECLINE = 0.04, 0.015
"""Probabilities of a dip this deep below which it is flagged, and below which the curve is declined."""
MISFIT_FLAG = 0.01
"""Probability of a misfit this large below which it is flagged."""

ROUNDING = 1e-9
"""Squared distance in standard errors that is no distance at all."""


@dataclass(frozen=True)
class PredictiveCheck:
    """How likely the posterior makes scores at least as odd as those observed."""

    p_dip: float
    """Probability of falling from smaller to larger sizes at least as much, on a rising curve."""
    p_misfit: float
    """Probability of missing the forecast curve at least as much."""
    dip: tuple[int, int] | None
    """Sizes from which and to which the score falls most, in standard errors; None when it never falls."""

    @property
    def ill_behaved(self) -> bool:
        """Whether noise does not explain the dip."""
        return self.p_dip < DIP_DECLINE

    @property
    def flagged_dip(self) -> bool:
        """Whether noise hardly explains the dip."""
        return self.p_dip < DIP_FLAG and self.dip is not None

    @property
    def messages(self) -> tuple[str, ...]:
        """What is odd: number, meaning, remedy."""
        found = []
        if self.flagged_dip and self.dip:
            found.append(
                f"posterior predictive check: noise makes a fall like that from {self.dip[0]} to {self.dip[1]} cases "
                f"with probability {self.p_dip:.3f} only; look at the cases and runs there, train more draws"
            )
        if self.p_misfit < MISFIT_FLAG:
            found.append(
                f"posterior predictive check: no smooth curve comes close (probability {self.p_misfit:.3f}); "
                "train more draws at the sizes that stand out"
            )
        return tuple(found)


def predictive_check(posterior: Posterior) -> PredictiveCheck:
    """Compare the observed mean scores with replicates."""
    curve = posterior.curve
    rng = np.random.default_rng([posterior.seed, 4])
    who = rng.choice(len(posterior.dm), size=min(REPLICATES, len(posterior.dm)), replace=False)
    means = posterior.scores(curve.sizes)[:, who].T
    tau0, tau1, misfit = posterior.noise[who].T
    shared = mean_overlap(curve)
    root = np.linalg.cholesky(shared + 1e-12 * np.trace(shared) * np.eye(len(shared)))
    alone = 1 / (curve.sizes * curve.draws)
    nested = posterior.nested[who, None]
    normal = rng.standard_normal((3, *means.shape))
    falling = tau1[:, None] * np.where(nested, normal[1] @ root.T, np.sqrt(alone) * normal[1])
    noise = tau0[:, None] / np.sqrt(curve.draws) * normal[0] + falling
    each = tau0[:, None] ** 2 / curve.draws + tau1[:, None] ** 2 * np.where(nested, np.diag(shared), alone)
    variance = each.mean(axis=0)
    each = each + misfit[:, None] ** 2
    replicated = ((noise + misfit[:, None] * normal[2]) ** 2 / each).sum(axis=1)
    observed = ((curve.observed - means) ** 2 / each).sum(axis=1)
    return PredictiveCheck(
        p_dip=float(np.mean(dip_statistic(means + noise, variance) >= dip_statistic(curve.observed[None], variance))),
        p_misfit=float(np.mean(replicated >= observed)),
        dip=_deepest(curve, variance),
    )


def dip_statistic(means: FloatArray, variance: FloatArray) -> FloatArray:
    """Weighted squared distance to the nearest curve that never falls (isotonic regression), shape [curves].

    The isotonic fit is the max-min of weighted interval means (Barlow et al. 1972, Statistical Inference under Order
    Restrictions, eq. 1.9).

    Args:
        means: Mean score at each size, shape [curves, sizes].
        variance: Their variances, shape [sizes].
    """
    weight = 1 / variance
    total = np.concatenate([np.zeros((len(means), 1)), np.cumsum(means * weight, axis=1)], axis=1)
    mass = np.concatenate([[0.0], np.cumsum(weight)])
    sizes = means.shape[1]
    nearest = np.full_like(means, -np.inf)
    for start in range(sizes):
        interval = (total[:, start + 1 :] - total[:, start : start + 1]) / (mass[start + 1 :] - mass[start])
        lowest = np.minimum.accumulate(interval[:, ::-1], axis=1)[:, ::-1]
        nearest[:, start:] = np.maximum(nearest[:, start:], lowest)
    distance = ((means - nearest) ** 2 * weight).sum(axis=1)
    return np.asarray(np.where(distance < ROUNDING, 0.0, distance))


def _deepest(curve: Curve, variance: FloatArray) -> tuple[int, int] | None:
    fall = curve.observed[:, None] - curve.observed[None, :]
    ratio = np.triu(fall / np.sqrt(variance[:, None] + variance[None, :]), 1)
    i, j = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    return (int(curve.sizes[i]), int(curve.sizes[j])) if ratio[i, j] > 0 else None
