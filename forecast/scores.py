"""The scores table: one row per score, whatever produced it.

A row is one number for (arm, structure, metric, test set, stratum, protocol, n_cases, draw, test case).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .errors import InputError

TEST = "test"
"""Name of the test set that decides."""
TEXT_DEFAULTS = {
    "arm": "default",
    "structure": "all",
    "metric": "dice",
    "test_set": TEST,
    "case": "",
    "stratum": "all",
    "protocol": "",
}
"""Optional text columns of the table and the value a missing column or empty cell gets."""

CROSS_VALIDATION = "cross-validation"
"""Test set of scores that fold models reached on annotated cases they were not trained on: every size is scored on its
own cases, so nothing is paired."""

KEY = ["arm", "structure", "metric", "test_set", "stratum", "protocol", "n_cases", "draw", "case"]
"""The columns that together identify one score."""

MOST_CASES = 10**9
"""Largest number of cases there can be; products of two of them still fit into an integer."""

MOST_SCORE = 1e12
"""Largest score of a metric without bounds (mm, mL); squares of sums of such still fit."""
PERCENT = 1.001
"""Score above which a percentage is more likely than a rounding error."""

DICE_LIKE = frozenset(
    {"dice", "f1", "jaccard", "iou", "nsd", "nsd_area", "surface_dice", "tpr", "recall", "sensitivity"}
    | {"precision", "specificity", "accuracy", "accuracy_foreground", "lesion_sensitivity"}
)
"""Metrics that lie in [0, 1] and grow towards a ceiling: the ones a curve is forecast for."""


def validate_scores(table: pd.DataFrame, source: str = "scores table") -> pd.DataFrame:
    """Check a table of scores and fill in the optional columns.

    Args:
        table: Columns `n_cases` and `score` are required; the optional ones are those of `KEY`,
            `se_draws` and `se_cases`. Cells may still be text, as read from a CSV. Unknown columns are kept.
            Messages name a row by its index, which is the line number for a table read from a file.
        source: Name used in messages, usually the file.

    Returns:
        A copy with every column of the contract, typed, in the order of the input. An undefined
        score (an empty cell) is NaN.

    Raises:
        InputError: Names source, line, column, what must hold and what was found.
    """
    place = _Place(source, table.index)
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise InputError(f"{source}, header: every column must have its own name, found {repeated[0]!r} twice.")
    for column in ("n_cases", "score"):
        if column not in table.columns:
            found = ", ".join(map(str, table.columns)) or "nothing"
            raise InputError(
                f"{source}: column {column!r} is required, found {found}. Add it: n_cases is the number of "
                "annotated cases used, score the Dice reached with them."
            )
    if table.empty:
        raise InputError(f"{source}: at least one row of scores is required, found only a header.")
    out = table.reset_index(drop=True).copy()
    out["n_cases"] = _whole_numbers(out["n_cases"], "n_cases", 1, place)
    out["draw"] = _whole_numbers(out["draw"], "draw", 0, place) if "draw" in out else 0
    for column, default in TEXT_DEFAULTS.items():
        out[column] = _texts(out[column], default) if column in out else default
    out["score"] = _numbers(out["score"], "score", place)
    for column in ("se_draws", "se_cases"):
        out[column] = _standard_errors(out[column], column, place) if column in out else np.nan
    _check_range(out, place)
    _check_unique(out, place)
    return out


class _Place:
    """Turns a row position into words."""

    def __init__(self, source: str, lines: pd.Index) -> None:
        self.source, self.lines = source, lines

    def at(self, row: int, column: str) -> str:
        return f"{self.source}, line {self.lines[row]}, column {column!r}"


def _blank(column: pd.Series) -> pd.Series:
    return column.isna() | (column.astype(str).str.strip() == "")


def _texts(column: pd.Series, default: str) -> pd.Series:
    return column.where(~_blank(column), default).astype(str).str.strip()


def _numbers(column: pd.Series, name: str, place: _Place) -> pd.Series:
    """Floats; blank cells become NaN, anything else that is not a finite number is refused."""
    blank = _blank(column)
    numbers = pd.to_numeric(column.where(~blank), errors="coerce").astype(float)
    bad = ~blank & ~np.isfinite(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{place.at(row, name)}: must be a number, found {column.iloc[row]!r}. "
            "Write a decimal point, not a comma; leave the cell empty for an undefined score."
        )
    return numbers


def _standard_errors(column: pd.Series, name: str, place: _Place) -> pd.Series:
    numbers = _numbers(column, name, place)
    if (numbers < 0).any():
        row = int(np.flatnonzero(numbers < 0)[0])
        raise InputError(f"{place.at(row, name)}: a standard error must be >= 0, found {column.iloc[row]}.")
    return numbers


def _whole_numbers(column: pd.Series, name: str, least: int, place: _Place) -> pd.Series:
    numbers = _numbers(column, name, place)
    if name == "draw":
        numbers = numbers.fillna(0)
    bad = ~((numbers >= least) & (numbers == np.floor(numbers)) & (numbers <= MOST_CASES))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        most = f" and at most {MOST_CASES}" if numbers.iloc[row] > MOST_CASES else ""
        raise InputError(
            f"{place.at(row, name)}: must be a whole number >= {least}{most}, found {column.iloc[row]!r}. Correct the "
            "cell."
        )
    return numbers.astype(np.int64)


def _check_range(table: pd.DataFrame, place: _Place) -> None:
    dice_like = table["metric"].str.lower().isin(DICE_LIKE)
    bad = dice_like & ~table["score"].isna() & ~table["score"].between(0, 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        score = table["score"].iloc[row]
        hint = "Scores look like percent: divide them by 100." if PERCENT < score <= 100 else "Correct the cell."
        raise InputError(
            f"{place.at(row, 'score')}: {table['metric'].iloc[row]} must lie in [0, 1], found {score:.12g}. {hint}"
        )
    bad = table["score"].abs() > MOST_SCORE
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{place.at(row, 'score')}: {table['metric'].iloc[row]} must lie within {MOST_SCORE:g} of 0, found "
            f"{table['score'].iloc[row]:g}. Correct the cell."
        )
    for name in ("se_draws", "se_cases"):
        bad = dice_like & (table[name] > 1)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"{place.at(row, name)}: a standard error of {table['metric'].iloc[row]} must lie in [0, 1], found "
                f"{table[name].iloc[row]:g}. Correct the cell."
            )


def _check_unique(table: pd.DataFrame, place: _Place) -> None:
    again = table.duplicated(KEY)
    if again.any():
        row = int(np.flatnonzero(again)[0])
        key = table[KEY].iloc[row]
        first = int(np.flatnonzero((table[KEY] == key).all(axis=1))[0])
        named = ", ".join(f"{name}={value}" for name, value in key.items() if value != "")
        raise InputError(
            f"{place.at(row, 'n_cases')}: every score must appear once, but {named} is already on line "
            f"{place.lines[first]}. Remove one, or tell them apart by draw or case."
        )
