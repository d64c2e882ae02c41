"""Wrong input meets one message and exit code 2, and nothing is written or changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dicecast.adapters.study import locked, open_study, read_rounds
from dicecast.forecast.errors import InputError

MakeDataset = Callable[..., Path]
Cli = Callable[..., Any]
Refused = Callable[..., None]
Unchanged = Callable[[Path], AbstractContextManager[None]]
NewStudy = Callable[..., Path]
CASE = "case_001"
IMAGE = f"imagesTr/{CASE}_0000.nii.gz"
LABEL = f"labelsTr/{CASE}.nii.gz"
EXTRA = 'extra_cases = { ratio = 1, folder = "no" }'
MORE = f'[[arm]]\nname = "more"\nconfiguration = "2d"\n{EXTRA}\n\n[scores]'

ROUND = (
    '{"round": 0, "replay": false, "forecast": {"level": 0.9, "curves": []}, "recommendation": {}, '
    '"recommendations": [{"curve": "a", "promise": null}]}'
)

pytestmark = pytest.mark.usefixtures("nnunet")


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: MakeDataset) -> Path:
    return make_dataset(tmp_path / "dataset")


@pytest.fixture
def init_refused(tmp_path: Path, cli: Cli, refused: Refused, unchanged: Unchanged) -> Callable[..., None]:
    """init_refused(words, *options): `init` on tmp_path/dataset exits with 2 and leaves everything as it was."""

    def check(words: list[str], *options: object, code: int = 2, study: str = "study") -> None:
        with unchanged(tmp_path):
            result = cli("init", tmp_path / study, "--dataset", tmp_path / "dataset", *options)
        refused(result, code, *words)
        assert result.stdout == ""

    return check


def pixels(shape: tuple[int, ...] = (6, 12, 12)) -> np.ndarray:
    return np.random.default_rng(99).normal(size=shape).astype(np.float32)


def mask(value: int = 1, shape: tuple[int, ...] = (6, 12, 12)) -> np.ndarray:
    label = np.zeros(shape, np.uint8)
    label[1:3, 2:5, 2:5] = value
    return label


# ---- the dataset ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, ["must hold a dataset.json", "found none"], id="missing"),
        pytest.param(b"", ["dataset.json", "valid JSON"], id="empty"),
        pytest.param(b"{", ["dataset.json", "valid JSON"], id="not JSON"),
        pytest.param(b"\xff\xfe\x00", ["dataset.json", "UTF-8"], id="binary"),
        pytest.param(b'{"labels": {"background": 0}}', ["dataset.json", "'channel_names' is required"], id="keys"),
    ],
)
def test_a_faulty_dataset_json(
    dataset: Path, init_refused: Callable[..., None], content: bytes | None, words: list[str]
) -> None:
    (dataset / "dataset.json").unlink()
    if content is not None:
        (dataset / "dataset.json").write_bytes(content)
    init_refused(words)


def test_a_dataset_that_is_not_there(init_refused: Callable[..., None]) -> None:
    init_refused(["dataset", "no such folder", "Check the path"])


def test_an_image_without_label(dataset: Path, init_refused: Callable[..., None]) -> None:
    (dataset / LABEL).unlink()
    init_refused([CASE, "every image needs a label", f"{CASE}.nii.gz", "Add it"])


def test_a_label_without_image(dataset: Path, init_refused: Callable[..., None]) -> None:
    (dataset / IMAGE).unlink()
    init_refused([CASE, "every label needs an image", f"{CASE}_0000.nii.gz", "Add it"])


IMAGES: list[tuple[str, Any, list[str]]] = [
    ("constant", lambda a: np.full_like(a, 3), ["must vary", "channel 0", "3 everywhere", "remove"]),
    ("another shape", lambda a: a[:5], ["same shape", "(5, 12, 12)", "(6, 12, 12)", "Resample"]),
]


@pytest.mark.parametrize(("change", "words"), [pytest.param(c, w, id=name) for name, c, w in IMAGES])
def test_an_image_nothing_can_be_learnt_from(
    dataset: Path, init_refused: Callable[..., None], write_image: Callable[..., None], change: Any, words: list[str]
) -> None:
    write_image(dataset / IMAGE, change(pixels()).astype(np.float32))
    init_refused([CASE, *words])


LABELS: list[tuple[str, Any, list[str]]] = [
    ("undeclared value", mask(7), ["declared in dataset.json [0, 1]", "found 7", "declare the value"]),
    ("negative value", -mask(1).astype(np.int16), ["declared in dataset.json", "found -1"]),
    ("fractions", mask(1).astype(np.float32) / 2, ["declared in dataset.json", "fractions"]),
    ("another shape", mask(1, (6, 12, 13)), ["same shape", "(6, 12, 13)", "Resample"]),
]


@pytest.mark.parametrize(("label", "words"), [pytest.param(a, w, id=name) for name, a, w in LABELS])
def test_a_label_that_cannot_be_meant(
    dataset: Path,
    init_refused: Callable[..., None],
    write_image: Callable[..., None],
    label: np.ndarray,
    words: list[str],
) -> None:
    write_image(dataset / LABEL, label)
    init_refused([f"{CASE}.nii.gz", *words])


def test_channels_of_different_shape(
    tmp_path: Path, make_dataset: MakeDataset, init_refused: Callable[..., None], write_image: Callable[..., None]
) -> None:
    dataset = make_dataset(tmp_path / "dataset", channels=2)
    write_image(dataset / f"imagesTr/{CASE}_0001.nii.gz", pixels((6, 12, 11)))
    init_refused([CASE, "shape"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("folder", ["imagesTr", "labelsTr"])
@pytest.mark.parametrize("ending", [".nii.gz", ".mha"])
def test_a_voxel_that_is_no_number(
    tmp_path: Path,
    make_dataset: MakeDataset,
    init_refused: Callable[..., None],
    write_image: Callable[..., None],
    ending: str,
    folder: str,
    bad: float,
) -> None:
    # ITK's NIfTI reader turns such voxels into 0 without a word, so nnU-Net's reader alone cannot tell
    dataset = make_dataset(tmp_path / "dataset", ending=ending)
    name = f"{CASE}_0000{ending}" if folder == "imagesTr" else f"{CASE}{ending}"
    values = pixels() if folder == "imagesTr" else mask().astype(np.float32)
    values[2, 3, 4] = bad
    write_image(dataset / folder / name, values)
    init_refused([name, "must be a number", "NaN or infinity"])


@pytest.mark.parametrize("name", [IMAGE, LABEL])
@pytest.mark.parametrize("share", [0, 0.3, 0.8], ids=["empty", "cut early", "cut late"])
def test_a_truncated_file(dataset: Path, init_refused: Callable[..., None], name: str, share: float) -> None:
    # ITK's NIfTI reader fills what is missing with 0 without a word
    content = (dataset / name).read_bytes()
    (dataset / name).write_bytes(content[: int(share * len(content))])
    init_refused([Path(name).name, "cannot be read as an image", "Restore the file"])


def test_a_file_that_is_no_image(dataset: Path, init_refused: Callable[..., None]) -> None:
    (dataset / IMAGE).write_text("<html>404</html>", encoding="utf-8")
    init_refused([f"{CASE}_0000.nii.gz", "cannot be read as an image", "Restore the file"])


def test_no_case_with_a_structure(
    dataset: Path, init_refused: Callable[..., None], write_image: Callable[..., None]
) -> None:
    for path in (dataset / "labelsTr").iterdir():
        write_image(path, np.zeros((6, 12, 12), np.uint8))
    init_refused(["no training case contains a labelled structure", "Check the labels"])


def test_a_test_set_without_a_structure(
    dataset: Path, init_refused: Callable[..., None], write_image: Callable[..., None]
) -> None:
    write_image(dataset / LABEL, np.zeros((6, 12, 12), np.uint8))
    init_refused(["no test case contains a labelled structure", "Choose other"], "--test", CASE)


def test_a_label_that_lies_elsewhere_only_warns(
    dataset: Path, tmp_path: Path, cli: Cli, write_image: Callable[..., None]
) -> None:
    write_image(dataset / LABEL, mask(), origin=(9.0, 0.0, 0.0))
    result = cli("init", tmp_path / "study", "--dataset", dataset)
    assert result.exit_code == 0, result.stderr
    assert "warning" in result.stdout and f"{CASE}.nii.gz: origin differs" in " ".join(result.stdout.split())


# ---- the test set -----------------------------------------------------------------------------------------------


TESTS: list[tuple[str, str, list[str]]] = [
    ("none", "0", ["1 to 5 of 6", "found 0"]),
    ("all", "6", ["1 to 5 of 6", "found 6"]),
    ("more than there are", "60", ["1 to 5 of 6", "found 60"]),
    ("negative", "-1", ["1 to 5 of 6", "found -1"]),
    ("all but one", "5", ["at least 2 cases must be left", "found 1", "Hold out fewer"]),
    ("fraction above 1", "1.5", ["fraction", "between 0 and 1", "1.5"]),
    ("fraction of nothing", "0.0", ["fraction", "between 0 and 1"]),
    ("fraction of everything", "1.0", ["fraction", "between 0 and 1"]),
    ("fraction that rounds to none", "0.01", ["1 to 5 of 6", "found 0"]),
    ("negative fraction", "-0.2", ["fraction", "between 0 and 1"]),
    ("infinite fraction", "inf", ["fraction", "between 0 and 1"]),
    ("undefined fraction", "nan", ["fraction", "between 0 and 1"]),
    ("unknown case", "case_000,case_777", ["'case_777' is not in the dataset", "Check the list"]),
    ("the same case twice", "case_000,case_000", ["listed twice", "Check the list"]),
    ("no case at all", ",", ["test set", "at least 1"]),
    ("missing list", "@nowhere.txt", ["nowhere.txt", "no such file"]),
]


@pytest.mark.usefixtures("dataset")
@pytest.mark.parametrize(("test", "words"), [pytest.param(t, w, id=name) for name, t, w in TESTS])
def test_a_test_set_that_cannot_be(init_refused: Callable[..., None], test: str, words: list[str]) -> None:
    init_refused(words, f"--test={test}")


def test_the_test_set_may_be_listed_in_a_file(new_study: NewStudy, tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("case_004\n\n  case_001 \n", encoding="utf-8")
    assert open_study(new_study("--test", f"@{tmp_path / 'test.txt'}")).test == ["case_001", "case_004"]


@pytest.mark.usefixtures("dataset")
def test_a_patient_on_both_sides(tmp_path: Path, init_refused: Callable[..., None]) -> None:
    rows = [f"case_{i:03d},p{i // 2}" for i in range(6)]
    (tmp_path / "cases.csv").write_text("case,patient\n" + "\n".join(rows) + "\n", encoding="utf-8")
    words = ["'case_001' in the pool and case 'case_000' in the test set", "same patient (p0)", "never be trained on"]
    init_refused(words, "--test", "case_000", "--cases", tmp_path / "cases.csv")


def test_patients_stay_whole_when_the_test_set_is_drawn(new_study: NewStudy, tmp_path: Path) -> None:
    rows = [f"case_{i:03d},p{i // 2},Basel" for i in range(6)]
    (tmp_path / "cases.csv").write_text("case,patient,site\n" + "\n".join(rows) + "\n", encoding="utf-8")
    study = open_study(new_study("--test", 1, "--cases", tmp_path / "cases.csv"))
    assert len(study.test) == 2
    assert len({study.patient[case] for case in study.test}) == 1
    assert set(study.cases["site"]) == {"Basel"}


def test_the_same_image_on_both_sides(dataset: Path, init_refused: Callable[..., None]) -> None:
    shutil.copy(dataset / "imagesTr/case_000_0000.nii.gz", dataset / "imagesTr/case_005_0000.nii.gz")
    words = ["'case_005' in the pool and case 'case_000' in the test set", "same image", "Remove the copy"]
    init_refused(words, "--test", "case_000")


TABLES: list[tuple[str, str, list[str]]] = [
    ("no patient", "case\n", ["'patient' is required", "found case"]),
    ("no case", "patient\n", ["'case' is required", "found patient"]),
    ("a case is missing", "case,patient\ncase_000,p\n", ["every case of the dataset needs a line", "'case_001'"]),
    ("a reserved column", "case,patient,role\n", ["'role' is dicecast's own", "rename"]),
    ("empty", "", ["is empty"]),
    ("the same case twice", "", ["line 8", "'case_000' is listed twice"]),
    ("a column twice", "case,patient,patient\n", ["cases.csv", "patient", "twice"]),
]


@pytest.mark.usefixtures("dataset")
@pytest.mark.parametrize(("name", "text", "words"), [pytest.param(*row, id=row[0]) for row in TABLES])
def test_a_faulty_cases_table(
    tmp_path: Path, init_refused: Callable[..., None], name: str, text: str, words: list[str]
) -> None:
    if name == "the same case twice":
        text = "case,patient\n" + "".join(f"case_{i:03d},p{i}\n" for i in (*range(6), 0))
    if name == "a column twice":
        text += "".join(f"case_{i:03d},p{i},q\n" for i in range(6))
    (tmp_path / "cases.csv").write_text(text, encoding="utf-8")
    init_refused(["cases.csv", *words], "--cases", tmp_path / "cases.csv")


def test_too_few_cases(tmp_path: Path, make_dataset: MakeDataset, init_refused: Callable[..., None]) -> None:
    make_dataset(tmp_path / "dataset", cases=2)
    init_refused(["at least 2 cases must be left for training", "found 1"], "--test", 1)


def test_a_single_case(tmp_path: Path, make_dataset: MakeDataset, init_refused: Callable[..., None]) -> None:
    make_dataset(tmp_path / "dataset", cases=1)
    init_refused(["test set", "1 cases"], "--test", 1)


# ---- options of init --------------------------------------------------------------------------------------------


OPTIONS: list[tuple[list[str], list[str]]] = [
    (["--sizes", "2,5"], ["sizes must not exceed the pool of 4", "found 5", "Lower it"]),
    (["--sizes", "2,x"], ["--sizes", "whole numbers >= 1", "'2,x'"]),
    (["--sizes", "0,2"], ["--sizes", "whole numbers >= 1", "'0,2'"]),
    (["--sizes", "2,2"], ["sizes", "must differ"]),
    (["--draws", "0"], ["--draws", "whole numbers >= 1", "'0'"]),
    (["--draws", "many"], ["--draws", "whole numbers >= 1", "'many'"]),
    (["--configuration", ","], ["--configuration", "at least one"]),
    (["--configuration", "2d,2d"], ["[[arm]]", "own name", "2d, 2d"]),
    (["--configuration", "2d/x"], ["[[arm]]", "name", "folder name"]),
    (["--configuration", "3d_cascade_fullres"], ["cascade", "not supported"]),
    (["--seed", "-1"], ["seed", ">= 0", "-1"]),
    (["--epochs", "0"], ["epochs", ">= 1"]),
    (["--iterations", "-5"], ["iterations", ">= 1"]),
    (["--batch", "1"], ["batch", ">= 2"]),
    (["--features", "0"], ["features", ">= 1"]),
    (["--optimiser", "Adam"], ["optimiser", "SGD, AdamW", "Adam"]),
    (["--learning-rate", "0"], ["learning_rate", "> 0"]),
    (["--learning-rate", "nan"], ["learning_rate", "> 0"]),
]


@pytest.mark.usefixtures("dataset")
@pytest.mark.parametrize(("options", "words"), [pytest.param(o, w, id=" ".join(o)) for o, w in OPTIONS])
def test_an_option_out_of_range(init_refused: Callable[..., None], options: list[str], words: list[str]) -> None:
    init_refused(words, "--test", "2", *options)


# ---- where the study goes ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("dataset")
def test_a_study_folder_that_is_taken(tmp_path: Path, init_refused: Callable[..., None]) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "notes.txt").write_text("mine", encoding="utf-8")
    init_refused(["study", "new or empty folder", "Choose another name"])


@pytest.mark.usefixtures("dataset")
def test_a_study_folder_that_is_a_file(tmp_path: Path, init_refused: Callable[..., None]) -> None:
    (tmp_path / "study").write_text("mine", encoding="utf-8")
    init_refused(["study", "new or empty folder", "Choose another name"])


def test_an_empty_folder_will_do(new_study: NewStudy, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    assert sorted(path.name for path in new_study().iterdir()) == ["cases.csv", "study.toml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "study"]


@pytest.mark.usefixtures("dataset")
def test_a_study_folder_below_a_file(tmp_path: Path, init_refused: Callable[..., None]) -> None:
    (tmp_path / "file.txt").write_text("mine", encoding="utf-8")
    init_refused(["file.txt/study", "cannot be made", "permissions"], study="file.txt/study")


@pytest.mark.usefixtures("dataset")
@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_target_folder(tmp_path: Path, init_refused: Callable[..., None]) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    init_refused(["locked/study", "cannot be made", "Permission denied"], study="locked/study")


def test_a_full_disk_leaves_no_half_study(
    tmp_path: Path, dataset: Path, process: Callable[..., Any], refused: Refused, unchanged: Unchanged
) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    with unchanged(tmp_path):
        result = process("init", tmp_path / "study", "--dataset", dataset, "--test", 2, before=full)
    refused(result, 2, "study", "cannot be", "File too large", "free space")


# ---- the study --------------------------------------------------------------------------------------------------


def replaced(study: Path, old: str, new: str) -> None:
    path = study / "study.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


SETTINGS: list[tuple[str, str, str, list[str]]] = [
    ("newer format", "format = 2", "format = 3", ["newer dicecast", "format 3", "Update dicecast"]),
    ("broken TOML", "[study]", "[study", ["valid TOML", "line"]),
    ("unknown key", "seed = 0", "sead = 0", ["[study]", "unknown key 'sead'", "seed"]),
    ("wrong type", "seed = 0", 'seed = "0"', ["[study]", "seed", "whole number", "'0'"]),
    ("missing key", 'name = "study"', "", ["[study]", "'name'", "missing"]),
    ("unknown optimiser", "epochs = 1000", 'optimiser = "Adam"', ["[pilots]", "optimiser", "SGD, AdamW"]),
    ("two arms of one name", "[scores]", '[[arm]]\nname = "3d_fullres"\nconfiguration = "2d"\n[scores]', ["own name"]),
    ("sizes above the pool", "sizes = [2, 3, 4]", "sizes = [2, 40]", ["[pilots]", "pool of 4", "found 40", "Lower it"]),
]


@pytest.mark.parametrize(("name", "old", "new", "words"), [pytest.param(*row, id=row[0]) for row in SETTINGS])
@pytest.mark.parametrize("command", ["run", "status"])
def test_faulty_settings(
    new_study: NewStudy,
    cli: Cli,
    refused: Refused,
    unchanged: Unchanged,
    tmp_path: Path,
    command: str,
    name: str,
    old: str,
    new: str,
    words: list[str],
) -> None:
    study = new_study()
    replaced(study, old, new)
    with unchanged(tmp_path):
        result = cli(command, study)
    refused(result, 2, study / "study.toml", *words)


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["run", "--replay"], ["status"]])
def test_a_folder_that_is_no_study(
    tmp_path: Path, cli: Cli, refused: Refused, unchanged: Unchanged, command: list[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for name, words in (("folder", ["no study.toml"]), ("nowhere", ["no such folder"]), ("file", ["study folder"])):
        with unchanged(tmp_path):
            result = cli(*command, tmp_path / name)
        refused(result, 2, tmp_path / name, "must be a study folder", "dicecast init", *words)


CASES: list[tuple[str, Callable[[list[str]], list[str]], list[str]]] = [
    ("empty", lambda lines: [], ["is empty"]),
    ("no column role", lambda lines: [lines[0].replace("role", "rule"), *lines[1:]], ["'role' is required"]),
    (
        "unknown role",
        lambda lines: [lines[0], lines[1].replace("pool", "pond").replace("test", "pond")],
        ["line 2", "'role'", "pond"],
    ),
    ("an id that leads elsewhere", lambda lines: [*lines[:-1], f"../{lines[-1]}"], ["line 7", "'case'", "slashes"]),
    ("a case twice", lambda lines: [*lines, lines[1]], ["line 8", "listed twice", "Remove one line"]),
    ("no pool case", lambda lines: [lines[0], *(line for line in lines if ",test," in line)], ["pool"]),
    ("no test case", lambda lines: [lines[0], *(line for line in lines if ",pool," in line)], ["test"]),
    ("a pool case without round", lambda lines: [line.replace(",pool,0", ",pool,") for line in lines], ["'round'"]),
    ("no number of a round", lambda lines: [line.replace(",pool,0", ",pool,²") for line in lines], ["'round'", "²"]),
    (
        "a round far ahead",
        lambda lines: [line.replace(",pool,0", ",pool,99999999") for line in lines],
        ["counted 0, 1, 2", "99999999"],
    ),
    ("no number of voxels", lambda lines: [lines[0], *(f"{line}x" for line in lines[1:])], ["'voxels'", "whole"]),
]


@pytest.mark.parametrize(("change", "words"), [pytest.param(c, w, id=name) for name, c, w in CASES])
@pytest.mark.parametrize("command", [["run", "--dry-run"], ["status"]])
def test_a_faulty_cases_csv(
    new_study: NewStudy,
    cli: Cli,
    refused: Refused,
    unchanged: Unchanged,
    change: Callable[[list[str]], list[str]],
    words: list[str],
    command: list[str],
) -> None:
    study = new_study()
    lines = (study / "cases.csv").read_text(encoding="utf-8").splitlines()
    (study / "cases.csv").write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
    with unchanged(study):
        result = cli(*command, study)
    refused(result, 2, "cases.csv", *words)


def test_a_missing_cases_csv(new_study: NewStudy, cli: Cli, refused: Refused) -> None:
    study = new_study()
    (study / "cases.csv").unlink()
    refused(cli("status", study), 2, "cases.csv", "no such file")


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"]])
def test_a_dataset_that_moved(
    new_study: NewStudy, tmp_path: Path, cli: Cli, refused: Refused, unchanged: Unchanged, command: list[str]
) -> None:
    study = new_study()
    (tmp_path / "dataset").rename(tmp_path / "elsewhere")
    with unchanged(tmp_path):
        result = cli(*command, study)
    refused(result, 2, tmp_path / "dataset", "no such folder")


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"]])
def test_a_case_that_went_missing(
    new_study: NewStudy, tmp_path: Path, cli: Cli, refused: Refused, unchanged: Unchanged, command: list[str]
) -> None:
    study = new_study()
    for name in (IMAGE, LABEL):
        (tmp_path / "dataset" / name).unlink()
    with unchanged(tmp_path):
        result = cli(*command, study)
    refused(result, 2, f"'{CASE}'", "no longer in the dataset", "Put it back")


def test_a_newly_annotated_copy_of_a_test_image(
    new_study: NewStudy, tmp_path: Path, cli: Cli, refused: Refused, unchanged: Unchanged
) -> None:
    study, dataset = new_study("--test", CASE), tmp_path / "dataset"
    for folder, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        shutil.copy(dataset / folder / f"{CASE}{ending}", dataset / folder / f"new{ending}")
    with unchanged(tmp_path):
        result = cli("run", study)
    refused(result, 2, "'new' in the pool", f"'{CASE}' in the test set", "same image")


def test_a_newly_annotated_case_that_is_damaged(
    new_study: NewStudy, tmp_path: Path, cli: Cli, refused: Refused, unchanged: Unchanged
) -> None:
    study, dataset = new_study(), tmp_path / "dataset"
    (dataset / "imagesTr/new_0000.nii.gz").write_bytes(b"x")
    shutil.copy(dataset / LABEL, dataset / "labelsTr/new.nii.gz")
    with unchanged(tmp_path):
        result = cli("run", study)
    refused(result, 2, "new_0000.nii.gz", "cannot be read as an image")


def test_a_structure_the_dataset_does_not_have(new_study: NewStudy, cli: Cli, refused: Refused) -> None:
    study = new_study()
    replaced(study, "structures = []", 'structures = ["kidny"]')
    refused(cli("run", study, "--dry-run"), 2, "[scores]", "'kidny' is not declared", "organ")


def test_a_replay_that_has_nothing_to_reveal(
    new_study: NewStudy, cli: Cli, refused: Refused, unchanged: Unchanged
) -> None:
    study = new_study("--sizes", "2,4")
    with unchanged(study):
        result = cli("run", study, "--replay")
    refused(result, 2, "[pilots]", "replay", "4 of 4 pool cases", "Lower sizes")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--jobs", "0"], ["--jobs must be >= 1", "0"]),
        (["--device", "tpu"], ["--device", "cuda", "'tpu'"]),
        (["--until-all"], ["--until-all", "--replay"]),
    ],
)
def test_an_option_of_run_out_of_range(
    new_study: NewStudy, cli: Cli, refused: Refused, unchanged: Unchanged, options: list[str], words: list[str]
) -> None:
    study = new_study()
    with unchanged(study):
        result = cli("run", study, *options)
    refused(result, 2, *words)


@pytest.mark.parametrize("command", ["forecast", "recommend"])
def test_a_study_without_runs_cannot_be_forecast(
    new_study: NewStudy, cli: Cli, refused: Refused, unchanged: Unchanged, command: str
) -> None:
    study = new_study()
    with unchanged(study):
        result = cli(command, study)
    refused(result, 2, study, "no pilot run is complete", "dicecast run")


def test_a_study_another_process_works_in(
    new_study: NewStudy, cli: Cli, refused: Refused, unchanged: Unchanged
) -> None:
    study = new_study()
    hold = (
        "import sys; from pathlib import Path; from dicecast.adapters.study import locked, open_study\n"
        "with locked(open_study(Path(sys.argv[1]))): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(study)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with unchanged(study):
            result = cli("run", study)
        refused(result, 2, study, "another `dicecast run`", "Wait for it")
        assert cli("status", study).exit_code == 0
        holder.communicate()
    with locked(open_study(study)):
        pass


# ---- what is not installed --------------------------------------------------------------------------------------


BARE = """
import importlib.machinery, sys

