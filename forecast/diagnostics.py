"""Can the chains be trusted? Pure functions of arrays.

Walkers of one ensemble are not independent chains, so the effective sample size comes from the
autocorrelation time, and R-hat compares whole ensembles that were started and seeded independently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .types import FloatArray

ENOUGH = 2000
"""Effective sample size from which interval ends are stable to about a twentieth of the posterior SD."""
WEIGHTED = 1000
"""Effective sample size that weighted draws, which are independent, must reach."""
R_HAT = 1.01
"""Largest acceptable R-hat over ensembles (Vehtari et al. 2021)."""
LENGTH = 50
"""Chain length in autocorrelation times from which emcee trusts its estimate of that time."""
ACCEPTANCE = 0.1
"""Mean acceptance fraction below which the ensemble hardly moves."""


@dataclass(frozen=True)
class Diagnostics:
    """Numbers and messages on the convergence of one posterior."""

    ess: float
    """Effective sample size: of the worst parameter, summed over ensembles, or of the importance weights."""
    tau: float | None
    """Largest integrated autocorrelation time, in steps; None without chains."""
    rhat: float | None
    """Largest R-hat over ensembles; None without chains."""
    acceptance: float | None
    """Mean acceptance fraction; None without chains."""
    messages: tuple[str, ...]
    """What falls short: number, meaning, remedy."""

    @property
    def ok(self) -> bool:
        """Whether nothing falls short."""
        return not self.messages


def assess(chains: list[FloatArray], acceptance: list[float]) -> tuple[Diagnostics, int]:
    """Judge independent ensembles.

    Args:
        chains: One array per ensemble, shape [step, walker, parameter], from the first step on.
        acceptance: Mean acceptance fraction of each.

    Returns:
        The diagnostics, and the number of steps to discard as burn-in (5 autocorrelation times, at most half).
    """
    from emcee.autocorr import integrated_time  # only where there are chains: it takes a while

    steps, walkers, _ = chains[0].shape
    with np.errstate(invalid="ignore"):  # a walker that never moved has no autocorrelation
        tau = max(float(np.max(integrated_time(chain, tol=0, quiet=True))) for chain in chains)
    if not np.isfinite(tau):
        tau = float(steps)
    burn_in = int(min(np.ceil(5 * tau), steps // 2))
    kept = [chain[burn_in:] for chain in chains]
    ess = len(kept) * walkers * (steps - burn_in) / tau
    rhat, accepted = r_hat(kept), float(np.mean(acceptance))
    return Diagnostics(ess, tau, rhat, accepted, _messages(ess, tau, rhat, accepted, steps)), burn_in


def importance(ess: float, needed: float = WEIGHTED) -> Diagnostics:
    """Judge draws made by weighting."""
    short = (
        f"effective sample size {ess:.0f} of the weighted draws (needs {needed:.0f}): interval ends are noisy; "
        "read them to one digit less"
    )
    return Diagnostics(ess, None, None, None, (short,) if ess < needed else ())


def r_hat(ensembles: list[FloatArray]) -> float:
    """Largest potential scale reduction over parameters, each ensemble split in half in time.

    Gelman et al., Bayesian Data Analysis, 3rd ed., eq. 11.4, with a half of an ensemble as one chain.
    """
    halves = [half for one in ensembles for half in np.array_split(one, 2)]
    means = np.array([half.mean(axis=(0, 1)) for half in halves])
    within = np.mean([half.var(axis=(0, 1), ddof=1) for half in halves], axis=0)
    length = min(half.shape[0] * half.shape[1] for half in halves)
    between = means.var(axis=0, ddof=1)
    return float(np.max(np.sqrt((length - 1) / length + between / np.maximum(within, 1e-300))))


def _messages(ess: float, tau: float, rhat: float, acceptance: float, steps: int) -> tuple[str, ...]:
    checks = [
        (
            steps < LENGTH * tau,
            f"the chain is {steps / tau:.0f} autocorrelation times long (needs {LENGTH}): its own estimate of "
            "convergence is not reliable; train more sizes or draws, the posterior has awkward tails",
        ),
        (
            ess < ENOUGH,
            f"effective sample size {ess:.0f} (needs {ENOUGH}): interval ends are noisy; read them to one digit less",
        ),
        (
            rhat > R_HAT,
            f"R-hat {rhat:.3f} (needs <= {R_HAT}): independent ensembles disagree; the posterior may have "
            "several modes, train another size between those you have",
        ),
        (
            acceptance < ACCEPTANCE,
            f"acceptance {acceptance:.2f} (needs {ACCEPTANCE}): the walkers hardly move; treat the intervals as rough",
        ),
    ]
    return tuple(message for failed, message in checks if failed)
