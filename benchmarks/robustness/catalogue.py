"""Every reader that is fed, and its share of the inputs, by how fast it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dicecast.benchmarks.robustness import forecasts, images, nnunet_files, options, study_folder, tables
from dicecast.benchmarks.robustness.reading import Reader


@dataclass(frozen=True)
class Entry:
    """A reader to be made."""

    make: Callable[[Path], Reader]
    """Makes it, in an empty folder of its own."""
    share: float
    """Its share of all inputs, percent."""
    guided: float = 0.0
    """Share of these that is searched for by coverage; the others are broken seeds."""


READERS = {
    "options": Entry(options.option_texts, 24.0, 0.9),
    "dataset.json": Entry(nnunet_files.dataset_json, 16.0, 0.8),
    "summary.json": Entry(nnunet_files.summary_json, 10.0, 0.8),
    "splits_final.json": Entry(nnunet_files.splits_json, 4.0, 0.6),
    "training log": Entry(nnunet_files.training_log, 2.0, 0.6),
    "batch.json": Entry(study_folder.batch_json, 4.0, 0.6),
    "image .nii": Entry(images.plain_image, 3.0, 0.6),
    "image .nii.gz": Entry(images.packed_image, 1.0),
    "label .nii": Entry(images.label, 1.0, 0.5),
    "prediction .nii": Entry(images.prediction, 0.5),
    "scores.csv": Entry(tables.scores_table, 16.5, 0.85),
    "study.toml": Entry(study_folder.study_settings, 12.5, 0.85),
    "cases.csv": Entry(study_folder.cases_csv, 3.0, 0.7),
    "run.json": Entry(study_folder.run_json, 1.2, 0.6),
    "run folder": Entry(study_folder.run_folder, 0.2),
    "rounds/0.json": Entry(study_folder.round_json, 0.2),
    "numbers of recommend": Entry(options.option_numbers, 0.3),
    "forecasts": Entry(forecasts.forecasts, 1.0),
    "commands on scores.csv": Entry(tables.commands_on_a_table, 0.05),
    "options of compare": Entry(options.comparison_options, 0.02),
}
"""By name, the fastest first."""
