import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.curve import curves_from_scores, not_forecast
from dicecast.forecast.errors import InputError
from dicecast.forecast.scores import validate_scores


def per_case(undefined: set[tuple[int, str]] = frozenset()) -> pd.DataFrame:  # type: ignore[assignment]
    rows = [
        {"n_cases": n, "draw": r, "case": c, "score": np.nan if (n, c) in undefined else 0.5 + n / 100 + i / 10}
        for n in (5, 10, 20)
        for r in (0, 1)
        for i, c in enumerate("abc")
    ]
    return validate_scores(pd.DataFrame(rows))


def test_optional_columns_get_their_defaults_and_unknown_ones_are_kept() -> None:
    table = validate_scores(pd.DataFrame({"score": ["0.5", "0.6"], "site": ["x", "y"], "n_cases": ["5", "10"]}))
    assert list(table["site"]) == ["x", "y"]
    first = table.iloc[0]
    assert (first["arm"], first["structure"], first["metric"], first["test_set"]) == ("default", "all", "dice", "test")
    assert (first["draw"], first["case"], first["stratum"], first["protocol"]) == (0, "", "all", "")
    assert table["n_cases"].dtype == np.int64


def test_the_input_table_is_not_changed() -> None:
    given = pd.DataFrame({"n_cases": ["5"], "score": ["0.5"]})
    validate_scores(given)
    assert list(given.columns) == ["n_cases", "score"]


def test_a_mean_is_over_the_same_cases_at_every_size() -> None:
    (curve,) = curves_from_scores(per_case({(10, "c")}))
    assert (curve.n_test, curve.n_left_out) == (2, 1)
    np.testing.assert_allclose(curve.observed, [0.5 + n / 100 + 0.05 for n in (5, 10, 20)])


def test_a_case_missing_at_one_size_is_left_out_of_all() -> None:
    table = per_case()
    (curve,) = curves_from_scores(table[~((table["n_cases"] == 20) & (table["case"] == "a"))])
    assert (curve.n_test, curve.n_left_out) == (2, 1)


def test_no_case_at_every_size_is_refused() -> None:
    with pytest.raises(InputError, match="same test cases"):
        curves_from_scores(per_case({(5, "a"), (10, "b"), (20, "c")}))


def test_each_arm_structure_and_metric_is_a_curve_of_its_own() -> None:
    table = pd.concat([per_case().assign(arm=arm, structure=s) for arm in ("2d", "3d") for s in ("kidney", "tumour")])
    curves = curves_from_scores(table)
    assert [(c.arm, c.structure) for c in curves] == [(a, s) for a in ("2d", "3d") for s in ("kidney", "tumour")]


def test_metrics_that_are_not_dice_like_are_not_forecast() -> None:
    table = pd.concat([per_case(), per_case().assign(metric="hd95", score=12.0)])
    assert [c.metric for c in curves_from_scores(table)] == ["dice"]


def test_other_metrics_may_leave_the_unit_interval() -> None:
    assert len(validate_scores(pd.DataFrame({"n_cases": [5], "score": [12.5], "metric": ["hd95"]}))) == 1


def test_fewer_annotated_cases_than_trained_on_are_refused() -> None:
    with pytest.raises(InputError, match="at least the largest size 20, found 10"):
        curves_from_scores(per_case(), n_annotated=10)


def test_dropping_the_largest_size_goes_back_in_time() -> None:
    (curve,) = curves_from_scores(per_case(), n_annotated=40, pool=[10, 40])
    earlier = curve.without_largest(1)
    assert (earlier.sizes.tolist(), earlier.n_annotated, earlier.pool) == ([5, 10], 10, (10,))


def test_draw_spread_is_undefined_with_one_draw() -> None:
    table = per_case()
    (curve,) = curves_from_scores(table[table["draw"] == 0])
    assert curve.draw_sd == [None, None, None]
    assert curve.draws.tolist() == [1, 1, 1]


def test_a_structure_that_no_test_case_contains_does_not_hide_the_others() -> None:
    table = pd.concat([per_case(), per_case().assign(structure="cyst", score=np.nan)])
    assert [curve.structure for curve in curves_from_scores(table)] == ["all"]
    (words,) = not_forecast(table)
    assert "cyst" in words


def test_metrics_left_aside_are_named() -> None:
    table = pd.concat([per_case(), per_case().assign(metric="hd95", score=12.0)])
    assert not_forecast(table) == ["hd95: not Dice-like"]


def test_a_standard_error_larger_than_any_score_is_refused() -> None:
    table = pd.DataFrame({"n_cases": [4, 8], "score": [0.5, 0.6], "se_draws": [0.01, 1e200]})
    with pytest.raises(InputError, match="column 'se_draws': a standard error of dice must lie in"):
        validate_scores(table)
