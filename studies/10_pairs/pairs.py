"""Two arms whose truth is known: do the intervals of the cases saved hold, and is the arm called better the better one?

    python studies/10_pairs/pairs.py [--jobs 2] [--count 1000]

Writes results.md beside this file. Pairs are simulated from exponential plateaus and from the shipped prior, or are two
learners on one data set of LCDB that the prior has not learned from (needs the curves of study 2).
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

import dicecast
from dicecast.forecast.points import from_prior
from dicecast.forecast.prior import shipped_prior

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "02_extrapolation")]

import answers  # noqa: E402

SIZES, DRAWS = (10, 20, 40, 80, 160), (3, 3, 3, 2, 2)
"""Pilots of a simulated arm."""
RUN_SD = (0.004, 0.03)
"""SD of a run at the smallest size of a simulated arm, evenly drawn in its logarithm; a share of it falls with n."""
LEVEL = 0.9
CALL = 0.95


@dataclass(frozen=True)
class Truth:
    """An arm that is known."""

    score: Callable[[np.ndarray], np.ndarray]
    """Expected score by number of cases, never falling."""
    sd: Callable[[float], float]
    """SD of a single run."""

    def cases_for(self, level: float, floor: float, horizon: float) -> float:
        """Smallest number of cases that reaches a score, cut to what can be told."""
        grid = np.geomspace(floor, horizon, 4000)
        reached = self.score(grid) >= level
        return float(grid[np.argmax(reached)]) if reached.any() else horizon


@dataclass(frozen=True)
class Pair:
    source: str
    truths: tuple[Truth, Truth]
    sizes: tuple[int, ...]
    draws: tuple[int, ...]


def exponential_pair(seed: int) -> Pair:
    """Two exponential plateaus that have something to do with each other."""
    rng = np.random.default_rng([seed, 1])
    ceiling, rise, plateau = rng.uniform(0.7, 0.95), rng.uniform(0.1, 0.6), np.exp(rng.uniform(*np.log([20, 1000])))
    rate = np.log(rise / 0.01) / plateau
    truths = []
    for other in (0, 1):
        dm = min(ceiling + other * 0.02 * rng.standard_normal(), 0.99)
        b, k = rise * np.exp(other * 0.3 * rng.standard_normal()), rate * np.exp(other * 0.5 * rng.standard_normal())
        truths.append(Truth(partial(_exponential, dm, min(b, dm), k), _sd(rng)))
    return Pair(str(seed), (truths[0], truths[1]), SIZES, DRAWS)


def _exponential(dm: float, b: float, k: float, n: np.ndarray) -> np.ndarray:
    return dm - b * np.exp(-k * np.asarray(n, dtype=float))


def prior_pair(seed: int) -> Pair:
    """Two curves of the shipped prior whose errors at the largest size are alike."""
    rng = np.random.default_rng([seed, 2])
    prior = shipped_prior()
    blank = dicecast.curves_from_scores(
        dicecast.validate_scores(pd.DataFrame({"n_cases": SIZES, "score": np.full(len(SIZES), 0.5)}))
    )[0]
    error, truths = rng.uniform(0.05, 0.35), []
    while len(truths) < 2:
        points = from_prior(prior, blank, 400, rng)
        weights = np.array([one.weight for one in prior.families])
        chosen = np.flatnonzero(points.pick == rng.choice(len(weights), p=weights / weights.sum()))
        points = points.at(rng.permutation(chosen)[:1])
        own = error * np.exp(len(truths) * 0.15 * rng.standard_normal())
        most = points.errors_and_most(np.array(SIZES))[1][0]
        if own > most or not np.isfinite(points.log_prior()[0]):
            continue
        dm, amplitude, theta = points.natural(np.array([own]))
        family = prior.families[int(points.pick[0])].family
        shape = [float(t) for t in theta[0][: len(family.theta_names)]]
        truths.append(Truth(partial(_of_family, family, float(dm[0]), float(amplitude[0]), shape), _sd(rng)))
    return Pair(str(seed), (truths[0], truths[1]), SIZES, DRAWS)


def _of_family(family: object, dm: float, amplitude: float, theta: list[float], n: np.ndarray) -> np.ndarray:
    return np.clip(family.score(n, dm, amplitude, *theta), 0, 1)  # type: ignore[attr-defined]


def _sd(rng: np.random.Generator) -> Callable[[float], float]:
    first, share = np.exp(rng.uniform(*np.log(RUN_SD))), rng.uniform()
    return partial(_falling, first, share)


def _falling(first: float, share: float, n: float) -> float:
    return float(first * np.sqrt(1 - share + share * SIZES[0] / n))


def real_pairs() -> list[Pair]:
    """Every two learners on one data set that the prior has not learned from, both rising, in a random order."""
    from corpus import SIZES as TRAINED
    from corpus import SPLITS, not_learned, rising

    curves = not_learned()
    risen = {one.name for one in rising(curves)}
    found = []
    for one, other in combinations(curves, 2):
        if one.dataset == other.dataset and one.name in risen and other.name in risen:
            truths = (_real(one, SPLITS), _real(other, SPLITS))
            found.append(Pair(one.source, truths, TRAINED, (3,) * len(TRAINED)))
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))]


def _real(one: object, splits: int) -> Truth:
    """A learner's mean scores, and the SD of a run from its standard error over so many splits."""
    sizes, scores = np.log(one.sizes), isotonic_regression(one.score).x  # type: ignore[attr-defined]
    return Truth(partial(_between, sizes, scores), partial(_between_one, sizes, splits**0.5 * one.error))  # type: ignore[attr-defined]


