"""Extra test sets and further references: checked once, put on record, never trained on."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from ..forecast.errors import InputError
from .metrics import case_scores
from .nnunet.checks import check_cases, reader_of, shared_image
from .nnunet.dataset import CaseFiles, Label, NnunetDataset, check_like, declared_values, read_dataset
from .nnunet.image_files import read_file
from .nnunet.scoring import physical
from .sections import AnnotatorSection, ExtraTestSection
from .tables import read_columns

RECORD = ("case", "digest", "dataset")
"""Columns of the record of an extra test set."""
AGREEMENT = ("case", "structure", "a", "b", "dice")
"""Columns of what annotators agree on."""
FACTS = ("case", "structure", "volume", "diameter", "heterogeneity")
"""Columns of what references say."""


@dataclass(frozen=True)
class ExtraTestSet:
    """The cases of an extra test set."""

    files: Mapping[str, CaseFiles]
    digest: Mapping[str, str]
    """Digest of every case."""
    record: pd.DataFrame | None
    """What is to be put on record; None where it is."""


def extra_test_set(study: Path, section: ExtraTestSection, like: NnunetDataset) -> ExtraTestSet:
    """The cases of an extra test set; those on record once there is one.

    Args:
        study: The study folder.
        section: Names the dataset and its cases.
        like: The study's dataset, whose channels and labels it must have.

    Raises:
        InputError: Another kind of data, or missing or changed cases.
    """
    dataset, files = extra_cases_of(study, section, like)
    table = _record(study, section.name)
    if table is not None:
        return ExtraTestSet(files, dict(zip(table["case"], table["digest"], strict=True)), None)
    digest = {fact.case: fact.digest for fact in check_cases(dataset, files)}
    rows = [(case, one, dataset.folder.name) for case, one in digest.items()]
    return ExtraTestSet(files, digest, pd.DataFrame(rows, columns=list(RECORD)))


def refuse_trained(name: str, found: ExtraTestSet, trained: Mapping[str, str]) -> None:
    """Refuse a test case that is also trained on.

    Args:
        name: Of the test set.
        found: Its cases.
        trained: Digest of every case that may be trained on.

    Raises:
        InputError: The same image on both sides.
    """
    same = shared_image(found.digest, trained)
    if same is not None:
        case, other = same
        raise InputError(
            f"{found.files[case].images[0]}: case {case!r} of test set {name!r} is the image of {other!r}, which is "
            "trained on: a test case must never be. Leave it out of the test set: give it the list `cases`."
        )


def extra_cases_of(
    study: Path, section: ExtraTestSection, like: NnunetDataset
) -> tuple[NnunetDataset, dict[str, CaseFiles]]:
    """The dataset and the cases of an extra test set; no image is opened.

    Raises:
        InputError: Another kind of data, missing cases, or others than those on record.
    """
    dataset = read_dataset(Path(section.dataset))
    check_like(dataset, like, f"test set {section.name!r}")
    table = _record(study, section.name)
    wanted = section.cases or list(dataset.cases if table is None else table["case"])
    if table is not None and (set(table["dataset"]) != {dataset.folder.name} or set(table["case"]) != set(wanted)):
        raise InputError(
            f"{record_path(study, section.name)}: test set {section.name!r} was fixed at the first run: {len(table)} "
            f"cases of {table['dataset'].iloc[0]}. Undo the change in study.toml, or make a new study."
        )
    _refuse_gone(wanted, dataset, section.name)
    return dataset, {case: dataset.cases[case] for case in wanted}


def record_path(study: Path, name: str) -> Path:
    """Where the cases of an extra test set are on record."""
    return study / "test_sets" / f"{name}.csv"


def _record(study: Path, name: str) -> pd.DataFrame | None:
    path = record_path(study, name)
    if not path.is_file():
        return None
    table = read_columns(path, RECORD, "Restore it; or delete it, to take the test set as study.toml says now.")
    if table.empty:
        raise InputError(f"{path}: must list the cases of test set {name!r}, found none. Restore or delete it.")
    return table


def _refuse_gone(cases: list[str], dataset: NnunetDataset, name: str) -> None:
    gone = [case for case in cases if case not in dataset.cases]
    if gone:
        raise InputError(f"{dataset.folder}: case {gone[0]!r} of test set {name!r} is not there. Put it back.")


def extra_digests(study: Path, sections: Sequence[ExtraTestSection]) -> dict[str, str]:
    """Digest of every case of the extra test sets that are on record, by test set and case.

    Raises:
        InputError: A record that cannot be read.
    """
    found = {}
    for section in sections:
        table = _record(study, section.name)
        if table is not None:
            pairs = zip(table["case"], table["digest"], strict=True)
            found.update({f"{section.name}: {case}": digest for case, digest in pairs})
    return found


def annotator_labels(section: AnnotatorSection, cases: list[str], ending: str) -> dict[str, Path]:
    """The label files of an annotator, one for every test case.

    Raises:
        InputError: A test case without one.
    """
    folder = Path(section.labels).expanduser().resolve()
    found = {case: folder / f"{case}{ending}" for case in cases}
    missing = [path for path in found.values() if not path.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: annotator {section.name!r} needs a label of every test case, found none "
            f"({len(missing)} missing). Add it, or remove the annotator."
        )
    return found


def annotator_agreement(
    cases: Mapping[str, CaseFiles],
    annotators: Mapping[str, Mapping[str, Path]],
    structures: Mapping[str, Label],
    declared: Mapping[str, Any],
) -> pd.DataFrame:
    """Dice between every two references of every test case; the dataset's own is called `majority`.

    Returns:
        Columns `case`, `structure`, `a`, `b`, `dice`; a structure that neither contains is left out.

    Raises:
        InputError: A label of another shape, or with undeclared values.
    """
    reader, values = reader_of(declared), declared_values(declared)
    rows = []
    for case, files in cases.items():
        paths = {"majority": files.label, **{name: labels[case] for name, labels in annotators.items()}}
        maps = {name: _labels(reader, path)[0][0] for name, path in paths.items()}
        for name, found_map in maps.items():
            if found_map.shape != maps["majority"].shape:
                raise InputError(
                    f"{paths[name]}: must have the shape of the dataset's label {maps['majority'].shape}, found "
                    f"{found_map.shape}. Resample it."
                )
            unknown = sorted(set(np.unique(found_map).tolist()) - values)
            if unknown:
                raise InputError(
                    f"{paths[name]}: label values must be those declared in dataset.json {sorted(values)}, found "
                    f"{unknown[0]:g}. Correct the label."
                )
        for structure, label in structures.items():
            masks = {name: np.isin(one, label) for name, one in maps.items()}
            for a, b in [(a, b) for i, a in enumerate(masks) for b in list(masks)[i + 1 :]]:
                if masks[a].any() or masks[b].any():
                    first, second = (a, b) if masks[a].any() else (b, a)
                    found = case_scores(masks[first], masks[second], wanted=("dice",), spacing=None, tolerance=0)
                    rows.append({"case": case, "structure": structure, "a": a, "b": b, "dice": found["dice"]})
    return pd.DataFrame(rows, columns=list(AGREEMENT))


def physical_axes(dataset: NnunetDataset, case: str) -> int:
    """Axes of a case's image whose voxel size is known: 3 for volumes, 2 for flat images, 0 for natural ones."""
    _, properties = _labels(reader_of(dataset.declared), dataset.cases[case].label)
    return len(physical(properties["spacing"]) or ())


