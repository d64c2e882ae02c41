"""Writing so that a crash never leaves half a file, and reading so that a bad file is named."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..forecast.errors import DicecastError, InputError, StorageError

REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""What the system answers when a folder cannot be written."""
DISK_FULL = 20_000_000
"""Free bytes below which a failure is put down to the disk."""
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What the system answers where a file system has no locks."""
SHARED, PRIVATE = 0o644, 0o600
"""Files that others may read, and those that only their owner may."""
TEMPORARY = ".writing-"
"""What the names of files hold that are still being written."""

LONGEST_NAME, LONGEST_PATH = 255, 4000
"""Bytes of the name of a file, and of a path."""
STREAMS = {"/dev/stdin": "/dev/fd/0", "/dev/stdout": "/dev/fd/1", "/dev/stderr": "/dev/fd/2"}
"""What the names of the standard streams stand for."""


def check_new(folder: Path) -> None:
    """Make sure that a folder can be made.

    Raises:
        InputError: Something is there already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: must be a new or empty folder, found something there. Choose another name.")


def write_text(path: Path, text: str, mode: int = SHARED) -> None:
    """Write a text file atomically (a temporary neighbour, then a rename).

    Args:
        path: Where to.
        text: All of it.
        mode: Who may read it, from its first moment on.

    Raises:
        StorageError: Disk full, read-only folder or the like; the old file is still there.
    """

    def fill(target: Path) -> None:
        with target.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)

    write_with(path, fill, mode)


def write_with(path: Path, fill: Callable[[Path], object], mode: int = SHARED) -> None:
    """Let `fill` write a temporary file beside `path`, then rename it into place.

    A link stays and what it points to is written; a device or pipe, which no file may take the place of, is written to.

    Raises:
        StorageError: The write failed; the old file is still there.
    """
    if (descriptor := _descriptor(path)) is not None:
        _write_to_descriptor(path, descriptor, fill)
        return
    if path.exists() and not path.is_file() and not path.is_dir():
        _write_to_device(path, fill)
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.name)
    except OSError as error:
        raise _not_written(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        fill(temporary)
        temporary.chmod(_mode_of(path, mode))
        with temporary.open("r+b") as written:  # a rename may reach the disk before what it renames
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        with suppress(OSError):  # a disk that has become read-only keeps it
            temporary.unlink(missing_ok=True)


def _mode_of(path: Path, mode: int) -> int:
    """Rights of a file: those that it has, else those wished for as far as the user's umask goes."""
    with suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    os.umask(umask := os.umask(0))
    return mode & ~umask


def _descriptor(path: Path) -> int | None:
    """The open file of this process that a path such as `/dev/stdout` or `/dev/fd/3` stands for."""
    found = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", STREAMS.get(str(path), str(path)))
    return int(found[1]) if found else None


def _write_to_descriptor(path: Path, descriptor: int, fill: Callable[[Path], object]) -> None:
    """Opened anew, the file behind it would be written from its start, over what is there."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "draft"
            fill(draft)
            sys.stdout.flush()
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                stream.write(draft.read_bytes())
    except OSError as error:
        raise _not_written(path, error) from error


def _write_to_device(path: Path, fill: Callable[[Path], object]) -> None:
    """A pipe or device (`/dev/null`) cannot be renamed over."""
    try:
        fill(path)
    except OSError as error:
        raise _not_written(path, error) from error


def write_json(path: Path, document: Any) -> None:
    """Write strict JSON atomically."""
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: Missing, unreadable, empty, not JSON, or JSON that cannot be taken in or written again.
    """
    text = read_text(path)
    try:
        document = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(document, ensure_ascii=False).encode()  # half a character cannot be written
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}: must be valid JSON, found: {error.msg}. Correct or restore the file."
        ) from error
    except (RecursionError, ValueError) as error:
        raise InputError(
            f"{path}: must be JSON of a usual kind, found: {error}. Correct or restore the file."
        ) from error
    return document


def json_holds(path: Path, expected: Any) -> bool:
    """Whether a JSON file is there and holds just this; one that cannot be read does not."""
    try:
        return bool(read_json(path) == expected)
    except InputError:
        return False


def is_there(path: Path) -> bool:
    """Whether there is such a file; none has a name that is too long, or that may not be looked at."""
    try:
        return path.is_file()
    except OSError:
        return False


def may_be_path(text: str) -> bool:
    """Whether there can be a path of this name: no part is too long or holds a null, and the home it names is known."""
    parts = text.encode("utf-8", "replace").split(b"/")
    if "\0" in text or max(map(len, parts)) > LONGEST_NAME or sum(map(len, parts)) > LONGEST_PATH:
        return False
    try:
        Path(text).expanduser()
    except RuntimeError:
        return False
    return True


def read_text(path: Path) -> str:
    """Read a UTF-8 text file.

    Raises:
        InputError: Missing, unreadable, or not UTF-8.
    """
    with _reading(path):
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: must be UTF-8 text, found byte {error.object[error.start]:#04x} at position {error.start}. "
                "Save it as UTF-8."
            ) from error


def read_bytes(path: Path) -> bytes:
    """Read a file as it is.

    Raises:
        InputError: Missing or unreadable.
    """
    with _reading(path):
        kind = path.stat().st_mode
        if (stat.S_ISCHR(kind) or stat.S_ISBLK(kind)) and _descriptor(path) is None:  # it may have no end
            raise InputError(f"{path}: must be a file or a pipe, found a device. Check the path.")
        return path.read_bytes()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say so when a file cannot be read."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Check the path.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path and its permissions.") from error


@contextmanager
def file_lock(path: Path, timeout: float = -1.0) -> Iterator[bool]:
    """Hold a lock file.

    Args:
        path: The lock file; it stays.
        timeout: Wait at most so many seconds; a negative number waits as long as it takes.

    Yields:
        Whether it is held: some file systems of clusters have no locks, and go without.

    Raises:
        filelock.Timeout: Somebody else holds it.
        OSError: It cannot be made.
    """
    lock = FileLock(path, fallback_to_soft=False)  # a soft lock outlives the node that held it
    try:
        lock.acquire(timeout=timeout, poll_interval=0.1)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Say so when work in `folder` fails because its disk is full or it may not be written.

    Raises:
        StorageError: In place of whatever the library that was writing raised.
    """
    try:
        yield
    except DicecastError:
        raise
    except Exception as error:
        denied = isinstance(error, OSError) and error.errno in REFUSED
        if denied or shutil.disk_usage(folder).free < DISK_FULL:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StorageError(
                f"{folder}: cannot be written, the disk is full or read-only ({reason}). Free some space or check "
                "permissions, then run the same command again; what was finished is kept."
            ) from error
        raise


def _not_written(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written: {error.strerror or error}. Check free space and permissions, then run the same "
        "command again; what was finished is kept."
    )


def refusal(error: Exception) -> str | None:
    """What to say where a disk refused something that no message of its own foresees; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in (*REFUSED, errno.EIO):
        return None
    return (
        f"{error.filename or 'what is printed'}: cannot be read or written: {error.strerror}. Check the disk, free "
        "space and permissions, then run the same command again; what was finished is kept."
    )


def stays_in_folder(case: str) -> bool:
    """Whether files named after a case lie in the folder they are put in, and not somewhere else."""
    return bool(case) and case not in (".", "..") and not set(case) & set("/\\\0")
