"""Does the depth of a network help to forecast the scores of a depth that was not tried to the end?

    python studies/07_surrogate/grid.py SCORES.csv [--share 0.4] [--seed 0]

SCORES.csv holds a grid of depths and data sizes: arms named "2 layers", "3 layers", ... Every depth is left out in
turn: the shipped LSTM gets the depth as a further input and is trained a little on the other depths; then the final
score of the depth left out is forecast from its first sizes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import dicecast
from dicecast.adapters.surrogate.forecaster import lstm_forecast, networks, predicted
from dicecast.adapters.surrogate.network import widened
from dicecast.adapters.surrogate.quantiles import PROBABILITIES
from dicecast.adapters.surrogate.sequences import FEWEST_SIZES, MOST_SIZES, Observed, observed
from dicecast.adapters.surrogate.training import Batch, parameters, refined
from dicecast.adapters.surrogate.weights import Weights, shipped_weights
from dicecast.forecast.curve import Curve, structure_words
from dicecast.forecast.errors import InputError
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.types import Interval

EPOCHS, RATE = 10, 3e-4
FORECASTERS = ["LSTM with depth", "shipped LSTM", "average", "last value"]
LEVEL = 0.9
"""Of the intervals that hold the final score or not."""
MOST_SUBSETS = 200
"""Sequences cut from each curve of the other depths."""


@dataclass(frozen=True)
class Row:
    """One depth of the grid for one structure and metric."""

    depth: int
    curve: Curve


def read_grid(path: Path) -> dict[str, list[Row]]:
    """The grid's curves by structure and metric, shallow depths first.

    Raises:
        InputError: An arm that is not named by its depth, a depth that occurs twice, or fewer than three depths.
    """
    scores = dicecast.validate_scores(pd.read_csv(path))
    grids: dict[str, list[Row]] = {}
    for curve in dicecast.curves_from_scores(scores):
        found = re.match(r"(\d+) layers?$", curve.arm)
        if found is None:
            raise InputError(f'{path}: arms must be named like "3 layers", found {curve.arm!r}. Rename them.')
        rows, depth = grids.setdefault(structure_words(curve), []), int(found[1])
        if any(one.depth == depth for one in rows):
            raise InputError(f"{path}: {depth} layers must occur once, found two protocols of it. Keep one.")
        rows.append(Row(depth, curve))
    grids = {name: sorted(rows, key=lambda one: one.depth) for name, rows in grids.items() if len(rows) >= 3}
    if not grids:
        raise InputError(f"{path}: a grid needs at least 3 depths of one structure, found none. Train more depths.")
    return grids


def first_sizes(curve: Curve, share: float) -> Curve:
    """The curve up to a share of its largest size; at least three sizes, and not the last.

    Raises:
        InputError: It has no more than three sizes.
    """
    few = max(int(np.sum(curve.sizes <= share * curve.sizes[-1] + 1e-9)), FEWEST_SIZES)
    if few >= len(curve.sizes):
        raise InputError(f"{curve.name}: must have more than {FEWEST_SIZES} sizes, found {len(curve.sizes)}.")
    return curve.without_largest(len(curve.sizes) - few)


def lessons(rows: Sequence[Row], depths: Sequence[int], rng: np.random.Generator) -> list[Batch]:
    """Sequences of some curves with every later size to be forecast: one batch per number of sizes."""
    batches = []
    for count in range(FEWEST_SIZES, MOST_SIZES + 1):
        parts = [_cuts(one, count, depths, rng) for one in rows]
        parts = [part for part in parts if part is not None]
        if parts:
            columns = (np.concatenate(column) for column in zip(*parts, strict=True))
            batches.append(Batch(*(torch.tensor(column, dtype=torch.float32) for column in columns)))
    return batches


def _cuts(
    row: Row, count: int, depths: Sequence[int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Tokens, logarithm of the size asked for, last error and answer of sequences of `count` sizes of one curve."""
    sizes = len(row.curve.sizes)
    if sizes <= count:
        return None
    if comb(sizes, count + 1) > MOST_SUBSETS:
        index = np.array([np.sort(rng.choice(sizes, count + 1, replace=False)) for _ in range(MOST_SUBSETS)])
    else:
        index = np.array(list(combinations(range(sizes), count + 1)))
    whole = observed(row.curve, sizes)
    seen = Observed(*(values[0][index[:, :-1]] for values in (whole.n, whole.score, whole.draws, whole.error)))
    depth = np.full((len(index), count, 1), scaled(row.depth, depths))
    ahead = np.log(whole.n[0][index[:, -1:]] / seen.n[:, -1:])
    tokens = np.concatenate([seen.tokens, depth], axis=-1)
    return tokens, ahead, seen.last_error, whole.score[0][index[:, -1:]]


def scaled(depth: int, depths: Sequence[int]) -> float:
    """A depth between -1 (the shallowest of the grid) and 1 (the deepest)."""
    return 2 * (depth - min(depths)) / (max(depths) - min(depths)) - 1


def with_depth(rows: Sequence[Row], depths: Sequence[int], seed: int) -> Weights:
    """The shipped networks with the depth as a further input, trained a little on some depths."""
    batches = lessons(rows, depths, np.random.default_rng(seed))
    shipped = shipped_weights()
    made = [refined(widened(one, 1), batches, EPOCHS, RATE, seed + i) for i, one in enumerate(networks(shipped))]
    return replace(shipped, configuration=1, networks=tuple(parameters(one) for one in made))


def left_out(rows: Sequence[Row], share: float, seed: int) -> pd.DataFrame:
    """Every depth in turn: its final score, and what each forecaster said of it."""
    depths = [one.depth for one in rows]
    lines = []
    for one in rows:
        early, n = first_sizes(one.curve, share), int(one.curve.sizes[-1])
        weights = with_depth([other for other in rows if other is not one], depths, seed)
        depth = np.array([[scaled(one.depth, depths)]])
        own = predicted(weights, observed(early), np.array([[float(n)]]), depth)[0, 0]
        final = float(one.curve.observed[-1])
        shipped = lstm_forecast(early, [n]).interval(n, LEVEL)
        average = Interval.of(quadrature(early, seed).scores(n), LEVEL)
        lines.append(
            {
                "depth": one.depth,
                "from sizes up to": int(early.sizes[-1]),
                "at": n,
                "final score": final,
                "LSTM with depth": float(own[PROBABILITIES.index(0.5)]),
                "shipped LSTM": shipped.median,
                "average": average.median,
                "last value": float(early.observed[-1]),
                "shipped LSTM held": shipped.lo <= final <= shipped.hi,
                "average held": average.lo <= final <= average.hi,
            }
        )
    return pd.DataFrame(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("scores", type=Path)
    arguments.add_argument("--share", type=float, default=0.4, help="share of the largest size that is seen")
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    for name, rows in read_grid(chosen.scores).items():
        found = left_out(rows, chosen.share, chosen.seed)
        print(f"{name}\n{found.round(4).to_string(index=False)}\n\nmean absolute error")
        print(found[FORECASTERS].sub(found["final score"], axis=0).abs().mean().round(4).to_string(), end="\n\n")


if __name__ == "__main__":
    main()
