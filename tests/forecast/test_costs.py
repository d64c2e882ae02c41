"""What batches cost, on numbers that can be added up in the head."""

from __future__ import annotations

import math

import pytest

from dicecast.forecast.costs import Costs
from dicecast.forecast.errors import InputError


def test_a_round_costs_its_parts() -> None:
    costs = Costs(per_case=20, per_round=100, per_run=3, runs=4)
    assert costs.of_round == 112
    assert costs.of(5) == {"amount": 212, "unit": "EUR", "cases": 100, "round": 100, "compute": 12}
    assert Costs(per_run=3, runs=4).of_round == 12
    assert Costs(per_run=3).of_round == Costs(runs=4).of_round == Costs().of_round == 0
    assert Costs(per_case=20, unit="minutes").of(2) == {
        "amount": 40,
        "unit": "minutes",
        "cases": 40,
        "round": 0,
        "compute": 0,
    }


def test_nothing_is_said_where_the_case_has_no_price() -> None:
    assert Costs().of(10) is None
    assert Costs(per_case=0).of(10) is not None
    assert Costs().affordable() is None and Costs(per_case=20).affordable() is None


@pytest.mark.parametrize(("budget", "cases"), [(0, 0), (119, 0), (120, 0), (139.9, 0), (140, 1), (160, 2), (1120, 50)])
def test_a_budget_pays_for_whole_cases_after_the_round(budget: float, cases: int) -> None:
    assert Costs(per_case=20, per_round=100, per_run=5, runs=4, budget=budget).affordable() == cases


def test_rounding_takes_no_case_away() -> None:
    assert Costs(per_case=0.1, budget=0.3).affordable() == 3


def test_weighing_takes_what_is_known_and_a_share_for_what_is_not() -> None:
    assert Costs().weighed(400) == (1.0, 20.0)
    assert Costs(per_case=0, per_round=7).weighed(400) == (1.0, 20.0)
    assert Costs(per_case=2).weighed(400) == (2, 40)
    assert Costs(per_case=2, per_run=1.5, runs=4).weighed(400) == (2, 46)
    assert Costs(per_case=2, per_round=0).weighed(400) == (2, 0)
    assert Costs(per_case=2, per_round=9, per_run=1, runs=3).weighed(400) == (2, 12)


@pytest.mark.parametrize("name", ["per_case", "per_round", "per_run", "runs", "budget"])
def test_costs_are_not_negative_and_finite(name: str) -> None:
    fine = {"per_case": 1.0}
    assert Costs(per_case=1, budget=0, per_round=0).budget == 0
    for bad in (-1, math.inf, math.nan):
        with pytest.raises(InputError, match=f"cost {name} must be >= 0 and finite, found {bad:g}"):
            Costs(**{**fine, name: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize("per_case", [None, 0])
def test_a_budget_needs_a_price(per_case: float | None) -> None:
    with pytest.raises(InputError, match="give per_case > 0"):
        Costs(per_case=per_case, budget=10)
