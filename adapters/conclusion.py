"""What a round says: forecasts of every curve, the recommendation, and how they are kept."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from .. import __version__
from ..forecast.costs import Costs
from ..forecast.curve import Curve, curves_from_scores
from ..forecast.document import forecast_document
from ..forecast.errors import InputError
from ..forecast.forecast import Forecast, Question, forecast_curve
from ..forecast.goal import PLATEAU, Goal
from ..forecast.justification import justification
from ..forecast.lookahead import LOOK_AHEAD
from ..forecast.promises import Promise, PromiseOutcome, outcomes
from ..forecast.quadrature import DRAWS
from ..forecast.recommendation import Recommendation, Situation, recommend_all
from ..forecast.stability import RoundSummary
from ..forecast.types import Interval
from .findings import (
    FalsePositives,
    ScheduleCheck,
    false_positives,
    hours_per_run,
    limited_by_training,
    schedule_checks,
)
from .run_scores import curve_scores, decides, ensemble_scores, study_scores
from .study import Study, read_rounds


@dataclass(frozen=True)
class Round:
    """What one round said."""

    number: int
    study: Study
    scores: pd.DataFrame
    """The scores of every completed run."""
    ensembles: pd.DataFrame
    """Dice of every ensemble rule and single fold, where several rules were asked for."""
    forecasts: list[Forecast]
    """Of the curves that may have a part in the decision: the first metric on the whole test set."""
    others: list[Forecast]
    """Of strata, extra test sets, single annotators and further metrics, by quadrature alone."""
    recommendation: Recommendation
    each: list[Recommendation]
    """The recommendation of every curve that has a part in the decision, in the order of `forecasts`."""
    history: list[list[RoundSummary]]
    """Every curve's forecasts so far."""
    outcomes: list[tuple[PromiseOutcome, ...]]
    """What was promised for every curve after each batch, and what was observed."""
    schedule: list[ScheduleCheck]
    absent: list[FalsePositives]
    replay: bool
    """Whether the cases come from an already annotated pool."""

    @property
    def deciding(self) -> Forecast:
        """The forecast of the curve that decides."""
        return next(one for one in self.forecasts if one.curve.name == self.recommendation.curve)


@dataclass(frozen=True)
class Asked:
    """What a decision was asked for besides the study's own settings; None keeps those."""

    goal: Goal | None = None
    per_case: Mapping[str, float] = field(default_factory=dict)
    """Cost of a case by arm; under "" for every other arm."""
    per_round: float | None = None
    per_run: float | None = None
    unit: str | None = None
    budget: float | None = None
    left: int | None = None
    """Cases that could still be annotated."""
    rounds_left: int | None = None
    look_ahead: int = LOOK_AHEAD


