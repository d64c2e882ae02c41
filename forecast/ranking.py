"""Which of several arms is the best with so many cases, or for so much money, and which to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .arms import Arm, ArmCost, span_of
from .errors import InputError
from .forecast import Question
from .types import FloatArray, Interval
from .words import amount_words, probability_words

LIKELY = 0.8
"""Probability of being the best from which an arm is recommended."""
RIVAL = 0.1
"""Share of the likeliest arm's probability of being the best from which another is its rival."""


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
    beyond: tuple[bool, ...] = ()
    """Whether the cost pays for more cases than the arm can speak of, and it is ranked with those it can."""

    @property
    def best(self) -> int:
        """The likeliest."""
        return int(np.argmax(self.p_best))


def sizes_of(arms: Sequence[Arm], question: Question) -> tuple[int, ...]:
    """Sizes to rank at: those asked for, else the usual ones.

    Raises:
        InputError: A size that an arm cannot speak of.
    """
    first, last = span_of(arms)
    outside = [n for n in question.at if not first <= n <= last]
    if outside:
        raise InputError(
            f"arms can be compared from {first} cases, the smallest size that each was trained on, up to {last}, 4 "
            f"times the largest; found {outside[0]}. Ask for another number, or train other sizes."
        )
    return tuple(sorted(set(question.at))) or usual_sizes(arms, question)


def usual_sizes(arms: Sequence[Arm], question: Question) -> tuple[int, ...]:
    """Annotated now, twice as many, and N_max, kept to what every arm can speak of."""
    last, now = span_of(arms)[1], now_of(arms)
    most = max(min(question.reach or last, last), now)
    return tuple(sorted({now, min(2 * now, most), most}))


def now_of(arms: Sequence[Arm]) -> int:
    """Cases annotated now, by the arm with the fewest, kept to what every arm can speak of."""
    first, last = span_of(arms)
    return min(max(min(arm.curve.n_annotated for arm in arms), first), last)


def ranked_at(arms: Sequence[Arm], n: int, level: float) -> Ranked:
    """The arms with n cases each."""
    return _ranked(arms, [n] * len(arms), level, None)


def ranked_for(
    arms: Sequence[Arm], costs: Mapping[str, ArmCost], amount: float, level: float, reach: int | None = None
) -> Ranked:
    """The arms when an amount is spent from now on: on training once, and the rest on annotating.

    No arm gets more cases than could ever be annotated, nor more than it can speak of; `beyond` marks the latter.
    """
    sizes, beyond = [], []
    for arm in arms:
        more, now = costs[arm.name].cases(amount), arm.curve.n_annotated
        paid = now + more if reach is None else min(now + more, max(reach, now))
        sizes.append(0 if more < 0 else min(paid, arm.horizon))
        beyond.append(more >= 0 and paid > arm.horizon)
    return replace(_ranked(arms, sizes, level, amount), beyond=tuple(beyond))


def usual_amounts(arms: Sequence[Arm], costs: Mapping[str, ArmCost], question: Question) -> tuple[float, ...]:
    """What brings the dearest arm to each size asked for past what is annotated; without one, to the usual sizes."""
    fewest = min(arm.curve.n_annotated for arm in arms)
    sizes = [n for n in question.at if n > fewest] or usual_sizes(arms, question)
    found = {max(costs[arm.name].of(max(n - arm.curve.n_annotated, 0)) for arm in arms) for n in sizes}
    return tuple(sorted(amount for amount in found if amount > 0))


def _ranked(arms: Sequence[Arm], sizes: Sequence[int], level: float, cost: float | None) -> Ranked:
    drawn = [arm.scores(n) if n else None for arm, n in zip(arms, sizes, strict=True)]
    scores = tuple(None if one is None else Interval.of(one, level) for one in drawn)
    return Ranked(tuple(sizes), scores, tuple(map(float, best_shares(drawn))), cost)


def best_shares(drawn: Sequence[FloatArray | None]) -> FloatArray:
    """Share of the draws in which each arm has the highest score, shape [arms].

    Args:
        drawn: Scores of every arm, shape [draws]; None where it cannot be trained. Arms that tie share the draw.
    """
    able = [i for i, one in enumerate(drawn) if one is not None]
    shares = np.zeros(len(drawn))
    if able:
        scores = np.array([drawn[i] for i in able])
        best = scores == scores.max(axis=0)
        shares[able] = (best / best.sum(axis=0)).mean(axis=1)
    return shares


def choose(names: Sequence[str], rows: Sequence[Ranked], unit: str = "") -> tuple[str | None, str]:
    """The arm to run, None when they cannot be told apart, and why.

    The last row decides; where the first comparison contradicts it, the words say that the answer is for the long run.
    """
    words = "; ".join(_row_words(names, row, unit) for row in rows)
    compared = [row for row in rows if sum(score is not None for score in row.scores) > 1]
    if not compared:
        return None, f"nothing to compare: {words}."
    first, last = compared[0], compared[-1]
    if max(last.p_best) >= LIKELY:
        lasting = first.p_best[last.best] >= 1 - LIKELY
        return names[last.best], f"{words}." if lasting else f"if you go on annotating: {words}."
    rivals = [i for i, p in enumerate(last.p_best) if p >= RIVAL * max(last.p_best)]
    medians = [score.median for i, score in enumerate(last.scores) if score is not None and i in rivals]
    able = sum(score is not None for score in last.scores)
    which = "the arms" if len(rivals) == able else f"{' and '.join(names[i] for i in rivals)}"
    advice = "Run the cheapest of them, or train more draws" if last.cost is None else "Train more draws, or run either"
    apart = f"their expected scores there differ by {np.ptp(medians):.3f}"
    others = "" if len(rivals) == able else " Every other arm is ten times less likely to be the best."
    return None, f"{which} cannot be told apart: {words}; {apart}. {advice}.{others}"


def _row_words(names: Sequence[str], row: Ranked, unit: str) -> str:
    where = f"with {row.sizes[0]} cases" if row.cost is None else f"with {amount_words(row.cost)} {unit} to spend"
    able = [name for name, score in zip(names, row.scores, strict=True) if score is not None]
    if len(able) < 2:
        return f"{where} {'only ' + able[0] if able else 'no arm'} can be trained"
    return f"{where} {names[row.best]} is the best with probability {probability_words(max(row.p_best))}"
