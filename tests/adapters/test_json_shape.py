"""Documents that are not what their readers count on, in words."""

from __future__ import annotations

from typing import Any

import pytest

from dicecast.adapters.json_shape import ANY, misfit


@pytest.mark.parametrize(
    ("value", "shape", "words"),
    [
        ({"n": 3, "x": None}, {"n": int}, None),
        ({"n": True}, {"n": int}, "n must be a whole number, found True"),
        ({"n": 1.5}, {"n": int}, "n must be a whole number, found 1.5"),
        ({}, {"n": int}, "n is missing"),
        ({}, {"n?": int}, None),
        ({"n": "x"}, {"n?": int}, "n must be a whole number, found 'x'"),
        ({"a": 1, "b": float("nan")}, {ANY: float}, "b must be a number, found nan"),
        ({"a": 10**400}, {"a": float}, "a must be a number, found 1000"),
        ([{"a": [1, "x"]}], [{"a": [int]}], "[0].a[1] must be a whole number, found 'x'"),
        ({"a": None}, {"a": (float, None)}, None),
        ({"a": []}, {"a": ({"b": int}, None)}, "a must be a table, found []"),
        ([], {"a": int}, "it must be a table, found []"),
        ({"a": "x" * 100}, {"a": bool}, "x..."),
    ],
)
def test_a_misfit_is_said_with_its_place(value: Any, shape: Any, words: str | None) -> None:
    found = misfit(value, shape)
    assert found is None if words is None else found is not None and words in found
