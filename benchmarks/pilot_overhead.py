"""What does a grid of pilot trainings cost beyond the trainings? dicecast against nnU-Net's own command line.

    python benchmarks/pilot_overhead.py [--quick] [--keep DIR]

The grid: five sizes x two folds of a small 2D nnU-Net (batch 12, first stage 16 wide, AdamW, 800 iterations a fold) on
phantom volumes, its folds ensembled by the mean of the logits and scored on the same held-out cases.

- dicecast: a study made by `create_study` and run by `run_study` with one worker, with all it does by default: checks,
  surface metrics, cross-validation, forecast and recommendation.
- By hand: one dataset folder per size, then nnU-Net's commands one after another: `nnUNetv2_plan_and_preprocess`,
  `nnUNetv2_train` per fold (which ends with nnU-Net's validation), `nnUNetv2_predict`, `nnUNetv2_evaluate_folder`.
  A trainer in `nnUNet_extTrainer` and two edits in the plans make the training the same.

Alike on both sides: CPU, one thread, no augmentation workers, nnUNet_def_n_proc = 1, no compilation, no mirroring, one
validation iteration per epoch. nnU-Net's commands take a thread per core whatever OMP_NUM_THREADS says, so a
`sitecustomize.py` tells them of one core; where torchvision cannot be loaded (its CUDA build beside CPU torch), it also
declares the operators without which nnU-Net finds no trainer but its first.

By hand, "train" is what the commands take; for dicecast it is the epochs, and worker start, networks, loaders and
forecast are in "everything else". Then the two largest pilot runs again, one after another and beside each other.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dicecast.adapters.examples.phantom import write_phantom
from dicecast.adapters.execution.slots import single_threaded
from dicecast.adapters.execution.workers import Task, open_workers
from dicecast.adapters.initialise import create_study
from dicecast.adapters.loop import RunOptions, Watchers, run_study
from dicecast.adapters.new_study import NewStudy
from dicecast.adapters.nnunet.environment import THREADS
from dicecast.adapters.nnunet.pilot import do_run
from dicecast.adapters.places import Wanted
from dicecast.adapters.specs import materials_of, pilot_specs
from dicecast.adapters.study import Study, read_dataset_of

FOLDS, BATCH, FEATURES, RATE = 2, 12, 16, 0.003
PHASES = {"plan": "check, plan, preprocess", "train": "train", "predict": "predict", "score": "score"}
Seconds = dict[str, float]


@dataclass(frozen=True)
class Grid:
    """Sizes of at least 5, which nnU-Net's own splits need."""

    sizes: tuple[int, ...]
    test: int
    epochs: int
    iterations: int


FULL, QUICK = Grid((5, 8, 12, 18, 24), 8, 8, 100), Grid((5, 8), 2, 2, 15)

TRAINER = """\
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class Small(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs, self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = {epochs}, {iterations}, 1
        self.initial_lr, self.weight_decay = {rate}, 0.01

    def configure_optimizers(self):
        optimiser = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay)
        return optimiser, PolyLRScheduler(optimiser, self.initial_lr, self.num_epochs)
"""
ONE_CORE = "import importlib.abc, os, sys\n\nos.cpu_count = lambda: 1\n"
OPERATORS = """
class BeforeTorchvision(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            library = sys.modules[__name__].kept = torch.library.Library("torchvision", "FRAGMENT")
            for operator in ("nms", "qnms"):
                library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


sys.meta_path.insert(0, BeforeTorchvision())
"""


