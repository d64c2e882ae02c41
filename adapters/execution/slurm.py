"""The engine of a SLURM cluster: submitit hands arrays of runs over; nothing of ours has to stay alive.

SLURM is asked who is in the queue, never whether a run went well. A job that ended too early, or that SLURM lost, costs
nothing but time: whoever comes next goes on from the checkpoint, or finds the run complete.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError, WorkError, install_words
from ..execution_section import ExecutionSection, minutes
from ..files import write_with
from ..nnunet.attempt import saved_epochs
from ..nnunet.spec import PilotSpec, RunStatus, run_status
from . import scheduler
from .batches import PREPARATION, Batch, Entry, last_entries, new_batch, read_batches, tries
from .cluster_task import ClusterTask
from .engine import BusyError, Job, JobState

GRACE = 60.0
"""Seconds for a result to show on this node after its job ended well, and for a new job to show in the queue."""
NOTICE = 180
"""Seconds before a time limit that a training is asked to write a checkpoint; at most a quarter of the limit."""
ENDLESS = 10_000
"""Time limits that submitit lets a run hit; `ClusterTask` looks whether it gets further."""
CANCELLING = 60.0
"""Seconds to wait for cancelled jobs to end."""
ENDING = 10.0
"""Seconds for a job whose run is complete to end by itself."""
AT_ONCE = 256
"""Tasks of an array that may run at the same time where `jobs` says nothing."""
NOT_NOW = ("submit limit", "policy", "temporarily", "timed out", "Unable to contact", "try again")
"""What sbatch says of refusals that pass: too many jobs of a user, a controller that is busy or away."""
PAUSES = (2.0, 30.0)
"""Seconds between looks at the queue, at first and later."""


def require_submitit() -> Any:
    """Submitit, where it is installed.

    Raises:
        InputError: It is not; names the extra.
    """
    try:
        import submitit
    except ImportError as error:
        raise InputError(
            f"--engine slurm needs submitit, which is not installed here. Install it {install_words('slurm')}."
        ) from error
    return submitit


class SlurmEngine:
    """Runs as tasks of SLURM arrays."""

    retries_errors = True
    way_on = "Mend the cause, then run with --retry"

    def __init__(self, study: Path, settings: ExecutionSection, notice: Callable[[str], None]) -> None:
        """Re-attach to what was handed over before.

        Args:
            study: Study folder.
            settings: How jobs are submitted.
            notice: Told when the controller does not answer, and when it does again.
        """
        self._study, self._settings, self._notice = study, settings, notice
        self._batches = read_batches(study)
        self._jobs: dict[Path, Job] = {}
        self._endings: dict[str, str] = {}
        self._reachable = True

    def submit(self, specs: Sequence[PilotSpec]) -> None:
        """See `Engine`."""
        self.hand_over([self._entry(spec.folder) for spec in specs])

    def submit_preparation(self) -> None:
        """Hand over planning and preprocessing."""
        self.hand_over([Entry(PREPARATION, 0)])

    def _entry(self, folder: Path) -> Entry:
        return Entry(folder.relative_to(self._study).as_posix(), saved_epochs(folder))

    def hand_over(self, entries: Sequence[Entry]) -> None:
        """Submit tasks as one array, or as few as there must be.

        Raises:
            BusyError: SLURM did not answer, or takes no more of this user's jobs now.
            WorkError: It refused them.
        """
        size = scheduler.largest_array()
        for start in range(0, len(entries), size):
            self._hand_over(entries[start : start + size])

    def _hand_over(self, entries: Sequence[Entry]) -> None:
        """Submit one array; one that is over a limit of the user's jobs in halves, as far as the limit goes."""
        try:
            self._submit_batch(entries)
        except scheduler.UnreachableError:
            raise
        except BusyError as error:
            if len(entries) > 1:
                self._hand_over(entries[: len(entries) // 2])
                self._hand_over(entries[len(entries) // 2 :])
            elif not self._any_alive():
                raise WorkError(
                    f"{error} No job of this study is in the queue to wait for: correct the limits it asks for in "
                    "[execution.slurm], or wait until other jobs of yours have ended."
                ) from error
            else:
                raise

    def _any_alive(self) -> bool:
        return any(not line.over for line in scheduler.queue([batch.name for batch in self._batches]))

    def _submit_batch(self, entries: Sequence[Entry]) -> None:
        batch = new_batch(self._study, entries)
        self._batches.append(batch)
        try:
            executor = self._executor(batch)
            # an array; of one task, a plain job. What sbatch says is in the error
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():
                jobs = [executor.submit(self._task(entry)) for entry in batch.entries]
        except Exception as error:
            self._refused(batch, error)
            return
        self._keep(batch.changed(job=str(jobs[0].job_id).partition("_")[0]))

    def _refused(self, batch: Batch, error: Exception) -> None:
        """A submission that failed: forget it, unless SLURM has it all the same or does not say."""
        words = " ".join(str(error).split())
        if any(line.name == batch.name for line in scheduler.queue([batch.name])):
            return  # the next look finds its job id
        batch.remove()
        self._batches.remove(batch)
        kind = BusyError if any(sign in words for sign in NOT_NOW) else WorkError
        raise kind(f"SLURM did not take {len(batch.entries)} task(s): {words}") from error

    def _keep(self, changed: Batch) -> None:
        self._batches = [changed if batch.folder == changed.folder else batch for batch in self._batches]

    def _task(self, entry: Entry) -> ClusterTask:
        limit = minutes(self._settings.slurm.time)
        return ClusterTask(self._study, entry.run, limit * 60, self._notice_seconds)

    @property
    def _notice_seconds(self) -> int:
        return min(NOTICE, minutes(self._settings.slurm.time) * 15)

    def _executor(self, batch: Batch) -> Any:
        submitit = require_submitit()
        executor = submitit.SlurmExecutor(folder=batch.folder, max_num_timeout=ENDLESS)
        preparation = any(entry.run == PREPARATION for entry in batch.entries)
        executor.update_parameters(
            job_name=batch.name, signal_delay_s=self._notice_seconds, **parameters(self._settings, preparation)
        )
        return executor

    def poll(self, seconds: float) -> Mapping[Path, Job]:
        """See `Engine`; while the controller does not answer, everything is taken to be in the queue."""
        time.sleep(seconds)
        try:
            lines = scheduler.queue([batch.name for batch in self._batches])
        except scheduler.UnreachableError as error:
            self._tell(str(error))
            self._jobs = {path: Job(JobState.QUEUED, "the controller does not answer") for path in self._places()}
            return self._jobs
        self._tell(None)
        self._adopt(lines)
        found = {(line.name, line.index): line for line in lines}
        self._jobs = {
            self._study / run: self._job(batch, index, found.get((batch.name, index)))
            for run, (batch, index) in last_entries(self._batches).items()
        }
        return self._jobs

    def _places(self) -> list[Path]:
        return [self._study / run for run in last_entries(self._batches)]

    def _tell(self, problem: str | None) -> None:
        if problem is not None and self._reachable:
            self._notice(f"{problem}. Jobs go on without it; waiting.")
        if problem is None and not self._reachable:
            self._notice("SLURM's controller answers again.")
        self._reachable = problem is None

    def _adopt(self, lines: Sequence[scheduler.Queued]) -> None:
        """Learn the job id of a batch whose submitter was ended before it could write it down."""
        known = {line.name: line.job for line in lines}
        for batch in [one for one in self._batches if one.job is None and one.name in known]:
            changed = batch.changed(job=known[batch.name])
            self._mend(changed)
            self._keep(changed)

    def _mend(self, batch: Batch) -> None:
        """Write what submitit had not put in its place yet; the job waits for it."""
        from submitit.core.utils import DelayedSubmission

        for index, entry in enumerate(batch.entries):
            task = f"{batch.job}_{index}" if len(batch.entries) > 1 else str(batch.job)
            path = batch.folder / f"{task}_submitted.pkl"
            if not path.exists():
                submission = DelayedSubmission(self._task(entry))
                submission.set_timeout(minutes(self._settings.slurm.time), ENDLESS)
                write_with(path, submission.dump)

    def _job(self, batch: Batch, index: int, line: scheduler.Queued | None) -> Job:
        run = batch.entries[index].run
        if line is None:
            if time.time() - batch.submitted < GRACE:
                return Job(JobState.QUEUED, "not in the queue yet")
            ending = self._is_fresh(run)
            return Job(JobState.ENDING if ending else JobState.OVER, "its job is gone from the queue")
        name = f"job {line.task}"
        if line.stuck:
            with contextlib.suppress(scheduler.UnreachableError):  # if it starts after all, no harm is done
                scheduler.cancel([name.removeprefix("job ")])
            return Job(JobState.OVER, f"{name} would never have started ({line.reason})")
        if line.state == "COMPLETING":
            return Job(JobState.ENDING, name)
        if not line.over:
            waiting = line.state == "PENDING"
            why = f", {line.reason}" if waiting and line.reason != "None" else ""
            return Job(JobState.QUEUED if waiting else JobState.RUNNING, f"{name}{why}")
        if line.state == "COMPLETED" and self._is_fresh(run):
            return Job(JobState.ENDING, f"{name} has ended")
        words = self._ending(batch, index, f"{name} ended as {line.state}")
        return Job(JobState.OVER, words, log=batch.log(index))

    def _ending(self, batch: Batch, index: int, words: str) -> str:
        """How a job ended, with what it said last; its log is read once."""
        if words not in self._endings:
            said = batch.last_words(index)
            self._endings[words] = f"{words}: {said}" if said else words
        return self._endings[words]

    def _is_fresh(self, run: str) -> bool:
        """Whether the run wrote its log lately, so that a result may still be on its way through the file system."""
        try:
            log = Path("nnunet/preprocessing.log") if run == PREPARATION else Path(run) / "log.txt"
            return time.time() - (self._study / log).stat().st_mtime < GRACE
        except OSError:
            return False

    def tries(self, folder: Path) -> int:
        """See `Engine`."""
        return tries(self._batches, folder.relative_to(self._study).as_posix(), saved_epochs(folder))

    def pause(self, seconds: float) -> float:
        """See `Engine`; the longer the work takes, the less often SLURM is asked."""
        return min(max(seconds / 20, PAUSES[0]), PAUSES[1])

    def forget_done(self, left: Collection[Path]) -> None:
        """Forget the batches whose every run is done, and take what is left of them out of the queue.

        Args:
            left: Folders of runs that are not done.
        """
        with contextlib.suppress(WorkError):  # a job that hangs, or no controller: the next call does it
            done = [b for b in self._batches if all(self._is_done(entry, left) for entry in b.entries)]
            self._forget(done, patience=ENDING)

    def _is_done(self, entry: Entry, left: Collection[Path]) -> bool:
        """Whether a task is done; runs that are handed over prove that the preparation is."""
        folder = self._study / entry.run
        return entry.run == PREPARATION or (folder not in left and run_status(folder) is RunStatus.COMPLETED)

    def forgive(self) -> None:
        """Let what was tried so far count as no try; batches that nobody works on are forgotten.

        Raises:
            UnreachableError: The controller does not answer.
        """
        alive = {line.name for line in scheduler.queue([b.name for b in self._batches]) if not line.over}
        self._forget([batch for batch in self._batches if batch.name not in alive])
        self._batches = [batch.changed(forgiven=True) for batch in self._batches]

    def cancel(self) -> list[str]:
        """Take every job out of the queue and wait until it has ended.

        Returns:
            Runs that were queued or running.

        Raises:
            UnreachableError: The controller does not answer.
            WorkError: Jobs did not end in time.
        """
        batches = {batch.name: batch for batch in self._batches}
        alive = [line for line in scheduler.queue(batches) if not line.over]
        runs = [batches[line.name].entries[line.index].run for line in alive]
        self._forget(self._batches)
        return runs

    def _forget(self, batches: Collection[Batch], patience: float = 0.0) -> None:
        """End the jobs of batches, then remove what is known of them; jobs may end by themselves for a while."""
        chosen, began = list(batches), time.monotonic()
        names = [batch.name for batch in chosen]
        while alive := [line for line in scheduler.queue(names) if not line.over]:
            waited = time.monotonic() - began
            if waited > patience + CANCELLING:
                raise WorkError(f"{len(alive)} job(s), {alive[0].job} among them, did not end within {CANCELLING:g} s.")
            if waited >= patience:
                scheduler.cancel(sorted({line.job for line in alive}))
            time.sleep(1.0)
        for batch in chosen:
            batch.remove()
        self._batches = [batch for batch in self._batches if batch not in chosen]
        with contextlib.suppress(OSError):  # there are others, or there is none
            (self._study / "jobs").rmdir()


def parameters(settings: ExecutionSection, preparation: bool) -> dict[str, Any]:
    """Submitit's parameters for what `study.toml` asks for.

    Args:
        settings: The section.
        preparation: For planning and preprocessing, which needs no GPU.
    """
    asked = settings.slurm
    partition = asked.cpu_partition if preparation and asked.cpu_partition is not None else asked.partition
    options = {name.replace("_", "-"): value for name, value in asked.options.items()}
    found = {
        "partition": partition,
        "account": asked.account,
        "qos": asked.qos,
        "time": minutes(asked.time),
        "gres": None if preparation else settings.gres or None,
        "cpus_per_task": settings.cpus,
        "setup": ["set -e", *asked.setup, "set +e"] if asked.setup else None,  # a line that fails ends the job
        "additional_parameters": {"requeue": True, **({"mem": asked.mem} if asked.mem else {}), **options},
        "stderr_to_stdout": True,
        "srun_args": [f"--cpus-per-task={settings.cpus}"],  # srun does not take it over from sbatch everywhere
        "array_parallelism": settings.jobs or AT_ONCE,
    }
    return {name: value for name, value in found.items() if value is not None}
