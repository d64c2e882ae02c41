"""What has to be there before a pilot can run: extra cases, plans, and every case preprocessed once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..forecast.errors import InputError, StorageError, WorkError
from .execution.workers import Task, Workers
from .extra_cases import extra_count, is_provided, provide
from .files import TEMPORARY, file_lock, storage_errors
from .nnunet.dataset import CaseFiles, NnunetDataset
from .nnunet.planning import make_plans
from .nnunet.preparation import Preparation, case_folder, check_configuration, is_preprocessed, read_plans
from .resources import case_gb, require_space
from .run_scores import are_references_kept, keep_references
from .sections import ArmSection
from .specs import Materials, check_protocols, extra_source, extra_test_sets, materials_of, preparation_of
from .study import Study
from .tables import write_csv
from .testsets import ExtraTestSet, record_path

StepsWatcher = Callable[[str, int, int], None]


def prepare(study: Study, dataset: NnunetDataset, pool: Workers, step: StepsWatcher) -> Materials:
    """Provide extra cases, plan at round 0, preprocess every case once per kind of data, and look at references.

    Whoever else prepares the study is waited for; then there is little or nothing left to do.

    Args:
        study: The study.
        dataset: Its dataset.
        pool: Does the work.
        step: Told what is being done, how much of it is done, and how much there is.

    Raises:
        InputError: Test sets, extra cases or annotators are unusable, or the protocol of completed runs was changed.
        WorkError: A generator of extra cases failed.
    """
    study.workspace.mkdir(exist_ok=True)
    with file_lock(study.workspace / ".lock"):
        _sweep(study.workspace)
        return _prepared(study, dataset, pool, step)


def preparation_left(study: Study, dataset: NnunetDataset) -> bool:
    """Whether anything is left to prepare before runs can start.

    Raises:
        InputError: As `prepare`.
    """
    for arm in study.settings.arms:
        count = 0 if arm.extra_cases is None else extra_count(arm.extra_cases, study.pool_sizes[-1])
        if count and not is_provided(extra_source(study, arm), count):
            return True
    preparations = {arm.name: preparation_of(study, arm, dataset) for arm in study.settings.arms}
    if not all(one.plans_path(study.workspace).is_file() for one in preparations.values()):
        return True
    tests = extra_test_sets(study, dataset)
    materials = materials_of(study, dataset, tests)
    unrecorded = [name for name, one in tests.items() if one.record is not None]
    return bool(unrecorded or preprocessing_tasks(study, materials, preparations)) or not are_references_kept(
        study, materials
    )


def _sweep(workspace: Path) -> None:
    """Remove what a killed preparation left half-made."""
    shutil.rmtree(workspace / "unfinished", ignore_errors=True)
    shutil.rmtree(workspace / "planning", ignore_errors=True)
    for path in [*workspace.glob(f"{TEMPORARY}*"), *workspace.glob(f"preprocessed/*/{TEMPORARY}*")]:
        path.unlink(missing_ok=True)


def _prepared(study: Study, dataset: NnunetDataset, pool: Workers, step: StepsWatcher) -> Materials:
    tests = extra_test_sets(study, dataset)
    _provide_extra_cases(study, dataset, tests, step)
    materials = materials_of(study, dataset, tests)
    preparations = {arm.name: preparation_of(study, arm, dataset) for arm in study.settings.arms}
    _plan_all(study, dataset, [*dict.fromkeys(preparations.values())], pool, step)
    for arm in study.settings.arms:
        check_configuration(read_plans(study.workspace, preparations[arm.name]), arm.configuration)
    check_protocols(study, materials)
    for name, found in tests.items():
        if found.record is not None:
            write_csv(found.record, record_path(study.folder, name))
    tasks = preprocessing_tasks(study, materials, preparations)
    if tasks:
        require_space(study.workspace, len(tasks) * case_gb(study), f"{len(tasks)} cases to be preprocessed")
    pool.run(tasks, lambda outcome: step("preprocessing", len(outcome.done), len(tasks))).raise_first()
    if not are_references_kept(study, materials):
        pool.run([Task("reading references", keep_references, (study, materials))]).raise_first()
    return materials


def _provide_extra_cases(
    study: Study, dataset: NnunetDataset, tests: Mapping[str, ExtraTestSet], step: StepsWatcher
) -> None:
    """In this process, so that an interrupt also reaches a generator."""
    arms = [arm for arm in study.settings.arms if arm.extra_cases is not None]
    used = dict(study.digest)
    for name, found in tests.items():
        used |= {f"{name}: {case}": digest for case, digest in found.digest.items()}
    for number, arm in enumerate(arms):
        step("extra cases", number, len(arms))
        assert arm.extra_cases is not None
        count = extra_count(arm.extra_cases, study.pool_sizes[-1])
        try:
            with storage_errors(study.folder):
                provide(extra_source(study, arm), dataset, count, used)
        except StorageError:
            raise
        except (InputError, WorkError) as error:
            where = f"{study.folder / 'study.toml'}, [[arm]] {arm.name}, extra_cases"
            raise type(error)(f"{where}: {error}") from error
    if arms:
        step("extra cases", len(arms), len(arms))


def _plan_all(
    study: Study, dataset: NnunetDataset, preparations: list[Preparation], pool: Workers, step: StepsWatcher
) -> None:
    first = {case: dataset.cases[case] for case in study.batches[0]}
    declared = {key: value for key, value in dataset.declared.items() if key != "dataset"}
    due = [one for one in preparations if not one.plans_path(study.workspace).is_file()]
    for number, preparation in enumerate(due):
        step("planning", number, len(due))
        pool.run([Task("planning", _plan, (study.workspace, declared, first, preparation))]).raise_first()
        step("planning", number + 1, len(due))


def preprocessing_tasks(study: Study, materials: Materials, preparations: Mapping[str, Preparation]) -> list[Task]:
    """Cases not preprocessed yet, once for arms that share their data."""
    tasks: dict[Path, Task] = {}
    for arm in study.settings.arms:
        preparation = preparations[arm.name]
        plans = read_plans(study.workspace, preparation)
        pool = {case: materials.dataset.cases[case] for batch in study.batches for case in batch}
        extra = _needed_extra(study, materials, arm)
        kinds: dict[str | None, Mapping[str, CaseFiles]] = {None: {**pool, **extra}}
        if arm.crop is None or arm.crop.test == "reference":
            kinds.update(materials.test)
        for test_set, cases in kinds.items():
            folder = case_folder(study.workspace, plans, arm.configuration, test_set)
            for case, files in cases.items():
                if not is_preprocessed(folder, case):
                    arguments = (study.workspace, preparation, arm.configuration, case, files, test_set)
                    tasks[folder / case] = Task(f"preprocessing {case}", _preprocess, arguments)
    return list(tasks.values())


def _needed_extra(study: Study, materials: Materials, arm: ArmSection) -> dict[str, CaseFiles]:
    """The extra cases that some run of an arm trains on now."""
    if arm.extra_cases is None:
        return {}
    found, seed, largest = materials.extra[arm.name], study.settings.study.seed, study.sizes()[-1]
    draws = range(max(study.settings.pilots.draws_at(n) for n in study.sizes()))
    names = {name for draw in draws for name in found.first(extra_count(arm.extra_cases, largest), draw, seed)}
    return {name: found.files[name] for name in sorted(names)}


def _plan(workspace: Path, *more: Any) -> None:
    with storage_errors(workspace.parent):
        make_plans(workspace, *more)


def _preprocess(workspace: Path, *more: Any) -> None:
    from .nnunet.preprocessing import preprocess_case

    with storage_errors(workspace.parent):
        preprocess_case(workspace, *more)