def dicecast_grid(folder: Path, phantom: Path, grid: Grid) -> tuple[Study, Seconds]:
    """The grid as a study; its seconds by phase and in all."""
    steps = [time.perf_counter()]
    training = {"epochs": grid.epochs, "iterations": grid.iterations, "batch": BATCH, "features": FEATURES}
    asked = NewStudy(
        **{"folder": folder, "dataset": phantom, "test": grid.test, "sizes": grid.sizes, "configurations": ("2d",)},
        **{"draws": 1, "folds": FOLDS, "ensemble": ("logits",), "schedule_check": False},
        training={**training, "optimiser": "AdamW", "learning_rate": RATE},
    )
    study = create_study(asked).study
    options = RunOptions(wanted=Wanted(engine="local", jobs=1, device="cpu"))
    run_study(study, options, Watchers(step=lambda *done: steps.append(time.perf_counter())))
    taken = {"total": time.perf_counter() - steps[0], "plan": steps[-1] - steps[0]}
    runs = [json.loads(path.read_text())["seconds"] for path in folder.glob("runs/*/*/*/run.json")]
    for phase, name in (("train", "training"), ("predict", "prediction"), ("score", "scoring")):
        taken[phase] = sum(run[name] for run in runs)
    return study, {**taken, "epochs": taken["train"]}


class Commands:
    """nnU-Net's commands, each timed under its phase."""

    def __init__(self, folder: Path, grid: Grid) -> None:
        self.seconds: Seconds = defaultdict(float)
        trainer = TRAINER.format(epochs=grid.epochs, iterations=grid.iterations, rate=RATE)
        loads = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, check=False)
        site = ONE_CORE + (OPERATORS if loads.returncode else "")
        for place, name, text in (("trainers", "small.py", trainer), ("site", "sitecustomize.py", site)):
            (folder / place).mkdir(parents=True)
            (folder / place / name).write_text(text)
        self.environment = {
            **os.environ,
            **{f"nnUNet_{place}": str(folder / place) for place in ("raw", "preprocessed", "results")},
            "nnUNet_extTrainer": str(folder / "trainers"),
            "nnUNet_def_n_proc": "1",
            "nnUNet_compile": "f",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")])),
        }

    def run(self, phase: str, command: str, *arguments: object) -> None:
        line = [str(Path(sys.executable).with_name(command)), *map(str, arguments)]
        environment = {**self.environment, "nnUNet_n_proc_DA": "1" if phase == "plan" else "0"}
        start = time.perf_counter()
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        taken = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"{' '.join(line)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        self.seconds[phase] += taken
        print(f"{taken:6.1f} s {command}", file=sys.stderr, flush=True)


def copied(phantom: Path, cases: list[str], images: Path, labels: Path) -> None:
    for source, target, ending in (("imagesTr", images, "_0000.nii.gz"), ("labelsTr", labels, ".nii.gz")):
        target.mkdir(parents=True)
        for case in cases:
            shutil.copy(phantom / source / f"{case}{ending}", target)


