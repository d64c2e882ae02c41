"""Extra cases of an arm: synthetic ones or of another source, trained on beside the annotated cases."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import json
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..forecast.errors import InputError, WorkError
from .files import write_json
from .nnunet.checks import check_cases
from .nnunet.dataset import CaseFiles, NnunetDataset, read_dataset
from .sections import ExtraCasesSection
from .tables import read_csv, write_csv


@dataclass(frozen=True)
class ExtraCases:
    """The extra cases of an arm that are at hand."""

    key: str
    """Tells sources apart; arms with the same source share its cases."""
    files: Mapping[str, CaseFiles]
    """By the name they are preprocessed under, which no annotated case has."""
    blocks: tuple[tuple[str, ...], ...]
    """Names by when they came; a set that grows keeps the order of what was there."""

    def first(self, count: int, draw: int, seed: int) -> tuple[str, ...]:
        """The first cases of a draw's ordering."""
        order: list[str] = []
        for number, block in enumerate(self.blocks):
            rng = np.random.default_rng([seed, 17, draw, number])
            order.extend(block[i] for i in rng.permutation(len(block)))
        return tuple(order[:count])


def extra_count(section: ExtraCasesSection, n: int) -> int:
    """Extra cases beside n annotated ones."""
    return round(section.ratio * n)


def extra_key(section: ExtraCasesSection, seed: int) -> str:
    """Identity of a source of extra cases."""
    source = {name: value for name, value in dataclasses.asdict(section).items() if name != "ratio"}
    return hashlib.sha256(json.dumps([source, seed]).encode()).hexdigest()[:6]


def place_of(study: Path, key: str) -> Path:
    """Where a study keeps what it knows of a source of extra cases."""
    return study / "extra" / key


def provide(study: Path, section: ExtraCasesSection, like: NnunetDataset, count: int, seed: int) -> None:
    """Make sure that enough extra cases are at hand, checked and on record; does nothing when they are.

    Args:
        study: The study folder.
        section: Where they come from.
        like: The study's dataset, whose channels and labels they must have.
        count: How many are needed.
        seed: Seed of what is generated.

    Raises:
        InputError: Too few in a folder, or unusable ones.
        WorkError: The command or callable failed or wrote too few.
    """
    place = place_of(study, extra_key(section, seed))
    known = _known(place)
    if len(known) >= count:
        return
    folder = place / "raw" if section.folder is None else Path(section.folder).expanduser()
    if section.folder is None:
        _generate(section, like, folder, count - len(known), seed, len(known))
    dataset = read_dataset(folder)
    _check_like(dataset, like)
    new = [case for case in dataset.cases if case not in set(known["case"])]
    if len(new) + len(known) < count:
        kind = InputError if section.folder is not None else WorkError
        raise kind(
            f"{folder}: extra cases in a ratio of {section.ratio:g} need {count} cases, found "
            f"{len(new) + len(known)}. Add cases or lower the ratio."
        )
    facts = list(check_cases(dataset, new))
    block = 0 if known.empty else int(known["block"].astype(int).max()) + 1
    rows = pd.DataFrame([{"case": fact.case, "block": str(block), "digest": fact.digest} for fact in facts])
    write_json(place / "source.json", {**dataclasses.asdict(section), "folder": str(dataset.folder), "seed": seed})
    write_csv(pd.concat([known, rows], ignore_index=True), place / "cases.csv")


def _known(place: Path) -> pd.DataFrame:
    path = place / "cases.csv"
    return (
        read_csv(path).reset_index(drop=True) if path.is_file() else pd.DataFrame(columns=["case", "block", "digest"])
    )


def at_hand(study: Path, section: ExtraCasesSection, seed: int) -> tuple[ExtraCases, dict[str, str]]:
    """The extra cases on record, and their digests by name."""
    key = extra_key(section, seed)
    place = place_of(study, key)
    known = _known(place)
    dataset = read_dataset(place / "raw" if section.folder is None else Path(section.folder).expanduser())
    gone = [case for case in known["case"] if case not in dataset.cases]
    if gone:
        raise InputError(f"{dataset.folder}: extra case {gone[0]!r} is no longer there. Put it back.")
    name = {case: f"extra-{key}-{case}" for case in known["case"]}
    blocks = known.groupby(known["block"].astype(int), sort=True)["case"]
    return (
        ExtraCases(
            key,
            {name[case]: dataset.cases[case] for case in known["case"]},
            tuple(tuple(name[case] for case in sorted(block)) for _, block in blocks),
        ),
        {name[case]: digest for case, digest in zip(known["case"], known["digest"], strict=True)},
    )


def _check_like(dataset: NnunetDataset, like: NnunetDataset) -> None:
    for key in ("channel_names", "labels", "file_ending"):
        if dataset.declared[key] != like.declared[key]:
            raise InputError(
                f"{dataset.folder / 'dataset.json'}: {key} of extra cases must be that of {like.folder.name} "
                f"{like.declared[key]}, found {dataset.declared[key]}. Convert them."
            )


def _generate(section: ExtraCasesSection, like: NnunetDataset, folder: Path, count: int, seed: int, start: int) -> None:
    """Let the source write cases `start` to `start + count - 1`."""
    folder.mkdir(parents=True, exist_ok=True)
    if section.lesions is not None:
        from .examples.lesions import write_synthetic

        assert section.organ is not None and section.lesion is not None
        healthy = read_dataset(Path(section.lesions).expanduser())
        write_synthetic(
            healthy.cases, like.declared, folder, count, seed, start, organ=section.organ, lesion=section.lesion
        )
    elif section.callable is not None:
        _call(section.callable, folder, count, start, seed)
    else:
        assert section.command is not None
        _command(section.command, folder, count, start, seed)


def _call(target: str, folder: Path, count: int, start: int, seed: int) -> None:
    module, _, function = target.rpartition(":")
    try:
        if module.endswith(".py"):
            spec = importlib.util.spec_from_file_location(
                f"dicecast_extra_{Path(module).stem}", Path(module).expanduser()
            )
            assert spec is not None and spec.loader is not None
            found = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found)
        else:
            found = importlib.import_module(module)
        write = getattr(found, function)
    except (ImportError, OSError, AttributeError, ValueError) as error:
        raise InputError(
            f"extra_cases.callable must be module:function or file.py:function, found {target!r}: {error}. Correct it."
        ) from error
    try:
        write(folder=folder, count=count, start=start, seed=seed)
    except Exception as error:  # whatever the user's function raises
        raise WorkError(f"extra_cases.callable {target!r} failed: {type(error).__name__}: {error}.") from error


def _command(template: str, folder: Path, count: int, start: int, seed: int) -> None:
    values = {"folder": str(folder), "count": str(count), "start": str(start), "seed": str(seed)}
    try:
        words = [word.format(**values) for word in shlex.split(template)]
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"extra_cases.command may hold {{folder}}, {{count}}, {{start}} and {{seed}}, found {template!r}: {error}."
        ) from error
    try:
        done = subprocess.run(words, check=False)
    except OSError as error:
        raise InputError(f"extra_cases.command cannot be started: {words[0]}: {error.strerror}.") from error
    if done.returncode:
        raise WorkError(f"extra_cases.command ended with exit code {done.returncode}: {shlex.join(words)}.")
