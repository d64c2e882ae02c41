"""What to do next, always with the reason: annotate more, stop, train more pilots, or cannot tell.

The goal is the plateau: D(N_max) - D(N) <= eps, N_max being what could ever be annotated. A batch is the
smallest that suffices with probability 0.8, but at most a doubling (several modest rounds beat one big ask:
Mahmood et al. 2022) and never past the horizon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .errors import InputError
from .forecast import Forecast, ScoreAt, score_at
from .noise import mean_covariance
from .stability import RoundSummary, round_stability
from .verdict import SURE

LIKELY = 0.8
"""Probability of reaching the goal that a batch is sized for: a further round costs weeks."""
SHARE = 4
"""A batch is at least the pool divided by this: a size much like the last tells nothing new."""
GROWTH = 2.0
"""Largest pool after a batch, as a multiple of the pool before it."""
RISE = 2.0
"""Standard errors by which the curve must rise from its smallest to its largest size, else it is flat."""
STOPS = ("stop_plateau", "stop_stable", "stop_budget", "stop_unreachable")


@dataclass(frozen=True)
class Costs:
    """What a batch costs and what is left to spend."""

    per_case: float | None = None
    per_round: float = 0.0
    unit: str = "EUR"
    budget: float | None = None
    """Money or minutes left to spend; None when there is no limit."""

    def __post_init__(self) -> None:
        """Refuse negative costs and a budget that nothing is charged to."""
        for name, value in (("per_case", self.per_case), ("per_round", self.per_round), ("budget", self.budget)):
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"cost {name} must be >= 0, found {value:g}.")
        if self.budget is not None and not self.per_case:
            raise InputError("a budget needs the cost of a case: give per_case > 0.")

    def affordable(self) -> int | None:
        """Cases one more round can pay for; None when there is no limit."""
        if self.budget is None or not self.per_case:
            return None
        return max(0, int((self.budget - self.per_round) / self.per_case))

    def of(self, batch: int) -> dict[str, Any] | None:
        """Cost of annotating a batch in one round."""
        if self.per_case is None:
            return None
        return {"amount": batch * self.per_case + self.per_round, "unit": self.unit}


@dataclass(frozen=True)
class Situation:
    """What a decision depends on besides the curve."""

    left: int | None = None
    """Cases that could still be annotated; None when unknown."""
    costs: Costs = field(default_factory=Costs)
    rounds_left: int | None = None
    """Further rounds before the deadline; None when there is none."""
    history: tuple[RoundSummary, ...] = ()
    """This curve's forecasts so far, the newest last."""
    training_limited: str | None = None
    """Set when longer training raises the score: the sentence that says so."""


@dataclass(frozen=True)
class Recommendation:
    """A decision, its reason and the evidence for it."""

    code: str
    """`annotate`, `stop_plateau`, `stop_stable`, `stop_budget`, `stop_unreachable`, `train_pilots`, `cannot_tell`."""
    reason: str
    curve: str
    """The curve that decides."""
    batch: int = 0
    """Cases to annotate next."""
    p_suffices: float | None = None
    """Probability that the goal is reached after this batch."""
    promise: ScoreAt | None = None
    """The score to expect after the batch."""
    cost: dict[str, Any] | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    stop_blocked: bool = False
    """Whether this would be a stop, were the curve not limited by training."""

    @property
    def stops(self) -> bool:
        """Whether annotating ends here."""
        return self.code in STOPS

    def document(self) -> dict[str, Any]:
        """The recommendation as the JSON contract."""
        promise = None
        if self.promise is not None:
            expected = self.promise.expected
            promise = {"n": self.promise.n, "median": expected.median, "lo": expected.lo, "hi": expected.hi}
        return {
            "code": self.code,
            "batch": self.batch,
            "p_suffices": self.p_suffices,
            "promise": promise,
            "cost": self.cost,
            "reason": self.reason,
            "curve": self.curve,
            "evidence": self.evidence,
        }


def recommend(forecast: Forecast, situation: Situation | None = None) -> Recommendation:
    """Decide for one curve."""
    situation = situation or Situation()
    decision = _decide(forecast, situation)
    decision = replace(decision, evidence=_evidence(forecast, situation))
    if situation.training_limited is None:
        return decision
    if decision.stops:
        reason = f"{situation.training_limited} Train longer before stopping. (Otherwise: {decision.reason})"
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
    order = [
        "annotate",
        "train_pilots",
        "cannot_tell",
        "stop_budget",
        "stop_unreachable",
        "stop_stable",
        "stop_plateau",
    ]
    leading = min(each, key=lambda one: (order.index(one.code), -one.batch))
    if len(each) == 1:
        return leading, each
    agree = sum(one.code == leading.code for one in each)
    reason = (
        f"{leading.curve}: {leading.reason} ({agree} of {len(each)} curves say {leading.code}; the slowest decides.)"
    )
    return replace(leading, reason=reason), each


