"""The environment nnU-Net reads, set for a study and put back afterwards."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
COMPILE = "nnUNet_compile"
"""nnU-Net's switch for torch.compile."""


@contextlib.contextmanager
def nnunet_environment(
    folder: Path, results: Path, augmentation_workers: int, *, compile_network: bool, tracking: str = "none"
) -> Iterator[None]:
    """Point nnU-Net at folders of the study, never at the user's own.

    Args:
        folder: Holds `raw` and `preprocessed`.
        results: Where trained models go.
        augmentation_workers: `nnUNet_n_proc_DA`; 0 augments in the training process (planning needs 1).
        compile_network: `nnUNet_compile`; of use on CUDA only, and off where the user's environment says so.
        tracking: `wandb` lets nnU-Net report there; otherwise a switch the user's environment holds is overruled.
    """
    wanted = {
        "nnUNet_raw": str(folder / "raw"),
        "nnUNet_preprocessed": str(folder / "preprocessed"),
        "nnUNet_results": str(results),
        "nnUNet_n_proc_DA": str(augmentation_workers),
        COMPILE: "t" if compile_network and is_compiling_wanted() else "f",
        "nnUNet_wandb_enabled": "1" if tracking == "wandb" else "0",
    }
    with environment(wanted):
        yield


def is_compiling_wanted() -> bool:
    """Whether the user's environment leaves torch.compile on, as nnU-Net does."""
    return os.environ.get(COMPILE, "t").lower() in ("t", "true", "1")


@contextlib.contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, and put them back."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Send everything this process and its children print to a log file: nnU-Net prints a lot."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in zip((1, 2), kept, strict=True):
            os.dup2(saved, number)
            os.close(saved)
