"""The `dicecast` command: every command is one short function, the work is done elsewhere."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from . import __version__
from .adapters.interrupts import Stopped, stopped_words
from .adapters.terminal.console import console, tolerate
from .adapters.terminal.help import CLUSTER, COSTS, FOLDS, GUESS, HOW, OUTPUT, TRAINING, WHICH, Command, CommandGroup
from .adapters.terminal.options import (
    Annotated_,
    Arm,
    At,
    Budget,
    Device,
    Engine,
    Eps,
    Family,
    Jobs,
    Json,
    Left,
    Level,
    Metric,
    OnlyMetric,
    PerCase,
    PerCaseByArm,
    PerPoint,
    PerRound,
    Reach,
    Scope,
    Seed,
    SourcePath,
    Stratum,
    Strict,
    Structure,
    StudyPath,
    Target,
    TestSet,
    Unit,
)
from .forecast.errors import DicecastError, InputError

app = typer.Typer(
    name="dicecast",
    cls=CommandGroup,
    help="Forecast how many annotated cases a segmentation model needs, and what to annotate next.",
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    add_completion=False,
)
DEBUG = "DICECAST_DEBUG"


def _guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Turn errors into one message and an exit code; a traceback only with --debug."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
        except (KeyboardInterrupt, Stopped) as error:
            _fail(*stopped_words(error))
        except DicecastError as error:
            if os.environ.get(DEBUG):
                raise
            _fail(str(error), error.exit_code)
        except BrokenPipeError:
            raise
        except MemoryError:
            if os.environ.get(DEBUG):
                raise
            _fail("memory ran out. Give less at once, or more memory; what was finished is kept.", 1)
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            if (words := _refusal(error)) is not None:
                _fail(words, InputError.exit_code)
            _fail(
                f"unexpected {type(error).__name__}: {error}. For the traceback: dicecast --debug ...",
                1,
            )
        else:
            raise typer.Exit(code or 0)

    return run


def _refusal(error: Exception) -> str | None:
    """What a disk refused, in words; what could not be printed is given up, as Python would try again at its end."""
    from .adapters.files import refusal

    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return refusal(error)


def _fail(message: str, code: int) -> None:
    from .adapters.terminal.screen import error_line

    console(stderr=True).print(error_line(message), soft_wrap=True)
    raise typer.Exit(code)


def _show(report: RenderableType, document: Any, target: str | None) -> None:
    """Print the report and write the JSON; with `-` only the JSON is printed."""
    from .adapters.files import write_json

    document = {"dicecast": __version__, **document}  # an answer is known by how it begins, and may be replaced
    if target == "-":
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
        sys.stdout.flush()
        return
    if target is not None:
        write_json(Path(target), document)
    console().print(report)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dicecast {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    if debug:
        os.environ[DEBUG] = "1"
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(InputError.exit_code)


@app.command(cls=Command, epilog="dicecast demo")
@_guarded
def demo(
    full: Annotated[
        bool, typer.Option("--full", help="More draws, 2d and 3d_fullres (about 25 minutes on 2 cores).")
    ] = False,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the demo study is made; an unfinished one is resumed.")
    ] = Path("dicecast-demo"),
    jobs: Jobs = None,
    device: Device = None,
) -> None:
    """Run a complete adaptive study on the built-in renal phantom, with real nnU-Net trainings."""
    from .adapters.demo import run_demo

    run_demo(folder / ("full" if full else "quick"), full=full, jobs=jobs, device=device, console=console())


@app.command(cls=Command, epilog="dicecast init kidney --dataset Dataset100_Kidney --test 50 --configuration 2d")
@_guarded
def init(
    study: StudyPath,
    dataset: Annotated[Path, typer.Option(metavar="DIR", help="nnU-Net v2 raw dataset folder.", show_default=False)],
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A study.toml to take all settings from, such as one of studies/protocols.",
            show_default=False,
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="CASES",
            help="Test set: a number of cases, a fraction, ids a,b,c or @file with one id per line. \\[default: 0.2]",
            show_default=False,
        ),
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="nnU-Net configurations: 2d,3d_fullres makes two arms, ways of training that are compared. "
            "\\[default: 3d_fullres]",
            show_default=False,
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="Numbers of cases trained on at round 0: 10,20,40. \\[default: proposed with the draws]",
            show_default=False,
        ),
    ] = None,
    draws: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Draws (repeats with other random cases) per size; 3,3,1 gives one number per size. "
            "\\[default: proposed with the sizes, else 3]",
            show_default=False,
        ),
    ] = None,
    gpu_hours: Annotated[
        float | None,
        typer.Option(
            metavar="HOURS", help="Hours of training that the proposed pilots may take in all.", show_default=False
        ),
    ] = None,
    seconds_per_iteration: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Of training, as dicecast doctor --benchmark measures it.", show_default=False
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=FOLDS,
            help="Fold models per run. \\[default: 1, trained on all n cases]",
            show_default=False,
        ),
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(
            metavar="RULES",
            rich_help_panel=FOLDS,
            help="Rules for the folds: vote, logits, softmax; the first of several makes the curve. \\[default: vote]",
            show_default=False,
        ),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV with columns case, patient, ... ; cases of a patient stay on one side.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Seed of the test set, the draws and the trainings. \\[default: 0]", show_default=False
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", rich_help_panel=TRAINING, help="Epochs. \\[default: nnU-Net's 1000]", show_default=False
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=TRAINING,
            help="Iterations per epoch. \\[default: nnU-Net's 250]",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", rich_help_panel=TRAINING, help="Batch size. \\[default: the plan's]", show_default=False
        ),
    ] = None,
    features: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=TRAINING,
            help="Width of the first network stage. \\[default: the plan's]",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=TRAINING,
            help="bfloat16: faster on CPUs that have it. \\[default: nnU-Net's own]",
            show_default=False,
        ),
    ] = None,
    optimiser: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=TRAINING,
            help="SGD or AdamW. \\[default: nnU-Net's SGD]",
            show_default=False,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            rich_help_panel=TRAINING,
            help="Initial learning rate. \\[default: the trainer's]",
            show_default=False,
        ),
    ] = None,
    trainer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=TRAINING,
            help="A trainer of nnU-Net's by name (nnUNetTrainerNoDA: no augmentation), or file.py:Class.  "
            "\\[default: nnUNetTrainer]",
            show_default=False,
        ),
    ] = None,
    schedule_check: Annotated[
        bool | None,
        typer.Option(
            "--schedule-check/--no-schedule-check",
            help="Also train the smallest and largest size twice as long. \\[default: yes]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check a dataset, hold out the test set and write a commented study.toml."""
    from .adapters import starting

    asked = starting.new_study(
        study,
        dataset,
        settings=settings,
        cases=cases,
        test=test,
        sizes=sizes,
        draws=draws,
        gpu_hours=gpu_hours,
        seconds_per_iteration=seconds_per_iteration,
        protocol={
            "configuration": configuration,
            "trainer": trainer,
            "ensemble": ensemble,
            "folds": folds,
            "seed": seed,
            "schedule_check": schedule_check,
            "epochs": epochs,
            "iterations": iterations,
            "batch": batch,
            "features": features,
            "precision": precision,
            "optimiser": optimiser,
            "learning_rate": learning_rate,
        },
    )
    console().print(starting.initialise(asked, seconds_per_iteration, console(stderr=True)))


