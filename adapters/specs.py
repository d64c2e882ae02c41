"""Which pilot runs a study asks for, and everything each of them needs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..forecast.errors import InputError
from ..forecast.scores import TEST
from .extra_cases import ExtraCases, ExtraSource, at_hand, extra_count
from .files import read_bytes
from .nnunet.dataset import CaseFiles, Label, NnunetDataset
from .nnunet.finished import finished_model
from .nnunet.preparation import PLANNERS, Preparation, check_preparation
from .nnunet.scoring import Scoring, scored_structures
from .nnunet.spec import FinishedModel, PilotSpec, RunStatus, protocol_hash, read_record, run_status
from .nnunet.trainers import find_trainer
from .run_folders import FINISHED, RunFolder, completed_runs, run_folder
from .sections import ArmSection
from .study import Study
from .testsets import ExtraTestSet, annotator_labels, extra_test_set, refuse_trained

SHARED = {"test_set", "extra_test_sets", "seed", "folds", "ensemble", "mirroring", "training cases", "extra cases"}
"""What all arms of a study have in common."""


@dataclass(frozen=True)
class Materials:
    """What the runs of a study work with."""

    dataset: NnunetDataset
    scoring: Scoring
    test: Mapping[str, Mapping[str, CaseFiles]]
    """Cases by test set; the first decides."""
    annotators: Mapping[str, Mapping[str, Path]]
    extra: Mapping[str, ExtraCases]
    """Extra cases at hand by arm."""


def structures_of(study: Study, dataset: NnunetDataset) -> dict[str, Label]:
    """What is scored: the structures asked for, or all of the dataset and the unions.

    Raises:
        InputError: A structure the dataset does not declare.
    """
    scores, where = study.settings.scores, f"{study.folder / 'study.toml'}, [scores]"
    found = scored_structures(dataset, scores.structures, scores.unions, where)
    goal = study.settings.study.goal
    unknown = [name for name in goal if name not in found] if isinstance(goal, dict) else []
    if unknown:
        raise InputError(
            f"{study.folder / 'study.toml'}, [study]: goal names structure {unknown[0]!r}, which is not scored: "
            f"{', '.join(found)}."
        )
    return found


def scoring_of(study: Study, dataset: NnunetDataset) -> Scoring:
    """How predictions are scored."""
    scores, structures = study.settings.scores, structures_of(study, dataset)
    tolerances = {name: scores.tolerance(name) for name in structures}
    asked = {"structures": scores.structures, "unions": scores.unions}
    return Scoring(structures, tuple(scores.metrics), tolerances, dataset.ignore_label, asked)


def extra_test_sets(study: Study, dataset: NnunetDataset) -> dict[str, ExtraTestSet]:
    """The extra test sets of a study by name.

    Raises:
        InputError: One is missing or unusable.
    """
    placed = [dataclasses.replace(one, dataset=str(study.raw(one.dataset))) for one in study.settings.test.extra]
    return {one.name: extra_test_set(study.folder, one, dataset) for one in placed}


def materials_of(study: Study, dataset: NnunetDataset, tests: Mapping[str, ExtraTestSet]) -> Materials:
    """Everything the runs need, checked.

    Args:
        study: Its extra cases must have been provided.
        dataset: Its dataset.
        tests: Its extra test sets.

    Raises:
        InputError: An annotator's label or extra cases are missing or unusable, or a test case is also trained on.
    """
    test: dict[str, Mapping[str, CaseFiles]] = {TEST: {case: dataset.cases[case] for case in study.test}}
    trained = {case: digest for case, digest in study.digest.items() if case not in test[TEST]}
    extra: dict[str, ExtraCases] = {}
    for arm in study.settings.arms:
        if arm.extra_cases is not None:
            extra[arm.name], digests = at_hand(extra_source(study, arm))
            trained |= digests
    for name, found in tests.items():
        refuse_trained(name, found, trained)
        test[name] = found.files
    ending = str(dataset.declared["file_ending"])
    annotators = {
        one.name: annotator_labels(dataclasses.replace(one, labels=str(study.raw(one.labels))), study.test, ending)
        for one in study.settings.test.annotator
    }
    return Materials(dataset, scoring_of(study, dataset), test, annotators, extra)


def extra_source(study: Study, arm: ArmSection) -> ExtraSource:
    """Where an arm's extra cases come from."""
    asked = arm.extra_cases
    assert asked is not None
    found: dict[str, Any] = {
        name: str(study.raw(getattr(asked, name))) for name in ("folder", "lesions") if getattr(asked, name) is not None
    }
    file, _, function = (asked.callable or "").rpartition(":")
    if file.endswith(".py"):
        found["callable"] = f"{study.trained(file)}:{function}"
    return ExtraSource(asked, dataclasses.replace(asked, **found), study.folder, study.settings.study.seed)


