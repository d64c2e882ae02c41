"""A pilot with nothing set is nnU-Net's own training: the same plans and, number for number, the same losses.

Both sides work in processes of their own, as their commands do: dicecast by a study, nnU-Net by its own raw,
preprocessed and result folders, its own planning and preprocessing, and `nnunetv2.run.run_training`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dicecast.adapters.examples.phantom import write_phantom

pytestmark = pytest.mark.slow  # two trainings with the network nnU-Net plans

CASES, TEST_CASES, STEPS = 8, 2, 20
STOCK_NAME = "Dataset321_Stock"

RECORDER = f"""
import json, sys
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class Enough(BaseException):
    pass


def first_losses(train, *arguments):
    losses, step = [], nnUNetTrainer.train_step

    def recorded(self, batch):
        losses.append(float((found := step(self, batch))["loss"]))
        if len(losses) == {STEPS}:
            raise Enough
        return found

    nnUNetTrainer.train_step = recorded
    torch.set_num_threads(1)
    try:
        train(*arguments)
    except Enough:
        return losses
"""
"""Stops a training after a few steps and tells their losses; whatever trains inherits nnU-Net's `train_step`."""

OURS = f"""{RECORDER}
from dicecast.adapters.execution.slots import single_threaded
from dicecast.adapters.execution.workers import open_workers
from dicecast.adapters.initialise import create_study
from dicecast.adapters.new_study import NewStudy
from dicecast.adapters.nnunet.pilot import do_run
from dicecast.adapters.nnunet.preparation import read_plans
from dicecast.adapters.nnunet.spec import fold_splits
from dicecast.adapters.prepare import prepare
from dicecast.adapters.specs import pilot_specs
from dicecast.adapters.study import read_dataset_of


def main(folder):
    study = create_study(
        NewStudy(
            folder=folder / "study",
            dataset=folder / "phantom",
            test={TEST_CASES},
            configurations=("2d",),
            sizes=({CASES - TEST_CASES},),
            draws=1,
            folds=5,
        )
    ).study
    with open_workers(single_threaded(1)) as pool:
        materials = prepare(study, read_dataset_of(study), pool, lambda *progress: None)
    (spec,) = pilot_specs(study, materials, "cpu", 0)
    train, validate = fold_splits(tuple(spec.cases), spec.folds, spec.seed)[0]
    found = {{
        "seed": spec.seed,
        "split": {{"train": train, "val": validate}},
        "plans": read_plans(study.workspace, spec.preparation),
        "losses": first_losses(do_run, spec),
    }}
    (folder / "ours.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
"""

STOCK = f"""{RECORDER}
import os, random

import numpy as np
from nnunetv2.experiment_planning import plan_and_preprocess_api as api
from nnunetv2.run.run_training import run_training


def main(folder):
    given = json.loads((folder / "ours.json").read_text())
    api.extract_fingerprints([321], num_processes=1, check_dataset_integrity=True, show_progress_bar=False)
    api.preprocess([321], api.plan_experiments([321]), ("2d",), (1,), show_progress_bar=False)
    preprocessed = folder / "preprocessed" / "{STOCK_NAME}"
    (preprocessed / "splits_final.json").write_text(json.dumps([given["split"]]))
    os.environ["nnUNet_n_proc_DA"] = "0"  # planning wants 1
    random.seed(given["seed"])
    np.random.seed(given["seed"])
    torch.manual_seed(given["seed"])
    found = {{
        "losses": first_losses(lambda: run_training("321", "2d", 0, device=torch.device("cpu"))),
        "plans": json.loads((preprocessed / "nnUNetPlans.json").read_text()),
    }}
    (folder / "stock.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
"""


@dataclass(frozen=True)
class Sides:
    """What each side planned, and the losses of its first steps."""

    ours: Any
    stock: Any


def run(folder: Path, name: str, text: str) -> Any:
    """Run a script in a process of its own; what it found is in a file of its name."""
    script = folder / f"run_{name}.py"
    script.write_text(text, encoding="utf-8")
    places = {f"nnUNet_{place}": str(folder / place) for place in ("raw", "preprocessed", "results")}
    environment = {
        **os.environ,
        **places,
        "OMP_NUM_THREADS": "1",
        "nnUNet_n_proc_DA": "1",
        "nnUNet_def_n_proc": "1",
        "nnUNet_compile": "f",
    }
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def write_stock_dataset(folder: Path, cases: list[str]) -> None:
    """A raw dataset of nnU-Net's that holds these cases of the phantom and no others."""
    phantom, raw = folder / "phantom", folder / "raw" / STOCK_NAME
    for place, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        (raw / place).mkdir(parents=True)
        for case in cases:
            shutil.copy(phantom / place / f"{case}{ending}", raw / place)
    declared = json.loads((phantom / "dataset.json").read_text(encoding="utf-8"))
    (raw / "dataset.json").write_text(json.dumps({**declared, "numTraining": len(cases)}), encoding="utf-8")


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    folder = tmp_path_factory.mktemp("faithful")
    write_phantom(folder / "phantom", CASES)
    ours = run(folder, "ours", OURS)
    pool = sorted(ours["split"]["train"] + ours["split"]["val"])
    assert len(pool) == CASES - TEST_CASES
    write_stock_dataset(folder, pool)
    return Sides(ours, run(folder, "stock", STOCK))


def test_the_plans_are_those_nnunet_makes_of_the_same_cases(sides: Sides) -> None:
    ours, stock = ({**plans, "dataset_name": ""} for plans in (sides.ours["plans"], sides.stock["plans"]))
    assert ours["configurations"]["2d"] == stock["configurations"]["2d"]
    assert ours == stock


def test_the_first_losses_of_a_default_pilot_are_nnunets_own(sides: Sides) -> None:
    assert len(set(sides.stock["losses"])) == STEPS
    assert sides.ours["losses"] == sides.stock["losses"]
