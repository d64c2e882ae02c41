from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicecast.adapters.nnunet.checks import check_cases, refuse_shared
from dicecast.adapters.nnunet.dataset import read_dataset
from dicecast.adapters.nnunet.preparation import check_configuration
from dicecast.forecast.errors import InputError

LABELS = {"background": 0, "organ": 1}
DECLARED: dict[str, Any] = {"channel_names": {"0": "CT"}, "labels": LABELS, "file_ending": ".nii.gz", "numTraining": 2}


def empty_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def bare(folder: Path, declared: Any = DECLARED) -> Path:
    """Reading the folder opens no image, so empty files will do."""
    empty_files(folder, *(f"imagesTr/{c}_0000.nii.gz" for c in "ab"), *(f"labelsTr/{c}.nii.gz" for c in "ab"))
    (folder / "dataset.json").write_text(json.dumps(declared), encoding="utf-8")
    return folder


def without(key: str, **more: Any) -> dict[str, Any]:
    return {**{k: v for k, v in DECLARED.items() if k != key}, **more}


def labelled(labels: Any, **more: Any) -> dict[str, Any]:
    return {**DECLARED, "labels": labels, **more}


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_dataset(folder)
    return str(caught.value)


def test_cases_are_found_sorted_with_their_channels_in_order(tmp_path: Path) -> None:
    folder = bare(tmp_path, {**DECLARED, "channel_names": {"0": "T1", "1": "T2"}})
    empty_files(folder, "imagesTr/a_0001.nii.gz", "imagesTr/b_0001.nii.gz")
    found = read_dataset(folder)
    assert list(found.cases) == ["a", "b"]
    assert [path.name for path in found.cases["a"].images] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert found.cases["b"].label == folder / "labelsTr" / "b.nii.gz"


def test_ids_may_hold_dots_and_underscores_and_look_like_channels(tmp_path: Path) -> None:
    folder = bare(tmp_path)
    empty_files(folder, "imagesTr/p.1_0001_0000.nii.gz", "labelsTr/p.1_0001.nii.gz")
    assert "p.1_0001" in read_dataset(folder).cases


def test_files_of_other_kinds_are_no_cases(tmp_path: Path) -> None:
    folder = bare(tmp_path)
    empty_files(folder, "imagesTr/notes.txt", "labelsTr/notes.txt", "imagesTr/Thumbs.db", "labelsTr/.DS_Store")
    assert list(read_dataset(folder).cases) == ["a", "b"]


def test_hidden_files_are_ignored_among_images_as_among_labels(tmp_path: Path) -> None:
    folder = bare(tmp_path)
    empty_files(folder, "imagesTr/._a_0000.nii.gz", "labelsTr/._a.nii.gz")
    assert list(read_dataset(folder).cases) == ["a", "b"]


def test_regions_and_the_ignore_label_are_read_as_nnunet_means_them(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "tumour": 2, "ignore": 3}
    found = read_dataset(bare(tmp_path, labelled(labels, regions_class_order=[1, 2])))
    assert found.structures == {"whole": (1, 2), "tumour": 2}
    assert found.ignore_label == 3
    assert found.label_values == {0, 1, 2, 3}


def test_a_dataset_may_list_its_files_anywhere(tmp_path: Path) -> None:
    empty_files(tmp_path, "scans/one.nii.gz", "truth/one.nii.gz")
    listed = {"first": {"images": ["scans/one.nii.gz"], "label": str(tmp_path / "truth" / "one.nii.gz")}}
    (tmp_path / "dataset.json").write_text(json.dumps({**DECLARED, "dataset": listed}), encoding="utf-8")
    found = read_dataset(tmp_path)
    assert list(found.cases) == ["first"]
    assert found.cases["first"].images == (tmp_path / "scans" / "one.nii.gz",)
    assert found.cases["first"].label == tmp_path / "truth" / "one.nii.gz"


LISTED: list[tuple[str, Any, list[str]]] = [
    ("label gone", {"x": {"images": ["imagesTr/a_0000.nii.gz"], "label": "gone.nii.gz"}}, ["'x'", "gone.nii.gz"]),
    ("image gone", {"x": {"images": ["gone.nii.gz"], "label": "labelsTr/a.nii.gz"}}, ["'x'", "gone.nii.gz"]),
    ("no image", {"x": {"images": [], "label": "labelsTr/a.nii.gz"}}, ["'x'", "1 channel", "found 0"]),
    ("no images key", {"x": {"label": "labelsTr/a.nii.gz"}}, ["'x'", "images"]),
    ("no label key", {"x": {"images": ["imagesTr/a_0000.nii.gz"]}}, ["'x'", "label"]),
    ("a list", [{"image": "imagesTr/a_0000.nii.gz", "label": "labelsTr/a.nii.gz"}], ["dataset"]),
    ("nothing", {}, ["found none"]),
    ("an id that leads elsewhere", {"../x": {"images": [], "label": "l"}}, ["slashes", "'../x'"]),
]


