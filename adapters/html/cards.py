"""The answer at a glance: how many more, how sure, what it costs, what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...forecast.recommendation import STOPS
from ...forecast.words import amount_words, chance_words, level_words
from ..answer import Answer
from ..screen import ends_words, score_words


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
    if found.stops:
        return "none", f"{now} are annotated"
    return "not told yet", f"{now} are annotated"


def _how_sure(answer: Answer) -> Iterator[Card]:
    found, gain, eps = answer.decision, answer.deciding.reachable_gain, answer.source.question.eps
    if found.code == "annotate" and found.p_suffices is not None:
        yield Card("How sure?", chance_words(found.p_suffices), "is the chance that these cases are enough")
    elif gain is not None and gain.n_to > gain.n_from:
        words = f"is the chance that {gain.n_to - gain.n_from} more cases add at most {eps:g}"
        yield Card("How sure?", chance_words(gain.p_below_eps), words)


def _cost(answer: Answer) -> Iterator[Card]:
    found = answer.decision
    if found.cost is not None:
        yield Card("What does it cost?", f"{amount_words(found.cost['amount'])} {found.cost['unit']}", "for this batch")
    elif found.code == "annotate":
        yield Card("What does it cost?", "not known", "give --per-case, or [cost] in study.toml")


def _scores(answer: Answer) -> Iterator[Card]:
    found, curve, gain = answer.decision, answer.deciding.curve, answer.deciding.reachable_gain
    if gain is None:
        return
    where = f"with {curve.sizes[-1]} cases, {curve.arm} / {curve.structure}"
    yield Card(f"Mean {curve.metric} now", score_words(float(curve.observed[-1])), where)
    if found.promise is not None:
        then = found.promise.interval
        words = f"{ends_words(then)} with {found.promise.n} cases ({level_words(then.level)})"
        yield Card(f"Mean {curve.metric} then", score_words(then.median), words)
    elif gain.n_to > gain.n_from:
        left = gain.interval
        words = f"{ends_words(left)} from {gain.n_from} to {gain.n_to} cases ({level_words(left.level)})"
        yield Card("Still to gain", score_words(left.median), words)
