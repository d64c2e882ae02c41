"""The loop: train what is due, forecast, recommend, and in a replay reveal the next batch and go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..forecast.errors import InputError
from .conclusion import Round, conclude, round_document
from .execution.supervise import Standing, work_off
from .extra_cases import recorded_digests
from .files import TEMPORARY
from .nnunet import require_nnunet
from .nnunet.attempt import tidy
from .nnunet.checks import check_cases, refuse_shared, shared_image
from .nnunet.dataset import NnunetDataset
from .nnunet.spec import PilotSpec, RunStatus, is_scored, read_record, run_status
from .places import Place, Wanted, open_place
from .prepare import StepsWatcher
from .resources import check_training_space, paces
from .run_folders import completed_runs, run_folders
from .specs import check_specs, completed_specs, extra_source, pilot_specs
from .study import Study, locked, open_study, read_dataset_of, read_rounds, write_round
from .study_checks import check_study
from .testsets import extra_digests

RunsWatcher = Callable[[Standing], None]
CHECKS = "schedule checks, twice the training on the same cases,"
"""What is due once the curves stand."""
UNKNOWN = "what they take is known once a run of each arm is complete"


@dataclass(frozen=True)
class Watchers:
    """Where the loop tells how it is getting on; every member may do nothing."""

    step: StepsWatcher = lambda what, done, total: None
    """Preparation: what, how many done, how many in all."""
    runs: RunsWatcher = lambda standing: None
    """Trainings of this round and how far they are."""
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
    wanted: Wanted = field(default_factory=Wanted)
    """Where trainings are done."""
    wait: bool = True
    """Until a decision is handed over; otherwise trainings that a cluster does are left to it."""


@dataclass(frozen=True)
class Pending:
    """A study whose trainings go on without this process."""

    study: Study
    standing: Standing
    options: RunOptions


def run_study(study: Study, options: RunOptions, watchers: Watchers) -> Round | Pending:
    """Work on a study until a decision is handed over, or trainings were.

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
        _sweep(study)
        with open_place(study, options.wanted, watchers.notice, wait=options.wait) as place:
            while True:
                result, final = _one_round(study, dataset, place, options, watchers)
                if isinstance(result, Pending):
                    return result
                watchers.round(result)
                if final:
                    return result
                study = _reveal(study, result, watchers)


def _sweep(study: Study) -> None:
    """Remove files that a killed `run` was still writing."""
    for place in ("", "rounds/", "figures/", "test_sets/", "jobs/*/"):
        for path in study.folder.glob(f"{place}{TEMPORARY}*"):
            path.unlink(missing_ok=True)


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
    study: Study, dataset: NnunetDataset, place: Place, options: RunOptions, watchers: Watchers
) -> tuple[Round | Pending, bool]:
    """Prepare, train, conclude, and check the schedule before a decision is handed over.

    Returns:
        The round, and whether the loop ends with it.
    """
    materials = place.prepare(study, dataset, watchers.step)
    made = (study, materials, place.device, place.augmenters)
    rescored = [spec for spec in completed_specs(*made) if not is_scored(spec)]
    standing = _train(study, [*rescored, *pilot_specs(*made)], place, options, watchers)
    if not standing.over:
        return Pending(study, standing, options), True
    result = conclude(study, replay=options.replay)
    final = _is_final(result, options)
    if study.settings.pilots.schedule_check and final:
        standing = _train(study, check_specs(*made), place, options, watchers, CHECKS)
        if not standing.over:
            return Pending(study, standing, options), True
        result = conclude(study, replay=options.replay)
    _free_disk(study)
    write_round(study, result.number, round_document(result))
    return result, final


def _train(
    study: Study,
    specs: Sequence[PilotSpec],
    place: Place,
    options: RunOptions,
    watchers: Watchers,
    what: str = "pilot runs",
) -> Standing:
    """Do the runs that are due, and score those again whose scoring has changed."""
    distinct = list({spec.folder: spec for spec in specs}.values())
    due = [spec for spec in distinct if run_status(spec.folder) is not RunStatus.COMPLETED]
    check_training_space(study, due, place.at_once)
    foretold = _foretold(study, due)
    if due:
        words = UNKNOWN if foretold is None else f"about {foretold:.2f} h of training and prediction, summed over runs"
        watchers.notice(f"{len(due)} {what} are due: {words}.")
    standing = work_off(distinct, place.engine, watchers.runs, watchers.notice, wait=options.wait)
    done = {spec.folder for spec in standing.done}
    place.tidy({spec.folder for spec in distinct} - done)
    if standing.over:
        standing.raise_first()
        if due:
            watchers.notice(_taken(due, foretold))
    if standing.refused is not None and not (standing.running or standing.queued):
        raise standing.refused
    return standing


def _foretold(study: Study, due: Sequence[PilotSpec]) -> float | None:
    """Hours that trainings will take, one after another; None where no run of an arm tells."""
    pace = paces(study.settings, (run.record for run in completed_runs(study)))
    if any(spec.arm not in pace for spec in due):
        return None
    seconds = [
        spec.epochs * spec.training.iterations * pace[spec.arm].seconds_per_iteration + pace[spec.arm].overhead
        for spec in due
    ]
    return sum(seconds) / 3600


def _taken(due: Sequence[PilotSpec], foretold: float | None) -> str:
    """Hours that trainings took, work that was lost included."""
    hours = sum(read_record(spec.folder).get("seconds_spent", 0.0) for spec in due) / 3600
    words = "" if foretold is None else f" ({foretold:.2f} h were foretold)"
    return f"{len(due)} pilot runs took {hours:.2f} h of training and prediction, summed over runs{words}."


def _free_disk(study: Study) -> None:
    """Keep checkpoints of the largest size only: they are big, and only the largest model may be wanted."""
    largest = study.sizes()[-1]
    for run in [*completed_runs(study), *completed_runs(study, check=True)]:
        tidy(run.path, keep_models=run.n >= largest and not run.check)