@pytest.mark.parametrize(("listed", "words"), [pytest.param(d, w, id=name) for name, d, w in LISTED])
def test_a_faulty_list_of_files_is_refused(tmp_path: Path, listed: Any, words: list[str]) -> None:
    message = refusal(bare(tmp_path, {**DECLARED, "dataset": listed}))
    assert not [word for word in words if word not in message], message


FAULTS: list[tuple[str, Any, list[str]]] = [
    ("a list", [1, 2], ["JSON object", "list"]),
    ("no labels", without("labels"), ["'labels' is required", "channel_names"]),
    ("no channels", without("channel_names"), ["'channel_names' is required"]),
    ("no ending", without("file_ending"), ["'file_ending' is required"]),
    ("nnU-Net v1", without("channel_names", modality={"0": "CT"}), ["'channel_names' is required", "nnU-Net v1"]),
    ("nothing", {}, ["is required", "found nothing"]),
    ("labels empty", labelled({}), ["'labels'", "non-empty"]),
    ("labels a list", labelled(["background", "organ"]), ["'labels'", "dict"]),
    ("labels from value to name", labelled({"0": "background", "1": "organ"}), ["whole number", "v2 maps names to"]),
    ("a label is text", labelled({"background": 0, "organ": "1"}), ["'organ'", "whole number", "'1'"]),
    ("a label is a fraction", labelled({"background": 0, "organ": 1.5}), ["'organ'", "whole number", "1.5"]),
    ("a label is true", labelled({"background": 0, "organ": True}), ["'organ'", "whole number", "True"]),
    ("a label is negative", labelled({"background": 0, "organ": -1}), ["'organ'", "-1"]),
    ("a region is empty", labelled({"background": 0, "organ": []}), ["'organ'", "[]"]),
    ("no background", labelled({"organ": 1}), ["background", "0"]),
    ("background by another name", labelled({"air": 0, "organ": 1}), ["background"]),
    ("only background", labelled({"background": 0}), ["labels"]),
    ("a gap in the values", labelled({"background": 0, "organ": 1, "tumour": 3}), ["labels", "consecutive"]),
    ("regions without their order", labelled({"background": 0, "w": [1, 2], "t": 2}), ["regions_class_order"]),
    ("ignore is not the highest", labelled({"background": 0, "ignore": 1, "organ": 2}), ["ignore", "highest"]),
    ("ignore is a list", labelled({"background": 0, "organ": 1, "ignore": [2]}), ["ignore"]),
    ("channels a list", {**DECLARED, "channel_names": ["CT"]}, ["'channel_names'", "dict", "CT"]),
    ("ending a number", {**DECLARED, "file_ending": 3}, ["'file_ending'", "str", "3"]),
    ("another ending", {**DECLARED, "file_ending": ".mha"}, ["imagesTr", ".mha", "found none", "Check file_ending"]),
]


@pytest.mark.parametrize(("declared", "words"), [pytest.param(d, w, id=name) for name, d, w in FAULTS])
def test_a_faulty_dataset_json_is_refused_saying_what_must_hold(
    tmp_path: Path, declared: Any, words: list[str]
) -> None:
    message = refusal(bare(tmp_path, declared))
    assert str(tmp_path) in message
    assert not [word for word in words if word not in message], message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", ["line 1", "valid JSON"], id="empty"),
        pytest.param(b'{"labels": {,}}', ["line 1", "valid JSON"], id="not JSON"),
        pytest.param(b'{\n"labels": {}\n', ["line 3", "valid JSON"], id="truncated"),
        pytest.param(b"\x1f\x8b\x08\xff\xfe", ["UTF-8"], id="binary"),
        pytest.param(b"\x00" * 20, ["valid JSON"], id="zeros"),
    ],
)
def test_an_unreadable_dataset_json_is_refused_naming_it(tmp_path: Path, content: bytes, words: list[str]) -> None:
    folder = bare(tmp_path)
    (folder / "dataset.json").write_bytes(content)
    message = refusal(folder)
    assert not [word for word in [str(folder / "dataset.json"), *words] if word not in message], message


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "must hold a dataset.json" in refusal(tmp_path)
    (tmp_path / "dataset.json").mkdir()
    assert "must hold a dataset.json" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["imagesTr", "labelsTr"])
