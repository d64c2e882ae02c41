"""Extra test sets and further references: checked once, put on record, never trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from ..forecast.errors import InputError
from .metrics import case_scores
from .nnunet.checks import check_cases, reader_of, refuse_shared
from .nnunet.dataset import CaseFiles, Label, NnunetDataset, read_dataset
from .nnunet.scoring import physical
from .sections import AnnotatorSection, ExtraTestSection
from .tables import read_csv, write_csv


def extra_test_set(
    study: Path,
    section: ExtraTestSection,
    like: NnunetDataset,
    pool: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, CaseFiles]:
    """The cases of an extra test set, fixed at the first call.

    Args:
        study: The study folder.
        section: Names the dataset and its cases.
        like: The study's dataset, whose channels and labels it must have.
        pool: Digest of every case that may be trained on.
        progress: Called with the number of cases looked into.

    Raises:
        InputError: Another kind of data, missing cases, or an image that is also trained on.
    """
    dataset = read_dataset(Path(section.dataset))
    for key in ("channel_names", "labels", "file_ending"):
        if dataset.declared[key] != like.declared[key]:
            raise InputError(
                f"{dataset.folder / 'dataset.json'}: {key} of test set {section.name!r} must be that of "
                f"{like.folder.name} {like.declared[key]}, found {dataset.declared[key]}. Convert it."
            )
    path = study / "test_sets" / f"{section.name}.csv"
    cases = list(read_csv(path)["case"]) if path.is_file() else section.cases or list(dataset.cases)
    gone = [case for case in cases if case not in dataset.cases]
    if gone:
        raise InputError(f"{dataset.folder}: case {gone[0]!r} of test set {section.name!r} is not there. Put it back.")
    if not path.is_file():
        facts = []
        for fact in check_cases(dataset, cases):
            facts.append({"case": fact.case, "digest": fact.digest})
            progress(len(facts), len(cases))
        write_csv(pd.DataFrame(facts), path)
    table = read_csv(path)
    digest = {f"{section.name}: {c}": d for c, d in zip(table["case"], table["digest"], strict=True)}
    refuse_shared(list(digest), list(pool), {}, {**pool, **digest})
    return {case: dataset.cases[case] for case in cases}


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
    """
    reader = reader_of(declared)
    rows = []
    for case, files in cases.items():
        paths = {"majority": files.label, **{name: labels[case] for name, labels in annotators.items()}}
        maps = {name: reader.read_seg(str(path))[0][0] for name, path in paths.items()}
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
        part), `heterogeneity` (standard deviation of the first channel inside it).

    Raises:
        InputError: Images without a physical size.
    """
    return pd.DataFrame(list(_facts(cases, structures, declared)))


def _facts(
    cases: Mapping[str, CaseFiles], structures: Mapping[str, Label], declared: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    reader = reader_of(declared)
    for case, files in cases.items():
        image, properties = reader.read_images([str(path) for path in files.images])
        label, _ = reader.read_seg(str(files.label))
        spacing = physical(properties["spacing"])
        if spacing is None or len(spacing) < 3:
            raise InputError(f"strata need volumes with a physical size, found the flat image {files.images[0]}.")
        voxel = float(np.prod(spacing))
        for structure, values in structures.items():
            mask = np.isin(label[0], values)
            if not mask.any():
                continue
            parts, _ = ndimage.label(mask, np.ones((3,) * mask.ndim))
            largest = int(np.bincount(parts[mask]).max()) * voxel
            yield {
                "case": case,
                "structure": structure,
                "volume": int(mask.sum()) * voxel / 1000,
                "diameter": (6 * largest / np.pi) ** (1 / 3),
                "heterogeneity": float(image[0][mask].std()),
            }
