"""Which cases are annotated next."""

import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.errors import InputError
from dicecast.forecast.selection import _strata, choose_cases


def cases(start: int, sites: list[str]) -> pd.DataFrame:
    names = [f"case{start + i:03d}" for i in range(len(sites))]
    return pd.DataFrame({"case": names, "site": sites, "volume": [str(i) for i in range(len(sites))]})


WAITING = cases(0, ["a"] * 60 + ["b"] * 30 + ["c"] * 10)
ANNOTATED = cases(100, ["a"] * 10)


def chosen(batch: int, by: list[str], seed: int = 0) -> pd.DataFrame:
    names = choose_cases(WAITING, ANNOTATED, batch, by, np.random.default_rng(seed))
    assert len(set(names)) == min(batch, len(WAITING))
    return WAITING[WAITING["case"].isin(names)]


def test_random_cases_are_the_same_for_the_same_seed_only() -> None:
    assert chosen(20, []).equals(chosen(20, []))
    assert not chosen(20, []).equals(chosen(20, [], seed=1))


def test_strata_bring_the_annotated_cases_to_the_mix_of_all() -> None:
    found = chosen(34, ["site"])["site"].value_counts()
    # of 110 cases 70 are a, 30 b, 10 c: 44 annotated should hold 28, 12 and 4, and 10 a are there already
    assert found.to_dict() == {"a": 18, "b": 12, "c": 4}


def test_numbers_are_cut_into_quarters() -> None:
    found = chosen(40, ["volume"])["volume"].astype(int)
    counts = pd.cut(found, [9, 34, 59, 84, 99]).value_counts()  # 0 to 9 are annotated already
    assert counts.min() >= 6


def test_a_batch_of_everything_takes_everything() -> None:
    assert len(chosen(100, ["site"])) == 100
    assert len(chosen(500, ["site", "volume"])) == 100


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="'scanner' is needed"):
        chosen(3, ["scanner"])


def test_eight_values_are_strata_of_their_own_and_nine_are_cut_into_quarters() -> None:
    table = pd.DataFrame({"slices": [str(i) for i in range(9)]})
    assert _strata(table[:8], ["slices"]).tolist() == list("01234567")
    assert _strata(table, ["slices"]).nunique() == 4


def test_a_large_batch_of_many_ends() -> None:
    many = cases(0, ["a"] * 200 + ["b"] * 200)
    assert len(choose_cases(many, ANNOTATED, 300, ["site"], np.random.default_rng(0))) == 300
