"""What is said of one curve with the LSTM: its forecast, what the average and the last value say, and all as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...forecast.curve import Curve
from ...forecast.document import interval_document
from ...forecast.forecast import horizon_of
from ...forecast.types import Interval
from .forecaster import NAME, LstmForecast
from .sequences import FEWEST_SIZES

TESTED = 8
"""How many times the largest trained size the benchmark reaches."""


@dataclass(frozen=True)
class Beside:
    """The average of families at one size."""

    expected: Interval
    mean: float


@dataclass(frozen=True)
class At:
    """One line of the answer."""

    n: int
    lstm: Interval
    mean: float
    """Of the LSTM's distribution."""
    gain: float
    """Its median less its median at the cases annotated now."""
    average: Beside
    within_horizon: bool
    within_tested: bool


@dataclass(frozen=True)
class LstmAnswer:
    """One curve; nothing was found where too few sizes were trained."""

    curve: Curve
    level: float
    found: LstmForecast | None = None
    """At the cases annotated now, then at the sizes asked for."""
    beside: tuple[Beside, ...] = ()
    """The average at the same sizes."""
    odd: str | None = None
    """How the curve falls beyond its noise; None where it does not."""

    @property
    def horizon(self) -> int:
        """Largest size the pilots can speak of."""
        return horizon_of(self.curve)

    @property
    def last_value(self) -> float:
        """The mean score at the largest trained size."""
        return float(self.curve.observed[-1])

    @property
    def reason(self) -> str:
        """Why nothing was found."""
        sizes = ", ".join(map(str, self.curve.sizes))
        return f"{len(self.curve.sizes)} size(s) trained ({sizes}); a forecast needs at least {FEWEST_SIZES}, better 5."

    @property
    def lines(self) -> tuple[At, ...]:
        """The cases annotated now, then the sizes asked for."""
        return tuple(self._lines())

    def _lines(self) -> Iterator[At]:
        if self.found is None:
            return
        now = self.found.interval(self.found.n[0], self.level).median
        for n, average in zip(self.found.n, self.beside, strict=True):
            interval = self.found.interval(n, self.level)
            tested = n <= TESTED * int(self.curve.sizes[-1])
            mean = self.found.mean(n)
            yield At(n, interval, mean, interval.median - now, average, n <= self.horizon, tested)

    @property
    def disagrees(self) -> bool:
        """Whether the LSTM's median lies outside the average's interval somewhere."""
        ends = [(one.lstm.median, one.average.expected) for one in self.lines]
        return any(not average.lo <= median <= average.hi for median, average in ends)

    def document(self) -> dict[str, Any]:
        """As JSON-ready values."""
        curve = self.curve
        names = ("arm", "structure", "metric", "test_set", "stratum", "protocol")
        now, *later = self.lines or (None,)
        return {
            **{name: getattr(curve, name) for name in names},
            "sizes": curve.sizes.tolist(),
            "observed": curve.observed.tolist(),
            "draws": curve.draws.tolist(),
            "draw_sd": curve.draw_sd,
            "n_test": curve.n_test,
            "n_left_out": curve.n_left_out,
            "n_annotated": curve.n_annotated,
            "horizon": self.horizon,
            "last_value": self.last_value,
            "now": None if now is None else _line_document(now),
            "at": [_line_document(one) for one in later],
            "verdict": self._verdict(),
        }

    def _verdict(self) -> dict[str, str] | None:
        if self.found is None:
            return {"code": "too_few_sizes", "reason": self.reason}
        return None if self.odd is None else {"code": "ill_behaved", "reason": self.odd}


def _line_document(one: At) -> dict[str, Any]:
    return {
        "n": one.n,
        "model": NAME,
        "mean": one.mean,
        **interval_document(one.lstm),
        "gain": one.gain,
        "within_horizon": one.within_horizon,
        "within_tested": one.within_tested,
        "average": {"mean": one.average.mean, **interval_document(one.average.expected)},
    }
