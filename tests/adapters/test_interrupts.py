"""Ctrl-C and requests to end, wherever they find the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, time, weakref
from dicecast.adapters.interrupts import Stopped, listen

class Thing:
    pass

def gone(reference):
    os.kill(os.getpid(), signal.{name})
    for _ in range(10_000):
        pass

listen()
try:
    {struck}
    time.sleep(20)
    print("not stopped")
except Stopped as stop:
    print("stopped by", stop.number)
"""
WITHIN = "thing = Thing(); kept = weakref.ref(thing, gone); del thing"


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals of Unix")
@pytest.mark.parametrize("struck", ["gone(None)", WITHIN], ids=["anywhere", "in the callback of a weak reference"])
@pytest.mark.parametrize(("name", "number"), [("SIGINT", 2), ("SIGTERM", 15)])
def test_a_stop_is_never_lost(name: str, number: int, struck: str) -> None:
    program = PROGRAM.format(name=name, struck=struck)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (found.stdout, found.stderr) == (f"stopped by {number}\n", "")


def test_other_errors_that_nobody_hears_are_told() -> None:
    program = """
import weakref
from dicecast.adapters.interrupts import listen
class Thing: pass
def gone(reference): raise ValueError("in a callback")
listen()
thing = Thing(); kept = weakref.ref(thing, gone); del thing
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0 and "ValueError: in a callback" in found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams as a shell of Unix does")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_may_be_closed(closed: str, tmp_path: Path) -> None:
    for words, code in (("--version", 0), (f"forecast {tmp_path / 'nowhere.csv'}", 2)):
        command = f"{sys.executable} -m dicecast {words} {closed}"
        found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert found.returncode == code and "Traceback" not in found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no folder in use can be removed there")
def test_a_removed_folder_is_no_place_to_begin(tmp_path: Path) -> None:
    (place := tmp_path / "gone").mkdir()
    command = f"cd {place}; rmdir {place}; {sys.executable} -m dicecast doctor"
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 2 and found.stderr.startswith("error: the current folder must exist")
