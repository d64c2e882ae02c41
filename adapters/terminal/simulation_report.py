"""What a terminal shows of campaigns on paper."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ...forecast.summary import Summary, needed_cases
from ...forecast.words import amount_words, level_words
from .fitted_table import FittedTable
from .prose import Prose
from .screen import plain_table

RULES = (
    "Rules: exponential = what a least-squares fit of it says is needed; +25 % = of the pool, each round; shares = of "
    "everything, as far as growth (fourfold a round) and money allow."
)


def simulation_report(found: Sequence[Summary], unit: str) -> RenderableType:
    """Campaigns on paper: chance of success, cases, rounds and cost of every policy under every budget."""
    first = found[0]
    title = f"{len(first.played)} campaigns on paper from {first.played[0].truth.start} of "
    parts: list[RenderableType] = [Text(f"{title}{first.played[0].truth.n_max} cases", "bold"), _goal(first)]
    for budget in dict.fromkeys(one.terms.budget for one in found):
        parts += [Text(""), _table([one for one in found if one.terms.budget == budget], budget, unit)]
    rules = "" if len({one.policy for one in found}) == 1 else RULES
    return Group(*parts, Text(""), *(Text(line, "dim") for line in (_costs(first, unit), rules) if line))


def _table(found: Sequence[Summary], budget: float | None, unit: str) -> FittedTable:
    """Every policy under one budget."""
    level = f"[{level_words(found[0].terms.level)}]"
    title = "" if budget is None else f"Budget {amount_words(budget)} {unit}"
    table = plain_table(title, "policy", "success", "cases", level, "rounds", f"cost, {unit}", level, narrow=True)
    for one in found:
        cases, rounds, cost = one.over("collected"), one.over("rounds"), one.over("cost")
        success = "-" if one.success is None else f"{one.success:.0%}"
        spent, least, most = (amount_words(amount, whole=True) for amount in (cost.median, cost.lo, cost.hi))
        numbers = (f"{cases.median:.0f}", f"[{cases.lo:.0f}, {cases.hi:.0f}]", f"{rounds.median:.0f}")
        table.add_row(one.policy, success, *numbers, spent, f"[{least}, {most}]")
    return table


def _goal(first: Summary) -> Prose:
    """What is to be reached, and what that truly takes."""
    terms, needed = first.terms, needed_cases(first.played, first.terms)
    goal = f"Goal: to {terms.goal.words(first.played[0].truth.n_max)}"
    if needed is None:
        return Prose(f"{goal}. It is out of reach on some of the curves.")
    return Prose(f"{goal}; that truly needs {needed.median:.0f} [{needed.lo:.0f}, {needed.hi:.0f}] cases in all.")


def _costs(first: Summary, unit: str) -> str:
    """What cases and rounds cost."""
    terms, round_ = first.terms, amount_words(first.terms.of_round(first.played[0].truth))
    share = " (5 % of annotating everything, as no cost of a round was given)" if terms.per_round is None else ""
    each = "1 a case" if unit == "cases" else f"{amount_words(terms.per_case)} {unit} a case"
    return f"Costs: {each}, {round_} a round{share}; at most {terms.rounds} rounds."
