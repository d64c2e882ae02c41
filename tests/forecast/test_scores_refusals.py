"""Faulty tables, each refused with place, rule and finding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.errors import InputError
from dicecast.forecast.scores import KEY, MOST_CASES, TEXT_DEFAULTS, validate_scores

FINE = {"n_cases": ["5", "10", "20"], "score": ["0.5", "0.6", "0.7"]}


def refused(changes: dict[str, object], *words: str) -> None:
    """The table with these columns is refused in these words; its rows are lines 2, 3, 4 of a file."""
    table = pd.DataFrame({**FINE, **changes}, index=[2, 3, 4])
    with pytest.raises(InputError) as said:
        validate_scores(table, "a.csv")
    missing = [one for one in words if one not in str(said.value)]
    assert not missing, str(said.value)


def test_cells_are_told_by_file_line_and_column() -> None:
    refused({"score": ["0.5", "0,6", "0.7"]}, "a.csv, line 3, column 'score': must be a number, found '0,6'", "comma")
    refused({"score": ["0.5", "0.6", "inf"]}, "a.csv, line 4, column 'score': must be a number, found 'inf'")


@pytest.mark.parametrize(
    ("column", "cell", "rule"),
    [
        ("n_cases", "0", "a whole number >= 1, found '0'"),
        ("n_cases", "-3", "a whole number >= 1, found '-3'"),
        ("n_cases", "5.5", "a whole number >= 1, found '5.5'"),
        ("n_cases", "", "a whole number >= 1, found ''"),
        ("n_cases", str(MOST_CASES + 1), f"a whole number >= 1 and at most {MOST_CASES}"),
        ("draw", "-1", "a whole number >= 0, found '-1'"),
        ("draw", "0.5", "a whole number >= 0, found '0.5'"),
    ],
)
def test_counts_are_whole_and_in_range(column: str, cell: str, rule: str) -> None:
    refused({column: [cell, "10", "20"]}, f"a.csv, line 2, column {column!r}: must be {rule}")


def test_the_largest_number_of_cases_and_an_empty_draw_are_fine() -> None:
    found = validate_scores(pd.DataFrame({**FINE, "n_cases": ["1", "2", str(MOST_CASES)], "draw": ["", "1", None]}))
    assert found["n_cases"].tolist() == [1, 2, MOST_CASES]
    assert found["draw"].tolist() == [0, 1, 0]
    assert found["n_cases"].dtype == found["draw"].dtype == np.int64


@pytest.mark.parametrize(
    ("score", "hint"),
    [("72", "divide them by 100"), ("100", "divide them by 100"), ("1.01", "divide them by 100"), ("-0.1", "Correct")],
)
def test_dice_lies_between_0_and_1(score: str, hint: str) -> None:
    refused({"score": ["0.5", score, "0.7"]}, "line 3, column 'score': dice must lie in [0, 1], found", hint)


def test_far_too_large_scores_are_not_called_percent() -> None:
    refused({"score": ["0.5", "101", "0.7"]}, "found 101. Correct the cell.")
    refused({"metric": ["NSD", "dice", "hd95"], "score": ["1.5", "0.5", "12"]}, "line 2", "NSD must lie in [0, 1]")


def test_the_ends_of_the_range_belong_to_it() -> None:
    assert validate_scores(pd.DataFrame({**FINE, "score": ["0", "1", ""]}))["score"].tolist()[:2] == [0, 1]


@pytest.mark.parametrize("column", ["se_draws", "se_cases"])
def test_standard_errors_are_not_negative(column: str) -> None:
    refused({column: ["0.1", "-0.01", ""]}, f"line 3, column '{column}': a standard error must be >= 0, found -0.01")
    found = validate_scores(pd.DataFrame({**FINE, column: ["0", "0.1", ""]}))
    assert found[column].tolist()[:2] == [0, 0.1] and np.isnan(found[column].iloc[2])
    other = ({"se_draws", "se_cases"} - {column}).pop()
    assert found[other].isna().all()


def test_a_score_appears_once() -> None:
    refused(
        {"n_cases": ["5", "10", "5"], "arm": "2d"},
        "a.csv, line 4, column 'n_cases': every score must appear once, but arm=2d, structure=all, metric=dice",
        "n_cases=5, draw=0 is already on line 2",
    )
    refused({"n_cases": ["20", "10", "10"]}, "line 4", "n_cases=10, draw=0 is already on line 3")
    for column in [*TEXT_DEFAULTS, "draw"]:  # what tells two scores apart
        values = ["1", "1", "2"] if column == "draw" else ["x", "x", "y"]
        changes = {"n_cases": ["5", "10", "5"], "metric": "hd95", column: values}
        assert len(validate_scores(pd.DataFrame({**FINE, **changes}))) == 3


def test_the_header_and_the_rows_must_be_there() -> None:
    with pytest.raises(InputError, match="scores table: column 'n_cases' is required, found score"):
        validate_scores(pd.DataFrame({"score": [0.5]}))
    with pytest.raises(InputError, match="column 'score' is required, found n_cases, arm"):
        validate_scores(pd.DataFrame({"n_cases": [5], "arm": ["x"]}))
    with pytest.raises(InputError, match="found nothing"):
        validate_scores(pd.DataFrame())
    with pytest.raises(InputError, match="found only a header"):
        validate_scores(pd.DataFrame({"n_cases": [], "score": []}))
    twice = pd.DataFrame([[5, 0.5, 0.6]], columns=["n_cases", "score", "score"])
    with pytest.raises(InputError, match="header: every column must have its own name, found 'score' twice"):
        validate_scores(twice)


def test_texts_are_trimmed_and_blanks_take_the_default() -> None:
    found = validate_scores(pd.DataFrame({**FINE, "arm": [" 2d ", "", None], "case": ["a", " ", "b"]}, index=[7, 8, 9]))
    assert found["arm"].tolist() == ["2d", "default", "default"]
    assert found["case"].tolist() == ["a", "", "b"]
    assert found.index.tolist() == [0, 1, 2]
    assert found["score"].tolist() == [0.5, 0.6, 0.7]
    assert set(KEY) <= set(found.columns)
