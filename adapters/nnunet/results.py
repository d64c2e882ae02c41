"""Finished nnU-Net v2 results as a scores table: the validation of trained models, and evaluated predictions.

What is read is `summary.json`, which training writes into `fold_*/validation` and `nnUNetv2_evaluate_folder` into
a folder of predictions. No image is read and no nnU-Net is needed.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd

from ...forecast.errors import InputError
from ...forecast.scores import CROSS_VALIDATION, TEST, validate_scores
from ..files import read_json

SUMMARY = "summary.json"
PREPROCESSED = "nnUNet_preprocessed"
"""Environment variable that names the folder of nnU-Net's splits."""
METRICS = {"Dice": "dice", "IoU": "jaccard", "TP": "tp", "FP": "fp", "FN": "fn", "TN": "tn"}
"""nnU-Net's metrics and what they are called here; the last four count voxels."""
OVERLAPS = ("Dice", "IoU")
"""Metrics that are undefined where the reference does not contain the structure."""
FOLDS = 5
"""How many folds nnU-Net makes unless told otherwise."""
ACCUMULATED = re.compile(r"(?:crossval_results_folds|ensemble___.+__)_(\d+(?:_\d+)*)")
"""Folders in which nnU-Net gathers the validation cases of several folds, or of several models' folds."""
SPLIT_LINE = re.compile(r"split has (\d+) training and (\d+) validation cases")
"""What a training log says of its fold."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Imported:
    """Finished results as scores."""

    scores: pd.DataFrame
    """A valid scores table."""
    notes: tuple[str, ...]
    """What was assumed or left out, and where every number of cases came from, for the user to read."""


@dataclass(frozen=True)
class _Result:
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
        return CROSS_VALIDATION if self.folds else TEST

    @property
    def name(self) -> Path:
        """The folder it is called by: the fold's where there is one fold."""
        single = len(self.summaries) == 1 and "" not in self.summaries
        return next(iter(self.summaries.values())).parents[1] if single else self.folder


@dataclass(frozen=True)
class _Declared:
    """What a `dataset.json` says."""

    path: Path
    names: Mapping[tuple[int, ...], str]
    """Structures by their label values, sorted."""
    ending: str
    cases: int | None
    """`numTraining`: cases of the dataset, which need not all have been trained on."""


@dataclass(frozen=True)
class _Scored:
    """A result that was read."""

    result: _Result
    declared: _Declared | None
    rows: Mapping[str, Mapping[str, Rows]]
    """Rows of `structure`, `metric` and `score`, by fold and case."""

    @property
    def cases(self) -> list[str]:
        return [case for found in self.rows.values() for case in found]


@dataclass(frozen=True)
class _Size:
    """How many annotated cases a model used, as its files tell it."""

    n: int
    source: str
    train: int | None = None
    """Training cases alone, where there is a single fold."""
    certain: bool = True
    """Whether another number given by the user must be wrong."""


