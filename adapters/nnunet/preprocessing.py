"""Preprocessing cases one by one, with a box cut out first and normalisations that nnU-Net does not have.

nnU-Net's own `preprocess` deletes its output folder at every call, so cases are preprocessed one by one under the
frozen plans, whenever they are annotated.

Imports nnU-Net; only worker processes import this module.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from ..files import read_json
from .dataset import CaseFiles
from .environment import output_to
from .preparation import Preparation, case_folder, is_preprocessed, read_plans

PERCENTILES = (0.5, 99.5)
"""Where `clip` cuts unless told otherwise."""
Box = tuple[slice, ...]


class StudyPreprocessor(DefaultPreprocessor):  # type: ignore[misc]
    """Stock preprocessing inside a box, after our own normalisation where one was asked for."""

    def __init__(self, preparation: Preparation, box: Box | None = None) -> None:
        super().__init__(verbose=False)
        self._preparation, self._box = preparation, box

    def run_case_npy(self, data: Any, seg: Any, properties: dict[str, Any], plans_manager: Any, *more: Any) -> Any:
        """Stock on the box; the properties then speak of the whole image, so that predictions land in it."""
        if self._box is None:
            return super().run_case_npy(data, seg, properties, plans_manager, *more)
        whole, cut = data.shape[1:], (slice(None), *self._box)
        seg = None if seg is None else seg[cut]
        data, seg, properties = super().run_case_npy(data[cut], seg, properties, plans_manager, *more)
        order = plans_manager.transpose_forward
        starts = [self._box[axis].start for axis in order]
        ends = properties["bbox_used_for_cropping"]
        properties["shape_before_cropping"] = tuple(whole[axis] for axis in order)
        properties["bbox_used_for_cropping"] = [[a + s, b + s] for (a, b), s in zip(ends, starts, strict=True)]
        return data, seg, properties

    def _normalize(self, data: Any, seg: Any, configuration_manager: Any, foreground: Any) -> Any:
        kind = self._preparation.normalisation
        if kind == "clip":
            data = np.stack([_clipped(channel, self._preparation.clip or PERCENTILES) for channel in data])
        if kind == "window":
            assert self._preparation.window is not None
            low, high = self._preparation.window
            data = (np.clip(data, low, high) - low) / (high - low)
        return super()._normalize(data, seg, configuration_manager, foreground)


def _clipped(channel: Any, percentiles: Sequence[float]) -> Any:
    """Cut at percentiles of the case, then to zero mean and unit standard deviation."""
    cut = np.clip(channel, *np.percentile(channel, percentiles))
    return (cut - cut.mean()) / max(float(cut.std()), 1e-8)


def preprocess_case(
    workspace: Path,
    preparation: Preparation,
    configuration: str,
    case: str,
    files: CaseFiles,
    test_set: str | None = None,
) -> None:
    """Preprocess one case under the frozen plans; does nothing when that was done.

    Args:
        workspace: The study's private nnU-Net folder.
        preparation: Names the plans.
        configuration: nnU-Net configuration.
        case: Name of the preprocessed case.
        files: Its images and label.
        test_set: Test set it belongs to; its label is then left out. None for a training case.
    """
    plans = read_plans(workspace, preparation)
    folder = case_folder(workspace, plans, configuration, test_set)
    if is_preprocessed(folder, case):
        return
    draft = workspace / "unfinished" / f"{folder.name}-{case}-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    with output_to(workspace / "preprocessing.log"):
        cut = None if preparation.crop is None else crop_box(files.label, plans, preparation)
        preprocessor, *arguments = preprocessor_of(workspace, preparation, configuration, cut)
        images, label = [str(p) for p in files.images], None if test_set is not None else str(files.label)
        preprocessor.run_case_save(str(draft / case), images, label, *arguments)
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("_seg.b2nd", ".b2nd", ".pkl"):
        os.replace(draft / f"{case}{ending}", folder / f"{case}{ending}")
    shutil.rmtree(draft)


def preprocessor_of(
    workspace: Path, preparation: Preparation, configuration: str, box: Box | None
) -> tuple[StudyPreprocessor, PlansManager, Any, dict[str, Any]]:
    """A preprocessor with what nnU-Net wants beside the images: plans, configuration and `dataset.json`."""
    manager = PlansManager(read_plans(workspace, preparation))
    declared = read_json(preparation.plans_path(workspace).parent / "dataset.json")
    return StudyPreprocessor(preparation, box), manager, manager.get_configuration(configuration), declared


def crop_box(label: Path, plans: Mapping[str, Any], preparation: Preparation) -> Box | None:
    """The box around the labels of a label file, in the axes of its array; None where it holds none of them."""
    reader = PlansManager(dict(plans)).image_reader_writer_class()
    found, properties = reader.read_seg(str(label))
    assert preparation.crop is not None
    return box_around(found[0], properties["spacing"], preparation.crop, preparation.margin_mm)


def box_around(label: Any, spacing: Sequence[float], values: tuple[int, ...], margin_mm: float) -> Box | None:
    """The bounding box of some labels with a margin, within the array; None where there are none."""
    inside = np.isin(label, values)
    if not inside.any():
        return None
    box = []
    for axis, step in enumerate(spacing):
        others = tuple(other for other in range(inside.ndim) if other != axis)
        where = np.flatnonzero(inside.any(axis=others))
        margin = math.ceil(margin_mm / step)
        box.append(slice(max(0, int(where[0]) - margin), min(inside.shape[axis], int(where[-1]) + 1 + margin)))
    return tuple(box)


def cropped_copies(
    folder: Path, pool: Mapping[str, CaseFiles], values: tuple[int, ...], margin_mm: float
) -> dict[str, CaseFiles]:
    """Cases cut to their boxes and written as NIfTI, for nnU-Net to take a fingerprint of."""
    import SimpleITK

    folder.mkdir(parents=True)
    copies = {}
    for case, files in pool.items():
        label = SimpleITK.ReadImage(str(files.label))
        found = SimpleITK.GetArrayViewFromImage(label)
        box = box_around(found, label.GetSpacing()[::-1], values, margin_mm) or tuple(slice(0, n) for n in found.shape)
        paths = []
        for number, path in enumerate((*files.images, files.label)):
            paths.append(folder / f"{case}_{number:04d}.nii.gz")
            SimpleITK.WriteImage(SimpleITK.ReadImage(str(path))[box[::-1]], str(paths[-1]))
        copies[case] = CaseFiles(tuple(paths[:-1]), paths[-1])
    return copies
