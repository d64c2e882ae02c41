"""The pilots' protocol in words."""

from __future__ import annotations

from collections.abc import Iterator

from .nnunet.preparation import PLANNERS
from .sections import ArmSection, PilotSection
from .study import Study

RULES = {
    "vote": "majority vote per voxel (ties to the lowest label)",
    "logits": "the mean of the logits",
    "softmax": "the mean of the probabilities",
}
"""Ensemble rules in words."""
TRAINERS = {"nnUNetTrainer": "", "nnUNetTrainerNoDA": "no augmentation"}
"""Trainers in words; others by their name."""


def protocol_words(study: Study) -> str:
    """The pilots' protocol in one sentence: what the forecast holds for."""
    pilots = study.settings.pilots
    models = "one model on all n cases"
    if pilots.folds > 1:
        models = f"{pilots.folds} folds (80/20 of n), ensemble by {RULES[pilots.rules[0]]}"
    arms = [f"{arm.name}: {', '.join(filter(None, _arm_words(arm, pilots)))}" for arm in study.settings.arms]
    mirroring = "with" if pilots.mirroring else "no"
    plans = "plans from the pool of round 0" if all(arm.plans in PLANNERS for arm in study.settings.arms) else ""
    parts = [f"nnU-Net {'; '.join(arms)}", models, f"{mirroring} test-time mirroring", plans]
    return "; ".join(filter(None, parts))


def _arm_words(arm: ArmSection, pilots: PilotSection) -> Iterator[str]:
    t = arm.training(pilots)
    yield f"{t.epochs} x {t.iterations} iterations of {t.optimiser}"
    own = arm.trainer in TRAINERS
    rate = t.learning_rate or (1e-3 if t.optimiser == "AdamW" else 1e-2 if own else None)
    yield "the trainer's own learning rate" if rate is None else f"learning rate {rate:g}"
    for value, words in (
        (t.batch, "batch {}"),
        (t.patch, "patch {}"),
        (t.features, "width {}"),
        (t.depth, "{} stages"),
        (t.convolutions, "convolutions a stage: {}"),
        (t.momentum, "momentum {:g}"),
        (t.weight_decay, "weight decay {:g}"),
        (t.foreground, "{:.0%} of patches on foreground"),
        (t.precision, "{}"),
    ):
        yield "" if value is None else words.format(value)
    yield TRAINERS.get(arm.trainer, arm.trainer)
    yield from _data_words(arm)


def _data_words(arm: ArmSection) -> Iterator[str]:
    if arm.plans != "nnUNetPlans":
        yield f"plans {arm.plans}"
    if arm.spacing is not None:
        yield f"resampled to {' x '.join(f'{step:g}' for step in arm.spacing)} mm"
    ends = arm.clip or arm.window
    if arm.normalisation is not None:
        yield f"normalised by {arm.normalisation}" + (f" {ends[0]:g} to {ends[1]:g}" if ends else "")
    if arm.crop is not None:
        where = "their reference" if arm.crop.test == "reference" else f"the prediction of {arm.crop.test}"
        yield f"cropped to {arm.crop.structure} + {arm.crop.margin_mm:g} mm (test cases by {where})"
    if arm.extra_cases is not None:
        yield f"{arm.extra_cases.ratio:g} extra cases per annotated case, not counted in n"
    if arm.pretrained is not None:
        yield f"started from {arm.pretrained}"
    if arm.finished is not None:
        yield f"at {arm.finished.n} cases a model that was not trained here"
