"""Predicting with a model that nnU-Net trained elsewhere on all annotated cases: the largest pilot of an arm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError
from ..files import read_json, write_with
from ..sections import FinishedSection
from .spec import PILOT, FinishedModel, PilotSpec


def finished_model(asked: FinishedSection, test: set[str], where: str) -> tuple[FinishedModel, list[str]]:
    """Check a trained-model folder.

    Args:
        asked: The folder and the splits it was trained by.
        test: Case ids that must not have been trained on.
        where: File and arm, for messages.

    Returns:
        The model and the cases it was trained on, sorted.

    Raises:
        InputError: Not a trained-model folder, splits that name a test case or another number of cases, missing folds.
    """
    folder = Path(asked.folder).expanduser()
    for name in ("plans.json", "dataset.json"):
        if not (folder / name).is_file():
            raise InputError(
                f"{where}: finished.folder must be a trained-model folder of nnU-Net (Trainer__Plans__Configuration), "
                f"found no {name} in {folder}. Check the path."
            )
    if folder.name.count("__") != 2:
        raise InputError(f"{where}: finished.folder must be named Trainer__Plans__Configuration, found {folder.name}.")
    there = sorted(int(p.name[5:]) for p in folder.glob("fold_*") if p.name[5:].isdecimal())
    model = FinishedModel(folder.resolve(), tuple(asked.folds or there), asked.checkpoint)
    missing = [path for path in model.checkpoints if not path.is_file()]
    if missing or not model.folds:
        raise InputError(f"{where}: finished.folder must hold {missing[0] if missing else 'folds'}, found none.")
    splits = read_json(Path(asked.splits).expanduser())
    try:
        cases = sorted({str(case) for split in splits for part in ("train", "val") for case in split[part]})
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{asked.splits}: must be splits of nnU-Net, a list of {{train, val}} with case ids, found something else. "
            "Check finished.splits."
        ) from error
    leaked = sorted(test & set(cases))
    if leaked:
        raise InputError(
            f"{where}: the finished model was trained on test case {leaked[0]!r} ({len(leaked)} in all): a test case "
            "must never be trained on. Hold out cases the model has not seen."
        )
    if len(cases) != asked.n:
        raise InputError(f"{where}: finished.n must be the cases of its splits ({len(cases)}), found {asked.n}.")
    return model, cases


def predict_finished(spec: PilotSpec, model: FinishedModel, device: Any) -> Iterator[int]:
    """Predict the test sets with the model's own plans and preprocessing; writes `predictions/`.

    Yields:
        How many cases are done, after each.
    """
    from .prediction import load_predictor, predict_image
    from .trainers import trainer_class

    trainer, _, configuration = model.folder.name.removeprefix(PILOT).split("__")
    plans, declared = read_json(model.folder / "plans.json"), read_json(model.folder / "dataset.json")
    for key in ("labels", "channel_names"):
        if declared[key] != spec.declared[key]:
            raise InputError(
                f"{model.folder / 'dataset.json'}: {key} must be those of the study {spec.declared[key]}, found "
                f"{declared[key]}."
            )
    predictor = load_predictor(
        plans, declared, configuration, model.checkpoints, device, spec.mirroring, trainer_class(trainer)
    )
    manager = predictor.plans_manager
    reader, settings = manager.image_reader_writer_class(), manager.get_configuration(configuration)
    preprocessor = settings.preprocessor_class(verbose=False)
    done = 0
    for test_set, cases in spec.test.items():
        for case, files in sorted(cases.items()):
            images = [str(path) for path in files.images]
            data, _, properties = preprocessor.run_case(images, None, manager, settings, declared)
            predicted = predict_image(predictor, data, properties, spec.rules)[spec.rules[0]]
            target = spec.folder / "predictions" / test_set / (case + str(spec.declared["file_ending"]))
            write_with(target, lambda path, seg=predicted, props=properties: reader.write_seg(seg, str(path), props))  # type: ignore[misc]
            done += 1
            yield done
