"""Ctrl-C and requests to end, wherever they find the program."""

from __future__ import annotations

import subprocess
import sys

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
