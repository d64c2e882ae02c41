"""The page: what it says in which order, rendered from its template."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from ... import __version__
from ...forecast.comparison import Comparison, split_decisions
from ...forecast.costs import Costs
from ...forecast.document import curve_document
from ...forecast.forecast import Forecast
from ...forecast.plain_words import decision_words, sentence
from ...forecast.words import level_words
from ..answer import Answer, Step
from ..figures.write import Pictured, pictured_round
from ..protocol import protocol_words
from ..report_tables.arms import ranking_tables
from ..report_tables.columns import Table
from ..report_tables.decisions import decisions_table
from ..report_tables.overview import KEY, in_order, summary_table
from ..report_tables.study import study_tables
from ..terminal.pair_tables import pair_words
from .cards import cards_of, style_of
from .curve_view import CurveView, curve_view, point_rows
from .downloads import csv_uri
from .methods import citations, methods_words
from .pictures import MOST, Cases, agreement_pictures, case_picture, comparison_pictures, curve_pictures

TEMPLATES = Path(__file__).parent / "templates"
MOST_CURVES = 30
"""Curves that are drawn; further ones are in the tables."""
MOST_ROWS = 5_000
"""Scores of cases up to which they can be downloaded from the page."""
DOUBT = ("posterior", "dropped", "cost")
"""Figures that let the sceptic dig."""
MOST_DOUBTED = 4
"""Curves that those are drawn of, and the rounds so far."""
MOST_COMPARED, MOST_PAIRS = 4, 3
"""Structures of which arms are drawn against each other, and pairs of arms that are drawn and put into sentences."""
GENERATOR = "dicecast"
"""What the page says it was made by, so that it can be written anew."""


def render(answer: Answer, title: str, cases: Cases, step: Step) -> str:
    """The page as HTML.

    Args:
        answer: What is known.
        title: Of the page.
        cases: Pictures of cases, drawn before.
        step: Is told what is being worked on.
    """
    step("drawing curves")
    views = _views(answer)
    step("drawing figures")
    drawn = pictured(answer)
    sections = {
        "agreement": list(agreement_pictures(answer.agreements)),
        "doubt": {view.name: curve_pictures(drawn[view.name], DOUBT) for view in views[:MOST_DOUBTED]},
        "campaign_pictures": [
            picture
            for view in [view for view in views if view.decides][:MOST_DOUBTED]
            for picture in curve_pictures(drawn[view.name], ("rounds", "promises"))
        ],
    }
    page = {
        "title": title,
        "generator": GENERATOR,
        "version": __version__,
        "made": time.strftime("%Y-%m-%d %H:%M %Z"),
        "source": answer.path.resolve().name,
        "verdict": decision_words(answer.decision),
        "style": style_of(answer.decision.code),
        "reason": sentence(answer.decision),
        "decisions": decisions_table(answer.decision, answer.each),
        "cards": cards_of(answer),
        "answer": answer,
        "level": level_words(answer.source.question.level),
        "eps": answer.source.question.eps,
        "protocol": None if answer.source.study is None else protocol_words(answer.source.study),
        "views": views,
        "choices": _choices(views),
        "data": [view.data for view in views],
        "more_curves": max(len(_forecasts(answer)) - len(views), 0),
        "summary": _summary(answer),
        "comparisons": [
            (one, ranking_tables(one), _sentences(one), comparison_pictures(one, MOST_PAIRS * (i < MOST_COMPARED)))
            for i, one in enumerate(answer.comparisons)
        ],
        "split": split_decisions(answer.comparisons),
        "history": [] if answer.round is None else study_tables(answer.round),
        "methods": methods_words(answer),
        "citations": citations(answer),
        "downloads": list(_downloads(answer, views)),
        "notes": [without_folders(words) for words in _notes(answer, cases)],
        "cases": [(name, [case_picture(one) for one in found]) for name, found in cases.pictures.items()],
        **sections,
    }
    return _environment().get_template("page.html").render(page, **_script()).lstrip()


def _script() -> dict[str, Any]:
    """The page's own script, and the hash by which browsers run it and no other."""
    words = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()
    return {"script": markupsafe.Markup(words), "script_hash": digest}


def _notes(answer: Answer, cases: Cases) -> list[str]:
    """What could not be shown, and how scores were read."""
    alone = [answer.not_case_by_case] if answer.not_case_by_case else []
    left_out = [f"Not forecast: {words}" for words in answer.source.not_forecast]
    return [*cases.notes, *alone, *answer.source.notes, *left_out, *_cut_short(answer, cases)]


