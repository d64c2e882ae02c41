"""nnU-Net v2 as a library: its datasets, plans, trainings and predictions.

Only the modules that run inside a worker process import torch and nnunetv2; everything the command line needs
to start, check a dataset folder or report does without.
"""

from __future__ import annotations

import importlib.util

from ...forecast.errors import InputError, install_words


def require_nnunet() -> None:
    """Make sure nnU-Net can be imported.

    Raises:
        InputError: It is not installed; names the extra.
    """
    if importlib.util.find_spec("nnunetv2") is None or importlib.util.find_spec("torch") is None:
        raise InputError(
            "training needs nnU-Net v2 and torch, which are not installed here. Install them "
            f"{install_words('nnunet')}."
        )


def detect_device(wanted: str = "auto") -> str:
    """`cuda`, `mps` or `cpu`; `auto` takes the first there is. Imports torch only when it has to look."""
    if wanted != "auto":
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
