"""Planning and preprocessing: names, plans, boxes, normalisations, and predictions that land where they belong."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

pytest.importorskip("nnunetv2")

from dicecast.adapters.files import write_json
from dicecast.adapters.nnunet.dataset import NnunetDataset, read_dataset
from dicecast.adapters.nnunet.planning import make_plans
from dicecast.adapters.nnunet.preparation import (
    DATASET_NAME,
    PLANNERS,
    Preparation,
    case_folder,
    check_configuration,
    check_preparation,
    data_identifier,
    is_preprocessed,
    read_plans,
)
from dicecast.adapters.nnunet.preprocessing import preprocess_case
from dicecast.forecast.errors import InputError

Array = npt.NDArray[Any]
SHAPE = (10, 20, 24)
EVEN, ACROSS = (2.5, 1.0, 1.0), (1.0, 1.0, 2.5)
"""Voxel sizes in the axes of the array: nnU-Net keeps the order of the first and turns the second around."""
ORGAN, LESION = 1, 2


@pytest.fixture(autouse=True)
def quiet(nnunet: None) -> Any:
    """nnU-Net's own warnings aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def dataset(tmp_path: Path, write_image: Callable[..., None]) -> Callable[..., NnunetDataset]:
    """dataset(spacing, cases=1, border=0): organ and lesion apart from the centre; `border` voxels around are 0."""

    def build(spacing: Sequence[float], cases: int = 1, border: int = 0) -> NnunetDataset:
        folder = tmp_path / "dataset"
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir(parents=True)
        for number in range(cases):
            label = np.zeros(SHAPE, np.uint8)
            label[2:6, 5 : 11 + number, 12:19] = ORGAN
            label[3:5, 7:9, 14:16] = LESION
            label[8, 16:18, 3:5] = LESION  # far from the organ
            image = np.random.default_rng(number).normal(100 + 50 * label, 10).astype(np.float32)
            image *= np.pad(np.ones([n - 2 * border for n in SHAPE]), border)
            for path, array in (
                (f"imagesTr/case{number}_0000.nii.gz", image),
                (f"labelsTr/case{number}.nii.gz", label),
            ):
                write_image(folder / path, array, spacing=tuple(spacing)[::-1])
        declared = {
            "channel_names": {"0": "MR"},
            "labels": {"background": 0, "organ": ORGAN, "lesion": LESION},
            "numTraining": cases,
            "file_ending": ".nii.gz",
        }
        write_json(folder / "dataset.json", declared)
        return read_dataset(folder)

    return build


def plan(workspace: Path, dataset: NnunetDataset, spacing: Sequence[float], preparation: Preparation) -> dict[str, Any]:
    """Plan from a fingerprint that is on record already, which takes no time."""
    intensities = {"max": 230.0, "mean": 160.0, "median": 155.0, "min": 90.0, "std": 20.0}
    fingerprint = {
        "spacings": [list(spacing)] * 2,
        "shapes_after_crop": [list(SHAPE)] * 2,
        "foreground_intensity_properties_per_channel": {
            "0": {**intensities, "percentile_00_5": 100.0, "percentile_99_5": 210.0}
        },
        "median_relative_size_after_cropping": 1.0,
    }
    write_json(preparation.plans_path(workspace).parent / "dataset_fingerprint.json", fingerprint)
    make_plans(workspace, dataset.declared, dataset.cases, preparation)
    return read_plans(workspace, preparation)


def load(folder: Path, case: str) -> tuple[Array, Array, dict[str, Any]]:
    """A preprocessed case as a training reads it: image, label, properties."""
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    image, label, _, properties = nnUNetDatasetBlosc2(str(folder), [case]).load_case(case)
    return np.asarray(image[:]), np.asarray(label[:]), properties


def whole_map(plans: dict[str, Any], configuration: str, dataset: NnunetDataset, label: Array, properties: Any) -> Any:
    """What nnU-Net writes when the network is certain of every voxel of a preprocessed label."""
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    logits = torch.from_numpy(np.stack([10.0 * (np.maximum(label[0], 0) == value) for value in range(3)]))
    manager = PlansManager(plans)
    return convert_predicted_logits_to_segmentation_with_correct_shape(
        logits.float(),
        manager,
        manager.get_configuration(configuration),
        manager.get_label_manager(dict(dataset.declared)),
        dict(properties),
        num_threads_torch=1,
    )


