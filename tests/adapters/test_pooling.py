"""Scores of voxels counted over all test cases, against counts of the hand and against one large image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from dicecast.adapters.metrics import case_scores
from dicecast.adapters.pooling import COUNTS, pooled_scores
from dicecast.forecast.curve import curves_from_scores
from dicecast.forecast.errors import InputError
from dicecast.forecast.scores import CROSS_VALIDATION, validate_scores

Mask = npt.NDArray[np.bool_]


def run(counts: dict[str, tuple[int, int, int, int]], n: int = 10, **keys: Any) -> list[dict[str, Any]]:
    """Rows of one run: tp, fp, fn and tn by test case."""
    return [
        {"n_cases": n, "case": case, "metric": metric, "score": count, **keys}
        for case, found in counts.items()
        for metric, count in zip(COUNTS, found, strict=True)
    ]


def pooled(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pooled_scores(validate_scores(pd.DataFrame(rows)))


def by_metric(found: pd.DataFrame) -> dict[str, float]:
    assert not found["metric"].duplicated().any()
    return dict(zip(found["metric"], found["score"], strict=True))


def test_voxels_are_summed_before_the_ratio_is_taken() -> None:
    found = by_metric(pooled(run({"a": (90, 10, 10, 890), "b": (0, 0, 10, 990)})))
    assert found == {
        "dice": pytest.approx(180 / 210),
        "f1": pytest.approx(180 / 210),
        "jaccard": pytest.approx(90 / 120),
        "recall": pytest.approx(90 / 110),
        "precision": pytest.approx(90 / 100),
        "specificity": pytest.approx(1880 / 1890),
        "accuracy": pytest.approx(1970 / 2000),
    }


def test_false_positives_of_cases_without_the_structure_count() -> None:
    alone = by_metric(pooled(run({"a": (50, 0, 50, 900)})))
    beside = by_metric(pooled(run({"a": (50, 0, 50, 900), "b": (0, 100, 0, 900)})))
    assert [alone["dice"], beside["dice"]] == pytest.approx([100 / 150, 100 / 250])
    assert beside["precision"] == pytest.approx(50 / 150)


def test_a_structure_that_no_test_case_contains_has_no_pooled_scores() -> None:
    assert pooled(run({"a": (0, 10, 0, 90)})).empty


def test_every_run_is_pooled_on_its_own() -> None:
    keys: list[dict[str, Any]] = [
        {"n": 10},
        {"n": 20},
        {"draw": 1},
        {"arm": "3d"},
        {"structure": "tumour"},
        {"test_set": "north"},
        {"stratum": "site: Bonn"},
        {"protocol": "abc"},
    ]
    rows = [row for i, key in enumerate(keys) for row in run({"a": (10 + i, 5, 5, 80), "b": (1, 1, 1, 7)}, **key)]
    found = pooled(rows)
    dice = found[found["metric"] == "dice"]
    assert len(dice) == len(keys)
    assert sorted(dice["score"]) == pytest.approx([2 * (11 + i) / (2 * (11 + i) + 12) for i in range(len(keys))])
    tumour = dice[dice["structure"] == "tumour"]
    assert tumour["score"].item() == pytest.approx(30 / 42)


def test_pooled_scores_are_averaged_ones_and_make_a_curve() -> None:
    rows = [row for n in (5, 10, 20) for row in run({"a": (n, 20 - n, 5, 80), "b": (n, 0, 0, 80)}, n=n)]
    found = pooled(rows)
    assert set(found["case"]) == {""}
    assert found.equals(validate_scores(found))
    (curve,) = curves_from_scores(found[found["metric"] == "dice"])
    assert curve.n_test is None and curve.cases is None
    np.testing.assert_allclose(curve.y, [4 * n / (4 * n + 20 - n + 5) for n in (5, 10, 20)])


def test_runs_of_cross_validation_are_pooled_over_their_own_cases() -> None:
    rows = run({"a": (1, 1, 1, 7)}, n=5, test_set=CROSS_VALIDATION)
    rows += run({"b": (5, 0, 0, 5), "c": (5, 0, 0, 5)}, n=10, test_set=CROSS_VALIDATION)
    found = pooled(rows)
    (curve,) = curves_from_scores(found[found["metric"] == "dice"])
    np.testing.assert_allclose(curve.y, [0.5, 1.0])


@pytest.mark.parametrize("missing", COUNTS)
def test_scores_without_counts_are_refused_naming_the_missing_one(missing: str) -> None:
    rows = [row for row in run({"a": (1, 2, 3, 4)}) if row["metric"] != missing]
    with pytest.raises(InputError, match=f"found no {missing}. Add them to metrics in"):
        pooled([*rows, {"n_cases": 10, "case": "a", "metric": "dice", "score": 0.5}])


def test_no_counts_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="pooled scores need the metrics tp, fp, fn, tn per test case, found no tp"):
        pooled([{"n_cases": 10, "case": "a", "metric": "dice", "score": 0.5}])


masks = hnp.arrays(bool, (3, 2, 4, 5))


@settings(max_examples=40)
@given(reference=masks, predicted=masks)
def test_pooling_is_scoring_all_cases_side_by_side_as_one_image(reference: Mask, predicted: Mask) -> None:
    wanted = (*COUNTS, "dice", "f1", "jaccard", "recall", "precision", "specificity", "accuracy")
    rows = []
    for number, (one, other) in enumerate(zip(reference, predicted, strict=True)):
        found = case_scores(one, other, wanted=COUNTS, spacing=None, tolerance=0)
        rows += [{"n_cases": 10, "case": str(number), "metric": m, "score": s} for m, s in found.items() if m in COUNTS]
    together = case_scores(
        np.concatenate(list(reference)), np.concatenate(list(predicted)), wanted=wanted, spacing=None, tolerance=0
    )
    expected = {name: together[name] for name in wanted[len(COUNTS) :] if together[name] is not None}
    assert by_metric(pooled(rows)) == {name: pytest.approx(score) for name, score in expected.items()}
