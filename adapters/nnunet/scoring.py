"""Scoring kept predictions against their references, case by case and structure by structure.

Apart from prediction, so that metrics, unions and tolerances may be changed without training anything again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...forecast.errors import InputError
from ...forecast.scores import TEST
from ..metric_table import METRICS
from ..metrics import case_scores
from .dataset import CaseFiles, Label, NnunetDataset
from .image_files import read_file

NO_SPACING = 999
"""Spacing along the missing axis that nnU-Net's readers make up: of natural images; of other flat images this times
their largest spacing."""


@dataclass(frozen=True)
class Scoring:
    """What is scored in a pair of label maps."""

    structures: Mapping[str, Label]
    """Label value, or the values of a region or union, by name."""
    metrics: tuple[str, ...]
    tolerances: Mapping[str, float]
    """Tolerance of the surface Dice by structure, mm."""
    ignore: int | None
    """Value of reference voxels that were not annotated and do not count."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """Structures and unions as settings ask for them; kept beside the scores, nothing else."""

    @property
    def quick(self) -> Scoring:
        """Without what takes time: surfaces and lesions."""
        slow = ("surface", "surface area", "lesions")
        return replace(self, metrics=tuple(name for name in self.metrics if METRICS[name].group not in slow))

    def document(self) -> dict[str, Any]:
        """What a run keeps beside its scores to know whether they are up to date."""
        labels = {name: list(v) if isinstance(v, tuple) else v for name, v in self.structures.items()}
        return {
            "structures": labels,
            "metrics": list(self.metrics),
            "surface_tolerance_mm": dict(self.tolerances),
            "ignore": self.ignore,
            "asked": dict(self.asked),
        }


def scored_structures(
    dataset: NnunetDataset, asked: list[str], unions: Mapping[str, list[str]], where: str
) -> dict[str, Label]:
    """Label values of everything that is scored, by name.

    Args:
        dataset: Declares labels and regions.
        asked: Names; empty takes every label, region and union.
        unions: Parts of every union by name.
        where: File and section, for messages.

    Raises:
        InputError: A name that is neither declared nor a union, or a union named like a structure.
    """
    known = dataset.structures
    for name, parts in unions.items():
        unknown = [part for part in parts if part not in dataset.structures]
        if unknown:
            raise InputError(
                f"{where}: union {name!r} is made of {unknown[0]!r}, which is not declared in dataset.json: "
                f"{', '.join(dataset.structures)}."
            )
        if name in dataset.structures:
            raise InputError(f"{where}: union {name!r} has the name of a structure of dataset.json. Rename it.")
        values = {v for part in parts for v in _values(dataset.structures[part])}
        known = {**known, name: tuple(sorted(values))}
    for name in asked:
        if name not in known:
            raise InputError(
                f"{where}: structure {name!r} is not declared in dataset.json, nor a union: {', '.join(known)}."
            )
    return {name: known[name] for name in asked or known}


def _values(label: Label) -> tuple[int, ...]:
    return label if isinstance(label, tuple) else (label,)


def score_case(
    reference: np.ndarray[Any, Any],
    predicted: np.ndarray[Any, Any],
    scoring: Scoring,
    spacing: tuple[float, ...] | None,
) -> Iterator[dict[str, Any]]:
    """Score every structure of a case.

    Args:
        reference: Reference label map.
        predicted: Predicted label map of the same shape.
        scoring: What is scored.
        spacing: Voxel size along the axes of the maps (flat images: the last two), mm; None when the images have no
            physical size.

    Yields:
        Rows of `structure`, `metric`, `score`; see `case_scores` for what absent and missed structures get.
    """
    if spacing is not None and len(spacing) < reference.ndim:
        reference, predicted = reference[0], predicted[0]
    counted = None if scoring.ignore is None else reference != scoring.ignore
    foreground = (predicted > 0) | (reference > 0 if counted is None else counted & (reference > 0))
    for name, label in scoring.structures.items():
        found = case_scores(
            np.isin(reference, label),
            np.isin(predicted, label),
            wanted=scoring.metrics,
            spacing=spacing,
            tolerance=scoring.tolerances[name],
            counted=counted,
            foreground=foreground,
        )
        for metric, score in found.items():
            yield {"structure": name, "metric": metric, "score": score}


def physical(spacing: Any) -> tuple[float, ...] | None:
    """Voxel size, mm, of an image as its reader tells it: two axes for flat images, None for natural ones."""
    first, *others = (float(step) for step in spacing)
    if first == NO_SPACING:
        return None
    return tuple(others) if first >= 0.999 * NO_SPACING * max(others) else (first, *others)


def score_folder(
    predictions: Path,
    annotators: Mapping[str, Mapping[str, Path]],
    ending: str,
    reader: Any,
    test_sets: Mapping[str, Mapping[str, CaseFiles]],
    scoring: Scoring,
) -> pd.DataFrame:
    """Score the kept predictions of a run.

    Args:
        predictions: One folder per test set, one label map per case.
        annotators: Further references of the test set that decides: annotator, case, label file.
        ending: Of the label maps' names.
        reader: nnU-Net's reader of this dataset's images.
        test_sets: Cases by test set.
        scoring: What is scored.

    Returns:
        Columns `test_set`, `case`, `structure`, `metric`, `score`.

    Raises:
        InputError: A prediction is gone.
    """
    rows = []
    for test_set, cases in test_sets.items():
        for case, files in sorted(cases.items()):
            kept = predictions / test_set / f"{case}{ending}"
            if not kept.is_file():
                raise InputError(
                    f"{kept}: the prediction is gone, so the run cannot be scored anew. Restore it; or delete "
                    f"{predictions.parent}, to leave the run out or have it done again."
                )
            predicted, properties = _labels(reader, kept)
            references = {test_set: files.label}
            if test_set == TEST:
                references |= {annotated_by(name): labels[case] for name, labels in annotators.items()}
            for label, path in references.items():
                reference, _ = _labels(reader, path)
                if reference.shape != predicted.shape:
                    raise InputError(
                        f"{kept}: must have the shape of the reference {path}, {reference.shape[1:]}, found "
                        f"{predicted.shape[1:]}. Restore it; or delete {predictions.parent}, to repeat the run."
                    )
                for row in score_case(reference[0], predicted[0], scoring, physical(properties["spacing"])):
                    rows.append({"test_set": label, "case": case, **row})
    return pd.DataFrame(rows)


def _labels(reader: Any, path: Path) -> tuple[Any, Mapping[str, Any]]:
    found: tuple[Any, Mapping[str, Any]] = read_file(lambda: reader.read_seg(str(path)), path)
    return found


def annotated_by(name: str) -> str:
    """Test set of the scores against one annotator's reference."""
    return f"test by {name}"
