"""A learning curve drawn in characters."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from ...forecast.forecast import Forecast
from ...forecast.types import FloatArray, probabilities_of
from ...forecast.words import level_words

BAND, MEDIAN, DRAW, MEAN, NOW = "░", "─", "·", "●", "┊"


def curve_plot(forecast: Forecast, width: int = 72, height: int = 14) -> Text:
    """Observed scores, the posterior median and band, and a mark at the annotated cases.

    Args:
        forecast: With a posterior.
        width: Columns, axis labels included.
        height: Rows, without the size axis.
    """
    assert forecast.expected is not None
    curve, level = forecast.curve, forecast.question.level
    columns = max(width - 8, 20)
    last = _last_size(forecast)
    sizes = np.linspace(0, last, columns)
    lo, mid, hi = _band(forecast, sizes, level)
    first = int(np.searchsorted(sizes, 0.6 * curve.sizes[0]))
    bottom = min(curve.y.min(), mid[first])
    top = max(curve.y.max(), hi[-1], mid[-1])
    pad = max(0.06 * (top - bottom), 0.01)
    bottom, top = max(bottom - pad, 0.0), min(top + pad, 1.0)

    def row(score: float) -> int:
        return round(float((top - score) / (top - bottom) * (height - 1)))

    cells = [[(" ", "")] * columns for _ in range(height)]
    for x in range(columns):
        for y in range(max(row(hi[x]), 0), min(row(lo[x]), height - 1) + 1):
            cells[y][x] = (BAND, "cyan")
        if 0 <= row(mid[x]) < height:
            cells[row(mid[x])][x] = (MEDIAN, "bold cyan")
    now = round(curve.n_annotated / last * (columns - 1))
    for y in range(height):
        if cells[y][now][0] == " ":
            cells[y][now] = (NOW, "dim")
    for marks, symbol, style in (
        (zip(curve.n, curve.y, strict=True), DRAW, "magenta"),
        (zip(curve.sizes, curve.observed, strict=True), MEAN, "bold magenta"),
    ):
        for n, score in marks:
            cells[min(max(row(score), 0), height - 1)][round(n / last * (columns - 1))] = (symbol, style)
    return _assemble(cells, top, bottom, last, curve.metric, level)


def _last_size(forecast: Forecast) -> float:
    """Right end of the axis: past the plateau if that is near, never past the horizon."""
    largest = float(forecast.curve.sizes[-1])
    median = forecast.plateau.size.median if forecast.plateau else None
    wanted = max(1.3 * largest, 1.2 * (median or 0), 1.1 * forecast.curve.n_annotated)
    return max(min(wanted, float(forecast.horizon)), forecast.curve.n_annotated)


def _band(forecast: Forecast, sizes: FloatArray, level: float) -> FloatArray:
    assert forecast.expected is not None
    scores = forecast.expected.scores(np.maximum(sizes, 1))
    return np.asarray(np.quantile(scores, probabilities_of(level), axis=1))


def _assemble(
    cells: list[list[tuple[str, str]]], top: float, bottom: float, last: float, metric: str, level: float
) -> Text:
    height, columns = len(cells), len(cells[0])
    text = Text(no_wrap=True)
    for y, line in enumerate(cells):
        labelled = y % 3 == 0 or y == height - 1
        score = top - (top - bottom) * y / (height - 1)
        text.append(f"{score:6.3f} ┤" if labelled else "       │", "dim")
        for symbol, style in line:
            text.append(symbol, style)
        text.append("\n")
    text.append("       └" + "─" * columns + "\n", "dim")
    ticks = [" "] * (columns + 8)
    for share in (0, 0.25, 0.5, 0.75, 1):
        label = f"{last * share:.0f}"
        start = min(8 + round(share * (columns - 1)), columns + 8 - len(label))
        ticks[start : start + len(label)] = label
    text.append("".join(ticks).rstrip() + " cases\n", "dim")
    band = f"its {level_words(level)} interval"
    legend = f"{MEAN} mean {metric}  {DRAW} one draw  {MEDIAN} curve, median  {BAND} {band}  {NOW} now"
    text.append(" " * 7 + legend, "dim")
    return text
