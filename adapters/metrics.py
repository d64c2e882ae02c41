"""The scores of one structure in one case, from two boolean masks.

Conventions, the same for every metric:

* The reference does not contain the structure: ratios against it and surface distances are undefined (None);
  `false_positive` and `false_positive_ml` tell what was found instead.
* The reference contains it and nothing is predicted: `missed` is 1; `dice`, `f1`, `jaccard`, `recall`,
  `precision` (0 / 0 by formula, 0 by convention), `nsd`, `nsd_area` and `lesion_sensitivity` are 0; surface
  distances are undefined.
* No physical size (natural images): volumes in mL, distances in mm and surface Dice are undefined.
* A border counts where the image ends: outside the image is outside the structure.
* Two axes, H x W, or three with a single slice, 1 x H x W, are an image: its surface is the contour.

Which metric suits which question: Maier-Hein et al. 2024, Metrics reloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import inf

import numpy as np
from scipy import ndimage

from ..forecast.errors import InputError
from ..forecast.types import BoolArray, FloatArray
from .metric_table import DEFAULT_METRICS, METRICS

Score = float | int | None
"""A score; None where it is undefined."""

ROUNDING_MM = 1e-6
"""Distances this little above the tolerance are within it: three voxels of 0.8 mm are not more than 2.4 mm."""


@dataclass(frozen=True)
class _Case:
    reference: BoolArray
    predicted: BoolArray
    counts: Mapping[str, int]
    spacing: tuple[float, ...] | None
    tolerance: float
    foreground: BoolArray | None

    @property
    def reference_voxels(self) -> int:
        return self.counts["tp"] + self.counts["fn"]

    @property
    def predicted_voxels(self) -> int:
        return self.counts["tp"] + self.counts["fp"]

    @property
    def voxel_ml(self) -> float | None:
        """Volume of a voxel; None when the image has no physical size, or no thickness."""
        return None if self.spacing is None or len(self.spacing) < 3 else float(np.prod(self.spacing)) / 1000


def check_metrics(names: Iterable[str]) -> None:
    """Refuse names that are no metrics.

    Raises:
        InputError: Names the unknown metric and lists the known ones.
    """
    for name in names:
        if name not in METRICS:
            raise InputError(f"metrics: must be among {', '.join(METRICS)}, found {name!r}. Correct the name.")


def case_scores(
    reference: BoolArray,
    predicted: BoolArray,
    *,
    wanted: Sequence[str] = DEFAULT_METRICS,
    spacing: tuple[float, ...] | None,
    tolerance: float,
    counted: BoolArray | None = None,
    foreground: BoolArray | None = None,
) -> dict[str, Score]:
    """Score one structure in one case.

    Args:
        reference: Mask of the structure, two or three axes.
        predicted: Mask of the same shape.
        wanted: Names from `METRICS`. Only their groups are computed; surfaces take the time.
        spacing: Voxel size per axis, mm; None when the image has no physical size.
        tolerance: Distance up to which surfaces agree, mm.
        counted: Mask of the annotated voxels. The others are in neither mask and not among the true negatives; a
            structure cut by them has a border there.
        foreground: Mask of the voxels with any structure in the reference or the prediction, for
            `accuracy_foreground`.

    Returns:
        The wanted scores in the order asked for, None where undefined. Then, always: `missed` when the reference
        contains the structure; otherwise `false_positive` and, when the image has a size, `false_positive_ml`.

    Raises:
        InputError: An unknown metric.
        ValueError: Masks, spacing and tolerance that do not go together, or no mask where a metric needs it.
    """
    check_metrics(wanted)
    if "accuracy_foreground" in wanted and foreground is None:
        raise ValueError("accuracy_foreground needs the mask foreground")
    case = _case(reference, predicted, spacing, tolerance, counted, foreground)
    presence = _presence(case)
    computed = dict(presence)
    for group in dict.fromkeys(METRICS[name].group for name in wanted):
        computed |= _GROUPS[group](case)
    return {name: computed[name] for name in [*wanted, *presence] if name in computed}


def pooled(counts: Mapping[str, float]) -> dict[str, float | None]:
    """Ratios of voxel counts: those of a case, or their sums over cases.

    Args:
        counts: `tp`, `fp`, `fn` and `tn`, voxels.

    Returns:
        dice, f1, jaccard, recall, precision, specificity and accuracy; None when no reference voxel is counted, so that
        every curve is about the cases that contain the structure.
    """
    tp, fp, fn, tn = (float(counts[name]) for name in ("tp", "fp", "fn", "tn"))
    contained = tp + fn > 0
    dice = 2 * tp / (2 * tp + fp + fn) if contained else None
    return {
        "dice": dice,
        "f1": dice,
        "jaccard": tp / (tp + fp + fn) if contained else None,
        "recall": tp / (tp + fn) if contained else None,
        "precision": tp / max(tp + fp, 1) if contained else None,
        "specificity": _share(tn, tn + fp) if contained else None,
        "accuracy": _share(tp + tn, tp + fp + fn + tn) if contained else None,
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _case(
    reference: BoolArray,
    predicted: BoolArray,
    spacing: tuple[float, ...] | None,
    tolerance: float,
    counted: BoolArray | None,
    foreground: BoolArray | None,
) -> _Case:
    shapes = [np.shape(mask) for mask in (reference, predicted, counted, foreground) if mask is not None]
    if len(set(shapes)) > 1 or np.ndim(reference) not in (2, 3):
        raise ValueError(f"needs masks of one shape with two or three axes, found {shapes}")
    if spacing is not None and (len(spacing) != reference.ndim or not all(0 < size < inf for size in spacing)):
        raise ValueError(f"needs a size > 0 mm for each of {reference.ndim} axes, found {spacing}")
    if not 0 <= tolerance < inf:
        raise ValueError(f"needs a tolerance >= 0 mm, found {tolerance}")
    counted = np.ones(np.shape(reference), dtype=bool) if counted is None else np.asarray(counted, dtype=bool)
    reference, predicted = np.asarray(reference, dtype=bool) & counted, np.asarray(predicted, dtype=bool) & counted
    foreground = None if foreground is None else np.asarray(foreground, dtype=bool) & counted
    in_both, in_reference, in_predicted = (int(m.sum()) for m in (reference & predicted, reference, predicted))
    counts = {"tp": in_both, "fp": in_predicted - in_both, "fn": in_reference - in_both}
    counts["tn"] = int(counted.sum()) - sum(counts.values())
    return _Case(reference, predicted, counts, spacing, tolerance, foreground)


def _presence(case: _Case) -> dict[str, Score]:
    if case.reference_voxels:
        return {"missed": int(not case.predicted_voxels)}
    scores: dict[str, Score] = {"false_positive": int(case.predicted_voxels > 0)}
    if case.voxel_ml is not None:
        scores["false_positive_ml"] = case.predicted_voxels * case.voxel_ml
    return scores


def _overlap(case: _Case) -> dict[str, Score]:
    scores: dict[str, Score] = {**case.counts, **pooled(case.counts)}
    if case.foreground is not None and case.reference_voxels:
        correct = np.sum(case.foreground & (case.reference == case.predicted))
        scores["accuracy_foreground"] = _share(float(correct), float(np.sum(case.foreground)))
    elif case.foreground is not None:
        scores["accuracy_foreground"] = None
    return scores


def _volumes(case: _Case) -> dict[str, Score]:
    found, true = case.predicted_voxels, case.reference_voxels
    voxels = {"volume_ml": found, "reference_ml": true, "volume_difference_ml": found - true}
    scores: dict[str, Score] = {n: None if case.voxel_ml is None else v * case.voxel_ml for n, v in voxels.items()}
    scores["volume_difference_percent"] = _share(100.0 * (found - true), true)
    return scores


def _surfaces(case: _Case) -> dict[str, Score]:
    if case.spacing is None or not case.reference_voxels:
        return {"msd_mm": None, "hd95_mm": None, "nsd": None}
    if not case.predicted_voxels:
        return {"msd_mm": None, "hd95_mm": None, "nsd": 0.0}
    *masks, spacing = _boxed(case, case.spacing)
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in masks]
    there, back = _distances(borders[0], borders[1], spacing)
    both = np.concatenate([there, back])
    return {
        "msd_mm": float(both.mean()),
        "hd95_mm": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "nsd": float(np.mean(both <= case.tolerance + ROUNDING_MM)),
    }


def _surface_area(case: _Case) -> dict[str, Score]:
    if case.spacing is None or not case.reference_voxels:
        return {"nsd_area": None}
    if not case.predicted_voxels:
        return {"nsd_area": 0.0}
    *masks, spacing = _boxed(case, case.spacing)
    if len(spacing) == 2:  # a slab one unit thick: its area is the length of the contour
        masks, spacing = [np.stack([mask, mask], axis=-1) for mask in masks], (*spacing, 1.0)
    areas = [_patch_areas(spacing)[_cells(mask)] for mask in masks]
    distances = np.concatenate(_distances(areas[0] > 0, areas[1] > 0, spacing))
    both = np.concatenate([area[area > 0] for area in areas])
    return {"nsd_area": float(both[distances <= case.tolerance + ROUNDING_MM].sum() / both.sum())}


def _lesions(case: _Case) -> dict[str, Score]:
    reference, predicted, _ = _boxed(case, case.spacing or (1.0,) * case.reference.ndim)
    both = reference & predicted
    (all_true, true_hit), (all_found, found_hit) = (_components(mask, both) for mask in (reference, predicted))
    return {"lesion_sensitivity": _share(true_hit, all_true), "false_positive_lesions": all_found - found_hit}


_GROUPS: dict[str, Callable[[_Case], dict[str, Score]]] = {
    "overlap": _overlap,
    "volume": _volumes,
    "surface": _surfaces,
    "surface area": _surface_area,
    "lesions": _lesions,
    "presence": _presence,
}


def _components(mask: BoolArray, part: BoolArray) -> tuple[int, int]:
    """How many components a mask has, and how many of them hold some of a part of the mask."""
    labelled, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    return int(count), len(np.unique(labelled[part]))


def _boxed(case: _Case, spacing: tuple[float, ...]) -> tuple[BoolArray, BoolArray, tuple[float, ...]]:
    """Both masks in their common bounding box with one voxel of outside around it, as an image when one slice."""
    reference, predicted = case.reference, case.predicted
    if reference.ndim == 3 and len(reference) == 1:
        reference, predicted, spacing = reference[0], predicted[0], spacing[1:]
    found = ndimage.find_objects((reference | predicted).astype(np.uint8))
    box = found[0] if found else (slice(0),) * reference.ndim
    return np.pad(reference[box], 1), np.pad(predicted[box], 1), spacing


def _distances(first: BoolArray, second: BoolArray, spacing: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """Distance of every voxel of either border to the nearest of the other, mm."""
    to_first, to_second = (ndimage.distance_transform_edt(~border, sampling=spacing) for border in (first, second))
    return to_second[first], to_first[second]


def _cells(mask: BoolArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Which of its eight corners are inside, for every cell between voxel centres: bit k for corner k."""
    codes = np.zeros([size - 1 for size in mask.shape], dtype=np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=3)):
        shifted = mask[tuple(slice(start, start + size) for start, size in zip(corner, codes.shape, strict=True))]
        codes |= shifted.astype(np.uint8) << bit
    return codes