def _labels(reader: Any, path: Path) -> tuple[Any, Mapping[str, Any]]:
    found: tuple[Any, Mapping[str, Any]] = read_file(lambda: reader.read_seg(str(path)), path)
    return found


def reference_facts(
    cases: Mapping[str, CaseFiles], structures: Mapping[str, Label], declared: Mapping[str, Any]
) -> pd.DataFrame:
    """What the references say of every structure that a case contains.

    Returns:
        Columns `case`, `structure`, `volume` (mL), `diameter` (mm, of the sphere of the volume of its largest connected
        part), `heterogeneity` (standard deviation of the first channel inside it); the first two of these are undefined
        for images without a physical size.
    """
    return pd.DataFrame(list(_facts(cases, structures, declared)), columns=list(FACTS))


def _facts(
    cases: Mapping[str, CaseFiles], structures: Mapping[str, Label], declared: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    reader = reader_of(declared)
    for case, files in cases.items():
        images = [str(path) for path in files.images]
        image, properties = read_file(functools.partial(reader.read_images, images), files.images[0])
        label, _ = _labels(reader, files.label)
        spacing = physical(properties["spacing"])
        voxel = None if spacing is None or len(spacing) < 3 else float(np.prod(spacing))
        for structure, values in structures.items():
            mask = np.isin(label[0], values)
            if not mask.any():
                continue
            parts, _ = ndimage.label(mask, np.ones((3,) * mask.ndim))
            largest = int(np.bincount(parts[mask]).max())
            yield {
                "case": case,
                "structure": structure,
                "volume": None if voxel is None else int(mask.sum()) * voxel / 1000,
                "diameter": None if voxel is None else (6 * largest * voxel / np.pi) ** (1 / 3),
                "heterogeneity": float(image[0][mask].std()),
            }
