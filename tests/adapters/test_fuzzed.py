"""Whatever a reader is given, it reads it or refuses it with a message.

A sample of what `benchmarks/robustness/readers.py` feeds to every reader; the inputs are the same every time.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dicecast.adapters import conclusion
from dicecast.benchmarks.robustness.catalogue import READERS
from dicecast.benchmarks.robustness.engines import structured
from dicecast.benchmarks.robustness.reading import READ, Outcome, attempt

pytestmark = pytest.mark.usefixtures("nnunet")
INPUTS = 400
"""Of all readers together."""


@pytest.mark.parametrize("name", READERS)
def test_what_is_whole_is_read_and_what_is_broken_does_no_harm(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(conclusion, "forecast_curve", vars(conclusion)["forecast_curve"])  # a reader replaces it
    reader = READERS[name].make(tmp_path)
    first = attempt(reader, reader.seeds[0])
    assert first.kind == READ, first.words
    bad: list[tuple[bytes, Outcome]] = []

    def take(data: bytes) -> None:
        outcome = attempt(reader, data)
        if not outcome.good:
            bad.append((data[:300], outcome))

    structured(reader, max(1, round(INPUTS * READERS[name].share / 100)), take)
    assert not bad, f"{len(bad)} inputs, such as {bad[0][0]!r}: {bad[0][1].kind}: {bad[0][1].words}"
