"""Every value of the statistics is one: nothing changes it once it is made."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil

import pytest

import dicecast.forecast

NAMES = [one.name for one in pkgutil.iter_modules(dicecast.forecast.__path__)]
MODULES = {name: importlib.import_module(f"dicecast.forecast.{name}") for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_every_dataclass_is_frozen(name: str) -> None:
    module = MODULES[name]
    made = [one for _, one in inspect.getmembers(module, inspect.isclass) if one.__module__ == module.__name__]
    for one in filter(dataclasses.is_dataclass, made):
        assert one.__dataclass_params__.frozen, one.__name__  # type: ignore[attr-defined]
