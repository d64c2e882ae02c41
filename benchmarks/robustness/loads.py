"""Seconds and memory of commands on large inputs, and how they grow when the input grows fourfold: linear is 4.

    python benchmarks/robustness/loads.py [--only NAME] [--share 1.0] [--json FILE]

Every command is a process of its own; seconds are those of the processor, so that a busy machine changes little. The
growth leaves out what the command takes on a thousandth of the input, which is mostly its start; where the
larger input takes less than twice the start, there is none to tell.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SIZES = (10, 20, 40, 80, 160)
SETTINGS = """
[study]
format = 2
name = "load"
dataset = "/nowhere"
goal = "plateau"

[test]
cases = 1

[pilots]
sizes = [10, 20, 40, 80, 160]
draws = 1

[scores]
metrics = ["dice"]
"""
ARM = """
[[arm]]
name = "{name}"
configuration = "2d"
"""
HARDLY = 1.0
"""Share of what the start takes below which there is no growth to tell."""


@dataclass(frozen=True)
class Load:
    """An input that can be made in any size, and the commands it is given to."""

    name: str
    size: int
    make: Callable[[Path, int], None]
    """Writes it into a folder."""
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Taken:
    """What a process took."""

    seconds: float
    megabytes: float


def table(runs: list[tuple[str, int, int]], cases: int, seed: int = 0) -> pd.DataFrame:
    """Scores of runs (arm, size, draw) on test cases."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, 0.05, cases)
    arm, n, draw = (np.repeat(column, cases) for column in zip(*runs, strict=True))
    mean = 0.85 - 0.4 * np.exp(-0.02 * n) + np.repeat(rng.normal(0, 0.005, len(runs)), cases)
    score = np.clip(mean + np.tile(own, len(runs)) + rng.normal(0, 0.01, len(mean)), 0, 1)
    names = np.tile([f"case{i:05d}" for i in range(cases)], len(runs))
    return pd.DataFrame({"n_cases": n, "arm": arm, "draw": draw, "case": names, "score": score.round(4)})


