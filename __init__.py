"""Forecast how many annotated cases a segmentation model needs, and what to annotate next.

The public API is pure statistics: from a table of scores to curves, forecasts and recommendations.

    scores = validate_scores(pandas.read_csv("scores.csv"))
    for curve in curves_from_scores(scores):
        found = forecast_curve(curve, Question(at=(400,)))
        print(curve.name, found.verdict.reason, recommend(found).reason)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .forecast.across_test_sets import AcrossTestSets, across_test_sets
    from .forecast.arms import ArmCost
    from .forecast.campaign import Campaign
    from .forecast.comparison import Comparison, compare_curves
    from .forecast.comparison_json import comparison_document
    from .forecast.costs import Costs
    from .forecast.curve import Curve, curves_from_scores
    from .forecast.document import forecast_document
    from .forecast.errors import DicecastError, InputError, WorkError
    from .forecast.export import to_datatree
    from .forecast.fit import LeastSquaresFit, least_squares
    from .forecast.forecast import Forecast, Question, forecast_curve, gain_draws
    from .forecast.goal import Goal
    from .forecast.posterior import Posterior
    from .forecast.quadrature import quadrature
    from .forecast.recommendation import Recommendation, Situation, recommend
    from .forecast.sampler import sample_posterior
    from .forecast.scores import validate_scores
    from .forecast.stability import drop_largest

_HOMES = {
    "AcrossTestSets": "across_test_sets",
    "ArmCost": "arms",
    "Campaign": "campaign",
    "Comparison": "comparison",
    "Costs": "costs",
    "Curve": "curve",
    "DicecastError": "errors",
    "Forecast": "forecast",
    "Goal": "goal",
    "InputError": "errors",
    "LeastSquaresFit": "fit",
    "Posterior": "posterior",
    "Question": "forecast",
    "Recommendation": "recommendation",
    "Situation": "recommendation",
    "WorkError": "errors",
    "across_test_sets": "across_test_sets",
    "compare_curves": "comparison",
    "comparison_document": "comparison_json",
    "curves_from_scores": "curve",
    "drop_largest": "stability",
    "forecast_curve": "forecast",
    "forecast_document": "document",
    "gain_draws": "forecast",
    "least_squares": "fit",
    "quadrature": "quadrature",
    "recommend": "recommendation",
    "sample_posterior": "sampler",
    "to_datatree": "export",
    "validate_scores": "scores",
}
"""Module of `forecast` that each public name lives in; imported when it is first used."""

__all__ = [
    "AcrossTestSets",
    "ArmCost",
    "Campaign",
    "Comparison",
    "Costs",
    "Curve",
    "DicecastError",
    "Forecast",
    "Goal",
    "InputError",
    "LeastSquaresFit",
    "Posterior",
    "Question",
    "Recommendation",
    "Situation",
    "WorkError",
    "__version__",
    "across_test_sets",
    "compare_curves",
    "comparison_document",
    "curves_from_scores",
    "drop_largest",
    "forecast_curve",
    "forecast_document",
    "gain_draws",
    "least_squares",
    "quadrature",
    "recommend",
    "sample_posterior",
    "to_datatree",
    "validate_scores",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".forecast.{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
