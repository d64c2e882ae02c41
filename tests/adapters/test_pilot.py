"""One pilot run: how cases are split into folds, how a prediction is scored, what a run folder says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicecast.adapters.files import write_json
from dicecast.adapters.nnunet.attempt import tidy
from dicecast.adapters.nnunet.dataset import Label
from dicecast.adapters.nnunet.scoring import Scoring, score_case
from dicecast.adapters.nnunet.spec import RunStatus, fold_splits, protocol_hash, run_status
from dicecast.forecast.errors import InputError

STRUCTURES: Mapping[str, Label] = {"kidney": 1, "tumour": 2, "both": (1, 2)}
cases_of = st.lists(st.integers(0, 999), min_size=5, max_size=60, unique=True).map(
    lambda numbers: tuple(f"case{number:03d}" for number in numbers)
)


def scored(
    reference: Any, predicted: Any, structures: Mapping[str, Label] = STRUCTURES, ignore: int | None = None
) -> dict[tuple[str, str], float | None]:
    """Scores by structure and metric, every voxel of 0.5 mL."""
    reference, predicted = (np.atleast_3d(np.asarray(one)).T for one in (reference, predicted))
    rows = list(score_case(reference, predicted, scoring(structures, ignore), (5.0, 10.0, 10.0)))
    rows = [row for row in rows if row["metric"] != "missed"]
    found = {(row["structure"], row["metric"]): row["score"] for row in rows}
    assert len(found) == len(rows)
    return found


def scoring(structures: Mapping[str, Label], ignore: int | None = None) -> Scoring:
    return Scoring(structures, ("dice",), dict.fromkeys(structures, 1.0), ignore)


@given(cases=cases_of, folds=st.integers(2, 5), seed=st.integers(0, 2**31 - 1))
def test_folds_are_80_20_splits_of_all_cases_with_disjoint_validation_parts(
    cases: tuple[str, ...], folds: int, seed: int
) -> None:
    splits = fold_splits(cases, folds, seed)
    assert len(splits) == folds
    for train, validation in splits:
        assert not set(train) & set(validation)
        assert sorted(train + validation) == sorted(cases)
        assert len(cases) // 5 <= len(validation) <= -(-len(cases) // 5)
    held = [case for _, validation in splits for case in validation]
    assert len(held) == len(set(held))
    if folds == 5:
        assert sorted(held) == sorted(cases)


@given(cases=cases_of, folds=st.integers(1, 5), seed=st.integers(0, 2**31 - 1))
def test_folds_depend_on_the_set_of_cases_and_the_seed_only(cases: tuple[str, ...], folds: int, seed: int) -> None:
    assert fold_splits(cases, folds, seed) == fold_splits(cases[::-1], folds, seed)


@given(cases=cases_of, seed=st.integers(0, 2**31 - 1))
def test_fewer_folds_are_the_first_of_the_five(cases: tuple[str, ...], seed: int) -> None:
    assert fold_splits(cases, 2, seed) == fold_splits(cases, 5, seed)[:2]


@given(cases=cases_of, seed=st.integers(0, 2**31 - 1))
def test_one_fold_trains_on_every_case(cases: tuple[str, ...], seed: int) -> None:
    assert fold_splits(cases, 1, seed) == [(sorted(cases), [])]


@pytest.mark.parametrize(("n", "folds"), [(2, 2), (3, 2), (3, 3), (4, 4)])
def test_fewer_than_five_cases_are_held_out_one_at_a_time(n: int, folds: int) -> None:
    cases = tuple("abcd"[:n])
    splits = fold_splits(cases, folds, 0)
    assert [len(validation) for _, validation in splits] == [1] * folds
    assert all(len(train) == n - 1 for train, _ in splits)


@pytest.mark.parametrize(("n", "folds"), [(2, 3), (2, 5), (4, 5)])
def test_there_are_never_more_folds_than_cases(n: int, folds: int) -> None:
    splits = fold_splits(tuple("abcd"[:n]), folds, 0)
    assert sorted(case for _, validation in splits for case in validation) == list("abcd"[:n])


@given(cases=cases_of, seed=st.integers(0, 2**31 - 1))
def test_cases_of_a_patient_stay_on_one_side(cases: tuple[str, ...], seed: int) -> None:
    patient = {case: case[:-1] for case in cases}  # up to ten cases of each
    if len(set(patient.values())) < 2:
        return
    splits = fold_splits(cases, 5, seed, patient)
    for train, validation in splits:
        assert not {patient[case] for case in train} & {patient[case] for case in validation}
        assert sorted(train + validation) == sorted(cases)


def test_folds_of_a_single_case_are_refused() -> None:
    with pytest.raises(InputError, match="5 folds need cases of at least 2 patients, found 1"):
        fold_splits(("a",), 5, 0)


def test_a_perfect_prediction_scores_one_everywhere() -> None:
    label = np.array([[0, 1, 1], [2, 2, 0]])
    assert scored(label, label) == {("kidney", "dice"): 1.0, ("tumour", "dice"): 1.0, ("both", "dice"): 1.0}


def test_an_empty_prediction_scores_zero_not_undefined() -> None:
    found = scored([[0, 1, 1], [2, 2, 0]], np.zeros((2, 3), int))
    assert found == {("kidney", "dice"): 0.0, ("tumour", "dice"): 0.0, ("both", "dice"): 0.0}


def test_dice_is_twice_the_overlap_over_both_volumes() -> None:
    found = scored([1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 0], {"kidney": 1})
    assert found == {("kidney", "dice"): pytest.approx(2 * 2 / (3 + 4))}


def test_a_region_counts_voxels_of_any_of_its_labels() -> None:
    found = scored([1, 1, 2, 2, 0, 0], [2, 2, 1, 1, 1, 0])
    assert found["kidney", "dice"] == found["tumour", "dice"] == 0.0
    assert found["both", "dice"] == pytest.approx(2 * 4 / (4 + 5))


def test_an_absent_structure_has_no_dice_but_a_false_positive_volume() -> None:
    found = scored([1, 1, 0, 0, 0, 0], [1, 1, 2, 2, 2, 0])
    assert found["tumour", "dice"] is None
    assert found["tumour", "false_positive_ml"] == pytest.approx(3 * 0.5)
    assert ("kidney", "false_positive_ml") not in found
    assert found["both", "dice"] == pytest.approx(2 * 2 / (2 + 5))


def test_an_absent_structure_that_is_not_predicted_has_a_volume_of_zero() -> None:
    found = scored([1, 1, 0], [1, 1, 0], {"tumour": 2})
    assert found["tumour", "dice"] is None
    assert found["tumour", "false_positive"] == 0
    assert found["tumour", "false_positive_ml"] == 0.0


def test_an_image_without_physical_size_has_no_volume() -> None:
    rows = score_case(np.array([[1, 1, 0]]), np.array([[1, 1, 2]]), scoring({"tumour": 2}), None)
    assert [row["metric"] for row in rows] == ["dice", "false_positive"]


def test_voxels_that_were_not_annotated_do_not_count() -> None:
    # the prediction is wrong only where the reference says nothing
    found = scored([1, 1, 0, 9, 9, 9], [1, 1, 0, 1, 2, 2], STRUCTURES, ignore=9)
    assert found["kidney", "dice"] == 1.0
    assert found["tumour", "dice"] is None
    assert found["tumour", "false_positive_ml"] == 0.0


@given(
    reference=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    predicted=st.lists(st.integers(0, 2), min_size=40, max_size=40),
)
def test_dice_lies_between_0_and_1_and_every_structure_is_told(reference: list[int], predicted: list[int]) -> None:
    found = scored(reference, predicted[: len(reference)], STRUCTURES, ignore=3)
    for name in STRUCTURES:
        dice = found[name, "dice"]
        assert (dice is None) == ((name, "false_positive_ml") in found)
        assert dice is None or 0 <= dice <= 1


def test_a_run_folder_says_how_far_it_has_come(tmp_path: Path) -> None:
    folder = tmp_path / "draw0"
    assert run_status(folder) is RunStatus.PLANNED
    folder.mkdir()
    (folder / "log.txt").write_text("started")
    assert run_status(folder) is RunStatus.PLANNED
    write_json(folder / "progress.json", {"epochs_done": 1})
    assert run_status(folder) is RunStatus.RUNNING
    write_json(folder / "run.json", {"status": "failed"})
    assert run_status(folder) is RunStatus.FAILED
    made = {"arm": "2d", "n": 4, "draw": 0, "cases": [], "protocol": {}, "seconds": {}}
    write_json(folder / "run.json", {"status": "completed", **made})
    assert run_status(folder) is RunStatus.COMPLETED


def test_scores_alone_do_not_make_a_run_complete(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("n_cases,score\n3,0.5\n")
    assert run_status(tmp_path) is not RunStatus.COMPLETED


def test_tidying_a_completed_run_keeps_scores_and_predictions(tmp_path: Path) -> None:
    left = ("models/fold_0/checkpoint_final.pth", "progress.json", "attempt.json", ".lock")
    for name in (*left, "predictions/test/a.nii.gz", "scores.csv", "run.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    tidy(tmp_path, keep_models=False)
    tidy(tmp_path, keep_models=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions", "run.json", "scores.csv"]


def test_the_protocol_hash_follows_the_content_not_its_order() -> None:
    protocol = {"epochs": 4, "structures": {"a": 1, "b": [1, 2]}}
    reordered = {"structures": {"b": [1, 2], "a": 1}, "epochs": 4}
    assert protocol_hash(protocol) == protocol_hash(reordered)
    assert protocol_hash(protocol) != protocol_hash({**protocol, "epochs": 5})
    # a setting that came with a later dicecast and is left to nnU-Net changes nothing
    assert protocol_hash(protocol) == protocol_hash({**protocol, "convolutions": None})
