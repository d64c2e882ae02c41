"""Answers of studies as Markdown: tables of text, and the file that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def write(path: Path, title: str, script: str, text: str) -> None:
    """Print an answer and keep it, with the script that wrote it."""
    print(text)
    path.write_text(f"# {title}\n\nWritten by `{script}`.\n\n{text}\n", encoding="utf-8")
