"""Tables, colours and numbers as every terminal report shows them."""

from __future__ import annotations

import io

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..report_tables.columns import Table as ReportTable
from .fitted_table import FittedTable
from .prose import Prose

GOOD, GOING, DOUBT, BAD = "green", "cyan", "magenta", "red"
"""Colours that can be read on white and on black: an end that is reached, a way to go, a warning, a failure."""


class Heading(Rule):
    """A line with a title at its left; the title alone where it fills the line."""

    def __init__(self, title: str) -> None:
        """A heading; the title is taken as it is."""
        super().__init__(Text(title, "bold"), align="left", style="dim")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The line as wide as the screen."""
        if isinstance(self.title, Text) and cell_len(self.title.plain) + len("  ") > options.max_width:
            yield self.title
        else:
            yield from super().__rich_console__(console, options)


def plain_table(title: str, *columns: str, narrow: bool = False, numbers: bool = True) -> FittedTable:
    """A table without lines.

    Args:
        title: Above it.
        columns: Their heads.
        narrow: Whether the first column is never folded.
        numbers: Whether all columns but the first and those without a head are aligned right.
    """
    table = FittedTable(title, narrow)
    for i, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if i and numbers and column else "left")
    return table


def shown(found: ReportTable, *, title: bool = True) -> FittedTable:
    """A table of a report, its note below it.

    Args:
        found: With rows.
        title: Whether its title is above it.
    """
    made = FittedTable(found.title if title else "", narrow=not found.columns[0].number)
    for column in found.columns:
        made.add_column(Text(column.head), justify="right" if column.number else "left")
    for cells in found.cells:
        made.add_row(*cells)
    if found.note:
        made.caption = Text(found.note, "dim")
    return made


def note(text: str) -> Table:
    """A remark under a report."""
    return _hanging(Text("·", "dim"), Prose(text))


def warning(text: str) -> Table:
    """A remark that must not be overlooked."""
    return _hanging(Text("!", f"bold {DOUBT}"), Prose.assemble(("WARNING ", f"bold {DOUBT}"), (text, DOUBT)))


def _hanging(mark: Text, text: Text) -> Table:
    """A mark, and a text whose further lines begin below its first."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=1)
    table.add_column(overflow="fold")
    table.add_row(mark, text)
    return table


def as_text(report: RenderableType, width: int = 100) -> str:
    """A report as plain text."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(report)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def error_line(message: str) -> RenderableType:
    """An error as the user sees it."""
    return f"[bold red]error:[/] {escape(message)}"
