"""Extra test sets, annotators' references, and what the references say of a test set."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from dicecast.adapters.nnunet.checks import check_cases
from dicecast.adapters.nnunet.dataset import CaseFiles, Label, NnunetDataset, read_dataset
from dicecast.adapters.run_scores import keep_references
from dicecast.adapters.sections import AnnotatorSection, ExtraTestSection
from dicecast.adapters.settings import parse_settings
from dicecast.adapters.specs import materials_of
from dicecast.adapters.study import Study, open_study
from dicecast.adapters.tables import read_csv, write_csv
from dicecast.adapters.testsets import (
    annotator_agreement,
    annotator_labels,
    extra_digests,
    extra_test_set,
    record_path,
    reference_facts,
    refuse_trained,
)
from dicecast.forecast.errors import InputError

Array = npt.NDArray[Any]
Unchanged = Callable[[Path], AbstractContextManager[None]]
STRUCTURES: Mapping[str, Label] = {"kidney": (1, 2), "tumour": 2}
DECLARED = {
    "channel_names": {"0": "MR", "1": "T2"},
    "labels": {"background": 0, "organ": 1, "tumour": 2},
    "numTraining": 1,
    "file_ending": ".nii.gz",
}


@pytest.fixture(autouse=True)
def quiet(nnunet: None) -> None:
    """nnU-Net imported, its warnings aside."""


@pytest.fixture
def like(tmp_path: Path, make_dataset: Callable[..., Path]) -> NnunetDataset:
    """The study's dataset."""
    return read_dataset(make_dataset(tmp_path / "dataset", cases=3))


