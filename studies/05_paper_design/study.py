"""The plateau paper's design, reduced: study.py phantom | hippocampus [--dataset DIR] [--folder DIR].

Makes (or goes on with) a study under `--folder`, by the commands anyone would use, and copies its report, scores,
figures and agreement here. Interrupt at any time; the same command goes on.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
PROTOCOLS = HERE.parent / "protocols" / "reduced"
PHANTOM_CASES = 104


SHOWN = {"phantom": "tumour", "hippocampus": "hippocampus"}
"""Structure whose figures of agreement are kept."""


def dicecast(*arguments: object, output: Path | None = None) -> None:
    command = [sys.executable, "-m", "dicecast", *map(str, arguments)]
    print("$ dicecast", *arguments, flush=True)
    stream = output.open("w", encoding="utf-8") if output else None
    if subprocess.run(command, stdout=stream, check=False).returncode:
        sys.exit(f"dicecast {arguments[0]} failed; run the same command again to go on.")


def dataset_of(name: str, given: Path | None, folder: Path) -> Path:
    if name == "hippocampus":
        if given is None:
            sys.exit("hippocampus needs --dataset DIR; get it with: dicecast example hippocampus DIR")
        return given
    phantom = folder / "phantom_data"
    if not phantom.exists():
        dicecast("example", "phantom", phantom, "--cases", PHANTOM_CASES)
    return phantom


def keep(study: Path, target: Path) -> None:
    """What is worth committing: the report, scores, the figures of curves."""
    target.mkdir(exist_ok=True)
    shutil.copy(study / "report.txt", target / "report.txt")
    (target / "scores.csv.gz").write_bytes(gzip.compress((study / "scores.csv").read_bytes(), mtime=0))
    rules = pd.concat([pd.read_csv(path) for path in sorted(study.glob("runs/*/n*/draw*/ensembles.csv"))])
    compact = {"method": "gzip", "mtime": 0}
    rules.to_csv(target / "ensembles.csv.gz", index=False, compression=compact, lineterminator="\n")
    for png in sorted((study / "figures").glob("*.png")):
        if "volume" not in png.name:
            shutil.copy(png, target / png.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["phantom", "hippocampus"])
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("paper_design"))
    asked = parser.parse_args()
    study = asked.folder / asked.name
    if not (study / "study.toml").exists():
        asked.folder.mkdir(parents=True, exist_ok=True)
        data = dataset_of(asked.name, asked.dataset, asked.folder)
        dicecast("init", study, "--dataset", data, "--settings", PROTOCOLS / f"p1_{asked.name}.toml")
    dicecast("run", study)
    target = HERE / asked.name
    keep(study, target)
    dicecast("agreement", study, output=target / "agreement.txt")
    drawn = asked.folder / f"{asked.name}_agreement"
    dicecast("agreement", study, "--structure", SHOWN[asked.name], "--figures", drawn)
    for png in sorted(drawn.rglob("*.png")):
        shutil.copy(png, target / png.name)


if __name__ == "__main__":
    main()
