"""What is read of a study, a scores CSV and nnU-Net's results, and which of their curves are wished for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dicecast.adapters.files import write_json
from dicecast.adapters.sources import Source, Wishes, read_source
from dicecast.adapters.study import open_study
from dicecast.adapters.tables import write_csv
from dicecast.forecast.curve import Curve
from dicecast.forecast.errors import InputError
from dicecast.forecast.scores import CROSS_VALIDATION

RESULTS = Path(__file__).parent / "data" / "nnunet" / "results" / "Dataset011_Kidney"
SIZES = (2, 3, 4)
CASES = ("a", "b")
COUNTED = {"tp": 10.0, "fp": 5.0, "fn": 5.0, "tn": 80.0}
Key = tuple[str, str, str, str]


def key(curve: Curve) -> Key:
    return (curve.structure, curve.metric, curve.test_set, curve.stratum)


def read(source: Path, **wishes: Any) -> Source:
    return read_source(source, Wishes(**wishes))


def keys(source: Path, **wishes: Any) -> set[Key]:
    found = [key(curve) for curve in read(source, **wishes).curves]
    assert len(set(found)) == len(found)
    return set(found)


def rows(n: int, cases: tuple[str, ...] = CASES, arm: str = "2d") -> pd.DataFrame:
    """A run's scores: two structures on the test set, another hospital's and in cross-validation."""
    found = []
    for test_set in ("test", "north", CROSS_VALIDATION):
        held = [f"pool {n}"] if test_set == CROSS_VALIDATION else list(cases)
        for i, case in enumerate(held):
            for j, structure in enumerate(("organ", "tumour")):
                dice = 0.9 - 1 / (n + 2) - i / 20 - j / 10 - 0.2 * (test_set == "north")
                scores = {"dice": dice, "jaccard": dice / (2 - dice), "hd95_mm": 9.0, **COUNTED}
                found += [
                    {"structure": structure, "test_set": test_set, "case": case, "metric": metric, "score": score}
                    for metric, score in scores.items()
                ]
    return pd.DataFrame(found).assign(n_cases=n, arm=arm, draw=0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A scores CSV."""
    write_csv(pd.concat([rows(n) for n in SIZES]), tmp_path / "scores.csv")
    return tmp_path / "scores.csv"


@pytest.fixture
def study(new_study: Callable[..., Path], keep_run: Callable[..., Path]) -> Callable[..., Path]:
    """study("metrics = [...]", ...): a study whose runs are on record, with lines of its own under [scores]."""

    def build(*lines: str) -> Path:
        folder = new_study("--configuration", "2d", "--sizes", "2,3,4", "--draws", 1)
        text = (folder / "study.toml").read_text(encoding="utf-8")
        start, end = text.index("\n[scores]") + 1, text.index("\n[cost]") + 1
        (folder / "study.toml").write_text("\n".join([text[:start], "[scores]", *lines, text[end:]]), encoding="utf-8")
        test = tuple(open_study(folder).test)
        for n in SIZES:
            keep_run(folder, rows(n, test), n=n)
        facts = [
            {"case": case, "structure": structure, "volume": volume, "diameter": 5.0, "heterogeneity": 1.0}
            for structure in ("organ", "tumour")
            for case, volume in zip(test, (1.0, 9.0), strict=True)
        ]
        write_csv(pd.DataFrame(facts), folder / "test_sets" / "facts.csv")
        return folder

    return build


def curves_of(*test_sets: str, metric: str = "dice", stratum: str = "all") -> set[Key]:
    return {(structure, metric, test_set, stratum) for structure in ("organ", "tumour") for test_set in test_sets}


# a study


def test_a_study_gives_the_curves_of_its_metrics_on_every_test_set_but_not_of_cross_validation(
    study: Callable[..., Path],
) -> None:
    assert keys(study()) == curves_of("test", "north")


def test_a_study_may_ask_for_curves_of_several_metrics(study: Callable[..., Path]) -> None:
    folder = study('curve_metrics = ["jaccard", "dice"]')
    assert keys(folder) == curves_of("test", "north") | curves_of("test", "north", metric="jaccard")


def test_a_study_knows_its_annotated_cases(study: Callable[..., Path]) -> None:
    found = read(study())
    assert found.study is not None
    assert {(curve.n_annotated, curve.pool) for curve in found.curves} == {(4, (4,))}
    assert {curve.n_annotated for curve in read(found.study.folder, annotated=9).curves} == {9}


def test_a_run_that_is_not_complete_does_not_count(study: Callable[..., Path]) -> None:
    folder = study()
    write_json(folder / "runs/2d/n4/draw0/run.json", {"status": "failed"})
    assert {tuple(curve.sizes) for curve in read(folder).curves} == {(2, 3)}