def preparation_of(study: Study, arm: ArmSection, dataset: NnunetDataset) -> Preparation:
    """How an arm's cases are planned and preprocessed.

    Raises:
        InputError: Unknown plans, or a structure to crop around that is not there.
    """
    where, asked = f"{study.folder / 'study.toml'}, [[arm]] {arm.name}", arm.planning
    crop = None
    if asked.crop is not None:
        unions = study.settings.scores.unions
        label = scored_structures(dataset, [asked.crop.structure], unions, where)[asked.crop.structure]
        crop = label if isinstance(label, tuple) else (label,)
    found = Preparation(
        plans=asked.plans if asked.plans in PLANNERS else str(study.trained(asked.plans)),
        spacing=None if asked.spacing is None else tuple(asked.spacing),
        normalisation=asked.normalisation,
        crop=crop,
        margin_mm=0.0 if asked.crop is None else asked.crop.margin_mm,
        clip=None if asked.clip is None else tuple(asked.clip),
        window=None if asked.window is None else tuple(asked.window),
    )
    check_preparation(found, where, str(dataset.declared["file_ending"]))
    return found


def check_arms(study: Study, dataset: NnunetDataset) -> None:
    """What can be refused about the arms before anything is planned.

    Raises:
        InputError: Unknown plans or trainer, a missing checkpoint, a finished model that cannot be used.
    """
    for arm in study.settings.arms:
        where = f"{study.folder / 'study.toml'}, [[arm]] {arm.name}"
        preparation_of(study, arm, dataset)
        try:
            find_trainer(trainer_of(study, arm))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if arm.pretrained is not None and not study.trained(arm.pretrained).is_file():
            raise InputError(f"{where}: pretrained must be a checkpoint of nnU-Net, found no file {arm.pretrained}.")
        _finished(study, arm)


def trainer_of(study: Study, arm: ArmSection) -> str:
    """The trainer's name, or file and class with the file found."""
    file, colon, name = arm.trainer.rpartition(":")
    return f"{study.trained(file)}:{name}" if colon else name


def _finished(study: Study, arm: ArmSection) -> tuple[FinishedModel, list[str]] | None:
    if arm.finished is None:
        return None
    where = f"{study.folder / 'study.toml'}, [[arm]] {arm.name}"
    asked = arm.finished
    if arm.crop is not None:
        raise InputError(f"{where}: finished does not go with crop: the model sees whole images. Give it its own arm.")
    places: dict[str, Any] = {name: str(study.trained(getattr(asked, name))) for name in ("folder", "splits")}
    return finished_model(dataclasses.replace(asked, **places), set(study.test), where)


def protocol_of(study: Study, arm: ArmSection, materials: Materials, preparation: Preparation) -> dict[str, Any]:
    """Everything that makes the scores of an arm comparable; changing it makes a new arm."""
    pilots, crop = study.settings.pilots, arm.crop
    extra = materials.extra.get(arm.name)
    tests = {name: _digest("\n".join(sorted(cases)).encode()) for name, cases in materials.test.items()}
    return {
        "configuration": arm.configuration,
        "trainer": arm.trainer,
        "trainer_file": _file_digest(trainer_of(study, arm).rpartition(":")[0]),
        **dataclasses.asdict(arm.training(pilots)),
        "folds": pilots.folds,
        "ensemble": pilots.rules[0] if pilots.folds > 1 else "none",
        "mirroring": pilots.mirroring,
        "seed": study.settings.study.seed,
        "test_set": tests.pop(TEST),
        "extra_test_sets": tests or None,
        "plans": _digest(read_bytes(preparation.plans_path(study.workspace))),
        "clip": arm.clip,
        "window": arm.window,
        "crop": None if crop is None else dataclasses.asdict(crop),
        "boxes": _boxes_protocol(study, arm, materials),
        "extra_cases": None if extra is None or arm.extra_cases is None else [extra.key, arm.extra_cases.ratio],
        "pretrained": None if arm.pretrained is None else _file_digest(str(study.trained(arm.pretrained))),
    }


