"""Submitting runs and trying lost ones again, until each is complete or has failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...forecast.errors import DicecastError, WorkError
from ..nnunet.spec import PilotSpec, RunStatus, is_done, read_record, run_status
from .engine import BusyError, Engine, Job, JobState
from .workers import raise_first

TRIES = 3
"""How often in a row a run may be started without getting further."""


@dataclass
class Standing:
    """How far a list of runs has come."""

    specs: Sequence[PilotSpec]
    done: list[PilotSpec] = field(default_factory=list)
    failed: list[tuple[PilotSpec, DicecastError]] = field(default_factory=list)
    running: list[PilotSpec] = field(default_factory=list)
    queued: list[PilotSpec] = field(default_factory=list)
    """Handed over, not begun."""
    held: list[PilotSpec] = field(default_factory=list)
    """Waiting for another run's predictions, or to be handed over."""
    refused: BusyError | None = None
    """Why runs could not be handed over yet."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to wait for."""
        return not (self.running or self.queued or self.held)

    def raise_first(self) -> None:
        """Raise the first failure, saying how many more there were."""
        raise_first([error for _, error in self.failed])


Watch = Callable[[Standing], None]
Notice = Callable[[str], None]


def work_off(specs: Sequence[PilotSpec], engine: Engine, watch: Watch, notice: Notice, *, wait: bool) -> Standing:
    """Have runs done.

    Args:
        specs: What there is to do; runs that are done already are left alone.
        engine: Where.
        watch: Told how far they are, at every look.
        notice: Told what is tried again.
        wait: Until each is complete or has failed; otherwise hand over what is due, and return.

    Raises:
        WorkError: Runs can never be handed over as they are asked for.
    """
    began = time.monotonic()
    supervisor = _Supervisor(specs, engine, notice)
    jobs = engine.poll(0)
    while True:
        standing = supervisor.look(jobs)
        watch(standing)
        if standing.over or (not wait and standing.held == supervisor.held_back):
            return standing
        if not wait and standing.refused is not None:
            return supervisor.look(engine.poll(0), standing.refused)  # part of them may have been handed over
        jobs = engine.poll(engine.pause(time.monotonic() - began) if not supervisor.submitted else 0)


class _Supervisor:
    """Looks at runs again and again; what is over is looked at once."""

    def __init__(self, specs: Sequence[PilotSpec], engine: Engine, notice: Notice) -> None:
        self._specs, self._engine, self._notice = specs, engine, notice
        self._folders = {spec.folder for spec in specs}
        self._over: dict[Path, DicecastError | None] = {spec.folder: None for spec in specs if is_done(spec)}
        self.held_back: list[PilotSpec] = []
        """Runs that wait for another run."""
        self.submitted = False
        """Whether the last look handed something over."""

    def look(self, jobs: Mapping[Path, Job], refused: BusyError | None = None) -> Standing:
        """Where every run stands, handing over what is due unless that was just refused."""
        due = []
        for spec in self._specs:
            job = jobs.get(spec.folder)
            if spec.folder in self._over:
                continue
            if job is not None and job.state in (JobState.ENDING, JobState.OVER) and is_done(spec):
                self._over[spec.folder] = None
            elif job is not None and job.alive:
                continue
            elif (error := self._given_up(spec, job)) is not None:
                self._over[spec.folder] = error
            else:
                due.append(spec)
        self.held_back = [spec for spec in due if not self._ready(spec)]
        refused = refused or self._submit([spec for spec in due if self._ready(spec)], jobs)
        self.submitted = refused is None and len(due) > len(self.held_back)
        return self._standing(jobs, due, refused)

    def _submit(self, ready: list[PilotSpec], jobs: Mapping[Path, Job]) -> BusyError | None:
        if not ready:
            return None
        lost = [(spec, jobs[spec.folder]) for spec in ready if spec.folder in jobs]
        try:
            self._engine.submit(ready)
        except BusyError as error:
            return error
        for spec, job in lost:
            self._notice(f"pilot run {spec.name}: {job.words or 'no result'}; trying again.")
        return None

    def _ready(self, spec: PilotSpec) -> bool:
        """Runs that crop by another run's predictions wait for it; what is only scored anew has them."""
        if spec.boxes is None or run_status(spec.boxes) is RunStatus.COMPLETED:
            return True
        return run_status(spec.folder) is RunStatus.COMPLETED

    def _given_up(self, spec: PilotSpec, job: Job | None) -> DicecastError | None:
        """Why a run that is not done is not tried again; None where it is."""
        if spec.boxes is not None and isinstance(self._over.get(spec.boxes), DicecastError):
            return WorkError(f"pilot run {spec.name} needs the predictions of {spec.boxes}, which failed.")
        if spec.boxes not in self._folders and not self._ready(spec):
            return WorkError(f"pilot run {spec.name} needs the predictions of {spec.boxes}, which is not asked for.")
        if job is None:
            return None
        error = job.error or _recorded(spec, self._engine.way_on)
        if error is not None and not self._engine.retries_errors:
            return error
        if self._engine.tries(spec.folder) < TRIES:
            return None
        words, log = job.words or "no word why", job.log or spec.folder / "log.txt"
        return error or WorkError(
            f"pilot run {spec.name} ended {TRIES} times without a result ({words}). Its log is {log}; where that says "
            f"nothing, memory is the usual cause, and fewer runs at the same time need less. {self._engine.way_on}."
        )

    def _standing(self, jobs: Mapping[Path, Job], due: list[PilotSpec], refused: BusyError | None) -> Standing:
        standing = Standing(self._specs, refused=refused)
        waiting = {spec.folder for spec in due}
        for spec in self._specs:
            job = jobs.get(spec.folder)
            if spec.folder in self._over:
                error = self._over[spec.folder]
                if error is None:
                    standing.done.append(spec)
                else:
                    standing.failed.append((spec, error))
            elif spec.folder in waiting:
                standing.held.append(spec)
            elif job is not None and job.state in (JobState.RUNNING, JobState.ENDING):
                standing.running.append(spec)
            else:
                standing.queued.append(spec)
        return standing


def _recorded(spec: PilotSpec, way_on: str) -> WorkError | None:
    """The failure that an attempt put on record."""
    if run_status(spec.folder) is not RunStatus.FAILED:
        return None
    reason = read_record(spec.folder).get("error", "no reason given")
    log = spec.folder / "log.txt"
    return WorkError(f"pilot run {spec.name} failed: {reason}. Its log is {log}. {way_on}.")
