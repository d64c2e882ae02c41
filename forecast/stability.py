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
from .errors import InputError
from .fit import least_squares
from .forecast import FEWEST_SIZES, HORIZON, Forecast, Question
from .sampler import sample_posterior
from .tolerances import Tolerances
from .types import Interval, SizeInterval

CEILING_MOVE = 2.0
"""Largest movement of DM, in units of eps, that counts as standing still when sizes are dropped."""


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
    """Refit without the largest 1 and 2 sizes, as far as three sizes remain.

    Raises:
        InputError: Fewer than three sizes.
    """
    if len(curve.sizes) < FEWEST_SIZES:
        raise InputError(
            f"{curve.name}: at least {FEWEST_SIZES} sizes must be trained to fit a curve, and {FEWEST_SIZES + 1} to "
            f"drop one, found {len(curve.sizes)} ({', '.join(map(str, curve.sizes))}). Train pilots at more sizes."
        )
    most = min(2, len(curve.sizes) - FEWEST_SIZES)
    refits = tuple(_refit(curve, dropped, question) for dropped in range(most + 1))
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
    dm: Interval
    plateau: SizeInterval
    gain: Interval
    """Reachable gain."""

    @classmethod
    def of(cls, number: int, forecast: Forecast) -> RoundSummary | None:
        """From a round's forecast; None when that round could not forecast."""
        if forecast.posterior is None or forecast.plateau is None or forecast.reachable_gain is None:
            return None
        dm = Interval.of(forecast.posterior.dm, forecast.question.level)
        size, gain = forecast.plateau.size, forecast.reachable_gain.interval
        return cls(number, forecast.curve.n_annotated, dm, size, gain)

    @classmethod
    def from_document(cls, number: int, curve: Mapping[str, Any], level: float) -> RoundSummary | None:
        """From a curve of a round's forecast document; None when that round could not forecast."""
        if curve["posterior"] is None:
            return None
        size = curve["plateau"]["n"]
        return cls(
            round=number,
            n_annotated=curve["n_annotated"],
            dm=_interval(curve["posterior"]["DM"], level),
            plateau=SizeInterval(
                size["median"], size["lo"], size["hi"], size["hi_censored"], level, float(HORIZON * max(curve["sizes"]))
            ),
            gain=_interval(curve["reachable_gain"], level),
        )


def _interval(entry: Mapping[str, Any], level: float) -> Interval:
    return Interval(entry["median"], entry["lo"], entry["hi"], level)


@dataclass(frozen=True)
class RoundStability:
    """Whether the forecast has stood still over the last rounds."""

    stable: bool
    reason: str


def round_stability(
    history: Sequence[RoundSummary], eps: float, tolerances: Tolerances | None = None
) -> RoundStability:
    """Compare the last rounds, the newest last."""
    allowed = tolerances or Tolerances()
    if len(history) < allowed.rounds:
        return RoundStability(False, f"{len(history)} round(s) so far; stability needs {allowed.rounds}.")
    last = history[-allowed.rounds :]
    for before, after in pairwise(last):
        moved = _moved(before, after, eps, allowed)
        if moved:
            return RoundStability(False, f"from round {before.round} to {after.round} {moved}.")
    width, narrow = last[-1].gain.hi - last[-1].gain.lo, allowed.gain_width * eps
    if width > narrow:
        return RoundStability(False, f"the reachable gain is known to {width:.3f} only (narrow is {narrow:g}).")
    return RoundStability(True, f"DM, plateau size and reachable gain stood still over {allowed.rounds} rounds.")


def _moved(before: RoundSummary, after: RoundSummary, eps: float, allowed: Tolerances) -> str | None:
    if abs(after.dm.median - before.dm.median) > allowed.ceiling_move * eps:
        return f"DM moved from {before.dm.median:.3f} to {after.dm.median:.3f}"
    if abs(after.gain.median - before.gain.median) > allowed.gain_move * eps:
        return f"the reachable gain moved from {before.gain.median:.3f} to {after.gain.median:.3f}"
    old, new = before.plateau.median, after.plateau.median
    if old is None or new is None:
        return "the plateau size was beyond the horizon"
    if abs(new - old) > allowed.size_move * max(old, 1.0):
        return f"the plateau size moved from {old:.0f} to {new:.0f}"
    return None
