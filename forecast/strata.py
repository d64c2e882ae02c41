"""Strata: parts of the test set, by a property of the reference or by a column of the cases table.

volume/4          quartiles of the reference volume; /2 splits at the median
diameter@10,30    cut at 10 and at 30 mm
site              one stratum per value of a column
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .agreement import split_by
from .errors import InputError
from .scores import TEXT_DEFAULTS
from .stratification import UNITS, Stratification


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
