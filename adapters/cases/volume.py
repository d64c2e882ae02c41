"""One structure in one case: image, reference and prediction, turned to the patient's axes.

Arrays only. After `oriented` the axes run to superior, posterior and left, so that a slice drawn with its first row on
top and its first column at the left is in radiological convention: the patient's right at the left of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
from scipy import ndimage

from ...forecast.types import BoolArray, FloatArray


@dataclass(frozen=True)
class CaseVolume:
    """One structure in one case."""

    image: np.ndarray[Any, Any]
    """Grey values, shape [axis 0, axis 1, axis 2]; or colours of 0 to 255, a fourth axis of three. Flat images have one
    slice along the first axis."""
    reference: BoolArray
    """Mask of the structure, three axes."""
    predicted: BoolArray
    spacing: tuple[float, ...] | None
    """Voxel size along the axes (flat images: the last two), mm; None when the image has no physical size."""
    affine: FloatArray | None
    """Patient coordinates to the left, posterior and superior (LPS), mm, of an index [i, j, k, 1]; shape [3, 4]. None
    when the image does not tell how the patient lay."""
    hounsfield: bool
    """Whether grey values are those of CT."""

    @property
    def steps(self) -> tuple[float, float, float]:
        """Voxel size for drawing: 1 where none is known."""
        known = self.spacing or (1.0, 1.0)
        return (1.0, *known) if len(known) == 2 else known  # type: ignore[return-value]

    @property
    def wrong(self) -> BoolArray:
        """Where reference and prediction disagree."""
        return self.reference ^ self.predicted


def oriented(case: CaseVolume) -> CaseVolume:
    """The volume with its axes nearest to superior, posterior and left; as stored where the image does not tell.

    Axes are swapped and turned round, nothing is interpolated: of an oblique scan slices stay those of the scanner.
    """
    if case.affine is None:
        return case
    axes, signs = nearest_axes(case.affine)
    flips = tuple(slice(None, None, int(sign)) for sign in signs)

    def turned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.moveaxis(array, axes, (0, 1, 2))[flips]

    last = np.array([case.reference.shape[axis] - 1 for axis in axes]) * (signs < 0)
    columns = case.affine[:, list(axes)]
    affine = np.column_stack([columns * signs, case.affine[:, 3] + columns @ last])
    return replace(
        case,
        image=turned(case.image),
        reference=turned(case.reference),
        predicted=turned(case.predicted),
        spacing=None if case.spacing is None else tuple(case.spacing[axis] for axis in axes),
        affine=affine,
    )


def nearest_axes(affine: FloatArray) -> tuple[tuple[int, ...], FloatArray]:
    """The array axes nearest to superior, posterior and left, and whether each runs there (1) or away (-1)."""
    directions = _directions(affine)
    axes = max(
        permutations(range(3)), key=lambda some: sum(abs(directions[row, axis]) for row, axis in enumerate(some))
    )
    signs = np.array([1.0 if directions[row, axis] >= 0 else -1.0 for row, axis in enumerate(axes)])
    return axes, signs


def tilt(case: CaseVolume) -> float:
    """Largest angle between an axis of an oriented volume and the patient's, degrees; 0 where it is not known."""
    if case.affine is None:
        return 0.0
    along = np.clip(np.abs(np.diag(_directions(case.affine))), 0, 1)
    return float(np.degrees(np.arccos(along.min())))


def _directions(affine: FloatArray) -> FloatArray:
    """Rows superior, posterior, left; columns the array axes, unit length."""
    steps = affine[::-1, :3]
    return np.asarray(steps / np.linalg.norm(steps, axis=0))


@dataclass(frozen=True)
class MissedParts:
    """Separate parts (fully connected) of a reference that the prediction does not touch."""

    parts: int
    """Parts of the reference, missed or not."""
    missed: int
    voxels: int
    """Of the missed parts."""
    largest: BoolArray
    """Mask of the largest of these; empty where none is missed."""


def missed_parts(case: CaseVolume) -> MissedParts:
    """Which parts of the reference are missed; counted as the metric `lesion_sensitivity` counts lesions."""
    largest = np.zeros_like(case.reference)
    boxes = ndimage.find_objects(case.reference.view(np.uint8))
    if not boxes:
        return MissedParts(0, 0, 0, largest)
    reference = case.reference[boxes[0]]
    labels, count = ndimage.label(reference, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    sizes[np.unique(labels[reference & case.predicted[boxes[0]]])] = 0
    if sizes.any():
        largest[boxes[0]] = labels == sizes.argmax()
    return MissedParts(int(count), int(np.count_nonzero(sizes)), int(sizes.sum()), largest)
