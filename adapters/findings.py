"""What pilot runs tell besides the curve: is training long enough, and what is found where nothing is?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..forecast.curve import Curve
from ..forecast.scores import TEST, TEXT_DEFAULTS
from .run_folders import completed_runs, run_folder
from .run_scores import scores_of
from .study import Study

NARROW = 2.0
"""Standard errors within which a rise lies near the tolerance."""


@dataclass(frozen=True)
class ScheduleCheck:
    """Score of a run trained twice as long, against the plain run on the same cases."""

    arm: str
    structure: str
    n: int
    plain: float
    doubled: float
    error: float | None = None
    """Standard error of the rise over the test cases, which are paired; what another seed would give is not in it."""

    @property
    def rise(self) -> float:
        """What doubling the training added, score units."""
        return self.doubled - self.plain


@dataclass(frozen=True)
class FalsePositives:
    """What the largest pilots found of a structure in test cases that do not contain it."""

    arm: str
    structure: str
    n: int
    cases: int
    """Test cases without the structure."""
    rate: float
    """Share of them, over all draws, in which some of it was found."""
    volume_ml: float | None
    """Mean volume found, mL; None when the images have no physical size."""


def hours_per_run(study: Study, arm: str | None = None) -> float | None:
    """Mean hours of the completed pilot runs, of all arms or one; None before the first.

    nnU-Net's do not depend on the size.
    """
    taken = [run.record["seconds"] for run in completed_runs(study) if arm in (None, run.arm)]
    hours = [sum(seconds.values()) / 3600 for seconds in taken if "training" in seconds]
    return float(np.mean(hours)) if hours else None


def schedule_checks(study: Study) -> list[ScheduleCheck]:
    """Every completed schedule check against its plain run, per structure."""
    found = []
    for check in sorted(completed_runs(study, check=True), key=lambda run: run.n):
        plain = replace(check, path=run_folder(study, check.arm, check.n, check.draw))
        if not plain.completed:
            continue
        metric = study.settings.scores.curve_metrics[0]
        plain_scores, doubled = (_by_case(scores_of(study, run), metric) for run in (plain, check))
        for structure in plain_scores.columns.intersection(doubled.columns):
            pair = pd.concat([plain_scores[structure], doubled[structure]], axis=1).dropna()
            if len(pair):
                plain_mean, doubled_mean = map(float, pair.mean())
                rises = (pair.iloc[:, 1] - pair.iloc[:, 0]).to_numpy(dtype=float)
                error = float(np.std(rises, ddof=1) / np.sqrt(len(rises))) if len(rises) > 1 else None
                found.append(ScheduleCheck(check.arm, str(structure), check.n, plain_mean, doubled_mean, error))
    return found


def _by_case(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Scores on the test set that decides: test cases by structure."""
    rows = table[(table["metric"] == metric) & (table["test_set"] == TEST)]
    return rows.pivot(index="case", columns="structure", values="score")


def limited_by_training(curve: Curve, checks: Sequence[ScheduleCheck], eps: float, ends: tuple[int, int]) -> str | None:
    """The sentence that says a curve is limited by training, if a check of its smallest or largest size says so.

    Args:
        curve: The curve.
        checks: Every check there is.
        eps: What a rise must exceed, score units.
        ends: Smallest and largest size trained.
    """
    own = [c for c in checks if c.arm == curve.arm and c.structure == curve.structure and c.n in ends]
    risen = [check for check in own if check.rise > eps]
    if not risen:
        return None
    worst = max(risen, key=lambda check: check.rise)
    return (
        f"the curve is limited by training: twice the iterations raise {worst.structure} at {worst.n} cases from "
        f"{worst.plain:.3f} to {worst.doubled:.3f}, more than {eps:g}{_narrowly(worst, eps)}."
    )


def _narrowly(check: ScheduleCheck, eps: float) -> str:
    """Said of a rise that other test cases could have shown on the other side of eps."""
    if check.error is None or check.rise - eps > NARROW * check.error:
        return ""
    return (
        f", but narrowly: the standard error of the rise is {check.error:.3f} over the test cases alone, and each "
        "length was trained once"
    )


def false_positives(scores: pd.DataFrame) -> list[FalsePositives]:
    """Per arm and structure, at the largest size, over the test cases without the structure."""
    found = []
    scores = scores[(scores["test_set"] == TEST) & (scores["stratum"] == TEXT_DEFAULTS["stratum"])]
    for (arm, structure), group in scores.groupby(["arm", "structure"], sort=False):
        absent = group[group["metric"].isin(["false_positive", "false_positive_ml"])]
        largest = absent[absent["n_cases"] == absent["n_cases"].max()]
        share = largest.loc[largest["metric"] == "false_positive", "score"]
        volume = largest.loc[largest["metric"] == "false_positive_ml", "score"]
        if len(share):
            found.append(
                FalsePositives(
                    arm=str(arm),
                    structure=str(structure),
                    n=int(largest["n_cases"].iloc[0]),
                    cases=largest["case"].nunique(),
                    rate=float(share.mean()),
                    volume_ml=float(volume.mean()) if len(volume) else None,
                )
            )
    return found
