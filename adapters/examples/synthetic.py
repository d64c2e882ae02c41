"""Sets of cases with synthetic lesions, written as an nnU-Net v2 raw dataset; see `lesions`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...forecast.errors import InputError, StorageError
from ..files import read_json, storage_errors, write_json, write_with
from ..nnunet.dataset import CaseFiles, NnunetDataset
from ..tables import read_csv, write_csv
from .lesions import SIZES, Array, LesionLook, NoRoomError, Range, as_type, diameter_mm, synthesise

RATIO = (4, 2, 1)
"""Small to medium to large lesions, as in AbdomenAtlas 2.0 (arXiv 2510.14831)."""
COLUMNS = ("case", "source", "size", "diameter_mm")
"""Columns of the `cases.csv` of a synthetic set."""
_PREFIX = "synthetic_"
_SIZE_STREAM, _CASE_STREAM = 11, 12
"""Keep the random numbers of sizes and cases apart from each other and from the phantom's."""


@dataclass(frozen=True)
class SyntheticCase:
    """One row of the `cases.csv` of a synthetic set."""

    case: str
    source: str
    """The case whose organ the lesion was put on."""
    size: str
    diameter_mm: float


@dataclass(frozen=True)
class SyntheticSet:
    """What `write_synthetic` wrote, and what it could not use."""

    cases: tuple[SyntheticCase, ...]
    skipped: Mapping[str, str]
    """Sources that were left out, with the reason."""


def write_synthetic(
    sources: Mapping[str, CaseFiles],
    declared: Mapping[str, Any],
    folder: Path,
    count: int,
    seed: int,
    start: int = 0,
    *,
    organ: str,
    lesion: str,
    ratio: Sequence[int] = RATIO,
    look: LesionLook | None = None,
    sizes: Mapping[str, Range] = SIZES,
) -> SyntheticSet:
    """Write cases `start` to `start + count - 1` of a synthetic set as an nnU-Net v2 raw dataset.

    Every case is one source with one lesion. Sources take turns; one without room for a lesion hands
    its turn to the next. Sizes follow `ratio`: each block of `sum(ratio)` cases holds exactly that many
    of each class, in shuffled order. A case depends on (seed, number, sources) alone, so a set can grow.

    Args:
        sources: Files of healthy cases: label files without the lesion.
        declared: Content of the `dataset.json` the cases will train with.
        folder: Where to write: new, empty, or a synthetic set written before with the same declaration.
        count: How many cases to write.
        seed: Seed of the whole set.
        start: Number of the first case.
        organ: Declared structure to put lesions on. Of a region, what no smaller structure in it claims.
        lesion: Declared label the lesions get.
        ratio: Cases of each class in `sizes`.
        look: How lesions look; `LesionLook()` when None.
        sizes: Smallest and largest diameter of every class, mm.

    Returns:
        The cases written (also in `cases.csv` of the folder) and the sources left out.

    Raises:
        InputError: An unknown structure, impossible numbers, a folder with something else in it, an
            unreadable source, or no source with the organ and without the lesion.
        NoRoomError: A lesion fits on none of the sources; the cases before it are written.
        StorageError: The folder cannot be written.
    """
    _check_numbers(count, seed, start, ratio, sizes)
    values, target = _values(declared, organ, lesion)
    _check_folder(folder, declared)
    healthy, skipped = _healthy(sources, declared, values, target)
    recipe = _Recipe(seed, values, target, ratio, look or LesionLook(), sizes, str(declared["file_ending"]))
    for name in ("imagesTr", "labelsTr"):
        _make(folder / name)
    written: list[SyntheticCase] = []
    with storage_errors(folder):
        try:
            for index in range(start, start + count):
                written.append(_write_case(index, healthy, folder, recipe))
        finally:  # whatever stops it, the folder is a dataset of what was finished
            if written:
                _write_table(folder / "cases.csv", written)
                _write_declaration(folder, declared)
    return SyntheticSet(tuple(written), skipped)


