import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.curve import Curve, averaged_curve, curves_from_scores
from dicecast.forecast.document import forecast_document
from dicecast.forecast.errors import InputError
from dicecast.forecast.families import FAMILIES, NAMED
from dicecast.forecast.forecast import Forecast, Question, forecast_curve
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.stability import RoundSummary, drop_largest, round_stability
from dicecast.forecast.types import Interval, SizeInterval


def curve(means: dict[int, float], draws: int = 3, sd: float = 0.008, seed: int = 0) -> Curve:
    rng = np.random.default_rng(seed)
    rows = [(n, r, y + sd * rng.standard_normal()) for (n, y), r in itertools.product(means.items(), range(draws))]
    return curves_from_scores(validate_scores(pd.DataFrame(rows, columns=["n_cases", "draw", "score"])))[0]


def exponential(sizes: list[int], dm: float = 0.85, d0: float = 0.35, k: float = 0.03) -> dict[int, float]:
    return {n: dm - (dm - d0) * float(np.exp(-k * n)) for n in sizes}


@pytest.fixture(scope="module")
def found() -> Forecast:
    return forecast_curve(curve(exponential([10, 20, 40, 80, 110])), Question(level=0.99, at=(200, 5000), target=0.82))


def test_the_plateau_interval_holds_the_true_plateau(found: Forecast) -> None:
    truth = np.log(0.5 / 0.01) / 0.03
    assert found.plateau is not None
    assert found.plateau.size.lo < truth < found.plateau.size.hi
    assert found.plateau.score.lo < 0.84 < found.plateau.score.hi
    assert found.verdict.code == "plateau_ahead"


def test_the_next_run_is_less_certain_than_the_curve(found: Forecast) -> None:
    at = found.at[0]
    assert at.next_run.hi - at.next_run.lo > at.expected.hi - at.expected.lo
    assert (at.within_horizon, found.at[1].within_horizon) == (True, False)
    assert at.expected.lo < 0.85 - 0.5 * np.exp(-6) < at.expected.hi


def test_gains_are_differences_of_the_curve(found: Forecast) -> None:
    assert found.reachable_gain is not None
    assert found.gain_doubling is not None
    assert (found.reachable_gain.n_from, found.reachable_gain.n_to) == (110, 440)
    assert found.gain_doubling.interval.median <= found.reachable_gain.interval.median
    misfit = found.expected.noise_rms[2] if found.expected else 0
    assert found.gain_doubling.interval.lo >= -3 * misfit  # the larger size has a misfit of its own


def test_the_target_interval_holds_the_truth(found: Forecast) -> None:
    truth = np.log(0.5 / 0.03) / 0.03
    assert found.n_for_target is not None
    size = found.n_for_target.size
    assert size.lo < truth < size.hi
    assert found.n_for_target.p_unreachable < 0.2


def test_the_backtest_forecasts_the_next_and_the_largest_size_from_the_smaller(found: Forecast) -> None:
    asked = [(test.from_sizes, test.n) for test in found.backtest]
    assert asked == [((10, 20, 40), 80), ((10, 20, 40), 110), ((10, 20, 40, 80), 110)]
    assert all(test.held for test in found.backtest)
    assert found.backtest[2].observed == pytest.approx(found.curve.observed[-1])


def test_every_family_has_its_say(found: Forecast) -> None:
    assert [view.family.name for view in found.families] == list(FAMILIES)
    weights = [view.weight for view in found.families]
    assert sum(weights) == pytest.approx(1)
    assert weights[-1] == 0  # the inverse logarithm is not averaged
    for view in found.families:
        assert view.fit is not None and view.fit.family is view.family
        assert (view.gain.n_from, view.gain.n_to) == (110, 440)
    assert found.named_view is not None
    assert found.named_view.family is NAMED


