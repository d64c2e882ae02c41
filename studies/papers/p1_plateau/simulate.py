"""What dicecast makes of scores that lie on the possible curves: runs of a few minutes, kept in runs.json."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from curves import EPS, rate
from published import STUDIES, fact

import dicecast

NOISE = 0.01
"""SD of a mean score about its curve, where noise is added."""
SIZES = {"Ki": (80, 120, 160, 200, 240), "CT": (50, 100, 150, 200, 250, 300), "MR": (50, 100, 150, 200, 250, 300)}
"""Trained sizes, by the first letters of a curve's name."""
MOVED, STILL = 0.05, 0.02
"""DM fell by this from all sizes to all but two (MR tumour); dicecast calls DM stable within this (2 eps)."""
REPEATS, TRUTHS = 150, 300


def curve_of(sizes: Any, scores: Any, draws: Any = 0) -> dicecast.Curve:
    table = pd.DataFrame({"n_cases": sizes, "score": np.clip(scores, 0, 1), "draw": draws})
    return dicecast.curves_from_scores(dicecast.validate_scores(table))[0]


def plateau(sizes: Any, dm: float, at_zero: float, k: float) -> np.ndarray:
    return dm - (dm - at_zero) * np.exp(-k * np.asarray(sizes))


def ceilings(sizes: Any, scores: np.ndarray) -> list[tuple[float, float]]:
    """Least-squares DM and n* with all sizes, without the largest, without the largest two."""
    fits = [dicecast.least_squares(curve_of(sizes[: len(sizes) - d], scores[: len(sizes) - d])) for d in range(3)]
    return [(fit.parameters["DM"], fit.plateau(EPS)[0]) for fit in fits]


def objections() -> list[dict[str, Any]]:
    """KiTS21 2D: scores on a possible curve, with the printed best at the largest size instead, or beside it."""
    name = "KiTS21 tumour 2D"
    dm, best, sizes = fact("P1", name, "DM").value, fact("P1", name, "best observed").value, SIZES["Ki"]
    found = []
    for at_zero in (0.0, 0.3, 0.6):
        implied = plateau(sizes, dm, at_zero, rate(name, at_zero))
        for how, n, scores, draws in (
            ("in place of the curve's", sizes, [*implied[:-1], best], 0),
            ("beside the curve's", [*sizes, sizes[-1]], [*implied, best], [0] * len(sizes) + [1]),
        ):
            one = dicecast.forecast_curve(curve_of(n, scores, draws))
            found.append({"D0": at_zero, "how": how, **_said(one)})
    return found


def _said(one: dicecast.Forecast) -> dict[str, Any]:
    assert one.check is not None and one.fit is not None and one.reachable_gain is not None
    largest = one.backtest[-1]
    return {
        "verdict": one.verdict.code,
        "p_dip": one.check.p_dip,
        "p_misfit": one.check.p_misfit,
        "backtest": [largest.predicted.lo, largest.predicted.hi, largest.observed, largest.held],
        "DM": one.fit.parameters["DM"],
        "n": one.fit.plateau(EPS)[0] if np.isfinite(one.fit.plateau(EPS)[0]) else None,
        "gain": [one.reachable_gain.interval.lo, one.reachable_gain.interval.hi],
        "messages": [message for message in one.messages if "check" in message or "backtest" in message],
    }


def beyond(name: str, at_zero: float, count: int = 10) -> dict[str, Any]:
    """Posterior of n* from scores about a possible curve whose n* lies past the largest trained size."""
    sizes, dm = SIZES[name[:2]], fact("P1", name, "DM" if "quartile" not in name else "plateau dice").value
    rng = np.random.default_rng(1)
    asked = []
    for _ in range(count):
        scores = plateau(sizes, dm, at_zero, rate(name, at_zero)) + NOISE * rng.standard_normal(len(sizes))
        asked.append(dicecast.forecast_curve(curve_of(sizes, scores), quick=True))
    ends = [(one.plateau.size.lo, one.plateau.size.hi, one.plateau.size.hi_censored) for one in asked if one.plateau]
    truth = fact("P1", name, "plateau n").value
    return {
        "curve": name,
        "D0": at_zero,
        "horizon": asked[0].horizon,
        "p_beyond_trained": [1 - one.plateau.p_reached for one in asked if one.plateau],
        "p_beyond_horizon": [one.plateau.p_beyond_horizon for one in asked if one.plateau],
        "lower": float(np.median([lo for lo, _, _ in ends])),
        "upper_censored": int(sum(censored for *_, censored in ends)),
        "held": int(sum(lo <= truth <= hi for lo, hi, _ in ends)),
        "count": count,
    }


