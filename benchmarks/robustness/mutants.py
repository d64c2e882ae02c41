"""Mutation testing: small changes of forecast/ (cosmic-ray's), of which the tests should notice every one.

    python benchmarks/robustness/mutants.py [--sample 600] [--modules curve fit] [--again] [-o mutants.json]

The tree is copied, and only the copy is changed. Every quick test of tests/forecast is run once to learn which lines it
reaches and what it costs. Then a random sample of mutants is drawn from each module, in proportion to how many it has,
and each is tried on tests that reach its line, the quickest first, as many as fit into `--seconds` of processor.
A mutant that none of them notices survived, even where a slower test would notice it. Results are written as they
come; run again, it goes on where it was interrupted.
Changes of annotations alone and changes that are no Python are not counted: cosmic-ray makes them, but nothing can
notice the first and everything the second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mutant_report import summary
from mutant_trial import TESTS, Mutant, Reach, changed, learn_reach, positions, try_out, warm

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".*", "site", "build", "dist", "*.egg-info", "__pycache__", "dicecast-demo")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=600, help="mutants in all (600)")
    parser.add_argument("--fewest", type=int, default=8, help="mutants of a module, at least (8)")
    parser.add_argument("--most", type=int, default=40, help="mutants of a module, at most (40)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of tests per mutant, by one processor (6)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--modules", nargs="*", default=[], help="names such as curve; by default all of forecast/")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="files to try them on, by default all quick ones")
    parser.add_argument("--again", action="store_true", help="try the survivors again, on tests written since")
    parser.add_argument("--reach", type=Path, help="folder that keeps what tests reach, for a next time")
    parser.add_argument("-o", "--out", type=Path, default=Path("mutants.json"), help="results (mutants.json)")
    return parser.parse_args()


def shares(counts: dict[str, int], asked: argparse.Namespace) -> dict[str, int]:
    """Mutants to draw from each module."""
    every = sum(counts.values())
    return {
        name: min(count, max(asked.fewest, min(asked.most, round(asked.sample * count / every))))
        for name, count in counts.items()
    }


def drawn(tree: Path, module: str, count: int, seed: int) -> Iterator[Mutant]:
    """A random sample of a module's mutants, without those that do not count."""
    places = list(positions(tree, module))
    random.Random(f"{seed} {module}").shuffle(places)
    kept = 0
    for place in places:
        if kept == count:
            return
        if changed(tree, place):
            kept += 1
            yield place


def work(tree: Path, asked: argparse.Namespace) -> tuple[dict[str, int], Iterator[Mutant]]:
    """Mutants that each module has, and those to try."""
    names = sorted(path.stem for path in (tree / "forecast").glob("*.py"))
    unknown = set(asked.modules) - set(names)
    if unknown:
        sys.exit(f"forecast/ has no module {min(unknown)}: there are {', '.join(names)}")
    counts = {name: len(positions(tree, name)) for name in asked.modules or names}
    counts = {name: count for name, count in counts.items() if count}
    if asked.again:
        return counts, (Mutant(**one["mutant"]) for one in read(asked.out) if one["outcome"] == "survived")
    streams = [drawn(tree, name, share, asked.seed) for name, share in shares(counts, asked).items()]
    rounds = zip_longest(*streams)  # one of each module in turn, so that a run cut short has seen them all
    return counts, (mutant for each in rounds for mutant in each if mutant is not None)


def read(out: Path) -> list[dict[str, Any]]:
    """The results so far."""
    return list(json.loads(out.read_text(encoding="utf-8"))["mutants"]) if out.exists() else []


def main() -> None:
    asked = arguments()
    asked.out = asked.out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "path" / "dicecast"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree.parent)}
        place = asked.reach.resolve() if asked.reach else Path(folder) / "reach"
        os.chdir(tree)
        if not (place / "reach.json").exists():
            learn_reach(tree, place, asked.tests)
        reach = warm(tree, Reach.read(place))
        counts, mutants = work(tree, asked)
        results = {tuple(one["mutant"].values()): one for one in read(asked.out)}
        for mutant in mutants:
            key = tuple(asdict(mutant).values())
            if key in results and not asked.again:
                continue
            before = {"before": "survived"} if asked.again else {}
            results[key] = {**try_out(tree, mutant, reach, asked.seconds), **before}
            outcome, seconds = results[key]["outcome"], results[key]["seconds"]
            print(outcome, seconds, mutant.module, mutant.line, mutant.operator, flush=True)
            found = {"counts": counts, "mutants": list(results.values())}
            asked.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(summary(counts, list(results.values())))


if __name__ == "__main__":
    main()
