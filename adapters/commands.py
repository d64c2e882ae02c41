"""What each command does, from text arguments to a report and a document."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from .. import __version__
from ..forecast.curve import Curve
from ..forecast.document import curve_document, forecast_document
from ..forecast.errors import InputError
from ..forecast.forecast import FEWEST_SIZES, Forecast, Question, forecast_curve, horizon_of
from ..forecast.goal import PLATEAU, TARGET, VALUE, Goal
from ..forecast.guess import Guess, truths_of
from ..forecast.justification import justification
from ..forecast.quadrature import DRAWS, quadrature
from ..forecast.recommendation import Recommendation
from ..forecast.simulation import Terms, Truth
from ..forecast.stability import DropLargest, drop_largest
from . import conclusion
from .conclusion import Asked as Asked
from .conclusion import Round, conclude
from .decisions import PARTIAL, check_arms, check_numbers, decide
from .execution_section import ENGINES
from .figures.write import Pictured, pictured_round, write_figures
from .files import write_text
from .loop import Pending, RunOptions, run_study
from .parallel import mapped
from .places import Wanted as Wanted
from .progress import run_display
from .protocol import protocol_words
from .report_tables.study import promises_table, rounds_table, schedule_table
from .simulate import Simulated as Simulated
from .simulate import simulate as run_simulation
from .sources import Wishes as Wishes
from .sources import first_of, read_source
from .study import open_study
from .tables import write_csv
from .terminal.curves_report import others_table, quick_report
from .terminal.forecast_report import forecast_report, stability_report
from .terminal.round_report import recommendation_panel, round_report
from .terminal.screen import DOUBT, as_text, shown, warning

Answer = tuple[RenderableType, Any]
UNTOLD = ("too_few_sizes", "ill_behaved", "families_disagree")
"""Forecast verdicts that mean CANNOT TELL."""
MOST_CAMPAIGNS = 100_000
"""Campaigns that are held in memory."""
MOST_FILES = 8
"""Files that are named one by one."""
FEW_CURVES = 100
"""Curves from which several processes are worth their start."""


def run(folder: Path, replay: bool, until_all: bool, wanted: Wanted, wait: bool | None, console: Console) -> Answer:
    """Work on a study until a decision is handed over, or until its trainings were handed to a cluster."""
    if wanted.jobs is not None and wanted.jobs < 1:
        raise InputError(f"--jobs must be >= 1, found {wanted.jobs}.")
    if wanted.runs_per_gpu is not None and wanted.runs_per_gpu < 1:
        raise InputError(f"--runs-per-gpu must be >= 1, found {wanted.runs_per_gpu}.")
    if wanted.device not in (None, "auto", "cpu", "cuda", "mps"):
        raise InputError(f"--device must be auto, cpu, cuda or mps, found {wanted.device!r}.")
    if wanted.engine not in (None, *ENGINES):
        raise InputError(f"--engine must be {' or '.join(ENGINES)}, found {wanted.engine!r}.")
    if until_all and not replay:
        raise InputError("--until-all goes with --replay.")
    study = open_study(folder)
    local = (wanted.engine or study.settings.execution.engine) == "local"
    if local and wait is False:
        raise InputError("--no-wait goes with --engine slurm: trainings on this machine end with the command.")
    with run_display(console) as watchers:
        result = run_study(study, RunOptions(replay, until_all, wanted, local or bool(wait)), watchers)
    if isinstance(result, Pending):
        return pending_report(result), pending_document(result)
    return keep_report(result), conclusion.round_document(result)


def pending_report(pending: Pending) -> RenderableType:
    """What was handed over and how to go on."""
    standing, folder = pending.standing, shlex.quote(str(pending.study.folder))
    counts = {
        "done": len(standing.done),
        "running": len(standing.running),
        "queued": len(standing.queued),
        "not submitted yet": len(standing.held),
        "failed": len(standing.failed),
    }
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    lines = [Text(f"{len(standing.specs)} pilot runs: {words}.", "bold")]
    lines += [Text(str(error), "red") for _, error in standing.failed[:MOST_FILES]]
    lines += [Text(str(standing.refused), DOUBT)] if standing.refused is not None else []
    options = pending.options
    chosen = "" if pending.study.settings.execution.engine == "slurm" else " --engine slurm"
    chosen += " --replay" * options.replay + " --until-all" * options.until_all
    lines += [
        Text(f"They go on without this command. How far they are: dicecast status {folder} --watch"),
        Text(f"When they have ended, for the forecast or what is due next: dicecast run {folder}{chosen}"),
    ]
    return Group(*lines)


def pending_document(pending: Pending) -> dict[str, Any]:
    """The same as JSON."""
    standing = pending.standing
    names = {"done": standing.done, "running": standing.running, "queued": standing.queued, "held": standing.held}
    return {
        "study": str(pending.study.folder),
        "pending": True,
        "runs": {name: len(specs) for name, specs in names.items()} | {"failed": len(standing.failed)},
        "failed": [str(error) for _, error in standing.failed],
        "refused": None if standing.refused is None else str(standing.refused),
    }


def keep_report(result: Round) -> RenderableType:
    """Write a round's report, scores and figures into the study; the report names their place."""
    study = result.study
    report = round_report(result, protocol_words(study))
    write_text(study.folder / "report.txt", as_text(report))
    write_csv(result.scores, study.folder / "scores.csv")
    figures = write_figures(pictured_round(result), study.folder / "figures")
    places = [Text(f"Report: {study.folder / 'report.txt'}; all scores: {study.folder / 'scores.csv'}", "dim")]
    if figures:
        places.append(Text(f"Figures: {study.folder / 'figures'}", "dim"))
    folder = shlex.quote(str(study.folder))
    places.append(Text(f"Rounds: {study.folder / 'rounds'}; refit at any time with: dicecast forecast {folder}", "dim"))
    places.append(Text(f"A page with everything, for any browser: dicecast report {folder}", "dim"))
    return Group(report, *places)


