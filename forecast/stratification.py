"""How a test set is split into strata, as `study.toml` writes it: volume/4, diameter@10,30, or a column's name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InputError

UNITS = {"volume": "mL", "diameter": "mm", "heterogeneity": ""}
"""Properties of a structure in the reference, and their units: volume; diameter of the sphere of the volume of its
largest connected part; standard deviation of the image's first channel inside it."""


@dataclass(frozen=True)
class Stratification:
    """One way to split the test set."""

    by: str
    """A property of `UNITS`, or a column of the cases table."""
    groups: int | None = None
    """Groups of about equal size."""
    cuts: tuple[float, ...] = ()
    """Where to cut, in the unit of the property."""

    @property
    def measured(self) -> bool:
        """Whether it splits by a property of the reference, thus differently for every structure."""
        return self.by in UNITS


def stratification(text: str) -> Stratification:
    """Read how to split the test set.

    Raises:
        InputError: Not of the forms above.
    """
    found = re.fullmatch(r"(?P<by>[^/@]+)(/(?P<groups>\d+)|@(?P<cuts>[\d.,\s]+))?", text.strip())
    try:
        if found is None or (found["groups"] is not None and not 2 <= int(found["groups"]) <= 20):
            raise ValueError
        cuts = tuple(float(cut) for cut in (found["cuts"] or "").split(",") if cut.strip())
        if sorted(set(cuts)) != list(cuts) or (found["cuts"] is not None and not cuts):
            raise ValueError
    except ValueError as error:
        raise InputError(
            f"strata must be like volume/4, diameter@10,30 or a column of cases.csv, found {text!r}. Correct it."
        ) from error
    made = Stratification(found["by"].strip(), int(found["groups"]) if found["groups"] else None, cuts)
    if made.measured and made.groups is None and not cuts:
        raise InputError(f"strata by {made.by} need groups or cuts: {made.by}/2, or {made.by}@10. Found {text!r}.")
    return made
