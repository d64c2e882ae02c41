"""The loop: train what is due, forecast, recommend, and in a replay reveal the next batch and go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..forecast.errors import InputError
from .conclusion import Round, conclude, round_document
from .execution import Outcome, Task, Workers, default_jobs, open_workers
from .extra_cases import recorded_digests
from .nnunet import detect_device, require_nnunet
from .nnunet.checks import check_cases, refuse_shared, shared_image
from .nnunet.dataset import NnunetDataset, read_dataset
from .nnunet.pilot import run_pilot, score_run
from .nnunet.spec import PilotSpec, RunStatus, remove_checkpoints, run_status
from .prepare import StepsWatcher, prepare
from .run_folders import completed_runs, run_folders
from .run_scores import is_scored
from .specs import check_specs, completed_specs, extra_source, pilot_specs
from .study import Study, locked, open_study, read_rounds, write_round
from .study_checks import check_study
from .testsets import extra_digests

RunsWatcher = Callable[[Sequence[PilotSpec], Outcome], None]


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
        check_study(study, dataset)
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
    dataset = read_dataset(study.dataset)
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
    elsewhere = extra_digests(study.folder, study.settings.test.extra)
    refuse_shared(list(elsewhere), new, {}, {**digest, **elsewhere})
    _refuse_extra_cases(study, {case: facts[case].digest for case in new})
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


def _refuse_extra_cases(study: Study, digest: Mapping[str, str]) -> None:
    """A new case must not be among the extra cases: runs were trained on it uncounted."""
    for arm in study.settings.arms:
        extra = {} if arm.extra_cases is None else recorded_digests(extra_source(study, arm))
        same = shared_image(digest, extra)
        if same is not None:
            raise InputError(
                f"{study.dataset}: new case {same[0]!r} is the image of extra case {same[1]!r} of [[arm]] {arm.name}, "
                "which was trained on uncounted. Take it out of the dataset, or make a new study without that extra "
                "case."
            )


def _start_replay(study: Study) -> Study:
    """At the first round of a replay, hide all but the cases of the largest size asked for."""
    if study.hidden or any(document["replay"] for document in read_rounds(study)):
        return study
    if any(study.workspace.glob("preprocessed/*/*_fingerprint.json")) or run_folders(study):
        raise InputError(
            f"{study.folder}: a replay must be chosen at the first run, but this study was run without --replay: its "
            "plans have seen the whole pool. Make a new study for the replay."
        )
    if any(arm.finished is not None for arm in study.settings.arms):
        raise InputError(f"{study.folder / 'study.toml'}: a replay goes without finished models. Remove finished.")
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
    materials = prepare(study, dataset, pool, watchers.step)
    _score_anew(completed_specs(study, materials, device, workers), pool, watchers)
    _train(pilot_specs(study, materials, device, workers), pool, watchers)
    result = conclude(study, replay=options.replay)
    final = _is_final(result, options)
    if study.settings.pilots.schedule_check and final:
        _train(check_specs(study, materials, device, workers), pool, watchers)
        result = conclude(study, replay=options.replay)
    _free_disk(study)
    write_round(study, result.number, round_document(result))
    return result, final


def _score_anew(specs: list[PilotSpec], pool: Workers, watchers: Watchers) -> None:
    """Score completed runs again where what is scored has changed."""
    tasks = [Task(f"scoring {spec.name}", score_run, (spec,)) for spec in specs if not is_scored(spec)]
    if tasks:
        pool.run(tasks, lambda outcome: watchers.step("scoring", len(outcome.done), len(tasks))).raise_first()


def _train(specs: list[PilotSpec], pool: Workers, watchers: Watchers) -> None:
    """Do the runs that are due."""
    due = [spec for spec in specs if run_status(spec.folder) is not RunStatus.COMPLETED]
    # a failed run's record would read as its status until the run is complete
    for spec in due:
        (spec.folder / "run.json").unlink(missing_ok=True)
    for later in (False, True):  # runs that crop by another run's predictions wait for it
        wave = [spec for spec in due if (spec.boxes is not None) is later]
        tasks = [Task(f"pilot run {spec.name}", run_pilot, (spec,)) for spec in wave]
        if tasks:
            pool.run(tasks, lambda outcome, shown=wave: watchers.runs(shown, outcome)).raise_first()  # type: ignore[misc]


def _free_disk(study: Study) -> None:
    """Keep checkpoints of the largest size only: they are big, and only the largest model may be wanted."""
    largest = study.sizes()[-1]
    smaller = [run for run in completed_runs(study) if run.n < largest]
    for run in [*smaller, *completed_runs(study, check=True)]:
        remove_checkpoints(run.path)
