"""Every curve on one line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...forecast.forecast import Question
from ...forecast.words import level_words
from .columns import Column, Row, Table, chance, ends, score, table, text, whole

KEY = ("arm", "structure", "metric", "test_set", "stratum")
"""What curves are chosen by."""
USUAL = {"test_set": "test", "stratum": "all"}
"""Parts of a curve's name that are said only where they differ from these."""


def summary_table(entries: Sequence[Mapping[str, Any]], question: Question) -> Table:
    """One line per curve, with everything that is of use side by side.

    Args:
        entries: The curves of a forecast document.
        question: What was asked of them.
    """
    differing = [key for key in KEY if len({entry[key] for entry in entries}) > 1]
    columns = [
        *(text(key.replace("_", " "), key) for key in differing or ("structure",)),
        whole("test cases", "n_test"),
        whole("annotated", "n_annotated"),
        score("observed", "observed"),
        *_gain(question),
        chance(f"P(rise ≤ {question.eps:g})", "p_rise_below_eps"),
        score("ceiling DM", "dm"),
        *_end(),
    ]
    note = "n* and DM: exponential plateau, medians; it tends to flatten too early, so decide by the gains."
    return table("forecasts", "Every curve", map(_row, entries), columns, note)


def brief_table(title: str, entries: Sequence[Mapping[str, Any]], question: Question) -> Table:
    """One line per curve, for a narrow screen: its name, and what it still gains.

    Args:
        title: Of the table.
        entries: The curves of a forecast document.
        question: What was asked of them.
    """
    columns = [
        text("curve", "curve"),
        whole("test cases", "n_test"),
        whole("annotated", "n_annotated"),
        *_gain(question),
        *_end(),
    ]
    return table("forecasts", title, map(_row, entries), columns)


def _gain(question: Question) -> tuple[Column, Column]:
    return score("reachable gain", "gain"), ends(f"{level_words(question.level)} interval", "gain")


def _end() -> tuple[Column, Column]:
    return Column("n*", _size), text("verdict", "verdict")


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    none: dict[str, Any] = {}
    gain, plateau, posterior = (entry[key] or none for key in ("reachable_gain", "plateau", "posterior"))
    return {
        "curve": curve_name(entry),
        **{key: entry[key] for key in KEY},
        "n_test": entry["n_test"],
        "n_annotated": entry["n_annotated"],
        "largest": entry["sizes"][-1],
        "observed": entry["observed"][-1],
        "n_max": entry["n_max"],
        "gain": gain.get("median"),
        "gain_lo": gain.get("lo"),
        "gain_hi": gain.get("hi"),
        "p_rise_below_eps": gain.get("p_below_eps"),
        "dm": posterior.get("DM", none).get("median"),
        "n_star": plateau.get("n", none).get("median"),
        "horizon": entry["horizon"],
        "known": bool(plateau),
        "verdict": entry["verdict"]["code"].replace("_", " "),
    }


def _size(row: Row) -> str:
    if row["n_star"] is not None:
        return f"{row['n_star']:.0f}"
    return f"> {row['horizon']:.0f}" if row["known"] else "-"


def curve_name(entry: Mapping[str, Any]) -> str:
    """Arm, structure and metric; test set and stratum where they are not the usual ones."""
    more = [str(entry[key]) for key, usual in USUAL.items() if entry[key] != usual]
    return " / ".join([entry["arm"], entry["structure"], entry["metric"], *more])


def in_order(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What to sort curves by: arm, structure and what else they are; strata of numbers from low to high."""
    stratum = entry["stratum"]
    first = re.search(r"\d[\d.]*", stratum)
    low = (float(first[0]), "<=" not in stratum) if first else (0.0, False)
    by = re.split(r"<=|>", stratum)[0]
    return entry["arm"], entry["structure"], entry["metric"], entry["test_set"], by, *low, stratum
