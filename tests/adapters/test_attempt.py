"""Who may work in a run folder: one at a time, the newest, and nothing half-written stays."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicecast.adapters.files import write_json
from dicecast.adapters.nnunet.attempt import SupersededError, attempt, saved_epochs, sweep
from dicecast.adapters.nnunet.pilot import _is_sound

HOLDER = """
import sys, time
from pathlib import Path
from dicecast.adapters.nnunet.attempt import attempt
with attempt(Path(sys.argv[1])) as held:
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(folder: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_attempt_waits_for_the_first_to_end(tmp_path: Path) -> None:
    with holder(tmp_path, 1.5) as first, attempt(tmp_path):
        assert first.poll() is not None or first.wait(5) == 0


def test_an_attempt_that_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    with holder(tmp_path, 600) as first:
        first.kill()
        first.wait()
        started = time.monotonic()
        with attempt(tmp_path) as held:
            assert held.number == 2
    assert time.monotonic() - started < 10


def test_an_attempt_notices_that_another_took_over_where_locks_do_not_reach(tmp_path: Path) -> None:
    with attempt(tmp_path) as held:
        held.check()
        write_json(tmp_path / "attempt.json", {"id": "of another node"})
        with pytest.raises(SupersededError):
            held.check()
        (tmp_path / "attempt.json").unlink()  # the other one has completed the run
        with pytest.raises(SupersededError):
            held.check()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_worked_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):  # nothing that the first one leaves keeps the second one out
        with attempt(tmp_path) as held:
            held.check()


def test_the_time_of_earlier_attempts_is_counted_as_far_as_they_told(tmp_path: Path) -> None:
    with attempt(tmp_path) as held:
        began = json.loads((tmp_path / "attempt.json").read_text())["began"]
        write_json(tmp_path / "progress.json", {"time": began + 100, "epochs_saved": 7})
        assert held.spent == 0
    assert saved_epochs(tmp_path) == 7
    with attempt(tmp_path) as held:
        assert held.spent == pytest.approx(100)
        assert held.seconds >= 100


def test_a_new_attempt_removes_what_a_killed_one_was_writing(tmp_path: Path) -> None:
    left = ("models/fold_0/checkpoint_latest.pth.writing-node1-123", ".writing-abcrun.json", "predictions/.writing-x")
    kept = ("models/fold_0/checkpoint_latest.pth", "predictions/case.nii.gz", "log.txt")
    for name in (*left, *kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    with attempt(tmp_path):
        found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {*kept, "attempt.json", ".lock"}
    sweep(tmp_path / "absent")


def test_a_checkpoint_that_was_cut_off_is_not_sound(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    whole, cut = tmp_path / "whole.pth", tmp_path / "cut.pth"
    torch.save({"weights": torch.zeros(1000)}, whole)
    cut.write_bytes(whole.read_bytes()[:-100])
    assert _is_sound(whole)
    assert not _is_sound(cut)
    assert not _is_sound(tmp_path / "absent.pth")
