"""The tables of a `study.toml`: one dataclass each, with what its keys mean and what must hold."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from ..forecast.costs import MOST
from ..forecast.errors import InputError
from ..forecast.goal import PLATEAU, VALUE
from ..forecast.scores import CROSS_VALIDATION, DICE_LIKE
from ..forecast.stratification import stratification
from ..forecast.tolerances import Tolerances
from .metric_table import DEFAULT_METRICS, METRICS

FORMAT = 2
"""Version of the study folder; a folder of another version is refused."""
OPTIMISERS = ("SGD", "AdamW")
ENSEMBLES = ("vote", "logits", "softmax")
NORMALISATIONS = ("ct", "z-score", "clip", "window")
IGNORE = "ignore"
"""Goal of a structure that takes no part in the decision."""
RULES = ("random", "stratified")
PATHS = ("dataset", "labels", "trainer", "plans", "pretrained", "folder", "splits", "lesions", "callable")
"""Keys of `study.toml` that may hold paths."""
MOST_DRAWS = 999
"""Draws of a size; a finished model counts as the next one."""


class OutOfRangeError(ValueError):
    """A value out of range: key, what must hold, what was found."""


def require(holds: bool, key: str, rule: str, found: object) -> None:
    """Refuse a value.

    Raises:
        OutOfRangeError: `holds` is false.
    """
    if not holds:
        raise OutOfRangeError(f"{key} {rule}, found {found!r}")


def is_folder_name(name: str) -> bool:
    """Whether a name can be a folder's on any system."""
    return bool(name) and name == name.strip() and name not in (".", "..") and not set(name) & set('/\\:*?"<>|')


@dataclass(frozen=True)
class StudySection:
    """`[study]`: what is studied and when it is good enough."""

    name: str
    dataset: str
    """nnU-Net raw dataset folder."""
    seed: int = 0
    level: float = 0.9
    """Probability of every interval."""
    eps: float = 0.01
    """Tolerance of the plateau, score units."""
    goal: str | dict[str, Any] = PLATEAU
    """`plateau`, `value` (a score point is worth `[cost] per_point`), or per structure one of these, a target score or
    `ignore`; structures that are not named keep `plateau`."""
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Check ranges."""
        require(bool(self.name.strip()), "name", "must not be empty", self.name)
        require(0 <= self.seed < 2**31, "seed", "must be >= 0 and below 2^31", self.seed)
        require(0 < self.level < 1, "level", "must lie between 0 and 1", self.level)
        require(0 < self.eps < 1, "eps", "must lie between 0 and 1", self.eps)
        for goal in self.goal.values() if isinstance(self.goal, dict) else [self.goal]:
            require(_is_goal(goal), "goal", f"must be {GOALS}", goal)
        require(self.format >= 1, "format", "must be >= 1", self.format)


GOALS = '"plateau", "value", or { structure = target score in (0, 1], "plateau", "value" or "ignore" }'


def _is_goal(goal: object) -> bool:
    if isinstance(goal, str):
        return goal in (PLATEAU, VALUE, IGNORE)
    return isinstance(goal, int | float) and not isinstance(goal, bool) and 0 < goal <= 1


@dataclass(frozen=True)
class ExtraTestSection:
    """`[[test.extra]]`: another test set, say of another hospital; scored beside the first, never trained on."""

    name: str
    dataset: str
    """nnU-Net raw dataset folder with the same channels and labels."""
    cases: list[str] = field(default_factory=list)
    """Case ids; empty takes all."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(is_folder_name(self.name), "name", "must be usable as a folder name", self.name)
        taken = ("test", CROSS_VALIDATION, "facts", "annotators")
        require(self.name not in taken, "name", f"must not be one of {', '.join(taken)}", self.name)
        require(not self.name.startswith("test by "), "name", 'must not start with "test by"', self.name)


