"""An nnU-Net v2 raw dataset folder: what it declares and which files it holds. Reads no image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError
from ..files import is_there, read_json, stays_in_folder
from ..json_shape import ANY, misfit

Label = int | tuple[int, ...]
"""A label value, or the values a region is the union of."""


COLOUR_ENDINGS = (".png", ".bmp", ".tif")
"""Kinds of file that nnU-Net reads several channels from."""


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case."""

    images: tuple[Path, ...]
    """One per channel, in the order of `channel_names`."""
    label: Path


@dataclass(frozen=True)
class NnunetDataset:
    """A dataset in nnU-Net v2 raw layout."""

    folder: Path
    declared: Mapping[str, Any]
    """The content of `dataset.json`."""
    cases: Mapping[str, CaseFiles]
    """By case id, sorted."""

    @property
    def structures(self) -> dict[str, Label]:
        """Foreground labels and regions by name, without background and the ignore label."""
        found = {name: _label(value) for name, value in self.declared["labels"].items()}
        return {name: value for name, value in found.items() if name != "ignore" and value not in (0, (0,))}

    @property
    def ignore_label(self) -> int | None:
        """The value of voxels that were not annotated, if the dataset has one."""
        value = self.declared["labels"].get("ignore")
        return None if value is None else int(value)

    @property
    def label_values(self) -> set[int]:
        """Every value a label file may hold."""
        return declared_values(self.declared)


def declared_values(declared: Mapping[str, Any]) -> set[int]:
    """Every value that a label file may hold, by its `dataset.json`."""
    return {0, *(v for value in declared["labels"].values() for v in _label_values(value))}


def read_dataset(folder: Path) -> NnunetDataset:
    """Read `dataset.json` and find the files of every training case.

    Raises:
        InputError: No such folder, a missing or faulty `dataset.json`, missing channels, images without
            label or labels without image.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise InputError(f"{folder}: must be an nnU-Net raw dataset folder, found no such folder. Check the path.")
    path = folder / "dataset.json"
    if not path.is_file():
        raise InputError(f"{folder}: must hold a dataset.json (nnU-Net v2 raw layout), found none. Check the path.")
    declared = read_json(path)
    _check_declared(declared, path)
    _check_labels(declared, path)
    cases = _listed_cases(declared, folder) if "dataset" in declared else _found_cases(declared, folder)
    if not cases:
        raise InputError(
            f"{folder / 'imagesTr'}: must hold images ending in {declared['file_ending']}, found none. "
            "Check file_ending in dataset.json."
        )
    return NnunetDataset(folder, declared, dict(sorted(cases.items())))


def check_like(dataset: NnunetDataset, like: NnunetDataset, what: str) -> None:
    """Refuse a dataset whose cases cannot stand beside those of another.

    Raises:
        InputError: Channels, labels or the file ending differ.
    """
    for key in ("channel_names", "labels", "file_ending"):
        if dataset.declared[key] != like.declared[key]:
            raise InputError(
                f"{dataset.folder / 'dataset.json'}: {key} of {what} must be that of {like.folder.name} "
                f"{like.declared[key]}, found {dataset.declared[key]}. Convert the cases."
            )


def _check_declared(declared: Any, path: Path) -> None:
    if not isinstance(declared, dict):
        raise InputError(f"{path}: must be a JSON object, found {type(declared).__name__}.")
    for key, kind in (("channel_names", dict), ("labels", dict), ("file_ending", str)):
        if key not in declared:
            hint = (
                " (this looks like nnU-Net v1; convert it with nnU-Net's own tools)" if "modality" in declared else ""
            )
            raise InputError(f"{path}: key {key!r} is required, found {', '.join(declared) or 'nothing'}{hint}.")
        if not isinstance(declared[key], kind) or not declared[key]:
            raise InputError(f"{path}: {key!r} must be a non-empty {kind.__name__}, found {declared[key]!r}.")
    reader = declared.get("overwrite_image_reader_writer")
    if reader is not None and not isinstance(reader, str):
        raise InputError(f"{path}: overwrite_image_reader_writer must be a name, found {reader!r}. Correct it.")
    for name, value in declared["labels"].items():
        if not _is_label(value):
            raise InputError(
                f"{path}: label {name!r} must be a whole number or a list of them, found {value!r}. "
                "nnU-Net v2 maps names to values, not values to names."
            )


def _check_labels(declared: Mapping[str, Any], path: Path) -> None:
    """What nnU-Net's LabelManager asserts only once it plans or trains."""
    labels = declared["labels"]
    if labels.get("background") != 0:
        raise InputError(f'{path}: labels must have "background": 0, found {labels!r}.')
    named = {name: value for name, value in labels.items() if name != "ignore"}
    values = sorted({v for value in named.values() for v in _label_values(value)})
    if len(values) < 2:
        raise InputError(f"{path}: labels must declare at least one structure besides background, found {labels!r}.")
    if "ignore" in labels and labels["ignore"] != values[-1] + 1:
        raise InputError(
            f"{path}: the ignore label must be a number, the highest ({values[-1] + 1} here), "
            f"found {labels['ignore']!r}."
        )
    if values != list(range(len(values))):
        raise InputError(f"{path}: labels must be consecutive values 0, 1, 2, ..., found {values}. Renumber them.")
    regions = [value for value in named.values() if value not in (0, [0])]
    order = declared.get("regions_class_order")
    has_regions = any(isinstance(value, list) and len(value) > 1 for value in regions)
    if has_regions and not (isinstance(order, list) and len(order) == len(regions)):
        raise InputError(
            f"{path}: with regions, regions_class_order must list one value per structure ({len(regions)}), "
            f"found {order!r}."
        )


