"""How many annotated cases a finished nnU-Net model used, as its files tell it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...forecast.errors import InputError
from ..files import read_json
from ..json_shape import misfit
from .result_summaries import Scored

PREPROCESSED = "nnUNet_preprocessed"
"""Environment variable that names the folder of nnU-Net's splits."""
FOLDS = 5
"""How many folds nnU-Net makes unless told otherwise."""
SPLIT_LINE = re.compile(r"split has (\d+) training and (\d+) validation cases")
"""What a training log says of its fold."""


@dataclass(frozen=True)
class Size:
    """How many annotated cases a model used, as its files tell it."""

    n: int
    source: str
    train: int | None = None
    """Training cases alone, where there is a single fold."""
    certain: bool = True
    """Whether another number given by the user must be wrong."""


def numbers_of_cases(scored: Sequence[Scored], sizes: Sequence[int] | None, notes: list[str]) -> list[int]:
    """Annotated cases (training + validation) of every result.

    Args:
        scored: The results.
        sizes: Numbers given by the user, one per result; None takes what the files tell.
        notes: Takes where every number came from.

    Raises:
        InputError: A number is missing, or contradicts the files.
    """
    told = [_told_size(one) for one in scored]
    if sizes is not None and len(sizes) != len(scored):
        raise InputError(
            f"there must be one number of cases per result, found {len(sizes)} for {len(scored)}. "
            f"The results, in this order, are\n{_listing(scored, told)}"
        )
    if sizes is None and None in told:
        raise InputError(
            "the number of annotated cases (training + validation) must be given for results whose files do not tell "
            f"it. Give one number per result, in this order:\n{_listing(scored, told)}"
        )
    counts = []
    for index, (one, size) in enumerate(zip(scored, told, strict=True)):
        if sizes is None and size is not None:
            n, source = size.n, size.source
        else:
            n, source = _given_size(sizes[index] if sizes else 0, one, size)
        notes.append(f"{one.result.name}: n = {n} ({source}), {len(one.cases)} cases, {one.result.test_set}.")
        counts.append(n)
    return counts


def _given_size(n: int, one: Scored, size: Size | None) -> tuple[int, str]:
    """The user's number of cases and where it comes from, if nothing speaks against it."""
    if isinstance(n, bool) or n < 1:
        raise InputError(f"{one.result.name}: the number of cases must be a whole number >= 1, found {n}.")
    if size is not None and n == size.train:
        return n, f"given; the training cases alone, {len(one.cases)} others are scored"
    if size is not None and size.certain and n != size.n:
        alone = "" if size.train is None else f", or {size.train} when its validation cases are not to count"
        raise InputError(
            f"{one.result.name}: the number of cases must be {size.n} as told by {size.source}{alone}, found {n}. "
            "Correct or leave out the numbers given."
        )
    if one.result.folds and n < len(one.cases):
        raise InputError(
            f"{one.result.name}: the number of cases counts training and validation, so it must be at least the "
            f"{len(one.cases)} validated, found {n}."
        )
    return n, "given" if size is None or size.n == n else f"given; {size.source} would say {size.n}"


def _listing(scored: Sequence[Scored], told: Sequence[Size | None]) -> str:
    lines = []
    for number, (one, size) in enumerate(zip(scored, told, strict=True), start=1):
        hint = "" if size is None else f" ({size.n}: {size.source})"
        if size is None and one.declared is not None and one.declared.cases is not None:
            hint = f" ({one.declared.cases}? numTraining of {one.declared.path})"
        lines.append(f"  {number}. {one.result.name}{hint}")
    return "\n".join(lines)


def _told_size(one: Scored) -> Size | None:
    """What the files tell, the best witness first."""
    if not one.result.folds:
        return None
    return _from_logs(one) or _from_splits(one) or _from_folds(one) or _from_declared(one)


def _from_logs(one: Scored) -> Size | None:
    """The training log of every fold says how many cases it trains on and validates."""
    splits = []
    for fold, cases in one.rows.items():
        logs = (one.result.folder / f"fold_{fold}").glob("training_log_*.txt")
        said = {
            (int(train), int(val))
            for log in logs
            for train, val in SPLIT_LINE.findall(log.read_text(encoding="utf-8", errors="replace"))
        }
        if len(said) != 1 or {val for _, val in said} != {len(cases)}:
            return None
        splits += list(said)
    return _from_counts(splits, "the training log")


def _from_splits(one: Scored) -> Size | None:
    """nnU-Net's splits, where they are still the ones that the folds were trained with."""
    preprocessed = os.environ.get(PREPROCESSED)
    if not preprocessed or "" in one.rows:
        return None
    path = Path(preprocessed) / one.result.folder.parent.name / "splits_final.json"
    splits = read_json(path) if path.is_file() else []
    if misfit(splits, [{"train": [str], "val": [str]}]) is not None:
        return None
    counts = []
    for fold, cases in one.rows.items():
        split = splits[int(fold)] if int(fold) < len(splits) else {"val": []}
        if set(split["val"]) != set(cases):
            return None
        counts.append((len(split["train"]), len(cases)))
    return _from_counts(counts, str(path))


def _from_counts(splits: Sequence[tuple[int, int]], source: str) -> Size | None:
    """Training and validation cases of every fold must add up to the same number."""
    totals = {train + val for train, val in splits}
    if len(totals) != 1:
        return None
    return Size(totals.pop(), source, train=splits[0][0] if len(splits) == 1 else None)


def _from_folds(one: Scored) -> Size | None:
    """A whole cross-validation validates every case once."""
    folds, cases = sorted(one.result.folds), len(one.cases)
    whole = one.declared is not None and one.declared.cases == cases and len(folds) > 1
    if folds != list(range(len(folds))) or not (len(folds) == FOLDS or whole):
        return None
    return Size(cases, f"the cases of its {len(folds)} folds", certain=False)


def _from_declared(one: Scored) -> Size | None:
    """The size of the dataset, when the folds have the size of its fifths; a split of one's own would differ."""
    if one.declared is None or one.declared.path.parent != one.result.folder or one.declared.cases is None:
        return None
    n = one.declared.cases
    fifths = (n // FOLDS, -(-n // FOLDS))
    if "" in one.rows or any(len(cases) not in fifths for cases in one.rows.values()):
        return None
    return Size(n, f"numTraining of {one.declared.path}", certain=False)
