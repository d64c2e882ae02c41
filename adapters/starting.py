"""`dicecast init`: from text arguments to a new study, and what it will take."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ..forecast.errors import InputError
from ..forecast.pilots import FEWEST_RUNS, Design
from .files import read_text
from .initialise import create_study
from .new_study import LENGTH, RUNS, NewStudy, TestChoice
from .resources import preprocessed_gb
from .sources import whole_numbers
from .study import Study
from .terminal.screen import DOUBT

CHECK_RUNS = 4
"""What the schedule check of a configuration takes, in runs: two sizes, twice as long."""
TYPICAL_SD = 0.20
"""Standard deviation of Dice over the test cases of a tumour study (Gottlich et al. 2023: 0.18 to 0.29)."""


def new_study(
    folder: Path,
    dataset: Path,
    *,
    settings: Path | None,
    cases: Path | None,
    test: str | None,
    sizes: str | None,
    draws: str | None,
    gpu_hours: float | None,
    seconds_per_iteration: float | None,
    protocol: Mapping[str, Any],
) -> NewStudy:
    """The arguments of `init`, parsed.

    Args:
        folder: Study to be made.
        dataset: Its dataset.
        settings: A `study.toml` to take everything else from.
        cases: The cases table.
        test: A number, a fraction, ids or @file.
        sizes: Numbers separated by commas.
        draws: Likewise.
        gpu_hours: What proposed pilots may take.
        seconds_per_iteration: As measured.
        protocol: `configuration`, `trainer`, `ensemble`, `folds`, `seed`, `schedule_check` and training settings; None
            where not given.

    Raises:
        InputError: Something that cannot be read, or an option that a settings file or another option decides.
    """
    given = {key: value for key, value in protocol.items() if value is not None}
    decided = [*given, *(["gpu_hours"] if gpu_hours is not None else [])]
    if settings is not None and decided:
        turned_off = decided[0] == "schedule_check" and not given["schedule_check"]
        name = ("no-" if turned_off else "") + decided[0].replace("_", "-")
        raise InputError(f"--{name} does not go with --settings: set it in that file, or in the new study.toml.")
    if gpu_hours is not None and (sizes or draws):
        raise InputError("--gpu-hours proposes sizes and draws; it does not go with --sizes or --draws. Leave one out.")
    counts = whole_numbers(draws, "draws") if draws else []
    parsed: dict[str, Any] = {
        "configurations": _names(given.pop("configuration", NewStudy.configurations[0]), "configuration"),
        "ensemble": _names(given.pop("ensemble", NewStudy.ensemble[0]), "ensemble"),
        "trainer": _absolute(given.pop("trainer", NewStudy.trainer)),
        **{key: given.pop(key) for key in ("folds", "seed", "schedule_check") if key in given},
    }
    asked = NewStudy(
        folder,
        dataset,
        test=None if test is None else _test_choice(test),
        sizes=tuple(sorted(whole_numbers(sizes, "sizes"))) if sizes else (),
        draws=None if not counts else counts[0] if len(counts) == 1 else counts,
        settings=settings,
        cases_table=cases,
        training=given,
        seconds_per_iteration=seconds_per_iteration,
        **parsed,
    )
    return dataclasses.replace(asked, runs=runs_for(gpu_hours, seconds_per_iteration, asked))


def _names(text: str, option: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise InputError(f"--{option} must name at least one, found {text!r}.")
    return found


def initialise(asked: NewStudy, seconds_per_iteration: float | None, console: Console) -> RenderableType:
    """Make a study and say what it holds."""
    from .nnunet import require_nnunet

    require_nnunet()
    with console.status("checking cases") as shown:
        asked = dataclasses.replace(asked, progress=lambda done, total: shown.update(f"checking cases {done}/{total}"))
        created = create_study(asked)
    study = created.study
    lines: list[RenderableType] = [Text(f"warning: {warning}", DOUBT) for warning in created.warnings[:10]]
    if len(created.warnings) > 10:
        lines.append(Text(f"... and {len(created.warnings) - 10} more warnings.", DOUBT))
    pilots = study.settings.pilots
    if created.design is not None:
        lines.append(Text(_design_words(created.design, study)))
    lines += [
        Text(f"Study {study.folder}", "bold"),
        Text(f"{study.pool_sizes[-1]} cases in the pool, {len(study.test)} held out as the test set (see cases.csv)."),
        Text(f"Sizes {', '.join(map(str, pilots.sizes))}; arms {', '.join(arm.name for arm in study.settings.arms)}."),
        Text(_precision_words(len(study.test))),
        Text(_cost_words(study, seconds_per_iteration)),
        *(Text(line, DOUBT) for line in _advice(study)),
        Text(f"Look through {study.folder / 'study.toml'}, then: dicecast run {shlex.quote(str(study.folder))}"),
    ]
    return Group(*lines)


def runs_for(hours: float | None, seconds: float | None, asked: NewStudy) -> int:
    """Pilot runs per configuration that fit into GPU-hours beside the schedule check; by default what one proposes.

    Raises:
        InputError: Hours without the seconds of an iteration, or for too few runs.
    """
    for name, number in (("gpu-hours", hours), ("seconds-per-iteration", seconds)):
        if number is not None and not 0 < number < math.inf:
            raise InputError(f"--{name} must be > 0, found {number:g}.")
    if hours is None:
        return RUNS
    if seconds is None:
        raise InputError("--gpu-hours needs --seconds-per-iteration: dicecast doctor --benchmark measures it.")
    epochs, iterations = (float(asked.training.get(key, usual)) for key, usual in LENGTH.items())
    if min(epochs, iterations) < 1:
        raise InputError(f"--epochs and --iterations must be >= 1, found {epochs:g} and {iterations:g}.")
    each = seconds * epochs * iterations / 3600
    arms, checks = len(asked.configurations), CHECK_RUNS if asked.schedule_check else 0
    runs = int(hours / each / arms + 1e-9) - checks
    if runs < FEWEST_RUNS:
        needed = (FEWEST_RUNS + checks) * each * arms
        raise InputError(
            f"{hours:g} GPU-hours pay for {max(runs, 0)} runs of {each:.2f} h per configuration"
            f"{' beside the schedule check' if checks else ''}; a design needs at least {FEWEST_RUNS}. Train shorter "
            f"(--epochs, --iterations) or give {needed:.1f} hours."
        )
    return runs


def _design_words(design: Design, study: Study) -> str:
    """What was proposed and what it would take."""
    arms, pilots = study.settings.arms, study.settings.pilots
    iterations = sum(t.epochs * t.iterations for t in (arm.training(pilots) for arm in arms)) * design.runs
    pairs = ", ".join(f"{n} x {draws}" for n, draws in zip(design.sizes, design.draws, strict=True))
    return (
        f"Proposed pilots (cases x draws): {pairs}; {design.runs * len(arms)} runs, {iterations} iterations in all. "
        f"They are expected to leave {design.left:.0%} of the doubt about what more cases would add. Hours: iterations "
        "x the seconds of one (dicecast doctor --benchmark)."
    )


def _precision_words(cases: int) -> str:
    """How well a mean over the test set can be known."""
    half = 1.96 * TYPICAL_SD / math.sqrt(cases)
    return (
        f"Test set: where Dice varies over cases with SD {TYPICAL_SD:.2f}, its mean over {cases} cases is known to "
        f"+/- {half:.3f} (95 %); over {2 * cases} it would be +/- {half / math.sqrt(2):.3f}. Differences between sizes "
        "are known better: all are scored on the same cases."
    )


def _cost_words(study: Study, seconds_per_iteration: float | None) -> str:
    """Runs, iterations, hours and disk of the first round."""
    pilots, arms = study.settings.pilots, study.settings.arms
    sizes = study.sizes()
    draws = sum(pilots.draws_at(n) for n in sizes)
    models = sum(pilots.draws_at(n) * pilots.models_at(n) for n in sizes)
    checked = pilots.models_at(sizes[0]) + pilots.models_at(sizes[-1]) if pilots.schedule_check else 0
    each = sum(t.epochs * t.iterations for t in (arm.training(pilots) for arm in arms))
    iterations = each * (models + 2 * checked)
    hours = (
        "hours = iterations x the seconds of one (dicecast doctor --benchmark)"
        if seconds_per_iteration is None
        else f"about {iterations * seconds_per_iteration / 3600:.1f} h at {seconds_per_iteration:g} s an iteration"
    )
    return (
        f"Round 0: {draws * len(arms)} runs, {models * len(arms)} models"
        f"{' and the schedule check' if checked else ''}, {iterations} iterations: {hours}, one after another; "
        f"about {preprocessed_gb(study):.2f} GB of preprocessed cases."
    )


def _advice(study: Study) -> Iterator[str]:
    pilots = study.settings.pilots
    if pilots.folds > 1 and pilots.folds % 2 == 0 and pilots.rules[0] == "vote":
        yield (
            f"warning: {pilots.folds} folds can tie in a vote, and ties go to the lowest label, mostly background. "
            'An odd number of folds, or ensemble = "logits", avoids that.'
        )
    for arm in study.settings.arms:
        named = re.search(r"_(\d+)epochs?\b", arm.trainer)
        epochs = arm.training(pilots).epochs
        if named and int(named[1]) != epochs:
            yield f"warning: arm {arm.name} trains {epochs} epochs, whatever {arm.trainer} says: set epochs."
        if arm.pretrained is not None:
            yield f"warning: arm {arm.name} starts from {arm.pretrained}: make sure it has not seen the test cases."
    if len(study.test) < 20:
        yield f"warning: {len(study.test)} test cases tell little; hold out 20 or more where you can."


def _absolute(trainer: str) -> str:
    """A trainer given by its file is found from here, and later from the study."""
    file, colon, name = trainer.rpartition(":")
    return f"{Path(file).expanduser().resolve()}:{name}" if colon else trainer


def _test_choice(text: str) -> TestChoice:
    """A number, a fraction, ids separated by commas, or @file."""
    if text.startswith("@"):
        return [line.strip() for line in read_text(Path(text[1:])).splitlines() if line.strip()]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return [part.strip() for part in text.split(",") if part.strip()]