def _patch_areas(spacing: tuple[float, ...]) -> FloatArray:
    """Area of the surface in a cell, mm2, by the code of its corners, shape [256]."""
    faces = np.prod(spacing) / np.asarray(spacing)
    return np.array([np.linalg.norm(vectors * faces, axis=1).sum() for vectors in _patches()])


@cache
def _patches() -> tuple[FloatArray, ...]:
    """Area vectors of the triangles of the surface in a unit cell, shape [triangles, 3], by the code of its corners.

    The surface passes half-way between voxel centres (marching cubes, Lorensen and Cline 1987). It encloses each
    face-connected part of the smaller side, the inside or the outside, on its own.
    """
    patches = []
    for code in range(256):
        cell = np.array([code >> bit & 1 for bit in range(8)], dtype=bool).reshape(2, 2, 2)
        smaller = cell if cell.sum() <= 4 else ~cell
        parts, count = ndimage.label(smaller)
        triangles = [_triangles(_outline(parts == part)) for part in range(1, count + 1)]
        patches.append(np.concatenate(triangles) if triangles else np.zeros((0, 3)))
    return tuple(patches)


def _outline(part: BoolArray) -> FloatArray:
    """Middles of the cut edges of a unit cell in the order of the walk around the part, shape [edges, 3]."""
    pairs = product(np.argwhere(part), np.argwhere(~part))
    edges = [(inner + outer) / 2 for inner, outer in pairs if np.abs(inner - outer).sum() == 1]
    walk = [edges.pop()]
    while edges:  # the next edge lies on a common face of the cell
        common = [bool(np.any((edge == walk[-1]) & (edge != 0.5))) for edge in edges]
        walk.append(edges.pop(common.index(True)))
    return np.array(walk)


def _triangles(outline: FloatArray) -> FloatArray:
    """Area vectors of the fan of triangles over an outline, from the corner that gives the largest area.

    Where an outline is not flat the corner matters: the largest fan splits the outline of three voxels into two
    flat pieces, and gives that of the four-voxel staircase the same area seen from inside and from outside.
    """
    fans = []
    for start in range(len(outline)):
        spokes = np.roll(outline, -start, axis=0)[1:] - outline[start]
        fans.append(np.cross(spokes[:-1], spokes[1:]) / 2)
    return max(fans, key=lambda fan: float(np.linalg.norm(fan, axis=1).sum()))