def test_strata_are_curves_of_the_test_set(study: Callable[..., Path]) -> None:
    folder = study('strata = ["volume@5"]')
    parts = {stratum: curves_of("test", stratum=stratum) for stratum in ("volume <= 5 mL", "volume > 5 mL")}
    assert keys(folder) == curves_of("test", "north").union(*parts.values())
    for stratum, expected in parts.items():
        assert keys(folder, stratum=stratum) == expected
    assert keys(folder, stratum="all") == curves_of("test", "north")
    whole, small, large = (
        next(curve for curve in read(folder).curves if key(curve) == ("organ", "dice", "test", stratum))
        for stratum in ("all", *parts)
    )
    np.testing.assert_allclose(whole.y, (small.y + large.y) / 2)
    assert (whole.n_test, small.n_test, large.n_test) == (2, 1, 1)


def test_wishes_choose_curves_of_a_study(study: Callable[..., Path]) -> None:
    folder = study()
    assert keys(folder, metric="jaccard") == curves_of("test", "north", metric="jaccard")
    assert keys(folder, test_set="north") == curves_of("north")
    assert keys(folder, test_set=CROSS_VALIDATION) == curves_of(CROSS_VALIDATION)
    assert keys(folder, test_set=CROSS_VALIDATION, metric="jaccard", structure="organ") == {
        ("organ", "jaccard", CROSS_VALIDATION, "all")
    }
    assert keys(folder, arm="2d", structure="tumour", test_set="test") == {("tumour", "dice", "test", "all")}


def test_a_curve_of_cross_validation_needs_no_shared_cases(study: Callable[..., Path]) -> None:
    for curve in read(study(), test_set=CROSS_VALIDATION).curves:
        assert curve.n_test is None and tuple(curve.sizes) == SIZES


def test_a_wish_for_a_test_set_keeps_the_studys_metrics(study: Callable[..., Path]) -> None:
    folder = study('metrics = ["jaccard", "hd95_mm"]', 'curve_metrics = ["jaccard"]')
    for n in SIZES:
        path = folder / "runs" / "2d" / f"n{n}" / "draw0" / "scores.csv"
        made = pd.read_csv(path)
        write_csv(made[made["metric"].isin(["jaccard", "hd95_mm"])], path)
    assert keys(folder, test_set="north") == curves_of("north", metric="jaccard")


def test_pooled_scores_of_a_study_are_dice_on_every_test_set(study: Callable[..., Path]) -> None:
    folder = study('strata = ["volume@5"]')
    assert keys(folder, pooled=True) == curves_of("test", "north")
    for curve in read(folder, pooled=True).curves:
        assert curve.n_test is None
        np.testing.assert_allclose(curve.y, 20 / 30)
    (curve,) = read(folder, pooled=True, metric="recall", test_set="north", structure="organ").curves
    np.testing.assert_allclose(curve.y, 10 / 15)
    assert keys(folder, pooled=True, test_set=CROSS_VALIDATION) == curves_of(CROSS_VALIDATION)


def test_what_no_curve_is_made_of_is_named(study: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="no Dice-like metric to forecast: found hd95_mm"):
        read(study(), metric="hd95_mm")


def test_a_part_that_holds_every_case_is_no_part(study: Callable[..., Path]) -> None:
    assert keys(study('strata = ["volume@100"]')) == curves_of("test", "north")


def test_strata_are_there_for_every_dice_like_metric(study: Callable[..., Path]) -> None:
    folder = study('strata = ["volume@5"]')
    small = "volume <= 5 mL"
    assert keys(folder, metric="jaccard", stratum=small) == curves_of("test", metric="jaccard", stratum=small)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ('metrics = ["jaccard", "dice"]', "holds now: metrics."),
        ('structures = ["organ"]', "holds now: structures."),
        ('unions = { both = ["organ", "tumour"] }', "holds now: unions."),
        ("surface_tolerance_mm = { tumour = 2.5 }", "holds now: surface_tolerance_mm."),
    ],
)
def test_scores_of_other_settings_are_not_used(study: Callable[..., Path], now: str, told: str) -> None:
    folder = study('metrics = ["dice", "jaccard"]')
    path = folder / "study.toml"
    scores = now if now.startswith("metrics") else f'metrics = ["dice", "jaccard"]\n{now}'
    path.write_text(path.read_text(encoding="utf-8").replace('metrics = ["dice", "jaccard"]', scores), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(folder)
    assert told in str(caught.value) and f"dicecast run {folder}" in str(caught.value)


def test_a_union_of_other_parts_is_not_used(study: Callable[..., Path]) -> None:
    folder = study('structures = ["both"]', 'unions = { both = ["organ", "tumour"] }')
    read(folder)
    path = folder / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('["organ", "tumour"]', '["organ"]'), encoding="utf-8")
    with pytest.raises(InputError, match="holds now: unions"):
        read(folder)


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_scores_made_by_unknown_settings_are_not_used(study: Callable[..., Path], content: str | None) -> None:
    folder = study()
    path = folder / "runs/2d/n3/draw0/scoring.json"
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"scoring\.json beside it cannot be read.*dicecast run"):
        read(folder)


