"""Extra cases of an arm: from a folder, a command, a callable or the lesion generator; how a set grows."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicecast.adapters.examples.phantom import write_phantom
from dicecast.adapters.extra_cases import ExtraCases, ExtraSource, at_hand, extra_count, provide, recorded_digests
from dicecast.adapters.loop import Watchers, _adopt_new_cases
from dicecast.adapters.nnunet.dataset import NnunetDataset, read_dataset
from dicecast.adapters.sections import ExtraCasesSection, OutOfRangeError
from dicecast.adapters.specs import Materials, extra_source, materials_of
from dicecast.adapters.study import open_study
from dicecast.adapters.testsets import ExtraTestSet
from dicecast.forecast.errors import InputError, WorkError

Unchanged = Callable[[Path], AbstractContextManager[None]]
SEED = 3
WRITER = """
import json, sys
from pathlib import Path

import numpy as np
import SimpleITK


def write(folder, count, start, seed, name="made"):
    folder = Path(folder)
    for place in ("imagesTr", "labelsTr"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        rng = np.random.default_rng([seed, number])
        label = np.zeros((6, 12, 12), np.uint8)
        label[1:4, 2:7, 3:8] = 1
        image = rng.normal(100 + 50 * label, 10).astype(np.float32)
        for place, array in ((f"imagesTr/{name}{number}_0000", image), (f"labelsTr/{name}{number}", label)):
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(folder / f"{place}.nii.gz"))
    declared = {"channel_names": {"0": "channel0"}, "labels": {"background": 0, "organ": 1}}
    found = len(list((folder / "labelsTr").iterdir()))
    (folder / "dataset.json").write_text(json.dumps({**declared, "numTraining": found, "file_ending": ".nii.gz"}))
    with open(folder / "calls.txt", "a") as stream:
        print(count, start, seed, file=stream)


def nothing(folder, count, start, seed):
    write(folder, max(0, count - 1), start, seed)


def fails(**keys):
    raise KeyError("no scanner")


if __name__ == "__main__":
    folder, count, start, seed = sys.argv[1], *map(int, sys.argv[2:5])
    write(folder, count, start, seed)
    sys.exit(int(sys.argv[5]) if len(sys.argv) > 5 else 0)
"""
"""Writes cases as a user's generator would: noise around a block, by seed and number."""


@pytest.fixture(autouse=True)
def quiet(nnunet: None) -> None:
    """nnU-Net imported, its warnings aside."""


@pytest.fixture
def like(tmp_path: Path, make_dataset: Callable[..., Path]) -> NnunetDataset:
    """The study's dataset."""
    return read_dataset(make_dataset(tmp_path / "dataset", cases=3))


