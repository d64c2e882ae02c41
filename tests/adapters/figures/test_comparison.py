"""Arms against each other: readable with many arms and long names, and no more figures than anybody looks at."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import dicecast
from dicecast.adapters.figures.canvas import COLOURS, LINES, MARKERS, labels, new_figure
from dicecast.adapters.figures.comparison import (
    comparison_figures_of,
    left_out_words,
    pairs_drawn,
    write_comparison_figures,
)
from dicecast.adapters.figures.simulation import simulation_figure
from dicecast.adapters.simulate import known_policies
from dicecast.forecast.comparison import Comparison, compare_curves
from dicecast.forecast.errors import InputError
from dicecast.forecast.forecast import Question
from dicecast.forecast.guess import Guess
from dicecast.forecast.simulation import Terms, play
from dicecast.forecast.summary import Summary

from .conftest import curves_of

Check = Callable[[Figure], str]
LONG = ["3d_fullres+synthetic and more " + "x" * 60 + end for end in "ab"]


@pytest.fixture(scope="module")
def nine() -> Comparison:
    names = [*LONG, *(f"arm {i}" for i in range(7))]
    (found,) = compare_curves(curves_of(names), Question(), quick=True)
    return found


@pytest.fixture(scope="module")
def two() -> Comparison:
    (found,) = compare_curves(curves_of(["2d", "3d"]), Question(), quick=True)
    return found


def test_two_arms_are_drawn_with_their_pair(two: Comparison, check_readable: Check) -> None:
    figures = {kind: figure for kind, _, figure in comparison_figures_of(two)}
    assert list(figures) == ["arms", "3d-for-2d"] and left_out_words(two) is None
    said = check_readable(figures["arms"])
    assert "annotated now (90)" in said and "one draw (3 per size)" in said and "mean over 6 test cases" in said
    assert "cases of 3d for the same dice" in check_readable(figures["3d-for-2d"])


def test_many_arms_are_drawn_against_the_first_alone(nine: Comparison, check_readable: Check) -> None:
    drawn = pairs_drawn(nine)
    assert len(nine.pairs) == 36 and len(drawn) == 6
    assert {pair.first.arm for pair in drawn} == {LONG[0]}
    words = left_out_words(nine)
    assert words is not None and "of 36 pairs" in words and "--arms" in words
    figures = list(comparison_figures_of(nine))
    assert {pair.second.arm in words for pair, (_, words, _) in zip(drawn, figures[1:], strict=True)} == {True}
    assert len(figures) == 1 + 6
    for _, _, figure in figures:
        check_readable(figure)


def test_no_two_of_many_arms_look_alike() -> None:
    looks = {(COLOURS[i % len(COLOURS)], LINES[i % len(LINES)], MARKERS[i % len(MARKERS)]) for i in range(60)}
    assert len(looks) == 60


def test_arms_whose_names_differ_in_the_middle_stay_apart() -> None:
    names = [f"3d_fullres+synthetic cases of generator {i} (nnUNetResEncUNetMPlans)" for i in range(8)]
    for longest in (20, 34, 60):
        found = labels(names, longest)
        assert len(set(found)) == 8 and all(len(one) <= longest for one in found)
        assert all(f" {i}" in found[i] for i in range(8))
    assert labels(["2d", "3d"], 34) == ["2d", "3d"]
    several = ["a" * 50 + "b" * k + "c" * 80 for k in range(1, 4)]
    assert len(set(labels(several, 20))) == 3


def test_nothing_is_drawn_of_arms_that_were_not_compared(tmp_path: Path) -> None:
    (alone,) = compare_curves(curves_of(["2d"]), Question(), quick=True)
    assert write_comparison_figures([alone], tmp_path / "none") == []
    for plot in (dicecast.plot_arms, dicecast.plot_chances):
        with pytest.raises(InputError, match="nothing to compare"):
            plot(alone)


def test_axes_are_taken_and_given_back(two: Comparison) -> None:
    for plot, one in product((dicecast.plot_arms, dicecast.plot_chances), (two,)):
        axes = new_figure().subplots()
        assert plot(one, axes) is axes
    axes = new_figure().subplots()
    assert dicecast.plot_equal_performance(two.pairs[0], axes) is axes


def test_simulated_campaigns_are_written_three_times(tmp_path: Path) -> None:
    truths = Guess(20, (0.6, 0.7), (0.85, 0.9), (100, 200)).truths(400, 4, 0)
    found = [
        Summary(name, terms, tuple(play(truth, known_policies()[name], terms, 0) for truth in truths))
        for terms in (Terms(budget=100.0), Terms(budget=300.0))
        for name in ("dicecast", "50 %", "everything")
    ]
    written = simulation_figure(found, "cases", tmp_path / "paper")
    assert [path.suffix for path in written] == [".svg", ".png", ".pdf"]
    again = simulation_figure(found, "cases", tmp_path / "again")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
