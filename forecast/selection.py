"""Which cases to annotate next: at random, or so that the annotated cases mirror all there are.

Random is a strong baseline for nnU-Net; strata guard against a batch that happens to come from one site or scanner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .errors import InputError

QUARTERS = 4
"""Parts that a column of numbers is cut into."""
FEW_VALUES = 8
"""Distinct numbers up to which each is a stratum of its own."""


def choose_cases(
    waiting: pd.DataFrame, annotated: pd.DataFrame, batch: int, by: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """Cases to annotate next.

    Args:
        waiting: Cases not annotated yet: column `case` and the columns of `by`.
        annotated: Cases annotated already, with the same columns.
        batch: How many; at most all that wait.
        by: Columns whose joint mix over all cases the annotated ones should have; empty chooses at random.
        rng: Source of randomness.

    Raises:
        InputError: A column of `by` is missing.
    """
    if not by:
        names = list(waiting["case"])
        return sorted(names[i] for i in rng.permutation(len(names))[:batch])
    every = pd.concat([waiting, annotated], ignore_index=True)
    strata = _strata(every, by)
    open_: dict[str, list[str]] = {name: [] for name in sorted(strata.unique())}
    for i in rng.permutation(len(waiting)):
        open_[strata.iloc[i]].append(waiting["case"].iloc[i])
    have = strata.iloc[len(waiting) :].value_counts().to_dict()
    share = strata.value_counts(normalize=True).to_dict()
    chosen: list[str] = []
    total = len(annotated)
    while len(chosen) < min(batch, len(waiting)):
        total += 1
        short = max((name for name in open_ if open_[name]), key=lambda name: share[name] * total - have.get(name, 0))
        chosen.append(open_[short].pop())
        have[short] = have.get(short, 0) + 1
    return sorted(chosen)


def _strata(table: pd.DataFrame, by: Sequence[str]) -> pd.Series[str]:
    """The joint stratum of every case; numbers are cut into quarters, empty entries are a stratum."""
    parts = []
    for column in by:
        if column not in table:
            raise InputError(
                f"cases.csv: column {column!r} is needed to choose cases by it, found {', '.join(table.columns)}."
            )
        text = table[column].astype(str)
        numbers = pd.to_numeric(text.where(text != ""), errors="coerce")
        if numbers.notna().sum() == (text != "").sum() and numbers.nunique() > FEW_VALUES:
            text = pd.qcut(numbers, QUARTERS, labels=False, duplicates="drop").astype("string").fillna("")
        parts.append(text.astype(str))
    return pd.Series([" / ".join(row) for row in zip(*parts, strict=True)], index=table.index, dtype=str)