def narrowed(path: Path) -> None:
    """Edit the plans: the batch, and the width of every stage."""
    plans = json.loads(path.read_text())
    entry = plans["configurations"]["2d"]
    network = entry["architecture"]["arch_kwargs"]
    widths = network["features_per_stage"]
    entry["batch_size"], network["features_per_stage"] = BATCH, [width * FEATURES // widths[0] for width in widths]
    path.write_text(json.dumps(plans))


def by_hand(folder: Path, phantom: Path, study: Study, grid: Grid) -> Seconds:
    """The grid by nnU-Net's commands, on the cases of the study; its seconds by phase and in all."""
    start = time.perf_counter()
    shell, test = Commands(folder, grid), folder / "test"
    declared = json.loads((phantom / "dataset.json").read_text())
    copied(phantom, study.test, test / "images", test / "labels")
    for number, n in enumerate(grid.sizes, 1):
        name = f"Dataset{number:03d}_Cases{n}"
        raw, predicted = folder / "raw" / name, folder / "predicted" / str(n)
        copied(phantom, study.ordering(0)[:n], raw / "imagesTr", raw / "labelsTr")
        (raw / "dataset.json").write_text(json.dumps({**declared, "numTraining": n}))
        which, how = ("-d", number, "-c", "2d"), ("-tr", "Small", "-device", "cpu")
        one = ("-np", 1, "-npfp", 1)
        shell.run("plan", "nnUNetv2_plan_and_preprocess", *which, *one, "--verify_dataset_integrity")
        narrowed(folder / "preprocessed" / name / "nnUNetPlans.json")
        for fold in range(FOLDS):
            shell.run("train", "nnUNetv2_train", number, "2d", fold, *how)
        places = ("-i", test / "images", "-o", predicted, *which, "-f", *range(FOLDS))
        shell.run("predict", "nnUNetv2_predict", *places, *how, "-npp", 1, "-nps", 1, "--disable_tta")
        described = ("-djfile", predicted / "dataset.json", "-pfile", predicted / "plans.json")
        shell.run("score", "nnUNetv2_evaluate_folder", test / "labels", predicted, *described, "-np", 1)
    logs = [path.read_text() for path in folder.glob("results/*/*/*/training_log_*.txt")]
    epochs = sum(float(taken) for log in logs for taken in re.findall(r"Epoch time: ([\d.]+) s", log))
    return {**shell.seconds, "epochs": epochs, "total": time.perf_counter() - start}


def throughput(study: Study, folder: Path) -> None:
    """Print seconds of the two largest pilot runs one after another, and beside each other."""
    specs = pilot_specs(study, materials_of(study, read_dataset_of(study), {}), "cpu", 0)[-2:]
    taken = []
    for jobs in (1, 2):
        due = [dataclasses.replace(spec, folder=folder / f"jobs{jobs}" / f"n{spec.n}") for spec in specs]
        start = time.perf_counter()
        with open_workers(single_threaded(jobs)) as pool:
            pool.run([Task(spec.name, do_run, (spec,)) for spec in due]).raise_first()
        taken.append(time.perf_counter() - start)
    words = f"two runs one after another {taken[0]:.1f} s, beside each other {taken[1]:.1f} s"
    print(f"{words}: {taken[0] / taken[1]:.2f} times the throughput")


def print_table(hand: Seconds, ours: Seconds) -> None:
    print(f"{'seconds':<28}{'by hand':>10}{'dicecast':>10}{'ratio':>8}")
    for side in (hand, ours):
        side["else"] = side["total"] - sum(side[phase] for phase in PHASES)
    for phase, words in {**PHASES, "else": "everything else", "total": "total", "epochs": "epochs alone"}.items():
        print(f"{words:<28}{hand[phase]:>10.1f}{ours[phase]:>10.1f}{hand[phase] / ours[phase]:>8.2f}")
    shares = [1 - (side["epochs"] + side["predict"]) / side["total"] for side in (hand, ours)]
    print(f"{'outside epochs, prediction':<28}{shares[0]:>10.1%}{shares[1]:>10.1%}")


def print_dice(predicted: Path, study: Study, n: int) -> None:
    """Mean Dice of the kidney on both sides: the trainings are alike, so these should be too."""
    scores = pd.read_csv(study.folder / "runs" / "2d" / f"n{n}" / "draw0" / "scores.csv")
    ours = scores.query("test_set == 'test' and structure == 'kidney' and metric == 'dice'")["score"].mean()
    summary = json.loads((predicted / str(n) / "summary.json").read_text())
    print(f"kidney Dice at n = {n}: {summary['mean']['1']['Dice']:.3f} by hand, {ours:.3f} dicecast")


def main() -> None:
    if os.environ.get("OMP_NUM_THREADS") != "1":  # numpy reads it when it is imported
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict.fromkeys(THREADS, "1")})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two sizes, 30 iterations: does it work?")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="new folder to work in, which stays")
    asked = parser.parse_args()
    grid = QUICK if asked.quick else FULL
    with contextlib.nullcontext(asked.keep) if asked.keep else tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        phantom = write_phantom(folder / "phantom", max(grid.sizes) + grid.test)
        study, ours = dicecast_grid(folder / "study", phantom, grid)
        hand = by_hand(folder / "by_hand", phantom, study, grid)
        words = f"{grid.epochs} epochs of {grid.iterations} iterations, {grid.test} test cases, {os.cpu_count()} cores"
        print(f"sizes {', '.join(map(str, grid.sizes))}; {FOLDS} folds; {words}")
        print_table(hand, ours)
        for n in grid.sizes:
            print_dice(folder / "by_hand" / "predicted", study, n)
        throughput(study, folder / "twice")


if __name__ == "__main__":
    main()
