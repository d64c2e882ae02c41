"""Talking to SLURM's controller: who is in the queue, and taking jobs out of it."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...forecast.errors import WorkError
from .engine import BusyError

PATIENCE = 60
"""Seconds that a command to the controller may take."""
OVER = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}
"""States in which SLURM is done with a job."""
STUCK = ("launch failed requeued held", "DependencyNeverSatisfied", "BadConstraints", "JobHoldMaxRequeue")
"""Reasons for which a pending job never starts by itself."""
HELD = ("REQUEUE_HOLD", "SPECIAL_EXIT")
"""States of which the same is true."""


class UnreachableError(BusyError):
    """The controller does not answer; what is in the queue stays there."""


@dataclass(frozen=True)
class Queued:
    """A line of the queue."""

    name: str
    job: str
    """Job id; of an array, that of the array."""
    index: int
    """Task of the array; 0 without one."""
    state: str
    reason: str
    in_array: bool

    @property
    def task(self) -> str:
        """What SLURM's commands call it."""
        return f"{self.job}_{self.index}" if self.in_array else self.job

    @property
    def over(self) -> bool:
        """Whether SLURM is done with it."""
        return self.state in OVER

    @property
    def stuck(self) -> bool:
        """Whether it waits for what will not come."""
        reasons = {reason.replace("_", " ") for reason in STUCK}
        return self.state in HELD or (self.state == "PENDING" and self.reason.replace("_", " ") in reasons)


def queue(names: Collection[str]) -> list[Queued]:
    """The jobs of these names, those that ended lately among them.

    Raises:
        UnreachableError: The controller does not answer.
        WorkError: There is no SLURM here.
    """
    if not names:
        return []
    form = "%j|%F|%K|%T|%r"
    said = _ask(["squeue", "--noheader", "--array", "--states=all", f"--name={','.join(names)}", f"--format={form}"])
    return [_line(line) for line in said.splitlines() if line.count("|") >= form.count("|")]


def _line(text: str) -> Queued:
    name, job, index, state, reason = text.strip().split("|", 4)
    in_array = index.isdigit()
    return Queued(name, job, int(index) if in_array else 0, state, reason.strip("()"), in_array)


def cancel(jobs: Sequence[str]) -> None:
    """Take jobs out of the queue; those that are gone do not matter.

    Raises:
        UnreachableError: The controller does not answer.
    """
    for start in range(0, len(jobs), 500):
        _ask(["scancel", "--quiet", *jobs[start : start + 500]])


def largest_array() -> int:
    """Tasks that an array may have."""
    for line in _ask(["scontrol", "show", "config"]).splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "MaxArraySize" and value.strip().isdigit():
            return max(1, int(value) - 1)
    return 1000


def _ask(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError as error:
        raise WorkError(
            f"{command[0]} was not found: --engine slurm must be run on a machine that submits to SLURM. Log in to "
            "one, or use --engine local."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"SLURM's controller did not answer {command[0]} within {PATIENCE} s.") from error
    if done.returncode != 0:
        words = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise UnreachableError(f"SLURM's controller did not answer {command[0]}: {words}")
    return done.stdout
