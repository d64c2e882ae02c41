"""The loop: train what is due, forecast, recommend, and in a replay reveal the next batch and go on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import __version__
from ..forecast.curve import curves_from_scores
from ..forecast.document import forecast_document
from ..forecast.errors import InputError
from ..forecast.forecast import HORIZON, Forecast, Question, forecast_curve
from ..forecast.recommendation import Costs, Recommendation, Situation, recommend_all
from ..forecast.stability import RoundSummary
from .execution import Outcome, Task, Workers, default_jobs, open_workers
from .files import read_json
from .nnunet import require_nnunet
from .nnunet.checks import check_cases, refuse_shared
from .nnunet.dataset import NnunetDataset, read_dataset
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
    pilot_specs,
    read_rounds,
    structures_of,
    study_scores,
    write_round,
)
from .tables import read_scores

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
    forecasts: list[Forecast]
    recommendation: Recommendation
    each: list[Recommendation]
    """The recommendation of every curve, in the order of `forecasts`."""
    history: list[list[RoundSummary]]
    """Every curve's forecasts so far."""
    schedule: list[ScheduleCheck]
    absent: list[FalsePositives]
    replay: bool
    """Whether the cases come from an already annotated pool."""


@dataclass(frozen=True)
class ScheduleCheck:
    """Score of a run trained twice as long, against the plain run on the same cases."""

    arm: str
    structure: str
    n: int
    plain: float
    doubled: float

    @property
    def rise(self) -> float:
        """What doubling the training added, score units."""
        return self.doubled - self.plain


@dataclass(frozen=True)
class FalsePositives:
    """What the largest pilots found of a structure in test cases that do not contain it."""

    arm: str
    structure: str
    n: int
    cases: int
    """Test cases without the structure."""
    rate: float
    """Share of them, over all draws, in which some of it was found."""
    volume_ml: float
    """Mean volume found, mL."""


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
        dataset = read_dataset_of(study)
        structures_of(study, dataset)
        study = _start_replay(study) if options.replay else _adopt_new_cases(study, dataset, watchers)
        study.sizes()
        device = _device(options.device or study.settings.execution.device)
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


def _device(wanted: str) -> str:
    """The kind of device trainings will use, found without importing torch where that was asked for by name."""
    if wanted != "auto":
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _adopt_new_cases(study: Study, dataset: NnunetDataset, watchers: Watchers) -> Study:
    """Take cases that were annotated since the last run into the pool, as a batch of their own."""
    listed = study.cases.set_index("case")
    if (listed["role"].eq("unannotated") & listed["digest"].ne("")).any():
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
    if study.waiting or read_rounds(study):
        return study
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
    waiting = study.waiting
    batch = min(result.recommendation.batch or study.pool_sizes[-1], len(waiting))
    rng = np.random.default_rng([study.settings.study.seed, 13, result.number])
    picked = {waiting[i] for i in rng.permutation(len(waiting))[:batch]}
    now = study.cases["case"].isin(picked)
    watchers.notice(f"revealing {batch} cases ({len(waiting) - batch} left).")
    return study.with_cases(
        study.cases.assign(
            role=study.cases["role"].mask(now, "pool"),
            round=study.cases["round"].mask(now, str(len(study.batches))),
        )
    )


def _is_final(result: Round, options: RunOptions) -> bool:
    """Whether the decision is handed over; a replay goes on until a stop, or until nothing is left to reveal."""
    if not options.replay or not result.study.waiting:
        return True
    return result.recommendation.stops and not options.until_all


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
        pool.run([Task("planning", make_plans, (study.workspace, declared, first))]).raise_first()
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


def _preprocess(workspace: Any, configuration: str, case: str, files: Any, test: bool) -> None:
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


def conclude(study: Study, options: RunOptions | None = None, question: Question | None = None) -> Round:
    """Forecast and recommend from the runs that are complete.

    Raises:
        InputError: No run is complete.
    """
    number = len(study.batches) - 1
    question = question or study_question(study, options)
    sizes, scores = study.pool_sizes, study_scores(study)
    curves = curves_from_scores(scores, n_annotated=sizes[-1], pool=sizes)
    forecasts = [forecast_curve(curve, question) for curve in curves]
    earlier = [document for document in read_rounds(study) if document["round"] < number]
    history = [[*_history(earlier, forecast), *_summary(number, forecast, question)] for forecast in forecasts]
    schedule = schedule_checks(study)
    replay = bool(options and options.replay) or any(document["replay"] for document in earlier)
    deadline = study.settings.cost.deadline_rounds
    situations = [
        Situation(
            left=len(study.waiting) if replay else None,
            costs=costs_now(study),
            rounds_left=None if deadline is None else deadline - number,
            history=tuple(past),
            training_limited=_limited(forecast, schedule, question.eps),
        )
        for forecast, past in zip(forecasts, history, strict=True)
    ]
    decision, each = recommend_all(forecasts, situations)
    absent = false_positives(scores)
    return Round(number, study, forecasts, decision, each, history, schedule, absent, replay)


