"""Strata: how the ways to split are read, who is in which stratum, and what they add to a scores table."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicecast.forecast.errors import InputError
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.strata import strata_of, with_strata
from dicecast.forecast.stratification import Stratification, stratification


def facts(volumes: dict[str, list[Any]], **columns: list[Any]) -> pd.DataFrame:
    """One row per case and structure; cases are called a, b, c, ..."""
    rows = [
        {"case": chr(ord("a") + i), "structure": structure, "volume": volume}
        for structure, values in volumes.items()
        for i, volume in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(**columns)


def strata(table: pd.DataFrame, *texts: str) -> dict[tuple[str, str], list[str]]:
    """Strata by case and structure, in the order of the ways to split."""
    found = strata_of(table, [stratification(text) for text in texts])
    assert list(found.columns) == ["case", "structure", "stratum"]
    return {(str(c), str(s)): list(rows["stratum"]) for (c, s), rows in found.groupby(["case", "structure"])}


# how they are asked for


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("volume/4", Stratification("volume", groups=4)),
        ("diameter/2", Stratification("diameter", groups=2)),
        ("diameter@10,30", Stratification("diameter", cuts=(10.0, 30.0))),
        (" volume@0.5, 2 ", Stratification("volume", cuts=(0.5, 2.0))),
        ("site", Stratification("site")),
        ("age of patient", Stratification("age of patient")),
        ("age/3", Stratification("age", groups=3)),
        ("age@65", Stratification("age", cuts=(65.0,))),
        ("volume/20", Stratification("volume", groups=20)),
    ],
)
def test_a_way_to_split_is_read(text: str, expected: Stratification) -> None:
    assert stratification(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "/4", "@10", "volume/", "volume/1", "volume/21", "volume/two", "volume/2.5", "volume/-2"),
        *("volume@", "volume@,", "volume@10;30", "volume@30,10", "volume@10,10", "volume@1.2.3", "volume@-5"),
        *("volume@10,10,30", "volume/2@10", "volume@10/2", "volume/4/2"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(InputError, match="volume/4, diameter@10,30 or a column of cases") as caught:
        stratification(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("name", ["volume", "diameter", "heterogeneity"])
def test_a_measured_property_without_groups_or_cuts_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}/2, or {name}@10"):
        stratification(name)


def test_only_properties_of_the_reference_are_measured() -> None:
    assert [stratification(text).measured for text in ("volume/2", "heterogeneity@1", "site", "age/2")] == [
        *(True, True, False, False)
    ]


# who is in which


def test_quartiles_hold_a_quarter_each_and_say_their_ends_with_the_unit() -> None:
    found = strata(facts({"tumour": [80, 10, 30, 20, 70, 40, 60, 50]}), "volume/4")
    names = [found[case, "tumour"][0] for case in "bdcfhgea"]  # by rising volume
    assert names == [
        *("volume <= 27.5 mL", "volume <= 27.5 mL", "volume > 27.5 to 45.0 mL", "volume > 27.5 to 45.0 mL"),
        *("volume > 45.0 to 62.5 mL", "volume > 45.0 to 62.5 mL", "volume > 62.5 mL", "volume > 62.5 mL"),
    ]


def test_every_structure_is_split_at_its_own_median() -> None:
    found = strata(facts({"kidney": [100, 200, 300, 400], "tumour": [1, 4, 2, 3]}), "volume/2")
    assert [found[case, "kidney"] for case in "abcd"] == [["volume <= 250 mL"]] * 2 + [["volume > 250 mL"]] * 2
    assert [found[case, "tumour"][0].split()[1] for case in "abcd"] == ["<=", ">", "<=", ">"]


def test_cuts_are_inclusive_below_and_carry_the_unit() -> None:
    table = facts({"tumour": [0, 0, 0, 0, 0]}, diameter=[5.0, 10.0, 10.01, 30.0, 31.0])
    found = strata(table, "diameter@10,30")
    assert [found[case, "tumour"] for case in "abcde"] == [
        *(["diameter <= 10 mm"], ["diameter <= 10 mm"], ["diameter 10 to 30 mm"], ["diameter 10 to 30 mm"]),
        ["diameter > 30 mm"],
    ]


def test_a_single_cut_makes_two_strata() -> None:
    found = strata(facts({"tumour": [1, 2, 3]}), "volume@2")
    assert [found[case, "tumour"] for case in "abc"] == [["volume <= 2 mL"], ["volume <= 2 mL"], ["volume > 2 mL"]]


def test_what_has_no_unit_is_told_without_one() -> None:
    table = facts({"tumour": [1, 2]}, heterogeneity=[3.0, 9.0], age=["50", "70"])
    found = strata(table, "heterogeneity@5", "age@65")
    assert found["a", "tumour"] == ["heterogeneity <= 5", "age <= 65"]
    assert found["b", "tumour"] == ["heterogeneity > 5", "age > 65"]


def test_a_column_makes_one_stratum_per_value() -> None:
    found = strata(facts({"tumour": [1, 2, 3]}, site=["Bonn", "Köln", "Bonn"]), "site")
    assert [found[case, "tumour"] for case in "abc"] == [["site: Bonn"], ["site: Köln"], ["site: Bonn"]]


def test_a_column_of_text_that_holds_numbers_can_be_cut() -> None:
    found = strata(facts({"tumour": [1, 2, 3, 4]}, age=["61", "8", "70", "44"]), "age/2")
    assert [found[case, "tumour"][0].split()[1] for case in "abcd"] == [">", "<=", ">", "<="]


@pytest.mark.parametrize("text", ["age/2", "age@60"])
@pytest.mark.parametrize("wrong", ["", "old", "nan", "inf"])
def test_values_to_cut_that_are_no_numbers_are_refused_naming_column_and_value(text: str, wrong: str) -> None:
    table = facts({"tumour": [1, 2, 3]}, age=["61", wrong, "70"])
    with pytest.raises(InputError, match="age must hold numbers") as caught:
        strata(table, text)
    assert repr(wrong) in str(caught.value)


def test_a_column_that_is_not_there_is_refused_naming_those_that_are() -> None:
    with pytest.raises(InputError, match="no 'scanner'") as caught:
        strata(facts({"tumour": [1]}, site=["Bonn"]), "scanner")
    assert "volume, site" in str(caught.value)
    assert "case" not in str(caught.value).partition("There is")[2]


def test_nothing_asked_gives_no_strata() -> None:
    assert strata_of(facts({"tumour": [1]}), []).empty


def test_one_case_and_equal_values_are_one_stratum() -> None:
    assert strata(facts({"tumour": [7.0]}), "volume/4") == {("a", "tumour"): ["volume <= 7.00 mL"]}
    found = strata(facts({"tumour": [7.0, 7.0, 7.0]}), "volume/2")
    assert {tuple(names) for names in found.values()} == {("volume <= 7.00 mL",)}


ways = st.sampled_from(["volume/2", "volume/4", "volume/7", "volume@1", "volume@0.5,10,100", "site", "site@1,2"])
volumes = st.floats(0, 1e4, allow_subnormal=False)


tables_of = st.dictionaries(
    st.sampled_from(["kidney", "tumour", "cyst"]), st.lists(volumes, min_size=1, max_size=12), min_size=1
)


@settings(max_examples=50)
@given(tables=tables_of, way=ways, data=st.data())
def test_every_case_is_in_exactly_one_stratum(tables: dict[str, list[float]], way: str, data: st.DataObject) -> None:
    table = facts({name: list(values) for name, values in tables.items()})
    table["site"] = data.draw(st.lists(st.integers(0, 3), min_size=len(table), max_size=len(table)))
    made = strata_of(table, [stratification(way)])
    assert sorted(zip(made["case"], made["structure"], strict=True)) == sorted(
        zip(table["case"], table["structure"], strict=True)
    )


def test_structures_keep_their_order() -> None:
    found = strata_of(facts({"tumour": [1, 2], "kidney": [3, 4]}), [stratification("volume/2")])
    assert found["structure"].tolist() == ["tumour", "tumour", "kidney", "kidney"]


def test_strata_by_several_ways_are_those_of_each() -> None:
    table = facts({"tumour": [1, 2, 3, 4]}, site=["Bonn", "Köln", "Bonn", "Köln"])
    apart = [strata(table, text) for text in ("volume/2", "volume@1", "site")]
    together = strata(table, "volume/2", "volume@1", "site")
    assert together == {key: [one[key][0] for one in apart] for key in apart[0]}


@pytest.mark.parametrize("asked", [("volume/2", "volume/4"), ("volume/2", "volume/2"), ("volume/2", "volume@100")])
def test_no_case_is_twice_in_a_stratum_that_two_ways_name_alike(asked: tuple[str, ...]) -> None:
    table = facts({"kidney": [100, 100, 100, 100, 900], "tumour": [0, 0, 0, 0, 0]})
    made = strata_of(table, [stratification(text) for text in asked])
    assert not made.duplicated().any()


@settings(max_examples=50)
@given(values=st.lists(volumes, min_size=2, max_size=30), groups=st.integers(2, 6))
def test_groups_are_ordered_and_of_about_equal_size_where_values_differ(values: list[float], groups: int) -> None:
    table = facts({"tumour": list(values)})
    named = strata_of(table, [Stratification("volume", groups=groups)])["stratum"].to_numpy()
    ends = sorted((min(v), max(v)) for v in (np.array(values)[named == name] for name in set(named)))
    assert all(high < low for (_, high), (low, _) in pairwise(ends))
    if len(set(values)) == len(values):
        sizes = [int((named == name).sum()) for name in set(named)]
        assert len(sizes) == min(groups, len(values))
        assert max(sizes) - min(sizes) <= 1


# what they add to a scores table


def scores() -> pd.DataFrame:
    rows = [
        {"n_cases": n, "draw": 0, "test_set": test_set, "case": case, "structure": structure, "score": 0.5}
        for n in (5, 10)
        for test_set in ("test", "north", "cross-validation")
        for case in "ab"
        for structure in ("kidney", "tumour")
    ]
    return validate_scores(pd.DataFrame(rows).assign(reader="x"))


def test_strata_add_rows_of_their_test_set_only_and_keep_every_column() -> None:
    table, before = scores(), scores()
    made = strata_of(facts({"kidney": [1, 2], "tumour": [3, 9]}), [stratification("volume/2")])
    added = with_strata(table, made, "test")
    pd.testing.assert_frame_equal(table, before)
    assert list(added.columns) == list(table.columns)
    assert set(added["test_set"]) == {"test"}
    assert len(added) == 2 * 2 * 2
    assert set(added["reader"]) == {"x"}
    assert set(added.loc[added["case"] == "a", "stratum"]) == {"volume <= 1.50 mL", "volume <= 6.00 mL"}
    validate_scores(pd.concat([table, added], ignore_index=True))  # no score is there twice


def test_a_case_that_does_not_contain_the_structure_is_in_none_of_its_strata() -> None:
    made = strata_of(facts({"kidney": [1, 2], "tumour": [3]}), [stratification("volume@5")])
    added = with_strata(scores(), made, "test")
    assert set(added.loc[added["structure"] == "tumour", "case"]) == {"a"}
    assert set(added.loc[added["structure"] == "kidney", "case"]) == {"a", "b"}


def test_strata_are_not_split_again() -> None:
    made = strata_of(facts({"kidney": [1, 2], "tumour": [3, 9]}), [stratification("volume/2")])
    table = scores()
    once = with_strata(table, made, "test")
    twice = with_strata(pd.concat([table, once], ignore_index=True), made, "test")
    pd.testing.assert_frame_equal(once, twice)


@settings(max_examples=30)
@given(
    values=st.lists(volumes, min_size=2, max_size=2),
    asked=st.lists(ways.filter(lambda text: "site" not in text), min_size=1, max_size=3, unique=True),
)
def test_the_strata_of_a_way_to_split_hold_every_score_once(values: list[float], asked: list[str]) -> None:
    table = scores()
    own = table[(table["test_set"] == "test") & (table["structure"] == "kidney")]
    made = strata_of(facts({"kidney": list(values)}), [stratification(text) for text in asked])
    added = with_strata(table, made, "test")
    counted = added.groupby(["n_cases", "case"]).size()
    # ways to split may have a part in common, which then is there once
    assert counted.between(1, len(asked)).all() and len(counted) == len(own)
    assert not added.duplicated(["n_cases", "case", "stratum"]).any()
