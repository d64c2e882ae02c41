"""The sample size in a paragraph, as a grant, an ethics board or a methods section asks for it."""

from __future__ import annotations

from .forecast import Forecast
from .goal import PLATEAU, TARGET
from .recommendation import Recommendation
from .words import amount_words, level_words, probability_words


def justification(forecast: Forecast, decision: Recommendation, version: str) -> str:
    """Why this many cases, with every number: data, model, goal, decision, chance, interval, cost, limits.

    Args:
        forecast: The forecast of the curve that decides.
        decision: What was decided from it.
        version: Of dicecast.
    """
    parts = [
        _data(forecast, decision),
        _model(forecast, version),
        _goal(forecast, decision),
        _decision(forecast, decision),
        _limits(forecast),
    ]
    return " ".join(part for part in parts if part)


def _data(forecast: Forecast, decision: Recommendation) -> str:
    curve = forecast.curve
    sizes = ", ".join(f"{n} ({_score(y)})" for n, y in zip(curve.sizes, curve.observed, strict=True))
    draws = sorted({int(count) for count in curve.draws})
    each = f"{draws[0]}" if len(draws) == 1 else f"{draws[0]} to {draws[-1]}"
    plural = "" if draws == [1] else "s"
    test = "" if curve.n_test is None else f" over {curve.n_test} held-out test cases"
    chosen = decision.stops or decision.code == "annotate"
    aim = "The sample size was chosen from" if chosen else "No sample size can be given yet. What is known comes from"
    return (
        f"{aim} pilot trainings on subsets of the {curve.n_annotated} cases annotated so far "
        f"({curve.name}; {each} random draw{plural} per size): the mean {curve.metric}{test} by number of annotated "
        f"cases was {sizes}."
    )


def _model(forecast: Forecast, version: str) -> str:
    if forecast.expected is None:
        return f"No learning curve was fitted (dicecast {version}): {forecast.verdict.reason}"
    named = forecast.plateau
    words = ""
    if named is not None and forecast.fit is not None:
        dm, d0, k = forecast.fit.values
        words = (
            " The exponential plateau D(n) = DM - (DM - D0) exp(-k n) alone gave by least squares "
            f"DM = {_score(dm)}, D0 = {_score(d0)}, k = {k:.4g}."
        )
    return (
        f"Learning curves ({', '.join(family.name for family in forecast.expected.families)}) were fitted by Bayesian "
        f"inference (dicecast {version}, prior {forecast.expected.prior}, seed {forecast.question.seed}), the scatter "
        f"between draws included.{words}"
    )


def _goal(forecast: Forecast, decision: Recommendation) -> str:
    goal, evidence = decision.goal, decision.evidence
    if "n_max" not in evidence:
        return ""
    gain, level = evidence["reachable_gain"], forecast.question.level
    what = {
        PLATEAU: f"to come within {goal.amount:g} of the score that {evidence['n_max']} cases would give",
        TARGET: f"a mean score of {goal.amount:g}",
    }.get(goal.kind, f"to annotate while a score point (0.01) worth {goal.amount:g} pays for its cases")
    return (
        f"The goal was {what}; going from {evidence['n_annotated']} to {evidence['n_max']} cases is expected to add "
        f"{gain['median']:.3f} ({level_words(level)} credible interval {gain['lo']:.3f} to {gain['hi']:.3f})."
    )


def _decision(forecast: Forecast, decision: Recommendation) -> str:
    if decision.code != "annotate" or decision.promise is None:
        return f"Decision ({decision.code.replace('_', ' ')}): {decision.reason}"
    promise = decision.promise
    chance = "" if decision.chance is None else f" suffice with probability {probability_words(decision.chance)} and"
    cost = ""
    if decision.cost is not None:
        cost = f", at a cost of {amount_words(decision.cost['amount'])} {decision.cost['unit']}"
    found = promise.interval
    return (
        f"We therefore annotate {decision.batch} further cases ({promise.n} in all){cost}. They{chance} are expected "
        f"to give a mean score of {found.median:.3f} ({level_words(found.level)} prediction interval {found.lo:.3f} to "
        f"{found.hi:.3f}, mean of {promise.draws} draw{'s' if promise.draws > 1 else ''}). The number is revised after "
        "each batch."
    )


def _limits(forecast: Forecast) -> str:
    return (
        f"These numbers hold for the trained network, schedule and test set, and up to {forecast.horizon} cases "
        f"(four times the largest subset trained)."
    )


def _score(value: float) -> str:
    return f"{value:.3f}"
