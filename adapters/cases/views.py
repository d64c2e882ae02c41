"""What of an oriented volume is drawn: the slices that tell most, the part of them that is shown, the grey values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...forecast.types import BoolArray, FloatArray
from .volume import CaseVolume

LONGER = 2.5
"""How much longer than its core may be what is framed; what reaches farther is cut off."""
MARGIN, MARGIN_MM, MARGIN_VOXELS = 0.3, 25.0, 32
"""Anatomy around what is framed: this share of its length, and at least so many mm or voxels, whichever is less."""
WINDOWS = ((-500.0, (-1350.0, 150.0)), (350.0, (-160.0, 240.0)), (np.inf, (-500.0, 1300.0)))
"""Windows of CT images, HU, each for structures whose median is below a value: lung, soft tissue, bone."""


@dataclass(frozen=True)
class Plane:
    """A plane through a volume."""

    name: str
    across: int
    """The axis it cuts."""
    rows: int
    columns: int
    upward: bool
    """Whether the rows' axis runs upwards."""
    edges: str
    """Letters at the left, right, top and bottom."""
    sides: str
    """Letters of the negative and the positive side of the axis it cuts."""


PATIENT_PLANES = (
    Plane("axial", 0, 1, 2, False, "RLAP", "IS"),
    Plane("coronal", 1, 0, 2, True, "RLSI", "AP"),
    Plane("sagittal", 2, 0, 1, True, "APSI", "RL"),
)
STORED_PLANES = (
    Plane("first axis", 0, 1, 2, False, "", ""),
    Plane("second axis", 1, 0, 2, False, "", ""),
    Plane("third axis", 2, 0, 1, False, "", ""),
)
Point = tuple[int, int, int]


@dataclass(frozen=True)
class Frame:
    """The cube that is shown."""

    centre: tuple[float, ...]
    """Index along every axis."""
    side: float
    """In mm, or voxels where no size is known."""
    cuts_off: bool
    """Whether some of reference or prediction in the slices lies outside."""


@dataclass(frozen=True)
class View:
    """A slice as it is drawn: first row on top, first column at the left."""

    plane: Plane
    image: np.ndarray[Any, Any]
    """Shape [rows, columns] or [rows, columns, 3]."""
    reference: BoolArray
    predicted: BoolArray
    extent: tuple[float, float, float, float]
    """Left, right, bottom and top edge of the slice from the middle of the frame, mm; to the right and down."""
    cuts: tuple[float, float]
    """Where the other two planes cut it: to the right and down from the middle of the frame, mm."""


def planes_of(case: CaseVolume) -> tuple[Plane, ...]:
    """The planes to draw of an oriented volume: one of a flat image."""
    planes = STORED_PLANES if case.affine is None else PATIENT_PLANES
    flat = [plane for plane in planes if case.reference.shape[plane.across] == 1]
    return tuple(flat[:1]) or planes


