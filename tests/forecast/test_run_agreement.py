import itertools
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dicecast.forecast.agreement import BlandAltman, bland_altman
from dicecast.forecast.annotators import AVERAGED, against_annotators, inter_annotator
from dicecast.forecast.curve import curves_from_scores
from dicecast.forecast.errors import InputError
from dicecast.forecast.paired import compare_sizes
from dicecast.forecast.run_agreement import run_agreement, scores_by_size, sizes_compared
from dicecast.forecast.scores import validate_scores

SIZES = (10, 20, 40)


def rows_of(cases: int = 30, draws: int = 2, seed: int = 0) -> list[dict[str, object]]:
    """Scores of one arm: small structures score worse, one case is missed by one draw, two lack the structure."""
    rng = np.random.default_rng(seed)
    volumes = rng.gamma(1.5, 25, cases).round(2) + 1
    rows: list[dict[str, object]] = []
    for n, draw, i in itertools.product(SIZES, range(draws), range(cases)):
        key = {"arm": "3d", "structure": "tumour", "n_cases": n, "draw": draw, "case": f"c{i:02d}"}
        if i >= cases - 2:
            scores = {"dice": None, "volume_ml": 0.5, "reference_ml": 0.0, "false_positive": 1}
        elif i == 3 and draw == 0:
            scores = {"dice": 0.0, "volume_ml": 0.0, "reference_ml": volumes[i], "msd_mm": None, "missed": 1}
        else:
            dice = np.clip(0.9 - 3 / volumes[i] - 2 / n + rng.normal(0, 0.03), 0, 1)
            volume = volumes[i] * rng.normal(1.02, 0.1)
            distance = rng.gamma(2, 0.5)
            scores = {"dice": dice, "volume_ml": volume, "reference_ml": volumes[i], "msd_mm": distance, "missed": 0}
        rows += [{**key, "metric": metric, "score": score} for metric, score in scores.items()]
    return rows


def table_of(rows: list[dict[str, object]]) -> pd.DataFrame:
    return validate_scores(pd.DataFrame(rows))


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return table_of(rows_of())


def test_sizes_are_tested_as_the_comparison_of_curves_does(scores: pd.DataFrame) -> None:
    found = sizes_compared(scores, "3d", "tumour", level=0.9, seed=0)
    (curve,) = curves_from_scores(scores)
    expected = compare_sizes(curve, 0.9, 0)
    assert [test.difference for test in found.tests] == [one.difference for one in expected]
    assert [(test.n, test.n_reference) for test in found.tests] == [(10, 40), (20, 40)]
    assert (len(found.cases), found.left_out) == (28, 2)
    for test in found.tests:
        oracle = stats.ttest_rel(curve.case_means(40), curve.case_means(test.n))
        assert [test.paired.p_t, test.difference.p] == pytest.approx([oracle.pvalue] * 2)
        assert test.paired.mean == pytest.approx(test.difference.mean)
    by_hand = sorted(test.paired.p_wilcoxon or 0.0 for test in found.tests)
    adjusted = sorted(test.p_wilcoxon_holm or 0.0 for test in found.tests)
    assert adjusted == pytest.approx([2 * by_hand[0], max(2 * by_hand[0], by_hand[1])])
    json.dumps(found.document(), allow_nan=False)


def test_sizes_are_compared_on_cases_defined_in_every_draw_of_every_size(scores: pd.DataFrame) -> None:
    found = sizes_compared(scores, "3d", "tumour", "msd_mm")
    assert "c03" not in found.cases and found.left_out == 1  # cases without the structure have no row of it
    table = scores_by_size(scores, "3d", "tumour", "msd_mm")
    assert [int(n) for n in table.columns] == [*SIZES]
    rows = scores[(scores["metric"] == "msd_mm") & (scores["case"] == "c05") & (scores["n_cases"] == 20)]
    assert table.loc["c05", 20] == pytest.approx(rows["score"].mean())
    assert table.loc["c03"].isna().all()


def test_one_size_leaves_nothing_to_test(scores: pd.DataFrame) -> None:
    found = sizes_compared(scores[scores["n_cases"] == 40], "3d", "tumour")
    assert found.tests == () and "nothing to test" in found.note


