"""Finished nnU-Net results: recorded ones, faulty ones, and one that nnU-Net makes on the spot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dicecast.adapters.nnunet.results import Imported, read_results
from dicecast.forecast.curve import curves_from_scores
from dicecast.forecast.errors import InputError
from dicecast.forecast.scores import KEY, validate_scores

DATA = Path(__file__).parent / "data" / "nnunet"
KIDNEY = DATA / "results" / "Dataset011_Kidney" / "nnUNetTrainer__nnUNetPlans__2d"
REGIONS = DATA / "results" / "Dataset012_Regions"
PREDICTIONS = DATA / "predictions"
SUMMARY = "summary.json"


@pytest.fixture(autouse=True)
def no_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the recorded model, to be spoilt."""
    return shutil.copytree(KIDNEY, tmp_path / "results" / "Dataset011_Kidney" / KIDNEY.name)


def scores_of(found: Imported, metric: str = "dice", structure: str = "kidney") -> pd.Series:
    """Scores by case."""
    rows = found.scores[(found.scores["metric"] == metric) & (found.scores["structure"] == structure)]
    return rows.set_index("case")["score"]


def recorded(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def change(path: Path, edit: Callable[[Any], object]) -> None:
    document = recorded(path)
    edit(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def without_logs(model: Path, *folds: int) -> Path:
    """Only these folds, and no training log."""
    for log in model.rglob("training_log_*"):
        log.unlink()
    shutil.rmtree(next(model.glob("crossval_results*")))
    for fold in set(range(5)) - set(folds):
        shutil.rmtree(model / f"fold_{fold}")
    return model


def said(notes: Sequence[str], *words: object) -> bool:
    return any(all(str(word) in note for word in words) for note in notes)


# ---- what is read ------------------------------------------------------------------------------------------------


def test_the_folds_of_a_model_make_one_run_of_out_of_fold_scores() -> None:
    found = read_results([KIDNEY])
    scores = found.scores
    assert scores.equals(validate_scores(scores))
    only = {"n_cases": 10, "arm": "2d", "test_set": "cross-validation", "draw": 0, "stratum": "all", "protocol": ""}
    assert {column: scores[column].unique().tolist() for column in only} == {k: [v] for k, v in only.items()}
    assert sorted(scores["case"].unique()) == [f"case_{number:02d}" for number in range(10)]
    assert not scores.duplicated(KEY).any()
    assert said(found.notes, KIDNEY, "n = 10 (the training log)", "10 cases")
    assert said(found.notes, "crossval_results_folds_0_1_2_3_4: left out", "repeats the validation of the folds")


def test_means_and_voxel_counts_are_those_that_nnunet_gathers_over_the_folds() -> None:
    gathered = recorded(KIDNEY / "crossval_results_folds_0_1_2_3_4" / SUMMARY)["mean"]["1"]
    found = read_results([KIDNEY])
    for name, metric in {"Dice": "dice", "IoU": "jaccard", "TP": "tp", "FP": "fp", "FN": "fn", "TN": "tn"}.items():
        assert scores_of(found, metric).mean() == pytest.approx(gathered[name], abs=1e-12), metric


def test_the_gathered_cross_validation_alone_tells_the_same() -> None:
    folds, gathered = read_results([KIDNEY]), read_results([KIDNEY / "crossval_results_folds_0_1_2_3_4"])
    order = ["case", "structure", "metric"]
    pd.testing.assert_frame_equal(
        folds.scores.sort_values(order, ignore_index=True), gathered.scores.sort_values(order, ignore_index=True)
    )
    assert said(gathered.notes, "n = 10 (the cases of its 5 folds)")


def test_an_ensemble_of_two_models_is_an_arm_of_its_own(tmp_path: Path) -> None:
    name = "ensemble___nnUNetTrainer__nnUNetPlans__2d___nnUNetTrainer__nnUNetPlans__3d_fullres___0_1_2_3_4"
    folder = tmp_path / "Dataset011_Kidney" / "ensembles" / name
    shutil.copytree(KIDNEY / "crossval_results_folds_0_1_2_3_4", folder)
    scores = read_results([tmp_path]).scores
    assert scores["arm"].unique().tolist() == ["2d+3d_fullres"]
    assert scores["test_set"].unique().tolist() == ["cross-validation"]
    assert scores["n_cases"].unique().tolist() == [10]


def test_regions_are_called_by_their_names() -> None:
    scores = read_results([REGIONS]).scores
    assert scores["structure"].unique().tolist() == ["kidney and tumour", "tumour"]
    dice = scores[scores["metric"] == "dice"].set_index(["structure", "case"])["score"]
    assert dice["kidney and tumour", "case_00"] == 0.9578231292517007
    assert np.isnan(dice["tumour", "case_07"])


def test_the_order_of_a_regions_labels_does_not_matter(tmp_path: Path, declare: Callable[..., None]) -> None:
    folder = shutil.copytree(REGIONS, tmp_path / REGIONS.name)
    declare(folder / KIDNEY.name, labels={"background": 0, "tumour": 2, "kidney and tumour": [2, 1]})
    assert read_results([folder]).scores["structure"].unique().tolist() == ["kidney and tumour", "tumour"]


def test_predictions_of_several_sizes_make_a_curve() -> None:
    found = read_results([PREDICTIONS], [10, 20])
    assert found.scores["test_set"].unique().tolist() == ["test"]
    assert found.scores["arm"].unique().tolist() == ["default"]
    curves = {(curve.structure, curve.metric): curve for curve in curves_from_scores(found.scores)}
    assert list(curves["kidney", "dice"].sizes) == [10, 20]
    for size in (10, 20):
        mean = recorded(PREDICTIONS / f"n{size}" / SUMMARY)["mean"]["1"]["Dice"]
        assert curves["kidney", "dice"].y[curves["kidney", "dice"].n == size] == pytest.approx(mean, abs=1e-12)
    assert curves["tumour", "dice"].n_test == 3
    assert curves["tumour", "dice"].n_left_out == 1


def test_a_structure_that_the_reference_lacks_has_no_dice_but_a_false_positive_or_none() -> None:
    for size, predicted in ((10, 0), (20, 1)):
        found = read_results([PREDICTIONS / f"n{size}"], [size])
        values = recorded(PREDICTIONS / f"n{size}" / SUMMARY)["metric_per_case"][1]["metrics"]["2"]
        assert values["n_ref"] == 0 and (values["Dice"] == 0) == bool(predicted)  # else NaN
        assert np.isnan(scores_of(found, "dice", "tumour")["case_11"])
        assert np.isnan(scores_of(found, "jaccard", "tumour")["case_11"])
        assert scores_of(found, "false_positive", "tumour").to_dict() == {"case_11": predicted}
        assert scores_of(found, "fp", "tumour")["case_11"] == values["FP"]
        assert said(found.notes, "Dice of tumour is empty in 1 of 4 cases")
    missed = scores_of(read_results([PREDICTIONS / "n10"], [10]), "missed", "tumour")
    assert missed.to_dict() == {"case_10": 1, "case_12": 1, "case_13": 1}


def test_the_same_number_of_cases_again_is_the_next_draw(tmp_path: Path) -> None:
    for name in ("b", "a"):
        shutil.copytree(PREDICTIONS / "n20", tmp_path / name)
    found = read_results([PREDICTIONS / "n10", tmp_path / "b", tmp_path / "a"], [20, 10, 20])
    runs = found.scores.drop_duplicates(["n_cases", "draw"])[["n_cases", "draw"]]
    assert list(runs.itertuples(index=False, name=None)) == [(20, 0), (10, 0), (20, 1)]


def test_folders_are_found_in_natural_order_at_any_depth_and_through_links(tmp_path: Path) -> None:
    for name in ("n16", "n4", "n2/b", ".hidden"):
        shutil.copytree(PREDICTIONS / "n20", tmp_path / "below" / name)
    (tmp_path / "below" / "n100").symlink_to(PREDICTIONS / "n10", target_is_directory=True)
    (tmp_path / "below" / "n4" / "round").symlink_to(tmp_path / "below", target_is_directory=True)
    with pytest.raises(InputError) as caught:
        read_results([tmp_path])
    listed = [line.split()[1] for line in str(caught.value).splitlines()[1:]]
    assert [str(Path(path).relative_to(tmp_path / "below")) for path in listed] == ["n2/b", "n4", "n16", "n100"]


def test_a_summary_inside_a_result_is_left_out_with_a_note_and_read_when_given_alone(tmp_path: Path) -> None:
    folder = shutil.copytree(PREDICTIONS / "n10", tmp_path / "n10")
    shutil.copytree(PREDICTIONS / "n20", folder / "postprocessed")
    found = read_results([tmp_path], [10])
    assert said(found.notes, folder / "postprocessed", "left out", "give it alone")
    assert scores_of(found).equals(scores_of(read_results([PREDICTIONS / "n10"], [10])))
    alone = read_results([folder / "postprocessed" / SUMMARY], [20])
    assert scores_of(alone).equals(scores_of(read_results([PREDICTIONS / "n20"], [20])))


# ---- names -------------------------------------------------------------------------------------------------------


def test_without_dataset_json_structures_are_called_by_label_unless_one_is_given(tmp_path: Path) -> None:
    folder = shutil.copytree(PREDICTIONS / "n10", tmp_path / "a" / "b" / "c" / "d" / "n10")
    (folder / "dataset.json").unlink()
    found = read_results([folder], [10])
    assert found.scores["structure"].unique().tolist() == ["label 1", "label 2"]
    assert found.scores["case"].unique().tolist() == ["case_10", "case_11", "case_12", "case_13"]
    assert said(found.notes, "no dataset.json", "called by their labels")
    named = read_results([folder], [10], dataset_json=KIDNEY / "dataset.json")
    assert named.scores["structure"].unique().tolist() == ["kidney", "tumour"]
    region = KIDNEY.parents[1] / "Dataset012_Regions" / KIDNEY.name / "dataset.json"
    assert read_results([folder], [10], dataset_json=region).scores["structure"].unique().tolist() == [
        "label 1",
        "tumour",
    ]


@pytest.mark.parametrize(
    ("file", "case"),
    [
        ("C:\\data\\preds\\case.01.nii.gz", "case.01"),
        ("/data/preds/scan_7.png", "scan_7"),
        ("bare", "bare"),
    ],
)
def test_a_case_is_called_by_its_file_without_ending(tmp_path: Path, file: str, case: str) -> None:
    folder = shutil.copytree(PREDICTIONS / "n10", tmp_path / "n10")
    change(folder / SUMMARY, lambda d: d["metric_per_case"][0].update(reference_file=file))
    assert read_results([folder], [10]).scores["case"].iloc[0] == case


def copies(tmp_path: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(KIDNEY, tmp_path / name)
    return tmp_path


def test_arms_are_configurations_and_another_trainer_or_plans_another_arm(tmp_path: Path) -> None:
    two, three = "nnUNetTrainer__nnUNetPlans__2d", "nnUNetTrainer__nnUNetPlans__3d_fullres"
    plain = read_results([copies(tmp_path / "1", f"A/{two}", f"A/{three}", f"B/{two}")])
    assert plain.scores.drop_duplicates(["arm", "draw"])[["arm", "draw"]].to_numpy().tolist() == [
        ["2d", 0],
        ["3d_fullres", 0],
        ["2d", 1],
    ]
    trainers = read_results([copies(tmp_path / "2", two, three, "Mine__nnUNetPlans__2d")])
    assert trainers.scores["arm"].unique().tolist() == ["Mine__2d", "nnUNetTrainer__2d", "3d_fullres"]
    plans = read_results([copies(tmp_path / "3", two, "nnUNetTrainer__BigPlans__2d")])
    assert plans.scores["arm"].unique().tolist() == ["BigPlans__2d", "nnUNetPlans__2d"]


def test_predictions_below_a_model_folder_take_its_configuration(model: Path) -> None:
    (model / "plans.json").write_text("{}")
    shutil.copytree(PREDICTIONS / "n10", model / "predictions" / "test")
    found = read_results([model], [10, 10]).scores
    arms = found.drop_duplicates(["arm", "test_set"])[["arm", "test_set"]].to_numpy().tolist()
    assert arms == [["2d", "cross-validation"], ["2d", "test"]]


def test_two_double_underscores_make_no_model_folder(tmp_path: Path) -> None:
    shutil.copytree(PREDICTIONS, tmp_path / "my__own__name")
    assert read_results([tmp_path], [10, 20]).scores["arm"].unique().tolist() == ["default"]


def test_datasets_of_other_structures_are_arms_of_their_own() -> None:
    found = read_results([DATA / "results"])
    kinds = found.scores.groupby("arm")["structure"].agg(set)
    assert set(kinds.index) == {"Dataset011_Kidney 2d", "Dataset012_Regions 2d"}
    assert (found.scores["draw"] == 0).all()


def test_results_that_count_as_draws_are_named() -> None:
    together = read_results([DATA / "results"], arms=["all"])
    assert any("counted as draws of arm all at 10 cases" in note for note in together.notes)


def test_arms_may_be_given_once_or_for_every_result() -> None:
    assert read_results([PREDICTIONS], [10, 20], ["mine"]).scores["arm"].unique().tolist() == ["mine"]
    each = read_results([PREDICTIONS], [10, 10], ["a", "b"]).scores
    assert each.drop_duplicates("arm")[["arm", "draw"]].to_numpy().tolist() == [["a", 0], ["b", 0]]
    for wrong in (["a", "b", "c"], [], [" "]):
        with pytest.raises(InputError, match=r"arms must be one name, or one per result.*\n  1\. .*n10\n  2\. .*n20"):
            read_results([PREDICTIONS], [10, 20], wrong)


# ---- how many cases ----------------------------------------------------------------------------------------------


def test_a_single_fold_knows_its_size_from_the_training_log() -> None:
    found = read_results([KIDNEY / "fold_1"])
    assert sorted(found.scores["case"].unique()) == ["case_03", "case_09"]
    assert said(found.notes, "fold_1: n = 10 (the training log), 2 cases")


def test_without_logs_the_splits_tell_while_they_are_those_of_the_folds(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_logs(model, 1)
    preprocessed = shutil.copytree(DATA / "preprocessed", tmp_path / "preprocessed")
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
    splits = preprocessed / model.parent.name / "splits_final.json"
    change(splits, lambda folds: folds[1]["train"].append("case_99"))  # other than numTraining
    assert said(read_results([model]).notes, f"n = 11 ({splits})")
    with pytest.raises(InputError, match=r"must be 11 as told by .*splits_final\.json, or 9 when .*, found 12"):
        read_results([model], [12])
    change(splits, lambda folds: folds[1]["val"].append("case_98"))
    assert said(read_results([model]).notes, "n = 10 (numTraining of")


def test_a_whole_cross_validation_is_its_own_witness(model: Path, declare: Callable[..., None]) -> None:
    without_logs(model, 0, 1, 2, 3, 4)
    declare(model, numTraining=400)  # trained on a part of it
    assert said(read_results([model]).notes, "n = 10 (the cases of its 5 folds)")
    declare(model, numTraining=4)
    without = model / "fold_3", model / "fold_4", model / "fold_2"
    for folder in without:
        shutil.rmtree(folder)
    assert said(read_results([model]).notes, "n = 4 (the cases of its 2 folds)")


def test_a_part_of_the_folds_takes_the_size_of_the_dataset_only_if_it_fits(
    model: Path, declare: Callable[..., None]
) -> None:
    without_logs(model, 0, 1)
    found = read_results([model])
    assert said(found.notes, f"n = 10 (numTraining of {model / 'dataset.json'})", "4 cases")
    declare(model, numTraining=100)  # a fold would have 20 cases
    with pytest.raises(InputError, match=r"must be given.*\n  1\. .*2d \(100\? numTraining of .*dataset\.json\)"):
        read_results([model])
    assert said(read_results([model], [10]).notes, "n = 10 (given)")


def test_a_log_of_another_validation_tells_nothing(model: Path) -> None:
    change(model / "fold_0" / "validation" / SUMMARY, lambda document: document["metric_per_case"].pop())
    assert said(read_results([model]).notes, "n = 9 (the cases of its 5 folds)")


def test_logs_that_disagree_tell_nothing(model: Path) -> None:
    log = next((model / "fold_0").glob("training_log_*"))
    with log.open("a", encoding="utf-8") as stream:
        stream.write("2026-11-22: This split has 80 training and 2 validation cases.\n")
    assert said(read_results([model]).notes, "n = 10 (the cases of its 5 folds)")


def test_a_number_that_contradicts_the_files_is_refused(model: Path) -> None:
    with pytest.raises(InputError, match=r"2d: the number of cases must be 10 as told by the training log, found 12"):
        read_results([model], [12])
    without_logs(model, 0, 1, 2, 3, 4)
    with pytest.raises(InputError, match=r"must be at least the 10 validated, found 9"):
        read_results([model], [9])
    assert said(read_results([model], [12]).notes, "n = 12 (given; the cases of its 5 folds would say 10)")


def test_a_fold_may_count_its_training_cases_alone() -> None:
    found = read_results([KIDNEY / "fold_0"], [8])
    assert found.scores["n_cases"].unique().tolist() == [8]
    assert said(found.notes, "n = 8 (given; the training cases alone, 2 others are scored)")
    with pytest.raises(InputError, match="must be 10 as told by the training log, or 8 when its validation"):
        read_results([KIDNEY / "fold_0"], [9])


def test_predictions_need_a_number_and_the_message_offers_what_is_known() -> None:
    with pytest.raises(InputError) as caught:
        read_results([PREDICTIONS / "n20", KIDNEY])
    lines = str(caught.value).splitlines()
    assert "must be given" in lines[0]
    assert lines[1:] == [
        f"  1. {PREDICTIONS / 'n20'} (10? numTraining of {PREDICTIONS / 'n20' / 'dataset.json'})",
        f"  2. {KIDNEY} (10: the training log)",
    ]


@pytest.mark.parametrize("sizes", [[], [10], [10, 20, 30]])
def test_one_number_per_result_is_needed_and_the_order_is_told(sizes: list[int]) -> None:
    with pytest.raises(InputError, match=rf"found {len(sizes)} for 2\. .*\n  1\. .*n10 .*\n  2\. .*n20 "):
        read_results([PREDICTIONS], sizes)


def test_a_number_below_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"n10: the number of cases must be a whole number >= 1, found 0"):
        read_results([PREDICTIONS], [0, 10])


# ---- what is refused ---------------------------------------------------------------------------------------------


def test_a_case_validated_twice_is_refused(model: Path) -> None:
    shutil.rmtree(model / "fold_1")
    shutil.copytree(model / "fold_0", model / "fold_1")
    with pytest.raises(InputError, match=r"'case_00' in fold_0 and fold_1\. Give the fold folders one by one"):
        read_results([model])
    apart = read_results([model / "fold_0", model / "fold_1"], [8, 10])  # as two sizes with one validation set
    assert apart.scores["n_cases"].unique().tolist() == [8, 10]
    draws = read_results([model / "fold_0", model / "fold_1"], [8, 8])
    assert draws.scores["draw"].unique().tolist() == [0, 1]


def test_the_folds_of_one_cross_validation_are_no_draws() -> None:
    with pytest.raises(InputError, match=r"fold_0 and .*fold_2 with n = 10 are parts of one cross-validation\. Give"):
        read_results([KIDNEY / "fold_0", KIDNEY / "fold_2"])
    apart = read_results([KIDNEY / "fold_0", KIDNEY / "fold_2"], [8, 10])
    assert apart.scores["n_cases"].unique().tolist() == [8, 10]


@pytest.mark.parametrize("again", [[PREDICTIONS, PREDICTIONS / "n10"], [PREDICTIONS / "n10", PREDICTIONS / "n10"]])
def test_a_result_given_twice_is_refused(again: list[Path]) -> None:
    with pytest.raises(InputError, match=r"every result must be given once, found .*n10 twice"):
        read_results(again, [10] * 3)


def test_validation_on_the_training_cases_is_left_out(model: Path) -> None:
    shutil.copytree(model / "fold_0", model / "fold_all")
    found = read_results([model])
    assert said(found.notes, "fold_all", "left out", "the cases it was trained on")
    assert not found.scores.duplicated(KEY).any()
    with pytest.raises(InputError, match=r"no result can be read.*the cases it was trained on"):
        read_results([model / "fold_all"])


def test_a_place_without_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: must hold a summary\.json .* found none\. nnUNetv2_train"):
        read_results([PREDICTIONS, tmp_path / "empty"], [10, 20])
    with pytest.raises(InputError, match=r"gone: must be a folder of nnU-Net results, found no such folder"):
        read_results([tmp_path / "gone"])
    with pytest.raises(InputError, match="at least one folder"):
        read_results([])


def drop(key: str) -> Callable[[Any], object]:
    return lambda document: document["metric_per_case"][1]["metrics"]["2"].pop(key)


def put(key: str, value: object) -> Callable[[Any], object]:
    return lambda document: document["metric_per_case"][1]["metrics"]["2"].update({key: value})


FAULTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "no cases": (lambda d: d.pop("metric_per_case"), "must have metric_per_case with at least one case"),
    "an empty list": (lambda d: d.update(metric_per_case=[]), "must have metric_per_case with at least one case"),
    "nnU-Net v1": (lambda d: (d.clear(), d.update(results={"all": []})), "looks like nnU-Net v1"),
    "no files": (
        lambda d: (d["metric_per_case"][1].pop("reference_file"), d["metric_per_case"][1].pop("prediction_file")),
        "case 2: reference_file or prediction_file is required",
    ),
    "no metrics": (lambda d: d["metric_per_case"][1].pop("metrics"), "case 'case_11': metrics of at least one label"),
    "no Dice": (drop("Dice"), "case 'case_11', label 2: Dice must be a number, found None"),
    "no counts": (drop("TN"), "case 'case_11', label 2: TN must be a number, found None"),
    "Dice in words": (put("Dice", "good"), "label 2: Dice must be a number, found 'good'"),
    "Dice in percent": (put("Dice", 85.0), "label 2: Dice must lie in [0, 1]"),
    "a negative count": (put("FP", -1), "label 2: FP must lie in [0, 1], voxel counts must be >= 0, found -1"),
    "a named label": (
        lambda d: d["metric_per_case"][0]["metrics"].update(kidney=d["metric_per_case"][0]["metrics"].pop("1")),
        "labels must be whole numbers or regions of them, found 'kidney'",
    ),
    "a case twice": (
        lambda d: d["metric_per_case"].append(d["metric_per_case"][0]),
        "every case must appear once, found 'case_10' twice",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_summary_is_refused_naming_file_and_place(tmp_path: Path, fault: str) -> None:
    edit, message = FAULTS[fault]
    path = shutil.copytree(PREDICTIONS / "n20", tmp_path / "n20") / SUMMARY
    change(path, edit)
    with pytest.raises(InputError) as caught:
        read_results([tmp_path], [20])
    assert str(path) in str(caught.value) and message in str(caught.value), caught.value


def test_a_truncated_summary_is_refused_naming_file_and_line(tmp_path: Path) -> None:
    path = shutil.copytree(PREDICTIONS / "n20", tmp_path / "n20") / SUMMARY
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(InputError, match=r"summary\.json, line \d+: must be valid JSON"):
        read_results([tmp_path], [20])


@pytest.mark.parametrize("labels", [None, ["kidney"], {"1": "kidney"}, {"kidney": True}])
def test_a_faulty_dataset_json_is_refused(tmp_path: Path, declare: Callable[..., None], labels: object) -> None:
    folder = shutil.copytree(PREDICTIONS / "n20", tmp_path / "n20")
    declare(folder, labels=labels)
    with pytest.raises(InputError, match=r"n20/dataset\.json: .*label"):
        read_results([folder], [20])


def test_a_fold_without_number_is_refused(model: Path) -> None:
    (model / "fold_0").rename(model / "fold_first")
    with pytest.raises(InputError, match="folds must be numbered, found fold_first"):
        read_results([model])


# ---- nnU-Net itself ----------------------------------------------------------------------------------------------


def test_what_nnunet_evaluates_now_is_read_as_it_is(
    tmp_path: Path, make_dataset: Callable[..., Path], nnunet: None
) -> None:
    import SimpleITK
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics, save_summary_json
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.utilities.json_export import recursive_fix_for_json_export

    labels = {"background": 0, "both": [1, 2], "second": [2]}
    folders = [
        make_dataset(tmp_path / name, cases=3, labels=labels, regions_class_order=[1, 2], seed=seed)
        for seed, name in enumerate(("reference", "predicted"))
    ]
    truth, predicted = (folder / "labelsTr" for folder in folders)
    evaluated = [  # as compute_metrics_on_folder does it, without its process pool
        compute_metrics(str(truth / path.name), str(path), SimpleITKIO(), [(1, 2), (2,)])
        for path in sorted(predicted.iterdir())
    ]
    for one in evaluated:
        recursive_fix_for_json_export(one)
    save_summary_json({"metric_per_case": evaluated, "mean": {}}, str(predicted / SUMMARY))
    found = read_results([predicted], [7])
    for name, values in (("both", (1, 2)), ("second", (2,))):
        dice = scores_of(found, "dice", name)
        for path in sorted(truth.iterdir()):
            a, b = (
                np.isin(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))), values)
                for file in (path, predicted / path.name)
            )
            assert dice[path.name.removesuffix(".nii.gz")] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