@pytest.fixture
def more(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """A folder of five other cases."""
    return make_dataset(tmp_path / "more", cases=5, seed=1)


@pytest.fixture
def writer(tmp_path: Path) -> Path:
    path = tmp_path / "a folder" / "dicecast_test_writer.py"
    path.parent.mkdir()
    path.write_text(WRITER, encoding="utf-8")
    return path


def from_folder(folder: Path, ratio: float = 1.0) -> ExtraCasesSection:
    return ExtraCasesSection(ratio=ratio, folder=str(folder))


def by_command(writer: Path, words: str = "{folder} {count} {start} {seed}", ratio: float = 1.0) -> ExtraCasesSection:
    return ExtraCasesSection(ratio=ratio, command=f"'{sys.executable}' '{writer}' {words}")


def source(study: Path, section: ExtraCasesSection, seed: int = SEED) -> ExtraSource:
    return ExtraSource(section, section, study, seed)


def give(study: Path, section: ExtraCasesSection, like: NnunetDataset, count: int, seed: int = SEED) -> None:
    provide(source(study, section, seed), like, count, {})


def provided(study: Path, section: ExtraCasesSection, like: NnunetDataset, count: int, seed: int = SEED) -> ExtraCases:
    give(study, section, like, count, seed)
    return at_hand(source(study, section, seed))[0]


def calls(study: Path, section: ExtraCasesSection, seed: int = SEED) -> list[list[int]]:
    """Count, start and seed of every time cases were written."""
    paths = source(study, section, seed).raw.glob("calls*.txt")
    return sorted([int(word) for word in line.split()] for path in paths for line in path.read_text().splitlines())


# how many


@pytest.mark.parametrize(
    ("ratio", "n", "expected"), [(1, 7, 7), (0.5, 4, 2), (3, 5, 15), (0.1, 4, 0), (0.1, 6, 1), (1.5, 3, 4)]
)
def test_the_ratio_is_of_the_annotated_cases(ratio: float, n: int, expected: int) -> None:
    assert extra_count(ExtraCasesSection(ratio=ratio, folder="x"), n) == expected


def test_arms_with_one_source_share_it_whatever_their_ratio() -> None:
    sections = [ExtraCasesSection(ratio=ratio, folder="x") for ratio in (1, 2)]
    assert len({source(Path("s"), section, 0).key for section in sections}) == 1
    others = [ExtraCasesSection(ratio=1, folder="y"), ExtraCasesSection(ratio=1, command="x")]
    assert len({source(Path("s"), section, 0).key for section in (*sections, *others)}) == 3
    assert source(Path("s"), sections[0], 0).key != source(Path("s"), sections[0], 1).key


# which are taken, in which order

blocks_of = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(
    lambda sizes: tuple(tuple(f"c{block}-{i}" for i in range(size)) for block, size in enumerate(sizes))
)


@given(blocks=blocks_of, draw=st.integers(0, 5), seed=st.integers(0, 99), data=st.data())
def test_subsets_nest_and_a_set_that_grows_keeps_the_order_of_what_was_there(
    blocks: tuple[tuple[str, ...], ...], draw: int, seed: int, data: st.DataObject
) -> None:
    grown = ExtraCases("k", {}, blocks)
    total = sum(map(len, blocks))
    whole = grown.first(total, draw, seed)
    assert sorted(whole) == sorted(case for block in blocks for case in block)
    count = data.draw(st.integers(0, total))
    assert grown.first(count, draw, seed) == whole[:count]
    before = ExtraCases("k", {}, blocks[: data.draw(st.integers(1, len(blocks)))])
    there = sum(map(len, before.blocks))
    assert before.first(there, draw, seed) == whole[:there]


def test_draws_and_seeds_order_cases_differently() -> None:
    extra = ExtraCases("k", {}, (tuple(f"c{i}" for i in range(12)),))
    orders = {extra.first(12, draw, seed) for draw in range(4) for seed in range(3)}
    assert len(orders) == 12


# a folder


def test_cases_of_a_folder_are_at_hand_under_names_no_annotated_case_has(
    tmp_path: Path, like: NnunetDataset, more: Path
) -> None:
    section = from_folder(more)
    extra = provided(tmp_path / "study", section, like, 3)
    key = source(Path("s"), section, SEED).key
    assert len(extra.files) == 3 and set(extra.blocks[0]) == set(extra.files)  # no more than are needed
    assert not set(extra.files) & set(like.cases)
    known = read_dataset(more).cases
    assert all(name.startswith(f"extra-{key}-") for name in extra.files)
    assert all(files == known[name.rpartition("-")[2]] for name, files in extra.files.items())
    _, digests = at_hand(source(tmp_path / "study", section))
    assert len(set(digests.values())) == 3 and set(digests) == set(extra.files)
    record = json.loads((source(tmp_path / "study", section).place / "source.json").read_text())
    assert (record["folder"], record["seed"]) == (str(more), SEED)


def test_the_users_folder_is_only_read(tmp_path: Path, like: NnunetDataset, more: Path, unchanged: Unchanged) -> None:
    with unchanged(more):
        provided(tmp_path / "study", from_folder(more), like, 5)


def test_what_is_enough_is_not_looked_into_again(
    tmp_path: Path, like: NnunetDataset, more: Path, unchanged: Unchanged
) -> None:
    study = tmp_path / "study"
    provided(study, from_folder(more), like, 5)
    (more / "imagesTr" / "case_004_0000.nii.gz").write_bytes(b"not an image any more")
    with unchanged(study):
        give(study, from_folder(more), like, 5)


def test_cases_added_to_a_folder_come_after_those_there_were(
    tmp_path: Path, like: NnunetDataset, more: Path, make_dataset: Callable[..., Path]
) -> None:
    study, section = tmp_path / "study", from_folder(more)
    first = provided(study, section, like, 5)
    for place in ("imagesTr", "labelsTr"):
        for path in (make_dataset(tmp_path / place, cases=2, seed=2) / place).iterdir():
            shutil.copy(path, more / place / f"a{path.name}")  # sorts before those that were there
    assert provided(study, section, like, 5) == first  # enough without them
    grown = provided(study, section, like, 7)
    assert grown.blocks[0] == first.blocks[0]
    assert len(grown.blocks) == 2 and len(grown.blocks[1]) == 2
    for draw in range(3):
        assert grown.first(5, draw, SEED) == first.first(5, draw, SEED)
    assert set(grown.first(7, 0, SEED)) == set(grown.files)


def test_too_few_cases_are_refused_naming_need_and_find(tmp_path: Path, like: NnunetDataset, more: Path) -> None:
    with pytest.raises(InputError, match="in a ratio of 2 need 6 cases, found 5") as caught:
        give(tmp_path / "study", from_folder(more, ratio=2), like, 6)
    assert str(more) in str(caught.value)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("labels", {"background": 0, "other": 1}),
        ("labels", {"background": 0, "organ": 1, "cyst": 2}),
        ("channel_names", {"0": "CT"}),
    ],
)
def test_another_kind_of_data_is_refused(
    tmp_path: Path, like: NnunetDataset, more: Path, declare: Callable[..., None], key: str, value: Any
) -> None:
    declare(more, **{key: value})
    with pytest.raises(InputError, match=f"{key} of extra cases must be that of dataset") as caught:
        give(tmp_path / "study", from_folder(more), like, 3)
    assert str(value) in str(caught.value) and str(more / "dataset.json") in str(caught.value)


