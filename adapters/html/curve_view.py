"""A curve as the page shows it: charts, what the slider reads, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...forecast.costs import Costs
from ...forecast.document import curve_document
from ...forecast.forecast import Forecast
from ...forecast.plain_words import answer_words, headline
from ...forecast.words import amount_words, chance_words, level_words
from ..terminal.screen import score_words, size_words
from .explorer import ROUND_SHARES, Chart, Point, chart_of, explorer_data, point_at, points_of
from .tables import Column, Row, Table, chance, ends, score, table, text, whole

Document = Mapping[str, Any]
KEY = ("arm", "structure", "metric", "test_set", "stratum")
"""What curves are chosen by."""


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
    def target(self) -> str | None:
        """Cases for the score asked for."""
        found = self.forecast.n_for_target
        if found is None:
            return None
        median, ends_of = size_words(found.size)
        return (
            f"A mean {self.forecast.curve.metric} of {found.target:g} takes {median} cases {ends_of} ({self.level} "
            f"interval); the chance that it is out of reach is {chance_words(found.p_unreachable)}."
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
        found = [_expected(self), _observed(self), _parameters(self), _families(self), _backtest(self)]
        return [one for one in found if one.rows]


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
        "gain_median": gain[0],
        "gain_lo": gain[1],
        "gain_hi": gain[2],
        "p_gain_below_eps": point.p_small,
        "cost": cost_of(view.costs, point.n - view.forecast.curve.n_annotated),
        "unit": view.costs.unit,
    }


def _expected(view: CurveView) -> Table:
    """A few numbers of cases, from now on, and those asked for; all of them with the slider."""
    curve, level, forecast = view.forecast.curve, view.level, view.forecast
    now = curve.n_annotated
    wanted = {round(now * share) for share in ROUND_SHARES} | {view.start, forecast.horizon}
    if forecast.reachable_gain is not None:
        wanted.add(forecast.reachable_gain.n_to)
    asked = {one.n for one in forecast.at}
    rows = [row for row in point_rows(view) if row["n"] in wanted - asked]
    rows += [_point_row(view, point_at(forecast, n)) for n in asked]
    columns = [
        whole("cases", "n"),
        score(f"expected {curve.metric}", "median"),
        ends(f"{level} interval", "lo", "hi"),
        ends(f"{level} interval of the next run", "next_run_lo", "next_run_hi"),
        score("gain over now", "gain_median"),
        ends(f"{level} interval of it", "gain_lo", "gain_hi"),
        chance(f"P(rise ≤ {forecast.question.eps:g})", "p_gain_below_eps"),
    ]
    if view.costs.per_case is not None:
        columns.append(Column(f"cost, {view.costs.unit}", _cost_words))
    note = (
        "The interval of a gain includes how far real scores stray from any smooth curve; P(rise) is of the smooth "
        f"curve. Past {forecast.horizon} cases these pilots cannot tell."
    )
    return table("expected", "What to expect", sorted(rows, key=lambda row: int(row["n"])), columns, note)


def _cost_words(row: Row) -> str:
    return "-" if row["cost"] is None else amount_words(row["cost"])


def _observed(view: CurveView) -> Table:
    d, fit = view.document, view.forecast.fit
    empty: list[None] = [None] * len(d["sizes"])
    columns = zip(d["sizes"], d["observed"], d["draws"], d["draw_sd"] or empty, d["case_sd"] or empty, strict=True)
    rows = [
        {
            "n": n,
            "mean": mean,
            "draws": draws,
            "draw_sd": draw_sd,
            "case_sd": case_sd,
            "least_squares": None if fit is None else float(fit.score(n)),
        }
        for n, mean, draws, draw_sd, case_sd in columns
    ]
    shown = [
        whole("cases", "n"),
        whole("draws", "draws"),
        score(f"mean {d['metric']}", "mean"),
        score("SD over draws", "draw_sd"),
        score("SD over test cases", "case_sd"),
        score("least squares", "least_squares"),
    ]
    return table("observed", "Observed", rows, shown)


def _parameters(view: CurveView) -> Table:
    d, level = view.document, view.level
    fit, posterior = d["least_squares"], d["posterior"]
    names = {"DM": "ceiling DM", "D0": "score at no case D0", "k": "rate k per case"}
    rows = [
        {
            "parameter": words,
            "least_squares": None if fit is None else fit[name],
            "stderr": None if fit is None else fit["stderr"][name],
            **posterior[name],
        }
        for name, words in names.items()
    ]
    plateau, size = d["plateau"], d["plateau"]["n"]
    rows.append(
        {
            "parameter": f"plateau size n* (within {view.forecast.question.eps:g} of DM)",
            "least_squares": None if fit is None else fit["plateau_n"],
            "stderr": None,
            **size,
        }
    )
    rows.append(
        {
            "parameter": "score at n*",
            "least_squares": None if fit is None else fit["plateau_score"],
            "stderr": None,
            **plateau["score"],
        }
    )
    shown = [
        text("", "parameter"),
        Column("least squares ± SE", _with_error),
        Column("posterior median", lambda row: _parameter(row, "median")),
        Column(f"{level} interval", _parameter_ends),
    ]
    note = "> the horizon where a dash stands." if size["median"] is None else ""
    title = "The named model, exponential plateau D(n) = DM - (DM - D0) exp(-k n)"
    return table("exponential", title, rows, shown, note)


def _parameter(row: Row, key: str) -> str:
    """A score with three decimals, a rate with four digits, a size as a whole number."""
    value = row[key]
    if value is None:
        return "-"
    if "n* (" in row["parameter"]:
        return f"{value:,.0f}"
    return f"{value:.4g}" if "rate" in row["parameter"] else score_words(value)


def _parameter_ends(row: Row) -> str:
    return f"[{_parameter(row, 'lo')}, {'> ' * row.get('hi_censored', False)}{_parameter(row, 'hi')}]"


def _with_error(row: Row) -> str:
    error = "" if row["stderr"] is None else f" ± {_parameter(row, 'stderr')}"
    return _parameter(row, "least_squares") + error


def _families(view: CurveView) -> Table:
    level, last = view.level, view.document["n_max"]
    rows = [
        {
            "family": one["name"],
            "weight": one["weight"],
            **one["score_n_max"],
            "gain": one["reachable_gain"]["median"],
            "plateau_n": one["plateau_n"],
        }
        for one in view.document["families"]
    ]
    shown = [
        text("family", "family"),
        chance("weight", "weight"),
        score(f"score at {last}", "median"),
        ends(f"{level} interval", "lo", "hi"),
        score("gain there", "gain"),
        Column("n*", lambda row: _family_size(row, view.forecast.horizon)),
    ]
    return table("families", "Every family of curves alone", rows, shown)


def _family_size(row: Row, horizon: int) -> str:
    return f"> {horizon:,}" if row["plateau_n"] is None else f"{row['plateau_n']:,.0f}"


def _backtest(view: CurveView) -> Table:
    level = view.level
    rows = [
        {
            "up_to": max(one["from_sizes"]),
            "n": one["n"],
            **{name: one[name] for name in ("median", "lo", "hi", "observed", "held")},
        }
        for one in view.document["backtest"]
    ]
    shown = [
        whole("from sizes up to", "up_to"),
        whole("at", "n"),
        score("forecast", "median"),
        ends(f"{level} interval", "lo", "hi"),
        score("observed", "observed"),
        Column("interval", lambda row: "held" if row["held"] else "MISSED", number=False),
    ]
    return table("backtest", "Backtest: larger sizes forecast from smaller ones", rows, shown)
