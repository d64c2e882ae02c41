"""Checkpoints of nnU-Net, read without running what else a pickle can hold.

Imports torch; only worker processes import this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import dtypes
from numpy._core.multiarray import scalar

from ...forecast.errors import InputError

NUMBERS = [scalar, np.dtype, *(getattr(dtypes, name) for name in dir(dtypes) if name.endswith("DType"))]
"""What checkpoints hold beside tensors and plain values: NumPy's numbers, of losses and rates."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint: weights, and what the training went through.

    Args:
        path: As nnU-Net writes it.

    Raises:
        InputError: Not a checkpoint, cut short, or one that holds objects which would run code when they are read.
    """
    try:
        with torch.serialization.safe_globals(NUMBERS):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a faulty pickle can end in any of them
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{path}: must be a checkpoint of nnU-Net that holds weights and plain values only, found a file that "
            f"cannot be read as one ({why}). Restore it, or remove the run's folder and train again."
        ) from error
    if not isinstance(found, dict) or "network_weights" not in found:
        raise InputError(f"{path}: must be a checkpoint of nnU-Net, found no network_weights. Restore the file.")
    return found
