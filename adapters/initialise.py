"""Starting a study: check the dataset, hold out the test set, write the folder in one step."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..forecast.errors import InputError, StorageError
from ..forecast.pilots import FEWEST, Design, design_pilots
from .files import check_new, write_text
from .new_study import NewStudy, TestChoice, adopted_toml, study_toml
from .nnunet.checks import CaseFacts, check_cases, refuse_shared
from .nnunet.dataset import NnunetDataset, read_dataset
from .nnunet.folders import located
from .settings import settings_of
from .study import Study, open_study
from .study_checks import check_study
from .tables import read_csv, write_csv

TEST_SHARE = 0.2
"""Share of the cases that is held out unless told otherwise."""


@dataclass(frozen=True)
class Created:
    """A new study and what was noticed on the way."""

    study: Study
    warnings: tuple[str, ...]
    design: Design | None
    """The pilots that were proposed; None where sizes or draws were given."""


def create_study(asked: NewStudy) -> Created:
    """Check everything, then write the study folder at once.

    Raises:
        InputError: The folder is taken, or anything about the dataset, the test set or the sizes is wrong; nothing
            is written then.
        StorageError: The folder cannot be written.
    """
    target = asked.folder.expanduser().resolve()
    check_new(target)
    _check_asked(asked)
    dataset = read_dataset(located(str(asked.dataset), Path.cwd(), "nnUNet_raw"))
    text = None if asked.settings is None else adopted_toml(asked, asked.settings, target.name, dataset)
    given = None if text is None else settings_of(text, str(asked.settings))
    wanted = asked.test if asked.test is not None else TEST_SHARE if given is None else given.test.cases
    table = _user_table(asked.cases_table, dataset)
    facts = {}
    for fact in check_cases(dataset, dataset.cases):
        facts[fact.case] = fact
        asked.progress(len(facts), len(dataset.cases))
    seed = asked.seed if given is None else given.study.seed
    patient = dict(zip(table["case"], table["patient"], strict=True))
    try:
        test = choose_test(wanted, list(dataset.cases), patient, seed)
    except InputError as error:
        if given is None or asked.test is not None:
            raise
        raise InputError(f"{asked.settings}, [test]: {error} Or give --test.") from error
    table = _with_roles(table, test, facts)
    pool = list(table.loc[table["role"] == "pool", "case"])
    _check_pool(pool, test, table, facts, dataset)
    design = _design(asked, len(pool))
    if design is not None:
        asked = replace(asked, sizes=design.sizes, draws=_shortest(design.draws))
    if text is None:
        text = study_toml(replace(asked, test=wanted), target.name, dataset, asked.sizes or default_sizes(len(pool)))
    try:
        _check_text(text, table, target, dataset)
    except InputError as error:  # the study is not there yet: its settings are those it was made from
        source = str(asked.settings or target / "study.toml")
        raise InputError(str(error).replace(str(target / "study.toml"), source)) from error
    _write(target, text, table)
    warnings = [warning for fact in facts.values() for warning in fact.warnings]
    return Created(open_study(target), tuple(warnings), design)


def _design(asked: NewStudy, pool: int) -> Design | None:
    """Sizes and draws that tell most about the decision for the runs there are, where neither was given."""
    if asked.sizes or asked.draws is not None or asked.settings is not None or pool < FEWEST + 1:
        return None
    return design_pilots(pool, asked.runs, seed=asked.seed)


def _shortest(draws: Sequence[int]) -> int | list[int]:
    """Draws per size as `study.toml` writes them: a number where they are all the same."""
    return draws[0] if len(set(draws)) == 1 else list(draws)


def _check_asked(asked: NewStudy) -> None:
    """What can be refused before any image is opened."""
    if asked.seed < 0:
        raise InputError(f"the seed must be a whole number >= 0, found {asked.seed}.")
    rate = asked.training.get("learning_rate")
    if isinstance(rate, float) and not 0 < rate < math.inf:
        raise InputError(f"learning_rate must be > 0 and finite, found {rate:g}.")
    cascades = [name for name in asked.configurations if "cascade" in name]
    if cascades:
        raise InputError(
            f"configuration {cascades[0]!r} is a cascade, which needs another model's predictions and is not supported."
        )


def default_sizes(pool: int) -> tuple[int, ...]:
    """Five sizes up to the pool, each about twice the last."""
    return tuple(sorted({max(2, round(pool / 2**step)) for step in range(5)}))


def choose_test(wanted: TestChoice, cases: Sequence[str], patient: Mapping[str, str], seed: int) -> list[str]:
    """Pick whole patients for the test set until it is large enough.

    Raises:
        InputError: An unknown case, or a number or fraction that leaves no pool or no test set.
    """
    if isinstance(wanted, list):
        if not wanted:
            raise InputError("the test set must hold at least 1 case, found an empty list.")
        unknown = [case for case in wanted if case not in patient]
        if unknown:
            raise InputError(f"test case {unknown[0]!r} is not in the dataset. Check the list.")
        if len(set(wanted)) < len(wanted):
            raise InputError("a test case is listed twice. Check the list.")
        return sorted(wanted)
    if isinstance(wanted, float) and not 0 < wanted < 1:
        raise InputError(f"the test fraction must lie between 0 and 1, found {wanted:g}.")
    count = wanted if isinstance(wanted, int) else round(wanted * len(cases))
    if not 1 <= count < len(cases):
        raise InputError(f"the test set must hold 1 to {len(cases) - 1} of {len(cases)} cases, found {count}.")
    groups: dict[str, list[str]] = {}
    for case in cases:
        groups.setdefault(patient[case], []).append(case)
    names = sorted(groups)
    chosen: list[str] = []
    for i in np.random.default_rng([seed, 7]).permutation(len(names)):
        if len(chosen) < count:
            chosen.extend(groups[names[i]])
    return sorted(chosen)


def _user_table(path: Path | None, dataset: NnunetDataset) -> pd.DataFrame:
    """Case, patient and the user's own columns; cases not in the dataset are taken as not annotated yet."""
    if path is None:
        return pd.DataFrame({"case": list(dataset.cases), "patient": list(dataset.cases)})
    table = read_csv(path)
    for column in ("case", "patient"):
        if column not in table:
            raise InputError(f"{path}: column {column!r} is required, found {', '.join(table.columns)}.")
    reserved = {"role", "round", "digest", "voxels"} & set(table.columns)
    if reserved:
        raise InputError(f"{path}: column {reserved.pop()!r} is dicecast's own; rename it.")
    missing = [case for case in dataset.cases if case not in set(table["case"])]
    if missing:
        raise InputError(f"{path}: every case of the dataset needs a line, found none for {missing[0]!r}.")
    again = table["case"].duplicated()
    if again.any():
        raise InputError(
            f"{path}, line {table.index[again][0]}: case {table['case'][again].iloc[0]!r} is listed twice."
        )
    named = table["patient"].str.strip()
    table["patient"] = named.where(named != "", table["case"])
    return table.reset_index(drop=True)