@dataclass(frozen=True)
class AnnotatorSection:
    """`[[test.annotator]]`: a further reference of the test set, by one annotator."""

    name: str
    labels: str
    """Folder of label files named like those of the dataset."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(is_folder_name(self.name), "name", "must be usable as a folder name", self.name)
        require(self.name != "majority", "name", 'must not be "majority", the reference of the dataset', self.name)


@dataclass(frozen=True)
class TestSection:
    """`[test]`: the held-out test set, fixed for the life of the study."""

    cases: int | float | list[str]
    """Number, fraction or list of case ids; the list that was drawn is in `cases.csv`."""
    group_by: str = "patient"
    extra: list[ExtraTestSection] = field(default_factory=list)
    annotator: list[AnnotatorSection] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.group_by == "patient", "group_by", 'must be "patient"', self.group_by)
        for key in ("extra", "annotator"):
            names = [one.name for one in getattr(self, key)]
            require(len(set(names)) == len(names), key, "must have different names", names)


@dataclass(frozen=True)
class TrainingSettings:
    """How a pilot is trained; None keeps what nnU-Net's plan says."""

    epochs: int = 1000
    iterations: int = 250
    """Iterations per epoch."""
    batch: int | None = None
    features: int | None = None
    """Width of the first stage; the other stages keep their ratio to it."""
    convolutions: int | None = None
    """Convolutions per network stage."""
    depth: int | None = None
    """Stages of the network, at most those of the plan; fewer stages pool less."""
    patch: list[int] | None = None
    """Patch size, voxels in the order of the plan; the strides are planned anew for it."""
    foreground: float | None = None
    """Share of the patches of a batch that must hold foreground; nnU-Net rounds it: 0.33 of batch 4 is one patch."""
    precision: str | None = None
    """`bfloat16` runs the network in bfloat16 while training on a CPU, about 1.5 times faster where the CPU can;
    by default nnU-Net's own: mixed precision on CUDA, float32 elsewhere."""
    optimiser: str = "SGD"
    learning_rate: float | None = None
    """Initial learning rate of the polynomial decay; by default the trainer's (nnU-Net: 0.01), 0.001 for AdamW."""
    momentum: float | None = None
    """Of SGD with Nesterov; nnU-Net's is 0.99."""
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("epochs", "iterations"):
            require(getattr(self, name) >= 1, name, "must be >= 1", getattr(self, name))
        require(self.batch is None or self.batch >= 2, "batch", "must be >= 2", self.batch)
        require(self.features is None or self.features >= 1, "features", "must be >= 1", self.features)
        require(self.convolutions is None or self.convolutions >= 1, "convolutions", "must be >= 1", self.convolutions)
        require(self.depth is None or self.depth >= 2, "depth", "must be >= 2", self.depth)
        patch = self.patch is None or (len(self.patch) in (2, 3) and all(edge >= 1 for edge in self.patch))
        require(patch, "patch", "must be 2 or 3 edges >= 1", self.patch)
        for name, low, high in (("foreground", 0, 1), ("momentum", 0, 0.9999), ("weight_decay", 0, math.inf)):
            value = getattr(self, name)
            require(value is None or low <= value <= high, name, f"must lie in [{low}, {high}]", value)
        require(self.momentum is None or self.optimiser == "SGD", "momentum", "goes with SGD only", self.momentum)
        require(self.precision in (None, "bfloat16"), "precision", 'must be "bfloat16" or left out', self.precision)
        require(self.optimiser in OPTIMISERS, "optimiser", f"must be one of {', '.join(OPTIMISERS)}", self.optimiser)
        require(
            self.learning_rate is None or 0 < self.learning_rate < math.inf,
            "learning_rate",
            "must be > 0 and finite",
            self.learning_rate,
        )


