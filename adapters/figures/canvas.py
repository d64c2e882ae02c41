"""What all figures share: colours, sizes, names that fit, legends out of the way, files that are always the same."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from ...forecast.errors import InputError
from ..files import write_with

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Style = dict[str, Any]
"""Options of a line or marker by name."""
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "0.35"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Okabe and Ito's colours, told apart by colour-blind readers (Wong 2011, Nat Methods 8:441)."""
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")
"""More than there are colours, so that the eighth arm differs from the first in both."""
LINES = ("-", "--", "-.", ":")
BAND: Style = {"color": BLUE, "alpha": 0.2, "linewidth": 0}
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")
"""For print without colour."""
WIDTH, SMALL = 6.4, 8
"""Width of a column, inches, and the smallest letters, points."""
ENDINGS = ("svg", "png", "pdf")
LONGEST = 50
"""Characters of a name in a file name."""
CASES = "annotated cases (training + validation)"


def new_figure(height: float = 4.2, width: float = WIDTH) -> Figure:
    """An empty white figure that pyplot does not know.

    Args:
        height: Inches.
        width: Inches; by default a column's.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def axes_or_new(axes: Axes | None, height: float = 4.2) -> Axes:
    """The axes given, or those of a new figure that a notebook shows.

    Raises:
        InputError: Something that is not one Axes was given.
    """
    if axes is None:
        found: Axes = axes_grid(None, 1, 1, height)[0, 0]
        return found
    if not _is_axes(axes):
        raise InputError(
            f"axes must be one matplotlib Axes, found {_kind(axes)}. Of several, as subplots gives them, pass one."
        )
    return axes


def axes_grid(axes: Any, rows: int, columns: int, height: float, **shared: Any) -> Any:
    """The axes given as an array [rows, columns], or those of a new figure that a notebook shows.

    Raises:
        InputError: Another number of axes, or something else, was given.
    """
    if axes is None:
        from matplotlib import pyplot

        size = (WIDTH, height)
        return pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **shared)[1]
    given = np.asarray(axes, dtype=object)
    if given.size != rows * columns:
        raise InputError(f"this figure needs {rows * columns} axes ({rows} by {columns}), found {given.size}.")
    other = next((one for one in given.ravel() if not _is_axes(one)), None)
    if other is not None:
        raise InputError(f"this figure needs {rows * columns} matplotlib Axes, found {_kind(other)} among them.")
    return given.reshape(rows, columns)


def _is_axes(given: object) -> bool:
    from matplotlib.axes import Axes

    return isinstance(given, Axes)


def _kind(given: object) -> str:
    """What was given in place of axes."""
    if isinstance(given, np.ndarray):
        return f"an array of shape {given.shape}"
    of = f" of {len(given)}" if isinstance(given, list | tuple) else ""
    return f"something of type {type(given).__name__}{of}"


def legend(*drawn: Axes) -> None:
    """Explain what is drawn: once below axes that have a figure with room for it to themselves, else inside."""
    figure: Any = drawn[0].get_figure()
    if _room_below(figure, drawn):
        _legend_below(figure, drawn)
    else:
        for axes in drawn:
            if axes.get_legend_handles_labels()[1]:
                axes.legend(fontsize=SMALL, loc="best")
    plain_text(*drawn, *figure.legends)


def _room_below(figure: Any, drawn: Sequence[Axes]) -> bool:
    """Whether the layout makes room for a legend, and no other axes would wonder whose it is."""
    return len(figure.axes) == len(drawn) and type(figure.get_layout_engine()).__name__ == "ConstrainedLayoutEngine"


def _legend_below(figure: Any, drawn: Sequence[Axes]) -> None:
    """Each entry once, in as many columns as fit."""
    entries: dict[str, Any] = {}
    for axes in drawn:
        for handle, words in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(words, handle)
    if entries:
        longest = max(len(words) for words in entries)
        columns = 3 if longest <= 24 else 2 if longest <= 42 else 1
        figure.legend(entries.values(), entries.keys(), fontsize=SMALL, loc="outside lower center", ncols=columns)


def plain_text(*drawn: Any) -> None:
    """Take a `$` in a name for what it is, not for mathematics, in what was drawn here."""
    from matplotlib.text import Text

    for text in (text for artist in drawn for text in artist.findobj(Text)):
        if "$" in text.get_text():
            text.set_parse_math(False)


def label(words: str, longest: int = 60) -> str:
    """A name given by the user as it fits into a figure: its beginning and its end."""
    if len(words) <= longest:
        return words
    end = longest // 4
    return f"{words[: longest - end - 5].rstrip()} ... {words[-end:].lstrip()}"


def labels(names: Sequence[str], longest: int = 60) -> list[str]:
    """Several names as they fit into a figure, none like another: from where they differ on, or numbered."""
    found = [label(name, longest) for name in names]
    if len(set(found)) < len(found):
        start = len(list(takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))))
        lead = names[0][: min(start, longest // 4)].rstrip() if longest >= 30 else ""
        found = [label(f"{lead} ... {name[start:].lstrip()}".lstrip(), longest) for name in names]
    if len(set(found)) < len(found):
        found = [label(f"{number}: {name}", longest) for number, name in enumerate(names, 1)]
    return found


def title(words: str) -> str:
    """A title in lines that fit into a column."""
    return fill(label(words, 140), 72)


def whole_numbers(axis: Any) -> None:
    """Ticks of a logarithmic axis as whole numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def over_words(counts: set[int | None]) -> str:
    """What a score is a mean over, where all curves drawn have as many test cases."""
    known = counts.pop() if len(counts) == 1 else None
    return "mean over the test set" if known is None else f"mean over {cases_words(known)}"


