"""What has to be there before a pilot can run: extra cases, plans, and every case preprocessed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .execution import Task, Workers
from .extra_cases import extra_count, extra_key, provide
from .files import storage_errors
from .nnunet.dataset import CaseFiles, NnunetDataset
from .nnunet.planning import (
    Preparation,
    case_folder,
    check_configuration,
    is_preprocessed,
    make_plans,
    preprocess_case,
    read_plans,
)
from .run_scores import keep_references
from .sections import ExtraCasesSection
from .specs import Materials, extra_section, materials_of, preparation_of
from .study import Study

StepsWatcher = Callable[[str, int, int], None]


def prepare(study: Study, dataset: NnunetDataset, pool: Workers, step: StepsWatcher) -> Materials:
    """Provide extra cases, plan at round 0, and preprocess every case once per kind of data.

    Args:
        study: The study.
        dataset: Its dataset.
        pool: Does the work.
        step: Told what is being done, how much of it is done, and how much there is.
    """
    _provide_extra_cases(study, dataset, pool, step)
    materials = materials_of(study, dataset)
    preparations = {arm.name: preparation_of(study, arm, dataset) for arm in study.settings.arms}
    _plan_all(study, dataset, [*dict.fromkeys(preparations.values())], pool, step)
    for arm in study.settings.arms:
        check_configuration(read_plans(study.workspace, preparations[arm.name]), arm.configuration)
    tasks = preprocessing_tasks(study, materials, preparations)
    pool.run(tasks, lambda outcome: step("preprocessing", len(outcome.done), len(tasks))).raise_first()
    if study.settings.scores.strata or materials.annotators:
        pool.run([Task("reading references", keep_references, (study, materials))]).raise_first()
    return materials


def _provide_extra_cases(study: Study, dataset: NnunetDataset, pool: Workers, step: StepsWatcher) -> None:
    """Enough for every case there may ever be, so that a growing pool seldom needs more."""
    known, seed = study.pool_sizes[-1] + len(study.waiting), study.settings.study.seed
    wanted: dict[str, tuple[ExtraCasesSection, int]] = {}
    for arm in study.settings.arms:
        if arm.extra_cases is not None:
            section = extra_section(study, arm)
            key, count = extra_key(section, seed), extra_count(section, known)
            wanted[key] = (section, max(count, wanted.get(key, (section, 0))[1]))
    for number, (section, count) in enumerate(wanted.values()):
        step("extra cases", number, len(wanted))
        arguments = (study.folder, section, dataset, count, seed)
        pool.run([Task("extra cases", _provide, arguments)]).raise_first()
        step("extra cases", number + 1, len(wanted))


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
        extra = materials.extra[arm.name].files if arm.name in materials.extra else {}
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


def _provide(study: Path, section: ExtraCasesSection, dataset: NnunetDataset, count: int, seed: int) -> None:
    with storage_errors(study):
        provide(study, section, dataset, count, seed)


def _plan(workspace: Path, *more: Any) -> None:
    with storage_errors(workspace.parent):
        make_plans(workspace, *more)


def _preprocess(workspace: Path, *more: Any) -> None:
    with storage_errors(workspace.parent):
        preprocess_case(workspace, *more)
