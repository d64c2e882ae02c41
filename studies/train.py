"""Train a study: train.py 06_2d_or_3d | 08_grid | 09_synthetic [--dataset DIR] [--folder DIR] [--jobs 2].

Makes (or goes on with) the study under `--folder`, by the commands anyone would use, from the study.toml beside the
answer, and copies its report, scores and hours there. Interrupt at any time; the same command goes on.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
GENERATED = {"09_synthetic": {"phantom": 72, "healthy": 20}}
"""Data that a study makes for itself: examples and their cases, the dataset first."""


def dicecast(*arguments: object) -> None:
    """One command, as a user would give it."""
    print("$ dicecast", *arguments, flush=True)
    if subprocess.run([sys.executable, "-m", "dicecast", *map(str, arguments)], check=False).returncode:
        sys.exit(f"dicecast {arguments[0]} failed; run the same command again to go on.")


def dataset_of(name: str, given: Path | None, folder: Path) -> Path:
    """The dataset a study is trained on."""
    for example, cases in GENERATED.get(name, {}).items():
        if not (folder / example).exists():
            part = folder / f"{example}.part"  # an interrupted one is made anew
            shutil.rmtree(part, ignore_errors=True)
            dicecast("example", example, part, "--cases", cases)
            part.rename(folder / example)
    if name in GENERATED:
        return folder / next(iter(GENERATED[name]))
    if given is None:
        sys.exit(f"{name} needs --dataset DIR; get it with: dicecast example hippocampus DIR")
    return given


def hours(study: Path) -> pd.DataFrame:
    """What every run took, of the plain ones and of the schedule check."""
    rows = []
    for path in sorted(study.glob("*/*/n*/draw*/run.json")):
        kind, arm, size, draw, _ = path.relative_to(study).parts
        record = json.loads(path.read_text(encoding="utf-8"))
        names = {"kind": kind, "arm": arm, "n_cases": int(size[1:]), "draw": int(draw[4:])}
        rows.append({**names, **record["seconds"], "memory_gb": record["memory_gb"]["host"]})
    return pd.DataFrame(rows).sort_values(["kind", "arm", "n_cases", "draw"])


def keep(study: Path, target: Path) -> None:
    """What is worth committing: report, scores, hours."""
    shutil.copy(study / "report.txt", target / "report.txt")
    (target / "scores.csv.gz").write_bytes(gzip.compress((study / "scores.csv").read_bytes(), mtime=0))
    hours(study).to_csv(target / "hours.csv", index=False, lineterminator="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["06_2d_or_3d", "08_grid", "09_synthetic"])
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("trained_studies"))
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    study = asked.folder / asked.name
    asked.folder.mkdir(parents=True, exist_ok=True)
    if not (study / "study.toml").exists():
        data = dataset_of(asked.name, asked.dataset, asked.folder)
        dicecast("init", study, "--dataset", data, "--settings", HERE / asked.name / "study.toml")
    dicecast("run", study, "--jobs", asked.jobs)
    keep(study, HERE / asked.name)


if __name__ == "__main__":
    main()
