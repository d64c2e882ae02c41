"""How far a study has come, and what the rest would take."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from ..forecast.errors import InputError, WorkError
from .execution.batches import PREPARATION, Batch, last_entries, read_batches, tries
from .execution.scheduler import Queued, queue
from .execution.supervise import TRIES
from .files import read_json
from .nnunet.attempt import saved_epochs
from .nnunet.spec import RunStatus, run_state
from .resources import Pace, iterations, paces, preprocessed_gb, run_hours
from .run_folders import FINISHED, RunFolder, left_arms, run_folder, run_folders
from .scored_by import outdated
from .study import Study, is_running, read_dataset_of
from .terminal.status_report import status_report


@dataclass(frozen=True)
class _Work:
    """Who is working on the study."""

    here: bool
    """A `dicecast run` holds it."""
    jobs: Mapping[str, Queued]
    """The line of the queue of every run that a cluster has, by its folder within the study."""
    lost: Mapping[str, Queued]
    """The same of jobs that ended; of a run that is not complete they ended too early."""
    batches: Sequence[Batch]
    handed: Collection[str]
    """Runs that were handed to a cluster."""
    problem: str | None
    """Why the queue is not known."""


class _Seen:
    """A run and what its folder says; read once."""

    def __init__(self, run: RunFolder, *, asked: bool = True) -> None:
        self.run, self.asked = run, asked
        self.status, record = run_state(run.path)
        kept = ("status", "arm", "seconds", "seconds_per_iteration", "seconds_spent", "memory_gb", "error")
        self.record = None if record is None else {key: record[key] for key in kept if key in record}


def study_status(study: Study, *, planned: bool, replay: bool) -> tuple[RenderableType, dict[str, Any]]:
    """Every run with its state.

    Args:
        study: The study.
        planned: Also check the dataset, as `run` would, count new cases and estimate disk space.
        replay: Whether the run asked about is a replay.

    Returns:
        Report and document.
    """
    work = _work(study)
    seen = _seen(study)
    rows = [_row(study, one, work) for one in seen]
    records = [one.record for one in seen if one.record is not None]
    pace = paces(study.settings, [record for record in records if record["status"] == RunStatus.COMPLETED.value])
    due = [row for row in rows if row["status"] != RunStatus.COMPLETED.value]
    document: dict[str, Any] = {
        "study": str(study.folder),
        "running": work.here,
        "engine": study.settings.execution.engine,
        "n_annotated": study.pool_sizes[-1],
        "runs": rows,
        "due": len(due),
        "jobs": {state: sum(row["status"] == state for row in rows) for state in ("running", "queued")},
        "preparation": _preparation(work),
        "to_score": sum(
            outdated(study.settings, one.run) is not None
            for one in seen
            if one.status is RunStatus.COMPLETED and not one.run.check
        ),
        "left_arms": left_arms(study),
        "hours_due": _hours_due(study, due, pace),
        "hours_left": None,
        "hours_spent": sum(record.get("seconds_spent", 0.0) for record in records) / 3600,
        "paces": {arm: _pace_document(one) for arm, one in pace.items()},
        "problem": work.problem,
    }
    if document["hours_due"] is not None:
        document["hours_left"] = document["hours_due"] / _at_once(study, document["jobs"]["running"], len(due))
    if planned:
        document |= _planned(study, due, replay)
    return status_report(study, document), document


def _planned(study: Study, due: Sequence[Mapping[str, Any]], replay: bool) -> dict[str, Any]:
    """What `run` would check and take."""
    from .study_checks import check_planned, check_study

    dataset = read_dataset_of(study)
    check_study(study, dataset)
    check_planned(study, dataset)
    known = set(study.cases.loc[study.cases["role"] != "unannotated", "case"]) | set(study.hidden)
    return {
        "new_cases": 0 if replay else len(set(dataset.cases) - known),
        "gigabytes": preprocessed_gb(study),
        "iterations": sum(_iterations(study, row) for row in due),
    }


def _work(study: Study) -> _Work:
    """Who works on the study; asks SLURM only where something was handed to it."""
    batches, problem, lines = read_batches(study.folder), None, []
    try:
        lines = queue([batch.name for batch in batches])
    except WorkError as error:
        problem = str(error)
    found = {(line.name, line.index): line for line in lines}
    places = last_entries(batches).items()
    jobs = {run: found[batch.name, i] for run, (batch, i) in places if (batch.name, i) in found}
    alive = {run: line for run, line in jobs.items() if not line.over}
    lost = {run: line for run, line in jobs.items() if line.over}
    return _Work(is_running(study), alive, lost, batches, {run for run, _ in places}, problem)


def _preparation(work: _Work) -> str | None:
    """What the job that plans and preprocesses is doing, or how it ended too early; None where there is none."""
    line, lost = work.jobs.get(PREPARATION), work.lost.get(PREPARATION)
    if line is not None:
        return "queued" if line.state == "PENDING" else "running"
    return None if lost is None or lost.state == "COMPLETED" else f"ended as {lost.state}"


def _seen(study: Study) -> list[_Seen]:
    """The runs asked for now, those that count although they are not, and the schedule checks that were begun."""
    arms, sizes, pilots = study.settings.arms, study.sizes(), study.settings.pilots
    keys = [(arm.name, n, draw) for n in sizes for arm in arms for draw in range(pilots.draws_at(n))]
    keys += [(arm.name, arm.finished.n, FINISHED) for arm in arms if arm.finished is not None]
    asked = [_Seen(RunFolder(run_folder(study, *key), *key)) for key in keys]
    known = set(keys)
    others = [_Seen(run, asked=False) for run in run_folders(study) if (run.arm, run.n, run.draw) not in known]
    checks = [_Seen(run) for run in run_folders(study, check=True)]
    return [*asked, *(one for one in others if one.status is RunStatus.COMPLETED), *checks]


def _row(study: Study, one: _Seen, work: _Work) -> dict[str, Any]:
    run, record = one.run, one.record
    place, word, done = run.path.relative_to(study.folder).as_posix(), one.status.value, None
    line = None if one.status is RunStatus.COMPLETED else work.jobs.get(place)
    lost = None if one.status is RunStatus.COMPLETED or line is not None else work.lost.get(place)
    if one.status is RunStatus.RUNNING:
        done = _share_done(run)
        word = word if work.here and line is None else RunStatus.PLANNED.value
    if line is not None:
        word = "queued" if line.state == "PENDING" else "running"
    words = None if lost is None else f"job {lost.task} ended as {lost.state}"
    handed = one.status is not RunStatus.COMPLETED and line is None and place in work.handed
    if handed and work.problem is not None:
        word = "unknown"
    elif handed and tries(work.batches, place, saved_epochs(run.path)) >= TRIES:
        word, words = RunStatus.FAILED.value, f"{words or 'no result'}, given up after {TRIES} tries: run with --retry"
    return {
        "arm": run.arm,
        "n": run.n,
        "draw": run.draw,
        "check": run.check,
        "asked": one.asked,
        "status": word,
        "share_done": done,
        "seconds": None if record is None or "seconds" not in record else sum(record["seconds"].values()),
        "error": None if record is None or word in ("queued", "running") else record.get("error"),
        "job": None if line is None else line.task,
        "reason": None if line is None or line.state != "PENDING" or line.reason == "None" else line.reason,
        "lost": words,
    }


def _share_done(run: RunFolder) -> float:
    try:
        progress = read_json(run.path / "progress.json")
        return float(progress["epochs_done"] / progress["epochs"])
    except (InputError, TypeError, KeyError):  # it was completed between two looks
        return 1.0


def _iterations(study: Study, row: Mapping[str, Any]) -> int:
    return iterations(study.settings, row["arm"], row["n"], check=row["check"])


def _hours_due(study: Study, due: Sequence[Mapping[str, Any]], pace: Mapping[str, Pace]) -> float | None:
    """Hours of training left, one run after another; of arms not measured yet, at the pace of the slowest one."""
    if due and not pace:
        return None
    slowest = max(pace.values(), key=lambda one: one.seconds_per_iteration, default=None)
    total = 0.0
    for row in due:
        own = pace.get(row["arm"], slowest)
        assert own is not None
        left = 1 - (row["share_done"] or 0.0)
        total += left * run_hours(study.settings, row["arm"], row["n"], own, check=row["check"])
    return total


def _at_once(study: Study, running: int, due: int) -> int:
    """Runs beside each other, as far as one can tell."""
    return max(1, min(running or study.settings.execution.jobs or 1, due))


def _pace_document(pace: Pace) -> dict[str, Any]:
    return {
        "seconds_per_iteration": pace.seconds_per_iteration,
        "memory_gb": pace.memory_gb,
        "device_memory_gb": pace.device_memory_gb,
        "runs": pace.runs,
    }
