"""Finding a trainer by name or path: nnU-Net's own, those of external folders, and a class of a file."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dicecast.adapters.nnunet.trainers import EXTERNAL, find_trainer, trainer_class
from dicecast.forecast.errors import InputError

IMPORTS = "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n\n\n"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, nnunet: None) -> Iterator[None]:
    """No external folder, and nnU-Net's own warnings aside."""
    monkeypatch.delenv(EXTERNAL, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def trainer(path: Path, name: str, mark: str = "mine") -> Path:
    """A file that defines a trainer with a mark of its own."""
    return write(path, f'{IMPORTS}class {name}(nnUNetTrainer):\n    mark = "{mark}"\n')


def base() -> Any:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    return nnUNetTrainer


# nnU-Net's own


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("nnUNetTrainer", "nnUNetTrainer.py"),
        ("nnUNetTrainerNoDA", "nnUNetTrainerNoDA.py"),
        ("nnUNetTrainer_5epochs", "nnUNetTrainer_Xepochs.py"),
        ("nnUNetTrainerDiceCELoss_noSmooth", "nnUNetTrainerDiceLoss.py"),
        ("nnUNet_Primus_S_Trainer", "primus_trainers.py"),
    ],
)
def test_a_trainer_of_nnunet_is_found_by_name(name: str, file: str) -> None:
    path, found = find_trainer(name)
    assert (path.name, found) == (file, name)


def test_the_class_is_the_one_that_nnunet_itself_imports() -> None:
    from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoDA import nnUNetTrainerNoDA

    assert trainer_class("nnUNetTrainer") is base()
    assert trainer_class("nnUNetTrainerNoDA") is nnUNetTrainerNoDA


