"""The extrapolation benchmark: forecast scores at 2, 4 and 8 times the largest trained size of real curves.

    python studies/02_extrapolation/run.py [--jobs 2] [--quick | --lstm]

Only sources that the shipped prior and the LSTM (study 7) have not learned from are scored. Writes results.md and the
figures beside this file.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from corpus import SIZES, Truth, not_learned, rising, segmentation, simulated_runs
from figures import draw
from scoring import markdown, point_row, resampled, row, table

import dicecast
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.fit import least_squares
from dicecast.forecast.prior import shipped_prior
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.subsets import overlap

HERE = Path(__file__).parent
PRIORS = {"average": 0.75, "average, vague prior": 0.0, "average, learned prior": 1.0}
LSTM = "LSTM"
MODELS = [*PRIORS, *FAMILIES, LSTM]
BESIDE = "the LSTM against the average and the power law (90 % intervals over sources)"


def predicted(found: dicecast.Posterior, sizes: Sequence[int], seed: int) -> np.ndarray:
    """Draws of the expected score with its misfit, shape [draws, sizes]."""
    scores = found.scores(sizes).T
    noise = np.random.default_rng([seed, 9]).standard_normal(scores.shape)
    return np.clip(scores + found.noise[:, 2:] * noise, 0, 1)


def posterior(data: dicecast.Curve, model: str, seed: int) -> dicecast.Posterior:
    if model in PRIORS:
        return quadrature(data, seed, prior=shipped_prior(PRIORS[model]))
    return quadrature(data, seed, model=model)


def lstm_draws(data: dicecast.Curve, sizes: Sequence[int], count: int = 999) -> np.ndarray:
    """Draws of the expected score by the LSTM, shape [draws, sizes]; only here torch is imported."""
    import torch

    from dicecast.adapters.surrogate import quantiles
    from dicecast.adapters.surrogate.forecaster import lstm_forecast

    torch.set_num_threads(1)
    return quantiles.draws(lstm_forecast(data, [int(n) for n in sizes]).quantiles, count)


def one_curve(
    index: int, curves: Sequence[Truth], sizes: Sequence[int], draws: int, models: Sequence[str], fits: Sequence[str]
) -> list[dict[str, object]]:
    """Every forecast of one curve."""
    truth = curves[index]
    data = simulated_runs(truth, sizes, draws, np.random.default_rng([17, index]))
    targets = [n for n in truth.sizes if n > sizes[-1]]
    known = dict(zip(truth.sizes, truth.score, strict=True))
    rows: list[dict[str, object]] = []

    def add(forecaster: str, n: int, numbers: dict[str, float]) -> None:
        key = {"source": truth.source, "curve": truth.name, "forecaster": forecaster}
        rows.append({**key, "times": round(n / sizes[-1]), **numbers})

    for model in models:
        found = None if model == LSTM else posterior(data, model, index)
        scores = lstm_draws(data, targets) if found is None else predicted(found, targets, index)
        for i, n in enumerate(targets):
            add(model, n, row(scores[:, i], known[n]))
        if model == "average" and found is not None:
            rows += _gains(truth, found, targets, known, int(sizes[-1]))
    for name in fits:
        if len(sizes) < len(FAMILIES[name].names):
            continue
        fit = least_squares(data, FAMILIES[name])
        for n, mean, error in zip(targets, fit.score(targets), fit.score_error(targets), strict=True):
            add(f"{name}, least squares", n, point_row(mean, error, len(data.y) - len(fit.values), known[n]))
    for n in targets:
        add("last value", n, point_row(float(data.observed[-1]), np.nan, 0, known[n]))
    return rows


def _gains(
    truth: Truth, found: dicecast.Posterior, targets: Sequence[int], known: dict[int, float], now: int
) -> list[dict[str, object]]:
    """The gains of doubling and of the horizon, as a forecast reports them."""
    rows: list[dict[str, object]] = []
    for name, n in (("gain of doubling", 2 * now), ("reachable gain", 4 * now)):
        if n in targets:
            numbers = row(dicecast.gain_draws(found, now, n), known[n] - known[now])
            rows.append({"source": truth.source, "curve": truth.name, "forecaster": name, "times": n // now, **numbers})
    return rows


def benchmark(jobs: int, curves: Sequence[Truth], **how: object) -> pd.DataFrame:
    """All forecasts of all curves."""
    work = partial(one_curve, curves=curves, **how)  # type: ignore[arg-type]
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        parts = pool.map(work, range(len(curves)), chunksize=4)
    return pd.DataFrame([entry for part in parts for entry in part])


def beside_average(rows: pd.DataFrame) -> pd.DataFrame:
    """The LSTM beside the average of families and the power law, curve by curve, with intervals over sources."""
    lines = []
    for times, part in rows.groupby("times"):
        names = (LSTM, "average", "power-law, least squares")
        own, rival, law = (part[part["forecaster"] == name] for name in names)
        together = own.assign(mae=own["error"].abs(), rival=rival["error"].abs().to_numpy())
        together["rival crps"], together["law"] = rival["crps"].to_numpy(), law["error"].abs().to_numpy()
        lines.append(
            {
                "horizon": f"{times}x",
                "MAE, of the average's": resampled(together, lambda part: part["mae"].mean() / part["rival"].mean()),
                "MAE, of the power law's": resampled(together, lambda part: part["mae"].mean() / part["law"].mean()),
                "CRPS, of the average's": resampled(
                    together, lambda part: part["crps"].mean() / part["rival crps"].mean()
                ),
                "90 % held": resampled(together, lambda part: part["held 0.9"].mean()),
                "bias of the mean": resampled(together, lambda part: part["bias"].mean()),
            }
        )
    return pd.DataFrame(lines)


def goals(rows: pd.DataFrame) -> pd.DataFrame:
    """The average against its goals, with intervals over sources."""
    best = table(rows).query("forecaster.str.endswith('least squares')").sort_values("MAE").groupby("times").first()
    lines = []
    for times, line in best.iterrows():
        part = rows[rows["times"] == times]
        average, rival = (part[part["forecaster"] == name] for name in ("average", line["forecaster"]))
        together = average.assign(rival=rival["error"].abs().to_numpy(), own=average["error"].abs())
        lines.append(
            {
                "horizon": f"{times}x",
                "best least squares": line["forecaster"].removesuffix(", least squares"),
                "MAE ratio": resampled(together, lambda part: part["own"].mean() / part["rival"].mean()),
                "90 % held": resampled(together, lambda part: part["held 0.9"].mean()),
                "bias of the mean": resampled(together, lambda part: part["bias"].mean()),
            }
        )
    return pd.DataFrame(lines)


def segmentation_rows() -> pd.DataFrame:
    """The next size of every segmentation curve, forecast from three or more smaller ones, as its runs will show it."""
    rows: list[dict[str, object]] = []
    for index, (source, data) in enumerate(segmentation()):
        for ahead in range(len(data.sizes) - 3, 0, -1):
            earlier, n, observed = data.without_largest(ahead), int(data.sizes[-ahead]), float(data.observed[-ahead])
            key = {"source": source, "curve": str(index), "times": 2}
            found = quadrature(earlier, index)
            there = data.n == n
            shared = overlap(data)[np.ix_(there, there)].mean()
            variance = found.noise[:, 0] ** 2 / there.sum() + found.noise[:, 1] ** 2 * shared
            noise = np.random.default_rng([index, ahead]).standard_normal(len(variance))
            expected = {"average": predicted(found, [n], index), LSTM: lstm_draws(earlier, [n], len(variance))}
            for name, scores in expected.items():
                runs = scores[:, 0] + np.sqrt(variance) * noise  # the LSTM knows no noise of runs: the average's
                rows.append({**key, "forecaster": name, **row(runs, observed)})
            for name in ("exponential", "power-law"):
                numbers = point_row(float(least_squares(earlier, FAMILIES[name]).score(n)), np.nan, 0, observed)
                rows.append({**key, "forecaster": f"{name}, least squares", **numbers})
    return pd.DataFrame(rows)


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """The average against the power law on segmentation curves, with intervals over curves."""
    lines = []
    parts = {"all": rows, **dict(list(rows.groupby("source")))}
    for source, part in parts.items():
        own, rival = (part[part["forecaster"] == name] for name in ("average", "power-law, least squares"))
        together = own.assign(source=own["curve"], more=own["error"].abs() - rival["error"].abs().to_numpy())
        lines.append(
            {
                "curves": f"{source} ({own['curve'].nunique()})",
                "forecasts": len(own),
                "MAE": float(own["error"].abs().mean()),
                "MAE less the power law's": resampled(together, lambda rows: rows["more"].mean()),
                "90 % held": resampled(together, lambda rows: rows["held 0.9"].mean()),
                "90 % width": float(own["width 0.9"].median()),
            }
        )
    return pd.DataFrame(lines)


def lstm_only(run: Callable[..., pd.DataFrame], curves: Sequence[Truth]) -> dict[str, pd.DataFrame]:
    """The LSTM's lines of the tables, beside the average's and the power law's."""
    few = partial(run, models=["average", LSTM], fits=["power-law"])
    found: dict[str, pd.DataFrame] = {}
    for title, rows in {
        "7 sizes, 3 draws": few(curves, sizes=SIZES, draws=3),
        "3 sizes, 1 draw": few(curves, sizes=SIZES[-3:], draws=1),
        "All learners, unfiltered": few(not_learned(None), sizes=SIZES, draws=3),
    }.items():
        found[title] = table(rows)
        found[f"{title}: {BESIDE}"] = beside_average(rows)
    return found | {"Segmentation: the next size (about 2x)": table(segmentation_rows())}


