"""Write `docs/robustness.md` from what the other scripts here have found.

    python benchmarks/robustness/page.py [--run]

The results lie in `results/`: `readers.json`, `faults.json`, `loads.json`; `mutants.txt` lies beside this file. `--run`
makes them anew first, which takes some hours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parents[1] / "docs" / "robustness.md"
SCRIPTS = ("readers", "faults", "loads")
HEAD = """# Hard to break

What was tried to make dicecast lose something, accept something wrong, or fall over. Written by
`python benchmarks/robustness/page.py` from the results of the scripts beside it; `--run` makes them anew.
`SECURITY.md` says what is trusted.
"""
BAD = {
    "traceback": "tracebacks",
    "warning": "warnings on the screen",
    "flood": "floods of output",
    "hang": "hangs",
    "memory": "ran out of memory",
    "crash": "crashes",
}
"""What must not come of an input, in words."""
ENGINES = {"structured": "broken", "guided": "searched"}
"""Valid content that is broken somewhere (hypothesis), and bytes searched for by what code they reach (atheris)."""
Row = Sequence[object]
TABLE = "module  "
"""How the table of mutants begins."""


def table(head: Row, rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def inputs(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What came of the inputs that were read."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    bad: Counter[str] = Counter()
    for one in results:
        for outcome, count in one["counts"].items():
            if outcome in ("read", "refused"):
                counts[one["reader"]][f"{one['engine']} {outcome}"] += count
            else:
                bad[outcome] += count
    keys = [f"{engine} {outcome}" for engine in ENGINES for outcome in ("read", "refused")]
    head = ["reader", *(f"{words}: {outcome}" for words in ENGINES.values() for outcome in ("read", "refused"))]
    rows = [[name, *(f"{found[key]:,}" for key in keys)] for name, found in counts.items()]
    every = sum(counts.values(), Counter())
    total = every.total() + bad.total()
    told = ", ".join(f"{bad[outcome]} {words}" for outcome, words in BAD.items())
    yield (
        f"## Inputs\n\n{total:,} inputs: {told}. All others were read, or refused with a message and exit code 2. "
        "Broken: valid content with something changed (hypothesis). Searched: bytes by what code they reach (atheris)."
    )
    yield table(head, [*rows, ["**all**", *(f"{every[key]:,}" for key in keys)]])


def faults(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What came of commands that were disturbed."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for one in results:
        rows[one["kind"]][one["outcome"]] += 1
    outcomes = list(dict.fromkeys(outcome for found in rows.values() for outcome in found))
    every = sum(rows.values(), Counter())
    yield (
        f"## Faults\n\n{every.total()} faults in running commands. After each, what was there before was compared byte "
        "for byte, and the command was done once more without the fault."
    )
    shown = {**rows, "**all**": every}
    yield table(
        ["fault", "tried", *outcomes],
        [[name, found.total(), *(found[outcome] for outcome in outcomes)] for name, found in shown.items()],
    )


def loads(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What large inputs take."""
    yield (
        "## Loads\n\nSeconds of one processor core and peak memory. Growth: how many times as much the fourfold input "
        "takes, without what the command takes to start; linear is 4. None where even the larger takes less than twice "
        "the start."
    )
    head = ["load", "command", "size", "s", "MB", "four times: s", "MB", "growth of s", "of MB"]
    rows = [_load(one) for one in results]
    yield table(head, rows)


def _load(one: dict[str, Any]) -> Row:
    (_, small, _), (_, *seconds), (_, *megabytes) = (one[key] for key in ("sizes", "seconds", "megabytes"))
    taken = [number for pair in zip(seconds, megabytes, strict=True) for number in pair]
    name = f"`{one['command'].split()[0]}`"
    growth = ("none" if one[f"growth_{what}"] is None else one[f"growth_{what}"] for what in ("seconds", "megabytes"))
    return [one["load"], name, f"{small:,}", *taken, *growth]


def mutants() -> Iterator[str]:
    """Whether the tests notice a changed program."""
    found = HERE / "mutants.txt"
    if found.is_file():
        words = found.read_text(encoding="utf-8").strip()
        yield "## Mutants of forecast/\n\nSingle expressions changed (cosmic-ray): do the quick tests notice?"
        yield f"```text\n{words}\n```"


def page() -> str:
    """All of it; what was not measured yet is left out."""
    parts = [HEAD.strip()]
    for name, words in (("readers", inputs), ("faults", faults), ("loads", loads)):
        path = RESULTS / f"{name}.json"
        if path.is_file():
            parts += words(json.loads(path.read_text(encoding="utf-8")))
    return "\n\n".join([*parts, *mutants()]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", action="store_true", help="run the other scripts first")
    if parser.parse_args().run:
        RESULTS.mkdir(exist_ok=True)
        for name in SCRIPTS:  # one that finds something bad ends with 1: the page must say so
            subprocess.run([sys.executable, HERE / f"{name}.py", "--json", RESULTS / f"{name}.json"], check=False)
        with tempfile.TemporaryDirectory() as folder:
            told = [sys.executable, HERE / "mutants.py", "--out", Path(folder) / "mutants.json"]
            lines = subprocess.run(told, check=True, stdout=subprocess.PIPE, text=True).stdout
        (HERE / "mutants.txt").write_text(lines[lines.index(TABLE) :], encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
