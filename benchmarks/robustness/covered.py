"""Lines and branches of the last coverage run, each by itself: fails where either is below 95 %."""

from __future__ import annotations

import json
import subprocess
import sys

LEAST = 95.0


def main() -> None:
    command = [sys.executable, "-m", "coverage", "json", "-q", "--fail-under=0", "-o", "-"]
    totals = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["totals"]
    shares = {
        "lines": (totals["covered_lines"], totals["num_statements"]),
        "branches": (totals["covered_branches"], totals["num_branches"]),
    }
    for name, (covered, every) in shares.items():
        print(f"{name}: {covered} of {every}, {100 * covered / every:.1f} %")
    if any(100 * covered < LEAST * every for covered, every in shares.values()):
        sys.exit(f"less than {LEAST:g} %")


if __name__ == "__main__":
    main()
