"""How fast is one full answer? Ratios against a baseline in the same run.

    python benchmarks/forecast_speed.py

Baseline: the same posterior sampled by emcee without vectorisation (one log-density call per walker).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import emcee
import numpy as np
import pandas as pd

import dicecast
from dicecast.forecast import sampler
from dicecast.forecast.families import NAMED
from dicecast.forecast.prior import shipped_prior

STEPS = 300


def curve() -> dicecast.Curve:
    rng = np.random.default_rng(0)
    rows = [
        (n, r, 0.85 - 0.5 * np.exp(-0.012 * n) + 0.012 * rng.standard_normal())
        for n in (50, 100, 150, 200, 250, 300)
        for r in range(3)
    ]
    table = pd.DataFrame(rows, columns=["n_cases", "draw", "score"])
    return dicecast.curves_from_scores(dicecast.validate_scores(table))[0]


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def sample(data: dicecast.Curve, *, vectorised: bool) -> None:
    started = dicecast.quadrature(data, model=NAMED.name)
    target = sampler.Target.of(data, shipped_prior().only(NAMED.name))
    start = sampler._start(target, started, np.random.default_rng(0))

    def density(points: np.ndarray) -> np.ndarray:
        found = target.log_density(np.atleast_2d(points))
        return found if vectorised else found[0]

    emcee.EnsembleSampler(*start.shape, density, vectorize=vectorised).run_mcmc(start, STEPS)


def main() -> None:
    data = curve()
    fast, slow = seconds(lambda: sample(data, vectorised=True)), seconds(lambda: sample(data, vectorised=False), 1)
    chains = seconds(lambda: dicecast.sample_posterior(data))
    one, average = (seconds(partial(dicecast.quadrature, data, model=model)) for model in (NAMED.name, "average"))
    full = seconds(lambda: dicecast.forecast_curve(data, backtest=False))
    tested = seconds(lambda: dicecast.forecast_curve(data))
    start = seconds(lambda: subprocess.run([sys.executable, "-c", "import dicecast"], check=True))
    print(f"{STEPS} steps of 40 walkers: vectorised {fast:.2f} s, one by one {slow:.2f} s, ratio {slow / fast:.1f}")
    print(
        f"posterior of the exponential: MCMC {chains:.2f} s, quadrature {one * 1e3:.0f} ms, ratio {chains / one:.0f}; "
        f"average of the families by quadrature {average * 1e3:.0f} ms"
    )
    print(f"full answer (least squares, MCMC, families, average): {full:.2f} s; with backtest {tested:.2f} s")
    print(f"import in a new process: {start:.2f} s")


if __name__ == "__main__":
    main()