def _between(at: np.ndarray, values: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.interp(np.log(n), at, values)


def _between_one(at: np.ndarray, values: np.ndarray, n: float) -> float:
    return float(np.interp(np.log(n), at, values))


def runs(pair: Pair, seed: int) -> list[dicecast.Curve]:
    """Pilots of both arms: the truth plus the noise of single runs."""
    rng = np.random.default_rng([seed, 3])
    rows = []
    for arm, truth in enumerate(pair.truths):
        for n, count in zip(pair.sizes, pair.draws, strict=True):
            scores = float(truth.score(np.array(n))) + truth.sd(n) * rng.standard_normal(count)
            rows += [(f"arm {arm}", n, draw, score) for draw, score in enumerate(np.clip(scores, 0, 1))]
    table = pd.DataFrame(rows, columns=["arm", "n_cases", "draw", "score"])
    return dicecast.curves_from_scores(dicecast.validate_scores(table), pool=[10**9])


def judged(index: int, pairs: Sequence[Pair] | Callable[[int], Pair]) -> list[dict[str, object]]:
    """One pair: the interval of the ratio of cases, and who was called better, against the truth."""
    pair = pairs(index) if callable(pairs) else pairs[index]
    now = pair.sizes[-1]
    question = dicecast.Question(seed=index, level=LEVEL, at=(now, 2 * now, 4 * now))
    (found,) = dicecast.compare_curves(runs(pair, index), question, quick=True)[0].pairs
    first, second = pair.truths
    cases = found.equal.cases
    truth = second.cases_for(float(first.score(np.array(now))), cases.floor, cases.horizon)
    row = {
        "source": pair.source,
        "held": cases.holds(truth),
        "inside": cases.inside(truth),
        "width": np.log2(cases.hi / cases.lo),
        "error": np.log2(cases.median / truth),
    }
    for one in found.scores:
        better = bool(second.score(np.array(one.n)) > first.score(np.array(one.n)))
        called = one.p_second_better if one.p_second_better > 0.5 else 1 - one.p_second_better
        row |= {f"p {one.n // now}": called, f"right {one.n // now}": (one.p_second_better > 0.5) == better}
    return [row]


def play(jobs: int, count: int, pairs: Sequence[Pair] | Callable[[int], Pair]) -> pd.DataFrame:
    """Many pairs, in several processes."""
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        parts = pool.map(partial(judged, pairs=pairs), range(count), chunksize=4)
    return pd.DataFrame([row for part in parts for row in part])


def line(name: str, rows: pd.DataFrame) -> dict[str, object]:
    """A line of the table."""
    inside = rows[rows["inside"]]
    entry: dict[str, object] = {
        "pairs": name,
        "number": len(rows),
        "held": share(rows, "held"),
        "truth inside": len(inside),
        "held of these": share(inside, "held"),
        "median interval, hi / lo": f"{2 ** float(rows['width'].median()):.2f}",
        "median error of the ratio": f"{2 ** float(inside['error'].abs().median()):.2f} times",
    }
    for times in (1, 2, 4):
        sure = rows[rows[f"p {times}"] > CALL]
        entry[f"calls at {times}x right"] = f"{share(sure, f'right {times}')} of {len(sure)}"
    return entry


def share(rows: pd.DataFrame, column: str) -> str:
    """A share with its 90 % interval from resampling sources."""
    if rows.empty:
        return "-"
    groups = [group[column].to_numpy(dtype=float) for _, group in rows.groupby("source")]
    sums, sizes = np.array([g.sum() for g in groups]), np.array([len(g) for g in groups])
    picked = np.random.default_rng(0).integers(len(groups), size=(1000, len(groups)))
    low, high = np.quantile(sums[picked].sum(axis=1) / sizes[picked].sum(axis=1), [0.05, 0.95])
    return f"{rows[column].mean():.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--count", type=int, default=1000)
    asked = parser.parse_args()
    lines = [
        line("exponential plateaus", play(asked.jobs, asked.count, exponential_pair)),
        line("curves of the prior", play(asked.jobs, asked.count, prior_pair)),
    ]
    real = real_pairs()
    lines.append(line("learners of LCDB", play(asked.jobs, min(asked.count, len(real)), real)))
    rows = [[key, *(str(entry[key]) for entry in lines)] for key in lines[0]]
    answers.write(HERE / "results.md", "Results", "pairs.py", answers.table(rows[0], rows[1:]))


if __name__ == "__main__":
    main()
