"""Curves of cross-validation, where every run is scored on cases of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.curve import curves_from_scores, not_forecast
from dicecast.forecast.errors import InputError
from dicecast.forecast.forecast import Question, forecast_curve
from dicecast.forecast.scores import CROSS_VALIDATION, validate_scores

RUNS = {(4, 0): [0.2, 0.4, 0.3, 0.5], (4, 1): [0.1, 0.3], (10, 0): [0.6, 0.7, 0.8]}
"""Scores of the cases that each run held out, by size and draw; no two runs share a case."""


def held_out(runs: dict[tuple[int, int], list[float]], **keys: str) -> pd.DataFrame:
    rows = [
        {"n_cases": n, "draw": draw, "case": f"case {n} {draw} {i}", "score": score}
        for (n, draw), scores in runs.items()
        for i, score in enumerate(scores)
    ]
    return validate_scores(pd.DataFrame(rows).assign(**{"test_set": CROSS_VALIDATION, **keys}))


def on_test(test_set: str = "test") -> pd.DataFrame:
    rows = [
        {"n_cases": n, "draw": draw, "case": case, "score": 0.5 + n / 100 + i / 10}
        for n, draw in ((4, 0), (4, 1), (10, 0))
        for i, case in enumerate("abc")
    ]
    return validate_scores(pd.DataFrame(rows).assign(test_set=test_set))


def test_every_run_counts_with_its_mean_and_its_standard_error_over_cases() -> None:
    (curve,) = curves_from_scores(held_out(RUNS))
    assert curve.test_set == CROSS_VALIDATION
    assert list(zip(curve.n, curve.draw, strict=True)) == [(4, 0), (4, 1), (10, 0)]
    np.testing.assert_allclose(curve.y, [np.mean(scores) for scores in RUNS.values()])
    assert curve.se_cases is not None and curve.se_draws is None
    expected = [np.std(scores, ddof=1) / np.sqrt(len(scores)) for scores in RUNS.values()]
    np.testing.assert_allclose(curve.se_cases, expected)


def test_no_case_is_shared_left_out_or_paired() -> None:
    (curve,) = curves_from_scores(held_out(RUNS))
    assert (curve.n_test, curve.n_left_out, curve.cases, curve.case_ids) == (None, 0, None, ())
    assert not_forecast(held_out(RUNS)) == []


def test_the_same_scores_of_another_test_set_need_shared_cases() -> None:
    with pytest.raises(InputError, match="same test cases"):
        curves_from_scores(held_out(RUNS, test_set="test"))


def test_undefined_scores_are_left_out_of_their_own_run_only() -> None:
    (curve,) = curves_from_scores(held_out({**RUNS, (10, 0): [0.6, np.nan, 0.8]}))
    (whole,) = curves_from_scores(held_out(RUNS))
    np.testing.assert_allclose(curve.y, [*whole.y[:2], 0.7])
    assert curve.se_cases is not None and whole.se_cases is not None
    np.testing.assert_allclose(curve.se_cases, [*whole.se_cases[:2], 0.1])


def test_a_run_scored_on_one_case_has_no_standard_error() -> None:
    (curve,) = curves_from_scores(held_out({**RUNS, (4, 1): [0.1]}))
    assert curve.se_cases is not None
    assert np.isnan(curve.se_cases).tolist() == [False, True, False]
    assert curve.y[1] == pytest.approx(0.1)


def test_other_test_sets_are_what_they_are_without_cross_validation() -> None:
    sets = [on_test(), on_test("north")]
    alone = curves_from_scores(pd.concat(sets, ignore_index=True))
    beside = curves_from_scores(pd.concat([held_out(RUNS), *sets], ignore_index=True))
    assert [curve.test_set for curve in beside] == [CROSS_VALIDATION, "test", "north"]
    for one, other in zip(alone, beside[1:], strict=True):
        told = [(curve.n_test, curve.n_left_out, curve.case_ids) for curve in (one, other)]
        assert told == [(3, 0, ("a", "b", "c"))] * 2
        assert one.cases is not None and other.cases is not None
        np.testing.assert_array_equal(one.cases, other.cases)
        np.testing.assert_array_equal(one.y, other.y)
        assert other.se_cases is None


def test_every_structure_and_arm_has_a_cross_validation_of_its_own() -> None:
    lower = {run: [score / 2 for score in scores] for run, scores in RUNS.items()}
    table = pd.concat([held_out(RUNS, structure="kidney"), held_out(lower, structure="tumour")], ignore_index=True)
    kidney, tumour = curves_from_scores(table)
    assert (kidney.structure, tumour.structure) == ("kidney", "tumour")
    np.testing.assert_allclose(tumour.y, kidney.y / 2)


def test_a_structure_that_no_held_out_case_contains_does_not_hide_the_others() -> None:
    absent = held_out({run: [np.nan] * len(scores) for run, scores in RUNS.items()}, structure="cyst")
    table = pd.concat([held_out(RUNS), absent], ignore_index=True)
    assert [curve.structure for curve in curves_from_scores(table)] == ["all"]
    (words,) = not_forecast(table)
    assert "cyst" in words


def test_a_curve_of_cross_validation_can_be_forecast() -> None:
    runs = {(n, 0): [0.8 - 0.5 * np.exp(-n / 8) + shift for shift in (-0.1, 0, 0.1)] for n in (4, 8, 16, 32)}
    (curve,) = curves_from_scores(held_out(runs))
    found = forecast_curve(curve, Question(at=(64,)), quick=True)
    assert found.at[0].n == 64
    assert 0.6 < found.at[0].mean < 1
