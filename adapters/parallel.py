"""Many small pieces of work in several processes, with a progress bar."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from typing import TypeVar

from rich.console import Console

from ..forecast.errors import InputError
from .progress import progress_bars

Item = TypeVar("Item")
Result = TypeVar("Result")


def mapped(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int | None, worth: int, what: str, console: Console
) -> list[Result]:
    """Results in the order of the items.

    Args:
        work: A function that another process can import.
        items: What it is applied to.
        jobs: Processes; None takes one per core.
        worth: Items from which several processes are worth their start.
        what: Shown beside the bar.
        console: Where the bar is shown.

    Raises:
        InputError: Fewer than one process.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be >= 1, found {jobs}.")
    with ExitStack() as stack:
        bar = stack.enter_context(progress_bars(console))
        found: Iterable[Result]
        if len(items) < worth or jobs == 1:
            found = map(work, items)
        else:
            pool = stack.enter_context(get_context("spawn").Pool(jobs, _leave_interrupts_to_the_parent))
            found = pool.imap(work, items, chunksize=max(1, min(20, len(items) // 20)))
        return list(bar.track(found, total=len(items), description=what))


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
