"""The synthetic-tumour study's rows of the table of every published figure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from published import Row, fact, reduced
from synthetic import ARMS, SIZES, cases_words, equal_at, size_words

HERE = "python studies/papers/p4_synthetic/synthetic.py"
SCORES = "studies/papers/p4_synthetic/scores.csv"
FORECAST = f"dicecast forecast {SCORES}"
COMPARE = f'dicecast compare {SCORES} --arms "real,real + synthetic" --at 500,1500'


def rows(found: dict[str, Any]) -> list[Row]:
    return [*_score_rows(found), *_claim_rows(found), *_annotation_rows()]


def _score_rows(found: dict[str, Any]) -> list[Row]:
    made = []
    for arm in ARMS:
        tests = {(one["from_sizes"][-1], one["n"]): one for one in found["forecast"]["all"][arm]["backtest"]}
        for n in SIZES:
            ahead = [(last, one) for (last, at), one in tests.items() if at == n]
            words = "; ".join(
                f"{100 * one['median']:.1f} [{100 * one['lo']:.1f}, {100 * one['hi']:.1f}] from sizes up to {last:,}"
                for last, one in ahead
            )
            held = all(one["held"] for _, one in ahead)
            agrees = ("yes: within the interval" if held else "no") if ahead else "cannot be checked: taken as given"
            made.append(
                Row(f"DSC, %: {arm}, {n:,} CTs", (fact("P4", arm, "DSC", n),), words or "-", agrees, (FORECAST,))
            )
    return made


def _claim_rows(found: dict[str, Any]) -> list[Row]:
    late, early = found["saturation"]["real"], found["forecast"]["up to 1500"]["real"]["reachable_gain"]
    saturates = f"P(1,500 to 3,159 adds at most 0.01) {early['p_below_eps']:.2f} from sizes up to 1,500, "
    saturates += (
        f"{late['p_below_eps']:.2f} from all; n* {size_words(found['forecast']['all']['real']['plateau']['n'])}"
    )
    one = equal_at(found, "all", 1500)
    equal = fact("P4", "real + synthetic", "cases that equal 1500 real")
    saved = fact("P4", "real + synthetic", "annotations saved")
    ratio = 1 - equal.value / 1500
    beyond = fact("P4", "out of distribution", "not saturated at")
    inside = one["n_second"]["lo"] <= equal.value <= one["n_second"]["hi"]
    median = one["n_second"]["median"]
    by_median = "" if median is None else f"; {100 * (1 - median / 1500):.0f} by the median"
    return [
        Row(
            "in distribution, saturates near",
            (fact("P4", "real", "saturates near"),),
            saturates,
            "no: five scores of one draw do not show it (the printed gain is 0.004)",
            (HERE,),
        ),
        Row(
            "real + 3x synthetic that equal 1,500 real",
            (equal,),
            f"{cases_words(one)}, P(fewer than 1,500) {one['p_fewer']:.2f}",
            "yes: inside, but the interval is open above" if inside else "no",
            (COMPARE,),
        ),
        Row(
            "annotations saved, %",
            (saved,),
            f"{100 * ratio:.0f} by 500 of 1,500{by_median}",
            "no: two thirds",
            (HERE,),
        ),
        Row(
            "out of distribution, not saturated at",
            (beyond,),
            "-",
            "cannot be checked: scores were not printed; `[[test.extra]]` gives such a curve",
            ("dicecast forecast STUDY", "dicecast compare STUDY"),
        ),
    ]


def _annotation_rows() -> list[Row]:
    minutes, seconds, saved, scans, sensitivity = (
        fact("P4", "annotation", name)
        for name in ("from scratch", "reviewing candidates", "saved", "scans", "sensitivity above")
    )
    whole = scans.value * (minutes.value - seconds.value / 60)
    costs = f"1,500 cases: {1500 * minutes.value / 60:.0f} h and {1500 * seconds.value / 3600:.1f} h"
    real = reduced("phantom", "3d_fullres", "tumour", "lesion_sensitivity")["lesion_sensitivity"]
    lesions = "cannot be checked: no masks; lesion_sensitivity and false_positive_lesions by case"
    return [
        Row("annotation of a case: minutes / seconds", (minutes, seconds), costs, "yes: 60 times cheaper", (HERE,)),
        Row("minutes saved / scans", (saved, scans), f"{whole:,.0f}", "yes: within 0.01 %", (HERE,)),
        Row(
            "sensitivity above, %",
            (sensitivity,),
            f"study 5: {100 * real.mean():.0f}",
            lesions,
            ("dicecast agreement STUDY",),
        ),
    ]
