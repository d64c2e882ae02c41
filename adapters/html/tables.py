"""Tables of the page: shown in words, downloaded as CSV with every digit."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..terminal.screen import score_words

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column as shown."""

    head: str
    show: Callable[[Row], str]
    number: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of raw values, and the columns they are shown in."""

    name: str
    """Of the file it is downloaded as, without ending."""
    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    note: str = ""

    @property
    def cells(self) -> list[list[str]]:
        """The table as shown."""
        return [[column.show(row) for column in self.columns] for row in self.rows]


def table(name: str, title: str, rows: Iterable[Row], columns: Sequence[Column], note: str = "") -> Table:
    """A table of rows that are read once."""
    return Table(name, title, tuple(rows), tuple(columns), note)


def text(head: str, key: str) -> Column:
    """A column of words."""
    return Column(head, lambda row: str(row[key]), number=False)


def whole(head: str, key: str) -> Column:
    """A column of counts; a dash where there is none."""
    return Column(head, lambda row: "-" if row[key] is None else f"{row[key]:,.0f}")


def score(head: str, key: str) -> Column:
    """A column of scores with three decimals."""
    return Column(head, lambda row: score_words(row[key]))


def chance(head: str, key: str) -> Column:
    """A column of probabilities."""
    return Column(head, lambda row: "-" if row[key] is None else f"{row[key]:.2f}")


def ends(head: str, lo: str, hi: str) -> Column:
    """A column of intervals of scores."""
    return Column(head, lambda row: "-" if row[lo] is None else f"[{score_words(row[lo])}, {score_words(row[hi])}]")


def csv_uri(rows: Iterable[Row]) -> str:
    """Rows as a CSV file inside a link; unknown numbers are empty cells."""
    cells = pd.DataFrame([{key: _harmless(value) for key, value in row.items()} for row in rows])
    content = cells.to_csv(index=False, lineterminator="\n").encode("utf-8-sig")  # the mark tells spreadsheets
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(content).decode()}"


def _harmless(value: Any) -> Any:
    """A name as spreadsheets take it for a name and not for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
