"""What pilot runs tell besides the curve: is training long enough, and what is found where nothing is?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..forecast.curve import Curve
from ..forecast.scores import TEST, TEXT_DEFAULTS
from .files import read_json
from .nnunet.spec import RunStatus, run_status
from .study import Study
from .tables import read_scores


@dataclass(frozen=True)
class ScheduleCheck:
    """Score of a run trained twice as long, against the plain run on the same cases."""

    arm: str
    structure: str
    n: int
    plain: float
    doubled: float

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


def hours_per_run(study: Study) -> float | None:
    """Mean hours of the completed pilot runs; None before the first. nnU-Net's do not depend on the size."""
    done = [path for path in study.folder.glob("runs/*/n*/draw*") if run_status(path) is RunStatus.COMPLETED]
    taken = [read_json(path / "run.json")["seconds"] for path in done]
    hours = [sum(seconds.values()) / 3600 for seconds in taken if "training" in seconds]
    return float(np.mean(hours)) if hours else None


def schedule_checks(study: Study) -> list[ScheduleCheck]:
    """Every completed schedule check against its plain run, per structure."""
    found = []
    for path in sorted(study.folder.glob("checks/*/n*/draw*/run.json"), key=lambda p: int(p.parts[-3][1:])):
        plain = study.folder / "runs" / path.relative_to(study.folder / "checks").parent
        if run_status(path.parent) is not RunStatus.COMPLETED or run_status(plain) is not RunStatus.COMPLETED:
            continue
        made = read_json(path)
        metric = study.settings.scores.curve_metrics[0]
        plain_scores, doubled = (_by_case(folder / "scores.csv", metric) for folder in (plain, path.parent))
        for structure in plain_scores.columns.intersection(doubled.columns):
            pair = pd.concat([plain_scores[structure], doubled[structure]], axis=1).dropna()
            if len(pair):
                found.append(ScheduleCheck(made["arm"], str(structure), made["n"], *map(float, pair.mean())))
    return found


def _by_case(path: Path, metric: str) -> pd.DataFrame:
    """Scores on the test set that decides: test cases by structure."""
    table = read_scores(path)
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
        f"{worst.plain:.3f} to {worst.doubled:.3f}, more than {eps:g}."
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
