"""Synthetic lesions blended into healthy organs, written as an nnU-Net v2 raw dataset.

An arm "real + synthetic" trains on cases in which somebody outlined a tumour and on cases made here,
whose tumours cost no annotation: a lumpy ellipsoid is put on or in an organ and its outline is the label.

Nothing here is anatomically accurate. A lesion is placed without regard to vessels, ducts or the organs
next door, pushes nothing aside, and its brightness, texture and necrosis are drawn from the organ's own
intensities by a few numbers (`LesionLook`), not learnt from tumours. Whether such cases help a network
is for a comparison of arms to find out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from ...forecast.errors import InputError, StorageError
from ...forecast.types import BoolArray, FloatArray
from ..files import read_json, storage_errors, write_json, write_with
from ..nnunet.dataset import CaseFiles, NnunetDataset
from ..tables import read_csv, write_csv

Array = npt.NDArray[Any]
Range = tuple[float, float]

SIZES: Mapping[str, Range] = MappingProxyType({"small": (10.0, 16.0), "medium": (16.0, 24.0), "large": (24.0, 32.0)})
"""Smallest and largest diameter of every size class, mm; see `diameter_mm`."""
RATIO = (4, 2, 1)
"""Small to medium to large lesions, as in AbdomenAtlas 2.0 (arXiv 2510.14831)."""
COLUMNS = ("case", "source", "size", "diameter_mm")
"""Columns of the `cases.csv` of a synthetic set."""

_ATTEMPTS = 40
_FURTHEST = 1.3
"""How far, in radii, a lesion may reach to get around what it must not cover."""
_LUMP = 2 / 3
"""Correlation length of the surface's unevenness, radii."""
_PREFIX = "synthetic_"
_SIZE_STREAM, _CASE_STREAM = 11, 12
"""Keep the random numbers of sizes and cases apart from each other and from the phantom's."""


class NoRoomError(InputError):
    """No lesion of the size asked for fits on this organ."""


