"""Numbers as words in figures of agreement."""

from __future__ import annotations

from ...forecast.errors import InputError


def number_words(value: float) -> str:
    """Three significant digits, or all before the decimal point, with a true minus sign."""
    words = f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
    return words.replace("-", "−")


def p_words(p: float | None) -> str:
    """A p value."""
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def refuse_empty(count: int, what: str) -> None:
    """Refuse to draw nothing.

    Raises:
        InputError: There is no case.
    """
    if count == 0:
        raise InputError(f"{what} needs at least one test case with a defined score, found none. Check the run.")
