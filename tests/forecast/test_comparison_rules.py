"""What is chosen among arms, and the words that go with it, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicecast.forecast import across_test_sets as across
from dicecast.forecast.arms import Arm, ArmCost
from dicecast.forecast.checks import PredictiveCheck
from dicecast.forecast.comparison import Comparison, _caveats, _odd, _pair, split_decisions
from dicecast.forecast.forecast import Gain, Question
from dicecast.forecast.ranking import Ranked, choose
from dicecast.forecast.types import Interval
from dicecast.tests.forecast.made_arms import FLAT, STEEP, curve

COSTS = {"flat": ArmCost(1.0, 10.0), "steep": ArmCost(5.0, 0.0)}


def row(*p: float, n: int = 50, cost: float | None = None, medians: tuple[float | None, ...] = ()) -> Ranked:
    middles = medians or tuple(0.7 + 0.01 * i for i in range(len(p)))
    scores = tuple(None if one is None else Interval(one, one - 0.1, one + 0.1, 0.9) for one in middles)
    return Ranked((n,) * len(p), scores, p, cost)


NAMES = ("a", "b", "c")


def test_the_last_row_decides() -> None:
    assert choose(NAMES[:2], [row(0.03, 0.97)]) == ("b", "with 50 cases b is the best with probability 0.97.")
    name, words = choose(NAMES[:2], [row(0.81, 0.19, n=20), row(0.2, 0.8)])
    assert name == "b" and words.startswith("if you go on annotating: with 20 cases a is the best")
    name, words = choose(NAMES[:2], [row(0.79, 0.21, n=20), row(0.04, 0.96)])
    assert name == "b" and words.startswith("with 20 cases a is")


def test_arms_that_cannot_be_told_apart_are_named() -> None:
    name, words = choose(NAMES, [row(0.5, 0.46, 0.04)])
    assert name is None
    assert words.startswith("a and b cannot be told apart: with 50 cases a is the best with probability 0.50; ")
    assert "differ by 0.010. Run the cheapest of them, or train more draws." in words
    assert words.endswith("Every other arm is ten times less likely to be the best.")
    name, words = choose(NAMES, [row(0.5, 0.4, 0.1)])
    assert name is None and words.startswith("the arms cannot be told apart") and "differ by 0.020" in words
    assert "ten times" not in words
    words = choose(NAMES[:2], [row(0.5, 0.5, cost=1500.0)], "EUR")[1]
    assert "with 1,500 EUR to spend a is the best" in words and "Train more draws, or run either." in words


def test_an_arm_that_cannot_be_trained_is_not_compared() -> None:
    nobody, only = row(0, 0, cost=5.0, medians=(None, None)), row(0, 1, cost=9.0, medians=(None, 0.7))
    assert choose(NAMES[:2], [nobody, only], "EUR") == (
        None,
        "nothing to compare: with 5 EUR to spend no arm can be trained; with 9 EUR to spend only b can be trained.",
    )
    assert choose(NAMES[:2], [only, row(0.02, 0.98)])[0] == "b"


def comparison(arms: tuple[Arm, ...] = (FLAT, STEEP), **more: object) -> Comparison:
    curves = tuple(one.curve for one in arms)
    return Comparison(curves, arms, (), (), (), (), None, "why.", **more)  # type: ignore[arg-type]


def test_what_a_reason_must_not_be_read_without() -> None:
    assert _caveats(comparison(), Question()) == []
    few = replace(comparison(), curves=(FLAT.curve, STEEP.curve, curve("two", (10, 20))))
    assert _caveats(few, Question()) == ["Not judged, with fewer than 3 sizes: two."]
    assert _caveats(comparison(), Question(reach=160)) == []
    (past,) = _caveats(comparison(), Question(reach=161))
    assert past.startswith("Past 160 cases, 4 times")
    (costs,) = _caveats(comparison(costs=COSTS), Question())
    assert costs.startswith("Costs did not decide")
    beyond = replace(row(0.5, 0.5, cost=1.0), beyond=(False, True))
    (ranked,) = _caveats(replace(comparison(costs=COSTS), by_cost=(beyond,)), Question())
    assert ranked.startswith("An arm that could annotate more")
    other = replace(STEEP, curve=replace(STEEP.curve, case_ids=("x",)))
    (cases,) = _caveats(comparison((FLAT, other)), Question())
    assert cases.startswith("The arms were not scored on the very same test cases")
    assert _caveats(comparison((FLAT, other)), Question(scope="population")) == []


def test_an_arm_that_falls_is_odd() -> None:
    falling = replace(STEEP, check=PredictiveCheck(0.001, 1.0, (10, 20)))
    assert _odd([FLAT, STEEP]) == []
    (words,) = _odd([FLAT, falling])
    assert words.startswith("steep is ill behaved: the score falls from 0.500 at 10 to 0.600 at 20 cases")


def test_different_test_sets_may_choose_different_arms() -> None:
    def chosen(test_set: str, name: str | None, stratum: str = "all") -> Comparison:
        first = replace(FLAT.curve, test_set=test_set, stratum=stratum)
        return replace(comparison(), curves=(first, STEEP.curve), arm=name)

    assert split_decisions([chosen("test", "flat"), chosen("north", "flat"), chosen("south", None)]) == []
    (words,) = split_decisions([chosen("test", "flat"), chosen("north", "steep")])
    assert words.startswith("all / dice: flat on test, steep on north. No arm is the best on every test set")
    (words,) = split_decisions([chosen("test", "flat", "large"), chosen("north", "steep", "large")])
    assert words.startswith("all / dice / large: flat on test")


def view(test_set: str, p: float) -> across.TestSetView:
    return across.TestSetView(
        replace(FLAT.curve, test_set=test_set), 0.7, Gain(50, 160, Interval(0.01, 0, 0.02, 0.9), p)
    )


@pytest.mark.parametrize(
    ("p", "state"), [(0.95, "saturated"), (0.949, "open"), (0.051, "open"), (0.05 - 1e-9, "rising"), (0.0, "rising")]
)
def test_a_test_set_is_saturated_rising_or_open(p: float, state: str) -> None:
    assert view("test", p).state == state


def test_saturated_here_and_rising_there_differ() -> None:
    both = (view("test", 0.97), view("north", 0.02), view("south", 0.5), view("east", 0.01))
    assert across.AcrossTestSets(both, "").differs
    assert not across.AcrossTestSets((both[0], both[2]), "").differs and not across.AcrossTestSets(both[1:], "").differs
    assert across._words(both, Question()) == (
        "saturated on test (0.97); still rising on north (0.02), east (0.01); not told yet on south (0.50) "
        "(P(gain <= 0.01) in brackets). Enough cases for test are not enough for north and east."
    )
    assert "Enough cases" not in across._words(both[1:] + both[:1], Question())
    assert "Enough cases" not in across._words((both[0], both[2]), Question())


def test_a_pair_is_the_second_less_the_first() -> None:
    # plateau sizes of `steep`: 400, 200, 20, 100 (told up to 160); of `flat`: none is needed
    found, turned = _pair(FLAT, STEEP, Question(level=0.5), (50, 100)), _pair(STEEP, FLAT, Question(level=0.5), (50,))
    assert (found.first.arm, found.second.arm, found.horizon, found.shared) == ("flat", "steep", 160, 0)
    assert found.ceiling.median == pytest.approx(0.075) and turned.ceiling.median == pytest.approx(-0.075)
    assert found.plateau.median == pytest.approx(130) and turned.plateau.median == pytest.approx(-130)
    assert (found.p_second_smaller, turned.p_second_smaller) == (0, 1)
    assert found.plateau_censored  # in half of the draws, and the interval leaves out a quarter at its end
    assert not _pair(FLAT, FLAT, Question(level=0.5), (50,)).plateau_censored
    assert [one.n for one in found.scores] == [50, 100]
    assert (found.equal.n, found.reverse.n) == (50, 50)
    assert "cases of steep reach what 50 of flat do" in found.words[0]
    assert found.words[2].startswith("From 10 to 160 cases steep overtakes flat with probability 0.50")
