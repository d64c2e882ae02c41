"""A curve's numbers, worked out by hand, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.curve import Curve, averaged_curve, curves_from_scores, not_forecast, structure_words
from dicecast.forecast.errors import InputError
from dicecast.forecast.scores import validate_scores

SCORES = {(4, 0): (0.2, 0.4), (4, 1): (0.4, 0.8), (10, 0): (0.5, 0.9)}
"""Of two test cases, by size and draw."""


def table(**more: object) -> pd.DataFrame:
    rows = [
        {"n_cases": n, "draw": draw, "case": case, "score": score}
        for (n, draw), scores in SCORES.items()
        for case, score in zip("ab", scores, strict=True)
    ]
    return validate_scores(pd.DataFrame(rows).assign(**more))  # type: ignore[arg-type]


def curve() -> Curve:
    return curves_from_scores(table())[0]


def averaged(n: list[int], draw: list[int], y: list[float]) -> Curve:
    return averaged_curve("arm", np.array(n), np.array(draw), np.array(y), max(n, default=0), max(n, default=0))


def test_means_and_spreads_are_over_draws_and_over_cases() -> None:
    found = curve()
    np.testing.assert_allclose(found.observed, [0.45, 0.7])
    assert found.draws.tolist() == [2, 1]
    assert found.draw_sd == [pytest.approx(np.std([0.3, 0.6], ddof=1)), None]
    assert found.case_sd == [pytest.approx(np.std([0.3, 0.6], ddof=1)), pytest.approx(np.std([0.5, 0.9], ddof=1))]
    np.testing.assert_allclose(found.case_means(4), [0.3, 0.6])
    assert (found.n_test, found.n_left_out, found.case_ids) == (2, 0, ("a", "b"))
    assert (found.n_annotated, found.pool) == (10, (10,))


def test_one_test_case_has_no_spread() -> None:
    both = table()
    (found,) = curves_from_scores(both[both["case"] == "a"])
    assert found.case_sd == [None, None]


def test_other_test_cases_give_other_means() -> None:
    found = curve().resampled(np.array([1, 1, 0]))
    np.testing.assert_allclose(found.y, [1 / 3, 2 / 3, 2.3 / 3])


def test_averaged_scores_have_no_cases() -> None:
    found = averaged([4, 10], [0, 0], [0.5, 0.6])
    assert found.case_sd == [None, None]
    for ask in (lambda: found.case_means(4), lambda: found.resampled(np.array([0]))):
        with pytest.raises(ValueError, match="averaged over the test cases"):
            ask()


@pytest.mark.parametrize(
    ("n", "draw", "y", "words"),
    [
        ([], [], [], "at least one"),
        ([4, 10], [0], [0.5, 0.6], "equally many"),
        ([4, 10], [0, 0], [0.5], "equally many"),
        ([10, 4], [0, 0], [0.5, 0.6], "sorted"),
        ([0, 4], [0, 0], [0.5, 0.6], ">= 1"),
        ([4, 10], [0, 0], [0.5, np.nan], "finite"),
        ([4, 10], [0, 0], [0.5, np.inf], "finite"),
    ],
)
def test_an_impossible_curve_is_refused(n: list[int], draw: list[int], y: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        averaged(n, draw, y)
    assert averaged([1, 1], [0, 1], [0.0, 1.0]).sizes.tolist() == [1]


def test_a_curve_is_called_by_what_is_not_the_default() -> None:
    found = curve()
    assert found.name == "default / all / dice"
    other = replace(found, arm="2d", structure="tumour", metric="nsd", test_set="north", stratum="large")
    assert other.name == "2d / tumour / nsd / north / large"
    assert structure_words(replace(other, test_set="test")) == "tumour / nsd / large"
    assert repr(found).startswith("Curve(arm='default', structure='all', metric='dice'")
    assert dict(found.__rich_repr__())["n_test"] == 2


def test_going_back_in_time_takes_every_part_along() -> None:
    rows = pd.DataFrame(
        {"n_cases": [5, 10, 20, 40], "score": [0.4, 0.5, 0.6, 0.7], "se_draws": [0.04, 0.03, 0.02, 0.01]}
    )
    found = curves_from_scores(validate_scores(rows.assign(se_cases=[0.1, 0.2, 0.3, 0.4])), 60, [10, 30, 60])[0]
    earlier = found.without_largest(2)
    assert (earlier.n.tolist(), earlier.y.tolist(), earlier.draw.tolist()) == ([5, 10], [0.4, 0.5], [0, 0])
    assert earlier.se_draws is not None and earlier.se_cases is not None
    assert (earlier.se_draws.tolist(), earlier.se_cases.tolist()) == ([0.04, 0.03], [0.1, 0.2])
    assert (earlier.n_annotated, earlier.pool) == (10, (10,))
    assert (found.without_largest(1).n_annotated, found.without_largest(1).pool) == (20, (10, 30))
    same = found.without_largest(0)
    assert (same.n.tolist(), same.n_annotated, same.pool) == ([5, 10, 20, 40], 40, (10, 30, 60))
    cases = curve().without_largest(1).cases
    assert cases is not None and cases.tolist() == [[0.2, 0.4], [0.4, 0.8]]


def test_a_pool_that_ends_below_the_largest_size_is_extended() -> None:
    assert curves_from_scores(table(), 20, [4, 20])[0].pool == (4, 20)
    assert curves_from_scores(table(), 20, [4, 10])[0].pool == (4, 10)
    assert curves_from_scores(table(), 20, [4])[0].pool == (4, 10)
    assert curves_from_scores(table(), 20)[0].pool == (20,)
    assert curves_from_scores(table(), 10)[0].n_annotated == 10


def test_one_kind_of_scores_makes_a_curve() -> None:
    mixed = table()
    mixed.loc[0, "case"] = ""
    with pytest.raises(InputError, match=r"found both \(1 rows without a case\)"):
        curves_from_scores(mixed)


def test_an_averaged_score_must_not_be_empty() -> None:
    rows = validate_scores(pd.DataFrame({"n_cases": [4, 10], "draw": [0, 3], "score": [0.5, np.nan]}))
    with pytest.raises(InputError, match=r"curve default/all/dice/test/all: .* none for 10 cases, draw 3"):
        curves_from_scores(rows)


def test_nothing_dice_like_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match="no Dice-like metric to forecast: found hd95"):
        curves_from_scores(table(metric="hd95", score=3.0))
    assert curves_from_scores(table(metric="Dice"))[0].metric == "Dice"


def test_what_was_not_forecast_is_named() -> None:
    empty = table(structure="cyst", score=np.nan)
    held_out = table(test_set="cross-validation", structure="cyst", score=np.nan)
    one_protocol = empty.assign(protocol="mirroring")  # is no part of the name
    fold = "".join(["cross-", "validation"])  # the same letters, another object
    folds = table(test_set=fold, structure="tumour")
    folds.loc[folds["case"] == folds["draw"].map({0: "a", 1: "b"}), "score"] = np.nan  # each run held out its own
    found = not_forecast(pd.concat([table(), one_protocol, held_out, folds, table(metric="hd95", score=3.0)]))
    assert found == [
        "hd95: not Dice-like",
        "default/cyst/dice/test/all: no test case has a score at every run (is the structure in the test set?)",
        "default/cyst/dice/cross-validation/all: no case that was held out has a score",
    ]


def test_standard_errors_are_kept_where_any_is_known() -> None:
    rows = {"n_cases": [4, 10], "score": [0.5, 0.6]}
    known = curves_from_scores(validate_scores(pd.DataFrame({**rows, "se_draws": [0.02, np.nan]})))[0]
    assert known.se_draws is not None and known.se_cases is None
    assert known.se_draws[0] == 0.02 and np.isnan(known.se_draws[1])
    none = curves_from_scores(validate_scores(pd.DataFrame({**rows, "se_draws": [0.0, 0.0]})))[0]
    assert none.se_draws is None
