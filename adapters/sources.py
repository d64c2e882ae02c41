"""What a command reads: a study, a scores CSV or finished nnU-Net results; and which of its curves."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from ..forecast.curve import Curve, curves_from_scores, not_forecast
from ..forecast.errors import InputError
from ..forecast.forecast import Question
from ..forecast.scores import CROSS_VALIDATION
from .conclusion import study_question
from .decisions import deciding_curves
from .nnunet.results import read_results
from .pooling import pooled_scores
from .run_scores import study_scores
from .study import Study, open_study
from .tables import noted_scores

Number = TypeVar("Number", int, float, int | None)
COLUMNS = ("arm", "structure", "metric", "test_set", "stratum")
"""What curves may be chosen by."""
CLOSE = 0.75
"""Likeness of two names, 0 to 1, from which one may be meant by the other."""


@dataclass(frozen=True)
class Wishes:
    """What the user asked for on the command line; None keeps the study's or the default."""

    at: str | None = None
    target: float | None = None
    level: float | None = None
    eps: float | None = None
    seed: int | None = None
    annotated: int | None = None
    reach: int | None = None
    left: int | None = None
    family: str | None = None
    scope: str | None = None
    arm: str | None = None
    structure: str | None = None
    metric: str | None = None
    test_set: str | None = None
    stratum: str | None = None
    pooled: bool = False

    @property
    def by_own_rules(self) -> bool:
        """Whether a study can answer with its own goals, rounds and promises: about curves that it decides by."""
        others = (self.annotated, self.metric, self.test_set, self.stratum)
        return not self.pooled and all(one is None for one in others)


@dataclass(frozen=True)
class Source:
    """What was read: curves and what is asked of them."""

    everything: pd.DataFrame
    """All scores that were read."""
    scores: pd.DataFrame
    """The scores the curves are made of."""
    curves: list[Curve]
    deciding: list[Curve]
    """Those that a decision is made by."""
    question: Question
    study: Study | None
    not_forecast: list[str]
    notes: list[str]
    """How scores were read, where that is not obvious."""


def read_source(source: Path, wishes: Wishes) -> Source:
    """Read the curves of a source.

    Raises:
        InputError: Nothing to read there, faulty scores, or nothing of what was wished for.
    """
    everything, study, notes = source_scores(source)
    pool = None if study is None else study.pool_sizes
    scores = _chosen(everything, wishes, study, source)
    now = wishes.annotated if wishes.annotated is not None or pool is None else pool[-1]
    try:
        curves = curves_from_scores(scores, n_annotated=now, pool=pool)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    question = question_of(curves, Question() if study is None else study_question(study), wishes)
    metric = wishes.metric or ("dice" if study is None else study.settings.scores.curve_metrics[0])
    deciding = deciding_curves(curves, metric)
    return Source(everything, scores, curves, deciding, question, study, not_forecast(scores), notes)


def source_scores(source: Path) -> tuple[pd.DataFrame, Study | None, list[str]]:
    """Every score of a source, the study where it is one, and notes on how it was read.

    Raises:
        InputError: Neither a study, nor nnU-Net results, nor a readable scores CSV.
    """
    if not source.is_dir():
        scores, notes = noted_scores(source)
        return scores, None, notes
    if (source / "study.toml").exists():
        study = open_study(source)
        return study_scores(study), study, []
    if next(_summaries(source), None) is None:
        raise InputError(
            f"{source}: must be a study folder, a scores CSV or a folder of nnU-Net results, found a folder without "
            "study.toml and without any summary.json. Check the path."
        )
    try:
        found = read_results([source])
    except InputError as error:
        raise InputError(
            f"{error}\nWhere numbers of cases or names are missing, give them with: dicecast import {source} --n N,... "
            "--output scores.csv, and use that file."
        ) from error
    return found.scores, None, list(found.notes)


def _summaries(folder: Path) -> Iterator[Path]:
    return folder.rglob("summary.json")


def _chosen(scores: pd.DataFrame, wishes: Wishes, study: Study | None, source: Path) -> pd.DataFrame:
    """The scores that were wished for; without a wish, those that curves are made of by default."""
    if wishes.pooled:
        scores = pooled_scores(scores)
    usual = ["dice"] if study is None or wishes.pooled else study.settings.scores.curve_metrics
    by_file = study is None and not source.is_dir() and not wishes.pooled
    if wishes.metric is None and not by_file:
        scores = _if_any(scores, scores["metric"].isin(usual))
    if wishes.test_set is None:
        scores = _if_any(scores, scores["test_set"] != CROSS_VALIDATION)
    for column in COLUMNS:
        scores = only(scores, column, getattr(wishes, column), source)
    return scores


def _if_any(scores: pd.DataFrame, wanted: pd.Series[bool]) -> pd.DataFrame:
    """The wanted rows, or all where there are none of them."""
    return scores[wanted] if wanted.any() else scores


def only(scores: pd.DataFrame, column: str, wanted: str | int | None, source: Path) -> pd.DataFrame:
    """The scores with the value wished for in a column; all of them without a wish.

    Raises:
        InputError: No score has it; names those there are.
    """
    if wanted is None:
        return scores
    known = sorted(scores[column].unique())
    if wanted not in known:
        words = {"n_cases": "size"}.get(column, column.replace("_", " "))
        raise InputError(f"{source}: unknown {words} {wanted!r}: {known_words(wanted, known)}")
    return scores[scores[column] == wanted]


def known_words(wanted: str | int, known: Sequence[str | int]) -> str:
    """What there is instead of something unknown, and which of it was probably meant."""
    named = [repr(one) if isinstance(one, str) else str(one) for one in known]
    there = f"there is {'only ' * (len(named) == 1)}{', '.join(named)}."
    near = difflib.get_close_matches(str(wanted).lower(), [str(one).lower() for one in known], n=1, cutoff=CLOSE)
    meant = next((one for one in known if [str(one).lower()] == near), None) if isinstance(wanted, str) else None
    return there if meant is None or len(known) == 1 else f"{there} Did you mean {meant!r}?"


def question_of(curves: list[Curve], base: Question, wishes: Wishes) -> Question:
    """What is asked of curves: the wishes, else what the source itself asks."""
    reach = wishes.reach
    if reach is None and wishes.left is not None:
        reach = max(curve.n_annotated for curve in curves) + wishes.left
    return Question(
        seed=first_of(wishes.seed, base.seed),
        level=first_of(wishes.level, base.level),
        eps=first_of(wishes.eps, base.eps),
        at=tuple(whole_numbers(wishes.at, "at")) if wishes.at else (),
        target=wishes.target,
        reach=first_of(reach, base.reach),
        model=wishes.family or base.model,
        scope=wishes.scope or base.scope,
    )


def first_of(wish: Number | None, base: Number) -> Number:
    """The wish, or what holds without one."""
    return base if wish is None else wish


def whole_numbers(text: str, name: str, least: int = 1) -> list[int]:
    """Whole numbers, none below `least`, separated by commas.

    Raises:
        InputError: Anything else.
    """
    try:
        found = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found or any(n < least for n in found):
        raise InputError(f"--{name} must be whole numbers >= {least} separated by commas, found {text!r}.")
    return found
