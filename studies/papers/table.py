"""Every published figure beside what dicecast computes, as the table of studies/README.md.

python studies/papers/table.py writes it; what needs runs of dicecast is taken from the papers' runs.json.
"""

from __future__ import annotations

import sys
from collections import Counter

from published import FOLDERS, HERE, STUDIES, Row, kept_runs, table

sys.path.extend(str(HERE / name) for name in FOLDERS)

import kits21
import plateau_rows
import pooled
import share
import synthetic_rows

PAPERS = {
    "P1": ("Gottlich et al. 2023, doi 10.1007/s10278-023-00804-1", plateau_rows.rows),
    "P2": ("Zang et al. 2021, KiTS21", kits21.rows),
    "P3": ("Lee et al. 2025, doi 10.1371/journal.pone.0339064", share.rows),
    "P4": ("AbdomenAtlas 2.0, arXiv 2510.14831", synthetic_rows.rows),
    "P5": ("Kilic et al. 2026", pooled.rows),
}
README = STUDIES / "README.md"
BEGIN, END = "<!-- studies/papers/table.py writes from here -->\n", "<!-- to here -->\n"
ANSWERS = ("yes", "no", "cannot be checked")


def all_rows() -> dict[str, list[Row]]:
    """Every line of the table, by paper."""
    found = zip(PAPERS.items(), FOLDERS, strict=True)
    return {paper: rows(kept_runs(HERE / folder)) for (paper, (_, rows)), folder in found}


def text(found: dict[str, list[Row]]) -> str:
    """The part of the README between the markers."""
    parts = [_summary(found)]
    header = ["figure", "published", "dicecast", "agreement", "command"]
    for (paper, (name, _)), folder in zip(PAPERS.items(), FOLDERS, strict=True):
        lines = table(header, [row.cells() for row in found[paper]])
        parts.append(f"### {paper}: [{name}](papers/{folder}/)\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def answer(row: Row) -> str:
    """How its agreement begins."""
    return next(one for one in ANSWERS if row.agrees.startswith(one))


def _summary(found: dict[str, list[Row]]) -> str:
    lines = []
    for paper, rows in found.items():
        count = Counter(answer(row) for row in rows)
        figures = sum(len(row.published) for row in rows)
        lines.append([paper, str(figures), str(len(rows)), *(str(count[one]) for one in ANSWERS)])
    return table(["paper", "figures", "lines", *ANSWERS], lines)


def written(before: str) -> str:
    """The README with its table made anew."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{text(all_rows())}\n{END}{tail}"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
