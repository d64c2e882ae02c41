"""Extra test sets and further references: checked once, put on record, never trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from ..forecast.errors import InputError
from .metrics import case_scores
from .nnunet.checks import check_cases, reader_of, refuse_shared
from .nnunet.dataset import CaseFiles, Label, NnunetDataset, check_like, declared_values, read_dataset
from .nnunet.scoring import physical
from .sections import AnnotatorSection, ExtraTestSection
from .tables import read_csv, write_csv


def extra_test_set(
    study: Path,
    section: ExtraTestSection,
    like: NnunetDataset,
    pool: Mapping[str, str],
) -> dict[str, CaseFiles]:
    """The cases of an extra test set, fixed at the first call.

    Args:
        study: The study folder.
        section: Names the dataset and its cases.
        like: The study's dataset, whose channels and labels it must have.
        pool: Digest of every case that may be trained on.

    Raises:
        InputError: Another kind of data, missing or changed cases, or an image that is also trained on.
    """
    dataset = read_dataset(Path(section.dataset))
    check_like(dataset, like, f"test set {section.name!r}")
    path = study / "test_sets" / f"{section.name}.csv"
    table = read_csv(path) if path.is_file() else None
    wanted = section.cases or list(dataset.cases if table is None else table["case"])
    if table is not None and (set(table["dataset"]) != {dataset.folder.name} or set(table["case"]) != set(wanted)):
        raise InputError(
            f"{path}: test set {section.name!r} was fixed at the first run: {len(table)} cases of "
            f"{table['dataset'].iloc[0]}. Undo the change in study.toml, or give the new test set another name."
        )
    _refuse_gone(wanted, dataset, section.name)
    if table is not None:
        digest = dict(zip(table["case"], table["digest"], strict=True))
    else:
        digest = {fact.case: fact.digest for fact in check_cases(dataset, wanted)}
    named = {f"{section.name}: {case}": one for case, one in digest.items()}
    refuse_shared(list(named), list(pool), {}, {**pool, **named})
    if table is None:
        rows = [(case, one, dataset.folder.name) for case, one in digest.items()]
        write_csv(pd.DataFrame(rows, columns=["case", "digest", "dataset"]), path)
    return {case: dataset.cases[case] for case in wanted}


def _refuse_gone(cases: list[str], dataset: NnunetDataset, name: str) -> None:
    gone = [case for case in cases if case not in dataset.cases]
    if gone:
        raise InputError(f"{dataset.folder}: case {gone[0]!r} of test set {name!r} is not there. Put it back.")


def extra_digests(study: Path) -> dict[str, str]:
    """Digest of every case of the extra test sets on record, by test set and case."""
    found = {}
    for path in sorted((study / "test_sets").glob("*.csv")):
        table = read_csv(path)
        if "digest" in table:
            pairs = zip(table["case"], table["digest"], strict=True)
            found.update({f"{path.stem}: {case}": digest for case, digest in pairs})
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
        maps = {name: reader.read_seg(str(path))[0][0] for name, path in paths.items()}
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
    return pd.DataFrame(rows, columns=["case", "structure", "a", "b", "dice"])


def reference_facts(
    cases: Mapping[str, CaseFiles], structures: Mapping[str, Label], declared: Mapping[str, Any]
) -> pd.DataFrame:
    """What the references say of every structure that a case contains.

    Returns:
        Columns `case`, `structure`, `volume` (mL), `diameter` (mm, of the sphere of the volume of its largest connected
        part), `heterogeneity` (standard deviation of the first channel inside it); the first two of these are undefined
        for images without a physical size.
    """
    columns = ["case", "structure", "volume", "diameter", "heterogeneity"]
    return pd.DataFrame(list(_facts(cases, structures, declared)), columns=columns)


def _facts(
    cases: Mapping[str, CaseFiles], structures: Mapping[str, Label], declared: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    reader = reader_of(declared)
    for case, files in cases.items():
        image, properties = reader.read_images([str(path) for path in files.images])
        label, _ = reader.read_seg(str(files.label))
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
