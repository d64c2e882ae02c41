"""What the document of a round must hold: as much of it as later rounds read."""

from __future__ import annotations

from typing import Any

ENDS = {"median": float, "lo": float, "hi": float}
NAMES = dict.fromkeys(("arm", "structure", "metric", "test_set", "stratum"), str)
FORECAST = {
    **NAMES,
    "posterior": {"DM": ENDS},
    "plateau": {"n": {"median": (float, None), "lo": float, "hi": float, "hi_censored": bool}},
    "reachable_gain": ENDS,
    "n_annotated": int,
    "sizes": [int],
}
PROMISE = {"n": int, "draws?": int, **ENDS}
ROUND: dict[str, Any] = {
    "round": int,
    "replay": bool,
    "forecast": {"level": float, "curves": [(FORECAST, {**NAMES, "posterior": None})]},
    "recommendation": {"evidence?": dict},
    "recommendations": [{"curve": str, "promise": (PROMISE, None)}],
}
"""The shape of `rounds/<k>.json`, as `json_shape.misfit` reads it."""
