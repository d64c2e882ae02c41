"""What a new study is asked for, and its commented `study.toml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
import tomlkit.exceptions

from ..forecast.errors import InputError
from .files import may_be_path, read_text
from .metric_table import DEFAULT_METRICS, METRICS
from .nnunet.dataset import NnunetDataset
from .sections import PATHS
from .settings import toml_value

TestChoice = int | float | list[str]
TrainingKeys = dict[str, int | float | str]
RUNS = 15
"""Pilot runs that a proposal spends unless told otherwise."""
DRAWS = 3
"""Draws per size where only sizes are given."""
LENGTH = {"epochs": 1000, "iterations": 250}
"""How long nnU-Net trains unless told otherwise."""
PRESENCE = [name for name, metric in METRICS.items() if metric.group == "presence"]
"""Metrics that are always given."""
EXAMPLES = {
    "batch": 12,
    "features": 32,
    "convolutions": 2,
    "depth": 5,
    "patch": [64, 128, 128],
    "foreground": 0.33,
    "precision": "bfloat16",
    "optimiser": "SGD",
    "learning_rate": 0.01,
    "momentum": 0.99,
    "weight_decay": 3e-5,
}
"""Training settings that `study.toml` shows commented out where they are left to nnU-Net."""
TEMPLATE = """\
# A dicecast study. Settings that decide what a score means (training, folds, test set) are frozen once runs
# were made: give changed ones an [[arm]] of their own. Folders and files: absolute, relative to this file, or by their
# names in nnUNet_raw and nnUNet_results.

[study]
format = 2
name = {name}
dataset = {dataset}
seed = {seed}
level = 0.9        # probability of every interval
eps = 0.01         # the plateau is where more cases add at most this much
goal = "plateau"   # or "value" (see [cost]), or per structure: {{ kidney = 0.95, tumour = "plateau", cyst = "ignore" }}

[test]             # held out and never trained on; the cases that were drawn are in cases.csv
cases = {test}
group_by = "patient"
# [[test.extra]]      # another test set, say of another hospital, scored beside the first; to be given before the
#                     # first run, since finished runs keep predictions but not their models
# name = "hospital B"
# dataset = "Dataset101_HospitalB"
# cases = ["b_001", "b_002"]   # left out: all
# [[test.annotator]]  # a further reference of the test set by one annotator: a folder of label files
# name = "reader 1"
# labels = "labels_reader1"

[pilots]
sizes = {sizes}   # annotated cases; every later round adds the size of its pool
draws = {draws}   # random orderings per size; a list gives one per size, its last for all later
folds = {folds}          # 1: one model on all n cases; k: the first k of five 80/20 splits, ensembled
ensemble = {ensemble}  # of the folds: "vote", "logits" (nnU-Net's) or "softmax"; the first of a list makes the curve
cross_validation = true   # with folds: also score each model on the cases it did not train on
mirroring = false  # test-time mirroring
schedule_check = {schedule_check}   # also train the smallest and largest size twice as long

# Training: nnU-Net's own unless set here; an [[arm]] may set its own.
epochs = {epochs}
iterations = {iterations}   # per epoch
{optional}
# batch, features, convolutions (per stage), depth (stages) and patch default to the plans; features is the width of
# the first stage, the others keep their ratio to it

{arms}
# An [[arm]] may also set, beside the training settings above:
# plans = "nnUNetResEncUNetMPlans"      # or a plans file; trainer = "file.py:Class"
# spacing = [2.0, 1.0, 1.0]             # mm, axes as in the image array
# normalisation = "clip"                # "ct", "z-score", "clip" (percentiles of each case), "window"
# clip = [0.5, 99.5]                    # percentiles, for "clip"
# window = [-175, 250]                  # intensities, for "window"
# crop = {{ structure = "kidney", margin_mm = 20, test = "reference" }}   # test: or an arm, for coarse to fine
# extra_cases = {{ ratio = 3, folder = "Dataset102_Synthetic" }}
# extra_cases = {{ ratio = 3, lesions = "Dataset103_Healthy", organ = "kidney", lesion = "tumour" }}
# a command or callable writes imagesTr, labelsTr and dataset.json into folder; a callable is called with these keywords
# extra_cases = {{ ratio = 3, command = "python make.py {{folder}} {{count}} {{start}} {{seed}}" }}   # or callable
# pretrained = "checkpoint_final.pth"
# finished = {{ folder = "nnUNetTrainer__nnUNetPlans__3d_fullres", n = 300, splits = "splits_final.json" }}
#   a model that nnU-Net trained on all n cases, as the largest pilot; may also name folds and checkpoint

