"""The largest and smallest that is taken, and one step past it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.campaign import Campaign
from dicecast.forecast.costs import LEAST, MOST, Costs
from dicecast.forecast.curve import MOST_RUNS, MOST_SIZES, averaged_curve, curves_from_scores
from dicecast.forecast.errors import InputError
from dicecast.forecast.export import to_datatree
from dicecast.forecast.forecast import Forecast, Gain, Plateau, Question, gain_draws
from dicecast.forecast.goal import Goal
from dicecast.forecast.guess import Guess
from dicecast.forecast.pilots import expected_left
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.run_agreement import run_agreement
from dicecast.forecast.scores import MOST_CASES, validate_scores
from dicecast.forecast.simulation import MOST_PLAYED, Terms
from dicecast.forecast.stability import RoundSummary
from dicecast.forecast.types import Interval, SizeInterval
from dicecast.forecast.verdict import Verdict


@pytest.mark.parametrize(
    ("fine", "bad", "words"),
    [
        ({"per_case": MOST}, {"per_case": 1.01 * MOST}, "cost per_case must be at most 1e"),
        ({"per_case": LEAST}, {"per_case": 0.99 * LEAST}, "cost per_case must be 0 or at least 1e"),
        ({"per_case": 1.0, "per_round": MOST}, {"per_case": 1.0, "per_round": 1.01 * MOST}, "cost per_round must be"),
        ({"per_case": 1.0, "budget": MOST}, {"per_case": 1.0, "budget": 1.01 * MOST}, "cost budget must be at most"),
    ],
)
def test_costs_are_neither_tiny_nor_endless(fine: dict[str, Any], bad: dict[str, Any], words: str) -> None:
    assert Costs(**fine).per_case == fine["per_case"]
    with pytest.raises(InputError, match=words):
        Costs(**bad)


def test_a_point_is_worth_no_endless_amount() -> None:
    assert Goal("value", MOST).amount == MOST
    with pytest.raises(InputError, match="a score point must be at most 1e"):
        Goal("value", 1.01 * MOST)


@pytest.mark.parametrize(
    ("fine", "bad"),
    [
        ({"per_case": LEAST}, {"per_case": 0.99 * LEAST}),
        ({"per_case": MOST}, {"per_case": 1.01 * MOST}),
        ({"per_round": MOST}, {"per_round": 1.01 * MOST}),
        ({"budget": MOST}, {"budget": 1.01 * MOST}),
        ({"rounds": MOST_PLAYED}, {"rounds": MOST_PLAYED + 1}),
        ({"draws": MOST_PLAYED}, {"draws": MOST_PLAYED + 1}),
    ],
)
def test_terms_have_the_same_limits(fine: dict[str, Any], bad: dict[str, Any]) -> None:
    assert Terms(**fine) is not None
    with pytest.raises(InputError, match="at most"):
        Terms(**bad)


def rows(sizes: int, draws: int) -> pd.DataFrame:
    found = [{"n_cases": n, "draw": r, "score": 0.5} for n in range(1, sizes + 1) for r in range(draws)]
    return validate_scores(pd.DataFrame(found))


def test_a_curve_has_so_many_sizes_and_unlike_runs() -> None:
    assert len(curves_from_scores(rows(MOST_SIZES, 1))[0].sizes) == MOST_SIZES
    with pytest.raises(InputError, match=f"at most {MOST_SIZES} sizes can be forecast, found {MOST_SIZES + 1}"):
        curves_from_scores(rows(MOST_SIZES + 1, 1))
    assert len(curves_from_scores(rows(3, 10_000))[0].n) == 30_000  # draws alike count once
    codes = np.arange(2**9)  # a draw for every choice among nine sizes
    draw, n = np.nonzero(codes[:, None] >> np.arange(9) & 1)
    unlike = validate_scores(pd.DataFrame({"n_cases": n + 1, "draw": draw, "score": 0.5}))
    assert len(n) > MOST_RUNS
    with pytest.raises(InputError, match=f"at most {MOST_RUNS} runs of draws with different sizes .* found {len(n)}"):
        curves_from_scores(unlike)
    few = unlike.head(MOST_RUNS)
    assert len(curves_from_scores(few)[0].n) == MOST_RUNS


def test_so_many_cases_can_be_annotated() -> None:
    assert curves_from_scores(rows(3, 1), MOST_CASES)[0].n_annotated == MOST_CASES
    with pytest.raises(InputError, match="annotated cases must be at most"):
        curves_from_scores(rows(3, 1), MOST_CASES + 1)
    guess = Guess(20, (0.7, 0.7), (0.86, 0.86), (150, 150))
    with pytest.raises(InputError, match="ever be annotated must be at most"):
        guess.truths(MOST_CASES + 1, 1, 0)


@pytest.mark.parametrize("column", ["se_draws", "se_cases"])
def test_a_standard_error_of_dice_is_at_most_1(column: str) -> None:
    table = pd.DataFrame({"n_cases": [5, 10], "score": [0.5, 0.6], column: [0.1, 1.0]})
    assert validate_scores(table)[column].max() == 1
    with pytest.raises(InputError, match=rf"line 1, column '{column}': a standard error of dice must lie in \[0, 1\]"):
        validate_scores(table.assign(**{column: [0.1, 1.01]}))
    assert len(validate_scores(table.assign(metric="hd95", **{column: [0.1, 7.0]}))) == 2


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    n, draw = np.repeat([10, 20, 40], 2), np.tile([0, 1], 3)
    y = np.array([0.5, 0.52, 0.6, 0.61, 0.66, 0.67])
    return quadrature(averaged_curve("arm", n, draw, y, 60, 60), 1, draws=300)


def test_without_arviz_its_extra_is_named(posterior: Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arviz_base", None)
    with pytest.raises(ImportError, match=r"needs arviz-base\. Install it .*\[arviz\]"):
        to_datatree(posterior)


@pytest.mark.parametrize(
    ("noise", "sd"), [((0.03, 0, 0), 0.03), ((0, 0.2, 0), 0.2 / 10**0.5), ((0, 0, 0.04), 0.04), ((0.03, 0, 0.04), 0.05)]
)
def test_exported_scores_have_every_noise_of_a_mean_of_draws(
    posterior: Posterior, noise: tuple[float, float, float], sd: float
) -> None:
    pytest.importorskip("arviz_base")
    many = np.full(4000, 0.5)
    one = posterior.first(1)
    made = replace(
        one,
        pick=np.repeat(one.pick, 4000),
        theta=np.repeat(one.theta, 4000, axis=0),
        nested=np.repeat(one.nested, 4000),
        dm=many,
        amplitude=0 * many,
        noise=np.tile(noise, (4000, 1)),
        curve=averaged_curve("arm", np.array([10, 40]), np.array([0, 0]), np.array([0.5, 0.5]), 40, 40),
    )
    scores = to_datatree(made)["posterior_predictive"]["score"].to_numpy()
    assert scores.shape == (1, 4000, 2)
    assert scores[..., 0].std() == pytest.approx(sd, rel=0.05)
    again = replace(made, curve=averaged_curve("arm", np.array([10] * 4), np.arange(4), np.full(4, 0.5), 40, 40))
    tau0, tau1, misfit = noise
    four = to_datatree(again)["posterior_predictive"]["score"].to_numpy().std()
    assert four == pytest.approx(np.sqrt((tau0**2 + tau1**2 / 10) / 4 + misfit**2), rel=0.05)


def test_a_rise_that_is_known_is_not_drawn_again(posterior: Posterior) -> None:
    rise = posterior.scores(120) - posterior.scores(60)
    np.testing.assert_array_equal(gain_draws(posterior, 60, 120), gain_draws(posterior, 60, 120, rise=rise))
    assert not np.array_equal(gain_draws(posterior, 60, 120), rise)


def test_pilots_tell_nothing_of_a_gain_that_is_known(posterior: Posterior) -> None:
    flat = replace(posterior, amplitude=np.zeros(300))
    assert expected_left(flat, 200, [40], [3]) == 1


def test_a_campaign_is_told_tables_and_no_fewer_cases_than_it_trained_on() -> None:
    with pytest.raises(InputError, match="must be a pandas DataFrame, found list"):
        Campaign().tell([1, 2])  # type: ignore[arg-type]
    table = pd.DataFrame({"n_cases": [5, 10], "score": [0.5, 0.6]})
    with pytest.raises(InputError, match="n_annotated must be at least the largest size 10, found 9"):
        Campaign().tell(table, n_annotated=9)
    told = Campaign(start=30).tell(table.iloc[::-1], n_annotated=10)
    assert told.pools == (30,) and told.scores is not None
    assert (told.scores.index.tolist(), told.scores["n_cases"].tolist()) == ([0, 1], [5, 10])


def test_a_round_is_summed_up_from_its_forecast(posterior: Posterior) -> None:
    size = SizeInterval(64.0, 40.0, 90.0, False, 0.9, 160.0)
    gain = Gain(60, 160, Interval(0.03, 0.01, 0.05, 0.9), 0.2)
    found = Forecast(
        curve=posterior.curve,
        question=Question(),
        verdict=Verdict("plateau_ahead", "why."),
        posterior=posterior,
        plateau=Plateau(size, Interval(0.7, 0.6, 0.8, 0.9), 0.1, 0.2),
        reachable_gain=gain,
    )
    assert RoundSummary.of(2, found) == RoundSummary(2, 60, Interval.of(posterior.dm, 0.9), size, gain.interval)
    lacking = (replace(found, posterior=None), replace(found, plateau=None), replace(found, reachable_gain=None))
    assert [RoundSummary.of(2, one) for one in lacking] == [None] * 3


def test_a_volume_is_not_negative() -> None:
    rows = [
        {"n_cases": 10, "case": case, "metric": metric, "score": score}
        for case, volume in zip("abcd", (5.0, -1.0, 3.0, 2.0), strict=True)
        for metric, score in (("dice", 0.8), ("volume_ml", volume), ("reference_ml", 4.0))
    ]
    with pytest.raises(InputError, match=r"volumes must be >= 0 mL, found -1 for case 'b'"):
        run_agreement(validate_scores(pd.DataFrame(rows)), "default", 10, "all")