def conclude(
    study: Study,
    question: Question | None = None,
    asked: Asked | None = None,
    *,
    scores: pd.DataFrame | None = None,
    replay: bool = False,
    quick: bool = False,
    arm: str | None = None,
    structure: str | None = None,
) -> Round:
    """Forecast and recommend from the runs that are complete.

    Args:
        study: At least one run must be complete.
        question: Instead of the study's own.
        asked: What differs from the study's own settings.
        scores: All that the study has, where they have been read.
        replay: Whether the study is being replayed; once it was, it is.
        quick: Only what the decision needs; it is the same.
        arm: The only arm to decide about; all without.
        structure: The only structure to decide about; all without.

    Raises:
        InputError: No run is complete, or no structure is left to decide by.
    """
    number = len(study.batches) - 1
    question = question or study_question(study)
    sizes, scores = study.pool_sizes, study_scores(study) if scores is None else scores
    chosen = _of(curve_scores(study, scores), arm, structure)
    curves = [] if chosen.empty else curves_from_scores(chosen, n_annotated=sizes[-1], pool=sizes)
    deciding, others = _parted(study, curves)
    forecasts = [forecast_curve(curve, question, quick=quick, draws=DRAWS) for curve in deciding]
    rounds = read_rounds(study)
    earlier = [document for document in rounds if document["round"] < number]
    history = [[*_history(earlier, forecast), *_summary(number, forecast)] for forecast in forecasts]
    schedule = [one for one in schedule_checks(study) if arm in (None, one.arm) and structure in (None, one.structure)]
    replay = replay or any(document["replay"] for document in rounds)
    listed = any(document["recommendation"].get("evidence", {}).get("left") is not None for document in earlier)
    situations = [
        _situation(study, forecast, past, schedule, replay, listed, asked or Asked())
        for forecast, past in zip(forecasts, history, strict=True)
    ]
    taking_part = [i for i, situation in enumerate(situations) if situation is not None]
    if not taking_part:
        raise InputError(
            f"{study.folder / 'study.toml'}, [study]: goal must name a structure with a curve, found "
            f"{study.settings.study.goal}; curves are {', '.join(curve.name for curve in deciding)}."
        )
    decision, each = recommend_all([forecasts[i] for i in taking_part], [s for s in situations if s is not None])
    return Round(
        number=number,
        study=study,
        scores=scores,
        ensembles=ensemble_scores(study, set(scores["structure"])),
        forecasts=forecasts,
        others=[] if quick else [forecast_curve(curve, question, quick=True) for curve in others],
        recommendation=decision,
        each=each,
        history=history,
        outcomes=[outcomes(one.curve, question, _promised(earlier, one.curve.name)) for one in forecasts],
        schedule=schedule,
        absent=false_positives(_of(scores, arm, structure)),
        replay=replay,
    )


def _of(scores: pd.DataFrame, arm: str | None, structure: str | None) -> pd.DataFrame:
    """The scores of an arm and of a structure, where one is named."""
    for column, wanted in (("arm", arm), ("structure", structure)):
        scores = scores if wanted is None else scores[scores[column] == wanted]
    return scores


def _parted(study: Study, curves: Sequence[Curve]) -> tuple[list[Curve], list[Curve]]:
    """The curves that may have a part in the decision, and the others.

    Raises:
        InputError: There are none of the first kind.
    """
    parts: dict[bool, list[Curve]] = {True: [], False: []}
    for curve in curves:
        parts[decides(study, curve.metric, curve.test_set, curve.stratum)].append(curve)
    if not parts[True]:
        raise InputError(
            f"{study.folder}: no curve to decide by: {study.settings.scores.curve_metrics[0]} is undefined for every "
            f"structure on the test set. Put another metric first in curve_metrics, {study.folder / 'study.toml'}."
        )
    return parts[True], parts[False]


def _situation(
    study: Study,
    forecast: Forecast,
    past: Sequence[RoundSummary],
    schedule: Sequence[ScheduleCheck],
    replay: bool,
    listed_before: bool,
    asked: Asked,
) -> Situation | None:
    """What one curve's decision depends on; None where its structure takes no part in it."""
    settings, curve = study.settings, forecast.curve
    goal = settings.goal(curve.structure)
    if goal is None:
        return None
    waiting = study.hidden if replay else study.waiting
    listed = len(waiting) if replay or waiting or listed_before else None
    deadline, sizes = settings.cost.deadline_rounds, study.sizes()
    rounds_left = None if deadline is None else deadline - (len(study.batches) - 1)
    return Situation(
        goal=asked.goal or (None if goal.kind == PLATEAU else goal),
        left=listed if asked.left is None else asked.left,
        costs=costs_now(study, curve.arm, asked),
        rounds_left=rounds_left if asked.rounds_left is None else asked.rounds_left,
        draws=settings.pilots.draws_at(curve.n_annotated + 1),
        look_ahead=asked.look_ahead,
        history=tuple(past),
        tolerances=settings.stability,
        training_limited=limited_by_training(curve, schedule, forecast.question.eps, (sizes[0], sizes[-1])),
    )


def study_question(study: Study) -> Question:
    """What a study asks of its curves."""
    asked, now = study.settings.study, study.pool_sizes[-1]
    reach = now + len(study.waiting) if study.waiting else None
    return Question(seed=asked.seed, level=asked.level, eps=asked.eps, reach=reach)


