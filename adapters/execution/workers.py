"""Tasks in worker processes, one per slot, that import nnU-Net once, die alone and end with this process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from ...forecast.errors import DicecastError, WorkError
from ..nnunet.environment import environment
from .processes import die_with_parent, kill_group

POLL = 0.5
"""Seconds between looks at the tasks."""
WORKER_ENVIRONMENT = {
    # read by nnU-Net when it is imported
    "nnUNet_def_n_proc": "1",
    # tqdm makes a semaphore in every worker; one that is ended at once leaves it to the tracker, which would warn
    "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
}


@dataclass(frozen=True)
class Task:
    """One function call for a worker."""

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Ended:
    """A task that is over."""

    task: Task
    error: DicecastError | None = None
    died: bool = False
    """Whether its worker died of it; `error` says so too."""


@dataclass
class Outcome:
    """What came of a list of tasks."""

    done: list[Task] = field(default_factory=list)
    failed: list[tuple[Task, DicecastError]] = field(default_factory=list)

    def raise_first(self) -> None:
        """Raise the first failure, saying how many more there were."""
        raise_first([error for _, error in self.failed])


def raise_first(errors: Sequence[DicecastError]) -> None:
    """Raise the first of some errors, saying how many more there are."""
    if errors:
        more = f" ({len(errors) - 1} more failed.)" if len(errors) > 1 else ""
        raise type(errors[0])(f"{errors[0]}{more}") from errors[0]


class Workers:
    """A worker process per slot; use `open_workers`."""

    def __init__(self, slots: Sequence[Mapping[str, str]]) -> None:
        self._slots = [_Slot(variables) for variables in slots]
        self._queue: deque[Task] = deque()
        self._closed = False

    def run(self, tasks: Sequence[Task], watch: Callable[[Outcome], None] = lambda outcome: None) -> Outcome:
        """Run tasks until each is done or has failed.

        Args:
            tasks: Independent of each other; started in this order.
            watch: Called about twice a second with what has been done so far.
        """
        outcome = Outcome()
        for task in tasks:
            self.add(task)
        while self.busy:
            for ended in self.step(POLL):
                if ended.error is None:
                    outcome.done.append(ended.task)
                else:
                    outcome.failed.append((ended.task, ended.error))
            watch(outcome)
        return outcome

    def add(self, task: Task) -> None:
        """Queue a task; `step` gets it going.

        Raises:
            RuntimeError: The workers were ended.
        """
        if self._closed:
            raise RuntimeError("the workers were ended; open new ones")
        self._queue.append(task)

    @property
    def busy(self) -> bool:
        """Whether any task is not over."""
        return bool(self._queue) or any(slot.task is not None for slot in self._slots)

    @property
    def running(self) -> list[Task]:
        """The tasks that workers are at."""
        return [slot.task for slot in self._slots if slot.task is not None]

    def step(self, seconds: float) -> list[Ended]:
        """Give idle workers tasks, wait at most so long for news, and return the tasks that are over."""
        for slot in self._slots:
            if self._queue and slot.task is None:
                slot.take(self._queue.popleft())
        watched = {thing: slot for slot in self._slots if slot.task is not None for thing in slot.signs}
        ready = wait(list(watched), timeout=seconds) if watched else []
        found = [slot.news() for slot in dict.fromkeys(watched[thing] for thing in ready)]
        return [ended for ended in found if ended is not None]

    def close(self) -> None:
        """End every worker at once, whatever it is at."""
        self._closed = True
        self._queue.clear()
        for slot in self._slots:
            slot.close()


class _Slot:
    """A place where one worker works at one task at a time."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._process: Any = None
        self._connection: Connection | None = None
        self._ready = False
        self.task: Task | None = None

    @property
    def signs(self) -> list[Any]:
        """What becomes ready when the worker has something to say, or died."""
        return [self._connection, self._process.sentinel]

    def take(self, task: Task) -> None:
        """Have a task done; a worker that died is replaced."""
        self.task = task
        if self._process is None or not self._process.is_alive():
            self._start()
        elif self._ready:
            self._send()

    def _start(self) -> None:
        self.close()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        with environment({**WORKER_ENVIRONMENT, **self._variables}):
            resource_tracker.ensure_running()  # its start lets interrupts through again: not while they are held
            with _interrupts_held():
                self._process = context.Process(target=_serve, args=(theirs, os.getpid()))
                self._process.start()
        theirs.close()
        self._connection, self._ready = ours, False

    def _send(self) -> None:
        assert self._connection is not None
        try:
            self._connection.send(self.task)
        except (BrokenPipeError, ConnectionResetError):  # it died; its sentinel says so next
            return

    def news(self) -> Ended | None:
        """What came of the task, if anything did."""
        task = self.task
        assert task is not None and self._connection is not None
        try:
            said = self._connection.recv() if self._connection.poll() else None
        except (EOFError, OSError):
            said = None
        if said is None:
            return self._buried(task) if not self._process.is_alive() else None
        if not self._ready:  # its first word says that it has started
            self._ready = True
            self._send()
            return None
        self.task = None
        return Ended(task, _error(task, said))

    def _buried(self, task: Task) -> Ended:
        self.close()
        self.task = None
        return Ended(task, _died(task), died=True)

    def close(self) -> None:
        """Kill the worker and what it started."""
        if self._process is not None:
            kill_group(self._process.pid)
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None


def _error(task: Task, said: Any) -> DicecastError | None:
    """A worker's last word on a task as an error; None where it went well."""
    if said is True or isinstance(said, DicecastError):
        return None if said is True else said
    kind, words, trace = said
    error = WorkError(f"{task.name} failed: {kind}: {words}")
    error.__cause__ = RuntimeError(trace)
    return error


def _died(task: Task) -> WorkError:
    return WorkError(
        f"{task.name}: a worker process died, most often for want of memory. Run the same command again to go on; "
        "fewer --jobs need less memory."
    )


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C waiting while a worker starts; it inherits that, and then ignores it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def open_workers(slots: Sequence[Mapping[str, str]]) -> Iterator[Workers]:
    """Workers that start when there is work; leaving the block, for whatever reason, ends them at once.

    Args:
        slots: What each worker's environment holds beside that of this process; see `slots`.
    """
    workers = Workers(slots)
    try:
        yield workers
    finally:
        workers.close()


def _serve(connection: Connection, parent: int) -> None:
    """In a new worker: do one task after the other, in a process group of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    die_with_parent(parent)
    connection.send(True)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(_done(task))


def _done(task: Task) -> Any:
    """True, or what went wrong in a form that another process can read."""
    try:
        task.call(*task.arguments)
    except DicecastError as error:
        return type(error)(str(error))
    except Exception as error:
        return type(error).__name__, str(error), traceback.format_exc()
    return True
