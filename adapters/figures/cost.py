"""What annotating on costs against the score to expect for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...forecast.costs import Costs
from ...forecast.errors import InputError
from ...forecast.forecast import Forecast
from ...forecast.types import probabilities_of
from ...forecast.words import amount_words, level_words
from ..metric_table import metric_words
from .canvas import BAND, BLACK, BLUE, GREY, PURPLE, VERMILION, axes_or_new, label, legend, over_words, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 200


def plot_cost(forecast: Forecast, costs: Costs, axes: Axes | None = None) -> Axes:
    """Draw the expected score against the cost of annotating on.

    Every size is reached in one more round: its cases, the round, and the pilots of the round.

    Args:
        forecast: Of at least three sizes.
        costs: With the cost of a case.
        axes: Where to draw; None makes a figure.

    Returns:
        The axes: cost from now on, in the unit of the costs, against the expected score; above them the cases in all.

    Raises:
        InputError: The forecast has too few sizes, a case costs nothing or nobody knows what, or there is nothing left
            to annotate within the horizon and the reach.

    Example:
        plot_cost(forecast_curve(curve), Costs(per_case=40, per_round=500, unit="EUR"))
    """
    if forecast.expected is None or forecast.plateau is None or forecast.reachable_gain is None:
        raise InputError(f"{forecast.curve.name} cannot be drawn: {forecast.verdict.reason}")
    price = costs.per_case
    if not price:
        raise InputError("a figure of costs needs the cost of a case: give per_case > 0.")
    curve, level = forecast.curve, forecast.question.level
    now, most = curve.n_annotated, min(forecast.reachable_gain.n_to, forecast.horizon)
    if most <= now:
        raise InputError(f"{curve.name}: no case more can be annotated within {most}, so there is no cost to draw.")
    from matplotlib.ticker import MaxNLocator

    axes = axes_or_new(axes, 4.8)
    sizes = np.linspace(now, most, STEPS)
    lo, middle, hi = np.quantile(forecast.expected.scores(sizes), probabilities_of(level), axis=1)
    paid = costs.of_round + price * (sizes - now)
    axes.fill_between(paid, lo, hi, label=f"{level_words(level)} interval of the curve", **BAND)
    axes.plot(paid, middle, color=BLUE, label="expected score, median")
    spread = [[middle[0] - lo[0]], [hi[0] - middle[0]]]
    axes.errorbar(0, middle[0], spread, fmt="o", color=BLACK, capsize=3, label=f"now, {now} cases: nothing more to pay")
    _mark(axes, forecast, costs, paid[-1])
    unit = label(costs.unit, 30)
    round_words = f", a round {amount_words(costs.of_round)}" if costs.of_round else ""
    axes.set_xlabel(f"cost from now on, {unit} (a case {amount_words(price)}{round_words})")
    axes.set_ylabel(f"expected {metric_words(curve.metric)}, {over_words({curve.n_test})}")
    axes.set_title(title(curve.name), fontsize="medium")
    axes.set_xlim(left=-0.03 * paid[-1])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda value, _: amount_words(value))
    _cases_above(axes, now, costs.of_round, price)
    axes.grid(alpha=0.25)
    legend(axes)
    return axes


def _cases_above(axes: Axes, now: int, start: float, price: float) -> None:
    """The cases in all that a cost pays for."""

    def cases(cost: Any) -> Any:
        return now + (cost - start) / price

    def cost(count: Any) -> Any:
        return start + price * (count - now)

    axes.secondary_xaxis("top", functions=(cases, cost)).set_xlabel("annotated cases in all")


def _mark(axes: Axes, forecast: Forecast, costs: Costs, last: float) -> None:
    """The plateau, the target and the budget, where they lie in view."""
    assert forecast.plateau is not None and costs.per_case
    now, size = forecast.curve.n_annotated, forecast.plateau.size.median
    if size is not None and size > now:
        cost = costs.of_round + costs.per_case * (size - now)
        if cost <= last:
            words = f"plateau n* = {size:.0f} cases: {amount_words(round(cost))} {label(costs.unit, 20)}"
            axes.axvline(cost, color=PURPLE, linestyle="-.", label=words)
    if forecast.n_for_target is not None:
        target = forecast.n_for_target.target
        axes.axhline(target, color=GREY, linestyle=":", label=f"target {target:g}")
    if costs.budget is not None and costs.budget <= last:
        words = f"budget left: {amount_words(costs.budget)} {label(costs.unit, 20)}"
        axes.axvline(costs.budget, color=VERMILION, linestyle="--", label=words)
