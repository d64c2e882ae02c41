"""Finished results made of fixed numbers, so that a report of them is the same on every machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from dicecast.forecast.arms import Arm
from dicecast.forecast.checks import PredictiveCheck
from dicecast.forecast.comparison import ArmComparison, Comparison, ScoreDifference
from dicecast.forecast.curve import Curve
from dicecast.forecast.diagnostics import Diagnostics
from dicecast.forecast.equal_performance import Crossing, EqualPerformance
from dicecast.forecast.families import FAMILIES, NAMED
from dicecast.forecast.fit import LeastSquaresFit
from dicecast.forecast.forecast import (
    Backtest,
    FamilyView,
    Forecast,
    Gain,
    Plateau,
    Question,
    ScoreAt,
    Sensitivity,
    SizeForTarget,
)
from dicecast.forecast.paired import PairedDifference, SizeDifference
from dicecast.forecast.posterior import Posterior
from dicecast.forecast.promises import Promise
from dicecast.forecast.ranking import Ranked
from dicecast.forecast.recommendation import Recommendation
from dicecast.forecast.types import CensoredInterval, Interval, SizeInterval
from dicecast.forecast.verdict import Verdict

SIZES = (10, 20, 40, 80)
LEVEL = 0.9


def interval(median: float, half: float, level: float = LEVEL) -> Interval:
    return Interval(median, median - half, median + half, level)


def censored(median: float, lo: float, hi: float, floor: float = 10, horizon: float = 320) -> CensoredInterval:
    return CensoredInterval(median, lo, hi, LEVEL, floor, horizon)


def curve(arm: str, ceiling: float = 0.85, sizes: tuple[int, ...] = SIZES) -> Curve:
    """Two draws of every size but the last, five test cases."""
    pairs = [(n, draw) for n in sizes for draw in range(1 if n == sizes[-1] else 2)]
    means = [ceiling - 0.3 * 2 ** (-n / 20) + 0.006 * draw for n, draw in pairs]
    cases = np.array(means)[:, None] + np.array([-0.04, -0.02, 0, 0.02, 0.04])
    return Curve(
        arm,
        "tumour",
        "dice",
        "test",
        "all",
        "",
        n=np.array([n for n, _ in pairs]),
        draw=np.array([draw for _, draw in pairs]),
        y=np.array(means),
        n_test=5,
        n_left_out=1,
        n_annotated=sizes[-1],
        pool=(sizes[-1],),
        cases=cases,
        case_ids=tuple("abcde"),
    )


def posterior(of: Curve, ceiling: float = 0.85, mcmc: bool = True) -> Posterior:
    """Nine curves around a ceiling."""
    draws = 9
    spread = np.linspace(-0.008, 0.008, draws)
    theta = np.column_stack([np.full(draws, np.log(2) / 20), np.full(draws, np.nan)])
    tau, rhat, acceptance = (31.0, 1.002, 0.55) if mcmc else (None, None, None)
    return Posterior(
        curve=of,
        model=NAMED.name,
        families=(NAMED,),
        pick=np.zeros(draws, dtype=np.int64),
        dm=ceiling + spread,
        amplitude=np.full(draws, 0.3),
        theta=theta,
        noise=np.tile([0.002, 0.02, 0.003], (draws, 1)),
        nested=np.ones(draws, dtype=bool),
        noise_source="draws",
        diagnostics=Diagnostics(2345.0, tau, rhat, acceptance, ()),
        seed=0,
        prior="made",
    )


def forecast(level: float = LEVEL, doubtful: bool = False) -> Forecast:
    """A curve that has not levelled off; a doubtful one fails its backtest, and its families disagree."""
    of = curve("3d_fullres")
    gain = Gain(80, 320, Interval(0.0213, 0.0061, 0.0412, level), 0.1234)
    doubling = Gain(80, 160, Interval(0.0142, 0.0021, 0.0303, level), 0.3456)
    size = SizeInterval(98.0, 71.0, 320.0, True, level, 320.0)
    plateau = Plateau(size, Interval(0.8412, 0.8287, 0.8533, level), 0.21, 0.07)
    held = [Backtest((10, 20, 40), 80, 0.8311, Interval(0.8352, 0.8121, 0.8601, level))]
    missed = [Backtest((10, 20, 40), 80, 0.8311, Interval(0.8952, 0.8821, 0.9001, level))]
    reason = "up to 320 cases can add 0.021 [0.006, 0.041]; 80 are annotated."
    return Forecast(
        curve=of,
        question=Question(level=level, at=(160, 640), target=0.86),
        verdict=Verdict("families_disagree" if doubtful else "plateau_ahead", reason),
        fit=LeastSquaresFit(of, NAMED, np.array([0.85, 0.55, 0.034657]), np.diag([4e-6, 9e-6, 1e-6]), 0.004, ()),
        posterior=posterior(of),
        expected=posterior(of, mcmc=False),
        plateau=plateau,
        families=_views(gain, plateau, 0.02 if doubtful else 0.4),
        reachable_gain=gain,
        gain_doubling=doubling,
        sensitivity=Sensitivity(gain, gain),
        at=(
            ScoreAt(160, interval(0.8461, 0.0121), 0.846, interval(0.8461, 0.0203), True),
            ScoreAt(640, interval(0.8503, 0.0212), 0.850, interval(0.8503, 0.0307), False),
        ),
        n_for_target=SizeForTarget(0.86, size, 0.3412),
        check=PredictiveCheck(0.5, 0.5, None),
        backtest=tuple(missed if doubtful else held),
    )


def _views(gain: Gain, plateau: Plateau, weight: float) -> tuple[FamilyView, ...]:
    scores = {"exponential": 0.8502, "stretched-exponential": 0.8551, "power-law": 0.8612}
    weights = {"exponential": weight, "stretched-exponential": 0.6 - weight, "power-law": 0.4}
    return tuple(
        FamilyView(FAMILIES[name], weights[name], plateau, gain, interval(score, 0.011), None)
        for name, score in scores.items()
    )


def unforecast() -> Forecast:
    """Two sizes, which is too few."""
    return Forecast(
        curve("2d", sizes=(10, 20)),
        Question(),
        Verdict("too_few_sizes", "2 sizes were trained, a forecast needs at least 3."),
    )


def comparison(names: tuple[str, ...], cost: bool = False) -> Comparison:
    """Arms whose ceilings rise from the first to the last."""
    curves = {name: curve(name, 0.8 + 0.01 * i) for i, name in enumerate(names)}
    check = PredictiveCheck(0.5, 0.5, None)
    arms = tuple(Arm(one, posterior(one), posterior(one), check) for one in curves.values())
    by_cases = tuple(_ranked(names, n) for n in (80, 160, 320))
    pairs = tuple(
        _pair(curves[one], curves[other], j - i)
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        if i < j
    )
    return Comparison(
        curves=tuple(curves.values()),
        arms=arms,
        pairs=pairs,
        sizes=tuple((_difference(10, 80, 0.2), _difference(40, 80, 0.05)) for _ in names),
        by_cases=by_cases,
        by_cost=tuple(_ranked(names, 80, money) for money in (1500.0, 1e300)) if cost else (),
        arm=names[-1],
        reason=f"with 320 cases {names[-1]} is the best with probability 0.91.",
        unit="EUR" if cost else "",
    )


def _ranked(names: tuple[str, ...], n: int, cost: float | None = None) -> Ranked:
    count = len(names)
    chances = (*[0.09 / (count - 1)] * (count - 1), 0.91)
    scores: list[Interval | None] = [interval(0.8 + 0.01 * i + n / 1e5, 0.0084) for i in range(count)]
    if cost is None:
        return Ranked((n,) * count, tuple(scores), chances)
    beyond = cost > 1e6
    scores[0] = scores[0] if beyond else None
    return Ranked((n if beyond else 0, *[n] * (count - 1)), tuple(scores), chances, cost, (beyond,) * count)


def _pair(first: Curve, second: Curve, apart: int) -> ArmComparison:
    def equal(n: int) -> EqualPerformance:
        cases = censored(max(10, n / (1 + apart / 4)), max(10, n / 4), min(320, 1.1 * n))
        return EqualPerformance(n, cases, cases.over(n), 0.91, 0.02, 0.01)

    more = censored(320, 120, 320)
    return ArmComparison(
        first=first,
        second=second,
        shared=5,
        ceiling=interval(0.01 * apart, 0.0083),
        plateau=interval(-12, 43),
        horizon=320,
        plateau_censored=True,
        p_second_smaller=0.64,
        scores=tuple(ScoreDifference(n, interval(0.01 * apart, 0.0077), 0.93) for n in (80, 160, 320)),
        equal=equal(80),
        reverse=EqualPerformance(80, more, more.over(80), 0.04, 0.61, 0.4),
        equal_curve=tuple(equal(n) for n in (10, 40, 80, 160, 320)),
        crossing=Crossing(10, 320, 0.04, 0.83, 0.13, 0.0, interval(44, 21)),
        observed=(_difference(40, 40, 0.02), _difference(80, 80, 0.01)),
    )


def _difference(n: int, reference: int, mean: float) -> SizeDifference:
    found = PairedDifference(mean, mean - 0.0121, mean + 0.0134, LEVEL, 0.000123, 0.000246, 5)
    return SizeDifference(n, reference, found, 0.0042)


def recommendation() -> tuple[Recommendation, list[Recommendation]]:
    """A batch, and what two curves say on their own."""
    promise = Promise(120, 2, interval(0.8423, 0.0132))
    each = [
        Recommendation("annotate", "no matter.", "3d_fullres / tumour / dice", batch=40, p_suffices=0.914),
        Recommendation("stop_plateau", "no matter.", "3d_fullres / kidney / dice"),
    ]
    reason = "3d_fullres / tumour / dice: up to 320 cases could add 0.021 [0.006, 0.041] (90% interval)."
    decision = Recommendation(
        "annotate",
        reason,
        "3d_fullres / tumour / dice",
        batch=40,
        p_suffices=0.914,
        promise=promise,
        cost={"amount": 1.25e15, "unit": "EUR", "cases": 1.2e15, "round": 5e13, "compute": 0},
        evidence={"n_max": 320},
    )
    return decision, each


def study() -> Any:
    """As much of a study as its status is shown with."""
    return SimpleNamespace(folder=Path("kidney"), settings=SimpleNamespace(pilots=SimpleNamespace(schedule_check=True)))


def status(draws: int) -> dict[str, Any]:
    """Runs in every state.

    Args:
        draws: Of each size; from many on, runs are counted instead of listed.
    """
    states = ("completed", "running", "queued", "planned", "failed", "unknown")
    rows = [
        {
            "arm": "3d_fullres",
            "n": n,
            "draw": draw,
            "status": states[(i + draw) % len(states)],
            "seconds": 754.0 if states[(i + draw) % len(states)] == "completed" else None,
            "check": False,
            "asked": True,
            "reason": None,
            "job": None,
            "share_done": 0.42 if states[(i + draw) % len(states)] == "running" else None,
            "lost": None,
            "error": "CUDA out of memory" if states[(i + draw) % len(states)] == "failed" else None,
        }
        for i, n in enumerate(SIZES)
        for draw in range(draws)
    ]
    done = sum(row["status"] == "completed" for row in rows)
    return {
        "runs": rows,
        "n_annotated": 80,
        "due": len(rows) - done,
        "to_score": 0,
        "left_arms": ["2d"],
        "hours_left": 1.25,
        "hours_due": 2.5,
        "hours_spent": 3.21,
        "jobs": {"running": 0, "queued": 0},
        "running": True,
        "preparation": None,
        "problem": None,
        "paces": {
            "3d_fullres": {"runs": 3, "seconds_per_iteration": 0.212, "memory_gb": 1.72, "device_memory_gb": None}
        },
    }
