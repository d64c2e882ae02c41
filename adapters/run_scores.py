"""The scores that a study's runs have left, with the strata that its settings ask for."""

from __future__ import annotations

import glob

import pandas as pd

from ..forecast.annotators import AnnotatorCeiling, inter_annotator
from ..forecast.errors import InputError
from ..forecast.scores import CROSS_VALIDATION, TEST, TEXT_DEFAULTS, validate_scores
from ..forecast.strata import strata_of, stratification, with_strata
from .files import read_json, write_json
from .nnunet.spec import RunStatus, protocol_hash, run_status
from .specs import Materials
from .study import Study
from .tables import read_csv, read_scores, write_csv
from .testsets import annotator_agreement, reference_facts


def keep_references(study: Study, materials: Materials) -> None:
    """Put on record what the references of the test set say, where strata or annotators need it."""
    structures, folder = materials.scoring.structures, study.folder / "test_sets"
    labels = {name: list(v) if isinstance(v, tuple) else [v] for name, v in structures.items()}
    places = {name: str(next(iter(found.values())).parent) for name, found in materials.annotators.items()}
    about = {"structures": labels, "strata": bool(study.settings.scores.strata), "annotators": places}
    record = folder / "references.json"
    if record.is_file() and read_json(record) == about:
        return
    test, declared = materials.test[TEST], materials.dataset.declared
    if about["strata"]:
        write_csv(reference_facts(test, structures, declared), folder / "facts.csv")
    if places:
        found = annotator_agreement(test, materials.annotators, structures, declared)
        write_csv(found, folder / "annotators.csv")
    write_json(record, about)


def study_scores(study: Study) -> pd.DataFrame:
    """The scores of every completed run of the study's arms, and once more per stratum.

    Raises:
        InputError: No run is complete, a scores file is faulty, or an arm's runs differ in protocol.
    """
    tables = []
    for arm in study.settings.arms:
        for path in sorted(study.folder.glob(f"runs/{glob.escape(arm.name)}/n*/draw*/scores.csv")):
            if run_status(path.parent) is RunStatus.COMPLETED:
                made = protocol_hash(read_json(path.parent / "run.json")["protocol"])
                tables.append(read_scores(path).assign(protocol=made))
    if not tables:
        raise InputError(f"{study.folder}: no pilot run is complete yet. Start them with: dicecast run {study.folder}")
    scores = validate_scores(pd.concat(tables, ignore_index=True), source=str(study.folder / "runs"))
    for arm_name, rows in scores.groupby("arm"):
        if rows["protocol"].nunique() > 1:
            raise InputError(
                f"{study.folder / 'runs' / str(arm_name)}: all runs of an arm must share one protocol, found "
                f"{rows['protocol'].nunique()} (see protocol in each run.json). Delete the runs that are out of date."
            )
    return pd.concat([scores, _strata(study, scores)], ignore_index=True)


def _strata(study: Study, scores: pd.DataFrame) -> pd.DataFrame:
    asked = [stratification(text) for text in study.settings.scores.strata]
    path = study.folder / "test_sets" / "facts.csv"
    if not asked or not path.is_file():
        return scores.iloc[:0]
    facts = read_csv(path).merge(study.cases, on="case", how="left", suffixes=("", " in cases.csv"))
    curves = scores[scores["metric"].isin(study.settings.scores.curve_metrics)]
    return with_strata(curves, strata_of(facts, asked), TEST)


def curve_scores(study: Study, scores: pd.DataFrame) -> pd.DataFrame:
    """The scores that curves are made of by default: the metrics asked for, not those of cross-validation."""
    wanted = scores["metric"].isin(study.settings.scores.curve_metrics)
    return scores[wanted & (scores["test_set"] != CROSS_VALIDATION)]


def decides(study: Study, metric: str, test_set: str, stratum: str) -> bool:
    """Whether a curve of this kind has a part in the decision."""
    first = study.settings.scores.curve_metrics[0]
    return (metric, test_set, stratum) == (first, TEST, TEXT_DEFAULTS["stratum"])


def ensemble_scores(study: Study) -> pd.DataFrame:
    """Dice of every ensemble rule and every single fold: columns of `ensembles.csv`, empty where there are none."""
    arms = [glob.escape(arm.name) for arm in study.settings.arms]
    paths = sorted(path for arm in arms for path in study.folder.glob(f"runs/{arm}/n*/draw*/ensembles.csv"))
    tables = [read_csv(path) for path in paths if run_status(path.parent) is RunStatus.COMPLETED]
    columns = ["n_cases", "arm", "draw", "test_set", "case", "rule", "structure", "metric", "score"]
    if not tables:
        return pd.DataFrame(columns=columns)
    table = pd.concat(tables, ignore_index=True)
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in ("n_cases", "draw", "score")}
    return table.assign(**numbers)


def annotator_ceilings(study: Study, level: float = 0.95, seed: int = 0) -> dict[str, AnnotatorCeiling]:
    """How well the annotators of the test set agree, by structure; empty where there is one reference."""
    path = study.folder / "test_sets" / "annotators.csv"
    if not study.settings.test.annotator or not path.is_file():
        return {}
    table = read_csv(path)
    table = table.assign(dice=pd.to_numeric(table["dice"]))
    return {one.structure: one for one in inter_annotator(table, level=level, seed=seed)}


def mean_ceilings(study: Study) -> dict[str, float]:
    """Mean Dice between annotators by structure, where there are several."""
    found = {name: one.between.mean for name, one in annotator_ceilings(study).items()}
    return {name: mean for name, mean in found.items() if mean is not None}
