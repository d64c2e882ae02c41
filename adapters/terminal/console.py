"""Where reports are printed: any width, any encoding, with and without colour."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from typing import IO, Any, cast

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.status import Status
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

COLOURS = Theme(
    {
        "bar.back": "dim",
        "bar.complete": "cyan",
        "bar.finished": "green",
        "bar.pulse": "cyan",
        "progress.elapsed": "magenta",
        "progress.remaining": "cyan",
    }
)
"""In place of colours that cannot be read on white or on black."""
PIPED_WIDTH = 80
"""Columns where nobody says how wide the screen is."""
ASCII = {
    "░": ":",
    "─": "-",
    "━": "-",
    "·": ".",
    "●": "o",
    "┊": "|",
    "│": "|",
    "┤": "+",
    "└": "+",
    "╭": "+",
    "╮": "+",
    "╰": "+",
    "╯": "+",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "→": "->",
    "±": "+/-",
    "×": "x",
    "≤": "<=",
    "≥": ">=",
    "²": "2",
    "’": "'",
    "“": '"',
    "”": '"',
    "╸": "-",
    "╺": "-",
}
"""What stands for a character that a terminal cannot show; any other one becomes a question mark."""


def console(stderr: bool = False) -> Console:
    """The console of a command.

    Colour and bold only on a terminal and without NO_COLOR; 80 columns where the output is no terminal and COLUMNS is
    not set; characters that the stream's encoding lacks are replaced by plain ones.
    """
    stream = cast("IO[str]", _Safe(sys.stderr if stderr else sys.stdout))
    colours = None if os.environ.get("NO_COLOR") else "auto"
    screen = PlainConsole(file=stream, color_system=cast(Any, colours), emoji=False, highlight=False, theme=COLOURS)
    if not screen.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        screen.width = PIPED_WIDTH
    return screen


def tolerate() -> None:
    """Let what is printed past a console, such as the help, never fail on a character."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")


class PlainConsole(Console):
    """A console that writes in ASCII what its stream cannot encode, before anything is measured."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; see `rich.console.Console.print`."""
        super().print(*(fitting(one, self.encoding) for one in objects), **options)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """A spinner, of plain characters where others cannot be shown; see `rich.console.Console.status`."""
        if not self.encoding.startswith("utf"):
            options = {"spinner": "line", **options}
        return super().status(status, **options)


def fitting(report: RenderableType, encoding: str) -> RenderableType:
    """A report in characters that an encoding has; the report itself where it has them all."""
    if encoding.lower().startswith("utf"):
        return report
    return _replaced(report, lambda text: encodable(text, encoding))


def encodable(text: str, encoding: str) -> str:
    """A text with every character that an encoding lacks replaced by a plain one."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_character(one, encoding) for one in text)
    return text


def _character(one: str, encoding: str) -> str:
    try:
        one.encode(encoding)
    except UnicodeEncodeError:
        return ASCII.get(one, "?")
    return one


def _replaced(report: RenderableType, change: Callable[[str], str]) -> RenderableType:
    """A copy of a report with its texts changed."""
    if isinstance(report, str):
        return change(report)
    if isinstance(report, Text):
        return _text(report, change)
    if isinstance(report, Group):
        return Group(*(_replaced(one, change) for one in report.renderables))
    if isinstance(report, Table | Panel | Rule):
        made = copy.copy(report)
        for name in ("title", "caption", "renderable", "instead"):
            if getattr(made, name, None):
                setattr(made, name, _replaced(getattr(made, name), change))
        if isinstance(made, Rule):
            made.characters = change(made.characters)
        if isinstance(made, Table):
            made.columns = [_column(column, change) for column in made.columns]
        return made
    return report


def _column(column: Any, change: Callable[[str], str]) -> Any:
    made = copy.copy(column)
    made.header = _replaced(column.header, change)
    made._cells = [_replaced(cell, change) for cell in column.cells]
    return made


def _text(text: Text, change: Callable[[str], str]) -> Text:
    """Piece by piece, as a character may become several and styles must keep their place."""
    if change(text.plain) == text.plain:
        return text
    made = type(text)(
        style=text.style, justify=text.justify, overflow=text.overflow, no_wrap=text.no_wrap, end=text.end
    )
    ends = sorted({0, len(text), *(end for span in text.spans for end in (span.start, span.end))})
    for piece in text.divide(ends[1:-1]):
        changed = Text(change(piece.plain))
        for span in piece.spans:
            changed.stylize(span.style)
        made.append_text(changed)
    return made


class _Safe:
    """A stream that never fails on a character: for what is not printed through a report, such as progress bars."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return int(self._stream.write(encodable(text, self.encoding)))

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
