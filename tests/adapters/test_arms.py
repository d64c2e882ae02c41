"""Arms of every kind, really trained: other data, other plans, other trainers, boxes, extra cases, given models.

One study is trained for all tests; a second one starts from its models. Tests that change a study work on a copy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

pytest.importorskip("nnunetv2")
import SimpleITK

from dicecast.adapters.files import write_json
from dicecast.forecast.scores import CROSS_VALIDATION

Array = npt.NDArray[Any]
DICECAST = Path(sys.executable).with_name("dicecast")
SHAPE, SMALL, BRIGHT = (8, 32, 32), 1, 2
CASES, TEST, NORTH = range(10), [f"case{i:02d}" for i in (1, 4, 6, 8)], range(100, 103)
POOL = [f"case{i:02d}" for i in CASES if f"case{i:02d}" not in TEST]
SIZES, FOLDS, MARGIN = (2, 3, 6), 3, 3.0
MODELS = {n: min(FOLDS, n) for n in SIZES}
RULES = ["softmax", "vote", "logits"]
ARMS = {
    "plain": 'trainer = "nnUNetTrainerNoDA"\nfeatures = 8\nepochs = 10\niterations = 5\nlearning_rate = 0.01',
    "window": 'normalisation = "window"\nwindow = [-1.0, 5.0]\nspacing = [3.0, 1.25, 1.25]',
    "box": f'crop = {{ structure = "bright", margin_mm = {MARGIN} }}',
    "fine": f'crop = {{ structure = "bright", margin_mm = {MARGIN}, test = "plain" }}',
    "more": 'extra_cases = { ratio = 1, folder = "../more" }',
    "marked": 'trainer = "trainers.py:MarkedTrainer"',
    "residual": 'plans = "nnUNetResEncUNetMPlans"',
}
TRAINER = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class MarkedTrainer(nnUNetTrainer):
    def on_train_start(self):
        super().on_train_start()
        self.print_to_log_file("marked by its own trainer")
"""
PILOTS = f"""
[pilots]
sizes = {list(SIZES)}
draws = 1
folds = {FOLDS}
ensemble = {json.dumps(RULES)}
schedule_check = false
epochs = 2
iterations = 3
batch = 2
features = 4
optimiser = "AdamW"
learning_rate = 0.005
"""
SCORES = """
[scores]
structures = ["bright", "both"]
unions = { both = ["small", "bright"] }
metrics = ["dice", "jaccard", "tp", "fp", "fn", "tn"]
strata = ["volume/2", "site"]
"""
OTHERS = """
[[test.extra]]
name = "north"
dataset = "../north"

[[test.annotator]]
name = "anna"
labels = "../anna"

[[test.annotator]]
name = "bert"
labels = "../bert"
"""

GIVEN = f"""
[arm.finished]
folder = "../trained/nnUNetTrainerNoDA__nnUNetPlans__2d"
n = {len(POOL)}
splits = "../trained/splits_final.json"
"""
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Trained:
    """A folder with the trained study and its datasets."""

    folder: Path

    @property
    def study(self) -> Path:
        return self.folder / "study"

    def runs(self, arm: str) -> list[Path]:
        return [self.study / "runs" / arm / f"n{n}" / "draw0" for n in SIZES]

    def model(self, arm: str) -> Path:
        """The trained-model folder of an arm's largest size."""
        (found,) = (self.runs(arm)[-1] / "models").glob("*/*__*__*")
        return found