def _boxes_protocol(study: Study, arm: ArmSection, materials: Materials) -> str | None:
    """Identity of the arm whose predictions say where test cases are cropped."""
    if arm.crop is None or arm.crop.test == "reference":
        return None
    other = study.settings.arm(arm.crop.test)
    return protocol_hash(protocol_of(study, other, materials, preparation_of(study, other, materials.dataset)))


def _file_digest(path: str) -> str | None:
    return _digest(read_bytes(Path(path))) if path else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def pilot_specs(study: Study, materials: Materials, device: str, workers: int) -> list[PilotSpec]:
    """Every run the study asks for now, done or not, large sizes last.

    Raises:
        InputError: A finished run was made under another protocol.
    """
    makers = [_Maker(study, materials, arm, device, workers) for arm in study.settings.arms]
    specs = [
        maker.spec(n, draw)
        for n in study.sizes()
        for maker in makers
        for draw in range(study.settings.pilots.draws_at(n))
    ]
    specs += [spec for maker in makers for spec in maker.finished()]
    for spec in specs:
        check_protocol(spec, study)
    return specs


def check_specs(study: Study, materials: Materials, device: str, workers: int) -> list[PilotSpec]:
    """The schedule check: smallest and largest size of every arm, draw 0, twice as many epochs."""
    makers = [_Maker(study, materials, arm, device, workers) for arm in study.settings.arms]
    ends = sorted({study.sizes()[0], study.sizes()[-1]})
    specs = [maker.check(n, 0) for n in ends for maker in makers]
    for spec in specs:
        check_protocol(spec, study)
    return specs


def check_protocols(study: Study, materials: Materials) -> None:
    """Refuse settings under which completed runs would not be comparable with new ones.

    Raises:
        InputError: Names what was changed.
    """
    completed_specs(study, materials, device="cpu", workers=0)


def spec_of(study: Study, materials: Materials, run: RunFolder, device: str, workers: int) -> PilotSpec:
    """One run by its folder, done or not.

    Raises:
        InputError: No arm of that name, a size above the pool, or a finished run made under another protocol.
    """
    maker = _Maker(study, materials, study.settings.arm(run.arm), device, workers)
    if run.draw == FINISHED:
        found = [spec for spec in maker.finished() if spec.n == run.n]
        if not found:
            raise InputError(f"{run.path}: arm {run.arm} has no finished model of {run.n} cases any more.")
        (spec,) = found
    elif run.n > study.pool_sizes[-1]:
        raise InputError(f"{run.path}: sizes must not exceed the pool of {study.pool_sizes[-1]} cases, found {run.n}.")
    else:
        spec = maker.check(run.n, run.draw) if run.check else maker.spec(run.n, run.draw)
    check_protocol(spec, study)
    return spec


def completed_specs(study: Study, materials: Materials, device: str, workers: int) -> list[PilotSpec]:
    """Every run and schedule check that is complete, still asked for or not: all of them count.

    Raises:
        InputError: One was made under another protocol.
    """
    runs, checks = completed_runs(study), completed_runs(study, check=True)
    arms = {run.arm: study.settings.arm(run.arm) for run in [*runs, *checks]}
    makers = {name: _Maker(study, materials, arm, device, workers) for name, arm in arms.items()}
    specs = [makers[run.arm].spec(run.n, run.draw) for run in runs if run.draw != FINISHED]
    specs += [spec for run in runs if run.draw == FINISHED for spec in makers[run.arm].finished()]
    specs += [makers[run.arm].check(run.n, run.draw) for run in checks]
    for spec in specs:
        check_protocol(spec, study)
    return specs