@dataclass(frozen=True)
class PilotSection(TrainingSettings):
    """`[pilots]`: which trainings make the curve, and how each is run."""

    sizes: list[int] = field(default_factory=list)
    """Sizes trained at round 0; every later round adds the size of its pool."""
    draws: int | list[int] = 3
    """Draws per size; a list gives one number per size, its last number holding for all later sizes."""
    folds: int = 1
    """1: one model on all n cases; k: the first k of five 80/20 splits (of n when n < 5), ensembled."""
    ensemble: str | list[str] = "vote"
    """`vote` (majority per voxel, ties to the lowest label), `logits` (nnU-Net's) or `softmax`; the first of a list
    makes the curve, the others are scored beside it."""
    cross_validation: bool = True
    """Also score every fold model on the cases it did not train on."""
    mirroring: bool = False
    """Test-time mirroring."""
    schedule_check: bool = True
    """Train the smallest and largest size with doubled iterations before a decision is handed over."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        require(all(n >= 1 for n in self.sizes), "sizes", "must be >= 1", self.sizes)
        require(len(set(self.sizes)) == len(self.sizes), "sizes", "must differ", self.sizes)
        draws = self.draws if isinstance(self.draws, list) else [self.draws]
        require(bool(draws) and all(d >= 1 for d in draws), "draws", "must be >= 1", self.draws)
        require(all(d <= MOST_DRAWS for d in draws), "draws", f"must be at most {MOST_DRAWS}", self.draws)
        require(1 <= self.folds <= 5, "folds", "must be 1 to 5", self.folds)
        known = bool(self.rules) and set(self.rules) <= set(ENSEMBLES) and len(set(self.rules)) == len(self.rules)
        require(known, "ensemble", f"must be one or several of {', '.join(ENSEMBLES)}", self.ensemble)

    @property
    def rules(self) -> list[str]:
        """Ensemble rules; the first makes the curve."""
        return [self.ensemble] if isinstance(self.ensemble, str) else self.ensemble

    def models_at(self, size: int) -> int:
        """Fold models of a run of this size."""
        return min(self.folds, max(1, size))

    def draws_at(self, size: int) -> int:
        """Draws to train at a size."""
        if isinstance(self.draws, int):
            return self.draws
        rank = sum(n < size for n in sorted(self.sizes))
        return self.draws[min(rank, len(self.draws) - 1)]


@dataclass(frozen=True)
class CropSection:
    """`crop` of an arm: the network sees only a box around a structure; outside it predicts background."""

    structure: str
    """Label, region or union."""
    margin_mm: float = 10.0
    test: str = "reference"
    """Where the box of a test case comes from: its reference (an easier task, as on images cropped beforehand), or the
    prediction of another arm at the same size and draw (coarse to fine)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(0 <= self.margin_mm < math.inf, "margin_mm", "must be >= 0", self.margin_mm)


@dataclass(frozen=True)
class ExtraCasesSection:
    """`extra_cases` of an arm: cases trained on beside the annotated ones and not counted in n."""

    ratio: float
    """Extra cases per annotated case."""
    folder: str | None = None
    """nnU-Net raw dataset folder to take them from."""
    command: str | None = None
    """Command that writes cases, with {folder}, {count}, {start} and {seed}."""
    callable: str | None = None
    """`module:function` or `file.py:function`, called with folder, count, start and seed."""
    lesions: str | None = None
    """nnU-Net raw dataset folder of healthy cases, into which the built-in generator blends lesions."""
    organ: str | None = None
    lesion: str | None = None

    def __post_init__(self) -> None:
        """Check ranges."""
        require(0 < self.ratio < math.inf, "ratio", "must be > 0", self.ratio)
        given = [name for name in ("folder", "command", "callable", "lesions") if getattr(self, name) is not None]
        require(len(given) == 1, "extra_cases", "needs one of folder, command, callable, lesions", given)
        require(self.command is None or bool(self.command.strip()), "command", "must not be empty", self.command)
        named = self.organ is not None and self.lesion is not None
        require(named == (self.lesions is not None), "organ and lesion", "go with lesions", [self.organ, self.lesion])


@dataclass(frozen=True)
class FinishedSection:
    """`finished` of an arm: a model that nnU-Net trained on all n cases, as the largest pilot."""

    folder: str
    """Trained-model folder: Trainer__Plans__Configuration."""
    n: int
    splits: str
    """The `splits_final.json` it was trained by: proof that no test case was trained on."""
    folds: list[int] = field(default_factory=list)
    """Folds to ensemble; empty takes all there are."""
    checkpoint: str = "checkpoint_final.pth"

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.n >= 1, "n", "must be >= 1", self.n)


