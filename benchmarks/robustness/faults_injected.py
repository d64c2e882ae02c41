"""A disk that fails as told: everything Python code writes below a folder is counted, and one operation is refused.

Files are opened, written, flushed, renamed, made and removed through the functions of `os` and `io`, which are replaced
while a `Disk` is in place. What compiled libraries write by themselves is not seen.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NEEDS_SPACE = ("open", "write", "fsync", "mkdir", "replace")
"""Operations that a full disk refuses; others, such as removing, it does not."""
NEEDS_RIGHTS = ("open", "mkdir", "replace", "unlink", "rmdir", "chmod")
"""Operations that a folder of somebody else refuses; what is open may be written."""
EVERY = (*NEEDS_SPACE, "unlink", "rmdir", "chmod")


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and from which operation on."""

    error: int = errno.ENOSPC
    at: int | None = None
    """Number of the operation, from 0; None lets everything pass and only counts."""
    lasting: bool = False
    """Whether all later operations fail too."""
    short: bool = False
    """Whether a write first takes half of what it is given, as a disk does that is almost full."""
    only: tuple[str, ...] = EVERY
    """Kinds of operations that can fail; others are not counted."""

    @property
    def name(self) -> str:
        """Such as `ENOSPC, short write`."""
        return errno.errorcode[self.error] + ", short write" * self.short + ", lasting" * self.lasting


@dataclass
class Disk:
    """What is done below a folder."""

    root: Path
    fault: Fault = field(default_factory=Fault)
    done: list[tuple[str, str]] = field(default_factory=list)
    """Kind and path of every operation that counts."""
    _cut: bool = False

    def watches(self, path: Any) -> str | None:
        """The path below the folder; None elsewhere."""
        if isinstance(path, int):
            try:
                path = os.readlink(f"/proc/self/fd/{path}")
            except OSError:
                return None
        absolute = os.path.abspath(os.fsdecode(path))
        inside = os.path.relpath(absolute, self.root)
        return None if inside.startswith("..") else inside

    def touch(self, kind: str, path: Any) -> None:
        """Count an operation, or refuse it.

        Raises:
            OSError: It is the one that fails.
        """
        inside = self.watches(path)
        if inside is None or kind not in self.fault.only:
            return
        number = len(self.done)
        self.done.append((kind, inside))
        at = self.fault.at
        if at is not None and (number == at or (self.fault.lasting and number > at)):
            raise OSError(self.fault.error, os.strerror(self.fault.error), inside)

    def taken(self, size: int, path: Any) -> int:
        """How much of a write is taken before the disk is full."""
        if not self.fault.short or self._cut or self.fault.at != len(self.done) or self.watches(path) is None:
            return size
        self._cut = True  # the rest is asked for at once, and refused
        return max(1, size // 2)


@contextmanager
def failing(disk: Disk) -> Iterator[Disk]:
    """Put a disk in place of the real one."""
    before = install(disk)
    try:
        yield disk
    finally:
        for (place, name), value in before.items():
            setattr(place, name, value)


def install(disk: Disk) -> dict[tuple[Any, str], Any]:
    """The same until the process ends; what was there before, by module and name."""
    changed = {(os, name): value for name, value in _operations(disk).items()}
    changed |= {(io, "open"): _opener(disk), (builtins, "open"): _opener(disk)}
    before = {(place, name): getattr(place, name) for place, name in changed}
    for (place, name), value in changed.items():
        setattr(place, name, value)
    return before


def _operations(disk: Disk) -> dict[str, Callable[..., Any]]:
    """The functions of `os` that change files."""
    real = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "mkdir", "rmdir", "chmod")}
    remove = os.unlink

    def opened(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if flags & WRITING:
            disk.touch("open", path)
        return int(real["open"](path, flags, *more, **options))

    def written(descriptor: int, data: Any) -> int:
        disk.touch("write", descriptor)
        return int(real["write"](descriptor, data))

    def replaced(source: Any, target: Any, **options: Any) -> None:
        disk.touch("replace", target)
        real["replace"](source, target, **options)

    def unlinked(path: Any, **options: Any) -> None:
        if os.path.lexists(path):
            disk.touch("unlink", path)
        remove(path, **options)

    def plain(name: str) -> Callable[..., Any]:
        def call(path: Any, *more: Any, **options: Any) -> Any:
            if name != "mkdir" or not os.path.isdir(path):
                disk.touch(name, path)
            return real[name](path, *more, **options)

        return call

    found = {name: plain(name) for name in ("fsync", "mkdir", "rmdir", "chmod")}
    return found | {
        "open": opened,
        "write": written,
        "replace": replaced,
        "rename": replaced,
        "unlink": unlinked,
        "remove": unlinked,
    }


def _opener(disk: Disk) -> Callable[..., Any]:
    """`open` whose writes to watched files can be refused."""
    real = io.open

    class Raw(io.FileIO):
        def write(self, data: Any) -> int:
            size = memoryview(data).nbytes
            taken = disk.taken(size, self.name)
            if taken == size:
                disk.touch("write", self.name)
            return int(super().write(memoryview(data).cast("B")[:taken]))

    def opened(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        plain = opener is not None or isinstance(file, int) or not set(mode) & set("wax+")
        if plain or disk.watches(file) is None:
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
        disk.touch("open", file)
        raw = Raw(os.fsdecode(file), mode.replace("b", "").replace("t", ""))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline)

    return opened