class _Maker:
    """Makes the specs of one arm; what does not depend on the run is found once."""

    def __init__(self, study: Study, materials: Materials, arm: ArmSection, device: str, workers: int) -> None:
        self._study, self._materials, self._arm = study, materials, arm
        self._preparation = preparation_of(study, arm, materials.dataset)
        self._protocol = protocol_of(study, arm, materials, self._preparation)
        self._device, self._workers = device, workers
        self._largest, self._patient = study.sizes()[-1], study.patient

    def spec(self, n: int, draw: int) -> PilotSpec:
        """The run of one size and draw."""
        study, arm, pilots = self._study, self._arm, self._study.settings.pilots
        key = json.dumps([study.settings.study.seed, arm.name, n, draw]).encode()
        crop, materials = arm.crop, self._materials
        return PilotSpec(
            folder=run_folder(study, arm.name, n, draw),
            workspace=study.workspace,
            arm=arm.name,
            n=n,
            draw=draw,
            cases={case: materials.dataset.cases[case] for case in study.ordering(draw)[:n]},
            patient=self._patient,
            folds=pilots.folds,
            rules=tuple(pilots.rules),
            cross_validation=pilots.cross_validation,
            mirroring=pilots.mirroring,
            configuration=arm.configuration,
            trainer=trainer_of(study, arm),
            preparation=self._preparation,
            training=arm.training(pilots),
            seed=int.from_bytes(hashlib.sha256(key).digest()[:4], "big") % 2**31,
            test=materials.test,
            annotators=materials.annotators,
            scoring=materials.scoring,
            declared={key: value for key, value in materials.dataset.declared.items() if key != "dataset"},
            protocol=self._protocol,
            device=self._device,
            augmentation_workers=self._workers,
            extra=self._extra(n, draw),
            pretrained=None if arm.pretrained is None else study.trained(arm.pretrained),
            boxes=None if crop is None or crop.test == "reference" else run_folder(study, crop.test, n, draw),
            tracking=study.settings.execution.tracking,
            keep_models=n == self._largest,
        )

    def check(self, n: int, draw: int) -> PilotSpec:
        """The schedule check of one size and draw."""
        plain = self.spec(n, draw)
        training = dataclasses.replace(plain.training, epochs=2 * plain.training.epochs)
        return dataclasses.replace(
            plain,
            folder=run_folder(self._study, plain.arm, n, draw, check=True),
            training=training,
            protocol={**plain.protocol, "epochs": training.epochs},
            keep_models=False,
        )

    def _extra(self, n: int, draw: int) -> tuple[str, ...]:
        if self._arm.extra_cases is None:
            return ()
        count = extra_count(self._arm.extra_cases, n)
        return self._materials.extra[self._arm.name].first(count, draw, self._study.settings.study.seed)

    def finished(self) -> list[PilotSpec]:
        """The run that a finished model stands for, if the arm has one."""
        found, asked = _finished(self._study, self._arm), self._arm.finished
        if found is None or asked is None:
            return []
        model, cases = found
        where = f"{self._study.folder / 'study.toml'}, [[arm]] {self._arm.name}"
        if asked.n > self._study.pool_sizes[-1]:
            raise InputError(
                f"{where}: finished.n must not exceed the pool of {self._study.pool_sizes[-1]} annotated cases, found "
                f"{asked.n}. Add the cases it was trained on to the dataset."
            )
        plain = self.spec(self._study.sizes()[0], 0)
        known = self._materials.dataset.cases
        gone = [case for case in cases if case not in known]
        if gone:
            raise InputError(
                f"{where}: the finished model was trained on case {gone[0]!r}, which the dataset does not hold "
                f"({len(gone)} in all). Add them, or correct splits."
            )
        return [
            dataclasses.replace(
                plain,
                folder=run_folder(self._study, self._arm.name, asked.n, FINISHED),
                n=asked.n,
                draw=FINISHED,
                cases={case: known[case] for case in cases},
                extra=(),
                finished=model,
                notes=tuple(model.differences(plain)),
            )
        ]


def check_protocol(spec: PilotSpec, study: Study) -> None:
    """Refuse to mix protocols on one curve.

    Raises:
        InputError: Names what was changed after the run was made.
    """
    if run_status(spec.folder) is not RunStatus.COMPLETED:
        return
    made = read_record(spec.folder)
    model = None if spec.finished is None else spec.finished.document()
    before, now = {**made["protocol"], "model": made.get("model")}, {**spec.protocol, "model": model}
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if made["cases"] != list(spec.cases):
        changed.append("training cases")
    if made.get("extra", list(spec.extra)) != list(spec.extra):
        changed.append("extra cases")
    if not changed:
        return
    why = (
        "finished runs have no predictions of other test sets, and their models are not kept"
        if set(changed) == {"extra_test_sets"}
        else f"{spec.folder} would not be comparable"
    )
    known = {**before, **now}
    words = [f"{key} was {before.get(key)}, is {now.get(key)}" if key in known else key for key in changed]
    instead = (
        "make a new study"
        if SHARED & set(changed) and "extra_cases" not in changed
        else "give the new settings an [[arm]] of their own"
    )
    raise InputError(
        f"{study.folder / 'study.toml'}: the protocol was changed after runs were made ({', '.join(words)}): "
        f"{why}. Undo the change, {instead}, or delete "
        f"{study.folder / spec.folder.parts[-4]} to start over."
    )
