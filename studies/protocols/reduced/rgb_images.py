"""Generated RGB images with one blob to find, as an nnU-Net raw dataset: rgb_images.py DIR [--cases 120].

Blobs on a cloudy background of a similar colour; shape, place, colour and light differ from image to image. They stand
for polyps in endoscopy only in being 2D, coloured and of one class.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

EDGE = 64
"""Pixels."""


def image(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [y, x, colour] and label [y, x] of one image."""
    rng = np.random.default_rng([44, index])
    y, x = np.mgrid[:EDGE, :EDGE]
    cloud = [ndimage.gaussian_filter(rng.standard_normal((EDGE, EDGE)), sigma) for sigma in (12, 5, 2)]
    cloud = sum(weight * c / c.std() for weight, c in zip((14, 8, 5), cloud, strict=True))
    centre, radii = rng.uniform(16, EDGE - 16, 2), rng.uniform(6, 14, 2)
    angle = np.arctan2(y - centre[0], x - centre[1])
    edge = 1 + 0.15 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.1 * np.sin(5 * angle + rng.uniform(0, 6))
    label = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < edge**2
    base = np.array([150, 80, 70]) + rng.normal(0, 15, 3)
    shift = rng.normal(0, 1, 3) * (18, 14, 14) + rng.choice([-1, 1]) * np.array([10, 14, 6])
    soft = ndimage.gaussian_filter(label.astype(float), 0.8)[..., None]
    pixels = base + cloud[..., None] + soft * shift + rng.normal(0, 4, (EDGE, EDGE, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), label.astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=120)
    asked = parser.parse_args()
    for name in ("imagesTr", "labelsTr"):
        (asked.folder / name).mkdir(parents=True)
    for index in range(asked.cases):
        pixels, label = image(index)
        Image.fromarray(pixels).save(asked.folder / "imagesTr" / f"image_{index:03d}_0000.png")
        Image.fromarray(label).save(asked.folder / "labelsTr" / f"image_{index:03d}.png")
    declared = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "blob": 1},
        "numTraining": asked.cases,
        "file_ending": ".png",
    }
    (asked.folder / "dataset.json").write_text(json.dumps(declared, indent=2) + "\n")


if __name__ == "__main__":
    main()
