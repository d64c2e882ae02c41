"""The campaign benchmark: annotation campaigns on real learning curves, by dicecast's recommendations and simple rules.

    python studies/03_campaigns/campaigns.py [--jobs 2] [--quick]

Only sources that the shipped prior has not learned from are played. Writes results.md and costs.png beside this file.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "02_extrapolation"))

from corpus import (  # noqa: E402
    KIN_OF_LEARNED,
    LEARNERS,
    LEAST_ERROR,
    SPLITS,
    every_curve,
    learn_sources,
)
from figures_campaigns import draw_costs  # noqa: E402
from run import markdown, resampled  # noqa: E402
from scipy.optimize import isotonic_regression  # noqa: E402

from dicecast.forecast import policies  # noqa: E402
from dicecast.forecast.families import FAMILIES  # noqa: E402
from dicecast.forecast.goal import TARGET, Goal  # noqa: E402
from dicecast.forecast.simulation import Policy, Terms, Truth, play  # noqa: E402

STARTS = (20, 25, 32, 40)
"""Cases at the start, in turn; the database begins at 16, and a forecast needs three sizes."""
TIMES = 64
"""Most cases there will ever be, as a multiple of the start."""
RISE = 0.03
"""Least that annotating everything adds on the curves of the main table."""
EPS = 0.01
PENALTIES = (0.3, 1.0, 3.0)
"""Cost of 0.01 of score missing beyond EPS, as a multiple of annotating everything."""
MARGINS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
"""Factors on the size a power law says is needed, chosen among on the curves learned from."""
REACHES = 0.88
"""Share of campaigns within EPS from which a policy's cost is compared."""
OFFSETS = (0.05, 0.02, -0.02, -0.05)
"""Targets relative to the true score of everything."""
OURS = "dicecast"
WORDS = {"in01": "within .01", "in02": "within .02", "ratio": "collected / needed, median", "p90": "90th percentile"}


def truths(*, learned: bool, learners: Sequence[str] | None = LEARNERS, least_rise: float = RISE) -> list[Truth]:
    """Monotone-smoothed curves of the database, each with a start and an end; those that rise enough."""
    sources = learn_sources()
    found = []
    for source, dataset, name, rows in every_curve(learners):
        kin = not learned and dataset in KIN_OF_LEARNED
        if (source in sources) == learned and not kin and rows["n_cases"].iloc[0] <= 16:
            found.append((source, name, rows))
    order = np.random.default_rng(0).permutation(len(found))
    made = [_truth(*found[i], start=STARTS[k % len(STARTS)]) for k, i in enumerate(order)]
    return [one for one in made if one.n_max >= 4 * one.start and one.rise >= least_rise]


def _truth(source: str, name: str, rows: pd.DataFrame, start: int) -> Truth:
    error = np.maximum(rows["se"].to_numpy(), LEAST_ERROR)
    smooth = np.asarray(isotonic_regression(rows["score"].to_numpy(), weights=error**-2).x)
    sizes = rows["n_cases"].to_numpy(dtype=float)
    return Truth(name, sizes, smooth, SPLITS**0.5 * error, start, int(min(sizes[-1], TIMES * start)), source)


def rules(margin: float) -> dict[str, Policy]:
    """Every policy of the main table; `margin` is the power law's."""
    power = FAMILIES["power-law"]
    return {
        OURS: policies.recommended(),
        "dicecast, one step ahead": policies.recommended(look_ahead=1),
        "exponential, inverted": policies.inverted(FAMILIES["exponential"]),
        "power law, inverted": policies.inverted(power),
        f"power law x {margin:g}, >= 3 rounds": policies.inverted(power, margin, 3),
        "+25 % each round": policies.growing(0.25),
        "50 % of everything": policies.fixed(0.5),
        "75 % of everything": policies.fixed(0.75),
        "90 % of everything": policies.fixed(0.9),
        "everything": policies.fixed(1.0),
    }