def write_cases(dataset: Path, numbers: Iterable[int], shift: float = 0.0) -> Path:
    """Two bright discs on noise; a case depends on its number only."""
    for name in ("imagesTr", "labelsTr"):
        (dataset / name).mkdir(parents=True)
    _, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    for number in numbers:
        rng = np.random.default_rng([3, number])
        label = np.zeros(SHAPE, np.uint8)
        for value, low in ((SMALL, 7), (BRIGHT, 20)):
            row, column = rng.integers(low, low + 5, 2)
            disc = (y - row) ** 2 + (x - column) ** 2 < rng.uniform(4, 6) ** 2
            label[2:7][np.broadcast_to(disc, SHAPE)[2:7]] = value
        image = (2.0 * label + shift + rng.normal(0, 0.5, SHAPE)).astype(np.float32)
        write(dataset / "imagesTr" / f"case{number:02d}_0000.nii.gz", image)
        write(dataset / "labelsTr" / f"case{number:02d}.nii.gz", label)
    declared = {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "small": SMALL, "bright": BRIGHT},
        "numTraining": len(list((dataset / "labelsTr").iterdir())),
        "file_ending": ".nii.gz",
    }
    write_json(dataset / "dataset.json", declared)
    return dataset


def write(path: Path, array: Array) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path))


