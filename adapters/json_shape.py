"""Whether a document read from JSON has the shape that its readers count on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANY = "*"
"""Stands for every key of a table."""
LARGEST = 2**63
"""What numbers stay below: JSON knows no bounds."""


def misfit(value: Any, shape: Any, place: str = "") -> str | None:
    """What is not as it must be, in words; None where everything is.

    Args:
        value: What was read.
        shape: `str`, `bool`, `int`, `float` (a number), `list` or `dict`; a list of one shape for lists of any
            length; a dict of shapes for tables, whose keys may end in "?" (may be left out) or be `ANY`; a tuple of
            shapes, None among them, where one of several must fit.
        place: Where the value stands in its document.
    """
    if isinstance(shape, tuple):
        found = [misfit(value, one, place) for one in shape]
        return None if None in found else found[0]
    if isinstance(shape, Mapping):
        return _of_table(value, shape, place)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{place or 'it'} must be a list, found {_short(value)}"
        words = (misfit(one, shape[0], f"{place}[{number}]") for number, one in enumerate(value))
        return next((one for one in words if one is not None), None)
    return None if _is(value, shape) else f"{place or 'it'} must be {_name(shape)}, found {_short(value)}"


def _of_table(value: Any, shape: Mapping[str, Any], place: str) -> str | None:
    if not isinstance(value, dict):
        return f"{place or 'it'} must be a table, found {_short(value)}"
    for key, inner in shape.items():
        name = key.removesuffix("?")
        names = list(value) if key == ANY else [name]
        for one in names:
            if one not in value:
                if name == key:
                    return f"{_inside(place, name)} is missing"
                continue
            words = misfit(value[one], inner, _inside(place, one))
            if words is not None:
                return words
    return None


def _inside(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _is(value: Any, kind: Any) -> bool:
    if kind is None:
        return value is None
    if isinstance(value, bool):
        return bool(kind is bool)
    if kind in (int, float):
        return isinstance(value, int if kind is int else int | float) and abs(value) < LARGEST
    return isinstance(value, kind)


def _name(kind: Any) -> str:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return "null" if kind is None else names.get(kind, "a table")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
