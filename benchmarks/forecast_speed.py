"""How fast is one full answer? Ratios against a baseline in the same run.

    python benchmarks/forecast_speed.py

Baselines: the same posterior by emcee without vectorisation (one log-density call per walker), by NUTS in numpyro where
it is installed, and an ensemble of eleven families (`rivals`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import emcee
import numpy as np
import pandas as pd
from rivals import eleven_families, nuts

import dicecast
from dicecast.forecast import sampler
from dicecast.forecast.families import NAMED
from dicecast.forecast.prior import shipped_prior
from dicecast.forecast.walkers import start_of

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


def started(data: dicecast.Curve) -> tuple[sampler.Target, np.ndarray]:
    """The density and the walkers' start of the named model."""
    posterior = dicecast.quadrature(data, model=NAMED.name)
    target = sampler.Target.of(data, shipped_prior().only(NAMED.name)).near(posterior)
    return target, start_of(target, posterior, np.random.default_rng(0))


def sample(target: sampler.Target, start: np.ndarray, *, vectorised: bool) -> None:
    def density(points: np.ndarray) -> np.ndarray:
        found = target.log_density(np.atleast_2d(points))
        return found if vectorised else found[0]

    emcee.EnsembleSampler(*start.shape, density, vectorize=vectorised).run_mcmc(start, STEPS)


def many_curves(count: int, *, page: bool = False) -> tuple[float, float]:
    """Seconds, and MiB at most (of the parent or a worker), for a CSV with so many curves, from a cold start.

    Args:
        count: Curves, each of an arm, or for a page of a structure, of its own.
        page: Whether the page is written; else the curves are forecast by `forecast --quick`.
    """
    rng = np.random.default_rng(0)
    n = np.tile(np.repeat([10, 20, 40, 80, 120], 3), count)
    ceiling, rise, rate = (np.repeat(rng.uniform(*ends, count), 15) for ends in ((0.7, 0.95), (0.1, 0.5), (0.01, 0.05)))
    score = ceiling - rise * np.exp(-rate * n) + 0.01 * rng.standard_normal(len(n))
    table = {"n_cases": n, "draw": np.tile([0, 1, 2], 5 * count), "score": np.clip(score, 0, 1)}
    table["structure" if page else "arm"] = np.repeat(np.arange(count), 15)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "scores.csv"
        pd.DataFrame(table).to_csv(source, index=False)
        command = ["forecast", str(source), "--quick", "--json", f"{folder}/forecast.json"]
        if page:
            command = ["report", str(source), "-o", f"{folder}/report.html"]
        code = (
            "import resource, sys; from dicecast.__main__ import main\n"
            "if __name__ == '__main__':\n"
            "    try: main()\n"
            "    finally: print(max(resource.getrusage(w).ru_maxrss for w in "
            "(resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)), file=sys.stderr)\n"
        )
        script = Path(folder) / "run.py"
        script.write_text(code, encoding="utf-8")
        start = time.perf_counter()
        done = subprocess.run([sys.executable, script, *command], check=True, capture_output=True, text=True)
        return time.perf_counter() - start, int(done.stderr.split()[-1]) / 1024


def posteriors(data: dicecast.Curve) -> None:
    """The named model's posterior, each way, against dicecast's MCMC."""
    chains = seconds(lambda: dicecast.sample_posterior(data))
    ours = dicecast.sample_posterior(data).diagnostics.ess
    print(f"posterior of the exponential plateau by MCMC: {chains:.2f} s, effective sample size {ours:.0f}; against it")
    at = started(data)
    fast, slow = seconds(lambda: sample(*at, vectorised=True)), seconds(lambda: sample(*at, vectorised=False), 1)
    print(f"  emcee one walker at a time: {slow / fast:.1f} times as long per step ({STEPS} steps: {slow:.2f} s)")
    for model in (NAMED.name, "average"):
        one = seconds(partial(dicecast.quadrature, data, model=model))
        few = seconds(partial(dicecast.quadrature, data, model=model, draws=1000))
        words = f"{one * 1e3:.0f} ms for 4000 draws, {few * 1e3:.0f} ms for 1000"
        print(f"  quadrature, {model}: {words}: {one / chains:.3f} and {few / chains:.3f} times as long")
    try:
        first, again, ess = nuts(data)
    except ImportError:
        print("  NUTS in numpyro: not installed (pip install numpyro)")
    else:
        words = f"{first:.1f} s with compilation, {again:.1f} s without, effective sample size {ess:.0f}"
        print(f"  NUTS in numpyro: {words}: {first / chains:.1f} and {again / chains:.1f} times as long")
    average = seconds(lambda: dicecast.quadrature(data))
    eleven = eleven_families(data)
    print(
        f"ensemble of eleven families by emcee: {eleven:.0f} s, {eleven / average:.0f} times as long as the average of "
        "the families by quadrature"
    )


def main() -> None:
    data = curve()
    posteriors(data)
    named = seconds(lambda: (dicecast.least_squares(data), dicecast.sample_posterior(data), dicecast.quadrature(data)))
    full = seconds(lambda: dicecast.forecast_curve(data, backtest=False))
    tested = seconds(lambda: dicecast.forecast_curve(data))
    print(
        f"least squares, MCMC and average: {named:.2f} s; with every family {full:.2f} s; with backtest {tested:.2f} s"
    )
    start = seconds(lambda: subprocess.run([sys.executable, "-c", "import dicecast"], check=True))
    print(f"import in a new process: {start:.2f} s")
    few, many = many_curves(1000), many_curves(10_000)
    print(
        f"dicecast forecast --quick: 1,000 curves {few[0]:.0f} s, {few[1]:.0f} MiB; 10,000 curves {many[0]:.0f} s, "
        f"{many[1]:.0f} MiB: {many[0] / few[0]:.1f} times as long, {many[1] / few[1]:.2f} times the memory"
    )
    small, large = many_curves(30, page=True)[0], many_curves(200, page=True)[0]
    print(f"dicecast report: 30 curves {small:.0f} s; 200 curves {large:.0f} s: {large / small:.1f} times as long")


if __name__ == "__main__":
    main()
