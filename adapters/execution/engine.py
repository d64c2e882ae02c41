"""What the loop needs of a place where runs are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from ...forecast.errors import DicecastError, WorkError
from ..nnunet.spec import PilotSpec


class BusyError(WorkError):
    """Runs cannot be handed over now; later they may."""


class JobState(Enum):
    """QUEUED -> RUNNING [-> ENDING] -> OVER. Over is not done: only the run folder says whether the run is complete.

    ENDING: the work went well, but on a shared file system its result may take a while to show.
    """

    QUEUED = "queued"
    RUNNING = "running"
    ENDING = "ending"
    OVER = "over"


@dataclass(frozen=True)
class Job:
    """Somebody's work on a run."""

    state: JobState
    words: str = ""
    """What the engine says of it: a job id, why it waits, how it ended."""
    error: DicecastError | None = None
    """What went wrong, where the engine knows."""
    log: Path | None = None
    """What it printed, where that is not in the run's own log."""

    @property
    def alive(self) -> bool:
        """Whether the work may still bring a result."""
        return self.state is not JobState.OVER


class Engine(Protocol):
    """Does runs: here in worker processes, or elsewhere through a scheduler."""

    retries_errors: bool
    """Whether another try may land on another machine, so that an error is worth one."""
    way_on: str
    """What the user does about a run that was given up."""

    def submit(self, specs: Sequence[PilotSpec]) -> None:
        """Hand over runs.

        Raises:
            BusyError: None of them, or not all, could be handed over now; `poll` knows which were.
            WorkError: They never will be.
        """
        ...

    def poll(self, seconds: float) -> Mapping[Path, Job]:
        """The last job of every run that was handed over and not forgotten, by run folder.

        Args:
            seconds: Wait at most so long for news.
        """
        ...

    def tries(self, folder: Path) -> int:
        """How often in a row a run was handed over and got no further."""
        ...

    def pause(self, seconds: float) -> float:
        """Seconds to wait for news when the work has gone on for that long."""
        ...