def fewer_sizes(run: Callable[..., pd.DataFrame], curves: Sequence[Truth]) -> dict[str, pd.DataFrame]:
    """The average and the LSTM from the largest three to seven sizes, one draw and three."""
    lines, found = [], {}
    for count in range(3, 8):
        for draws in (1, 3):
            part = run(curves, sizes=SIZES[-count:], draws=draws)
            if (count, draws) == (3, 1):
                found[f"3 sizes, 1 draw: {BESIDE}"] = beside_average(part)
            summary = table(part[~part["forecaster"].str.contains("gain")])
            summary = summary[summary["forecaster"].isin(["average", LSTM])].drop(columns=["curves"])
            lines.append(summary.assign(sizes=count, draws=draws))
    return {"The average and the LSTM by number of sizes (the largest) and draws": pd.concat(lines), **found}


def all_learners(run: Callable[..., pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Flat, peaked and falling curves too."""
    rows = run(not_learned(None), sizes=SIZES, draws=3)
    return {
        "All learners, unfiltered": table(rows),
        "All learners, unfiltered, against the goals": goals(rows[~rows["forecaster"].str.contains("gain")]),
        f"All learners, unfiltered: {BESIDE}": beside_average(rows),
    }


def all_parts(run: Callable[..., pd.DataFrame], curves: Sequence[Truth]) -> dict[str, pd.DataFrame]:
    """Every table after the main one."""
    both = partial(run, models=["average", LSTM], fits=list(FAMILIES))
    ahead = segmentation_rows()
    return {
        **fewer_sizes(both, curves),
        **all_learners(both),
        "Segmentation: the next size (about 2x)": table(ahead).drop(columns=["times"]),
        "Segmentation: against the power law (90 % intervals over curves)": paired(ahead),
    }


def as_text(parts: dict[str, pd.DataFrame]) -> str:
    """All tables with their titles."""
    return "\n\n".join(f"## {title}\n\n{markdown(frame)}" for title, frame in parts.items())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--quick", action="store_true", help="the main table only")
    arguments.add_argument("--lstm", action="store_true", help="the LSTM, average and power law, to the terminal only")
    chosen = arguments.parse_args()
    curves = rising(not_learned())
    run = partial(benchmark, chosen.jobs)
    if chosen.lstm:
        print(as_text(lstm_only(run, curves)))
        return
    rows = run(curves, sizes=SIZES, draws=3, models=MODELS, fits=list(FAMILIES))
    head = f"{len(curves)} curves of {len({one.source for one in curves})} sources, none learned from"
    parts = {
        "Against the goals (90 % intervals over sources)": goals(rows[~rows["forecaster"].str.contains("gain")]),
        "All forecasters, 7 sizes, 3 draws": table(rows),
        f"7 sizes, 3 draws: {BESIDE}": beside_average(rows),
    }
    if not chosen.quick:
        parts |= all_parts(run, curves)
    text = as_text(parts)
    print(f"{head}\n\n{text}")
    if not chosen.quick:
        (HERE / "results.md").write_text(f"# Results\n\nWritten by `run.py`: {head}.\n\n{text}\n", encoding="utf-8")
        draw(table(rows), HERE)


if __name__ == "__main__":
    main()
