"""Disturb dicecast's commands in every way, and see whether anything is lost.

    python benchmarks/robustness/faults.py [--only KIND] [--most 6] [--json FILE] [--folder DIR]

After each fault, what was there before must be there, byte for byte or as its complete new version; the command must
have ended with one clear message; and the same command without the fault must give what an undisturbed one gives.
Unix only: a command is done in a fork of this process. Full disks are real where a file system may be mounted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dicecast.benchmarks.robustness import faults_disk, faults_signals, faults_study, faults_training
from dicecast.benchmarks.robustness.faults_materials import Bench
from dicecast.benchmarks.robustness.faults_trial import SPOILT, Trial

GROUPS: dict[str, Callable[[Bench, int], Iterator[Trial]]] = {
    "disk": faults_disk.injected,
    "real": lambda bench, most: faults_disk.real(bench),
    "signals": faults_signals.trials,
    "study": lambda bench, most: faults_study.trials(bench),
    "training": lambda bench, most: faults_training.trials(bench),
}


def summary(trials: Sequence[Trial]) -> str:
    """A table: kinds of faults by what came of them."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for one in trials:
        rows[one.kind][one.outcome] += 1
        rows[one.kind]["left"] += one.left
    columns = ("went well", "refused", SPOILT, "left")
    lines = [f"{'fault':<22}" + "".join(f"{name:>12}" for name in ("tried", *columns))]
    for kind, counts in {**rows, "all": sum(rows.values(), Counter())}.items():
        tried = sum(counts[name] for name in columns[:3])
        lines.append(f"{kind:<22}{tried:>12}" + "".join(f"{counts[name]:>12}" for name in columns))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=GROUPS, action="append")
    parser.add_argument("--command", action="append", default=[], help="only such commands")
    parser.add_argument("--most", type=int, default=6, help="faults of a kind in a command")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="where studies are made; one that holds them already is used")
    asked = parser.parse_args()
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="dicecast-faults-") as made:
        bench = Bench((asked.folder or Path(made)).resolve(), asked.command)
        for name in asked.only or GROUPS:
            for one in GROUPS[name](bench, asked.most):
                trials.append(one)
                print(
                    f"{one.kind} | {one.command} | {one.fault} | {one.code} | {one.outcome} {one.spoilt or ''}",
                    flush=True,
                )
                if asked.json:
                    documents = [each.document() for each in trials]
                    asked.json.write_text(json.dumps(documents, indent=1) + "\n", encoding="utf-8")
    print(summary(trials))
    sys.exit(any(one.outcome == SPOILT for one in trials))


if __name__ == "__main__":
    main()
