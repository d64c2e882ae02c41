"""What to do next, always with the reason: annotate more, stop, train more pilots, or cannot tell.

A goal that is met with probability 0.95 stops the campaign. Otherwise the batch is the one of least expected cost,
looking two rounds ahead (`lookahead`), never past the horizon of the pilots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .costs import Costs
from .errors import InputError
from .forecast import FAILED, HORIZON, Forecast, Question, gain_between, horizon_of
from .goal import PLATEAU, TARGET, VALUE, Goal
from .lookahead import GROWTH, LEAST_SHARE, LOOK_AHEAD, Plan, Prices, plan_batch
from .noise import mean_covariance
from .notebook import recommendation_html
from .outlook import Outlook
from .pilots import Design, next_pilots
from .posterior import Posterior
from .preposterior import cost_after_pilots
from .promises import Promise, promise_at
from .scores import MOST_CASES
from .stability import RoundSummary, round_stability
from .tolerances import Tolerances
from .types import Interval, probabilities_of
from .verdict import SURE
from .words import amount_words, interval_words, level_words, probability_words

ROUNDS = 6
"""Rounds that are left where no deadline is given: about five make most methods usable (Mahmood et al. 2022)."""
RISE = 2.0
"""Standard errors by which the curve must rise from its smallest to its largest size, else it is flat."""
UNTRAINED = 2.0
"""Cases at hand over the largest pilot from which pilots come first."""
DOUBT = 0.3
"""Probability of having reached the goal from which pilots are weighed against annotating."""
SAVING = 0.3
"""Share of the expected cost that pilots must save to be the better buy: what they may show is imagined from draws that
may be surer than they should."""
STOPS = ("stop_plateau", "stop_stable", "stop_budget", "stop_unreachable")
ORDER = ("annotate", "train_pilots", "cannot_tell", "stop_budget", "stop_unreachable", "stop_stable", "stop_plateau")
"""Which curve's decision leads when several differ."""


LONGER = "Train longer before stopping: add an [[arm]] with more epochs to study.toml, and run again."
"""What to do where training is the limit."""


@dataclass(frozen=True)
class Situation:
    """What a decision depends on besides the curve."""

    goal: Goal | None = None
    """By default the plateau with the question's tolerance."""
    left: int | None = None
    """Cases that could still be annotated; None when unknown."""
    costs: Costs = field(default_factory=Costs)
    rounds_left: int | None = None
    """Further rounds before the deadline; None when there is none."""
    draws: int = 3
    """Draws that will be trained after the batch."""
    look_ahead: int = LOOK_AHEAD
    """Rounds weighed at a time."""
    history: tuple[RoundSummary, ...] = ()
    """This curve's forecasts so far, the newest last."""
    tolerances: Tolerances = field(default_factory=Tolerances)
    """When those forecasts count as standing still."""
    training_limited: str | None = None
    """Set when longer training raises the score: the sentence that says so."""

    def __post_init__(self) -> None:
        """Refuse a value without anything to set against it."""
        if self.goal is not None and self.goal.kind == VALUE and not self.costs.per_case:
            raise InputError("what a score point is worth is set against the cost of a case: give per_case > 0.")
        if self.left is not None and self.left > MOST_CASES:
            raise InputError(f"the cases left to annotate must be at most {MOST_CASES}, found {self.left}.")


