"""Predicting cases with the fold models of a pilot run, ensembled by one or several rules.

Imports torch and nnU-Net; only worker processes import this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from .checkpoints import read_checkpoint

Maps = dict[str, np.ndarray[Any, Any]]
"""Label maps by ensemble rule, and by fold as `fold 0`, `fold 1`, ..."""


def load_predictor(
    plans: dict[str, Any],
    declared: dict[str, Any],
    configuration: str,
    checkpoints: list[Path],
    device: torch.device,
    mirroring: bool,
    trainer: Any,
) -> nnUNetPredictor:
    """A predictor over the weights of one or more fold models, without nnU-Net's search for a trainer by name."""
    manager = PlansManager(plans)
    settings = manager.get_configuration(configuration)
    loaded = [read_checkpoint(path) for path in checkpoints]
    network = trainer.build_network_architecture(
        manager,
        settings,
        determine_num_input_channels(manager, settings, declared),
        manager.get_label_manager(declared).num_segmentation_heads,
        enable_deep_supervision=False,
    ).to(device)
    predictor = nnUNetPredictor(
        use_mirroring=mirroring, perform_everything_on_device=device.type == "cuda", device=device, allow_tqdm=False
    )
    predictor.manual_initialization(
        network,
        manager,
        settings,
        [one["network_weights"] for one in loaded],
        declared,
        trainer.__name__,
        loaded[0]["inference_allowed_mirroring_axes"],
    )
    return predictor


def predict_cases(
    predictor: nnUNetPredictor, folder: Path, cases: Sequence[str], rules: Sequence[str], *, folds: bool = False
) -> Iterator[tuple[str, Maps, dict[str, Any]]]:
    """Predict preprocessed cases; see `predict_image`.

    Yields:
        Case id, label maps, and the reader's properties.
    """
    data = nnUNetDatasetBlosc2(str(folder), list(cases))
    for case in cases:
        image, _, _, properties = data.load_case(case)
        yield case, predict_image(predictor, np.asarray(image[:]), dict(properties), rules, folds=folds), properties


def predict_image(
    predictor: nnUNetPredictor,
    image: np.ndarray[Any, Any],
    properties: Mapping[str, Any],
    rules: Sequence[str],
    *,
    folds: bool = False,
) -> Maps:
    """Predict one preprocessed image with every fold model.

    Args:
        predictor: Holds one set of weights per fold.
        image: Shape [channels, *voxels].
        properties: What preprocessing noted of the raw image.
        rules: `vote` (majority per voxel, ties to the lowest label), `logits` (mean of the logits, nnU-Net's rule),
            `softmax` (mean of the probabilities).
        folds: Also give the map of every single fold.

    Returns:
        Label maps in the geometry of the raw image. With one fold the rules agree.
    """
    tensor = torch.from_numpy(np.asarray(image, dtype=np.float32))
    models, single = predictor.list_of_parameters, len(predictor.list_of_parameters) == 1
    votes: list[np.ndarray[Any, Any]] = []
    logits_sum: Any = None
    chances_sum: Any = None
    try:
        for weights in models:
            predictor.list_of_parameters = [weights]
            logits = predictor.predict_logits_from_preprocessed_data(tensor).float()
            if single or folds or "vote" in rules:
                votes.append(_segment(predictor, logits, properties))
            if not single and "logits" in rules:
                logits_sum = logits if logits_sum is None else logits_sum + logits
            if not single and "softmax" in rules:
                chances = _segment(predictor, logits, properties, chances=True)[1]
                chances_sum = chances if chances_sum is None else chances_sum + chances
    finally:
        predictor.list_of_parameters = models
    found: Maps = {f"fold {number}": vote for number, vote in enumerate(votes)} if folds else {}
    for rule in rules:
        if single:
            found[rule] = votes[0]
        elif rule == "vote":
            found[rule] = _majority(np.stack(votes))
        elif rule == "logits":
            found[rule] = _segment(predictor, logits_sum / len(models), properties)
        else:
            mean = chances_sum / len(models)
            found[rule] = np.asarray(predictor.label_manager.convert_probabilities_to_segmentation(mean))
    return found


def _majority(votes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The label most folds gave, of several the lowest; folds along the first axis."""
    counts = np.stack([(votes == label).sum(axis=0) for label in range(int(votes.max()) + 1)])
    return np.asarray(counts.argmax(axis=0).astype(votes.dtype))


def _segment(predictor: nnUNetPredictor, logits: Any, properties: Mapping[str, Any], chances: bool = False) -> Any:
    return convert_predicted_logits_to_segmentation_with_correct_shape(
        logits.clone(),
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.label_manager,
        dict(properties),
        return_probabilities=chances,
        num_threads_torch=torch.get_num_threads(),
    )
