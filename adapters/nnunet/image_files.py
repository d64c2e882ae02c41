"""Reading image files so that a bad one is named, and nothing is printed past the report."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...forecast.errors import InputError

Read = TypeVar("Read")
NIFTI = (".nii", ".nii.gz")
PACKED = 1100
"""How many times smaller gzip can make a file: deflate's bound of 1032, and some."""


def read_file(read: Callable[[], Read], path: Path, remarks: list[str] | None = None) -> Read:
    """Do what reads an image file; what libraries would print meanwhile is not printed.

    Args:
        read: Reads it.
        path: The file.
        remarks: Takes what nibabel says of its header.

    Raises:
        InputError: It cannot be read, for whatever reason.
    """
    said = io.StringIO()  # nnU-Net's readers print what is wrong and raise without a word
    try:
        with contextlib.redirect_stdout(said), _quiet([] if remarks is None else remarks):
            return read()
    except Exception as error:  # readers raise whatever their library raises
        why = str(error) or " ".join(said.getvalue().split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as an image: {why}. Restore the file.") from error


def check_nifti(path: Path) -> list[str]:
    """Refuse a NIfTI file that ITK would read without a word although something is missing or no number.

    ITK reads what a truncated file lacks, and NaN, as 0; it prints what is wrong with a header. nibabel comes first.

    Returns:
        What nibabel had to correct in the header; empty for files of other kinds.

    Raises:
        InputError: Cut, unreadable, or voxels that are no numbers of 32 bits.
    """
    if not path.name.endswith(NIFTI):
        return []
    found: list[str] = []
    image = read_file(lambda: _opened(path), path, found)
    if not all(image.shape) or not np.all(np.isfinite(image.affine)):
        raise InputError(
            f"{path}: must have voxels and an orientation in numbers, found shape {image.shape} and rows "
            f"{image.affine[:3].tolist()}. Correct the header."
        )
    _check_length(image, path)
    voxels = read_file(lambda: np.asanyarray(image.dataobj), path, found)
    if voxels.dtype.kind not in "biuf":
        raise InputError(f"{path}: voxels must be single numbers, found {image.get_data_dtype()}. Convert the image.")
    if not np.all(np.isfinite(voxels)):
        raise InputError(f"{path}: every voxel must be a number, found NaN or infinity. Repair or remove the case.")
    if voxels.dtype.itemsize > 4 and voxels.size and max(-voxels.min(), voxels.max()) > np.finfo(np.float32).max:
        raise InputError(f"{path}: voxels must fit into 32 bits, found {np.abs(voxels).max():g}. Rescale the image.")
    return list(dict.fromkeys(found))


def states_orientation(path: Path) -> bool:
    """Whether an image says how the patient lay: a NIfTI file may leave both of its transforms undefined."""
    if not path.name.endswith(NIFTI):
        return True
    header = read_file(lambda: _opened(path), path).header
    return bool(header["qform_code"] > 0 or header["sform_code"] > 0)


def _opened(path: Path) -> Any:
    import nibabel

    image = nibabel.load(path)
    if "qform_code" not in image.header:
        raise ValueError("its header is not that of NIfTI")
    return image


def _check_length(image: Any, path: Path) -> None:
    """Before anything is allocated for what a header promises."""
    promised = float(np.prod(image.shape, dtype=float)) * image.get_data_dtype().itemsize
    there = path.stat().st_size * (PACKED if path.name.endswith(".gz") else 1)
    if promised > there:
        raise InputError(
            f"{path}: must hold {promised:.0f} bytes of voxels by its header, found a file of {path.stat().st_size} "
            "bytes. It was cut, or the header is wrong. Restore the file."
        )


@contextlib.contextmanager
def _quiet(remarks: list[str]) -> Iterator[None]:
    """Keep what nibabel says, and keep ITK from printing what it says."""
    logger = logging.getLogger("nibabel.global")
    before, handlers = logger.propagate, logger.handlers[:]
    logger.handlers[:], logger.propagate = [_Keep(remarks)], False
    itk: Any = getattr(sys.modules.get("SimpleITK"), "ProcessObject", None)
    shown = itk is not None and itk.GetGlobalWarningDisplay()
    if shown:
        itk.GlobalWarningDisplayOff()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
        remarks += [str(one.message) for one in warned if issubclass(one.category, UserWarning | RuntimeWarning)]
    finally:
        logger.handlers[:], logger.propagate = handlers, before
        if shown:
            itk.GlobalWarningDisplayOn()


class _Keep(logging.Handler):
    """Keeps messages."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self._messages.append(record.getMessage())
