"""Extra cases of an arm: synthetic ones or of another source, trained on beside the annotated cases."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..forecast.errors import InputError, WorkError
from .files import write_json
from .generators import generate
from .nnunet.checks import check_cases, shared_image
from .nnunet.dataset import CaseFiles, NnunetDataset, check_like, read_dataset
from .sections import ExtraCasesSection
from .tables import read_columns, write_csv

FOLDERS = ("imagesTr", "labelsTr")
RECORD = ("case", "block", "digest")
"""Columns of the record of extra cases."""


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


@dataclass(frozen=True)
class ExtraSource:
    """Where an arm's extra cases come from."""

    asked: ExtraCasesSection
    """As `study.toml` says it."""
    placed: ExtraCasesSection
    """With its folders and files found."""
    study: Path
    """The study folder."""
    seed: int

    @property
    def key(self) -> str:
        """Identity of the source; the same wherever the study lies."""
        source = {name: value for name, value in dataclasses.asdict(self.asked).items() if name != "ratio"}
        return hashlib.sha256(json.dumps([source, self.seed]).encode()).hexdigest()[:6]

    @property
    def place(self) -> Path:
        """Where the study keeps what it knows of the source."""
        return self.study / "extra" / self.key

    @property
    def raw(self) -> Path:
        """Dataset folder that holds the cases."""
        return self.place / "raw" if self.placed.folder is None else Path(self.placed.folder).expanduser()


def extra_count(section: ExtraCasesSection, n: int) -> int:
    """Extra cases beside n annotated ones."""
    return round(section.ratio * n)


def is_provided(source: ExtraSource, count: int) -> bool:
    """Whether so many extra cases are at hand."""
    return len(_known(source.place)) >= count


def provide(source: ExtraSource, like: NnunetDataset, count: int, used: Mapping[str, str]) -> None:
    """Make sure that enough extra cases are at hand, checked and on record; does nothing when they are.

    Args:
        source: Where they come from.
        like: The study's dataset, whose channels and labels they must have.
        count: How many are needed.
        used: Digest of every image of the study, by case: none may be an extra case, nor a source of lesions.

    Raises:
        InputError: Too few in a folder, unusable ones, or an image of the study; nothing is put on record.
        WorkError: The command or callable failed, or wrote too few or unusable cases.
    """
    known = _known(source.place)
    missing = count - len(known)
    if missing <= 0:
        return
    block = 0 if known.empty else int(known["block"].astype(int).max()) + 1
    rng = np.random.default_rng([source.seed, 19, block])
    if source.placed.folder is None:
        chosen = _grow(source, like, missing, set(known["case"]), used, rng)
    else:
        chosen = _taken(source, like, missing, set(known["case"]), used, rng)
    for case, digest in chosen.items():  # a label that was corrected, in a case that is put on record anew
        for stale in source.study.glob(f"nnunet/preprocessed/*/*/{glob.escape(_name(source, case, digest))}.pkl"):
            stale.unlink()
    rows = pd.DataFrame([{"case": case, "block": str(block), "digest": one} for case, one in chosen.items()])
    write_json(source.place / "source.json", {**dataclasses.asdict(source.asked), "seed": source.seed})
    write_csv(pd.concat([known, rows], ignore_index=True), source.place / "cases.csv")


def _taken(
    source: ExtraSource,
    like: NnunetDataset,
    count: int,
    known: set[str],
    used: Mapping[str, str],
    rng: np.random.Generator,
) -> dict[str, str]:
    """Digest of every case that is taken from a folder."""
    dataset = read_dataset(source.raw)
    check_like(dataset, like, "extra cases")
    new = [case for case in dataset.cases if case not in known]
    if len(new) < count:
        raise InputError(
            f"{source.raw}: extra cases in a ratio of {source.asked.ratio:g} need {count + len(known)} cases, found "
            f"{len(new) + len(known)}. Add cases or lower the ratio."
        )
    return _checked(dataset, [str(case) for case in rng.permutation(new)[:count]], used)