def cases_words(count: int) -> str:
    """A number of test cases."""
    return f"{count} test case" if count == 1 else f"{count} test cases"


def file_name(words: str) -> str:
    """A name of a curve as a file name; strata that differ by their sign only stay apart, long names by a checksum."""
    told = words.replace("<=", "up to").replace(">", "over")
    name = re.sub(r"[^\w.-]+", "-", told).strip("-")
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{crc32(name.encode()):08x}"


def unused(name: str, written: Sequence[Path]) -> str:
    """The name, with a number where another curve's letters are the same ones in a file name."""
    taken, number = {path.stem for path in written}, 1
    while (found := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return found


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write a figure beside `path` as SVG, PNG and PDF, the same bytes for the same figure.

    Args:
        figure: Its layout is fixed from then on.
        path: Without ending; its folder is made if it does not exist.

    Returns:
        The files written.

    Raises:
        StorageError: The disk is full or the folder cannot be written; the old files are still there.
    """
    plain_text(figure)
    written = [path.with_name(f"{path.name}.{ending}") for ending in ENDINGS]
    _fix_layout(figure)
    for target, ending in zip(written, ENDINGS, strict=True):
        write_with(target, partial(_save, figure, ending))
    return written


def _fix_layout(figure: Figure) -> None:
    """Lay it out once for all files: that takes longer than drawing."""
    if figure.get_layout_engine() is not None:
        with _quiet():
            figure.draw_without_rendering()
        figure.set_layout_engine("none")


@contextmanager
def _quiet() -> Iterator[None]:
    """Letters that the font lacks are shown as boxes, without a word."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def picture_bytes(figure: Figure, ending: str) -> bytes:
    """A figure as the bytes of a file.

    Args:
        figure: Not changed but for the `$` in its words.
        ending: `svg`, `png` or `pdf`.
    """
    target = BytesIO()
    _save(figure, ending, target)
    return target.getvalue()


def _save(figure: Figure, ending: str, target: Any) -> None:
    import matplotlib

    plain_text(figure)
    dates: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    options = {"svg.hashsalt": "dicecast", "pdf.fonttype": 42}
    with matplotlib.rc_context(options), _quiet():  # type: ignore[arg-type]
        figure.savefig(target, format=ending, dpi=150, metadata=dates.get(ending))
