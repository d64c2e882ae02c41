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

HERE = Path(__file__).resolve().parent
PROTOCOLS = HERE.parent / "protocols" / "reduced"
PHANTOM_CASES = 104


def dicecast(*arguments: object) -> None:
    command = [sys.executable, "-m", "dicecast", *map(str, arguments)]
    print("$ dicecast", *arguments, flush=True)
    if subprocess.run(command, check=False).returncode:
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
    """What is worth committing: reports, scores, the figures of curves and of agreement at the largest size."""
    target.mkdir(exist_ok=True)
    shutil.copy(study / "report.txt", target / "report.txt")
    with gzip.open(target / "scores.csv.gz", "wb", mtime=0) as stream:
        stream.write((study / "scores.csv").read_bytes())
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
    dicecast("agreement", study, "--figures", target / "agreement", "--json", target / "agreement.json")


if __name__ == "__main__":
    main()
