"""One word on a curve, and the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checks import PredictiveCheck
from .curve import Curve
from .families import NAMED
from .posterior import Posterior
from .types import Interval, SizeInterval
from .words import interval_words, level_words, probability_words, size_ends_words

if TYPE_CHECKING:
    from .forecast import FamilyView, Gain, Plateau, Question

SURE = 0.95
"""Probability from which the plateau counts as reached, and annotating stops."""
NOTABLE = 0.05
"""Weight from which a family is asked when families are compared."""


@dataclass(frozen=True)
class Verdict:
    """One word on the curve and the reason for it."""

    code: str
    """`plateau_reached`, `plateau_ahead`, `beyond_horizon`, `families_disagree`, `ill_behaved`, `too_few_sizes`."""
    reason: str


def verdict_of(
    curve: Curve,
    plateau: Plateau,
    gain: Gain,
    check: PredictiveCheck,
    views: tuple[FamilyView, ...],
    expected: Posterior,
    question: Question,
    horizon: int,
) -> Verdict:
    """The first of the possible verdicts that holds, the most serious first."""
    fall = ill_behaved_words(curve, check)
    if fall is not None:
        return Verdict("ill_behaved", fall)
    if gain.n_to == gain.n_from:
        return Verdict("beyond_horizon", _reach_words(curve, question, horizon))
    if gain.p_below_eps >= SURE:
        return Verdict(
            "plateau_reached",
            f"with probability {probability_words(gain.p_below_eps)} going from {gain.n_from} to {gain.n_to} cases "
            f"adds at most {question.eps:g}.",
        )
    disagreement = _disagreement(views, expected, gain, question)
    if disagreement:
        return Verdict("families_disagree", disagreement)
    level = level_words(question.level)
    adds = (
        f"up to {gain.n_to} cases{' (past the horizon)' if gain.n_to > horizon else ''} can add "
        f"{interval_words(gain.interval)} ({level} interval)"
    )
    if plateau.p_beyond_horizon > 0.5:
        return Verdict(
            "beyond_horizon",
            f"the plateau is beyond what these pilots can tell: more than {horizon} cases with probability "
            f"{probability_words(plateau.p_beyond_horizon)} (exponential plateau); {adds}.",
        )
    named = next((view.weight for view in views if view.family is NAMED), 1.0)
    levels = f"; the exponential plateau levels off {_words(plateau.size)}" if named >= NOTABLE else ""
    return Verdict("plateau_ahead", f"{adds}{levels}; {curve.n_annotated} are annotated.")


def _words(size: SizeInterval) -> str:
    median = "beyond the horizon" if size.median is None else f"at {size.median:.0f} cases"
    return f"{median} {size_ends_words(size)}"


def _reach_words(curve: Curve, question: Question, horizon: int) -> str:
    if question.reach is not None:
        return (
            f"all {curve.n_annotated} cases that could ever be annotated are annotated: there is no gain to forecast."
        )
    return (
        f"{curve.n_annotated} cases are annotated, which is as far as pilots on up to {curve.sizes[-1]} can tell "
        f"(horizon {horizon}). Train pilots on more of them, or name what you could annotate (--reach)."
    )


def _disagreement(views: tuple[FamilyView, ...], expected: Posterior, gain: Gain, question: Question) -> str | None:
    """The families of notable weight that alone expect a score outside the forecast interval, in words."""
    found = Interval.of(expected.scores(gain.n_to), question.level)
    outside = [view for view in views if view.weight >= NOTABLE and not found.lo <= view.score.median <= found.hi]
    if not outside:
        return None
    words = " and ".join(f"{view.family.name} {view.score.median:.3f} (weight {view.weight:.2f})" for view in outside)
    return (
        f"at {gain.n_to} cases the forecast is {interval_words(found)}, but a "
        f"family alone expects {words}: what these scores can tell depends on the family. Train a larger size."
    )


def ill_behaved_words(curve: Curve, check: PredictiveCheck) -> str | None:
    """How a curve falls beyond its noise; None where it does not."""
    falls = check.flagged_dip and curve.observed[-1] < curve.observed[0]
    if not (check.ill_behaved or falls):
        return None
    assert check.dip is not None
    before, after = (curve.observed[list(curve.sizes).index(n)] for n in check.dip)
    return (
        f"the score falls from {before:.3f} at {check.dip[0]} to {after:.3f} at {check.dip[1]} cases; noise explains "
        f"a fall like this with probability {check.p_dip:.4f} only. Look at the cases and runs of these sizes."
    )
