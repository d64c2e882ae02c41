"""Worker processes: what a failing, dying or interrupted task does to the others."""

from __future__ import annotations

import builtins
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicecast.adapters.execution.slots import cores, single_threaded, slots_of
from dicecast.adapters.execution.workers import Outcome, Task, Workers, open_workers
from dicecast.adapters.files import read_json, write_text
from dicecast.forecast.errors import DicecastError, InputError, StorageError, WorkError

# a worker imports the functions it is given, so tasks here are made of functions that can be imported anywhere
SOUND = Task("a root", math.sqrt, (2.0,))
DYING = Task("a death", os._exit, (1,))


def code(text: str) -> Task:
    """A task that runs Python source in the worker."""
    return Task(text, builtins.exec, (text,))


def errors(outcome: Outcome) -> dict[str, DicecastError]:
    return {task.name: error for task, error in outcome.failed}


def run(tasks: list[Task], jobs: int = 1) -> Outcome:
    with open_workers(single_threaded(jobs)) as workers:
        return workers.run(tasks)


def test_a_failing_task_leaves_the_others_to_finish(tmp_path: Path) -> None:
    tasks = [
        Task("wrong input", read_json, (tmp_path / "absent.json",)),
        Task("no storage", write_text, (Path("/proc/no-such-folder/file"), "text")),
        Task(
            "failed work", builtins.exec, ("from dicecast.forecast.errors import WorkError; raise WorkError('lost')",)
        ),
        Task("surprise", json.loads, ("{",)),
        SOUND,
    ]
    outcome = run(tasks, jobs=2)
    found = errors(outcome)
    assert outcome.done == [SOUND]
    assert set(found) == {"wrong input", "no storage", "failed work", "surprise"}
    assert type(found["wrong input"]) is InputError
    assert "absent.json" in str(found["wrong input"])
    assert type(found["no storage"]) is StorageError
    assert "/proc/no-such-folder/file" in str(found["no storage"])
    assert type(found["failed work"]) is WorkError
    assert str(found["failed work"]) == "lost"
    assert type(found["surprise"]) is WorkError
    assert "surprise failed: JSONDecodeError" in str(found["surprise"])


def test_a_worker_that_dies_is_told_as_failed_work_and_keeps_what_was_done() -> None:
    outcome = run([SOUND, DYING, Task("never reached", math.sqrt, (3.0,))])
    found = errors(outcome)
    assert SOUND in outcome.done
    assert type(found["a death"]) is WorkError
    assert "a death: a worker process died" in str(found["a death"])
    assert "again" in str(found["a death"])
    assert len(outcome.done) + len(outcome.failed) == 3


def test_workers_that_died_between_two_lists_of_tasks_are_failed_work_or_replaced() -> None:
    with open_workers(single_threaded(1)) as workers:
        workers.run([SOUND])
        for process in multiprocessing.active_children():
            process.kill()
            process.join()
        time.sleep(0.5)
        outcome = workers.run([SOUND, SOUND])
    assert len(outcome.done) + len(outcome.failed) == 2
    assert all(type(error) is WorkError for _, error in outcome.failed)


def test_interrupting_ends_a_working_worker_at_once() -> None:
    def interrupt(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), open_workers(single_threaded(1)) as workers:
        workers.run([Task("a long sleep", time.sleep, (120.0,))], interrupt)
    assert time.monotonic() - started < 30
    assert not multiprocessing.active_children()


def test_single_threaded_workers_use_one_thread_and_leave_the_parent_as_it_was() -> None:
    before = dict(os.environ)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    outcome = run([code(f"import os; assert [os.environ[name] for name in {names}] == ['1'] * {len(names)}")])
    assert not outcome.failed
    assert dict(os.environ) == before


def test_watch_sees_the_work_grow_to_the_whole() -> None:
    seen: list[int] = []
    with open_workers(single_threaded(1)) as workers:
        workers.run([SOUND, Task("a nap", time.sleep, (1.2,)), SOUND], lambda outcome: seen.append(len(outcome.done)))
    assert seen == sorted(seen)
    assert seen[-1] == 3
    assert len(seen) > 2


def test_no_tasks_start_no_worker() -> None:
    with open_workers(single_threaded(2)) as workers:
        outcome = workers.run([])
        assert not multiprocessing.active_children()
    assert outcome == Outcome()


def test_the_first_failure_is_raised_as_what_it_is_and_counts_the_others() -> None:
    outcome = Outcome(failed=[(SOUND, InputError("no such case.")), (DYING, WorkError("disk full."))])
    with pytest.raises(InputError, match=r"^no such case\. \(1 more failed\.\)$"):
        outcome.raise_first()
    Outcome(done=[SOUND]).raise_first()


def test_an_accelerator_takes_one_training_and_a_cpu_one_per_core() -> None:
    assert len(slots_of("cuda", None, ["0"], 1)) == len(slots_of("mps", None, [], 1)) == 1
    assert 1 <= len(slots_of("cpu", None, [], 1)) == cores() <= (os.cpu_count() or 1)


def test_workers_is_only_made_by_open_workers_and_refuses_work_after_it() -> None:
    with open_workers(single_threaded(1)) as workers:
        assert isinstance(workers, Workers)
    with pytest.raises(RuntimeError):
        workers.run([SOUND])


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_the_first_worker_starts_deaf_to_interrupts() -> None:
    lines = (
        "import re; from pathlib import Path",
        "from dicecast.adapters.execution.workers import Task, open_workers",
        "with open_workers([{}]) as workers:",
        "    workers.add(Task('nothing', print, ()))",
        "    workers.step(0)",
        "    status = Path(f'/proc/{workers._slots[0]._process.pid}/status').read_text()",
        "    print(re.search(r'SigBlk:\\s*(\\w+)', status)[1])",
    )
    found = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    blocked = int(found.stdout.split()[0], 16)
    assert blocked >> (signal.SIGINT - 1) & 1


@pytest.mark.skipif(sys.platform != "linux", reason="ends a worker that made a semaphore")
def test_semaphores_that_ended_workers_leave_behind_are_cleared_away_without_a_word() -> None:
    semaphore = "import math, multiprocessing; math.kept = multiprocessing.get_context('spawn').Lock()"
    lines = (
        "import builtins",
        "from dicecast.adapters.execution.workers import Task, open_workers",
        "if __name__ == '__main__':",
        "    with open_workers([{}]) as workers:",
        f"        print(len(workers.run([Task('a semaphore', builtins.exec, ({semaphore!r},))]).done))",
    )
    found = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert (found.stdout.strip(), found.stderr) == ("1", "")
