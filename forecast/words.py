"""Numbers in words, the same in every sentence, table and figure."""

from __future__ import annotations

import math

from .types import Interval, SizeInterval

HUGE = 1e15
"""From here on an amount is written with an exponent."""


def level_words(level: float) -> str:
    """A probability as a percentage with the digits it needs: 90%, 99.9%, 0.1%."""
    return f"{100 * level:.6g}%"


def amount_words(amount: float, whole: bool = False) -> str:
    """An amount of money or time, thousands set apart.

    Args:
        amount: May be as large as a number can be.
        whole: Whether parts of one are rounded away.
    """
    if not math.isfinite(amount) or abs(amount) >= HUGE:
        return f"{amount:.3g}"
    if whole or abs(amount) >= 1000 or amount == int(amount):
        return f"{amount:,.0f}"
    return f"{amount:.4g}"


def chance_words(p: float) -> str:
    """A probability as a percentage that is never 0% or 100%."""
    if p > 0.99:
        return "more than 99%"
    return "less than 1%" if p < 0.01 else f"{p:.0%}"


def probability_words(p: float) -> str:
    """A probability with two decimals that is never 0 or 1."""
    if p > 0.99:
        return "> 0.99"
    return "< 0.01" if p < 0.01 else f"{p:.2f}"


def score_words(value: float | None) -> str:
    """A score with three decimals, a dash where it is unknown."""
    return "-" if value is None or not math.isfinite(value) else f"{value:z.3f}"


def ends_words(lo: float | None, hi: float | None) -> str:
    """The ends of an interval of scores, a dash where it is unknown."""
    return "-" if lo is None else f"[{score_words(lo)}, {score_words(hi)}]"


def interval_words(found: Interval) -> str:
    """A median and its interval, scores."""
    return f"{score_words(found.median)} {ends_words(found.lo, found.hi)}"


def size_words(size: SizeInterval) -> str:
    """A number of cases and its interval, open where it was censored."""
    return f"{size_median_words(size)} {size_ends_words(size)}"


def size_median_words(size: SizeInterval) -> str:
    """The median of a number of cases, past the horizon where that is all that is known."""
    return f"> {size.horizon:.0f}" if size.median is None else f"{size.median:.0f}"


def size_ends_words(size: SizeInterval) -> str:
    """The interval of a number of cases, open where it was censored."""
    return f"[{size.lo:.0f}, {'> ' if size.hi_censored else ''}{size.hi:.0f}]"