@dataclass(frozen=True)
class _Recipe:
    """What all cases of a set have in common."""

    seed: int
    organ: tuple[int, ...]
    lesion: int
    ratio: Sequence[int]
    look: LesionLook
    sizes: Mapping[str, Range]
    ending: str
    """File ending of images and labels."""

    def size_of(self, index: int) -> str:
        """Size class of a case, from the shuffled block it belongs to."""
        block, position = divmod(index, sum(self.ratio))
        rng = np.random.default_rng((self.seed, block, _SIZE_STREAM))
        return str(rng.permutation(np.repeat([*self.sizes], self.ratio))[position])


def _write_case(index: int, sources: Mapping[str, CaseFiles], folder: Path, recipe: _Recipe) -> SyntheticCase:
    """Write one case from the first source, in turn, that has room for its lesion."""
    case, size, names, reason = f"{_PREFIX}{index:04d}", recipe.size_of(index), list(sources), ""
    for attempt in range(len(names)):
        source = names[(index + attempt) % len(names)]
        volumes, label_volume = _volumes(sources[source])
        channels, label = [_array(volume) for volume in volumes], _array(label_volume)
        spacing = label_volume.GetSpacing()[::-1]
        rng = np.random.default_rng((recipe.seed, index, _CASE_STREAM, attempt))
        image = np.stack(channels)
        try:
            image, label = synthesise(
                image, label, spacing, recipe.organ, recipe.lesion, size, rng, look=recipe.look, sizes=recipe.sizes
            )
        except NoRoomError as error:
            reason = str(error)
            continue
        for channel, (pixels, before) in enumerate(zip(image, channels, strict=True)):
            path = folder / "imagesTr" / f"{case}_{channel:04d}{recipe.ending}"
            _write_volume(path, as_type(pixels, before.dtype), volumes[channel])
        _write_volume(folder / "labelsTr" / f"{case}{recipe.ending}", label, label_volume)
        return SyntheticCase(case, source, size, round(diameter_mm(label == recipe.lesion, spacing), 2))
    raise NoRoomError(
        f"{folder}: {case} must get a {size} lesion on one of {len(names)} source(s), found no room. On the last, "
        f"{reason} Choose other sizes or sources."
    )


def _volumes(files: CaseFiles) -> tuple[list[Any], Any]:
    """The channels and the label of a case as SimpleITK volumes."""
    volumes, label = [_read(path) for path in files.images], _read(files.label)
    for path, volume in zip(files.images, volumes, strict=True):
        if volume.GetSize() != label.GetSize():
            raise InputError(
                f"{path}: image and label must have the same shape, found {volume.GetSize()} and {label.GetSize()}. "
                "Resample the label."
            )
        if not np.all(np.isfinite(_array(volume))):
            raise InputError(f"{path}: every voxel must be a number, found NaN or infinity. Repair the image.")
    return volumes, label


def _read(path: Path) -> Any:
    import SimpleITK

    try:
        volume = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        why = str(error).strip().splitlines()[-1]
        raise InputError(f"{path}: cannot be read as an image: {why}. Restore the file.") from error
    channels = volume.GetNumberOfComponentsPerPixel()
    if channels != 1:
        raise InputError(f"{path}: must hold one channel, found {channels}. Write one file per channel.")
    return volume


def _array(volume: Any) -> Array:
    import SimpleITK

    return np.asarray(SimpleITK.GetArrayFromImage(volume))


def _write_volume(path: Path, array: Array, like: Any) -> None:
    """Write an array with the geometry of another volume."""
    import SimpleITK

    volume = SimpleITK.GetImageFromArray(array)
    volume.CopyInformation(like)
    write_with(path, lambda target: SimpleITK.WriteImage(volume, str(target)))


def _write_table(path: Path, cases: Sequence[SyntheticCase]) -> None:
    """Add rows to `cases.csv`; a case that is there is replaced."""
    rows = {case.case: {name: str(getattr(case, name)) for name in COLUMNS} for case in cases}
    if path.is_file():
        rows = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in read_csv(path).to_numpy().tolist()} | rows
    write_csv(pd.DataFrame([rows[case] for case in sorted(rows)], columns=list(COLUMNS)), path)


def _write_declaration(folder: Path, declared: Mapping[str, Any]) -> None:
    kept = {key: value for key, value in declared.items() if key != "dataset"}
    labels = [path for path in (folder / "labelsTr").iterdir() if not path.name.startswith(".")]
    write_json(folder / "dataset.json", {**kept, "numTraining": len(labels)})


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be made: {error.strerror}. Check the path and its permissions."
        ) from error


