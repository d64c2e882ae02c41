"""What is drawn of one curve: every kind is readable, says what it is of, and is written three times alike."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import dicecast
from dicecast.adapters.figures.canvas import file_name, label, new_figure, picture_bytes
from dicecast.adapters.figures.write import Pictured, curve_figures, write_figures
from dicecast.forecast.costs import Costs
from dicecast.forecast.errors import InputError
from dicecast.forecast.forecast import Forecast, Question, forecast_curve
from dicecast.forecast.types import SizeInterval

KINDS = ("", "posterior", "cost", "rounds", "dropped", "promises")
Check = Callable[[Figure], str]


@pytest.fixture(scope="module")
def drawn(pictured: Pictured) -> dict[str, Figure]:
    return dict(curve_figures(pictured))


@pytest.fixture(scope="module")
def oddly_named(pictured: Pictured) -> dict[str, Figure]:
    curve = replace(pictured.forecast.curve, arm="x_$&<b>$ " + "long " * 20, structure="kidney+" * 20)
    costs = Costs(per_case=1.5, per_round=10, unit="minutes of a radiologist's time " * 3, budget=600)
    return dict(curve_figures(replace(pictured, forecast=replace(pictured.forecast, curve=curve), costs=costs)))


def test_every_kind_is_drawn_once(drawn: dict[str, Figure]) -> None:
    assert tuple(drawn) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_readable(drawn: dict[str, Figure], kind: str, check_readable: Check) -> None:
    said = check_readable(drawn[kind])
    assert "2d / all / dice" in said


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_readable_with_names_of_any_length(
    oddly_named: dict[str, Figure], kind: str, check_readable: Check
) -> None:
    check_readable(oddly_named[kind])


def test_the_curve_says_level_runs_and_test_cases(drawn: dict[str, Figure], check_readable: Check) -> None:
    said = check_readable(drawn[""])
    for words in ("90% interval of the curve", "90% interval of the next run", "15 pilot runs", "between annotators"):
        assert words in said
    assert "Dice, mean over 6 test cases" in said and "annotated now (90)" in said


def test_the_horizon_is_drawn_where_it_lies_in_view(pictured: Pictured, check_readable: Check) -> None:
    far = SizeInterval(median=350, lo=100, hi=360, hi_censored=True, level=0.9, horizon=360)
    assert pictured.forecast.plateau is not None
    found = replace(pictured.forecast, plateau=replace(pictured.forecast.plateau, size=far))
    (_, figure), *_ = curve_figures(Pictured(found, aside=True))
    said = check_readable(figure)
    assert "horizon (360)" in said and "[100, > 360]" in said


def test_a_plateau_past_the_horizon_is_said_and_not_drawn(pictured: Pictured, check_readable: Check) -> None:
    posterior, plateau = pictured.forecast.posterior, pictured.forecast.plateau
    assert posterior is not None and plateau is not None
    slow = replace(posterior, theta=posterior.theta * 1e-6)
    beyond = SizeInterval(median=None, lo=360, hi=360, hi_censored=True, level=0.9, horizon=360)
    found = replace(pictured.forecast, posterior=slow, plateau=replace(plateau, size=beyond, p_beyond_horizon=1.0))
    figures = dict(curve_figures(Pictured(found)))
    assert "n* =" not in check_readable(figures[""])
    said = check_readable(figures["posterior"])
    assert "past the horizon" in said and "> 360" in said


def test_the_cost_of_a_size_stands_below_it(pictured: Pictured) -> None:
    figures = dict(curve_figures(Pictured(pictured.forecast, costs=pictured.costs)))
    axes = figures["cost"].axes[0]
    (above,) = axes.child_axes
    figures["cost"].draw_without_rendering()
    lo, hi = axes.get_xlim()
    assert above.get_xlim() == pytest.approx((90 + (lo - 500) / 40, 90 + (hi - 500) / 40))


def test_the_next_run_spreads_more_than_the_curve(drawn: dict[str, Figure], pictured: Pictured) -> None:
    axes = drawn[""].axes[0]
    lines = [line.get_xydata() for line in axes.lines if line.get_linestyle() == ":"]
    (at, lower), (_, upper) = (np.asarray(line, dtype=float).T for line in lines if len(np.asarray(line)) > 2)
    assert pictured.forecast.expected is not None
    lo, hi = np.quantile(pictured.forecast.expected.scores(at), [0.05, 0.95], axis=1)
    assert np.all(lower <= lo + 1e-3) and np.all(upper >= hi - 1e-3)


def test_promises_that_were_missed_are_told_from_those_held(pictured: Pictured, check_readable: Check) -> None:
    first, *others = pictured.outcomes
    missed = replace(first, observed=0.1)
    figures = dict(curve_figures(replace(pictured, outcomes=[missed, *others])))
    said = check_readable(figures["promises"])
    assert "promise missed" in said and "promise held" in said and "1 of 2 promises held" in said


def test_what_is_not_known_is_not_drawn(pictured: Pictured) -> None:
    bare = Pictured(pictured.forecast, history=pictured.history[:1], costs=Costs())
    assert [kind for kind, _ in curve_figures(bare)] == ["", "posterior"]
    assert [kind for kind, _ in curve_figures(replace(bare, aside=True))] == [""]
    nothing_left = forecast_curve(pictured.forecast.curve, Question(reach=90), quick=True)
    assert "cost" not in dict(curve_figures(replace(pictured, forecast=nothing_left)))


def test_files_come_as_svg_png_and_pdf_and_are_the_same_again(pictured: Pictured, tmp_path: Path) -> None:
    few = Pictured(pictured.forecast, costs=pictured.costs)
    one, two = write_figures([few, replace(few, aside=True)], tmp_path / "one"), write_figures([few], tmp_path / "two")
    assert [path.suffix for path in one[:3]] == [".svg", ".png", ".pdf"]
    assert len({path.name for path in one}) == len(one) == 3 * (3 + 2)
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(one[: len(two)], two, strict=True))
    assert [path.name for path in one[: len(two)]] == [path.name for path in two] and len(two) == 3 * 3
    assert not any(b"CreationDate" in path.read_bytes() for path in one if path.suffix == ".pdf")


def test_a_curve_that_cannot_be_forecast_is_skipped_and_refused(pictured: Pictured, tmp_path: Path) -> None:
    short = forecast_curve(pictured.forecast.curve.without_largest(3))
    assert write_figures([Pictured(short)], tmp_path / "none") == [] and not (tmp_path / "none").exists()
    for plot in (dicecast.plot_curve, dicecast.plot_posterior):
        with pytest.raises(InputError, match="2 size"):
            plot(short)
    with pytest.raises(InputError, match="2 size"):
        dicecast.plot_cost(short, Costs(per_case=1))


# ---- the functions that users call ------------------------------------------------------------------------------


def calls(one: Pictured) -> list[tuple[Callable[..., Any], list[Any]]]:
    found: Forecast = one.forecast
    return [
        (dicecast.plot_curve, [found]),
        (dicecast.plot_cost, [found, one.costs]),
        (dicecast.plot_promises, [found.curve, one.outcomes]),
        (dicecast.plot_posterior, [found]),
        (dicecast.plot_history, [one.history]),
        (dicecast.plot_drop_largest, [one.dropped]),
    ]


def test_without_axes_a_figure_is_made_that_pyplot_shows(pictured: Pictured) -> None:
    for plot, arguments in calls(pictured):
        axes = np.ravel(np.asarray(plot(*arguments), dtype=object))
        assert axes[0].figure.number in pyplot.get_fignums()
        pyplot.close(axes[0].figure)


def test_axes_are_taken_and_given_back(pictured: Pictured) -> None:
    for plot, arguments in calls(pictured):
        count = {"plot_posterior": 16, "plot_history": 3, "plot_drop_largest": 2}.get(plot.__name__, 1)
        figure = new_figure(9)
        own = figure.subplots(1, count, squeeze=False)[0]
        given = plot(*arguments, own if count > 1 else own[0])
        assert list(np.ravel(np.asarray(given, dtype=object))) == list(own)
        assert pyplot.get_fignums() == []


def test_beside_other_axes_the_legend_stays_inside(pictured: Pictured) -> None:
    figure = new_figure()
    left, right = figure.subplots(1, 2)
    dicecast.plot_curve(pictured.forecast, left)
    assert left.get_legend() is not None and not figure.legends and not right.has_data()


@pytest.mark.parametrize(("name", "count"), [("plot_history", 3), ("plot_drop_largest", 2), ("plot_posterior", 16)])
def test_another_number_of_axes_is_refused(pictured: Pictured, name: str, count: int) -> None:
    plot, arguments = next(one for one in calls(pictured) if one[0].__name__ == name)
    with pytest.raises(InputError, match=f"needs {count} axes"):
        plot(*arguments, new_figure().subplots(1, count + 1))


@pytest.mark.parametrize(
    ("count", "found"),
    [(1, r"an array of shape \(2,\)"), (2, "something of type list of 2"), (0, "something of type str")],
)
def test_anything_but_one_axes_is_refused(pictured: Pictured, count: int, found: str) -> None:
    pair = new_figure().subplots(1, 2)
    given = {0: "axes", 1: pair, 2: list(pair)}[count]
    for plot, arguments in calls(pictured)[:3]:
        with pytest.raises(InputError, match=f"must be one matplotlib Axes, found {found}"):
            plot(*arguments, given)


def test_anything_but_axes_among_several_is_refused(pictured: Pictured) -> None:
    with pytest.raises(InputError, match="found something of type int among them"):
        dicecast.plot_history(pictured.history, [*new_figure().subplots(1, 2), 3])


def test_matplotlib_is_imported_when_a_figure_is_drawn_and_not_before() -> None:
    code = (
        "import sys, dicecast; names = [getattr(dicecast, name) for name in dicecast.__all__]; "
        "sys.exit('matplotlib.figure' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_every_plotting_function_has_an_example_and_says_what_it_returns() -> None:
    for name in dicecast.__all__:
        if name.startswith("plot_"):
            words = getattr(dicecast, name).__doc__
            assert "Args:" in words and "Returns:" in words and "Example:\n" in words and f"{name}(" in words, name


# ---- names ------------------------------------------------------------------------------------------------------


def test_long_names_keep_their_beginning_and_their_end() -> None:
    assert label("short") == "short"
    long = [label("l" * 299 + end, 40) for end in "ab"]
    assert long[0] != long[1] and all(len(one) <= 40 for one in long)


def test_file_names_of_strata_and_of_long_names_stay_apart() -> None:
    assert file_name("kidney <= 3") != file_name("kidney > 3")
    assert file_name("l" * 300) != file_name("l" * 299 + "m") and len(file_name("l" * 300)) < 70


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_dollars_are_not_mathematics(ending: str) -> None:
    figure = new_figure()
    figure.subplots().set_title("x_$&<b> $^")
    assert picture_bytes(figure, ending) == picture_bytes(figure, ending)
