"""Real trainings of a tiny network that run out of memory, diverge, die, or meet a full disk or a wrong clock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from dicecast.benchmarks.robustness.faults_materials import Bench
from dicecast.benchmarks.robustness.faults_trial import SPOILT, Command, Trial, executed, files_of, judge, repeated
from dicecast.benchmarks.robustness.faults_worker import SITE, VARIABLE
from dicecast.tests.tiny_study import results

STRUCK, OTHER = "runs/2d/n6/draw0", "runs/2d/n12/draw0"
SCORES = ("scores.csv", "cases.csv", "study.toml")
TRIED = (
    # fault, whether it comes again and again, exit codes, words of the message
    ("MemoryError", True, (1,), "memory ran out"),
    ("CUDA out of memory", True, (1,), "memory ran out"),
    ("RLIMIT_AS", True, (1,), "memory ran out"),
    ("weights that are not finite", True, (1,), "diverged"),
    ("worker killed", False, (0,), ""),
    ("worker killed", True, (1,), "3 times without a result"),
    ("disk full", True, (2,), "No space left"),
    ("clock goes back", True, (0,), ""),
)


def trials(bench: Bench) -> Iterator[Trial]:
    """Two runs are due; something happens to one, the other must go on."""
    template = bench.folder / "materials" / "untrained"
    if not template.exists():
        shutil.copytree(bench.folder / "materials" / "unforecast", template)
        for name in (STRUCK, OTHER):
            shutil.rmtree(template / "study" / name)
    command = Command("run", ("run", "study", "--device", "cpu", "--jobs", "1"), template)
    wanted = results(bench.folder / "materials" / "finished" / "study")
    site = bench.folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    for fault, always, codes, words in TRIED:
        yield _tried(bench, command, site, wanted, fault, always, codes, words)


def _tried(
    bench: Bench,
    command: Command,
    site: Path,
    wanted: dict[str, object],
    fault: str,
    always: bool,
    codes: tuple[int, ...],
    words: str,
) -> Trial:
    folder, marker = bench.fresh(command), bench.folder / "struck"
    marker.unlink(missing_ok=True)
    asked = json.dumps({"fault": fault, "run": STRUCK, "always": always, "marker": str(marker)})
    was = files_of(folder)
    ended = executed(command.words, folder, environment={"PYTHONPATH": str(site), VARIABLE: asked, "COLUMNS": "200"})
    trial = Trial("training", "run", f"{fault}{', every time' * always}", 0, "")
    after = files_of(folder)
    kept = {name: data for name, data in was.items() if name.endswith(SCORES)}
    judge(trial, ended, was, after, {**after, **kept}, codes=codes)
    if not marker.exists():
        trial.spoilt.append("the fault was not met")
    if ended.code and not ("n6" in ended.errors and words in " ".join(ended.errors.split())):
        trial.spoilt.append(f"the message does not say {words!r} of the run")
    if f"study/{OTHER}/scores.csv" not in after:
        trial.spoilt.append("the other run did not go on")
    if any(number < 0 for number in _seconds(folder)):
        trial.spoilt.append("a negative duration")
    again = executed(command.words, folder)
    found = files_of(folder)
    repeated(trial, again, {name: found.get(name, b"") for name in kept}, kept)
    if again.code == 0 and results(folder / "study") != wanted:
        trial.spoilt.append("again: scores or losses differ")
    trial.outcome = SPOILT if trial.spoilt else trial.outcome
    return trial


def _seconds(folder: Path) -> list[float]:
    """Every duration on record."""
    found = []
    for path in folder.glob("study/runs/*/*/*/run.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        found += [*record.get("seconds", {}).values(), record.get("seconds_spent", 0.0)]
    return found
