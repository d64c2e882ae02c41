"""Pictures of the cases of a study: image, reference and prediction of the best, the middle and the worst test case.

Only the cases drawn are read. A picture holds the image and outlines; nothing of a file's header is in it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError, install_words
from ...forecast.scores import TEST
from ...forecast.types import BoolArray
from ..figures.canvas import file_name
from ..files import read_json, write_text, write_with
from ..nnunet.checks import image_reader
from ..nnunet.dataset import CaseFiles, NnunetDataset, read_dataset
from ..run_folders import RunFolder, completed_runs
from ..run_scores import scores_of
from ..study import Study
from ..testsets import extra_cases_of
from .choice import Choice, Kind, cases_to_draw
from .drawing import draw_case, size_of
from .reading import read_case
from .views import frame_of, grey_ends, telling_point, views_of
from .volume import CaseVolume, missed_parts, oriented
from .words import Drawn, alt_of, caption_of

AGREES = 1e-3
"""How near the Dice of what is read must be to the score on record."""


@dataclass(frozen=True)
class CasePicture:
    """The picture of one structure in one test case."""

    arm: str
    structure: str
    metric: str
    """The metric that decides in this study; the cases are ranked by it."""
    test_set: str
    n: int
    """Annotated cases that the run was trained on."""
    draw: int
    case: str
    kind: Kind
    score: float
    caption: str
    """Plain text, not HTML."""
    alt: str
    """What is seen, in words; plain text."""
    png: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels; meant to be shown at half of it."""
        return size_of(self.png)

    def _repr_png_(self) -> bytes:
        """Shown by notebooks."""
        return self.png


def case_pictures(
    study: Study,
    *,
    arm: str,
    structure: str,
    test_set: str = TEST,
    names: Mapping[str, str] | None = None,
    notice: Callable[[str], None] | None = None,
    step: Callable[[str, int, int], None] | None = None,
) -> list[CasePicture]:
    """Draw test cases of an arm at its largest size: the best, the median and the worst, and one with missed lesions.

    Args:
        study: Has run; the predictions of the first draw of the largest size are still there.
        arm: Name of an arm.
        structure: A label, region or union that was scored.
        test_set: The one that decides, or an extra one.
        names: Pseudonyms of cases; by default their ids are shown.
        notice: Told of a case that cannot be drawn, which is left out; without it such a case raises.
        step: Told what is being done, how many cases are done and how many there are: a CT takes seconds to read.

    Returns:
        At most four, in the order best, median, worst, missed; no case twice.

    Raises:
        InputError: Nothing can be drawn: no such arm, structure, test set or completed run, no scores of this
            structure, predictions deleted, nnU-Net not installed; says which.
    """
    run, metric = _run_of(study, arm), study.settings.scores.curve_metrics[0]
    choices = [
        dataclasses.replace(one, called=(names or {}).get(one.case, ""))
        for one in _choices(study, run, structure, test_set, metric)
    ]
    dataset, cases = _cases_of(study, test_set)
    source = _Source(study, run, structure, metric, test_set, dataset, cases, _reader(dataset))
    source.check_kept()
    pictures = []
    for number, choice in enumerate(choices):
        if step is not None:
            step(f"pictures of {structure}, arm {arm}", number, len(choices))
        try:
            pictures.append(source.picture(choice))
        except InputError as error:
            if notice is None:
                raise
            notice(f"no picture of case {choice.case} ({choice.kind}, {structure}, arm {arm}): {error}")
    return pictures


def write_case_pictures(pictures: Sequence[CasePicture], folder: Path) -> list[Path]:
    """Write every picture as a PNG, and its caption beside it as a text file.

    Args:
        pictures: Of any arms and structures.
        folder: Made if it does not exist.

    Returns:
        The files written.
    """
    written: list[Path] = []
    for one in pictures:
        extra = "" if one.test_set == TEST else f"-{one.test_set}"
        name = file_name(f"{one.arm}-{one.structure}{extra}-{one.kind}-{one.case}")
        path, number = folder / f"{name}.png", 1
        while path in written:
            number += 1
            path = folder / f"{name}-{number}.png"
        write_with(path, lambda target, png=one.png: target.write_bytes(png))  # type: ignore[misc]
        write_text(path.with_name(f"{path.stem}.txt"), f"{one.caption}\n")
        written += [path, path.with_name(f"{path.stem}.txt")]
    return written


def _run_of(study: Study, arm: str) -> RunFolder:
    """The first completed draw of the largest size."""
    names = [one.name for one in study.settings.arms]
    if arm not in names:
        raise InputError(f"{study.folder / 'study.toml'}: arm must be one of {', '.join(names)}, found {arm!r}.")
    runs = [run for run in completed_runs(study) if run.arm == arm]
    if not runs:
        raise InputError(
            f"{study.folder}: no pilot run of arm {arm} is complete yet. Start them with: dicecast run {study.folder}"
        )
    return min(runs, key=lambda run: (-run.n, run.draw))


