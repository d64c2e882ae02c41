"""A generated renal CT phantom, written as an nnU-Net v2 raw dataset.

Every volume is synthetic: smooth blobs on a fat background that stand for one kidney, its tumour,
sometimes a cyst, and the neighbours a network may mistake for them (a liver or spleen, bowel,
lymph nodes, muscle, a vertebra). Nothing here is anatomically accurate and nothing learnt from it
says anything about patients. It exists so that the whole pipeline can run in minutes.

The phantom is built so that cases limit the Dice: its voxels are nearly free of noise, while the
brightness of the organs, the look of the tumour, its place and its neighbours differ from patient
to patient and have to be learnt from enough patients.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint8]
Point = npt.NDArray[np.float64]

LABELS = {"background": 0, "kidney": 1, "tumour": 2, "cyst": 3}
SPACING = (4.0, 1.8, 1.8)
"""Voxel size in millimetres along the array axes (z, y, x)."""

_PLANE = 40
_SLICES = (16, 20)
_CYST_CHANCE = 0.45
_NECROSIS_CHANCE = 0.5
_CONTRAST_MEAL_CHANCE = 0.3
_FAT = -100.0


@dataclass
class _Canvas:
    """One volume being painted.

    Attributes:
        rng: The only source of randomness of this case.
        shape: Voxels along (z, y, x).
        grid: Millimetre coordinates of every voxel, centred; shape (3, z, y, x).
        image: Intensities, roughly in Hounsfield units.
        label: Label values, see `LABELS`.
    """

    rng: np.random.Generator
    shape: tuple[int, int, int]
    grid: Floats = field(init=False)
    image: Floats = field(init=False)
    label: Labels = field(init=False)

    def __post_init__(self) -> None:
        axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(self.shape, SPACING, strict=True)]
        self.grid = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
        self.image = np.full(self.shape, _FAT, np.float32)
        self.label = np.zeros(self.shape, np.uint8)

    def noise(self, millimetres: float) -> Floats:
        """Return smooth noise of unit standard deviation with this correlation length."""
        white = self.rng.standard_normal(self.shape).astype(np.float32)
        sigma = [millimetres / step for step in SPACING]
        smooth = ndimage.gaussian_filter(white, sigma, mode="wrap")
        return np.asarray(smooth / smooth.std(), np.float32)

    def blob(self, centre: Point, radii: Point, lumps: float = 0.12) -> Mask:
        """Return a randomly turned ellipsoid with an uneven surface."""
        turn = np.linalg.qr(self.rng.normal(np.eye(3), 0.18))[0]
        offset = self.grid - np.asarray(centre, np.float32).reshape(3, 1, 1, 1)
        local = np.tensordot(turn.astype(np.float32), offset, axes=1)
        local /= np.asarray(radii, np.float32).reshape(3, 1, 1, 1)
        distance = np.sqrt((local**2).sum(0))
        return np.asarray(distance < 1 + lumps * self.noise(10.0), np.bool_)

    def paint(self, mask: Mask, value: float, texture: float = 0.0, grain: float = 4.0) -> None:
        """Fill a mask with an intensity and, where asked, a texture of this amplitude."""
        self.image[mask] = value
        if texture > 0:
            self.image[mask] += texture * self.noise(grain)[mask]


def phantom_case(index: int, seed: int = 0, healthy: bool = False) -> tuple[Floats, Labels, tuple[float, float, float]]:
    """Generate one case.

    Args:
        index: Number of the case.
        seed: Seed of the whole collection; a case depends on (seed, index) and `healthy` alone.
        healthy: Leave out tumour and cyst. The healthy case of an index is another patient than the
            case with a tumour, so training on the one tells nothing about the other.

    Returns:
        The image in rough Hounsfield units, its label map, both ordered (z, y, x), and the voxel
        size in millimetres in the same order.
    """
    rng = np.random.default_rng((seed, index, 1) if healthy else (seed, index))
    slices = int(rng.integers(_SLICES[0], _SLICES[1] + 1))
    canvas = _Canvas(rng, (slices, _PLANE, _PLANE))
    centre = rng.normal((0, 2, 2), (4, 4, 4))
    radii = rng.uniform((22, 14, 15), (30, 19, 20))
    parenchyma = rng.uniform(110, 190)
    _paint_neighbours(canvas, centre, radii)
    _paint_kidney(canvas, centre, radii, parenchyma)
    if not healthy:
        tumour_place = _surface_point(canvas, centre, radii, rng.uniform(0.7, 1.1))
        if rng.random() < _CYST_CHANCE:
            _paint_cyst(canvas, centre, radii, away_from=tumour_place)
        _paint_tumour(canvas, tumour_place)
    return _scanned(canvas, mirror=bool(rng.random() < 0.5))


def write_phantom(folder: Path, cases: int, seed: int = 0, start: int = 0, healthy: bool = False) -> Path:
    """Write cases `start` to `start + cases - 1` as an nnU-Net v2 raw dataset.

    Cases already in the folder stay, so a dataset can grow; a case is the same however many others
    were asked for.

    Args:
        folder: Dataset folder, such as `nnUNet_raw/Dataset501_Phantom`; created when missing.
        cases: How many cases to write.
        seed: Seed of the whole collection.
        start: Number of the first case.
        healthy: Write cases without tumour and cyst, named healthy_000, ... instead of phantom_000, ...;
            `dataset.json` declares the same labels.

    Returns:
        The dataset folder.
    """
    import SimpleITK

    images, labels = folder / "imagesTr", folder / "labelsTr"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(exist_ok=True)
    for index in range(start, start + cases):
        image, label, spacing = phantom_case(index, seed, healthy)
        name = f"{'healthy' if healthy else 'phantom'}_{index:03d}"
        for array, path in (
            (image, images / f"{name}_0000.nii.gz"),
            (label, labels / f"{name}.nii.gz"),
        ):
            volume = SimpleITK.GetImageFromArray(array)
            volume.SetSpacing(spacing[::-1])
            SimpleITK.WriteImage(volume, str(path))
    description = {
        "channel_names": {"0": "CT"},
        "labels": LABELS,
        "numTraining": len(list(labels.glob("*.nii.gz"))),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=2) + "\n")
    return folder


def _paint_neighbours(canvas: _Canvas, centre: Point, radii: Point) -> None:
    """Paint what surrounds a kidney: muscle, vertebra, a large organ, bowel and lymph nodes."""
    rng = canvas.rng
    muscle = canvas.blob(centre + np.array([0, 10, -radii[2] - 11]), np.array([90, 11, 9]))
    canvas.paint(muscle, rng.uniform(40, 75), texture=5)
    vertebra = canvas.blob(np.array([0, 24, -32]), np.array([90, 14, 12]))
    canvas.paint(vertebra, rng.uniform(110, 190), texture=20)
    organ_radii = rng.uniform((22, 11, 20), (40, 18, 34))
    shift = np.array([rng.uniform(-25, 25), -radii[1] - organ_radii[1] - 1, rng.uniform(-8, 22)])
    organ = canvas.blob(centre + shift, organ_radii, lumps=0.2)
    canvas.paint(organ, rng.uniform(80, 170), texture=rng.uniform(2, 12))
    for _ in range(rng.integers(1, 4)):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 2.0)
        around = distance * radii[1:] * (np.sin(angle), np.cos(angle))
        place = centre + np.array([rng.uniform(-30, 30), *around])
        loop = canvas.blob(place, rng.uniform(4, 10) * rng.uniform(0.8, 1.4, 3), lumps=0.2)
        filled = rng.random() < _CONTRAST_MEAL_CHANCE
        value = rng.uniform(190, 300) if filled else rng.uniform(0, 140)
        canvas.paint(loop, value, texture=rng.uniform(10, 30))


def _paint_kidney(canvas: _Canvas, centre: Point, radii: Point, parenchyma: float) -> Mask:
    """Paint a kidney with cortex, medulla and a fatty sinus; return its mask."""
    rng = canvas.rng
    outline = canvas.blob(centre, radii)
    hilum = centre + np.array([rng.normal(0, 4), rng.normal(2, 3), -0.75 * radii[2]])
    sinus = canvas.blob(hilum, radii * rng.uniform(0.35, 0.6), lumps=0.25)
    kidney = outline & ~sinus
    canvas.image[outline & sinus] = _FAT + rng.uniform(0, 60)
    canvas.paint(kidney, parenchyma, texture=rng.uniform(0, 10))
    depth = ndimage.distance_transform_edt(outline, sampling=SPACING)
    medulla = kidney & (depth > rng.uniform(4, 7))
    canvas.image[medulla] += rng.uniform(-45, 15)
    canvas.label[kidney] = LABELS["kidney"]
    return kidney


def _surface_point(canvas: _Canvas, centre: Point, radii: Point, depth: float) -> Point:
    """Return a point at this fraction of the kidney's radius, away from the hilum."""
    rng = canvas.rng
    polar, angle = rng.uniform(-0.75, 0.75), rng.uniform(-0.6 * np.pi, 0.6 * np.pi)
    ring = np.sqrt(1 - polar**2)
    direction = np.array([polar, ring * np.sin(angle), ring * np.cos(angle)])
    return np.asarray(centre + depth * radii * direction)


