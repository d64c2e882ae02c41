"""What of a case is drawn, as arrays: orientation, aspect, slices, frame, grey values, outlines."""

from __future__ import annotations

import warnings
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from dicecast.adapters.cases.drawing import contours_of, draw_case, scale_bar
from dicecast.adapters.cases.reading import read_case
from dicecast.adapters.cases.views import (
    PATIENT_PLANES,
    View,
    frame_of,
    grey_ends,
    planes_of,
    telling_point,
    views_of,
)
from dicecast.adapters.cases.volume import CaseVolume, missed_parts, oriented, tilt
from dicecast.adapters.metrics import case_scores
from dicecast.adapters.nnunet.checks import reader_of
from dicecast.adapters.nnunet.dataset import CaseFiles

pytest.importorskip("nibabel")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nibabel

Array = npt.NDArray[Any]
SPACING = (1.5, 2.0, 3.0)
"""To the right, to the front, upwards, mm."""
STORED = [np.column_stack([axes, signs]) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)]
"""Every way to store a volume: for each of its axes the axis of the file, and whether it runs the same way."""


def body(turn: float = 0.0) -> tuple[dict[str, Array], Array]:
    """Image, reference and prediction without any symmetry, axes to the right, front and top; and their affine."""
    rng = np.random.default_rng(3)
    image = rng.normal(0, 1, (14, 12, 10)).astype(np.float32)
    reference, predicted = np.zeros((2, 14, 12, 10), np.uint8)
    reference[2:7, 3:9, 4:8] = 1
    reference[2:4, 3:5, 2:4] = 1
    predicted[3:8, 4:9, 4:9] = 1
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3] = np.column_stack([turned * SPACING, (-20.0, 7.0, -40.0)])
    return {"image": image, "reference": reference, "predicted": predicted}, affine


def stored(folder: Path, way: Array, turn: float = 0.0, reader: str = "SimpleITKIO") -> CaseVolume:
    """The body written as NIfTI with its axes stored in some way, and read again."""
    arrays, affine = body(turn)
    for name, array in arrays.items():
        nibabel.save(nibabel.Nifti1Image(array, affine).as_reoriented(way), folder / f"{name}.nii.gz")
    declared = {
        "channel_names": {"0": "MR"},
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": reader,
    }
    files = CaseFiles((folder / "image.nii.gz",), folder / "reference.nii.gz")
    predicted = folder / "predicted.nii.gz"
    return read_case(files, predicted, (1,), ignore=None, declared=declared, reader=reader_of(declared))


def drawn(case: CaseVolume) -> tuple[View, ...]:
    case = oriented(case)
    point = telling_point(case.reference)
    return views_of(case, point, frame_of(case, point))


