"""Which test cases get a picture."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pytest

from dicecast.adapters.cases.choice import cases_to_draw


def table(**metrics: Mapping[str, float | None]) -> pd.DataFrame:
    rows = [(case, metric, score) for metric, found in metrics.items() for case, score in found.items()]
    return pd.DataFrame(rows, columns=["case", "metric", "score"]).astype({"score": float})


def kinds(scores: pd.DataFrame, metric: str = "dice") -> list[tuple[str, str]]:
    return [(one.kind, one.case) for one in cases_to_draw(scores, metric)]


def test_the_best_the_middle_and_the_worst_case_are_chosen() -> None:
    found = cases_to_draw(table(dice={"a": 0.5, "b": 0.9, "c": 0.7, "d": 0.8, "e": 0.1}), "dice")
    assert [(one.kind, one.case, one.score) for one in found] == [
        ("best", "b", 0.9),
        ("median", "c", 0.7),
        ("worst", "e", 0.1),
    ]
    assert {(one.of, one.missed) for one in found} == {(5, 0)}
    assert found[0].mean == pytest.approx(0.6)


def test_the_order_of_rows_is_irrelevant_and_ties_go_by_name() -> None:
    scores = table(dice=dict.fromkeys("dbca", 0.5))
    assert kinds(scores) == kinds(scores[::-1]) == [("best", "a"), ("median", "c"), ("worst", "d")]


def test_no_case_is_chosen_twice() -> None:
    assert kinds(table(dice={"a": 0.5})) == [("median", "a")]
    assert kinds(table(dice={"a": 0.5, "b": 0.9})) == [("best", "b"), ("worst", "a")]
    assert kinds(table(dice={"a": 0.5, "b": 0.5})) == [("best", "a"), ("worst", "b")]


def test_cases_without_a_score_are_left_out() -> None:
    found = cases_to_draw(table(dice={"a": 0.5, "b": None, "c": 0.7}), "dice")
    assert [(one.kind, one.case, one.of) for one in found] == [("best", "c", 2), ("worst", "a", 2)]
    assert cases_to_draw(table(dice={"a": None}), "dice") == []
    assert cases_to_draw(table(nsd={"a": 0.4}), "dice") == []


def test_a_missed_structure_is_shown_where_it_is_not_the_worst_already() -> None:
    dice = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.0, "e": 0.0}
    missed = {"a": 0.0, "b": 0.0, "c": 0.0, "d": 1.0, "e": 1.0}
    found = cases_to_draw(table(dice=dice, missed=missed), "dice")
    assert [(one.kind, one.case) for one in found][2:] == [("worst", "e"), ("missed", "d")]
    assert {one.missed for one in found} == {2}


def test_a_prediction_elsewhere_is_a_miss_too() -> None:
    scores = table(dice={"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.0, "e": 0.0}, missed=dict.fromkeys("abcde", 0.0))
    assert kinds(scores)[2:] == [("worst", "e"), ("missed", "d")]


def test_missed_lesions_rank_by_sensitivity_then_by_score() -> None:
    dice = {"a": 0.95, "b": 0.9, "c": 0.8, "d": 0.7, "e": 0.6, "f": 0.5, "g": 0.4}
    sensitivity = {"a": 1.0, "b": 0.5, "c": 0.25, "d": 1.0, "e": 0.25, "f": 0.75, "g": 1.0}
    scores = table(dice=dice, lesion_sensitivity=sensitivity, missed=dict.fromkeys(dice, 0.0))
    assert kinds(scores)[-1] == ("missed", "e")
    assert cases_to_draw(scores, "dice")[0].missed == 4


def test_the_deciding_metric_ranks() -> None:
    scores = table(dice={"a": 0.9, "b": 0.1}, nsd={"a": 0.2, "b": 0.3})
    assert kinds(scores, "nsd") == [("best", "b"), ("worst", "a")]
