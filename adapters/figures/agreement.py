"""Every figure of a run's agreement: volumes, the histogram of Dice, Dice by volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ...forecast.run_agreement import RunAgreement
from .canvas import file_name, new_figure, save_figure, title
from .distribution import plot_histogram, plot_size_boxes
from .volumes import plot_bland_altman, plot_dice_by_volume, plot_regression

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run_name(found: RunAgreement) -> list[str]:
    """Arm and structure of a run, and what else is not the default."""
    extra = [value for value, usual in ((found.test_set, "test"), (found.stratum, "all")) if value != usual]
    return [found.arm, found.structure, *extra]


def agreement_figures_of(found: RunAgreement) -> Iterator[tuple[str, Figure]]:
    """Every figure that there are data for, with its kind."""
    words = f"{' / '.join(run_name(found))}, {found.n} annotated cases"
    for kind, limits in (("ml", found.bland_altman), ("percent", found.bland_altman_percent)):
        if limits is not None and limits.n:
            yield f"bland-altman-{kind}", _drawn(partial(plot_bland_altman, limits), words, 4.2)
    if found.regression is not None and found.regression.n:
        yield "volumes", _drawn(partial(plot_regression, found.regression), words, 5.8)
    if any(one.metric == "dice" and one.n for one in found.metrics):
        yield "dice", _drawn(partial(plot_histogram, found, "dice"), words, 4.0)
    if found.dice_by_volume is not None and found.dice_by_volume.n:
        yield "dice-by-volume", _drawn(partial(plot_dice_by_volume, found), words, 4.8)


def write_agreement_figures(found: RunAgreement, folder: Path) -> list[Path]:
    """Write what a run can show as SVG, PNG and PDF.

    Args:
        found: What there is no data for is not drawn.
        folder: Made if it does not exist.

    Returns:
        The files written.
    """
    name = file_name(f"{'-'.join(run_name(found))}-n{found.n}")
    return [
        path for kind, figure in agreement_figures_of(found) for path in save_figure(figure, folder / f"{name}-{kind}")
    ]


def write_size_boxes(tables: Mapping[str, pd.DataFrame], metric: str, path: Path, words: str) -> list[Path]:
    """Write box plots of a metric by size as SVG, PNG and PDF.

    Args:
        tables: Per arm its scores by test case and size.
        metric: Named on the axis.
        path: Without ending.
        words: Above the figure.

    Returns:
        The files written.
    """
    figure = _drawn(partial(plot_size_boxes, tables, metric), words, 4.2 + 0.1 * len(tables))
    return save_figure(figure, path)


def _drawn(draw: Callable[[Any], Any], words: str, height: float) -> Figure:
    figure = new_figure(height)
    draw(figure.subplots()).set_title(title(words), fontsize="medium")
    return figure
