"""P2, a 3D U-Net on KiTS21: what its printed tests and differences say.

python studies/papers/p2_kits21/kits21.py         runs dicecast (seconds) and prints the tables
python studies/papers/p2_kits21/kits21.py --kept  takes dicecast's part from runs.json
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from published import Row, dicecast_json, fact, main, mean_sd, reduced, table

CLASSES = ("kidney and masses", "masses", "tumour")
METRICS = {"dice": "dice", "surface dice": "nsd_area"}
HERE = "python studies/papers/p2_kits21/kits21.py"
OWN = "dicecast agreement STUDY"
TESTED = {"dice": 1e-9, "surface dice": 0.005}
"""Metrics tested between the halves, and what their p was printed to be below."""
GROUPS = ((28, 29), (30, 30))
"""57 single tumours below and above their median; all 60 cases in halves."""


def groups_with(u: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Two groups of n and m without ties, of whose n m pairs the first is higher in u."""
    larger = np.arange(1.0, m + 1)
    above = np.full(n, 0)
    for i in range(n - 1, -1, -1):  # the highest of the first group beats as many as it can, then the next
        above[i] = min(m, u - above.sum())
    return above + 0.5 + 0.4 * np.arange(n) / n, larger


def p_values(u: int, n: int, m: int) -> dict[str, float]:
    """p of a Mann-Whitney test by how it is computed."""
    first, second = groups_with(u, n, m)

    def p(alternative: str, method: str, correct: bool = True) -> float:
        found = stats.mannwhitneyu(first, second, use_continuity=correct, alternative=alternative, method=method)
        return float(found.pvalue)

    return {
        "normal, two-sided": p("two-sided", "asymptotic", False),
        "normal, corrected, two-sided": p("two-sided", "asymptotic"),
        "normal, one-sided": p("less", "asymptotic", False),
        "exact, two-sided (dicecast)": p("two-sided", "exact"),
    }


def largest_u(below: float, n: int, m: int, kind: str) -> int:
    """The largest U with p below a bound."""
    low, high = 0, n * m // 2
    while low < high:  # p rises with U
        middle = (low + high + 1) // 2
        low, high = (middle, high) if p_values(middle, n, m)[kind] < below else (low, middle - 1)
    return low


def runs() -> dict[str, Any]:
    """What dicecast says of one size, and its test of two halves with the printed U."""
    with tempfile.TemporaryDirectory() as folder:
        single, halves = Path(folder) / "single.csv", Path(folder) / "halves.csv"
        rows = [
            {"n_cases": 240, "structure": name, "score": fact("P2", name, "dice, individual").value} for name in CLASSES
        ]
        pd.DataFrame(rows).to_csv(single, index=False)
        _halves(int(fact("P2", "single tumours", "dice U").value)).to_csv(halves, index=False)
        verdicts = [one["verdict"] for one in dicecast_json("forecast", single)["curves"]]
        test = dicecast_json("agreement", halves)["runs"][0]["small_and_large"]
    return {"verdicts": verdicts, "test": test}


def _halves(u: int) -> pd.DataFrame:
    """Dice and volumes of 57 tumours whose halves by volume have that U."""
    scores = np.concatenate(groups_with(u, *reversed(GROUPS[0]))) / 100  # dicecast counts the median itself as small
    volumes = np.arange(1.0, len(scores) + 1)
    both = {"dice": scores, "reference_ml": volumes, "volume_ml": volumes}
    cases = [f"case {i}" for i in range(len(scores))]
    return pd.concat(
        [pd.DataFrame({"n_cases": 240, "case": cases, "metric": name, "score": found}) for name, found in both.items()]
    )


def test_table() -> str:
    rows = []
    for metric, below in TESTED.items():
        u = int(fact("P2", "single tumours", f"{metric} U").value)
        n, m = GROUPS[0]
        found = p_values(u, n, m)
        words = [f"{p:.1e}{' *' if p < below else ''}" for p in found.values()]
        rows.append([metric, f"{u} of {n * m}", f"{1 - u / (n * m):.3f}", f"< {below:g}", *words])
    return table(["metric", "U", "AUC", "printed p", *found], rows) + "\n\n\\* below what was printed"


def needed_table() -> str:
    """Which U a p below 1e-9 needs."""
    rows = []
    for n, m in GROUPS:
        for kind in p_values(0, n, m):
            u = largest_u(1e-9, n, m, kind)
            least = p_values(0, n, m)[kind]
            rows.append([f"{n} and {m}", kind, f"{least:.1e}", str(u), f"{1 - u / (n * m):.3f}"])
    return table(["groups", "p by", "smallest p possible (U = 0)", "largest U with p < 1e-9", "its AUC"], rows)


