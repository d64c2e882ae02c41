"""How many trainings should share a GPU? Throughput and utilisation of 1, 2 and 4 runs beside each other.

    python benchmarks/gpu_sharing.py                # on a machine with an NVIDIA GPU
    python benchmarks/gpu_sharing.py --device cpu --quick   # does the script work?

The runs are pilot runs as `dicecast run` does them, on volumes of CT size (the renal phantom, enlarged). What counts
are the training iterations of all runs together, per second, while every one of them is training; ratios are to one
run. nnU-Net compiles networks on CUDA unless nnUNet_compile=f is set.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import SimpleITK
from scipy import ndimage

from dicecast.adapters.examples.phantom import LABELS, phantom_case
from dicecast.adapters.execution.local import LocalEngine
from dicecast.adapters.execution.slots import augmentation_workers, cores, slots_of
from dicecast.adapters.execution.workers import open_workers
from dicecast.adapters.initialise import create_study
from dicecast.adapters.new_study import NewStudy
from dicecast.adapters.nnunet.environment import is_compiling_wanted
from dicecast.adapters.nnunet.spec import PilotSpec
from dicecast.adapters.prepare import prepare
from dicecast.adapters.specs import Materials, pilot_specs
from dicecast.adapters.study import Study, read_dataset_of

CASES, ITERATIONS = 9, 10
WORKLOADS = {
    "nnU-Net's own 3d_fullres plan": {"3d_fullres": {}},
    "a small one (16 features)": {"3d_fullres": {"features": 16}},
}


@dataclass
class Gpu:
    """Samples of nvidia-smi: time, utilisation in %, memory in MB."""

    samples: list[tuple[float, float, float]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        query = ["nvidia-smi", "-i", "0", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
        while shutil.which(query[0]) and not self.stop.wait(0.5):
            said = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split(",")
            if len(said) == 2:
                self.samples.append((time.time(), float(said[0]), float(said[1])))

    def between(self, start: float, end: float) -> str:
        inside = [one for one in self.samples if start <= one[0] <= end]
        if not inside:
            return f"{'-':>12}{'-':>12}"
        return f"{mean(one[1] for one in inside):>11.0f}%{max(one[2] for one in inside) / 1000:>10.1f}GB"


def write_cases(folder: Path, zoom: tuple[float, float, float]) -> Path:
    """The phantom, enlarged to volumes of CT size of 1 mm."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for number in range(CASES):
        image, label, _ = phantom_case(number, 0, False)
        for array, order, name in ((image, 1, f"imagesTr/c{number}_0000"), (label, 0, f"labelsTr/c{number}")):
            volume = SimpleITK.GetImageFromArray(ndimage.zoom(array, zoom, order=order))
            SimpleITK.WriteImage(volume, str(folder / f"{name}.nii.gz"))
    declared = {"channel_names": {"0": "CT"}, "labels": LABELS, "numTraining": CASES, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(declared))
    return folder


def planned(folder: Path, dataset: Path, epochs: int, arm: dict[str, dict[str, int]]) -> tuple[Study, Materials]:
    """A study of eight cases and as many draws as there may be runs, preprocessed."""
    asked = NewStudy(folder, dataset, 1, ("3d_fullres",), (CASES - 1,), 8, schedule_check=False)
    training = {"epochs": epochs, "iterations": ITERATIONS}
    study = create_study(dataclasses.replace(asked, training=training, arm_training=arm)).study
    with open_workers(slots_of("cpu", min(4, cores()), [], 1)) as workers:
        return study, prepare(study, read_dataset_of(study), workers, lambda *told: None)


def train(specs: list[PilotSpec], device: str) -> tuple[float, float, int]:
    """Train beside each other: start and end of the time in which all do, and the epochs done in it."""
    done: dict[Path, list[tuple[float, int]]] = {spec.folder: [] for spec in specs}
    with open_workers(slots_of(device, len(specs), ["0"], len(specs))) as workers:
        engine = LocalEngine(workers)
        engine.submit(specs)
        while any(job.alive for job in engine.poll(0.1).values()):
            for folder, seen in done.items():
                path = folder / "progress.json"
                told = json.loads(path.read_text()) if path.exists() else None
                if told and (not seen or seen[-1][1] < told["epochs_done"]):
                    seen.append((told["time"], told["epochs_done"]))
            if any(seen and seen[-1][1] >= spec.epochs for spec, seen in zip(specs, done.values(), strict=True)):
                break  # from here on not all are training
    warm = {folder: [one for one in seen if one[1] >= 2] for folder, seen in done.items()}
    start, end = max(seen[0][0] for seen in warm.values()), min(seen[-1][0] for seen in done.values())
    return start, end, sum(1 for seen in warm.values() for at, _ in seen if start < at <= end)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--epochs", type=int, default=25, help=f"of {ITERATIONS} iterations")
    parser.add_argument("--workload", type=int, choices=range(len(WORKLOADS)), help="only this one")
    parser.add_argument("--quick", action="store_true", help="small volumes, few epochs: does it work?")
    asked = parser.parse_args()
    zoom, epochs = ((1.0, 1.0, 1.0), 5) if asked.quick else ((7.0, 4.0, 4.0), asked.epochs)
    compiled = "" if is_compiling_wanted() else "not "
    print(f"device {asked.device}, {cores()} cores, networks {compiled}compiled", flush=True)
    with tempfile.TemporaryDirectory() as place:
        dataset = write_cases(Path(place) / "dataset", zoom)
        chosen = list(WORKLOADS.items()) if asked.workload is None else [list(WORKLOADS.items())[asked.workload]]
        for number, (name, arm) in enumerate(chosen):
            study, materials = planned(Path(place) / str(number), dataset, epochs, arm)
            print(
                f"\n{name}\n{'runs':>6}{'augmenters':>12}{'iterations/s':>14}{'ratio':>8}{'GPU used':>12}{'memory':>12}"
            )
            first = None
            for runs in asked.runs:
                workers = augmentation_workers(asked.device, runs)
                made = pilot_specs(study, materials, asked.device, workers)[:runs]
                specs = [dataclasses.replace(s, folder=Path(place) / f"{number}-{runs}" / str(s.draw)) for s in made]
                gpu = Gpu()
                watcher = threading.Thread(target=gpu.watch)
                watcher.start()
                start, end, finished = train(specs, asked.device)
                gpu.stop.set()
                watcher.join()
                rate = finished * ITERATIONS / (end - start)
                first = first or rate
                told = gpu.between(start, end)
                print(f"{runs:>6}{workers:>12}{rate:>14.2f}{rate / first:>8.2f}{told}", flush=True)


if __name__ == "__main__":
    main()
