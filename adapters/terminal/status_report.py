"""The state of a study's runs as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ..study import Study
from .screen import BAD, DOUBT, GOING, GOOD, plain_table, warning

MOST_ROWS = 40
"""Runs up to which each has a line; of more, those that are done or due are counted per arm and size."""
STYLES = {
    "completed": GOOD,
    "running": GOING,
    "queued": DOUBT,
    "failed": BAD,
    "unknown": BAD,
    "planned": "dim",
}


def status_report(study: Study, document: Mapping[str, Any]) -> RenderableType:
    """The runs of a study, or how many there are of each kind, and what the rest would take."""
    rows = document["runs"]
    title = Text(f"{study.folder}: {document['n_annotated']} annotated cases", "bold")
    begin = (title, Text(_progress_words(document)), *_warnings(document), Text(""))
    if len(rows) > MOST_ROWS:
        return Group(*begin, _counts(rows), Text(""), *_summary(study, document))
    table = plain_table("", "arm", "cases", "draw", "status", "minutes", "", numbers=False)
    for place in (1, 2, 4):
        table.columns[place].justify = "right"
    for row in rows:
        _add(table, row)
    return Group(*begin, table, Text(""), *_summary(study, document))


def _add(table: Any, row: Mapping[str, Any]) -> None:
    notes = ["schedule check"] if row["check"] else []
    notes += [] if row["asked"] else ["no longer asked for, but counts"]
    why = f" ({row['reason']})" if row["reason"] else ""
    notes += [f"job {row['job']}{why}"] if row["job"] is not None else []
    notes += [f"{row['share_done']:.0%} of its epochs"] if row["share_done"] is not None else []
    notes += [row[key] for key in ("lost", "error") if row[key]]
    minutes = "" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}"
    word = "due" if row["status"] == "planned" else row["status"]
    cells = (row["arm"], str(row["n"]), str(row["draw"]), Text(word, STYLES[row["status"]]), minutes)
    table.add_row(*cells, "; ".join(notes))


def _counts(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Many runs: how many of each arm and size are in which state, and those that failed."""
    words = {
        "completed": "done",
        "running": "running",
        "queued": "queued",
        "planned": "due",
        "failed": "failed",
        "unknown": "?",
    }
    counted: dict[tuple[str, int, bool], dict[str, int]] = {}
    for row in rows:
        states = counted.setdefault((row["arm"], row["n"], row["check"]), dict.fromkeys(words, 0))
        states[row["status"]] += 1
    table = plain_table("", "arm", "cases", *words.values(), "", numbers=True)
    for (arm, n, check), states in counted.items():
        cells = [Text(str(states[name]) if states[name] else "", STYLES[name]) for name in words]
        table.add_row(arm, str(n), *cells, "schedule check" if check else "")
    reasons = sorted({row["reason"] for row in rows if row["reason"]})
    failed = [row for row in rows if row["status"] == "failed"]
    lines = [Text(f"Waiting because of: {', '.join(reasons)}.")] if reasons else []
    for row in failed[:10]:
        what = f"{row['arm']}, n = {row['n']}, draw {row['draw']} failed: {row['error'] or row['lost']}"
        lines.append(Text(what, BAD))
    return Group(table, *lines)


def _warnings(document: Mapping[str, Any]) -> list[RenderableType]:
    """What asks for somebody to act."""
    found = [f"The queue is not known: {document['problem']}"] if document["problem"] else []
    if document["to_score"]:
        found.append(f"{document['to_score']} runs will be scored anew: [scores] was changed since.")
    for arm in document["left_arms"]:
        found.append(f"The runs of arm {arm} count nowhere: study.toml does not name it any more.")
    return [warning(words) for words in found]


def _summary(study: Study, document: Mapping[str, Any]) -> list[Text]:
    """What the rest needs and what it took so far."""
    lines = _machine_words(document)
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


def _progress_words(document: Mapping[str, Any]) -> str:
    """How many are done, what the rest takes, and who is at it."""
    rows, hours, jobs = document["runs"], document["hours_left"], document["jobs"]
    done, failed = (sum(row["status"] == state for row in rows) for state in ("completed", "failed"))
    lost = f", {failed} failed" if failed else ""
    eta = "no run has finished yet, so their time is not known" if hours is None else f"about {hours:.2f} h left"
    if hours:
        eta += f" ({document['hours_due']:.2f} h of training)"
    at_work = [f"{jobs[state]} {state}" for state in ("running", "queued") if jobs[state]]
    who = "A run is working in the study." if document["running"] else "No run is working in the study."
    if not document["running"] and at_work:
        who = f"On the cluster: {', '.join(at_work)}."
    if document["preparation"] is not None:
        ended = document["preparation"].startswith("ended")
        who = f"The job that plans and preprocesses {'' if ended else 'is '}{document['preparation']}."
    if rows and not document["due"]:
        return f"All {len(rows)} runs are done. {who}"
    return f"{done} of {len(rows)} runs done, {document['due']} left{lost}; {eta}. {who}"


def _machine_words(document: Mapping[str, Any]) -> list[Text]:
    """What runs took."""
    lines = []
    for arm, pace in document["paces"].items():
        if pace["runs"]:
            memory = [f"{pace['memory_gb']:.1f} GB of memory"] if pace["memory_gb"] is not None else []
            memory += [f"{pace['device_memory_gb']:.1f} GB of the GPU"] if pace["device_memory_gb"] is not None else []
            words = f"{arm}: {pace['seconds_per_iteration']:.3g} s per iteration"
            lines.append(Text(", ".join([words, *memory]) + f" (measured on {pace['runs']} runs).", "dim"))
    if document["hours_spent"]:
        words = f"Spent so far: {document['hours_spent']:.2f} h, summed over runs, start-up and lost work included."
        lines.append(Text(words, "dim"))
    return lines
