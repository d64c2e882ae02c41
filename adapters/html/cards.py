"""The answer at a glance: how many more, how sure, what it costs, what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...forecast.goal import TARGET
from ...forecast.plain_words import cost_parts, sure_words
from ...forecast.recommendation import STOPS
from ...forecast.words import amount_words, chance_words, ends_words, level_words, score_words
from ..answer import Answer

NO_USE = {
    "stop_budget": "nothing is left to annotate or to spend",
    "stop_unreachable": "the target is out of reach",
}
"""Why no further case is annotated although the goal is not reached."""


@dataclass(frozen=True)
class Card:
    """An answer at a glance."""

    question: str
    answer: str
    detail: str


def style_of(code: str) -> str:
    """The class of a decision, which colours it."""
    return "stop" if code in STOPS else code.replace("_", "-")


def cards_of(answer: Answer) -> list[Card]:
    """The four or five numbers to begin with."""
    return [Card("How many more?", *_how_many(answer)), *_how_sure(answer), *_cost(answer), *_scores(answer)]


def _how_many(answer: Answer) -> tuple[str, str]:
    found, now = answer.decision, answer.deciding.curve.n_annotated
    if found.code == "annotate":
        return f"{found.batch} more", f"{now} are annotated, {now + found.batch} will be"
    if found.code in NO_USE:
        return "none", f"{NO_USE[found.code]}; {now} are annotated"
    return ("none", f"{now} are annotated") if found.stops else ("not told yet", f"{now} are annotated")


def _how_sure(answer: Answer) -> Iterator[Card]:
    """The chance that the decision is right; nothing where none is taken."""
    found, gain, eps = answer.decision, answer.deciding.reachable_gain, answer.source.question.eps
    n_max, reached = found.evidence.get("n_max"), found.evidence.get("p_goal_reached")
    if found.code == "annotate" and found.chance is not None and n_max is not None:
        words = f"is the chance that you will then {found.goal.words(n_max)} ({found.curve})"
        yield Card("How sure?", chance_words(found.chance), words)
    elif found.code == "annotate" and found.is_last:
        left = found.evidence.get("left") is not None
        yield Card("How sure?", "all there are" if left else "ask again then", " ".join(sure_words(found)))
    elif found.code == "stop_plateau" and found.goal.kind == TARGET and reached is not None:
        yield Card(
            "How sure?", chance_words(reached), f"is the chance that the target of {found.goal.amount:g} is reached"
        )
    elif found.stops and found.code not in NO_USE and gain is not None and gain.n_to > gain.n_from:
        words = f"is the chance that with {gain.n_to - gain.n_from} more cases the curve rises by at most {eps:g}"
        yield Card("How sure?", chance_words(gain.p_below_eps), words)


def _cost(answer: Answer) -> Iterator[Card]:
    found = answer.decision
    if found.cost is not None:
        total, parts = f"{amount_words(found.cost['amount'])} {found.cost['unit']}", cost_parts(found.cost)
        yield Card("What does it cost?", total, f"for this batch{': ' * bool(parts)}{', '.join(parts)}")
    elif found.code == "annotate":
        yield Card("What does it cost?", "not known", "give --per-case, or [cost] in study.toml")


def _scores(answer: Answer) -> Iterator[Card]:
    found, curve, gain = answer.decision, answer.deciding.curve, answer.deciding.reachable_gain
    if gain is None:
        return
    where = f"observed with {curve.sizes[-1]} cases, {curve.arm} / {curve.structure}"
    yield Card(f"Mean {curve.metric}", score_words(float(curve.observed[-1])), where)
    if found.promise is not None:
        then, draws = found.promise.interval, found.promise.draws
        of = f"{level_words(then.level)} interval of the mean of {draws} draw{'s' * (draws != 1)}"
        words = f"{ends_words(then.lo, then.hi)}, {of}, with {found.promise.n} cases"
        yield Card(f"Mean {curve.metric} then", score_words(then.median), words)
    elif found.code not in NO_USE and gain.n_to > gain.n_from:
        left = gain.interval
        ends = f"{ends_words(left.lo, left.hi)}, {level_words(left.level)} interval"
        words = f"{ends}, from {gain.n_from} to {gain.n_to} cases"
        yield Card("Still to gain", score_words(left.median), words)
