"""Images and label maps, as `init` looks into them and as pictures of cases are drawn from them."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dicecast.adapters.cases.reading import read_case
from dicecast.adapters.cases.volume import missed_parts, oriented, tilt
from dicecast.adapters.nnunet.checks import check_cases, image_reader
from dicecast.adapters.nnunet.dataset import CaseFiles, NnunetDataset, read_dataset
from dicecast.benchmarks.robustness.breaking import broken_bytes
from dicecast.benchmarks.robustness.reading import Reader

DECLARED: dict[str, Any] = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1}, "numTraining": 1}
SHAPE = (5, 6, 7)
FIELDS = {
    "sizeof_hdr": (0, "i"), "dim": (40, "8h"), "datatype": (70, "h"), "bitpix": (72, "h"), "pixdim": (76, "8f"),
    "vox_offset": (108, "f"), "scl_slope": (112, "f"), "scl_inter": (116, "f"), "xyzt_units": (123, "B"),
    "qform_code": (252, "h"), "sform_code": (254, "h"), "quatern": (256, "3f"), "qoffset": (268, "3f"),
    "srow": (280, "12f"), "intent_code": (68, "h"), "magic": (344, "4B"), "extension": (348, "4B"),
}  # fmt: skip
"""Fields of a NIfTI-1 header: where they begin, and their kind."""
WHOLE = (0, 1, -1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 127, 128, 256, 348, 512, 540, 1024, 30000, 32767, -32768)
FLOATS = (0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, 3e38, float("nan"), float("inf"), float("-inf"), 352.0, 100.0, -0.0, 1e-45)


def nifti(array: np.ndarray, affine: np.ndarray | None = None) -> bytes:
    """An array as the bytes of a NIfTI file."""
    import nibabel

    content: bytes = nibabel.Nifti1Image(array, np.diag([2.0, 1.0, 1.0, 1.0]) if affine is None else affine).to_bytes()
    return content


def image_seeds() -> tuple[bytes, ...]:
    """Valid images: upright, oblique, whole numbers."""
    rng = np.random.default_rng(0)
    oblique = np.array([[0.9, -0.2, 0, 5], [0.2, 0.9, 0.1, -3], [0, -0.1, 2, 0], [0, 0, 0, 1.0]])
    floats = rng.normal(size=SHAPE).astype(np.float32)
    return nifti(floats), nifti(floats, oblique), nifti((100 * floats).astype(np.int16))


def label_seeds() -> tuple[bytes, ...]:
    """A valid label map."""
    label = np.zeros(SHAPE, np.uint8)
    label[1:3, 2:4, 2:5] = 1
    return (nifti(label),)


@st.composite
def broken_images(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A NIfTI file with a field or two of its header changed, or cut."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 2))):
        start, kind = FIELDS[draw(st.sampled_from(sorted(FIELDS)))]
        count, letter = int(kind[:-1] or 1), kind[-1]
        place = start + draw(st.integers(0, count - 1)) * struct.calcsize(letter)
        values = {"h": WHOLE, "i": (*WHOLE, 2**31 - 1), "B": tuple(range(0, 256, 5)), "f": FLOATS}[letter]
        struct.pack_into("<" + letter, content, place, draw(st.sampled_from(values)))
    if draw(st.integers(0, 7)) == 0:
        content = content[: draw(st.sampled_from([0, 1, 100, 347, 348, 351, 352, 360]) | st.integers(0, len(content)))]
    return bytes(content)


@st.composite
def four_dimensional(draw: st.DrawFn) -> bytes:
    """A valid file of another number of axes, another kind of voxel, or with voxels that are no numbers."""
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    kinds = (np.float32, np.float64, np.uint8, np.int16, np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    array = np.zeros(shape, kinds[draw(st.integers(0, len(kinds) - 1))])
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array[:] = draw(st.sampled_from([0.0, np.nan, np.inf, 1e300, 0.5, 1.0]))
        array.flat[0] = draw(st.sampled_from([0.0, 1.0, np.nan]))
    return nifti(array)


def _packed(images: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    @st.composite
    def packed(draw: st.DrawFn) -> bytes:
        content = draw(images)
        if draw(st.integers(0, 6)) == 0:
            return content
        content = gzip.compress(content, 1, mtime=0)
        what = draw(st.integers(0, 7))
        if what == 0:
            content = content[: draw(st.integers(0, len(content)))]
        elif what == 1:
            content = draw(broken_bytes([content]))
        elif what == 2:
            content += draw(st.binary(max_size=8)) + content
        return content

    return packed()


def _folder(folder: Path, ending: str) -> tuple[NnunetDataset, CaseFiles, Path]:
    """A dataset of one valid case, with a prediction of it."""
    pack = gzip.compress if ending.endswith(".gz") else bytes
    files = {"imagesTr/a_0000": image_seeds()[0], "labelsTr/a": label_seeds()[0], "predictions/a": label_seeds()[0]}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / f"{name}{ending}").write_bytes(pack(content))
    (folder / "dataset.json").write_text(json.dumps({**DECLARED, "file_ending": ending}), encoding="utf-8")
    dataset = read_dataset(folder)
    return dataset, dataset.cases["a"], folder / f"predictions/a{ending}"


def _reader(folder: Path, name: str, ending: str, seeds: tuple[bytes, ...], broken: st.SearchStrategy[bytes]) -> Reader:
    dataset, files, prediction = _folder(folder, ending)
    changed = {"image": files.images[0], "label": files.label, "prediction": prediction}[name.split()[0]]
    reader = image_reader(dataset)

    def read(data: bytes) -> None:
        changed.write_bytes(data)
        list(check_cases(dataset, ["a"]))
        case = read_case(files, prediction, (1,), ignore=None, declared=dataset.declared, reader=reader)
        assert tilt(oriented(case)) >= 0
        missed_parts(oriented(case))

    return Reader(name, seeds, read, broken)


def plain_image(folder: Path) -> Reader:
    """A .nii image, where bytes can be searched for."""
    seeds = image_seeds()
    return _reader(folder, "image .nii", ".nii", seeds, broken_images(seeds) | four_dimensional())


def packed_image(folder: Path) -> Reader:
    """A .nii.gz image."""
    seeds = image_seeds()
    broken = _packed(broken_images(seeds) | four_dimensional())
    return _reader(folder, "image .nii.gz", ".nii.gz", tuple(map(gzip.compress, seeds)), broken)


def label(folder: Path) -> Reader:
    """A label map."""
    seeds = label_seeds()
    return _reader(folder, "label .nii", ".nii", seeds, broken_images(seeds) | four_dimensional())


def prediction(folder: Path) -> Reader:
    """A prediction that a study kept."""
    seeds = label_seeds()
    return _reader(folder, "prediction .nii", ".nii", seeds, broken_images(seeds))
