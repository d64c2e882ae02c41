"""Disks that are full, broken, read-only or somebody else's, at every write of every command."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from dicecast.benchmarks.robustness.faults_injected import EVERY, NEEDS_RIGHTS, NEEDS_SPACE, Disk, Fault, install
from dicecast.benchmarks.robustness.faults_materials import Bench
from dicecast.benchmarks.robustness.faults_remembered import begin
from dicecast.benchmarks.robustness.faults_trial import (
    Command,
    Ended,
    Files,
    Trial,
    executed,
    files_of,
    forked,
    judge,
    repeated,
)

KIND = "disk"
CHEAP = ("init", "import", "recommend", "forecast --quick", "compare", "study: recommend", "study: run again")
"""Commands that are tried more often."""


def operations(bench: Bench, command: Command) -> list[str]:
    """Kinds of everything an undisturbed command does to files, in turn."""
    bench.whole(command)
    disk, note = Disk(bench.fresh(command)), bench.folder / "operations.json"

    def before() -> None:
        begin(command.name)
        install(disk)
        leave = os._exit

        def left(code: int) -> None:
            note.write_text(json.dumps([kind for kind, _ in disk.done]), encoding="utf-8")
            leave(code)

        os._exit = left  # type: ignore[assignment]

    forked(command.words, bench.here, bench.log, before)
    return [str(kind) for kind in json.loads(note.read_text(encoding="utf-8"))]


def faults_of(kinds: Sequence[str], most: int) -> Iterator[Fault]:
    """The faults to be tried on a command that does these operations."""
    for error, only, lasting in (
        (errno.ENOSPC, NEEDS_SPACE, True),
        (errno.EIO, EVERY, False),
        (errno.EROFS, EVERY, True),
        (errno.EACCES, NEEDS_RIGHTS, False),
    ):
        count = sum(kind in only for kind in kinds)
        yield from (Fault(error, at, lasting, only=only) for at in spread(range(count), most))
    needing = [kind for kind in kinds if kind in NEEDS_SPACE]
    writes = [at for at, kind in enumerate(needing) if kind == "write"]
    for at in spread(writes, most):
        yield Fault(errno.ENOSPC, at, lasting=True, short=True, only=NEEDS_SPACE)


def spread(items: Sequence[int], most: int) -> list[int]:
    """At most so many of them, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return sorted({items[round(i * (len(items) - 1) / max(1, most - 1))] for i in range(most)})


def injected(bench: Bench, most: int) -> Iterator[Trial]:
    """Every command, at its writes."""
    for command in bench.commands.values():
        kinds = operations(bench, command)
        for fault in faults_of(kinds, most if command.name in CHEAP else max(2, most // 2)):
            yield tried(bench, command, fault, f"{fault.name} at {fault.at}")


def tried(bench: Bench, command: Command, fault: Fault, words: str) -> Trial:
    """One fault."""

    def before() -> None:
        begin(command.name)
        install(Disk(bench.here, fault))

    return disturbed(bench, Trial(KIND, command.name, words, 0, ""), command, before)


def disturbed(bench: Bench, trial: Trial, command: Command, before: Callable[[], None]) -> Trial:
    """A command in a fork that something is done to first."""
    whole, folder = bench.whole(command), bench.fresh(command)
    was = files_of(folder)
    ended = forked(command.words, folder, bench.log, before)
    judge(trial, ended, was, files_of(folder), whole)
    return once_more(bench, trial, command, was)


def once_more(bench: Bench, trial: Trial, command: Command, was: Files) -> Trial:
    """The same without the fault; where nothing at all has changed, that is what the undisturbed command did."""
    if files_of(bench.here) == was:
        return repeated(trial, Ended(0, "", 0.0), bench.whole(command), bench.whole(command))
    words = command.words + command.redo
    again = forked(words, bench.here, bench.log, partial(begin, command.name))
    if command.name == "init" and trial.outcome == "went well" and "must be a new or empty folder" in again.errors:
        again = Ended(0, "", 0.0)  # it was made
    return repeated(trial, again, files_of(bench.here), bench.whole(command))


def real(bench: Bench) -> Iterator[Trial]:
    """A disk that is really full, files that may not grow, rights that are really lacking, a screen that fails."""
    for command in bench.some("import", "compare", "study: run"):
        name = command.name
        bench.whole(command)
        if (trial := full_disk(bench, command)) is not None:
            yield trial
        yield disturbed(bench, Trial(KIND, name, "RLIMIT_FSIZE 2 kB", 0, ""), command, partial(_small_files, name))
    for command in bench.some(*CHEAP, "study: run", "report"):
        name = command.name
        yield disturbed(bench, Trial("rights", name, "as nobody", 0, ""), command, partial(_as_nobody, name))
    for command in bench.some("recommend", "forecast --quick", "study: run again"):
        yield onto_full_screen(bench, command)


def _small_files(name: str) -> None:
    begin(name)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def full_disk(bench: Bench, command: Command) -> Trial | None:
    """The folder on a file system of its own with 16 kB left; None where none may be mounted."""
    size = sum(path.stat().st_size // 4096 + 2 for path in command.template.rglob("*")) * 4096 + 16_384
    bench.fresh(command)
    mounted = bench.folder / "mounted"
    mounted.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mounted], capture_output=True)
    if done.returncode:
        return None
    trial = Trial(KIND, command.name, "a tmpfs with 16 kB left", 0, "")
    try:
        subprocess.run(["cp", "-r", f"{bench.here}/.", mounted], check=True)
        was = files_of(mounted)
        ended = forked(command.words, mounted, bench.log, partial(begin, command.name))
        judge(trial, ended, was, files_of(mounted), bench.whole(command))
        subprocess.run(["mount", "-o", "remount,size=1g", mounted], check=True)
        again = forked(command.words + command.redo, mounted, bench.log, partial(begin, command.name))
        return repeated(trial, again, files_of(mounted), bench.whole(command))
    finally:
        subprocess.run(["umount", mounted], check=True)


def _as_nobody(name: str) -> None:
    """May read everything, as before, and write nothing."""
    import ctypes

    begin(name)
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    reading = 1 << 2  # CAP_DAC_READ_SEARCH
    data = (ctypes.c_uint32 * 6)(reading, reading, 0, 0, 0, 0)
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


def onto_full_screen(bench: Bench, command: Command) -> Trial:
    """The report goes to a disk that is full, as `dicecast ... > file` would meet it."""
    whole, folder = bench.whole(command), bench.fresh(command)
    trial, was = Trial("screen", command.name, "/dev/full", 0, ""), files_of(folder)
    with Path("/dev/full").open("w") as full, contextlib.suppress(OSError):
        ended = executed(command.words, folder, stdout=full)
    judge(trial, ended, was, files_of(folder), whole)
    return once_more(bench, trial, command, was)