def many_rows(folder: Path, rows: int) -> None:
    """Two arms of five sizes and two draws, on as many test cases as it takes."""
    runs = [(arm, n, draw) for arm in ("2d", "3d") for n in SIZES for draw in range(2)]
    table(runs, max(1, rows // len(runs))).to_csv(folder / "scores.csv", index=False)


def many_draws(folder: Path, runs: int) -> None:
    """One curve of five sizes and ever more draws, one score each."""
    table([("2d", n, draw) for n in SIZES for draw in range(runs // len(SIZES))], 1).to_csv(
        folder / "scores.csv", index=False
    )


def many_curves(folder: Path, curves: int) -> None:
    """Curves of five sizes, one score each."""
    runs = [(f"arm{number:05d}", n, 0) for number in range(curves) for n in SIZES]
    table(runs, 1).to_csv(folder / "scores.csv", index=False)


def many_runs(folder: Path, runs: int) -> None:
    """A study of four arms, five sizes and ever more draws, on twenty test cases."""
    make_study(folder / "study", ("2d", "3d", "2.5d", "cascade"), math.ceil(runs / 4 / len(SIZES)), 20)


def many_cases(folder: Path, cases: int) -> None:
    """A study of ten runs on ever more test cases."""
    make_study(folder / "study", ("2d",), 2, cases)


def make_study(study: Path, arms: Sequence[str], draws: int, cases: int) -> None:
    """The files that finished runs leave."""
    settings = SETTINGS.replace("draws = 1", f"draws = {draws}").replace("cases = 1", f"cases = {cases}")
    settings += "".join(ARM.format(name=arm) for arm in arms)
    study.mkdir()
    (study / "study.toml").write_text(settings, encoding="utf-8")
    pool = [f"pool{i:03d},pool{i:03d},pool,0" for i in range(SIZES[-1])]
    test = [f"case{i:05d},case{i:05d},test," for i in range(cases)]
    (study / "cases.csv").write_text("\n".join(["case,patient,role,round", *pool, *test]) + "\n", encoding="utf-8")
    scored = {
        "structures": {"organ": 1},
        "metrics": ["dice"],
        "surface_tolerance_mm": {"organ": 1.0},
        "ignore": None,
        "asked": {"structures": [], "unions": {}},
        "annotators": {},
    }
    for number, (arm, n, draw) in enumerate(product(arms, SIZES, range(draws))):
        place = study / "runs" / arm / f"n{n}" / f"draw{draw}"
        place.mkdir(parents=True)
        found = table([(arm, n, draw)], cases, number)
        found.assign(structure="organ", metric="dice").to_csv(place / "scores.csv", index=False)
        record = {"status": "completed", "arm": arm, "n": n, "draw": draw, "cases": [], "protocol": {"epochs": 2}}
        (place / "run.json").write_text(json.dumps({**record, "seconds": {"training": 60.0}}), encoding="utf-8")
        (place / "scoring.json").write_text(json.dumps(scored), encoding="utf-8")


LOADS = (
    Load(
        "rows of a scores table",
        1_000_000,
        many_rows,
        (("forecast", "scores.csv", "--quick", "--jobs", "1"), ("recommend", "scores.csv")),
    ),
    Load(
        "runs of a curve",
        200_000,
        many_draws,
        (("forecast", "scores.csv", "--quick", "--jobs", "1"), ("recommend", "scores.csv")),
    ),
    Load("curves of a scores table", 10_000, many_curves, (("forecast", "scores.csv", "--quick", "--jobs", "1"),)),
    Load(
        "runs of a study",
        2_000,
        many_runs,
        (("status", "study"), ("forecast", "study", "--quick", "--jobs", "1"), ("recommend", "study")),
    ),
    Load("test cases of a report", 500, many_cases, (("report", "study", "-o", "page.html"),)),
)


def taken(words: tuple[str, ...], folder: Path) -> Taken:
    """Do a command.

    Raises:
        SystemExit: It did not go well.
    """
    program, errors = Path(sys.executable).with_name("dicecast"), folder / "errors.txt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with errors.open("wb") as stream:
        process = subprocess.Popen(
            [program, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=stream, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}: {errors.read_text()[-500:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Taken(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)


def measured(load: Load, share: float) -> list[dict[str, Any]]:
    """One row for each command: what it takes at a thousandth, at a quarter and at the whole size."""
    size = round(load.size * share)
    sizes = (max(5, size // 1000), size // 4, size)
    found: dict[tuple[str, ...], list[Taken]] = {words: [] for words in load.commands}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="dicecast-load-") as made:
            # a command counts as at least as large as the process that starts it: that must stay small
            making = get_context("spawn").Process(target=load.make, args=(Path(made), size))
            making.start()
            making.join()
            if making.exitcode:
                raise SystemExit(f"{load.name}: could not be made")
            for words in load.commands:
                found[words].append(one := taken(words, Path(made)))
                done = f"{load.name}, {size}: {words[0]} {one.seconds:.2f} s, {one.megabytes:.0f} MB"
                print(done, file=sys.stderr, flush=True)
    return [_row(load, words, sizes, found[words]) for words in load.commands]


def _row(load: Load, words: tuple[str, ...], sizes: tuple[int, ...], found: list[Taken]) -> dict[str, Any]:
    row: dict[str, Any] = {"load": load.name, "command": " ".join(words), "sizes": sizes}
    for name in ("seconds", "megabytes"):
        start, small, large = (getattr(one, name) for one in found)
        row[name] = [round(one, 2) for one in (start, small, large)]
        grew = large > start + HARDLY * start
        row[f"growth_{name}"] = round((large - start) / max(small - start, 1e-3), 1) if grew else None
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="loads whose names hold this")
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes; smaller ones take less time")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print(f"{'load':<26}{'command':<22}{'size':>9}{'s':>9}{'MB':>8}{'4x: s':>9}{'MB':>8}{'growth s':>10}{'MB':>6}")
    for load in LOADS:
        if asked.only and asked.only not in load.name:
            continue
        for row in measured(load, asked.share):
            rows.append(row)
            (_, small, large), (_, less, more) = row["seconds"], row["megabytes"]
            command = " ".join(row["command"].split()[:1] + ["--quick"] * ("--quick" in row["command"]))
            print(
                f"{load.name:<26}{command:<22}{row['sizes'][1]:>9}{small:>9.2f}{less:>8.0f}{large:>9.2f}{more:>8.0f}"
                f"{row['growth_seconds'] or '-':>10}{row['growth_megabytes'] or '-':>6}",
                flush=True,
            )
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
