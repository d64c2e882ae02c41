"""Runs beside each other on this machine: throughput of 2 jobs of one thread each, beside that of 1.

    python benchmarks/local_jobs.py

Four pilot runs of the renal phantom (2D, small), from start to scores, by the engine that `dicecast run` uses.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

from dicecast.adapters.examples.phantom import write_phantom
from dicecast.adapters.execution.local import LocalEngine
from dicecast.adapters.execution.slots import cores, single_threaded
from dicecast.adapters.execution.supervise import work_off
from dicecast.adapters.execution.workers import open_workers
from dicecast.adapters.initialise import create_study
from dicecast.adapters.new_study import NewStudy
from dicecast.adapters.prepare import prepare
from dicecast.adapters.specs import pilot_specs
from dicecast.adapters.study import read_dataset_of

TRAINING: dict[str, int | float | str] = {"iterations": 20, "batch": 12, "features": 16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=20, help="of 20 iterations")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        phantom = write_phantom(Path(place) / "phantom", 20)
        wanted = NewStudy(Path(place) / "study", phantom, 4, ("2d",), (8, 16), 2, schedule_check=False)
        study = create_study(dataclasses.replace(wanted, training={**TRAINING, "epochs": asked.epochs})).study
        with open_workers(single_threaded(2)) as workers:
            materials = prepare(study, read_dataset_of(study), workers, lambda *told: None)
        made = pilot_specs(study, materials, "cpu", 0)
        first = None
        print(f"{len(made)} runs of {asked.epochs} x 20 iterations, {cores()} cores")
        print(f"{'jobs':>6}{'seconds':>10}{'throughput':>12}")
        for jobs in asked.jobs:
            specs = [dataclasses.replace(spec, folder=Path(place) / f"jobs{jobs}" / spec.name) for spec in made]
            start = time.perf_counter()
            with open_workers(single_threaded(jobs)) as workers:
                standing = work_off(specs, LocalEngine(workers), lambda seen: None, print, wait=True)
            standing.raise_first()
            seconds = time.perf_counter() - start
            first = first or seconds
            print(f"{jobs:>6}{seconds:>10.1f}{first / seconds:>12.2f}", flush=True)


if __name__ == "__main__":
    main()
