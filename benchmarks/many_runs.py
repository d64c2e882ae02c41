"""1,000 planned runs: how long `status` and handing over to SLURM take, and how much memory, beside 10 runs.

    python benchmarks/many_runs.py     # as root, with Debian's packages slurm-wlm and munge

Starts a SLURM of two virtual nodes on this host, holds its queue, and hands over studies of 10, 100 and 1,000 runs of
the renal phantom; nothing is trained. `status` is timed as a whole process, all runs queued, and all complete.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from dicecast.adapters.examples.phantom import write_phantom
from dicecast.adapters.execution.slots import single_threaded
from dicecast.adapters.execution.workers import open_workers
from dicecast.adapters.files import write_json
from dicecast.adapters.initialise import create_study
from dicecast.adapters.new_study import NewStudy
from dicecast.adapters.prepare import prepare
from dicecast.adapters.study import Study, open_study, read_dataset_of
from dicecast.tests.slurm_cluster import Cluster, running_cluster

SIZES, TIMES = (4, 6, 8, 12, 16), 5


def timed(command: Sequence[object], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a command."""
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "dicecast", *map(str, command)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        peak = max(peak, _peak_so_far(process.pid))
        time.sleep(0.01)
    assert process.returncode == 0, f"{command} failed"
    return time.perf_counter() - started, peak


def _peak_so_far(process: int) -> float:
    """What /proc says; rusage would count this process, which forked it."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def repeated(command: Sequence[object], environment: Mapping[str, str]) -> tuple[float, float]:
    """Medians over some calls."""
    found = [timed(command, environment) for _ in range(TIMES)]
    return median(seconds for seconds, _ in found), median(memory for _, memory in found)


def planned(folder: Path, phantom: Path, draws: int) -> Study:
    """A study of five sizes and so many draws, planned and preprocessed."""
    asked = NewStudy(folder, phantom, 4, ("2d",), SIZES, draws, schedule_check=False)
    create_study(asked)
    text = (folder / "study.toml").read_text().replace('device = "auto"', 'device = "cpu"')
    (folder / "study.toml").write_text(text.replace('engine = "local"', 'engine = "slurm"'))
    study = open_study(folder)
    with open_workers(single_threaded(2)) as workers:
        prepare(study, read_dataset_of(study), workers, lambda *told: None)
    return study


def complete(study: Study, draws: int) -> None:
    """Records as completed runs leave them; their scores are not looked at."""
    settings = study.settings
    scored = {
        "structures": {"kidney": 1, "tumour": 2, "cyst": 3},
        "metrics": settings.scores.metrics,
        "surface_tolerance_mm": {"kidney": 1.0, "tumour": 1.0, "cyst": 1.0},
        "asked": {"structures": settings.scores.structures, "unions": settings.scores.unions},
        "annotators": {},
    }
    for n in SIZES:
        for draw in range(draws):
            folder = study.folder / "runs" / "2d" / f"n{n}" / f"draw{draw}"
            record = {"status": "completed", "arm": "2d", "n": n, "draw": draw, "cases": ["phantom_000"] * n}
            losses = {"train_losses": [[0.123456] * 1000], "protocol": {"epochs": 1000}, "seconds_per_iteration": 0.1}
            write_json(folder / "run.json", {**record, **losses, "seconds": {"training": 25000.0}})
            write_json(folder / "scoring.json", scored)
    shutil.rmtree(study.folder / "jobs", ignore_errors=True)


def row(words: str, found: tuple[float, float], first: tuple[float, float]) -> None:
    seconds, memory = found
    ratios = f"{seconds / first[0]:>8.2f}{memory:>12.0f} MB{memory / first[1]:>8.2f}"
    print(f"{words:<44}{seconds:>8.2f} s{ratios}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[10, 100, 1000], help="multiples of 5")
    asked = parser.parse_args()
    if not Cluster.available():
        parser.error("needs root and Debian's packages slurm-wlm and munge")
    with tempfile.TemporaryDirectory() as place, running_cluster(Path(place) / "slurm") as cluster:
        phantom = write_phantom(Path(place) / "phantom", 20)
        cluster.run("scontrol", "update", "PartitionName=main", "State=DOWN")
        first: dict[str, tuple[float, float]] = {}
        print(f"{'':<44}{'time':>10}{'ratio':>8}{'memory':>15}{'ratio':>8}")
        for runs in asked.runs:
            draws = runs // len(SIZES)
            study = planned(Path(place) / f"study{runs}", phantom, draws)
            found = {"handing over": timed(["run", study.folder], cluster.environment)}
            told = Path(place) / "status.json"
            timed(["status", study.folder, "--json", told], cluster.environment)
            queued = json.loads(told.read_text())["jobs"]["queued"]
            assert queued == runs, f"{queued} of {runs} are in the queue"
            found["handing over nothing new (re-attaching)"] = timed(["run", study.folder], cluster.environment)
            found["status, all queued"] = repeated(["status", study.folder], cluster.environment)
            found["cancelling"] = timed(["cancel", study.folder], cluster.environment)
            complete(study, draws)
            found["status, all complete"] = repeated(["status", study.folder], cluster.environment)
            for words, one in found.items():
                row(f"{runs} runs: {words}", one, first.setdefault(words, one))


if __name__ == "__main__":
    main()
