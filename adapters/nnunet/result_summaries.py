"""What one nnU-Net result holds: the cases and metrics of its `summary.json`, and the names in a `dataset.json`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from ...forecast.errors import InputError
from ..files import read_json
from .result_folders import Result

METRICS = {"Dice": "dice", "IoU": "jaccard", "TP": "tp", "FP": "fp", "FN": "fn", "TN": "tn"}
"""nnU-Net's metrics and what they are called here; the last four count voxels."""
MOST_VOXELS = 2**53
"""More voxels than any image has."""
OVERLAPS = ("Dice", "IoU")
"""Metrics that are undefined where the reference does not contain the structure."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Declared:
    """What a `dataset.json` says."""

    path: Path
    names: Mapping[tuple[int, ...], str]
    """Structures by their label values, sorted."""
    ending: str
    cases: int | None
    """`numTraining`: cases of the dataset, which need not all have been trained on."""


@dataclass(frozen=True)
class Scored:
    """A result that was read."""

    result: Result
    declared: Declared | None
    rows: Mapping[str, Mapping[str, Rows]]
    """Rows of `structure`, `metric` and `score`, by fold and case."""

    @property
    def cases(self) -> list[str]:
        """Case ids of all folds."""
        return [case for found in self.rows.values() for case in found]

    @property
    def structures(self) -> frozenset[str]:
        """Names of what was scored."""
        cases = [of for found in self.rows.values() for of in found.values()]
        return frozenset(row["structure"] for of in cases for row in of)


def nearest_declared(folder: Path) -> Declared | None:
    """The `dataset.json` of a folder or of one of the three above it."""
    paths = [place / "dataset.json" for place in (folder, *folder.parents[:3])]
    return next((read_declared(path) for path in paths if path.is_file()), None)


def read_declared(path: Path) -> Declared:
    """Names of structures and number of cases in a `dataset.json`.

    Raises:
        InputError: No labels, or faulty ones.
    """
    declared = read_json(path)
    labels = declared.get("labels") if isinstance(declared, dict) else None
    if not isinstance(labels, dict):
        raise InputError(f"{path}: must be an nnU-Net dataset.json with labels, found none.")
    names: dict[tuple[int, ...], str] = {}
    for name, value in labels.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
            raise InputError(
                f"{path}: label {name!r} must be a whole number or a list of them, found {value!r}. "
                "nnU-Net v2 maps names to values, not values to names."
            )
        names.setdefault(tuple(sorted(values)), name)
    count = declared.get("numTraining")
    return Declared(path, names, str(declared.get("file_ending", "")), count if isinstance(count, int) else None)


def read_result(result: Result, declared: Declared | None, notes: list[str]) -> Scored:
    """Rows of every fold and case of a result.

    Args:
        result: Where its summaries lie.
        declared: Names its structures; None calls them by their labels.
        notes: Takes what was assumed.

    Raises:
        InputError: A faulty summary, or a case in two folds.
    """
    rows = {fold: _read_summary(path, declared) for fold, path in result.summaries.items()}
    where: dict[str, str] = {}
    for fold, found in rows.items():
        for case in found:
            if case in where:
                raise InputError(
                    f"{result.folder}: every case must be validated in one fold, found {case!r} in fold_{where[case]} "
                    f"and fold_{fold}. Give the fold folders one by one, each with its number of cases."
                )
            where[case] = fold
    if declared is None:
        notes.append(f"{result.name}: no dataset.json here, structures are called by their labels.")
    of_cases = [row for found in rows.values() for of in found.values() for row in of]
    absent = Counter(r["structure"] for r in of_cases if r["metric"] == "dice" and r["score"] is None)
    for structure, count in absent.items():
        notes.append(
            f"{result.name}: Dice of {structure} is empty in {count} of {len(where)} cases, whose reference does "
            "not contain it (nnU-Net writes 0 there when something was predicted)."
        )
    return Scored(result, declared, rows)


def _read_summary(path: Path, declared: Declared | None) -> dict[str, Rows]:
    """Rows of every case of a `summary.json`."""
    document = read_json(path)
    entries = document.get("metric_per_case") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        is_old = isinstance(document, dict) and "results" in document
        old = " (this looks like nnU-Net v1, which is not read)" if is_old else ""
        raise InputError(
            f"{path}: must have metric_per_case with at least one case, as nnU-Net v2 writes it, found none"
            f"{old}. Evaluate the folder again."
        )
    found: dict[str, Rows] = {}
    for number, entry in enumerate(entries):
        case = _case_id(entry, f"{path}, case {number + 1}", declared)
        if case in found:
            raise InputError(f"{path}: every case must appear once, found {case!r} twice. Evaluate the folder again.")
        found[case] = _case_rows(entry, f"{path}, case {case!r}", declared)
    return found


def _case_id(entry: Any, place: str, declared: Declared | None) -> str:
    """The name of the case's files without their ending."""
    files = [entry.get(key) for key in ("reference_file", "prediction_file")] if isinstance(entry, dict) else []
    file = next((file for file in files if isinstance(file, str) and file), None)
    if file is None:
        raise InputError(f"{place}: reference_file or prediction_file is required, found neither. Evaluate again.")
    name = PureWindowsPath(file).name  # knows both kinds of slash
    if declared is not None and declared.ending and name.endswith(declared.ending):
        return name.removesuffix(declared.ending)
    return PureWindowsPath(name.removesuffix(".gz")).stem


def _case_rows(entry: Mapping[str, Any], place: str, declared: Declared | None) -> Rows:
    metrics = entry.get("metrics")
    if not isinstance(metrics, dict) or not metrics:
        raise InputError(f"{place}: metrics of at least one label are required, found none. Evaluate again.")
    rows: Rows = []
    for key, values in metrics.items():
        numbers = _metrics(values, f"{place}, label {key}")
        structure = _structure(key, place, declared)
        absent = numbers["TP"] + numbers["FN"] == 0
        for metric, name in METRICS.items():
            undefined = math.isnan(numbers[metric]) or (absent and metric in OVERLAPS)
            score = None if undefined else numbers[metric]
            rows.append({"structure": structure, "metric": name, "score": score})
        if absent:
            rows.append({"structure": structure, "metric": "false_positive", "score": float(numbers["FP"] > 0)})
        else:
            rows.append(
                {"structure": structure, "metric": "missed", "score": float(numbers["TP"] + numbers["FP"] == 0)}
            )
    return rows


def _metrics(values: Any, place: str) -> dict[str, float]:
    """The metrics of one label."""
    found = {name: values.get(name) for name in METRICS} if isinstance(values, dict) else {}
    for name in METRICS:
        value = found.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{place}: {name} must be a number, found {value!r}. Evaluate again with nnU-Net v2.")
        if value < 0 or value > (1 if name in OVERLAPS else MOST_VOXELS):
            raise InputError(f"{place}: {name} must lie in [0, 1], voxel counts must be >= 0, found {value!r}.")
    return {name: float(value) for name, value in found.items() if value is not None}


def _structure(key: str, place: str, declared: Declared | None) -> str:
    """What "2", or "(1, 2)" for a region, is called."""
    parts = key.strip("()").replace(" ", "").split(",")
    try:
        values = tuple(sorted(int(part) for part in parts if part))
    except ValueError as error:
        raise InputError(f"{place}: labels must be whole numbers or regions of them, found {key!r}.") from error
    unnamed = "label " + "+".join(map(str, values))
    return unnamed if declared is None else declared.names.get(values, unnamed)