@dataclass(frozen=True)
class Recommendation:
    """A decision, its reason and the evidence for it."""

    code: str
    """`annotate`, `stop_plateau` (the goal is reached), `stop_stable` (no batch is worth its cost), `stop_budget`,
    `stop_unreachable`, `train_pilots`, `cannot_tell`."""
    reason: str
    curve: str
    """The curve that decides."""
    goal: Goal = field(default_factory=Goal)
    batch: int = 0
    """Cases to annotate next."""
    p_suffices: float | None = None
    """Probability that the goal is reached after this batch."""
    promise: Promise | None = None
    """The mean score to expect of the pilots after the batch."""
    cost: dict[str, Any] | None = None
    pilots: Design | None = None
    """What to train, where pilots are the better buy."""
    evidence: dict[str, Any] = field(default_factory=dict)
    stop_blocked: bool = False
    """Whether this would be a stop, were the curve not limited by training."""

    def _repr_html_(self) -> str:
        return recommendation_html(self)

    @property
    def is_last(self) -> bool:
        """Whether after the batch there is nothing left to annotate, or nothing the pilots can tell of."""
        n_max = self.evidence.get("n_max")
        return self.promise is not None and n_max is not None and self.promise.n >= n_max

    @property
    def chance(self) -> float | None:
        """Probability that the batch suffices; None where it goes without saying.

        All there is to annotate always comes within any tolerance of what all there is to annotate gives.
        """
        return None if self.is_last and self.goal.kind != TARGET else self.p_suffices

    @property
    def stops(self) -> bool:
        """Whether annotating ends here."""
        return self.code in STOPS

    def document(self) -> dict[str, Any]:
        """The recommendation as the JSON contract."""
        pilots = self.pilots and {"sizes": list(self.pilots.sizes), "draws": list(self.pilots.draws)}
        return {
            "code": self.code,
            "batch": self.batch,
            "p_suffices": self.p_suffices,
            "promise": self.promise and self.promise.document(),
            "cost": self.cost,
            "pilots": pilots,
            "goal": {"kind": self.goal.kind, "amount": self.goal.amount},
            "reason": self.reason,
            "curve": self.curve,
            "evidence": self.evidence,
        }


def recommend(forecast: Forecast, situation: Situation | None = None) -> Recommendation:
    """Decide for one curve."""
    situation = situation or Situation()
    if forecast.expected is None:
        spent = _nothing_left(situation)
        code, rest = ("stop_budget", f"{spent} ") if spent else ("train_pilots", "")
        reason = f"{rest}{forecast.verdict.reason} Train pilots at more sizes."
        goal = situation.goal or Goal(PLATEAU, forecast.question.eps)
        return Recommendation(code, reason, forecast.curve.name, goal, evidence=_sizes(forecast))
    falls = forecast.verdict.reason if forecast.verdict.code == "ill_behaved" else None
    found = decide(forecast.expected, forecast.question, situation, falls)
    return replace(found, evidence={**found.evidence, **_of_forecast(forecast)})


def decide(posterior: Posterior, question: Question, situation: Situation, falls: str | None = None) -> Recommendation:
    """Decide from the posterior of one curve.

    Args:
        posterior: Draws of the expected curve.
        question: Tolerance, level and reach.
        situation: What else counts.
        falls: The sentence that says so, where the curve falls beyond noise.
    """
    goal = situation.goal or Goal(PLATEAU, question.eps)
    outlook = Outlook.of(posterior, goal, posterior.curve.n_annotated, _n_max(posterior, question, situation))
    basis = _Basis(posterior, question, situation, outlook)
    decision = _decide(basis, falls)
    decision = replace(decision, goal=goal, evidence=_evidence(basis))
    if situation.training_limited is None:
        return decision
    if decision.stops:
        otherwise = f"(Otherwise this would be a stop: {decision.reason})"
        reason = f"{situation.training_limited} {LONGER} {otherwise}"
        return replace(decision, code="train_pilots", reason=reason, stop_blocked=True)
    return replace(decision, reason=f"{decision.reason} But {situation.training_limited}")


def recommend_all(
    forecasts: Sequence[Forecast], situations: Sequence[Situation]
) -> tuple[Recommendation, list[Recommendation]]:
    """Decide for several curves: the slowest decides.

    Returns:
        The decision to act on, and the decision of each curve.
    """
    each = [recommend(f, s) for f, s in zip(forecasts, situations, strict=True)]
    leading = min(each, key=lambda one: (ORDER.index(one.code), -one.batch, _chance(one)))
    if len(each) == 1:
        return leading, each
    agree = sum(one.code == leading.code for one in each)
    said = leading.code.replace("_", " ")
    reason = f"{leading.curve}: {leading.reason} ({agree} of {len(each)} curves say {said}; the slowest decides.)"
    least = min(each, key=_chance)
    if leading.code == "annotate" and _chance(least) < _chance(leading):
        reason += f" Least likely to have reached its goal by then is {least.curve} ({_chance(least):.2f})."
    return replace(leading, reason=reason), each


def _chance(one: Recommendation) -> float:
    return 1.0 if one.p_suffices is None else one.p_suffices