@dataclass(frozen=True)
class LesionLook:
    """How lesions lie, are shaped and look. A pair is the range that a uniform draw comes from.

    Brightness is counted in spreads of the organ: half the distance between its 10 % and 90 % intensity
    quantiles over 1.28, the standard deviation if they were normal. The defaults suit hypervascular
    tumours in contrast-enhanced CT; for hypovascular ones lower `share_brighter`.
    """

    near_surface: float = 0.7
    """Probability that the centre lies within a quarter of the diameter of the organ's surface; else anywhere in it."""
    within: float = 0.3
    """Least share of the lesion that must lie in the organ; the rest grows outwards."""
    axes: Range = (0.8, 1.25)
    """Length of every axis of the ellipsoid before it is scaled to the diameter asked for."""
    lumps: float = 0.15
    """Unevenness of the surface (standard deviation), radii."""
    share_brighter: float = 0.85
    """Probability that the lesion is brighter than the organ; else darker."""
    brighter: Range = (2.5, 9.5)
    """Contrast of a brighter lesion, spreads above the organ's median."""
    darker: Range = (1.5, 3.5)
    """Contrast of a darker lesion, spreads below the organ's median."""
    texture: Range = (0.0, 0.5)
    """Amplitude of the mottling, as a share of the contrast."""
    grain_mm: float = 3.0
    """Correlation length of the mottling, mm."""
    share_necrotic: float = 0.5
    """Probability of a necrotic core."""
    core_size: Range = (0.4, 0.85)
    """Size of the core, radii of the lesion."""
    core: Range = (1.0, 5.0)
    """Contrast of the core, spreads below organ and lesion."""
    edge_mm: float = 0.9
    """Standard deviation of the Gaussian that blends lesion into image, mm."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            ends = value if isinstance(value, tuple) else (value, value)
            if len(ends) != 2 or not 0 <= ends[0] <= ends[1] < math.inf:
                raise InputError(
                    f"{field.name} of a lesion's look must be >= 0, a pair in rising order; found {value}."
                )
        shares = {name: getattr(self, name) for name in ("near_surface", "within", "share_brighter", "share_necrotic")}
        wrong = {name: share for name, share in shares.items() if share > 1}
        if wrong or not self.axes[0] or not self.grain_mm:
            raise InputError(f"shares of a lesion's look must be <= 1 and axes and grain_mm > 0; found {self}.")


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


@dataclass(frozen=True)
class _Organ:
    """What a lesion is put on."""

    tissue: BoolArray
    free: BoolArray
    """Voxels that may change: background and organ."""
    steps: tuple[float, ...]
    """Voxel size along the axes, mm."""
    box: tuple[slice, ...]
    """The smallest that holds the tissue."""

    @classmethod
    def of(cls, label: Array, values: Sequence[int], steps: tuple[float, ...]) -> _Organ:
        tissue = np.isin(label, values)
        if not tissue.any():
            raise NoRoomError("a lesion needs an organ to lie on, found no voxel of it.")
        return cls(tissue, tissue | (label == 0), steps, ndimage.find_objects(tissue.astype(np.uint8))[0])


@dataclass(frozen=True)
class _Site:
    """Where a lesion goes: a box of the volume and, within the box, the lesion."""

    box: tuple[slice, ...]
    mask: BoolArray
    radius: float
    """mm"""
    distance: FloatArray
    """From the centre, in radii of the ellipsoid."""


def diameter_mm(mask: BoolArray, spacing: Sequence[float]) -> float:
    """Diameter of the ball (in one slice: the disc) of the same volume, mm.

    Args:
        mask: The lesion, any shape; axes of one voxel count for nothing.
        spacing: Voxel size along the axes of `mask`, mm.
    """
    steps = [step for step, n in zip(spacing, mask.shape, strict=True) if n > 1]
    return _diameter(int(mask.sum()) * math.prod(steps), len(steps))


def synthesise(
    image: Array,
    label: Array,
    spacing: Sequence[float],
    organ: Sequence[int],
    lesion: int,
    size_class: str,
    rng: np.random.Generator,
    *,
    look: LesionLook | None = None,
    sizes: Mapping[str, Range] = SIZES,
) -> tuple[Array, Array]:
    """Blend one lesion into an organ.

    The lesion replaces organ and background; what is labelled otherwise keeps its label and its
    intensities. It touches the organ, is in one piece, and its `diameter_mm` lies in its size class.
    Channels share the shape and draw their own intensities. Not anatomically accurate.

    Args:
        image: Intensities, shaped like `label` or [channels, *label.shape].
        label: Label values, two or three axes longer than one voxel; not changed.
        spacing: Voxel size along the axes of `label`, mm.
        organ: Label values of the healthy organ tissue.
        lesion: Label value the lesion gets.
        size_class: A name in `sizes`.
        rng: The only source of randomness.
        look: How the lesion looks; `LesionLook()` when None.
        sizes: Smallest and largest diameter of every class, mm.

    Returns:
        New image and label of the same shapes and types.

    Raises:
        NoRoomError: No organ, voxels too coarse for the size, or no place found.
        ValueError: Shapes that do not match, or an unknown size class.
    """
    if image.shape[image.ndim - label.ndim :] != label.shape or image.ndim - label.ndim not in (0, 1):
        raise ValueError(f"image must be shaped like label or [channels, *label], found {image.shape}, {label.shape}")
    if size_class not in sizes or len(spacing) != label.ndim or np.squeeze(label).ndim not in (2, 3):
        raise ValueError(f"needs one of {[*sizes]} in 2D or 3D, found {size_class!r}, {label.shape}, {spacing}")
    look = look or LesionLook()
    new_image, new_label = np.array(image, order="C"), np.array(label, order="C")
    flat = new_label.reshape([n for n in label.shape if n > 1])
    steps = tuple(float(step) for step, n in zip(spacing, label.shape, strict=True) if n > 1)
    place = _Organ.of(flat, [value for value in organ if value != lesion], steps)
    site = _site(place, sizes[size_class], rng, look)
    for channel in new_image.reshape(-1, *flat.shape):
        _blend(channel, place, site, rng, look)
    flat[site.box][site.mask] = lesion
    return new_image, new_label


def _site(organ: _Organ, size: Range, rng: np.random.Generator, look: LesionLook) -> _Site:
    """Draw places until a lesion fits."""
    diameter = rng.uniform(*size)
    voxels = _voxels(diameter, size, organ.steps)
    tissue = organ.tissue[organ.box]
    depth = ndimage.distance_transform_edt(np.pad(tissue, 1), sampling=organ.steps)[(slice(1, -1),) * tissue.ndim]
    shell = tissue & (depth <= max(diameter / 4, depth[tissue].min()))
    corner = np.array([part.start for part in organ.box])
    for _ in range(_ATTEMPTS):
        places = np.argwhere(shell if rng.random() < look.near_surface else tissue)
        centre = corner + rng.choice(places) + rng.uniform(-0.5, 0.5, tissue.ndim)
        site = _grown(centre, diameter / 2, voxels, organ, rng, look)
        if site is not None:
            return site
    raise NoRoomError(f"a lesion of {diameter:.0f} mm must fit on the organ, found no place in {_ATTEMPTS} attempts.")


def _grown(
    centre: FloatArray, radius: float, voxels: int, organ: _Organ, rng: np.random.Generator, look: LesionLook
) -> _Site | None:
    """The lesion of this many voxels around this centre (voxel coordinates), or None if it does not fit there."""
    reach = (2 * radius + 4 * look.edge_mm) / np.array(organ.steps)
    ends = zip(centre - reach, centre + reach, organ.tissue.shape, strict=True)
    box = tuple(slice(max(0, math.floor(lo)), min(n, math.ceil(hi) + 1)) for lo, hi, n in ends)
    distance = _ellipsoid(box, centre, radius, organ.steps, rng, look)
    if distance.size < voxels:
        return None
    uneven = distance + look.lumps * _noise(distance.shape, _LUMP * radius, organ.steps, rng)
    uneven[~organ.free[box]] = np.inf
    mask = np.zeros(uneven.shape, np.bool_)
    mask.flat[np.argpartition(uneven, voxels - 1, axis=None)[:voxels]] = True
    tissue = organ.tissue[box]
    if uneven[mask].max() > _FURTHEST or ndimage.label(mask)[1] > 1 or tissue[mask].mean() < look.within:
        return None
    touches = bool(np.any(ndimage.binary_dilation(mask) & tissue & ~mask))
    return _Site(box, mask, radius, distance) if touches else None


def _ellipsoid(
    box: Sequence[slice],
    centre: FloatArray,
    radius: float,
    steps: Sequence[float],
    rng: np.random.Generator,
    look: LesionLook,
) -> FloatArray:
    """Distance of every voxel of the box from the centre, in radii of a randomly turned ellipsoid."""
    axes = [(np.arange(part.start, part.stop) - c) * step for part, c, step in zip(box, centre, steps, strict=True)]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"))
    turn = np.linalg.qr(rng.standard_normal((len(axes), len(axes))))[0]
    radii = rng.uniform(*look.axes, len(axes))
    radii *= radius / radii.prod() ** (1 / len(axes))
    local = np.tensordot(turn, offset, axes=1) / radii.reshape(-1, *[1] * len(axes))
    return np.asarray(np.sqrt((local**2).sum(0)))


def _blend(channel: Array, organ: _Organ, site: _Site, rng: np.random.Generator, look: LesionLook) -> None:
    """Paint the lesion into one channel, in place."""
    around, tissue, steps = channel[organ.box].astype(np.float64), organ.tissue[organ.box], organ.steps
    level, spread = np.median(around[tissue]), np.ptp(np.quantile(around[tissue], (0.1, 0.9))) / 2.56
    painted = level + _intensities(site, float(spread or channel.std()), steps, rng, look)
    painted += _grain(around, tissue) * _noise(painted.shape, 0.5 * min(steps), steps, rng)
    alpha = _soft(site.mask, look.edge_mm, steps) * organ.free[site.box]
    before = channel[site.box]
    after = before + alpha * (painted - before)
    channel[site.box] = np.where(alpha > 0, _as_type(after, channel.dtype), before)


def _intensities(
    site: _Site, spread: float, steps: Sequence[float], rng: np.random.Generator, look: LesionLook
) -> FloatArray:
    """Contrast to the organ's median: the lesion with its mottling and, sometimes, a necrotic core."""
    brighter = rng.random() < look.share_brighter
    contrast = spread * (rng.uniform(*look.brighter) if brighter else -rng.uniform(*look.darker))
    mottling = rng.uniform(*look.texture) * abs(contrast)
    painted = contrast + mottling * _noise(site.mask.shape, look.grain_mm, steps, rng)
    if rng.random() < look.share_necrotic:
        uneven = site.distance + look.lumps * _noise(site.mask.shape, _LUMP * site.radius, steps, rng)
        core = _soft(site.mask & (uneven < rng.uniform(*look.core_size)), look.edge_mm, steps)
        painted += core * (min(0.0, contrast) - rng.uniform(*look.core) * spread - painted)
    return painted