def same(found: tuple[View, ...], expected: tuple[View, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.plane == other.plane
        for name in ("image", "reference", "predicted"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_allclose([*one.extent, *one.cuts], [*other.extent, *other.cuts], atol=1e-4)


def volume(reference: Array, predicted: Array | None = None, **others: Any) -> CaseVolume:
    """An axial volume: axes to superior, posterior and left."""
    known: dict[str, Any] = {
        "image": np.zeros(reference.shape),
        "reference": reference,
        "predicted": np.zeros_like(reference) if predicted is None else predicted,
        "spacing": (1.0, 1.0, 1.0),
        "affine": np.eye(4)[[2, 1, 0]] @ np.diag([1.0, 1, 1, 1]),
        "hounsfield": False,
    }
    return CaseVolume(**{**known, **others})


@pytest.mark.usefixtures("nnunet")
def test_however_a_volume_is_stored_the_same_is_drawn(tmp_path: Path) -> None:
    expected = drawn(stored(tmp_path, STORED[0]))
    assert [view.plane.name for view in expected] == ["axial", "coronal", "sagittal"]
    for way in STORED[1:]:
        same(drawn(stored(tmp_path, way)), expected)


@pytest.mark.usefixtures("nnunet")
@pytest.mark.parametrize("reader", ["NibabelIO", "NibabelIOWithReorient"])
def test_whichever_reader_a_dataset_names_the_same_is_drawn(tmp_path: Path, reader: str) -> None:
    expected = drawn(stored(tmp_path, STORED[0]))
    for way in STORED[::7]:
        same(drawn(stored(tmp_path, way, reader=reader)), expected)


@pytest.mark.usefixtures("nnunet")
def test_the_patients_right_is_at_the_left_front_and_head_are_on_top(tmp_path: Path) -> None:
    """A bright voxel far to the right, front and top of a volume that is stored the other way round."""
    arrays, affine = body()
    arrays["image"][:] = 0
    arrays["image"][12, 10, 8] = 1
    arrays["reference"][:] = 1
    for name, array in arrays.items():
        nibabel.save(nibabel.Nifti1Image(array, affine).as_reoriented(STORED[13]), tmp_path / f"{name}.nii.gz")
    declared = {"channel_names": {"0": "MR"}, "file_ending": ".nii.gz"}
    files = CaseFiles((tmp_path / "image.nii.gz",), tmp_path / "reference.nii.gz")
    found = read_case(
        files, tmp_path / "predicted.nii.gz", (1,), ignore=None, declared=declared, reader=reader_of(declared)
    )
    case = oriented(found)
    point = tuple(int(at[0]) for at in np.nonzero(case.image))
    places = {}
    for view in views_of(case, point, frame_of(case, point)):  # type: ignore[arg-type]
        (row,), (column,) = np.nonzero(view.image)
        places[view.plane.edges] = (row < view.image.shape[0] / 2, column < view.image.shape[1] / 2)
    assert places == {"RLAP": (True, True), "RLSI": (True, True), "APSI": (True, True)}


@pytest.mark.usefixtures("nnunet")
def test_an_oblique_scan_keeps_its_slices_and_tells_its_tilt(tmp_path: Path) -> None:
    straight = drawn(stored(tmp_path, STORED[0]))
    for way in STORED[::11]:
        found = stored(tmp_path, way, turn=np.radians(20))
        same(drawn(found), straight)
        assert tilt(oriented(found)) == pytest.approx(20, abs=0.01)
    assert tilt(oriented(stored(tmp_path, STORED[5]))) == pytest.approx(0, abs=0.1)


@pytest.mark.usefixtures("nnunet")
def test_an_image_without_orientation_is_drawn_as_stored(tmp_path: Path) -> None:
    arrays, affine = body()
    for name, array in arrays.items():
        image = nibabel.Nifti1Image(array, affine)
        image.set_sform(affine, code=0)
        image.set_qform(affine, code=0)
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
    declared = {"channel_names": {"0": "MR"}, "file_ending": ".nii.gz"}
    files = CaseFiles((tmp_path / "image.nii.gz",), tmp_path / "reference.nii.gz")
    case = read_case(
        files, tmp_path / "predicted.nii.gz", (1,), ignore=None, declared=declared, reader=reader_of(declared)
    )
    assert case.affine is None and case.spacing == pytest.approx(SPACING[::-1])
    views = drawn(case)
    assert [(view.plane.name, view.plane.edges) for view in views] == [
        ("first axis", ""),
        ("second axis", ""),
        ("third axis", ""),
    ]
    point = telling_point(case.reference)
    np.testing.assert_array_equal(views[0].image, case.image[point[0]])


def test_a_ball_is_round_whatever_the_spacing() -> None:
    spacing, radius = (5.0, 1.0, 2.0), 20.0
    z, y, x = (np.arange(n) * step - n * step / 2 for n, step in zip((14, 60, 40), spacing, strict=True))
    ball = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < radius**2
    affine = np.column_stack([np.eye(3)[::-1] * spacing, np.zeros(3)])
    views = drawn(volume(ball, spacing=spacing, affine=affine))
    for view in views:
        (line,) = contours_of(view.reference, view.extent)
        lengths = line.max(axis=0) - line.min(axis=0)
        steps = spacing[view.plane.columns], spacing[view.plane.rows]
        assert np.all(np.abs(lengths - 2 * radius) <= steps), view.plane.name


def test_the_drawn_point_has_the_largest_slices() -> None:
    mask = np.zeros((9, 9, 9), bool)
    mask[2:7, 4, 4] = True
    mask[3, 2:7, 2:7] = True
    assert telling_point(mask) == (3, 4, 4)


def test_of_equal_slices_the_middle_one_is_drawn() -> None:
    mask = np.zeros((12, 12, 12), bool)
    mask[2:7, 4:9, 1:10] = True
    assert telling_point(mask) == (4, 6, 5)


def test_the_frame_lies_inside_the_image_and_holds_all_outlines() -> None:
    mask = np.zeros((40, 100, 100), bool)
    mask[18:22, 2:12, 80:95] = True
    case = volume(mask)
    frame = frame_of(case, telling_point(mask))
    assert frame.side == 15 + 2 * 25 and not frame.cuts_off
    for axis, size in enumerate(mask.shape):
        half = frame.side / 2
        if size > frame.side:
            assert frame.centre[axis] - half >= -0.5 and frame.centre[axis] + half <= size - 0.5
        else:
            assert frame.centre[axis] == (size - 1) / 2
    whole = volume(np.ones((20, 20, 20), bool))
    assert frame_of(whole, (10, 10, 10)).side == 20


def test_a_far_prediction_does_not_make_the_structure_small() -> None:
    reference, predicted = np.zeros((2, 300, 300, 300), bool)
    reference[140:150, 140:150, 20:30] = True
    predicted[140:150, 140:150, 260:290] = True
    case = volume(reference, predicted)
    frame = frame_of(case, (145, 145, 25))
    assert frame.side == 60 and frame.cuts_off
    near = volume(reference, np.roll(reference, 12, axis=2))
    assert frame_of(near, (145, 145, 25)).side == 22 + 50 and not frame_of(near, (145, 145, 25)).cuts_off


def test_where_most_is_wrong_far_from_the_reference_that_is_framed() -> None:
    reference, predicted = np.zeros((2, 200, 200, 200), bool)
    reference[10:14, 10:14, 10:14] = True
    predicted[120:180, 120:180, 120:180] = True
    case = volume(reference, predicted)
    point = telling_point(case.wrong)
    assert all(120 <= at < 180 for at in point)
    frame = frame_of(case, point)
    assert frame.side == 60 + 2 * 25 and not frame.cuts_off


def test_small_voxels_are_not_lost_in_the_margin() -> None:
    mask = np.zeros((200, 200, 200), bool)
    mask[90:110, 90:110, 90:110] = True
    assert frame_of(volume(mask, spacing=(0.02, 0.02, 0.02)), (100, 100, 100)).side == pytest.approx(0.02 * (20 + 64))


def test_flat_images_have_one_view() -> None:
    mask = np.zeros((1, 30, 50), bool)
    mask[0, 5:10, 20:30] = True
    case = volume(mask, spacing=(0.5, 0.5), affine=None)
    views = drawn(case)
    assert len(views) == 1 and planes_of(case)[0].across == 0
    left, right, bottom, top = views[0].extent
    assert (right - left) / (bottom - top) == pytest.approx(views[0].image.shape[1] / views[0].image.shape[0])
    assert drawn(volume(mask, affine=None, spacing=None))[0].image.shape == (30, 50)
    slab = oriented(volume(np.moveaxis(mask, 0, 2)))
    assert [plane.name for plane in planes_of(slab)] == ["sagittal"]


def test_missed_parts_are_counted_as_lesions_are() -> None:
    reference, predicted = np.zeros((2, 20, 20, 20), bool)
    for low, size in ((1, 3), (8, 2), (14, 4)):
        reference[low : low + size, low : low + size, low : low + size] = True
    predicted[1:3, 1:3, 1:3] = True
    found = missed_parts(volume(reference, predicted))
    scores = case_scores(reference, predicted, wanted=("lesion_sensitivity",), spacing=(1, 1, 1), tolerance=1)
    assert (found.parts, found.missed, found.voxels) == (3, 2, 8 + 64)
    assert scores["lesion_sensitivity"] == pytest.approx(1 - found.missed / found.parts)
    assert np.argwhere(found.largest).min() == 14 and found.largest.sum() == 64
    nothing = missed_parts(volume(predicted, predicted))
    assert (nothing.parts, nothing.missed, int(nothing.largest.sum())) == (1, 0, 0)
    assert missed_parts(volume(np.zeros_like(reference))).parts == 0


@pytest.mark.parametrize(
    ("level", "window"),
    [(-800.0, (-1350, 150)), (30.0, (-160, 240)), (700.0, (-500, 1300)), (300.0, (-160, 310))],
)
def test_ct_is_windowed_for_what_is_drawn(level: float, window: tuple[float, float]) -> None:
    mask = np.zeros((10, 30, 30), bool)
    mask[3:7, 10:20, 10:20] = True
    image = np.where(mask, level, -1000.0)
    image[5, 12:18, 12:18] += 10
    case = volume(mask, image=image, hounsfield=True)
    assert grey_ends(case, frame_of(case, (5, 15, 15))) == pytest.approx(window)


def test_other_images_are_drawn_between_their_percentiles() -> None:
    mask = np.ones((10, 10, 10), bool)
    image = np.arange(1000.0).reshape(10, 10, 10)
    image[0, 0, 0] = 1e9
    case = volume(mask, image=image)
    low, high = grey_ends(case, frame_of(case, (5, 5, 5)))
    assert (low, high) == pytest.approx((11, 990), abs=2)
    flat = volume(mask, image=np.full(mask.shape, 7.0))
    assert grey_ends(flat, frame_of(flat, (5, 5, 5))) == (7.0, 8.0)


def test_outlines_run_along_the_edges_of_voxels() -> None:
    mask = np.zeros((6, 8), bool)
    mask[2:5, 3:7] = True
    (line,) = contours_of(mask, (0, 16, 6, 0))
    np.testing.assert_allclose([*line.min(axis=0), *line.max(axis=0)], [6, 2, 14, 5])
    mask[3, 4] = False
    assert len(contours_of(mask, (0, 16, 6, 0))) == 2  # a hole has its own
    assert contours_of(np.zeros((3, 3), bool), (0, 3, 3, 0)) == []
    (edge,) = contours_of(np.ones((3, 3), bool), (0, 3, 3, 0))
    np.testing.assert_allclose([*edge.min(axis=0), *edge.max(axis=0)], [0, 0, 3, 3])  # closed where the image ends


def test_scale_bars_are_round() -> None:
    assert [scale_bar(longest) for longest in (0.0123, 1.99, 7, 20.0, 480)] == [0.01, 1, 5, 20, 200]


def test_a_picture_is_small_always_the_same_and_holds_pixels_only() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 80, 80), bool)
    mask[10:30, 20:60, 30:50] = True
    case = volume(mask, np.roll(mask, 3, axis=1), image=rng.normal(0, 1, mask.shape))
    point = telling_point(mask)
    frame = frame_of(case, point)
    pictures = [draw_case(views_of(case, point, frame), frame, grey_ends(case, frame), measured=True) for _ in range(2)]
    assert pictures[0] == pictures[1] and len(pictures[0]) < 90_000  # pure noise is the worst there is
    chunks, at = [], 8
    while at < len(pictures[0]):
        length = int.from_bytes(pictures[0][at : at + 4], "big")
        chunks.append(pictures[0][at + 4 : at + 8])
        at += 12 + length
    assert set(chunks) == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


def test_planes_are_in_radiological_convention() -> None:
    assert [(plane.name, plane.edges) for plane in PATIENT_PLANES] == [
        ("axial", "RLAP"),
        ("coronal", "RLSI"),
        ("sagittal", "APSI"),
    ]
