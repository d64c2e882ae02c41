"""What a forecast and a decision mean to somebody who annotates: how many more, how much better, how sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .goal import TARGET, VALUE
from .words import amount_words, chance_words, level_words

if TYPE_CHECKING:
    from .forecast import Forecast, Gain
    from .recommendation import Recommendation

LIKELY = 0.5
"""Probability from which little is said to be left to gain."""
HEADS = {
    "plateau_reached": "ENOUGH CASES",
    "beyond_horizon": "MORE CASES MAY HELP",
    "families_disagree": "CANNOT TELL YET",
    "ill_behaved": "LOOK AT THE SCORES FIRST",
    "too_few_sizes": "TOO FEW SIZES",
}
"""A verdict in a few words; where the plateau is ahead it depends on how much is left to gain."""

DECISIONS = {
    "stop_plateau": "STOP: further cases add too little",
    "stop_stable": "STOP: the forecast is stable",
    "stop_budget": "STOP: nothing left to annotate or to spend",
    "stop_unreachable": "STOP: the target is out of reach",
    "train_pilots": "TRAIN MORE PILOTS",
    "cannot_tell": "CANNOT TELL",
}
"""A decision in a few words, by its code."""


def headline(found: Forecast) -> str:
    """The verdict in a few words."""
    gain = found.reachable_gain
    if found.verdict.code != "ill_behaved" and (
        found.falls or (found.messages and found.verdict.code == "plateau_reached")
    ):
        return "LOOK AT THE WARNINGS FIRST"
    if gain is not None and found.verdict.code == "plateau_ahead":
        return "LITTLE LEFT TO GAIN" if gain.p_below_eps >= LIKELY else "MORE CASES HELP"
    doubling = found.gain_doubling
    if found.verdict.code == "plateau_reached" and gain is not None and doubling is not None:
        few = gain.n_to < doubling.n_to and doubling.p_below_eps < LIKELY
        return "THE CASES LEFT ADD LITTLE" if few else HEADS["plateau_reached"]
    if gain is not None and gain.n_from == gain.n_to and found.verdict.code == "beyond_horizon":
        return "NOTHING LEFT TO FORECAST"
    return HEADS[found.verdict.code]


def answer_words(found: Forecast) -> str | None:
    """How much more cases would bring, and how sure that is; None where nothing can be said of it."""
    gain = found.reachable_gain
    if gain is None or gain.n_from == gain.n_to or found.verdict.code == "ill_behaved":
        return None
    weighed = "all families weighed together, " if found.verdict.code == "families_disagree" else ""
    return f"{weighed}{_gain_words(gain, found.curve.metric)} {_chance(gain, found.question.eps)}"


def _gain_words(gain: Gain, metric: str) -> str:
    rise = gain.interval
    change = f"raise the mean {metric} by {rise.median:.3f}"
    if rise.median < 0.0005:
        change = f"leave the mean {metric} as it is"
    return (
        f"{gain.n_to - gain.n_from} more cases ({gain.n_from} -> {gain.n_to}) are expected to {change} "
        f"({level_words(rise.level)} interval {rise.lo:+.3f} to {rise.hi:+.3f}, which holds how far scores stray "
        "from a smooth curve)."
    )


def _chance(gain: Gain, eps: float) -> str:
    """The likelier of the two, so that the number is the larger one."""
    if gain.p_below_eps >= LIKELY:
        return f"The chance that the curve itself rises by no more than {eps:g} is {chance_words(gain.p_below_eps)}."
    return f"The chance that the curve itself rises by more than {eps:g} is {chance_words(1 - gain.p_below_eps)}."


def decision_words(found: Recommendation) -> str:
    """The decision in a few words."""
    if found.stop_blocked:
        return "TRAIN LONGER FIRST: twice the training raised the score"
    if found.code == "annotate":
        cases = "CASE" if found.batch == 1 else "CASES"
        total = f", {found.promise.n} in all" if found.promise is not None else ""
        return f"ANNOTATE {found.batch} MORE {cases}{total}"
    if found.code == "stop_plateau" and found.goal.kind == TARGET:
        return "STOP: the target is reached"
    if found.code == "stop_stable" and found.goal.kind == VALUE:
        return "STOP: no further batch is worth its cost"
    return DECISIONS[found.code]


def sentence(found: Recommendation) -> str:
    """The reason with a capital, unless it begins with the curve's name."""
    reason = found.reason
    return reason if reason.startswith(found.curve) else reason[:1].upper() + reason[1:]


def sure_words(found: Recommendation) -> list[str]:
    """How sure it is that the batch is enough; nothing where no batch is named."""
    n_max = found.evidence.get("n_max")
    if found.code != "annotate" or found.p_suffices is None or n_max is None:
        return []
    told = []
    if found.chance is not None:
        told.append(f"Chance that you will then {found.goal.words(n_max)}: {chance_words(found.chance)}.")
    if not found.is_last:
        return told
    left = found.evidence.get("left") is not None
    last = (
        "Those are all the cases there are." if left else f"{n_max} is as far as these pilots can tell; then ask again."
    )
    return [last, *told]


def cost_words(cost: Mapping[str, Any]) -> str:
    """What a batch costs, and what for."""
    parts = cost_parts(cost)
    return f"{amount_words(cost['amount'])} {cost['unit']}" + (f" ({', '.join(parts)})" if parts else "")


def cost_parts(cost: Mapping[str, Any]) -> list[str]:
    """What a cost is made up of; nothing where it is of one kind."""
    named = (("cases", "annotation"), ("round", "round"), ("compute", "computing"))
    parts = [f"{words} {amount_words(cost[key])}" for key, words in named if cost[key]]
    return parts if len(parts) > 1 else []
