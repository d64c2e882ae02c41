"""The plateau study's rows of the table of every published figure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from curves import CURVES, EPS, WITH_DM, WITH_POINT, gap, largest_at_least, possible, rate
from plateau import FINAL, TEST_CASES, jaccard_range
from published import Fact, Row, ends, fact, mean_sd, reduced

HERE = "python studies/papers/p1_plateau/plateau.py"
OWN = "dicecast agreement STUDY"
FORECAST = "dicecast forecast STUDY --stability"
CORRECTED = "cannot be checked: no scores by case; not significant once corrected"
REAL = {"kidney": "3D kidney", "tumour": "3D tumour"}
"""Study 5's structures and how they are called in the table."""


def rows(found: dict[str, Any]) -> list[Row]:
    curves = [row for name in CURVES for row in _curve(name, found)]
    return [*curves, *_tests(), *_final(), *_volumes()]


def _one(name: str, quantity: str, n: int | None = None) -> Fact:
    return fact("P1", name, quantity, n)


def _curve(name: str, found: dict[str, Any]) -> list[Row]:
    made = [_best(name)] if name in WITH_POINT else []
    if "kidney" in name:
        made.append(_bound(name))
    made += [_size(name, found), _plateau_dice(name)]
    return [*made, _ceilings(name)] if name in WITH_DM else made


def _best(name: str) -> Row:
    best, curve = _one(name, "best observed"), possible(name)
    share, other = (np.isfinite(one.pinned).mean() for one in (curve, possible(name, EPS)))
    words = f"{share:.0%} of the rounding lies on a curve of the printed DM and n*"
    if name == "KiTS21 tumour 2D":
        agrees = "no: the fitted curve is 0.07 or more above it, and no five scores up to 0.67 can be fitted so"
    elif name == "KiTS21 tumour 3D":
        agrees = "yes: it pins the curve"
    elif name == "CT kidney":
        agrees = "yes"
    elif name == "MR kidney":
        words += f"; {other:.0%} if the printed plateau Dice is DM - 0.01"
        agrees = "no: above DM, if the printed plateau Dice is DM"
    elif name == "CT tumour":
        agrees = "no: above DM by 0.02, and the final table prints 0.85 for the same model; noise can do that"
    else:
        k = rate(name, 0.5)
        above = best.value - (_one(name, "DM").value - float(gap(k, 389, 300)))
        words = f"the curve with D0 = 0.5 has {best.value - above:.3f} there"
        agrees = f"no: n* past 300 means more than 0.01 below DM there; {above:.2f} above it, as noise can be"
    return Row(f"{name}: best observed ({best.n} cases)", (best,), words, agrees, (HERE,))


def _bound(name: str) -> Row:
    bound = _one(name, "dice above")
    curve = possible(name)
    low = curve.dm - gap(curve.fastest, curve.size, int(bound.n))
    words = f"{low.min():.2f} to {(curve.dm - EPS).max():.2f} by DM and n*"
    agrees = "yes" if name == "CT kidney" else "yes: it bounds k by 0.0128, and D0 from below by 0.87"
    return Row(f"{name}: Dice at 50 cases, above", (bound,), words, agrees, (HERE,))


def _size(name: str, found: dict[str, Any]) -> Row:
    size, curve = _one(name, "plateau n"), possible(name)
    printed = (size, _one(name, "plateau n, abstract")) if name == "CT tumour" else (size,)
    k = curve.pinned
    words = f"k up to {curve.fastest.max():.4f}"
    if name == "KiTS21 tumour 3D":
        words = f"k {ends(k, 4)}, D0 {ends(curve.at_zero)}"
    after = [one for one in found["beyond"] if one["curve"] == name]
    if after:
        p = [np.median(one["p_beyond_trained"]) for one in after]
        past = [np.median(one["p_beyond_horizon"]) for one in after]
        words += f"; P(n* > {CURVES[name][1]}) {_between(p)}, P(n* > {after[0]['horizon']}) {_between(past)} "
        words += "from scores about such curves"
    agrees = "cannot be checked: scores by size were not printed"
    if after:
        agrees = "yes, that it is past the data; " + agrees
    elif name == "CT tumour":
        agrees = "yes, with each other, if n* lies between 125 and 126; " + agrees
    return Row(f"{name}: plateau n", printed, words, agrees, (HERE, FORECAST))


def _between(values: list[float]) -> str:
    return " to ".join(dict.fromkeys(f"{end:.2f}" for end in (min(values), max(values))))