def voxels(path: Path) -> Array:
    found: Array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    return found


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def dicecast(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command: list[Any] = [DICECAST, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=590, check=False)


def run(study: Path) -> None:
    done = dicecast("run", study, "--device", "cpu", "--jobs", 2)
    assert done.returncode == 0, done.stderr


def initialise(study: Path, dataset: Path, text: str) -> None:
    """A study on the dataset with the test cases, and a site for every case."""
    cases = study.with_name(f"{study.name} cases.csv")
    sites = [f"case{i:02d},case{i:02d},{'Bonn' if i < 5 else 'Kiel'}" for i in CASES]
    cases.write_text("\n".join(["case,patient,site", *sites]) + "\n", encoding="utf-8")
    asked = ("--test", ",".join(TEST), "--configuration", "2d", "--seed", 5)
    made = dicecast("init", study, "--dataset", dataset, "--cases", cases, *asked)
    assert made.returncode == 0, made.stderr
    start = f'[study]\nname = "arms"\ndataset = "../dataset"\nseed = 5\n\n[test]\ncases = {json.dumps(TEST)}\n'
    (study / "study.toml").write_text(start + text, encoding="utf-8")


def arm(name: str, more: str = "") -> str:
    return f'\n[[arm]]\nname = "{name}"\nconfiguration = "2d"\n{more}\n'


def edited(source: Path, target: Path, *changes: tuple[str, str]) -> Path:
    """A copy of a study with other settings."""
    shutil.copytree(source, target)
    text = (target / "study.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (target / "study.toml").write_text(text, encoding="utf-8")
    return target


def times(folder: Path, pattern: str) -> dict[str, int]:
    found = {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob(pattern)}
    assert found
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("arms")
    dataset = write_cases(folder / "dataset", CASES)
    write_cases(folder / "north", NORTH, shift=0.3)
    write_cases(folder / "more", range(50, 56))
    for name, shift in (("anna", 0), ("bert", 2)):
        (folder / name).mkdir()
        for case in TEST:
            label = voxels(dataset / "labelsTr" / f"{case}.nii.gz")
            write(folder / name / f"{case}.nii.gz", np.roll(label, shift, axis=2))
    arms = "".join(arm(name, more) for name, more in ARMS.items())
    initialise(folder / "study", dataset, OTHERS + PILOTS + arms + SCORES)
    (folder / "study" / "trainers.py").write_text(textwrap.dedent(TRAINER), encoding="utf-8")
    run(folder / "study")
    return Trained(folder)


@pytest.fixture(scope="module")
def later(trained: Trained) -> Path:
    """A second study on the same cases that starts from models of the first."""
    model = trained.folder / "trained" / "nnUNetTrainerNoDA__nnUNetPlans__2d"
    shutil.copytree(trained.model("plain"), model)
    splits = [{"train": one["train"], "val": one["validation"]} for one in record(trained.runs("plain")[-1])["splits"]]
    write_json(model.with_name("splits_final.json"), splits)
    pilots = PILOTS.replace(f"folds = {FOLDS}", "folds = 1").replace(f"sizes = {list(SIZES)}", "sizes = [2, 3]")
    start = f'pretrained = "../trained/{model.name}/fold_0/checkpoint_final.pth"'
    tuned = f'{start}\nfeatures = 8\noptimiser = "SGD"\nlearning_rate = 1e-9'
    arms = arm("tuned", tuned) + arm("given", GIVEN)
    initialise(trained.folder / "later", trained.folder / "dataset", pilots + arms)
    run(trained.folder / "later")
    return trained.folder / "later"


def record(run_folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(run_folder / "run.json")
    return found


def scores_of(run_folder: Path, metric: str = "dice") -> pd.DataFrame:
    found = pd.read_csv(run_folder / "scores.csv")
    return found[found["metric"] == metric]


def predictions(run_folder: Path, test_set: str) -> dict[str, Array]:
    folder = run_folder / "predictions" / test_set
    return {path.name.removesuffix(".nii.gz"): voxels(path) for path in sorted(folder.iterdir())}


def box_of(mask: Array, margin: int) -> tuple[slice, ...]:
    """The box around a mask with a margin in voxels of 1 mm; everything where the mask is empty."""
    if not mask.any():
        return tuple(slice(0, edge) for edge in mask.shape)
    places = np.argwhere(mask)
    ends = zip(places.min(0), places.max(0), strict=True)
    return tuple(slice(max(0, int(low) - margin), int(high) + 1 + margin) for low, high in ends)


# every arm trains and is scored


def test_every_run_of_every_arm_is_complete(trained: Trained) -> None:
    made = sorted(path.parent for path in trained.study.glob("runs/*/n*/draw*/run.json"))
    assert made == sorted(folder for name in ARMS for folder in trained.runs(name))
    for folder in made:
        found = record(folder)
        assert found["status"] == "completed"
        assert len(found["train_losses"]) == len(found["splits"]) == MODELS[found["n"]]
        assert np.isfinite(np.concatenate(found["train_losses"])).all()
        assert not (folder / "progress.json").exists()
    told = dicecast("status", trained.study, "--json", "-")
    assert json.loads(told.stdout)["due"] == 0


def test_arms_share_their_cases_but_not_their_protocol(trained: Trained) -> None:
    protocols = {name: {record(folder)["protocol_hash"] for folder in trained.runs(name)} for name in ARMS}
    assert all(len(found) == 1 for found in protocols.values())
    assert len(set.union(*protocols.values())) == len(ARMS)
    for number, n in enumerate(SIZES):
        cases = {tuple(record(trained.runs(name)[number])["cases"]) for name in ARMS}
        assert len(cases) == 1
        assert len(next(iter(cases))) == n and set(next(iter(cases))) <= set(POOL)


def test_every_run_is_scored_on_every_test_set_and_by_every_annotator(trained: Trained) -> None:
    north = [f"case{number}" for number in NORTH]
    cases = {"test": TEST, "north": north, "test by anna": TEST, "test by bert": TEST}
    for name in ARMS:
        for folder in trained.runs(name):
            held = [case for split in record(folder)["splits"] for case in split["validation"]]
            scores = scores_of(folder)
            expected = {
                (test_set, case, structure)
                for test_set, known in {**cases, CROSS_VALIDATION: held}.items()
                for case in known
                for structure in ("bright", "both")
            }
            assert len(scores) == len(expected)
            assert set(zip(scores["test_set"], scores["case"], scores["structure"], strict=True)) == expected
            assert scores["score"].between(0, 1).all()


def test_the_annotator_who_agrees_gives_the_scores_of_the_reference_and_another_gives_others(trained: Trained) -> None:
    scores = scores_of(trained.runs("plain")[-1]).set_index(["test_set", "case", "structure"])["score"]
    assert scores["test"].equals(scores["test by anna"])
    assert not scores["test"].equals(scores["test by bert"])
    agreed = pd.read_csv(trained.study / "test_sets" / "annotators.csv")
    pairs = agreed.groupby(["a", "b"])["dice"]
    assert pairs.min()["majority", "anna"] == 1
    assert 0 < pairs.max()["anna", "bert"] < 1


def test_predictions_have_the_shape_of_the_images_and_give_the_scores(trained: Trained) -> None:
    for name in ARMS:
        folder = trained.runs(name)[-1]
        scores = scores_of(folder).set_index(["test_set", "case", "structure"])["score"]
        for test_set, dataset in (("test", "dataset"), ("north", "north")):
            for case, predicted in predictions(folder, test_set).items():
                reference = voxels(trained.folder / dataset / "labelsTr" / f"{case}.nii.gz")
                assert predicted.shape == SHAPE
                for structure, values in (("bright", [BRIGHT]), ("both", [SMALL, BRIGHT])):
                    true, found = np.isin(reference, values), np.isin(predicted, values)
                    dice = 2 * (true & found).sum() / (true.sum() + found.sum())
                    assert scores[test_set, case, structure] == pytest.approx(dice)


# folds


def test_cross_validation_scores_each_case_by_the_model_that_did_not_see_it(trained: Trained) -> None:
    for name in ARMS:
        for folder in trained.runs(name):
            made = record(folder)
            held = [case for split in made["splits"] for case in split["validation"]]
            assert len(held) == len(set(held)) == min(made["n"], 4)  # three of five parts of six cases hold four
            assert all(sorted(one["train"] + one["validation"]) == sorted(made["cases"]) for one in made["splits"])
            assert set(predictions(folder, CROSS_VALIDATION)) == set(held)
            scores = scores_of(folder)
            assert set(scores.loc[scores["test_set"] == CROSS_VALIDATION, "case"]) == set(held)


def test_every_rule_and_every_fold_is_scored_and_the_first_rule_makes_the_curve(trained: Trained) -> None:
    key = ["test_set", "case", "structure"]
    for name in ARMS:
        for folder in trained.runs(name):
            table = pd.read_csv(folder / "ensembles.csv")
            rules = {*RULES, *(f"fold {number}" for number in range(MODELS[record(folder)["n"]]))}
            counted = table.groupby(key)["rule"].agg(["nunique", "size"])
            assert set(table["rule"]) == rules
            assert len(counted) == 2 * (len(TEST) + len(NORTH))
            assert (counted == len(rules)).all(axis=None)
            curve = scores_of(folder).set_index(key)["score"]
            first = table[table["rule"] == RULES[0]].set_index(key)["score"]
            np.testing.assert_allclose(first, curve.loc[first.index])


# what the arms change


def test_a_box_by_the_reference_leaves_background_outside(trained: Trained) -> None:
    outside = 0
    for number in range(len(SIZES)):
        cropped, plain = (trained.runs(name)[number] for name in ("box", "plain"))
        for test_set, dataset in (("test", "dataset"), ("north", "north"), (CROSS_VALIDATION, "dataset")):
            for case, predicted in predictions(cropped, test_set).items():
                box = box_of(voxels(trained.folder / dataset / "labelsTr" / f"{case}.nii.gz") == BRIGHT, int(MARGIN))
                predicted[box] = 0
                assert not predicted.any()
        for case, whole in predictions(plain, "test").items():
            whole[box_of(voxels(trained.folder / "dataset" / "labelsTr" / f"{case}.nii.gz") == BRIGHT, 3)] = 0
            outside += int(whole.any())
    assert outside  # an arm that is not cropped finds something there


def test_a_box_by_another_arm_is_around_what_that_arm_predicted_at_the_same_size(trained: Trained) -> None:
    smaller = 0
    for number in range(len(SIZES)):
        fine, plain = (trained.runs(name)[number] for name in ("fine", "plain"))
        for test_set in ("test", "north"):
            coarse = predictions(plain, test_set)
            for case, predicted in predictions(fine, test_set).items():
                box = box_of(coarse[case] == BRIGHT, int(MARGIN))
                smaller += int(predicted[box].size < predicted.size)
                predicted[box] = 0
                assert not predicted.any()
    assert smaller


def test_cropped_arms_share_training_cases_and_differ_in_test_cases(trained: Trained) -> None:
    folders = [path for path in (trained.study / "nnunet" / "preprocessed").iterdir() if "Crop" in path.name]
    assert len(folders) == 1
    found = {path.name: {one.stem for one in path.glob("*.pkl")} for path in folders[0].iterdir() if path.is_dir()}
    assert found["nnUNetPlans_2d"] == set(POOL)
    assert found["test_nnUNetPlans_2d"] == set(TEST)  # in the boxes of their references


def test_extra_cases_are_trained_on_beside_the_annotated_and_recorded(trained: Trained) -> None:
    for name in ARMS:
        for folder in trained.runs(name):
            made = record(folder)
            assert len(made["extra"]) == (made["n"] if name == "more" else 0)
            assert not [case for case in made["cases"] if case.startswith("extra")]
    (place,) = (trained.study / "extra").iterdir()
    assert len(pd.read_csv(place / "cases.csv")) == len(POOL)
    prepared = trained.study / "nnunet" / "preprocessed" / "Dataset001_Study" / "nnUNetPlans_2d"
    extra = {path.stem for path in prepared.glob("extra-*.pkl")}
    known = pd.read_csv(place / "cases.csv", dtype=str)
    digest = dict(zip(known["case"], known["digest"], strict=True))
    assert extra == {f"extra-{place.name}-{digest[case][:8]}-{case}" for case in digest}
    assert set(digest) == {f"case{number}" for number in range(50, 56)}
    fingerprint = read(prepared.parent / "dataset_fingerprint.json")
    assert len(fingerprint["shapes_after_crop"]) == len(POOL)


def test_a_trainer_of_a_file_trains(trained: Trained) -> None:
    assert trained.model("marked").name == "Pilot_MarkedTrainer__nnUNetPlans__2d"
    for name in ("marked", "plain"):
        logs = [path.read_text() for path in trained.model(name).glob("fold_*/training_log_*.txt")]
        assert len(logs) == FOLDS
        assert all(("marked by its own trainer" in log) == (name == "marked") for log in logs)


def test_other_plans_make_another_network_of_the_width_asked_for(trained: Trained) -> None:
    for name, network in (("residual", "ResidualEncoderUNet"), ("marked", "PlainConvUNet")):
        plans = read(trained.model(name) / "plans.json")
        asked = plans["configurations"]["2d"]
        assert asked["architecture"]["network_class_name"].endswith(f".{network}")
        assert asked["architecture"]["arch_kwargs"]["features_per_stage"][:2] == [4, 8]
        assert asked["batch_size"] == 2


def test_spacing_and_window_reach_the_data(trained: Trained) -> None:
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    plans = read(trained.model("window") / "plans.json")
    assert plans["configurations"]["2d"]["spacing"] == [1.25, 1.25]
    folder = trained.study / "nnunet" / "preprocessed" / plans["dataset_name"]
    data = nnUNetDatasetBlosc2(str(folder / plans["configurations"]["2d"]["data_identifier"]), [POOL[0]])
    image = np.asarray(data.load_case(POOL[0])[0][:])
    assert image.shape == (1, 8, 26, 26)
    assert image.min() > -0.2 and image.max() < 1.2  # a window onto [0, 1], resampled by splines


def test_strata_are_parts_of_the_test_set(trained: Trained) -> None:
    table = pd.read_csv(trained.study / "scores.csv", keep_default_na=False)
    parts = table[table["stratum"] != "all"]
    assert set(parts["test_set"]) == {"test"} and set(parts["metric"]) == {"dice", "jaccard"}
    one = parts[(parts["arm"] == "plain") & (parts["n_cases"] == 6) & (parts["metric"] == "dice")]
    cases = one.groupby(["structure", "stratum"])["case"].agg(set)
    for structure in ("bright", "both"):
        assert cases[structure, "site: Bonn"] == {"case01", "case04"}
        assert cases[structure, "site: Kiel"] == {"case06", "case08"}
        halves = [found for stratum, found in cases[structure].items() if str(stratum).startswith("volume")]
        assert [len(half) for half in halves] == [2, 2] and set.union(*halves) == set(TEST)


# what can be asked of it afterwards


@pytest.mark.parametrize(
    ("asked", "curves"),
    [
        (("--metric", "jaccard", "--test-set", "test", "--stratum", "all"), {("jaccard", "test", "all")}),
        (("--metric", "jaccard", "--stratum", "site: Kiel"), {("jaccard", "test", "site: Kiel")}),
        (("--test-set", "north"), {("dice", "north", "all")}),
        (("--test-set", CROSS_VALIDATION), {("dice", CROSS_VALIDATION, "all")}),
        (("--stratum", "site: Kiel"), {("dice", "test", "site: Kiel")}),
        (("--pooled", "--test-set", "test"), {("dice", "test", "all")}),
        (
            ("--pooled", "--metric", "recall"),
            {("recall", name, "all") for name in ("test", "north", "test by anna", "test by bert")},
        ),
    ],
)
def test_any_of_its_curves_can_be_forecast(
    trained: Trained, cli: Callable[..., Any], asked: tuple[str, ...], curves: set[tuple[str, str, str]]
) -> None:
    told = cli("forecast", trained.study, *asked, "--quick", "--jobs", 1, "--json", "-")
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)["curves"]
    assert {(one["metric"], one["test_set"], one["stratum"]) for one in found} == curves
    assert {(one["arm"], one["structure"]) for one in found} == {
        (name, structure) for name in ARMS for structure in ("bright", "both")
    }
    assert all(one["sizes"] == list(SIZES) for one in found)


def test_other_scores_are_made_of_what_was_predicted_and_nothing_is_trained(trained: Trained) -> None:
    (trained.folder / "carl").mkdir()
    for case in TEST:
        write(trained.folder / "carl" / f"{case}.nii.gz", np.zeros(SHAPE, np.uint8))
    study = edited(
        trained.study,
        trained.folder / "rescored",
        ('["bright", "both"]\n', '["pair", "bright"]\n'),
        ('metrics = ["dice"', 'metrics = ["msd_mm", "nsd", "dice"'),
        ("unions = { both =", "unions = { pair ="),
        ('"../bert"', '"../bert"\n\n[[test.annotator]]\nname = "carl"\nlabels = "../carl"'),
    )
    kept = {pattern: times(study, pattern) for pattern in ("*.pth", "*.nii.gz", "run.json", "ensembles.csv")}
    run(study)
    assert {pattern: times(study, pattern) for pattern in kept} == kept
    for folder in sorted(study.glob("runs/*/n*/draw*")):
        scores = pd.read_csv(folder / "scores.csv")
        assert set(scores["structure"]) == {"pair", "bright"}
        assert {"msd_mm", "nsd", "dice", "jaccard"} <= set(scores["metric"])
        assert set(scores.loc[scores["metric"] == "nsd", "test_set"]) >= {"test", "north", "test by carl"}
        before = scores_of(trained.study / folder.relative_to(study)).replace({"structure": {"both": "pair"}})
        key = ["test_set", "case", "structure"]
        old, new = (one.set_index(key)["score"] for one in (before, scores[scores["metric"] == "dice"]))
        known = [place for place in new.index if place[0] != "test by carl"]
        assert new.loc[known].equals(old.loc[known])
    facts = pd.read_csv(study / "test_sets" / "facts.csv")
    assert set(facts["structure"]) == {"pair", "bright"}
    assert {curve["structure"] for curve in read(study / "rounds" / "0.json")["forecast"]["curves"]} == {
        "pair",
        "bright",
    }


def test_another_trainer_under_the_same_file_name_is_another_protocol(trained: Trained) -> None:
    study = edited(trained.study, trained.folder / "retrained")
    with (study / "trainers.py").open("a") as stream:
        stream.write("\n    batch_of = 3\n")
    refused = dicecast("run", study, "--device", "cpu", "--jobs", 1)
    assert refused.returncode == 2
    assert "trainer_file was" in " ".join(refused.stderr.split())


def test_users_datasets_are_only_read(trained: Trained) -> None:
    for name in ("dataset", "north", "more"):
        top = {path.name for path in (trained.folder / name).iterdir()}
        assert top == {"dataset.json", "imagesTr", "labelsTr"}


# models that are there already


def weights(model: Path) -> dict[str, Array]:
    import torch

    found = torch.load(model / "fold_0" / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    return {name: values.numpy() for name, values in found["network_weights"].items()}


def test_a_training_starts_from_the_weights_it_is_given_all_but_the_last_layers(later: Path, trained: Trained) -> None:
    given = weights(trained.model("plain"))
    (folder,) = (later / "runs" / "tuned" / "n3" / "draw0" / "models").glob("*/*__*__*")
    tuned = weights(folder)  # at a rate of next to nothing
    same = {name for name, values in tuned.items() if np.allclose(values, given[name], atol=1e-6)}
    last = {name for name in tuned if ".seg_layers." in name}
    assert last and not [name for name in last if name.endswith("weight") and name in same]
    assert same >= set(tuned) - last
    protocols = [record(later / "runs" / name / "n2" / "draw0")["protocol"] for name in ("tuned", "given")]
    assert protocols[0]["pretrained"] and not protocols[1]["pretrained"]


def finished_run(study: Path) -> Path:
    (found,) = (study / "runs" / "given" / f"n{len(POOL)}").iterdir()
    return found


def test_a_model_trained_elsewhere_is_predicted_with_and_scored(later: Path, trained: Trained) -> None:
    folder = finished_run(later)
    made = record(folder)
    assert made["status"] == "completed" and made["n"] == len(POOL) and made["cases"] == POOL
    assert not (folder / "models").exists()
    theirs, ours = predictions(folder, "test"), predictions(trained.runs("plain")[-1], "test")
    assert set(theirs) == set(TEST)
    assert any(predicted.any() for predicted in ours.values())
    for case in TEST:
        np.testing.assert_array_equal(theirs[case], ours[case])
    assert len(scores_of(folder)) == 2 * len(TEST)


def test_a_model_trained_elsewhere_is_marked(later: Path) -> None:
    (note,) = record(finished_run(later))["notes"]
    assert "not trained here" in note and "nnUNetTrainerNoDA__nnUNetPlans__2d" in note
    assert record(later / "runs" / "given" / "n2" / "draw0")["notes"] == []


def test_a_model_trained_elsewhere_is_the_largest_size_of_its_curve(later: Path, cli: Callable[..., Any]) -> None:
    told = cli("forecast", later, "--quick", "--json", "-")
    assert told.exit_code == 0, told.stderr
    sizes = {(one["arm"], tuple(one["sizes"])) for one in json.loads(told.stdout)["curves"]}
    assert sizes == {("tuned", (2, 3)), ("given", (2, 3, len(POOL)))}


def test_running_a_finished_model_again_predicts_nothing(later: Path) -> None:
    before = times(later / "runs", "*")
    run(later)
    assert times(later / "runs", "*") == before


def test_a_model_that_a_study_trained_can_be_given_as_it_lies_there(later: Path, trained: Trained) -> None:
    old, new = "../trained/nnUNetTrainerNoDA__nnUNetPlans__2d", str(trained.model("plain"))
    study = edited(later, trained.folder / "again", (f'folder = "{old}"', f'folder = "{new}"'))
    shutil.rmtree(finished_run(study))
    run(study)
    assert record(finished_run(study))["status"] == "completed"
