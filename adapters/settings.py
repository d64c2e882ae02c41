"""`study.toml`: what a study is asked to do, read strictly."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ..forecast.errors import InputError
from ..forecast.goal import PLATEAU, TARGET, VALUE, Goal
from .execution_section import ExecutionSection
from .files import may_be_path, read_text
from .sections import (
    FORMAT,
    IGNORE,
    PATHS,
    ArmSection,
    CostSection,
    NextSection,
    OutOfRangeError,
    PilotSection,
    ScoreSection,
    StabilitySection,
    StudySection,
    TestSection,
)

Section = TypeVar("Section")


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


def read_settings(path: Path) -> Settings:
    """Read a `study.toml`.

    Raises:
        InputError: Not TOML, an unknown key, a missing key, a wrong type or a value out of range, or made by
            a newer dicecast.
    """
    return settings_of(read_text(path), str(path))


def settings_of(text: str, where: str) -> Settings:
    """Read the text of a `study.toml`; see `read_settings`."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # such as TOMLDecodeError, or a number of thousands of digits
        raise InputError(f"{where}: must be valid TOML, found: {error}.") from error
    return parse_settings(raw, where)


def parse_settings(raw: Mapping[str, Any], where: str) -> Settings:
    """Check a parsed `study.toml`; see `read_settings`."""
    version = raw.get("study", {}).get("format", FORMAT) if isinstance(raw.get("study"), dict) else FORMAT
    if isinstance(version, int) and not isinstance(version, bool) and 1 <= version < FORMAT:
        raise InputError(
            f"{where}: the study was made by an older dicecast (format {version}, this one reads {FORMAT}); its runs "
            "would not go with new ones. Make a new study, or finish this one with the older dicecast."
        )
    if isinstance(version, int) and version > FORMAT:
        raise InputError(
            f"{where}: the study was made by a newer dicecast (format {version}, this one reads {FORMAT}). "
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
        except OutOfRangeError as error:
            raise InputError(f"{where}, [[arm]] {arm.name}: {error}.") from error
    _check_crops(settings, where)
    return settings


def _check_crops(settings: Settings, where: str) -> None:
    """Boxes may come from the predictions of arms that do not themselves wait for another arm."""
    first = {arm.name for arm in settings.arms if arm.crop is None or arm.crop.test == "reference"}
    for arm in settings.arms:
        if arm.crop is not None and arm.crop.test not in ("reference", *first):
            raise InputError(
                f'{where}, [[arm]] {arm.name}: crop.test must be "reference" or an arm that is not cropped by another '
                f"arm, found {arm.crop.test!r}: there is {', '.join(sorted(first)) or 'none'}."
            )


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
    values = {name: _nested(value, hints[name], f"{where}, {name}") for name, value in table.items()}
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise InputError(f"{where}: {name} must be {_in_words(hints[name])}, found {value!r}.")
        if name in PATHS and isinstance(value, str) and not may_be_path(value):
            raise InputError(f"{where}: {name} must be a path that there can be, found {value!r}. Correct it.")
    try:
        return kind(**values)
    except OutOfRangeError as error:
        raise InputError(f"{where}: {error}.") from error


def _nested(value: Any, hint: Any, where: str) -> Any:
    """Build the tables that a key holds, where it holds tables."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = [one for one in get_args(hint) if dataclasses.is_dataclass(one)] or [hint]
    if get_origin(hint) is list and dataclasses.is_dataclass(get_args(hint)[0]) and isinstance(value, list):
        return [_nested(one, get_args(hint)[0], where) for one in value]
    return _section(hint, value, where) if isinstance(hint, type) and dataclasses.is_dataclass(hint) else value


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
    if get_origin(hint) is dict or dataclasses.is_dataclass(hint):
        return "a table"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(hint, str(hint))


def toml_value(value: Any) -> str:
    """A number, text, boolean or list as TOML."""
    return json.dumps(value, ensure_ascii=False)
