"""Which of several arms is the best with so many cases, or for so much money, and which to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .arms import Arm, ArmCost
from .errors import InputError
from .forecast import Question
from .types import Interval

LIKELY = 0.8
"""Probability of being the best from which an arm is recommended."""


@dataclass(frozen=True)
class Ranked:
    """The arms at one number of cases, or at one cost."""

    sizes: tuple[int, ...]
    """Cases of each arm; 0 where the cost does not pay for training it."""
    scores: tuple[Interval | None, ...]
    """Expected score of each arm; None without cases."""
    p_best: tuple[float, ...]
    """Probability of each arm to have the highest expected score."""
    cost: float | None = None
    """What is spent from now on; None where the arms are ranked at the same number of cases."""

    @property
    def best(self) -> int:
        """The likeliest."""
        return int(np.argmax(self.p_best))


def sizes_of(arms: Sequence[Arm], question: Question) -> tuple[int, ...]:
    """Sizes to rank at: those asked for; else annotated now (by the arm with the fewest), twice as many, and N_max.

    Raises:
        InputError: A size past the horizon of an arm.
    """
    horizon = min(arm.horizon for arm in arms)
    beyond = [n for n in question.at if n > horizon]
    if beyond:
        raise InputError(
            f"arms can be compared up to {horizon} cases, 4 times the largest size that each was trained on; found "
            f"{beyond[0]}. Ask for fewer, or train a larger size."
        )
    if question.at:
        return tuple(sorted(set(question.at)))
    now = min(arm.curve.n_annotated for arm in arms)
    most = max(question.reach or horizon, now)
    return tuple(sorted({now, min(2 * now, most), most}))


def ranked_at(arms: Sequence[Arm], n: int, level: float) -> Ranked:
    """The arms with n cases each."""
    return _ranked(arms, [n] * len(arms), level, None)


def ranked_for(
    arms: Sequence[Arm], costs: Mapping[str, ArmCost], amount: float, level: float, reach: int | None = None
) -> Ranked:
    """The arms when an amount is spent from now on: on training once, and the rest on annotating.

    No arm gets more cases than its horizon, or than could ever be annotated.
    """
    sizes = []
    for arm in arms:
        more = costs[arm.name].cases(amount)
        most = arm.horizon if reach is None else min(arm.horizon, max(reach, arm.curve.n_annotated))
        sizes.append(0 if more < 0 else min(arm.curve.n_annotated + more, most))
    return _ranked(arms, sizes, level, amount)


def usual_amounts(arms: Sequence[Arm], costs: Mapping[str, ArmCost], sizes: Sequence[int]) -> tuple[float, ...]:
    """What it takes to bring the dearest arm to each of some sizes."""
    found = {max(costs[arm.name].of(max(n - arm.curve.n_annotated, 0)) for arm in arms) for n in sizes}
    return tuple(sorted(amount for amount in found if amount > 0))


def _ranked(arms: Sequence[Arm], sizes: Sequence[int], level: float, cost: float | None) -> Ranked:
    drawn = [arm.scores(n) if n else None for arm, n in zip(arms, sizes, strict=True)]
    p_best = np.zeros(len(arms))
    if any(one is not None for one in drawn):
        best = np.argmax([np.full(len(arms[0].expected.dm), -1.0) if one is None else one for one in drawn], axis=0)
        p_best = np.bincount(best, minlength=len(arms)) / len(best)
    scores = tuple(None if one is None else Interval.of(one, level) for one in drawn)
    return Ranked(tuple(sizes), scores, tuple(map(float, p_best)), cost)


def choose(names: Sequence[str], rows: Sequence[Ranked], unit: str = "") -> tuple[str | None, str]:
    """The arm to run, None when they cannot be told apart, and why.

    The last row decides; where the first one contradicts it, the words say that the answer is for the long run.
    """
    words = "; ".join(
        f"{_where(row, unit)} {names[row.best]} is the best with probability {max(row.p_best):.2f}" for row in rows
    )
    first, last = rows[0], rows[-1]
    if max(last.p_best) >= LIKELY:
        lasting = first.p_best[last.best] >= 1 - LIKELY
        return names[last.best], f"{words}." if lasting else f"if you go on annotating: {words}."
    medians = [score.median for score in last.scores if score is not None]
    if not medians:
        return None, f"nothing can be trained for {last.cost:g} {unit}: it does not pay for one run of any arm."
    return None, (
        f"the arms cannot be told apart: {words}; their expected scores there differ by {np.ptp(medians):.3f}. Run the "
        "cheaper one, or train more draws."
    )


def _where(row: Ranked, unit: str) -> str:
    if row.cost is None:
        return f"with {row.sizes[0]} cases"
    return f"for {row.cost:g} {unit} more"
