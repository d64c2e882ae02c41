"""A process that feeds readers by one engine, each in a child, so that what hangs or crashes takes nothing with it.

    python feeder.py structured|guided FOLDER COUNT NAME [COUNT NAME ...]

Everything is imported once. Prints a line of JSON per reader; inputs that failed go into a folder of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicecast.benchmarks.robustness.catalogue import Entry
    from dicecast.benchmarks.robustness.reading import Tally

MORE = 3_000_000_000
"""Bytes of address space that may be taken beyond what the process has at the start."""
SLOWEST = 1.0
"""Seconds per input after which a child is ended."""
INSTRUMENTED = ["dicecast.adapters", "dicecast.forecast", "tomllib"]


def main(engine: str, folder: Path, asked: list[tuple[int, str]]) -> None:
    """Feed the readers one after another."""
    if engine == "guided":
        import atheris

        with atheris.instrument_imports(include=INSTRUMENTED):
            from dicecast.benchmarks.robustness import catalogue
    else:
        from dicecast.benchmarks.robustness import catalogue
    for count, name in asked:
        place = folder / f"{file_name(name)}-{engine}"
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            old.unlink()
        print(json.dumps(_in_child(name, catalogue.READERS[name], engine, count, place)), flush=True)


def file_name(name: str) -> str:
    """A reader's name as that of a folder."""
    return name.replace("/", "_").replace(" ", "_")


def _in_child(name: str, entry: Entry, engine: str, count: int, folder: Path) -> dict[str, Any]:
    """What one reader's child counted, and the seconds of processor it took."""
    from dicecast.benchmarks.robustness.reading import KINDS

    child = os.fork()
    if not child:
        try:
            _feed(entry, engine, count, folder)
        finally:
            os._exit(1)  # where all went well it has ended before
    end = time.monotonic() + 120 + SLOWEST * count
    while not (found := os.wait4(child, os.WNOHANG))[0]:
        time.sleep(0.05)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
    status, used = found[1:]
    path, code = folder / "tally.json", os.waitstatus_to_exitcode(status)
    tally = json.loads(path.read_text()) if path.is_file() else {"counts": dict.fromkeys(KINDS, 0), "found": []}
    if code:
        said = (folder / "noise.txt").read_text(errors="replace").strip().splitlines()[-1:]
        tally["counts"]["crash"] += 1
        bad = {"place": f"exit code {code}", "input": str(folder / "current"), "says": "".join(said)}
        tally["found"].append(bad)
    return {"reader": name, "engine": engine, "seconds": used.ru_utime + used.ru_stime, **tally}


def _feed(entry: Entry, engine: str, count: int, folder: Path) -> None:
    from dicecast.benchmarks.robustness.engines import guided, structured
    from dicecast.benchmarks.robustness.reading import StreamNoise, Tally, attempt

    noise = StreamNoise(folder / "noise.txt")
    with tempfile.TemporaryDirectory() as place:
        reader = entry.make(Path(place))
        for seed in reader.seeds:
            attempt(reader, seed)  # what is imported and cached late is there before memory is looked at
        _limit_memory()
        tally = Tally()
        current = os.open(folder / "current", os.O_RDWR | os.O_CREAT | os.O_TRUNC)

        def take(data: bytes) -> None:
            os.ftruncate(current, 0)
            os.pwrite(current, data, 0)
            tally.add(data, attempt(reader, data, noise))
            if sum(tally.counts.values()) % 200 == 0:
                _keep(tally, folder)

        if engine == "guided":
            guided(reader, count, take, Path(place) / "corpus", lambda: _keep(tally, folder))
        else:
            structured(reader, count, take)
            _keep(tally, folder)
    os._exit(0)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + MORE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _keep(tally: Tally, folder: Path) -> None:
    """Write counts, and every input that failed with what came of it."""
    found = []
    for place, examples in tally.examples.items():
        for data, outcome in examples:
            name = hashlib.sha256(data).hexdigest()[:10]
            (folder / name).write_bytes(data)
            (folder / f"{name}.txt").write_text(f"{place}\n\n{outcome.words}\n", encoding="utf-8", errors="replace")
        data, outcome = examples[0]
        words = outcome.words.strip().splitlines() or [""]
        found.append(
            {"place": place, "input": str(folder / hashlib.sha256(data).hexdigest()[:10]), "says": words[-1][:300]}
        )
    document = json.dumps({"counts": tally.counts, "found": found}, indent=2)
    (folder / "tally.json").write_text(document, encoding="utf-8")


if __name__ == "__main__":
    pairs = sys.argv[3:]
    main(
        sys.argv[1],
        Path(sys.argv[2]),
        [(int(count), name) for count, name in zip(pairs[::2], pairs[1::2], strict=True)],
    )
