"""A reader of dicecast, and what reading one input with it came to."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from hypothesis import strategies as st

from dicecast.forecast.errors import InputError

READ, REFUSED = "read", "refused"
"""What may come of an input."""
KINDS = (READ, REFUSED, "traceback", "warning", "flood", "hang", "memory", "crash")
"""All that can come of an input; what comes after the first two must not happen."""
SECONDS, LAST_SECONDS = 5.0, 12.0
"""Seconds of processor after which a reading is stopped; and how many times as long, on the clock, the process lives,
where the interpreter does not get to stop it or the reading waits for something."""
BLOWN = 1_000_000
"""KiB by which the memory in use may grow while one input is read."""
LONGEST = 4000
"""Characters of a message that somebody can still read."""
QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Warnings that users do not see."""


@dataclass(frozen=True)
class Reader:
    """Something of dicecast's that reads what others wrote."""

    name: str
    seeds: tuple[bytes, ...]
    """Valid inputs, from which others are made."""
    read: Callable[[bytes], object]
    """Reads an input the way a command does, up to the use of its content."""
    broken: st.SearchStrategy[bytes]
    """Inputs made from the seeds by breaking one thing or more."""
    seconds: float = SECONDS


@dataclass(frozen=True)
class Outcome:
    """What reading one input came to."""

    kind: str
    words: str = ""
    """Message or traceback."""
    where: str = ""
    """Place in dicecast and what was raised there: outcomes of one place are alike."""

    @property
    def good(self) -> bool:
        """Whether that may happen."""
        return self.kind in (READ, REFUSED)


@dataclass
class Tally:
    """Outcomes by kind, and an example or two of every bad one."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    examples: dict[str, list[tuple[bytes, Outcome]]] = field(default_factory=dict)

    def add(self, data: bytes, outcome: Outcome) -> None:
        """Count an outcome; the smallest inputs are kept."""
        self.counts[outcome.kind] += 1
        if outcome.good:
            return
        kept = self.examples.setdefault(f"{outcome.kind} {outcome.where}", [])
        kept.append((data, outcome))
        kept.sort(key=lambda one: len(one[0]))
        del kept[2:]


class TooSlowError(BaseException):
    """A reading takes too long; no handler of ordinary errors may take it for one."""


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlowError


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGPROF, _too_slow)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(LAST_SECONDS * seconds, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, before)


def attempt(reader: Reader, data: bytes, noise: Callable[[], str] = str) -> Outcome:
    """Read one input.

    Args:
        reader: What reads it.
        data: The input.
        noise: What was written past Python's warnings since it was last asked.
    """
    noise()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        for kind in QUIET:
            warnings.simplefilter("ignore", kind)
        found = _read(reader, data)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if found.good and grown > BLOWN:
        return Outcome("memory", f"the memory in use grew by {grown / 1e6:.1f} GB", reader.name)
    if found.good and leaked:
        first = leaked[0]
        place = f"{Path(first.filename).name}:{first.lineno}"
        return Outcome(
            "warning", f"{first.category.__name__}: {first.message} ({place})", f"{place} {first.message}"[:80]
        )
    if found.good and (said := noise().strip()):
        return Outcome("warning", said, "".join(one for one in said[:60] if not one.isdigit()))
    return found


def _read(reader: Reader, data: bytes) -> Outcome:
    try:
        with _at_most(reader.seconds):
            reader.read(data)
    except InputError as error:
        if _out_of_memory(error):
            return Outcome("memory", "".join(traceback.format_exception(error)), _where(error.__traceback__))
        kind = "flood" if len(str(error)) > LONGEST else REFUSED
        return Outcome(kind, str(error)[: 2 * LONGEST], _where(error.__traceback__))
    except MemoryError as error:
        return Outcome("memory", traceback.format_exc(), _where(error.__traceback__))
    except TooSlowError as error:
        return Outcome("hang", traceback.format_exc(), _where(error.__traceback__))
    except BaseException as error:
        if type(error).__name__ == "StopTest" or isinstance(error, KeyboardInterrupt):
            raise
        where = f"{type(error).__name__} {_where(error.__traceback__)}"
        return Outcome("traceback", "".join(traceback.format_exception(error))[-4 * LONGEST :], where)
    return Outcome(READ)


def in_turn(*steps: Callable[[], object]) -> None:
    """Do all steps, whichever of them refuse.

    Raises:
        InputError: All did; the first refusal.
    """
    refused: list[InputError] = []
    for step in steps:
        try:
            step()
        except InputError as error:
            refused.append(error)
    if len(refused) == len(steps):
        raise refused[0]


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out somewhere below."""
    while error is not None:
        if isinstance(error, MemoryError) or "bad_alloc" in str(error) or "allocate memory" in str(error):
            return True
        error = error.__cause__
    return False


def _where(found: TracebackType | None) -> str:
    """The last place of a traceback that lies in dicecast."""
    own = [frame for frame in traceback.extract_tb(found) if "site-packages" not in frame.filename]
    own = [frame for frame in own if "/forecast/" in frame.filename or "/adapters/" in frame.filename]
    return f"{Path(own[-1].filename).name}:{own[-1].name}:{own[-1].lineno}" if own else "elsewhere"


class StreamNoise:
    """What is written to this process's standard streams, past Python too; they lead to a file from then on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(self._file.fileno(), stream.fileno())
        self._read = 0

    def __call__(self) -> str:
        """What is new since the last call."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        size = self._file.seek(0, 2)
        self._file.seek(self._read)
        said = self._file.read(min(size - self._read, 2000)) if size > self._read else b""
        self._read = self._file.seek(0, 2)
        return said.decode("utf-8", "replace")