@app.command(cls=Command, epilog="dicecast run kidney")
@_guarded
def run(
    study: StudyPath,
    replay: Annotated[
        bool, typer.Option("--replay", help="Reveal the cases of an annotated pool round by round, until stable.")
    ] = False,
    until_all: Annotated[
        bool,
        typer.Option(
            "--until-all",
            help="In a replay, go on past a stop until every case is revealed, to see whether the forecast held.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would run, with hours and GB, and stop.")
    ] = False,
    engine: Engine = None,
    wait: Annotated[
        bool | None,
        typer.Option(
            "--wait/--no-wait",
            rich_help_panel=CLUSTER,
            help="On a cluster: stay until all trainings have ended. \\[default: submit what is due, exit]",
            show_default=False,
        ),
    ] = None,
    jobs: Jobs = None,
    device: Device = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            rich_help_panel=CLUSTER,
            help="GPUs of this machine to use: 0,1 \\[default: all]",
            show_default=False,
        ),
    ] = None,
    runs_per_gpu: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=CLUSTER,
            help="Trainings that share a GPU of this machine. \\[default: the study's, else 1]",
            show_default=False,
        ),
    ] = None,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry", rich_help_panel=CLUSTER, help="On a cluster: also try runs that were given up after three tries."
        ),
    ] = False,
    target: Json = None,
) -> None:
    """Do what is due: train pilots, forecast, recommend. Interrupt at any time; run again to go on."""
    if dry_run:
        from .adapters import study_commands

        _show(*study_commands.dry_run(study, replay), target)
        return
    from .adapters import commands
    from .adapters.sources import whole_numbers

    named = None if gpus is None else whole_numbers(gpus, "gpus", least=0)
    wanted = commands.Wanted(engine, jobs, device, named, runs_per_gpu, retry)
    _show(*commands.run(study, replay, until_all, wanted, wait, console(stderr=True)), target)