def _with_roles(table: pd.DataFrame, test: Sequence[str], facts: Mapping[str, CaseFacts]) -> pd.DataFrame:
    annotated = table["case"].isin(list(facts))
    is_test = table["case"].isin(test)
    return table.assign(
        role=np.where(is_test, "test", np.where(annotated, "pool", "unannotated")),
        round=np.where(annotated & ~is_test, "0", ""),
        digest=[facts[case].digest if case in facts else "" for case in table["case"]],
        voxels=[str(facts[case].voxels) if case in facts else "" for case in table["case"]],
    )


def _check_pool(
    pool: Sequence[str],
    test: Sequence[str],
    table: pd.DataFrame,
    facts: Mapping[str, CaseFacts],
    dataset: NnunetDataset,
) -> None:
    if len(pool) < 2:
        raise InputError(
            f"{dataset.folder}: at least 2 cases must be left for training, found {len(pool)} after holding out "
            f"{len(test)} test cases. Hold out fewer."
        )
    if not any(facts[case].has_foreground for case in pool):
        raise InputError(f"{dataset.folder}: no training case contains a labelled structure. Check the labels.")
    if not any(facts[case].has_foreground for case in test):
        raise InputError(f"{dataset.folder}: no test case contains a labelled structure. Choose other test cases.")
    patient = dict(zip(table["case"], table["patient"], strict=True))
    refuse_shared(test, pool, patient, {case: fact.digest for case, fact in facts.items()})


def _check_text(text: str, table: pd.DataFrame, target: Path, dataset: NnunetDataset) -> None:
    """The written settings must read back, and go with the dataset and the pool."""
    settings = settings_of(text, str(target / "study.toml"))
    pool, largest = int((table["role"] == "pool").sum()), max(settings.pilots.sizes, default=0)
    if largest > pool:
        raise InputError(
            f"sizes must not exceed the pool of {pool} annotated cases, found {largest}. Lower it (--sizes), or hold "
            "out fewer (--test)."
        )
    study = Study(target, settings, table)
    study.sizes()
    check_study(study, dataset)


def _write(target: Path, text: str, table: pd.DataFrame) -> None:
    draft = target.with_name(f".{target.name}.new-{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        write_text(draft / "study.toml", text)
        write_csv(table, draft / "cases.csv")
        if target.exists():
            target.rmdir()
        draft.replace(target)
    except OSError as error:
        raise StorageError(f"{target}: cannot be made: {error.strerror}. Check free space and permissions.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
