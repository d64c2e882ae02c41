"""The command-line reference, made from what `--help` says."""

from __future__ import annotations

from collections.abc import Iterator

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from typer.core import TyperGroup

from dicecast.adapters.terminal.help import Entry, entries, paragraphs
from dicecast.cli import app

MARK = "<!-- every command, from the program itself -->"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the reference where a page asks for it."""
    return markdown.replace(MARK, "\n".join(reference())) if MARK in markdown else markdown


def reference() -> Iterator[str]:
    """A section for every command: what it does, an example, its arguments and options."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    with group.make_context("dicecast", [], resilient_parsing=True) as root:
        for name in group.list_commands(root):
            command = group.get_command(root, name)
            assert command is not None
            if command.hidden:
                continue
            with command.make_context(name, [], parent=root, resilient_parsing=True) as context:
                yield f"\n## {name}\n\n`{command.get_usage(context).removeprefix('Usage: ')}`\n"
                yield "\n\n".join(paragraphs(command)) + "\n"
                yield "".join(f"    {line}\n" for line in (command.epilog or "").splitlines())
                for title, rows in entries(command, context).items():
                    yield f"| {title} | |\n|---|---|"
                    yield "\n".join(map(row, rows)) + "\n"


def row(entry: Entry) -> str:
    """A line of a table: how it is written, what it does."""
    names = f"{entry.names} {entry.value}".strip()
    told, _, default = entry.words.partition("[default: ")
    told = told.replace("[required]", "*Required.*").strip().replace("|", "\\|")
    return f"| `{names}` | {told}{f' *Default: {default[:-1]}.*' if default else ''} |"