@dataclass(frozen=True)
class PlanSettings:
    """How an arm's cases are planned and preprocessed; None and the default keep nnU-Net's own."""

    plans: str = "nnUNetPlans"
    """Plans by the name nnU-Net gives them (`nnUNetResEncUNetMPlans`, ...), or a path to a plans file."""
    spacing: list[float] | None = None
    """Target spacing, mm, axes as nnU-Net reads the images."""
    normalisation: str | None = None
    """`ct` (clip and scale by the foreground of all cases), `z-score`, `clip` (to percentiles of each case, then
    z-score) or `window` (a fixed window onto [0, 1])."""
    clip: list[float] | None = None
    """Percentiles of `clip`; by default 0.5 and 99.5."""
    window: list[float] | None = None
    """Lower and upper intensity of `window`."""
    crop: CropSection | None = None

    def __post_init__(self) -> None:
        """Check ranges."""
        spacing = self.spacing is None or (len(self.spacing) == 3 and all(0 < s < math.inf for s in self.spacing))
        require(spacing, "spacing", "must be three numbers > 0", self.spacing)
        known = self.normalisation is None or self.normalisation in NORMALISATIONS
        require(known, "normalisation", f"must be one of {', '.join(NORMALISATIONS)}", self.normalisation)
        for key in ("clip", "window"):
            ends = getattr(self, key)
            require(ends is None or self.normalisation == key, key, f'goes with normalisation = "{key}"', ends)
            require(
                ends is None or (len(ends) == 2 and ends[0] < ends[1]), key, "must be a lower and an upper end", ends
            )
        require(self.normalisation != "window" or self.window is not None, "window", "is needed", self.window)
        clip = self.clip is None or (self.clip[0] >= 0 and self.clip[1] <= 100)
        require(clip, "clip", "must lie in [0, 100]", self.clip)


@dataclass(frozen=True, kw_only=True)
class ArmSection(PlanSettings):
    """`[[arm]]`: a way of training; what is not given is taken from `[pilots]`."""

    name: str
    configuration: str
    trainer: str = "nnUNetTrainer"
    """A trainer class of nnU-Net or of `nnUNet_extTrainer` by name, or `file.py:Class`."""
    epochs: int | None = None
    iterations: int | None = None
    batch: int | None = None
    features: int | None = None
    convolutions: int | None = None
    depth: int | None = None
    patch: list[int] | None = None
    foreground: float | None = None
    precision: str | None = None
    optimiser: str | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    pretrained: str | None = None
    """Checkpoint of nnU-Net whose weights, all but the last layer's, the training starts from."""
    extra_cases: ExtraCasesSection | None = None
    finished: FinishedSection | None = None
    per_case: float | None = None
    """What annotating a case costs for this arm, where it differs from `[cost]`."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        require(is_folder_name(self.name), "name", "must be usable as a folder name", self.name)
        require(self.name != "reference", "name", 'must not be "reference", which crop.test means otherwise', self.name)
        case = self.per_case is None or 0 <= self.per_case <= MOST
        require(case, "per_case", f"must be >= 0 and at most {MOST:g}", self.per_case)

    def training(self, pilots: PilotSection) -> TrainingSettings:
        """The settings that hold for this arm."""
        names = [f.name for f in dataclasses.fields(TrainingSettings)]
        own = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return TrainingSettings(**{name: own.get(name, getattr(pilots, name)) for name in names})

    @property
    def planning(self) -> PlanSettings:
        """How the arm's cases are planned and preprocessed."""
        return PlanSettings(**{f.name: getattr(self, f.name) for f in dataclasses.fields(PlanSettings)})


