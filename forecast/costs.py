"""What annotating costs, and what there is to spend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .errors import InputError

LEAST, MOST = 1e-9, 1e15
"""Smallest cost of a case and largest amount of anything, in whatever unit: sums and ratios of them stay finite."""
ROUND_SHARE = 0.05
"""What a round costs where nobody said: this share of annotating every case."""


@dataclass(frozen=True)
class Costs:
    """What a batch costs and what is left to spend, all in one unit (money or minutes)."""

    per_case: float | None = None
    """Annotating a case; None when unknown."""
    per_round: float | None = None
    """A round besides its cases: waiting, meetings, transfers; None when unknown."""
    per_run: float = 0.0
    """Computing one pilot run."""
    runs: int = 0
    """Pilot runs a round trains."""
    unit: str = "EUR"
    budget: float | None = None
    """Left to spend; None when there is no limit."""

    def __post_init__(self) -> None:
        """Refuse negative costs and a budget that nothing is charged to."""
        for name in ("per_case", "per_round", "per_run", "runs", "budget"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"cost {name} must be >= 0 and finite, found {value:g}.")
            if value is not None and value > MOST:
                raise InputError(f"cost {name} must be at most {MOST:g}, found {value:g}.")
        if self.per_case is not None and 0 < self.per_case < LEAST:
            raise InputError(f"cost per_case must be 0 or at least {LEAST:g}, found {self.per_case:g}.")
        if self.budget is not None and not self.per_case:
            raise InputError("a budget needs the cost of a case: give per_case > 0.")

    @property
    def of_round(self) -> float:
        """A round besides its cases, with its pilot runs."""
        return (self.per_round or 0.0) + self.per_run * self.runs

    def affordable(self) -> int | None:
        """Cases one more round can pay for; None when there is no limit."""
        if self.budget is None or not self.per_case:
            return None
        return max(0, int((self.budget - self.of_round) / self.per_case + 1e-9))

    def of(self, batch: int) -> dict[str, Any] | None:
        """Cost of annotating a batch in one round, and its parts."""
        if self.per_case is None:
            return None
        parts = {"cases": batch * self.per_case, "round": self.per_round or 0.0, "compute": self.per_run * self.runs}
        return {"amount": sum(parts.values()), "unit": self.unit, **parts}

    def weighed(self, n_max: int) -> tuple[float, float]:
        """Cost of a case and of a round for weighing one against the other.

        Where cases cost nothing or nobody knows, a case counts 1 and a round `ROUND_SHARE` of all cases.
        """
        if not self.per_case:
            return 1.0, ROUND_SHARE * n_max
        share = ROUND_SHARE * self.per_case * n_max if self.per_round is None else self.per_round
        return self.per_case, share + self.per_run * self.runs
