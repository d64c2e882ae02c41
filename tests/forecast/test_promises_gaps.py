"""Promises where the pool grew without pilots, and what a promise knew when it was made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.forecast import Question
from dicecast.forecast.promises import Promise, PromiseOutcome, _known_at, outcomes
from dicecast.forecast.types import Interval

NOTED = [Promise(n, 1, Interval(0.7, 0.6, 0.8, 0.9)) for n in (20, 40, 60, 90)]


def curve(sizes: tuple[int, ...], pool: tuple[int, ...]) -> Curve:
    n = np.array(sizes)
    made = averaged_curve("arm", n, 0 * n, np.linspace(0.5, 0.75, len(n)), pool[-1], pool[-1])
    return replace(made, pool=pool)


@pytest.mark.parametrize(
    ("sizes", "pool", "told"),
    [
        ((10, 20, 40, 90), (40, 60, 90), [(60, 90)]),  # nothing was trained at 60
        ((10, 20, 40, 60), (20, 40, 60), [(40, 60)]),  # two sizes promise nothing
        ((10, 20, 40, 60, 90), (40, 60, 90), [(40, 60), (60, 90)]),
        ((10, 20, 40), (40,), []),
    ],
)
def test_a_growth_counts_where_it_was_promised_and_seen(
    sizes: tuple[int, ...], pool: tuple[int, ...], told: list[tuple[int, int]]
) -> None:
    found = outcomes(curve(sizes, pool), Question(), NOTED)
    assert [(one.n_before, one.promise.n) for one in found] == told


@pytest.mark.parametrize(("observed", "held"), [(0.6, True), (0.8, True), (0.599, False), (0.801, False)])
def test_the_ends_of_a_promise_hold(observed: float, held: bool) -> None:
    assert PromiseOutcome(NOTED[0], 10, observed).held is held


def test_what_was_known_is_the_curve_of_that_pool() -> None:
    known = _known_at(curve((10, 20, 40, 60, 90), (40, 60, 90)), 60)
    assert (known.sizes.tolist(), known.pool, known.n_annotated) == ([10, 20, 40, 60], (40, 60), 60)
    early = _known_at(curve((10, 20, 30, 60), (40, 60)), 40)
    assert (early.sizes.tolist(), early.pool, early.n_annotated) == ([10, 20, 30], (40,), 40)
