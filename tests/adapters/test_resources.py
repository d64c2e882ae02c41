"""What trainings take: sizes of real networks, paces from records, room on a disk that is really full."""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dicecast.adapters.resources import Pace, paces, require_space, run_hours, weights
from dicecast.adapters.settings import Settings, parse_settings
from dicecast.forecast.errors import StorageError

PLAIN = {
    "n_stages": 4,
    "features_per_stage": [8, 16, 32, 40],
    "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2]],
    "n_conv_per_stage": [2, 2, 2, 2],
    "n_conv_per_stage_decoder": [2, 1, 2],
}
FLAT = {
    "n_stages": 3,
    "features_per_stage": [32, 64, 128],
    "kernel_sizes": [[3, 3]] * 3,
    "strides": [[1, 1], [2, 2], [2, 2]],
    "n_conv_per_stage": [2, 2, 2],
    "n_conv_per_stage_decoder": [2, 2],
}
RESIDUAL = {
    **{key: value for key, value in PLAIN.items() if key != "n_conv_per_stage"},
    "n_blocks_per_stage": [1, 3, 4, 6],
    "n_conv_per_stage_decoder": [1, 1, 1],
}


def settings_with(**execution: Any) -> Settings:
    raw = {
        "study": {"name": "s", "dataset": "/data"},
        "test": {"cases": 2},
        "pilots": {"sizes": [2, 4], "epochs": 10, "iterations": 50, "folds": 5},
        "arm": [{"name": "2d", "configuration": "2d"}, {"name": "3d", "configuration": "3d_fullres", "epochs": 20}],
        "execution": execution,
    }
    return parse_settings(raw, "study.toml")


@pytest.mark.parametrize(
    ("network", "kind", "dimensions"),
    [(PLAIN, "PlainConvUNet", 3), (FLAT, "PlainConvUNet", 2), (RESIDUAL, "ResidualEncoderUNet", 3)],
    ids=["plain 3d", "plain 2d", "residual"],
)
def test_the_weights_of_a_network_are_told_from_its_plans(network: dict[str, Any], kind: str, dimensions: int) -> None:
    torch = pytest.importorskip("torch")
    from dynamic_network_architectures.architectures import unet

    convolution = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[dimensions]
    with contextlib.redirect_stdout(io.StringIO()):
        made = getattr(unet, kind)(
            input_channels=1, num_classes=3, conv_op=convolution, conv_bias=True, deep_supervision=True, **network
        )
    real = sum(parameter.numel() for parameter in made.parameters())
    assert weights(network) == pytest.approx(real, rel=0.03)


def test_the_pace_of_an_arm_is_that_of_its_own_runs_else_what_the_settings_say() -> None:
    records = [
        {"arm": "2d", "seconds_per_iteration": s, "seconds": {"training": 9.0, "prediction": 3.0, "scoring": 1.0}}
        for s in (0.1, 0.2, 0.6)
    ]
    records[1]["memory_gb"] = {"host": 1.5, "device": 7.0}
    found = paces(settings_with(seconds_per_iteration=0.5), records)
    assert found["2d"] == Pace(0.2, 4.0, 1.5, 7.0, 3)
    assert found["3d"] == Pace(0.5)
    assert paces(settings_with(), []) == {}


def test_hours_count_every_fold_and_the_doubled_check() -> None:
    settings = settings_with()
    pace = Pace(0.36, overhead=36.0)
    assert run_hours(settings, "2d", 4, pace) == pytest.approx(4 * 10 * 50 * 0.36 / 3600 + 0.01), "4 folds of 4 cases"
    assert run_hours(settings, "3d", 10, pace, check=True) == pytest.approx(2 * 5 * 20 * 50 * 0.36 / 3600 + 0.01)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("no disk may be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_what_cannot_fit_on_the_disk_is_refused_with_both_figures(small_disk: Path) -> None:
    require_space(small_disk, 0.03, "trainings")
    with pytest.raises(StorageError, match=r"trainings take about 0.30 GB, found 0.0\d GB free"):
        require_space(small_disk, 0.3, "trainings")


def test_run_starts_nothing_that_cannot_fit_on_the_disk(
    small_disk: Path, new_study: Any, cli: Any, refused: Any, tmp_path: Path
) -> None:
    """By the command line: a network too wide for the disk is refused before it is trained."""
    study = new_study("--configuration", "2d", "--sizes", "2,4", "--draws", 1, "--features", 512, "--epochs", 1)
    moved = small_disk / "study"
    study.rename(study.with_name("made"))
    subprocess.run(["cp", "-r", study.with_name("made"), moved], check=True)
    result = cli("run", moved, "--jobs", 1, "--device", "cpu")
    refused(result, 2, "models and predictions of 2 runs", "GB free")
    assert not (moved / "runs").exists()
