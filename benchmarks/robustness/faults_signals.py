"""Commands that are interrupted, ended or killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dicecast.benchmarks.robustness.faults_disk import once_more
from dicecast.benchmarks.robustness.faults_materials import Bench
from dicecast.benchmarks.robustness.faults_remembered import begin
from dicecast.benchmarks.robustness.faults_trial import (
    Command,
    Ended,
    Files,
    Trial,
    files_of,
    finish,
    forked,
    judge,
    start,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
ALLOWED = {signal.SIGINT: (0, 130), signal.SIGTERM: (0, 143, -15), signal.SIGKILL: (0, -9)}
NAMES = (
    *("recommend", "forecast", "forecast --quick", "report", "import", "init", "compare"),
    *("study: recommend", "study: run", "study: run again"),
)
BEGIN_WITHIN = 120.0
SOONER = 0.8
"""How much sooner a signal comes at the latest, after one that came too late."""


def trials(bench: Bench, most: int) -> Iterator[Trial]:
    """Of every command and signal, `most` moments; a few in new processes, whose start can be struck."""
    rng = random.Random(11)
    for command in bench.some(*NAMES):
        name = command.name
        bench.whole(command)
        bench.fresh(command)
        took = forked(command.words, bench.here, bench.log, partial(begin, name)).seconds
        for number in SIGNALS:
            for _ in range(most):
                found, latest = None, took
                while found is None:
                    found, latest = struck(bench, command, number, rng.uniform(0, latest)), latest * SOONER
                yield found
    for command in bench.some("recommend", "study: run"):
        for number in SIGNALS:
            yield struck_as_started(bench, command, number, rng)


def struck(bench: Bench, command: Command, number: signal.Signals, after: float) -> Trial | None:
    """A fork that gets a signal some seconds after it began; None where it had ended before."""
    folder, ready = bench.fresh(command), bench.folder / "ready"
    ready.unlink(missing_ok=True)
    was = files_of(folder)

    def before() -> None:
        begin(command.name)
        ready.touch()

    began = time.monotonic()
    pid = start(command.words, folder, bench.log, before)
    while not ready.exists() and time.monotonic() < began + BEGIN_WITHIN:
        time.sleep(0.002)
    time.sleep(after)
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        finish(pid, bench.log, began)
        return None
    os.kill(pid, number)
    ended = finish(pid, bench.log, began)
    trial = Trial(number.name, command.name, f"after {after:.2f} s", 0, "")
    return _judged(bench, trial, command, number, ended, was)


def struck_as_started(bench: Bench, command: Command, number: signal.Signals, rng: random.Random) -> Trial:
    """A new process that gets a signal once it has begun to read the command line or later."""
    folder = bench.fresh(command)
    was, errors = files_of(folder), bench.folder / "errors.txt"
    program = Path(sys.executable).with_name("dicecast")
    began = time.monotonic()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored, which children inherit
    with errors.open("wb") as stream:
        process = subprocess.Popen([program, *command.words], cwd=folder, stdout=subprocess.DEVNULL, stderr=stream)
    signal.signal(signal.SIGINT, before)
    after = rng.uniform(3, 12)
    time.sleep(after)
    process.send_signal(number)
    code = process.wait()
    ended = Ended(code, "", time.monotonic() - began, errors.read_text(encoding="utf-8", errors="replace"))
    trial = Trial(number.name, command.name, f"new process, after {after:.2f} s", 0, "")
    return _judged(bench, trial, command, number, ended, was)


def _judged(bench: Bench, trial: Trial, command: Command, number: signal.Signals, ended: Ended, was: Files) -> Trial:
    after = files_of(bench.here)
    silent = () if number is signal.SIGINT else (-9, -15)
    judge(trial, ended, was, after, bench.whole(command), codes=ALLOWED[number], silent=silent)
    return once_more(bench, trial, command, was)
