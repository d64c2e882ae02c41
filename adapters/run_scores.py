"""The scores that a study's runs have left, with the strata that its settings ask for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..forecast.annotators import AnnotatorCeiling, inter_annotator
from ..forecast.errors import InputError
from ..forecast.scores import CROSS_VALIDATION, DICE_LIKE, TEST, TEXT_DEFAULTS
from ..forecast.strata import strata_of, with_strata
from ..forecast.stratification import stratification
from .files import json_holds, write_json
from .nnunet.spec import protocol_hash
from .run_folders import RunFolder, completed_runs
from .scored_by import outdated
from .specs import Materials
from .study import Study
from .tables import read_columns, read_many_scores, write_csv
from .testsets import AGREEMENT, FACTS, annotator_agreement, reference_facts

ORIGIN = "Delete the file; `dicecast run` writes it again."


def keep_references(study: Study, materials: Materials) -> None:
    """Put on record what the references of the test set say, where strata or annotators need it."""
    if are_references_kept(study, materials):
        return
    structures, folder = materials.scoring.structures, study.folder / "test_sets"
    about, test, declared = _about_references(study, materials), materials.test[TEST], materials.dataset.declared
    (folder / "references.json").unlink(missing_ok=True)  # stopped in between, everything is read again
    if about["strata"]:
        write_csv(reference_facts(test, structures, declared), folder / "facts.csv")
    if about["annotators"]:
        found = annotator_agreement(test, materials.annotators, structures, declared)
        write_csv(found, folder / "annotators.csv")
    write_json(folder / "references.json", about)


def are_references_kept(study: Study, materials: Materials) -> bool:
    """Whether what the references say is on record as far as strata or annotators need it."""
    about, folder = _about_references(study, materials), study.folder / "test_sets"
    needed = ["facts.csv"] * about["strata"] + ["annotators.csv"] * bool(about["annotators"])
    kept = all((folder / name).is_file() for name in needed)
    return not needed or (kept and json_holds(folder / "references.json", about))


def _about_references(study: Study, materials: Materials) -> dict[str, Any]:
    """What the record of the references depends on."""
    labels = {name: list(v) if isinstance(v, tuple) else [v] for name, v in materials.scoring.structures.items()}
    places = {name: str(next(iter(found.values())).parent) for name, found in materials.annotators.items()}
    return {"structures": labels, "strata": bool(study.settings.scores.strata), "annotators": places}


def study_scores(study: Study) -> pd.DataFrame:
    """The scores of every completed run of the study's arms, and once more per stratum.

    Raises:
        InputError: No run is complete, a scores file is faulty or out of date, or an arm's runs differ in protocol.
    """
    runs = completed_runs(study)
    if not runs:
        raise InputError(f"{study.folder}: no pilot run is complete yet. Start them with: dicecast run {study.folder}")
    scores = scores_of(study, *runs)
    for arm_name, rows in scores.groupby("arm"):
        if rows["protocol"].nunique() > 1:
            raise InputError(
                f"{study.folder / 'runs' / str(arm_name)}: all runs of an arm must share one protocol, found "
                f"{rows['protocol'].nunique()} (see protocol in each run.json). Delete the runs that are out of date."
            )
    return pd.concat([scores, _strata(study, scores)], ignore_index=True)


def scores_of(study: Study, *runs: RunFolder) -> pd.DataFrame:
    """The scores of completed runs.

    Raises:
        InputError: A file is faulty, of another run, or was made by other settings than `study.toml` holds now.
    """
    for run in runs:
        changed = outdated(study.settings, run)
        if changed is not None:
            raise InputError(
                f"{run.path / 'scores.csv'}: was scored by other settings than {study.folder / 'study.toml'} holds "
                f"now: {changed}. Score the kept predictions anew with: dicecast run {study.folder}"
            )
    table, rows = read_many_scores([run.path / "scores.csv" for run in runs])
    known = pd.DataFrame(
        [(run.arm, run.n, run.draw, protocol_hash(run.record["protocol"])) for run in runs],
        columns=["arm", "n_cases", "draw", "protocol"],
    )
    number = np.repeat(np.arange(len(runs)), rows)
    said, own = (one[["arm", "n_cases", "draw"]].to_numpy(dtype=object) for one in (table, known.iloc[number]))
    wrong = number[(said != own).any(axis=1)]
    if len(wrong):
        run = runs[wrong[0]]
        raise InputError(
            f"{run.path / 'scores.csv'}: must hold the scores of arm {run.arm}, {run.n} cases, draw {run.draw} alone, "
            "as its folder says. Restore it, or delete the folder to repeat the run."
        )
    _check_cases(study, table, number, runs)
    return table.assign(protocol=known["protocol"].to_numpy(dtype=object)[number])


def _check_cases(study: Study, table: pd.DataFrame, number: npt.NDArray[np.intp], runs: Sequence[RunFolder]) -> None:
    """Refuse scores of other cases than the test set's: a file cut short would shrink the test set of its curve.

    Args:
        study: Knows its test cases.
        table: Scores of all runs.
        number: Which run each row is of, shape [rows].
        runs: Those runs.
    """
    wanted = set(study.test)
    rows = (table["test_set"] == TEST).to_numpy()
    found = table["case"][rows].groupby(number[rows]).agg(set)
    for at, run in enumerate(runs):
        if (cases := found.get(at, set())) != wanted:
            other = min(cases ^ wanted)
            raise InputError(
                f"{run.path / 'scores.csv'}: must hold scores of the {len(wanted)} cases of the test set in cases.csv, "
                f"found {'none' if other in wanted else 'one'} of case {other!r}. Restore it, or delete the folder to "
                "repeat the run."
            )


def _strata(study: Study, scores: pd.DataFrame) -> pd.DataFrame:
    asked = [stratification(text) for text in study.settings.scores.strata]
    path = study.folder / "test_sets" / "facts.csv"
    if not asked:
        return scores.iloc[:0]
    if not path.is_file():
        raise InputError(
            f"{path}: strata need what the references of the test set say, found no such file. Read them with: "
            f"dicecast run {study.folder}"
        )
    facts = read_columns(path, FACTS, ORIGIN).merge(study.cases, on="case", how="left", suffixes=("", " in cases.csv"))
    curves = scores[scores["metric"].isin(DICE_LIKE)]
    try:
        parts = strata_of(facts, asked)
    except InputError as error:
        raise InputError(f"{study.folder / 'study.toml'}, [scores]: {error}") from error
    whole = parts["structure"].map(facts.groupby("structure")["case"].nunique())
    size = parts.groupby(["structure", "stratum"])["case"].transform("nunique")
    return with_strata(curves, parts[size < whole], TEST)  # a part that holds every case is no part


def curve_scores(study: Study, scores: pd.DataFrame) -> pd.DataFrame:
    """The scores that curves are made of by default: the metrics asked for, not those of cross-validation."""
    wanted = scores["metric"].isin(study.settings.scores.curve_metrics)
    return scores[wanted & (scores["test_set"] != CROSS_VALIDATION)]


def decides(study: Study, metric: str, test_set: str, stratum: str) -> bool:
    """Whether a curve of this kind has a part in the decision."""
    first = study.settings.scores.curve_metrics[0]
    return (metric, test_set, stratum) == (first, TEST, TEXT_DEFAULTS["stratum"])


def ensemble_scores(study: Study, structures: Collection[str]) -> pd.DataFrame:
    """Dice of every ensemble rule and every single fold: columns of `ensembles.csv`, empty where there are none.

    Scored when a run is made, since the single predictions are not kept: a structure that is asked for later has none.
    """
    columns = ("n_cases", "arm", "draw", "test_set", "case", "rule", "structure", "metric", "score")
    paths = [run.path / "ensembles.csv" for run in completed_runs(study)]
    tables = [read_columns(path, columns, "Restore it.") for path in paths if path.is_file()]
    if not tables:
        return pd.DataFrame(columns=list(columns))
    table = pd.concat(tables, ignore_index=True)
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in ("n_cases", "draw", "score")}
    return table.assign(**numbers)[table["structure"].isin(list(structures))]


def annotator_ceilings(study: Study, level: float = 0.95, seed: int = 0) -> dict[str, AnnotatorCeiling]:
    """How well the annotators of the test set agree, by structure; empty where there is one reference."""
    path = study.folder / "test_sets" / "annotators.csv"
    if not study.settings.test.annotator:
        return {}
    if not path.is_file():
        raise InputError(f"{path}: no such file. Read the annotators' references with: dicecast run {study.folder}")
    table = read_columns(path, AGREEMENT, ORIGIN)
    table = table.assign(dice=pd.to_numeric(table["dice"]))
    return {one.structure: one for one in inter_annotator(table, level=level, seed=seed)}


def mean_ceilings(study: Study) -> dict[str, float]:
    """Mean Dice between annotators by structure, where there are several."""
    found = {name: one.between.mean for name, one in annotator_ceilings(study).items()}
    return {name: mean for name, mean in found.items() if mean is not None}