@app.command("forecast", cls=Command, epilog="dicecast forecast scores.csv --at 400,800")
@_guarded
def forecast_command(
    source: SourcePath,
    at: At = None,
    target_score: Annotated[
        float | None,
        typer.Option("--target", metavar="SCORE", help="Score to find the cases needed for.", show_default=False),
    ] = None,
    stability: Annotated[
        bool, typer.Option("--stability", help="Also refit without the largest 1 and 2 sizes, and show the rounds.")
    ] = False,
    level: Level = None,
    eps: Eps = None,
    seed: Seed = None,
    annotated: Annotated_ = None,
    reach: Reach = None,
    family: Family = None,
    scope: Scope = None,
    arm: Arm = None,
    structure: Structure = None,
    metric: OnlyMetric = None,
    test_set: TestSet = None,
    stratum: Stratum = None,
    pooled: Annotated[
        bool,
        typer.Option(
            "--pooled", rich_help_panel=WHICH, help="Count voxels over all test cases before taking the ratio."
        ),
    ] = False,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", rich_help_panel=OUTPUT, help="Folder for a figure of each curve.", show_default=False
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", rich_help_panel=HOW, help="For many curves: all by quadrature, no backtest, one line per curve."
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=HOW,
            help="Processes for --quick. \\[default: one per core]",
            show_default=False,
        ),
    ] = None,
    forecaster: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=HOW,
            help="bayes: families of curves; lstm: a small network trained on other curves, for --at.",
        ),
    ] = "bayes",
    target: Json = None,
    strict: Strict = False,
) -> int:
    """Fit the curves of a study, a scores CSV or nnU-Net results and forecast where they level off."""
    from .adapters import commands

    wishes = commands.Wishes(
        at=at,
        target=target_score,
        level=level,
        eps=eps,
        seed=seed,
        annotated=annotated,
        reach=reach,
        family=family,
        scope=scope,
        arm=arm,
        structure=structure,
        metric=metric,
        test_set=test_set,
        stratum=stratum,
        pooled=pooled,
    )
    if forecaster != "bayes":
        from .adapters.surrogate.command import lstm_command

        names = ("--target", "--stability", "--eps", "--reach", "--family", "--figures", "--quick", "--jobs")
        values = (target_score, stability, eps, reach, family, figures, quick, jobs)
        unfit = dict(zip(names, values, strict=True)) | {"--scope population": scope == "population"}
        report, document, cannot_tell = lstm_command(forecaster, source, wishes, unfit)
        _show(report, document, target)
        return 3 if strict and cannot_tell else 0
    if quick and (stability or figures):
        raise InputError("--quick goes without --stability and --figures.")
    if jobs is not None and not quick:
        raise InputError("--jobs goes with --quick.")
    if quick:
        report, document, cannot_tell = commands.quick_forecast(source, wishes, jobs, console(stderr=True))
    else:
        report, document, cannot_tell = commands.forecast(source, wishes, stability=stability, figures=figures)
    _show(report, document, target)
    return 3 if strict and cannot_tell else 0