def drops(name: str, at_zero: float) -> dict[str, Any]:
    """How DM by least squares moves when the largest sizes are dropped and only noise is to blame."""
    sizes, dm = SIZES[name[:2]], fact("P1", name, "DM").value
    truth = plateau(sizes, dm, at_zero, rate(name, at_zero))
    rng = np.random.default_rng(2)
    moved = np.array(
        [[dm for dm, _ in ceilings(sizes, truth + NOISE * rng.standard_normal(len(sizes)))] for _ in range(REPEATS)]
    )
    change = moved[:, 2] - moved[:, 0]
    return {
        "curve": name,
        "D0": at_zero,
        "median": np.median(moved, axis=0).tolist(),
        "moved": float(np.mean(np.abs(change) >= MOVED)),
        "fell": float(np.mean(change <= -MOVED)),
        "still": float(np.mean(np.abs(moved[:, 1:] - moved[:, :1]).max(axis=1) <= STILL)),
        "count": REPEATS,
    }


def stable_but_wrong() -> list[dict[str, Any]]:
    """Exponential truths: DM stands still when sizes are dropped, and yet n* is off by more than twice."""
    sizes, rng = SIZES["MR"], np.random.default_rng(3)
    rows = []
    for _ in range(TRUTHS):
        dm, size = rng.uniform(0.6, 0.95), np.exp(rng.uniform(np.log(50), np.log(1200)))
        at_zero = rng.uniform(0.1, dm - 0.1)
        scores = plateau(sizes, dm, at_zero, np.log((dm - at_zero) / EPS) / size)
        scores = scores + NOISE * rng.standard_normal(len(sizes))
        found = ceilings(sizes, scores)
        asked = dicecast.forecast_curve(curve_of(sizes, scores), quick=True).plateau
        assert asked is not None
        within = asked.size.lo <= size and (size <= asked.size.hi or asked.size.hi_censored)
        still = max(abs(dm - found[0][0]) for dm, _ in found[1:]) <= STILL
        rows.append([size, found[0][1], still, within])
    size, fitted, still, held = np.array(rows).T
    off = np.maximum(fitted / size, size / np.maximum(fitted, 1e-9)) > 2
    groups = {"all": size > 0, "n* up to 300, the largest size": size <= 300, "n* from 300 to 1,200": size > 300}
    return [
        {
            "curves": words,
            "count": int(who.sum()),
            "stable": int(still[who].sum()),
            "off": float(off[who].mean()),
            "off_where_stable": float(off[who & (still > 0)].mean()),
            "held": float(held[who].mean()),
        }
        for words, who in groups.items()
    ]


REAL = {
    "01_hippocampus/scores.csv": [("2d", "anterior"), ("2d", "posterior")],
    "05_paper_design/phantom/scores.csv.gz": [(arm, s) for arm in ("2d", "3d_fullres") for s in ("kidney", "tumour")],
    "05_paper_design/hippocampus/scores.csv.gz": [("2d", "hippocampus"), ("3d_fullres", "hippocampus")],
}
SMALLEST = "volume <= 2.72 mL"
"""The smallest quarter of the phantom's tumours."""


def real_runs() -> list[dict[str, Any]]:
    """The same refits on scores of real trainings."""
    found = []
    for path, wanted in REAL.items():
        scores = pd.read_csv(STUDIES / path, dtype=str, keep_default_na=False)
        scores = scores[(scores["metric"] == "dice") & (scores["test_set"] == "test")]
        for curve in dicecast.curves_from_scores(dicecast.validate_scores(scores)):
            small = curve.stratum == SMALLEST and curve.structure == "tumour"
            if (curve.arm, curve.structure) in wanted and (curve.stratum == "all" or small):
                found.append({"study": path.split("/")[0], **_refitted(curve)})
    return found


def _refitted(curve: dicecast.Curve) -> dict[str, Any]:
    fits = [dicecast.least_squares(curve.without_largest(d)) for d in range(min(3, len(curve.sizes) - 2))]
    asked = dicecast.forecast_curve(curve, quick=True).plateau
    assert asked is not None
    sizes = [fit.plateau(EPS)[0] for fit in fits]
    return {
        "curve": curve.name,
        "sizes": int(curve.sizes[-1]),
        "test_cases": curve.n_test,
        "ceilings": [
            (fit.parameters["DM"], size if np.isfinite(size) else None) for fit, size in zip(fits, sizes, strict=True)
        ],
        "n": (asked.size.lo, asked.size.hi, asked.size.hi_censored),
    }


def runs() -> dict[str, Any]:
    """Everything, in about five minutes."""
    past = [("MR tumour", d) for d in (0.2, 0.5)] + [("KiTS21 tumour 3D", 0.67)]
    past += [("CT tumour, smallest quartile", d) for d in (0.2, 0.5)]
    past += [("MR tumour, smallest quartile", d) for d in (0.1, 0.3)]
    named = [("MR tumour", d) for d in (0.0, 0.2, 0.4, 0.6)] + [("CT tumour", 0.5), ("KiTS21 tumour 3D", 0.67)]
    return {
        "objections": objections(),
        "beyond": [beyond(*one) for one in past],
        "drops": [drops(*one) for one in named],
        "stable": stable_but_wrong(),
        "reduced": real_runs(),
    }