def _plateau_dice(name: str) -> Row:
    printed = _one(name, "plateau dice")
    if name in WITH_DM:
        dm = _one(name, "DM")
        words = f"{dm.value - EPS:.2f}: DM - 0.01, the score at n*"
        agrees = "no: printed is DM" if printed.text == dm.text else "no"
    else:
        words = f"{printed.value - EPS:.3f}" if len(printed.text) > 4 else f"{printed.value - EPS:.2f}"
        words = f"{words} if printed is DM"
        agrees = "cannot be checked: DM was not printed"
    return Row(f"{name}: plateau Dice", (printed,), words, agrees, (HERE, FORECAST))


def _ceilings(name: str) -> Row:
    quantities = ("DM", "DM without the largest", "DM without the largest two")
    printed = tuple(_one(name, quantity) for quantity in quantities)
    moved = max(abs(one.value - printed[0].value) for one in printed[1:])
    stable = moved <= 0.02 + 1e-9
    words = f"moves by {moved:.2f}: {'stable' if stable else 'not stable'} (within 0.02)"
    said = {"CT tumour": "stable", "MR tumour": "not yet stable", "KiTS21 tumour 2D": "stable"}
    agrees = "yes" if (said.get(name, "stable") == "stable") == stable else "no: called reliable in the paper's text"
    return Row(f"{name}: DM, all / without the largest 1, 2", printed, words, agrees, (FORECAST,))


def _tests() -> list[Row]:
    p = _one("MR tumour", "p, 200 against 250")
    t = float(stats.t.isf(p.value / 2, TEST_CASES - 1))
    words = f"t = {t:.2f}; Holm over five neighbouring pairs at least {5 * p.value:.2f}"
    volumes = tuple(_one(f"{modality} tumour, smallest quartile", "volume") for modality in ("CT", "MR"))
    cannot = "cannot be checked: volumes were not printed"
    small = "study 5: the smallest quarter of its tumours is up to 2.72 mL"
    return [
        Row(
            "MR tumour: p, 200 against 250 cases",
            (p,),
            words,
            CORRECTED,
            (HERE, OWN),
        ),
        Row("smallest quartile, mL: CT / MR tumour", volumes, small, cannot, (FORECAST,)),
    ]


def _final() -> list[Row]:
    made = []
    for name in FINAL:
        dice, jaccard = _one(name, "final dice"), _one(name, "final jaccard")
        lo, hi, _ = jaccard_range(name)
        inside = lo - jaccard.half <= jaccard.value <= hi + jaccard.half
        words, agrees = f"Jaccard {lo:.3f} to {hi:.3f} for that Dice", "yes" if inside else "no"
        made.append(Row(f"{name}, 300 cases: Dice / Jaccard", (dice, jaccard), words, agrees, (HERE, OWN)))
    for quantity, metric, digits in (("final TPR", "recall", 2), ("final MSD", "msd_mm", 2)):
        printed = tuple(_one(name, quantity) for name in FINAL)
        words = "study 5: " + ", ".join(
            f"{shown} {mean_sd(reduced('phantom', '3d_fullres', structure, metric)[metric], digits)}"
            for structure, shown in REAL.items()
        )
        agrees = "cannot be checked: no masks"
        if quantity == "final MSD":
            msd = printed[FINAL.index("MR tumour")]
            largest = largest_at_least(msd.value, float(msd.sd), TEST_CASES)
            agrees += f"; MR tumour's needs a case of {largest:.0f} mm or more (a missed tumour is undefined here)"
        made.append(Row(f"{quantity}: {' / '.join(FINAL)}", printed, words, agrees, (HERE, OWN)))
    return made


def _volumes() -> list[Row]:
    r2 = tuple(_one(name, "volume R2") for name in FINAL)
    bias = tuple(_one(name, "volume bias") for name in FINAL)
    words, shown = [], []
    for structure, name in REAL.items():
        volume = reduced("phantom", "3d_fullres", structure, "volume_ml", "reference_ml", "volume_difference_percent")
        r = np.corrcoef(volume["reference_ml"], volume["volume_ml"])[0, 1]
        words.append(f"{name} {r**2:.3f}")
        shown.append(f"{name} {mean_sd(volume['volume_difference_percent'], 1)}")
    cannot = "cannot be checked: volumes were not printed"
    margins = [float(stats.t.ppf(0.975, TEST_CASES - 1)) * float(one.sd) / np.sqrt(TEST_CASES) for one in bias]
    clear = [name for name, one, margin in zip(FINAL, bias, margins, strict=True) if abs(one.value) > margin]
    note = f"{cannot}; of these biases only {', '.join(clear)}'s is clear of 0 with 50 cases"
    return [
        Row(f"volume R²: {' / '.join(FINAL)}", r2, "study 5: " + ", ".join(words), cannot, (OWN,)),
        Row(f"volume bias, %: {' / '.join(FINAL)}", bias, "study 5: " + ", ".join(shown), note, (HERE, OWN)),
    ]
