"""Array types and the interval every number of a forecast travels with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def probabilities_of(level: float) -> tuple[float, float, float]:
    """Probabilities below the lower end, the median and the upper end of an equal-tailed interval.

    Args:
        level: Probability of the interval, in (0, 1).
    """
    return (1 - level) / 2, 0.5, (1 + level) / 2


@dataclass(frozen=True)
class Interval:
    """Equal-tailed credible interval of stated probability around a median."""

    median: float
    """Posterior median."""
    lo: float
    """Quantile `(1 - level) / 2`."""
    hi: float
    """Quantile `(1 + level) / 2`."""
    level: float
    """Probability that the interval holds, in (0, 1)."""

    @classmethod
    def of(cls, draws: FloatArray, level: float) -> Interval:
        """The equal-tailed interval of posterior draws (any shape)."""
        lo, median, hi = np.quantile(draws, probabilities_of(level))
        return cls(float(median), float(lo), float(hi), level)


@dataclass(frozen=True)
class SizeInterval:
    """Interval of a number of cases, honest about the horizon.

    Past the horizon the pilots cannot tell: a median beyond it is None, an upper end beyond it is
    set to the horizon and marked as censored (the true end is at least that).
    """

    median: float | None
    lo: float
    hi: float
    hi_censored: bool
    level: float
    horizon: float

    @classmethod
    def of(cls, sizes: FloatArray, level: float, horizon: float) -> SizeInterval:
        """The interval of posterior draws of a size (may hold inf), censored at `horizon` cases."""
        cut = np.where(sizes <= horizon, sizes, np.inf)
        lo, median, hi = np.quantile(cut, probabilities_of(level), method="nearest")
        return cls(
            median=float(median) if np.isfinite(median) else None,
            lo=float(min(lo, horizon)),
            hi=float(min(hi, horizon)),
            hi_censored=not np.isfinite(hi),
            level=level,
            horizon=horizon,
        )


@dataclass(frozen=True)
class CensoredInterval:
    """Interval of a quantity that can be told only between a floor and a horizon.

    Median and ends are cut to that span; an entry at its end means "that or beyond".
    """

    median: float
    lo: float
    hi: float
    level: float
    floor: float
    horizon: float

    @classmethod
    def of(cls, draws: FloatArray, level: float, floor: float, horizon: float) -> CensoredInterval:
        """The equal-tailed interval of draws (may hold inf), cut to [floor, horizon]."""
        found = Interval.of(np.clip(draws, floor, horizon), level)
        return cls(found.median, found.lo, found.hi, level, floor, horizon)

    def inside(self, value: float) -> bool:
        """Whether a value can be told from "the floor or less" and "the horizon or more"."""
        return self.floor < value < self.horizon

    def end(self, value: float, form: str) -> str:
        """The median or an end as text, with < or > before it where it says "that or less" or "that or more"."""
        sign = "" if self.inside(value) else "> " if value >= self.horizon else "< "
        text = form.format(value)
        return sign + (text.lstrip("-") if not text.strip("-0.%") else text)

    def words(self, form: str) -> str:
        """Median and interval as text, numbers by a format such as "{:.0f}"."""
        return f"{self.end(self.median, form)} [{self.end(self.lo, form)}, {self.end(self.hi, form)}]"

    def holds(self, truth: float) -> bool:
        """Whether the interval holds a true value, cut to the same span."""
        return self.lo <= min(max(truth, self.floor), self.horizon) <= self.hi

    def over(self, divisor: float) -> CensoredInterval:
        """The interval of the quantity divided by a number > 0."""
        entries = (self.median, self.lo, self.hi)
        median, lo, hi = (entry / divisor for entry in entries)
        return CensoredInterval(median, lo, hi, self.level, self.floor / divisor, self.horizon / divisor)
