"""Where the runs of a study are done: on this machine, or on a SLURM cluster that prepares them in a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..forecast.errors import InputError, WorkError
from .execution.batches import PREPARATION, read_batches
from .execution.engine import BusyError, Engine
from .execution.local import LocalEngine
from .execution.scheduler import queue
from .execution.slots import augmentation_workers, slots_of, visible_gpus
from .execution.slurm import AT_ONCE, SlurmEngine, require_submitit
from .execution.supervise import TRIES
from .execution.workers import Workers, open_workers
from .execution_section import ExecutionSection
from .nnunet import detect_device
from .nnunet.dataset import NnunetDataset
from .prepare import StepsWatcher, preparation_left, prepare
from .specs import Materials
from .study import Study

Notice = Callable[[str], None]
BUSY_SECONDS = 10.0
"""Until a preparation that SLURM did not take is handed over again."""


class Place(Protocol):
    """Prepares a study and does its runs."""

    @property
    def engine(self) -> Engine:
        """Does the runs."""
        ...

    @property
    def device(self) -> str:
        """Where the specs made here say that training is done."""
        ...

    @property
    def augmenters(self) -> int:
        """Augmentation processes of each run."""
        ...

    @property
    def at_once(self) -> int:
        """Runs beside each other, at most."""
        ...

    def prepare(self, study: Study, dataset: NnunetDataset, step: StepsWatcher) -> Materials:
        """Have everything there that runs need."""
        ...

    def tidy(self, left: Collection[Path]) -> None:
        """Forget what is done.

        Args:
            left: Folders of the runs that are not.
        """
        ...


class LocalPlace:
    """This machine."""

    def __init__(self, workers: Workers, device: str, slots: int) -> None:
        self.engine, self.device = LocalEngine(workers), device
        self.augmenters, self.at_once = augmentation_workers(device, slots), slots
        self._workers = workers

    def prepare(self, study: Study, dataset: NnunetDataset, step: StepsWatcher) -> Materials:
        """See `Place`."""
        return prepare(study, dataset, self._workers, step)

    def tidy(self, left: Collection[Path]) -> None:
        """Nothing is left: what the workers did is in the run folders."""


class SlurmPlace:
    """A cluster; the device is found on the node."""

    device = "cpu"
    augmenters = 0

    def __init__(self, engine: SlurmEngine, workers: Workers, at_once: int, notice: Notice, *, wait: bool) -> None:
        self.engine, self.at_once = engine, at_once
        self._workers, self._notice, self._wait = workers, notice, wait
        self._said = ""

    def prepare(self, study: Study, dataset: NnunetDataset, step: StepsWatcher) -> Materials:
        """Have a job plan and preprocess, and wait for it: what can be trained is known only then.

        Raises:
            WorkError: The job ended without having done so; quotes what it printed last.
        """
        place, waited, jobs = study.folder / PREPARATION, 0.0, self.engine.poll(0)
        while preparation_left(study, dataset):
            job = jobs.get(place)
            if job is None or not job.alive:
                self._submit_preparation(study, "" if job is None else job.words)
                jobs = self.engine.poll(0)
                continue
            if not waited:
                self._notice(f"planning and preprocessing: {job.words or job.state.value}. Interrupting is safe.")
            step(PREPARATION, 0, 1)
            pause = self.engine.pause(waited)
            waited += pause
            jobs = self.engine.poll(pause)
        step(PREPARATION, 1, 1)
        return prepare(study, dataset, self._workers, step)

    def _submit_preparation(self, study: Study, words: str) -> None:
        if self.engine.tries(study.folder / PREPARATION) >= TRIES:
            raise WorkError(
                f"{study.folder}: planning and preprocessing ended {TRIES} times without a result ({words}). Mend the "
                f"cause, then run with --retry. The logs are in {study.folder / 'jobs'}."
            )
        try:
            self.engine.submit_preparation()
        except BusyError as error:
            if not self._wait:
                raise
            if str(error) != self._said:
                self._notice(f"{error} Trying again.")
            self._said = str(error)
            self.engine.poll(BUSY_SECONDS)

    def tidy(self, left: Collection[Path]) -> None:
        """Forget the batches whose runs are done."""
        self.engine.forget_done(left)


@dataclass(frozen=True)
class Wanted:
    """What `run` was asked for beside `study.toml`; None keeps that."""

    engine: str | None = None
    jobs: int | None = None
    device: str | None = None
    gpus: list[int] | None = None
    runs_per_gpu: int | None = None
    retry: bool = False
    """Try runs again that were given up."""


@contextmanager
def open_place(study: Study, wanted: Wanted, notice: Notice, *, wait: bool) -> Iterator[Place]:
    """Where a study's runs are done; leaving the block ends what runs on this machine.

    Raises:
        InputError: Runs of the study are on the cluster and this machine is to do them too, submitit is missing, or
            more trainings are asked for than the GPUs take.
    """
    asked = study.settings.execution
    if (wanted.engine or asked.engine) == "slurm":
        with _on_cluster(study, asked, wanted, notice, wait) as cluster:
            yield cluster
        return
    _refuse_twice(study)
    device = detect_device(wanted.device or asked.device)
    slots = slots_of(
        device,
        wanted.jobs or asked.jobs,
        _gpus(device, wanted, asked),
        wanted.runs_per_gpu or asked.runs_per_gpu,
    )
    with open_workers(slots) as workers:
        yield LocalPlace(workers, device, len(slots))


def _gpus(device: str, wanted: Wanted, asked: ExecutionSection) -> list[str]:
    if device != "cuda":
        return []
    named, visible = wanted.gpus or asked.gpus, visible_gpus()
    chosen = visible if named is None else [str(gpu) for gpu in named]
    hidden = [gpu for gpu in chosen if gpu not in visible]
    if hidden or len(set(chosen)) < len(chosen):
        raise InputError(
            f"gpus must be different ones of {', '.join(visible) or 'none'}, the GPUs that this process may use, found "
            f"{', '.join(chosen)}."
        )
    return chosen


@contextmanager
def _on_cluster(
    study: Study, asked: ExecutionSection, wanted: Wanted, notice: Notice, wait: bool
) -> Iterator[SlurmPlace]:
    require_submitit()
    for name in ("device", "gpus", "runs_per_gpu"):
        if getattr(wanted, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} is about this machine: for jobs, set [execution] in study.toml instead.")
    settings = dataclasses.replace(asked, jobs=wanted.jobs or asked.jobs)
    engine = SlurmEngine(study.folder, settings, notice)
    if wanted.retry:
        engine.forgive()
    with open_workers(slots_of("cpu", 1, [], 1)) as workers:
        yield SlurmPlace(engine, workers, settings.jobs or AT_ONCE, notice, wait=wait)


def _refuse_twice(study: Study) -> None:
    """Runs that are on the cluster are not done here too."""
    batches = read_batches(study.folder)
    try:
        alive = [line for line in queue([batch.name for batch in batches]) if not line.over]
    except WorkError as error:
        raise InputError(
            f"{study.folder}: runs of this study were handed to SLURM, and whether they go on cannot be known here: "
            f"{error} Cancel them there, or delete {study.folder / 'jobs'} if they are gone."
        ) from error
    if alive:
        raise InputError(
            f"{study.folder}: {len(alive)} job(s) of this study are in SLURM's queue. Wait for them with --engine "
            f"slurm --wait, or take them out with: dicecast cancel {study.folder}"
        )
