"""Curves that dip and curves that are saturated: are they seen for what they are? Simulated, seeds fixed.

    python studies/02_extrapolation/odd.py [--jobs 2] [--count 400]

Writes odd.md beside this file.
"""

from __future__ import annotations

import argparse
import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from corpus import curve
from run import markdown

from dicecast.forecast.checks import predictive_check
from dicecast.forecast.forecast import Question, gains
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.verdict import SURE

HERE = Path(__file__).parent
SIZES = np.array([20, 40, 60, 80, 120, 160, 240])
DRAWS = 3
NOISES = (0.003, 0.006, 0.01, 0.02)
"""SDs of a single run."""
KINDS = (
    "rising",
    "dip of 3 SDs of a run",
    "dip of 3 SDs of the mean",
    "saturated at the third size",
    "flat from the first",
)


def means(kind: str, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Expected scores of a random curve of a kind."""
    if kind.startswith("flat"):
        return np.full(len(SIZES), rng.uniform(0.6, 0.98))
    ceiling, rise, x = rng.uniform(0.7, 0.95), rng.uniform(0.05, 0.4), SIZES / SIZES[0]
    if kind.startswith("saturated"):
        rise = min(rise, ceiling / 5)  # the exponential through them is above 0 at no case at all
        return np.asarray(ceiling - rise * 0.05 ** ((x - 1) / 2))
    shapes = [
        np.exp(-rng.uniform(0.06, 0.3) * (x - 1)),
        x ** -rng.uniform(0.3, 1),
        np.exp(-rng.uniform(0.5, 1) * x**0.5),
    ]
    found = ceiling - rise * shapes[rng.integers(3)]
    if kind != "rising":
        where = rng.integers(1, len(SIZES))
        found[where] = found[where - 1] - 3 * sd / (1 if kind.endswith("run") else DRAWS**0.5)
    return np.asarray(found)


def one(index: int, kind: str, sd: float) -> dict[str, bool]:
    """What is said of one curve."""
    rng = np.random.default_rng([KINDS.index(kind), NOISES.index(sd), index])
    scores = means(kind, sd, rng)[:, None] + sd * rng.standard_normal((len(SIZES), DRAWS))
    rows = {"n_cases": np.repeat(SIZES, DRAWS), "draw": np.tile(np.arange(DRAWS), len(SIZES))}
    found = quadrature(curve(pd.DataFrame({**rows, "score": np.clip(scores, 0, 1).ravel()})), index)
    check = predictive_check(found)
    gain = gains(found, Question())[0]
    return {
        "flagged": bool(check.messages),
        "declined": check.ill_behaved,
        "gain below eps": not check.ill_behaved and gain.p_below_eps >= SURE,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--count", type=int, default=400)
    chosen = arguments.parse_args()
    lines = []
    with multiprocessing.get_context("spawn").Pool(chosen.jobs) as pool:
        for kind in KINDS:
            for sd in NOISES:
                said = pd.DataFrame(pool.map(partial(one, kind=kind, sd=sd), range(chosen.count), chunksize=10))
                lines.append({"curve": kind, "SD of a run": sd, **said.mean().to_dict()})
    every = pd.DataFrame(lines)
    text = markdown(every)
    print(text)
    head = f"Written by `odd.py`: {chosen.count} curves a line, {len(SIZES)} sizes, {DRAWS} draws; share of the curves."
    title = "# Curves that dip, curves that are saturated"
    (HERE / "odd.md").write_text(f"{title}\n\n{head}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