def read_results(
    folders: Sequence[Path],
    sizes: Sequence[int] | None = None,
    arms: Sequence[str] | None = None,
    dataset_json: Path | None = None,
) -> Imported:
    """Read finished nnU-Net results.

    Found in a folder, in natural order of names (n4 before n16), are

    - trained models, `<Trainer>__<Plans>__<Configuration>/fold_*/validation/summary.json`: the cases of all folds
      make one run with test set "cross-validation". The number of cases is read from the training logs, else from
      `splits_final.json` below `nnUNet_preprocessed`, else from the folds, else from the model's `dataset.json`.
    - folders of predictions with a `summary.json`: a run with test set "test", whose number of cases must be given.

    Runs of the same arm, test set and number of cases are successive draws. Dice and Jaccard are undefined (NaN)
    in cases whose reference does not contain the structure, also where nnU-Net writes 0.

    Args:
        folders: Model folders, single folds, folders of predictions, or parents of them.
        sizes: Annotated cases (training + validation) of every run found, in order; by default as its files tell it.
        arms: Name of every run found, in order, or one for all. By default the configuration, with trainer or plans
            where they differ; "default" for predictions that do not lie below a model folder.
        dataset_json: Names the structures; by default the nearest `dataset.json` does, else they are "label 1", ...

    Returns:
        A valid scores table with metrics dice, jaccard, tp, fp, fn, tn (voxels), and missed or false_positive (0 or 1)
        in cases whose reference does or does not contain the structure; and notes.

    Raises:
        InputError: Nothing to read, a faulty `summary.json`, a case twice, or a number of cases that is missing or
            contradicts the files.
    """
    notes: list[str] = []
    results = _find(folders, notes)
    given = None if dataset_json is None else _read_declared(dataset_json)
    scored = [_read(result, given or _nearest_declared(result.folder), notes) for result in results]
    counts = _numbers_of_cases(scored, sizes, notes)
    _refuse_parts(scored, counts)
    names = _arm_names(results) if arms is None else _given_arms(arms, results)
    runs: Counter[tuple[str, str, int]] = Counter()
    rows = []
    for one, n, arm in zip(scored, counts, names, strict=True):
        key = (arm, one.result.test_set, n)
        run = {"n_cases": n, "arm": arm, "test_set": one.result.test_set, "draw": runs[key]}
        runs[key] += 1
        rows += [{**run, "case": c, **row} for found in one.rows.values() for c, of in found.items() for row in of]
    return Imported(validate_scores(pd.DataFrame(rows), "nnU-Net results"), tuple(notes))


# ---- finding results ---------------------------------------------------------------------------------------------


def _find(folders: Sequence[Path], notes: list[str]) -> list[_Result]:
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


def _result(place: Path, summaries: Mapping[str, Path]) -> _Result:
    accumulated = ACCUMULATED.fullmatch(place.name)
    if "" not in summaries:
        unknown = [fold for fold in summaries if not fold.isdecimal()]
        if unknown:
            raise InputError(f"{place}: folds must be numbered, found fold_{unknown[0]}. Rename or remove it.")
        return _Result(place, summaries, tuple(map(int, summaries)), _identity(place.name))
    if accumulated:
        folds = tuple(map(int, accumulated[1].split("_")))
        name = place.name if place.name.startswith("ensemble") else place.parent.name
        return _Result(place, summaries, folds, _identity(name))
    above = [folder for folder in place.parents if any(_identity(folder.name)) and (folder / "plans.json").is_file()]
    return _Result(place, summaries, (), _identity(above[0].name) if above else ("", "", ""))


def _identity(name: str) -> tuple[str, str, str]:
    """Trainer, plans and configuration in the name of a model folder, or of an ensemble of models."""
    models = [part.split("__") for part in name.split("___") if part.count("__") == 2]
    if not models:
        return "", "", ""
    trainer, plans, configuration = ("+".join(dict.fromkeys(parts)) for parts in zip(*models, strict=True))
    return trainer, plans, configuration


# ---- reading one result ------------------------------------------------------------------------------------------


def _nearest_declared(folder: Path) -> _Declared | None:
    """The `dataset.json` of a folder or of one of the three above it."""
    paths = [place / "dataset.json" for place in (folder, *folder.parents[:3])]
    return next((_read_declared(path) for path in paths if path.is_file()), None)


def _read_declared(path: Path) -> _Declared:
    declared = read_json(path)
    labels = declared.get("labels") if isinstance(declared, dict) else None
    if not isinstance(labels, dict):
        raise InputError(f"{path}: must be an nnU-Net dataset.json with labels, found none.")
    names: dict[tuple[int, ...], str] = {}
    for name, value in labels.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
            raise InputError(
                f"{path}: label {name!r} must be a whole number or a list of them, found {value!r}. "
                "nnU-Net v2 maps names to values, not values to names."
            )
        names.setdefault(tuple(sorted(values)), name)
    count = declared.get("numTraining")
    return _Declared(path, names, str(declared.get("file_ending", "")), count if isinstance(count, int) else None)


