"""Everything that is known of a source, for a page: forecasts, decision, arms against each other, agreement."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import __version__
from ..forecast.across_test_sets import AcrossTestSets, across_test_sets
from ..forecast.arms import ArmCost
from ..forecast.comparison import Comparison, compare_curves
from ..forecast.costs import Costs
from ..forecast.curve import Curve
from ..forecast.errors import InputError
from ..forecast.forecast import FEWEST_SIZES, Forecast, forecast_curve
from ..forecast.justification import justification
from ..forecast.quadrature import DRAWS
from ..forecast.recommendation import Recommendation
from ..forecast.stability import DropLargest, drop_largest
from .agreement import Agreement, agreements
from .arm_sources import arms_of_source
from .conclusion import Asked, Round, conclude, costs_now, recommendation_document
from .decisions import PARTIAL, check_arms, check_numbers, costs_of, decide
from .sources import Source, Wishes, read_source

MOST_FULL = 4
"""Curves that are forecast with MCMC, families and backtest; further ones by quadrature alone."""
Step = Callable[[str], None]
"""Is told what is being worked on."""


@dataclass(frozen=True)
class Answer:
    """What a source says."""

    path: Path
    source: Source
    forecasts: list[Forecast]
    """Of the curves that may have a part in the decision."""
    others: list[Forecast]
    """Of all other curves, by quadrature alone."""
    decision: Recommendation
    each: list[Recommendation]
    justification: str
    costs: Mapping[str, Costs]
    """By arm."""
    cases: list[str] = field(default_factory=list)
    """To annotate next, where the study lists some."""
    round: Round | None = None
    """What a study adds: history, promises, schedule check, false positives."""
    comparisons: list[Comparison] = field(default_factory=list)
    """Arms against each other; empty with one arm."""
    across: list[AcrossTestSets] = field(default_factory=list)
    dropped: Mapping[str, DropLargest] = field(default_factory=dict)
    """Refits of the curve that decides without its largest sizes, by its name."""
    agreements: list[Agreement] = field(default_factory=list)
    """Case by case, where there are scores of cases."""
    not_case_by_case: str | None = None
    """Why there are none."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Pseudonyms of cases, where the answer is for others."""

    @property
    def partial(self) -> str | None:
        """That a part of a study was asked about; None otherwise."""
        return PARTIAL if self.source.study is not None and self.round is None else None

    @property
    def deciding(self) -> Forecast:
        """The forecast of the curve that decides."""
        return next(one for one in self.forecasts if one.curve.name == self.decision.curve)


def answer_of_source(path: Path, wishes: Wishes, asked: Asked, step: Step) -> Answer:
    """Work out everything that is known of a source.

    Args:
        path: Study, scores CSV or nnU-Net results.
        wishes: Which curves, and what is asked of them.
        asked: Goal and costs.
        step: Is told what is being worked on.

    Raises:
        InputError: Nothing readable there, or wishes and costs that do not fit.
    """
    check_numbers(asked)
    step("reading scores")
    source = read_source(path, dataclasses.replace(wishes, left=asked.left))
    check_arms(asked, source.deciding)
    step("forecasting")
    if source.study is not None and wishes.by_own_rules:
        found = conclude(
            source.study,
            source.question,
            asked,
            scores=source.everything,
            arm=wishes.arm,
            structure=wishes.structure,
        )
        return answer_of_round(path, source, found, asked, step, wishes)
    _check_names(source)
    forecasts, decision, each = _decided(source, asked, step)
    leading = next(one for one in forecasts if one.curve.name == decision.curve)
    arms = {curve.arm: curve for curve in source.deciding}
    decided = Answer(
        path=path,
        source=source,
        forecasts=forecasts,
        others=_others(source, step),
        decision=decision,
        each=each,
        justification=justification(leading, decision, __version__),
        costs={arm: costs_of(curve, len(arms), asked) for arm, curve in arms.items()},
    )
    return _with_the_rest(decided, asked, step, wishes)