def labels_of(dataset: NnunetDataset, case: str = "case0") -> Array:
    import SimpleITK

    found: Array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(dataset.cases[case].label)))
    return found


def pixels_of(dataset: NnunetDataset, case: str = "case0") -> Array:
    import SimpleITK

    found: Array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(dataset.cases[case].images[0])))
    return found


def box_around(label: Array, spacing: Sequence[float], values: tuple[int, ...], margin: float) -> Any:
    from dicecast.adapters.nnunet.preprocessing import box_around as asked

    return asked(label, spacing, values, margin)


# boxes


def test_a_box_is_the_smallest_that_holds_the_labels() -> None:
    label = np.zeros((6, 8, 10), int)
    label[2, 3:5, 7] = 1
    label[4, 1, 7] = 2
    assert box_around(label, (1, 1, 1), (1,), 0) == (slice(2, 3), slice(3, 5), slice(7, 8))
    assert box_around(label, (1, 1, 1), (1, 2), 0) == (slice(2, 5), slice(1, 5), slice(7, 8))


def test_a_margin_in_mm_takes_more_voxels_of_the_smaller_kind() -> None:
    label = np.zeros((30, 30, 30), int)
    label[15, 15, 15] = 1
    found = box_around(label, (5.0, 2.0, 0.8), (1,), 4.0)
    assert found == (slice(14, 17), slice(13, 18), slice(10, 21))


def test_a_box_ends_where_the_image_ends() -> None:
    label = np.zeros((5, 6, 7), int)
    label[0, 5, 3] = 1
    assert box_around(label, (1, 1, 1), (1,), 100) == (slice(0, 5), slice(0, 6), slice(0, 7))


def test_labels_that_are_not_there_have_no_box() -> None:
    assert box_around(np.ones((3, 3, 3), int), (1, 1, 1), (2, 3), 5) is None


@given(
    label=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=8), elements=st.integers(0, 2)),
    spacing=st.lists(st.floats(0.2, 5), min_size=3, max_size=3),
    margin=st.just(0.0) | st.floats(0.01, 12),
)
def test_a_box_holds_every_labelled_voxel_and_all_within_the_margin(
    label: Array, spacing: list[float], margin: float
) -> None:
    box = box_around(label, spacing, (1,), margin)
    inside = np.argwhere(label == 1)
    if box is None:
        assert not len(inside)
        return
    for axis, (found, step) in enumerate(zip(box, spacing, strict=True)):
        low, high = inside[:, axis].min(), inside[:, axis].max()
        reach = math.ceil(margin / step)
        assert (found.start, found.stop) == (max(0, low - reach), min(label.shape[axis], high + 1 + reach))
        assert found.start == 0 or (low - found.start) * step >= margin * (1 - 1e-9)


# names


def test_what_nnunet_would_do_has_nnunets_names() -> None:
    plain = Preparation()
    assert (plain.name, plain.dataset_name, plain.data_suffix) == ("nnUNetPlans", DATASET_NAME, "")
    assert Preparation(plans="nnUNetResEncUNetMPlans").name == "nnUNetResEncUNetMPlans"


def different() -> list[Preparation]:
    return [
        Preparation(),
        Preparation(plans="nnUNetResEncUNetLPlans"),
        Preparation(spacing=(1.0, 1.0, 1.0)),
        Preparation(spacing=(1.0, 1.0, 2.0)),
        Preparation(normalisation="ct"),
        Preparation(normalisation="clip"),
        Preparation(normalisation="clip", clip=(1.0, 99.0)),
        Preparation(normalisation="window", window=(1.0, 99.0)),
        Preparation(crop=(1,)),
        Preparation(crop=(1, 2)),
        Preparation(crop=(1,), margin_mm=5.0),
        Preparation(crop=(1,), spacing=(1.0, 1.0, 1.0)),
    ]


def test_no_two_preparations_share_their_plans() -> None:
    places = [preparation.plans_path(Path("w")) for preparation in different()]
    assert len(set(places)) == len(places)
    assert [one.plans_path(Path("w")) for one in different()] == places