def _read(result: _Result, declared: _Declared | None, notes: list[str]) -> _Scored:
    rows = {fold: _read_summary(path, declared) for fold, path in result.summaries.items()}
    where: dict[str, str] = {}
    for fold, found in rows.items():
        for case in found:
            if case in where:
                raise InputError(
                    f"{result.folder}: every case must be validated in one fold, found {case!r} in fold_{where[case]} "
                    f"and fold_{fold}. Give the fold folders one by one, each with its number of cases."
                )
            where[case] = fold
    if declared is None:
        notes.append(f"{result.name}: no dataset.json here, structures are called by their labels.")
    of_cases = [row for found in rows.values() for of in found.values() for row in of]
    absent = Counter(r["structure"] for r in of_cases if r["metric"] == "dice" and r["score"] is None)
    for structure, count in absent.items():
        notes.append(
            f"{result.name}: Dice of {structure} is empty in {count} of {len(where)} cases, whose reference does "
            "not contain it (nnU-Net writes 0 there when something was predicted)."
        )
    return _Scored(result, declared, rows)


def _read_summary(path: Path, declared: _Declared | None) -> dict[str, Rows]:
    """Rows of every case of a `summary.json`."""
    document = read_json(path)
    entries = document.get("metric_per_case") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        old = " (this looks like nnU-Net v1, which is not read)" if isinstance(document, dict) else ""
        raise InputError(
            f"{path}: must have metric_per_case with at least one case, as nnU-Net v2 writes it, found none"
            f"{old if 'results' in document else ''}. Evaluate the folder again."
        )
    found: dict[str, Rows] = {}
    for number, entry in enumerate(entries):
        case = _case_id(entry, f"{path}, case {number + 1}", declared)
        if case in found:
            raise InputError(f"{path}: every case must appear once, found {case!r} twice. Evaluate the folder again.")
        found[case] = _case_rows(entry, f"{path}, case {case!r}", declared)
    return found


def _case_id(entry: Any, place: str, declared: _Declared | None) -> str:
    """The name of the case's files without their ending."""
    files = [entry.get(key) for key in ("reference_file", "prediction_file")] if isinstance(entry, dict) else []
    file = next((file for file in files if isinstance(file, str) and file), None)
    if file is None:
        raise InputError(f"{place}: reference_file or prediction_file is required, found neither. Evaluate again.")
    name = PureWindowsPath(file).name  # knows both kinds of slash
    if declared is not None and declared.ending and name.endswith(declared.ending):
        return name.removesuffix(declared.ending)
    return PureWindowsPath(name.removesuffix(".gz")).stem


def _case_rows(entry: Mapping[str, Any], place: str, declared: _Declared | None) -> Rows:
    metrics = entry.get("metrics")
    if not isinstance(metrics, dict) or not metrics:
        raise InputError(f"{place}: metrics of at least one label are required, found none. Evaluate again.")
    rows: Rows = []
    for key, values in metrics.items():
        numbers = _metrics(values, f"{place}, label {key}")
        structure = _structure(key, place, declared)
        absent = numbers["TP"] + numbers["FN"] == 0
        for metric, name in METRICS.items():
            undefined = math.isnan(numbers[metric]) or (absent and metric in OVERLAPS)
            score = None if undefined else numbers[metric]
            rows.append({"structure": structure, "metric": name, "score": score})
        if absent:
            rows.append({"structure": structure, "metric": "false_positive", "score": float(numbers["FP"] > 0)})
        else:
            rows.append(
                {"structure": structure, "metric": "missed", "score": float(numbers["TP"] + numbers["FP"] == 0)}
            )
    return rows


