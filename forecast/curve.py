"""One learning curve: scores of one arm, structure and metric against the number of annotated cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from .errors import InputError
from .notebook import curve_html
from .scores import CROSS_VALIDATION, DICE_LIKE, MOST_CASES
from .short_repr import short_fields, short_repr
from .types import FloatArray, IntArray

MOST_SIZES, MOST_RUNS = 100, 1000
"""Sizes of a curve, and runs of draws that differ in their sizes; draws alike count once. The time that a forecast
takes grows with their third power."""
CURVE_KEY = ["arm", "structure", "metric", "test_set", "stratum", "protocol"]


@dataclass(frozen=True)
class Curve:
    """Observed scores, one per (size, draw), ready to be fitted.

    The arrays have one entry per observation, sorted by size then draw.
    """

    arm: str
    structure: str
    metric: str
    test_set: str
    stratum: str
    protocol: str
    n: IntArray
    """Annotated cases used (training + validation), shape [observations]."""
    draw: IntArray
    """Which random ordering of the pool, shape [observations]."""
    y: FloatArray
    """Mean score over the test cases, shape [observations]."""
    n_test: int | None
    """Test cases behind every mean; None when the scores came averaged."""
    n_left_out: int
    """Test cases left out of every size because their score is undefined or missing at some size."""
    n_annotated: int
    """Annotated cases at hand now."""
    pool: tuple[int, ...]
    """Size of the annotated pool after each round; the last entry is at least the largest size."""
    se_draws: FloatArray | None = None
    """Given standard errors over draws of scores already averaged, NaN where unknown, shape [observations]."""
    se_cases: FloatArray | None = None
    """Given standard errors over test cases of scores already averaged, NaN where unknown, shape [observations]."""
    cases: FloatArray | None = None
    """Score of every test case at every observation, shape [observations, test cases]; None for averaged scores."""
    case_ids: tuple[str, ...] = ()
    """Test cases in the order of the columns of `cases`."""

    def __post_init__(self) -> None:
        """Refuse an impossible curve."""
        if not (len(self.n) == len(self.draw) == len(self.y) > 0):
            raise ValueError("a curve needs equally many sizes, draws and scores, at least one")
        if np.any(np.diff(self.n) < 0) or self.n[0] < 1:
            raise ValueError("sizes must be >= 1 and sorted")
        if len(np.unique(np.stack([self.n, self.draw]), axis=1).T) < len(self.n):
            raise ValueError("a draw must have at most one run at a size")
        if not np.all(np.isfinite(self.y)):
            raise ValueError("scores must be finite")

    def _repr_html_(self) -> str:
        return curve_html(self)

    def __repr__(self) -> str:
        return short_repr(self)

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        return short_fields(self)

    @property
    def name(self) -> str:
        """How the curve is called in reports: arm, structure, metric and what else is not the default."""
        return f"{self.arm} / {structure_words(self)}"

    @cached_property
    def sizes(self) -> IntArray:
        """The distinct sizes, ascending, shape [sizes]."""
        return np.unique(self.n)

    @property
    def observed(self) -> FloatArray:
        """Mean score at each size, over draws, shape [sizes]."""
        return np.array([self.y[self.n == n].mean() for n in self.sizes])

    @property
    def draws(self) -> IntArray:
        """Number of draws at each size, shape [sizes]."""
        return np.array([np.sum(self.n == n) for n in self.sizes], dtype=np.int64)

    @property
    def draw_sd(self) -> list[float | None]:
        """Standard deviation over draws at each size; None where there is one draw."""
        spread = [self.y[self.n == n] for n in self.sizes]
        return [float(np.std(y, ddof=1)) if len(y) > 1 else None for y in spread]

    @property
    def case_sd(self) -> list[float | None]:
        """Standard deviation over test cases at each size, of their means over draws; None for averaged scores."""
        if self.cases is None or self.cases.shape[1] < 2:
            return [None] * len(self.sizes)
        return [float(np.std(self.case_means(n), ddof=1)) for n in self.sizes]

    def case_means(self, n: int) -> FloatArray:
        """Score of every test case at one size, averaged over its draws, shape [test cases]."""
        if self.cases is None:
            raise ValueError("the scores came averaged over the test cases")
        return np.asarray(self.cases[self.n == n].mean(axis=0))

    def resampled(self, columns: IntArray) -> Curve:
        """The curve scored on other test cases: columns of `cases`, repeats allowed."""
        if self.cases is None:
            raise ValueError("the scores came averaged over the test cases")
        return replace(self, y=self.cases[:, columns].mean(axis=1))

    def without_largest(self, count: int) -> Curve:
        """The curve as it was before its `count` largest sizes were trained."""
        keep = self.n < self.sizes[-count] if count else np.ones(len(self.n), dtype=bool)

        def kept(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[keep]

        largest = int(self.n[keep].max())
        smaller = tuple(p for p in self.pool if p < largest)
        return replace(
            self,
            n=self.n[keep],
            draw=self.draw[keep],
            y=self.y[keep],
            n_annotated=largest,
            pool=(*smaller, *[p for p in self.pool if p >= largest][:1]),
            se_draws=kept(self.se_draws),
            se_cases=kept(self.se_cases),
            cases=kept(self.cases),
        )


def structure_words(curve: Curve) -> str:
    """What a curve is of, whatever its arm: structure, metric and what else is not the default."""
    extra = [v for v, default in ((curve.test_set, "test"), (curve.stratum, "all")) if v != default]
    return " / ".join([curve.structure, curve.metric, *extra])


def averaged_curve(name: str, n: IntArray, draw: IntArray, y: FloatArray, n_annotated: int, pool: int) -> Curve:
    """A curve of scores already averaged over a test set, known by the name of its arm."""
    names = {"structure": "all", "metric": "dice", "test_set": "test", "stratum": "all", "protocol": ""}
    found = {"n": n, "draw": draw, "y": y, "n_test": None, "n_left_out": 0, "n_annotated": n_annotated}
    return Curve(arm=name, pool=(pool,), **names, **found)  # type: ignore[arg-type]


def curves_from_scores(
    scores: pd.DataFrame, n_annotated: int | None = None, pool: Sequence[int] | None = None
) -> list[Curve]:
    """Split a valid scores table into its curves.

    Args:
        scores: As returned by `validate_scores`. Metrics that are not Dice-like are skipped. Scores of the test set
            `cross-validation` are averaged over the cases of each run, since no two runs are scored on the same.
        n_annotated: Annotated cases at hand; by default the largest size of each curve.
        pool: Size of the annotated pool after each round; by default one round of `n_annotated`.

    Returns:
        The curves in order of appearance, without those that `not_forecast` names.

    Raises:
        InputError: No Dice-like metric, averaged and per-case scores mixed, no test case scored
            at every size of any curve, or `n_annotated` smaller than a trained size.
    """
    usable = scores[scores["metric"].str.lower().isin(DICE_LIKE)]
    if usable.empty:
        found = ", ".join(sorted(scores["metric"].unique()))
        raise InputError(
            f"no Dice-like metric to forecast: found {found}. A curve is forecast for one of "
            f"{', '.join(sorted(DICE_LIKE))}; distances and volumes are described by: dicecast agreement."
        )
    made = [_curve(key, rows, n_annotated, pool) for key, rows in _groups(usable)]
    curves = [curve for curve in made if curve is not None]
    if not curves:
        raise InputError(
            "every size must be scored on the same test cases, but no test case has a score at every run of a curve. "
            "Check the 'case' column and empty scores."
        )
    return curves


def not_forecast(scores: pd.DataFrame) -> list[str]:
    """What a scores table holds that no curve is made of, in words: other metrics, structures no test case contains."""
    dice_like = scores["metric"].str.lower().isin(DICE_LIKE)
    others = [f"{metric}: not Dice-like" for metric in scores.loc[~dice_like, "metric"].unique()]
    for key, rows in _groups(scores[dice_like]):
        if key["test_set"] == CROSS_VALIDATION and rows["score"].isna().all():
            others.append(f"{_name(key)}: no case that was held out has a score")
            continue
        paired = (rows["case"] != "").all() and key["test_set"] != CROSS_VALIDATION
        if paired and _table(rows).dropna(axis=1).shape[1] == 0:
            others.append(f"{_name(key)}: no test case has a score at every run (is the structure in the test set?)")
    return others


def _groups(scores: pd.DataFrame) -> list[tuple[dict[str, str], pd.DataFrame]]:
    grouped = scores.groupby(CURVE_KEY, sort=False)
    return [(dict(zip(CURVE_KEY, map(str, key), strict=True)), rows) for key, rows in grouped]


def _name(key: dict[str, str]) -> str:
    return "/".join(value for name, value in key.items() if value and name != "protocol")


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores by run (rows) and test case (columns)."""
    return rows.pivot(index=["n_cases", "draw"], columns="case", values="score").sort_index()


