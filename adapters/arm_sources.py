"""Arms to set against each other, from one source or from several, and what their cases cost."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from ..forecast.arms import ArmCost
from ..forecast.curve import Curve
from ..forecast.errors import InputError
from ..forecast.forecast import Question
from .findings import hours_per_run
from .sources import Source, Wishes, question_of, read_source
from .study import Study


@dataclass(frozen=True)
class Arms:
    """Curves of all sources, with names that no two sources share."""

    curves: list[Curve]
    question: Question
    costs: dict[str, ArmCost]
    """By arm, of those whose study says what a case costs."""
    unit: str
    not_compared: list[str]
    """Scores that no curve is made of, in words."""
    notes: list[str]


def read_arms(texts: Sequence[str], wishes: Wishes) -> Arms:
    """Read the arms of one or several sources.

    Args:
        texts: Paths; of several sources each may be NAME=PATH, else the name is the file's or folder's.
        wishes: Which curves, and what is asked of them.

    Raises:
        InputError: Nothing readable there, two sources of one name, or no structure that two sources share.
    """
    named = [_named(text) for text in texts]
    if len(named) == 1:
        return arms_of_source(read_source(named[0][1], wishes))
    names = [name for name, _ in named]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"two sources are called {twice}: give them names, as in ct={named[0][1]} mr={named[1][1]}.")
    sources = {name: read_source(path, wishes) for name, path in named}
    renamed = {name: _names_of(name, source.curves) for name, source in sources.items()}
    prefixes = _prefixes({name: one.study for name, one in sources.items() if one.study is not None})
    curves = {
        name: [
            dataclasses.replace(
                curve,
                arm=renamed[name][curve.arm],
                case_ids=tuple(prefixes.get(name, "") + case for case in curve.case_ids),
            )
            for curve in source.curves
        ]
        for name, source in sources.items()
    }
    _check_names(renamed)
    shared, lost = _shared(curves)
    first = next(iter(sources.values()))
    question = question_of(shared, dataclasses.replace(first.question, reach=None), wishes)
    costs = {renamed[name][arm]: cost for name, one in sources.items() for arm, cost in _costs(one).items()}
    notes = [note for source in sources.values() for note in source.notes]
    if any(one.study is None for one in sources.values()) and _same_names(shared):
        notes.append("Test cases of the same name are taken for the same patients, whatever source they come from.")
    not_compared = [f"{name}: {words}" for name, one in sources.items() for words in one.not_forecast]
    return Arms(shared, question, costs, _unit(list(sources.values())), not_compared, notes + lost)


def arms_of_source(source: Source) -> Arms:
    """The arms of a source that was read."""
    return Arms(source.curves, source.question, _costs(source), _unit([source]), source.not_forecast, source.notes)


def _check_names(renamed: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse arms of two sources that come to one name."""
    counts = Counter(arm for own in renamed.values() for arm in own.values())
    twice = next((arm for arm, count in counts.items() if count > 1), None)
    if twice is not None:
        raise InputError(f"arms of two sources are both called {twice!r}: give the sources other names (NAME=PATH).")


def _same_names(curves: Sequence[Curve]) -> bool:
    """Whether curves of different arms name the same test cases."""
    return any(
        one.arm != other.arm and set(one.case_ids) & set(other.case_ids) for one, other in combinations(curves, 2)
    )


def _named(text: str) -> tuple[str, Path]:
    """Name and path of a source; a path that exists, or has a separator before the =, is never taken apart."""
    name, sign, path = text.partition("=")
    if sign and not Path(text).exists() and Path(name).name == name.strip():
        if not (name.strip() and path):
            raise InputError(f"a source must be PATH or NAME=PATH, found {text!r}.")
        return name.strip(), Path(path)
    if sign and not name.strip() and not Path(text).exists():
        raise InputError(f"a source must be PATH or NAME=PATH, found {text!r}.")
    return Path(text).resolve().name.removesuffix(".gz").removesuffix(".csv"), Path(text)


def _names_of(source: str, curves: Sequence[Curve]) -> dict[str, str]:
    """What the arms of a source are called beside those of others: as the source, where it has one arm."""
    arms = list(dict.fromkeys(curve.arm for curve in curves))
    return {arm: source if len(arms) == 1 else f"{source} {arm}" for arm in arms}


def _prefixes(studies: Mapping[str, Study]) -> dict[str, str]:
    """What goes before the test cases' names, by study, where studies mean different cases by the same names.

    Studies that agree on every name share theirs, so that their cases stay paired.
    """
    groups: list[dict[str, Study]] = []
    for name, study in studies.items():
        group = next((one for one in groups if all(_same_cases(study, other) for other in one.values())), None)
        if group is None:
            groups.append({name: study})
        else:
            group[name] = study
    if len(groups) < 2:
        return {}
    return {name: f"{next(iter(group))}: " for group in groups for name in group}


def _same_cases(one: Study, other: Study) -> bool:
    """Whether cases of the same name are the same images in both."""
    first, second = (study.cases.set_index("case")["digest"] for study in (one, other))
    common = first.index.intersection(second.index)
    return bool((first[common] == second[common]).all())


def _shared(curves: Mapping[str, list[Curve]]) -> tuple[list[Curve], list[str]]:
    """The curves whose structure another arm has too, and what is left out.

    Raises:
        InputError: No structure is in two sources.
    """
    groups: dict[tuple[str, ...], list[tuple[str, Curve]]] = {}
    for name, own in curves.items():
        for curve in own:
            key = (curve.structure, curve.metric, curve.test_set, curve.stratum)
            groups.setdefault(key, []).append((name, curve))
    if all(len({name for name, _ in group}) < 2 for group in groups.values()):
        words = "; ".join(
            f"{name}: {', '.join(dict.fromkeys(c.structure for c in own))}" for name, own in curves.items()
        )
        raise InputError(
            f"sources must share a structure, metric and test set to be compared, found {words}. Rename the structures "
            "in the scores, or choose others with --structure, --metric and --test-set."
        )
    lost = [f"Left out: {group[0][1].name}: no other arm has it." for group in groups.values() if len(group) < 2]
    return [curve for group in groups.values() if len(group) > 1 for _, curve in group], lost


def _unit(sources: Sequence[Source]) -> str:
    """The unit of every study that says what its cases cost.

    Raises:
        InputError: They differ.
    """
    units = {one.study.settings.cost.unit for one in sources if one.study is not None and _costs(one)}
    if len(units) > 1:
        raise InputError(f"costs in different units cannot be compared, found {' and '.join(sorted(units))}.")
    return units.pop() if units else "EUR"


def _costs(source: Source) -> dict[str, ArmCost]:
    """By arm, where the study says what a case costs; a run costs what the arm's runs took on average."""
    study = source.study
    if study is None:
        return {}
    cost, found = study.settings.cost, {}
    for arm in study.settings.arms:
        per_case = cost.per_case if arm.per_case is None else arm.per_case
        if per_case:
            found[arm.name] = ArmCost(per_case, cost.per_gpu_hour * (hours_per_run(study, arm.name) or 0.0))
    return found