def test_strata_without_what_the_references_say_are_refused(study: Callable[..., Path]) -> None:
    folder = study('strata = ["volume@5"]')
    facts = folder / "test_sets" / "facts.csv"
    facts.write_text("case,structure\na,organ\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"facts\.csv: column 'volume' is required.*dicecast run"):
        read(folder)
    facts.unlink()
    with pytest.raises(InputError, match=r"facts\.csv: strata need.*dicecast run"):
        read(folder)


def test_other_things_beside_the_runs_are_not_looked_at(study: Callable[..., Path]) -> None:
    folder = study()
    before = keys(folder)
    for name in ("runs/2d/notes/draw0", "runs/2d/n4 copy/draw0", "runs/2d/n4/draw0.bak", "runs/2d/n04/draw0"):
        shutil.copytree(folder / "runs/2d/n2/draw0", folder / name)
    (folder / "runs/2d/n4/.DS_Store").touch()
    assert keys(folder) == before


def test_a_run_folder_that_was_copied_is_refused(study: Callable[..., Path]) -> None:
    folder = study()
    shutil.copytree(folder / "runs/2d/n4/draw0", folder / "runs/2d/n4/draw1")
    with pytest.raises(InputError, match=r"draw1.*must be the record of arm 2d, n 4, draw 1.*found that of.*draw 0"):
        read(folder)


def test_scores_of_another_run_are_refused(study: Callable[..., Path]) -> None:
    folder = study()
    shutil.copy(folder / "runs/2d/n2/draw0/scores.csv", folder / "runs/2d/n4/draw0/scores.csv")
    with pytest.raises(InputError, match=r"scores\.csv: must hold the scores of arm 2d, 4 cases, draw 0 alone"):
        read(folder)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda table, last: table.drop(columns="score"), "column 'score' is required"),
        (lambda table, last: table.iloc[:0], "at least one row of scores is required"),
        (
            lambda table, last: table[table["case"] != last],
            "the {count} cases of the test set .* none of case '{last}'",
        ),
        (lambda table, last: table.replace({"case": {last: "zz"}}), "found none of case '{last}'"),
        (lambda table, last: table.replace({"case": {last: "!"}}), "found one of case '!'"),
        (lambda table, last: table.assign(score="much"), "line 2, column 'score'"),
    ],
    ids=["no scores", "no rows", "cut short", "another case", "a case that is none", "no numbers"],
)
def test_scores_that_are_not_whole_are_refused(
    study: Callable[..., Path], broken: Callable[[pd.DataFrame, str], pd.DataFrame], told: str
) -> None:
    path = (folder := study()) / "runs/2d/n4/draw0/scores.csv"
    test = open_study(folder).test
    broken(pd.read_csv(path), test[-1]).to_csv(path, index=False)
    words = told.format(count=len(test), last=test[-1])
    with pytest.raises(InputError, match=rf"n4/draw0/scores\.csv.*{words}"):
        read(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{}", "with status completed or failed, found none"),
        ("[]", "with status completed or failed, found none"),
        ('{"status": "done"}', "found 'done'"),
        ('{"status": "completed", "arm": "2d"}', "must say arm, n, draw, cases, protocol, seconds, found no n"),
    ],
)
def test_a_broken_record_of_a_run_is_named(study: Callable[..., Path], content: str, told: str) -> None:
    folder = study()
    (folder / "runs/2d/n3/draw0/run.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(folder)
    assert told in str(caught.value) and "run.json" in str(caught.value)


@pytest.mark.parametrize(
    ("wish", "unknown", "known"),
    [
        ("arm", "3d", "only '2d'."),
        ("structure", "Tumor", "'organ', 'tumour'. Did you mean 'tumour'?"),
        ("metric", "nsd", "'dice', 'fn', 'fp', 'hd95_mm', 'jaccard', 'tn', 'tp'."),
        ("test_set", "south", "'cross-validation', 'north', 'test'."),
        ("stratum", "site: Bonn", "only 'all'."),
    ],
)
def test_a_wish_that_nothing_fits_is_refused_naming_what_there_is(
    study: Callable[..., Path], table: Path, wish: str, unknown: str, known: str
) -> None:
    for source in (study(), table):
        with pytest.raises(InputError) as caught:
            read(source, **{wish: unknown})
        told = str(caught.value)
        assert told.startswith(f"{source}: unknown {wish.replace('_', ' ')} {unknown!r}: there is {known}"), told


def test_a_metric_that_pooling_does_not_give_is_refused(table: Path) -> None:
    with pytest.raises(InputError, match="unknown metric 'hd95_mm': there is 'accuracy', 'dice', 'f1', 'jaccard'"):
        read(table, pooled=True, metric="hd95_mm")


# a scores CSV


def test_a_table_gives_every_dice_like_curve_but_those_of_cross_validation(table: Path) -> None:
    assert keys(table) == curves_of("test", "north") | curves_of("test", "north", metric="jaccard")
    found = read(table)
    assert found.study is None and found.notes == []
    assert "hd95_mm: not Dice-like" in found.not_forecast
    assert {curve.n_annotated for curve in found.curves} == {4}


def test_a_table_of_cross_validation_alone_gives_its_curves(tmp_path: Path) -> None:
    made = pd.concat([rows(n) for n in SIZES])
    write_csv(made[made["test_set"] == CROSS_VALIDATION], tmp_path / "scores.csv")
    assert keys(tmp_path / "scores.csv", metric="dice") == curves_of(CROSS_VALIDATION)


def test_wishes_choose_curves_of_a_table(table: Path) -> None:
    assert keys(table, metric="dice", test_set=CROSS_VALIDATION) == curves_of(CROSS_VALIDATION)
    assert keys(table, pooled=True) == curves_of("test", "north")
    assert keys(table, structure="organ", metric="jaccard", test_set="test") == {("organ", "jaccard", "test", "all")}


def test_a_table_without_counts_cannot_be_pooled(tmp_path: Path) -> None:
    made = pd.concat([rows(n) for n in SIZES])
    write_csv(made[made["metric"] == "dice"], tmp_path / "scores.csv")
    with pytest.raises(InputError, match="pooled scores need the metrics tp, fp, fn, tn"):
        read(tmp_path / "scores.csv", pooled=True)


# nnU-Net's results


@pytest.fixture(autouse=True)
def no_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)