@app.command(cls=Command, epilog="dicecast recommend scores.csv --left 500 --per-case 20 --per-round 300")
@_guarded
def recommend(
    source: SourcePath,
    left: Left = None,
    per_case: PerCaseByArm = None,
    per_round: PerRound = None,
    per_run: Annotated[
        float | None,
        typer.Option(
            metavar="AMOUNT",
            rich_help_panel=COSTS,
            help="Cost of computing a pilot run. \\[default: 0]",
            show_default=False,
        ),
    ] = None,
    unit: Unit = None,
    budget: Budget = None,
    target_score: Target = None,
    per_point: PerPoint = None,
    rounds_left: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=COSTS,
            help="Rounds before the deadline. \\[default: no deadline]",
            show_default=False,
        ),
    ] = None,
    look_ahead: Annotated[
        int, typer.Option(metavar="N", rich_help_panel=HOW, help="Rounds weighed at a time: 1 or 2.")
    ] = 2,
    justify: Annotated[
        bool,
        typer.Option(
            "--justify",
            rich_help_panel=OUTPUT,
            help="Also write the sample size as a paragraph for a protocol or a paper.",
        ),
    ] = False,
    level: Level = None,
    eps: Eps = None,
    seed: Seed = None,
    annotated: Annotated_ = None,
    arm: Arm = None,
    structure: Structure = None,
    metric: Metric = None,
    test_set: TestSet = None,
    stratum: Stratum = None,
    target: Json = None,
    strict: Strict = False,
) -> int:
    """Say what to do next: annotate more, stop, train more pilots, or cannot tell; with the reason."""
    from .adapters import commands

    wishes = commands.Wishes(
        level=level,
        eps=eps,
        seed=seed,
        annotated=annotated,
        arm=arm,
        structure=structure,
        metric=metric,
        test_set=test_set,
        stratum=stratum,
    )
    asked = commands.Asked(
        goal=commands.goal_of(target_score, per_point),
        per_case=commands.numbers_by_arm(per_case, "per-case"),
        per_round=per_round,
        per_run=per_run,
        unit=unit,
        budget=budget,
        left=left,
        rounds_left=rounds_left,
        look_ahead=look_ahead,
    )
    report, document, cannot_tell = commands.recommend(source, wishes, asked, justify)
    _show(report, document, target)
    return 3 if strict and cannot_tell else 0


@app.command("report", cls=Command, epilog="dicecast report scores.csv --left 500 -o report.html")
@_guarded
def report_command(
    source: SourcePath,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", rich_help_panel=OUTPUT, help="The page; an earlier one is replaced."
        ),
    ] = Path("report.html"),
    title: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            rich_help_panel=OUTPUT,
            help="Title of the page. \\[default: the question]",
            show_default=False,
        ),
    ] = None,
    cases: Annotated[
        bool,
        typer.Option("--cases/--no-cases", rich_help_panel=OUTPUT, help="Pictures of test cases, where images are."),
    ] = True,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=OUTPUT,
            help="Folder for every figure as PNG, SVG and PDF.",
            show_default=False,
        ),
    ] = None,
    anonymise: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            rich_help_panel=OUTPUT,
            help="Call cases by pseudonyms; who is who is kept in this CSV, for you alone.",
            show_default=False,
        ),
    ] = None,
    left: Left = None,
    per_case: PerCaseByArm = None,
    per_round: PerRound = None,
    unit: Unit = None,
    budget: Budget = None,
    target_score: Target = None,
    per_point: PerPoint = None,
    at: At = None,
    level: Level = None,
    eps: Eps = None,
    seed: Seed = None,
    annotated: Annotated_ = None,
    family: Family = None,
    scope: Scope = None,
    arm: Arm = None,
    structure: Structure = None,
    metric: Metric = None,
    test_set: TestSet = None,
    stratum: Stratum = None,
    target: Json = None,
    strict: Strict = False,
) -> int:
    """Write one self-contained page: the answer, an explorer, figures, pictures of cases, methods, tables."""
    from .adapters import commands
    from .adapters.html import command

    if target not in (None, "-") and Path(str(target)).resolve() == output.resolve():
        raise InputError(f"--json and --output must name different files, found {output} for both.")
    taken = [output, *([Path(target)] if target not in (None, "-") else [])]
    if anonymise is not None and anonymise.resolve() in [one.resolve() for one in taken]:
        raise InputError(f"--anonymise must name a file of its own, found {anonymise} twice.")
    wishes = commands.Wishes(
        at=at,
        target=target_score,
        level=level,
        eps=eps,
        seed=seed,
        annotated=annotated,
        family=family,
        scope=scope,
        arm=arm,
        structure=structure,
        metric=metric,
        test_set=test_set,
        stratum=stratum,
    )
    asked = commands.Asked(
        goal=commands.goal_of(target_score, per_point),
        per_case=commands.numbers_by_arm(per_case, "per-case"),
        per_round=per_round,
        unit=unit,
        budget=budget,
        left=left,
    )
    options = command.PageOptions(output, title, cases, figures, anonymise)
    report, document, cannot_tell = command.report(source, wishes, asked, options, console(stderr=True))
    _show(report, document, target)
    return 3 if strict and cannot_tell else 0