def test_the_named_model_is_sampled_and_the_average_summed(found: Forecast) -> None:
    assert found.posterior is not None and found.expected is not None
    assert found.posterior.chain is not None and found.posterior.model == NAMED.name
    assert found.expected.chain is None and found.expected.model == "average"


def test_the_gain_is_also_said_under_other_priors(found: Forecast) -> None:
    assert found.sensitivity is not None
    for gain in (found.sensitivity.vague, found.sensitivity.learned):
        assert (gain.n_from, gain.n_to) == (110, 440)
    assert found.sensitivity.vague != found.sensitivity.learned


def test_one_family_may_be_asked_for() -> None:
    asked = forecast_curve(curve(exponential([10, 20, 40, 80])), Question(model="power-law"), backtest=False)
    assert asked.expected is not None and asked.expected.chain is not None
    assert asked.expected.model == "power-law"
    assert asked.posterior is not None and asked.posterior.model == NAMED.name
    assert asked.sensitivity is None and asked.backtest == ()


def test_what_scores_lack_is_asked_for_before_they_speak_of_all_patients() -> None:
    with pytest.raises(InputError, match="needs scores of at least 2 test cases"):
        forecast_curve(curve(exponential([10, 20, 40, 80])), Question(scope="population"), backtest=False)


def test_fewer_than_three_sizes_are_not_forecast() -> None:
    found = forecast_curve(curve(exponential([10, 20])))
    assert found.verdict.code == "too_few_sizes"
    document = forecast_document([found], Question(), "0")["curves"][0]
    assert document["posterior"] is document["plateau"] is document["least_squares"] is None
    assert document["families"] == []


def test_a_saturated_curve_has_reached_its_plateau() -> None:
    found = forecast_curve(curve(exponential([20, 40, 80, 160, 320], k=0.06), draws=4, sd=0.004), quick=True)
    assert found.verdict.code == "plateau_reached"


def test_a_straight_rise_is_beyond_the_horizon() -> None:
    found = forecast_curve(curve({n: 0.3 + 0.002 * n for n in (10, 20, 40, 60, 80)}, sd=0.004), quick=True)
    assert found.verdict.code == "beyond_horizon"
    assert found.plateau is not None
    assert found.plateau.size.median is None
    assert found.plateau.size.hi_censored


def test_a_dip_beyond_the_noise_is_ill_behaved() -> None:
    found = forecast_curve(curve({10: 0.6, 20: 0.75, 40: 0.8, 80: 0.6, 160: 0.62}, draws=4, sd=0.003))
    assert found.verdict.code == "ill_behaved"
    assert "falls" in found.verdict.reason


def test_dropping_the_largest_sizes_leaves_an_exponential_where_it_was() -> None:
    data = curve(exponential([10, 20, 40, 80, 120, 160], k=0.04), draws=6, sd=0.002)
    dropped = drop_largest(data, Question())
    assert [refit.dropped for refit in dropped.refits] == [0, 1, 2]
    assert dropped.stable, dropped.reason


def test_two_sizes_are_too_few_to_fit_and_to_drop_any() -> None:
    with pytest.raises(InputError, match=r"at least 3 sizes must be trained .* found 2 \(10, 20\)"):
        drop_largest(curve(exponential([10, 20])), Question())


