"""Scores tables in and out as CSV."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..forecast.errors import InputError
from ..forecast.scores import KEY, validate_scores
from .files import write_text
from .table_text import SEPARATORS, TableText, table_text

MEASURED = ("score", "se_draws", "se_cases")
"""Columns whose numbers may have decimals."""
COLUMNS = (*KEY, *MEASURED)
"""Columns of a scores table."""
NEAR = 0.8
"""How alike the names of columns are (as difflib counts) that are probably the same misspelt."""
DECIMAL_COMMA = re.compile(r"^(\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\s*)$")


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV as text cells; the index is the line number in the file.

    Raises:
        InputError: Missing, no CSV, empty, or a row with more or fewer cells than the header.
    """
    return _cells(table_text(path), path)


def _cells(found: TableText, path: Path) -> pd.DataFrame:
    lines = csv.reader(io.StringIO(found.text), delimiter=found.separator, strict=True)
    header: list[str] | None = None
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_header(header, path)
            elif len(cells) != len(header):
                raise InputError(
                    f"{path}, line {lines.line_num}: must have {len(header)} cells like the header, found "
                    f"{len(cells)}. {_cells_hint(found.separator, len(cells) - len(header))}"
                )
            else:
                rows.append(cells)
                numbers.append(lines.line_num)
    except csv.Error as error:
        raise InputError(f"{path}, line {lines.line_num}: not a valid CSV: {error}.") from error
    if header is None:
        raise InputError(f"{path}: is empty. A CSV with a header line is needed.")
    return pd.DataFrame(rows, columns=header, index=numbers, dtype=object)


def _cells_hint(separator: str, more: int) -> str:
    if separator == "," and more > 0:
        return "Check commas and quotes; where numbers have a decimal comma, separate columns by semicolons."
    return f"Check {SEPARATORS[separator]} and quotes."


def read_columns(path: Path, columns: Sequence[str], advice: str) -> pd.DataFrame:
    """Read a CSV that must have some columns.

    Raises:
        InputError: As `read_csv`, or a column is missing; ends with the advice.
    """
    table = read_csv(path)
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is required, found {', '.join(table.columns)}. {advice}")
    return table


def _check_header(header: list[str], path: Path) -> None:
    again = [name for i, name in enumerate(header) if name in header[:i]]
    if again:
        raise InputError(f"{path}, header: every column must have its own name, found {again[0]!r} twice.")


def read_scores(path: Path) -> pd.DataFrame:
    """Read and check a scores CSV.

    Raises:
        InputError: Names file, line, column, what must hold and what was found.
    """
    return noted_scores(path)[0]


def read_many_scores(paths: Sequence[Path]) -> tuple[pd.DataFrame, list[int]]:
    """Read and check scores CSVs as one table, in far less time than one by one; also gives the rows of each.

    Raises:
        InputError: As `read_scores`.
    """
    tables = [_unchecked(path)[0] for path in paths]
    try:
        _check_complete(tables)
        together = validate_scores(pd.concat(tables, ignore_index=True))
    except InputError:  # one by one: the message must name file and line, and files that clash may be sound themselves
        each = [validate_scores(table, source=str(path)) for table, path in zip(tables, paths, strict=True)]
        together = pd.concat(each, ignore_index=True)
    return together, [len(table) for table in tables]


def _check_complete(tables: Sequence[pd.DataFrame]) -> None:
    """Refuse what other tables would fill up."""
    if any(table.empty or not {"n_cases", "draw", "score"} <= set(table) for table in tables):
        raise InputError("a table has no rows or lacks a column")


def noted_scores(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read and check a scores CSV; also says how it was read, where that is not obvious.

    Raises:
        InputError: As `read_scores`.
    """
    table, notes = _unchecked(path)
    words = [f"{path} was read with {', '.join(notes)}."] if notes else []
    return validate_scores(table, source=str(path)), words


def _unchecked(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The cells of a scores CSV as text, by the names that are known, and what is notable about the file."""
    found = table_text(path)
    table, notes = _by_known_names(_cells(found, path), path), list(found.notes)
    if found.separator != "," and _decimal_commas(table):
        table = table.assign(**{name: _with_points(table[name]) for name in MEASURED if name in table})
        notes.append("decimal commas")
    return table, notes


def _by_known_names(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Columns by the names that are known, whatever their capitals.

    Raises:
        InputError: A column is called almost like one that is not there.
    """
    missing = [name for name in COLUMNS if name not in table]
    alike = {name: name.strip().lower().replace(" ", "_") for name in map(str, table.columns) if name not in COLUMNS}
    table = table.rename(columns={name: known for name, known in alike.items() if known in missing})
    _check_header([str(name) for name in table], path)
    for name, plain in alike.items():
        near = difflib.get_close_matches(plain, missing, n=1, cutoff=NEAR)
        if near and near[0] not in table:
            raise InputError(
                f"{path}, header: there is no column {near[0]!r}, but one called {name!r}. Call it {near[0]!r} if that "
                "is meant, else something less alike."
            )
    return table


def _decimal_commas(table: pd.DataFrame) -> bool:
    """Whether commas are decimal ones: there are some in numbers, and not a single point."""
    cells = pd.concat([table[name] for name in MEASURED if name in table] or [pd.Series(dtype=object)])
    return bool(cells.str.contains(",").any()) and not cells.str.contains(".", regex=False).any()


def _with_points(cells: pd.Series) -> pd.Series:
    return cells.str.replace(DECIMAL_COMMA, r"\1.\2", regex=True)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, atomically; undefined numbers are empty cells."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
