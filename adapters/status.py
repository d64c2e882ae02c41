"""How far a study has come, and what the rest would take."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ..forecast.errors import InputError
from .files import read_json
from .loop import read_dataset_of
from .nnunet.spec import RunStatus, read_record, run_status
from .run_folders import FINISHED, completed_runs, left_arms, run_folder, run_folders
from .run_scores import outdated
from .screen import plain_table
from .study import Study, is_running
from .study_checks import check_planned, check_study


def study_status(study: Study, *, planned: bool, replay: bool) -> tuple[RenderableType, dict[str, Any]]:
    """Every run with its state.

    Args:
        study: The study.
        planned: Also check the dataset, as `run` would, count new cases and estimate disk space.
        replay: Whether the run asked about is a replay.

    Returns:
        Report and document.
    """
    running = is_running(study)
    rows = [*_runs(study, running), *_checks(study, running)]
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    due = [row for row in rows if row["status"] != RunStatus.COMPLETED.value]
    at_once = sum(row["status"] == RunStatus.RUNNING.value for row in rows) or study.settings.execution.jobs or 1
    document: dict[str, Any] = {
        "study": str(study.folder),
        "running": running,
        "n_annotated": study.pool_sizes[-1],
        "runs": rows,
        "due": len(due),
        "to_score": sum(outdated(study.settings, run) is not None for run in completed_runs(study)),
        "left_arms": left_arms(study),
        "hours_left": _hours(due, seconds, at_once),
    }
    if planned:
        dataset = read_dataset_of(study)
        check_study(study, dataset)
        check_planned(study, dataset)
        known = set(study.cases.loc[study.cases["role"] != "unannotated", "case"]) | set(study.hidden)
        document["new_cases"] = 0 if replay else len(set(dataset.cases) - known)
        document["gigabytes"] = gigabytes_needed(study)
        document["iterations"] = sum(_iterations(study, row) for row in due)
    return _report(study, document), document


def _hours(due: list[dict[str, Any]], seconds: list[float], at_once: int) -> float | None:
    """From the runs done so far: nnU-Net's time per run does not depend on the number of cases."""
    if not seconds:
        return None
    mean = statistics.mean(seconds)
    left = sum(1 - (row["share_done"] or 0) for row in due)
    return left * mean / 3600 / min(at_once, max(len(due), 1))


def _runs(study: Study, running: bool) -> list[dict[str, Any]]:
    trained = [
        (arm.name, n, draw)
        for n in study.sizes()
        for arm in study.settings.arms
        for draw in range(study.settings.pilots.draws_at(n))
    ]
    finished = [(arm.name, arm.finished.n, FINISHED) for arm in study.settings.arms if arm.finished is not None]
    asked = [_row(run_folder(study, *run), *run, running) for run in [*trained, *finished]]
    others = [run for run in completed_runs(study) if (run.arm, run.n, run.draw) not in {*trained, *finished}]
    return asked + [{**_row(run.path, run.arm, run.n, run.draw, running), "asked": False} for run in others]


def _checks(study: Study, running: bool) -> list[dict[str, Any]]:
    """Schedule checks that were begun: which there will be is known only before a decision."""
    begun = run_folders(study, check=True)
    return [{**_row(run.path, run.arm, run.n, run.draw, running), "check": True} for run in begun]


def _iterations(study: Study, row: dict[str, Any]) -> int:
    training = study.settings.arm(row["arm"]).training(study.settings.pilots)
    return (
        training.epochs * training.iterations * study.settings.pilots.models_at(row["n"]) * (2 if row["check"] else 1)
    )


def _row(folder: Path, arm: str, n: int, draw: int, running: bool) -> dict[str, Any]:
    state, done, seconds, error = run_status(folder), None, None, None
    if state is RunStatus.RUNNING:
        try:
            progress = read_json(folder / "progress.json")
            done = progress["epochs_done"] / progress["epochs"]
        except (InputError, TypeError, KeyError):  # it was completed between two looks
            done = 1.0
        state = state if running else RunStatus.PLANNED
    elif state is not RunStatus.PLANNED:
        made = read_record(folder)
        seconds = sum(made["seconds"].values()) if "seconds" in made else None
        error = made.get("error")
    return {
        "arm": arm,
        "n": n,
        "draw": draw,
        "check": False,
        "asked": True,
        "status": state.value,
        "share_done": done,
        "seconds": seconds,
        "error": error,
    }


def gigabytes_needed(study: Study) -> float:
    """Disk space of preprocessed cases, about: float32 voxels and int16 labels, uncompressed, not resampled."""
    voxels = study.cases.loc[study.cases["role"] != "unannotated", "voxels"].replace("", "0").astype(int).sum()
    configurations = len({(arm.configuration, repr(arm.planning)) for arm in study.settings.arms})
    extra = max((arm.extra_cases.ratio for arm in study.settings.arms if arm.extra_cases is not None), default=0.0)
    return float(voxels) * 6 * configurations * (1 + extra) / 1e9


def _report(study: Study, document: dict[str, Any]) -> RenderableType:
    rows = document["runs"]
    title = f"{study.folder}: {document['n_annotated']} annotated cases"
    table = plain_table(title, "arm", "cases", "draw", "status", "minutes", "", numbers=False)
    styles = {"completed": "green", "running": "cyan", "failed": "red", "planned": "dim"}
    for row in rows:
        notes = ["schedule check"] if row["check"] else []
        notes += [] if row["asked"] else ["no longer asked for, but counts"]
        notes += [f"{row['share_done']:.0%} of its epochs"] if row["share_done"] is not None else []
        notes += [row["error"]] if row["error"] else []
        minutes = "" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}"
        word = "due" if row["status"] == "planned" else row["status"]
        cells = (row["arm"], str(row["n"]), str(row["draw"]), Text(word, styles[row["status"]]), minutes)
        table.add_row(*cells, "; ".join(notes))
    return Group(table, *_summary(study, document))


def _summary(study: Study, document: dict[str, Any]) -> list[Text]:
    rows, hours = document["runs"], document["hours_left"]
    done = sum(row["status"] == "completed" for row in rows)
    eta = "no run has finished yet, so their time is not known" if hours is None else f"about {hours:.2f} h left"
    working = "A run is working in the study." if document["running"] else "No run is working in the study."
    lines = [Text(f"{done} of {len(rows)} runs done, {document['due']} due; {eta}. {working}")]
    if document["to_score"]:
        lines.append(Text(f"{document['to_score']} runs will be scored anew: [scores] was changed since.", "yellow"))
    for arm in document["left_arms"]:
        lines.append(Text(f"The runs of arm {arm} count nowhere: study.toml does not name it any more.", "yellow"))
    if study.settings.pilots.schedule_check:
        text = "Before a decision, the smallest and the largest size of each arm are also trained twice as long."
        lines.append(Text(text, "dim"))
    if "iterations" in document:
        lines.append(
            Text(
                f"{document['iterations']} training iterations are due (dicecast doctor --benchmark times one here); "
                f"preprocessed cases take about {document['gigabytes']:.2f} GB."
            )
        )
    if document.get("new_cases"):
        lines.append(
            Text(f"{document['new_cases']} newly annotated cases will join the pool, and its new size be trained.")
        )
    return lines
