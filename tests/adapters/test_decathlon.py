"""Decathlon tasks converted by nnU-Net itself: what arrives, and what is refused before anything is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicecast.adapters.nnunet.dataset import read_dataset
from dicecast.adapters.nnunet.decathlon import convert_decathlon
from dicecast.forecast.errors import InputError, StorageError

WriteImage = Callable[..., None]
Unchanged = Callable[[Path], Any]
SPACING = (0.5, 1.5, 3.0)


def make_task(folder: Path, write_image: WriteImage, *, channels: int = 1, cases: int = 2) -> Path:
    """A task folder as the Decathlon packs it, macOS's second files included."""
    pytest.importorskip("SimpleITK")
    import SimpleITK

    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True)
        (folder / name / f"._{folder.name}_000.nii.gz").write_bytes(b"\0\5\x16\7 not an image")
    for number in range(cases):
        name = f"{folder.name}_{number:03d}.nii.gz"
        label = np.zeros((4, 6, 8), np.uint8)
        label[1, 2:4, 2:5] = 1 + number % 2
        write_image(folder / "labelsTr" / name, label, spacing=SPACING)
        if channels == 1:
            write_image(folder / "imagesTr" / name, voxels(number, 0), spacing=SPACING)
            continue
        parts = [SimpleITK.GetImageFromArray(voxels(number, channel)) for channel in range(channels)]
        for part in parts:
            part.SetSpacing(SPACING)
        SimpleITK.WriteImage(SimpleITK.JoinSeries(parts), str(folder / "imagesTr" / name))
    declared = {
        "name": "ORGAN",
        "licence": "CC-BY-SA 4.0",
        "modality": {str(channel): f"sequence {channel}" for channel in range(channels)},
        "labels": {"0": "background", "1": "front", "2": "back"},
        "numTraining": cases,
        "training": [],
        "test": [],
    }
    (folder / "dataset.json").write_text(json.dumps(declared), encoding="utf-8")
    return folder


def voxels(case: int, channel: int) -> Any:
    return np.random.default_rng((case, channel)).normal(size=(4, 6, 8)).astype(np.float32)


def test_a_task_of_several_channels_becomes_a_dataset_with_the_same_voxels(
    tmp_path: Path,
    write_image: WriteImage,
    unchanged: Unchanged,
    nnunet: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import SimpleITK

    mine = {name: tmp_path / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    for name, folder in mine.items():
        (folder / "Dataset001_Mine").mkdir(parents=True)  # the id that the converter would like to take
        monkeypatch.setenv(name, str(folder))
    task = make_task(tmp_path / "my own name", write_image, channels=2)
    target = tmp_path / "new" / "organ"
    with unchanged(task), unchanged(mine["nnUNet_raw"]):
        assert convert_decathlon(task, target) == target
    assert os.listdir(target.parent) == ["organ"]
    assert {name: os.environ[name] for name in mine} == {name: str(folder) for name, folder in mine.items()}
    assert capfd.readouterr() == ("", "")
    dataset = read_dataset(target)
    assert dict(dataset.structures) == {"front": 1, "back": 2}
    assert dataset.declared["channel_names"] == {"0": "sequence 0", "1": "sequence 1"}
    assert dataset.declared["licence"] == "CC-BY-SA 4.0"
    assert list(dataset.cases) == ["my own name_000", "my own name_001"]
    for number, files in enumerate(dataset.cases.values()):
        for channel, path in enumerate(files.images):
            image = SimpleITK.ReadImage(str(path))
            assert image.GetSpacing() == SPACING
            np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), voxels(number, channel))
        assert SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(files.label))).max() == 1 + number % 2


