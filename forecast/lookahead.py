"""Which batch costs least in the end, looking one or two rounds ahead: annotation, rounds, falling short.

After each round one learns whether the goal is met; if it is not, one goes on or gives up. That is a dynamic programme
over totals of cases: the posterior says how probable it is that a total does not suffice, given that a smaller one did
not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .goal import VALUE
from .outlook import Outlook
from .types import BoolArray, FloatArray, IntArray

LOOK_AHEAD = 2
"""Rounds that are weighed at a time."""
RECOURSE = 8.0
"""What it costs, in rounds, that a batch turns out too small: the rounds until a later one suffices and one can tell
that it does, and the danger of running out of them. Chosen, as `MISS`, in simulated campaigns on curves the prior has
learned from."""
MISS = 20.0
"""Cost of falling short of the goal for good, in units of annotating every case."""
LEAST_SHARE = 0.1
"""A batch is at least this share of the pool: a size much like the last tells nothing new."""
GROWTH = 4.0
"""Largest pool after a batch, as a multiple of the pool before it."""


@dataclass(frozen=True)
class Prices:
    """What the look-ahead weighs, all in one unit."""

    case: float
    round: float
    """As it is weighed, stated or not."""
    budget: float = np.inf
    paid_round: float = 0.0
    """What a round takes from the budget."""
    rounds: int = LOOK_AHEAD
    """Rounds that are left, at least 1."""
    look_ahead: int = LOOK_AHEAD
    """Rounds that are weighed, at least 1."""

    def miss(self, n_max: int) -> float:
        """Cost of falling short for good."""
        return MISS * self.case * n_max


@dataclass(frozen=True)
class Plan:
    """The batch that is expected to cost least."""

    batch: int
    expected_cost: float
    """Of this and the following rounds, with the risk of falling short, in the unit of the prices."""
    stopping_cost: float
    """Expected cost of falling short when no more is annotated."""


def plan_batch(outlook: Outlook, prices: Prices, most: int) -> Plan | None:
    """The batch with the least expected cost, at least `LEAST_SHARE` of the pool.

    Args:
        outlook: What totals would do.
        prices: What cases and rounds cost.
        most: Largest batch possible now.

    Returns:
        None when there is nothing left to annotate or to pay a case with.
    """
    first = _first_steps(outlook.totals, most)
    if not first.any():
        return None
    open_, loss = _lost_value(outlook) if outlook.goal.kind == VALUE else _missed(outlook, prices)
    totals = outlook.totals.astype(float)
    spent = prices.case * (totals - totals[0])
    later = loss
    again = prices if outlook.goal.kind == VALUE else replace(prices, round=RECOURSE * prices.round)
    for step in range(min(prices.look_ahead, prices.rounds) - 1, 0, -1):
        later = _best_of_a_round(totals, open_, later, loss, spent + prices.paid_round * (step + 1), again)
    payable = first & (spent + prices.paid_round <= prices.budget * (1 + 1e-9))
    if not payable.any():
        return None
    cost = np.where(payable, prices.round + spent + open_ * later, np.inf)
    best = int(np.argmin(cost))
    if outlook.goal.kind == VALUE:  # of plans that come to the same, the one that gets there soonest
        best = int(np.flatnonzero(cost <= cost[best] * (1 + 1e-9))[-1])
    return Plan(int(totals[best] - totals[0]), float(cost[best]), float(open_[0] * loss[0]))


def _first_steps(totals: IntArray, most: int) -> BoolArray:
    """Which totals the next batch may lead to; what is possible at all where that is less than the least batch."""
    possible = (totals > totals[0]) & (totals <= totals[0] + most)
    large = possible & (totals >= (1 + LEAST_SHARE) * totals[0])
    return np.asarray(large if large.any() else possible & (totals == totals[possible].max(initial=0)))


def _missed(outlook: Outlook, prices: Prices) -> tuple[FloatArray, FloatArray]:
    """Probability that a total does not suffice, and the cost of leaving it at that; both [totals].

    Where nothing suffices, only annotating everything shows it.
    """
    open_ = outlook.p_too_few
    return open_, np.full(len(open_), prices.miss(outlook.n_max))


def _lost_value(outlook: Outlook) -> tuple[FloatArray, FloatArray]:
    """Always 1, as no total ends it, and the value of the points that a total does without; both [totals]."""
    rest = 100 * outlook.goal.amount * outlook.mean(outlook.missing)
    return np.ones(len(rest)), np.maximum(rest, 0.0)


def _best_of_a_round(
    totals: FloatArray, open_: FloatArray, later: FloatArray, loss: FloatArray, paid: FloatArray, prices: Prices
) -> FloatArray:
    """Least expected cost from each total on, given that it does not suffice: one round more, or leaving it, [totals].

    Args:
        totals: Cases in all.
        open_: Probability that each total does not suffice.
        later: Least expected cost from each total on, after this round.
        loss: Cost of leaving it at each total.
        paid: What is paid once each total is reached in this round.
        prices: What cases and rounds cost.
    """
    still = np.divide(open_[None, :], open_[:, None], out=np.zeros((len(totals),) * 2), where=open_[:, None] > 0)
    step = totals[None, :] - totals[:, None]
    allowed = (step > 0) & (totals[None, :] <= GROWTH * totals[:, None])
    allowed &= (step >= LEAST_SHARE * totals[:, None]) | (totals == totals[-1])[None, :]
    allowed &= (paid <= prices.budget * (1 + 1e-9))[None, :]
    cost = np.where(allowed, prices.round + prices.case * step + still * later[None, :], np.inf)
    return np.asarray(np.minimum(loss, cost.min(axis=1)))
