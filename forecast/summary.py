"""How simulated campaigns went, policy by policy and budget by budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .goal import VALUE
from .simulation import Played, Terms
from .types import Interval


@dataclass(frozen=True)
class Summary:
    """The campaigns of one policy under one budget."""

    policy: str
    terms: Terms
    played: tuple[Played, ...]

    def over(self, name: str) -> Interval:
        """Median and interval of `collected`, `rounds`, `cost` or `score` over the campaigns."""
        return Interval.of(np.array([getattr(one, name) for one in self.played], dtype=float), self.terms.level)

    @property
    def success(self) -> float | None:
        """Share that met the goal; None for the goal `value`, which is not a matter of yes or no."""
        if self.terms.goal.kind == VALUE:
            return None
        return float(np.mean([one.met(self.terms.goal) for one in self.played]))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        columns = ("collected", "rounds", "cost", "score")
        found = {name: self.over(name) for name in columns}
        ends = {name: {"median": one.median, "lo": one.lo, "hi": one.hi} for name, one in found.items()}
        return {"policy": self.policy, "budget": self.terms.budget, "p_success": self.success, **ends}


def needed_cases(played: Sequence[Played], terms: Terms) -> Interval | None:
    """Cases that the goal truly needs, over the campaigns' curves; None where some never meet it."""
    needed = [one.truth.needed(terms.goal, terms.per_case) for one in played]
    if any(n is None for n in needed):
        return None
    return Interval.of(np.array(needed, dtype=float), terms.level)
