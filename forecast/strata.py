"""Strata: parts of the test set, by a property of the reference or by a column of the cases table.

volume/4          quartiles of the reference volume; /2 splits at the median
diameter@10,30    cut at 10 and at 30 mm
site              one stratum per value of a column
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .agreement import split_by
from .errors import InputError
from .scores import TEXT_DEFAULTS

UNITS = {"volume": "mL", "diameter": "mm", "heterogeneity": ""}
"""Properties of a structure in the reference, and their units: volume; diameter of the sphere of the volume of its
largest connected part; standard deviation of the image's first channel inside it."""


@dataclass(frozen=True)
class Stratification:
    """One way to split the test set."""

    by: str
    """A property of `UNITS`, or a column of the cases table."""
    groups: int | None = None
    """Groups of about equal size."""
    cuts: tuple[float, ...] = ()
    """Where to cut, in the unit of the property."""

    @property
    def measured(self) -> bool:
        """Whether it splits by a property of the reference, thus differently for every structure."""
        return self.by in UNITS


def stratification(text: str) -> Stratification:
    """Read how to split the test set.

    Raises:
        InputError: Not of the forms above.
    """
    found = re.fullmatch(r"(?P<by>[^/@]+)(/(?P<groups>\d+)|@(?P<cuts>[\d.,\s]+))?", text.strip())
    try:
        if found is None or (found["groups"] is not None and not 2 <= int(found["groups"]) <= 20):
            raise ValueError
        cuts = tuple(float(cut) for cut in (found["cuts"] or "").split(",") if cut.strip())
        if sorted(set(cuts)) != list(cuts) or (found["cuts"] is not None and not cuts):
            raise ValueError
    except ValueError as error:
        raise InputError(
            f"strata must be like volume/4, diameter@10,30 or a column of cases.csv, found {text!r}. Correct it."
        ) from error
    made = Stratification(found["by"].strip(), int(found["groups"]) if found["groups"] else None, cuts)
    if made.measured and made.groups is None and not cuts:
        raise InputError(f"strata by {made.by} need groups or cuts: {made.by}/2, or {made.by}@10. Found {text!r}.")
    return made


def strata_of(facts: pd.DataFrame, asked: Sequence[Stratification]) -> pd.DataFrame:
    """Which strata every case is in.

    Args:
        facts: One row per `case` and `structure` that the case contains, with a column for whatever is split by.
        asked: How to split; every structure is split on its own.

    Returns:
        Columns `case`, `structure`, `stratum`, as many rows per case and structure as there are ways to split.

    Raises:
        InputError: A column that is not there, or values to cut that are not numbers.
    """
    found = []
    for one in asked:
        if one.by not in facts:
            known = ", ".join(column for column in map(str, facts.columns) if column not in ("case", "structure"))
            raise InputError(f"strata: there is no {one.by!r} to split the test set by. There is {known}.")
        for _, rows in facts.groupby("structure", sort=False):
            found.append(rows[["case", "structure"]].assign(stratum=_labels(rows[one.by], one)))
    columns = ["case", "structure", "stratum"]
    # two ways to split may have a part in common: quartiles and halves of few cases, say
    return pd.concat(found, ignore_index=True).drop_duplicates() if found else pd.DataFrame(columns=columns)


def _labels(values: pd.Series[Any], one: Stratification) -> list[str]:
    if one.groups is None and not one.cuts:
        return [f"{one.by}: {value}" for value in map(str, values.to_list())]
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
    if not np.all(np.isfinite(numbers)):
        wrong = values[~np.isfinite(numbers)].iloc[0]
        hint = " Images without a physical size have none." if one.measured else ""
        raise InputError(f"strata: {one.by} must hold numbers to be cut, found {wrong!r}.{hint}")
    unit = UNITS.get(one.by, "")
    if one.groups is not None:
        split = split_by(numbers, [k / one.groups for k in range(1, one.groups)], unit=unit)
        return [f"{one.by} {label}" for label in split.labels]
    ends = [f"<= {one.cuts[0]:g}", *(f"{a:g} to {b:g}" for a, b in zip(one.cuts, one.cuts[1:], strict=False))]
    ends.append(f"> {one.cuts[-1]:g}")
    return [f"{one.by} {ends[i]} {unit}".strip() for i in np.searchsorted(one.cuts, numbers, side="left")]


def with_strata(scores: pd.DataFrame, strata: pd.DataFrame, test_set: str) -> pd.DataFrame:
    """The scores of a test set once more for every stratum its cases are in.

    Args:
        scores: A valid scores table.
        strata: As `strata_of` returns.
        test_set: Which test set the strata are about.

    Returns:
        Only the added rows, with `stratum` filled in.
    """
    own = scores[(scores["test_set"] == test_set) & (scores["stratum"] == TEXT_DEFAULTS["stratum"])]
    return own.drop(columns="stratum").merge(strata, on=["case", "structure"])[list(scores.columns)]
