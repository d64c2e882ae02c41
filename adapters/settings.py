"""`study.toml`: what a study is asked to do, read strictly and written with comments."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ..forecast.errors import InputError
from ..forecast.goal import PLATEAU, TARGET, VALUE, Goal
from ..forecast.stability import Tolerances
from .files import read_text

FORMAT = 1
"""Version of the study folder; a folder of a newer version is refused."""
OPTIMISERS = ("SGD", "AdamW")
ENSEMBLES = ("vote", "logits", "softmax")
TRAINERS = ("nnUNetTrainer", "nnUNetTrainerNoDA")
ENGINES = ("local",)
IGNORE = "ignore"
"""Goal of a structure that takes no part in the decision."""
RULES = ("random", "stratified")
Section = TypeVar("Section")


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
        _require(bool(self.name.strip()), "name", "must not be empty", self.name)
        _require(0 <= self.seed < 2**31, "seed", "must be >= 0 and below 2^31", self.seed)
        _require(0 < self.level < 1, "level", "must lie between 0 and 1", self.level)
        _require(0 < self.eps < 1, "eps", "must lie between 0 and 1", self.eps)
        for goal in self.goal.values() if isinstance(self.goal, dict) else [self.goal]:
            _require(_is_goal(goal), "goal", f"must be {GOALS}", goal)
        _require(self.format >= 1, "format", "must be >= 1", self.format)


GOALS = '"plateau", "value", or { structure = target score in (0, 1], "plateau", "value" or "ignore" }'


def _is_goal(goal: object) -> bool:
    if isinstance(goal, str):
        return goal in (PLATEAU, VALUE, IGNORE)
    return isinstance(goal, int | float) and not isinstance(goal, bool) and 0 < goal <= 1


@dataclass(frozen=True)
class TestSection:
    """`[test]`: the held-out test set, fixed for the life of the study."""

    cases: int | float | list[str]
    """Number, fraction or list of case ids; the list that was drawn is in `cases.csv`."""
    group_by: str = "patient"

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.group_by == "patient", "group_by", 'must be "patient"', self.group_by)


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
    precision: str | None = None
    """`bfloat16` runs the network in bfloat16 while training on a CPU, about 1.5 times faster where the CPU can;
    by default nnU-Net's own: mixed precision on CUDA, float32 elsewhere."""
    optimiser: str = "SGD"
    learning_rate: float | None = None
    """Initial learning rate of the polynomial decay; by default 0.01 for SGD, 0.001 for AdamW."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("epochs", "iterations"):
            _require(getattr(self, name) >= 1, name, "must be >= 1", getattr(self, name))
        _require(self.batch is None or self.batch >= 2, "batch", "must be >= 2", self.batch)
        _require(self.features is None or self.features >= 1, "features", "must be >= 1", self.features)
        _require(self.convolutions is None or self.convolutions >= 1, "convolutions", "must be >= 1", self.convolutions)
        _require(self.precision in (None, "bfloat16"), "precision", 'must be "bfloat16" or left out', self.precision)
        _require(self.optimiser in OPTIMISERS, "optimiser", f"must be one of {', '.join(OPTIMISERS)}", self.optimiser)
        _require(
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
    """1: one model on all n cases; k: the first k of five 80/20 splits, ensembled."""
    ensemble: str = "vote"
    mirroring: bool = False
    """Test-time mirroring."""
    schedule_check: bool = True
    """Train the smallest and largest size with doubled iterations before a decision is handed over."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        _require(all(n >= 1 for n in self.sizes), "sizes", "must be >= 1", self.sizes)
        _require(len(set(self.sizes)) == len(self.sizes), "sizes", "must differ", self.sizes)
        draws = self.draws if isinstance(self.draws, list) else [self.draws]
        _require(bool(draws) and all(d >= 1 for d in draws), "draws", "must be >= 1", self.draws)
        _require(1 <= self.folds <= 5, "folds", "must be 1 to 5", self.folds)
        _require(self.ensemble in ENSEMBLES, "ensemble", f"must be one of {', '.join(ENSEMBLES)}", self.ensemble)

    def draws_at(self, size: int) -> int:
        """Draws to train at a size."""
        if isinstance(self.draws, int):
            return self.draws
        rank = sum(n < size for n in sorted(self.sizes))
        return self.draws[min(rank, len(self.draws) - 1)]


