"""Starting a study: check the dataset, hold out the test set, write the folder in one step."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..forecast.errors import InputError, StorageError
from ..forecast.pilots import FEWEST, Design, design_pilots
from .files import write_text
from .nnunet.checks import CaseFacts, check_cases, refuse_shared
from .nnunet.dataset import NnunetDataset, read_dataset
from .settings import parse_settings, toml_value
from .study import Study, open_study
from .tables import read_csv, write_csv

TestChoice = int | float | list[str]
TrainingKeys = dict[str, int | float | str]


RUNS = 15
"""Pilot runs that a proposal spends unless told otherwise."""
DRAWS = 3
"""Draws per size where only sizes are given."""
EXAMPLES = {
    "batch": 12,
    "features": 32,
    "convolutions": 2,
    "precision": "bfloat16",
    "optimiser": "SGD",
    "learning_rate": 0.01,
}
"""Training settings that `study.toml` shows commented out where they are left to nnU-Net."""
TEMPLATE = """\
# A dicecast study. Settings that decide what a score means (training, folds, test set) are frozen once runs
# were made: give changed ones an [[arm]] of their own.

[study]
format = 1
name = {name}
dataset = {dataset}
seed = {seed}
level = 0.9        # probability of every interval
eps = 0.01         # the plateau is where more cases add at most this much
goal = "plateau"   # or "value" (see [cost]), or per structure: {{ kidney = 0.95, tumour = "plateau", cyst = "ignore" }}

[test]             # held out and never trained on; the cases that were drawn are in cases.csv
cases = {test}
group_by = "patient"

[pilots]
sizes = {sizes}   # annotated cases; every later round adds the size of its pool
draws = {draws}   # random orderings per size; a list gives one per size, its last for all later
folds = 1          # 1: one model on all n cases; k: the first k of five 80/20 splits, ensembled
ensemble = "vote"  # of the folds: "vote", "logits" (nnU-Net's rule) or "softmax"
mirroring = false  # test-time mirroring
schedule_check = {schedule_check}   # also train the smallest and largest size twice as long

# Training: nnU-Net's own unless set here; an [[arm]] may set its own.
epochs = {epochs}
iterations = {iterations}   # per epoch
{optional}
# batch, features and convolutions (per stage) default to the plans; features is the width of the first stage,
# the others keep their ratio to it

{arms}

[scores]
structures = {structures}    # names from dataset.json; empty scores all of them

[cost]             # what annotating costs, for `recommend`
# per_case = 20.0    # an [[arm]] may have its own, say for reviewing instead of drawing
# per_round = 100.0  # waiting, meetings; left out it is weighed as 5 % of annotating everything
# per_gpu_hour = 2.0
# per_point = 500.0  # what 0.01 of score is worth, for goal = "value"
# unit = "EUR"       # or "minutes"
# budget = 1000.0    # for all cases annotated after round 0, and their rounds
# deadline_rounds = 5

[stability]        # the forecast stands still when, over the last rounds, nothing moved more than this
# rounds = 3
# ceiling_move = 1.0 # DM, in units of eps
# gain_move = 1.0    # reachable gain, in units of eps
# size_move = 0.25   # plateau size, as a share
# gain_width = 2.0   # and the interval of the gain is no wider than this, in units of eps

[next]             # which cases are annotated next, when cases.csv lists some without annotation
select = "random"  # "stratified": the annotated cases get the mix of all cases in the columns of `by`
# by = ["site", "scanner"]