def _curve(
    key: dict[str, str], rows: pd.DataFrame, n_annotated: int | None, pool: Sequence[int] | None
) -> Curve | None:
    name = _name(key)
    if key["test_set"] == CROSS_VALIDATION:
        rows = _averaged_runs(rows)
        if rows.empty:
            return None
    averaged = rows["case"] == ""
    if averaged.any() and not averaged.all():
        raise InputError(
            f"curve {name}: scores must be either per test case or averaged, found both "
            f"({int(averaged.sum())} rows without a case). Keep one kind."
        )
    table = _table(rows)
    whole = table.dropna(axis=1)  # the test cases scored at every run
    if whole.shape[1] == 0 and averaged.all():
        (n_cases, draw), *_ = table.index[table.isna().any(axis=1)]
        raise InputError(
            f"curve {name}: an averaged score must not be empty, found none for {n_cases} cases, draw {draw}. "
            "Fill it in, or remove the row."
        )
    if whole.shape[1] == 0:
        return None
    sizes = table.index.get_level_values("n_cases").nunique()
    if sizes > MOST_SIZES:
        raise InputError(f"curve {name}: at most {MOST_SIZES} sizes can be forecast, found {sizes}. Leave some out.")
    n = table.index.get_level_values("n_cases").to_numpy(dtype=np.int64)
    draw = table.index.get_level_values("draw").to_numpy(dtype=np.int64)
    unlike = sum(map(len, set(pd.Series(n).groupby(draw).agg(tuple))))
    if unlike > MOST_RUNS:
        raise InputError(
            f"curve {name}: at most {MOST_RUNS} runs of draws with different sizes can be forecast, found {unlike}. "
            "Train every draw at the same sizes, or average the scores of a size over its draws and give the standard "
            "error as se_draws."
        )
    at_hand = int(n.max()) if n_annotated is None else n_annotated
    if at_hand < n.max():
        raise InputError(
            f"curve {name}: the number of annotated cases must be at least the largest size {n.max()}, found {at_hand}."
        )
    if at_hand > MOST_CASES:
        raise InputError(f"curve {name}: the number of annotated cases must be at most {MOST_CASES}, found {at_hand}.")
    steps = tuple(pool) if pool else (at_hand,)
    return Curve(
        **key,
        n=n,
        draw=draw,
        y=whole.to_numpy(dtype=float).mean(axis=1),
        n_test=None if averaged.all() else whole.shape[1],
        n_left_out=table.shape[1] - whole.shape[1],
        n_annotated=at_hand,
        pool=steps if steps[-1] >= n.max() else (*steps, int(n.max())),
        se_draws=_errors(rows, "se_draws"),
        se_cases=_errors(rows, "se_cases"),
        cases=None if averaged.all() else whole.to_numpy(dtype=float),
        case_ids=() if averaged.all() else tuple(map(str, whole.columns)),
    )


def _averaged_runs(rows: pd.DataFrame) -> pd.DataFrame:
    """Every run's mean over the cases it was scored on, with its standard error: no two runs need share cases."""
    known = rows[rows["score"].notna()]
    runs = known.groupby(["n_cases", "draw"])["score"]
    means = runs.agg(score="mean", se_cases="sem").reset_index()
    return means.assign(case="", se_draws=np.nan)


def _errors(rows: pd.DataFrame, column: str) -> FloatArray | None:
    """Standard errors by observation; None when none is known."""
    if not (rows[column] > 0).any():
        return None
    table = rows.groupby(["n_cases", "draw"])[column].mean().sort_index().to_numpy(dtype=float)
    return np.asarray(table)