def _grain(image: FloatArray, tissue: BoolArray) -> float:
    """Standard deviation of the fine noise in the organ, from differences of neighbouring voxels."""
    differences = np.diff(image, axis=-1)[tissue[..., 1:] & tissue[..., :-1]]
    # 1.4826 turns the median absolute deviation of normal numbers into their standard deviation
    return 1.4826 * float(np.median(np.abs(differences))) / math.sqrt(2) if differences.size else 0.0


def _noise(shape: tuple[int, ...], length: float, steps: Sequence[float], rng: np.random.Generator) -> FloatArray:
    """Smooth noise of unit standard deviation with this correlation length, mm."""
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), [length / step for step in steps], mode="wrap")
    return np.asarray(smooth / (smooth.std() or 1.0))


def _soft(mask: BoolArray, edge: float, steps: Sequence[float]) -> FloatArray:
    """The mask with a Gaussian edge, 0 to 1."""
    soft = ndimage.gaussian_filter(mask.astype(np.float64), [edge / step for step in steps], truncate=3.0)
    return np.asarray(np.clip(soft, 0.0, 1.0))


def _as_type(values: FloatArray, dtype: np.dtype[Any]) -> Array:
    """Whole-number images keep whole numbers within their range."""
    if np.issubdtype(dtype, np.integer):
        about = np.iinfo(dtype)
        values = np.clip(np.rint(values), about.min, about.max)
    return values.astype(dtype)


def _diameter(volume: float, axes: int) -> float:
    return math.sqrt(4 * volume / math.pi) if axes == 2 else (6 * volume / math.pi) ** (1 / 3)


def _volume(diameter: float, axes: int) -> float:
    return math.pi * diameter**2 / 4 if axes == 2 else math.pi * diameter**3 / 6


def _voxels(diameter: float, size: Range, steps: Sequence[float]) -> int:
    """Voxels of a lesion of this diameter, such that it stays in its class."""
    voxel = math.prod(steps)
    few, many = (_volume(end, len(steps)) / voxel for end in size)
    if math.ceil(few) > math.floor(many) or many < 1:
        raise NoRoomError(f"a lesion of {size[0]:g} to {size[1]:g} mm needs finer voxels than {tuple(steps)} mm.")
    wanted = round(_volume(diameter, len(steps)) / voxel)
    return min(max(wanted, math.ceil(few), 1), math.floor(many))


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
            _write_volume(path, _as_type(pixels, before.dtype), volumes[channel])
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