@pytest.fixture
def north(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """Four cases of another hospital, named like those of the study."""
    return make_dataset(tmp_path / "north", cases=4, seed=1)


def digests(dataset: NnunetDataset) -> dict[str, str]:
    return {fact.case: fact.digest for fact in check_cases(dataset, dataset.cases)}


def taken(study: Path, section: ExtraTestSection, like: NnunetDataset, pool: Mapping[str, str]) -> dict[str, CaseFiles]:
    """The cases of an extra test set, put on record as `run` does."""
    found = extra_test_set(study, section, like)
    refuse_trained(section.name, found, pool)
    if found.record is not None:
        write_csv(found.record, record_path(study, section.name))
    return dict(found.files)


def section(dataset: Path, *cases: str) -> ExtraTestSection:
    return ExtraTestSection("north", str(dataset), list(cases))


def copy_case(source: Path, case: str, target: Path, name: str) -> None:
    shutil.copy(source / "imagesTr" / f"{case}_0000.nii.gz", target / "imagesTr" / f"{name}_0000.nii.gz")
    shutil.copy(source / "labelsTr" / f"{case}.nii.gz", target / "labelsTr" / f"{name}.nii.gz")


# extra test sets


def test_an_extra_test_set_holds_every_case_unless_told_which(tmp_path: Path, like: NnunetDataset, north: Path) -> None:
    found = taken(tmp_path / "study", section(north), like, digests(like))
    assert found == dict(read_dataset(north).cases)
    chosen = section(north, "case_002", "case_000")
    found = taken(tmp_path / "other", chosen, like, digests(like))
    assert sorted(found) == ["case_000", "case_002"]


def test_an_extra_test_set_is_fixed_at_the_first_call(
    tmp_path: Path, like: NnunetDataset, north: Path, make_dataset: Callable[..., Path], unchanged: Unchanged
) -> None:
    study, pool = tmp_path / "study", digests(like)
    first = taken(study, section(north), like, pool)
    table = read_csv(study / "test_sets" / "north.csv")
    assert list(table["case"]) == list(first) and table["digest"].is_unique
    copy_case(make_dataset(tmp_path / "more", cases=1, seed=5), "case_000", north, "case_009")
    with unchanged(study):
        assert taken(study, section(north), like, pool) == first
        with pytest.raises(InputError, match="'north' was fixed at the first run: 4 cases of"):
            taken(study, section(north, "case_009"), like, pool)


def test_a_case_of_the_test_set_that_is_gone_is_missed(tmp_path: Path, like: NnunetDataset, north: Path) -> None:
    with pytest.raises(InputError, match="case 'case_007' of test set 'north' is not there"):
        taken(tmp_path / "study", section(north, "case_000", "case_007"), like, {})
    assert not (tmp_path / "study").exists()
    taken(tmp_path / "study", section(north), like, {})
    for path in (north / "imagesTr" / "case_001_0000.nii.gz", north / "labelsTr" / "case_001.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match="case 'case_001' of test set 'north' is not there"):
        taken(tmp_path / "study", section(north), like, {})


@pytest.mark.parametrize(
    ("key", "value"), [("labels", {"background": 0, "other": 1}), ("channel_names", {"0": "another"})]
)
def test_another_kind_of_data_is_refused(
    tmp_path: Path, like: NnunetDataset, north: Path, declare: Callable[..., None], key: str, value: Any
) -> None:
    declare(north, **{key: value})
    with pytest.raises(InputError, match=f"{key} of test set 'north' must be that of dataset") as caught:
        taken(tmp_path / "study", section(north), like, {})
    assert str(value) in str(caught.value)
    assert not (tmp_path / "study").exists()


def test_an_unusable_case_is_refused_and_nothing_is_recorded(tmp_path: Path, like: NnunetDataset, north: Path) -> None:
    (north / "imagesTr" / "case_002_0000.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"case_002_0000\.nii\.gz: cannot be read"):
        taken(tmp_path / "study", section(north), like, {})
    assert not (tmp_path / "study").exists()


def test_cases_may_have_the_names_of_annotated_ones_but_not_their_images(
    tmp_path: Path, like: NnunetDataset, north: Path
) -> None:
    pool = digests(like)
    assert set(pool) < set(read_dataset(north).cases)
    taken(tmp_path / "study", section(north), like, pool)
    copy_case(like.folder, "case_001", north, "case_003")
    with pytest.raises(
        InputError,
        match=r"case_003_0000.*'case_003' of .* is the image of 'case_001', which is trained on",
    ):
        taken(tmp_path / "other", section(north), like, pool)


def test_an_image_that_joins_the_pool_later_is_refused(tmp_path: Path, like: NnunetDataset, north: Path) -> None:
    study, pool = tmp_path / "study", digests(like)
    taken(study, section(north), like, pool)
    grown = {**pool, "case_100": digests(read_dataset(north))["case_002"]}
    with pytest.raises(InputError, match=r"'case_002' of .* is the image of 'case_100', which is trained on"):
        taken(study, section(north), like, grown)


def test_a_test_set_that_is_refused_can_be_corrected(tmp_path: Path, like: NnunetDataset, north: Path) -> None:
    copy_case(like.folder, "case_001", north, "case_003")
    with pytest.raises(InputError, match="is the image of"):
        taken(tmp_path / "study", section(north), like, digests(like))
    found = taken(tmp_path / "study", section(north, "case_000", "case_001"), like, digests(like))
    assert sorted(found) == ["case_000", "case_001"]


@pytest.mark.parametrize(
    ("content", "told"),
    [("case,dataset\na,b\n", "column 'digest' is required"), ("case,digest,dataset\n", "found none"), ("", "is empty")],
)
def test_a_broken_record_of_a_test_set_is_named(
    tmp_path: Path, like: NnunetDataset, north: Path, content: str, told: str
) -> None:
    path = record_path(tmp_path / "study", "north")
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    for read in (lambda: taken(tmp_path / "study", section(north), like, {}), lambda: digests_on_record(tmp_path)):
        with pytest.raises(InputError, match=told) as caught:
            read()
        assert str(path) in str(caught.value)


def digests_on_record(folder: Path) -> dict[str, str]:
    return extra_digests(folder / "study", [ExtraTestSection("north", "anywhere")])


def test_digests_are_of_the_test_sets_that_the_study_still_has(
    tmp_path: Path, like: NnunetDataset, north: Path
) -> None:
    study = tmp_path / "study"
    taken(study, section(north, "case_000"), like, {})
    (study / "test_sets" / "other.csv").write_text("case,digest\n", encoding="utf-8")
    assert list(digests_on_record(tmp_path)) == ["north: case_000"]
    assert extra_digests(study, []) == {}


# annotators


def test_every_test_case_needs_a_label_of_every_annotator(tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    folder.mkdir()
    for case in "ab":
        (folder / f"{case}.nii.gz").touch()
    anna = AnnotatorSection("anna", str(folder))
    assert annotator_labels(anna, ["a", "b"], ".nii.gz") == {case: folder / f"{case}.nii.gz" for case in "ab"}
    with pytest.raises(InputError, match=r"c\.nii\.gz: annotator 'anna' needs a label of every test case.*2 missing"):
        annotator_labels(anna, ["a", "c", "d"], ".nii.gz")
    with pytest.raises(InputError, match="annotator 'anna' needs"):
        annotator_labels(anna, ["a"], ".mha")


def test_no_annotator_is_called_like_the_datasets_own_reference() -> None:
    study = {"study": {"name": "s", "dataset": "d"}, "arm": [{"name": "2d", "configuration": "2d"}]}
    test = {"cases": 2, "annotator": [{"name": "majority", "labels": "x"}]}
    with pytest.raises(InputError, match="majority"):
        parse_settings({**study, "test": test}, "here")


@pytest.fixture
def references(tmp_path: Path, write_image: Callable[..., None]) -> Callable[..., Any]:
    """references(case=[label, first, second], ...): cases, and the labels of annotators `a` and `b`."""

    def build(**maps: list[Any]) -> tuple[dict[str, CaseFiles], dict[str, dict[str, Path]]]:
        cases: dict[str, CaseFiles] = {}
        annotators: dict[str, dict[str, Path]] = {"a": {}, "b": {}}
        for case, labels in maps.items():
            paths = [tmp_path / f"{who}-{case}.nii.gz" for who in ("own", *annotators)]
            for path, label in zip(paths, labels, strict=True):
                write_image(path, np.asarray(label, np.uint8).reshape(1, 2, -1))
            cases[case] = CaseFiles((), paths[0])
            for name, path in zip(annotators, paths[1:], strict=True):
                annotators[name][case] = path
        return cases, annotators

    return build


def agreement(found: pd.DataFrame) -> dict[tuple[str, str, str, str], float]:
    assert list(found.columns) == ["case", "structure", "a", "b", "dice"]
    keys = zip(found["case"], found["structure"], found["a"], found["b"], strict=True)
    return dict(zip(keys, found["dice"], strict=True))


def test_agreement_is_the_dice_of_every_two_references(references: Callable[..., Any]) -> None:
    cases, annotators = references(c=[[1, 1, 2, 0, 0, 0], [1, 2, 2, 0, 0, 0], [0, 0, 0, 1, 1, 2]])
    found = agreement(annotator_agreement(cases, annotators, STRUCTURES, DECLARED))
    assert found == {
        ("c", "kidney", "majority", "a"): 1.0,
        ("c", "kidney", "majority", "b"): 0.0,
        ("c", "kidney", "a", "b"): 0.0,
        ("c", "tumour", "majority", "a"): pytest.approx(2 / 3),
        ("c", "tumour", "majority", "b"): 0.0,
        ("c", "tumour", "a", "b"): 0.0,
    }


def test_a_structure_that_only_one_of_two_saw_is_no_agreement_and_what_neither_saw_is_left_out(
    references: Callable[..., Any],
) -> None:
    cases, annotators = references(c=[[1, 1, 0, 0], [1, 0, 0, 0], [1, 2, 0, 0]], d=[[1, 0, 0, 0]] * 3)
    found = agreement(annotator_agreement(cases, annotators, STRUCTURES, DECLARED))
    assert {key: dice for key, dice in found.items() if key[1] == "tumour"} == {
        ("c", "tumour", "majority", "b"): 0.0,
        ("c", "tumour", "a", "b"): 0.0,
    }
    assert found["c", "kidney", "majority", "a"] == pytest.approx(2 / 3)
    assert [dice for key, dice in found.items() if key[0] == "d"] == [1.0] * 3


def test_agreement_does_not_depend_on_who_is_named_first(references: Callable[..., Any]) -> None:
    cases, annotators = references(c=[[1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 0, 2]])
    one = agreement(annotator_agreement(cases, annotators, STRUCTURES, DECLARED))
    swapped = {"b": annotators["b"], "a": annotators["a"]}
    other = agreement(annotator_agreement(cases, swapped, STRUCTURES, DECLARED))
    assert other["c", "kidney", "b", "a"] == one["c", "kidney", "a", "b"] == pytest.approx(2 * 1 / (3 + 2))


def test_without_a_structure_there_is_a_table_without_rows(references: Callable[..., Any]) -> None:
    cases, annotators = references(c=[[0, 0], [0, 0], [0, 0]])
    assert agreement(annotator_agreement(cases, annotators, STRUCTURES, DECLARED)) == {}


# facts


@pytest.fixture
def case_of(tmp_path: Path, write_image: Callable[..., None]) -> Callable[..., dict[str, CaseFiles]]:
    """case_of(label, image, spacing): case `c` of two channels, the second of noise."""

    def build(label: Array, image: Array, spacing: tuple[float, ...]) -> dict[str, CaseFiles]:
        other = np.random.default_rng(0).normal(0, 99, label.shape).astype(np.float32)
        paths = [tmp_path / name for name in ("c_0000.nii.gz", "c_0001.nii.gz", "c.nii.gz")]
        arrays = (image.astype(np.float32), other, label.astype(np.uint8))
        for path, array in zip(paths, arrays, strict=True):
            write_image(path, array, spacing=spacing[::-1])
        return {"c": CaseFiles(tuple(paths[:2]), paths[2])}

    return build


def test_volume_diameter_and_heterogeneity_are_what_a_hand_finds(case_of: Callable[..., dict[str, CaseFiles]]) -> None:
    label = np.zeros((6, 8, 8), int)
    label[1, 1, 1:5] = 1
    label[3, 2, 2] = label[4, 3, 3] = 2  # one part: corners touch
    label[1, 6, 6] = 2
    image = np.zeros(label.shape)
    image[label == 1] = [1, 2, 3, 4]
    image[3, 2, 2], image[4, 3, 3], image[1, 6, 6] = 10, 10, 40
    table = reference_facts(case_of(label, image, (5.0, 2.0, 1.0)), STRUCTURES, DECLARED).set_index("structure")
    assert list(table.index) == ["kidney", "tumour"] and set(table["case"]) == {"c"}
    voxel = 10.0  # mm3
    tumour = table.loc["tumour"]
    assert tumour["volume"] == pytest.approx(3 * voxel / 1000)
    assert tumour["diameter"] == pytest.approx((6 * 2 * voxel / math.pi) ** (1 / 3))
    assert tumour["heterogeneity"] == pytest.approx(math.sqrt(200))
    kidney = table.loc["kidney"]
    assert kidney["volume"] == pytest.approx(7 * voxel / 1000)
    assert kidney["diameter"] == pytest.approx((6 * 4 * voxel / math.pi) ** (1 / 3))
    assert kidney["heterogeneity"] == pytest.approx(np.std([1, 2, 3, 4, 10, 10, 40]))


def test_the_diameter_of_a_ball_is_its_diameter(case_of: Callable[..., dict[str, CaseFiles]]) -> None:
    z, y, x = (np.indices((12, 24, 24)) - np.array([5.5, 11.5, 11.5])[:, None, None, None]) * [
        [[[2.0]]],
        [[[1]]],
        [[[1]]],
    ]
    label = 1 * (z**2 + y**2 + x**2 < 10**2)
    table = reference_facts(case_of(label, label, (2.0, 1.0, 1.0)), {"kidney": 1}, DECLARED)
    assert table["diameter"].item() == pytest.approx(20, rel=0.01)
    assert table["volume"].item() == pytest.approx(4 / 3 * math.pi, rel=0.03)
    assert table["heterogeneity"].item() == 0


def test_a_structure_that_a_case_does_not_contain_has_no_row(case_of: Callable[..., dict[str, CaseFiles]]) -> None:
    label = np.zeros((3, 4, 4), int)
    label[1, 1, 1] = 1
    table = reference_facts(case_of(label, label, (1.0, 1.0, 1.0)), STRUCTURES, DECLARED)
    assert list(table["structure"]) == ["kidney"]


def test_without_any_structure_there_is_a_table_without_rows(case_of: Callable[..., dict[str, CaseFiles]]) -> None:
    nothing = np.zeros((3, 4, 4), int)
    table = reference_facts(case_of(nothing, nothing, (1.0, 1.0, 1.0)), STRUCTURES, DECLARED)
    assert list(table.columns) == ["case", "structure", "volume", "diameter", "heterogeneity"]


def test_images_without_a_physical_size_have_no_volume(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    dataset = read_dataset(make_dataset(tmp_path / "natural", cases=1, shape=(12, 12), ending=".png"))
    facts = reference_facts(dataset.cases, {"organ": 1}, dataset.declared)
    assert facts[["volume", "diameter"]].isna().all(axis=None) and facts["heterogeneity"].notna().all()


# what a study keeps of its references


def with_references(study: Path, dataset: Path, scores: str) -> Path:
    """A study with strata and two annotators: one agrees with the dataset, the other is another case's reference."""
    test = open_study(study).test
    for name, cases in (("anna", test), ("bert", test[::-1])):
        (study / name).mkdir(exist_ok=True)
        for case, source in zip(test, cases, strict=True):
            shutil.copy(dataset / "labelsTr" / f"{source}.nii.gz", study / name / f"{case}.nii.gz")
    text = (study / "study.toml").read_text(encoding="utf-8")
    start, end = text.index("\n[scores]") + 1, text.index("\n[cost]") + 1
    annotators = "".join(f'[[test.annotator]]\nname = "{name}"\nlabels = "{name}"\n' for name in ("anna", "bert"))
    (study / "study.toml").write_text(f"{text[:start]}[scores]\n{scores}\n{annotators}\n{text[end:]}", encoding="utf-8")
    return study


def kept(folder: Path) -> tuple[Study, pd.DataFrame, pd.DataFrame]:
    study = open_study(folder)
    keep_references(study, materials_of(study, read_dataset(study.dataset), {}))
    return study, *(read_csv(folder / "test_sets" / name) for name in ("facts.csv", "annotators.csv"))  # type: ignore[return-value]


@pytest.fixture
def two_structures(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path / "dataset", cases=6, labels={"background": 0, "organ": 1, "tumour": 2})


def test_a_study_keeps_facts_and_agreement_of_its_test_set(
    new_study: Callable[..., Path], two_structures: Path, unchanged: Unchanged
) -> None:
    folder = with_references(new_study("--configuration", "2d"), two_structures, 'strata = ["volume/2"]')
    study, facts, agreed = kept(folder)
    assert set(facts["case"]) == set(study.test) and set(facts["structure"]) == {"organ", "tumour"}
    assert set(agreed["a"]) | set(agreed["b"]) == {"majority", "anna", "bert"}
    same = agreed[(agreed["a"] == "majority") & (agreed["b"] == "anna")]
    assert (same["dice"].astype(float) == 1).all() and len(same) == 4
    with unchanged(folder / "test_sets"):
        kept(folder)


def test_a_union_that_is_asked_for_later_gets_its_facts(new_study: Callable[..., Path], two_structures: Path) -> None:
    folder = with_references(new_study("--configuration", "2d"), two_structures, 'strata = ["volume/2"]')
    kept(folder)
    with_references(folder, two_structures, 'strata = ["volume/2"]\nunions = { both = ["organ", "tumour"] }')
    _, facts, agreed = kept(folder)
    assert set(facts["structure"]) == set(agreed["structure"]) == {"organ", "tumour", "both"}


def test_a_union_of_other_parts_gets_other_facts(new_study: Callable[..., Path], two_structures: Path) -> None:
    folder = with_references(new_study("--configuration", "2d"), two_structures, 'strata = ["volume/2"]')
    volumes = []
    for parts in ('["organ"]', '["organ", "tumour"]'):
        with_references(folder, two_structures, f'strata = ["volume/2"]\nunions = {{ mass = {parts} }}')
        _, facts, _ = kept(folder)
        volumes.append(facts.loc[facts["structure"] == "mass", "volume"].astype(float).sum())
    assert volumes[0] < volumes[1]


def test_another_folder_of_an_annotator_gets_another_agreement(
    new_study: Callable[..., Path], two_structures: Path
) -> None:
    folder = with_references(new_study("--configuration", "2d"), two_structures, 'strata = ["volume/2"]')
    _, _, first = kept(folder)
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(text.replace('labels = "anna"', 'labels = "bert"'), encoding="utf-8")
    _, _, second = kept(folder)
    assert not first.equals(second)


@pytest.mark.parametrize("name", ["facts.csv", "annotators.csv"])
def test_a_lost_file_is_written_again(new_study: Callable[..., Path], two_structures: Path, name: str) -> None:
    folder = with_references(new_study("--configuration", "2d"), two_structures, 'strata = ["volume/2"]')
    kept(folder)
    before = (folder / "test_sets" / name).read_bytes()
    (folder / "test_sets" / name).unlink()
    kept(folder)
    assert (folder / "test_sets" / name).read_bytes() == before


def test_an_empty_record_of_references_is_out_of_date(new_study: Callable[..., Path], two_structures: Path) -> None:
    folder = with_references(new_study("--configuration", "2d"), two_structures, 'strata = ["volume/2"]')
    kept(folder)
    before = (folder / "test_sets" / "references.json").read_bytes()
    (folder / "test_sets" / "references.json").write_bytes(b"")
    kept(folder)
    assert (folder / "test_sets" / "references.json").read_bytes() == before
