"""Two ways to make inputs for a reader: breaking valid ones, and searching for bytes that reach new code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from dicecast.benchmarks.robustness.reading import Reader

Take = Callable[[bytes], None]
"""Reads one input and counts what came of it; raises nothing."""
SEED = 1
LONGEST = 4096
"""Bytes of an input that is searched for."""


def structured(reader: Reader, count: int, take: Take) -> None:
    """Feed so many broken seeds to a reader, the same ones every time."""

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.broken)
    def each(data: bytes) -> None:
        take(data)

    each()


def guided(reader: Reader, count: int, take: Take, corpus: Path, done: Callable[[], None]) -> None:
    """Feed so many inputs to a reader that atheris finds by coverage, from its seeds; then end the process.

    Args:
        reader: What reads them; its modules must have been imported with instrumentation.
        count: Inputs.
        take: Reads and counts one.
        corpus: New folder for the seeds, and what is found.
        done: Called before the process ends.
    """
    import atheris

    corpus.mkdir(parents=True)
    for number, seed in enumerate(reader.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    left = count

    def each(data: bytes) -> None:
        nonlocal left
        take(data)
        left -= 1
        if left <= 0:
            done()
            os._exit(0)

    options = [f"-runs={count + 1000}", f"-seed={SEED}", f"-max_len={LONGEST}", "-verbosity=0", "-timeout=3600"]
    options += [
        "-rss_limit_mb=0",
        "-handle_alrm=0",
        "-handle_int=0",
        "-handle_segv=0",
        f"-artifact_prefix={corpus.parent}/",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], each)
    atheris.Fuzz()