def one(index: int, curves: Sequence[Truth], policy: str, margin: float, offset: float | None) -> dict[str, object]:
    """One campaign."""
    truth = curves[index]
    goal = Goal() if offset is None else Goal(TARGET, float(truth.all_scores[-1] + offset))
    played = play(truth, rules(margin)[policy], Terms(goal=goal), index)
    return {
        "policy": policy,
        "source": truth.source,
        "start": truth.start,
        "n_max": truth.n_max,
        "needed": truth.needed(Goal()),
        "collected": played.collected,
        "rounds": played.rounds,
        "gap": played.gap,
        "end": played.end,
        "held": [outcome.held for outcome in played.outcomes],
    }


def campaigns(
    jobs: int, curves: Sequence[Truth], names: Sequence[str], margin: float = 1.0, offset: float | None = None
) -> pd.DataFrame:
    """Every curve under every policy."""
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        parts = [
            pool.map(partial(one, curves=curves, policy=name, margin=margin, offset=offset), range(len(curves)), 8)
            for name in names
        ]
    return pd.DataFrame([row for part in parts for row in part])


def cost(rows: pd.DataFrame, penalty: float = 1.0) -> pd.Series:
    """Cases, rounds and shortfall, as a share of annotating everything."""
    short = np.maximum(rows["gap"] - EPS, 0) / EPS
    return rows["collected"] / rows["n_max"] + 0.05 * rows["rounds"] + penalty * short


def figures(rows: pd.DataFrame, penalty: float = 1.0) -> dict[str, float]:
    """What a policy is judged by."""
    ratio = rows["collected"] / rows["needed"]
    return {
        "in01": float((rows["gap"] <= EPS + 1e-9).mean()),
        "in02": float((rows["gap"] <= 2 * EPS + 1e-9).mean()),
        "ratio": float(ratio.median()),
        "p90": float(ratio.quantile(0.9)),
        "rounds": float(rows["rounds"].mean()),
        "cost": float(cost(rows, penalty).median()),
        "mean cost": float(cost(rows, penalty).mean()),
    }


