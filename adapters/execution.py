"""Running tasks on this machine: a few worker processes that import nnU-Net once and die with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..forecast.errors import DicecastError, WorkError
from .nnunet.environment import THREADS, environment

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


@dataclass
class Outcome:
    """What came of a list of tasks."""

    done: list[Task] = field(default_factory=list)
    failed: list[tuple[Task, DicecastError]] = field(default_factory=list)

    def raise_first(self) -> None:
        """Raise the first failure, saying how many more there were."""
        if self.failed:
            _, error = self.failed[0]
            more = f" ({len(self.failed) - 1} more failed.)" if len(self.failed) > 1 else ""
            raise type(error)(f"{error}{more}") from error


class Workers:
    """A pool of worker processes; use `open_workers`."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def run(self, tasks: Sequence[Task], watch: Callable[[Outcome], None] = lambda outcome: None) -> Outcome:
        """Run tasks until each is done or has failed.

        Args:
            tasks: Independent of each other; started in this order.
            watch: Called about twice a second with what has been done so far.
        """
        outcome = Outcome()
        futures: dict[Future[Any], Task] = {}
        with _interrupts_held():
            for task in tasks:
                try:
                    futures[self._executor.submit(task.call, *task.arguments)] = task
                except BrokenProcessPool:
                    outcome.failed.append((task, _died(task)))
        open_futures = set(futures)
        while open_futures:
            finished, open_futures = wait(open_futures, timeout=POLL, return_when=FIRST_COMPLETED)
            for future in finished:
                self._collect(future, futures[future], outcome)
            watch(outcome)
        return outcome

    @staticmethod
    def _collect(future: Future[Any], task: Task, outcome: Outcome) -> None:
        try:
            future.result()
        except DicecastError as error:
            outcome.failed.append((task, error))
        except BrokenProcessPool:
            outcome.failed.append((task, _died(task)))
        except Exception as error:
            wrapped = WorkError(f"{task.name} failed: {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            outcome.failed.append((task, wrapped))
        else:
            outcome.done.append(task)


def _died(task: Task) -> WorkError:
    return WorkError(
        f"{task.name}: a worker process died, most often for want of memory. Run the same command again to go on; "
        "fewer --jobs need less memory."
    )


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C waiting while workers start; they inherit that, and then ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def open_workers(jobs: int, *, single_threaded: bool) -> Iterator[Workers]:
    """Start worker processes; leaving the block, for whatever reason, ends them at once.

    Args:
        jobs: Number of processes.
        single_threaded: One thread each: on a CPU, parallel runs beat threads, and results are reproducible.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    wanted = {**WORKER_ENVIRONMENT, **(dict.fromkeys(THREADS, "1") if single_threaded else {})}
    with environment(wanted):
        executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(stop, os.getpid()))
        try:
            yield Workers(executor)
        finally:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)


def default_jobs(device: str) -> int:
    """One training per CPU core that this process may use; one at a time on an accelerator."""
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(stop: Any, parent: int) -> None:
    """In a new worker: leave Ctrl-C to the parent, and end when it ends or asks to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(stop, parent), daemon=True).start()


def _end_with_parent(stop: Any, parent: int) -> None:
    while os.getppid() == parent and not stop.is_set():
        time.sleep(POLL)
    os._exit(130)
