"""Every figure of a source: per curve the forecast, and what else is known of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...forecast.costs import Costs
from ...forecast.forecast import Forecast
from ...forecast.promises import PromiseOutcome
from ...forecast.stability import DropLargest, RoundSummary
from ..conclusion import Asked, Round, costs_now
from ..run_scores import mean_ceilings
from .campaign import plot_promises
from .canvas import file_name, new_figure, save_figure, title, unused
from .cost import plot_cost
from .curve import plot_curve
from .posterior import SIDE, corner_axes, plot_posterior
from .stability import plot_drop_largest, plot_history

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Pictured:
    """A forecast and what is drawn beside it, where it is known."""

    forecast: Forecast
    history: Sequence[RoundSummary] = ()
    """What every round said, the newest last; drawn from two rounds on."""
    ceiling: float | None = None
    """Mean score between annotators."""
    dropped: DropLargest | None = None
    costs: Costs | None = None
    """Drawn where the cost of a case is known."""
    outcomes: Sequence[PromiseOutcome] = ()
    aside: bool = False
    """Whether the curve decides nothing and its posterior is not drawn."""


def curve_figures(one: Pictured, wanted: Collection[str] | None = None) -> Iterator[tuple[str, Figure]]:
    """Every figure of a curve with its kind, drawn one at a time; none of a curve that could not be forecast.

    Args:
        one: The curve, and what is known of it.
        wanted: Kinds: "" (the curve), `posterior`, `cost`, `rounds`, `dropped`, `promises`; None is all of them.
    """
    if one.forecast.posterior is None:
        return
    there = {
        "": True,
        "posterior": not one.aside,
        "cost": _has_cost(one),
        "rounds": len(one.history) > 1,
        "dropped": one.dropped is not None and len(one.dropped.refits) > 1,
        "promises": bool(one.outcomes),
    }
    for kind, draw in DRAWN.items():
        if there[kind] and (wanted is None or kind in wanted):
            yield kind, draw(one)


def _curve(one: Pictured) -> Figure:
    figure = new_figure(5.0)
    plot_curve(one.forecast, figure.subplots(), ceiling=one.ceiling)
    return figure


def _posterior(one: Pictured) -> Figure:
    figure = new_figure(SIDE)
    plot_posterior(one.forecast, corner_axes(figure))
    return figure


def _cost(one: Pictured) -> Figure:
    assert one.costs is not None
    figure = new_figure(4.8)
    plot_cost(one.forecast, one.costs, figure.subplots())
    return figure


def _rounds(one: Pictured) -> Figure:
    figure = new_figure(6.4)
    plot_history(one.history, figure.subplots(3, 1, sharex=True), eps=one.forecast.question.eps)
    figure.axes[0].set_title(title(f"{one.forecast.curve.name}: the forecast, round by round"), fontsize="medium")
    return figure


def _dropped(one: Pictured) -> Figure:
    assert one.dropped is not None
    figure = new_figure(5.2)
    plot_drop_largest(one.dropped, figure.subplots(2, 1, sharex=True))
    figure.suptitle(title(one.forecast.curve.name), fontsize="medium")
    return figure


def _promises(one: Pictured) -> Figure:
    figure = new_figure(4.6)
    plot_promises(one.forecast.curve, one.outcomes, figure.subplots())
    return figure


DRAWN: dict[str, Callable[[Pictured], Figure]] = {
    "": _curve,
    "posterior": _posterior,
    "cost": _cost,
    "rounds": _rounds,
    "dropped": _dropped,
    "promises": _promises,
}
"""What draws every kind of figure."""


def _has_cost(one: Pictured) -> bool:
    found = one.forecast
    if one.costs is None or not one.costs.per_case or found.reachable_gain is None:
        return False
    return min(found.reachable_gain.n_to, found.horizon) > found.curve.n_annotated


def write_figures(found: Sequence[Pictured], folder: Path) -> list[Path]:
    """Write every figure of every curve as SVG, PNG and PDF.

    Args:
        found: Curves without a posterior are skipped.
        folder: Made if it does not exist.

    Returns:
        The files written.
    """
    written: list[Path] = []
    for one in found:
        name = unused(file_name(one.forecast.curve.name), written)
        for kind, figure in curve_figures(one):
            written += save_figure(figure, folder / (f"{name}-{kind}" if kind else name))
    return written


def pictured_round(result: Round, dropped: Mapping[str, DropLargest] | None = None) -> list[Pictured]:
    """What is drawn of a study's round: the curves that may decide, then the others.

    Args:
        result: The round.
        dropped: Refits without the largest sizes by name of the curve, where they were asked for.
    """
    ceilings = mean_ceilings(result.study)
    deciding = [
        Pictured(
            forecast,
            history=history,
            ceiling=_ceiling(forecast, ceilings),
            dropped=(dropped or {}).get(forecast.curve.name),
            costs=costs_now(result.study, forecast.curve.arm, Asked()),
            outcomes=outcomes,
        )
        for forecast, history, outcomes in zip(result.forecasts, result.history, result.outcomes, strict=True)
    ]
    others = [Pictured(one, ceiling=_ceiling(one, ceilings), aside=True) for one in result.others]
    return [*deciding, *others]


def _ceiling(forecast: Forecast, ceilings: Mapping[str, float]) -> float | None:
    return ceilings.get(forecast.curve.structure) if forecast.curve.metric == "dice" else None
