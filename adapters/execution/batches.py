"""What was handed to SLURM, on disk before it is: which task of which job is which run.

The tasks of an array share one name, so SLURM alone cannot tell them apart. Each batch has a folder `jobs/<name>` in
the study with its `batch.json`, and what submitit and SLURM write for it; it goes when all its runs are complete.
"""

from __future__ import annotations

import re
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...forecast.errors import InputError
from ..files import read_json, write_json
from ..json_shape import misfit

PREPARATION = "preparation"
"""The task that plans and preprocesses."""
WRITTEN = {
    "tasks": [{"run": str, "saved": int}],
    "submitted": float,
    "job": (str, None),
    "forgiven?": bool,
}
"""The shape of a `batch.json`."""
JOB = re.compile(r"[\w.+-]{0,64}")
"""A job's id, which names files."""
SLURM_SAYS = ("srun:", "slurmstepd:", "submitit ")
"""Beginnings of lines that are about the job and not from it."""


@dataclass(frozen=True)
class Entry:
    """One task of a batch."""

    run: str
    """Run folder within the study, or `preparation`."""
    saved: int
    """Epochs in its checkpoints when it was handed over."""


@dataclass(frozen=True)
class Batch:
    """Tasks that were handed over together."""

    folder: Path
    entries: tuple[Entry, ...]
    submitted: float
    """When, seconds since 1970."""
    job: str | None = None
    """SLURM's job id; None until it is known."""
    forgiven: bool = False
    """Whether it counts as no try any more, since the user asked to try again."""

    @property
    def name(self) -> str:
        """Name of the job; no other batch has it."""
        return self.folder.name

    def write(self) -> None:
        """Put it on disk."""
        document = {"job": self.job, "submitted": self.submitted, "forgiven": self.forgiven}
        write_json(self.folder / "batch.json", {**document, "tasks": [asdict(entry) for entry in self.entries]})

    def changed(self, **changes: str | bool) -> Batch:
        """The batch with a job id, or forgiven; put on disk."""
        found = replace(self, **changes)  # type: ignore[arg-type]
        found.write()
        return found

    def log(self, index: int) -> Path:
        """What the job of a task printed."""
        task = f"{self.job}_{index}" if len(self.entries) > 1 else str(self.job)
        return self.folder / f"{task}_0_log.out"

    def last_words(self, index: int) -> str:
        """The last line of a task's log that says something; empty where there is none."""
        path = self.log(index)
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        said = [line.strip() for line in lines if line.strip() and not line.startswith(SLURM_SAYS)]
        return said[-1] if said else ""

    def remove(self) -> None:
        """Forget it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def new_batch(study: Path, entries: Sequence[Entry]) -> Batch:
    """A batch under a new name, put on disk."""
    shown = re.sub(r"[^A-Za-z0-9_.]+", "-", study.name)[:24]
    batch = Batch(study / "jobs" / f"dicecast-{shown}-{uuid.uuid4().hex[:12]}", tuple(entries), time.time())
    batch.write()
    return batch


def read_batches(study: Path) -> list[Batch]:
    """Every batch that is not forgotten, the oldest first.

    Raises:
        InputError: A `batch.json` cannot be read.
    """
    found = [batch for path in study.glob("jobs/*/batch.json") if (batch := _batch(path)) is not None]
    return sorted(found, key=lambda batch: batch.submitted)


def _batch(path: Path) -> Batch | None:
    """What a file says; None where it was removed between two looks."""
    try:
        document = read_json(path)
    except InputError:
        if not path.exists():
            return None
        raise
    wrong = misfit(document, WRITTEN)
    if wrong is None and not JOB.fullmatch(document["job"] or ""):
        wrong = "job must be an id of SLURM's"
    if wrong is not None:
        raise InputError(
            f"{path}: must be what dicecast wrote of a submission, but {wrong}. Delete {path.parent}; its runs are "
            "then handed over again."
        )
    entries = tuple(Entry(task["run"], task["saved"]) for task in document["tasks"])
    return Batch(path.parent, entries, float(document["submitted"]), document["job"], document.get("forgiven", False))


def last_entries(batches: Sequence[Batch]) -> Mapping[str, tuple[Batch, int]]:
    """The last batch and index of every run."""
    return {entry.run: (batch, index) for batch in batches for index, entry in enumerate(batch.entries)}


def tries(batches: Sequence[Batch], run: str, saved: int) -> int:
    """How often in a row SLURM took a run with as many epochs as it has now."""
    counted = [batch for batch in batches if batch.job is not None and not batch.forgiven]
    handed = [entry.saved for batch in counted for entry in batch.entries if entry.run == run]
    last = next((i for i, one in enumerate(reversed(handed)) if one != saved), len(handed))
    return last
