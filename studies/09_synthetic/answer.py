"""What are three synthetic cases beside every real one worth? Writes answer.md and the figures beside this file.

python studies/09_synthetic/answer.py
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
ARMS = ("real", "real + synthetic")
STRUCTURES = ("kidney", "tumour")
AT = (8, 16, 32)


def compared(structure: str) -> dict[str, Any]:
    """`dicecast compare` on the study's scores."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "scores.csv", Path(folder) / "answer.json"
        source.write_bytes(gzip.decompress((HERE / "scores.csv.gz").read_bytes()))
        options = ["--arms", ",".join(ARMS), "--structure", structure, "--metric", "dice", "--stratum", "all"]
        options += ["--at", ",".join(map(str, AT)), "--figures", str(HERE), "--json", str(target)]
        subprocess.run([sys.executable, "-m", "dicecast", "compare", str(source), *options], check=True)
        (found,) = json.loads(target.read_text(encoding="utf-8"))["comparisons"]
    return dict(found)


def observed(structure: str) -> list[list[str]]:
    """Mean Dice by draw, arm and size."""
    scores = pd.read_csv(HERE / "scores.csv.gz")
    of = scores[(scores["structure"] == structure) & (scores["metric"] == "dice") & (scores["stratum"] == "all")]
    draws = of.groupby(["arm", "n_cases", "draw"])["score"].mean()
    sizes = sorted(of["n_cases"].unique())
    rows = []
    for arm in ARMS:
        cells = []
        for n in sizes:
            found = draws[arm, n]
            cells.append(f"{found.mean():.3f} ({', '.join(f'{y:.3f}' for y in found)})")
        rows.append([arm, *cells])
    return [["", *map(str, sizes)], *rows]


def equal(found: dict[str, Any]) -> list[list[str]]:
    """Real + synthetic cases for what real ones reach."""
    rows = [["real cases", "real + synthetic for the same", "real cases per case", "saved", "P(fewer)", "P(beyond)"]]
    for one in found["pairs"][0]["equal_performance_curve"]:
        if one["n_first"] not in AT:
            continue
        cases, n = one["n_second"], one["n_first"]
        floor, horizon = cases["floor"], cases["horizon"]

        def words(value: float | None, form: str = "{:.0f}", floor: float = floor, horizon: float = horizon) -> str:
            if value is None:
                return "beyond"
            return ("< " if value <= floor else "> " if value >= horizon else "") + form.format(value)

        ratio = "beyond" if cases["median"] is None else f"{n / cases['median']:.2f}"
        ends = f"[{words(cases['lo'])}, {words(cases['hi'])}]"
        ratios = f"[{'< ' if cases['hi_censored'] else ''}{n / cases['hi']:.2f}, "
        ratios += f"{'> ' if cases['lo_censored'] else ''}{n / cases['lo']:.2f}]"
        saved = "-" if one["saved"]["median"] is None else f"{one['saved']['median']:.0%}"
        chances = ["-" if one["p_fewer"] is None else f"{one['p_fewer']:.2f}", f"{one['p_beyond_horizon']:.2f}"]
        rows.append([str(n), f"{words(cases['median'])} {ends}", f"{ratio} {ratios}", saved, *chances])
    return rows


def table(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def main() -> None:
    parts = []
    for structure in STRUCTURES:
        found = compared(structure)
        crossing, reason = found["pairs"][0]["crossing"], found["recommendation"]["reason"]
        where = "" if crossing["n"] is None else ", at {median:.0f} [{lo:.0f}, {hi:.0f}] cases".format(**crossing["n"])
        words = f"P(real overtakes) {crossing['p_first_overtakes']:.2f}{where}. {reason}"
        parts.append(f"## {structure}\n\n{table(observed(structure))}\n\n{table(equal(found))}\n\n{words}")
    text = "\n\n".join(parts)
    print(text)
    (HERE / "answer.md").write_text(f"# Answer\n\nWritten by `answer.py`.\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