[execution]
engine = "local"
device = "auto"    # "cpu", "cuda" or "mps"
# jobs = 2         # trainings at the same time; by default one per CPU core, or one on an accelerator
"""
"""The commented `study.toml`."""


@dataclass(frozen=True)
class NewStudy:
    """What `init` is asked for."""

    folder: Path
    dataset: Path
    test: TestChoice
    """Number, fraction or list of test cases."""
    configurations: tuple[str, ...] = ("3d_fullres",)
    sizes: tuple[int, ...] = ()
    """Empty proposes sizes."""
    draws: int | list[int] | None = None
    """None proposes draws with the sizes, 3 where sizes are given."""
    runs: int = RUNS
    """Pilot runs per configuration that a proposal may spend."""
    structures: tuple[str, ...] = ()
    """What is scored; empty scores every structure of the dataset."""
    seed: int = 0
    cases_table: Path | None = None
    """CSV with `case`, `patient` and more columns."""
    trainer: str = "nnUNetTrainer"
    training: Mapping[str, int | float | str] = field(default_factory=dict)
    """Training settings that differ from nnU-Net's own."""
    arm_training: Mapping[str, Mapping[str, int | float | str]] = field(default_factory=dict)
    """Training settings of one configuration that differ from `training`."""
    schedule_check: bool = True
    progress: Callable[[int, int], None] = lambda done, total: None
    """Called with the number of cases looked into."""


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
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: must be a new or empty folder, found something there. Choose another name.")
    _check_asked(asked)
    dataset = read_dataset(asked.dataset)
    table = _user_table(asked.cases_table, dataset)
    facts = {}
    for fact in check_cases(dataset, dataset.cases):
        facts[fact.case] = fact
        asked.progress(len(facts), len(dataset.cases))
    test = choose_test(
        asked.test, list(dataset.cases), dict(zip(table["case"], table["patient"], strict=True)), asked.seed
    )
    table = _with_roles(table, test, facts)
    pool = list(table.loc[table["role"] == "pool", "case"])
    _check_pool(pool, test, table, facts, dataset)
    design = _design(asked, len(pool))
    if design is not None:
        asked = replace(asked, sizes=design.sizes, draws=_shortest(design.draws))
    text = _study_toml(asked, target.name, dataset, asked.sizes or default_sizes(len(pool)))
    _check_text(text, len(pool), target)
    _write(target, text, table)
    warnings = [warning for fact in facts.values() for warning in fact.warnings]
    return Created(open_study(target), tuple(warnings), design)


def _design(asked: NewStudy, pool: int) -> Design | None:
    """Sizes and draws that tell most about the decision for the runs there are, where neither was given."""
    if asked.sizes or asked.draws is not None or pool < FEWEST + 1:
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


def _check_text(text: str, pool: int, target: Path) -> None:
    """The written settings must read back, and their sizes fit the pool."""
    import tomllib

    settings = parse_settings(tomllib.loads(text), str(target / "study.toml"))
    largest = max(settings.pilots.sizes)
    if largest > pool:
        raise InputError(
            f"sizes must not exceed the pool of {pool} annotated cases, found {largest}. Lower it, or hold out fewer."
        )


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


def _study_toml(asked: NewStudy, name: str, dataset: NnunetDataset, sizes: Sequence[int]) -> str:
    training = {"epochs": 1000, "iterations": 250, **asked.training}
    optional = [
        f"{key} = {toml_value(training[key])}" if key in training else f"# {key} = {toml_value(example)}"
        for key, example in EXAMPLES.items()
    ]
    values = {
        "name": name,
        "dataset": str(dataset.folder),
        "seed": asked.seed,
        "test": asked.test,
        "sizes": list(sizes),
        "draws": DRAWS if asked.draws is None else asked.draws,
        "schedule_check": asked.schedule_check,
        "epochs": training["epochs"],
        "iterations": training["iterations"],
        "structures": list(asked.structures),
    }
    return TEMPLATE.format(
        **{key: toml_value(value) for key, value in values.items()},
        optional="\n".join(optional),
        arms="\n\n".join(_arm_toml(asked, configuration) for configuration in asked.configurations),
    )


def _arm_toml(asked: NewStudy, configuration: str) -> str:
    keys: dict[str, int | float | str] = {
        "name": configuration,
        "configuration": configuration,
        "trainer": asked.trainer,
    }
    keys |= dict(asked.arm_training.get(configuration, {}))
    return "\n".join(["[[arm]]", *(f"{key} = {toml_value(value)}" for key, value in keys.items())])
