"""`dicecast forecast SOURCE --forecaster lstm`: from wishes to a report and a document."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ... import __version__
from ...forecast.checks import predictive_check
from ...forecast.curve import Curve
from ...forecast.document import prior_document
from ...forecast.errors import InputError
from ...forecast.forecast import Question, score_at
from ...forecast.quadrature import quadrature
from ...forecast.verdict import ill_behaved_words
from ..sources import Wishes, read_source
from .answer import Beside, LstmAnswer
from .forecaster import NAME, lstm_forecast, require_torch
from .quantiles import check_level
from .report import lstm_report, lstm_words
from .sequences import FEWEST_SIZES, FURTHEST
from .weights import shipped_weights

BAYES = "bayes"
"""Name of the forecaster that answers unless another is asked: the average of families under the learned prior."""
FORECASTERS = (BAYES, NAME)
USUAL_TIMES = (2, 4)
"""How many times the largest trained size is asked for without a wish."""


def lstm_command(
    forecaster: str, source: Path, wishes: Wishes, unfit: Mapping[str, object]
) -> tuple[RenderableType, Any, bool]:
    """Forecast every curve of a source with the LSTM, the average beside it.

    Args:
        forecaster: Its name; only the LSTM's is known here.
        source: What to read.
        wishes: Which curves, and what is asked of them.
        unfit: Options by name that the LSTM has no answer to; set ones are refused.

    Returns:
        Report, document, and whether no curve could be forecast.

    Raises:
        InputError: Another forecaster, an unfit option, no torch, damaged weights, or a size it cannot forecast.
    """
    if forecaster not in FORECASTERS:
        raise InputError(f"unknown forecaster {forecaster!r}: there is {' and '.join(FORECASTERS)}.")
    _refuse([name for name, value in unfit.items() if value is not None and value is not False])
    require_torch()
    read = read_source(source, wishes)
    check_level(read.question.level)
    answers = [lstm_answer(curve, read.question) for curve in read.curves]
    weights = shipped_weights()
    parts: list[RenderableType] = [*map(lstm_report, answers), lstm_words(weights.learned_from)]
    parts += [Text(words, "dim") for words in read.notes]
    parts += [Text(f"Not forecast: {words}.", "dim") for words in read.not_forecast]
    document = {
        "dicecast": __version__,
        "forecaster": NAME,
        "seed": read.question.seed,
        "level": read.question.level,
        "scope": read.question.scope,
        "prior": prior_document(),
        "weights": {"hash": weights.hash, "learned_from": weights.learned_from},
        "curves": [one.document() for one in answers],
    }
    return Group(*parts), document, all(one.found is None for one in answers)


def _refuse(options: list[str]) -> None:
    if options:
        raise InputError(
            f"--forecaster {NAME} goes without {', '.join(options)}: it forecasts the expected score on this test set "
            f"at given sizes (--at), nothing else. Leave it out, or ask --forecaster {BAYES}."
        )


def lstm_answer(curve: Curve, question: Question) -> LstmAnswer:
    """What the LSTM and, beside it, the average say of one curve.

    Raises:
        InputError: As `lstm_forecast`, but not for too few sizes; or more cases are annotated than it can speak of.
    """
    if len(curve.sizes) < FEWEST_SIZES:
        return LstmAnswer(curve, question.level)
    last = int(curve.sizes[-1])
    if curve.n_annotated > FURTHEST * last:
        raise InputError(
            f"{curve.name}: gains are told from the cases annotated now, and the LSTM speaks of at most "
            f"{FURTHEST * last} ({FURTHEST} times the largest trained size); found {curve.n_annotated} annotated. "
            "Train larger sizes, or forecast without --forecaster lstm."
        )
    most = FURTHEST * last
    asked = question.at or [min(times * max(last, curve.n_annotated), most) for times in USUAL_TIMES]
    found = lstm_forecast(curve, (curve.n_annotated, *sorted(set(asked) - {curve.n_annotated})))
    average = quadrature(curve, question.seed)
    beside = tuple(score_at(average, n, question.level) for n in found.n)
    odd = ill_behaved_words(curve, predictive_check(average))
    return LstmAnswer(curve, question.level, found, tuple(Beside(one.expected, one.mean) for one in beside), odd)
