"""The study folder: plain files from which every number can be rebuilt.

study.toml   what is asked for          cases.csv    who is in the pool, the test set, not annotated yet
runs/        one folder per pilot run   checks/      the same trainings with doubled iterations
rounds/      each round's answer        nnunet/      frozen plans and preprocessed cases
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from ..forecast.errors import InputError
from ..forecast.scores import validate_scores
from ..forecast.selection import choose_cases
from .files import read_json, write_json
from .nnunet.dataset import Label, NnunetDataset
from .nnunet.pilot import PilotSpec, RunStatus, run_status
from .nnunet.planning import plans_path
from .settings import ArmSection, Settings, TrainingSettings, read_settings
from .tables import read_csv, read_scores, write_csv

ROLES = ("pool", "test", "unannotated")


@dataclass(frozen=True)
class Study:
    """An opened study."""

    folder: Path
    settings: Settings
    cases: pd.DataFrame
    """Columns `case`, `patient`, `role`, `round`, `digest`, `voxels` and the user's own; text cells."""

    @property
    def workspace(self) -> Path:
        """The study's private nnU-Net folder."""
        return self.folder / "nnunet"

    @property
    def test(self) -> list[str]:
        """Case ids of the test set, sorted."""
        return sorted(self.cases.loc[self.cases["role"] == "test", "case"])

    @property
    def waiting(self) -> list[str]:
        """Case ids not annotated yet, sorted."""
        return sorted(self.cases.loc[self.cases["role"] == "unannotated", "case"])

    @property
    def hidden(self) -> list[str]:
        """Case ids that a replay has yet to reveal: unannotated by role, but looked into, so their labels exist."""
        return sorted(self.cases.loc[(self.cases["role"] == "unannotated") & (self.cases["digest"] != ""), "case"])

    def next_cases(self, batch: int) -> list[str]:
        """Which cases to annotate next, by the rule of `[next]`; the same at every call until the pool has grown.

        Raises:
            InputError: A column to choose by is not in `cases.csv`.
        """
        names = self.hidden or self.waiting
        waiting = self.cases[self.cases["case"].isin(names)].sort_values("case", ignore_index=True)
        annotated = self.cases[self.cases["role"] == "pool"]
        rng = np.random.default_rng(self.next_seed)
        return choose_cases(waiting, annotated, batch, self.settings.next.by, rng)

    @property
    def next_seed(self) -> list[int]:
        """Seed of the next choice of cases."""
        return [self.settings.study.seed, 13, len(self.batches)]

    @property
    def batches(self) -> list[list[str]]:
        """Case ids of the pool by the round they came in, each sorted."""
        pool = self.cases[self.cases["role"] == "pool"]
        rounds = pool["round"].astype(int)
        return [sorted(pool.loc[rounds == k, "case"]) for k in range(int(rounds.max()) + 1)] if len(pool) else []

    @property
    def pool_sizes(self) -> list[int]:
        """Size of the pool after each round."""
        return [int(total) for total in np.cumsum([len(batch) for batch in self.batches])]

    @property
    def patient(self) -> dict[str, str]:
        """Patient of every case."""
        return dict(zip(self.cases["case"], self.cases["patient"], strict=True))

    @property
    def digest(self) -> dict[str, str]:
        """Digest of every case that was looked into."""
        looked = self.cases[self.cases["digest"] != ""]
        return dict(zip(looked["case"], looked["digest"], strict=True))

    def ordering(self, draw: int) -> list[str]:
        """The draw: round 0's cases shuffled, every later batch shuffled and appended."""
        order: list[str] = []
        for number, batch in enumerate(self.batches):
            rng = np.random.default_rng([self.settings.study.seed, draw, number])
            order.extend(batch[i] for i in rng.permutation(len(batch)))
        return order

    def sizes(self) -> list[int]:
        """Sizes to train now: those asked for (or round 0's pool) and the pool of every later round.

        Raises:
            InputError: A size is larger than the pool, or too small for the folds.
        """
        pool, pilots = self.pool_sizes[-1], self.settings.pilots
        sizes = sorted({*(pilots.sizes or self.pool_sizes[:1]), *self.pool_sizes[1:]})
        too_large = [n for n in sizes if n > pool]
        if too_large:
            raise InputError(
                f"{self.folder / 'study.toml'}, [pilots]: sizes must not exceed the pool of {pool} annotated cases, "
                f"found {too_large[0]}. Lower it, or annotate more."
            )
        if pilots.folds > min(5, sizes[0]):
            raise InputError(
                f"{self.folder / 'study.toml'}, [pilots]: {pilots.folds} folds need sizes of at least {pilots.folds} "
                f"cases, found {sizes[0]}. Raise the sizes or lower folds."
            )
        return sizes

    def with_cases(self, cases: pd.DataFrame) -> Study:
        """The study with another cases table, which is written."""
        write_csv(cases, self.folder / "cases.csv")
        return dataclasses.replace(self, cases=cases)


