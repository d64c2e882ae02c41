"""Commands on disks that fail: a sample of what benchmarks/robustness/faults.py does in full."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicecast.adapters.files import write_text, write_with
from dicecast.adapters.nnunet.attempt import attempt
from dicecast.benchmarks.robustness.faults_injected import EVERY, NEEDS_RIGHTS, NEEDS_SPACE, Disk, Fault, failing
from dicecast.forecast.errors import StorageError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for open files in /proc")
Cli = Callable[..., Any]
SHORT = "n_cases,score\n4,0.5\n8,0.6\n"
"""Too few sizes: answered at once."""
COMMANDS = {
    "recommend": ("recommend", "scores.csv", "--json", "answer.json"),
    "import": ("import", str(Path(__file__).parent / "data/nnunet/results/Dataset011_Kidney"), "-o", "answer.json"),
}
FAULTS = (
    Fault(errno.ENOSPC, 0, lasting=True, only=NEEDS_SPACE),
    Fault(errno.EIO, 0, only=EVERY),
    Fault(errno.EROFS, 0, lasting=True, only=EVERY),
    Fault(errno.EACCES, 0, only=NEEDS_RIGHTS),
)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def each_of(fault: Fault, folder: Path, work: Callable[[], Any]) -> list[Fault]:
    """The fault at every operation of some work, which is done once undisturbed."""
    with failing(Disk(folder, Fault(only=fault.only))) as counted:
        work()
    found = [Fault(fault.error, at, fault.lasting, only=fault.only) for at in range(len(counted.done))]
    if fault.error == errno.ENOSPC:
        cut = (at for at, (kind, _) in enumerate(counted.done) if kind == "write")
        found += [Fault(fault.error, at, fault.lasting, short=True, only=fault.only) for at in cut]
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_whose_disk_fails_keeps_what_was_there_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli, refused: Callable[..., None], command: str, fault: Fault
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text(SHORT, encoding="utf-8")
    words = COMMANDS[command] + ("--force",) * (command == "import")
    faults = each_of(fault, tmp_path, lambda: cli(*words))
    whole = files_of(tmp_path)
    assert len(faults) >= 3 and set(whole) == {"scores.csv", "answer.json"}
    Path("answer.json").write_text('{"dicecast": "0.0.1"}\n', encoding="utf-8")
    before = files_of(tmp_path)
    for one in faults:
        with failing(Disk(tmp_path, one)):
            result = cli(*words)
        refused(result, 2, "answer.json: cannot be written", os.strerror(one.error))
        drafts = list(tmp_path.glob(".writing-*"))
        assert not drafts or fault.error == errno.EROFS, "a disk that is read-only by now keeps the draft"
        for draft in drafts:
            draft.unlink()
        assert files_of(tmp_path) == before
    assert cli(*words).exit_code == 0
    assert files_of(tmp_path) == whole


@pytest.mark.parametrize("error", [errno.EROFS, errno.EIO, errno.EACCES])
def test_a_draft_that_cannot_be_removed_hides_no_error(tmp_path: Path, error: int) -> None:
    path = tmp_path / "found.json"
    path.write_text("old", encoding="utf-8")
    with failing(Disk(tmp_path, Fault(error, 2, lasting=True))), pytest.raises(StorageError, match=r"found\.json"):
        write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"


def test_a_disk_that_takes_half_of_a_write_is_given_the_rest(tmp_path: Path) -> None:
    with failing(Disk(tmp_path, Fault(errno.ENOSPC, 2, short=True))), pytest.raises(StorageError):
        write_text(tmp_path / "found.json", "text" * 1000)
    assert not list(tmp_path.iterdir())


def test_whatever_is_renamed_into_place_is_on_the_disk_first(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    with failing(disk):
        write_with(tmp_path / "figure.png", lambda path: path.write_bytes(b"pixels"))
    kinds = [kind for kind, _ in disk.done]
    assert kinds.index("write") < kinds.index("fsync") < kinds.index("replace")


WAITING = """
import time
from dicecast.adapters import commands, files
def fill(path):
    path.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
def slow(source, *more):
    files.write_with(source.parent / "answer.json", fill)
commands.recommend = slow
"""


def test_who_is_asked_to_end_leaves_nothing_half_done(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(SHORT, encoding="utf-8")
    script = f"{WAITING}\nfrom dicecast.__main__ import main\nmain()"
    command = [sys.executable, "-c", script, "recommend", str(tmp_path / "scores.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
        assert process.wait() == 143
    assert re.findall(r"(?m)^error: (\w+)", errors) == ["ended"]
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_report_that_cannot_be_printed_ends_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(SHORT, encoding="utf-8")
    command = [sys.executable, "-m", "dicecast", "recommend", str(tmp_path / "scores.csv"), "--json", "-"]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert re.findall(r"(?m)^\w.*", done.stderr)[0].startswith("error: what is printed: cannot be read or written")
    assert "Exception" not in done.stderr and "Traceback" not in done.stderr


def test_a_clock_that_is_put_back_takes_no_time_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with attempt(tmp_path) as held:
        monkeypatch.setattr(time, "time", lambda: held.began - 3600)
        assert held.seconds == 0
