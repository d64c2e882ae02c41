"""Reading the image, the reference and the kept prediction of one case, as scoring reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...forecast.errors import InputError
from ...forecast.types import FloatArray
from ..nnunet.dataset import COLOUR_ENDINGS, CaseFiles
from ..nnunet.image_files import read_file, states_orientation
from ..nnunet.scoring import physical
from .volume import CaseVolume


def read_case(
    files: CaseFiles,
    prediction: Path,
    values: tuple[int, ...],
    *,
    ignore: int | None,
    declared: Mapping[str, Any],
    reader: Any,
) -> CaseVolume:
    """Read one structure of one case.

    Args:
        files: Image and reference; of several channel files the first is read.
        prediction: Label map of the same shape.
        values: Labels of the structure.
        ignore: Value of reference voxels that do not count; they are in neither mask.
        declared: The dataset's `dataset.json`.
        reader: nnU-Net's reader of its images.

    Raises:
        InputError: A file is missing or cannot be read, or shapes differ.
    """
    paths = {"image": files.images[0], "reference": files.label, "prediction": prediction}
    for what, path in paths.items():
        if not path.is_file():
            raise InputError(f"{path}: the {what} is not there. Restore it.")
    channels, about = read_file(lambda: reader.read_images([str(files.images[0])]), files.images[0])
    image, shape = _shown(channels, files), channels.shape[1:]
    del channels

    def labels(path: Path) -> np.ndarray[Any, Any]:
        found = read_file(lambda: reader.read_seg(str(path)), path)[0][0]
        if found.shape != shape:
            raise InputError(f"{path}: must have the shape of the image, {shape}, found {found.shape}. Restore it.")
        return np.asarray(found)

    reference = labels(files.label)
    spacing = physical(about["spacing"])
    flat = spacing is not None and len(spacing) < 3
    counted = np.True_ if ignore is None else reference != ignore
    return CaseVolume(
        image=image,
        reference=np.isin(reference, values) & counted,
        predicted=np.isin(labels(prediction), values) & counted,
        spacing=spacing,
        affine=None if flat or not states_orientation(files.images[0]) else patient_affine(about),
        hounsfield=str(next(iter(declared["channel_names"].values()))).casefold() == "ct",
    )


def _shown(channels: np.ndarray[Any, Any], files: CaseFiles) -> np.ndarray[Any, Any]:
    """The colours of a colour image, 0 to 255; the first channel of everything else."""
    if len(channels) < 3 or files.images[0].suffix.lower() not in COLOUR_ENDINGS:
        return np.asarray(channels[0])
    deep = 1 if channels.max() <= 255 else 257  # 16 bits a colour
    return np.moveaxis(channels[:3], 0, -1) / deep


def patient_affine(about: Mapping[str, Any]) -> FloatArray | None:
    """Patient coordinates (LPS, mm) of an index in the order of nnU-Net's arrays, from what its reader says.

    Returns:
        Shape [3, 4], see `CaseVolume.affine`; None where the reader knows of no patient: flat images, TIFF,
        a header that makes no sense.
    """
    if "nibabel_stuff" in about:
        found = about["nibabel_stuff"]
        to_right = np.asarray(found.get("reoriented_affine", found["original_affine"]), float)
        affine = to_right[:3] * [[-1.0], [-1.0], [1.0]]
    elif len(about.get("sitk_stuff", {}).get("direction", ())) >= 9:
        found = about["sitk_stuff"]
        axes = round(len(found["direction"]) ** 0.5)
        direction = np.reshape(found["direction"], (axes, axes))[:3, :3]
        affine = np.column_stack([direction * np.asarray(found["spacing"][:3]), found["origin"][:3]])
    else:
        return None
    if not np.all(np.isfinite(affine)) or np.linalg.matrix_rank(affine[:, :3]) < 3:
        return None
    return np.asarray(affine[:, [2, 1, 0, 3]], float)  # arrays have their axes in the opposite order of files
