"""The command-line reference, made from what `--help` says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from typer.testing import CliRunner

from dicecast.cli import app

MARK = "<!-- every command, from the program itself -->"
WIDE = {"COLUMNS": "600", "TERMINAL_WIDTH": "600", "NO_COLOR": "1"}
"""So wide that every option has one line."""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the reference where a page asks for it."""
    return markdown.replace(MARK, "\n".join(reference())) if MARK in markdown else markdown


def reference() -> Iterator[str]:
    """A section for every command: what it does, its arguments, its options."""
    for name in (cells[0] for box, cells in boxes(said()) if box == "Commands"):
        text = said(name)
        usage, _, about = text.partition("Usage: ")[2].partition("\n")
        yield f"\n## {name}\n\n`{usage.strip()}`\n"
        yield re.sub(r"[ \t]+", " ", about.partition("╭")[0]).replace("\n ", "\n").strip() + "\n"
        yield "| option | value | |\n|---|---|---|"
        for _, cells in boxes(text):
            yield row([cell for cell in cells if cell != "*"])


def said(*command: str) -> str:
    """What `dicecast COMMAND --help` writes."""
    done = CliRunner().invoke(app, [*command, "--help"], env=WIDE)
    assert done.exit_code == 0, done.output
    return done.output


def boxes(text: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of every box: its title, and its cells."""
    title = ""
    for line in text.splitlines():
        if line.startswith("╭"):
            title = line.strip("╭─╮ ")
        elif line.startswith("│"):
            yield title, re.split(r" {2,}", line.strip("│ "))


def row(cells: list[str]) -> str:
    """A line of the table: names, kind of value, what it does."""
    at = next(place for place, cell in enumerate(cells) if re.fullmatch(r"<.+>( \[.*\])?|FILE|DIR", cell))
    names = ", ".join(f"`{name}`" for name in cells[:at])
    value = "" if cells[at] == "<bool>" else f"`{cells[at].lstrip('<').replace('>', '', 1)}`"
    told = " ".join(cells[at + 1 :]).replace("|", "\\|").replace("[required]", "").strip()
    told = re.sub(r"\[default: *([^]]*)\]", r"*Default: \1.*", told)
    return f"| {names} | {value} | {told} |"
