"""Every figure of a source: per curve the forecast, and what else is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


def curve_figures(one: Pictured) -> Iterator[tuple[str, Figure]]:
    """Every figure of a curve with its kind, drawn one at a time; none of a curve that could not be forecast.

    Kinds: "" (the curve), `posterior`, `cost`, `rounds`, `dropped`, `promises`.
    """
    found = one.forecast
    if found.posterior is None:
        return
    figure = new_figure(5.0)
    plot_curve(found, figure.subplots(), ceiling=one.ceiling)
    yield "", figure
    if not one.aside:
        figure = new_figure(SIDE)
        plot_posterior(found, corner_axes(figure))
        yield "posterior", figure
    if _has_cost(one):
        figure = new_figure(4.8)
        assert one.costs is not None
        plot_cost(found, one.costs, figure.subplots())
        yield "cost", figure
    yield from _stability_figures(one)
    if one.outcomes:
        figure = new_figure(4.6)
        plot_promises(found.curve, one.outcomes, figure.subplots())
        yield "promises", figure


def _stability_figures(one: Pictured) -> Iterator[tuple[str, Figure]]:
    name = one.forecast.curve.name
    if len(one.history) > 1:
        figure = new_figure(6.4)
        plot_history(one.history, figure.subplots(3, 1, sharex=True), eps=one.forecast.question.eps)
        figure.axes[0].set_title(title(f"{name}: the forecast, round by round"), fontsize="medium")
        yield "rounds", figure
    if one.dropped is not None and len(one.dropped.refits) > 1:
        figure = new_figure(5.2)
        plot_drop_largest(one.dropped, figure.subplots(2, 1, sharex=True))
        figure.suptitle(title(name), fontsize="medium")
        yield "dropped", figure


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
