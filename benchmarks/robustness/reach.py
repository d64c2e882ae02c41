"""A pytest plugin: which test and which fixture reaches which lines, and what each costs in seconds of processor.

The lines go into the contexts of the coverage that is being measured; the seconds into the file that
`DICECAST_REACH` names. A test that takes longer than `MOST` seconds is cut short: too slow to try mutants on.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import coverage
import pytest

PLACE = "DICECAST_REACH"
MOST = 5.0
_found: dict[str, dict[str, Any]] = {"tests": {}, "fixtures": {}}
_open: list[str] = []


def _switch(context: str) -> None:
    if measured := coverage.Coverage.current():
        measured.switch_context(context)


def _in_fixtures() -> float:
    return float(sum(_found["fixtures"].values()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """A test's lines and seconds are its own, those of its fixtures left out."""
    one = {"seconds": 0.0, "fixtures": list(getattr(item, "fixturenames", []))}
    _found["tests"][item.nodeid] = one
    _switch(item.nodeid)
    began, before = time.process_time(), _in_fixtures()
    result = yield
    one["seconds"] = time.process_time() - began - (_in_fixtures() - before)
    _switch("")
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """The test alone, without its fixtures."""

    def cut(*_: object) -> None:
        _found["tests"][item.nodeid]["cut"] = True
        pytest.skip(f"longer than {MOST:g} seconds")

    signal.signal(signal.SIGPROF, cut)
    signal.setitimer(signal.ITIMER_PROF, MOST)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> Generator[None, Any, Any]:
    """A fixture may serve many tests: its lines go under its own name."""
    test = request._pyfuncitem.nodeid
    key = f"{test.split('::')[0]}::{fixturedef.argname}"
    _open.append(key)
    _switch(key)
    began, before = time.process_time(), _in_fixtures()
    try:
        return (yield)
    finally:
        spent = time.process_time() - began - (_in_fixtures() - before)
        _found["fixtures"][key] = _found["fixtures"].get(key, 0.0) + spent
        _open.pop()
        _switch(_open[-1] if _open else test)


def pytest_sessionfinish() -> None:
    """All seconds at once, in the end."""
    if PLACE in os.environ:
        Path(os.environ[PLACE]).write_text(json.dumps(_found), encoding="utf-8")
