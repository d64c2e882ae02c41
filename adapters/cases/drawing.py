"""Drawing the slices of a case as a PNG (matplotlib, imported only when one is drawn).

Contours, not fills, so that the image below is seen. The strip is dark on every page, as viewers of images are.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...forecast.types import BoolArray, FloatArray
from .views import Frame, View

REFERENCE, PREDICTION = "#FFA319", "#4FC3FF"
"""Orange and sky blue (after Okabe and Ito): told apart by colour-blind readers, light enough on dark tissue."""
GROUND, INK = "#101418", "#E8E8E8"
DPI, PANEL, GAP, HEAD, FOOT = 200, 244, 10, 34, 44
"""Pixels; the strip is meant to be shown at half its size."""
SINGLE, LONGEST_BAR = 480, 70
"""Pixels: the panel of a flat image, the scale bar."""
GREYS, BLENDS = 56, 20
"""Of the palette: about what the eye tells apart beside each other, for half the bytes."""
FINER = 4
"""Parts of a voxel's edge in a contour: corners are cut off by half of one."""
BARS = tuple(lead * 10.0**power for power in range(-3, 4) for lead in (1, 2, 5))


def draw_case(views: Sequence[View], frame: Frame, ends: tuple[float, float], *, measured: bool) -> bytes:
    """The slices of a case side by side.

    Args:
        views: One or three slices.
        frame: The part that is shown, the same scale in all.
        ends: Grey values drawn black and white.
        measured: Whether the image has a physical size: else there is no scale bar.

    Returns:
        A PNG, the same bytes for the same input.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    panel, head = (PANEL, HEAD) if len(views) > 1 else (SINGLE, GAP)
    width, height = len(views) * (panel + GAP) + GAP, head + panel + FOOT
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=GROUND)
        for number, view in enumerate(views):
            place = (GAP + number * (panel + GAP)) / width, FOOT / height, panel / width, panel / height
            axes = figure.add_axes(place, facecolor="black")
            _draw_view(axes, view, frame, ends)
            if len(views) > 1:
                axes.set_title(view.plane.name, color=INK, fontsize=6.5, pad=3)
        _draw_legend(figure, panel / frame.side if measured else None, width, height)
        return _png(figure, colours=views[0].image.ndim == 3)


def _draw_view(axes: Any, view: View, frame: Frame, ends: tuple[float, float]) -> None:
    half = frame.side / 2
    image = view.image / 255 if view.image.ndim == 3 else view.image
    axes.imshow(image, cmap="gray", vmin=ends[0], vmax=ends[1], extent=view.extent, interpolation="bilinear")
    axes.set(xlim=(-half, half), ylim=(half, -half), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="#3A424A", linewidth=0.5)
    contours = [contours_of(mask, view.extent) for mask in (view.reference, view.predicted)]
    for found in contours:
        for line in found:
            axes.plot(*line.T, color="black", linewidth=1.7, alpha=0.55, solid_joinstyle="round")
    for found, style in zip(contours, (_reference_style(), _prediction_style()), strict=True):
        for line in found:
            axes.plot(*line.T, **style)
    for letter, x, y in zip(view.plane.edges, (0.035, 0.965, 0.5, 0.5), (0.5, 0.5, 0.955, 0.045), strict=False):
        _write(axes, x, y, letter)
    _draw_cuts(axes, view, half)


def _reference_style() -> dict[str, Any]:
    return {"color": REFERENCE, "linewidth": 0.9, "solid_joinstyle": "round"}


def _prediction_style() -> dict[str, Any]:
    return {"color": PREDICTION, "linewidth": 0.9, "linestyle": (0, (2.6, 1.8)), "dash_capstyle": "butt"}


def _write(axes: Any, x: float, y: float, letter: str) -> None:
    from matplotlib.patheffects import withStroke

    text = axes.text(x, y, letter, transform=axes.transAxes, color=INK, fontsize=6, ha="center", va="center")
    text.set_path_effects([withStroke(linewidth=1.2, foreground="black")])


def _draw_cuts(axes: Any, view: View, half: float) -> None:
    """Short marks at the edges where the other two planes cut this one."""
    if not view.plane.edges:
        return
    length = 0.05 * half
    for end in (-1, 1):
        edge = end * half
        style = {"color": INK, "linewidth": 0.6, "alpha": 0.8}
        axes.plot([view.cuts[0]] * 2, [edge, edge - end * length], **style)
        axes.plot([edge, edge - end * length], [view.cuts[1]] * 2, **style)


def contours_of(mask: BoolArray, extent: tuple[float, float, float, float]) -> list[FloatArray]:
    """The outlines of a mask as it is drawn, along the edges of its voxels.

    Args:
        mask: Shape [rows, columns]; where the slice ends it is closed.
        extent: Left, right, bottom and top edge, mm.

    Returns:
        Lines, shape [points, 2], to the right and down, mm.
    """
    from contourpy import contour_generator

    if not mask.any():
        return []
    left, right, bottom, top = extent
    mask = mask.repeat(FINER, axis=0).repeat(FINER, axis=1)
    rows, columns = mask.shape
    x = left + (np.arange(-1, columns + 1) + 0.5) * (right - left) / columns
    y = top + (np.arange(-1, rows + 1) + 0.5) * (bottom - top) / rows
    lines: Any = contour_generator(x, y, np.pad(mask, 1).astype(float)).lines(0.5)
    return list(lines)


def _draw_legend(figure: Any, per_mm: float | None, width: int, height: int) -> None:
    """What the lines are, and how long a piece of the picture is."""
    from matplotlib.lines import Line2D

    middle, x = FOOT / 2 / height, float(GAP)
    for words, style in (("reference", _reference_style()), ("prediction", _prediction_style())):
        style = {**style, "linewidth": 1.3}
        figure.add_artist(Line2D([x / width, (x + 40) / width], [middle] * 2, **style))
        figure.text((x + 48) / width, middle, words, color=INK, fontsize=6.5, va="center_baseline")
        x += 160
    if per_mm is not None:
        length = scale_bar(LONGEST_BAR / per_mm)
        end, start = width - GAP, width - GAP - length * per_mm
        ticks = [(start, start), (start, end), (end, end)]
        for (a, b), (low, high) in zip(ticks, ((-5, 5), (0, 0), (-5, 5)), strict=True):
            ys = [middle + low / height, middle + high / height]
            figure.add_artist(Line2D([a / width, b / width], ys, color=INK, linewidth=0.8))
        figure.text(
            (start - 8) / width, middle, f"{length:g} mm", color=INK, fontsize=6.5, va="center_baseline", ha="right"
        )


def scale_bar(longest: float) -> float:
    """A round length of at most `longest`, mm."""
    return max((bar for bar in BARS if bar <= longest), default=longest)


def _png(figure: Any, colours: bool) -> bytes:
    """The figure with a small palette: greys and the contours' colours, and those of the image where it has any."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    entries = _palette()
    if colours:
        entries += pixels.quantize(256 - len(entries) // 3, dither=Image.Dither.NONE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(entries)
    stream = io.BytesIO()
    pixels.quantize(palette=palette, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _palette() -> list[int]:
    """Red, green and blue of every entry: greys, the ground, and each contour colour from black to itself and on."""
    from matplotlib.colors import to_rgb

    greys = np.repeat(np.linspace(0, 1, GREYS)[:, None], 3, axis=1)
    shares = np.linspace(0, 1, BLENDS)[1:, None]
    lines = [np.array(to_rgb(colour)) for colour in (REFERENCE, PREDICTION)]
    ramps = [part for line in lines for part in (shares * line, line + shares[: BLENDS // 2] * (1 - line))]
    entries = np.concatenate([greys, [to_rgb(GROUND)], *ramps])
    return [int(value) for value in np.round(255 * entries).ravel()]


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, pixels."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
