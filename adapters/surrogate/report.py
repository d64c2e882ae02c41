"""What a terminal shows of a forecast by the LSTM. Reports compute nothing; the caller prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...forecast.forecast import HORIZON
from ...forecast.types import Interval
from ...forecast.words import level_words, score_words
from ..terminal.screen import Heading, note, plain_table
from .answer import TESTED, At, LstmAnswer
from .sequences import LEAST_ERROR, MOST_SIZES

STANDING = (
    "On 270 curves of 31 sources that neither has learned from (7 sizes, 3 draws), its error at 2, 4 and 8 times the "
    "largest size was 0.95, 0.98 and 0.97 of the average's, which is no difference beyond chance, and its 90% "
    "intervals held in 93%; on segmentation curves its intervals were 1.7 times as wide as the average's and held in "
    "all of 31."
)
"""How the LSTM did beside the average where both were tested; from studies/07_surrogate."""


def lstm_report(answer: LstmAnswer) -> RenderableType:
    """One curve: the LSTM's scores beside the average's, and the sizes."""
    return Group(*_parts(answer))


def lstm_words(learned_from: str) -> RenderableType:
    """What the LSTM is, and what to think of it."""
    return Text(f"The LSTM: a small network after Lee et al. 2025, {learned_from}. {STANDING}", "dim")


def _parts(answer: LstmAnswer) -> Iterator[RenderableType]:
    yield Heading(answer.curve.name)
    if answer.found is None:
        yield Text.assemble(("too few sizes", "bold red"), (": ", "red"), answer.reason)
    else:
        if answer.odd is not None:
            yield Text.assemble(("ill behaved", "bold red"), (": ", "red"), answer.odd)
        yield _scores_table(answer)
    yield _sizes_table(answer)
    yield from map(note, _notes(answer))
    yield Text("")


def _scores_table(answer: LstmAnswer) -> Table:
    level = f"{level_words(answer.level)} interval"
    columns = ("cases", "LSTM", level, "gain", "average", level, "last value", "")
    table = plain_table("Expected score by the LSTM, the average of families beside it", *columns)
    for i, one in enumerate(answer.lines):
        table.add_row(
            f"{one.n} (now)" if i == 0 else str(one.n),
            score_words(one.lstm.median),
            _ends(one.lstm),
            "-" if i == 0 else f"{one.gain:+.3f}",
            score_words(one.average.expected.median),
            _ends(one.average.expected),
            score_words(answer.last_value),
            _doubt(one),
        )
    return table


def _doubt(one: At) -> str:
    """Short, for the table; the notes explain."""
    if one.within_horizon:
        return ""
    return "past horizon" if one.within_tested else "untested"


def _sizes_table(answer: LstmAnswer) -> Table:
    curve = answer.curve
    table = plain_table("Observed", "cases", "draws", f"mean {curve.metric}", "SD over draws")
    for size, draws, mean, sd in zip(curve.sizes, curve.draws, curve.observed, curve.draw_sd, strict=True):
        table.add_row(str(size), str(draws), score_words(mean), score_words(sd))
    return table


def _notes(answer: LstmAnswer) -> Iterator[str]:
    if answer.curve.n_test is not None:
        yield f"scored on {answer.curve.n_test} test cases; intervals are for the mean on this test set."
    yield f"horizon {answer.horizon} cases ({HORIZON} x the largest trained size)."
    if answer.found is None:
        return
    if not all(one.within_horizon for one in answer.lines):
        yield "past horizon: beyond what these pilots can tell."
    if not all(one.within_tested for one in answer.lines):
        yield f"untested: past {TESTED} x the largest trained size neither forecaster was tested."
    if answer.disagrees:
        yield "the LSTM lies outside the average's interval: they read these scores differently."
    if float(answer.curve.observed.max()) > 1 - LEAST_ERROR:
        yield f"the LSTM takes scores above {1 - LEAST_ERROR:g} for {1 - LEAST_ERROR:g}."
    if answer.found.sizes_unseen:
        unseen = ", ".join(map(str, answer.found.sizes_unseen))
        yield f"the LSTM reads the largest {MOST_SIZES} sizes; not read: {unseen}."
    yield "gain: the LSTM's median less its median now; without an interval, since it forecasts one size at a time."


def _ends(found: Interval) -> str:
    return f"[{score_words(found.lo)}, {score_words(found.hi)}]"
