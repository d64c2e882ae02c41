"""What five papers printed (`published.csv`), and how it is shown beside what dicecast computes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
STUDIES = HERE.parent
FOLDERS = ("p1_plateau", "p2_kits21", "p3_surrogate", "p4_synthetic", "p5_renal_masses")
"""One a paper, in the order of P1 to P5."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Okabe and Ito's blue, vermilion, green and purple, which the colour-blind can tell apart."""
BOX = 20_000
"""Numbers drawn within the rounding of what was printed."""


@dataclass(frozen=True)
class Fact:
    """One printed number."""

    paper: str
    curve: str
    quantity: str
    n: str
    text: str
    sd: str
    unit: str
    source: str

    @property
    def value(self) -> float:
        return float(self.text)

    @property
    def half(self) -> float:
        """Half the last printed digit: the true value lies within this of the printed one."""
        digits = len(self.text.partition(".")[2]) if "e" not in self.text else 0
        return 0.5 * 10.0**-digits

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest value that rounds to what was printed."""
        return self.value - self.half, self.value + self.half

    def draws(self, rng: np.random.Generator, count: int = BOX) -> np.ndarray:
        """Values that round to what was printed, evenly spread, shape [count]."""
        return rng.uniform(*self.ends, count)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.curve, self.quantity, self.n

    @property
    def shown(self) -> str:
        return f"{self.text} ± {self.sd}" if self.sd else self.text


@cache
def facts() -> tuple[Fact, ...]:
    """Every published figure, in the order of the file."""
    table = pd.read_csv(HERE / "published.csv", dtype=str, keep_default_na=False)
    return tuple(Fact(*row) for row in table.itertuples(index=False))


def fact(paper: str, curve: str, quantity: str, n: int | str | None = None) -> Fact:
    """The one published figure of that name."""
    found = [
        one
        for one in facts()
        if (one.paper, one.curve, one.quantity) == (paper, curve, quantity) and (n is None or one.n == str(n))
    ]
    if len(found) != 1:
        raise ValueError(f"published.csv must hold {paper} / {curve} / {quantity} / {n} once, found {len(found)}.")
    return found[0]


@dataclass(frozen=True)
class Row:
    """Published figures beside what dicecast computes."""

    figure: str
    published: tuple[Fact, ...]
    found: str
    """What dicecast computes."""
    agrees: str
    """`yes`, `no` or `cannot be checked`, with the reason."""
    command: tuple[str, ...]
    """What computes it, and what gives the same of a study of one's own."""

    def cells(self) -> list[str]:
        shown = " / ".join(one.shown for one in self.published)
        commands = ", ".join(f"`{one}`" for one in self.command)
        return [self.figure, shown, self.found, self.agrees, commands]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def ends(values: np.ndarray, digits: int = 2) -> str:
    """Where 90 % of the values lie."""
    lo, hi = np.quantile(values, [0.05, 0.95])
    return f"{lo:.{digits}f} to {hi:.{digits}f}"


def main(script: str, runs: Callable[[], dict[str, Any]] | None, report: Any, draw: Any) -> None:
    """Run what dicecast has to run (`--kept`: take what was kept), print the tables, draw the figure."""
    folder = Path(script).resolve().parent
    if runs is not None and "--kept" not in sys.argv:
        (folder / "runs.json").write_text(json.dumps(runs(), indent=1) + "\n", encoding="utf-8")
    found = kept_runs(folder)
    print(report(found))
    if draw is not None:
        save(draw(found), folder / folder.name)


def kept_runs(folder: Path) -> dict[str, Any]:
    """What the script's last run with dicecast gave; nothing where it needs none."""
    kept = folder / "runs.json"
    return dict(json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else {}


def dicecast_json(command: str, *arguments: object) -> dict[str, Any]:
    """What `dicecast COMMAND ... --json -` says."""
    asked = [sys.executable, "-m", "dicecast", command, *map(str, arguments), "--json", "-"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path.with_suffix(".png"), dpi=150)
    with matplotlib.rc_context({"svg.hashsalt": "dicecast"}):
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


@cache
def _scores(study: str) -> pd.DataFrame:
    whole = pd.read_csv(STUDIES / "05_paper_design" / study / "scores.csv.gz")
    return whole[(whole["test_set"] == "test") & (whole["stratum"] == "all")]


def reduced(study: str, arm: str, structure: str, *metrics: str) -> pd.DataFrame:
    """Scores per test case of study 5's reduced run (phantom, hippocampus) at its largest size, a column a metric."""
    rows = _scores(study)
    rows = rows[(rows["arm"] == arm) & (rows["structure"] == structure) & rows["metric"].isin(metrics)]
    rows = rows[rows["n_cases"] == rows["n_cases"].max()]
    return rows.pivot(index="case", columns="metric", values="score")


def protocols_table(header: str) -> dict[str, list[str]]:
    """The rows of a table of results in the protocols' README, by their first cell."""
    _, found, after = (STUDIES / "protocols" / "README.md").read_text(encoding="utf-8").partition(f"{header}")
    if not found:
        raise ValueError(f"studies/protocols/README.md must hold a table that begins with {header!r}.")
    lines = after.partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def mean_sd(values: pd.Series, digits: int = 2) -> str:
    return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"
