"""What can be refused about a study before anything is planned or trained."""

from __future__ import annotations

import dataclasses

from ..forecast.errors import InputError
from ..forecast.stratification import UNITS, stratification
from .metric_table import METRICS
from .nnunet.dataset import NnunetDataset, check_like, read_dataset
from .run_folders import completed_runs
from .specs import check_arms, check_protocols, materials_of, preparation_of, structures_of
from .study import Study
from .testsets import ExtraTestSet, annotator_labels, extra_cases_of, physical_axes


def check_study(study: Study, dataset: NnunetDataset) -> None:
    """Check what a study's settings name: structures, arms, test sets, annotators, columns.

    Raises:
        InputError: Something that is not there, or does not go with the dataset.
    """
    structures_of(study, dataset)
    check_arms(study, dataset)
    _check_columns(study)
    _check_test_set(study)
    _check_sizes(study, dataset)
    where = f"{study.folder / 'study.toml'}, [test]"
    try:
        for section in study.settings.test.extra:
            placed = dataclasses.replace(section, dataset=str(study.raw(section.dataset)))
            extra_cases_of(study.folder, placed, dataset)
        for annotator in study.settings.test.annotator:
            placed_labels = dataclasses.replace(annotator, labels=str(study.raw(annotator.labels)))
            annotator_labels(placed_labels, study.test, str(dataset.declared["file_ending"]))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def check_planned(study: Study, dataset: NnunetDataset) -> None:
    """Check what `run` refuses later than `check_study`, as far as that takes no time.

    Raises:
        InputError: Extra cases cannot be had, or the protocol of completed runs was changed.
    """
    for arm in study.settings.arms:
        asked = arm.extra_cases
        try:
            if asked is not None and asked.folder is not None:
                check_like(read_dataset(study.raw(asked.folder)), dataset, "extra cases")
            if asked is not None and asked.lesions is not None:
                read_dataset(study.raw(asked.lesions))
        except InputError as error:
            raise InputError(f"{study.folder / 'study.toml'}, [[arm]] {arm.name}, extra_cases: {error}") from error
    made = {run.arm for run in completed_runs(study)}
    if not made:
        return
    tests = {}
    for section in study.settings.test.extra:
        placed = dataclasses.replace(section, dataset=str(study.raw(section.dataset)))
        tests[section.name] = ExtraTestSet(extra_cases_of(study.folder, placed, dataset)[1], {}, None)
    plans = {arm.name: preparation_of(study, arm, dataset).plans_path(study.workspace) for arm in study.settings.arms}
    known = [name for name, path in plans.items() if name in made and path.is_file()]  # others are planned again
    arms = tuple(arm for arm in study.settings.arms if arm.name in known)
    begun = dataclasses.replace(study, settings=dataclasses.replace(study.settings, arms=arms))
    check_protocols(begun, materials_of(begun, dataset, tests))


def _check_columns(study: Study) -> None:
    """Columns of the cases table that settings name."""
    strata = [stratification(text) for text in study.settings.scores.strata]
    named = {"[next], by": study.settings.next.by, "[scores], strata": [s.by for s in strata if not s.measured]}
    for where, columns in named.items():
        missing = [column for column in columns if column not in study.cases]
        if missing:
            raise InputError(
                f"{study.folder / 'study.toml'}, {where}: {missing[0]!r} must be a column of cases.csv, found "
                f"{', '.join(study.cases.columns)}. Correct it, or give a table with that column (init --cases)."
            )


def _check_test_set(study: Study) -> None:
    """The test set is drawn once, by `init`; where patients have several cases it may be larger than asked for."""
    asked, test = study.settings.test.cases, study.test
    single = study.cases["patient"].is_unique
    if (isinstance(asked, list) and sorted(asked) != test) or (
        isinstance(asked, int) and single and asked != len(test)
    ):
        words = f"{len(asked)} named cases" if isinstance(asked, list) else str(asked)
        raise InputError(
            f"{study.folder / 'study.toml'}, [test]: cases must say what `init` drew, {len(test)} cases (role test in "
            f"cases.csv), found {words}: a test set never changes. Undo the change, or make a new study."
        )


def _check_sizes(study: Study, dataset: NnunetDataset) -> None:
    """Volumes, diameters and distances need images that have them."""
    where = f"{study.folder / 'study.toml'}, [scores]"
    first, axes = study.settings.scores.curve_metrics[0], physical_axes(dataset, study.test[0])
    if METRICS[first].group.startswith("surface") and axes == 0:
        raise InputError(
            f"{where}, curve_metrics: {first} needs images of known pixel size, found one without: "
            f"{dataset.cases[study.test[0]].images[0]}. Put another metric first."
        )
    asked = [stratification(text) for text in study.settings.scores.strata]
    sized = [one.by for one in asked if one.measured and UNITS[one.by]]
    if sized and axes < 3:
        raise InputError(
            f"{where}, strata: {sized[0]} needs volumes of known voxel size, found "
            f"images without: {dataset.cases[study.test[0]].images[0]}. Split by heterogeneity or a column."
        )