def test_preparations_that_change_the_data_never_share_it() -> None:
    data = [(one.dataset_name, one.data_suffix) for one in different() if one.plans == "nnUNetPlans"]
    assert len(set(data)) == len(data)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"spacing": (1, 1, 2)}, {"spacing": (1.0, 1.0, 2.0)}),
        ({"normalisation": "clip", "clip": (1, 99)}, {"normalisation": "clip", "clip": (1.0, 99.0)}),
        ({"crop": (1,), "margin_mm": 10}, {"crop": (1,), "margin_mm": 10.0}),
    ],
)
def test_equal_preparations_share_their_plans(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Preparation(**one) == Preparation(**other)
    assert Preparation(**one).plans_path(Path("w")) == Preparation(**other).plans_path(Path("w"))


def test_plans_of_ones_own_are_told_apart_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_json(path, {"configurations": {}})
    own = Preparation(plans=str(path))
    first = own.name
    assert own.is_file and first.startswith("mine_")
    assert Preparation(plans=str(path), normalisation="ct").name != first
    write_json(path, {"configurations": {"2d": {}}})
    assert own.name != first


# what is refused


def test_unknown_plans_are_refused_naming_those_there_are() -> None:
    with pytest.raises(InputError, match="here: plans must be one of nnUNetPlans") as caught:
        check_preparation(Preparation(plans="nnUNetPlansXXL"), "here", ".nii.gz")
    assert all(name in str(caught.value) for name in ("'nnUNetPlansXXL'", *PLANNERS))


def test_spacing_does_not_go_with_plans_of_ones_own(tmp_path: Path) -> None:
    write_json(tmp_path / "mine.json", {"configurations": {}})
    own = Preparation(plans=str(tmp_path / "mine.json"))
    check_preparation(own, "here", ".nii.gz")
    with pytest.raises(InputError, match="here: spacing does not go with a plans file"):
        check_preparation(Preparation(plans=own.plans, spacing=(1.0, 1.0, 1.0)), "here", ".nii.gz")


def test_a_file_that_holds_no_plans_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "mine.json", {"configuration": "2d"})
    with pytest.raises(InputError, match="must be nnU-Net plans, found no configurations"):
        check_preparation(Preparation(plans=str(tmp_path / "mine.json")), "here", ".nii.gz")


@pytest.mark.parametrize("ending", [".png", ".PNG", ".tif", ".bmp"])
def test_images_without_a_physical_size_are_not_cropped(ending: str) -> None:
    check_preparation(Preparation(), "here", ending)
    with pytest.raises(InputError, match="here: crop needs images with a physical size"):
        check_preparation(Preparation(crop=(1,)), "here", ending)


def test_only_configurations_of_the_plans_that_need_no_other_model_are_usable() -> None:
    plans = {
        "configurations": {
            "2d": {"data_identifier": "a"},
            "mine": {"inherits_from": "2d"},
            "3d_cascade_fullres": {"inherits_from": "3d_lowres", "previous_stage": "3d_lowres"},
        }
    }
    for name in ("2d", "mine"):
        check_configuration(plans, name)
    with pytest.raises(InputError, match="'3d_fullres' is not in nnU-Net's plans for this dataset: 2d, mine"):
        check_configuration(plans, "3d_fullres")
    with pytest.raises(InputError, match=r"is a cascade.* Use one of 2d, mine"):
        check_configuration(plans, "3d_cascade_fullres")


def test_data_is_named_by_the_configuration_it_is_inherited_from() -> None:
    plans = {
        "dataset_name": "Dataset001_Study",
        "configurations": {"2d": {"data_identifier": "a"}, "b": {"inherits_from": "2d"}, "c": {"inherits_from": "b"}},
    }
    assert data_identifier(plans, "c") == "a"
    folder = Path("w/preprocessed/Dataset001_Study")
    assert case_folder(Path("w"), plans, "c") == folder / "a"
    assert case_folder(Path("w"), plans, "c", "north") == folder / "north_a"


# plans


def test_plans_of_the_same_cases_share_their_fingerprint(dataset: Callable[..., NnunetDataset], tmp_path: Path) -> None:
    found = dataset(EVEN)
    plain = plan(tmp_path / "w", found, EVEN, Preparation())
    kept = Preparation().plans_path(tmp_path / "w").parent / "dataset_fingerprint.json"
    fingerprint = json.loads(kept.read_text())
    fingerprint["spacings"] = [[9.0, 1.5, 1.5]] * 2  # no image has these
    write_json(kept, fingerprint)
    other = Preparation(plans="nnUNetResEncUNetMPlans")
    make_plans(tmp_path / "w", found.declared, found.cases, other)
    assert read_plans(tmp_path / "w", other)["configurations"]["3d_fullres"]["spacing"] == [9.0, 1.5, 1.5]
    assert json.loads(kept.read_text()) == fingerprint
    assert read_plans(tmp_path / "w", Preparation()) == plain
    assert not (tmp_path / "w" / "planning").exists()


