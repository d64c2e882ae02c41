"""What the documentation shows, run as a reader would run it.

The blocks of a page run in order, in one empty folder and one Python namespace. `bash` blocks must exit with 0;
`text` blocks after another are what it prints, compared word by word, numbers within a tolerance; `toml` blocks are
parts of a study.toml, which must be understood. A comment before a block, which no reader sees, says otherwise:

    <!-- snippet: exit=2 -->           this exit code
    <!-- snippet: slow -->             trains or takes long: in the slow tests only, with what follows on the page
    <!-- snippet: not run: REASON -->  cannot run here; counted
    <!-- snippet: from A until B -->   the output from the line with A to that before the next with B (or to its end)
    <!-- snippet: example: REASON -->  output that need not be equal
    <!-- snippet: into FILE -->        toml that is written into a study.toml of the page
    <!-- snippet: file FILE -->        content of a file of the page
    <!-- run: COMMAND -->              what the reader has already, or does by hand

`python -m dicecast.tests.docs.snippets PAGE...` follows pages and writes what is printed now into their `text` blocks.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from dicecast.adapters.settings import parse_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(["README.md", *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))])
DEMO = "docs/tutorials/demo.md"
SHELL, OTHER = ("bash", "python", "toml"), ("text", "csv")
COMMENT = re.compile(r"<!-- (snippet|run): (.*) -->")
FENCE = re.compile(r"```([a-z]*)$")
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?|[-+]?\.\d+")
DRAWN = re.compile(r"[┤│┬┼└┘┌┐├░─━╭╮╰╯┊●·▁-█]")
RELATIVE, ABSOLUTE = 0.1, 0.0101
"""How far a printed number may be from the page's: another processor's chains end elsewhere."""


@dataclass(frozen=True)
class Block:
    """A fenced block, or a command that only the tests see, with what its comment says of it."""

    page: str
    line: int
    language: str
    text: str
    mark: str = ""

    @property
    def skipped(self) -> str:
        """Why it cannot run here; empty where it can."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""


def blocks(page: str) -> list[Block]:
    """Every fenced block of a page, in order."""
    found: list[Block] = []
    mark, opened = "", None
    lines: list[str] = []
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        if opened is not None:
            if line == "```":
                found.append(Block(page, opened[0], opened[1], "\n".join(lines), mark))
                mark, opened, lines = "", None, []
            else:
                lines.append(line)
        elif fence := FENCE.match(line):
            opened = (number, fence[1])
        elif comment := COMMENT.match(line):
            if comment[1] == "run":
                found.append(Block(page, number, "bash", comment[2]))
            else:
                mark = comment[2]
        elif line.strip():
            assert not mark, f"{page}:{number}: a mark with no block after it."
    assert opened is None, f"{page}: a block that is not closed."
    return found


def is_slow(page: str) -> bool:
    """Whether anything on it trains."""
    return any(block.mark == "slow" for block in blocks(page))


@dataclass
class Reader:
    """Somebody who follows a page in an empty folder."""

    folder: Path
    patience: float = 120
    write: bool = False
    """Write what is printed into the page, instead of comparing."""
    said: str = ""

    def __post_init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "page"}
        (self.folder / "studies").symlink_to(ROOT / "studies")

    def follow(self, page: str, *, slow: bool) -> None:
        """Run a page; without `slow` up to the first block that trains."""
        for number, block in enumerate(blocks(page)):
            if block.mark == "slow" and not slow:
                return
            if self.write and compared(block):
                rewrite(page, number, passage(self.said, block.mark, page))
            elif not block.skipped:
                self.do(block)

    def do(self, block: Block) -> None:
        """Run one block, or compare it with what the one before it wrote."""
        where, (first, _, rest) = f"{block.page}:{block.line}", block.mark.partition(" ")
        if first == "file":
            (self.folder / rest).write_text(block.text + "\n", encoding="utf-8")
        elif block.language == "bash":
            self.said = self.call(block.text, int(first[5:]) if first.startswith("exit=") else 0, where)
        elif block.language == "python":
            self.said = self.execute(block.text, where)
        elif block.language == "toml":
            path = self.folder / rest if first == "into" else ROOT / "docs" / "study.toml"
            merge(block.text, path, where, write=first == "into")
        elif compared(block):
            printed = passage(self.said, block.mark, where)
            assert alike(words(block.text), words(printed)), f"{where}: what is printed is\n{printed}"

    def call(self, commands: str, code: int, where: str) -> str:
        """What commands print; both streams, as on a terminal."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        settings = {"PATH": path, "COLUMNS": "80", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        hidden = {"DICECAST_DEBUG", "nnUNet_raw", "nnUNet_results", "nnUNet_preprocessed"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env={key: value for key, value in os.environ.items() if key not in hidden} | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.patience,
            check=False,
        )
        assert done.returncode == code, f"{where}: exit code {done.returncode}, not {code}:\n{done.stdout}"
        return done.stdout

    def execute(self, source: str, where: str) -> str:
        """What Python prints."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.chdir(self.folder):
            exec(compile(source, where, "exec"), self.names)
        return printed.getvalue()


def compared(block: Block) -> bool:
    """Whether it is an output that must be what is printed."""
    return block.language == "text" and not block.mark.startswith("example: ")


def merge(text: str, path: Path, where: str, *, write: bool) -> None:
    """Set what a part of a study.toml sets in a whole one; it must be understood."""
    document: Any = tomlkit.parse(path.read_text(encoding="utf-8"))
    for name, value in tomlkit.parse(text).items():
        if isinstance(value, dict) and name in document:
            document[name].update(value)
        else:
            document[name] = value
    parse_settings(document.unwrap(), where)
    if write:
        path.write_text(tomlkit.dumps(document), encoding="utf-8")


def words(text: str) -> list[str]:
    """Words of an output, without what is drawn: plots and the frames of boxes."""
    lines = (line for line in text.splitlines() if not re.search(r"[┤┬┼░●┊]|└─", line))
    return DRAWN.sub(" ", "\n".join(lines)).split()


def passage(printed: str, mark: str, where: str) -> str:
    """What a mark `from A until B` chooses of an output; without one all of it."""
    lines = [line.rstrip() for line in printed.splitlines()]
    if mark.startswith("from "):
        first, _, last = mark.removeprefix("from ").partition(" until ")
        start = next((at for at, line in enumerate(lines) if first in line), None)
        assert start is not None, f"{where}: {first!r} is not in what is printed:\n{printed}"
        end = next((at for at in range(start + 1, len(lines)) if last and last in lines[at]), len(lines))
        lines = lines[start:end]
    return "\n".join(lines).strip("\n")


def rewrite(page: str, number: int, printed: str) -> None:
    """Put what is printed in the place of a page's block of that number."""
    block = blocks(page)[number]
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    lines[block.line : lines.index("```", block.line)] = printed.splitlines()
    (ROOT / page).write_text("\n".join(lines) + "\n", encoding="utf-8")


def alike(shown: list[str], printed: list[str]) -> bool:
    """Whether words are equal and numbers nearly so."""
    return len(shown) == len(printed) and all(map(near, shown, printed))


def near(one: str, other: str) -> bool:
    """Whether two words differ by nothing but a little in their numbers."""
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(numbers(one), numbers(other), strict=True)
    return all(abs(a - b) <= max(ABSOLUTE, RELATIVE * abs(b)) for a, b in pairs)


def numbers(word: str) -> Iterator[float]:
    """The numbers in a word."""
    return (float(found.replace(",", "")) for found in NUMBER.findall(word))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as place:
            Reader(Path(place), patience=3000, write=True).follow(name, slow=True)