def test_a_missing_subfolder_is_named(tmp_path: Path, name: str) -> None:
    bare(tmp_path)
    (tmp_path / name).rename(tmp_path / "elsewhere")
    assert f"must hold a folder {name}" in refusal(tmp_path)


def test_an_image_without_label_is_named(tmp_path: Path) -> None:
    bare(tmp_path)
    (tmp_path / "labelsTr" / "b.nii.gz").unlink()
    message = refusal(tmp_path)
    assert "labelsTr: every image needs a label, found none for b (expected b.nii.gz)" in message
    assert "Add it or move the image" in message


def test_labels_without_image_are_named_and_counted(tmp_path: Path) -> None:
    bare(tmp_path)
    empty_files(tmp_path, *(f"labelsTr/z{i}.nii.gz" for i in range(5)))
    message = refusal(tmp_path)
    assert "imagesTr: every label needs an image, found none for z0, z1, z2 and 2 more" in message
    assert "expected z0_0000.nii.gz" in message


def test_a_missing_channel_is_named(tmp_path: Path) -> None:
    folder = bare(tmp_path, {**DECLARED, "channel_names": {"0": "T1", "1": "T2"}})
    empty_files(folder, "imagesTr/a_0001.nii.gz")
    assert "needs 2 channel(s), b has no b_0001.nii.gz" in refusal(folder)


def test_an_undeclared_channel_is_named(tmp_path: Path) -> None:
    folder = bare(tmp_path)
    empty_files(folder, "imagesTr/a_0001.nii.gz")
    message = refusal(folder)
    assert "a has a channel 0001, but dataset.json declares 1" in message
    assert "Correct channel_names or remove the file" in message


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"channels": 3}, id="several channels"),
        pytest.param({"labels": {"background": 0, "organ": 1, "ignore": 2}}, id="ignore label"),
        pytest.param(
            {"labels": {"background": 0, "whole": [1, 2], "tumour": 2}, "regions_class_order": [1, 2]}, id="regions"
        ),
        pytest.param({"ending": ".png", "shape": (16, 16)}, id="grey png"),
        pytest.param({"ending": ".mha"}, id="metaimage"),
        pytest.param({"ending": ".nrrd"}, id="nrrd"),
        pytest.param({"overwrite_image_reader_writer": "NibabelIO"}, id="another reader"),
        pytest.param({"overwrite_image_reader_writer": "None"}, id="reader None as nnU-Net writes it"),
    ],
)
def test_every_usual_kind_of_dataset_passes_the_checks(
    tmp_path: Path, make_dataset: Callable[..., Path], nnunet: None, options: dict[str, Any]
) -> None:
    dataset = read_dataset(make_dataset(tmp_path / "dataset", cases=3, **options))
    facts = list(check_cases(dataset, dataset.cases))
    assert [fact.case for fact in facts] == list(dataset.cases) == ["case_000", "case_001", "case_002"]
    assert all(fact.has_foreground and fact.warnings == () for fact in facts)
    assert len({fact.digest for fact in facts}) == 3
    assert facts[0].voxels == (256 if options.get("ending") == ".png" else 6 * 12 * 12)


def rgb(
    folder: Path, make_dataset: Callable[..., Path], declare: Callable[..., None], channels: dict[str, str]
) -> Path:
    from PIL import Image

    dataset = make_dataset(folder, cases=3, ending=".png", shape=(16, 16))
    for number, path in enumerate(sorted((dataset / "imagesTr").iterdir())):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    declare(dataset, channel_names=channels)
    return dataset


def test_a_colour_png_holds_its_three_channels_in_one_file(
    tmp_path: Path, make_dataset: Callable[..., Path], declare: Callable[..., None], nnunet: None
) -> None:
    dataset = read_dataset(rgb(tmp_path / "d", make_dataset, declare, {"0": "R", "1": "G", "2": "B"}))
    assert len(list(check_cases(dataset, dataset.cases))) == 3


def test_a_file_with_more_channels_than_declared_is_refused(
    tmp_path: Path, make_dataset: Callable[..., Path], declare: Callable[..., None], nnunet: None
) -> None:
    dataset = read_dataset(rgb(tmp_path / "d", make_dataset, declare, {"0": "grey"}))
    with pytest.raises(InputError, match=r"case_000_0000\.png.*channel.*3"):
        list(check_cases(dataset, dataset.cases))


