"""Promises and what came of them."""

import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.forecast import Question
from dicecast.forecast.promises import Promise, outcomes, promise_at
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.types import Interval

SIZES, POOL = (10, 20, 40, 60, 90), (40, 60, 90)


@pytest.fixture(scope="module")
def curve() -> Curve:
    rng = np.random.default_rng(2)
    rows = [(n, r, 0.85 - 0.4 * np.exp(-0.03 * n) + 0.004 * rng.standard_normal()) for n in SIZES for r in range(3)]
    table = validate_scores(pd.DataFrame(rows, columns=["n_cases", "draw", "score"]))
    return curves_from_scores(table, 90, POOL)[0]


def promise(n: int, lo: float, hi: float, draws: int = 3) -> Promise:
    return Promise(n, draws, Interval((lo + hi) / 2, lo, hi, 0.9))


def test_every_growth_of_the_pool_has_its_promise(curve: Curve) -> None:
    found = outcomes(curve, Question())
    assert [(one.n_before, one.promise.n) for one in found] == [(40, 60), (60, 90)]
    assert [one.observed for one in found] == [pytest.approx(curve.y[curve.n == n].mean()) for n in (60, 90)]
    assert all(one.held for one in found)
    assert outcomes(curve, Question()) == found


def test_a_promise_knows_nothing_of_what_came_later(curve: Curve) -> None:
    earlier = curve.without_largest(1)
    assert outcomes(earlier, Question())[0] == outcomes(curve, Question())[0]


def test_the_newest_promise_on_record_counts(curve: Curve) -> None:
    record = [promise(90, 0.1, 0.2), promise(60, 0.1, 0.2), promise(90, 0.5, 0.99)]
    found = outcomes(curve, Question(), record)
    assert [one.held for one in found] == [False, True]
    assert [one.promise for one in found] == [record[1], record[2]]


def test_a_promise_of_one_draw_is_met_by_the_first(curve: Curve) -> None:
    found = outcomes(curve, Question(), [promise(90, 0.1, 0.9, draws=1)])[-1]
    assert found.observed == curve.y[curve.n == 90][0]


def test_a_promise_of_more_draws_than_there_are_is_made_again(curve: Curve) -> None:
    found = outcomes(curve, Question(), [promise(90, 0.1, 0.2, draws=9)])[-1]
    assert found.promise.draws == 3
    assert found.held


def test_more_draws_make_a_promise_narrower_unless_they_share_their_cases(curve: Curve) -> None:
    posterior = quadrature(curve, 0)
    widths = [promise_at(posterior, 120, draws, 0.9).interval for draws in (1, 9)]
    one, nine = (found.hi - found.lo for found in widths)
    assert nine < one
    assert promise_at(posterior, 120, 3, 0.9).document().keys() == {"n", "draws", "median", "lo", "hi"}