def open_study(folder: Path) -> Study:
    """Open a study folder.

    Raises:
        InputError: Not a study, made by a newer dicecast, or a faulty file.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise InputError(f"{folder}: must be a study folder, found no such folder. Make one with: dicecast init")
    if not (folder / "study.toml").is_file():
        raise InputError(f"{folder}: must be a study folder, but it has no study.toml. Make one with: dicecast init")
    settings = read_settings(folder / "study.toml")
    return Study(folder, settings, read_cases(folder / "cases.csv"))


def read_cases(path: Path) -> pd.DataFrame:
    """Read `cases.csv`.

    Raises:
        InputError: A missing column, a repeated case, an unknown role or a pool case without a round.
    """
    table = read_csv(path)
    for column in ("case", "patient", "role", "round"):
        if column not in table:
            raise InputError(f"{path}: column {column!r} is required, found {', '.join(table.columns)}.")
    for column in ("digest", "voxels"):
        if column not in table:
            table[column] = ""
    for line, row in table.iterrows():
        if row["role"] not in ROLES:
            raise InputError(
                f"{path}, line {line}, column 'role': must be one of {', '.join(ROLES)}, found {row['role']!r}."
            )
        if row["role"] == "pool" and not row["round"].isdigit():
            raise InputError(
                f"{path}, line {line}, column 'round': a pool case needs the round it came in, found {row['round']!r}."
            )
    again = table["case"].duplicated()
    if again.any():
        line = table.index[again][0]
        raise InputError(f"{path}, line {line}: case {table.loc[line, 'case']!r} is listed twice. Remove one line.")
    for role in ("pool", "test"):
        if not (table["role"] == role).any():
            raise InputError(f"{path}: at least one case of role {role} is needed, found none. Restore the file.")
    return table.reset_index(drop=True)


@contextlib.contextmanager
def locked(study: Study) -> Iterator[None]:
    """Hold the study for this process.

    Raises:
        InputError: Another `run` works in the same study.
    """
    lock = FileLock(study.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{study.folder}: another `dicecast run` is working in this study. Wait for it, or stop it first."
        ) from error
    except OSError as error:
        raise InputError(
            f"{study.folder}: must be writable, found: {error.strerror}. Check its permissions."
        ) from error
    try:
        yield
    finally:
        lock.release()


def structures_of(study: Study, dataset: NnunetDataset) -> dict[str, Label]:
    """What is scored: the structures asked for, or all of the dataset.

    Raises:
        InputError: A structure the dataset does not declare.
    """
    asked = study.settings.scores.structures or list(dataset.structures)
    for name in asked:
        if name not in dataset.structures:
            raise InputError(
                f"{study.folder / 'study.toml'}, [scores]: structure {name!r} is not declared in dataset.json: "
                f"{', '.join(dataset.structures)}."
            )
    goal = study.settings.study.goal
    unknown = [name for name in goal if name not in asked] if isinstance(goal, dict) else []
    if unknown:
        raise InputError(
            f"{study.folder / 'study.toml'}, [study]: goal names structure {unknown[0]!r}, which is not scored: "
            f"{', '.join(asked)}."
        )
    return {name: dataset.structures[name] for name in asked}


def protocol_of(study: Study, arm: ArmSection, structures: Mapping[str, Label]) -> dict[str, Any]:
    """Everything that makes the scores of an arm comparable; changing it makes a new arm."""
    pilots = study.settings.pilots
    plans = plans_path(study.workspace).read_bytes()
    return {
        "configuration": arm.configuration,
        "trainer": arm.trainer,
        **dataclasses.asdict(arm.training(pilots)),
        "folds": pilots.folds,
        "ensemble": pilots.ensemble if pilots.folds > 1 else "none",
        "mirroring": pilots.mirroring,
        "seed": study.settings.study.seed,
        "structures": {name: list(v) if isinstance(v, tuple) else v for name, v in structures.items()},
        "test_set": hashlib.sha256("\n".join(study.test).encode()).hexdigest()[:12],
        "plans": hashlib.sha256(plans).hexdigest()[:12],
    }


def run_folder(study: Study, arm: str, n: int, draw: int, *, check: bool = False) -> Path:
    """Where a pilot run, or its schedule check, lives."""
    return study.folder / ("checks" if check else "runs") / arm / f"n{n}" / f"draw{draw}"


def pilot_specs(study: Study, dataset: NnunetDataset, device: str, workers: int) -> list[PilotSpec]:
    """Every run the study asks for now, done or not, large sizes last.

    Raises:
        InputError: A finished run was made under another protocol.
    """
    sizes = study.sizes()
    specs = [
        _spec(study, dataset, arm, n, draw, device, workers)
        for n in sizes
        for arm in study.settings.arms
        for draw in range(study.settings.pilots.draws_at(n))
    ]
    for spec in specs:
        check_protocol(spec, study)
    return specs


def check_specs(study: Study, dataset: NnunetDataset, device: str, workers: int) -> list[PilotSpec]:
    """The schedule check: smallest and largest size of every arm, draw 0, twice as many epochs."""
    ends = sorted({study.sizes()[0], study.sizes()[-1]})
    specs = []
    for n in ends:
        for arm in study.settings.arms:
            plain = _spec(study, dataset, arm, n, 0, device, workers)
            training: TrainingSettings = dataclasses.replace(plain.training, epochs=2 * plain.training.epochs)
            specs.append(
                dataclasses.replace(
                    plain,
                    folder=run_folder(study, arm.name, n, 0, check=True),
                    training=training,
                    protocol={**plain.protocol, "epochs": training.epochs},
                )
            )
    for spec in specs:
        check_protocol(spec, study)
    return specs


def _spec(
    study: Study, dataset: NnunetDataset, arm: ArmSection, n: int, draw: int, device: str, workers: int
) -> PilotSpec:
    pilots = study.settings.pilots
    structures = structures_of(study, dataset)
    key = json.dumps([study.settings.study.seed, arm.name, n, draw]).encode()
    return PilotSpec(
        folder=run_folder(study, arm.name, n, draw),
        workspace=study.workspace,
        arm=arm.name,
        n=n,
        draw=draw,
        cases=tuple(study.ordering(draw)[:n]),
        folds=pilots.folds,
        ensemble=pilots.ensemble,
        mirroring=pilots.mirroring,
        configuration=arm.configuration,
        trainer=arm.trainer,
        training=arm.training(pilots),
        seed=int.from_bytes(hashlib.sha256(key).digest()[:4], "big") % 2**31,
        test={case: dataset.cases[case] for case in study.test},
        structures=structures,
        ignore_label=dataset.ignore_label,
        declared={key: value for key, value in dataset.declared.items() if key != "dataset"},
        protocol=protocol_of(study, arm, structures),
        device=device,
        augmentation_workers=workers,
    )


def check_protocol(spec: PilotSpec, study: Study) -> None:
    """Refuse to mix protocols on one curve.

    Raises:
        InputError: Names what was changed after the run was made.
    """
    if run_status(spec.folder) is not RunStatus.COMPLETED:
        return
    made = read_json(spec.folder / "run.json")
    before, now = made["protocol"], spec.protocol
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if not changed and made["cases"] == list(spec.cases):
        return
    what = ", ".join(f"{key} was {before.get(key)}, is {now.get(key)}" for key in changed)
    raise InputError(
        f"{study.folder / 'study.toml'}: the protocol was changed after runs were made ({what or 'training cases'}): "
        f"{spec.folder} would not be comparable. Undo the change, give the new settings an [[arm]] of their own, or "
        f"delete {study.folder / spec.folder.parts[-4]} to start over."
    )


def study_scores(study: Study) -> pd.DataFrame:
    """The scores of every completed run of the study's arms.

    Raises:
        InputError: No run is complete, a scores file is faulty, or an arm's runs differ in protocol.
    """
    tables = []
    for arm in study.settings.arms:
        for path in sorted(study.folder.glob(f"runs/{glob.escape(arm.name)}/n*/draw*/scores.csv")):
            if run_status(path.parent) is RunStatus.COMPLETED:
                tables.append(read_scores(path))
    if not tables:
        raise InputError(f"{study.folder}: no pilot run is complete yet. Start them with: dicecast run {study.folder}")
    scores = validate_scores(pd.concat(tables, ignore_index=True), source=str(study.folder / "runs"))
    for arm_name, rows in scores.groupby("arm"):
        if rows["protocol"].nunique() > 1:
            raise InputError(
                f"{study.folder / 'runs' / str(arm_name)}: all runs of an arm must share one protocol, found "
                f"{rows['protocol'].nunique()} (see protocol in each run.json). Delete the runs that are out of date."
            )
    return scores


def write_round(study: Study, number: int, document: Mapping[str, Any]) -> None:
    """Keep a round's forecast and recommendation."""
    write_json(study.folder / "rounds" / f"{number}.json", document)


def read_rounds(study: Study) -> list[dict[str, Any]]:
    """Every round's document, the oldest first."""
    paths = sorted(study.folder.glob("rounds/*.json"), key=lambda path: int(path.stem) if path.stem.isdigit() else -1)
    return [read_json(path) for path in paths]


def is_running(study: Study) -> bool:
    """Whether a `run` is working in the study now."""
    lock = FileLock(study.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False
