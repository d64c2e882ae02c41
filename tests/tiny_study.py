"""A tiny nnU-Net dataset and studies on it, run by the command line in sessions of their own.

The 16 cases of 8 x 32 x 32 voxels take a second to preprocess, and a training of them a few.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("nnunetv2")
import SimpleITK

EPOCHS, TEST_CASES, CASES = 5, 4, 16
DICECAST = Path(sys.executable).with_name("dicecast")
PATIENCE = 10.0
"""Seconds that workers get to notice that their parent is gone: they look twice a second, when they get a CPU."""

Snapshot = dict[str, tuple[bytes, int]]


def write_cases(dataset: Path, numbers: Iterable[int]) -> None:
    """Two bright discs on noise, 8 x 32 x 32 voxels; a case depends on its number only."""
    (dataset / "imagesTr").mkdir(parents=True, exist_ok=True)
    (dataset / "labelsTr").mkdir(exist_ok=True)
    z, y, x = np.ogrid[:8, :32, :32]
    for number in numbers:
        rng = np.random.default_rng([3, number])
        label = np.zeros((8, 32, 32), np.uint8)
        for value, low in ((1, 7), (2, 20)):
            row, column = rng.integers(low, low + 5, 2)
            disc = (y - row) ** 2 + (x - column) ** 2 < rng.uniform(4, 6) ** 2
            label[disc & (abs(z - 4) < 3)] = value
        image = (2.0 * label + rng.normal(0, 0.5, label.shape)).astype(np.float32)
        SimpleITK.WriteImage(
            SimpleITK.GetImageFromArray(image), str(dataset / "imagesTr" / f"case{number:02d}_0000.nii.gz")
        )
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(label), str(dataset / "labelsTr" / f"case{number:02d}.nii.gz"))


def write_dataset(dataset: Path) -> Path:
    write_cases(dataset, range(CASES))
    declared = {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "small": 1, "bright": 2},
        "numTraining": CASES,
        "file_ending": ".nii.gz",
    }
    (dataset / "dataset.json").write_text(json.dumps(declared))
    return dataset


def dicecast(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DICECAST, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=400,
        start_new_session=True,
        check=False,
    )


def initialise(study: Path, dataset: Path, *, sizes: str = "3,6,12", draws: str = "2,1", epochs: int = EPOCHS) -> None:
    training = f"--epochs {epochs} --iterations 4 --batch 4 --features 4 --optimiser AdamW --learning-rate 0.003"
    asked = f"--test {TEST_CASES} --configuration 2d --sizes {sizes} --draws {draws} --seed 5 --no-schedule-check"
    made = dicecast("init", study, "--dataset", dataset, *asked.split(), *training.split())
    assert made.returncode == 0, made.stderr


def run_command(study: Path, *more: str) -> list[str]:
    return ["run", str(study), "--device", "cpu", "--jobs", "2", *more]


def run(study: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = dicecast(*run_command(study, *more), **environment)
    assert done.returncode == 0, done.stderr
    return done


def edit(study: Path, old: str, new: str) -> None:
    path = study / "study.toml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def roles(study: Path) -> pd.DataFrame:
    return pd.read_csv(study / "cases.csv", dtype=str, keep_default_na=False)


def cases_of(study: Path, role: str) -> set[str]:
    table = roles(study)
    return set(table.loc[table["role"] == role, "case"])


def snapshot(folder: Path, *, without: str = "/models/") -> Snapshot:
    """Content and time of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and without not in str(path))
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def results(study: Path) -> dict[str, tuple[bytes, list[list[float]], list[str]]]:
    """What must be equal, bit for bit, however often a study was killed: scores, losses and cases of every run."""
    found = {}
    for path in sorted(study.glob("runs/*/n*/draw*/run.json")):
        made = read(path)
        assert made["status"] == "completed", made.get("error")
        name = str(path.parent.relative_to(study))
        found[name] = ((path.parent / "scores.csv").read_bytes(), made["train_losses"], made["cases"])
    return found


@dataclass
class Running:
    """A `dicecast run` in a session of its own."""

    process: subprocess.Popen[bytes]
    errors: Path

    @property
    def alive(self) -> list[int]:
        """Processes of the session, the command itself among them; zombies do not count."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == self.process.pid and state not in "ZX":
                found.append(int(path.parent.name))
        return found

    def wait_until(self, holds: Callable[[], bool], seconds: float = 180) -> None:
        """Watch closely, so that a kill comes right after."""
        end = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < end
            time.sleep(0.01)

    def left_after(self, seconds: float) -> list[int]:
        """What is still alive after at most that long."""
        end = time.monotonic() + seconds
        while (alive := self.alive) and time.monotonic() < end:
            time.sleep(0.05)
        return alive


@contextmanager
def running(study: Path, *more: str, **environment: str) -> Iterator[Running]:
    """`dicecast run`, on this machine unless `more` says otherwise; whatever is left of it is killed at the end."""
    errors = study.with_name(f"{study.name}.errors")
    command = run_command(study, *more) if "--engine" not in more else ["run", str(study), *more]
    with errors.open("wb") as stream:
        # a shell that runs the tests in the background has interrupts ignored, and children inherit that
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            [DICECAST, *command],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=stream,
            start_new_session=True,
        )
        signal.signal(signal.SIGINT, before)
    started = Running(process, errors)
    try:
        yield started
    finally:
        for pid in {*started.alive, *([] if process.poll() is not None else [process.pid])}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()


def progress_of(study: Path) -> list[dict[str, Any]]:
    """What workers last wrote; a finished run has taken its file away."""
    found = []
    for path in study.glob("runs/*/n*/draw*/progress.json"):
        try:
            found.append(read(path))
        except FileNotFoundError:
            continue
    return found


def in_training(study: Path) -> bool:
    return any(0 < one["epochs_done"] < one["epochs"] for one in progress_of(study))


def completed(study: Path) -> set[str]:
    return {str(path.parent.relative_to(study)) for path in study.glob("runs/*/n*/draw*/run.json")}