[scores]           # may be changed at any time: `run` scores the kept predictions anew
structures = {structures}    # names from dataset.json and unions; empty scores all of them
# unions = {{ masses = ["tumour", "cyst"] }}   # for evaluation only
metrics = {metrics}
# also: {other_metrics}
curve_metrics = ["dice"]   # metrics with a forecast; the first decides
# strata = ["volume/4", "diameter@10,30", "heterogeneity/2", "site"]   # curves of parts of the test set
surface_tolerance_mm = 1.0   # of nsd, the surface Dice; or per structure: {{ kidney = 2.0, tumour = 1.0 }}

[cost]             # what annotating costs, for `recommend`
# per_case = 20.0    # an [[arm]] may have its own, say for reviewing instead of drawing
# per_round = 100.0  # waiting, meetings; left out it is weighed as 5 % of annotating everything
# per_gpu_hour = 2.0
# per_point = 500.0  # what 0.01 of score is worth, for goal = "value"
# unit = "EUR"       # or "minutes"
# budget = 1000.0    # for all cases annotated after round 0, and their rounds
# deadline_rounds = 5

[stability]        # the forecast stands still when, over the last rounds, nothing moved more than this
# rounds = 3
# ceiling_move = 1.0 # DM, in units of eps
# gain_move = 1.0    # reachable gain, in units of eps
# size_move = 0.25   # plateau size, as a share
# gain_width = 2.0   # and the interval of the gain is no wider than this, in units of eps

[next]             # which cases are annotated next, when cases.csv lists some without annotation
select = "random"  # "stratified": the annotated cases get the mix of all cases in the columns of `by`
# by = ["site", "scanner"]

[execution]
engine = "local"   # "local": this machine; "slurm": a cluster
device = "auto"    # "cpu", "cuda" or "mps"
# jobs = 2         # trainings at the same time; by default one per CPU core or GPU, on a cluster 256
# gpus = [0, 1]    # of this machine; by default all that CUDA_VISIBLE_DEVICES lets through
# runs_per_gpu = 1 # trainings that share a GPU of this machine
{pace}
# tracking = "wandb"   # let nnU-Net report to Weights & Biases; off unless asked for here

[execution.slurm]      # what a job asks for, where engine = "slurm"; the cluster's default where left out
# partition = "gpu"
# account = "radiology"
# qos = "normal"
# time = "24:00:00"    # or "1-00:00:00", or 1440 (minutes); a training that reaches it goes on in the next job
# gres = "gpu:1"       # by default, unless device = "cpu"
# cpus = 12            # CPU cores; as many processes augment
# mem = "32G"
# cpu_partition = "cpu"   # for planning and preprocessing, which need no GPU
# setup = ["module load cuda"]   # shell lines before the training; one that fails ends the job. The training runs in
#                                # the Python that `run` was called with
# options = {{ constraint = "a100" }}   # of sbatch, by their long names
"""
"""The commented `study.toml`."""


@dataclass(frozen=True)
class NewStudy:
    """What `init` is asked for."""

    folder: Path
    dataset: Path
    test: TestChoice | None = None
    """Number, fraction or list of test cases; None takes that of `settings`, else a fifth."""
    configurations: tuple[str, ...] = ("3d_fullres",)
    sizes: tuple[int, ...] = ()
    """Empty proposes sizes."""
    draws: int | list[int] | None = None
    """None proposes draws with the sizes, 3 where sizes are given."""
    runs: int = RUNS
    """Pilot runs per configuration that a proposal may spend."""
    structures: tuple[str, ...] = ()
    """What is scored; empty scores every structure of the dataset."""
    folds: int = 1
    ensemble: tuple[str, ...] = ("vote",)
    settings: Path | None = None
    """A `study.toml` to take everything else from; its name and dataset are replaced."""
    seed: int = 0
    cases_table: Path | None = None
    """CSV with `case`, `patient` and more columns."""
    trainer: str = "nnUNetTrainer"
    training: Mapping[str, int | float | str] = field(default_factory=dict)
    """Training settings that differ from nnU-Net's own."""
    arm_training: Mapping[str, Mapping[str, int | float | str]] = field(default_factory=dict)
    """Training settings of one configuration that differ from `training`."""
    schedule_check: bool = True
    seconds_per_iteration: float | None = None
    """Measured elsewhere; what trainings take is predicted by it until a first one is done."""
    progress: Callable[[int, int], None] = lambda done, total: None
    """Called with the number of cases looked into."""


