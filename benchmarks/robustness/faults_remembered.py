"""Statistics and drawings are computed once: what a fault meets is the writing, not the arithmetic.

The command is done once in this process, which keeps every result; its forks find them.
"""

from __future__ import annotations

import functools
import importlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

PURE = {
    "adapters.answer": ("forecast_curve", "compare_curves", "across_test_sets", "drop_largest", "decide"),
    "adapters.commands": ("forecast_curve", "drop_largest", "decide"),
    "adapters.compare_command": ("compare_curves", "across_test_sets"),
    "adapters.conclusion": ("forecast_curve",),
}
_known: dict[Any, Any] = {}
_pictures: dict[tuple[str, int], bytes] = {}
_drawn = {"command": "", "count": 0}


def remember() -> None:
    """Put the memory in place."""
    from dicecast.adapters.figures import canvas

    for module, names in PURE.items():
        place = importlib.import_module(f"dicecast.{module}")
        for name in names:
            if hasattr(place, name):
                setattr(place, name, _remembered(getattr(place, name)))
    draw, lay_out = canvas._save, canvas._fix_layout

    def drawn(figure: Any, ending: str, target: Any) -> None:
        key = (_drawn["command"], _drawn["count"])
        _drawn["count"] += 1
        if key not in _pictures:
            _pictures[key] = _bytes_of(draw, figure, ending)
        if isinstance(target, Path):
            target.write_bytes(_pictures[key])
        else:
            target.write(_pictures[key])

    def laid_out(figure: Any) -> None:
        if (_drawn["command"], _drawn["count"]) not in _pictures:
            lay_out(figure)

    canvas._save, canvas._fix_layout = drawn, laid_out


def _bytes_of(draw: Callable[..., None], figure: Any, ending: str) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    draw(figure, ending, stream)
    return stream.getvalue()


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        key = pickle.dumps((function.__name__, arguments, sorted(options.items())))
        if key not in _known:
            _known[key] = function(*arguments, **options)
        return _known[key]

    return call


def begin(command: str) -> None:
    """From now on pictures are those of this command, from the first."""
    _drawn["command"], _drawn["count"] = command, 0


def learn(command: str, words: tuple[str, ...], folder: Path) -> None:
    """Do a command here, where nothing is in its way."""
    from dicecast.cli import app

    here = Path.cwd()
    begin(command)
    os.chdir(folder)
    try:
        done = CliRunner().invoke(app, list(words))
    finally:
        os.chdir(here)
        begin(command)
    assert done.exit_code == 0, done.output
