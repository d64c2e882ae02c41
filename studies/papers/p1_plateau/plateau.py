"""P1, the exponential-plateau study: which curves can lie behind what was printed, and what dicecast makes of them.

python studies/papers/p1_plateau/plateau.py         runs dicecast (five minutes), prints the tables, draws the figure
python studies/papers/p1_plateau/plateau.py --kept  takes dicecast's part from runs.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from curves import (
    CURVES,
    EPS,
    WITH_DM,
    gap,
    jaccard_bounds,
    kidney_rates,
    largest_at_least,
    most_residual_sum,
    possible,
    rate,
)
from plateau_figure import figure
from published import ends, fact, main, table
from simulate import SIZES, runs

TEST_CASES = 50
FINAL = ("CT kidney", "CT tumour", "MR kidney", "MR tumour")


def possible_table() -> str:
    rows = []
    for name, (least, _) in CURVES.items():
        found = possible(name)
        k = found.pinned
        known = np.isfinite(k)
        share = "-" if found.point is None else f"{known.mean():.0%}"
        pinned = [ends(k[known], 4), ends(found.at_zero[known])] if known.any() else ["-", "-"]
        low = found.dm - gap(found.fastest, found.size, least)
        fastest, lowest = f"{found.fastest.max():.4f}", f"{max(low.min(), 0):.2f} to {(found.dm.max() - EPS):.2f}"
        rows.append([name, fact("P1", name, "plateau n").text, fastest, lowest, share, *pinned])
    header = ["curve", "n*", "k at most (D0 >= 0)", "Dice at the smallest size", "a curve meets the best observed"]
    return table([*header, "k of those", "D0 of those"], rows)


def convention_table() -> str:
    rows = []
    for name in WITH_DM:
        dm, printed = fact("P1", name, "DM"), fact("P1", name, "plateau dice")
        rows.append([name, dm.text, printed.text, f"{dm.value - EPS:.2f}", _which(dm.value, printed.value)])
    return table(["curve", "DM", "printed plateau Dice", "DM - 0.01", "printed is"], rows)


def _which(dm: float, printed: float) -> str:
    return "DM" if abs(dm - printed) < 1e-9 else "DM - 0.01" if abs(dm - EPS - printed) < 1e-9 else "neither"


def kidney_table() -> str:
    """What hides behind 54 against 122 cases."""
    rows = []
    for above, printed in ((0.0, "DM"), (EPS, "DM - 0.01")):
        for name in ("CT kidney", "MR kidney"):
            found, k = possible(name, above), kidney_rates(name, above)
            at_54 = found.dm - gap(np.array([[0.0], [1.0]]) * k, found.size, 54)
            gain = gap(k, found.size, 54) - gap(k, found.size, 122)
            lowest = max((found.dm - gap(k, found.size, 0)).min(), 0)
            between = f"{at_54.min():.3f} to {at_54.max():.3f}"
            rows.append([name, printed, f"{k.max():.4f}", f"{lowest:.2f}", between, f"{gain.max():.3f}"])
    header = ["curve", "printed plateau Dice is", "k at most (above 0.89 at 50)", "D0 at least", "Dice at 54"]
    return table([*header, "gain from 54 to 122 at most"], rows)


def kits_table() -> str:
    """KiTS21 2D: the fitted curve against the best observed score."""
    name = "KiTS21 tumour 2D"
    found, best = possible(name), fact("P1", name, "best observed")
    low = (found.dm - EPS).min()
    distance = fact("P1", name, "DM").value - best.value
    error = float(best.sd) / np.sqrt(60)
    rows = [
        ["the curve at 240, at least", f"{low:.3f}"],
        ["best observed, at most", f"{best.ends[1]:.3f}"],
        ["their distance, from printed numbers", f"{distance - EPS:.2f} to {distance:.2f}"],
        ["standard error of the mean of 60 cases", f"{error:.3f}"],
        ["sum of (score - curve) over the five sizes, at most", f"{most_residual_sum(SIZES['Ki']):.2f}"],
    ]
    return table(["KiTS21 tumour 2D", ""], rows)


def objection_table(found: dict[str, Any]) -> str:
    rows = []
    for one in found["objections"]:
        lo, hi, observed, held = one["backtest"]
        rows.append(
            [
                f"{one['D0']:.1f}",
                one["how"],
                one["verdict"].replace("_", " "),
                f"{one['p_dip']:.2f}, {one['p_misfit']:.2f}",
                f"{lo:.3f} to {hi:.3f}, {observed:.3f}: {'held' if held else 'missed'}",
                "yes" if any("backtest" in message for message in one["messages"]) else "no",
                f"{one['DM']:.3f}",
            ]
        )
    header = ["D0", "0.67 at 240 stands", "verdict", "p of the dip, of the misfit", "backtest at 240"]
    return table([*header, "dicecast warns", "DM refitted"], rows)


def drops_table(found: dict[str, Any]) -> str:
    rows = []
    for one in found["drops"]:
        printed = [fact("P1", one["curve"], f"DM{more}").text for more in _DROPS]
        medians = " / ".join(f"{dm:.2f}" for dm in one["median"])
        shares = [f"{one[key]:.2f}" for key in ("moved", "fell", "still")]
        rows.append([one["curve"], f"{one['D0']:.2f}", " / ".join(printed), medians, *shares])
    header = ["true curve", "D0", "printed DM", "median refitted DM", "moves by >= 0.05", "falls by >= 0.05"]
    return table([*header, "stable (within 0.02)"], rows)


_DROPS = ("", " without the largest", " without the largest two")


def stable_table(found: dict[str, Any]) -> str:
    rows = []
    for one in found["stable"]:
        stable = f"{one['stable'] / one['count']:.2f} ({one['stable']})"
        shares = [f"{one[key]:.2f}" for key in ("off", "off_where_stable", "held")]
        rows.append([one["curves"], str(one["count"]), stable, *shares])
    header = ["true curves", "number", "DM stable", "n* off by > 2", "n* off by > 2 where DM is stable"]
    return table([*header, "90 % interval of n* held"], rows)


def beyond_table(found: dict[str, Any]) -> str:
    rows = []
    for one in found["beyond"]:
        trained, past = (one[key] for key in ("p_beyond_trained", "p_beyond_horizon"))
        largest = CURVES[one["curve"]][1]
        rows.append(
            [
                one["curve"],
                f"{one['D0']:.2f}",
                f"{fact('P1', one['curve'], 'plateau n').text} / {largest} / {one['horizon']}",
                f"{np.median(trained):.2f} ({min(trained):.2f} to {max(trained):.2f})",
                f"{np.median(past):.2f} ({min(past):.2f} to {max(past):.2f})",
                f"{one['lower']:.0f}",
                f"{one['upper_censored']} of {one['count']}",
                f"{one['held']} of {one['count']}",
            ]
        )
    header = ["true curve", "D0", "n* / largest size / horizon", "P(n* > largest size)", "P(n* > horizon)"]
    return table([*header, "lower end of n*", "upper end past the horizon", "interval held"], rows)


def reduced_table(found: dict[str, Any]) -> str:
    """Least squares and posterior on real runs."""
    rows = []
    for one in found["reduced"]:
        dms = " / ".join(f"{dm:.3f}" for dm, _ in one["ceilings"])
        ns = " / ".join("-" if n is None else f"{n:.0f}" for _, n in one["ceilings"])
        lo, hi, censored = one["n"]
        rows.append([one["curve"], str(one["sizes"]), dms, ns, f"{lo:.0f} to {'> ' if censored else ''}{hi:.0f}"])
    header = ["real run", "largest size", "DM: all / without the largest 1, 2", "n* of the same fits"]
    return table([*header, "n*, 90 % interval"], rows)


def jaccard_table() -> str:
    rows = []
    for name in FINAL:
        dice, printed = fact("P1", name, "final dice"), fact("P1", name, "final jaccard")
        lo, hi, one = jaccard_range(name)
        rows.append([name, dice.shown, f"{one:.3f}", f"{lo:.3f} to {hi:.3f}", printed.text])
    return table(["model", "Dice", "Jaccard of the mean Dice", "possible mean Jaccard", "printed"], rows)


def jaccard_range(name: str) -> tuple[float, float, float]:
    """Possible mean Jaccard within the rounding of mean and SD of the Dice, and the Jaccard of the mean Dice."""
    dice = fact("P1", name, "final dice")
    mean, sd = np.meshgrid(np.linspace(*dice.ends, 21), float(dice.sd) + np.linspace(-0.005, 0.005, 21))
    low, high = jaccard_bounds(mean, sd)
    return float(low.min()), float(high.max()), dice.value / (2 - dice.value)


def agreement_table() -> str:
    rows = []
    for name in FINAL:
        bias, msd = fact("P1", name, "volume bias"), fact("P1", name, "final MSD")
        sd = float(bias.sd)
        margin = float(stats.t.ppf(0.975, TEST_CASES - 1)) * sd / np.sqrt(TEST_CASES)
        limits = f"{bias.value - 1.96 * sd:.1f} to {bias.value + 1.96 * sd:.1f}"
        largest = largest_at_least(msd.value, float(msd.sd), TEST_CASES)
        interval = f"{bias.value - margin:.1f} to {bias.value + margin:.1f}"
        rows.append([name, bias.shown, interval, limits, msd.shown, f"{largest:.1f}"])
    header = ["model", "bias, %", "95 % interval of the bias (t, 50 cases)", "limits of agreement, %", "MSD, mm"]
    return table([*header, "largest MSD of a case, at least"], rows)


def p_value_table() -> str:
    p = fact("P1", "MR tumour", "p, 200 against 250").value
    t = float(stats.t.isf(p / 2, TEST_CASES - 1))
    k = rate("MR tumour", 0.5)
    gain = float(gap(k, 389, 200) - gap(k, 389, 250))
    rows = [
        ["t of a paired test of 50 cases", f"{t:.2f}"],
        ["mean difference over the SD of the differences", f"{t / np.sqrt(TEST_CASES):.2f}"],
        ["Holm over the five neighbouring pairs, at least", f"{5 * p:.2f}"],
        ["gain from 200 to 250 on the curve with D0 = 0.5", f"{gain:.3f}"],
        ["standard error of the mean of a quartile (12 cases, SD 0.27)", f"{0.27 / np.sqrt(12):.3f}"],
    ]
    return table(["MR tumour", ""], rows)


def report(found: dict[str, Any]) -> str:
    parts = {
        "Possible curves": possible_table(),
        "Plateau Dice": convention_table(),
        "Kidney: 54 against 122 cases": kidney_table(),
        "KiTS21 2D": kits_table(),
        "KiTS21 2D: what dicecast says of the curve with the printed best": objection_table(found),
        "Dropping the largest sizes: noise of SD 0.01 about an exponential": drops_table(found),
        "Exponential truths, sizes 50 to 300, noise of SD 0.01": stable_table(found),
        "Plateaus past the largest size: posterior from scores about the curve": beyond_table(found),
        "Real runs": reduced_table(found),
        "Jaccard": jaccard_table(),
        "Volumes and surface distances": agreement_table(),
        "p = 0.03": p_value_table(),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


if __name__ == "__main__":
    main(__file__, runs, report, figure)
