"""Whether the scores of a run are those that the settings ask for now."""

from __future__ import annotations

from ..forecast.errors import InputError
from .files import read_json
from .run_folders import RunFolder
from .settings import Settings


def outdated(settings: Settings, run: RunFolder) -> str | None:
    """In what a run's scores differ from what is asked for now, in words; the references are not looked at."""
    scores, annotators = settings.scores, sorted(one.name for one in settings.test.annotator)
    try:
        made = read_json(run.path / "scoring.json")
        found = {"metrics": made["metrics"], **made["asked"], "annotators": sorted(made["annotators"])}
        tolerances = dict(made["surface_tolerance_mm"])
    except (InputError, TypeError, ValueError, KeyError):
        return "scoring.json beside it cannot be read"
    wanted = {
        "metrics": scores.metrics,
        "structures": scores.structures,
        "unions": scores.unions,
        "annotators": annotators,
    }
    changed = [key for key, value in wanted.items() if found.get(key) != value]
    if any(tolerance != scores.tolerance(name) for name, tolerance in tolerances.items()):
        changed.append("surface_tolerance_mm")
    return ", ".join(changed) or None