def test_a_run_is_summarised_as_by_hand(scores: pd.DataFrame) -> None:
    found = run_agreement(scores, "3d", 20, "tumour")
    rows = scores[(scores["n_cases"] == 20) & (scores["case"] < "c28")]
    dice = rows[rows["metric"] == "dice"].groupby("case")["score"].mean()
    (of_dice,) = (one for one in found.metrics if one.metric == "dice")
    assert (of_dice.n, of_dice.undefined) == (28, 0)
    assert (of_dice.mean, of_dice.sd, of_dice.median) == pytest.approx((dice.mean(), dice.std(), dice.median()))
    assert (of_dice.q1, of_dice.q3) == pytest.approx(tuple(dice.quantile([0.25, 0.75])))
    distances = next(one for one in found.metrics if one.metric == "msd_mm")
    assert (distances.n, distances.undefined) == (27, 1)
    false_positives = next(one for one in found.metrics if one.metric == "false_positive")
    assert (false_positives.n, false_positives.mean, found.absent) == (2, 1.0, 2)
    assert found.missed is not None
    assert (found.missed.predictions, found.missed.missed, found.missed.cases) == (56, 1, 1)
    volumes = rows.pivot_table(index="case", columns="metric", values="score")
    reference, predicted = volumes["reference_ml"], volumes["volume_ml"]
    percent = 100 * (predicted - reference) / reference
    assert found.bland_altman and found.bland_altman_percent and found.regression
    assert found.bland_altman.bias == pytest.approx((predicted - reference).mean())
    assert found.bland_altman_percent.bias == pytest.approx(percent.mean())
    assert found.bland_altman_percent.sd == pytest.approx(percent.std())
    assert found.regression.r2 == pytest.approx(np.corrcoef(reference, predicted)[0, 1] ** 2)
    assert found.dice_by_volume and found.dice_by_volume.r == pytest.approx(stats.spearmanr(dice, reference).statistic)
    assert found.median_ml == pytest.approx(reference.median())
    small, large = dice[reference <= reference.median()], dice[reference > reference.median()]
    assert found.small_and_large and found.small_and_large.p == pytest.approx(
        stats.mannwhitneyu(small, large, method="exact").pvalue
    )
    assert found.small_and_large.median_a == pytest.approx(small.median())
    assert any("averaged over 2 draws" in message for message in found.messages)


def test_one_draw_can_be_looked_at_alone(scores: pd.DataFrame) -> None:
    found = run_agreement(scores, "3d", 20, "tumour", draw=1)
    assert found.draws == (1,) and found.messages == ()
    assert found.missed and (found.missed.predictions, found.missed.missed) == (28, 0)
    assert found.bland_altman and run_agreement(scores, "3d", 20, "tumour").bland_altman
    rows = scores[(scores["n_cases"] == 20) & (scores["draw"] == 1) & (scores["metric"] == "volume_ml")]
    np.testing.assert_allclose(
        found.bland_altman.means[0] * 2, rows["score"].iloc[0] + found.cases["reference_ml"].iloc[0]
    )


def test_the_document_is_strict_json_and_rebuilds_the_numbers(scores: pd.DataFrame) -> None:
    found = run_agreement(scores, "3d", 40, "tumour")
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert len(document["cases"]) == 30 and document["draws"] == [0, 1]
    assert document["cases"][3]["msd_mm"] is None
    assert "differences" not in document["bland_altman"]
    kept = [one for one in document["cases"] if one["reference_ml"]]
    again = bland_altman([one["reference_ml"] for one in kept], [one["volume_ml"] for one in kept], relative=True)
    assert document["bland_altman_percent"]["bias"] == pytest.approx(again.bias)
    assert document["bland_altman_percent"]["bias_ci"]["level"] == 0.95


def test_a_score_missing_in_one_draw_is_undefined_not_averaged_over_the_rest() -> None:
    rows = [
        row for row in rows_of() if not (row["case"] == "c01" and row["draw"] == 1 and row["metric"] == "volume_ml")
    ]
    found = run_agreement(table_of(rows), "3d", 20, "tumour")
    volume = next(one for one in found.metrics if one.metric == "volume_ml")
    assert (volume.n, volume.undefined) == (27, 1)
    assert found.bland_altman and found.bland_altman.n == 27
    assert any("1 case(s) without both volumes" in message for message in found.messages)


def test_without_volumes_the_rest_is_still_told() -> None:
    rows = [row for row in rows_of() if row["metric"] in ("dice", "false_positive")]
    found = run_agreement(table_of(rows), "3d", 20, "tumour", draw=0)
    assert found.absent == 2
    assert [one.n for one in found.metrics] == [28, 2]
    assert found.bland_altman is None and found.dice_by_volume is None and found.missed is None
    assert found.messages == ("volumes: no scores volume_ml and reference_ml, so volumes are not compared",)
    json.dumps(found.document(), allow_nan=False)


