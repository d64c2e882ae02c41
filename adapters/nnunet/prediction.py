"""Predicting the test set with the fold models of a pilot run, and scoring it case by case.

Imports torch and nnU-Net; only worker processes import this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from .dataset import Label
from .trainer import PilotTrainer


def load_predictor(
    plans: dict[str, Any],
    declared: dict[str, Any],
    configuration: str,
    checkpoints: list[Path],
    device: torch.device,
    mirroring: bool,
) -> nnUNetPredictor:
    """A predictor over the weights of one or more fold models, without nnU-Net's search for a trainer by name."""
    manager = PlansManager(plans)
    settings = manager.get_configuration(configuration)
    loaded = [torch.load(path, map_location="cpu", weights_only=False) for path in checkpoints]
    network = PilotTrainer.build_network_architecture(
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
        PilotTrainer.__name__,
        loaded[0]["inference_allowed_mirroring_axes"],
    )
    return predictor


def predict_cases(
    predictor: nnUNetPredictor, folder: Path, cases: list[str], ensemble: str
) -> Iterator[tuple[str, np.ndarray[Any, Any], Mapping[str, Any]]]:
    """Predict preprocessed cases.

    Args:
        predictor: Holds one set of weights per fold.
        folder: Preprocessed test cases.
        cases: Case ids.
        ensemble: `vote` (majority per voxel, ties to the lowest label), `logits` (nnU-Net's rule) or `softmax`.

    Yields:
        Case id, label map in the geometry of the raw image, and the reader's properties.
    """
    data = nnUNetDatasetBlosc2(str(folder), list(cases))
    folds = predictor.list_of_parameters
    for case in cases:
        image, _, _, properties = data.load_case(case)
        tensor = torch.from_numpy(np.asarray(image[:], dtype=np.float32))
        logits = []
        for weights in folds:
            predictor.list_of_parameters = [weights]
            logits.append(predictor.predict_logits_from_preprocessed_data(tensor).float())
        predictor.list_of_parameters = folds
        yield case, _combine(predictor, logits, dict(properties), ensemble), properties


def _combine(
    predictor: nnUNetPredictor, logits: list[torch.Tensor], properties: dict[str, Any], ensemble: str
) -> np.ndarray[Any, Any]:
    if len(logits) == 1 or ensemble == "logits":
        mean = torch.stack(logits).mean(dim=0)
        return np.asarray(_segment(predictor, mean, properties))
    if ensemble == "softmax":
        chances = np.mean([_segment(predictor, one, properties, chances=True)[1] for one in logits], axis=0)
        return np.asarray(predictor.label_manager.convert_probabilities_to_segmentation(chances))
    votes = np.stack([_segment(predictor, one, properties) for one in logits])
    counts = np.stack([(votes == label).sum(axis=0) for label in range(int(votes.max()) + 1)])
    return np.asarray(counts.argmax(axis=0).astype(votes.dtype))


def _segment(
    predictor: nnUNetPredictor, logits: torch.Tensor, properties: dict[str, Any], chances: bool = False
) -> Any:
    return convert_predicted_logits_to_segmentation_with_correct_shape(
        logits.clone(),
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.label_manager,
        properties,
        return_probabilities=chances,
        num_threads_torch=torch.get_num_threads(),
    )


def score_case(
    reference: np.ndarray[Any, Any],
    predicted: np.ndarray[Any, Any],
    structures: Mapping[str, Label],
    ignore: int | None,
    voxel_ml: float | None,
) -> list[dict[str, Any]]:
    """Dice of every structure the reference contains; elsewhere the falsely predicted volume.

    Args:
        reference: Reference label map.
        predicted: Predicted label map of the same shape.
        structures: Label value, or values of a region, by name.
        ignore: Value of reference voxels that were not annotated and do not count.
        voxel_ml: Volume of a voxel, mL; None when the images have no physical size.

    Returns:
        Rows of `structure`, `metric`, `score`. `dice` is `2 TP / (2 TP + FP + FN)`; None where the reference
        does not contain the structure, with `false_positive` (0 or 1) and `false_positive_ml` beside it.
    """
    counted = np.ones(reference.shape, dtype=bool) if ignore is None else reference != ignore
    rows: list[dict[str, Any]] = []
    for name, label in structures.items():
        true = np.isin(reference, label) & counted
        found = np.isin(predicted, label) & counted
        volume = int(true.sum())
        if volume == 0:
            rows.append({"structure": name, "metric": "dice", "score": None})
            extra = int(found.sum())
            rows.append({"structure": name, "metric": "false_positive", "score": int(extra > 0)})
            if voxel_ml is not None:
                rows.append({"structure": name, "metric": "false_positive_ml", "score": extra * voxel_ml})
            continue
        overlap = int((true & found).sum())
        rows.append({"structure": name, "metric": "dice", "score": 2 * overlap / (volume + int(found.sum()))})
    return rows