def reference_table() -> str:
    rows = []
    for name in CLASSES:
        cells = [name]
        for metric in METRICS:
            one, vote = (fact("P2", name, f"{metric}, {which}") for which in ("individual", "majority"))
            cells += [vote.text, one.text, f"{vote.value - one.value:.3f}"]
        rows.append(cells)
    header = [f"{metric}, {what}" for metric in METRICS for what in ("majority", "individual", "difference")]
    return table(["class", *header], rows)


def spearman_interval() -> tuple[float, float]:
    """95 % interval by Fisher's transform with the variance of Bonett and Wright (2000), 60 cases."""
    r = fact("P2", "all", "Spearman of individual and majority").value
    margin = 1.96 * np.sqrt((1 + r**2 / 2) / 57)
    return float(np.tanh(np.arctanh(r) - margin)), float(np.tanh(np.arctanh(r) + margin))


def report(found: dict[str, Any]) -> str:
    one, (lo, hi) = found["verdicts"][0], spearman_interval()
    test = found["test"]
    parts = {
        "Halves by volume: Mann-Whitney": test_table(),
        "What p < 1e-9 needs": needed_table(),
        "`dicecast agreement` on 29 and 28 cases with U = 28": f"U = {test['u']:.0f}, p = {test['p']:.1e}, "
        f"share of pairs {test['effect']:.3f}",
        "Majority and individual references": reference_table(),
        "Spearman 0.996 of 60 cases": f"95 % interval {lo:.3f} to {hi:.3f}",
        "`dicecast forecast` on one size": f"{one['code']}: {one['reason']}",
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def rows(found: dict[str, Any]) -> list[Row]:
    made = []
    one_size = "cannot be checked: one size, no masks"
    for name in CLASSES:
        for metric, column in METRICS.items():
            printed = tuple(fact("P2", name, f"{metric}, {which}") for which in ("majority", "individual"))
            real = reduced("phantom", "3d_fullres", name, column)[column]
            words = f"{found['verdicts'][0]['code']}; study 5 at 60 cases: {mean_sd(real, 3)}"
            made.append(Row(f"{name}: {metric}, majority / individual", printed, words, one_size, (HERE, OWN)))
    return [*made, _spearman(), *_halves_rows(found)]


def _spearman() -> Row:
    lo, hi = spearman_interval()
    printed = fact("P2", "all", "Spearman of individual and majority")
    words = f"{lo:.3f} to {hi:.3f} (95 %, 60 cases)"
    agrees = "cannot be checked: no scores; `[[test.annotator]]` in study.toml gives it"
    return Row("Spearman of Dice by majority and individual", (printed,), words, agrees, (HERE, OWN))


def _halves_rows(found: dict[str, Any]) -> list[Row]:
    def one(quantity: str) -> Any:
        return fact("P2", "single tumours", quantity)

    cases, volume = one("cases"), one("median volume")
    real = reduced("phantom", "3d_fullres", "tumour", "reference_ml", *METRICS.values())
    cut = real["reference_ml"].median()
    halves = real[real["reference_ml"] <= cut], real[real["reference_ml"] > cut]
    made = [
        Row("single tumours", (cases,), "halves of 28 and 29", "yes: U is of 812 pairs", (HERE,)),
        Row("their median volume, mL", (volume,), f"study 5: {cut:.2f}", "cannot be checked: no masks", (OWN,)),
    ]
    for metric, below in TESTED.items():
        medians = one(f"{metric} median, smaller half"), one(f"{metric} median, larger half")
        u, p = one(f"{metric} U"), one(f"{metric} p below")
        found_p = p_values(int(u.value), *GROUPS[0])
        normal, exact = found_p["normal, corrected, two-sided"], found_p["exact, two-sided (dicecast)"]
        agrees = "yes" if exact < below else "no"
        words = f"p = {exact:.1e} exactly, {normal:.1e} by the normal approximation; AUC {1 - u.value / 812:.3f}"
        made.append(Row(f"{metric} by half: U / p below", (u, p), words, agrees, (HERE, OWN)))
        cannot = "cannot be checked: no scores"
        words = "study 5: " + " / ".join(f"{half[METRICS[metric]].median():.3f}" for half in halves)
        made.append(Row(f"{metric}: medians of the halves", medians, words, cannot, (f"{OWN} --structure tumour",)))
    return made


if __name__ == "__main__":
    main(__file__, runs, report, None)