def quick_forecast(
    source: Path, wishes: Wishes, jobs: int | None, console: Console
) -> tuple[RenderableType, Any, bool]:
    """Forecast many curves by quadrature alone, one line each, in several processes; only the documents are kept.

    Returns:
        Report, document, and whether no curve could be forecast.
    """
    read = read_source(source, wishes)
    document = forecast_document([], read.question, __version__)
    work = partial(_quick_entry, question=read.question)
    document["curves"] = mapped(work, read.curves, jobs, FEW_CURVES, "forecasting", console)
    untold = all(entry["verdict"]["code"] in UNTOLD for entry in document["curves"])
    return quick_report(document["curves"], read.question), document, untold


def _quick_entry(curve: Curve, question: Question) -> dict[str, Any]:
    return curve_document(forecast_curve(curve, question, quick=True))


def forecast(
    source: Path, wishes: Wishes, *, stability: bool, figures: Path | None
) -> tuple[RenderableType, Any, bool]:
    """Forecast every curve of a source.

    Returns:
        Report, document, and whether no curve could be forecast.
    """
    read = read_source(source, wishes)
    question = read.question
    result = None
    if read.study is not None and wishes.by_own_rules:
        result = conclude(read.study, question, scores=read.everything, arm=wishes.arm, structure=wishes.structure)
    forecasts = result.forecasts if result else [forecast_curve(curve, question) for curve in read.curves]
    document = forecast_document(forecasts, question, __version__)
    parts: list[RenderableType] = []
    refits: dict[str, DropLargest] = {}
    for i, (found, entry) in enumerate(zip(forecasts, document["curves"], strict=True)):
        parts.append(forecast_report(found))
        if stability and len(found.curve.sizes) >= FEWEST_SIZES:
            dropped = refits[found.curve.name] = drop_largest(found.curve, question)
            parts.append(stability_report(dropped, question.level))
            entry["stability"] = _stability(dropped)
        if stability and result and len(result.history[i]) > 1:
            parts += [shown(rounds_table({found.curve.name: result.history[i]})), Text("")]
    if result and result.schedule:
        parts += [shown(schedule_table(result.schedule, question.eps)), Text("")]
    if result and result.others:
        entries = [curve_document(one) for one in result.others]
        document["curves"] += entries
        parts += [others_table(entries, question), Text("")]
    parts += [Text(words, "dim") for words in read.notes]
    parts += [Text(f"Not forecast: {words}.", "dim") for words in read.not_forecast]
    if read.study is not None:
        parts.append(Text(f"The forecast holds for the pilots' protocol: {protocol_words(read.study)}.", "dim"))
    if figures is not None:
        if result is not None:
            drawn = pictured_round(result, refits)
        else:
            drawn = [Pictured(one, dropped=refits.get(one.curve.name)) for one in forecasts]
        written = write_figures(drawn, figures)
        parts.append(Text(f"Figures: {files_words(written, figures)}", "dim"))
    return Group(*parts), document, all(_untold(found) for found in forecasts)