@dataclass(frozen=True)
class _Basis:
    """What one curve's decision is made from."""

    posterior: Posterior
    question: Question
    situation: Situation
    outlook: Outlook

    @property
    def name(self) -> str:
        return self.posterior.curve.name

    @property
    def now(self) -> int:
        return int(self.outlook.totals[0])

    @property
    def n_max(self) -> int:
        return int(self.outlook.totals[-1])

    @property
    def gain(self) -> Interval:
        """What all the rest could add, with its misfit."""
        return gain_between(self.posterior, self.now, self.n_max, self.question).interval

    def adds(self) -> str:
        """What annotating everything could add, in words that follow the reason for saying so."""
        found, horizon = self.gain, horizon_of(self.posterior.curve)
        past = f" (past the horizon of these pilots, {horizon})" if self.n_max > horizon else ""
        ends = f"{interval_words(found)} ({level_words(found.level)} interval)"
        return f"up to {self.n_max} cases{past} could add {ends}"


def _n_max(posterior: Posterior, question: Question, situation: Situation) -> int:
    """Cases there will ever be; where unknown, as far as the pilots can tell."""
    now = posterior.curve.n_annotated
    if situation.left is not None:
        return now + situation.left
    return max(now, question.reach or horizon_of(posterior.curve))


def _decide(basis: _Basis, falls: str | None) -> Recommendation:
    posterior, situation, outlook, name = basis.posterior, basis.situation, basis.outlook, basis.name
    spent = _nothing_left(situation)
    if falls:
        return Recommendation("stop_budget" if spent else "cannot_tell", f"{spent} {falls}" if spent else falls, name)
    if not posterior.diagnostics.ok:
        reason = f"the posterior did not converge: {posterior.diagnostics.messages[0]}."
        return Recommendation("cannot_tell", reason, name)
    if np.max(posterior.curve.observed) < FAILED:
        reason = f"no size scores {FAILED:g}: the training may have failed. Look at the predictions."
        return Recommendation("cannot_tell", reason, name)
    largest = int(posterior.curve.sizes[-1])
    if basis.now > UNTRAINED * largest:
        reason = f"{basis.now} cases are annotated but the largest pilot has {largest}: train pilots on more of them."
        pilots = Design((min(basis.now, int(GROWTH * largest)),), (situation.draws,), float("nan"))
        return Recommendation("train_pilots", reason, name, pilots=pilots)
    more = basis.n_max > basis.now
    if outlook.goal.kind != VALUE and outlook.p_reached >= SURE and (more or outlook.goal.kind == TARGET):
        return Recommendation("stop_plateau", _reached_words(basis), name)
    hopeless = outlook.goal.kind == TARGET and outlook.p_met[-1] <= 1 - SURE
    if hopeless and basis.n_max <= horizon_of(posterior.curve):
        return Recommendation("stop_unreachable", _unreachable_words(basis), name)
    if spent:
        rest = f" But {basis.adds()}." if more else ""
        return Recommendation("stop_budget", spent + rest, name)
    return _find_out(basis) if hopeless else _weigh(basis)


def _weigh(basis: _Basis) -> Recommendation:
    """Neither reached nor out of reach: is a batch worth it, or pilots, or nothing?"""
    situation, outlook, question = basis.situation, basis.outlook, basis.question
    held = round_stability(situation.history, question.eps, situation.tolerances)
    if outlook.goal.kind == PLATEAU and held.stable and basis.gain.median <= outlook.goal.amount:
        reason = f"{held.reason} Now {basis.adds()}."
        return Recommendation("stop_stable", reason, basis.name)
    prices = _prices(basis)
    plan = plan_batch(outlook, prices, _most(basis))
    if plan is None or (outlook.goal.kind == VALUE and plan.expected_cost >= plan.stopping_cost):
        return Recommendation("stop_stable", _not_worth_words(basis, plan), basis.name)
    if outlook.goal.kind == PLATEAU and situation.left is None and _is_flat(basis.posterior):
        return _cannot_tell_flat(basis)
    if outlook.goal.kind != VALUE and outlook.p_reached >= DOUBT and prices.rounds > 1:
        pilots = next_pilots(basis.posterior, basis.n_max, situation.draws)
        cost = _cost_with(basis, pilots, prices)
        if cost <= (1 - SAVING) * plan.expected_cost:
            return _train(basis, pilots, cost, plan)
    return _annotate(basis, plan)


def _prices(basis: _Basis) -> Prices:
    costs, rounds = basis.situation.costs, basis.situation.rounds_left
    case, round_ = costs.weighed(basis.n_max)
    return Prices(
        case=case,
        round=round_,
        budget=np.inf if costs.budget is None else costs.budget,
        paid_round=costs.of_round,
        rounds=ROUNDS if rounds is None else rounds,
        look_ahead=basis.situation.look_ahead,
    )