@pytest.mark.parametrize("cases", [1, 2, 3])
@pytest.mark.parametrize("dice", [0.0, 0.8, None])
def test_few_or_constant_cases_give_none_never_nan(cases: int, dice: float | None) -> None:
    values = {"dice": dice, "volume_ml": 7.0, "reference_ml": 7.0, "missed": 0}
    rows: list[dict[str, object]] = [
        {"n_cases": 10, "case": f"c{i}", "metric": metric, "score": score}
        for i in range(cases)
        for metric, score in values.items()
    ]
    found = run_agreement(table_of(rows), "default", 10, "all")
    assert found.regression and found.regression.slope is None
    assert found.dice_by_volume and found.dice_by_volume.r is None
    assert {message.split(":")[0] for message in found.messages} >= {"Bland-Altman, mL", "regression", "Dice by volume"}
    json.dumps(found.document(), allow_nan=False)


def test_a_structure_no_test_case_contains_is_no_error() -> None:
    rows: list[dict[str, object]] = [
        {"n_cases": 10, "case": f"c{i}", "metric": metric, "score": score}
        for i in range(4)
        for metric, score in {"dice": None, "volume_ml": 1.0, "reference_ml": 0.0, "false_positive": 1}.items()
    ]
    found = run_agreement(table_of(rows), "default", 10, "all")
    assert found.absent == 4 and found.median_ml is None and found.small_and_large is None
    assert found.bland_altman and found.bland_altman.n == 0
    json.dumps(found.document(), allow_nan=False)


def test_the_case_at_the_median_volume_is_among_the_small_ones() -> None:
    found = run_agreement(table_of(rows_of(cases=9)), "3d", 20, "tumour")  # seven with the structure
    assert found.small_and_large and (found.small_and_large.n_a, found.small_and_large.n_b) == (4, 3)


def test_a_reference_volume_of_0_is_enough_to_be_absent() -> None:
    rows = [row for row in rows_of() if row["metric"] != "false_positive"]
    found = run_agreement(table_of(rows), "3d", 20, "tumour")
    assert found.absent == 2 and found.bland_altman and found.bland_altman.n == 28
    assert next(one for one in found.metrics if one.metric == "dice").undefined == 0


def test_what_is_not_there_is_refused_naming_it(scores: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"arm=2d, structure=tumour.*found none"):
        run_agreement(scores, "2d", 20, "tumour")
    with pytest.raises(InputError, match="n_cases=30"):
        run_agreement(scores, "3d", 30, "tumour")
    with pytest.raises(InputError, match="metric 'nsd'"):
        scores_by_size(scores, "3d", "tumour", "nsd")
    averaged = table_of([{"n_cases": 10, "score": 0.5}])
    with pytest.raises(InputError, match="only averages"):
        run_agreement(averaged, "default", 10, "all")


def test_one_protocol_at_a_time(scores: pd.DataFrame) -> None:
    both = pd.concat([scores, scores.assign(protocol="mirroring")], ignore_index=True)
    with pytest.raises(InputError, match="one protocol, found '', 'mirroring'"):
        run_agreement(both, "3d", 20, "tumour")
    found = run_agreement(both, "3d", 20, "tumour", protocol="mirroring")
    assert found.metrics == run_agreement(scores, "3d", 20, "tumour").metrics


def test_a_reference_that_moves_between_draws_is_refused() -> None:
    rows = rows_of()
    (moved,) = (
        row
        for row in rows
        if (row["case"], row["draw"], row["n_cases"], row["metric"]) == ("c05", 1, 20, "reference_ml")
    )
    moved["score"] = 999.0
    with pytest.raises(InputError, match="same in every draw, found several for case 'c05'"):
        run_agreement(table_of(rows), "3d", 20, "tumour")


def scored_by(*, lacking: str = "") -> pd.DataFrame:
    """Scores against the majority and against two annotators, in two draws; one annotator did not find one case."""
    rng = np.random.default_rng(3)
    rows: list[dict[str, object]] = []
    for draw, test_set, i in itertools.product(range(2), ("test", "test by ann", "test by bob"), range(9)):
        gone = test_set == "test by bob" and f"c{i}" == lacking
        score = None if gone else 0.5 + i / 20 + rng.normal(0, 0.05) - 0.1 * (test_set != "test")
        key = {"arm": "3d", "structure": "cyst", "n_cases": 20, "draw": draw, "test_set": test_set}
        rows.append({**key, "case": f"c{i}", "metric": "dice", "score": score})
    return table_of(rows)