def _metrics(values: Any, place: str) -> dict[str, float]:
    """The metrics of one label."""
    found = {name: values.get(name) for name in METRICS} if isinstance(values, dict) else {}
    for name in METRICS:
        value = found.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{place}: {name} must be a number, found {value!r}. Evaluate again with nnU-Net v2.")
        if value < 0 or (name in OVERLAPS and value > 1):
            raise InputError(f"{place}: {name} must lie in [0, 1], voxel counts must be >= 0, found {value!r}.")
    return {name: float(value) for name, value in found.items() if value is not None}


def _structure(key: str, place: str, declared: _Declared | None) -> str:
    """What "2", or "(1, 2)" for a region, is called."""
    parts = key.strip("()").replace(" ", "").split(",")
    try:
        values = tuple(sorted(int(part) for part in parts if part))
    except ValueError as error:
        raise InputError(f"{place}: labels must be whole numbers or regions of them, found {key!r}.") from error
    unnamed = "label " + "+".join(map(str, values))
    return unnamed if declared is None else declared.names.get(values, unnamed)


# ---- how many annotated cases ------------------------------------------------------------------------------------


def _numbers_of_cases(scored: Sequence[_Scored], sizes: Sequence[int] | None, notes: list[str]) -> list[int]:
    told = [_told_size(one) for one in scored]
    if sizes is not None and len(sizes) != len(scored):
        raise InputError(
            f"there must be one number of cases per result, found {len(sizes)} for {len(scored)}. "
            f"The results, in this order, are\n{_listing(scored, told)}"
        )
    if sizes is None and None in told:
        raise InputError(
            "the number of annotated cases (training + validation) must be given for results whose files do not tell "
            f"it. Give one number per result, in this order:\n{_listing(scored, told)}"
        )
    counts = []
    for index, (one, size) in enumerate(zip(scored, told, strict=True)):
        if sizes is None and size is not None:
            n, source = size.n, size.source
        else:
            n, source = _given_size(sizes[index] if sizes else 0, one, size)
        notes.append(f"{one.result.name}: n = {n} ({source}), {len(one.cases)} cases, {one.result.test_set}.")
        counts.append(n)
    return counts


def _given_size(n: int, one: _Scored, size: _Size | None) -> tuple[int, str]:
    """The user's number of cases and where it comes from, if nothing speaks against it."""
    if isinstance(n, bool) or n < 1:
        raise InputError(f"{one.result.name}: the number of cases must be a whole number >= 1, found {n}.")
    if size is not None and n == size.train:
        return n, f"given; the training cases alone, {len(one.cases)} others are scored"
    if size is not None and size.certain and n != size.n:
        alone = "" if size.train is None else f", or {size.train} when its validation cases are not to count"
        raise InputError(
            f"{one.result.name}: the number of cases must be {size.n} as told by {size.source}{alone}, found {n}. "
            "Correct or leave out the numbers given."
        )
    if one.result.folds and n < len(one.cases):
        raise InputError(
            f"{one.result.name}: the number of cases counts training and validation, so it must be at least the "
            f"{len(one.cases)} validated, found {n}."
        )
    return n, "given" if size is None or size.n == n else f"given; {size.source} would say {size.n}"


def _listing(scored: Sequence[_Scored], told: Sequence[_Size | None]) -> str:
    lines = []
    for number, (one, size) in enumerate(zip(scored, told, strict=True), start=1):
        hint = "" if size is None else f" ({size.n}: {size.source})"
        if size is None and one.declared is not None and one.declared.cases is not None:
            hint = f" ({one.declared.cases}? numTraining of {one.declared.path})"
        lines.append(f"  {number}. {one.result.name}{hint}")
    return "\n".join(lines)


def _told_size(one: _Scored) -> _Size | None:
    """What the files tell, the best witness first."""
    if not one.result.folds:
        return None
    return _from_logs(one) or _from_splits(one) or _from_folds(one) or _from_declared(one)


