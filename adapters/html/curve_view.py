"""A curve as the page shows it: charts, what the slider reads, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...forecast.costs import Costs
from ...forecast.document import curve_document
from ...forecast.forecast import Forecast
from ...forecast.plain_words import answer_words, headline
from ...forecast.words import chance_words, level_words, size_words
from ..report_tables.columns import Table
from ..report_tables.curve import backtest_table, expected_table, families_table, observed_table, parameters_table
from ..report_tables.overview import KEY
from ..report_tables.remarks import notes_of, warnings_of
from .explorer import ROUND_SHARES, Chart, Point, chart_of, explorer_data, point_at, points_of

Document = Mapping[str, Any]


@dataclass(frozen=True)
class CurveView:
    """A curve that could be forecast."""

    id: str
    forecast: Forecast
    document: Document
    points: tuple[Point, ...]
    linear: Chart
    log: Chart
    costs: Costs
    decides: bool
    start: int
    """Number of cases that the slider begins at."""

    @property
    def name(self) -> str:
        """What it is of."""
        return self.forecast.curve.name

    @property
    def level(self) -> str:
        """Probability of its intervals."""
        return level_words(self.forecast.question.level)

    @property
    def headline(self) -> str:
        """What it means, in a few words."""
        return headline(self.forecast)

    @property
    def meaning(self) -> str | None:
        """How much more cases would bring, and how sure that is."""
        return answer_words(self.forecast)

    @property
    def warnings(self) -> list[str]:
        """What it must not be read without."""
        return [_sentence(words) for words in warnings_of(self.forecast)]

    @property
    def notes(self) -> list[str]:
        """What its numbers are of, and how they came about."""
        return [_sentence(words) for words in notes_of(self.forecast)]

    @property
    def target(self) -> str | None:
        """Cases for the score asked for."""
        found = self.forecast.n_for_target
        if found is None:
            return None
        mean = f"A mean {self.forecast.curve.metric} of {found.target:g}"
        return (
            f"{mean} takes {size_words(found.size)} cases ({self.level} interval); the chance that it is out of reach "
            f"is {chance_words(found.p_unreachable)}."
        )

    @property
    def key(self) -> dict[str, str]:
        """Arm, structure and so on."""
        return {name: str(self.document[name]) for name in KEY}

    @property
    def data(self) -> dict[str, Any]:
        """What the script of the page needs."""
        axes = {"linear": self.linear, "log": self.log}
        scales = {
            name: {
                "first": chart.x.first,
                "last": chart.x.last,
                "start": chart.x.start,
                "end": chart.x.end,
                "low": chart.y.first,
                "high": chart.y.last,
                "bottom": chart.y.start,
                "top": chart.y.end,
            }
            for name, chart in axes.items()
        }
        curve, costs = self.forecast.curve, self.costs
        return {
            "id": self.id,
            "key": self.key,
            "now": curve.n_annotated,
            "start": self.start,
            "horizon": self.forecast.horizon,
            "eps": self.forecast.question.eps,
            "target": self.forecast.question.target,
            "level": self.level,
            "metric": curve.metric,
            "cost": {"case": costs.per_case, "round": costs.of_round, "unit": costs.unit},
            "scales": scales,
            "points": explorer_data(self.points),
        }

    @property
    def summary(self) -> str:
        """What the chart shows, for those who cannot see it."""
        first, last = self.points[0], self.points[-1]
        return (
            f"Expected {self.forecast.curve.metric} of {self.name} by annotated cases: {first.mid:.3f} at {first.n}, "
            f"{last.mid:.3f} [{last.lo:.3f}, {last.hi:.3f}] at {last.n}. {self.forecast.verdict.reason}"
        )

    @property
    def tables(self) -> list[Table]:
        """The numbers behind the curve."""
        of = self.forecast
        found = [
            _expected(self),
            observed_table(of),
            parameters_table(of),
            families_table(of),
            backtest_table(of),
        ]
        return [one for one in found if one.rows]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def curve_view(number: int, forecast: Forecast, costs: Costs, decides: bool, batch: int) -> CurveView:
    """Draw a curve that has a posterior."""
    points, gain, now = points_of(forecast, batch), forecast.reachable_gain, forecast.curve.n_annotated
    most = 2 * now if gain is None else min(2 * now, gain.n_to)
    start = now + batch if batch else most
    return CurveView(
        id=f"curve-{number}",
        forecast=forecast,
        document=curve_document(forecast),
        points=tuple(points),
        linear=chart_of(forecast, points, log=False),
        log=chart_of(forecast, points, log=True),
        costs=costs,
        decides=decides,
        start=start,
    )


def cost_of(costs: Costs, more: int) -> float | None:
    """What annotating more cases in one round costs; None where that is not known."""
    return None if costs.per_case is None or more <= 0 else costs.per_case * more + costs.of_round


def point_rows(view: CurveView) -> Iterator[dict[str, Any]]:
    """Every number of cases that the slider stops at, as in the downloads."""
    return (_point_row(view, point) for point in view.points)


def _point_row(view: CurveView, point: Point) -> dict[str, Any]:
    gain = point.gain or (None, None, None)
    return {
        **view.key,
        "n": point.n,
        "median": point.mid,
        "lo": point.lo,
        "hi": point.hi,
        "next_run_lo": point.run_lo,
        "next_run_hi": point.run_hi,
        "gain": gain[0],
        "gain_lo": gain[1],
        "gain_hi": gain[2],
        "p_rise_below_eps": point.p_small,
        "cost": cost_of(view.costs, point.n - view.forecast.curve.n_annotated),
        "unit": view.costs.unit,
    }


def _expected(view: CurveView) -> Table:
    """A few numbers of cases, from now on, and those asked for; all of them with the slider."""
    forecast, now = view.forecast, view.forecast.curve.n_annotated
    wanted = {round(now * share) for share in ROUND_SHARES} | {view.start, forecast.horizon}
    if forecast.reachable_gain is not None:
        wanted.add(forecast.reachable_gain.n_to)
    asked = {one.n for one in forecast.at}
    rows = [row for row in point_rows(view) if row["n"] in wanted - asked]
    rows += [_point_row(view, point_at(forecast, n)) for n in asked]
    return expected_table(forecast, sorted(rows, key=lambda row: int(row["n"])), view.costs)