def recommend(source: Path, wishes: Wishes, asked: Asked, justify: bool) -> tuple[RenderableType, Any, bool]:
    """Decide what to do next.

    Returns:
        Report, document, and whether the answer is CANNOT TELL.
    """
    check_numbers(asked)
    read = read_source(source, dataclasses.replace(wishes, left=asked.left))
    check_arms(asked, read.deciding)
    if read.study is not None and wishes.by_own_rules:
        result = conclude(
            read.study,
            read.question,
            asked,
            scores=read.everything,
            quick=True,
            arm=wishes.arm,
            structure=wishes.structure,
        )
        forecasts, decision, each = result.forecasts, result.recommendation, result.each
        answer = conclusion.recommendation_document(result)
        kept = dict(zip((one.curve.name for one in forecasts), result.outcomes, strict=True))
    else:
        forecasts = [forecast_curve(curve, read.question, quick=True, draws=DRAWS) for curve in read.deciding]
        decision, each = decide(forecasts, asked)
        deciding = next(one for one in forecasts if one.curve.name == decision.curve)
        answer = {**decision.document(), "justification": justification(deciding, decision, __version__)}
        kept = {}
    document = {"dicecast": __version__, **answer, "curves": [one.document() for one in each]}
    parts = [recommendation_panel(decision, each, answer.get("cases", []))]
    parts += [warning(f"{one.curve.name}: {words}.") for one in forecasts if one.falls for words in one.messages]
    if read.study is not None and not wishes.by_own_rules:
        parts.append(Text(PARTIAL, DOUBT))
    parts += [Text(words, "dim") for words in [*_reach_words(decision, read.question), *read.notes]]
    if any(kept.values()):
        parts.append(shown(promises_table(kept)))
    if justify:
        parts += [Text("Sample size justification", "bold"), Text(answer["justification"])]
    return Group(*parts), document, decision.code == "cannot_tell"


def _reach_words(decision: Recommendation, question: Question) -> list[str]:
    """Why it is decided for so many cases and no others, where nobody said how many there are."""
    n_max = decision.evidence.get("n_max")
    if n_max is None or decision.evidence["left"] is not None or question.reach is not None:
        return []
    return [
        f"How many cases there are was not said: looked as far as these pilots can tell, {n_max} cases in all. Say how "
        "many could still be annotated with --left."
    ]


def numbers_by_arm(text: str | None, option: str) -> dict[str, float]:
    """A number for every arm (under an empty name), or arm=number separated by commas."""
    found: dict[str, float] = {}
    for part in (text or "").split(","):
        arm, _, number = part.rpartition("=")
        try:
            if part.strip():
                if arm.strip() in found:
                    raise InputError(f"--{option} names {arm.strip() or 'every arm'} twice, found {text!r}.")
                found[arm.strip()] = float(number)
        except ValueError as error:
            raise InputError(f"--{option} must be a number, or arm=number,arm=number, found {text!r}.") from error
    return found


def goal_of(target: float | None, per_point: float | None) -> Goal | None:
    """The goal asked for on the command line."""
    if target is not None and per_point is not None:
        raise InputError("--target and --per-point are different goals: give one.")
    if target is not None:
        return Goal(TARGET, target)
    return None if per_point is None else Goal(VALUE, per_point)


