"""How forecasts are scored: errors, continuous ranked probability scores, intervals, and tables of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

LEVELS = (0.5, 0.9, 0.95)
PROBABILITIES = np.sort([(1 + sign * level) / 2 for level in LEVELS for sign in (-1, 1)])
RESAMPLES = 400


def row(draws: np.ndarray, truth: float) -> dict[str, float]:
    """Scores of one forecast given as draws."""
    ends = np.quantile(draws, PROBABILITIES)
    ordered = np.sort(draws)
    count = len(ordered)
    spread = np.sum((2 * np.arange(1, count + 1) - count - 1) * ordered) / count**2
    return {
        "error": float(np.median(draws) - truth),
        "bias": float(draws.mean() - truth),
        "crps": float(np.abs(draws - truth).mean() - spread),
        **_intervals(ends, truth),
    }


def point_row(mean: float, error: float, freedom: int, truth: float) -> dict[str, float]:
    """Scores of a least-squares forecast with its delta-method interval; no interval where it has no error."""
    if not np.isfinite(error) or error <= 0 or freedom <= 0:
        found = {f"{kind} {level:g}": np.nan for level in LEVELS for kind in ("held", "width")}
        return {"error": mean - truth, "bias": mean - truth, "crps": abs(mean - truth), **found}
    z = (truth - mean) / error
    crps = error * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    ends = mean + error * stats.t(freedom).ppf(PROBABILITIES)
    return {"error": mean - truth, "bias": mean - truth, "crps": float(crps), **_intervals(ends, truth)}


def _intervals(ends: np.ndarray, truth: float) -> dict[str, float]:
    found = {}
    for level in LEVELS:
        low, high = (ends[np.argmin(np.abs(PROBABILITIES - (1 + sign * level) / 2))] for sign in (-1, 1))
        found.update({f"held {level:g}": float(low <= truth <= high), f"width {level:g}": float(high - low)})
    return found


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per forecaster and horizon; shares held and widths are of the intervals given, whose number is shown."""
    rows = rows.assign(mae=rows["error"].abs())
    grouped = rows.groupby(["forecaster", "times"], sort=False)
    out = grouped.agg(
        curves=("error", "size"),
        MAE=("mae", "mean"),
        bias=("bias", "mean"),
        CRPS=("crps", "mean"),
        intervals=("held 0.9", "count"),
        **{f"{level:.0%} held": (f"held {level:g}", "mean") for level in LEVELS},
        **{f"{level:.0%} width": (f"width {level:g}", "median") for level in LEVELS},
    ).reset_index()
    best = out[out["forecaster"].str.endswith("least squares")].groupby("times")["MAE"].min()
    level = ~out["forecaster"].str.contains("gain")
    out.insert(4, "of best LS", (out["MAE"] / out["times"].map(best)).where(level))
    return out


def resampled(rows: pd.DataFrame, statistic: Callable[[pd.DataFrame], float]) -> str:
    """A statistic with its 90 % interval from resampling sources."""
    groups = dict(list(rows.groupby("source")))
    names = list(groups)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        picked = rng.choice(len(names), len(names))
        found.append(statistic(pd.concat([groups[names[i]] for i in picked])))
    low, high = np.nanquantile(found, [0.05, 0.95])
    return f"{statistic(rows):.3f} [{low:.3f}, {high:.3f}]"


def markdown(frame: pd.DataFrame) -> str:
    """A table as Markdown, numbers at four digits."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "-" if np.isnan(value) else f"{value:.4f}".rstrip("0").rstrip(".")
        return str(value)

    lines = ["| " + " | ".join(frame.columns) + " |", "|" + "---|" * len(frame.columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(cell, line)) + " |" for line in frame.itertuples(index=False))])