def _choices(study: Study, run: RunFolder, structure: str, test_set: str, metric: str) -> list[Choice]:
    scores = scores_of(study, run)
    names = scores["structure"].unique()
    if structure not in names:
        raise InputError(f"{run.path}: structure must be one of {', '.join(names)}, found {structure!r}.")
    choices = cases_to_draw(scores[(scores["structure"] == structure) & (scores["test_set"] == test_set)], metric)
    if not choices:
        raise InputError(f"{run.path}: no case of test set {test_set} has a score ({metric}) of {structure}.")
    return choices


def _cases_of(study: Study, test_set: str) -> tuple[NnunetDataset, Mapping[str, CaseFiles]]:
    """The study's dataset, and the files of a test set."""
    dataset = read_dataset(study.dataset)
    if test_set == TEST:
        return dataset, dataset.cases
    extra = {one.name: one for one in study.settings.test.extra}
    if test_set not in extra:
        raise InputError(f"test set must be one of {', '.join([TEST, *extra])}, found {test_set!r}.")
    section = dataclasses.replace(extra[test_set], dataset=str(study.raw(extra[test_set].dataset)))
    return dataset, extra_cases_of(study.folder, section, dataset)[1]


def _reader(dataset: NnunetDataset) -> Any:
    if importlib.util.find_spec("nnunetv2") is None:
        raise InputError(
            "pictures of cases need nnU-Net v2 to read the images, which is not installed here. Install it "
            f"{install_words('nnunet')}."
        )
    return image_reader(dataset)


@dataclass(frozen=True)
class _Source:
    """Where the pictures of one structure in one test set come from."""

    study: Study
    run: RunFolder
    structure: str
    metric: str
    test_set: str
    dataset: NnunetDataset
    cases: Mapping[str, CaseFiles]
    reader: Any

    @property
    def predictions(self) -> Path:
        return self.run.path / "predictions" / self.test_set

    def check_kept(self) -> None:
        """Say so when all predictions were deleted, rather than once per case."""
        if not self.predictions.is_dir() or not any(self.predictions.iterdir()):
            raise InputError(
                f"{self.predictions}: the predictions were deleted, so no case can be drawn. Restore them; or delete "
                f"{self.run.path} and have the run done again with: dicecast run {self.study.folder}"
            )

    def picture(self, choice: Choice) -> CasePicture:
        case = oriented(self._read(choice))
        weight, core = _telling(case, choice.kind)
        point = telling_point(weight)
        frame = frame_of(case, point, core)
        ends = grey_ends(case, frame)
        drawn = Drawn(choice, self.structure, self.metric, self.test_set, case, point, frame, ends)
        self._check_score(drawn)
        return CasePicture(
            arm=self.run.arm,
            structure=self.structure,
            metric=self.metric,
            test_set=self.test_set,
            n=self.run.n,
            draw=self.run.draw,
            case=choice.name,
            kind=choice.kind,
            score=choice.score,
            caption=caption_of(drawn),
            alt=alt_of(drawn),
            png=draw_case(views_of(case, point, frame), frame, ends, measured=case.spacing is not None),
        )

    def _read(self, choice: Choice) -> CaseVolume:
        files = self.cases.get(choice.case)
        if files is None:
            raise InputError(f"the dataset no longer holds case {choice.case!r} of test set {self.test_set}.")
        scored = read_json(self.run.path / "scoring.json")
        label, declared = scored["structures"][self.structure], self.dataset.declared
        values = tuple(label) if isinstance(label, list) else (label,)
        prediction = self.predictions / f"{choice.case}{declared['file_ending']}"
        return read_case(files, prediction, values, ignore=scored["ignore"], declared=declared, reader=self.reader)

    def _check_score(self, drawn: Drawn) -> None:
        """Refuse to show other masks than those that were scored."""
        if self.metric == "dice" and abs(drawn.dice - drawn.choice.score) > AGREES:
            raise InputError(
                f"{self.predictions}: prediction and reference of case {drawn.choice.case} must give the Dice on "
                f"record, {drawn.choice.score:.3f}, found {drawn.dice:.3f}: one was changed after scoring. Restore it; "
                f"or delete {self.run.path / 'scores.csv'} and score anew with: dicecast run {self.study.folder}"
            )


def _telling(case: CaseVolume, kind: Kind) -> tuple[BoolArray, BoolArray]:
    """The mask whose largest slices are shown, and the one that must not look small."""
    missed = missed_parts(case).largest if kind == "missed" else case.wrong
    if kind in ("best", "median") or not missed.any():
        return case.reference, case.reference
    return missed, missed if kind == "missed" else case.reference
