"""A table of a report: rows of raw values, and the columns that they are shown in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...forecast.types import Interval, SizeInterval
from ...forecast.words import ends_words, probability_words, score_words, size_words

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
    return Column(head, lambda row: "-" if row[key] is None else f"{row[key]:.0f}")


def score(head: str, key: str) -> Column:
    """A column of scores with three decimals."""
    return Column(head, lambda row: score_words(row[key]))


def chance(head: str, key: str) -> Column:
    """A column of probabilities."""
    return Column(head, lambda row: "-" if row[key] is None else probability_words(row[key]))


def ends(head: str, key: str = "") -> Column:
    """A column of intervals of scores, of the values that `interval` names."""
    lo, hi = f"{key}_lo".lstrip("_"), f"{key}_hi".lstrip("_")
    return Column(head, lambda row: ends_words(row[lo], row[hi]))


def size(head: str, key: str) -> Column:
    """A column of numbers of cases with their intervals, of the values that `size_interval` names."""
    return Column(head, lambda row: _size_words(row, key))


def _size_words(row: Row, key: str) -> str:
    if row[f"{key}_lo"] is None:
        return "-"
    names = ("lo", "hi", "hi_censored", "horizon")
    return size_words(SizeInterval(median=row[key], level=0.0, **{name: row[f"{key}_{name}"] for name in names}))


def interval(found: Interval | None, key: str = "") -> dict[str, float | None]:
    """Values of an interval of scores: its median under `key` (or "median"), its ends beside it."""
    lo, hi = f"{key}_lo".lstrip("_"), f"{key}_hi".lstrip("_")
    if found is None:
        return {key or "median": None, lo: None, hi: None}
    return {key or "median": found.median, lo: found.lo, hi: found.hi}


def size_interval(found: SizeInterval | None, key: str) -> dict[str, Any]:
    """Values of a number of cases; its median is None past the horizon."""
    names = ("lo", "hi", "hi_censored", "horizon")
    if found is None:
        return {key: None, **{f"{key}_{name}": None for name in names}}
    return {key: found.median, **{f"{key}_{name}": getattr(found, name) for name in names}}
