"""Results in one line: fields without their arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

LONG = 8
"""Entries from which a tuple is shortened."""


def short_fields(one: Any) -> Iterator[tuple[str, Any]]:
    """Fields of a dataclass for `rich`: arrays by their shape and range, long tuples by their ends."""
    for field in fields(one):
        value = getattr(one, field.name)
        if isinstance(value, np.ndarray):
            value = _Short(_array_words(value))
        elif isinstance(value, tuple) and len(value) > LONG:
            value = _Short(f"<{len(value)}: {value[0]!r} to {value[-1]!r}>")
        yield field.name, value


def short_repr(one: Any) -> str:
    """A dataclass in one line, arrays and long tuples as in `short_fields`."""
    return f"{type(one).__name__}({', '.join(f'{name}={value!r}' for name, value in short_fields(one))})"


class _Short:
    """Words that stand for a value."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __repr__(self) -> str:
        return self.words


def _array_words(values: Any) -> str:
    shape = " x ".join(map(str, values.shape))
    known = values[np.isfinite(values)]
    if values.dtype == bool or not known.size:
        return f"<array {shape}>"
    return f"<array {shape}, {known.min():.4g} to {known.max():.4g}>"