@dataclass(frozen=True)
class ArmSection:
    """`[[arm]]`: a way of training; what is not given is taken from `[pilots]`."""

    name: str
    configuration: str
    trainer: str = "nnUNetTrainer"
    plans: str = "nnUNetPlans"
    epochs: int | None = None
    iterations: int | None = None
    batch: int | None = None
    features: int | None = None
    convolutions: int | None = None
    precision: str | None = None
    optimiser: str | None = None
    learning_rate: float | None = None
    per_case: float | None = None
    """What annotating a case costs for this arm, where it differs from `[cost]`."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.per_case is None or 0 <= self.per_case < math.inf, "per_case", "must be >= 0", self.per_case)
        usable = bool(self.name) and self.name not in (".", "..") and not set(self.name) & set('/\\:*?"<>|')
        _require(usable, "name", "must be usable as a folder name", self.name)
        _require(self.trainer in TRAINERS, "trainer", f"must be one of {', '.join(TRAINERS)}", self.trainer)
        _require(self.plans == "nnUNetPlans", "plans", 'must be "nnUNetPlans"', self.plans)

    def training(self, pilots: PilotSection) -> TrainingSettings:
        """The settings that hold for this arm."""
        names = [f.name for f in dataclasses.fields(TrainingSettings)]
        own = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return TrainingSettings(**{name: own.get(name, getattr(pilots, name)) for name in names})


@dataclass(frozen=True)
class ScoreSection:
    """`[scores]`: what is scored."""

    structures: list[str] = field(default_factory=list)
    """Label or region names; empty scores every one of the dataset."""


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
            _require(value is None or 0 <= value < math.inf, name, "must be >= 0", value)
        _require(self.per_point is None or 0 < self.per_point < math.inf, "per_point", "must be > 0", self.per_point)
        _require(self.budget is None or bool(self.per_case), "budget", "needs per_case > 0 to be spent on", self.budget)


@dataclass(frozen=True)
class StabilitySection(Tolerances):
    """`[stability]`: when the forecast has stood still from round to round."""

    def __post_init__(self) -> None:
        """Check ranges."""
        try:
            super().__post_init__()
        except InputError as error:
            raise _OutOfRangeError(str(error).rstrip(".")) from error


@dataclass(frozen=True)
class NextSection:
    """`[next]`: which cases are annotated next."""

    select: str = "random"
    by: list[str] = field(default_factory=list)
    """Columns of `cases.csv` (site, scanner, ...) whose mix the annotated cases should have."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.select in RULES, "select", f"must be one of {', '.join(RULES)}", self.select)
        stratified = self.select == "stratified"
        _require(bool(self.by) == stratified, "by", 'must name columns of cases.csv with "stratified" only', self.by)


@dataclass(frozen=True)
class ExecutionSection:
    """`[execution]`: where trainings run."""

    engine: str = "local"
    jobs: int | None = None
    """Trainings at the same time; by default one per CPU core, or one on an accelerator."""
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.engine in ENGINES, "engine", f"must be one of {', '.join(ENGINES)}", self.engine)
        _require(self.jobs is None or self.jobs >= 1, "jobs", "must be >= 1", self.jobs)
        devices = ("auto", "cpu", "cuda", "mps")
        _require(self.device in devices, "device", f"must be one of {', '.join(devices)}", self.device)


