"""Tables and numbers as every terminal report shows them."""

from __future__ import annotations

import io
import math
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..forecast.types import Interval, SizeInterval


class PlainTable(Table):
    """A table whose cells are text as it is: names may hold brackets and colons."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; text is taken as it is."""
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def plain_table(title: str, *columns: str, narrow: bool = False, numbers: bool = True) -> Table:
    """A table without lines.

    Args:
        title: Above it.
        columns: Their heads.
        narrow: Whether the first column is never folded.
        numbers: Whether all columns but the first are aligned right.
    """
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
        table.add_column(Text(column), overflow="fold", no_wrap=narrow and i == 0)
        table.columns[i].justify = "right" if i and numbers else "left"
    return table


def score_words(value: float | None) -> str:
    """A score with three decimals, a dash where it is unknown."""
    return "-" if value is None or not math.isfinite(value) else f"{round(value, 3) + 0.0:.3f}"


def interval_words(found: Interval) -> str:
    """A median and its interval, scores."""
    return f"{score_words(found.median)} [{score_words(found.lo)}, {score_words(found.hi)}]"


def size_words(size: SizeInterval) -> tuple[str, str]:
    """Median and interval of a number of cases, open where it was censored."""
    median = f"> {size.horizon:.0f}" if size.median is None else f"{size.median:.0f}"
    return median, f"[{size.lo:.0f}, {'> ' if size.hi_censored else ''}{size.hi:.0f}]"


def as_text(report: RenderableType, width: int = 100) -> str:
    """A report as plain text."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(report)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def error_line(message: str) -> RenderableType:
    """An error as the user sees it."""
    return f"[bold red]error:[/] {escape(message)}"
