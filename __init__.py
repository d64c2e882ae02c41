"""Forecast how many annotated cases a segmentation model needs, and what to annotate next.

The public API is pure statistics, from a table of scores to curves, forecasts and recommendations, and functions that
draw them.

    scores = validate_scores(pandas.read_csv("scores.csv"))
    for curve in curves_from_scores(scores):
        found = forecast_curve(curve, Question(at=(400,)))
        print(curve.name, found.verdict.reason, recommend(found).reason)
        plot_curve(found)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .adapters.figures.campaign import plot_promises
    from .adapters.figures.comparison import plot_arms, plot_chances
    from .adapters.figures.cost import plot_cost
    from .adapters.figures.curve import plot_curve
    from .adapters.figures.distribution import plot_histogram, plot_size_boxes
    from .adapters.figures.equal import plot_equal_performance
    from .adapters.figures.posterior import plot_posterior
    from .adapters.figures.stability import plot_drop_largest, plot_history
    from .adapters.figures.volumes import plot_bland_altman, plot_dice_by_volume, plot_regression
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

_FIGURES = {
    "plot_arms": "comparison",
    "plot_bland_altman": "volumes",
    "plot_chances": "comparison",
    "plot_cost": "cost",
    "plot_curve": "curve",
    "plot_dice_by_volume": "volumes",
    "plot_drop_largest": "stability",
    "plot_equal_performance": "equal",
    "plot_histogram": "distribution",
    "plot_history": "stability",
    "plot_posterior": "posterior",
    "plot_promises": "campaign",
    "plot_regression": "volumes",
    "plot_size_boxes": "distribution",
}
"""Module of `adapters.figures` that each plotting function lives in; matplotlib is imported when one is called."""

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
    "plot_arms",
    "plot_bland_altman",
    "plot_chances",
    "plot_cost",
    "plot_curve",
    "plot_dice_by_volume",
    "plot_drop_largest",
    "plot_equal_performance",
    "plot_histogram",
    "plot_history",
    "plot_posterior",
    "plot_promises",
    "plot_regression",
    "plot_size_boxes",
    "quadrature",
    "recommend",
    "sample_posterior",
    "to_datatree",
    "validate_scores",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home = f".forecast.{_HOMES[name]}"
    elif name in _FIGURES:
        home = f".adapters.figures.{_FIGURES[name]}"
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home, __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