def study_question(study: Study, options: RunOptions | None = None) -> Question:
    """What a study asks of its curves."""
    asked, now = study.settings.study, study.pool_sizes[-1]
    horizon = HORIZON * study.sizes()[-1]
    reach = min(now + len(study.waiting), horizon) if study.waiting else None
    return Question(seed=asked.seed, level=asked.level, eps=asked.eps, reach=reach)


def costs_now(study: Study) -> Costs:
    """The study's costs, with the budget that is left after the rounds so far."""
    cost = study.settings.cost
    budget = cost.budget
    if budget is not None:
        later = sum(len(batch) for batch in study.batches[1:])
        budget = max(0.0, budget - later * (cost.per_case or 0) - (len(study.batches) - 1) * cost.per_round)
    return Costs(cost.per_case, cost.per_round, cost.unit, budget)


def _history(earlier: list[dict[str, Any]], forecast: Forecast) -> list[RoundSummary]:
    curve = forecast.curve
    key = (curve.arm, curve.structure, curve.metric, curve.test_set, curve.stratum)
    names = ("arm", "structure", "metric", "test_set", "stratum")
    found = [
        RoundSummary.of(document["round"], past)
        for document in earlier
        for past in document["forecast"]["curves"]
        if tuple(past[name] for name in names) == key
    ]
    return [one for one in found if one is not None]


def _summary(number: int, forecast: Forecast, question: Question) -> list[RoundSummary]:
    document = forecast_document([forecast], question, __version__)["curves"][0]
    summary = RoundSummary.of(number, document)
    return [] if summary is None else [summary]


def schedule_checks(study: Study) -> list[ScheduleCheck]:
    """Every completed schedule check against its plain run, per structure."""
    found = []
    for path in sorted(study.folder.glob("checks/*/n*/draw*/run.json"), key=lambda p: int(p.parts[-3][1:])):
        plain = study.folder / "runs" / path.relative_to(study.folder / "checks").parent
        if run_status(path.parent) is not RunStatus.COMPLETED or run_status(plain) is not RunStatus.COMPLETED:
            continue
        made = read_json(path)
        doubled_scores, plain_scores = (read_scores(folder / "scores.csv") for folder in (path.parent, plain))
        for structure in plain_scores["structure"].unique():
            means = [
                float(table[(table["structure"] == structure) & (table["metric"] == "dice")]["score"].mean())
                for table in (plain_scores, doubled_scores)
            ]
            if np.all(np.isfinite(means)):
                found.append(ScheduleCheck(made["arm"], structure, made["n"], *means))
    return found


def false_positives(scores: pd.DataFrame) -> list[FalsePositives]:
    """Per arm and structure, at the largest size, over the test cases without the structure."""
    rows = scores[scores["metric"] == "false_positive_ml"]
    found = []
    for (arm, structure), group in rows.groupby(["arm", "structure"], sort=False):
        largest = group[group["n_cases"] == group["n_cases"].max()]
        volume = largest["score"].astype(float)
        found.append(
            FalsePositives(
                arm=str(arm),
                structure=str(structure),
                n=int(largest["n_cases"].iloc[0]),
                cases=largest["case"].nunique(),
                rate=float((volume > 0).mean()),
                volume_ml=float(volume.mean()),
            )
        )
    return found


def _limited(forecast: Forecast, checks: Sequence[ScheduleCheck], eps: float) -> str | None:
    """The sentence that says a curve is limited by training, if a check of a size on it says so."""
    curve = forecast.curve
    ends = (curve.sizes[0], curve.sizes[-1])
    risen = [
        c for c in checks if c.arm == curve.arm and c.structure == curve.structure and c.n in ends and c.rise > eps
    ]
    if not risen:
        return None
    worst = max(risen, key=lambda c: c.rise)
    return (
        f"the curve is limited by training: twice the iterations raise {worst.structure} at {worst.n} cases from "
        f"{worst.plain:.3f} to {worst.doubled:.3f}, more than {eps:g}."
    )


def round_document(result: Round) -> dict[str, Any]:
    """A round as kept in `rounds/<k>.json`."""
    question = result.forecasts[0].question
    return {
        "round": result.number,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "replay": result.replay,
        "n_annotated": result.study.pool_sizes[-1],
        "forecast": forecast_document(result.forecasts, question, __version__),
        "recommendation": result.recommendation.document(),
        "recommendations": [one.document() for one in result.each],
        "false_positives": [dataclasses.asdict(one) for one in result.absent],
        "schedule_check": [{**dataclasses.asdict(check), "rise": check.rise} for check in result.schedule],
    }