def costs_now(study: Study, arm: str, asked: Asked) -> Costs:
    """The costs of an arm's cases and of a round, with the budget that is left after the rounds so far."""
    cost = study.settings.cost
    per_case = next((one.per_case for one in study.settings.arms if one.name == arm), None)
    per_case = cost.per_case if per_case is None else per_case
    runs = len(study.settings.arms) * study.settings.pilots.draws_at(study.pool_sizes[-1] + 1)
    per_run = cost.per_gpu_hour * (hours_per_run(study) or 0.0) if cost.per_gpu_hour else 0.0
    budget = cost.budget
    if budget is not None:
        later, rounds = sum(len(batch) for batch in study.batches[1:]), len(study.batches) - 1
        budget = max(0.0, budget - later * (per_case or 0) - rounds * ((cost.per_round or 0) + per_run * runs))
    own = Costs(per_case, cost.per_round, per_run, runs, cost.unit, budget)
    return with_asked(own, arm, asked)


def with_asked(costs: Costs, arm: str, asked: Asked) -> Costs:
    """An arm's costs with what was asked for instead."""
    names = ("per_round", "per_run", "unit", "budget")
    given = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    per_case = asked.per_case.get(arm, asked.per_case.get("", costs.per_case))
    return dataclasses.replace(costs, per_case=per_case, **given)


def _of_curve(document: Mapping[str, Any], forecast: Forecast) -> Mapping[str, Any] | None:
    """The entry of a forecast's curve in an earlier round's document."""
    names = ("arm", "structure", "metric", "test_set", "stratum")
    key = [getattr(forecast.curve, name) for name in names]
    return next((past for past in document["forecast"]["curves"] if [past[name] for name in names] == key), None)


def _history(earlier: Sequence[Mapping[str, Any]], forecast: Forecast) -> list[RoundSummary]:
    pairs = [(document, _of_curve(document, forecast)) for document in earlier]
    found = [
        RoundSummary.from_document(document["round"], past, document["forecast"]["level"])
        for document, past in pairs
        if past is not None
    ]
    return [one for one in found if one is not None]


def _summary(number: int, forecast: Forecast) -> list[RoundSummary]:
    summary = RoundSummary.of(number, forecast)
    return [] if summary is None else [summary]


def _promised(earlier: Sequence[Mapping[str, Any]], curve: str) -> list[Promise]:
    """The promises on record for a curve."""
    found = []
    for document in earlier:
        for one in document["recommendations"]:
            promise = one["promise"]
            if one["curve"] == curve and promise is not None and "draws" in promise:
                ends = Interval(promise["median"], promise["lo"], promise["hi"], document["forecast"]["level"])
                found.append(Promise(promise["n"], promise["draws"], ends))
    return found


def round_document(result: Round) -> dict[str, Any]:
    """A round as kept in `rounds/<k>.json`."""
    question = result.forecasts[0].question
    return {
        "round": result.number,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "replay": result.replay,
        "n_annotated": result.study.pool_sizes[-1],
        "forecast": forecast_document([*result.forecasts, *result.others], question, __version__),
        "recommendation": recommendation_document(result),
        "recommendations": [one.document() for one in result.each],
        "promises": [
            {"curve": forecast.curve.name, **one.promise.document(), "observed": one.observed, "held": one.held}
            for forecast, found in zip(result.forecasts, result.outcomes, strict=True)
            for one in found
        ],
        "false_positives": [dataclasses.asdict(one) for one in result.absent],
        "schedule_check": [{**dataclasses.asdict(check), "rise": check.rise} for check in result.schedule],
    }


def recommendation_document(result: Round) -> dict[str, Any]:
    """The recommendation, with the cases to annotate where the study lists some, and how they were chosen."""
    found, study = result.recommendation, result.study
    named = found.code == "annotate" and bool(study.waiting)
    chosen = {"rule": study.settings.next.select, "by": study.settings.next.by, "seed": study.next_seed}
    return {
        **found.document(),
        "cases": study.next_cases(found.batch) if named else [],
        "selection": chosen if named else None,
        "justification": justification(result.deciding, found, __version__),
    }
