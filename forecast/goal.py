"""What a campaign is after: the plateau, a target score, or as much as a score point is worth."""

from __future__ import annotations

from dataclasses import dataclass

from .costs import MOST
from .errors import InputError

PLATEAU, TARGET, VALUE = "plateau", "target", "value"


@dataclass(frozen=True)
class Goal:
    """When enough cases are annotated."""

    kind: str = PLATEAU
    """`plateau`: within a tolerance of what every case gives; `target`: a score; `value`: what a point is worth."""
    amount: float = 0.01
    """Tolerance in score units, target score, or value of one point (0.01) of score in the unit of the costs."""

    def __post_init__(self) -> None:
        """Refuse an impossible goal."""
        if self.kind not in (PLATEAU, TARGET, VALUE):
            raise InputError(f"unknown goal {self.kind!r}: there is {PLATEAU}, {TARGET} and {VALUE}.")
        if self.kind == VALUE and not 0 < self.amount < float("inf"):
            raise InputError(f"the value of a score point must be > 0 and finite, found {self.amount:g}.")
        if self.kind == VALUE and self.amount > MOST:
            raise InputError(f"the value of a score point must be at most {MOST:g}, found {self.amount:g}.")
        if self.kind == PLATEAU and not 0 < self.amount < 1:
            raise InputError(f"the tolerance of the plateau must lie between 0 and 1, found {self.amount:g}.")
        if self.kind == TARGET and not 0 < self.amount <= 1:
            raise InputError(f"the target score must lie in (0, 1], found {self.amount:g}.")

    def words(self, n_max: int) -> str:
        """What reaching the goal means."""
        if self.kind == PLATEAU:
            return f"be within {self.amount:g} of what {n_max} cases give"
        if self.kind == TARGET:
            return f"reach {self.amount:g}"
        return f"have what pays at {self.amount:g} a score point"
