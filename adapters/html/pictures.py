"""Figures and pictures of cases inside the page, each with a text for those who cannot see it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ...forecast.comparison import Comparison
from ...forecast.errors import InputError
from ..agreement import Agreement
from ..answer import Answer, Step
from ..cases.pictures import CasePicture, case_pictures
from ..figures.agreement import agreement_figures_of
from ..figures.canvas import picture_bytes
from ..figures.comparison import comparison_figures_of
from ..figures.write import Pictured, curve_figures
from ..pseudonyms import renamed

KINDS = {
    "": "Learning curve with its interval, observed draws and the plateau",
    "posterior": "Posterior of the exponential plateau: ceiling, start, rate and plateau size",
    "rounds": "How the forecast moved from round to round",
    "dropped": "The forecast without its largest sizes",
    "cost": "Expected score against the cost of annotating from now on",
    "promises": "What was promised for every batch, and what was observed",
    "bland-altman-ml": "Bland-Altman plot of volumes in mL",
    "bland-altman-percent": "Bland-Altman plot of volumes in percent",
    "volumes": "Predicted against reference volumes",
    "dice": "Histogram of the scores of the test cases",
    "dice-by-volume": "Scores by volume of the reference",
}
"""What a figure shows, by the ending of its file name."""
MOST = 6
"""Arms and structures of which agreement is drawn."""
ROOM = 900_000
"""Bytes of pictures of cases from which no further arm and structure gets any."""
COLOURS = 128
"""Of a figure inside the page."""


@dataclass(frozen=True)
class Picture:
    """An image inside the page."""

    alt: str
    caption: str
    uri: str
    width: int | None = None
    """Pixels it is shown in; by default the column's."""


def curve_pictures(one: Pictured, wanted: Sequence[str]) -> list[Picture]:
    """Figures of a curve, of the kinds wanted."""
    name = one.forecast.curve.name
    return [_figure(figure, KINDS[kind], name) for kind, figure in curve_figures(one, wanted)]


def comparison_pictures(one: Comparison, pairs: int) -> list[Picture]:
    """Arms of one structure against each other, and the first of their pairs; nothing without any pair."""
    return [
        _figure(figure, words, one.title)
        for _, words, figure in islice(comparison_figures_of(one), pairs + 1 if pairs else 0)
    ]


def agreement_pictures(found: Sequence[Agreement]) -> Iterator[tuple[str, list[Picture]]]:
    """Case by case, for every arm and structure that has volumes or scores of cases."""
    for one in found[:MOST]:
        figures = [(kind, figure) for kind, figure in agreement_figures_of(one.run) if kind != "bland-altman-percent"]
        if figures:
            yield one.name, [_figure(figure, KINDS.get(kind, kind), one.name) for kind, figure in figures]


@dataclass(frozen=True)
class Cases:
    """Pictures of test cases."""

    pictures: dict[str, list[CasePicture]] = field(default_factory=dict)
    """By arm and structure."""
    notes: list[str] = field(default_factory=list)
    """What could not be drawn, and why."""
    left_out: list[str] = field(default_factory=list)
    """Arms and structures of which none is drawn, to keep the page small."""


def pictures_of(answer: Answer, step: Step) -> Cases:
    """Best, median, worst and missed test cases of every arm and structure that has a part in the decision.

    Args:
        answer: Of a study; other sources have no images.
        step: Is told what is being worked on.
    """
    study, found, names = answer.source.study, Cases(), answer.names
    if study is None:
        return found

    def notice(words: str) -> None:
        found.notes.append(renamed(words, names))

    for curve in (forecast.curve for forecast in answer.forecasts):
        name = f"{curve.arm} / {curve.structure}"
        if name in found.pictures:
            continue
        if _size(found) > ROOM:
            found.left_out.append(name)
            continue
        step(f"drawing cases of {name}")
        try:
            drawn = case_pictures(study, arm=curve.arm, structure=curve.structure, names=names, notice=notice)
        except InputError as error:
            notice(f"No pictures of cases of {name}: {error}")
            continue
        found.pictures[name] = drawn
    if found.left_out:
        found.notes.append(f"No pictures of cases, to keep the page small: {', '.join(found.left_out)}.")
    return found


def _size(found: Cases) -> int:
    """Bytes of all pictures."""
    return sum(len(one.png) for drawn in found.pictures.values() for one in drawn)


def case_picture(one: CasePicture) -> Picture:
    """A picture of a case inside the page."""
    return Picture(one.alt, one.caption, _uri(one.png), one.size[0] // 2)


def _figure(figure: Any, words: str, name: str) -> Picture:
    """A figure in few colours, which makes it a third of the size."""
    return Picture(f"{words}: {name}.", f"{words}.", _uri(_few_colours(picture_bytes(figure, "png"))))


def _few_colours(png: bytes) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(stream, "png", optimize=True)
    return stream.getvalue()


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
