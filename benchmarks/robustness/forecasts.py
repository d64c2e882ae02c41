"""Forecast and decision of any valid table: numbers that hold together, or a refusal."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dicecast import __version__
from dicecast.adapters.conclusion import Asked
from dicecast.adapters.decisions import decide
from dicecast.adapters.sources import Wishes, read_source
from dicecast.adapters.terminal.curves_report import quick_report
from dicecast.adapters.terminal.round_report import recommendation_panel
from dicecast.adapters.terminal.screen import as_text
from dicecast.benchmarks.robustness.reading import Reader
from dicecast.forecast.document import forecast_document
from dicecast.forecast.forecast import Forecast, forecast_curve
from dicecast.forecast.goal import TARGET, VALUE, Goal
from dicecast.forecast.recommendation import Recommendation

SHAPES = ("rising", "constant", "perfect", "nothing", "falling", "random", "outlier", "saturated", "tiny", "steps")
GOALS = (Asked(), Asked(goal=Goal(TARGET, 0.8), left=50), Asked(goal=Goal(VALUE, 100.0), per_case={"": 2.0}, left=500))
ACTS = ("annotate", "stop_plateau", "stop_stable", "stop_unreachable")
"""Decisions that rest on a forecast."""


@st.composite
def valid_tables(draw: st.DrawFn) -> bytes:
    """A scores CSV that breaks no rule, however odd its curve."""
    most = draw(st.sampled_from([12, 300, 300, 5000, 10**6, 10**9]))
    sizes = sorted(draw(st.lists(st.integers(1, most), min_size=1, max_size=6, unique=True)))
    draws = draw(st.sampled_from([1, 1, 1, 2, 2, 3, 3, 5, 5, 40]))
    if draw(st.integers(1, 1000)) in range(570, 580):  # not an end of the range, which would be drawn often
        draws = 10_000 // len(sizes)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n = np.repeat(np.array(sizes, dtype=float), draws)
    score = np.clip(_scores(draw(st.sampled_from(SHAPES)), n, rng, draw(st.sampled_from([0, 0.001, 0.02, 0.2]))), 0, 1)
    kind = draw(st.sampled_from(["averaged", "averaged", "errors", "cases", "cross-validation"]))
    return _csv(kind, sizes, draws, score, rng).encode()


def _scores(shape: str, n: np.ndarray, rng: np.random.Generator, sd: float) -> np.ndarray:
    rising = 0.9 - 0.5 * np.exp(-n / (0.3 * n.max()))
    noise = sd * rng.standard_normal(len(n))
    made = {
        "rising": rising + noise,
        "constant": np.full(len(n), rng.uniform()),
        "perfect": np.ones(len(n)),
        "nothing": np.zeros(len(n)),
        "falling": rising[::-1] + noise,
        "random": rng.uniform(size=len(n)),
        "outlier": np.where(np.arange(len(n)) == rng.integers(len(n)), 0.0, rising + noise),
        "saturated": np.minimum(1.0, rising + 0.3 + noise),
        "tiny": np.full(len(n), 1e-300) * rng.uniform(size=len(n)),
        "steps": np.where(n > np.median(n), 0.9, 0.1) + noise,
    }
    return np.asarray(made[shape])


def _csv(kind: str, sizes: list[int], draws: int, score: np.ndarray, rng: np.random.Generator) -> str:
    runs = [(n, draw) for n in sizes for draw in range(draws)]
    if kind == "averaged":
        return "n_cases,draw,score\n" + "".join(f"{n},{d},{y}\n" for (n, d), y in zip(runs, score, strict=True))
    if kind == "errors":
        errors = rng.choice([0.0, 1e-12, 1e-200, 0.01, 0.5, 1.0, np.nan], size=(len(runs), 2))
        rows = [(n, d, y, *e) for (n, d), y, e in zip(runs, score, errors, strict=True)]
        return "n_cases,draw,score,se_draws,se_cases\n" + "".join(
            ",".join("" if math.isnan(one) else str(one) for one in row) + "\n" for row in rows
        )
    test_set, cases = ("cross-validation" if kind == "cross-validation" else "test"), int(rng.integers(1, 5))
    lines = []
    for (n, d), y in zip(runs, score, strict=True):
        for case in range(cases):
            own = "" if rng.random() < 0.005 else np.clip(y + rng.normal(0, 0.1), 0, 1)
            lines.append(f"{n},{d},{own},case{case},{test_set}\n")
    return "n_cases,draw,score,case,test_set\n" + "".join(lines)


def forecasts(folder: Path) -> Reader:
    """A valid scores CSV, to the forecast and the decision by quadrature."""
    path = folder / "scores.csv"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        source = read_source(path, Wishes(at="1,40,100000", target=0.85))
        found = [forecast_curve(curve, source.question, quick=True) for curve in source.curves]
        document = forecast_document(found, source.question, __version__)
        json.dumps(document, allow_nan=False)
        check_intervals(document)
        as_text(quick_report(document["curves"], source.question))
        for asked in GOALS:
            decision, each = decide(found, asked)
            check_decision(decision, found, asked.left)
            as_text(recommendation_panel(decision, each, []))

    return Reader("forecasts", (b"n_cases,score\n4,0.4\n8,0.6\n16,0.7\n",), read, valid_tables(), seconds=10.0)


def check_intervals(document: Any) -> None:
    """Every interval must hold its median."""
    if isinstance(document, dict):
        lo, median, hi = (document.get(name) for name in ("lo", "median", "hi"))
        if lo is not None and hi is not None:
            assert lo <= hi, document
            assert median is None or lo <= median <= hi, document
        for name, value in document.items():
            if name.startswith("p_") and value is not None:
                assert 0 <= value <= 1, (name, value)
            check_intervals(value)
    elif isinstance(document, list):
        for one in document:
            check_intervals(one)


def check_decision(decision: Recommendation, found: list[Forecast], left: int | None) -> None:
    """A decision must be strict JSON, fit what is left, and rest on a forecast that stands."""
    document = decision.document()
    json.dumps(document, allow_nan=False)
    check_intervals(document)
    assert decision.reason and "nan" not in decision.reason.split(), decision.reason
    if decision.code == "annotate":
        assert decision.batch >= 1 and (left is None or decision.batch <= left), decision
    own = next(one for one in found if one.curve.name == decision.curve)
    stands = own.expected is not None and own.expected.diagnostics.ok and own.verdict.code != "ill_behaved"
    assert stands or decision.code not in ACTS, (decision, own.verdict)