def _cost_with(basis: _Basis, pilots: Design, prices: Prices) -> float:
    """Expected cost still to come when these pilots are trained first, which takes a round without cases."""
    costs = basis.situation.costs
    extra = costs.per_run * (pilots.runs - costs.runs)
    then = replace(prices, rounds=prices.rounds - 1, budget=max(prices.budget - prices.paid_round - extra, 0.0))
    return prices.round + extra + cost_after_pilots(basis.posterior, basis.outlook, then, _most(basis), pilots)


def _nothing_left(situation: Situation) -> str | None:
    if situation.left == 0:
        return "Every case there is has been annotated."
    if situation.rounds_left is not None and situation.rounds_left <= 0:
        return "The deadline leaves no further round."
    if situation.costs.affordable() == 0:
        left = f"{amount_words(situation.costs.budget or 0)} {situation.costs.unit}"
        return f"The budget left ({left}) does not pay for a round with another case."
    return None


def _reached_words(basis: _Basis) -> str:
    outlook = basis.outlook
    chance = probability_words(outlook.p_reached)
    if outlook.goal.kind == TARGET:
        return f"with probability {chance} {basis.now} cases give at least {outlook.goal.amount:g}."
    return (
        f"with probability {chance} going from {basis.now} to {basis.n_max} cases adds at most "
        f"{outlook.goal.amount:g} (median {basis.gain.median:.4f})."
    )


def _unreachable_words(basis: _Basis) -> str:
    outlook = basis.outlook
    best = Interval.of(outlook.scores[-1] + outlook.misfit, basis.question.level)
    chance = probability_words(1 - outlook.p_met[-1])
    return (
        f"with probability {chance} even {basis.n_max} cases do not reach {outlook.goal.amount:g}: "
        f"they give {interval_words(best)} ({level_words(best.level)} interval)."
    )


def _not_worth_words(basis: _Basis, plan: Plan | None) -> str:
    if plan is None:
        return f"no batch can be paid for, though {basis.adds()}."
    unit, worth = basis.situation.costs.unit, basis.outlook.goal.amount
    best, stopping = (amount_words(cost, whole=True) for cost in (plan.expected_cost, plan.stopping_cost))
    return (
        f"no batch is worth its cost at {worth:g} {unit} a score point: the best costs {best} {unit} in the end, the "
        f"points still missing included, stopping {stopping}; {basis.adds()}."
    )


def _is_flat(posterior: Posterior) -> bool:
    curve = posterior.curve
    covariance = mean_covariance(curve, *posterior.noise_rms)
    error = np.sqrt(max(covariance[0, 0] + covariance[-1, -1] - 2 * covariance[0, -1], 1e-12))
    return bool(curve.observed[-1] - curve.observed[0] < RISE * error)


def _cannot_tell_flat(basis: _Basis) -> Recommendation:
    pilots = next_pilots(basis.posterior, basis.n_max, basis.situation.draws)
    reason = (
        f"the score does not rise beyond the noise, yet the pilots cannot rule out a gain above "
        f"{basis.outlook.goal.amount:g} (up to {basis.gain.hi:.3f}). Train {pilots.draws[0]} more draws at "
        f"{pilots.sizes[0]} cases."
    )
    return Recommendation("cannot_tell", reason, basis.name, pilots=pilots)


def _most(basis: _Basis) -> int:
    """The largest batch possible now."""
    reach = min(horizon_of(basis.posterior.curve), int(GROWTH * basis.now)) - basis.now
    limits = [max(reach, 1), basis.n_max - basis.now, basis.situation.costs.affordable()]
    return min(limit for limit in limits if limit is not None)


def _train(basis: _Basis, pilots: Design, cost: float, plan: Plan) -> Recommendation:
    size, draws = pilots.sizes[0], pilots.draws[0]
    before, after = (amount_words(one, whole=True) for one in (plan.expected_cost, cost))
    reason = (
        f"{draws} more draws at {size} cases are the better buy: they are expected to bring the cost still to come "
        f"from {before} to {after} {_cost_unit(basis.situation)}. With probability "
        f"{probability_words(basis.outlook.p_reached)} the {basis.now} cases at hand are already within "
        f"{basis.outlook.goal.amount:g} of what {basis.n_max} give."
        if basis.outlook.goal.kind == PLATEAU
        else f"{draws} more draws at {size} cases are the better buy: with probability "
        f"{probability_words(basis.outlook.p_reached)} the {basis.now} cases at hand already give "
        f"{basis.outlook.goal.amount:g}."
    )
    return Recommendation("train_pilots", reason, basis.name, pilots=pilots)


