"""What nnU-Net is told by its environment, and what it is not told."""

import os
from pathlib import Path

import pytest

from dicecast.adapters.nnunet.environment import nnunet_environment
from dicecast.adapters.nnunet.folders import located

SWITCH, RAW = "nnUNet_wandb_enabled", "nnUNet_raw"


@pytest.mark.parametrize(("tracking", "expected"), [("none", "0"), ("wandb", "1")])
@pytest.mark.parametrize("inherited", ["1", "0", None])
def test_tracking_is_off_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking: str, expected: str, inherited: str | None
) -> None:
    if inherited is None:
        monkeypatch.delenv(SWITCH, raising=False)
    else:
        monkeypatch.setenv(SWITCH, inherited)
    with nnunet_environment(tmp_path, tmp_path / "results", 0, compile_network=False, tracking=tracking):
        assert os.environ[SWITCH] == expected
        assert os.environ[RAW] == str(tmp_path / "raw")
    assert os.environ.get(SWITCH) == inherited


def test_a_dataset_is_found_by_path_by_name_and_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tmp_path / "raw" / "Dataset004_Hippocampus"
    dataset.mkdir(parents=True)
    monkeypatch.delenv(RAW, raising=False)
    assert located("4", tmp_path, RAW) == tmp_path / "4"
    monkeypatch.setenv(RAW, str(tmp_path / "raw"))
    for text in ("4", "004", "Dataset004_Hippocampus", str(dataset), "raw/Dataset004_Hippocampus"):
        assert located(text, tmp_path, RAW) == dataset
    assert located("5", tmp_path, RAW) == tmp_path / "5"
    here = tmp_path / "4"
    here.mkdir()
    assert located("4", tmp_path, RAW) == here
