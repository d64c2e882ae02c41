"""A table that fits any width: numbers and intervals stay whole, words fold, and what is too wide becomes a list."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

GAP = 2
"""Blanks between columns."""
LONG_WORD = 24
"""Characters from which a word without a blank may be broken, as names of files and arms can be."""


class FittedTable(Table):
    """A table without lines whose cells are text as it is: names may hold brackets and colons.

    Where it cannot fit, `instead` is shown, or else every row as a short list.
    """

    def __init__(self, title: str = "", narrow: bool = False, show_header: bool = True) -> None:
        """An empty table.

        Args:
            title: Above it.
            narrow: Whether the first column is never folded.
            show_header: Whether the columns have heads.
        """
        super().__init__(
            title=Text(title, "bold") if title else None,
            show_header=show_header,
            header_style="dim",
            box=None,
            pad_edge=False,
            padding=(0, GAP, 0, 0),
        )
        self.narrow = narrow
        self.instead: RenderableType | None = None

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; text is taken as it is."""
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **options)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The title at full width, the rows as they fit, and the caption."""
        widths = self._widths(options.max_width)
        if widths is None and self.instead is not None:
            yield self.instead
            return
        if self.title:
            yield self.title
        if widths is None:
            yield from self._lists()
        else:
            yield self._at(widths)
        if self.caption:
            yield self.caption

    def _at(self, widths: list[int]) -> Table:
        """The rows at these widths; columns of words begin at their left."""
        made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=self.show_header, header_style="dim")
        made.rows = self.rows
        for column, width in zip(self.columns, widths, strict=True):
            fixed = copy.copy(column)
            fixed.width, fixed.no_wrap, fixed.overflow = width, False, "fold"
            if not any(_is_number(_plain(cell)) for cell in column.cells):
                fixed.justify = "left"
            made.columns.append(fixed)
        return made

    def _widths(self, most: int) -> list[int] | None:
        """Width of every column; None where numbers and words would have to be broken."""
        if not self.columns:
            return []
        heads = [_plain(column.header) if self.show_header else "" for column in self.columns]
        cells = [[_plain(cell) for cell in column.cells] for column in self.columns]
        widest = [max(map(cell_len, column), default=0) for column in cells]
        least = [max(map(_unbroken, [head, *column])) for head, column in zip(heads, cells, strict=True)]
        if self.narrow:
            least[0] = max(least[0], widest[0])
        widths = [max(cell_len(head), wide) for head, wide in zip(heads, widest, strict=True)]
        excess = sum(widths) + GAP * (len(widths) - 1) - most
        # heads fold first, to two or three lines, then words do, the widest column first
        folded = [max(a, b, math.ceil(cell_len(head) / 2)) for a, b, head in zip(least, widest, heads, strict=True)]
        for floors in (folded, least):
            while excess > 0:
                able = [i for i, width in enumerate(widths) if width > floors[i]]
                if not able:
                    break
                widths[max(able, key=widths.__getitem__)] -= 1
                excess -= 1
        return None if excess > 0 else widths

    def _lists(self) -> Iterator[RenderableType]:
        """Every row on lines of its own: its first cell, then the others with the heads of their columns."""
        heads = [_plain(column.header) if self.show_header else "" for column in self.columns]
        for row in zip(*(column.cells for column in self.columns), strict=True):
            for i, (head, cell) in enumerate(zip(heads, map(_text, row), strict=True)):
                if cell.plain:
                    words = Text.assemble((f"{head}: " if i and head else f"{head} " if head else "", "dim"), cell)
                    yield Padding(words, (0, 0, 0, 0 if i == 0 else 2))


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))


def _plain(cell: RenderableType) -> str:
    return _text(cell).plain


def _unbroken(text: str) -> int:
    """The width below which a text would be broken inside a number, an interval or a word."""
    if _is_number(text):
        return cell_len(text)
    return min(max(map(cell_len, text.split()), default=0), LONG_WORD)


def _is_number(text: str) -> bool:
    """Whether a cell holds numbers, intervals and signs only."""
    return not re.search(r"[^\W\d_]", re.sub(r"\d[eE][-+]?\d", "", text))
