"""What a forecast warns of, and what a question may not be, at the edge of each rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicecast.forecast.checks import PredictiveCheck
from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.errors import InputError
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.forecast import Backtest, Forecast, Question, check_reach, family_views, horizon_of
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.scores import MOST_CASES
from dicecast.forecast.types import Interval
from dicecast.forecast.verdict import Verdict, ill_behaved_words


def curve(*y: float) -> Curve:
    n = 10 * 2 ** np.arange(len(y))
    return averaged_curve("arm", n, 0 * n, np.array(y), int(n[-1]), int(n[-1]))


def forecast(*y: float, **more: object) -> Forecast:
    return Forecast(curve(*y), Question(), Verdict("plateau_ahead", "why."), **more)  # type: ignore[arg-type]


def test_the_horizon_is_four_times_the_largest_size() -> None:
    assert horizon_of(curve(0.5, 0.6, 0.7)) == forecast(0.5, 0.6, 0.7).horizon == 160


@pytest.mark.parametrize(("last", "falls"), [(0.6501, False), (0.6499, True), (0.9, False)])
def test_a_fall_of_more_than_five_tolerances_is_warned_of(last: float, falls: bool) -> None:
    found = forecast(0.7, 0.8, last)
    assert found.falls is falls
    (message,) = found.messages or ("",)
    assert message.startswith(f"the mean score falls from 0.700 at 10 to {last:.3f} at 40 cases") == falls


@pytest.mark.parametrize(("best", "failed"), [(0.0499, True), (0.05, False)])
def test_scores_near_nothing_are_warned_of(best: float, failed: bool) -> None:
    found = forecast(0.01, 0.02, best).messages
    assert found == (("no size scores 0.05: the training may have failed; look at the predictions",) if failed else ())


@pytest.mark.parametrize(
    ("observed", "held", "far"),
    [
        (0.7, True, False),
        (0.75, True, False),
        (0.751, False, False),
        (0.824, False, False),
        (0.826, False, True),  # 2.5 times the upper half-width of 0.05
        (0.68, True, False),
        (0.679, False, False),
        (0.651, False, False),
        (0.649, False, True),  # 2.5 times the lower half-width of 0.02
    ],
)
def test_a_backtest_fails_by_far_from_two_and_a_half_half_widths(observed: float, held: bool, far: bool) -> None:
    test = Backtest((10, 20), 40, observed, Interval(0.7, 0.68, 0.75, 0.9))
    assert (test.held, test.missed_by_far) == (held, far)


def test_an_interval_of_no_width_has_a_thousandth() -> None:
    narrow = Interval(0.7, 0.7, 0.7, 0.9)
    assert not Backtest((10,), 40, 0.7024, narrow).missed_by_far
    assert Backtest((10,), 40, 0.7026, narrow).missed_by_far


def test_the_last_backtest_that_failed_is_told() -> None:
    missed = Backtest((10, 20), 40, 0.9, Interval(0.7, 0.68, 0.75, 0.9))
    worst = replace(missed, from_sizes=(10, 20, 40), n=80)
    held = replace(worst, observed=0.7)
    (message,) = forecast(0.5, 0.6, 0.7, backtest=(missed, worst, held)).messages
    assert message.startswith(
        "backtest: from sizes up to 40 the score at 80 was forecast as 0.700 [0.680, 0.750], observed was 0.900: "
    )
    assert forecast(0.5, 0.6, 0.7, backtest=(held,)).messages == ()


@pytest.mark.parametrize(
    ("p_dip", "p_misfit", "dip", "said"),
    [
        (0.04, 0.01, (20, 40), 0),
        (0.039, 0.01, (20, 40), 1),
        (0.039, 0.01, None, 0),
        (0.04, 0.0099, (20, 40), 1),
        (0.001, 0.001, (20, 40), 2),
    ],
)
def test_a_predictive_check_speaks_below_its_bars(
    p_dip: float, p_misfit: float, dip: tuple[int, int] | None, said: int
) -> None:
    check = PredictiveCheck(p_dip, p_misfit, dip)
    assert len(check.messages) == len(forecast(0.5, 0.6, 0.7, check=check).messages) == said
    if said == 2:
        assert "from 20 to 40 cases with probability 0.001" in check.messages[0]
        assert "no smooth curve comes close (probability 0.001)" in check.messages[1]


def test_a_curve_is_ill_behaved_where_it_falls_beyond_noise() -> None:
    falling, rising = curve(0.7, 0.8, 0.65), curve(0.6, 0.8, 0.65)
    flagged, declined = PredictiveCheck(0.03, 1.0, (20, 40)), PredictiveCheck(0.0149, 1.0, (20, 40))
    assert ill_behaved_words(rising, flagged) is None
    assert ill_behaved_words(curve(0.65, 0.8, 0.65), flagged) is None
    words = ill_behaved_words(falling, flagged)
    assert words is not None
    assert words.startswith("the score falls from 0.800 at 20 to 0.650 at 40 cases; noise explains a fall like this")
    assert "with probability 0.0300 only" in words
    assert ill_behaved_words(rising, declined) is not None
    assert ill_behaved_words(rising, PredictiveCheck(0.015, 1.0, (20, 40))) is None


@pytest.mark.parametrize(
    ("fine", "bad"),
    [
        ({"level": 0.99}, {"level": 0.991}),
        ({"level": 1e-6}, {"level": 0.0}),
        ({"eps": 0.999}, {"eps": 1.0}),
        ({"eps": 1e-9}, {"eps": 0.0}),
        ({"target": 1.0}, {"target": 1.001}),
        ({"target": 1e-6}, {"target": 0.0}),
        ({"reach": 1}, {"reach": 0}),
        ({"reach": MOST_CASES}, {"reach": MOST_CASES + 1}),
        ({"at": (1, 5)}, {"at": (5, 0)}),
        ({"at": (MOST_CASES,)}, {"at": (1, MOST_CASES + 1)}),
        ({"seed": 0}, {"seed": -1}),
        ({"seed": 2**63 - 1}, {"seed": 2**63}),
        ({"scope": "population"}, {"scope": "all"}),
        ({"model": "average"}, {"model": "mean"}),
    ],
)
def test_a_question_is_refused_just_past_its_ends(fine: dict[str, object], bad: dict[str, object]) -> None:
    assert Question(**fine) is not None  # type: ignore[arg-type]
    with pytest.raises(InputError):
        Question(**bad)  # type: ignore[arg-type]


def test_there_are_never_fewer_cases_than_are_annotated() -> None:
    check_reach(curve(0.5, 0.6, 0.7), Question(reach=40))
    check_reach(curve(0.5, 0.6, 0.7), Question())
    with pytest.raises(InputError, match="at least the 40 that are, found 39"):
        check_reach(curve(0.5, 0.6, 0.7), Question(reach=39))


@pytest.mark.parametrize("model", ["average", "power-law"])
def test_families_weigh_what_they_do_in_the_average_whatever_was_asked(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicecast.forecast.forecast.BESIDE", 200)
    data = curve(0.5, 0.6, 0.66, 0.7)
    averaged = quadrature(data, 0)
    views = family_views(data, averaged if model == "average" else quadrature(data, 0, model=model), Question())
    weights = dict(zip((family.name for family in averaged.families), averaged.weights, strict=True))
    assert {view.family.name: view.weight for view in views} == {**dict.fromkeys(FAMILIES, 0.0), **weights}
    assert [view.fit is not None for view in views] == [True] * len(views)
    few = family_views(curve(0.5, 0.6, 0.66), averaged, Question())
    assert [view.fit is not None for view in few] == [len(view.family.names) <= 3 for view in few]