def _check_numbers(count: int, seed: int, start: int, ratio: Sequence[int], sizes: Mapping[str, Range]) -> None:
    if count < 1 or seed < 0 or start < 0:
        raise InputError(f"needs count >= 1, seed >= 0 and start >= 0, found {count}, {seed} and {start}.")
    if len(ratio) != len(sizes) or min(ratio, default=-1) < 0 or sum(ratio) < 1:
        raise InputError(f"ratio must give a whole number >= 0 for each of {', '.join(sizes)}, found {tuple(ratio)}.")
    for name, (smallest, largest) in sizes.items():
        if not 0 < smallest <= largest < math.inf:
            raise InputError(f"size {name!r} must be a pair of diameters in mm in rising order, found {sizes[name]}.")


def _values(declared: Mapping[str, Any], organ: str, lesion: str) -> tuple[tuple[int, ...], int]:
    """Label values of the healthy organ tissue, and the lesion's."""
    structures = NnunetDataset(Path(), declared, {}).structures
    by_name = {name: {value} if isinstance(value, int) else set(value) for name, value in structures.items()}
    for name in (organ, lesion):
        if name not in by_name:
            raise InputError(f"organ and lesion must be declared structures ({', '.join(by_name)}), found {name!r}.")
    if len(by_name[lesion]) > 1:
        raise InputError(f"a lesion must have a label of its own, found the region {lesion!r}. Name one of its parts.")
    smaller = [values for values in by_name.values() if values < by_name[organ]]
    tissue = by_name[organ].difference(by_name[lesion], *smaller)
    if not tissue:
        raise InputError(
            f"{organ!r} must have tissue that is no part of a smaller structure, found none beside {lesion!r}. "
            "Name another organ."
        )
    return tuple(sorted(tissue)), min(by_name[lesion])


def _check_folder(folder: Path, declared: Mapping[str, Any]) -> None:
    """Refuse a folder that holds something else than a synthetic set with this declaration, finished or not."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: must be a folder, found a file. Choose another name.")
    files = [path.name for name in ("imagesTr", "labelsTr") for path in (folder / name).glob("[!.]*")]
    foreign = [name for name in files if not name.startswith(_PREFIX)]
    table, description = folder / "cases.csv", folder / "dataset.json"
    if table.is_file() and tuple(read_csv(table).columns) != COLUMNS:
        foreign.append(table.name)
    if description.is_file() and not table.is_file():
        foreign.append(description.name)
    if foreign:
        raise InputError(f"{folder}: must be new or hold a synthetic set, found {foreign[0]}. Choose another folder.")
    before = read_json(description) if description.is_file() else declared
    for key in ("channel_names", "labels", "file_ending", "regions_class_order"):
        if before.get(key) != declared.get(key):
            raise InputError(
                f"{description}: a set can only grow with the same {key}, found {before.get(key)} and "
                f"{declared.get(key)}. Choose another folder."
            )


def _healthy(
    sources: Mapping[str, CaseFiles], declared: Mapping[str, Any], organ: Sequence[int], lesion: int
) -> tuple[dict[str, CaseFiles], dict[str, str]]:
    """Sources a lesion can be put on, and the others with what is wrong."""
    known = NnunetDataset(Path(), declared, {}).label_values
    healthy, skipped = {}, {}
    channels = len(declared["channel_names"])
    for name, files in sources.items():
        if len(files.images) != channels:
            raise InputError(
                f"{files.label}: needs one image for each of {channels} channel(s), found {len(files.images)}."
            )
        found = set(np.unique(_array(_read(files.label))).tolist())
        if found - known:
            raise InputError(
                f"{files.label}: label values must be declared ({sorted(known)}), found {sorted(found - known)}. "
                "Correct the label."
            )
        if not found & set(organ):
            skipped[name] = "without the organ"
        elif lesion in found:
            skipped[name] = "with the lesion already"
        else:
            healthy[name] = files
    if not healthy:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(skipped.values()).items())
        raise InputError(
            "at least one source must show the organ and no lesion, found none among "
            f"{len(sources)} ({reasons or 'no sources'}). Name healthy cases."
        )
    return healthy, skipped
