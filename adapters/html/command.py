"""`dicecast report`: from text arguments to a page, figures and a document."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ... import __version__
from ...forecast.comparison_json import comparison_document
from ...forecast.document import forecast_document
from ...forecast.errors import InputError
from ..agreement import write_figures_of
from ..answer import Answer, Step, answer_of_round, answer_of_source
from ..cases.pictures import write_case_pictures
from ..conclusion import Asked, Round
from ..figures.comparison import write_comparison_figures
from ..figures.write import write_figures
from ..files import write_text
from ..pseudonyms import anonymised, cases_of, check_key, keep_key, pseudonyms, refuse_revealing
from ..sources import Wishes, read_source
from ..terminal.screen import DOUBT
from .page import GENERATOR, pictured, render
from .pictures import Cases, pictures_of

MARK = f'<meta name="generator" content="{GENERATOR}">'
"""What every page holds near its beginning."""
BEGINNING = 5000
"""Characters that is looked for in."""


@dataclass(frozen=True)
class PageOptions:
    """Where the page goes and what is in it."""

    output: Path
    title: str | None = None
    cases: bool = True
    """Pictures of test cases."""
    figures: Path | None = None
    """Folder for the figures, by themselves."""
    key: Path | None = None
    """Where pseudonyms of cases are kept; without it cases are called by their ids."""


def report(
    source: Path, wishes: Wishes, asked: Asked, options: PageOptions, console: Console
) -> tuple[RenderableType, Any, bool]:
    """Write a page of everything that is known of a source.

    Returns:
        What to print, document, and whether the answer is CANNOT TELL.

    Raises:
        InputError: Something that is no page is at the output's place, or the source cannot be read.
    """
    check_output(options.output)
    if options.key is not None:
        check_key(options.key)
    if options.figures is not None and options.figures.exists() and not options.figures.is_dir():
        raise InputError(f"--figures must be a folder, found the file {options.figures}. Name another place.")
    with console.status("reading") as status:
        step = _told(status.update)
        found = answer_of_source(source, wishes, asked, step)
        if options.key is not None:
            found = anonymised(found, pseudonyms(options.key, cases_of(found)))
        cases = pictures_of(found, step) if options.cases else Cases()
        write_page(found, cases, options, step)
    lines: list[RenderableType] = [_place(options.output), *(Text(words, "dim") for words in cases.notes)]
    lines += [Text(found.partial, DOUBT)] if found.partial else []
    if options.key is not None:
        lines.append(Text(f"Who is who: {options.key}. Keep it to yourself.", DOUBT))
    if options.figures is not None:
        written = _figures(found, cases, options.figures, console)
        lines.append(Text(f"Figures: {len(written)} files in {options.figures}", "dim"))
    return Group(*lines), report_document(found, options), found.decision.code == "cannot_tell"


def keep_page(found: Round, console: Console, title: str | None = None) -> RenderableType:
    """Write the page of a study's round into its folder; says where it is."""
    folder = found.study.folder
    options = PageOptions(folder / "report.html", title)
    check_output(options.output)
    with console.status("reading") as status:
        source = read_source(folder, Wishes())
        step = _told(status.update)
        answer = answer_of_round(folder, source, found, Asked(), step)
        write_page(answer, pictures_of(answer, step), options, step)
    return _place(options.output)


def _place(page: Path) -> RenderableType:
    size = page.stat().st_size / 1e6
    return Text(f"Page: {page} ({size:.1f} MB; open it in any browser, it loads nothing from elsewhere)")


def _told(update: Callable[[str], None]) -> Step:
    return lambda words: update(f"{words} ...")


def check_output(path: Path) -> None:
    """Refuse to write over anything but an earlier page.

    Raises:
        InputError: There is something else.
    """
    if path.is_dir():
        raise InputError(f"--output must name a file, found the folder {path}. Add a name: {path / 'report.html'}.")
    if path.is_file() and path.stat().st_size and MARK not in _beginning(path):
        raise InputError(f"--output must name a new file or an earlier page, found {path}, which holds something else.")


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(BEGINNING).decode("utf-8", errors="replace")


def write_page(found: Answer, cases: Cases, options: PageOptions, step: Step) -> None:
    """Render the page and write it, atomically."""
    title = options.title or title_of(found)
    page = render(found, title, cases, step)
    refuse_revealing(re.sub('base64,[^"]*', "", page), found.names, "the page")
    if options.key is not None:  # first: a page without its key could not be understood
        keep_key(options.key, found.names)
    write_text(options.output, page)


def title_of(found: Answer) -> str:
    """What a page is called unless asked otherwise."""
    study = found.source.study
    name = found.path.resolve().name if study is None else study.settings.study.name
    return f"{name}: how many annotated cases are enough?"


def _figures(found: Answer, cases: Cases, folder: Path, console: Console) -> list[Path]:
    """Every figure by itself; pictures of cases in a folder of their own."""
    written = write_figures(list(pictured(found).values()), folder)
    written += write_comparison_figures(found.comparisons, folder)
    if found.agreements:
        written += write_figures_of(found.agreements, found.deciding.curve.metric, folder / "agreement", console)
    every = [one for pictures in cases.pictures.values() for one in pictures]
    return written + (write_case_pictures(every, folder / "cases") if every else [])


def report_document(found: Answer, options: PageOptions) -> dict[str, Any]:
    """What the page was made from."""
    question = found.source.question
    return {
        "page": str(options.output),
        **forecast_document([*found.forecasts, *found.others], question, __version__),
        "recommendation": {**found.decision.document(), "cases": found.cases, "justification": found.justification},
        "recommendations": [one.document() for one in found.each],
        "comparisons": comparison_document(found.comparisons, question, __version__, found.across)["comparisons"],
    }
