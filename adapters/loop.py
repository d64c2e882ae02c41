"""The loop: train what is due, forecast, recommend, and in a replay reveal the next batch and go on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import __version__
from ..forecast.costs import Costs
from ..forecast.curve import curves_from_scores
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
from .execution import Outcome, Task, Workers, default_jobs, open_workers
from .files import storage_errors
from .findings import (
    FalsePositives,
    ScheduleCheck,
    false_positives,
    hours_per_run,
    limited_by_training,
    schedule_checks,
)
from .nnunet import detect_device, require_nnunet
from .nnunet.checks import check_cases, refuse_shared
from .nnunet.dataset import CaseFiles, NnunetDataset, read_dataset
from .nnunet.pilot import PilotSpec, RunStatus, remove_checkpoints, run_pilot, run_status
from .nnunet.planning import (
    case_folder,
    check_configuration,
    is_preprocessed,
    make_plans,
    plans_path,
    preprocess_case,
    read_plans,
)
from .study import (
    Study,
    check_specs,
    locked,
    open_study,
    pilot_specs,
    read_rounds,
    structures_of,
    study_scores,
    write_round,
)

RunsWatcher = Callable[[Sequence[PilotSpec], Outcome], None]
StepsWatcher = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Watchers:
    """Where the loop tells how it is getting on; every member may do nothing."""

    step: StepsWatcher = lambda what, done, total: None
    """Preparation: what, how many done, how many in all."""
    runs: RunsWatcher = lambda specs, outcome: None
    """Trainings: those of this round, what came of them so far."""
    round: Callable[[Round], None] = lambda result: None
    """A finished round."""
    notice: Callable[[str], None] = lambda text: None
    """Something worth a line."""


@dataclass(frozen=True)
class Round:
    """What one round said."""

    number: int
    study: Study
    scores: pd.DataFrame
    """The scores of every completed run."""
    forecasts: list[Forecast]
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
class RunOptions:
    """How `run` is to work."""

    replay: bool = False
    until_all: bool = False
    """In a replay, go on past a stop until every case is revealed."""
    jobs: int | None = None
    device: str | None = None


def run_study(study: Study, options: RunOptions, watchers: Watchers) -> Round:
    """Work on a study until a decision is handed over.

    Raises:
        InputError: The study, its dataset or a size is wrong; nothing was written.
        WorkError: Trainings failed; the finished ones are kept.
    """
    require_nnunet()
    with locked(study):
        study = open_study(study.folder)  # another run may have ended between reading and locking
        dataset = read_dataset_of(study)
        structures_of(study, dataset)
        study = _start_replay(study) if options.replay else _adopt_new_cases(study, dataset, watchers)
        study.sizes()
        device = detect_device(options.device or study.settings.execution.device)
        jobs = options.jobs or study.settings.execution.jobs or default_jobs(device)
        workers = 0 if device == "cpu" else min(12, default_jobs("cpu") // jobs)
        with open_workers(jobs, single_threaded=device == "cpu") as pool:
            while True:
                result, final = _one_round(study, dataset, pool, device, workers, options, watchers)
                watchers.round(result)
                if final:
                    return result
                study = _reveal(study, result, watchers)


def read_dataset_of(study: Study) -> NnunetDataset:
    """The dataset of a study, with every case the study knows.

    Raises:
        InputError: The folder moved, or a case of the study is gone.
    """
    dataset = read_dataset(Path(study.settings.study.dataset))
    known = study.cases.loc[study.cases["role"] != "unannotated", "case"]
    gone = sorted(set(known) - set(dataset.cases))
    if gone:
        raise InputError(
            f"{dataset.folder}: case {gone[0]!r} of this study is no longer in the dataset ({len(gone)} missing). "
            "Put it back: the test set and the pool must stay as they were."
        )
    return dataset


def _adopt_new_cases(study: Study, dataset: NnunetDataset, watchers: Watchers) -> Study:
    """Take cases that were annotated since the last run into the pool, as a batch of their own."""
    listed = study.cases.set_index("case")
    if study.hidden:
        raise InputError(
            f"{study.folder}: this study replays an annotated pool; go on with: dicecast run {study.folder} --replay"
        )
    known = set(listed.index[listed["role"] != "unannotated"])
    new = [case for case in dataset.cases if case not in known]
    if not new:
        return study
    facts = {}
    for fact in check_cases(dataset, new):
        facts[fact.case] = fact
        watchers.step("checking new cases", len(facts), len(new))
    patient = {**{case: case for case in new}, **study.patient}
    digest = {**study.digest, **{case: fact.digest for case, fact in facts.items()}}
    refuse_shared(study.test, [c for batch in study.batches for c in batch] + new, patient, digest)
    rows = [
        {
            "case": c,
            "patient": patient[c],
            "role": "pool",
            "round": str(len(study.batches)),
            "digest": facts[c].digest,
            "voxels": str(facts[c].voxels),
        }
        for c in new
    ]
    kept = study.cases[~study.cases["case"].isin(new)]
    extra = study.cases[study.cases["case"].isin(new)].set_index("case").drop(columns=list(rows[0])[1:])
    added = pd.DataFrame(rows).join(extra, on="case")
    watchers.notice(f"{len(new)} newly annotated cases join the pool.")
    return study.with_cases(pd.concat([kept, added], ignore_index=True).fillna(""))


def _start_replay(study: Study) -> Study:
    """At the first round of a replay, hide all but the cases of the largest size asked for."""
    if study.hidden or any(document["replay"] for document in read_rounds(study)):
        return study
    if plans_path(study.workspace).exists() or any(study.folder.glob("runs/*/*/*")):
        raise InputError(
            f"{study.folder}: a replay must be chosen at the first run, but this study was run without --replay: its "
            "plans have seen the whole pool. Make a new study for the replay."
        )
    pool = study.batches[0]
    start = max(study.settings.pilots.sizes, default=0)
    if not 2 <= start < len(pool):
        raise InputError(
            f"{study.folder / 'study.toml'}, [pilots]: a replay starts with the largest of sizes, which must be at "
            f"least 2 and leave cases to reveal; found {start} of {len(pool)} pool cases. Lower sizes, for example to "
            f"{[max(2, len(pool) // 16), max(3, len(pool) // 8), max(4, len(pool) // 4)]}."
        )
    hidden = {pool[i] for i in np.random.default_rng([study.settings.study.seed, 11]).permutation(len(pool))[start:]}
    hide = study.cases["case"].isin(hidden)
    return study.with_cases(
        study.cases.assign(
            role=study.cases["role"].mask(hide, "unannotated"), round=study.cases["round"].mask(hide, "")
        )
    )


def _reveal(study: Study, result: Round, watchers: Watchers) -> Study:
    """Add the recommended batch to the pool; without one, double the pool."""
    batch = min(result.recommendation.batch or study.pool_sizes[-1], len(study.hidden))
    now = study.cases["case"].isin(study.next_cases(batch))
    watchers.notice(f"revealing {batch} cases ({len(study.hidden) - batch} left).")
    return study.with_cases(
        study.cases.assign(
            role=study.cases["role"].mask(now, "pool"),
            round=study.cases["round"].mask(now, str(len(study.batches))),
        )
    )


def _is_final(result: Round, options: RunOptions) -> bool:
    """Whether the decision is handed over; a replay goes on until a stop, or until nothing is left to reveal."""
    if not options.replay or not result.study.hidden:
        return True
    found = result.recommendation
    return (found.stops or found.stop_blocked) and not options.until_all


def _one_round(
    study: Study,
    dataset: NnunetDataset,
    pool: Workers,
    device: str,
    workers: int,
    options: RunOptions,
    watchers: Watchers,
) -> tuple[Round, bool]:
    """Prepare, train, conclude, and check the schedule before a decision is handed over.

    Returns:
        The round, and whether the loop ends with it.
    """
    prepare(study, dataset, pool, watchers)
    _train(pilot_specs(study, dataset, device, workers), pool, watchers)
    result = conclude(study, options)
    final = _is_final(result, options)
    if study.settings.pilots.schedule_check and final:
        _train(check_specs(study, dataset, device, workers), pool, watchers)
        result = conclude(study, options)
    _free_disk(study)
    write_round(study, result.number, round_document(result))
    return result, final


def prepare(study: Study, dataset: NnunetDataset, pool: Workers, watchers: Watchers) -> None:
    """Plans at round 0, then every pool and test case preprocessed once per kind of data."""
    first = {case: dataset.cases[case] for case in study.batches[0]}
    if not plans_path(study.workspace).is_file():
        watchers.step("planning", 0, 1)
        declared = {key: value for key, value in dataset.declared.items() if key != "dataset"}
        pool.run([Task("planning", _plan, (study.workspace, declared, first))]).raise_first()
        watchers.step("planning", 1, 1)
    plans = read_plans(study.workspace)
    for arm in study.settings.arms:
        check_configuration(plans, arm.configuration)
    tasks = preprocessing_tasks(study, dataset, plans)
    watch = lambda outcome: watchers.step("preprocessing", len(outcome.done), len(tasks))  # noqa: E731
    pool.run(list(tasks), watch).raise_first()


def preprocessing_tasks(study: Study, dataset: NnunetDataset, plans: dict[str, Any]) -> list[Task]:
    """Cases not preprocessed yet, once for configurations that share their data."""
    tasks: dict[str, Task] = {}
    for arm in study.settings.arms:
        for test, cases in ((False, [c for batch in study.batches for c in batch]), (True, study.test)):
            folder = case_folder(study.workspace, plans, arm.configuration, test=test)
            for case in cases:
                if not is_preprocessed(folder, case):
                    arguments = (study.workspace, arm.configuration, case, dataset.cases[case])
                    tasks[str(folder / case)] = Task(f"preprocessing {case}", _preprocess, (*arguments, test))
    return list(tasks.values())


def _plan(workspace: Path, declared: Mapping[str, Any], pool: Mapping[str, CaseFiles]) -> None:
    with storage_errors(workspace.parent):
        make_plans(workspace, declared, pool)


def _preprocess(workspace: Path, configuration: str, case: str, files: CaseFiles, test: bool) -> None:
    with storage_errors(workspace.parent):
        preprocess_case(workspace, configuration, case, files, test=test)


def _train(specs: list[PilotSpec], pool: Workers, watchers: Watchers) -> None:
    due = [spec for spec in specs if run_status(spec.folder) is not RunStatus.COMPLETED]
    if not due:
        return
    # a failed run's record would read as its status until the run is complete
    for spec in due:
        (spec.folder / "run.json").unlink(missing_ok=True)
    tasks = [Task(f"pilot run {spec.name}", run_pilot, (spec,)) for spec in due]
    pool.run(tasks, lambda outcome: watchers.runs(due, outcome)).raise_first()


def _free_disk(study: Study) -> None:
    """Keep checkpoints of the largest size only: they are big, and only the largest model may be wanted."""
    largest = study.sizes()[-1]
    for path in study.folder.glob("runs/*/n*/draw*"):
        if int(path.parent.name[1:]) < largest and run_status(path) is RunStatus.COMPLETED:
            remove_checkpoints(path)
    for path in study.folder.glob("checks/*/n*/draw*"):
        if run_status(path) is RunStatus.COMPLETED:
            remove_checkpoints(path)


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
    options: RunOptions | None = None,
    question: Question | None = None,
    asked: Asked | None = None,
    *,
    quick: bool = False,
) -> Round:
    """Forecast and recommend from the runs that are complete.

    Args:
        study: At least one run must be complete.
        options: How the study is being run, if it is.
        question: Instead of the study's own.
        asked: What differs from the study's own settings.
        quick: Only what the decision needs; it is the same.

    Raises:
        InputError: No run is complete, or no structure is left to decide by.
    """
    number = len(study.batches) - 1
    question = question or study_question(study)
    sizes, scores = study.pool_sizes, study_scores(study)
    curves = curves_from_scores(scores, n_annotated=sizes[-1], pool=sizes)
    forecasts = [forecast_curve(curve, question, quick=quick, draws=DRAWS) for curve in curves]
    rounds = read_rounds(study)
    earlier = [document for document in rounds if document["round"] < number]
    history = [[*_history(earlier, forecast), *_summary(number, forecast)] for forecast in forecasts]
    schedule = schedule_checks(study)
    replay = bool(options and options.replay) or any(document["replay"] for document in rounds)
    listed = any(document["recommendation"].get("evidence", {}).get("left") is not None for document in earlier)
    situations = [
        _situation(study, forecast, past, schedule, replay, listed, asked or Asked())
        for forecast, past in zip(forecasts, history, strict=True)
    ]
    deciding = [i for i, situation in enumerate(situations) if situation is not None]
    if not deciding:
        raise InputError(
            f"{study.folder / 'study.toml'}, [study]: goal must name a structure with a curve, found "
            f"{study.settings.study.goal}; curves are {', '.join(curve.name for curve in curves)}."
        )
    decision, each = recommend_all([forecasts[i] for i in deciding], [s for s in situations if s is not None])
    return Round(
        number=number,
        study=study,
        scores=scores,
        forecasts=forecasts,
        recommendation=decision,
        each=each,
        history=history,
        outcomes=[outcomes(one.curve, question, _promised(earlier, one.curve.name)) for one in forecasts],
        schedule=schedule,
        absent=false_positives(scores),
        replay=replay,
    )


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
    deadline = settings.cost.deadline_rounds
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
        training_limited=limited_by_training(curve, schedule, forecast.question.eps),
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
        "forecast": forecast_document(result.forecasts, question, __version__),
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
