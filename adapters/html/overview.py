"""One line per curve, and per arm and number of cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...forecast.comparison import Comparison
from ...forecast.forecast import Forecast
from ...forecast.words import level_words
from ..answer import Answer
from ..terminal.screen import size_words
from .curve_view import KEY
from .tables import Table, chance, ends, score, table, text, whole


def summary_table(answer: Answer) -> Table:
    """One line per curve."""
    level, eps = level_words(answer.source.question.level), answer.source.question.eps
    extra = [key for key in KEY if len({getattr(one.curve, key) for one in [*answer.forecasts, *answer.others]}) > 1]
    columns = [text(key.replace("_", " "), key) for key in extra or ("structure",)]
    columns += [
        whole("test cases", "n_test"),
        whole("annotated", "n_annotated"),
        score("observed", "observed"),
        score("reachable gain", "gain"),
        ends(f"{level} interval", "gain_lo", "gain_hi"),
        chance(f"P(rise ≤ {eps:g})", "p_below_eps"),
        score("ceiling DM", "dm"),
        text("n*", "n_star"),
        text("verdict", "verdict"),
    ]
    rows = [_summary_row(one) for one in [*answer.forecasts, *answer.others]]
    note = "n* and DM: exponential plateau, medians; it tends to flatten too early, so decide by the gains."
    return table("forecasts", "Every curve", rows, columns, note)


def _summary_row(one: Forecast) -> dict[str, Any]:
    curve, gain, plateau = one.curve, one.reachable_gain, one.plateau
    return {
        **{key: getattr(curve, key) for key in KEY},
        "n_test": curve.n_test,
        "n_annotated": curve.n_annotated,
        "largest": int(curve.sizes[-1]),
        "observed": float(curve.observed[-1]),
        "n_max": None if gain is None else gain.n_to,
        "gain": None if gain is None else gain.interval.median,
        "gain_lo": None if gain is None else gain.interval.lo,
        "gain_hi": None if gain is None else gain.interval.hi,
        "p_below_eps": None if gain is None else gain.p_below_eps,
        "dm": None if one.posterior is None else float(_median(one, "DM")),
        "n_star": "-" if plateau is None else size_words(plateau.size)[0],
        "verdict": one.verdict.code.replace("_", " "),
    }


def _median(one: Forecast, name: str) -> float:
    assert one.posterior is not None
    return float(np.median(one.posterior.parameters()[name]))


def ranking_table(found: Comparison) -> Table:
    """Expected score and chance of being the best, one row per arm and number of cases."""
    rows: list[dict[str, Any]] = [
        {
            "n": row.sizes[0],
            "arm": arm.name,
            "median": None if interval is None else interval.median,
            "lo": None if interval is None else interval.lo,
            "hi": None if interval is None else interval.hi,
            "p_best": p,
        }
        for row in found.by_cases
        for arm, interval, p in zip(found.arms, row.scores, row.p_best, strict=True)
    ]
    level = level_words(found.pairs[0].ceiling.level) if found.pairs else ""
    columns = [
        whole("cases", "n"),
        text("arm", "arm"),
        score("expected score", "median"),
        ends(f"{level} interval", "lo", "hi"),
        chance("P(best)", "p_best"),
    ]
    return table(f"arms-{found.title}", f"{found.title}: arms at the same number of cases", rows, columns)