@app.command(
    cls=Command,
    epilog="dicecast simulate --start 30 --score 0.65:0.75 \\\n    --ceiling 0.85:0.92 --plateau 150:600 --reach 800",
)
@_guarded
def simulate(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE",
            help="Study folder, scores CSV or folder of nnU-Net results; without it a guess is needed.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        int | None,
        typer.Option(metavar="CASES", rich_help_panel=GUESS, help="Cases annotated at the start.", show_default=False),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            metavar="SCORE",
            rich_help_panel=GUESS,
            help="Score with them, a number or a range 0.65:0.75.",
            show_default=False,
        ),
    ] = None,
    ceiling: Annotated[
        str | None,
        typer.Option(
            metavar="SCORE",
            rich_help_panel=GUESS,
            help="Score with endless cases, 0.85:0.92.",
            show_default=False,
        ),
    ] = None,
    plateau: Annotated[
        str | None,
        typer.Option(
            metavar="CASES",
            rich_help_panel=GUESS,
            help="Cases from which more add little, 150:600.",
            show_default=False,
        ),
    ] = None,
    run_sd: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            rich_help_panel=GUESS,
            help="SD of a single run's score at the start. \\[default: 0.01]",
        ),
    ] = None,
    reach: Reach = None,
    target_score: Target = None,
    per_point: PerPoint = None,
    per_case: PerCase = None,
    per_round: PerRound = None,
    unit: Unit = None,
    budgets: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="AMOUNTS",
            rich_help_panel=COSTS,
            help="One budget or several: 2000,4000,8000",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", rich_help_panel=HOW, help="Most rounds of a campaign.")] = 6,
    draws: Annotated[int, typer.Option(metavar="N", rich_help_panel=HOW, help="Draws trained at every size.")] = 3,
    campaigns: Annotated[int, typer.Option(metavar="N", rich_help_panel=HOW, help="Campaigns to play.")] = 100,
    compare: Annotated[
        bool, typer.Option("--compare", rich_help_panel=HOW, help="Also play simple rules on the same curves.")
    ] = False,
    level: Level = None,
    eps: Eps = None,
    seed: Seed = None,
    arm: Arm = None,
    structure: Structure = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FIGURE",
            rich_help_panel=OUTPUT,
            help="Write a figure: FIGURE.svg, .png and .pdf.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", rich_help_panel=HOW, help="Processes. \\[default: one per core]", show_default=False),
    ] = None,
    target: Json = None,
) -> None:
    """Play the campaign on paper: rounds, cases, cost and chance of success, from a guess or from first scores."""
    from .adapters import commands

    wishes = commands.Wishes(eps=eps, arm=arm, structure=structure)
    guess = {"start": start, "score": score, "ceiling": ceiling, "plateau": plateau, "run_sd": run_sd}
    wanted = commands.Simulated(
        terms=commands.terms_of(
            target_score, per_point, eps, per_case, per_round, rounds=rounds, draws=draws, level=level
        ),
        budgets=commands.numbers_of(budgets, "budget"),
        compared=compare,
        seed=seed or 0,
        jobs=jobs,
        unit=unit or ("cases" if per_case is None else "EUR"),
        figure=figure,
    )
    _show(*commands.simulate(source, guess, wishes, reach, campaigns, wanted), target)


