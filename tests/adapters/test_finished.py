"""What must hold of a model that nnU-Net trained elsewhere before it counts as the largest pilot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from dicecast.adapters.files import write_json
from dicecast.adapters.nnunet.finished import finished_model
from dicecast.adapters.sections import FinishedSection
from dicecast.forecast.errors import InputError

Unchanged = Callable[[Path], AbstractContextManager[None]]
NAME = "nnUNetTrainer__nnUNetPlans__2d"


@pytest.fixture
def given(tmp_path: Path) -> Callable[..., FinishedSection]:
    """given(splits, trained=(0, 1), name=..., n=...): a trained-model folder of empty files, as it is asked for."""

    def build(
        splits: list[tuple[str, str]] | None = None, trained: tuple[int, ...] = (0, 1), name: str = NAME, **asked: Any
    ) -> FinishedSection:
        splits = splits or [("abc", "d"), ("abd", "c")]
        folder = tmp_path / name
        folder.mkdir()
        for file in ("plans.json", "dataset.json"):
            write_json(folder / file, {})
        for fold in trained:
            (folder / f"fold_{fold}").mkdir()
            (folder / f"fold_{fold}" / "checkpoint_final.pth").touch()
        path = tmp_path / "splits_final.json"
        write_json(path, [{"train": list(train), "val": list(held)} for train, held in splits])
        return FinishedSection(**{"folder": str(folder), "n": 4, "splits": str(path), **asked})

    return build


def test_a_model_has_every_fold_there_is_and_the_cases_of_its_splits(given: Callable[..., FinishedSection]) -> None:
    asked = given(trained=(0, 1, 3))
    model, cases = finished_model(asked, {"x", "y"}, "here")
    assert cases == ["a", "b", "c", "d"]
    assert model.folds == (0, 1, 3)
    assert model.checkpoints == [Path(asked.folder) / f"fold_{fold}" / "checkpoint_final.pth" for fold in (0, 1, 3)]


def test_folds_and_checkpoint_may_be_chosen(given: Callable[..., FinishedSection]) -> None:
    asked = given(folds=[1], checkpoint="checkpoint_best.pth")
    best = Path(asked.folder) / "fold_1" / "checkpoint_best.pth"
    with pytest.raises(InputError, match=r"here: finished\.folder must hold .*fold_1/checkpoint_best\.pth, found none"):
        finished_model(asked, set(), "here")
    best.touch()
    assert finished_model(asked, set(), "here")[0].checkpoints == [best]


@pytest.mark.parametrize("missing", ["plans.json", "dataset.json"])
def test_a_folder_that_is_no_trained_model_is_refused(given: Callable[..., FinishedSection], missing: str) -> None:
    asked = given()
    (Path(asked.folder) / missing).unlink()
    with pytest.raises(InputError, match=f"here: finished.folder must be a trained-model folder.*no {missing}"):
        finished_model(asked, set(), "here")


def test_a_folder_of_another_name_is_refused(given: Callable[..., FinishedSection]) -> None:
    with pytest.raises(InputError, match="must be named Trainer__Plans__Configuration, found my model"):
        finished_model(given(name="my model"), set(), "here")


def test_a_model_without_folds_is_refused(given: Callable[..., FinishedSection]) -> None:
    with pytest.raises(InputError, match=r"finished\.folder must hold folds, found none"):
        finished_model(given(trained=()), set(), "here")


@pytest.mark.parametrize("splits", [[("abc", "d"), ("abd", "c")], [("abd", "c"), ("abc", "d")]])
@pytest.mark.parametrize("test", [{"d"}, {"a", "d", "x"}])
def test_a_model_that_saw_a_test_case_is_refused(
    given: Callable[..., FinishedSection], splits: list[tuple[str, str]], test: set[str]
) -> None:
    leaked = sorted(test & set("abcd"))
    with pytest.raises(InputError, match=f"trained on test case '{leaked[0]}' .{len(leaked)} in all.") as caught:
        finished_model(given(splits), test, "here")
    assert "must never be trained on" in str(caught.value)


@pytest.mark.parametrize("n", [3, 5])
def test_the_number_of_cases_is_that_of_the_splits(given: Callable[..., FinishedSection], n: int) -> None:
    with pytest.raises(InputError, match=rf"finished\.n must be the cases of its splits \(4\), found {n}"):
        finished_model(given(n=n), set(), "here")


def test_missing_splits_are_named(given: Callable[..., FinishedSection], tmp_path: Path) -> None:
    asked = given(splits=None)
    (tmp_path / "splits_final.json").unlink()
    with pytest.raises(InputError, match=r"splits_final\.json: no such file"):
        finished_model(asked, set(), "here")


@pytest.mark.parametrize("splits", [{"train": ["a"]}, [{"train": ["a"]}], [["a", "b"]], [1]])
def test_a_file_that_holds_no_splits_is_refused(
    given: Callable[..., FinishedSection], tmp_path: Path, splits: Any
) -> None:
    asked = given(n=1)
    write_json(tmp_path / "splits_final.json", splits)
    with pytest.raises(InputError, match=r"splits_final\.json"):
        finished_model(asked, set(), "here")


@pytest.mark.parametrize("leaks", [True, False])
def test_a_study_refuses_such_a_model_before_it_does_anything(
    new_study: Callable[..., Path],
    given: Callable[..., FinishedSection],
    cli: Callable[..., Any],
    refused: Callable[..., None],
    unchanged: Unchanged,
    leaks: bool,
) -> None:
    study = new_study("--configuration", "2d", "--test", "case_001,case_003")
    cases = ["case_000", "case_001" if leaks else "case_002"]
    asked = given(n=2)
    write_json(Path(asked.splits), [{"train": cases[:1], "val": cases[1:]}])
    with (study / "study.toml").open("a", encoding="utf-8") as stream:
        n = 2 if leaks else 3
        stream.write(
            f'\n[[arm]]\nname = "given"\nconfiguration = "2d"\n[arm.finished]\nfolder = "{asked.folder}"\nn = {n}\n'
            f'splits = "{asked.splits}"\n'
        )
    with unchanged(study):
        told = cli("run", study, "--device", "cpu")
    words = ("[[arm]] given", "test case 'case_001'") if leaks else ("[[arm]] given", "finished.n", "(2), found 3")
    refused(told, 2, *words)