def _decide(forecast: Forecast, situation: Situation) -> Recommendation:
    name, gain = forecast.curve.name, forecast.reachable_gain
    if forecast.expected is None or gain is None:
        return Recommendation("train_pilots", forecast.verdict.reason + " Train pilots at more sizes.", name)
    spent = _nothing_left(situation)
    if forecast.verdict.code == "ill_behaved":
        code, before = ("stop_budget", f"{spent} ") if spent else ("cannot_tell", "")
        return Recommendation(code, before + forecast.verdict.reason, name)
    if not forecast.expected.diagnostics.ok:
        return Recommendation(
            "cannot_tell", "the posterior did not converge: " + forecast.expected.diagnostics.messages[0] + ".", name
        )
    now, largest = forecast.curve.n_annotated, int(forecast.curve.sizes[-1])
    if now > GROWTH * largest:
        reason = f"{now} cases are annotated but the largest pilot has {largest}: train pilots on more of them first."
        return Recommendation("train_pilots", reason, name)
    eps = forecast.question.eps
    if gain.p_below_eps >= SURE:
        reason = (
            f"with probability {gain.p_below_eps:.2f} going from {gain.n_from} to {gain.n_to} cases adds at most "
            f"{eps:g} (median {gain.interval.median:.4f})."
        )
        return Recommendation("stop_plateau", reason, name)
    if spent:
        reason = f"{spent} Up to {gain.n_to} cases could add {_words(forecast)}."
        return Recommendation("stop_budget", reason, name)
    held = round_stability(situation.history, eps)
    if held.stable and gain.interval.median <= eps:
        return Recommendation(
            "stop_stable", f"{held.reason} What {gain.n_to} cases could add: {_words(forecast)}.", name
        )
    if _is_flat(forecast):
        reason = (
            "the score does not rise beyond the noise, yet the pilots cannot rule out a gain above "
            f"{eps:g} (up to {gain.interval.hi:.3f}). Train more draws or a smaller size."
        )
        return Recommendation("cannot_tell", reason, name)
    return _annotate(forecast, situation)


def _nothing_left(situation: Situation) -> str | None:
    if situation.left == 0:
        return "Every case there is has been annotated."
    if situation.rounds_left is not None and situation.rounds_left <= 0:
        return "The deadline leaves no further round."
    if situation.costs.affordable() == 0:
        return f"The budget left ({situation.costs.budget:g} {situation.costs.unit}) does not pay for another case."
    return None


def _words(forecast: Forecast) -> str:
    assert forecast.reachable_gain is not None
    gain = forecast.reachable_gain.interval
    return f"{gain.median:.3f} [{gain.lo:.3f}, {gain.hi:.3f}] ({gain.level:.0%} interval)"


def _is_flat(forecast: Forecast) -> bool:
    curve, posterior = forecast.curve, forecast.expected
    assert posterior is not None
    covariance = mean_covariance(curve, *posterior.noise_rms)
    error = np.sqrt(max(covariance[0, 0] + covariance[-1, -1] - 2 * covariance[0, -1], 1e-12))
    return bool(curve.observed[-1] - curve.observed[0] < RISE * error)


def _annotate(forecast: Forecast, situation: Situation) -> Recommendation:
    curve, posterior, gain = forecast.curve, forecast.expected, forecast.reachable_gain
    assert posterior is not None and gain is not None
    now = curve.n_annotated
    limits = [int((GROWTH - 1) * now), forecast.horizon - now, situation.left, situation.costs.affordable()]
    most = min(limit for limit in limits if limit is not None)
    batch, chances = _smallest_batch(forecast, most)
    eps = forecast.question.eps
    goal = f"be within {eps:g} of what {gain.n_to} cases give"
    why = f"with {batch} more you will {goal} with probability {chances:.2f}"
    if chances < LIKELY:
        why += "; decide on further batches after the next round"
    reason = f"up to {gain.n_to} cases could add {_words(forecast)}; {why}."
    return Recommendation(
        code="annotate",
        reason=reason,
        curve=curve.name,
        batch=batch,
        p_suffices=chances,
        promise=score_at(posterior, now + batch, forecast.question.level),
        cost=situation.costs.of(batch),
    )


def _smallest_batch(forecast: Forecast, most: int) -> tuple[int, float]:
    """The smallest round batch that likely suffices, at most `most`, and the probability that it does."""
    posterior, gain = forecast.expected, forecast.reachable_gain
    assert posterior is not None and gain is not None
    batches = np.unique(np.linspace(1, most, min(most, 200)).astype(int))
    missing = posterior.scores(gain.n_to) - posterior.scores(gain.n_from + batches)
    chances = np.mean(missing <= forecast.question.eps, axis=1)
    enough = batches[chances >= LIKELY]
    least = max(int(enough[0]) if len(enough) else most, gain.n_from // SHARE, 1)
    batch = min(_round_up(least), most)
    return batch, float(np.interp(batch, batches, chances))


def _round_up(batch: int) -> int:
    """To what people plan with: ones below 10, fives below 50, tens below 200, then fifties."""
    step = next((step for limit, step in ((10, 1), (50, 5), (200, 10)) if batch < limit), 50)
    return -(-batch // step) * step


def _evidence(forecast: Forecast, situation: Situation) -> dict[str, Any]:
    gain, plateau = forecast.reachable_gain, forecast.plateau
    if gain is None or plateau is None:
        return {"sizes": forecast.curve.sizes.tolist()}
    return {
        "n_annotated": gain.n_from,
        "n_max": gain.n_to,
        "reachable_gain": {"median": gain.interval.median, "lo": gain.interval.lo, "hi": gain.interval.hi},
        "p_gain_below_eps": gain.p_below_eps,
        "plateau_n": plateau.size.median,
        "p_plateau_reached": plateau.p_reached,
        "left": situation.left,
        "round_stability": round_stability(situation.history, forecast.question.eps).reason,
        "training_limited": situation.training_limited,
        "verdict": forecast.verdict.code,
    }