def test_finding_imports_nothing_and_importing_only_what_the_trainer_needs() -> None:
    code = """
        import sys
        from dicecast.adapters.nnunet.trainers import find_trainer, trainer_class

        find_trainer("nnUNet_Primus_S_Trainer")
        assert not {"torch", "nnunetv2"} & set(sys.modules)
        assert trainer_class("nnUNetTrainerNoDA").__name__ == "nnUNetTrainerNoDA"
        others = [name for name in sys.modules if "primus" in name and name.startswith("nnunetv2.")]
        assert not others, others
        assert "nnunetv2.training.nnUNetTrainer.variants.optimizer.nnUNetTrainerAdan" not in sys.modules
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


# external folders


def test_a_trainer_of_an_external_folder_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trainer(tmp_path / "a" / "below" / "losses.py", "TrainerWithLoss", "first")
    trainer(tmp_path / "b" / "widths.py", "WideTrainer", "second")
    monkeypatch.setenv(EXTERNAL, os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "b")]))
    assert find_trainer("TrainerWithLoss") == (first, "TrainerWithLoss")
    for name, mark in (("TrainerWithLoss", "first"), ("WideTrainer", "second")):
        found = trainer_class(name)
        assert issubclass(found, base()) and found.mark == mark
    assert trainer_class("nnUNetTrainer") is base()


def test_without_its_folder_an_external_trainer_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer(tmp_path / "a" / "hidden.py", "HiddenTrainer")
    with pytest.raises(InputError, match="'HiddenTrainer': must be a class of nnU-Net"):
        find_trainer("HiddenTrainer")
    monkeypatch.setenv(EXTERNAL, str(tmp_path / "a"))
    find_trainer("HiddenTrainer")


def test_nnunets_own_comes_before_an_external_one_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer(tmp_path / "nnUNetTrainerNoDA.py", "nnUNetTrainerNoDA")
    monkeypatch.setenv(EXTERNAL, str(tmp_path))
    assert not hasattr(trainer_class("nnUNetTrainerNoDA"), "mark")


def test_an_external_trainer_may_import_what_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as it may where nnU-Net itself looks for it
    write(tmp_path / "dicecast_test_marks.py", 'MARK = "beside"\n')
    text = f"from dicecast_test_marks import MARK\n{IMPORTS}class MarkedTrainer(nnUNetTrainer):\n    mark = MARK\n"
    write(tmp_path / "marked.py", text)
    monkeypatch.setenv(EXTERNAL, str(tmp_path))
    assert trainer_class("MarkedTrainer").mark == "beside"


# a class of a file


def test_a_class_of_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trainer(tmp_path / "my trainers.py", "FileTrainer")
    assert find_trainer(f"{path}:FileTrainer") == (path.resolve(), "FileTrainer")
    assert trainer_class(f"{path}:FileTrainer").mark == "mine"
    monkeypatch.chdir(tmp_path)
    assert find_trainer("my trainers.py:FileTrainer") == (path.resolve(), "FileTrainer")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_trainer("~/my trainers.py:FileTrainer") == (path.resolve(), "FileTrainer")


def test_a_file_hides_no_module_of_its_name(tmp_path: Path) -> None:
    path = trainer(tmp_path / "json.py", "JsonTrainer")
    assert trainer_class(f"{path}:JsonTrainer").mark == "mine"
    import json

    assert json.loads("1") == 1


def test_a_file_is_imported_once(tmp_path: Path) -> None:
    path = trainer(tmp_path / "once.py", "OnceTrainer")
    assert trainer_class(f"{path}:OnceTrainer") is trainer_class(f"{path}:OnceTrainer")


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    paths = [trainer(tmp_path / mark / "same.py", "SameTrainer", mark) for mark in ("first", "second")]
    assert [trainer_class(f"{path}:SameTrainer").mark for path in paths] == ["first", "second"]


def test_a_trainer_of_nnunet_may_be_named_by_its_file() -> None:
    path, _ = find_trainer("nnUNetTrainerNoDA")
    found = trainer_class(f"{path}:nnUNetTrainerNoDA")
    assert issubclass(found, base()) and found.__name__ == "nnUNetTrainerNoDA"


# what is refused


@pytest.mark.parametrize("name", ["nnUNetTrainer_7epochs", "nnUNetTraine", "Trainer", "nnUNetTrainer.py"])
def test_a_name_that_no_file_defines_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"or file\.py:Class, found no such class") as caught:
        find_trainer(name)
    assert repr(name) in str(caught.value) and EXTERNAL in str(caught.value)


def test_a_file_that_is_not_there_or_does_not_define_the_class_is_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path / "other.py",
        f"""
        {IMPORTS}
        from somewhere import ImportedTrainer

        class OtherTrainer(nnUNetTrainer):
            class InnerTrainer:
                pass

        # class CommentedTrainer
        """,
    )
    assert find_trainer(f"{path}:OtherTrainer")[1] == "OtherTrainer"
    for name in ("ImportedTrainer", "InnerTrainer", "CommentedTrainer", "Other"):
        with pytest.raises(InputError, match=f"must be a file that defines class {name}, found none"):
            find_trainer(f"{path}:{name}")
    with pytest.raises(InputError, match="must be a file that defines class OtherTrainer"):
        find_trainer(f"{tmp_path / 'nothing.py'}:OtherTrainer")
    with pytest.raises(InputError, match="must be a file that defines class OtherTrainer"):
        find_trainer(f"{tmp_path}:OtherTrainer")


@pytest.mark.parametrize("name", ["", "{file}:"])
def test_no_name_at_all_is_refused(tmp_path: Path, name: str) -> None:
    path = trainer(tmp_path / "unnamed.py", "UnnamedTrainer")
    with pytest.raises(InputError, match="trainer"):
        find_trainer(name.format(file=path))


def test_a_class_that_is_no_trainer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "wrong.py", "class WrongTrainer:\n    pass\n")
    assert find_trainer(f"{path}:WrongTrainer")[1] == "WrongTrainer"
    with pytest.raises(InputError, match="must be a subclass of nnUNetTrainer, found <class"):
        trainer_class(f"{path}:WrongTrainer")
    monkeypatch.setenv(EXTERNAL, str(tmp_path))
    with pytest.raises(InputError, match="'WrongTrainer': must be a subclass of nnUNetTrainer"):
        trainer_class("WrongTrainer")


def test_a_file_that_fails_is_told_the_same_way_each_time(tmp_path: Path) -> None:
    path = write(tmp_path / "failing.py", "import no_such_module\n\n\nclass FailingTrainer:\n    pass\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            trainer_class(f"{path}:FailingTrainer")


# pilots of a trainer


def test_a_pilot_is_the_trainer_with_what_pilots_change(tmp_path: Path) -> None:
    from dicecast.adapters.nnunet.trainer import _Pilot, pilot_trainer

    path = trainer(tmp_path / "piloted.py", "PilotedTrainer")
    for name in (f"{path}:PilotedTrainer", "nnUNetTrainerNoDA"):
        found = pilot_trainer(name)
        assert issubclass(found, trainer_class(name)) and issubclass(found, _Pilot)
        assert found.__mro__.index(_Pilot) < found.__mro__.index(trainer_class(name))