def test_three_sizes_cannot_be_dropped() -> None:
    dropped = drop_largest(curve(exponential([10, 20, 40])), Question())
    assert not dropped.stable
    assert len(dropped.refits) == 1


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"level": 1.0}, "level must lie between 0 and 1"),
        ({"level": 0.999}, "level must be at most 0.99"),
        ({"eps": 0.0}, "eps must lie between 0 and 1"),
        ({"target": 1.2}, "target score must lie in"),
        ({"at": (0,)}, "must be >= 1"),
        ({"seed": -1}, "seed must be"),
        ({"model": "spline"}, "unknown family 'spline': there is average, exponential"),
        ({"scope": "world"}, "unknown scope 'world'"),
        ({"reach": 0}, "must be >= 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(question: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Question(**question)  # type: ignore[arg-type]


def test_a_size_past_the_horizon_is_censored_not_made_up() -> None:
    size = SizeInterval.of(np.array([50.0, 100, 300, 900, np.inf] * 100), 0.9, horizon=400)
    assert (size.median, size.hi, size.hi_censored) == (300, 400, True)
    beyond = SizeInterval.of(np.array([500.0, 900, np.inf] * 100), 0.9, horizon=400)
    assert (beyond.median, beyond.lo) == (None, 400)


def summary(
    number: int, dm: float = 0.8, gain: float = 0.005, width: float = 0.015, n: float | None = 60
) -> RoundSummary:
    ceiling = Interval(dm, dm - 0.01, dm + 0.01, 0.9)
    size = SizeInterval(n, 40, 90, False, 0.9, 240)
    return RoundSummary(
        number, 20 * (number + 1), ceiling, size, Interval(gain, gain - width / 2, gain + width / 2, 0.9)
    )


def test_a_forecast_that_stands_still_and_is_narrow_is_stable() -> None:
    assert round_stability([summary(i) for i in range(3)], 0.01).stable


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ([summary(0), summary(1)], "stability needs 3"),
        ([summary(0), summary(1), summary(2, dm=0.82)], "DM moved"),
        ([summary(0), summary(1, gain=0.02), summary(2)], "gain moved"),
        ([summary(0), summary(1), summary(2, n=90)], "plateau size moved"),
        ([summary(0), summary(1, n=None), summary(2)], "beyond the horizon"),
        ([summary(i, width=0.1) for i in range(3)], "known to 0.100 only"),
    ],
)
def test_what_moves_or_is_wide_is_not_stable(history: list[RoundSummary], reason: str) -> None:
    held = round_stability(history, 0.01)
    assert not held.stable
    assert reason in held.reason


def test_with_nothing_left_to_reach_no_plateau_is_claimed() -> None:
    data = curve(exponential([8, 16, 32, 64], k=0.01))
    as_far_as_it_goes = forecast_curve(dataclasses.replace(data, n_annotated=256, pool=(256,)), quick=True)
    assert as_far_as_it_goes.verdict.code == "beyond_horizon"
    assert "as far as pilots on up to 64" in as_far_as_it_goes.verdict.reason
    with pytest.raises(InputError, match=r"reach\) must be at least the 64 that are, found 50"):
        forecast_curve(data, Question(reach=50))


def test_scores_that_fall_from_the_first_size_on_are_ill_behaved() -> None:
    found = forecast_curve(curve({8: 0.868, 16: 0.848, 32: 0.807, 64: 0.707}, draws=2), quick=True)
    assert found.verdict.code == "ill_behaved"


def test_a_jump_that_no_earlier_size_foretold_is_a_warning() -> None:
    found = forecast_curve(curve({8: 0.5, 16: 0.5, 32: 0.5, 64: 0.9}, draws=2, sd=0.002))
    assert any("did not go on as they began" in message for message in found.messages)
    assert not any("did not go on" in message for message in forecast_curve(curve(exponential([10, 20, 40]))).messages)


def test_scores_near_zero_are_a_warning_not_only_a_plateau() -> None:
    found = forecast_curve(curve({8: 0.0, 16: 0.0, 32: 0.0}, sd=0.0), quick=True)
    assert any("the training may have failed" in message for message in found.messages)


def test_scores_that_fall_far_are_warned_of_whatever_their_noise() -> None:
    curve = averaged_curve("swapped", np.array([20, 40, 80]), np.zeros(3, int), np.array([0.79, 0.72, 0.61]), 80, 80)
    found = forecast_curve(curve, quick=True)
    assert found.falls and "falls from 0.790 at 20 to 0.610 at 80 cases" in found.messages[-1]
    assert not forecast_curve(dataclasses.replace(curve, y=curve.y[::-1].copy()), quick=True).falls