class Bare(importlib.machinery.PathFinder):
    absent = {"nnunetv2", "torch", "SimpleITK", "nibabel", "skimage"}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in cls.absent else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, context=importlib.machinery.PathFinder):
        return iter(()) if getattr(context, "name", None) in cls.absent else super().find_distributions(context)

sys.meta_path = [Bare if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
"""
"""As where only dicecast without extras was run: none of these can be found or imported."""


@pytest.mark.parametrize("command", ["init", "run", "example"])
def test_without_nnunet_training_is_refused_naming_the_extra(
    new_study: NewStudy,
    tmp_path: Path,
    process: Callable[..., Any],
    refused: Refused,
    unchanged: Unchanged,
    command: str,
) -> None:
    study, dataset = new_study(), tmp_path / "dataset"
    arguments = {
        "init": ("init", tmp_path / "another", "--dataset", dataset),
        "run": ("run", study),
        "example": ("example", "phantom", tmp_path / "another"),
    }
    with unchanged(tmp_path):
        result = process(*arguments[command], before=BARE)
    refused(result, 2, "-c constraints.txt", "[nnunet]")


def test_without_nnunet_a_csv_is_still_forecast(tmp_path: Path, process: Callable[..., Any]) -> None:
    (tmp_path / "scores.csv").write_text("n_cases,score\n4,0.4\n8,0.6\n16,0.7\n", encoding="utf-8")
    result = process("forecast", tmp_path / "scores.csv", "--json", "-", before=BARE)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["curves"][0]["sizes"] == [4, 8, 16]


def test_without_nnunet_status_and_doctor_still_work(
    new_study: NewStudy, process: Callable[..., Any], tmp_path: Path
) -> None:
    study = new_study()
    assert process("status", study, before=BARE).returncode == 0
    result = process("doctor", before=BARE)
    assert result.returncode == 0, result.stderr
    assert "[nnunet]" in result.stdout


# ---- status -----------------------------------------------------------------------------------------------------


def test_status_shows_names_as_they_are(new_study: NewStudy, tmp_path: Path, cli: Cli) -> None:
    study = new_study("--configuration", "2d")
    text = (study / "study.toml").read_text(encoding="utf-8").replace('name = "2d"', 'name = "2d [T1] [bold]"')
    (study / "study.toml").write_text(text, encoding="utf-8")
    moved = study.rename(tmp_path / "my [red] study")
    result = cli("status", moved)
    assert result.exit_code == 0, result.stderr
    assert "my [red] study" in result.output and "2d [T1] [bold]" in result.output


def test_status_tells_what_counts_no_more_and_what_will_be_scored_anew(
    new_study: NewStudy, keep_run: Callable[..., Path], cli: Cli
) -> None:
    study = new_study("--configuration", "2d", "--sizes", "2,4", "--draws", 1)
    rows = {"n_cases": 3, "arm": "2d", "draw": 0, "case": "a", "structure": "organ", "metric": "dice", "score": 0.5}
    keep_run(study, pd.DataFrame([rows]), n=3)
    keep_run(study, pd.DataFrame([{**rows, "arm": "gone"}]), arm="gone", n=3)
    result = cli("status", study)
    assert "no longer asked for" in result.output and "runs of arm gone count nowhere" in result.output
    assert "scored anew" not in result.output
    path = study / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('metrics = ["dice"', 'metrics = ["f1", "dice"'), "utf-8")
    assert "1 runs will be scored anew" in cli("status", study).output


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("cases = 2", "cases = 1", "cases must say what `init` drew, 2 cases"),
        ("cases = 2", 'cases = ["case_000"]', "found 1 named cases"),
        (
            "[scores]",
            MORE,
            "[[arm]] more, extra_cases",
        ),
        ("[scores]", '[[test.extra]]\nname = "north"\ndataset = "no"\n\n[scores]', "no such folder"),
    ],
)
def test_a_dry_run_refuses_what_a_run_would(
    new_study: NewStudy, cli: Cli, refused: Refused, unchanged: Unchanged, old: str, new: str, told: str
) -> None:
    study = new_study("--configuration", "2d")
    path = study / "study.toml"
    text = path.read_text(encoding="utf-8")
    assert f"\n{old}" in text
    path.write_text(text.replace(f"\n{old}", f"\n{new}", 1), encoding="utf-8")
    with unchanged(study):
        refused(cli("run", study, "--dry-run"), 2, told)


# ---- import -----------------------------------------------------------------------------------------------------


def test_an_import_overwrites_nothing_unless_told_to(
    tmp_path: Path, cli: Cli, refused: Refused, unchanged: Unchanged
) -> None:
    results = Path(__file__).parent / "data" / "nnunet" / "results" / "Dataset011_Kidney"
    kept = tmp_path / "scores.csv"
    kept.write_text("mine", encoding="utf-8")
    with unchanged(tmp_path):
        refused(cli("import", results, "-o", kept), 2, "must be a new file", "--force")
        refused(cli("import", results, "-o", tmp_path / "none" / "scores.csv"), 2, "must be a folder to write")
    assert cli("import", results, "-o", kept, "--force").exit_code == 0
    assert kept.read_text(encoding="utf-8").startswith("n_cases")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("0.json", "[]", "must be the document of a round"),
        ("0.json", '{"round": 0}', "replay is missing"),
        ("0.json", f"{ROUND[:-2]}, 3]}}", "recommendations[1] must be a table, found 3"),
        ("0.json", ROUND.replace("0.9", "null"), "forecast.level must be a number, found None"),
        ("0.json", ROUND.replace('"curves": []', '"curves": [{}]'), "forecast.curves[0].arm is missing"),
        ("0.json", "[" * 5000, "must be JSON of a usual kind"),
        ("0.json", ROUND.replace("0.9", "9" * 5000), "must be JSON of a usual kind"),
        ("0.json", ROUND.replace("0.9", '"\\ud800"'), "must be JSON of a usual kind"),
        ("3.json", ROUND, "must be the document of round 3, found 0"),
    ],
)
def test_a_broken_round_is_named(new_study: NewStudy, name: str, content: str, told: str) -> None:
    study = open_study(new_study())
    (study.folder / "rounds").mkdir()
    (study.folder / "rounds" / "notes.json").write_text("mine", encoding="utf-8")
    assert read_rounds(study) == []
    (study.folder / "rounds" / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_rounds(study)
    assert told in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seconds": 3}, "seconds must be a table"),
        ({"seconds": {"training": "long"}}, "seconds.training must be a number"),
        ({"protocol": "2d"}, "protocol must be a table"),
        ({"cases": "abc"}, "cases must be a list"),
        ({"memory_gb": {"host": {}}}, "memory_gb.host must be a number"),
        ({"status": "failed", "error": 3}, "error must be text"),
    ],
)
def test_a_record_of_a_run_that_holds_something_else_is_named(
    new_study: NewStudy, keep_run: Callable[..., Path], cli: Cli, refused: Refused, changes: dict[str, Any], told: str
) -> None:
    study = new_study("--configuration", "2d")
    rows = {"n_cases": 4, "arm": "2d", "draw": 0, "case": "a", "structure": "organ", "metric": "dice", "score": 0.5}
    path = keep_run(study, pd.DataFrame([rows])) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    refused(cli("status", study), 2, "run.json", told, "Restore it")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dataset": {"a": {"images": 3, "label": "x"}}}, "dataset.a.images must be a list"),
        ({"dataset": {"a": {"images": [[]], "label": "x"}}}, "dataset.a.images[0] must be text"),
        ({"dataset": {"a": {"images": ["a" * 300], "label": "x"}}}, "which does not exist"),
        ({"dataset": {"a": {"images": ["\0"], "label": "x"}}}, "which does not exist"),
        ({"overwrite_image_reader_writer": {}}, "overwrite_image_reader_writer must be a name"),
    ],
)
def test_a_dataset_json_that_holds_something_else_is_named(
    dataset: Path, init_refused: Callable[..., None], changes: dict[str, Any], told: str
) -> None:
    path = dataset / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    init_refused(["dataset.json", told])


def test_a_label_that_cannot_be_read_is_named_by_a_dry_run(
    new_study: NewStudy, tmp_path: Path, cli: Cli, refused: Refused
) -> None:
    study = new_study("--test", CASE)
    (tmp_path / "dataset" / LABEL).write_bytes(b"x")
    refused(cli("run", study, "--dry-run"), 2, LABEL, "cannot be read as an image")


# ---- doctor -----------------------------------------------------------------------------------------------------


def test_doctor_names_what_is_wrong_with_a_dataset(
    dataset: Path, tmp_path: Path, cli: Cli, unchanged: Unchanged
) -> None:
    (dataset / IMAGE).write_bytes(b"")
    with unchanged(tmp_path):
        result = cli("doctor", "--dataset", dataset, "--json", "-")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["dataset"]["usable"] is False
    assert f"{CASE}_0000.nii.gz" in document["problems"][0]


def test_doctor_prints_only_json_whatever_the_image_reader_prints(
    tmp_path: Path, make_dataset: MakeDataset, write_image: Callable[..., None], process: Callable[..., Any]
) -> None:
    dataset = make_dataset(tmp_path / "dataset", cases=2, channels=2)
    write_image(dataset / f"imagesTr/{CASE}_0001.nii.gz", pixels(), origin=(4.0, 0.0, 0.0))
    result = process("doctor", "--dataset", dataset, "--json", "-")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["dataset"]["usable"] is True


def test_a_study_that_was_copied_without_its_plans_can_be_looked_at(
    new_study: NewStudy, keep_run: Callable[..., Path], cli: Cli
) -> None:
    study = new_study("--configuration", "2d")
    rows = {"n_cases": 4, "arm": "2d", "draw": 0, "case": "a", "structure": "organ", "metric": "dice", "score": 0.5}
    keep_run(study, pd.DataFrame([rows]))
    assert not (study / "nnunet").exists()
    result = cli("run", study, "--dry-run")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("recommend {} --per-case 1e308", "cost per_case must be at most 1e+15"),
        ("recommend {} --per-case 1e-300", "cost per_case must be 0 or at least 1e-09"),
        ("recommend {} --per-case 2 --per-point 1e300", "value of a score point must be at most 1e+15"),
        ("recommend {} --left 10000000000", "at most 1000000000"),
        ("recommend {} --look-ahead 1000000", "--look-ahead must be at most 6"),
        ("forecast {} --at 10000000000", "at most 1000000000"),
        ("forecast {} --annotated 10000000000", "at most 1000000000"),
        ("compare {} --per-case 1e-300", "cost of a case must lie in [1e-09, 1e+15]"),
        ("simulate {} --reach 10000000000", "at most 1000000000"),
        ("simulate {} --campaigns 10000000", "--campaigns must be at most 100000"),
        ("simulate {} --draws 10000000", "draws must be at most 500"),
        ("simulate {} --per-case 1e300", "costs and budget at most 1e+15"),
    ],
)
def test_numbers_that_nothing_can_be_computed_with_are_refused(
    tmp_path: Path, cli: Cli, refused: Refused, words: str, told: str
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("n_cases,arm,score\n4,a,0.4\n8,a,0.6\n16,a,0.7\n4,b,0.5\n8,b,0.6\n16,b,0.7\n", encoding="utf-8")
    if words.startswith("simulate"):
        path.write_text("n_cases,score\n4,0.4\n8,0.6\n16,0.7\n", encoding="utf-8")
    refused(cli(*words.format(path).split()), 2, told)