def _paint_tumour(canvas: _Canvas, place: Point) -> None:
    """Paint one tumour on or in the kidney, bright, smooth or mottled, solid or necrotic."""
    rng = canvas.rng
    size = rng.uniform(7, 15) * rng.uniform(0.85, 1.2, 3)
    tumour = canvas.blob(place, size, lumps=0.15)
    canvas.paint(tumour, rng.uniform(200, 320), rng.uniform(0, 60), grain=3)
    if rng.random() < _NECROSIS_CHANCE:
        core = tumour & canvas.blob(place, size * rng.uniform(0.4, 0.85), lumps=0.25)
        canvas.paint(core, rng.uniform(20, 110), texture=4)
    canvas.label[tumour] = LABELS["tumour"]


def _paint_cyst(canvas: _Canvas, centre: Point, radii: Point, away_from: Point) -> None:
    """Paint one cyst: round, smooth and filled with water."""
    rng = canvas.rng
    places = [_surface_point(canvas, centre, radii, rng.uniform(0.8, 1.1)) for _ in range(4)]
    place = max(places, key=lambda point: float(np.linalg.norm(point - away_from)))
    cyst = canvas.blob(place, np.full(3, rng.uniform(7, 12)), lumps=0.04)
    canvas.paint(cyst, rng.uniform(-5, 15))
    canvas.label[cyst] = LABELS["cyst"]


def _scanned(canvas: _Canvas, mirror: bool) -> tuple[Floats, Labels, tuple[float, float, float]]:
    """Return the volume as a scanner would show it: blurred, shaded, noisy, of either side."""
    rng = canvas.rng
    image = ndimage.gaussian_filter(canvas.image, (0.2, 0.5, 0.5))
    image += rng.normal(0, 6) + rng.uniform(0, 8) * canvas.noise(25.0)
    image += rng.uniform(4, 10) * canvas.noise(1.2)
    side = -1 if mirror else 1
    pixels = np.ascontiguousarray(np.round(image[..., ::side]), np.float32)
    return pixels, np.ascontiguousarray(canvas.label[..., ::side]), SPACING
