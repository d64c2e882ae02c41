"""Faulty image files are named before nnU-Net's reader looks into them, and nothing is printed."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicecast.adapters.cases.reading import patient_affine
from dicecast.adapters.nnunet.checks import check_cases
from dicecast.adapters.nnunet.dataset import read_dataset
from dicecast.adapters.nnunet.image_files import check_nifti, states_orientation
from dicecast.forecast.errors import InputError

nibabel = pytest.importorskip("nibabel")
pytestmark = pytest.mark.usefixtures("nnunet")


def nifti(array: np.ndarray, **fields: tuple[int, str, float]) -> bytes:
    """A file with fields of its header changed: where they begin, their kind and value."""
    content = bytearray(nibabel.Nifti1Image(array, np.eye(4)).to_bytes())
    for place, kind, value in fields.values():
        struct.pack_into(f"<{kind}", content, place, value)
    return bytes(content)


PLAIN = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
HUGE = {"x": (42, "h", 32767), "y": (44, "h", 32767), "z": (46, "h", 32767)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (nifti(PLAIN, **HUGE), "bytes of voxels by its header"),
        (nifti(PLAIN)[:-1], "cannot be read as an image"),
        (nifti(PLAIN)[:300], "cannot be read as an image"),
        (nifti(PLAIN, x=(42, "h", 0)), "must have voxels and an orientation"),
        (nifti(PLAIN, row=(280, "f", np.inf)), "must have voxels and an orientation"),
        (b"", "cannot be read as an image"),
        (nifti(PLAIN.astype(np.complex64)), "voxels must be single numbers"),
        (nifti(PLAIN.astype(np.float64) * 1e300), "must fit into 32 bits"),
        (nifti(np.where(PLAIN > 3, PLAIN, np.nan)), "found NaN or infinity"),
    ],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_faulty_image_is_named(tmp_path: Path, content: bytes, words: str, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    with pytest.raises(InputError, match=words):
        check_nifti(path)


def test_what_nibabel_says_of_a_header_is_told_and_not_printed(
    tmp_path: Path, make_dataset: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path / "dataset", cases=1, ending=".nii")
    path = dataset / "imagesTr" / "case_000_0000.nii"
    content = bytearray(path.read_bytes())
    struct.pack_into("<h", content, 254, 540)
    path.write_bytes(content)
    (facts,) = check_cases(read_dataset(dataset), ["case_000"])
    assert states_orientation(path) in (True, False)
    assert [words for words in facts.warnings if "sform_code 540 not valid" in words]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("entry", [np.nan, np.inf, 0.0])
def test_an_affine_that_makes_no_sense_tells_nothing_of_the_patient(entry: float) -> None:
    affine = np.eye(4)
    affine[1, 1] = entry
    assert patient_affine({"nibabel_stuff": {"original_affine": affine}}) is None