def test_plans_are_made_once(dataset: Callable[..., NnunetDataset], tmp_path: Path) -> None:
    found, target = dataset(EVEN), Preparation().plans_path(tmp_path / "w")
    plan(tmp_path / "w", found, EVEN, Preparation())
    before = (target.read_bytes(), target.stat().st_mtime_ns)
    make_plans(tmp_path / "w", {}, {}, Preparation())
    assert (target.read_bytes(), target.stat().st_mtime_ns) == before


@pytest.mark.parametrize("spacing", [EVEN, ACROSS])
def test_a_spacing_asked_for_is_told_in_the_axes_of_the_images(
    dataset: Callable[..., NnunetDataset], tmp_path: Path, spacing: tuple[float, ...]
) -> None:
    # the axis of thick slices is made the first
    wanted = tuple(2 * step for step in spacing)
    plans = plan(tmp_path / "w", dataset(spacing), spacing, Preparation(spacing=wanted))
    assert plans["transpose_forward"] == ([0, 1, 2] if spacing == EVEN else [2, 0, 1])
    assert plans["configurations"]["3d_fullres"]["spacing"] == [wanted[axis] for axis in plans["transpose_forward"]]
    assert plans["configurations"]["2d"]["spacing"] == [2.0, 2.0]


@pytest.mark.parametrize(
    ("normalisation", "scheme"),
    [
        ("ct", "CTNormalization"),
        ("z-score", "ZScoreNormalization"),
        ("clip", "NoNormalization"),
        ("window", "NoNormalization"),
    ],
)
def test_a_normalisation_holds_for_every_configuration_and_its_data_has_a_name_of_its_own(
    dataset: Callable[..., NnunetDataset], tmp_path: Path, normalisation: str, scheme: str
) -> None:
    found = dataset(EVEN)
    plain = plan(tmp_path / "w", found, EVEN, Preparation())
    window = (0.0, 200.0) if normalisation == "window" else None
    asked = Preparation(normalisation=normalisation, window=window)
    plans = plan(tmp_path / "w", found, EVEN, asked)
    assert plans["plans_name"] == asked.name
    for name, entry in plans["configurations"].items():
        assert entry["normalization_schemes"] == [scheme]
        before = plain["configurations"][name]
        assert entry["data_identifier"] == before["data_identifier"] + asked.data_suffix != before["data_identifier"]
        kept = {"normalization_schemes": 0, "data_identifier": 0}
        assert {**entry, **kept} == {**before, **kept}


def test_plans_of_ones_own_are_kept_but_for_the_names(dataset: Callable[..., NnunetDataset], tmp_path: Path) -> None:
    found = dataset(EVEN)
    mine = plan(tmp_path / "elsewhere", found, EVEN, Preparation())
    mine["configurations"]["small"] = {"inherits_from": "2d", "batch_size": 3}
    mine["dataset_name"] = "Dataset999_Other"
    write_json(tmp_path / "mine.json", mine)
    own = Preparation(plans=str(tmp_path / "mine.json"), normalisation="ct")
    plans = plan(tmp_path / "w", found, EVEN, own)
    assert (plans["plans_name"], plans["dataset_name"]) == (own.name, DATASET_NAME)
    assert plans["configurations"]["small"] == {"inherits_from": "2d", "batch_size": 3}
    assert data_identifier(plans, "small") == f"nnUNetPlans_2d{own.data_suffix}"
    assert plans["configurations"]["2d"]["normalization_schemes"] == ["CTNormalization"]
    assert plans["configurations"]["2d"]["patch_size"] == mine["configurations"]["2d"]["patch_size"]