def _from_logs(one: _Scored) -> _Size | None:
    """The training log of every fold says how many cases it trains on and validates."""
    splits = []
    for fold, cases in one.rows.items():
        logs = (one.result.folder / f"fold_{fold}").glob("training_log_*.txt")
        said = {
            (int(train), int(val))
            for log in logs
            for train, val in SPLIT_LINE.findall(log.read_text(encoding="utf-8", errors="replace"))
        }
        if len(said) != 1 or {val for _, val in said} != {len(cases)}:
            return None
        splits += list(said)
    return _from_counts(splits, "the training log")


def _from_splits(one: _Scored) -> _Size | None:
    """nnU-Net's splits, where they are still the ones that the folds were trained with."""
    preprocessed = os.environ.get(PREPROCESSED)
    if not preprocessed or "" in one.rows:
        return None
    path = Path(preprocessed) / one.result.folder.parent.name / "splits_final.json"
    splits = read_json(path) if path.is_file() else []
    counts = []
    for fold, cases in one.rows.items():
        split = splits[int(fold)] if isinstance(splits, list) and int(fold) < len(splits) else {}
        if not isinstance(split, dict) or set(split.get("val", ())) != set(cases) or "train" not in split:
            return None
        counts.append((len(split["train"]), len(cases)))
    return _from_counts(counts, str(path))


def _from_counts(splits: Sequence[tuple[int, int]], source: str) -> _Size | None:
    """Training and validation cases of every fold must add up to the same number."""
    totals = {train + val for train, val in splits}
    if len(totals) != 1:
        return None
    return _Size(totals.pop(), source, train=splits[0][0] if len(splits) == 1 else None)


def _from_folds(one: _Scored) -> _Size | None:
    """A whole cross-validation validates every case once."""
    folds, cases = sorted(one.result.folds), len(one.cases)
    whole = one.declared is not None and one.declared.cases == cases and len(folds) > 1
    if folds != list(range(len(folds))) or not (len(folds) == FOLDS or whole):
        return None
    return _Size(cases, f"the cases of its {len(folds)} folds", certain=False)


def _from_declared(one: _Scored) -> _Size | None:
    """The size of the dataset, when the folds have the size of its fifths; a split of one's own would differ."""
    if one.declared is None or one.declared.path.parent != one.result.folder or one.declared.cases is None:
        return None
    n = one.declared.cases
    fifths = (n // FOLDS, -(-n // FOLDS))
    if "" in one.rows or any(len(cases) not in fifths for cases in one.rows.values()):
        return None
    return _Size(n, f"numTraining of {one.declared.path}", certain=False)


# ---- arms and cases ----------------------------------------------------------------------------------------------


def _given_arms(arms: Sequence[str], results: Sequence[_Result]) -> list[str]:
    if isinstance(arms, str) or len(arms) not in (1, len(results)) or not all(arm.strip() for arm in arms):
        listed = "\n".join(f"  {number}. {result.name}" for number, result in enumerate(results, start=1))
        raise InputError(
            f"arms must be one name, or one per result, found {arms!r} for {len(results)} results. "
            f"The results, in this order, are\n{listed}"
        )
    return list(arms) * (len(results) if len(arms) == 1 else 1)


def _arm_names(results: Sequence[_Result]) -> list[str]:
    """The configuration, with trainer and plans where these differ: another way of training is another arm."""
    names = []
    for result in results:
        alike = [other.model for other in results if other.model[2] == result.model[2]]
        differing = [part for i, part in enumerate(result.model[:2]) if len({model[i] for model in alike}) > 1]
        names.append("__".join([*differing, result.model[2]]) or "default")
    return names


def _refuse_parts(scored: Sequence[_Scored], counts: Sequence[int]) -> None:
    """Folds of one cross-validation, given one by one, are no draws."""
    for (a, n), (b, m) in combinations(zip(scored, counts, strict=True), 2):
        if a.result.folder == b.result.folder and n == m and not set(a.cases) & set(b.cases):
            raise InputError(
                f"{a.result.name} and {b.result.name} with n = {n} are parts of one cross-validation. "
                f"Give {a.result.folder} instead."
            )
