"""Breaking valid content: texts, tables, JSON and bytes, one thing or more at a time."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

ODD = (
    *("", " ", "nan", "NaN", "inf", "-inf", "1e308", "1e-320", "1e400", "-1", "-0", "0", "1", "2", "0.5", "1.5", "1,5"),
    *("100", "9" * 25, "9" * 5000, "0x10", "1_000", "\uff11\uff12", "\u00b2", "\u0661", "+3", "1e3", "true", "None"),
    *(
        "\0",
        "\u00e9",
        "\U0001f9e0",
        "a" * 20_000,
        "/",
        "..",
        "../../x",
        "'",
        '"',
        '""',
        ";",
        "\t",
        "\r",
        "\n",
        "\u2028",
    ),
    *("[bold]", "[/]", "\x1b[31m", "{}", "[]", "%s", "{0}", "\\", ",", ",,", "=1+1", "#", "\ufeff", "\u202e", "null"),
)
"""What may stand where something else is expected."""
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, -1, 3, 0.5, 1.5, 1e308, -1e308, float("nan"), float("inf"), 10**30, 10**400),
    *(
        "",
        "x",
        "completed",
        "dice",
        "1",
        "\ud800",
        "\0",
        "/",
        "a" * 20_000,
        "plateau",
        [],
        {},
        [None],
        [[]],
        [0],
        [1, 2],
    ),
    *({"": 0}, {"x": None}, ["x"], [{}], {"median": None}, "2026-01-01"),
)
"""The same in JSON."""
FEW = st.sampled_from((1, 1, 1, 2, 3))
"""How many things are broken at once."""
TOKEN = re.compile(r"[^\s,;:=\[\]{}\"']+")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-7")


@st.composite
def broken_text(draw: st.DrawFn, seeds: Sequence[str], odd: Sequence[str] = ODD) -> str:
    """A text with some of its tokens, lines or characters changed."""
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(FEW)):
        text = _EDITS[draw(st.integers(0, len(_EDITS) - 1))](draw, text, odd)
    return text


def _token(draw: st.DrawFn, text: str, odd: Sequence[str]) -> str:
    """Another token in the place of one."""
    found = list(TOKEN.finditer(text))
    if not found:
        return text + draw(st.sampled_from(odd))
    one = found[draw(st.integers(0, len(found) - 1))]
    other = draw(st.sampled_from(odd) | st.sampled_from([some[0] for some in found]))
    return text[: one.start()] + other + text[one.end() :]


def _line(draw: st.DrawFn, text: str, odd: Sequence[str]) -> str:
    """A line left out, repeated or moved to the end."""
    lines = text.split("\n")
    place = draw(st.integers(0, len(lines) - 1))
    what = draw(st.integers(0, 3))
    if what == 0:
        del lines[place]
    elif what == 1:
        lines.insert(place, lines[place])
    elif what == 2:
        lines.append(lines.pop(place))
    else:
        lines[place] = draw(st.sampled_from(odd))
    return "\n".join(lines)


def _inserted(draw: st.DrawFn, text: str, odd: Sequence[str]) -> str:
    place = draw(st.integers(0, len(text)))
    return text[:place] + draw(st.sampled_from(odd) | st.text(max_size=6)) + text[place:]


def _cut(draw: st.DrawFn, text: str, odd: Sequence[str]) -> str:
    start, length = draw(st.integers(0, len(text))), draw(st.integers(0, 40) | st.just(len(text)))
    return text[:start] + text[start + length :]


def _replaced(draw: st.DrawFn, text: str, odd: Sequence[str]) -> str:
    """One character by another, wherever it stands."""
    return text.replace(
        draw(st.sampled_from(',;\n"=.[{0')), draw(st.sampled_from([*",;\t\r\n \"'=", "", "\r\n", "\0"]))
    )


_EDITS = (_token, _token, _token, _line, _inserted, _cut, _replaced)


@st.composite
def encoded(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> bytes:
    """A text as bytes: mostly UTF-8, sometimes otherwise, packed or cut."""
    text = draw(texts)
    content = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        content = text.encode(draw(st.sampled_from(ENCODINGS)), "replace")
    if draw(st.integers(0, 8)) == 0:
        content = gzip.compress(content, 1, mtime=0)
    if draw(st.integers(0, 11)) == 0:
        content = content[: draw(st.integers(0, len(content)))]
    return content


@st.composite
def broken_json(draw: st.DrawFn, seeds: Sequence[Any], words: Sequence[Any] = VALUES) -> bytes:
    """A document with some of its entries replaced, left out, added or renamed; sometimes broken as a text as well."""
    document = json.loads(json.dumps(draw(st.sampled_from(seeds))))
    for _ in range(draw(FEW)):
        document = _changed(draw, document, words)
    text = json.dumps(document)
    if draw(st.integers(0, 9)) == 0:
        text = draw(broken_text([text]))
    if draw(st.integers(0, 60)) == 0:
        text = text.replace(draw(st.sampled_from([":", ","])), ":" + "[" * 5000, 1)
    return text.encode("utf-8", "surrogatepass")


def _places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, one in entries for place in _places(one, (*path, key)))]


def _changed(draw: st.DrawFn, document: Any, words: Sequence[Any]) -> Any:
    places = _places(document)
    path = places[draw(st.integers(0, len(places) - 1))]
    value = json.loads(json.dumps(draw(st.sampled_from(words))))
    if not path:
        return value if draw(st.integers(0, 9)) == 0 else document
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    last, what = path[-1], draw(st.integers(0, 5))
    if what <= 2:
        inside[last] = value
    elif what == 3:
        del inside[last]
    elif what == 4 and isinstance(inside, dict):
        inside[draw(st.sampled_from(["", "x", str(last) + "s", "seconds", "\ud800", "0", "-1", "(1, 2)"]))] = inside[
            last
        ]
    elif isinstance(inside, list):
        inside.append(inside[last])
    return document


@st.composite
def broken_bytes(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Bytes changed, cut, repeated or put in."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        what = draw(st.integers(0, 4))
        if what <= 1 and content:
            content[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
        elif what == 2:
            content[place : place + draw(st.integers(0, 16))] = draw(st.binary(max_size=8))
        elif what == 3:
            del content[place:]
        else:
            content[place:place] = content[place : place + 64]
    return bytes(content)
