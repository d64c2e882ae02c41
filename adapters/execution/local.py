"""The engine of this machine: worker processes, one per slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..nnunet.attempt import saved_epochs
from ..nnunet.pilot import do_run
from ..nnunet.spec import PilotSpec
from .engine import Job, JobState
from .workers import POLL, Task, Workers


class LocalEngine:
    """Runs in the workers of this process; what they do ends with it."""

    retries_errors = False
    way_on = "Run the same command again to go on"

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._jobs: dict[Path, Job] = {}
        self._tasks: dict[Path, Task] = {}
        self._tries: Counter[tuple[Path, int]] = Counter()

    def submit(self, specs: Sequence[PilotSpec]) -> None:
        """Queue runs."""
        for spec in specs:
            task = Task(f"pilot run {spec.name}", do_run, (spec,))
            self._tries[spec.folder, saved_epochs(spec.folder)] += 1
            self._tasks[spec.folder], self._jobs[spec.folder] = task, Job(JobState.QUEUED)
            self._workers.add(task)

    def poll(self, seconds: float) -> Mapping[Path, Job]:
        """See `Engine`; a worker that died leaves a job that is over, without an error."""
        ended = {id(one.task): one for one in self._workers.step(seconds)}
        running = {id(task) for task in self._workers.running}
        for folder, task in list(self._tasks.items()):
            if id(task) in running:
                self._jobs[folder] = Job(JobState.RUNNING)
            elif id(task) in ended:
                one = ended[id(task)]
                error = None if one.died else one.error
                self._jobs[folder] = Job(JobState.OVER, "its worker process died" if one.died else "", error)
                del self._tasks[folder]
        return dict(self._jobs)

    def tries(self, folder: Path) -> int:
        """See `Engine`."""
        return self._tries[folder, saved_epochs(folder)]

    def pause(self, seconds: float) -> float:
        """See `Engine`."""
        return POLL
