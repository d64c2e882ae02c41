"""What submitit calls on a node: one run in a process of its own.

SIGUSR2, by which SLURM announces the time limit, reaches every process of a job, augmentation workers among them, and
would kill them: the process starts with it ignored.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..nnunet.attempt import STOPPED, saved_epochs
from ..nnunet.environment import THREADS
from .batches import PREPARATION

PARENT = "DICECAST_PARENT"
"""Environment variable: the process whose end a job's process does not survive."""
SPARE = 15.0
"""Seconds of the notice before a time limit that are left for SLURM to requeue the job."""
LONG = 0.4
"""Share of the time limit after which a notice is of that limit: SLURM gives it up to a minute early."""
TO_BE_KILLED = 900.0
"""Seconds to wait for SLURM to end a job that it asked to stop; ending before would read as done."""


class ClusterTask:
    """One task of a batch; submitit's checkpoint protocol requeues it at the time limit."""

    def __init__(self, study: Path, run: str, limit: float, notice: float) -> None:
        """Say what is to be done.

        Args:
            study: Study folder, on storage that the node sees.
            run: Run folder within the study, or `preparation`.
            limit: Time limit, seconds.
            notice: Seconds before the limit that SLURM gives notice.
        """
        self._study, self._run, self._limit, self._notice = study, run, limit, notice
        self._began = time.time()
        self._before = 0
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        """What is run."""
        work = [sys.executable, "-m", "dicecast", "work", str(self._study), self._run]
        return ["sh", "-c", 'trap "" USR2; exec "$@"', "sh", *work]

    def __call__(self) -> None:
        """Run it to its end.

        Raises:
            RuntimeError: It ended without a result.
        """
        self._began, self._before = time.time(), self._progress()
        own = {**dict.fromkeys(THREADS, "1"), PARENT: str(os.getpid()), "nnUNet_def_n_proc": "1"}
        self._child = subprocess.Popen(self.command, env={**os.environ, **own})
        code = self._child.wait()
        if code == STOPPED:
            time.sleep(TO_BE_KILLED)
        if code != 0:
            raise RuntimeError(f"{self._run} ended with exit code {code}")

    def checkpoint(self) -> Any:
        """Have the training write a checkpoint and stop, and let the job be requeued.

        Returns:
            What is to be done after that; None where a whole time limit brought the run no further.
        """
        from submitit.helpers import DelayedSubmission

        if self._child is not None:
            self._child.terminate()
            if not self._ends_within(max(1.0, self._notice - SPARE)):
                self._child.kill()
        if time.time() - self._began > LONG * self._limit and self._progress() <= self._before:
            return None
        return DelayedSubmission(ClusterTask(self._study, self._run, self._limit, self._notice))

    def _ends_within(self, seconds: float) -> bool:
        """Whether the process ends in time; `wait` would block, for it is what the signal has interrupted."""
        assert self._child is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is not None:
                return True
            time.sleep(0.1)
        return False

    def _progress(self) -> int:
        """Epochs in the checkpoints; of the preparation, plans made and cases preprocessed."""
        if self._run != PREPARATION:
            return saved_epochs(self._study / self._run)
        made = self._study / "nnunet" / "preprocessed"
        return sum(1 for pattern in ("*/*.json", "*/*/*.pkl") for _ in made.glob(pattern))