def table(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """One line per value of a column."""
    parts = {str(name): part for name, part in rows.groupby(by, sort=False)}
    lines = [{by: name, "campaigns": len(part), **figures(part)} for name, part in parts.items()]
    return pd.DataFrame(lines).rename(columns=WORDS)


def with_intervals(rows: pd.DataFrame) -> pd.DataFrame:
    """Every policy with 90 % intervals over sources."""
    lines = []
    for name, part in rows.groupby("policy", sort=False):
        keys = ("in01", "in02", "ratio", "p90", "cost")
        found = {WORDS.get(key, key): resampled(part, lambda some, key=key: figures(some)[key]) for key in keys}
        lines.append({"policy": name, **found})
    return pd.DataFrame(lines)


def by_penalty(rows: pd.DataFrame) -> pd.DataFrame:
    """Median cost under every penalty; of ours against each rival, the difference with its interval over sources."""
    ours = rows[rows["policy"] == OURS]
    lines = []
    for name, part in rows.groupby("policy", sort=False):
        line: dict[str, object] = {"policy": name, "within .01": figures(part)["in01"]}
        for penalty in PENALTIES:
            line[f"cost, penalty {penalty:g}"] = figures(part, penalty)["cost"]
        if name != OURS:
            pair = ours[["source"]].assign(ours=cost(ours).to_numpy(), rival=cost(part).to_numpy())
            line["ours less it, penalty 1"] = resampled(
                pair, lambda some: float(some["ours"].median() - some["rival"].median())
            )
        lines.append(line)
    return pd.DataFrame(lines)


def tuned_margin(jobs: int) -> float:
    """The power law's margin that costs least among those that reach often enough, on curves learned from."""
    curves = truths(learned=True)[:300]
    found = {}
    for margin in MARGINS:
        name = f"power law x {margin:g}, >= 3 rounds"
        found[margin] = figures(campaigns(jobs, curves, [name], margin))
        print(f"margin {margin:g}: {found[margin]}", flush=True)
    reaching = {margin: one for margin, one in found.items() if one["in01"] >= REACHES} or found
    return min(reaching, key=lambda margin: reaching[margin]["cost"])


def promises(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of promised intervals that held, in all and by the number of the batch."""
    ours = rows[rows["policy"] == OURS]
    parts = [
        pd.DataFrame({"batch": range(1, len(held) + 1), "held": held, "source": source})
        for held, source in zip(ours["held"], ours["source"], strict=True)
        if held
    ]
    every = pd.concat(parts, ignore_index=True)
    lines = [("all", every), *((str(number), part) for number, part in every.groupby("batch"))]
    return pd.DataFrame(
        {"batch": name, "promises": len(part), "held": resampled(part, lambda some: float(some["held"].mean()))}
        for name, part in lines
    )


def targets(jobs: int, curves: Sequence[Truth]) -> pd.DataFrame:
    """Targets above and below what everything gives: what is said of them."""
    lines = []
    for offset in OFFSETS:
        ends = [one.all_scores[-1] + offset for one in curves]
        possible = [
            one for one, end in zip(curves, ends, strict=True) if end <= 1 and (offset > 0 or end > one.all_scores[0])
        ]
        rows = campaigns(jobs, possible, [OURS], offset=offset)
        unreachable = resampled(rows, lambda some: float((some["end"] == "stop_unreachable").mean()))
        lines.append(
            {
                "target less the score of everything": f"{offset:+g}",
                "campaigns": len(rows),
                "called unreachable": unreachable,
                "called reached": float((rows["end"] == "stop_plateau").mean()),
                "collected, median share of everything": float((rows["collected"] / rows["n_max"]).median()),
            }
        )
    return pd.DataFrame(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--quick", action="store_true", help="ours on the main curves only")
    chosen = arguments.parse_args()
    run: Callable[..., pd.DataFrame] = partial(campaigns, chosen.jobs)
    curves = truths(learned=False)
    head = f"{len(curves)} curves of {len({one.source for one in curves})} sources, none learned from"
    print(head, flush=True)
    began = time.perf_counter()
    ours = run(curves, [OURS])
    speed = 60 * (ours["rounds"].sum() + len(ours)) / (time.perf_counter() - began)
    print(f"{speed:.0f} decisions a minute on {chosen.jobs} processes, the simulated pilots included", flush=True)
    if chosen.quick:
        print(markdown(table(ours, "policy")))
        return
    margin = tuned_margin(chosen.jobs)
    rows = pd.concat([ours, run(curves, [name for name in rules(margin) if name != OURS], margin)], ignore_index=True)
    half, twice = (run([replace(one, run_sd=times * one.run_sd) for one in curves], [OURS]) for times in (0.5, 2))
    noises = pd.concat([half.assign(noise="x 0.5"), ours.assign(noise="x 1"), twice.assign(noise="x 2")])
    flat = run(truths(learned=False, least_rise=0.0), [OURS])
    every = run(truths(learned=False, learners=None, least_rise=0.0), [OURS])
    other = [
        ours.assign(curves="rising, 9 learners"),
        flat.assign(curves="all, 9 learners"),
        every.assign(curves="all, 27 learners"),
    ]
    parts = {
        "Every policy": table(rows, "policy"),
        "Every policy, with 90 % intervals over sources": with_intervals(rows),
        "Costs by penalty": by_penalty(rows),
        "Ours by cases at the start": table(ours.sort_values("start"), "start"),
        "Ours by noise (SD of a run over the real one)": table(noises, "noise"),
        "Ours on other curves": table(pd.concat(other), "curves"),
        "Promises of 90 %": promises(rows),
        "Targets": targets(chosen.jobs, curves),
    }
    text = "\n\n".join(f"## {title}\n\n{markdown(frame)}" for title, frame in parts.items())
    print(text)
    (HERE / "results.md").write_text(f"# Results\n\nWritten by `campaigns.py`: {head}.\n\n{text}\n", encoding="utf-8")
    draw_costs({str(name): figures(part) for name, part in rows.groupby("policy", sort=False)}, HERE / "costs")


if __name__ == "__main__":
    main()
