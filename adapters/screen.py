"""Tables and numbers as every terminal report shows them."""

from __future__ import annotations

import math
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text


class PlainTable(Table):
    """A table whose cells are text as it is: names may hold brackets and colons."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; text is taken as it is."""
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def plain_table(title: str, *columns: str, narrow: bool = False) -> Table:
    """A table without lines; the first column is aligned left (and, if `narrow`, never folded), the others right."""
    table = PlainTable(
        title=Text(title),
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for i, column in enumerate(columns):
        first = i == 0
        table.add_column(Text(column), justify="left" if first else "right", overflow="fold", no_wrap=first and narrow)
    return table


def score_words(value: float | None) -> str:
    """A score with three decimals, a dash where it is unknown."""
    return "-" if value is None or not math.isfinite(value) else f"{round(value, 3) + 0.0:.3f}"
