"""When a forecast has stood still from round to round."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import InputError


@dataclass(frozen=True)
class Tolerances:
    """When a forecast has stood still from round to round, and is narrow."""

    rounds: int = 3
    """Rounds over which a forecast must hold still."""
    ceiling_move: float = 1.0
    """Largest movement of DM from one round to the next, in units of eps."""
    gain_move: float = 1.0
    """Largest movement of the reachable gain, in units of eps."""
    size_move: float = 0.25
    """Largest relative movement of the plateau size."""
    gain_width: float = 2.0
    """Widest interval of the reachable gain, in units of eps."""

    def __post_init__(self) -> None:
        """Refuse what nothing or everything would pass."""
        if self.rounds < 2:
            raise InputError(f"stability needs at least 2 rounds to compare, found rounds = {self.rounds}.")
        for name in ("ceiling_move", "gain_move", "size_move", "gain_width"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be > 0 and finite, found {getattr(self, name):g}.")
