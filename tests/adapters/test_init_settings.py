"""`dicecast init --settings`: a study.toml for another dataset, and what is refused before a study is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicecast.adapters.settings import read_settings

ARM = '[[arm]]\nname = "2d"\nconfiguration = "2d"\n'
GIVEN = f'[study]\nname = "given"\ndataset = "none"\nseed = 5\n[test]\ncases = 2\n[pilots]\nsizes = [2, 4]\n{ARM}'
Init = Callable[..., Any]


@pytest.fixture(autouse=True)
def quiet(nnunet: None) -> None:
    """nnU-Net imported, its warnings aside."""


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path / "dataset", cases=6)


@pytest.fixture
def init(tmp_path: Path, dataset: Path, cli: Callable[..., Any]) -> Init:
    """init(text, "--test", 2): tmp_path/study from tmp_path/kept/given.toml with this text."""

    def make(text: str, *options: object) -> Any:
        given = tmp_path / "kept" / "given.toml"
        given.parent.mkdir(exist_ok=True)
        given.write_text(text, encoding="utf-8")
        return cli("init", tmp_path / "study", "--dataset", dataset, "--settings", given, *options)

    return make


@pytest.mark.parametrize(
    "option",
    [
        ("--seed", 0),
        ("--seed", 7),
        ("--no-schedule-check",),
        ("--schedule-check",),
        ("--folds", 1),
        ("--ensemble", "vote"),
        ("--configuration", "3d_fullres"),
        ("--trainer", "nnUNetTrainer"),
        ("--epochs", 5),
        ("--gpu-hours", 3, "--seconds-per-iteration", 0.1),
    ],
)
def test_no_option_is_passed_over_for_the_settings_file(
    init: Init, refused: Callable[..., None], tmp_path: Path, option: tuple[object, ...]
) -> None:
    refused(init(GIVEN, *option), 2, f"{option[0]} does not go with --settings")
    assert not (tmp_path / "study").exists()


def test_hours_are_estimated_for_a_settings_file(init: Init) -> None:
    result = init(GIVEN, "--seconds-per-iteration", 0.1)
    assert result.exit_code == 0 and "0.1 s an iteration" in " ".join(result.output.split())


def test_hours_go_with_proposed_pilots_only(
    tmp_path: Path, dataset: Path, cli: Callable[..., Any], refused: Callable[..., None]
) -> None:
    options = ("--gpu-hours", 9, "--seconds-per-iteration", 0.1)
    result = cli("init", tmp_path / "study", "--dataset", dataset, *options, "--sizes", "2,4")
    refused(result, 2, "--gpu-hours proposes sizes and draws")


def test_the_test_set_may_be_given_in_place_of_the_files(init: Init, tmp_path: Path) -> None:
    result = init(GIVEN.replace("[test]\ncases = 2\n", ""), "--test", 2)
    assert result.exit_code == 0, result.stderr
    assert read_settings(tmp_path / "study" / "study.toml").test.cases == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[test]\ncases = 2\n", ""), ("[test]: key 'cases' is missing",)),
        (("cases = 2", 'cases = ["case_000", "nobody"]'), ("[test]", "'nobody' is not in the dataset")),
        (("cases = 2", "cases = 60"), ("[test]", "1 to 5 of 6 cases")),
        (("seed = 5", "seed = five"), ("must be valid TOML",)),
        (("[pilots]\nsizes = [2, 4]", "[[pilots]]\nsizes = [2, 4]"), ("[pilots]: must be a table",)),
        (("sizes = [2, 4]", "sizes = [1, 4]\nfolds = 5"), ("[pilots]", "at least 2 cases, found 1")),
        (("seed = 5", 'goal = { spleen = "plateau" }'), ("[study]", "'spleen'")),
        ((ARM, f'{ARM}trainer = "NoSuchTrainer"\n'), ("NoSuchTrainer",)),
        ((ARM, f'{ARM}[scores]\nstrata = ["site"]\n'), ("[scores], strata", "'site' must be a column of cases.csv")),
        ((ARM, f'{ARM}[next]\nselect = "stratified"\nby = ["site"]\n'), ("[next], by", "'site' must be a column")),
        ((ARM, f'{ARM}[[test.extra]]\nname = "north"\ndataset = "nowhere"\n'), ("[test]", "nowhere", "no such folder")),
        ((ARM, f'{ARM}[[test.annotator]]\nname = "anna"\nlabels = "no"\n'), ("[test]", "'anna' needs a label")),
    ],
)
def test_a_fault_is_put_down_to_the_settings_file(
    init: Init, refused: Callable[..., None], tmp_path: Path, change: tuple[str, str], told: tuple[str, ...]
) -> None:
    assert change[0] in GIVEN
    refused(init(GIVEN.replace(*change)), 2, "given.toml", *told)
    assert not (tmp_path / "study").exists()


def test_what_lies_beside_the_settings_file_is_found(
    init: Init, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    make_dataset(tmp_path / "kept" / "north", cases=2, seed=9)
    (tmp_path / "kept" / "mine.py").write_text(
        "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n\n\n"
        "class Mine(nnUNetTrainer):\n    pass\n",
        encoding="utf-8",
    )
    more = 'trainer = "mine.py:Mine"\n[[test.extra]]\nname = "north"\ndataset = "north"\n'
    result = init(GIVEN + more)
    assert result.exit_code == 0, result.stderr
    settings = read_settings(tmp_path / "study" / "study.toml")
    kept = (tmp_path / "kept").resolve()
    assert settings.arms[0].trainer == f"{kept / 'mine.py'}:Mine"
    assert [one.dataset for one in settings.test.extra] == [str(kept / "north")]


def test_a_package_beside_the_settings_file_stays_a_package(init: Init, tmp_path: Path) -> None:
    (tmp_path / "kept" / "generators").mkdir(parents=True)
    result = init(GIVEN + 'extra_cases = { ratio = 1, callable = "generators:make" }\n')
    assert result.exit_code == 0, result.stderr
    extra = read_settings(tmp_path / "study" / "study.toml").arms[0].extra_cases
    assert extra is not None and extra.callable == "generators:make"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--epochs", 0), "--epochs and --iterations must be >= 1, found 0"),
        (("--seconds-per-iteration", 0), "--seconds-per-iteration must be > 0, found 0"),
        (("--configuration", ","), "--configuration must name at least one"),
    ],
)
def test_hours_of_nothing_are_refused(
    tmp_path: Path, dataset: Path, cli: Init, refused: Callable[..., None], options: tuple[object, ...], told: str
) -> None:
    hours = ("--gpu-hours", 9, *(() if "--seconds-per-iteration" in options else ("--seconds-per-iteration", 0.1)))
    refused(cli("init", tmp_path / "study", "--dataset", dataset, *hours, *options), 2, told)


def test_distances_of_images_without_a_size_make_no_curve(
    tmp_path: Path, make_dataset: Callable[..., Path], cli: Callable[..., Any], refused: Callable[..., None]
) -> None:
    make_dataset(tmp_path / "flat", cases=6, ending=".png", shape=(16, 16))
    given = tmp_path / "given.toml"
    given.write_text(GIVEN + '[scores]\ncurve_metrics = ["nsd", "dice"]\n', encoding="utf-8")
    result = cli("init", tmp_path / "study", "--dataset", tmp_path / "flat", "--settings", given)
    refused(result, 2, "given.toml", "[scores], curve_metrics: nsd needs images of known pixel size")


def test_volumes_of_images_without_a_size_make_no_strata(
    tmp_path: Path, make_dataset: Callable[..., Path], cli: Callable[..., Any], refused: Callable[..., None]
) -> None:
    make_dataset(tmp_path / "flat", cases=6, ending=".png", shape=(16, 16))
    given = tmp_path / "given.toml"
    given.write_text(GIVEN + '[scores]\nstrata = ["diameter@10"]\n', encoding="utf-8")
    result = cli("init", tmp_path / "study", "--dataset", tmp_path / "flat", "--settings", given)
    refused(result, 2, "given.toml", "[scores], strata: diameter needs volumes of known voxel size")