def _cost_unit(situation: Situation) -> str:
    return situation.costs.unit if situation.costs.per_case else "cases"


def _find_out(basis: _Basis) -> Recommendation:
    """A target that is out of reach by all the pilots say, but N_max lies past their horizon: annotate up to there."""
    now, outlook, horizon = basis.now, basis.outlook, horizon_of(basis.posterior.curve)
    wanted = max(math.ceil(basis.n_max / HORIZON), math.ceil((1 + LEAST_SHARE) * now)) - now
    most = _most(basis)
    possible = outlook.totals[1:] - now
    possible = possible[possible <= most]
    batch = int(possible[np.searchsorted(possible, min(wanted, possible[-1]))])
    reason = (
        f"by these pilots even {basis.n_max} cases reach {outlook.goal.amount:g} with probability "
        f"{probability_words(outlook.p_met[-1])} only, but they cannot tell past {horizon}: {batch} more bring that "
        "nearer."
    )
    return _asking(basis, batch, reason)


def _annotate(basis: _Basis, plan: Plan) -> Recommendation:
    situation, outlook = basis.situation, basis.outlook
    chance = outlook.p_at(basis.now + plan.batch)
    if outlook.goal.kind == VALUE:
        expected, stopping = (amount_words(cost, whole=True) for cost in (plan.expected_cost, plan.stopping_cost))
        why = (
            f"; with {plan.batch} more, cases, rounds and the worth of the points still missing come to "
            f"{expected} {situation.costs.unit} in the end, stopping now to {stopping}"
        )
    elif plan.batch == situation.costs.affordable():
        why = f"; the budget pays for no more than {plan.batch}"
    elif chance >= SURE or situation.rounds_left == 1 or (situation.left is not None and plan.batch >= situation.left):
        why = ""
    else:
        why = "; decide on further batches after the next round"
    return _asking(basis, plan.batch, f"{basis.adds()}{why}.")


def _asking(basis: _Basis, batch: int, reason: str) -> Recommendation:
    situation, total = basis.situation, basis.now + batch
    return Recommendation(
        code="annotate",
        reason=reason,
        curve=basis.name,
        batch=batch,
        p_suffices=None if basis.outlook.goal.kind == VALUE else basis.outlook.p_at(total),
        promise=promise_at(basis.posterior, total, situation.draws, basis.question.level),
        cost=situation.costs.of(batch),
    )


def _of_forecast(forecast: Forecast) -> dict[str, Any]:
    """What else the forecast says that bears on the decision."""
    gain, plateau = forecast.reachable_gain, forecast.plateau
    return {
        "p_gain_below_eps": gain and gain.p_below_eps,
        "plateau_n": plateau and plateau.size.median,
        "p_plateau_reached": plateau and plateau.p_reached,
        "verdict": forecast.verdict.code,
    }


def _sizes(forecast: Forecast) -> dict[str, Any]:
    return {"sizes": forecast.curve.sizes.tolist()}


def _evidence(basis: _Basis) -> dict[str, Any]:
    outlook, question, situation, gain = basis.outlook, basis.question, basis.situation, basis.gain
    needed = np.quantile(outlook.needed, probabilities_of(question.level), method="nearest")
    low, middle, high = (float(n) if np.isfinite(n) else None for n in needed)
    return {
        "n_annotated": int(outlook.totals[0]),
        "n_max": int(outlook.totals[-1]),
        "reachable_gain": {"median": gain.median, "lo": gain.lo, "hi": gain.hi},
        "p_goal_reached": None if outlook.goal.kind == VALUE else outlook.p_reached,
        "p_goal_reachable": None if outlook.goal.kind == VALUE else float(outlook.p_met[-1]),
        "n_needed": None if outlook.goal.kind == VALUE else {"median": middle, "lo": low, "hi": high},
        "left": situation.left,
        "round_stability": round_stability(situation.history, question.eps, situation.tolerances).reason,
        "training_limited": situation.training_limited,
    }
