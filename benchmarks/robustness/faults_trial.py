"""One fault in one command: what was there before, what was said, what is there after, and once more without."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Files = dict[str, bytes]
PASSING = re.compile(r"(^|/)(\.lock|running\.json|attempt\.json|progress\.json)$")
"""Files that tell who is at work: theirs is no content."""
LEFT = ".writing-"
TIMES = (
    (rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([+-]\d\d:?\d\d)?", b"TIME"),
    (rb'"(seconds\w*|time|finished|created|attempts|training|prediction|scoring|host|device)": [^,\n}]*', b"FIGURE"),
)
"""What differs between two undisturbed runs."""
DONE, REFUSED, SPOILT = "went well", "refused", "SPOILT"
PATIENCE = 300.0


@dataclass(frozen=True)
class Command:
    """Words of a command line, and the folder it is given: a template that is copied."""

    name: str
    words: tuple[str, ...]
    template: Path
    redo: tuple[str, ...] = ()
    """Words added to do it once more; `--force` where a file may be there by then."""


@dataclass(frozen=True)
class Ended:
    """A command that is over."""

    code: int
    said: str
    seconds: float
    errors: str = ""


@dataclass
class Trial:
    """What came of a fault."""

    kind: str
    command: str
    fault: str
    code: int
    outcome: str
    spoilt: list[str] = field(default_factory=list)
    """What must not have happened; empty where all is well."""
    left: int = 0
    """Temporary files that stayed."""
    message: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return dict(vars(self))


def files_of(folder: Path) -> Files:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def same(one: bytes | None, other: bytes | None) -> bool:
    """Whether two files say the same, times of day aside."""
    if one is None or other is None:
        return one is other
    return one == other or _timeless(one) == _timeless(other)


def _timeless(data: bytes) -> bytes:
    for pattern, word in TIMES:
        data = re.sub(pattern, word, data)
    return data


def fresh(template: Path, folder: Path) -> Path:
    """A copy of a template in the place of whatever was there."""
    if folder.is_symlink() or folder.exists():
        shutil.rmtree(folder)
    return Path(shutil.copytree(template, folder, symlinks=True))


def start(words: Sequence[str], folder: Path, log: Path, before: Callable[[], None] | None = None) -> int:
    """A fork of this process, which has everything imported, that is the command; its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = _in_child(words, folder, log, before)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _in_child(words: Sequence[str], folder: Path, log: Path, before: Callable[[], None] | None) -> int:
    from dicecast.__main__ import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()
    os.chdir(folder)
    for number, path in ((1, log.with_suffix(".out")), (2, log.with_suffix(".err"))):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["dicecast", *words]
    if before is not None:
        before()
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def finish(pid: int, log: Path, began: float, patience: float = PATIENCE) -> Ended:
    """Wait for a fork; one that hangs is killed."""
    end = time.monotonic() + patience
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            break
        if time.monotonic() > end:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.005)
    said = log.with_suffix(".err").read_text(encoding="utf-8", errors="replace")
    out = log.with_suffix(".out").read_text(encoding="utf-8", errors="replace")
    return Ended(os.waitstatus_to_exitcode(status), out, time.monotonic() - began, said)


def forked(words: Sequence[str], folder: Path, log: Path, before: Callable[[], None] | None = None) -> Ended:
    """Do a command in a fork."""
    began = time.monotonic()
    return finish(start(words, folder, log, before), log, began)


def executed(words: Sequence[str], folder: Path, *, environment: Mapping[str, str] = {}, **options: Any) -> Ended:
    """Do a command as a user does: a new process."""
    began = time.monotonic()
    program = Path(sys.executable).with_name("dicecast")
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done = subprocess.run(
        [program, *words],
        cwd=folder,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **environment},
        **options,
    )
    return Ended(done.returncode, done.stdout or "", time.monotonic() - began, done.stderr or "")


def judge(
    trial: Trial,
    ended: Ended,
    before: Files,
    after: Files,
    whole: Files,
    *,
    codes: Sequence[int] = (0, 2),
    silent: Sequence[int] = (),
) -> Trial:
    """Fill in what came of a fault.

    Args:
        trial: Is filled in.
        ended: The command that was disturbed.
        before: Files before it.
        after: Files after it.
        whole: Files after the same command when nothing disturbs it.
        codes: How it may end.
        silent: Exit codes that need no message: who was killed says nothing.
    """
    trial.code, trial.message = ended.code, " ".join(ended.errors.split())[-300:]
    trial.outcome = DONE if ended.code == 0 else REFUSED
    if ended.code not in codes:
        trial.spoilt.append(f"exit code {ended.code}")
    for word in ("Traceback", "unexpected", "Exception ignored", "Aborted"):
        if word in ended.errors:
            trial.spoilt.append(word)
    if ended.code not in (0, *silent) and len(re.findall(r"(?m)^error:", ended.errors)) != 1:
        trial.spoilt.append("not one message")
    for name, data in before.items():
        now = after.get(name)
        if not PASSING.search(name) and now != data and not same(now, whole.get(name)):
            trial.spoilt.append(f"{'lost' if now is None else 'changed'}: {name}")
    for name, data in after.items():
        if name in before or PASSING.search(name):
            continue
        if LEFT in name:
            trial.left += 1
        elif not same(data, whole.get(name)):
            trial.spoilt.append(f"half: {name}")
    if ended.code == 0:
        trial.spoilt += [f"said to be done, but: {name}" for name in differing(after, whole)]
    return trial


def repeated(trial: Trial, again: Ended, found: Files, whole: Files) -> Trial:
    """Fill in what the same command did without the fault."""
    if again.code != 0:
        trial.spoilt.append(f"again: exit code {again.code}: {' '.join(again.errors.split())[:200]}")
    trial.spoilt += [f"again: {name}" for name in differing(found, whole)]
    trial.outcome = SPOILT if trial.spoilt else trial.outcome
    return trial


def differing(found: Files, whole: Files) -> list[str]:
    """Files that are not as an undisturbed command leaves them."""
    names = {name for name in {*found, *whole} if not PASSING.search(name) and LEFT not in name}
    return sorted(name for name in names if not same(found.get(name), whole.get(name)))
