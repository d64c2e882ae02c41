"""What cases are called in reports that others may read; the key stays with the user."""

from __future__ import annotations

import dataclasses
import html
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from ..forecast.errors import InputError
from .answer import Answer
from .files import PRIVATE, write_text
from .tables import COLUMNS as SCORES
from .tables import read_columns

COLUMNS = ("case", "pseudonym")
TELLING = 4
"""Letters from which an id is looked for in a finished text; shorter ones are found by chance."""


def pseudonyms(key: Path, cases: Iterable[str]) -> dict[str, str]:
    """A pseudonym for every case: the one that it has in the key, else one drawn at random.

    Args:
        key: CSV of cases and pseudonyms, if there is one yet.
        cases: Ids.

    Raises:
        InputError: The key is some other file, or names two cases alike.
    """
    known = _read(key) if key.exists() else {}
    new = sorted(set(cases) - set(known) - {""})
    numbers = [n for n in range(1, len(known) + len(new) + 1) if f"case {n}" not in known.values()]
    secrets.SystemRandom().shuffle(new)  # ids in their order would tell who is who
    return {**known, **{case: f"case {n}" for case, n in zip(new, numbers, strict=False)}}


def keep_key(key: Path, names: Mapping[str, str]) -> None:
    """Write who is who, for its owner only, so that pseudonyms stay the same in later reports.

    Raises:
        StorageError: It cannot be written.
    """
    table = pd.DataFrame(sorted(names.items()), columns=list(COLUMNS))
    write_text(key, table.to_csv(index=False, lineterminator="\n"), PRIVATE)


def check_key(key: Path) -> None:
    """Refuse a key that is some other file, before anything is worked out.

    Raises:
        InputError: It is.
    """
    if key.exists():
        _read(key)


def _read(key: Path) -> dict[str, str]:
    table = read_columns(key, COLUMNS, "Name the key that dicecast wrote, or a new file.")
    for column in COLUMNS:
        again = table[column].duplicated()
        if again.any():
            value = table[column][again].iloc[0]
            raise InputError(f"{key}, line {table.index[again][0]}: {column} {value!r} is there twice. Remove a line.")
    return dict(zip(table["case"], table["pseudonym"], strict=True))


def anonymised(found: Answer, names: Mapping[str, str]) -> Answer:
    """What a source says, its cases by their pseudonyms, without columns of the user's own: names may stand there."""
    scores = found.source.scores[[name for name in found.source.scores if name in SCORES]]
    scores = scores.assign(case=scores["case"].map(lambda case: names.get(case, case)))
    source = dataclasses.replace(found.source, scores=scores, notes=[renamed(one, names) for one in found.source.notes])
    cases = [names.get(case, case) for case in found.cases]
    said = None if found.not_case_by_case is None else renamed(found.not_case_by_case, names)
    return dataclasses.replace(found, source=source, cases=cases, names=names, not_case_by_case=said)


def renamed(words: str, names: Mapping[str, str]) -> str:
    """Words in which ids are replaced; those below four letters cannot be told from other words."""
    known = sorted((case for case in names if len(case) >= TELLING), key=len, reverse=True)
    pattern = "|".join(map(re.escape, known))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", lambda match: names[match[0]], words) if known else words


def cases_of(found: Answer) -> set[str]:
    """Every case that a source knows."""
    study = found.source.study
    return {*found.source.scores["case"], *(() if study is None else study.cases["case"])}


def refuse_revealing(text: str, names: Mapping[str, str], what: str) -> None:
    """Refuse a finished text that still names a case.

    Args:
        text: To be read by others.
        names: Pseudonyms by id.
        what: The text, in words.

    Raises:
        InputError: Ids of at least four letters are in it, in capitals or not, by themselves or as a part of a name
            such as id_fine, other than such as are pseudonyms themselves.
    """
    plain = html.unescape(re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)).casefold()
    telling = {case for case in names if len(case) >= TELLING} - set(names.values())
    found = [case for case in telling if case.casefold() in plain and re.search(_alone(case.casefold()), plain)]
    if found:
        raise InputError(
            f"{what} still names {len(found)} case(s), such as {sorted(found)[0]!r}, in its title (--title), "
            "the name of its source, or that of an arm, structure, test set or stratum. Choose other names; nothing "
            "was written."
        )


def _alone(case: str) -> str:
    """Pattern of an id that is no part of a longer word; an underscore ends a word."""
    return rf"(?<![^\W_]){re.escape(case)}(?![^\W_])"
