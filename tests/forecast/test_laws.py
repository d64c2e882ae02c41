"""What must hold whatever the scores, tried on many made-up curves."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.errors import InputError
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.forecast import Question, gains
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.scores import validate_scores

SCALE_FREE = [name for name in FAMILIES if name != "inverse-log"]
MODELS = ["average", *FAMILIES]


Test = Callable[..., None]


def law(examples: int, **made: st.SearchStrategy[Any]) -> Callable[[Test], Test]:
    def decorate(test: Test) -> Test:
        return given(**made)(settings(max_examples=examples, deadline=None, derandomize=True, database=None)(test))

    return decorate


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Rows of an exponential with noise: three to five sizes, one to three draws."""
    sizes = sorted(draw(st.lists(st.integers(3, 300), min_size=3, max_size=5, unique=True)))
    dm, start = draw(st.floats(0.4, 0.98)), draw(st.floats(0.0, 0.9))
    steepness, sd = draw(st.floats(0.2, 5.0)), draw(st.sampled_from([0.003, 0.01, 0.03]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    n = np.repeat(sizes, draw(st.integers(1, 3)))
    score = dm * (1 - (1 - start) * np.exp(-steepness * n / sizes[-1])) + sd * rng.standard_normal(len(n))
    draws = np.arange(len(n)) % (len(n) // len(sizes))
    return pd.DataFrame({"n_cases": n, "draw": draws, "score": np.clip(score, 0, 1)})


def curve_of(table: pd.DataFrame) -> Curve:
    return curves_from_scores(validate_scores(table))[0]


def numbers(found: Posterior) -> np.ndarray:
    return np.column_stack([found.pick, found.dm, found.amplitude, found.theta, found.noise])


def assert_alike(one: np.ndarray, other: np.ndarray, ess: float) -> None:
    """Quantiles up to Monte Carlo error; draws that lie at infinity must be equally many."""
    assert np.mean(np.isinf(one)) == pytest.approx(np.mean(np.isinf(other)), abs=4 / np.sqrt(ess))
    middle = np.quantile(one[np.isfinite(one)], [0.25, 0.5, 0.75])
    found = np.quantile(other[np.isfinite(other)], [0.25, 0.5, 0.75])
    width = middle[2] - middle[0]
    assert np.all(np.abs(found - middle) <= 8 * width / np.sqrt(ess) + 1e-6 * np.abs(middle))


@law(15, table=tables(), random=st.randoms(use_true_random=False), model=st.sampled_from(MODELS))
def test_the_order_of_rows_is_irrelevant(table: pd.DataFrame, random: Any, model: str) -> None:
    shuffled = table.iloc[random.sample(range(len(table)), len(table))]
    one, other = (quadrature(curve_of(rows), 3, model=model, draws=500) for rows in (table, shuffled))
    assert np.array_equal(numbers(one), numbers(other), equal_nan=True)


@law(15, table=tables(), data=st.data())
def test_a_row_given_twice_is_refused(table: pd.DataFrame, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(table) - 1))
    again = pd.concat([table, table.iloc[[row]].assign(score=0.5)], ignore_index=True)
    with pytest.raises(InputError, match="every score must appear once"):
        validate_scores(again)


@law(15, table=tables(), factor=st.integers(2, 50), model=st.sampled_from(SCALE_FREE))
def test_rescaling_sizes_rescales_sizes_and_nothing_else(table: pd.DataFrame, factor: int, model: str) -> None:
    rescaled = table.assign(n_cases=table["n_cases"] * factor)
    one, other = (quadrature(curve_of(rows), 1, model=model) for rows in (table, rescaled))
    ess = min(one.diagnostics.ess, other.diagnostics.ess)
    with np.errstate(over="ignore"):  # plateau sizes of power laws go up to the largest number there is
        assert_alike(one.plateau_sizes(0.01) * factor, other.plateau_sizes(0.01), ess)
    assert_alike(one.dm, other.dm, ess)
    sizes = np.array([table["n_cases"].min(), table["n_cases"].max(), 1000])
    for before, after in zip(one.scores(sizes), other.scores(factor * sizes), strict=True):
        assert_alike(before, after, ess)


@law(10, table=tables(), model=st.sampled_from(MODELS))
def test_scores_that_are_all_noise_tell_nothing(table: pd.DataFrame, model: str) -> None:
    """Noise is one smooth function of the size, so a single run cannot be given an infinite variance.

    The closest statement: as the given standard errors of all runs grow, their scores leave the posterior unchanged.
    """
    one, other = (curve_of(rows) for rows in (table, table.assign(score=1 - table["score"])))
    noise = np.full(len(one.y), 1e6)  # more than a table may say
    found = [
        numbers(quadrature(dataclasses.replace(each, se_draws=noise), 2, model=model, draws=500))[:, :5]
        for each in (one, other)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3)


@law(15, table=tables(), some=st.integers(0, 10**6), more=st.integers(0, 10**6), model=st.sampled_from(MODELS))
def test_gains_grow_with_the_reach(table: pd.DataFrame, some: int, more: int, model: str) -> None:
    found = quadrature(curve_of(table), 1, model=model, draws=1000)
    now = found.curve.n_annotated
    scores = found.scores([now, now + some, now + some + more])
    assert np.all(np.diff(scores, axis=0) >= -1e-9)
    assert np.all(scores <= found.dm + 1e-9)
    near, far = (gains(found, Question(reach=n))[0].interval for n in (now + some + 1, now + some + more + 1))
    # each size has a misfit of its own, drawn anew
    error = 6 * found.noise_rms[2] / np.sqrt(len(found.dm))
    assert far.median >= near.median - error - 0.05 * (near.hi - near.lo)


@law(15, table=tables(), model=st.sampled_from(list(FAMILIES)))
def test_only_a_family_that_is_defined_at_zero_speaks_of_it(table: pd.DataFrame, model: str) -> None:
    found = quadrature(curve_of(table), 1, model=model, draws=500)
    drawn = found.parameters()
    assert list(drawn) == list(FAMILIES[model].names)
    assert ("D0" in drawn) == FAMILIES[model].at_zero == (model not in ("power-law", "inverse-log"))
    smallest = float(found.curve.sizes[0])
    assert np.all(found.scores(0.0 if FAMILIES[model].at_zero else smallest) >= -1e-6)
    if FAMILIES[model].at_zero:
        np.testing.assert_allclose(found.scores(0), drawn["D0"], atol=1e-9)
    else:
        assert np.all(found.scores(0) == -np.inf)
        assert np.all(found.sizes_for(found.dm / 1e3) > 0)


@law(10, table=tables())
def test_forgetting_a_size_is_never_having_trained_it(table: pd.DataFrame) -> None:
    whole = curve_of(table)
    earlier = validate_scores(table[table["n_cases"] < whole.sizes[-1]])
    (fewer,) = curves_from_scores(earlier, pool=whole.pool)
    one, other = (quadrature(curve, 0, draws=200) for curve in (whole.without_largest(1), fewer))
    assert np.array_equal(numbers(one), numbers(other), equal_nan=True)


@law(5, table=tables(), seed=st.integers(0, 2**31))
def test_another_seed_draws_others_from_the_same_posterior(table: pd.DataFrame, seed: int) -> None:
    curve = curve_of(table)
    one, other = quadrature(curve, seed), quadrature(curve, seed + 1)
    assert not np.array_equal(one.dm, other.dm)
    assert_alike(one.dm, other.dm, min(one.diagnostics.ess, other.diagnostics.ess))


PROGRAM = """
import json, pandas as pd
from dicecast.forecast.curve import curves_from_scores
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.scores import validate_scores
rows = {'n_cases': [5, 10, 20, 40], 'score': [0.5, 0.62, 0.71, 0.76]}
found = quadrature(curves_from_scores(validate_scores(pd.DataFrame(rows)))[0], 7)
print(json.dumps([found.pick.tolist(), found.dm.tolist(), found.amplitude.tolist(), found.noise.tolist()]))
"""


def test_the_same_seed_gives_the_same_numbers_in_another_process() -> None:
    runs = [subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True) for _ in "ab"]
    assert runs[0].stdout == runs[1].stdout
    assert len(json.loads(runs[0].stdout)[1]) == 4000


def test_a_curve_that_was_scored_elsewhere_is_another_curve() -> None:
    table = pd.DataFrame({"n_cases": [5, 10, 20, 40], "score": [0.5, 0.62, 0.71, 0.76]})
    curve = curve_of(table)
    moved = dataclasses.replace(curve, y=curve.y + 0.05)
    assert quadrature(moved, 0).scores(40).mean() > quadrature(curve, 0).scores(40).mean() + 0.03