def _cut_short(answer: Answer, cases: Cases) -> Iterator[str]:
    """What was left out of the page to keep it small."""
    forecasts = _forecasts(answer)
    full, pairs = sum(bool(one.families) for one in forecasts), [len(one.pairs) for one in answer.comparisons]
    parts = (
        (len(forecasts), full, "MCMC, every family alone and backtests are given for {} of {} curves"),
        (len(forecasts), MOST_DOUBTED, "Posterior, cost, refits and rounds are drawn for the first {} of {} curves"),
        (len(answer.comparisons), MOST_COMPARED, "Arms are drawn against each other for {} of {} structures"),
        (max(pairs, default=0), MOST_PAIRS, "Equal performance is drawn for the first {} of {} pairs of arms"),
        (len(answer.agreements), MOST, "Agreement is drawn for the first {} of {} arms and structures"),
    )
    short = [f"{words.format(most, count)}." for count, most, words in parts if count > most]
    yield from short
    if short or len(forecasts) > MOST_CURVES or cases.left_out:
        yield "--arm, --structure and the like choose what the page is about; --figures FOLDER writes every figure."
    if len(answer.source.scores) > MOST_ROWS:
        yield f"The {len(answer.source.scores):,} single scores are too many to be downloaded from this page."


def without_folders(words: str) -> str:
    """Words for a page that is sent to others: of a path on this machine only the last part."""
    return re.sub(r"(?<![\w.])/(?:[^\s/:,;]+/)+", "", words)


def _environment() -> jinja2.Environment:
    """Everything that is shown is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _forecasts(answer: Answer) -> list[Forecast]:
    return [one for one in [*answer.forecasts, *answer.others] if one.posterior is not None]


def _views(answer: Answer) -> list[CurveView]:
    """The curve that decides first, then those that have a part in the decision."""
    ordered = sorted(_forecasts(answer), key=lambda one: one.curve.name != answer.decision.curve)
    deciding = {one.curve.name for one in answer.forecasts}
    return [
        curve_view(i, one, answer.costs.get(one.curve.arm, Costs()), one.curve.name in deciding, answer.decision.batch)
        for i, one in enumerate(ordered[:MOST_CURVES])
    ]


def pictured(answer: Answer) -> dict[str, Pictured]:
    """Every curve with what its figures need, by its name."""
    if answer.round is not None:
        found = pictured_round(answer.round, answer.dropped)
    else:
        deciding = [Pictured(one, dropped=answer.dropped.get(one.curve.name)) for one in answer.forecasts]
        found = [*deciding, *(Pictured(one, aside=True) for one in answer.others)]
    return {one.forecast.curve.name: replace(one, costs=answer.costs.get(one.forecast.curve.arm)) for one in found}


def _summary(answer: Answer) -> Table:
    """Every curve on one line, those that decide first."""
    others = sorted(map(curve_document, answer.others), key=in_order)
    return summary_table([*map(curve_document, answer.forecasts), *others], answer.source.question)


def _choices(views: Sequence[CurveView]) -> list[tuple[str, str, list[str]]]:
    """What curves can be chosen by: key, label and values; only what differs."""
    found = [(key, key.replace("_", " "), list(dict.fromkeys(view.key[key] for view in views))) for key in KEY]
    return [one for one in found if len(one[2]) > 1]


def _sentences(found: Comparison) -> list[str]:
    return [pair_words(pair) for pair in found.pairs[:MOST_PAIRS]]


def _downloads(answer: Answer, views: Sequence[CurveView]) -> Iterator[tuple[str, str, str]]:
    """Name, what is in it, and the file inside a link."""
    made = [(view.key, one) for view in views for one in view.tables]
    tables: dict[str, tuple[str, list[Any]]] = {
        "forecasts.csv": ("one line per curve", list(_summary(answer).rows)),
        "expected_scores.csv": (
            f"expected score by cases, of the curves drawn ({len(views)})",
            [row for view in views for row in point_rows(view)],
        ),
        **{
            f"{name}.csv": (words, [{**key, **row} for key, one in made if one.name == name for row in one.rows])
            for name, words in (
                ("observed", "mean scores by size"),
                ("exponential", "parameters of the exponential plateau"),
                ("families", "every family alone"),
                ("backtest", "larger sizes forecast from smaller ones"),
            )
        },
        "arms.csv": (
            "arms at the same number of cases, or for the same money",
            [row for one in answer.comparisons for ranking in ranking_tables(one) for row in ranking.rows],
        ),
    }
    for name, (words, rows) in tables.items():
        if rows:
            yield name, words, csv_uri(rows)
    scores = answer.source.scores
    if len(scores) <= MOST_ROWS:
        rows = [dict(zip(scores.columns, row, strict=True)) for row in scores.to_numpy().tolist()]
        yield "scores.csv", "every score the curves are made of", csv_uri(rows)
