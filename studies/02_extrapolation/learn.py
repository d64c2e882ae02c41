"""Learn the shipped prior from the learn half of LCDB and write it into the package.

python studies/02_extrapolation/learn.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from corpus import LEARNERS, SIZES, Truth, lcdb, learn_sources

import dicecast
from dicecast.forecast.learning import FinishedCurve, learn_prior
from dicecast.forecast.prior import Prior, empty_prior, to_document

PRIOR = Path(dicecast.__file__).parent / "forecast" / "prior.json"
SHAPES = {
    "exponential": [(1.0, 1.0)],
    "stretched-exponential": [(0.2, 0.4), (0.4, 0.62), (0.62, 0.88)],
    "power-law": [(0.0, 0.0)],
    "hill": [(0.5, 2.0), (2.0, 8.0), (8.0, 32.0)],
    "inverse-log": [(0.0, 0.0)],
}
AVERAGED = ("exponential", "stretched-exponential", "power-law", "hill")
"""The families of the average; adding the inverse log made it worse."""
EARLY = ("exponential", "stretched-exponential")
"""The families that also enter it anchored at the smallest size."""
SHARES, SLOPES = np.linspace(0, 1, 11), np.geomspace(0.002, 4, 29)
MISFIT = np.array([0.0007, 0.0015, 0.003, 0.007, 0.015, 0.03])


def finished(one: Truth) -> FinishedCurve:
    """A curve of the database with its later sizes, seen at the largest trained size."""
    n = one.sizes
    curve = dicecast.Curve(
        arm="",
        structure="",
        metric="accuracy",
        test_set="",
        stratum="",
        protocol="",
        n=n,
        draw=np.zeros(len(n), dtype=np.int64),
        y=one.score,
        n_test=None,
        n_left_out=0,
        n_annotated=int(n[-1]),
        pool=(10**9,),
        se_draws=one.error,
    )
    return FinishedCurve(curve, SIZES[-1], one.source)


def vague() -> Prior:
    return empty_prior("vague", SHAPES, AVERAGED, EARLY, SHARES, SLOPES, MISFIT)


def learned() -> dict[str, Any]:
    """The document of the shipped prior."""
    sources = learn_sources()
    corpus = [finished(one) for one in lcdb(LEARNERS) if one.source in sources]
    prior = learn_prior(corpus, vague(), "lcdb-1")
    words = (
        f"{len(corpus)} accuracy curves of {len({one.source for one in corpus})} sources in LCDB 1.1 "
        "(arXiv 2505.15657, CC BY 4.0), 32 to 2048 cases, seen at 256; written by studies/02_extrapolation/learn.py"
    )
    return to_document(prior, words)


def as_text(document: dict[str, Any]) -> str:
    """JSON with one row of cells (by slope) to a line."""
    text = json.dumps(document, indent=1)
    rows = text.split("\n")
    out: list[str] = []
    for row in rows:
        stripped = row.strip()
        number = stripped.rstrip(",").lstrip("-").replace(".", "", 1).replace("e-", "", 1).isdigit()
        if (number or stripped in ("]", "],")) and out and _open_row(out[-1]):
            out[-1] += stripped + (" " if stripped.endswith(",") and number else "")
        else:
            out.append(row)
    return "\n".join(line.replace(", ]", "]") for line in out) + "\n"


def _open_row(line: str) -> bool:
    """Whether a line is a list of numbers that is still open."""
    last = line.rstrip().split()[-1] if line.strip() else ""
    return line.rstrip().endswith("[") or (line.count("[") > line.count("]") and last.rstrip(",")[-1:].isdigit())


def main() -> None:
    PRIOR.write_text(as_text(learned()), encoding="utf-8")
    print(f"wrote {PRIOR}")


if __name__ == "__main__":
    main()
