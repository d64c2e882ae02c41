"""P4, real and synthetic tumours: what dicecast says of the printed scores.

python studies/papers/p4_synthetic/synthetic.py         runs dicecast (a minute), prints the tables, draws the figure
python studies/papers/p4_synthetic/synthetic.py --kept  takes dicecast's part from runs.json
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from published import dicecast_json, fact, facts, main, table
from synthetic_figure import figure

import dicecast

FOLDER = Path(__file__).resolve().parent
ARMS = ("real", "real + synthetic")
SIZES = (60, 278, 500, 1500, 3159)
EPS = 0.01


def scores() -> pd.DataFrame:
    """The printed DSC as a scores table: one draw, averaged over the test set."""
    printed = [one for one in facts() if one.paper == "P4" and one.quantity == "DSC"]
    rows = [(one.n, one.curve, "tumour", one.value / 100) for one in printed]
    made = pd.DataFrame(rows, columns=["n_cases", "arm", "structure", "score"]).astype({"n_cases": int})
    return made.sort_values("arm", kind="stable").round(4)


def runs() -> dict[str, Any]:
    """Forecasts of both arms from all sizes and from those up to 1,500, and the arms against each other."""
    scores().to_csv(FOLDER / "scores.csv", index=False, lineterminator="\n")
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "scores.csv"
        scores().query("n_cases <= 1500").to_csv(before, index=False)
        found = {
            "all": _curves(dicecast_json("forecast", FOLDER / "scores.csv")),
            "up to 1500": _curves(dicecast_json("forecast", before, "--reach", 3159)),
        }
        asked = ("--arms", ",".join(ARMS), "--at", "500,1500")
        pairs = {
            "all": dicecast_json("compare", FOLDER / "scores.csv", *asked)["comparisons"][0],
            "up to 1500": dicecast_json("compare", before, *asked)["comparisons"][0],
        }
        for name, shift in (("500: 54.5, 58.5", 0.005), ("500: 53.5, 59.5", -0.005)):
            moved = scores()
            at = moved["n_cases"] == 500
            moved.loc[at, "score"] += np.where(moved.loc[at, "arm"] == "real", shift, -shift)
            moved.to_csv(before, index=False)
            pairs[name] = dicecast_json("compare", before, *asked)["comparisons"][0]
    return {
        "forecast": found,
        "compare": {name: _pair(one, whole=name == "all") for name, one in pairs.items()},
        "saturation": _saturation(),
    }


def _pair(found: dict[str, Any], whole: bool) -> dict[str, Any]:
    """What is shown of the two arms; the whole curve of equal performance for the figure only."""
    pair = found["pairs"][0]
    curve = [one for one in pair["equal_performance_curve"] if whole or one["n_first"] in (500, 1500)]
    return {"equal": curve, "crossing": pair["crossing"], "reason": found["recommendation"]["reason"]}


def _curves(document: dict[str, Any]) -> dict[str, Any]:
    kept = ("backtest", "least_squares", "plateau", "reachable_gain", "verdict", "n_annotated", "n_max", "horizon")
    return {one["arm"]: {key: one[key] for key in kept} for one in document["curves"]}


def _saturation() -> dict[str, Any]:
    """Gain from 1,500 to 3,159 cases by the posterior of all five sizes."""
    found = {}
    for curve in dicecast.curves_from_scores(dicecast.validate_scores(scores())):
        posterior = dicecast.quadrature(curve)
        before, after = posterior.scores([1500, 3159])
        found[curve.arm] = {
            "p_below_eps": float(np.mean(after - before <= EPS)),
            "gain": [float(q) for q in np.quantile(dicecast.gain_draws(posterior, 1500, 3159), [0.05, 0.5, 0.95])],
        }
    return found


def equal_at(found: dict[str, Any], which: str, n: int) -> dict[str, Any]:
    """Cases of real + synthetic for what n real ones reach."""
    return dict(next(one for one in found["compare"][which]["equal"] if one["n_first"] == n))


def cases_words(one: dict[str, Any]) -> str:
    """Median and interval of cases, with what lies past what can be told."""
    cases = one["n_second"]
    end = f"> {cases['horizon']:,}"
    if cases["median"] is None:
        median = end if one["p_never"] > 0.5 else f"< {cases['floor']:,}"
    else:
        median = f"{cases['median']:,.0f}"
    lo = f"{'< ' if cases['lo_censored'] else ''}{cases['lo']:,.0f}"
    hi = f"> {cases['hi']:,.0f}" if cases["hi_censored"] and cases["hi"] >= cases["horizon"] else f"{cases['hi']:,.0f}"
    return f"{median} [{lo}, {hi}]"


def score_table() -> str:
    rows = [[f"{n:,}", *(fact("P4", arm, "DSC", n).text for arm in ARMS)] for n in SIZES]
    return table(["real CTs", "real", "real + 3x synthetic"], rows)


def backtest_table(found: dict[str, Any]) -> str:
    rows = []
    for arm in ARMS:
        for one in found["forecast"]["all"][arm]["backtest"]:
            forecast = f"{one['median']:.3f} [{one['lo']:.3f}, {one['hi']:.3f}]"
            held = "held" if one["held"] else "missed"
            last = f"{one['from_sizes'][-1]:,}"
            rows.append([arm, f"up to {last}", f"{one['n']:,}", forecast, f"{one['observed']:.3f}", held])
    return table(["arm", "from sizes", "at", "forecast [90 %]", "printed", "interval"], rows)


def saturation_table(found: dict[str, Any]) -> str:
    rows = []
    for arm in ARMS:
        early, late = found["forecast"]["up to 1500"][arm]["reachable_gain"], found["saturation"][arm]
        lo, median, hi = late["gain"]
        printed = (fact("P4", arm, "DSC", 3159).value - fact("P4", arm, "DSC", 1500).value) / 100
        one = found["forecast"]["all"][arm]
        rows.append(
            [
                arm,
                f"{printed:.3f}",
                f"{early['median']:.3f} [{early['lo']:.3f}, {early['hi']:.3f}], {early['p_below_eps']:.2f}",
                f"{median:.3f} [{lo:.3f}, {hi:.3f}], {late['p_below_eps']:.2f}",
                f"{one['least_squares']['plateau_n']:.0f}, {size_words(one['plateau']['n'])}",
                f"{one['verdict']['code'].replace('_', ' ')}",
            ]
        )
    header = ["arm", "printed gain, 1,500 to 3,159", "forecast from 1,500 [90 %], P(<= 0.01)", "from all sizes"]
    return table([*header, "n* least squares, posterior [90 %]", "verdict"], rows)


def size_words(n: dict[str, Any]) -> str:
    median = "past the horizon" if n["median"] is None else f"{n['median']:,.0f}"
    return f"{median} [{n['lo']:,.0f}, {'> ' if n['hi_censored'] else ''}{n['hi']:,.0f}]"


def equal_table(found: dict[str, Any]) -> str:
    rows = []
    for which in found["compare"]:
        for n in (500, 1500):
            one = equal_at(found, which, n)
            printed = "500" if n == 1500 else "-"
            ratio = "-" if one["n_second"]["median"] is None else f"{n / one['n_second']['median']:.1f}"
            rows.append([which, f"{n:,}", cases_words(one), ratio, f"{one['p_fewer']:.2f}", printed])
    header = [
        "from sizes; or with 54 and 59 at 500 as",
        "real cases",
        "real + synthetic for the same score [90 %]",
        "real : real + synthetic",
    ]
    return table([*header, "P(fewer)", "printed"], rows)


def crossing_words(found: dict[str, Any]) -> str:
    one = found["compare"]["all"]["crossing"]
    n = one["n"]
    return (
        f"Real alone overtakes real + synthetic with probability {one['p_first_overtakes']:.2f}; then at "
        f"{n['median']:,.0f} cases [{n['lo']:,.0f}, {n['hi']:,.0f}]. `dicecast compare`: "
        f"{found['compare']['all']['reason']}"
    )


def cost_table() -> str:
    minutes, seconds = (
        fact("P4", "annotation", "from scratch").value,
        fact("P4", "annotation", "reviewing candidates").value,
    )
    rows = [[f"{n:,}", f"{n * minutes / 60:.1f}", f"{n * seconds / 3600:.1f}"] for n in (500, 1500)]
    scans, saved = fact("P4", "annotation", "scans"), fact("P4", "annotation", "saved")
    whole = scans.value * (minutes - seconds / 60)
    text = table(["cases", "hours from scratch, 5 min a case", "hours reviewing candidates, 5 s a case"], rows)
    note = f"{scans.value:,.0f} scans x (5 min - 5 s) = {whole:,.0f} minutes; printed: {saved.value:,.0f}."
    return f"{text}\n\nA case is {minutes * 60 / seconds:.0f} times cheaper to review. {note}"


def report(found: dict[str, Any]) -> str:
    parts = {
        "Printed DSC, %": score_table(),
        "Would dicecast have forecast the larger sizes?": backtest_table(found),
        "Saturation near 1,500": saturation_table(found),
        "Equal performance": equal_table(found),
        "Where the curves cross": crossing_words(found),
        "Annotation": cost_table(),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


if __name__ == "__main__":
    main(__file__, runs, report, figure)