@dataclass(frozen=True)
class Settings:
    """A whole `study.toml`."""

    study: StudySection
    test: TestSection
    pilots: PilotSection
    arms: tuple[ArmSection, ...]
    scores: ScoreSection
    cost: CostSection
    execution: ExecutionSection
    stability: StabilitySection = field(default_factory=StabilitySection)
    next: NextSection = field(default_factory=NextSection)

    def goal(self, structure: str) -> Goal | None:
        """What a structure's curve is to reach; None where it takes no part in the decision."""
        asked = self.study.goal if isinstance(self.study.goal, str) else self.study.goal.get(structure, PLATEAU)
        if asked == IGNORE:
            return None
        if asked == VALUE:
            assert self.cost.per_point is not None
            return Goal(VALUE, self.cost.per_point)
        return Goal(PLATEAU, self.study.eps) if asked == PLATEAU else Goal(TARGET, float(asked))

    def arm(self, name: str) -> ArmSection:
        """The arm of that name.

        Raises:
            InputError: There is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise InputError(f"unknown arm {name!r}: this study has {', '.join(arm.name for arm in self.arms)}.")


SECTIONS: dict[str, type[Any]] = {
    "study": StudySection,
    "test": TestSection,
    "pilots": PilotSection,
    "scores": ScoreSection,
    "cost": CostSection,
    "execution": ExecutionSection,
    "stability": StabilitySection,
    "next": NextSection,
}
"""The tables of a `study.toml` besides `[[arm]]`."""


class _OutOfRangeError(ValueError):
    """A value out of range: key, what must hold, what was found."""


def _require(holds: bool, key: str, rule: str, found: object) -> None:
    if not holds:
        raise _OutOfRangeError(f"{key} {rule}, found {found!r}")


def read_settings(path: Path) -> Settings:
    """Read a `study.toml`.

    Raises:
        InputError: Not TOML, an unknown key, a missing key, a wrong type or a value out of range, or made by
            a newer dicecast.
    """
    try:
        raw = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: must be valid TOML, found: {error}.") from error
    return parse_settings(raw, str(path))


def parse_settings(raw: Mapping[str, Any], where: str) -> Settings:
    """Check a parsed `study.toml`; see `read_settings`."""
    version = raw.get("study", {}).get("format", FORMAT) if isinstance(raw.get("study"), dict) else FORMAT
    if isinstance(version, int) and version > FORMAT:
        raise InputError(
            f"{where}: the study was made by a newer dicecast (format {version}, this one reads up to {FORMAT}). "
            "Update dicecast."
        )
    _refuse_unknown(raw, {"arm", *SECTIONS}, where, "table")
    arms = raw.get("arm", [])
    if not isinstance(arms, list) or not arms:
        raise InputError(f"{where}: at least one [[arm]] table with name and configuration is needed.")
    parsed = tuple(_section(ArmSection, arm, f"{where}, [[arm]]") for arm in arms)
    if len({arm.name for arm in parsed}) < len(parsed):
        raise InputError(f"{where}: every [[arm]] must have its own name, found {', '.join(a.name for a in parsed)}.")
    sections = {name: _section(kind, raw.get(name, {}), f"{where}, [{name}]") for name, kind in SECTIONS.items()}
    settings = Settings(arms=parsed, **sections)
    _check_goals(settings, where)
    for arm in settings.arms:
        try:
            arm.training(settings.pilots)
        except _OutOfRangeError as error:
            raise InputError(f"{where}, [[arm]] {arm.name}: {error}.") from error
    return settings


def _check_goals(settings: Settings, where: str) -> None:
    goal = settings.study.goal
    asked = [goal] if isinstance(goal, str) else list(goal.values())
    if VALUE in asked and settings.cost.per_point is None:
        raise InputError(f'{where}, [cost]: the goal "value" needs what a point of score is worth: set per_point.')
    priced = [settings.cost.per_case if arm.per_case is None else arm.per_case for arm in settings.arms]
    if (VALUE in asked or settings.cost.budget is not None) and not all(priced):
        raise InputError(f'{where}, [cost]: a budget and the goal "value" need per_case > 0 for every arm.')
    if asked and all(one == IGNORE for one in asked):
        raise InputError(f'{where}, [study]: goal must leave a structure to decide by, found "ignore" only.')


def _section(kind: type[Section], table: Any, where: str) -> Section:
    """Build one section, checking names and types against the dataclass."""
    if not isinstance(table, dict):
        raise InputError(f"{where}: must be a table of keys, found {table!r}.")
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    _refuse_unknown(table, set(fields), where, "key")
    for name, f in fields.items():
        needed = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if needed and name not in table:
            raise InputError(f"{where}: key {name!r} is missing. Add it.")
    for name, value in table.items():
        if not _fits(value, hints[name]):
            raise InputError(f"{where}: {name} must be {_in_words(hints[name])}, found {value!r}.")
    try:
        return kind(**table)
    except _OutOfRangeError as error:
        raise InputError(f"{where}: {error}.") from error


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str, what: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise InputError(f"{where}: unknown {what} {unknown[0]!r}. Known: {', '.join(sorted(known))}.")


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is dict:
        return isinstance(value, dict)
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(one, get_args(hint)[0]) for one in value)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float)) if hint is float else isinstance(value, hint)


def _in_words(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_in_words(one) for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is list:
        return f"a list of {_in_words(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return "a table"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(hint, str(hint))


def toml_value(value: Any) -> str:
    """A number, text, boolean or list as TOML."""
    return json.dumps(value, ensure_ascii=False)
