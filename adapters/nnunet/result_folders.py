"""Where finished nnU-Net results lie below a folder, and which summaries make one run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...forecast.errors import InputError
from ...forecast.scores import CROSS_VALIDATION, TEST

SUMMARY = "summary.json"
ACCUMULATED = re.compile(r"(?:crossval_results_folds|ensemble___.+__)_(\d+(?:_\d+)*)")
"""Folders in which nnU-Net gathers the validation cases of several folds, or of several models' folds."""


@dataclass(frozen=True)
class Result:
    """What becomes one run: the validation of one trained model, or one folder of evaluated predictions."""

    folder: Path
    """The model folder, or the folder of predictions."""
    summaries: Mapping[str, Path]
    """`summary.json` of every fold; of the key "" where folds are not told apart."""
    folds: tuple[int, ...]
    """Folds whose validation cases were scored; empty for predictions on a test set."""
    model: tuple[str, str, str]
    """Trainer, plans and configuration; empty where unknown."""

    @property
    def test_set(self) -> str:
        """What its cases are called as a test set."""
        return CROSS_VALIDATION if self.folds else TEST

    @property
    def name(self) -> Path:
        """The folder it is called by: the fold's where there is one fold."""
        single = len(self.summaries) == 1 and "" not in self.summaries
        return next(iter(self.summaries.values())).parents[1] if single else self.folder


def find_results(folders: Sequence[Path], notes: list[str]) -> list[Result]:
    """Every result in or below folders, in natural order of names.

    Args:
        folders: Model folders, single folds, folders of predictions, or parents of them.
        notes: Takes what was left out and why.

    Raises:
        InputError: No such folder, nothing in it, or a result twice.
    """
    if not folders:
        raise InputError("at least one folder of nnU-Net results is needed, found none.")
    below = {folder: list(_summaries_below(folder)) for folder in folders}
    every = [path for paths in below.values() for path in paths]
    resolved = [path.resolve() for path in every]
    again = [path for i, path in enumerate(every) if resolved[i] in resolved[:i]]
    if again or len(below) < len(folders):
        twice = again[0].parent if again else folders[0]
        raise InputError(f"every result must be given once, found {twice} twice. Remove one of the folders.")
    reasons = {path: reason for path in every if (reason := _why_left_out(path, every))}
    notes += [f"{path.parent}: left out, {reason}." for path, reason in reasons.items()]
    found = [_result(*one) for paths in below.values() for one in _runs([p for p in paths if p not in reasons])]
    if not found:
        raise InputError(f"no result can be read from {folders[0]}: {notes[0]}")
    return found


def _summaries_below(folder: Path) -> Iterator[Path]:
    root = folder.expanduser().absolute()
    root = root.parent if root.name == SUMMARY else root
    if not root.is_dir():
        raise InputError(f"{folder}: must be a folder of nnU-Net results, found no such folder. Check the path.")
    paths = list(_summaries(root, set()))
    if not paths:
        raise InputError(
            f"{folder}: must hold a {SUMMARY} in a folder of predictions or in fold_*/validation of a trained model, "
            "found none. nnUNetv2_train writes one when a fold is finished (again with --val), "
            "nnUNetv2_evaluate_folder for predictions."
        )
    yield from paths


def _runs(paths: Sequence[Path]) -> Iterable[tuple[Path, dict[str, Path]]]:
    """The summaries that make one run each: those of a model's folds, or a single one."""
    runs: dict[Path, dict[str, Path]] = {}
    for path in paths:
        fold = _fold_of(path)
        if fold is None:
            runs[path.parent] = {"": path}
        else:
            runs.setdefault(path.parents[2], {})[fold] = path
    return runs.items()


def _summaries(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Every `summary.json` at or below a folder, links followed once, in natural order."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        with os.scandir(folder) as entries:
            inside = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}. Check its permissions.") from error
    if (folder / SUMMARY).is_file():
        yield folder / SUMMARY
    for name in sorted(inside, key=_natural):
        yield from _summaries(folder / name, seen)


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sorts numbers within names as numbers."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def _fold_of(path: Path) -> str | None:
    """The fold whose validation a `summary.json` is; None for any other."""
    fold = path.parent.parent.name
    return fold.removeprefix("fold_") if path.parent.name == "validation" and fold.startswith("fold_") else None


def _why_left_out(path: Path, others: Sequence[Path]) -> str | None:
    """In words why one of the summaries found is no run of its own."""
    if _fold_of(path) == "all":
        return "fold_all is validated on the cases it was trained on"
    if any(other.parent in path.parent.parents for other in others):
        return f"it lies inside a folder with a {SUMMARY} of its own; give it alone to read it"
    model = path.parent.parent
    if ACCUMULATED.fullmatch(path.parent.name) and any(
        _fold_of(other) not in (None, "all") and other.parents[2] == model for other in others
    ):
        return "it repeats the validation of the folds beside it"
    return None


def _result(place: Path, summaries: Mapping[str, Path]) -> Result:
    accumulated = ACCUMULATED.fullmatch(place.name)
    if "" not in summaries:
        unknown = [fold for fold in summaries if not fold.isdecimal()]
        if unknown:
            raise InputError(f"{place}: folds must be numbered, found fold_{unknown[0]}. Rename or remove it.")
        return Result(place, summaries, tuple(map(int, summaries)), _identity(place.name))
    if accumulated:
        folds = tuple(map(int, accumulated[1].split("_")))
        name = place.name if place.name.startswith("ensemble") else place.parent.name
        return Result(place, summaries, folds, _identity(name))
    above = [folder for folder in place.parents if any(_identity(folder.name)) and (folder / "plans.json").is_file()]
    return Result(place, summaries, (), _identity(above[0].name) if above else ("", "", ""))


def _identity(name: str) -> tuple[str, str, str]:
    """Trainer, plans and configuration in the name of a model folder, or of an ensemble of models."""
    models = [part.split("__") for part in name.split("___") if part.count("__") == 2]
    if not models:
        return "", "", ""
    trainer, plans, configuration = ("+".join(dict.fromkeys(parts)) for parts in zip(*models, strict=True))
    return trainer, plans, configuration
