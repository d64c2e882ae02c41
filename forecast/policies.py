"""Ways to choose the next total: ours, and the simple ones it is measured against."""

from __future__ import annotations

import math

import numpy as np

from .checks import predictive_check
from .costs import Costs
from .families import Family
from .fit import least_squares
from .forecast import FEWEST_SIZES, Question
from .goal import TARGET, VALUE
from .lookahead import LOOK_AHEAD
from .quadrature import quadrature
from .recommendation import Situation, decide
from .simulation import Action, Policy, State, Terms
from .types import FloatArray

DRAWS = 1000
"""Draws of the posterior behind a simulated decision."""
ON = 2
"""Where nothing can be told, the pool is multiplied by this, as a replay does."""
GRID = 200
"""Totals at which a fitted curve is looked up."""


def recommended(look_ahead: int = LOOK_AHEAD) -> Policy:
    """What dicecast recommends."""

    def choose(state: State) -> Action:
        if len(state.curve.sizes) < FEWEST_SIZES:
            return Action(ON * state.now)
        terms = state.terms
        posterior = quadrature(state.curve, state.seed, draws=DRAWS)
        check = predictive_check(posterior)
        budget = None if terms.budget is None else max(0.0, terms.budget - state.spent)
        situation = Situation(
            goal=terms.goal,
            left=state.n_max - state.now,
            costs=Costs(per_case=terms.per_case, per_round=state.of_round, budget=budget),
            rounds_left=state.rounds_left,
            draws=terms.draws,
            look_ahead=look_ahead,
        )
        falls = "the curve falls" if check.ill_behaved else None
        found = decide(posterior, Question(seed=state.seed, level=terms.level), situation, falls)
        if found.stops:
            return Action(state.now, code=found.code)
        if found.code == "annotate":
            return Action(state.now + found.batch, code=found.code, promise=found.promise)
        if found.code == "train_pilots" and found.pilots is not None:
            return Action(state.now, found.pilots, found.code)
        return Action(ON * state.now, code=found.code)

    return choose


def inverted(family: Family, margin: float = 1.0, least_rounds: int = 1) -> Policy:
    """Fit one family by least squares and annotate what it says is needed, at least 25 % more in the first rounds.

    Args:
        family: What is fitted.
        margin: Factor on the size it says is needed.
        least_rounds: Rounds before it may stop.
    """

    def choose(state: State) -> Action:
        if len(state.curve.sizes) < len(family.names):
            return Action(ON * state.now)
        totals = np.unique(np.round(np.geomspace(state.now, state.n_max, GRID)))
        scores = np.maximum.accumulate(least_squares(state.curve, family).score(totals))
        wanted = math.ceil(margin * _needed(totals, scores, state.terms))
        if state.terms.rounds - state.rounds_left < least_rounds:
            wanted = max(wanted, math.ceil(1.25 * state.now))
        return Action(wanted, code="inverted")

    return choose


def _needed(totals: FloatArray, scores: FloatArray, terms: Terms) -> float:
    """The total that a curve says the goal needs."""
    goal = terms.goal
    if goal.kind == VALUE:
        return float(totals[np.argmax(100 * goal.amount * scores - terms.per_case * totals)])
    bar = goal.amount if goal.kind == TARGET else scores[-1] - goal.amount
    return float(totals[np.argmax(scores >= bar)] if scores[-1] >= bar else totals[-1])


def growing(share: float) -> Policy:
    """Add a share of the pool each round."""
    return lambda state: Action(math.ceil((1 + share) * state.now))


def fixed(share: float) -> Policy:
    """Annotate a share of everything, as fast as the rounds allow; 1 annotates everything."""
    return lambda state: Action(max(math.ceil(share * state.n_max), state.now), code="fixed")
