"""Numbers in words, the same in every sentence, table and figure."""

from __future__ import annotations

import math

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
