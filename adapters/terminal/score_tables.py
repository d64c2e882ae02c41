"""What the runs scored beside the curves: every metric at the largest size, ensemble rules, cross-validation."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ...forecast.run_agreement import MetricSummary, run_agreement
from ...forecast.scores import CROSS_VALIDATION, TEST
from ...forecast.words import score_words
from ..conclusion import Round
from ..metric_table import METRICS
from ..pooling import COUNTS, pooled_scores
from .screen import plain_table

NOT_AVERAGED = ("tp", "fp", "fn", "tn", "false_positive", "false_positive_ml")
"""Counts, which mean something only pooled, and what is about cases without the structure."""


def score_tables(result: Round) -> Iterator[RenderableType]:
    """Tables of a round's scores; nothing for what was not scored."""
    for arm in result.scores["arm"].unique():
        yield metrics_table(result.scores, str(arm))
        yield Text("")
    for arm in result.ensembles["arm"].unique():
        yield ensemble_table(result.ensembles, str(arm))
        yield Text("")
    held = result.scores[result.scores["test_set"] == CROSS_VALIDATION]
    if (held["metric"] == result.study.settings.scores.curve_metrics[0]).any():
        yield cross_validation_table(held, result.study.settings.scores.curve_metrics[0])


def metrics_table(scores: pd.DataFrame, arm: str) -> Table:
    """Mean and standard deviation of every metric over the test cases, at the largest size of an arm."""
    rows = scores[(scores["arm"] == arm) & (scores["test_set"] == TEST) & (scores["stratum"] == "all")]
    n = int(rows["n_cases"].max())
    rows = rows[rows["n_cases"] == n]
    structures = [str(name) for name in rows["structure"].unique()]
    found = {name: run_agreement(rows, arm, n, name) for name in structures}
    title = f"{arm} at {n} cases: mean ± SD over test cases (number, where undefined for some)"
    table = plain_table(title, "metric", *structures, narrow=True)
    shown = [name for name in rows["metric"].unique() if name not in (*NOT_AVERAGED, "missed")]
    for metric in shown:
        cells = [next((one for one in found[name].metrics if one.metric == metric), None) for name in structures]
        table.add_row(", ".join(filter(None, metric_words(str(metric)))), *(_summary_words(one) for one in cells))
    if set(COUNTS) <= set(rows["metric"]):
        for metric, by_structure in pooled_scores(rows).groupby("metric", sort=False):
            means = by_structure.groupby("structure")["score"].mean()
            ratios = [score_words(float(means.get(name, float("nan")))) for name in structures]
            table.add_row(", ".join([str(metric), "pooled"]), *ratios)
    missed = [found[name].missed for name in structures]
    if any(one is not None for one in missed):
        counts = ["-" if one is None else f"{one.missed} of {one.predictions}" for one in missed]
        table.add_row("missed predictions", *counts)
    return table


def metric_words(metric: str) -> tuple[str, str]:
    """A metric in words, and its unit; empty for a ratio."""
    unit = METRICS[metric].unit if metric in METRICS else ""
    return metric.removesuffix(f"_{unit.lower()}").replace("_", " ").replace(" percent", ""), unit


def _summary_words(found: MetricSummary | None) -> str:
    if found is None or found.n == 0:
        return "-"
    digits = next((d for d, least in ((0, 100), (1, 10), (2, 2)) if abs(found.mean or 0) >= least), 3)
    spread = "" if found.sd is None else f" ± {found.sd:.{digits}f}"
    return f"{found.mean:.{digits}f}{spread}" + (f" ({found.n})" if found.undefined else "")


def ensemble_table(ensembles: pd.DataFrame, arm: str) -> Table:
    """Mean Dice of the ensemble rules beside each other and beside the folds alone."""
    rows = ensembles[(ensembles["arm"] == arm) & (ensembles["test_set"] == TEST)]
    single = rows["rule"].str.startswith("fold ")
    rows = rows.assign(rule=rows["rule"].mask(single, "one fold alone"))
    rules = ["one fold alone", *dict.fromkeys(rows.loc[~single, "rule"])]
    means = rows.groupby(["structure", "n_cases", "rule"], sort=False)["score"].mean()
    title = f"Ensemble rules of {arm}: mean Dice over test cases, folds and draws"
    table = plain_table(title, "structure", "cases", *rules)
    for structure, n in sorted({(str(s), int(n)) for s, n, _ in means.index}):
        cells = [float(means.get((structure, n, rule), float("nan"))) for rule in rules]
        table.add_row(structure, str(n), *map(score_words, cells))
    return table


def cross_validation_table(held: pd.DataFrame, metric: str) -> Table:
    """Mean score of the fold models on the training cases each did not see, by size."""
    means = held[held["metric"] == metric].groupby(["arm", "structure", "n_cases"], sort=False)["score"].mean()
    sizes = sorted({int(n) for n in means.index.get_level_values("n_cases")})
    title = f"Cross-validation: mean {metric} on cases not trained on; other cases at every size, so not comparable"
    table = plain_table(title, "arm", "structure", *map(str, sizes))
    for arm, structure in dict.fromkeys((a, s) for a, s, _ in means.index):
        cells = [float(means.get((arm, structure, n), float("nan"))) for n in sizes]
        table.add_row(str(arm), str(structure), *map(score_words, cells))
    return table
