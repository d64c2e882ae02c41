"""What `--help` says of a command: how it is called, what it does, its options in groups, and an example."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup

from .console import console
from .screen import GOING

DEFAULT = re.compile(r"\[(default: .*|required)\]$")
GUESS, COSTS, WHICH, HOW = "A guess", "Costs and goals", "Which curves", "How it is forecast"
TRAINING, FOLDS, CLUSTER = "How a pilot is trained", "Fold models", "Where trainings run"
OUTPUT = "Output"
ORDER = ("Arguments", "Options", GUESS, COSTS, WHICH, TRAINING, FOLDS, CLUSTER, HOW, OUTPUT, "Commands")
"""Groups of options, in the order they are shown."""


@dataclass(frozen=True)
class Entry:
    """An argument, an option or a command."""

    names: str
    value: str
    """What stands after the name of an option; empty where nothing does."""
    words: str


class Command(TyperCommand):
    """A command whose help is as wide as the screen, with no types of Python in it."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the command in the line that says how it is called."""
        return ["[OPTIONS]", *(_in_usage(one) for one in self.params if isinstance(one, TyperArgument))]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(_rendered(self, ctx))


class CommandGroup(TyperGroup):
    """The program itself."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(_rendered(self, ctx))


def entries(command: Any, ctx: Any) -> dict[str, list[Entry]]:
    """Arguments, options and commands, by the title of their group."""
    found: dict[str, list[Entry]] = {title: [] for title in ORDER}
    for param in command.get_params(ctx):
        if not getattr(param, "hidden", False):
            argument = isinstance(param, TyperArgument)
            usual = "Arguments" if argument else "Options"
            title = getattr(param, "rich_help_panel", None) or usual
            found[title].append(_argument(param) if argument else _option(param))
    found["Commands"] = list(_commands(command, ctx)) if isinstance(command, TyperGroup) else []
    return {title: rows for title, rows in found.items() if rows}


def _argument(param: Any) -> Entry:
    return Entry(param.metavar or param.name.upper(), "", _words(param))


def _in_usage(param: Any) -> str:
    name = _argument(param).names + ("..." if param.nargs != 1 else "")
    return name if param.required else f"[{name}]"


def _option(param: Any) -> Entry:
    names = sorted(param.opts, key=len)
    if param.secondary_opts:
        names = [f"--[no-]{param.opts[0].removeprefix('--')}"]
    return Entry(", ".join(names), "" if param.is_flag else param.metavar or "", _words(param))


def _words(param: Any) -> str:
    """What a parameter does, and what holds without it."""
    words, given = Text.from_markup(param.help or "").plain, param.default
    if isinstance(param, TyperArgument):
        return words
    if param.required:
        return f"{words} [required]"
    if not param.show_default or given is None or given is False:
        return words
    name = param.opts[0].removeprefix("--") if given is True else given
    return f"{words} [default: {name}]"


def _commands(group: Any, ctx: Any) -> Iterator[Entry]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is not None and not command.hidden:
            yield Entry(name, "", paragraphs(command)[0])


def paragraphs(command: Any) -> list[str]:
    """What a command does."""
    return [" ".join(part.split()) for part in inspect.cleandoc(command.help or "").split("\n\n")]


def _rendered(command: Any, ctx: Any) -> str:
    screen = console()
    with screen.capture() as captured:
        screen.print(Group(*_parts(command, ctx)))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _parts(command: Any, ctx: Any) -> Iterator[RenderableType]:
    yield Text(command.get_usage(ctx), "bold")
    for paragraph in paragraphs(command):
        yield Text(f"\n{paragraph}")
    for title, rows in entries(command, ctx).items():
        yield Text(f"\n{title}", "bold")
        yield Padding(_table(rows), (0, 0, 0, 2))
    if command.epilog:
        yield Text("\nExample", "bold")
        yield Padding(Text(command.epilog), (0, 0, 0, 2))


def _table(rows: list[Entry]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for row in rows:
        words = Text(row.words)
        words.highlight_regex(DEFAULT, "dim")
        table.add_row(Text.assemble((row.names, GOING), " ", row.value), words)
    return table