def test_another_file_ending_is_refused(tmp_path: Path, like: NnunetDataset, make_dataset: Callable[..., Path]) -> None:
    other = make_dataset(tmp_path / "other", cases=2, ending=".nrrd")
    with pytest.raises(InputError, match=r"file_ending of extra cases must be that of dataset \.nii\.gz, found \.nrrd"):
        give(tmp_path / "study", from_folder(other), like, 2)


def test_an_unusable_extra_case_is_refused_and_none_is_recorded(
    tmp_path: Path, like: NnunetDataset, more: Path, write_image: Callable[..., None]
) -> None:
    import numpy as np

    write_image(more / "labelsTr" / "case_002.nii.gz", np.full((6, 12, 12), 7, np.uint8))
    with pytest.raises(InputError, match=r"case_002\.nii\.gz: label values must be those declared"):
        give(tmp_path / "study", from_folder(more), like, 3)
    assert not (tmp_path / "study").exists()


def test_an_extra_case_that_is_gone_is_missed(tmp_path: Path, like: NnunetDataset, more: Path) -> None:
    study = tmp_path / "study"
    provided(study, from_folder(more), like, 5)
    for path in (more / "imagesTr" / "case_003_0000.nii.gz", more / "labelsTr" / "case_003.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match="extra case 'case_003' is no longer there"):
        at_hand(source(study, from_folder(more)))


# a command


def test_a_command_writes_as_many_as_are_needed(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    study, section = tmp_path / "my study", by_command(writer)
    extra = provided(study, section, like, 4)
    assert calls(study, section) == [[4, 0, SEED]]
    assert {name.rpartition("-")[2] for name in extra.files} == {f"made{i}" for i in range(4)}
    place = source(study, section).place
    assert all(path.is_relative_to(place.resolve()) for files in extra.files.values() for path in files.images)


def test_a_command_writes_only_what_is_missing_when_a_pool_has_grown(
    tmp_path: Path, like: NnunetDataset, writer: Path
) -> None:
    study, section = tmp_path / "study", by_command(writer)
    first = provided(study, section, like, 4)
    files = {path: path.read_bytes() for case in first.files.values() for path in (*case.images, case.label)}
    give(study, section, like, 3)
    give(study, section, like, 4)
    assert calls(study, section) == [[4, 0, SEED]]
    grown = provided(study, section, like, 7)
    assert calls(study, section) == [[3, 4, SEED], [4, 0, SEED]]
    assert {path: path.read_bytes() for path in files} == files
    assert grown.blocks[0] == first.blocks[0] and len(grown.files) == 7
    for draw in range(3):
        assert grown.first(4, draw, SEED) == first.first(4, draw, SEED)
        assert len(set(grown.first(7, draw, SEED))) == 7


def test_a_record_lost_to_a_crash_is_made_again(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    study, section = tmp_path / "study", by_command(writer)
    first = provided(study, section, like, 3)
    (source(study, section).place / "cases.csv").unlink()
    assert provided(study, section, like, 3) == first


def test_what_an_interrupted_run_left_is_no_extra_case(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    study, section = tmp_path / "study", by_command(writer)
    provided(study, section, like, 3)
    record = source(study, section).place / "cases.csv"
    early = record.read_text(encoding="utf-8")
    provided(study, section, like, 6)
    record.write_text(early, encoding="utf-8")  # stopped between moving the cases and putting them on record
    grown = provided(study, section, like, 4)
    assert {name.rpartition("-")[2] for name in grown.files} == {f"made{i}" for i in range(4)}
    assert sorted(path.name for path in (source(study, section).raw / "labelsTr").iterdir()) == [
        f"made{i}.nii.gz" for i in range(4)
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("(folder / 'dataset.json').unlink()", "must hold a dataset.json"),
        ("(folder / 'dataset.json').write_text('{}')", "key 'channel_names' is required"),
        ("next((folder / 'labelsTr').iterdir()).unlink()", "every image needs a label"),
        ("import shutil; shutil.rmtree(folder / 'imagesTr')", "must hold a folder imagesTr"),
        ("(folder / 'imagesTr' / f'{name}{start}_0000.nii.gz').write_bytes(b'no image')", "cannot be read"),
    ],
)
def test_what_a_generator_writes_is_checked_before_it_counts(
    tmp_path: Path, like: NnunetDataset, writer: Path, change: str, told: str
) -> None:
    study = tmp_path / "study"
    text = writer.read_text(encoding="utf-8").replace("\n\ndef nothing(", f"\n    {change}\n\n\ndef nothing(")
    writer.write_text(text, encoding="utf-8")
    with pytest.raises(WorkError, match="the generator of extra cases must write imagesTr") as caught:
        give(study, by_command(writer), like, 2)
    assert told in str(caught.value) and "log.txt" in str(caught.value)
    place = source(study, by_command(writer)).place
    assert not (place / "cases.csv").exists() and not (place / "raw").exists()


def test_names_given_twice_are_refused(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    study, section = tmp_path / "study", by_command(writer, "{folder} {count} 0 {seed}")
    first = provided(study, section, like, 2)
    with pytest.raises(WorkError, match=r"'made0' twice\. Use \{start\}"):
        give(study, section, like, 4)
    assert at_hand(source(study, section))[0] == first


def test_cases_of_a_corrected_generator_are_not_those_of_the_old_one(
    tmp_path: Path, like: NnunetDataset, writer: Path
) -> None:
    study, section = tmp_path / "study", by_command(writer)
    first = provided(study, section, like, 2)
    prepared = study / "nnunet" / "preprocessed" / "Dataset001_Study" / "nnUNetPlans_2d"
    prepared.mkdir(parents=True)
    for name in first.files:
        (prepared / f"{name}.pkl").touch()
    for old, new in (("label[1:4, 2:7, 3:8] = 1", "label[1:4, 2:7, 3:9] = 1"), ("normal(100", "normal(130")):
        shutil.rmtree(source(study, section).place)
        writer.write_text(writer.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        assert not set(provided(study, section, like, 2).files) & set(first.files)
    # put on record anew, even the same images are preprocessed anew: their labels may be others
    shutil.rmtree(source(study, section).place)
    writer.write_text(WRITER, encoding="utf-8")
    assert provided(study, section, like, 2) == first
    assert not list(prepared.iterdir())


def test_a_failing_command_is_told_with_its_exit_code(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    study, section = tmp_path / "study", by_command(writer, "{folder} {count} {start} {seed} 7")
    with pytest.raises(WorkError, match=r"extra_cases\.command ended with exit code 7") as caught:
        give(study, section, like, 2)
    assert writer.name in str(caught.value)
    assert not (source(study, section).place / "cases.csv").exists()


def test_a_command_that_writes_too_few_has_failed(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    with pytest.raises(WorkError, match="must hold 3 cases, found 2"):
        give(tmp_path / "study", by_command(writer, "{folder} 2 {start} {seed}"), like, 3)


@pytest.mark.parametrize("words", ["{cases}", "{}", "{0}", "{count:03d}", "{count", "'open", "{folder.x}"])
def test_a_command_of_unknown_placeholders_is_refused(
    tmp_path: Path, like: NnunetDataset, writer: Path, words: str
) -> None:
    with pytest.raises(InputError, match=r"may hold \{folder\}, \{count\}, \{start\} and \{seed\}, found") as caught:
        give(tmp_path / "study", by_command(writer, words), like, 2)
    assert words in str(caught.value)


def test_a_command_that_is_not_there_is_refused(tmp_path: Path, like: NnunetDataset) -> None:
    section = ExtraCasesSection(ratio=1, command="no-such-generator {folder}")
    with pytest.raises(InputError, match="cannot be started: no-such-generator: No such file"):
        give(tmp_path / "study", section, like, 2)


def test_a_command_of_no_words_is_refused(tmp_path: Path, like: NnunetDataset) -> None:
    with pytest.raises(OutOfRangeError, match="command must not be empty"):
        ExtraCasesSection(ratio=1, command=" ")


# a callable


def test_a_function_of_a_file_writes_cases(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    study, section = tmp_path / "study", ExtraCasesSection(ratio=1, callable=f"{writer}:write")
    first = provided(study, section, like, 2)
    grown = provided(study, section, like, 5)
    assert calls(study, section) == [[2, 0, SEED], [3, 2, SEED]]
    assert grown.blocks[0] == first.blocks[0]


def test_a_function_of_a_module_writes_cases(
    tmp_path: Path, like: NnunetDataset, writer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(writer.parent))
    section = ExtraCasesSection(ratio=1, callable=f"{writer.stem}:write")
    assert len(provided(tmp_path / "study", section, like, 2).files) == 2


def test_seeds_give_other_cases(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    section = ExtraCasesSection(ratio=1, callable=f"{writer}:write")
    found = []
    for seed in (1, 2):
        give(tmp_path / "study", section, like, 2, seed)
        found.append(set(at_hand(source(tmp_path / "study", section, seed))[1].values()))
    assert not found[0] & found[1]


@pytest.mark.parametrize(
    "target", ["{writer}:nowhere", "{writer}", "nowhere.py:write", "no_such_module:write", "no_such_module", ":write"]
)
def test_a_callable_that_is_not_there_is_refused(
    tmp_path: Path, like: NnunetDataset, writer: Path, target: str
) -> None:
    section = ExtraCasesSection(ratio=1, callable=target.format(writer=writer))
    with pytest.raises(InputError, match=r"must be module:function or file\.py:function"):
        give(tmp_path / "study", section, like, 2)


def test_what_a_callable_raises_is_told(tmp_path: Path, like: NnunetDataset, writer: Path) -> None:
    section = ExtraCasesSection(ratio=1, callable=f"{writer}:fails")
    with pytest.raises(WorkError, match="fails' failed: KeyError: 'no scanner'"):
        give(tmp_path / "study", section, like, 2)
    section = ExtraCasesSection(ratio=1, callable=f"{writer}:nothing")
    with pytest.raises(WorkError, match="must hold 2 cases, found 1"):
        give(tmp_path / "study", section, like, 2)


# the lesion generator


def test_the_generator_blends_lesions_into_healthy_cases_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    healthy = write_phantom(tmp_path / "healthy", 2, healthy=True)
    like = read_dataset(write_phantom(tmp_path / "phantom", 2))
    section = ExtraCasesSection(ratio=1, lesions=str(healthy), organ="kidney", lesion="tumour")
    first = provided(tmp_path / "study", section, like, 2)
    grown = provided(tmp_path / "study", section, like, 3)
    assert (len(first.files), len(grown.files)) == (2, 3)
    assert grown.blocks[0] == first.blocks[0] and len(grown.blocks[1]) == 1
    table = pd.read_csv(source(tmp_path / "study", section).place / "raw" / "cases.csv")
    assert set(table["source"]) <= set(read_dataset(healthy).cases)


# in a study


def arm(study: Path, text: str) -> None:
    path = study / "study.toml"
    written = path.read_text(encoding="utf-8")
    assert written.count("[scores]") == 1
    path.write_text(written.replace("[scores]", f"{textwrap.dedent(text)}\n[scores]"), encoding="utf-8")


def with_extra_cases(folder: Path, source: str) -> Any:
    """The materials of a study one arm of which has extra cases."""
    arm(folder, f'[[arm]]\nname = "more"\nconfiguration = "2d"\nextra_cases = {{ ratio = 0.5, {source} }}\n')
    return materials_with(folder)


def materials_with(folder: Path) -> Materials:
    """What a study's runs work with, its extra cases provided."""
    study = open_study(folder)
    dataset = read_dataset(study.dataset)
    provide(extra_source(study, study.settings.arm("more")), dataset, 5, study.digest)
    return materials_of(study, dataset, {})


def test_an_arm_has_the_extra_cases_of_its_source(new_study: Callable[..., Path], more: Path) -> None:
    materials = with_extra_cases(new_study("--configuration", "2d"), 'folder = "../more"')
    assert list(materials.extra) == ["more"]
    assert len(materials.extra["more"].files) == 5


def test_an_extra_case_that_is_a_copy_of_a_test_image_is_refused(
    new_study: Callable[..., Path], more: Path, tmp_path: Path
) -> None:
    study = new_study("--configuration", "2d")
    test = open_study(study).test[0]
    shutil.copy(tmp_path / "dataset" / "imagesTr" / f"{test}_0000.nii.gz", more / "imagesTr" / "case_004_0000.nii.gz")
    with pytest.raises(InputError, match=f"'case_004' is the image of case {test!r} of the study") as caught:
        with_extra_cases(study, 'folder = "../more"')
    assert "case_004_0000.nii.gz" in str(caught.value)
    assert not (study / "extra").exists()
    for path in (more / "imagesTr" / "case_004_0000.nii.gz", more / "labelsTr" / "case_004.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match="need 5 cases, found 4"):  # the advice was followed, the study goes on
        materials_with(study)


def test_a_case_annotated_later_is_no_extra_case(
    new_study: Callable[..., Path], more: Path, tmp_path: Path, unchanged: Unchanged
) -> None:
    folder = new_study("--configuration", "2d")
    with_extra_cases(folder, 'folder = "../more"')
    for name in ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"):
        shutil.copy(more / name.format("case_003"), tmp_path / "dataset" / name.format("reviewed"))
    study = open_study(folder)
    with unchanged(folder), pytest.raises(InputError, match="'reviewed' is the image of extra case 'case_003'"):
        _adopt_new_cases(study, read_dataset(study.dataset), Watchers())


def test_an_extra_case_may_not_be_a_case_of_an_extra_test_set(
    new_study: Callable[..., Path], more: Path, tmp_path: Path
) -> None:
    folder = new_study("--configuration", "2d")
    with_extra_cases(folder, 'folder = "../more"')
    study = open_study(folder)
    dataset = read_dataset(study.dataset)
    north = ExtraTestSet(
        read_dataset(more).cases, recorded_digests(extra_source(study, study.settings.arm("more"))), None
    )
    with pytest.raises(
        InputError, match=r"of test set 'north' is the image of 'extra-.*-case_000', which is trained on"
    ):
        materials_of(study, dataset, {"north": north})


def test_lesions_are_never_blended_into_test_images(
    tmp_path: Path, new_study: Callable[..., Path], declare: Callable[..., None]
) -> None:
    write_phantom(tmp_path / "dataset", 4, healthy=True)
    study = new_study("--configuration", "2d", "--test", "healthy_000,healthy_001")
    with pytest.raises(InputError, match="neither trained on nor tested on"):
        with_extra_cases(study, 'lesions = "../dataset", organ = "kidney", lesion = "tumour"')