def _is_label(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in values)


def _label(value: int | list[int]) -> Label:
    return tuple(value) if isinstance(value, list) else value


def _label_values(value: int | list[int]) -> list[int]:
    return value if isinstance(value, list) else [value]


def _listed_cases(declared: Mapping[str, Any], folder: Path) -> dict[str, CaseFiles]:
    """Cases that `dataset.json` lists file by file."""
    cases = {}
    wrong = misfit(declared["dataset"], {ANY: {"images?": [str], "label?": str}}, "dataset")
    if wrong is not None:
        raise InputError(f"{folder / 'dataset.json'}: dataset must map case ids to their files, but {wrong}.")
    for case, files in declared["dataset"].items():
        if not stays_in_folder(case):
            raise InputError(
                f"{folder / 'dataset.json'}: case ids name files, so they must not hold slashes, found {case!r}."
            )
        if not isinstance(files, dict) or not {"images", "label"} <= set(files):
            raise InputError(f"{folder / 'dataset.json'}: case {case!r} of dataset must have images and label.")
        for name in (*files["images"], files["label"]):
            if not is_there(folder / name):
                raise InputError(f"{folder / 'dataset.json'}: case {case!r} lists {name}, which does not exist.")
        images = tuple((folder / image).resolve() for image in files["images"])
        cases[case] = CaseFiles(images, (folder / files["label"]).resolve())
        if len(images) != len(declared["channel_names"]):
            raise InputError(
                f"{folder / 'dataset.json'}: case {case!r} must list {len(declared['channel_names'])} channel(s), "
                f"found {len(images)}."
            )
    return cases


def _found_cases(declared: Mapping[str, Any], folder: Path) -> dict[str, CaseFiles]:
    """Cases found as imagesTr/CASE_0000.ending and labelsTr/CASE.ending."""
    ending, channels = declared["file_ending"], len(declared["channel_names"])
    for name in ("imagesTr", "labelsTr"):
        if not (folder / name).is_dir():
            raise InputError(f"{folder}: must hold a folder {name}, found none.")
    image_name = re.compile(r"(.+)_(\d{4})" + re.escape(ending))
    images: dict[str, dict[int, Path]] = {}
    for path in sorted((folder / "imagesTr").iterdir()):
        found = image_name.fullmatch(path.name)
        if found and not path.name.startswith("."):
            images.setdefault(found[1], {})[int(found[2])] = path
    labels = {p.name.removesuffix(ending): p for p in (folder / "labelsTr").iterdir() if p.name.endswith(ending)}
    labels = {case: path for case, path in labels.items() if not case.startswith(".")}
    _match(images, labels, channels, folder, ending)
    return {case: CaseFiles(tuple(files[c] for c in sorted(files)), labels[case]) for case, files in images.items()}


def _match(
    images: Mapping[str, Mapping[int, Path]], labels: Mapping[str, Path], channels: int, folder: Path, ending: str
) -> None:
    without_label = sorted(set(images) - set(labels))
    if without_label:
        raise InputError(
            f"{folder / 'labelsTr'}: every image needs a label, found none for {_some(without_label)} "
            f"(expected {without_label[0]}{ending}). Add it or move the image out of imagesTr."
        )
    without_image = sorted(set(labels) - set(images))
    if without_image:
        raise InputError(
            f"{folder / 'imagesTr'}: every label needs an image, found none for {_some(without_image)} "
            f"(expected {without_image[0]}_0000{ending}). Add it or move the label out of labelsTr."
        )
    for case, files in images.items():
        if set(files) == {0} and ending.lower() in COLOUR_ENDINGS:
            continue  # one colour file holds all channels; checked when it is opened
        missing = sorted(set(range(channels)) - set(files))
        if missing:
            raise InputError(
                f"{folder / 'imagesTr'}: every case needs {channels} channel(s), {case} has no "
                f"{case}_{missing[0]:04d}{ending}. Add it, or correct channel_names in dataset.json."
            )
        extra = sorted(set(files) - set(range(channels)))
        if extra:
            raise InputError(
                f"{folder / 'imagesTr'}: {case} has a channel {extra[0]:04d}, but dataset.json declares {channels} "
                "channel(s). Correct channel_names or remove the file."
            )


def _some(cases: list[str]) -> str:
    shown = ", ".join(cases[:3])
    return shown if len(cases) <= 3 else f"{shown} and {len(cases) - 3} more"