@app.command(cls=Command, epilog="dicecast compare ct=ct.csv mr=mr.csv")
@_guarded
def compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCES",
            help="Studies, scores CSVs or folders of nnU-Net results; of several, each may be NAME=PATH.",
            show_default=False,
        ),
    ],
    arms: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            rich_help_panel=WHICH,
            help="Arms to compare, the reference first: 2d,3d_fullres \\[default: all]",
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="Cases to compare at, up to 4 x the largest size: 100,200 \\[default: annotated now, twice as many, "
            "all]",
            show_default=False,
        ),
    ] = None,
    per_case: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT",
            rich_help_panel=COSTS,
            help="Cost of annotating a case, of every arm or arm=number,arm=number. \\[default: the study's]",
            show_default=False,
        ),
    ] = None,
    per_run: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT",
            rich_help_panel=COSTS,
            help="Cost of training once, likewise. \\[default: what the study's runs took, at its per_gpu_hour]",
            show_default=False,
        ),
    ] = None,
    spend: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNTS",
            rich_help_panel=COSTS,
            help="What may be spent from now on, to compare at the same cost: 1000,4000",
            show_default=False,
        ),
    ] = None,
    unit: Unit = None,
    level: Level = None,
    eps: Eps = None,
    seed: Seed = None,
    annotated: Annotated_ = None,
    reach: Reach = None,
    family: Family = None,
    scope: Scope = None,
    structure: Structure = None,
    metric: OnlyMetric = None,
    test_set: TestSet = None,
    stratum: Stratum = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=OUTPUT,
            metavar="DIR",
            help="Also draw the comparison, as SVG, PNG and PDF.",
            show_default=False,
        ),
    ] = None,
    target: Json = None,
    strict: Strict = False,
) -> int:
    """Compare arms or studies (2D vs 3D, CT vs MR, ...): which reaches more, which needs fewer cases, which to run.

    RUN, in the last line, names the arm that is the best with a probability of at least 0.8: at the most cases, or for
    the most money where costs are known (all costs in one unit).
    """
    from .adapters.compare_command import Terms
    from .adapters.compare_command import compare as compare_sources
    from .adapters.sources import Wishes

    wishes = Wishes(
        at=at,
        level=level,
        eps=eps,
        seed=seed,
        annotated=annotated,
        reach=reach,
        family=family,
        scope=scope,
        structure=structure,
        metric=metric,
        test_set=test_set,
        stratum=stratum,
    )
    terms = Terms(arms, per_case, per_run, spend, unit)
    report, document, cannot_tell = compare_sources(sources, wishes, terms, figures)
    _show(report, document, target)
    return 3 if strict and cannot_tell else 0


@app.command("agreement", cls=Command, epilog="dicecast agreement kidney --structure tumour")
@_guarded
def agreement_command(
    source: SourcePath,
    arm: Arm = None,
    structure: Structure = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n",
            metavar="CASES",
            rich_help_panel=WHICH,
            help="Annotated cases used. \\[default: the most of each arm]",
            show_default=False,
        ),
    ] = None,
    draw: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=WHICH,
            help="A single draw. \\[default: averaged over draws]",
            show_default=False,
        ),
    ] = None,
    test_set: TestSet = None,
    stratum: Stratum = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What sizes and annotators are compared by. \\[default: dice]", show_default=False
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=OUTPUT,
            help="Also write figures (SVG, PNG and PDF) into this folder.",
            show_default=False,
        ),
    ] = None,
    target: Json = None,
) -> None:
    """Agreement with the reference: every metric, volumes (Bland-Altman), Dice by volume, sizes, annotators."""
    from .adapters.agreement import agreement
    from .adapters.sources import Wishes

    wishes = Wishes(arm=arm, structure=structure, metric=metric, test_set=test_set, stratum=stratum)
    _show(*agreement(source, wishes, n, draw, figures, console(stderr=True)), target)


