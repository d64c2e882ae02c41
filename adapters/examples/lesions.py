"""Synthetic lesions blended into healthy organs.

An arm "real + synthetic" trains on cases in which somebody outlined a tumour and on cases made here,
whose tumours cost no annotation: a lumpy ellipsoid is put on or in an organ and its outline is the label.

Nothing here is anatomically accurate. A lesion is placed without regard to vessels, ducts or the organs
next door, pushes nothing aside, and its brightness, texture and necrosis are drawn from the organ's own
intensities by a few numbers (`LesionLook`), not learnt from tumours. Whether such cases help a network
is for a comparison of arms to find out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ...forecast.errors import InputError
from ...forecast.types import BoolArray, FloatArray

Array = npt.NDArray[Any]
Range = tuple[float, float]

SIZES: Mapping[str, Range] = MappingProxyType({"small": (10.0, 16.0), "medium": (16.0, 24.0), "large": (24.0, 32.0)})
"""Smallest and largest diameter of every size class, mm; see `diameter_mm`."""
_ATTEMPTS = 40
_FURTHEST = 1.3
"""How far, in radii, a lesion may reach to get around what it must not cover."""
_LUMP = 2 / 3
"""Correlation length of the surface's unevenness, radii."""


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
    channel[site.box] = np.where(alpha > 0, as_type(after, channel.dtype), before)


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


def as_type(values: FloatArray, dtype: np.dtype[Any]) -> Array:
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