def study_toml(asked: NewStudy, name: str, dataset: NnunetDataset, sizes: Sequence[int]) -> str:
    """The `study.toml` of a new study."""
    training = {**LENGTH, **asked.training}
    optional = [
        f"{key} = {toml_value(training[key])}" if key in training else f"# {key} = {toml_value(example)}"
        for key, example in EXAMPLES.items()
    ]
    values = {
        "name": name,
        "dataset": str(dataset.folder),
        "seed": asked.seed,
        "test": asked.test,
        "sizes": list(sizes),
        "draws": DRAWS if asked.draws is None else asked.draws,
        "schedule_check": asked.schedule_check,
        "folds": asked.folds,
        "ensemble": asked.ensemble[0] if len(asked.ensemble) == 1 else list(asked.ensemble),
        "metrics": list(DEFAULT_METRICS),
        "epochs": training["epochs"],
        "iterations": training["iterations"],
        "structures": list(asked.structures),
    }
    return TEMPLATE.format(
        **{key: toml_value(value) for key, value in values.items()},
        pace=_pace_toml(asked.seconds_per_iteration),
        other_metrics=", ".join(name for name in METRICS if name not in (*DEFAULT_METRICS, *PRESENCE)),
        optional="\n".join(optional),
        arms="\n\n".join(_arm_toml(asked, configuration) for configuration in asked.configurations),
    )


def _pace_toml(seconds: float | None) -> str:
    shown = "# seconds_per_iteration = 0.2" if seconds is None else f"seconds_per_iteration = {toml_value(seconds)}"
    return f"{shown}   # measured elsewhere, for what is predicted before a first run"


def _arm_toml(asked: NewStudy, configuration: str) -> str:
    keys: dict[str, int | float | str] = {
        "name": configuration,
        "configuration": configuration,
        "trainer": asked.trainer,
    }
    keys |= dict(asked.arm_training.get(configuration, {}))
    return "\n".join(["[[arm]]", *(f"{key} = {toml_value(value)}" for key, value in keys.items())])


def adopted_toml(asked: NewStudy, source: Path, name: str, dataset: NnunetDataset) -> str:
    """A `study.toml` for another dataset; other keys and all comments stay as they are.

    Files and folders that are found beside the source are named by where they are, since the study lies elsewhere.

    Raises:
        InputError: The source cannot be read.
    """
    try:
        document = tomlkit.parse(read_text(source))
    except (tomlkit.exceptions.TOMLKitError, ValueError, RecursionError) as error:
        raise InputError(f"{source}: must be valid TOML, found: {error}.") from error
    for table in ("study", "test", "pilots"):
        if not isinstance(document.get(table, {}), dict):
            raise InputError(f"{source}, [{table}]: must be a table of keys, found {document[table]!r}.")
    _place(document, source.resolve().parent)
    values: dict[tuple[str, str], Any] = {
        ("study", "name"): name,
        ("study", "dataset"): str(dataset.folder),
        ("test", "cases"): asked.test,
        ("pilots", "sizes"): list(asked.sizes) or None,
        ("pilots", "draws"): asked.draws,
    }
    for (table, key), value in values.items():
        if value is not None:
            document.setdefault(table, tomlkit.table())[key] = value
    return tomlkit.dumps(document)


def _place(table: Any, folder: Path) -> None:
    """Make the relative paths in a table absolute where something is found there."""
    for key, value in list(table.items()):
        if isinstance(value, dict):
            _place(value, folder)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    _place(one, folder)
        elif key in PATHS and isinstance(value, str):
            file, colon, name = value.rpartition(":") if key in ("trainer", "callable") else (value, "", "")
            known = (not colon or file.endswith(".py")) and file and may_be_path(file)
            if known and (folder / file).exists():
                table[key] = f"{(folder / file).resolve()}{colon}{name}"
