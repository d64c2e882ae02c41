"""`dicecast simulate`: campaigns on paper, by dicecast and by simple rules, under one or several budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from .. import __version__
from ..forecast import policies
from ..forecast.families import NAMED
from ..forecast.goal import PLATEAU
from ..forecast.simulation import Played, Policy, Terms, Truth, play
from ..forecast.summary import Summary, needed_cases
from .figures.simulation import simulation_figure
from .parallel import mapped
from .terminal.simulation_report import simulation_report

OURS = "dicecast"
FEW = 16
"""Campaigns from which several processes are worth their start."""


@dataclass(frozen=True)
class Simulated:
    """What is to be simulated."""

    terms: Terms
    budgets: tuple[float | None, ...] = (None,)
    compared: bool = False
    """Whether simple rules are played as well."""
    seed: int = 0
    jobs: int | None = None
    unit: str = "cases"
    figure: Path | None = None
    """Where the figure goes, without an ending."""


def known_policies() -> dict[str, Policy]:
    """The policies that can be compared: ours, the exponential inverted, steady growth, shares of everything."""
    return {
        OURS: policies.recommended(),
        "exponential": policies.inverted(NAMED),
        "+25 % each": policies.growing(0.25),
        "50 %": policies.fixed(0.5),
        "90 %": policies.fixed(0.9),
        "everything": policies.fixed(1.0),
    }


def simulate(truths: Sequence[Truth], wanted: Simulated, console: Console) -> tuple[RenderableType, dict[str, Any]]:
    """Play every truth under every policy and budget.

    Returns:
        Report and document.
    """
    names = list(known_policies()) if wanted.compared else [OURS]
    plans = [(name, replace(wanted.terms, budget=budget)) for budget in wanted.budgets for name in names]
    work = [(truth, name, terms, wanted.seed + i) for name, terms in plans for i, truth in enumerate(truths)]
    played = mapped(_play, work, wanted.jobs, FEW, "playing campaigns", console)
    count = len(truths)
    found = [Summary(name, terms, tuple(played[i * count : (i + 1) * count])) for i, (name, terms) in enumerate(plans)]
    parts = [simulation_report(found, wanted.unit)]
    if wanted.figure is not None:
        written = simulation_figure(found, wanted.unit, wanted.figure)
        parts.append(Text(f"Figure: {', '.join(map(str, written))}", "dim"))
    return Group(*parts), _document(found, wanted)


def _play(task: tuple[Truth, str, Terms, int]) -> Played:
    truth, name, terms, seed = task
    return play(truth, known_policies()[name], terms, seed)


def _document(found: Sequence[Summary], wanted: Simulated) -> dict[str, Any]:
    first, terms = found[0], wanted.terms
    needed = needed_cases(first.played, terms)
    truth = first.played[0].truth
    return {
        "dicecast": __version__,
        "seed": wanted.seed,
        "level": terms.level,
        "campaigns": len(first.played),
        "start": truth.start,
        "n_max": truth.n_max,
        "goal": {"kind": terms.goal.kind, "amount": terms.goal.amount},
        "eps": terms.goal.amount if terms.goal.kind == PLATEAU else None,
        "costs": {
            "per_case": terms.per_case,
            "per_round": terms.of_round(truth),
            "unit": wanted.unit,
        },
        "rounds": terms.rounds,
        "draws": terms.draws,
        "needed": needed and {"median": needed.median, "lo": needed.lo, "hi": needed.hi},
        "results": [one.document() for one in found],
    }
