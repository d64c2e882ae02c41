"""Checkpoints are read without running what else a pickle can hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from dicecast.adapters.nnunet.checkpoints import read_checkpoint
from dicecast.forecast.errors import InputError


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_weights_and_what_a_training_went_through_are_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_final.pth"
    held = {"network_weights": {"w": torch.ones(2)}, "logging": {"losses": [np.float64(0.5)]}, "current_epoch": 3}
    torch.save(held, path)
    found = read_checkpoint(path)
    assert found["network_weights"]["w"].tolist() == [1, 1] and found["logging"] == {"losses": [0.5]}


def test_nothing_a_checkpoint_holds_is_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "checkpoint_final.pth", tmp_path / "run"
    torch.save({"network_weights": {}, "init_args": Trap(trace)}, path)
    with pytest.raises(InputError, match="weights and plain values only"):
        read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"text", bytes(1000)])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint_final.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint_final\.pth: must be a checkpoint"):
        read_checkpoint(path)


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_final.pth"
    torch.save({"logging": {}}, path)
    with pytest.raises(InputError, match="no network_weights"):
        read_checkpoint(path)
