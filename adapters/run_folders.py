"""The folders of a study's runs: `runs/<arm>/n<cases>/draw<number>`, and `checks/` likewise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..forecast.errors import InputError
from .nnunet.spec import RunStatus, read_record, run_status
from .sections import ArmSection
from .study import Study

FINISHED = 1000
"""The draw that a finished model counts as: none that is trained here."""


@dataclass(frozen=True)
class RunFolder:
    """Where a run is kept, and which run that makes it."""

    path: Path
    arm: str
    n: int
    draw: int
    check: bool = False
    """Whether it is a schedule check."""

    @property
    def completed(self) -> bool:
        """Whether the run is done."""
        return run_status(self.path) is RunStatus.COMPLETED

    @property
    def record(self) -> dict[str, Any]:
        """What the run says of itself.

        Raises:
            InputError: It is not that run's record: the folder was copied or renamed.
        """
        made, own = read_record(self.path), {"arm": self.arm, "n": self.n, "draw": self.draw}
        found = {key: made.get(key) for key in own}
        if found != own:
            raise InputError(
                f"{self.path / 'run.json'}: must be the record of {_words(own)}, as its folder says, found that of "
                f"{_words(found)}. Move the copy out of the study, or give the folder its name back."
            )
        return made


def _words(run: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in run.items())


def run_folder(study: Study, arm: str, n: int, draw: int, *, check: bool = False) -> Path:
    """Where a pilot run, or its schedule check, lives."""
    return study.folder / ("checks" if check else "runs") / arm / f"n{n}" / f"draw{draw}"


def run_at(study: Study, place: str) -> RunFolder:
    """The run of a folder that is named within the study: `runs/<arm>/n<cases>/draw<number>`.

    Raises:
        InputError: Not the folder of a run.
    """
    found = re.fullmatch(r"(runs|checks)/([^/]+)/n(0|[1-9]\d*)/draw(0|[1-9]\d*)", place)
    if found is None:
        raise InputError(f"a run must be named runs/<arm>/n<cases>/draw<number>, found {place!r}.")
    return RunFolder(study.folder / place, found[2], int(found[3]), int(found[4]), found[1] == "checks")


def run_folders(study: Study, *, check: bool = False) -> list[RunFolder]:
    """Every run of the study's arms, begun or done, still asked for or not; by arm, size and draw."""
    found = []
    for arm in study.settings.arms:
        root = study.folder / ("checks" if check else "runs") / arm.name
        runs = [(n, draw) for n in _numbers(root, "n") for draw in _numbers(root / f"n{n}", "draw")]
        found += [
            RunFolder(run_folder(study, arm.name, n, draw, check=check), arm.name, n, draw, check)
            for n, draw in runs
            if draw < FINISHED or _stands_for_finished(arm, n)
        ]
    return found


def completed_runs(study: Study, *, check: bool = False) -> list[RunFolder]:
    """The runs of `run_folders` that are done."""
    return [run for run in run_folders(study, check=check) if run.completed]


def left_arms(study: Study) -> list[str]:
    """Arms that have runs but are no longer in `study.toml`: their runs count nowhere."""
    root, named = study.folder / "runs", {arm.name for arm in study.settings.arms}
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [path.name for path in folders if path.name not in named and _numbers(path, "n")]


def _numbers(folder: Path, word: str) -> list[int]:
    """The numbers of the folders called so; anything else in there is not ours."""
    if not folder.is_dir():
        return []
    names = [re.fullmatch(rf"{word}(0|[1-9]\d*)", path.name) for path in folder.iterdir() if path.is_dir()]
    return sorted(int(name[1]) for name in names if name is not None)


def _stands_for_finished(arm: ArmSection, n: int) -> bool:
    return arm.finished is not None and arm.finished.n == n