def test_scores_against_annotators_stand_beside_those_of_the_same_cases_against_the_majority() -> None:
    table = scored_by(lacking="c4")
    found = against_annotators(table, "3d", 20, "cyst", {"ann": "test by ann", "bob": "test by bob"})
    means = table.groupby(["test_set", "case"])["score"].mean().unstack(0)
    means.loc["c4", "test by bob"] = np.nan
    assert [(one.annotator, one.cases) for one in found] == [("ann", 9), ("bob", 8), (AVERAGED, 8)]
    ann, bob, both = found
    assert (ann.mean, ann.mean_majority) == pytest.approx((means["test by ann"].mean(), means["test"].mean()))
    assert bob.mean_majority == pytest.approx(means["test"].drop("c4").mean())
    averaged = means[["test by ann", "test by bob"]].mean(axis=1, skipna=False).dropna()
    assert both.mean == pytest.approx(averaged.mean())
    assert both.rank.r == pytest.approx(stats.spearmanr(averaged, means["test"].drop("c4")).statistic)


def test_one_annotator_has_no_mean_of_several_and_none_is_refused() -> None:
    table, references = scored_by(), {"ann": "test by ann"}
    (ann,) = against_annotators(scores=table, arm="3d", n=20, structure="cyst", references=references)
    assert ann.annotator == "ann"
    means = table.groupby(["test_set", "case"])["score"].mean().unstack(0)
    assert ann.rank.r == pytest.approx(stats.spearmanr(means["test by ann"], means["test"]).statistic)
    assert ann.rank.r is not None and ann.rank.r < 1
    with pytest.raises(InputError, match="test_set=test by eve"):
        against_annotators(scored_by(), "3d", 20, "cyst", {"eve": "test by eve"})


def annotators(seed: int = 0, cases: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        {"case": f"c{i}", "structure": "cyst", "a": a, "b": b, "dice": rng.uniform(0.7, 0.95)}
        for i in range(cases)
        for a, b in [*itertools.combinations(("ann", "bob", "eve"), 2), ("ann", "majority"), ("majority", "bob")]
    ]
    return pd.DataFrame(rows)


def test_the_ceiling_is_the_mean_over_cases_of_the_mean_over_pairs() -> None:
    table = annotators()
    table = table[~((table["case"] == "c0") & (table["b"] == "eve"))]  # c0 has one pair only, and counts as much
    (found,) = inter_annotator(table)
    between = table[(table["a"] != "majority") & (table["b"] != "majority")]
    per_case = [rows["dice"].mean() for _, rows in between.groupby("case")]
    assert found.between.mean == pytest.approx(np.mean(per_case))
    assert (found.between.cases, found.between.scores) == (12, 34)
    assert found.annotators == ("ann", "bob", "eve")
    assert found.with_majority.scores == 24
    (early,) = inter_annotator(table.replace("majority", "all"), majority="all")  # first in the alphabet
    assert (early.between.scores, early.with_majority.scores) == (34, 24)
    ci = found.between.ci
    assert ci and ci.level == 0.95
    normal = 1.96 * np.std(per_case) / np.sqrt(12)
    assert (ci.hi - ci.lo) / 2 == pytest.approx(normal, rel=0.1)
    assert inter_annotator(table) == (found,)
    assert inter_annotator(table, seed=1) != (found,)
    json.dumps(found.document(), allow_nan=False)


def test_pairs_that_found_nothing_are_counted_not_averaged() -> None:
    table = annotators()
    table.loc[table["case"] == "c1", "dice"] = np.nan
    (found,) = inter_annotator(table)
    assert (found.undefined, found.between.cases) == (5, 11)
    few = inter_annotator(annotators(cases=2))[0]
    assert few.between.mean is not None and few.between.ci is None and "2 case(s)" in few.note
    voted = annotators()
    alone = inter_annotator(voted[voted["b"] == "majority"])[0]
    assert alone.between.mean is None and alone.with_majority.mean is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="dice"), "column 'dice' is required"),
        (lambda t: t.assign(dice=85.0), r"row 0: dice must lie in \[0, 1\].*dice=85"),
        (lambda t: t.assign(dice="good"), r"dice must lie in \[0, 1\]"),
        (lambda t: t.assign(a="ann", b="ann"), "two annotators"),
        (lambda t: pd.concat([t, t.rename(columns={"a": "b", "b": "a"})]), "once per case"),
        (lambda t: t.assign(case=None), "filled in"),
        (lambda t: t.iloc[:0], "found none"),
    ],
)
def test_a_faulty_table_of_annotators_is_refused(change: Callable[[pd.DataFrame], pd.DataFrame], words: str) -> None:
    with pytest.raises(InputError, match=words):
        inter_annotator(change(annotators()))


def test_results_keep_the_data_that_produced_them(scores: pd.DataFrame) -> None:
    found = run_agreement(scores, "3d", 20, "tumour", draw=0)
    assert isinstance(found.bland_altman, BlandAltman)
    assert len(found.bland_altman.differences) == found.bland_altman.n == len(found.bland_altman.means)
    assert found.bland_altman.bias == pytest.approx(found.bland_altman.differences.mean())
