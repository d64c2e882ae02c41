"""Train the LSTM that ships with dicecast, from simulated curves and the learn half of LCDB, and write its weights.

    python studies/07_surrogate/train.py [--to FILE]

One thread, seeded: the same weights every time on the same machine.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "02_extrapolation"))

from corpus import LEARNERS, LEAST_ERROR, SPLITS, every_curve, learn_sources  # noqa: E402

import dicecast  # noqa: E402
from dicecast.adapters.surrogate.observed_curves import RealCurve, cut_from  # noqa: E402
from dicecast.adapters.surrogate.simulated import simulated  # noqa: E402
from dicecast.adapters.surrogate.training import Recipe, parameters, train  # noqa: E402
from dicecast.adapters.surrogate.weights import FILE, Weights, write_weights  # noqa: E402
from dicecast.forecast.prior import shipped_prior  # noqa: E402

WEIGHTS = Path(dicecast.__file__).parent / "adapters" / "surrogate" / FILE
SEED = 339064
NETWORKS = 3
PATTERNS, CUTS = 1500, 80_000
"""Sets of sizes of simulated curves, a hundred curves each; exercises cut from real curves."""
OTHERS = 0.1
"""Weight of the database's other learners, of which many peak, fall or jump; the nine of the benchmark weigh 1."""
RECIPE = Recipe()


def real_curves(sources: Collection[str], others: float = OTHERS) -> list[RealCurve]:
    """The database's curves of some sources, with the noise of a single run."""
    return [
        RealCurve(
            source,
            rows["n_cases"].to_numpy(dtype=float),
            rows["score"].to_numpy(),
            SPLITS**0.5 * np.maximum(rows["se"].to_numpy(), LEAST_ERROR),
            1.0 if name.split(" ", 1)[1] in LEARNERS else others,
        )
        for source, _, name, rows in every_curve(None)
        if source in sources
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--to", type=Path, default=WEIGHTS, help="where the weights are written")
    path = arguments.parse_args().to
    torch.set_num_threads(1)
    start = time.monotonic()
    sources = learn_sources()
    made = simulated(shipped_prior(), PATTERNS, np.random.default_rng([SEED, 0]))
    curves = real_curves(sources)
    cut = cut_from(curves, CUTS, np.random.default_rng([SEED, 1]))
    print(f"{len(made)} simulated exercises, {len(cut)} from {len(curves)} real curves, {_since(start)}", flush=True)
    networks = []
    for i in range(NETWORKS):
        networks.append(parameters(train(made, cut, RECIPE, SEED + i)))
        print(f"network {i + 1} of {NETWORKS}, {_since(start)}", flush=True)
    words = (
        f"trained on curves simulated from dicecast's prior and on {len(curves)} accuracy curves of {len(sources)} "
        "sources in LCDB 1.1 (arXiv 2505.15657, CC BY 4.0)"
    )
    weights = Weights(RECIPE.hidden, 0, tuple(networks), words)
    write_weights(weights, path)
    print(f"wrote {path.name}: {path.stat().st_size} bytes, hash {weights.hash}, {_since(start)}")


def _since(start: float) -> str:
    return f"{time.monotonic() - start:.0f} s, of which {time.process_time():.0f} s of one core"


if __name__ == "__main__":
    main()