@dataclass(frozen=True)
class ScoreSection:
    """`[scores]`: what is scored. May be changed at any time: `run` then scores the kept predictions anew."""

    structures: list[str] = field(default_factory=list)
    """Labels, regions and unions; empty scores every label and region of the dataset, and every union."""
    unions: dict[str, Any] = field(default_factory=dict)
    """Structures that are unions of others, for evaluation only: { masses = ["tumour", "cyst"] }."""
    metrics: list[str] = field(default_factory=lambda: list(DEFAULT_METRICS))
    curve_metrics: list[str] = field(default_factory=lambda: ["dice"])
    """Metrics a curve is forecast for; the first decides."""
    strata: list[str] = field(default_factory=list)
    """Parts of the test set with a curve of their own: volume/4 (quartiles of the reference volume), diameter/2,
    heterogeneity/2, volume@10,50 (cut at 10 and 50 mL), or a column of `cases.csv`."""
    surface_tolerance_mm: float | dict[str, Any] = 1.0
    """Tolerance of the surface Dice (`nsd`), mm; a table gives one per structure."""

    def __post_init__(self) -> None:
        """Check ranges."""
        unknown = [name for name in (*self.metrics, *self.curve_metrics) if name not in METRICS]
        require(not unknown, "metrics", f"must be of {', '.join(METRICS)}", unknown)
        for key in ("structures", "metrics", "curve_metrics", "strata"):
            named = getattr(self, key)
            require(len(set(named)) == len(named), key, "must not name anything twice", named)
        own = set(self.curve_metrics) <= set(self.metrics) & DICE_LIKE and bool(self.curve_metrics)
        growing = ", ".join(sorted(set(self.metrics) & DICE_LIKE)) or "none of those"
        require(own, "curve_metrics", f"must be among metrics and Dice-like ({growing})", self.curve_metrics)
        for text in self.strata:
            try:
                stratification(text)
            except InputError as error:
                raise OutOfRangeError(str(error).rstrip(".")) from error
        for parts in self.unions.values():
            named = isinstance(parts, list) and parts and all(isinstance(one, str) for one in parts)
            require(bool(named), "unions", "must map names to lists of structures", parts)
        tolerance = self.surface_tolerance_mm
        for value in tolerance.values() if isinstance(tolerance, dict) else [tolerance]:
            number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
            require(number, "surface_tolerance_mm", "must be >= 0", value)

    def tolerance(self, structure: str) -> float:
        """Tolerance of a structure's surface Dice, mm."""
        given = self.surface_tolerance_mm
        return float(given.get(structure, 1.0)) if isinstance(given, dict) else float(given)


@dataclass(frozen=True)
class CostSection:
    """`[cost]`: what annotating costs and what there is to spend."""

    per_case: float | None = None
    per_round: float | None = None
    """A round besides its cases; where not given it is weighed as 5 % of annotating everything."""
    per_gpu_hour: float = 0.0
    """An hour of training, on whatever device."""
    per_point: float | None = None
    """What one point (0.01) of score is worth, for the goal `value`."""
    unit: str = "EUR"
    budget: float | None = None
    """For the whole study, in `unit`; charged per case annotated after round 0 and per round."""
    deadline_rounds: int | None = None

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("per_case", "per_round", "per_gpu_hour", "budget", "deadline_rounds"):
            value = getattr(self, name)
            require(value is None or 0 <= value <= MOST, name, f"must be >= 0 and at most {MOST:g}", value)
        point = self.per_point is None or 0 < self.per_point <= MOST
        require(point, "per_point", f"must be > 0 and at most {MOST:g}", self.per_point)
        require(self.budget is None or bool(self.per_case), "budget", "needs per_case > 0 to be spent on", self.budget)


@dataclass(frozen=True)
class StabilitySection(Tolerances):
    """`[stability]`: when the forecast has stood still from round to round."""

    def __post_init__(self) -> None:
        """Check ranges."""
        try:
            super().__post_init__()
        except InputError as error:
            raise OutOfRangeError(str(error).rstrip(".")) from error


@dataclass(frozen=True)
class NextSection:
    """`[next]`: which cases are annotated next."""

    select: str = "random"
    by: list[str] = field(default_factory=list)
    """Columns of `cases.csv` (site, scanner, ...) whose mix the annotated cases should have."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.select in RULES, "select", f"must be one of {', '.join(RULES)}", self.select)
        stratified = self.select == "stratified"
        require(bool(self.by) == stratified, "by", 'must name columns of cases.csv with "stratified" only', self.by)
