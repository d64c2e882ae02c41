"""Scores tables in and out as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..forecast.errors import InputError
from ..forecast.scores import validate_scores
from .files import read_text, write_text


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV as text cells; the index is the line number in the file.

    Raises:
        InputError: Missing, not UTF-8, empty, or a row with more or fewer cells than the header.
    """
    lines = csv.reader(io.StringIO(read_text(path)), strict=True)
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
                    f"{len(cells)}. Check commas and quotes."
                )
            else:
                rows.append(cells)
                numbers.append(lines.line_num)
    except csv.Error as error:
        raise InputError(f"{path}, line {lines.line_num}: not a valid CSV: {error}.") from error
    if header is None:
        raise InputError(f"{path}: is empty. A CSV with a header line is needed.")
    return pd.DataFrame(rows, columns=header, index=numbers, dtype=object)


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
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"{path}, header: columns must be separated by commas, found semicolons. Save it with commas.")
    again = [name for i, name in enumerate(header) if name in header[:i]]
    if again:
        raise InputError(f"{path}, header: every column must have its own name, found {again[0]!r} twice.")


def read_scores(path: Path) -> pd.DataFrame:
    """Read and check a scores CSV.

    Raises:
        InputError: Names file, line, column, what must hold and what was found.
    """
    return validate_scores(read_csv(path), source=str(path))


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, atomically; undefined numbers are empty cells."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