@app.command(cls=Command, epilog="dicecast status kidney --watch")
@_guarded
def status(
    study: StudyPath,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every few seconds, until nothing is running or queued.")
    ] = False,
    target: Json = None,
) -> None:
    """Show which runs are done, running, queued, due or failed, and how long the rest will take."""
    from .adapters import study_commands

    if watch and target is not None:
        raise InputError("--watch and --json do not go together: give one.")
    if watch:
        study_commands.watch_status(study, console())
        return
    _show(*study_commands.status(study), target)


@app.command(cls=Command, epilog="dicecast cancel kidney")
@_guarded
def cancel(study: StudyPath, target: Json = None) -> None:
    """Stop the study's trainings, here or on a cluster. What was trained is kept; run goes on from there."""
    from .adapters import study_commands

    _show(*study_commands.cancel(study), target)


@app.command(hidden=True)
@_guarded
def work(
    study: StudyPath,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run folder within the study, or preparation.", show_default=False)
    ],
) -> int:
    """Do one run of a study, or prepare it: what a job of a cluster calls."""
    from .adapters.work import work

    return work(study, run)


@app.command(cls=Command, epilog="dicecast doctor --dataset Dataset100_Kidney --benchmark")
@_guarded
def doctor(
    dataset: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also check this nnU-Net raw dataset.", show_default=False)
    ] = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Also time training iterations here (about a minute).")
    ] = False,
    target: Json = None,
) -> int:
    """Show what is installed, which device would be used, and whether a dataset is usable."""
    from .adapters.doctor import examine

    report, document, usable = examine(dataset, benchmark=benchmark)
    _show(report, document, target)
    return 0 if usable else InputError.exit_code


@app.command(cls=Command, epilog="dicecast example phantom Dataset900_Phantom --cases 60")
@_guarded
def example(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="phantom: a generated CT phantom; healthy: the same without tumours; hippocampus: real MR volumes, "
            "downloaded.",
            show_default=False,
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New dataset folder.", show_default=False)],
    cases: Annotated[int, typer.Option(metavar="N", help="Number of generated cases.", min=1)] = 40,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed; a case depends on the seed and its number only.")] = 0,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Task04_Hippocampus.tar, where it was downloaded already.", show_default=False
        ),
    ] = None,
) -> None:
    """Write or fetch an example dataset in nnU-Net raw layout."""
    from .adapters import data_commands

    console().print(data_commands.example(name, folder, cases, seed, archive))


@app.command(cls=Command, epilog="dicecast convert Task04_Hippocampus Dataset004_Hippocampus")
@_guarded
def convert(
    task: Annotated[
        Path,
        typer.Argument(metavar="TASK", help="Folder of a Decathlon (MSD) task, such as Task04.", show_default=False),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New dataset folder.", show_default=False)],
) -> None:
    """Convert a Medical Segmentation Decathlon task to nnU-Net raw layout, by nnU-Net's own tool."""
    from .adapters import data_commands

    console().print(data_commands.convert(task, folder))


@app.command("import", cls=Command, epilog="dicecast import Trainer__Plans__2d_n50 Trainer__Plans__2d_n100 --n 50,100")
@_guarded
def import_command(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDERS", help="Trained models, folders of predictions, or parents of them.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Scores CSV to write.")] = Path(
        "scores.csv"
    ),
    n: Annotated[
        str | None,
        typer.Option(
            "--n",
            metavar="CASES",
            help="Annotated cases of each result, in order: 50,100. \\[default: from the splits]",
        ),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Name of every result's arm, or one for all.", show_default=False),
    ] = None,
    dataset_json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="dataset.json that names the labels.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Gather the scores of finished nnU-Net results (summary.json) in a scores CSV."""
    from .adapters import data_commands

    console().print(data_commands.import_results(folders, output, n, arms, dataset_json, force=force))


def main() -> None:
    """Do what the command line asks for; errors and signals end in a message and an exit code."""
    tolerate()
    _check_here()
    app()


def _check_here() -> None:
    """Refuse to begin in a folder that is gone: every relative path would fail in its own way."""
    try:
        Path.cwd()
    except FileNotFoundError:
        sys.stderr.write("error: the current folder must exist, found it removed. Change to another one.\n")
        sys.exit(InputError.exit_code)
