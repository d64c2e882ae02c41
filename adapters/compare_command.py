"""`dicecast compare`: from text arguments to a report and a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from .. import __version__
from ..forecast.across_test_sets import across_test_sets
from ..forecast.arms import ArmCost
from ..forecast.comparison import compare_curves, split_decisions
from ..forecast.comparison_json import comparison_document
from ..forecast.curve import Curve
from ..forecast.errors import InputError
from ..forecast.forecast import Question
from ..forecast.prior import AVERAGE
from .arm_sources import Arms, read_arms
from .commands import files_words, numbers_by_arm
from .figures.comparison import left_out_words, write_comparison_figures
from .sources import Wishes, known_words
from .terminal.comparison_report import across_report, comparison_report
from .terminal.screen import DOUBT, note


@dataclass(frozen=True)
class Terms:
    """What the arms are compared by; None keeps what the study says."""

    arms: str | None = None
    """Names separated by commas, the reference first."""
    per_case: str | None = None
    """A number, or arm=number separated by commas."""
    per_run: str | None = None
    spend: str | None = None
    """Amounts separated by commas."""
    unit: str | None = None


def compare(
    sources: Sequence[str], wishes: Wishes, terms: Terms, figures: Path | None
) -> tuple[RenderableType, Any, bool]:
    """Compare the arms of one or several sources.

    Returns:
        Report, document, and whether no arm could be chosen anywhere.
    """
    if figures is not None and figures.exists() and not figures.is_dir():
        raise InputError(f"--figures must be a folder, found the file {figures}. Name another place.")
    read = read_arms(sources, wishes)
    curves = _wanted(read.curves, terms.arms, sources)
    names = sorted({curve.arm for curve in curves})
    costs = _costs(read, names, terms)
    amounts = [] if terms.spend is None else _amounts(terms.spend)
    if amounts and any(name not in costs for name in names):
        raise InputError("--spend is shared out by what a case costs: give --per-case, or per_case in study.toml.")
    unit = terms.unit or read.unit
    found = compare_curves(curves, read.question, costs=costs, amounts=amounts, unit=unit)
    across = across_test_sets(curves, read.question)
    document = comparison_document(found, read.question, __version__, across)
    parts = [comparison_report(one) for one in found]
    parts += [across_report(across, read.question)] if across else []
    parts += [Text(words, DOUBT) for words in split_decisions(found)]
    parts += [Text(f"Not compared: {words}.", "dim") for words in read.not_compared]
    parts += [note(words) for words in [_basis(read.question), *read.notes]]
    if figures is not None:
        written = write_comparison_figures(found, figures)
        parts.append(Text(f"Figures: {files_words(written, figures)}", "dim"))
        parts += [Text(f"{words}.", "dim") for words in map(left_out_words, found) if words]
    return Group(*parts), document, all(one.arm is None for one in found)


def _basis(question: Question) -> str:
    """What the numbers are of."""
    of = "the weighted average of families" if question.model == AVERAGE else f"the family {question.model}"
    whose = "all patients" if question.scope == "population" else "the mean on this test set"
    return (
        f"expected scores are those of smooth curves ({of}), for {whose}; how far real scores stray from any smooth "
        "curve, which a forecast adds as its misfit, is left out: arms are compared by their curves."
    )


def _wanted(curves: list[Curve], arms: str | None, sources: Sequence[str]) -> list[Curve]:
    """The curves of the arms named, in that order; all without a wish."""
    if arms is None:
        return curves
    wanted = [name.strip() for name in arms.split(",") if name.strip()]
    known = {curve.arm for curve in curves}
    if not wanted or set(wanted) - known or len(set(wanted)) != len(wanted):
        raise InputError(
            f"--arms must name different arms of {', '.join(sources)}, found {arms!r}: there is "
            f"{', '.join(sorted(known))}."
        )
    return sorted((curve for curve in curves if curve.arm in wanted), key=lambda curve: wanted.index(curve.arm))


def _costs(read: Arms, names: Sequence[str], terms: Terms) -> dict[str, ArmCost]:
    """By arm: what was asked for, else what the study says; arms of which a case's cost is not known are left out."""
    per_case, per_run = (
        numbers_by_arm(getattr(terms, name), name.replace("_", "-")) for name in ("per_case", "per_run")
    )
    for option, given in (("per-case", per_case), ("per-run", per_run)):
        unknown = [arm for arm in given if arm and arm not in names]
        if unknown:
            raise InputError(f"--{option}: unknown arm {unknown[0]!r}: {known_words(unknown[0], names)}")
    found = {}
    for name in names:
        own = read.costs.get(name)
        case = per_case.get(name, per_case.get("", own.per_case if own else None))
        if case is not None:
            found[name] = ArmCost(case, per_run.get(name, per_run.get("", own.per_run if own else 0.0)))
    if per_run and not found:
        raise InputError("--per-run is weighed against the cost of a case: give --per-case too.")
    lacking = [name for name in names if name not in found]
    if found and lacking:
        raise InputError(
            f"what a case costs must be known of every arm or of none: give --per-case {lacking[0]}=... too."
        )
    return found


def _amounts(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found or any(not 0 < one < float("inf") for one in found):
        raise InputError(f"--spend must be numbers > 0 separated by commas, found {text!r}.")
    return sorted(found)
