"""What is said beside the picture of a case, in plain text: the caption, and what those hear who do not see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...forecast.scores import TEST
from ..metric_table import metric_name
from .choice import Choice
from .views import Frame, Plane, Point, planes_of
from .volume import CaseVolume, missed_parts, tilt

TURNED_DEGREES = 5.0
"""From here on slices are said to be tilted."""
REASONS = {
    "best": "where the reference is largest",
    "median": "where the reference is largest",
    "worst": "where most is wrong",
    "missed": "through the largest missed part",
}
AGREEMENT = (
    (0.95, "nearly coincides with"),
    (0.85, "follows closely"),
    (0.7, "roughly follows"),
    (0.3, "overlaps only partly with"),
    (1e-9, "hardly overlaps with"),
    (0.0, "does not touch"),
)
"""What the prediction does to the reference, from this Dice on."""


@dataclass(frozen=True)
class Drawn:
    """A case as it is drawn."""

    choice: Choice
    structure: str
    metric: str
    test_set: str
    case: CaseVolume
    """Oriented."""
    point: Point
    frame: Frame
    ends: tuple[float, float]
    """Grey values drawn black and white."""

    @property
    def dice(self) -> float:
        """Of the masks that are drawn; 0 where both are empty."""
        both, sizes = (self.case.reference & self.case.predicted).sum(), _voxels(self.case)
        return float(2 * both / max(1, sum(sizes)))

    @property
    def elsewhere(self) -> bool:
        """Whether there is a prediction, but none in the slices."""
        planes = planes_of(self.case)
        slices = [np.take(self.case.predicted, self.point[plane.across], axis=plane.across) for plane in planes]
        return bool(self.case.predicted.any()) and not any(one.any() for one in slices)


def caption_of(drawn: Drawn) -> str:
    """Case, scores, volumes, what was missed, and which slices are shown."""
    return " ".join([*_standing(drawn), *_sizes(drawn), *_slices(drawn)])


def alt_of(drawn: Drawn) -> str:
    """What is seen."""
    names = [plane.name for plane in planes_of(drawn.case)]
    where = f"{_listed(names).capitalize()} slices" if len(names) > 1 else "One slice"
    if drawn.case.affine is None:
        where = "Three slices" if len(names) > 1 else "The image"
    tone = "colour" if drawn.case.image.ndim > 3 else "grey"
    about = f"{where} in {tone} with the {drawn.structure} of case {drawn.choice.name} outlined"
    reference, predicted = _voxels(drawn.case)
    if not predicted:
        return f"{about}: a solid orange line around the reference, and no prediction."
    if drawn.elsewhere:
        return f"{about}: a solid orange line around the reference; the prediction lies in other slices."
    does = next(words for least, words in AGREEMENT if drawn.dice >= least)
    share = predicted / max(1, reference)
    size = "about as large" if 0.9 <= share <= 1.1 else f"{share:.2g} times as large"
    return f"{about}: the dashed blue prediction {does} the solid orange reference and is {size}."


def _standing(drawn: Drawn) -> Iterator[str]:
    choice, name = drawn.choice, metric_name(drawn.metric)
    among = "test cases" if drawn.test_set == TEST else f"cases of test set {drawn.test_set}"
    if choice.of == 1:
        yield f"The only one of the {among} with this structure: {choice.name}."
    elif choice.kind == "missed":
        yield f"Missed lesion or structure, as in {choice.missed} of {choice.of} {among}: {choice.name}."
    else:
        yield f"{choice.kind.capitalize()} of {choice.of} {among}: {choice.name}."
    mean = "" if choice.of == 1 else f", mean over the test set {choice.mean:.3f}"
    dice = "" if drawn.metric == "dice" else f" Dice {drawn.dice:.3f}."
    yield f"{name[0].upper()}{name[1:]} {choice.score:.3f}{mean}.{dice}"


def _sizes(drawn: Drawn) -> Iterator[str]:
    case, choice, found = drawn.case, drawn.choice, missed_parts(drawn.case)
    reference, predicted = _voxels(case)
    yield f"Reference {_size(case, reference)}, prediction {_size(case, predicted)}."
    if found.missed and found.missed == found.parts:
        yield "The reference is missed entirely."
    elif found.missed:
        verb, size = "is" if found.missed == 1 else "are", _size(case, found.voxels)
        yield f"Of the {found.parts} separate parts of the reference {found.missed} {verb} missed ({size})."
    if choice.kind == "worst" and choice.missed:
        yield f"A lesion or the structure is missed in {choice.missed} of the {choice.of} cases."


def _voxels(case: CaseVolume) -> tuple[int, int]:
    return int(case.reference.sum()), int(case.predicted.sum())


def _size(case: CaseVolume, voxels: int) -> str:
    """A volume; of flat images an area."""
    if case.spacing is None:
        return f"{voxels} pixels"
    amount = voxels * float(np.prod(case.spacing))
    amount, unit = (amount / 1000, "mL") if len(case.spacing) == 3 else (amount, "mm2")
    return f"{amount:.0f} {unit}" if amount >= 100 or not voxels else f"{amount:#.3g} {unit}"


def _slices(drawn: Drawn) -> Iterator[str]:
    case, planes, reason = drawn.case, planes_of(drawn.case), REASONS[drawn.choice.kind]
    if case.affine is None and len(planes) == 1:
        yield "The image does not say how the patient lay; it is drawn as stored."
    elif case.affine is None:
        shape = case.reference.shape
        places = [
            f"{drawn.point[plane.across] + 1} of {shape[plane.across]} along the {plane.name}" for plane in planes
        ]
        yield f"The image does not say how the patient lay; slices are drawn as stored: {_listed(places)}, {reason}."
    else:
        places = [f"{plane.name} at {_place(drawn, plane)}" for plane in planes]
        text = f"{_listed(places)}, {reason}."
        yield text[0].upper() + text[1:]
    if drawn.elsewhere:
        yield "No prediction lies in these slices."
    if tilt(case) >= TURNED_DEGREES:
        yield f"The scan is oblique: slices are tilted by up to {tilt(case):.0f} degrees."
    if drawn.frame.cuts_off:
        yield "Some of the outlines lie outside the picture."
    if case.hounsfield:
        yield f"Grey values {drawn.ends[0]:.0f} to {drawn.ends[1]:.0f} HU."


def _place(drawn: Drawn, plane: Plane) -> str:
    """Position of a slice in the patient, mm."""
    assert drawn.case.affine is not None
    coordinates = drawn.case.affine @ [*drawn.point, 1]  # left, posterior, superior
    at = round(float(coordinates[2 - plane.across]), 1)
    return f"{plane.sides[at >= 0]} {abs(at):.1f} mm"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
