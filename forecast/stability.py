"""Does the forecast hold still: when the largest sizes are taken away, and from round to round?

Dropping the largest one and two sizes and refitting is the check of Gottlich et al. 2023. Wide and
motionless is not stable: round to round, the interval must be narrow as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .curve import Curve
from .fit import least_squares
from .forecast import FEWEST_SIZES, HORIZON, Question
from .sampler import sample_posterior
from .types import Interval, SizeInterval

CEILING_MOVE = 2.0
"""Largest movement of DM, in units of eps, that counts as standing still when sizes are dropped."""
ROUND_MOVE = 1.0
"""Largest movement of DM and of the reachable gain from one round to the next, in units of eps."""
SIZE_MOVE = 0.25
"""Largest relative movement of the plateau size from one round to the next."""
NARROW = 2.0
"""Widest interval of the reachable gain, in units of eps, that counts as narrow."""
ROUNDS = 3
"""Rounds over which a forecast must hold still."""


@dataclass(frozen=True)
class Refit:
    """The forecast without the largest sizes."""

    dropped: int
    sizes: tuple[int, ...]
    dm_least_squares: float
    n_least_squares: float
    """Plateau size by least squares, cases."""
    dm: Interval
    plateau: SizeInterval


@dataclass(frozen=True)
class DropLargest:
    """Refits after dropping the largest 0, 1, 2 sizes, and whether the ceiling stands still."""

    refits: tuple[Refit, ...]
    moved: float
    """Largest movement of the least-squares DM, score units."""
    stable: bool
    reason: str


def drop_largest(curve: Curve, question: Question) -> DropLargest:
    """Refit without the largest 1 and 2 sizes, as far as three sizes remain."""
    most = min(2, len(curve.sizes) - FEWEST_SIZES)
    refits = tuple(_refit(curve, dropped, question) for dropped in range(max(most, 0) + 1))
    moved = max((abs(one.dm_least_squares - refits[0].dm_least_squares) for one in refits[1:]), default=0.0)
    allowed = CEILING_MOVE * question.eps
    if len(refits) < 2:
        reason = f"{len(curve.sizes)} sizes: none can be dropped, at least {FEWEST_SIZES + 1} are needed."
        return DropLargest(refits, moved, False, reason)
    stable = moved <= allowed
    within = "within" if stable else "more than"
    dropped = "size is" if most == 1 else f"{most} sizes are"
    reason = f"DM moves by {moved:.3f} when the largest {dropped} dropped ({within} {allowed:g})."
    return DropLargest(refits, moved, stable, reason)


def _refit(curve: Curve, dropped: int, question: Question) -> Refit:
    rest = curve.without_largest(dropped) if dropped else curve
    fit = least_squares(rest)
    posterior = sample_posterior(rest, question.seed)
    sizes = posterior.plateau_sizes(question.eps)
    return Refit(
        dropped=dropped,
        sizes=tuple(int(n) for n in rest.sizes),
        dm_least_squares=float(fit.values[0]),
        n_least_squares=fit.plateau(question.eps)[0],
        dm=Interval.of(posterior.dm, question.level),
        plateau=SizeInterval.of(sizes, question.level, HORIZON * int(rest.sizes[-1])),
    )


@dataclass(frozen=True)
class RoundSummary:
    """What one round's forecast said of one curve."""

    round: int
    n_annotated: int
    dm: float
    plateau_n: float | None
    gain: float
    gain_width: float

    @classmethod
    def of(cls, number: int, curve: Mapping[str, Any]) -> RoundSummary | None:
        """From a curve of a round's forecast document; None when that round could not forecast."""
        if curve["posterior"] is None:
            return None
        gain = curve["reachable_gain"]
        return cls(
            round=number,
            n_annotated=curve["n_annotated"],
            dm=curve["posterior"]["DM"]["median"],
            plateau_n=curve["plateau"]["n"]["median"],
            gain=gain["median"],
            gain_width=gain["hi"] - gain["lo"],
        )


@dataclass(frozen=True)
class RoundStability:
    """Whether the forecast has stood still over the last rounds."""

    stable: bool
    reason: str


def round_stability(history: Sequence[RoundSummary], eps: float) -> RoundStability:
    """Compare the last rounds, the newest last."""
    if len(history) < ROUNDS:
        return RoundStability(False, f"{len(history)} round(s) so far; stability needs {ROUNDS}.")
    last = history[-ROUNDS:]
    for before, after in pairwise(last):
        moved = _moved(before, after, eps)
        if moved:
            return RoundStability(False, f"from round {before.round} to {after.round} {moved}.")
    if last[-1].gain_width > NARROW * eps:
        return RoundStability(
            False, f"the reachable gain is known to {last[-1].gain_width:.3f} only (narrow is {NARROW * eps:g})."
        )
    return RoundStability(True, f"DM, plateau size and reachable gain stood still over {ROUNDS} rounds.")


def _moved(before: RoundSummary, after: RoundSummary, eps: float) -> str | None:
    if abs(after.dm - before.dm) > ROUND_MOVE * eps:
        return f"DM moved from {before.dm:.3f} to {after.dm:.3f}"
    if abs(after.gain - before.gain) > ROUND_MOVE * eps:
        return f"the reachable gain moved from {before.gain:.3f} to {after.gain:.3f}"
    if before.plateau_n is None or after.plateau_n is None:
        return "the plateau size was beyond the horizon"
    if abs(after.plateau_n - before.plateau_n) > SIZE_MOVE * max(before.plateau_n, 1.0):
        return f"the plateau size moved from {before.plateau_n:.0f} to {after.plateau_n:.0f}"
    return None