def telling_point(weight: BoolArray) -> Point:
    """Where the three slices with the largest area of a mask meet; of equal ones the middle is taken."""

    def widest(axis: int) -> int:
        areas = weight.sum(axis=tuple(other for other in range(3) if other != axis))
        equal = np.flatnonzero(areas == areas.max())
        return int(equal[len(equal) // 2])

    return widest(0), widest(1), widest(2)


def frame_of(case: CaseVolume, point: Point, core: BoolArray | None = None) -> Frame:
    """The cube around the structure in the slices through a point, with anatomy around it, inside the image.

    Args:
        case: An oriented volume.
        point: Where the slices meet.
        core: What must not look small, by default the reference: where all of reference and prediction reaches out much
            farther, this is framed and the rest may be cut off.
    """
    steps, shape = np.array(case.steps), np.array(case.reference.shape)
    planes = planes_of(case)
    seen = [axis for axis in range(3) if any(axis in (plane.rows, plane.columns) for plane in planes)]
    at = np.array(point, float)
    low, high = everything = _box(case.reference | case.predicted, point, planes) or (at, at)
    inner = _box(case.reference if core is None else core, point, planes)
    if inner is not None and _length(low, high, steps, seen) > LONGER * _length(*inner, steps, seen):
        low, high = inner
    longest = _length(low, high, steps, seen)
    margin = max(MARGIN * longest, min(MARGIN_MM, MARGIN_VOXELS * float(steps[seen].min())))
    side = min(longest + 2 * margin, float((shape * steps)[seen].max()))
    half, middle = side / 2 / steps, (low + high) / 2
    centre = np.where(shape > 2 * half, np.clip(middle, half - 0.5, shape - half - 0.5), (shape - 1) / 2)
    outside = (everything[0] < centre - half - 0.5) | (everything[1] > centre + half + 0.5)
    return Frame(tuple(float(at) for at in centre), side, bool(outside[seen].any()))


def _box(mask: BoolArray, point: Point, planes: Sequence[Plane]) -> tuple[FloatArray, FloatArray] | None:
    """First and last index of a mask along every axis in the slices through a point; None where it is not in them."""
    parts = []
    for plane in planes:
        part = np.argwhere(np.take(mask, point[plane.across], axis=plane.across))
        parts.append(np.insert(part, plane.across, point[plane.across], axis=1))
    found = np.concatenate(parts)
    return (found.min(axis=0).astype(float), found.max(axis=0).astype(float)) if len(found) else None


def _length(low: FloatArray, high: FloatArray, steps: FloatArray, seen: Sequence[int]) -> float:
    return float(((high - low + 1) * steps)[list(seen)].max())


def views_of(case: CaseVolume, point: Point, frame: Frame) -> tuple[View, ...]:
    """The slices through a point of an oriented volume, cut to the frame."""
    return tuple(_view(case, plane, point, frame) for plane in planes_of(case))


def _view(case: CaseVolume, plane: Plane, point: Point, frame: Frame) -> View:
    ranges = [_range(frame, axis, case) for axis in range(3)]
    ranges[plane.across] = slice(point[plane.across], point[plane.across] + 1)

    def drawn(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        part = array[tuple(ranges)].squeeze(plane.across)  # the rows' axis comes before the columns' in every plane
        return part[::-1] if plane.upward else part

    def place(index: float, axis: int) -> float:
        return (index - frame.centre[axis]) * case.steps[axis]

    down = -1 if plane.upward else 1
    rows, columns = ranges[plane.rows], ranges[plane.columns]
    vertical = sorted(down * place(edge, plane.rows) for edge in (rows.start - 0.5, rows.stop - 0.5))
    left, right = (place(edge, plane.columns) for edge in (columns.start - 0.5, columns.stop - 0.5))
    cuts = place(point[plane.columns], plane.columns), down * place(point[plane.rows], plane.rows)
    masks = drawn(case.reference), drawn(case.predicted)
    return View(plane, drawn(case.image), *masks, (left, right, vertical[1], vertical[0]), cuts)


def _range(frame: Frame, axis: int, case: CaseVolume) -> slice:
    """Voxels along an axis that the frame shows, and one more at both ends."""
    half, size = frame.side / 2 / case.steps[axis], case.reference.shape[axis]
    first, last = (int(np.floor(frame.centre[axis] + sign * half + 0.5)) + sign for sign in (-1, 1))
    return slice(max(0, first), min(size, last + 1))


def grey_ends(case: CaseVolume, frame: Frame) -> tuple[float, float]:
    """Grey values drawn black and white.

    CT: the window for lung, soft tissue or bone, whichever the median of the structure belongs to, widened to hold its
    percentiles 1 and 99. Everything else: percentiles 1 and 99 of what the frame holds.
    """
    box = tuple(_range(frame, axis, case) for axis in range(3))
    image, structure = case.image[box], (case.reference | case.predicted)[box]
    if case.hounsfield and structure.any():
        low, median, high = np.percentile(image[structure], [1, 50, 99])
        black, white = next(window for below, window in WINDOWS if median < below)
        return float(min(low, black)), float(max(high, white))
    low, high = np.percentile(image, [1, 99])
    if low == high:
        low, high = image.min(), image.max()
    return float(low), float(high if high > low else low + 1)