def simulate(
    source: Path | None, guess: Mapping[str, Any], wishes: Wishes, reach: int | None, count: int, wanted: Simulated
) -> Answer:
    """Play campaigns on a guess, or on the posterior of a source's curve.

    Args:
        source: Study or CSV; None takes the guess.
        guess: Texts of `start`, `score`, `ceiling`, `plateau` and the SD of a run; None where not given.
        wishes: Which curve of the source.
        reach: Cases that could ever be annotated.
        count: Campaigns.
        wanted: Goal, costs, budgets.
    """
    if count < 1:
        raise InputError(f"--campaigns must be >= 1, found {count}.")
    if count > MOST_CAMPAIGNS:
        raise InputError(f"--campaigns must be at most {MOST_CAMPAIGNS}, found {count}.")
    Question(seed=wanted.seed)
    console = Console(stderr=True)
    if source is not None:
        given = [name for name, value in guess.items() if value is not None]
        if given:
            raise InputError(f"a source and a guess (--{given[0].replace('_', '-')}) do not go together: give one.")
        return run_simulation(_truths_of_source(source, wishes, reach, count, wanted.seed), wanted, console)
    missing = [name for name in ("start", "score", "ceiling", "plateau") if guess[name] is None]
    if missing or reach is None:
        raise InputError(
            f"a guess needs --start, --score, --ceiling, --plateau and --reach, or give a study or a scores CSV; "
            f"missing: {', '.join('--' + name for name in [*missing, *([] if reach else ['reach'])])}."
        )
    score, ceiling, plateau = (range_of(guess[name], name) for name in ("score", "ceiling", "plateau"))
    made = Guess(
        guess["start"],
        score,
        ceiling,
        plateau,
        run_sd=first_of(guess["run_sd"], Guess.run_sd),
        eps=first_of(wishes.eps, Guess.eps),
    )
    return run_simulation(made.truths(reach, count, wanted.seed), wanted, console)


def terms_of(
    target: float | None,
    per_point: float | None,
    eps: float | None,
    per_case: float | None,
    per_round: float | None,
    *,
    rounds: int,
    draws: int,
    level: float | None,
) -> Terms:
    """Goal and costs of simulated campaigns; a case costs 1 where nothing is said.

    Raises:
        InputError: Two goals, or what a point is worth without what a case costs.
    """
    if per_point is not None and per_case is None:
        raise InputError("--per-point is set against the cost of a case: give --per-case.")
    goal = goal_of(target, per_point) or Goal(PLATEAU, Question.eps if eps is None else eps)
    return Terms(
        goal=goal,
        rounds=rounds,
        draws=draws,
        per_case=1.0 if per_case is None else per_case,
        per_round=per_round,
        level=Question.level if level is None else level,
    )


def _truths_of_source(source: Path, wishes: Wishes, reach: int | None, count: int, seed: int) -> list[Truth]:
    read = read_source(source, dataclasses.replace(wishes, seed=seed))
    curves = [curve for curve in read.deciding if len(curve.sizes) >= FEWEST_SIZES]
    if len(curves) != 1:
        names = ", ".join(curve.name for curve in curves) or "none with three sizes"
        raise InputError(f"{source}: one curve must be chosen with --arm and --structure, found {names}.")
    (curve,) = curves
    n_max = next(n for n in (reach, read.question.reach, horizon_of(curve)) if n is not None)
    return truths_of(quadrature(curve, seed), n_max, count, seed)


def range_of(text: str, name: str) -> tuple[float, float]:
    """A number, or two joined by a colon."""
    try:
        ends = [float(part) for part in text.split(":")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2):
        raise InputError(f"--{name} must be a number or a range low:high, found {text!r}.")
    return ends[0], ends[-1]


def numbers_of(text: str | None, name: str) -> tuple[float | None, ...]:
    """Numbers separated by commas; a single None where nothing is given."""
    if text is None:
        return (None,)
    try:
        return tuple(float(part) for part in text.split(",") if part.strip()) or (None,)
    except ValueError as error:
        raise InputError(f"--{name} must be numbers separated by commas, found {text!r}.") from error


def files_words(written: Sequence[Path], folder: Path) -> str:
    """What was written where."""
    if not written:
        return f"none, a curve needs {FEWEST_SIZES} sizes"
    return ", ".join(map(str, written)) if len(written) <= MOST_FILES else f"{len(written)} files in {folder}"


def _untold(found: Forecast) -> bool:
    return found.verdict.code in UNTOLD


def _stability(found: DropLargest) -> dict[str, Any]:
    refits = []
    for refit in found.refits:
        size = refit.plateau
        refits.append(
            {
                "dropped": refit.dropped,
                "sizes": list(refit.sizes),
                "least_squares": {"DM": refit.dm_least_squares, "plateau_n": refit.n_least_squares},
                "DM": {"median": refit.dm.median, "lo": refit.dm.lo, "hi": refit.dm.hi},
                "plateau_n": {"median": size.median, "lo": size.lo, "hi": size.hi, "hi_censored": size.hi_censored},
            }
        )
    return {"refits": refits, "moved": found.moved, "stable": found.stable, "reason": found.reason}