def test_cropped_cases_are_planned_from_their_boxes(dataset: Callable[..., NnunetDataset], tmp_path: Path) -> None:
    found = dataset(ACROSS, cases=2)
    cropped = Preparation(crop=(ORGAN,), margin_mm=2.0)
    make_plans(tmp_path / "w", found.declared, found.cases, cropped)
    place = cropped.plans_path(tmp_path / "w").parent
    fingerprint = json.loads((place / "dataset_fingerprint.json").read_text())
    # organ of 4 x 6 (7 in the other case) x 7 voxels; 2 mm are 2 voxels, or 1 of 2.5 mm
    assert sorted(fingerprint["shapes_after_crop"]) == [[8, 10, 9], [8, 11, 9]]
    assert fingerprint["spacings"] == [list(ACROSS)] * 2
    assert read_plans(tmp_path / "w", cropped)["dataset_name"] == cropped.dataset_name != DATASET_NAME
    assert not (tmp_path / "w" / "planning").exists()


# cases


def preprocessed(
    workspace: Path, found: NnunetDataset, preparation: Preparation, configuration: str, test_set: str | None = None
) -> tuple[Array, Array, dict[str, Any]]:
    """case0 as a training, or a prediction, reads it."""
    preprocess_case(workspace, preparation, configuration, "case0", found.cases["case0"], test_set)
    folder = case_folder(workspace, read_plans(workspace, preparation), configuration, test_set)
    return load(folder, "case0")


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
@pytest.mark.parametrize("spacing", [EVEN, ACROSS])
@pytest.mark.parametrize("border", [0, 4])
def test_a_certain_prediction_in_a_box_lands_on_the_voxels_it_is_about(
    dataset: Callable[..., NnunetDataset], tmp_path: Path, configuration: str, spacing: tuple[float, ...], border: int
) -> None:
    # an empty border, which nnU-Net cuts off, reaches into the box
    found, cropped = dataset(spacing, border=border), Preparation(crop=(ORGAN,), margin_mm=2.0)
    plans = plan(tmp_path / "w", found, spacing, cropped)
    reference = labels_of(found)
    box = box_around(reference, spacing, (ORGAN,), 2.0)
    image, label, properties = preprocessed(tmp_path / "w", found, cropped, configuration)
    visible = [slice(max(one.start, border), min(one.stop, n - border)) for one, n in zip(box, SHAPE, strict=True)]
    order = plans["transpose_forward"]
    assert order == ([0, 1, 2] if spacing == EVEN else [2, 0, 1])
    assert image.shape[1:] == tuple(visible[axis].stop - visible[axis].start for axis in order)
    expected = np.zeros(SHAPE, np.uint8)
    expected[tuple(visible)] = reference[tuple(visible)]
    assert (reference == LESION).sum() > (expected == LESION).sum() > 0
    placed = whole_map(plans, configuration, found, label, properties)
    np.testing.assert_array_equal(placed, expected)


def test_a_prediction_on_another_spacing_lands_in_its_box(
    dataset: Callable[..., NnunetDataset], tmp_path: Path
) -> None:
    found = dataset(ACROSS)
    cropped = Preparation(crop=(ORGAN,), margin_mm=2.0, spacing=(0.5, 0.5, 1.25))
    plans = plan(tmp_path / "w", found, ACROSS, cropped)
    reference = labels_of(found)
    box = box_around(reference, ACROSS, (ORGAN,), 2.0)
    image, label, properties = preprocessed(tmp_path / "w", found, cropped, "3d_fullres")
    assert image.shape[1:] == tuple(2 * (box[axis].stop - box[axis].start) for axis in plans["transpose_forward"])
    placed = whole_map(plans, "3d_fullres", found, label, properties)
    expected = np.zeros(SHAPE, np.uint8)
    expected[box] = reference[box]
    assert placed.shape == SHAPE
    overlap = 2 * ((placed > 0) & (expected > 0)).sum() / ((placed > 0).sum() + (expected > 0).sum())
    assert overlap > 0.95
    placed[box] = 0
    assert not placed.any()


def test_a_case_without_the_structure_is_not_cropped(
    dataset: Callable[..., NnunetDataset], tmp_path: Path, write_image: Callable[..., None]
) -> None:
    found, cropped = dataset(EVEN), Preparation(crop=(ORGAN,))
    plan(tmp_path / "w", found, EVEN, cropped)
    write_image(found.cases["case0"].label, np.zeros(SHAPE, np.uint8), spacing=EVEN[::-1])
    image, _, _ = preprocessed(tmp_path / "w", found, cropped, "3d_fullres")
    assert image.shape == (1, *SHAPE)


