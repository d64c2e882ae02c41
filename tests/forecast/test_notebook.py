"""What a notebook shows: the verdict first, the numbers of the result, every name escaped, arrays in short."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.pretty import pretty_repr

from dicecast.forecast.comparison import compare_curves
from dicecast.forecast.costs import Costs
from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.forecast import Forecast, Question, forecast_curve
from dicecast.forecast.recommendation import STOPS, Recommendation, Situation, recommend
from dicecast.forecast.scores import validate_scores

EVIL = "<script>alert(1)</script> & $x$"


def curve_named(arm: str, ceiling: float = 0.85, cases: int = 12) -> Curve:
    rng = np.random.default_rng(3)
    rows = [
        {"arm": arm, "n_cases": n, "draw": r, "case": f"c{c}", "score": ceiling - 0.4 * np.exp(-0.03 * n) + noise}
        for n in (10, 20, 40, 60, 90)
        for r in range(3)
        for c in range(cases)
        if (noise := 0.01 * rng.standard_normal()) is not None
    ]
    return curves_from_scores(validate_scores(pd.DataFrame(rows)))[0]


@pytest.fixture(scope="module")
def curve() -> Curve:
    return curve_named(EVIL)


@pytest.fixture(scope="module")
def found(curve: Curve) -> Forecast:
    return forecast_curve(curve, Question(at=(200,), target=0.8), quick=True)


class Words(HTMLParser):
    """The text of a page, and that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in ("p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td")
        self.open += [] if tag == "br" else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def said(one: Any) -> str:
    parser = Words()
    parser.feed(one._repr_html_())
    parser.close()
    assert parser.open == []
    return "\n".join(parser.said)


def test_a_curve_shows_its_sizes_and_means(curve: Curve) -> None:
    words = said(curve)
    assert words.startswith(EVIL) and "12 test cases" in words
    for n, mean in zip(curve.sizes, curve.observed, strict=True):
        assert f"{n}\n3\n{mean:.3f}" in words


def test_a_forecast_shows_its_verdict_first_and_its_numbers(found: Forecast) -> None:
    words = said(found)
    assert words.split("\n")[0].startswith(f"{EVIL} / all / dice: ")
    assert found.reachable_gain is not None and found.n_for_target is not None
    gain, expected = found.reachable_gain.interval, found.at[0].expected
    assert f"gain from 90 to 360 cases\n{gain.median:z.3f} [{gain.lo:z.3f}, {gain.hi:z.3f}]" in words
    assert f"expected dice at 200 cases\n{expected.median:.3f} [{expected.lo:.3f}, {expected.hi:.3f}]" in words
    assert f"cases for 0.8\n{found.n_for_target.size.median:.0f} [" in words
    assert "median [90% interval]" in words and "-0.000" not in words


def test_a_forecast_of_too_few_sizes_says_so(curve: Curve) -> None:
    assert "2 size(s) trained" in said(forecast_curve(curve.without_largest(3)))


def test_a_recommendation_shows_what_to_do_and_its_cost(found: Forecast) -> None:
    decision = recommend(found, Situation(left=300, costs=Costs(per_case=20, per_round=100, unit="<b>EUR")))
    words = said(decision)
    assert words.startswith(f"ANNOTATE {decision.batch} MORE CASES, {90 + decision.batch} in all\n{decision.reason}")
    assert decision.cost is not None and f"{decision.cost['amount']:,.0f} <b>EUR" in words
    assert f"promised mean at {90 + decision.batch} cases (90%)" in words


@pytest.mark.parametrize("code", [*STOPS, "train_pilots", "cannot_tell"])
def test_every_decision_has_a_headline(code: str) -> None:
    words = said(Recommendation(code, "because", "2d"))
    assert re.match(r"(STOP: |TRAIN MORE PILOTS|CANNOT TELL)[^{}]*\nbecause", words)


def test_a_comparison_shows_the_arm_and_every_row() -> None:
    curves = [curve_named(EVIL), curve_named("3d", 0.9)]
    (found,) = compare_curves(curves, Question(), quick=True)
    words = said(found)
    assert words.startswith("all / dice: run 3d")
    assert all(f"{row.sizes[0]} cases\n{EVIL}\n" in words for row in found.by_cases)
    assert f"{found.by_cases[-1].p_best[1]:.0%}" in words
    (alone,) = compare_curves(curves[:1], Question(), quick=True)
    assert said(alone).startswith("all / dice: nothing to compare")


def test_arrays_and_long_tuples_are_shown_by_their_range(curve: Curve, found: Forecast) -> None:
    for words in (repr(curve), pretty_repr(curve)):
        assert "<array 15, 10 to 90>" in words and "<array 15 x 12, " in words
        assert "<12: 'c0' to 'c9'>" in words and len(words) < 1000
    assert found.expected is not None
    assert f"dm=<array {len(found.expected.dm)}, " in repr(found.expected)
    unknown = replace(curve, se_draws=np.full(15, np.nan), case_ids=())
    assert "se_draws=<array 15>" in repr(unknown)
