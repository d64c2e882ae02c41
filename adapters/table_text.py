"""The text of a table and what separates its columns, however a spreadsheet program wrote it."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..forecast.errors import InputError
from .files import read_bytes

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
"""What may stand between columns; of several in a header the first counts."""
SAVE_AS = "Save the sheet as CSV (Excel: Save As, CSV UTF-8) and give that file."
BINARY = {
    b"\xd0\xcf\x11\xe0": ("an Excel workbook (.xls)", SAVE_AS),
    b"%PDF": ("a PDF", "Give the table it was made from."),
    b"PAR1": ("a Parquet file", "Write it as CSV and give that file."),
    b"\x89PNG": ("a picture", "Check the path."),
}
"""What a file is and what to do, by its first bytes."""
LARGEST = 2 * 10**9
"""Bytes of text that a packed file may hold."""
UTF16 = (b"\xff\xfe", b"\xfe\xff")
SEP_LINE = re.compile(r'"?sep=([,;\t])"?')
"""The line with which Excel tells itself the separator."""


@dataclass(frozen=True)
class TableText:
    """A table that is not taken apart yet."""

    text: str
    separator: str
    notes: tuple[str, ...] = ()
    """How it was read, where that is not as CSV files are written."""


def table_text(path: Path) -> TableText:
    """Read the text of a CSV, packed by gzip or not; semicolons and tabs may take the place of commas.

    Raises:
        InputError: Missing, unreadable, no text, or text in an unknown encoding; says what was found.
    """
    content = _unpacked(read_bytes(path), path)
    _refuse_other_kinds(content, path)
    utf16 = _is_utf16(content)
    text = _decoded(content, "utf-16" if utf16 else "utf-8-sig", path)
    separator, text = _separator(text)
    notes = [f"columns separated by {SEPARATORS[separator]}"] if separator != "," else []
    notes += ["text in UTF-16"] if utf16 else []
    return TableText(text, separator, tuple(notes))


def _is_utf16(content: bytes) -> bool:
    """Whether it begins with the mark of UTF-16; that of UTF-32 goes on with zeros."""
    return content.startswith(UTF16) and content[2:4] != b"\0\0"


def _unpacked(content: bytes, path: Path) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            text = stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked by gzip: {error}. Copy or pack it once more.") from error
    if len(text) > LARGEST:
        raise InputError(f"{path}: must unpack to at most {LARGEST / 1e9:g} GB of text, found more. Give it unpacked.")
    return text


def _refuse_other_kinds(content: bytes, path: Path) -> None:
    """Say what a file is that is no CSV."""
    found = next((words for start, words in BINARY.items() if content.startswith(start)), None)
    if content.startswith(b"PK\x03\x04"):
        found = _zipped(content)
    elif path.name == "study.toml":
        found = ("the settings of a study", f"Give its folder: {path.parent}.")
    elif content.lstrip()[:1] == b"<":
        found = ("a page or another file of markup", "Give the table it was made from.")
    elif content.lstrip()[:1] == b"{":
        found = ("JSON", "Give the scores it was made from.")
    elif found is None and b"\0" in content and not _is_utf16(content):
        found = ("a binary file", "Check the path.")
    if found is not None:
        raise InputError(f"{path}: must be a CSV, found {found[0]}. {found[1]}")


def _zipped(content: bytes) -> tuple[str, str]:
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile:
        names = []
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook", SAVE_AS
    if "content.xml" in names:
        return "an OpenDocument sheet", "Save it as CSV and give that file."
    return "a zip archive", "Unpack it and give the CSV in it."


def _decoded(content: bytes, encoding: str, path: Path) -> str:
    """The text, with lines that end as they do in Python."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: must be UTF-8 text, found byte {error.object[error.start]:#04x}. Save it as UTF-8 "
            "(Excel: Save As, CSV UTF-8)."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _separator(text: str) -> tuple[str, str]:
    """What separates the columns by the header, and the text without a line that only says so; lines keep their place.

    A comma counts before all others, as it does in a CSV.
    """
    first = next((line for line in text.split("\n") if line.strip()), "")
    told = SEP_LINE.fullmatch(first.rstrip("\n"))
    if told:
        return told[1], text.replace(first, "", 1)
    bare = re.sub(r'"[^"]*"', "", first)
    return next((one for one in SEPARATORS if one in bare), ","), text
