"""Finished nnU-Net v2 results as a scores table: the validation of trained models, and evaluated predictions.

What is read is `summary.json`, which training writes into `fold_*/validation` and `nnUNetv2_evaluate_folder` into
a folder of predictions. No image is read and no nnU-Net is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd

from ...forecast.errors import InputError
from ...forecast.scores import validate_scores
from .result_folders import Result, find_results
from .result_sizes import numbers_of_cases
from .result_summaries import Scored, nearest_declared, read_declared, read_result


@dataclass(frozen=True)
class Imported:
    """Finished results as scores."""

    scores: pd.DataFrame
    """A valid scores table."""
    notes: tuple[str, ...]
    """What was assumed or left out, and where every number of cases came from, for the user to read."""


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
    results = find_results(folders, notes)
    given = None if dataset_json is None else read_declared(dataset_json)
    scored = [read_result(result, given or nearest_declared(result.folder), notes) for result in results]
    counts = numbers_of_cases(scored, sizes, notes)
    _refuse_parts(scored, counts)
    names = _arm_names(scored) if arms is None else _given_arms(arms, results)
    notes += _draws_words(scored, counts, names)
    runs: Counter[tuple[str, str, int]] = Counter()
    rows = []
    for one, n, arm in zip(scored, counts, names, strict=True):
        key = (arm, one.result.test_set, n)
        run = {"n_cases": n, "arm": arm, "test_set": one.result.test_set, "draw": runs[key]}
        runs[key] += 1
        rows += [{**run, "case": c, **row} for found in one.rows.values() for c, of in found.items() for row in of]
    return Imported(validate_scores(pd.DataFrame(rows), "nnU-Net results"), tuple(notes))


def _given_arms(arms: Sequence[str], results: Sequence[Result]) -> list[str]:
    if isinstance(arms, str) or len(arms) not in (1, len(results)) or not all(arm.strip() for arm in arms):
        listed = "\n".join(f"  {number}. {result.name}" for number, result in enumerate(results, start=1))
        raise InputError(
            f"arms must be one name, or one per result, found {arms!r} for {len(results)} results. "
            f"The results, in this order, are\n{listed}"
        )
    return list(arms) * (len(results) if len(arms) == 1 else 1)


def _arm_names(scored: Sequence[Scored]) -> list[str]:
    """The configuration, with trainer and plans where these differ: another way of training is another arm.

    So are other structures: results of data sets that have nothing in common make no curve.
    """
    results, names = [one.result for one in scored], []
    for one in scored:
        alike = [other.model for other in results if other.model[2] == one.result.model[2]]
        differing = [part for i, part in enumerate(one.result.model[:2]) if len({model[i] for model in alike}) > 1]
        names.append("__".join([*differing, one.result.model[2]]) or "default")
    kinds = {name: {one.structures for one, own in zip(scored, names, strict=True) if own == name} for name in names}
    dataset = [one.result.folder.parent.name for one in scored]
    return [f"{dataset[i]} {name}" if len(kinds[name]) > 1 else name for i, name in enumerate(names)]


def _draws_words(scored: Sequence[Scored], counts: Sequence[int], names: Sequence[str]) -> list[str]:
    """Which results are counted as draws of one size: it may not be what the user meant."""
    together: dict[tuple[str, str, int], list[Scored]] = {}
    for one, n, arm in zip(scored, counts, names, strict=True):
        together.setdefault((arm, one.result.test_set, n), []).append(one)
    found = [(arm, n, some) for (arm, _, n), some in together.items() if len(some) > 1]
    return [
        f"{', '.join(str(one.result.name) for one in some)}: counted as draws of arm {arm} at {n} cases; name arms "
        "apart if they are not."
        for arm, n, some in found
    ]


def _refuse_parts(scored: Sequence[Scored], counts: Sequence[int]) -> None:
    """Folds of one cross-validation, given one by one, are no draws."""
    for (a, n), (b, m) in combinations(zip(scored, counts, strict=True), 2):
        if a.result.folder == b.result.folder and n == m and not set(a.cases) & set(b.cases):
            raise InputError(
                f"{a.result.name} and {b.result.name} with n = {n} are parts of one cross-validation. "
                f"Give {a.result.folder} instead."
            )