def test_results_of_nnunet_give_dice_of_the_cases_that_each_fold_held_out() -> None:
    found = read(RESULTS)
    assert found.study is None and found.notes
    assert {(curve.metric, curve.test_set) for curve in found.curves} == {("dice", CROSS_VALIDATION)}
    assert {curve.structure for curve in found.curves} == {
        curve.structure for curve in read(RESULTS, pooled=True).curves
    }


def test_wishes_choose_curves_of_results(tmp_path: Path) -> None:
    assert {curve.metric for curve in read(RESULTS, metric="jaccard").curves} == {"jaccard"}
    (kidney,) = read(RESULTS, structure="kidney").curves
    table = read(RESULTS, structure="kidney", metric="dice").scores
    assert kidney.y[0] == pytest.approx(table["score"].mean())
    with pytest.raises(InputError, match="unknown test set 'test': there is only 'cross-validation'"):
        read(RESULTS, test_set="test")
    with pytest.raises(InputError, match="unknown metric 'nsd'"):
        read(RESULTS, metric="nsd")


def test_pooled_results_count_the_voxels_that_nnunet_counted() -> None:
    from dicecast.adapters.sources import source_scores

    scores, _, _ = source_scores(RESULTS)
    (curve,) = read(RESULTS, structure="kidney", pooled=True).curves
    kidney = scores[scores["structure"] == "kidney"]
    tp, fp, fn = (kidney.loc[kidney["metric"] == name, "score"].sum() for name in ("tp", "fp", "fn"))
    assert curve.y[0] == pytest.approx(2 * tp / (2 * tp + fp + fn))


def test_a_folder_of_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a study folder, a scores CSV or a folder of nnU-Net results"):
        read(tmp_path)


def test_results_that_do_not_tell_their_size_lead_to_the_import(tmp_path: Path) -> None:
    shutil.copytree(next(RESULTS.parent.rglob("summary.json")).parent, tmp_path / "predictions")
    with pytest.raises(InputError, match=r"dicecast import .* --n N"):
        read(tmp_path / "predictions")


@pytest.mark.parametrize(("left", "reach"), [(None, None), (0, 4), (6, 10)])
def test_cases_left_say_how_far_is_looked_and_none_is_a_number(
    table: Path, left: int | None, reach: int | None
) -> None:
    assert read(table, left=left).question.reach == reach


def test_a_csv_of_another_kind_is_noted(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("n_cases;score\n4;0,5\n8;0,6\n", encoding="utf-8")
    found = read(tmp_path / "scores.csv")
    assert list(found.scores["score"]) == [0.5, 0.6]
    assert found.notes == [f"{tmp_path / 'scores.csv'} was read with columns separated by semicolons, decimal commas."]
