"""What nnU-Net writes and users edit: `dataset.json`, `summary.json`, `splits_final.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from dicecast.adapters.data_commands import import_results
from dicecast.adapters.nnunet.dataset import check_like, read_dataset
from dicecast.adapters.nnunet.finished import finished_model
from dicecast.adapters.nnunet.preparation import Preparation
from dicecast.adapters.nnunet.result_sizes import PREPROCESSED
from dicecast.adapters.nnunet.result_summaries import read_declared
from dicecast.adapters.nnunet.results import read_results
from dicecast.adapters.sections import FinishedSection, ScoreSection
from dicecast.adapters.terminal.screen import as_text
from dicecast.benchmarks.robustness.breaking import VALUES, broken_bytes, broken_json
from dicecast.benchmarks.robustness.reading import Reader, in_turn

LABELS = {"background": 0, "kidney": 1, "tumour": 2}
DECLARED: tuple[dict[str, Any], ...] = (
    {"channel_names": {"0": "CT"}, "labels": LABELS, "numTraining": 2, "file_ending": ".nii.gz"},
    {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "whole": [1, 2], "tumour": 2, "ignore": 3},
        "regions_class_order": [1, 2],
        "numTraining": 2,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
    },
    {
        "channel_names": {"0": "CT"},
        "labels": LABELS,
        "numTraining": 1,
        "file_ending": ".nii.gz",
        "dataset": {"a": {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}},
    },
)
WORDS = (*VALUES, "0", "ignore", "background", ".nii", ".gz", ".png", "..", [0, 1], [1, 1], 255, "SimpleITKIO", "a")
METRICS = {"Dice": 0.8, "IoU": 0.67, "TP": 80, "FP": 20, "FN": 20, "TN": 1000, "n_pred": 100, "n_ref": 100}
EMPTY = {"Dice": float("nan"), "IoU": float("nan"), "TP": 0, "FP": 0, "FN": 0, "TN": 1000, "n_pred": 0, "n_ref": 0}
SUMMARIES: tuple[dict[str, Any], ...] = (
    {
        "metric_per_case": [
            {"reference_file": f"/r/{case}.nii.gz", "prediction_file": f"/p/{case}.nii.gz", "metrics": metrics}
            for case, metrics in (("a", {"1": METRICS, "2": EMPTY}), ("b", {"1": METRICS, "2": METRICS}))
        ],
        "mean": {"1": METRICS, "2": METRICS},
        "foreground_mean": METRICS,
    },
    {
        "metric_per_case": [
            {"reference_file": "C:\\r\\a.nii.gz", "prediction_file": "a.nii.gz", "metrics": {"(1, 2)": METRICS}}
        ]
    },
)
NUMBERS = (*VALUES, "(1, 2)", "()", "(", "1,2", "\u00b2", "-1", "a.nii.gz", "/", "C:\\", "b.nii.gz")


def with_seeds(documents: tuple[Any, ...]) -> tuple[bytes, ...]:
    """Documents as bytes."""
    return tuple(json.dumps(one, indent=1).encode() for one in documents)


def broken_documents(documents: tuple[Any, ...], words: tuple[Any, ...] = VALUES) -> st.SearchStrategy[bytes]:
    """Documents broken as such; now and then as bytes."""
    whole = broken_json(documents, words)
    return st.integers(0, 9).flatmap(lambda k: broken_bytes(with_seeds(documents)) if k == 0 else whole)


def dataset_json(folder: Path) -> Reader:
    """A `dataset.json` beside the files of two cases, to its structures and cases."""
    for name in ("imagesTr/a_0000", "imagesTr/b_0000", "labelsTr/a", "labelsTr/b"):
        (folder / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "d" / f"{name}.nii.gz").write_bytes(b"")

    def read(data: bytes) -> None:
        from dicecast.adapters.nnunet.checks import image_reader
        from dicecast.adapters.nnunet.scoring import scored_structures

        (folder / "d" / "dataset.json").write_bytes(data)
        read_declared(folder / "d" / "dataset.json")
        dataset = read_dataset(folder / "d")
        assert dataset.structures and dataset.label_values and dataset.cases
        assert dataset.ignore_label is None or dataset.ignore_label > 0
        scored_structures(dataset, [], ScoreSection().unions, "study.toml")
        check_like(dataset, dataset, "test set")
        image_reader(dataset)
        Preparation()

    return Reader("dataset.json", with_seeds(DECLARED), read, broken_documents(DECLARED, WORDS))


def summary_json(folder: Path) -> Reader:
    """A `summary.json` of evaluated predictions, to the scores that `import` writes."""
    place = folder / "results" / "predictions"
    place.mkdir(parents=True)
    (place / "dataset.json").write_text(json.dumps(DECLARED[0]), encoding="utf-8")

    def read(data: bytes) -> None:
        (place / "summary.json").write_bytes(data)
        as_text(import_results([folder / "results"], folder / "scores.csv", "10", None, None, force=True))

    return Reader("summary.json", with_seeds(SUMMARIES), read, broken_documents(SUMMARIES, NUMBERS))


SPLITS = ([{"train": ["c", "d", "b"], "val": ["a"]}, {"train": ["a", "c"], "val": ["d", "b"]}],)


def splits_json(folder: Path) -> Reader:
    """A `splits_final.json`, as the size of results and as the proof of a finished model."""
    model = folder / "results" / "Dataset001_A" / "nnUNetTrainer__nnUNetPlans__2d"
    for fold, cases in (("0", "a"), ("1", "db")):
        entries = [{"reference_file": f"/r/{case}.nii.gz", "metrics": {"1": METRICS}} for case in cases]
        (model / f"fold_{fold}" / "validation").mkdir(parents=True)
        summary = json.dumps({"metric_per_case": entries})
        (model / f"fold_{fold}" / "validation" / "summary.json").write_text(summary, encoding="utf-8")
        (model / f"fold_{fold}" / "checkpoint_final.pth").write_bytes(b"")
    for name in ("dataset.json", "plans.json"):
        (model / name).write_text(json.dumps(DECLARED[0]), encoding="utf-8")
    splits = folder / "preprocessed" / "Dataset001_A" / "splits_final.json"
    splits.parent.mkdir(parents=True)
    os.environ[PREPROCESSED] = str(folder / "preprocessed")
    asked = FinishedSection(str(model), 4, str(splits))

    def read(data: bytes) -> None:
        splits.write_bytes(data)
        in_turn(
            lambda: read_results([folder / "results"]),
            lambda: finished_model(asked, {"e"}, "study.toml"),
        )

    return Reader("splits_final.json", with_seeds(SPLITS), read, broken_documents(SPLITS))


def training_log(folder: Path) -> Reader:
    """A training log, as the size of the results of one fold."""
    model = folder / "Dataset001_A" / "nnUNetTrainer__nnUNetPlans__2d"
    (model / "fold_0" / "validation").mkdir(parents=True)
    entries = [{"reference_file": "/r/a.nii.gz", "metrics": {"1": METRICS}}]
    summary = json.dumps({"metric_per_case": entries})
    (model / "fold_0" / "validation" / "summary.json").write_text(summary, encoding="utf-8")
    seed = b"This split has 3 training and 1 validation cases.\n"

    def read(data: bytes) -> None:
        (model / "fold_0" / "training_log_2026.txt").write_bytes(data)
        read_results([folder])

    return Reader("training log", (seed,), read, broken_bytes([seed, seed + seed]))