def test_only_labelled_voxels_make_foreground_not_the_ignore_label(
    tmp_path: Path, make_dataset: Callable[..., Path], write_image: Callable[..., None], nnunet: None
) -> None:
    folder = make_dataset(tmp_path / "d", cases=2, labels={"background": 0, "organ": 1, "ignore": 2})
    write_image(folder / "labelsTr" / "case_000.nii.gz", np.full((6, 12, 12), 2, np.uint8))
    dataset = read_dataset(folder)
    assert [fact.has_foreground for fact in check_cases(dataset, dataset.cases)] == [False, True]


@pytest.mark.parametrize(
    ("geometry", "word"), [({"origin": (5.0, 0.0, 0.0)}, "origin"), ({"spacing": (2.0, 1.0, 1.0)}, "spacing")]
)
@pytest.mark.parametrize("reader", ["SimpleITKIO", "NibabelIO"])
def test_a_label_that_lies_elsewhere_is_a_warning_not_an_error(
    tmp_path: Path,
    make_dataset: Callable[..., Path],
    write_image: Callable[..., None],
    nnunet: None,
    geometry: dict[str, Any],
    word: str,
    reader: str,
) -> None:
    folder = make_dataset(tmp_path / "d", cases=2, overwrite_image_reader_writer=reader)
    label = np.zeros((6, 12, 12), np.uint8)
    label[2, 3:6, 3:6] = 1
    write_image(folder / "labelsTr" / "case_000.nii.gz", label, **geometry)
    dataset = read_dataset(folder)
    first, second = check_cases(dataset, dataset.cases)
    assert first.warnings and all("case_000.nii.gz" in warning for warning in first.warnings)
    assert any(word in warning or "affine" in warning for warning in first.warnings)
    assert second.warnings == ()


def test_equal_pixels_have_equal_digests_whatever_the_file(
    tmp_path: Path, make_dataset: Callable[..., Path], write_image: Callable[..., None], nnunet: None
) -> None:
    folder = make_dataset(tmp_path / "d", cases=2)
    pixels = np.random.default_rng(1).normal(size=(6, 12, 12)).astype(np.float32)
    write_image(folder / "imagesTr" / "case_000_0000.nii.gz", pixels)
    write_image(folder / "imagesTr" / "case_001_0000.nii.gz", pixels, spacing=(2.0, 2.0, 2.0))
    dataset = read_dataset(folder)
    first, second = check_cases(dataset, dataset.cases)
    assert first.digest == second.digest


def test_a_test_case_is_never_trained_on_by_id_patient_or_image() -> None:
    patient = {"a": "p1", "b": "p2", "c": "p2", "d": "p3"}
    digest = {"a": "1", "b": "2", "c": "3", "d": "1"}
    refuse_shared(["a"], ["b", "c"], patient, digest)
    with pytest.raises(InputError, match="case 'a' is in the pool and in the test set"):
        refuse_shared(["a"], ["a", "b"], patient, digest)
    with pytest.raises(InputError, match=r"'c' in the pool and case 'b' in the test set are the same patient \(p2\)"):
        refuse_shared(["b"], ["c"], patient, digest)
    with pytest.raises(InputError, match="'d' in the pool and case 'a' in the test set are the same image"):
        refuse_shared(["a"], ["d"], patient, digest)


PLANS: dict[str, Any] = {
    "configurations": {
        "2d": {},
        "3d_lowres": {"next_stage": "3d_cascade_fullres"},
        "3d_fullres": {},
        "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
    }
}


@pytest.mark.parametrize("configuration", ["2d", "3d_lowres", "3d_fullres"])
def test_a_configuration_that_stands_alone_is_accepted(configuration: str) -> None:
    check_configuration(PLANS, configuration)


@pytest.mark.parametrize("plans", [PLANS, {"configurations": {"2d": {}, "3d_fullres": {}}}])
def test_a_cascade_is_refused_naming_what_can_be_used(plans: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"'3d_cascade_fullres' is a cascade.*not supported.*2d.*3d_fullres"):
        check_configuration(plans, "3d_cascade_fullres")


def test_an_unknown_configuration_is_refused_naming_what_there_is() -> None:
    with pytest.raises(InputError, match=r"'3d_full' is not in nnU-Net's plans.*2d, 3d_lowres, 3d_fullres"):
        check_configuration(PLANS, "3d_full")
