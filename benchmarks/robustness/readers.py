"""Feed every reader of dicecast inputs that somebody broke, and count what comes of them.

    python benchmarks/robustness/readers.py [--inputs 100000] [--only NAME] [--json FILE] [--failures FOLDER]
    python benchmarks/robustness/readers.py --again FILE

An input may be read or refused with a message (exit code 2). It must not end in a traceback, print a warning, flood the
screen, hang, take much memory or end the process. Inputs that did are kept with what they did, in a folder by reader;
`--again` reads one of them once more. Needs the extra `fuzz`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dicecast.benchmarks.robustness.feeder import file_name
from dicecast.benchmarks.robustness.reading import KINDS, READ, REFUSED

INPUTS = 100_000
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def shares(inputs: int, only: str | None) -> dict[str, list[str]]:
    """How many inputs of which reader, by engine, as the words that `feeder.py` takes."""
    from dicecast.benchmarks.robustness import catalogue

    searching = importlib.util.find_spec("atheris") is not None
    entries = catalogue.READERS.items()
    chosen = [(name, entry) for name, entry in entries if only is None or only.lower() in name.lower()]
    total = sum(entry.share for _, entry in chosen)
    found: dict[str, list[str]] = {"structured": [], "guided": []}
    for name, entry in chosen:
        count = max(1, round(inputs * entry.share / total))
        searched = round(count * entry.guided) if searching else 0
        for engine, own in (("structured", count - searched), ("guided", searched)):
            found[engine] += [str(own), name] if own else []
    return found


def feed(engine: str, words: list[str], failures: Path) -> Iterator[dict[str, Any]]:
    """What was counted of every reader, as it comes in."""
    command = [sys.executable, str(Path(__file__).with_name("feeder.py")), engine, str(failures), *words]
    failures.mkdir(parents=True, exist_ok=True)
    with (failures / f"{engine}.txt").open("wb") as said:
        environment = {**os.environ, **ONE_THREAD}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=environment, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"{engine}: the process ended with {process.returncode}, see {failures / engine}.txt")


def again(path: Path) -> int:
    """Read a kept input once more and say what comes of it."""
    from dicecast.benchmarks.robustness import catalogue
    from dicecast.benchmarks.robustness.reading import attempt

    name = next(one for one in catalogue.READERS if file_name(one) == path.resolve().parent.name.rpartition("-")[0])
    with tempfile.TemporaryDirectory() as place:
        outcome = attempt(catalogue.READERS[name].make(Path(place)), path.read_bytes())
    print(f"{outcome.kind} {outcome.where}\n{outcome.words}")
    return 0 if outcome.good else 1


def table(results: list[dict[str, Any]]) -> str:
    """Inputs and outcomes by reader, and what must not have happened."""
    lines = [
        f"{'reader':<26}{'engine':<12}{'inputs':>8}" + "".join(f"{kind:>11}" for kind in KINDS) + f"{'seconds':>9}"
    ]
    for one in results:
        lines.append(_row(one["reader"], one["engine"], one["counts"], one["seconds"]))
    totals = {kind: sum(one["counts"][kind] for one in results) for kind in KINDS}
    lines.append(_row("all", "", totals, sum(one["seconds"] for one in results)))
    for one in results:
        lines += [f"{one['reader']}: {bad['place']}: {bad['says']}\n    {bad['input']}" for bad in one["found"]]
    return "\n".join(lines)


def _row(name: str, engine: str, counts: Mapping[str, int], seconds: float) -> str:
    numbers = "".join(f"{counts[kind]:>11}" for kind in KINDS)
    return f"{name:<26}{engine:<12}{sum(counts.values()):>8}{numbers}{seconds:>9.0f}"


def main() -> int:
    """Feed the readers; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of all readers together")
    parser.add_argument("--only", metavar="NAME", help="readers with this in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the counts")
    parser.add_argument("--failures", type=Path, metavar="FOLDER", help="where failing inputs are kept")
    parser.add_argument("--again", type=Path, metavar="FILE", help="read one kept input once more")
    asked = parser.parse_args()
    if asked.again is not None:
        return again(asked.again)
    failures = asked.failures or Path(tempfile.mkdtemp(prefix="dicecast-robustness-"))
    results = []
    for engine, words in shares(asked.inputs, asked.only).items():
        for one in feed(engine, words, failures) if words else ():
            results.append(one)
            print(_row(one["reader"], engine, one["counts"], one["seconds"]), file=sys.stderr, flush=True)
    print(table(results))
    if asked.json is not None:
        asked.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    bad = sum(one["counts"][kind] for one in results for kind in KINDS if kind not in (READ, REFUSED))
    if bad:
        print(f"{bad} inputs ended as none may. They are in {failures}; read one again with --again FILE.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
