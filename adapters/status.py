"""How far a study has come, and what the rest would take."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..forecast.errors import InputError
from .campaign import read_dataset_of
from .execution import default_jobs
from .files import read_json
from .nnunet.pilot import RunStatus, run_status
from .study import Study, run_folder, structures_of

STALE = 600
"""Seconds without progress after which a run counts as stopped."""


def study_status(study: Study, *, planned: bool) -> tuple[RenderableType, dict[str, Any]]:
    """Every run with its state.

    Args:
        study: The study.
        planned: Also check the dataset, as `run` would, and estimate disk space.

    Returns:
        Report and document.
    """
    rows = _rows(study)
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    due = [row for row in rows if row["status"] != RunStatus.COMPLETED.value]
    jobs = study.settings.execution.jobs or default_jobs(study.settings.execution.device.replace("auto", "cpu"))
    hours = len(due) * statistics.mean(seconds) / 3600 / jobs if seconds else None
    document: dict[str, Any] = {
        "study": str(study.folder),
        "n_annotated": study.pool_sizes[-1],
        "runs": rows,
        "due": len(due),
        "hours_left": hours,
    }
    if planned:
        structures_of(study, read_dataset_of(study))
        document["gigabytes"] = _gigabytes(study)
    return _report(study, rows, document), document


def _rows(study: Study) -> list[dict[str, Any]]:
    return [
        _row(run_folder(study, arm.name, n, draw), arm.name, n, draw)
        for n in study.sizes()
        for arm in study.settings.arms
        for draw in range(study.settings.pilots.draws_at(n))
    ]


def _row(folder: Path, arm: str, n: int, draw: int) -> dict[str, Any]:
    state, done, seconds, error = run_status(folder), None, None, None
    if state is RunStatus.RUNNING:
        try:
            progress = read_json(folder / "progress.json")
        except InputError:  # completed between two looks
            progress = {"epochs_done": 0, "epochs": 1, "time": time.time()}
        done = progress["epochs_done"] / progress["epochs"]
        if time.time() - progress["time"] > STALE:
            state = RunStatus.PLANNED
    elif state is not RunStatus.PLANNED:
        made = read_json(folder / "run.json")
        seconds = sum(made["seconds"].values()) if "seconds" in made else None
        error = made.get("error")
    return {
        "arm": arm,
        "n": n,
        "draw": draw,
        "status": state.value,
        "share_done": done,
        "seconds": seconds,
        "error": error,
    }


def _gigabytes(study: Study) -> float:
    """Upper bound of disk space for preprocessed cases: float32 voxels and int16 labels, uncompressed."""
    voxels = study.cases.loc[study.cases["role"] != "unannotated", "voxels"].replace("", "0").astype(int).sum()
    configurations = len({arm.configuration for arm in study.settings.arms})
    return float(voxels) * 6 * configurations / 1e9


def _report(study: Study, rows: list[dict[str, Any]], document: dict[str, Any]) -> RenderableType:
    table = Table(
        title=f"{study.folder}: {document['n_annotated']} annotated cases",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    for column in ("arm", "cases", "draw", "status", "minutes", ""):
        table.add_column(column)
    styles = {"completed": "green", "running": "cyan", "failed": "red", "planned": "dim"}
    for row in rows:
        note = row["error"] or (f"{row['share_done']:.0%} of its epochs" if row["share_done"] is not None else "")
        minutes = "" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}"
        word = "due" if row["status"] == "planned" else row["status"]
        table.add_row(row["arm"], str(row["n"]), str(row["draw"]), Text(word, styles[row["status"]]), minutes, note)
    done = sum(row["status"] == "completed" for row in rows)
    hours = document["hours_left"]
    eta = "no run has finished yet, so their time is not known" if hours is None else f"about {hours:.2f} h left"
    lines = [Text(f"{done} of {len(rows)} runs done, {document['due']} due; {eta}.")]
    if study.settings.pilots.schedule_check and document["due"]:
        lines.append(Text("The schedule check adds two runs of twice the length per arm before a decision.", "dim"))
    if "gigabytes" in document:
        lines.append(Text(f"Preprocessed cases take at most {document['gigabytes']:.2f} GB."))
    return Group(table, *lines)
