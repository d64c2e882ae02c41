"""Two arms of four draws each, by hand."""

from __future__ import annotations

import numpy as np

from dicecast.forecast.arms import Arm
from dicecast.forecast.checks import PredictiveCheck
from dicecast.forecast.curve import Curve, averaged_curve
from dicecast.forecast.diagnostics import importance
from dicecast.forecast.families import FAMILIES
from dicecast.forecast.posterior import Posterior

EASY = PredictiveCheck(1.0, 1.0, None)


def curve(name: str, sizes: tuple[int, ...] = (10, 20, 40), annotated: int = 50) -> Curve:
    n = np.array(sizes)
    y = np.linspace(0.5, 0.7, len(sizes))
    return averaged_curve(name, n, np.zeros(len(n), dtype=np.int64), y, annotated, annotated)


def arm(name: str, dm: list[float], b: list[float], power: float = 1.0, **more: object) -> Arm:
    """Power laws DM - b n^-power."""
    made = curve(name, **more)  # type: ignore[arg-type]
    count = len(dm)
    found = Posterior(
        curve=made,
        model="power-law",
        families=(FAMILIES["power-law"],),
        pick=np.zeros(count, dtype=np.int64),
        dm=np.array(dm),
        amplitude=np.array(b),
        theta=np.column_stack([np.full(count, power), np.full(count, np.nan)]),
        noise=np.zeros((count, 3)),
        nested=np.ones(count, dtype=bool),
        noise_source="draws",
        diagnostics=importance(1e9),
        seed=0,
        prior="none",
    )
    return Arm(made, found, found, EASY)


FLAT = arm("flat", [0.7] * 4, [0.0] * 4)
STEEP = arm("steep", [0.8, 0.8, 0.75, 0.6], [4.0, 2.0, 0.2, 1.0])
"""Reaches 0.7 at 40, 20, 4 and never."""