def _decided(source: Source, asked: Asked, step: Step) -> tuple[list[Forecast], Recommendation, list[Recommendation]]:
    """Forecasts of the curves that decide, the decision, and that of each.

    Quick forecasts expect what full ones do, so they decide the same. In full are then the curve that leads and the
    first ones beside it.
    """
    forecasts: list[Forecast] = []
    for curve in source.deciding:
        step(f"forecasting {curve.name} (curve {len(forecasts) + 1} of {len(source.curves)})")
        forecasts.append(forecast_curve(curve, source.question, quick=True, draws=DRAWS))
    step("deciding")
    decision, each = decide(forecasts, asked)
    order = sorted(range(len(forecasts)), key=lambda i: forecasts[i].curve.name != decision.curve)
    for i in order[:MOST_FULL]:
        step(f"forecasting {forecasts[i].curve.name} in full")
        forecasts[i] = forecast_curve(forecasts[i].curve, source.question, draws=DRAWS)
    return forecasts, decision, each


def _others(source: Source, step: Step) -> list[Forecast]:
    """Forecasts of the curves that do not decide."""
    names = {curve.name for curve in source.deciding}
    others: list[Forecast] = []
    for curve in (one for one in source.curves if one.name not in names):
        step(f"forecasting {curve.name} (curve {len(names) + len(others) + 1} of {len(source.curves)})")
        others.append(forecast_curve(curve, source.question, quick=True))
    return others


def _check_names(source: Source) -> None:
    """Refuse curves that nobody could tell apart."""
    names = [curve.name for curve in source.curves]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        protocols = sorted({curve.protocol or "unnamed" for curve in source.curves if curve.name == twice})
        raise InputError(
            f"every curve must have a name of its own, found two called {twice!r} (protocols {', '.join(protocols)}). "
            "Keep one protocol, or name arms and structures differently."
        )


def answer_of_round(
    path: Path, source: Source, found: Round, asked: Asked, step: Step, wishes: Wishes | None = None
) -> Answer:
    """What a study's round says, and what is known beside it."""
    document = recommendation_document(found)
    arms = dict.fromkeys(forecast.curve.arm for forecast in found.forecasts)
    decided = Answer(
        path=path,
        source=source,
        forecasts=found.forecasts,
        others=found.others,
        decision=found.recommendation,
        each=found.each,
        justification=document["justification"],
        cases=document["cases"],
        costs={arm: costs_now(found.study, arm, asked) for arm in arms},
        round=found,
    )
    return _with_the_rest(decided, asked, step, wishes or Wishes())


def _with_the_rest(decided: Answer, asked: Asked, step: Step, wishes: Wishes) -> Answer:
    """A decision with what is worked out the same way for every source."""
    curves, question = [forecast.curve for forecast in decided.forecasts], decided.source.question
    comparisons: list[Comparison] = []
    if len({curve.arm for curve in curves}) > 1:
        step("comparing arms")
        comparisons = _compared(decided.source, curves, asked)
    step("refitting without the largest sizes")
    deciding, dropped = decided.deciding.curve, {}
    if len(deciding.sizes) > FEWEST_SIZES:
        dropped[deciding.name] = drop_largest(deciding, question)
    agreeing, not_case_by_case = _case_by_case(decided.path, wishes)
    return dataclasses.replace(
        decided,
        comparisons=comparisons,
        across=across_test_sets(decided.source.curves, question),
        dropped=dropped,
        agreements=agreeing,
        not_case_by_case=not_case_by_case,
    )


def _compared(source: Source, curves: Sequence[Curve], asked: Asked) -> list[Comparison]:
    """Arms of the deciding curves against each other, by cost where every arm's is known."""
    read, costs = arms_of_source(source), {}
    for arm in dict.fromkeys(curve.arm for curve in curves):
        own = read.costs.get(arm)
        per_case = asked.per_case.get(arm, asked.per_case.get("", own.per_case if own else None))
        if per_case:
            costs[arm] = ArmCost(per_case, own.per_run if own else 0.0)
    question = dataclasses.replace(source.question, at=())  # sizes asked for need not be told by every arm
    return compare_curves(curves, question, costs=costs, unit=asked.unit or read.unit)


def _case_by_case(path: Path, wishes: Wishes) -> tuple[list[Agreement], str | None]:
    """Agreement with the reference; why not, where scores came averaged."""
    try:
        return agreements(path, dataclasses.replace(wishes, metric=None, level=None)).found, None
    except InputError as error:
        return [], f"Nothing is said case by case: {str(error).removeprefix(f'{path}: ')}"
