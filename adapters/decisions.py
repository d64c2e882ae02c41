"""What to do next about curves that no study stands behind: the same decision, from costs on the command line alone."""

from __future__ import annotations

from collections.abc import Sequence

from ..forecast.costs import Costs
from ..forecast.curve import Curve
from ..forecast.errors import InputError
from ..forecast.forecast import Forecast
from ..forecast.recommendation import ROUNDS, Recommendation, Situation, recommend_all
from ..forecast.scores import TEST, TEXT_DEFAULTS
from .conclusion import Asked, with_asked

PARTIAL = (
    "Asked about a part of the study: its goals, costs, rounds, promises and schedule check are left out, and the "
    "decision is made without them."
)
"""What is said where a decision about a study knows less than the study does."""


def check_numbers(asked: Asked) -> None:
    """Refuse numbers that nothing can be decided with, before anything is read.

    Raises:
        InputError: One is too small, or too large.
    """
    for name in ("left", "rounds_left", "look_ahead"):
        value, least = getattr(asked, name), 1 if name == "look_ahead" else 0
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} must be >= {least}, found {value}.")
    if asked.look_ahead > ROUNDS:
        raise InputError(f"--look-ahead must be at most {ROUNDS}, found {asked.look_ahead}.")


def check_arms(asked: Asked, curves: Sequence[Curve]) -> None:
    """Refuse a cost for an arm that there is not.

    Raises:
        InputError: There is no such arm.
    """
    arms = sorted({curve.arm for curve in curves})
    unknown = [arm for arm in asked.per_case if arm and arm not in arms]
    if unknown:
        raise InputError(f"--per-case: unknown arm {unknown[0]!r}: there is {', '.join(arms)}.")


def decide(forecasts: Sequence[Forecast], asked: Asked) -> tuple[Recommendation, list[Recommendation]]:
    """The decision over all curves, and that of each."""
    arms = {forecast.curve.arm for forecast in forecasts}
    return recommend_all(forecasts, [_situation(forecast.curve, len(arms), asked) for forecast in forecasts])


def _situation(curve: Curve, arms: int, asked: Asked) -> Situation:
    return Situation(
        goal=asked.goal,
        left=asked.left,
        costs=costs_of(curve, arms, asked),
        rounds_left=asked.rounds_left,
        draws=int(curve.draws[-1]),
        look_ahead=asked.look_ahead,
    )


def costs_of(curve: Curve, arms: int, asked: Asked) -> Costs:
    """What a batch costs for a curve's arm, as far as it was said; a round trains as many draws as the last one did."""
    return with_asked(Costs(runs=int(curve.draws[-1]) * arms), curve.arm, asked)


def deciding_curves(curves: Sequence[Curve], metric: str) -> list[Curve]:
    """The curves that a decision is made by: a metric on the usual test set, all of it; others where there are none."""
    chosen = list(curves)
    for name, usual in (("metric", metric), ("test_set", TEST), ("stratum", TEXT_DEFAULTS["stratum"])):
        chosen = [curve for curve in chosen if getattr(curve, name) == usual] or chosen
    return chosen
