"""What a terminal shows of campaigns on paper."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ..forecast.summary import Summary, needed_cases
from .screen import plain_table

RULES = (
    "Rules: exponential = what a least-squares fit of it says is needed; +25 % = of the pool, each round; shares = of "
    "everything, as far as growth (fourfold a round) and money allow."
)


def simulation_report(found: Sequence[Summary], unit: str) -> RenderableType:
    """Campaigns on paper: chance of success, cases, rounds and cost of every policy under every budget."""
    first = found[0]
    truth, terms = first.played[0].truth, first.terms
    level = f"[{terms.level:.0%}]"
    budgets = {one.terms.budget for one in found} != {None}
    columns = ["policy", *(["budget"] if budgets else []), "success", "cases", level, "rounds", f"cost, {unit}", level]
    table = plain_table(f"{len(first.played)} campaigns on paper from {truth.start} of {truth.n_max} cases", *columns)
    for one in found:
        cases, rounds, cost = one.over("collected"), one.over("rounds"), one.over("cost")
        budget = ["none" if one.terms.budget is None else f"{one.terms.budget:g}"] if budgets else []
        success = "-" if one.success is None else f"{one.success:.0%}"
        ends = [f"[{found.lo:.0f}, {found.hi:.0f}]" for found in (cases, cost)]
        numbers = [f"{cases.median:.0f}", ends[0], f"{rounds.median:.0f}", f"{cost.median:.0f}", ends[1]]
        table.add_row(one.policy, *budget, success, *numbers)
    needed = needed_cases(first.played, terms)
    goal = f"to {terms.goal.words(truth.n_max)}"
    rules = "" if len({one.policy for one in found}) == 1 else RULES
    ours = (
        f"Goal: {goal}. It is out of reach on some of the curves."
        if needed is None
        else f"Goal: {goal}; that truly needs {needed.median:.0f} [{needed.lo:.0f}, {needed.hi:.0f}] cases in all."
    )
    share = " (5 % of annotating everything, as no cost of a round was given)" if terms.per_round is None else ""
    each = "1 a case" if unit == "cases" else f"{terms.per_case:g} {unit} a case"
    rest = f"Costs: {each}, {terms.of_round(truth):g} a round{share}; at most {terms.rounds} rounds."
    return Group(table, *(Text(line, "dim") for line in (ours, rest, rules) if line))
