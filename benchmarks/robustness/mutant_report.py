"""How many mutants the tests noticed, by module and in all."""

from __future__ import annotations

import math
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

EXPLAINED = Path(__file__).with_name("survivors.toml")
Z = 1.96
"""Standard deviations from the middle to the ends of a 95 % interval."""


def wilson(killed: int, tried: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if tried == 0:
        return 0.0, 1.0
    share, scale = killed / tried, 1 + Z**2 / tried
    middle = (share + Z**2 / (2 * tried)) / scale
    half = Z * math.sqrt(share * (1 - share) / tried + Z**2 / (4 * tried**2)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def in_all(counts: dict[str, int], tried: dict[str, list[bool]]) -> tuple[float, float, float]:
    """Share killed of all mutants of the modules tried, and its 95 % interval: each module weighs what it has."""
    every = sum(counts[name] for name in tried)
    share, variance = 0.0, 0.0
    for name, killed in tried.items():
        weight, n = counts[name] / every, len(killed)
        smoothed = (sum(killed) + 1) / (n + 2)  # a module without survivors is not known to have none
        share += weight * sum(killed) / n
        variance += weight**2 * smoothed * (1 - smoothed) / n
    half = Z * math.sqrt(variance)
    return share, max(0.0, share - half), min(1.0, share + half)


def explained() -> dict[tuple[str, str], str]:
    """Why a mutant may survive, by its module and its changed line."""
    found = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["survivor"]
    return {(one["module"], one["code"]): one["why"] for one in found}


def summary(counts: dict[str, int], results: list[dict[str, Any]]) -> str:
    """A table of the modules, then the survivors."""
    tried: dict[str, list[bool]] = defaultdict(list)
    before: dict[str, list[bool]] = defaultdict(list)
    for one in results:
        tried[one["mutant"]["module"]].append(one["outcome"] != "survived")
        before[one["mutant"]["module"]].append(one.get("before", one["outcome"]) != "survived")
    rows = ["module                 mutants  tried  killed  share  95 % interval"]
    for name, killed in sorted(tried.items()):
        lo, hi = wilson(sum(killed), len(killed))
        share = sum(killed) / len(killed)
        rows.append(
            f"{name:22} {counts[name]:7d} {len(killed):6d} {sum(killed):7d}  {share:4.0%}   {lo:.0%} to {hi:.0%}"
        )
    if tried:
        share, lo, hi = in_all(counts, tried)
        rows.append(f"in all: {share:.1%} killed ({lo:.1%} to {hi:.1%}), each module weighed by its mutants")
    if before != tried:
        share, lo, hi = in_all(counts, before)
        rows.append(f"before tests were written for survivors of this draw: {share:.1%} ({lo:.1%} to {hi:.1%})")
    known = explained()
    for one in results:
        if one["outcome"] == "survived":
            module, change = one["mutant"]["module"], [line for line in one["diff"] if not line.startswith("@@")]
            why = next((known[key] for key in ((module, line[1:].strip()) for line in change) if key in known), "")
            rows += ["", f"survived: {module} ({one['tests']} tests tried){f': {why}' if why else ''}", *change]
    return "\n".join(rows)
