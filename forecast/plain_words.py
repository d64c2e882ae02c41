"""What a forecast means, in the words of somebody who annotates: how many more, how much better, how sure."""

from __future__ import annotations

from .forecast import Forecast, Gain
from .words import chance_words, level_words

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


def headline(found: Forecast) -> str:
    """The verdict in a few words."""
    gain = found.reachable_gain
    if gain is not None and found.verdict.code == "plateau_ahead":
        return "LITTLE LEFT TO GAIN" if gain.p_below_eps >= LIKELY else "MORE CASES HELP"
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
        f"({level_words(rise.level)} interval {rise.lo:+.3f} to {rise.hi:+.3f})."
    )


def _chance(gain: Gain, eps: float) -> str:
    """The likelier of the two, so that the number is the larger one."""
    if gain.p_below_eps >= LIKELY:
        return f"The chance that they add no more than {eps:g} is {chance_words(gain.p_below_eps)}."
    return f"The chance that they add more than {eps:g} is {chance_words(1 - gain.p_below_eps)}."
