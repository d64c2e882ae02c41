"""The real learning curves of this study: which there are, what counts as one source, how they are split."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import dicecast

FOLDER = Path(os.environ.get("DICECAST_CURVES", Path(__file__).resolve().parents[2].parent / "shared/data/curves"))
LCDB = "lcdb_accuracy.csv.gz"
SEGMENTATION = "semantic_segmentation_miou.csv"
HIPPOCAMPUS = Path(__file__).resolve().parents[1] / "01_hippocampus" / "scores.csv"
LEARNERS = (
    "ens.RandomForest",
    "ens.ExtraTrees",
    "ens.GradientBoosting",
    "SVM_RBF",
    "LogisticRegression",
    "KNN",
    "CatBoost",
    "RealMLP",
    "MLP",
)
SIZES = (32, 46, 64, 91, 128, 182, 256)
"""Trained sizes, the anchors of the database nearest to steps of the square root of 2."""
TARGETS = (512, 1024, 2048)
RISE = 0.03
"""Least true rise over the trained sizes of the curves scored in the main table."""
SPLITS = 25
"""Splits behind the database's standard errors: a single run's SD is 5 times the standard error."""
UNBOUNDED = 10**9
"""Pool of the simulated draws: every split of the database is another draw from all there is."""
LEAST_ERROR = 5e-4
"""Smallest standard error believed; scores are printed with four digits."""
# OpenML numbers of data sets that share their cases: binarised, re-encoded or sampled from one another, or parts of
# one collection. They stay on one side of every split.
ONE_SOURCE = (
    (18, 22, 962, 971, 995, 40979),  # mfeat-*
    (32, 1019),  # pendigits
    (30, 1021),  # page-blocks
    (60, 979),  # waveform
    (40975, 991),  # car
    (40984, 958),  # segment
    (180, 293),  # covertype
    (201, 722),  # pol
    (182, 40900),  # satellite images
    (1119, 1590),  # adult
    (389, 391, 393, 396, 399),  # *.wc newspaper and abstract texts
    (1050, 1056, 1067, 1069),  # NASA software defects
    (1084, 1086, 1088, 1128, 1134, 1139, 1146, 1166),  # gene expression
    (718, 797, 904, 912, 866, 845, 837, 751, 901),  # Friedman functions
    (1485, 41144),  # madelon, madeline
    (1040, 1042, 41158, 41146),  # sylva, sylvine, gina
    (807, 816),  # kinematics of a robot arm
    (821, 823),  # census houses
)
KIN_OF_LEARNED = (1040, 41146, 741)
"""Data sets neither learned from nor tested on, since they share cases with one that is learned from: sylva and sylvine
with covertype (180), a sleep record with another (679)."""


@dataclass(frozen=True)
class Truth:
    """One curve of a database at the sizes asked for."""

    source: str
    """What stays together when data are split."""
    dataset: int
    """OpenML number."""
    name: str
    sizes: np.ndarray
    score: np.ndarray
    error: np.ndarray
    """Standard error of each score."""


def source_of(dataset: int) -> str:
    """The source family of an OpenML data set."""
    return str(next((group[0] for group in ONE_SOURCE if dataset in group), dataset))


def learn_sources() -> set[str]:
    """The half of the database's sources that the shipped prior learns from."""
    sources = sorted({source_of(dataset) for dataset in _table()["dataset"].unique()})
    return set(np.random.default_rng(0).permutation(sources)[: len(sources) // 2])


def not_learned(learners: Sequence[str] | None = LEARNERS) -> list[Truth]:
    """The curves that the shipped prior has not learned from."""
    learned = learn_sources()
    return [one for one in lcdb(learners) if one.source not in learned and one.dataset not in KIN_OF_LEARNED]


def lcdb(learners: Sequence[str] | None = LEARNERS, sizes: Sequence[int] = (*SIZES, *TARGETS)) -> list[Truth]:
    """Curves of the database that have every one of `sizes`, for some or (None) all learners."""
    found = []
    for (dataset, learner), rows in _table().groupby(["dataset", "learner"], sort=True):
        if learners is not None and learner not in learners:
            continue
        at = rows.set_index("n_cases").reindex(sizes)
        if at["score"].notna().all():
            error = np.maximum(at["se"].to_numpy(), LEAST_ERROR)
            found.append(
                Truth(
                    source_of(dataset), dataset, f"{dataset} {learner}", np.array(sizes), at["score"].to_numpy(), error
                )
            )
    return found


def every_curve(learners: Sequence[str] | None = LEARNERS) -> list[tuple[str, int, str, pd.DataFrame]]:
    """Source, data set, name and rows (with a score, by size) of every curve, for some or (None) all learners."""
    table = _table().dropna(subset=["score"]).sort_values("n_cases")
    groups = table.groupby(["dataset", "learner"], sort=True)
    return [
        (source_of(dataset), dataset, f"{dataset} {learner}", rows)
        for (dataset, learner), rows in groups
        if learners is None or learner in learners
    ]


def rising(curves: Sequence[Truth]) -> list[Truth]:
    """Those that truly rise over the trained sizes."""
    last = len(SIZES) - 1
    return [one for one in curves if one.score[last] - one.score[0] >= RISE]


def simulated_runs(one: Truth, sizes: Sequence[int], draws: int, rng: np.random.Generator) -> dicecast.Curve:
    """Draws at the trained sizes: the true score plus a single run's noise."""
    rows = []
    for n in sizes:
        i = int(np.flatnonzero(one.sizes == n)[0])
        scores = one.score[i] + SPLITS**0.5 * one.error[i] * rng.standard_normal(draws)
        rows += [(n, draw, score) for draw, score in enumerate(np.clip(scores, 0, 1))]
    return curve(pd.DataFrame(rows, columns=["n_cases", "draw", "score"]), pool=UNBOUNDED)


def curve(table: pd.DataFrame, pool: int | None = None) -> dicecast.Curve:
    """The one curve of a scores table; by default its draws come from a pool of the largest size."""
    largest = int(table["n_cases"].max())
    return dicecast.curves_from_scores(dicecast.validate_scores(table), largest, pool and [pool])[0]


def segmentation() -> list[tuple[str, dicecast.Curve]]:
    """Segmentation curves and what they belong to: mIoU of natural images, Dice of study 1's hippocampus pilots."""
    table = pd.read_csv(FOLDER / SEGMENTATION)
    keys = [name for name in table.columns if name not in ("n_cases", "score")]
    found = [
        (str(key[0]), curve(rows[["n_cases", "score"]])) for key, rows in table.groupby(keys, sort=True, dropna=False)
    ]
    pilots = dicecast.validate_scores(pd.read_csv(HIPPOCAMPUS))
    return found + [("hippocampus", one) for one in dicecast.curves_from_scores(pilots)]


def _table() -> pd.DataFrame:
    return pd.read_csv(FOLDER / LCDB)
