"""The same arm on several test sets: levelled off in distribution need not mean levelled off outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .curve import Curve
from .forecast import FEWEST_SIZES, Gain, Question, gains
from .population import population_posterior
from .posterior import Posterior
from .quadrature import quadrature
from .scores import TEXT_DEFAULTS
from .words import probability_words

SURE = 0.95
"""Probability of gaining at most eps from which a curve counts as saturated; below 1 minus it as not saturated."""


@dataclass(frozen=True)
class TestSetView:
    """What more cases can still add on one test set."""

    curve: Curve
    now: float
    """Posterior median of the expected score with the cases annotated now."""
    gain: Gain
    """Reachable gain."""

    @property
    def state(self) -> str:
        """`saturated`, `rising`, or `open` where neither is sure."""
        if self.gain.p_below_eps >= SURE:
            return "saturated"
        return "rising" if self.gain.p_below_eps <= 1 - SURE else "open"


@dataclass(frozen=True)
class AcrossTestSets:
    """One arm and structure on several test sets."""

    views: tuple[TestSetView, ...]
    """The study's own test set first, where it is among them."""
    reason: str

    @property
    def differs(self) -> bool:
        """Whether it is saturated on one test set and not on another."""
        states = {view.state for view in self.views}
        return {"saturated", "rising"} <= states


def across_test_sets(curves: Sequence[Curve], question: Question) -> list[AcrossTestSets]:
    """Every arm and structure that was scored on two or more test sets; curves of fewer than three sizes are left out.

    Raises:
        InputError: The scope is the population but nothing is known of the spread over test cases.
    """
    groups: dict[tuple[str, ...], list[Curve]] = {}
    for curve in curves:
        if len(curve.sizes) >= FEWEST_SIZES:
            groups.setdefault((curve.arm, curve.structure, curve.metric, curve.stratum), []).append(curve)
    found = []
    for group in groups.values():
        ordered = sorted(group, key=lambda curve: curve.test_set != TEXT_DEFAULTS["test_set"])
        if len({curve.test_set for curve in group}) > 1:
            views = tuple(_view(one, question) for one in ordered)
            found.append(AcrossTestSets(views, _words(views, question)))
    return found


def _view(curve: Curve, question: Question) -> TestSetView:
    posterior = _posterior(curve, question)
    now = float(np.median(posterior.scores(curve.n_annotated)))
    return TestSetView(curve, now, gains(posterior, question)[0])


def _posterior(curve: Curve, question: Question) -> Posterior:
    if question.scope == "population":
        return population_posterior(curve, question.seed, model=question.model)
    return quadrature(curve, question.seed, model=question.model)


def _words(views: Sequence[TestSetView], question: Question) -> str:
    """Where more cases still help and where not."""
    heads = {"saturated": "saturated on", "rising": "still rising on", "open": "not told yet on"}
    parts = []
    for state, head in heads.items():
        names = [f"{v.curve.test_set} ({probability_words(v.gain.p_below_eps)})" for v in views if v.state == state]
        parts += [f"{head} {', '.join(names)}"] if names else []
    rising = [view.curve.test_set for view in views if view.state == "rising"]
    turn = ""
    if views[0].state == "saturated" and rising:
        turn = f" Enough cases for {views[0].curve.test_set} are not enough for {' and '.join(rising)}."
    return f"{'; '.join(parts)} (P(gain <= {question.eps:g}) in brackets).{turn}"