def test_test_images_and_the_lists_of_files_may_be_missing_and_the_target_may_be_empty(
    tmp_path: Path, write_image: WriteImage, declare: Callable[..., None], nnunet: None
) -> None:
    task = make_task(tmp_path / "Task07_Organ", write_image)
    (task / "imagesTs" / "._Task07_Organ_000.nii.gz").unlink()
    (task / "imagesTs").rmdir()
    declare(task, test=None, training=None)
    (tmp_path / "organ").mkdir()
    dataset = read_dataset(convert_decathlon(task, tmp_path / "organ"))
    assert list(dataset.cases) == ["Task07_Organ_000", "Task07_Organ_001"]
    assert sorted(os.listdir(tmp_path)) == ["Task07_Organ", "organ"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


IMAGE = "imagesTr/task_000.nii.gz"
LABEL = "labelsTr/task_001.nii.gz"
FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no dataset.json": (lambda task: (task / "dataset.json").unlink(), ["dataset.json of a Decathlon task", "none"]),
    "no json": (lambda task: (task / "dataset.json").write_text("{"), ["dataset.json", "valid JSON"]),
    "a list": (lambda task: (task / "dataset.json").write_text("[]"), ["'modality' must map numbers to names"]),
    "no images": (lambda task: (task / "imagesTr").rename(task / "images"), ["imagesTr", "must hold the .nii.gz"]),
    "image without label": (lambda task: (task / LABEL).unlink(), ["found no labelsTr/task_001.nii.gz", "1 missing"]),
    "label without image": (lambda task: (task / IMAGE).unlink(), ["found no imagesTr/task_000.nii.gz"]),
    "truncated image": (lambda task: truncate(task / IMAGE), [IMAGE, "whole .nii.gz file", "Restore"]),
    "no gzip at all": (lambda task: (task / LABEL).write_bytes(b"x" * 99), [LABEL, "whole .nii.gz file"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_is_no_task_is_refused_and_nothing_written(
    tmp_path: Path, write_image: WriteImage, unchanged: Unchanged, fault: str
) -> None:
    spoil, words = FAULTS[fault]
    task = make_task(tmp_path / "task", write_image)
    spoil(task)
    with unchanged(tmp_path), pytest.raises(InputError) as caught:
        convert_decathlon(task, tmp_path / "organ")
    assert not [word for word in words if word not in str(caught.value)], caught.value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": None}, "'modality' must map numbers to names, .* found none"),
        ({"labels": {"background": 0, "front": 1}}, "'labels' must map numbers to names, .* found 'background'"),
        ({"labels": {"0": "background", "1": "front", "2": "front"}}, "its own name, found 'front' twice"),
        ({"channel_names": {"0": "CT"}}, "is an nnU-Net v2 dataset already"),
    ],
)
def test_a_dataset_json_of_another_kind_is_refused(
    tmp_path: Path,
    write_image: WriteImage,
    declare: Callable[..., None],
    unchanged: Unchanged,
    changes: dict[str, Any],
    message: str,
) -> None:
    task = make_task(tmp_path / "task", write_image)
    declare(task, **changes)
    with unchanged(tmp_path), pytest.raises(InputError, match=message):
        convert_decathlon(task, tmp_path / "organ")


def test_a_target_that_cannot_be_made_is_refused(tmp_path: Path, write_image: WriteImage, unchanged: Unchanged) -> None:
    task = make_task(tmp_path / "task", write_image)
    (tmp_path / "organ").mkdir()
    (tmp_path / "organ" / "mine.txt").write_text("precious")
    with unchanged(tmp_path):
        with pytest.raises(InputError, match=r"organ: must be a new or empty folder, found something there"):
            convert_decathlon(task, tmp_path / "organ")
        with pytest.raises(InputError, match=r"mine\.txt is a file"):
            convert_decathlon(task, tmp_path / "organ" / "mine.txt" / "new")
        with pytest.raises(InputError, match=r"nowhere: must be the folder of a Decathlon task"):
            convert_decathlon(tmp_path / "nowhere", tmp_path / "new")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place_is_named(tmp_path: Path, write_image: WriteImage) -> None:
    task = make_task(tmp_path / "task", write_image)
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="locked: cannot be written"):
        convert_decathlon(task, tmp_path / "locked" / "organ")


def test_an_image_that_nnunet_cannot_convert_is_named_and_nothing_left(
    tmp_path: Path, write_image: WriteImage, unchanged: Unchanged, nnunet: None
) -> None:
    import gzip

    task = make_task(tmp_path / "task", write_image)
    (task / IMAGE).write_bytes(gzip.compress(b"whole, but no NIfTI"))
    with unchanged(tmp_path), pytest.raises(InputError) as caught:
        convert_decathlon(task, tmp_path / "organ")
    assert str(task / IMAGE) in str(caught.value), caught.value