def _grow(
    source: ExtraSource,
    like: NnunetDataset,
    count: int,
    known: set[str],
    used: Mapping[str, str],
    rng: np.random.Generator,
) -> dict[str, str]:
    """Generate cases in a draft folder, and move them to the others once all are there and checked.

    Returns:
        Digest of every new case.
    """
    for left in source.place.glob("writing-*"):
        shutil.rmtree(left, ignore_errors=True)
    draft, start, log = source.place / f"writing-{os.getpid()}", len(known), source.place / "log.txt"
    draft.mkdir(parents=True)
    generate(source.placed, like, draft, log, count, start, source.seed, used)
    try:
        made = _generated(draft, like, count, known)
        chosen = _checked(made, [str(case) for case in rng.permutation(list(made.cases))[:count]], used)
    except InputError as error:
        raise WorkError(
            f"the generator of extra cases must write imagesTr, labelsTr and dataset.json (nnU-Net raw layout) with "
            f"{count} new cases: {error} Its output is in {log}."
        ) from error
    _drop_unrecorded(source.raw, str(like.declared["file_ending"]), known)
    for name in FOLDERS:
        (source.raw / name).mkdir(parents=True, exist_ok=True)
        for path in sorted((draft / name).iterdir()):
            os.replace(path, source.raw / name / path.name)
    for path in sorted(draft.glob("*.*")):
        target = path.name if path.name == "dataset.json" or not start else f"{path.stem}-{start}{path.suffix}"
        os.replace(path, source.raw / target)
    shutil.rmtree(draft)
    return chosen


def _generated(draft: Path, like: NnunetDataset, count: int, known: set[str]) -> NnunetDataset:
    """The dataset of a draft."""
    made = read_dataset(draft)
    check_like(made, like, "extra cases")
    if "dataset" in made.declared:
        raise InputError(f"{draft / 'dataset.json'}: must not list files under dataset. Leave it out.")
    if len(made.cases) < count:
        raise InputError(f"{draft}: must hold {count} cases, found {len(made.cases)}.")
    again = [case for case in made.cases if case in known]
    if again:
        raise InputError(f"{draft}: every case must have a new name, found {again[0]!r} twice. Use {{start}}.")
    return made


def _checked(dataset: NnunetDataset, cases: Sequence[str], used: Mapping[str, str]) -> dict[str, str]:
    """Digest of every case, once it is clear that none is a copy of an annotated or a test image."""
    digest = {fact.case: fact.digest for fact in check_cases(dataset, sorted(cases))}
    same = shared_image(digest, used)
    if same is not None:
        raise InputError(
            f"{dataset.cases[same[0]].images[0]}: extra case {same[0]!r} is the image of case {same[1]!r} of the "
            "study: extra cases must be others than those annotated or tested on. Remove it."
        )
    return digest


def _drop_unrecorded(raw: Path, ending: str, known: set[str]) -> None:
    """Remove generated cases that an interrupted run moved here but did not put on record."""
    for name in FOLDERS:
        for path in (raw / name).glob(f"*{ending}"):
            case = path.name.removesuffix(ending)
            if (case if name == "labelsTr" else case.rpartition("_")[0]) not in known:
                path.unlink()


def _known(place: Path) -> pd.DataFrame:
    path = place / "cases.csv"
    if not path.is_file():
        return pd.DataFrame(columns=list(RECORD))
    table = read_columns(path, RECORD, "Restore it.").reset_index(drop=True)
    if not table["block"].str.isdigit().all():
        raise InputError(f"{path}, column 'block': must be whole numbers. Restore the file.")
    return table


def recorded_digests(source: ExtraSource) -> dict[str, str]:
    """Digest of every extra case on record, by its name in the source."""
    known = _known(source.place)
    return dict(zip(known["case"], known["digest"], strict=True))


def at_hand(source: ExtraSource) -> tuple[ExtraCases, dict[str, str]]:
    """The extra cases on record, and their digests by name.

    Raises:
        InputError: A case is no longer there.
    """
    known, dataset = _known(source.place), read_dataset(source.raw)
    gone = [case for case in known["case"] if case not in dataset.cases]
    if gone:
        raise InputError(f"{dataset.folder}: extra case {gone[0]!r} is no longer there. Put it back.")
    digest = recorded_digests(source)
    name = {case: _name(source, case, one) for case, one in digest.items()}
    blocks = known.groupby(known["block"].astype(int), sort=True)["case"]
    found = ExtraCases(
        source.key,
        {name[case]: dataset.cases[case] for case in known["case"]},
        tuple(tuple(name[case] for case in sorted(block)) for _, block in blocks),
    )
    return found, {name[case]: one for case, one in digest.items()}


def _name(source: ExtraSource, case: str, digest: str) -> str:
    """What a case is preprocessed under; another image, say of a generator that was corrected, has another name."""
    return f"extra-{source.key}-{digest[:8]}-{case}"
