"""The study folder: plain files from which every number can be rebuilt.

study.toml   what is asked for          cases.csv    who is in the pool, the test set, not annotated yet
runs/        one folder per pilot run   checks/      the same trainings with doubled iterations
rounds/      each round's answer        nnunet/      frozen plans and preprocessed cases
test_sets/   extra test sets            extra/       cases trained on beside the annotated ones
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import Timeout

from ..forecast.errors import InputError
from ..forecast.selection import choose_cases
from .files import file_lock, read_json, stays_in_folder, write_json
from .json_shape import misfit
from .nnunet.dataset import NnunetDataset, read_dataset
from .nnunet.folders import located
from .round_shape import ROUND
from .settings import Settings, read_settings
from .tables import read_csv, write_csv

ROLES = ("pool", "test", "unannotated")
WHOLE = re.compile(r"[0-9]{1,15}")
"""A whole number as `cases.csv` writes it."""


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
    def dataset(self) -> Path:
        """The nnU-Net raw dataset folder."""
        return self.raw(self.settings.study.dataset)

    def raw(self, text: str) -> Path:
        """A dataset folder by path, or by its name in `nnUNet_raw`; relative paths start at the study."""
        return located(text, self.folder, "nnUNet_raw")

    def trained(self, text: str) -> Path:
        """A trained model's file or folder by path, or by its place in `nnUNet_results`."""
        return located(text, self.folder, "nnUNet_results")

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
        if pilots.folds > 1 and sizes[0] < 2:
            raise InputError(
                f"{self.folder / 'study.toml'}, [pilots]: folds need sizes of at least 2 cases, found {sizes[0]}. "
                "Raise the sizes or use folds = 1."
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
        if row["role"] == "pool" and not WHOLE.fullmatch(row["round"]):
            raise InputError(
                f"{path}, line {line}, column 'round': a pool case needs the round it came in, found {row['round']!r}."
            )
        if row["voxels"] and not WHOLE.fullmatch(row["voxels"]):
            raise InputError(
                f"{path}, line {line}, column 'voxels': must be a whole number or empty, found {row['voxels']!r}."
            )
        if not stays_in_folder(row["case"]):
            raise InputError(
                f"{path}, line {line}, column 'case': ids name files, so they must not hold slashes, found "
                f"{row['case']!r}. Restore the file."
            )
    again = table["case"].duplicated()
    if again.any():
        line = table.index[again][0]
        raise InputError(f"{path}, line {line}: case {table.loc[line, 'case']!r} is listed twice. Remove one line.")
    for role in ("pool", "test"):
        if not (table["role"] == role).any():
            raise InputError(f"{path}: at least one case of role {role} is needed, found none. Restore the file.")
    rounds = table.loc[table["role"] == "pool", "round"].astype(int)
    if rounds.max() >= len(rounds):
        raise InputError(
            f"{path}, column 'round': rounds must be counted 0, 1, 2, ..., found {rounds.max()} with {len(rounds)} "
            "pool cases in all. Restore the file."
        )
    return table.reset_index(drop=True)


@contextlib.contextmanager
def locked(study: Study) -> Iterator[None]:
    """Hold the study for this process.

    Raises:
        InputError: Another `run` works in the same study.
    """
    note = study.folder / "running.json"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(study.folder / ".lock", timeout=1.0))  # who only looks lets go at once
        except Timeout as error:
            raise InputError(
                f"{study.folder}: another `dicecast run` is working in this study. Wait for it, or stop it first with: "
                f"dicecast cancel {study.folder}"
            ) from error
        except OSError as error:
            raise InputError(
                f"{study.folder}: must be writable, found: {error.strerror}. Check its permissions."
            ) from error
        stack.callback(note.unlink, missing_ok=True)
        write_json(note, {"host": socket.gethostname(), "pid": os.getpid()})
        yield


def write_round(study: Study, number: int, document: Mapping[str, Any]) -> None:
    """Keep a round's forecast and recommendation."""
    write_json(study.folder / "rounds" / f"{number}.json", document)


def read_rounds(study: Study) -> list[dict[str, Any]]:
    """Every round's document, the oldest first.

    Raises:
        InputError: Not the document of that round.
    """
    paths = sorted(
        (path for path in study.folder.glob("rounds/*.json") if path.stem.isdecimal()), key=lambda path: int(path.stem)
    )
    return [_round_document(path) for path in paths]


def _round_document(path: Path) -> dict[str, Any]:
    document = read_json(path)
    wrong = misfit(document, ROUND)
    if wrong is not None:
        raise InputError(
            f"{path}: must be the document of a round, with {', '.join(ROUND)}, but {wrong}. Restore the file."
        )
    if document["round"] != int(path.stem):
        raise InputError(f"{path}: must be the document of round {path.stem}, found {document['round']}. Restore it.")
    return dict(document)


def is_running(study: Study) -> bool:
    """Whether a `run` is working in the study now."""
    if not (study.folder / "running.json").is_file():
        return False
    try:
        with file_lock(study.folder / ".lock", timeout=0) as free:
            return not free  # without locks, the note is all there is
    except Timeout:
        return True
    except OSError:
        return False


def holder(folder: Path) -> dict[str, Any] | None:
    """Host and process id of the `run` that works in a study; None where none does, or it has just ended."""
    try:
        found = read_json(folder / "running.json")
        return {"host": str(found["host"]), "pid": int(found["pid"])}
    except (InputError, TypeError, KeyError, ValueError):
        return None