def test_a_case_that_is_not_cropped_is_what_nnunet_makes_of_it(
    dataset: Callable[..., NnunetDataset], tmp_path: Path
) -> None:
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    found = dataset(ACROSS, border=2)
    manager = PlansManager(plan(tmp_path / "w", found, ACROSS, Preparation()))
    files = found.cases["case0"]
    stock = DefaultPreprocessor(verbose=False).run_case(
        *([str(path) for path in files.images], str(files.label), manager),
        *(manager.get_configuration("3d_fullres"), dict(found.declared)),
    )
    ours = preprocessed(tmp_path / "w", found, Preparation(), "3d_fullres")
    for one, other in zip(ours[:2], stock[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert ours[2]["bbox_used_for_cropping"] == stock[2]["bbox_used_for_cropping"]


def test_the_label_of_a_test_case_is_left_out_and_lies_apart(
    dataset: Callable[..., NnunetDataset], tmp_path: Path
) -> None:
    found = dataset(EVEN)
    plans = plan(tmp_path / "w", found, EVEN, Preparation())
    _, label, properties = preprocessed(tmp_path / "w", found, Preparation(), "2d", "north")
    assert not label.any()
    assert "class_locations" not in properties
    assert not is_preprocessed(case_folder(tmp_path / "w", plans, "2d"), "case0")
    assert not is_preprocessed(case_folder(tmp_path / "w", plans, "2d", "test"), "case0")


def test_a_case_is_preprocessed_once_and_again_when_that_was_not_finished(
    dataset: Callable[..., NnunetDataset], tmp_path: Path
) -> None:
    found = dataset(EVEN)
    folder = case_folder(tmp_path / "w", plan(tmp_path / "w", found, EVEN, Preparation()), "2d")
    image, _, _ = preprocessed(tmp_path / "w", found, Preparation(), "2d")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(before) == {"case0.b2nd", "case0_seg.b2nd", "case0.pkl"}
    preprocess_case(tmp_path / "w", Preparation(), "2d", "case0", found.cases["case0"])
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    (folder / "case0.pkl").unlink()
    (folder / "case0.b2nd").write_bytes(b"half")
    again, _, _ = preprocessed(tmp_path / "w", found, Preparation(), "2d")
    np.testing.assert_array_equal(again, image)
    assert not list((tmp_path / "w" / "unfinished").iterdir())


# normalisations


def z_scores(pixels: Array) -> Array:
    return np.asarray((pixels - pixels.mean()) / pixels.std())


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"normalisation": "clip"}, lambda x: z_scores(np.clip(x, *np.percentile(x, (0.5, 99.5))))),
        (
            {"normalisation": "clip", "clip": (5.0, 90.0)},
            lambda x: z_scores(np.clip(x, *np.percentile(x, (5, 90)))),
        ),
        ({"normalisation": "window", "window": (80.0, 180.0)}, lambda x: (np.clip(x, 80, 180) - 80) / 100),
        ({"normalisation": "z-score"}, z_scores),
        ({"normalisation": "ct"}, lambda x: (np.clip(x, 100, 210) - 160) / 20),
    ],
    ids=["clip", "clip to percentiles", "window", "z-score", "ct"],
)
def test_intensities_are_normalised_as_asked(
    dataset: Callable[..., NnunetDataset],
    tmp_path: Path,
    asked: dict[str, Any],
    expected: Callable[[Array], Array],
) -> None:
    found, preparation = dataset(EVEN), Preparation(**asked)
    plan(tmp_path / "w", found, EVEN, preparation)
    image, _, _ = preprocessed(tmp_path / "w", found, preparation, "3d_fullres")
    np.testing.assert_allclose(image[0], expected(pixels_of(found).astype(float)), atol=1e-4)


def test_percentiles_are_those_of_the_box(dataset: Callable[..., NnunetDataset], tmp_path: Path) -> None:
    found, preparation = dataset(EVEN), Preparation(crop=(ORGAN,), normalisation="clip", clip=(10.0, 90.0))
    plan(tmp_path / "w", found, EVEN, preparation)
    box = box_around(labels_of(found), EVEN, (ORGAN,), 0)
    inside = pixels_of(found)[box].astype(float)
    image, _, _ = preprocessed(tmp_path / "w", found, preparation, "3d_fullres")
    np.testing.assert_allclose(image[0], z_scores(np.clip(inside, *np.percentile(inside, (10, 90)))), atol=1e-4)
