"""What the network reads of a curve."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dicecast.adapters.surrogate.sequences import (
    LEAST_ERROR,
    MOST_SIZES,
    TOKEN,
    Observed,
    observed,
    standard_errors,
)
from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.scores import validate_scores


def curve(rows: pd.DataFrame) -> Curve:
    return curves_from_scores(validate_scores(rows))[0]


def rows(sizes: list[int], draws: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = [(n, r, 0.9 - 2 / n + 0.01 * rng.standard_normal()) for n in sizes for r in range(draws)]
    return pd.DataFrame(made, columns=["n_cases", "draw", "score"])


def test_a_token_per_size_and_the_last_is_the_reference() -> None:
    found = observed(curve(rows([20, 40, 80, 160])))
    tokens = found.tokens
    assert tokens.shape == (1, 4, TOKEN)
    assert tokens[0, -1, :2] == pytest.approx([0, 0])
    assert tokens[0, 0, 0] == pytest.approx(np.log(20 / 160))
    assert tokens[0, :, 2] == pytest.approx(np.log(found.last_error[0]))


def test_the_scale_of_n_is_not_seen() -> None:
    one, other = (
        observed(curve(rows([20, 40, 80]))),
        observed(curve(rows([20, 40, 80]).assign(n_cases=lambda t: 9 * t.n_cases))),
    )
    np.testing.assert_allclose(one.tokens, other.tokens)


def test_the_order_of_rows_is_irrelevant() -> None:
    table = rows([20, 40, 80])
    shuffled = table.sample(frac=1, random_state=3)
    np.testing.assert_array_equal(observed(curve(table)).tokens, observed(curve(shuffled)).tokens)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_at_either_end_give_finite_tokens(score: float) -> None:
    flat = np.full((1, 3), score)
    seen = Observed(np.array([[10.0, 20, 40]]), flat, np.ones((1, 3)), np.full((1, 3), np.nan))
    assert np.all(np.isfinite(seen.tokens))
    assert seen.last_error[0] == max(1 - score, LEAST_ERROR)


def test_of_many_sizes_the_largest_are_read() -> None:
    found = observed(curve(rows(list(range(10, 150, 10)))))
    assert found.n.shape == (1, MOST_SIZES)
    assert found.n[0, -1] == 140


def test_one_draw_everywhere_leaves_the_noise_unknown() -> None:
    assert np.all(np.isnan(standard_errors(np.zeros((1, 3)), np.ones((1, 3)))))
    assert np.all(observed(curve(rows([20, 40, 80], draws=1))).tokens[..., -1] == 0)


def test_equal_spreads_give_the_usual_standard_error() -> None:
    found = standard_errors(np.full((1, 3), 0.02), np.full((1, 3), 4.0))
    np.testing.assert_allclose(found, 0.01)


def test_a_size_with_one_draw_has_the_pooled_spread() -> None:
    found = standard_errors(np.array([[0.02, 0.02, 0.0]]), np.array([[4.0, 4.0, 1.0]]))
    assert found[0, 2] == pytest.approx(0.02)


def test_given_standard_errors_are_taken() -> None:
    table = rows([20, 40, 80], draws=1).assign(se_draws=0.004)
    np.testing.assert_allclose(observed(curve(table)).error, 0.004)
    table["se_draws"] = [0.003, 0.0, 0.005]
    np.testing.assert_allclose(observed(curve(table)).error, [[0.003, ((0.003**2 + 0.005**2) / 2) ** 0.5, 0.005]])
    table["se_draws"] = 0.0
    assert np.all(observed(curve(table)).tokens[..., -1] == 0), "0 says nothing"
