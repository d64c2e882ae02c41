"""Figures of a forecast (matplotlib, imported only when one is drawn)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..forecast.forecast import Forecast
from .files import write_with


def write_figures(forecasts: Sequence[Forecast], folder: Path) -> list[Path]:
    """Draw every curve that could be forecast as an SVG and a PNG.

    Args:
        forecasts: Curves without a posterior are skipped.
        folder: Made if it does not exist.

    Returns:
        The files written.
    """
    from matplotlib.figure import Figure

    written = []
    for forecast in forecasts:
        if forecast.posterior is None:
            continue
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        _draw(figure.subplots(), forecast)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", forecast.curve.name).strip("-")
        for ending in ("svg", "png"):
            path = folder / f"{name}.{ending}"
            write_with(path, lambda target, f=figure: f.savefig(target, dpi=150))  # type: ignore[misc]
            written.append(path)
    return written


def _draw(axes: Any, forecast: Forecast) -> None:
    curve, expected, level = forecast.curve, forecast.expected, forecast.question.level
    assert (
        expected is not None
        and forecast.posterior is not None
        and forecast.fit is not None
        and forecast.plateau is not None
    )
    last = min(forecast.horizon, max(2 * int(curve.sizes[-1]), int(1.3 * (forecast.plateau.size.median or 0))))
    sizes = np.linspace(1, last, 300)
    lo, middle, hi = np.quantile(expected.scores(sizes), [(1 - level) / 2, 0.5, (1 + level) / 2], axis=1)
    named = np.median(forecast.posterior.scores(sizes), axis=1)
    axes.fill_between(
        sizes, lo, hi, color="#4C78A8", alpha=0.25, linewidth=0, label=f"{level:.0%} interval of the curve"
    )
    axes.plot(sizes, middle, color="#4C78A8", label=f"forecast ({forecast.question.model}), median")
    axes.plot(sizes, named, color="#E45756", linestyle="-.", linewidth=1, label="exponential plateau, posterior median")
    axes.plot(
        sizes,
        forecast.fit.score(sizes),
        color="#54A24B",
        linestyle="--",
        linewidth=1,
        label="exponential plateau, least squares",
    )
    axes.plot(curve.n, curve.y, ".", color="#F58518", alpha=0.6, label="one draw")
    axes.plot(curve.sizes, curve.observed, "o", color="#F58518", markeredgecolor="black", label="mean over draws")
    axes.axvline(curve.n_annotated, color="0.5", linestyle=":", label=f"annotated now ({curve.n_annotated})")
    size = forecast.plateau.size
    if size.median is not None:
        axes.plot([size.lo, size.hi], [forecast.plateau.score.median] * 2, color="#B279A2", linewidth=3, alpha=0.7)
        axes.plot(
            size.median, forecast.plateau.score.median, "D", color="#B279A2", label=f"plateau n* = {size.median:.0f}"
        )
    span = max(curve.y.max() - curve.y.min(), 0.02)
    axes.set_ylim(max(0.0, curve.y.min() - 0.35 * span), min(1.0, max(curve.y.max(), float(hi[-1])) + 0.2 * span))
    axes.set_xlim(0, last)
    axes.set_xlabel("annotated cases (training + validation)")
    axes.set_ylabel(f"{curve.metric}, mean over the test set")
    axes.set_title(curve.name)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")
