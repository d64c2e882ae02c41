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
from .adapters.terminal.console import console, tolerate
from .forecast.errors import DicecastError, InputError

app = typer.Typer(
    name="dicecast",
    help="Forecast how many annotated cases a segmentation model needs, and what to annotate next.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
DEBUG = "DICECAST_DEBUG"

StudyPath = Annotated[Path, typer.Argument(help="Study folder.", show_default=False)]
SourcePath = Annotated[
    Path, typer.Argument(help="Study folder, scores CSV or folder of nnU-Net results.", show_default=False)
]


def _json_target(target: str | None) -> str | None:
    """Refuse a file that holds anything but JSON, such as the scores themselves, before anything is computed."""
    if target in (None, "-"):
        return target
    path = Path(str(target))
    if path.is_file() and os.access(path, os.R_OK) and path.stat().st_size:
        with path.open("rb") as file:
            start = file.read(64).lstrip()[:1]
        if start not in (b"{", b"["):
            raise typer.BadParameter(f"must name a new file or one of JSON, found {path}, which holds something else.")
    return target


Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Also write the answer as JSON; - writes only JSON, to standard output.",
        callback=_json_target,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with code 3 when the answer is CANNOT TELL.")]
Seed = Annotated[
    int | None, typer.Option(help="Seed of the sampler.  \\[default: the study's, else 0]", show_default=False)
]
Level = Annotated[
    float | None,
    typer.Option(help="Probability of every interval.  \\[default: the study's, else 0.9]", show_default=False),
]
Eps = Annotated[
    float | None,
    typer.Option(help="Tolerance of the plateau.  \\[default: the study's, else 0.01]", show_default=False),
]
Annotated_ = Annotated[
    int | None,
    typer.Option("--annotated", help="Cases annotated now.  \\[default: the largest size]", show_default=False),
]
Reach = Annotated[
    int | None,
    typer.Option(
        "--reach", help="Cases you could ever annotate.  \\[default: 4 x the largest size]", show_default=False
    ),
]
Family = Annotated[
    str | None,
    typer.Option(
        help="Forecast with one family by MCMC: exponential (the named model), stretched-exponential, power-law, hill, "
        "inverse-log.  \\[default: average, their weighted average]",
        show_default=False,
    ),
]
Scope = Annotated[
    str | None,
    typer.Option(
        help="test-set: the mean on this test set; population: also which patients it holds.  \\[default: test-set]",
        show_default=False,
    ),
]
Arm = Annotated[str | None, typer.Option(help="Only this arm.", show_default=False)]
Structure = Annotated[str | None, typer.Option(help="Only this structure.", show_default=False)]
TestSet = Annotated[str | None, typer.Option(help="Only this test set, such as cross-validation.", show_default=False)]
Stratum = Annotated[str | None, typer.Option(help="Only this stratum; all: the whole test set.", show_default=False)]
Metric = Annotated[
    str | None, typer.Option(help="By this metric.  \\[default: the study's, else dice]", show_default=False)
]
Left = Annotated[
    int | None, typer.Option(help="Cases that could still be annotated.  \\[default: unknown]", show_default=False)
]
PerCase = Annotated[float | None, typer.Option(help="Cost of annotating a case.", show_default=False)]
PerRound = Annotated[
    float | None,
    typer.Option(
        help="Cost of a round besides its cases (waiting, meetings).  \\[default: weighed as 5 % of annotating "
        "everything]",
        show_default=False,
    ),
]
PerPoint = Annotated[
    float | None,
    typer.Option(
        help="What a point (0.01) of score is worth: annotate as long as that pays, instead of to the plateau.",
        show_default=False,
    ),
]
Unit = Annotated[str | None, typer.Option(help="Unit of the costs.  \\[default: EUR]", show_default=False)]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="Trainings at the same time.  \\[default: one per core or GPU; on a cluster 256]",
        show_default=False,
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(help="local: this machine; slurm: a cluster.  \\[default: the study's]", show_default=False),
]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda or mps.  \\[default: the study's]", show_default=False)
]


def _guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Turn errors into one message and an exit code; a traceback only with --debug."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
        except KeyboardInterrupt:
            _fail(
                "interrupted. Nothing finished is lost: run the same command again.",
                130,
            )
        except DicecastError as error:
            if os.environ.get(DEBUG):
                raise
            _fail(str(error), error.exit_code)
        except BrokenPipeError:
            raise
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            _fail(
                f"unexpected {type(error).__name__}: {error}. For the traceback: dicecast --debug ...",
                1,
            )
        else:
            raise typer.Exit(code or 0)

    return run


def _fail(message: str, code: int) -> None:
    from .adapters.terminal.screen import error_line

    console(stderr=True).print(error_line(message), soft_wrap=True)
    raise typer.Exit(code)


def _show(report: RenderableType, document: Any, target: str | None) -> None:
    """Print the report and write the JSON; with `-` only the JSON is printed."""
    from .adapters.files import write_json

    if target == "-":
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
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
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    if debug:
        os.environ[DEBUG] = "1"


@app.command()
@_guarded
def demo(
    full: Annotated[
        bool, typer.Option("--full", help="More draws, 2d and 3d_fullres (about 25 minutes on 2 cores).")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo study is made; an unfinished one is resumed.")] = Path(
        "dicecast-demo"
    ),
    jobs: Jobs = None,
    device: Device = None,
) -> None:
    """Run a complete adaptive study on the built-in renal phantom, with real nnU-Net trainings."""
    from .adapters.demo import run_demo

    run_demo(folder / ("full" if full else "quick"), full=full, jobs=jobs, device=device, console=console())


@app.command()
@_guarded
def init(
    study: StudyPath,
    dataset: Annotated[Path, typer.Option(help="nnU-Net v2 raw dataset folder.", show_default=False)],
    settings: Annotated[
        Path | None,
        typer.Option(help="A study.toml to take the protocol from: studies/protocols/*.toml.", show_default=False),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            help="Test set: a number of cases, a fraction, ids a,b,c or @file with one id per line.  \\[default: 0.2]",
            show_default=False,
        ),
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(
            help="nnU-Net configurations, one arm each: 2d,3d_fullres  \\[default: 3d_fullres]", show_default=False
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(help="Sizes trained at round 0.  \\[default: proposed with the draws]", show_default=False),
    ] = None,
    draws: Annotated[
        str | None,
        typer.Option(
            help="Draws per size; 3,3,1 gives one number per size.  \\[default: proposed with the sizes, else 3]",
            show_default=False,
        ),
    ] = None,
    gpu_hours: Annotated[
        float | None, typer.Option(help="Hours of training that the proposed pilots may take.", show_default=False)
    ] = None,
    seconds_per_iteration: Annotated[
        float | None, typer.Option(help="As dicecast doctor --benchmark measures it.", show_default=False)
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Fold models per run.  \\[default: 1, trained on all n cases]", show_default=False),
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(
            help="Rules for the folds: vote, logits, softmax; the first of several makes the curve.  \\[default: vote]",
            show_default=False,
        ),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            help="CSV with columns case, patient, ... ; cases of a patient stay on one side.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the test set, the draws and the trainings.  \\[default: 0]", show_default=False),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs.  \\[default: nnU-Net's 1000]", show_default=False)] = None,
    iterations: Annotated[
        int | None, typer.Option(help="Iterations per epoch.  \\[default: nnU-Net's 250]", show_default=False)
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size.  \\[default: the plan's]", show_default=False)] = None,
    features: Annotated[
        int | None, typer.Option(help="Width of the first network stage.  \\[default: the plan's]", show_default=False)
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="bfloat16: faster on CPUs that have it.  \\[default: nnU-Net's own]", show_default=False),
    ] = None,
    optimiser: Annotated[
        str | None, typer.Option(help="SGD or AdamW.  \\[default: nnU-Net's SGD]", show_default=False)
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Initial learning rate.", show_default=False)] = None,
    trainer: Annotated[
        str | None,
        typer.Option(
            help="A trainer of nnU-Net's by name (nnUNetTrainerNoDA: no augmentation), or file.py:Class.  "
            "\\[default: nnUNetTrainer]",
            show_default=False,
        ),
    ] = None,
    schedule_check: Annotated[
        bool | None,
        typer.Option(
            "--schedule-check/--no-schedule-check",
            help="Also train the smallest and largest size twice as long.  \\[default: yes]",
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


@app.command()
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
            help="On a cluster: stay until all trainings have ended.  \\[default: submit what is due, exit]",
            show_default=False,
        ),
    ] = None,
    jobs: Jobs = None,
    device: Device = None,
    gpus: Annotated[
        str | None, typer.Option(help="GPUs of this machine to use: 0,1  \\[default: all]", show_default=False)
    ] = None,
    runs_per_gpu: Annotated[
        int | None,
        typer.Option(
            help="Trainings that share a GPU of this machine.  \\[default: the study's, else 1]", show_default=False
        ),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="On a cluster: also try runs that were given up after three tries.")
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


@app.command("forecast")
@_guarded
def forecast_command(
    source: SourcePath,
    at: Annotated[str | None, typer.Option(help="Sizes to forecast the score at: 400,800", show_default=False)] = None,
    target_score: Annotated[
        float | None, typer.Option("--target", help="Score to find the necessary cases for.", show_default=False)
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
    metric: Annotated[
        str | None, typer.Option(help="Only this metric.  \\[default: those with a curve]", show_default=False)
    ] = None,
    test_set: TestSet = None,
    stratum: Stratum = None,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Count voxels over all test cases before taking the ratio.")
    ] = False,
    figures: Annotated[Path | None, typer.Option(help="Folder for a figure of each curve.", show_default=False)] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="For many curves: all by quadrature, no backtest, one line per curve.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(help="Processes for --quick.  \\[default: one per core]", show_default=False)
    ] = None,
    forecaster: Annotated[
        str,
        typer.Option(help="bayes: families of curves; lstm: a small network trained on other curves, for --at."),
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


@app.command()
@_guarded
def recommend(
    source: SourcePath,
    left: Left = None,
    per_case: Annotated[
        str | None,
        typer.Option(help="Cost of annotating a case; per arm: scratch=300,assisted=5", show_default=False),
    ] = None,
    per_round: PerRound = None,
    per_run: Annotated[
        float | None, typer.Option(help="Cost of computing a pilot run.  \\[default: 0]", show_default=False)
    ] = None,
    unit: Unit = None,
    budget: Annotated[float | None, typer.Option(help="What is left to spend.", show_default=False)] = None,
    target_score: Annotated[
        float | None,
        typer.Option("--target", help="Score to reach, instead of the plateau.", show_default=False),
    ] = None,
    per_point: PerPoint = None,
    rounds_left: Annotated[
        int | None, typer.Option(help="Rounds before the deadline.  \\[default: no deadline]", show_default=False)
    ] = None,
    look_ahead: Annotated[int, typer.Option(help="Rounds weighed at a time: 1 or 2.")] = 2,
    justify: Annotated[
        bool, typer.Option("--justify", help="Also write the sample size as a paragraph for a protocol or a paper.")
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


@app.command("report")
@_guarded
def report_command(
    source: SourcePath,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page; an earlier one is replaced.")] = Path(
        "report.html"
    ),
    title: Annotated[str | None, typer.Option(help="Its title.  \\[default: the question]", show_default=False)] = None,
    cases: Annotated[bool, typer.Option("--cases/--no-cases", help="Pictures of test cases, where images are.")] = True,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for every figure as PNG, SVG and PDF.", show_default=False)
    ] = None,
    left: Left = None,
    per_case: Annotated[
        str | None,
        typer.Option(help="Cost of annotating a case; per arm: scratch=300,assisted=5", show_default=False),
    ] = None,
    per_round: PerRound = None,
    unit: Unit = None,
    budget: Annotated[float | None, typer.Option(help="What is left to spend.", show_default=False)] = None,
    target_score: Annotated[
        float | None,
        typer.Option("--target", help="Score to reach, instead of the plateau.", show_default=False),
    ] = None,
    per_point: PerPoint = None,
    at: Annotated[str | None, typer.Option(help="Sizes to forecast the score at: 400,800", show_default=False)] = None,
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
    options = command.PageOptions(output, title, cases, figures)
    report, document, cannot_tell = command.report(source, wishes, asked, options, console(stderr=True))
    _show(report, document, target)
    return 3 if strict and cannot_tell else 0


@app.command()
@_guarded
def simulate(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Study folder, scores CSV or folder of nnU-Net results; without it a guess is needed.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[int | None, typer.Option(help="Guess: cases annotated at the start.", show_default=False)] = None,
    score: Annotated[
        str | None, typer.Option(help="Guess: score with them, a number or a range 0.65:0.75.", show_default=False)
    ] = None,
    ceiling: Annotated[
        str | None, typer.Option(help="Guess: score with endless cases, 0.85:0.92.", show_default=False)
    ] = None,
    plateau: Annotated[
        str | None, typer.Option(help="Guess: cases from which more add little, 150:600.", show_default=False)
    ] = None,
    run_sd: Annotated[
        float | None, typer.Option(help="Guess: SD of a single run's score at the start.  \\[default: 0.01]")
    ] = None,
    reach: Reach = None,
    target_score: Annotated[
        float | None, typer.Option("--target", help="Score to reach, instead of the plateau.", show_default=False)
    ] = None,
    per_point: PerPoint = None,
    per_case: PerCase = None,
    per_round: PerRound = None,
    unit: Unit = None,
    budgets: Annotated[
        str | None, typer.Option("--budget", help="One budget or several: 2000,4000,8000", show_default=False)
    ] = None,
    rounds: Annotated[int, typer.Option(help="Most rounds of a campaign.")] = 6,
    draws: Annotated[int, typer.Option(help="Draws trained at every size.")] = 3,
    campaigns: Annotated[int, typer.Option(help="Campaigns to play.")] = 100,
    compare: Annotated[bool, typer.Option("--compare", help="Also play simple rules on the same curves.")] = False,
    level: Level = None,
    eps: Eps = None,
    seed: Seed = None,
    arm: Arm = None,
    structure: Structure = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write a figure: FIGURE.svg, .png and .pdf.", show_default=False)
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes.  \\[default: one per core]", show_default=False)] = None,
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


@app.command()
@_guarded
def compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Studies, scores CSVs or folders of nnU-Net results; of several, each may be NAME=PATH.",
            show_default=False,
        ),
    ],
    arms: Annotated[
        str | None,
        typer.Option(help="Arms to compare, the reference first: 2d,3d_fullres  \\[default: all]", show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="Cases to compare at, up to 4 x the largest size: 100,200  \\[default: annotated now, twice as many, "
            "all]",
            show_default=False,
        ),
    ] = None,
    per_case: Annotated[
        str | None,
        typer.Option(
            help="Cost of annotating a case, of every arm or arm=number,arm=number.  \\[default: the study's]",
            show_default=False,
        ),
    ] = None,
    per_run: Annotated[
        str | None,
        typer.Option(
            help="Cost of training once, likewise.  \\[default: what the study's runs took, at its per_gpu_hour]",
            show_default=False,
        ),
    ] = None,
    spend: Annotated[
        str | None,
        typer.Option(help="What may be spent from now on, to compare at the same cost: 1000,4000", show_default=False),
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
    metric: Annotated[
        str | None, typer.Option(help="Only this metric.  \\[default: those with a curve]", show_default=False)
    ] = None,
    test_set: TestSet = None,
    stratum: Stratum = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also draw the comparison, as SVG, PNG and PDF.", show_default=False),
    ] = None,
    target: Json = None,
    strict: Strict = False,
) -> int:
    """Compare arms or studies (2D vs 3D, CT vs MR, ...): which reaches more, which needs fewer cases, which to run.

    RUN names the arm that is the best with a probability of at least 0.8 in the last line: at the most cases,
    or for the most money where costs are known (all costs in one unit).
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


@app.command("agreement")
@_guarded
def agreement_command(
    source: SourcePath,
    arm: Arm = None,
    structure: Structure = None,
    n: Annotated[
        int | None,
        typer.Option("--n", help="Annotated cases used.  \\[default: the most of each arm]", show_default=False),
    ] = None,
    draw: Annotated[
        int | None, typer.Option(help="A single draw.  \\[default: averaged over draws]", show_default=False)
    ] = None,
    test_set: TestSet = None,
    stratum: Stratum = None,
    metric: Annotated[
        str | None,
        typer.Option(help="What sizes and annotators are compared by.  \\[default: dice]", show_default=False),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Also write figures (SVG, PNG and PDF) into this folder.", show_default=False)
    ] = None,
    target: Json = None,
) -> None:
    """Agreement with the reference: every metric, volumes (Bland-Altman), Dice by volume, sizes, annotators."""
    from .adapters.agreement import agreement
    from .adapters.sources import Wishes

    wishes = Wishes(arm=arm, structure=structure, metric=metric, test_set=test_set, stratum=stratum)
    _show(*agreement(source, wishes, n, draw, figures, console(stderr=True)), target)


@app.command()
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


@app.command()
@_guarded
def cancel(study: StudyPath, target: Json = None) -> None:
    """Stop the study's trainings, here or on a cluster. What was trained is kept; run goes on from there."""
    from .adapters import study_commands

    _show(*study_commands.cancel(study), target)


@app.command(hidden=True)
@_guarded
def work(
    study: StudyPath,
    run: Annotated[str, typer.Argument(help="Run folder within the study, or preparation.", show_default=False)],
) -> int:
    """Do one run of a study, or prepare it: what a job of a cluster calls."""
    from .adapters.work import work

    return work(study, run)


@app.command()
@_guarded
def doctor(
    dataset: Annotated[
        Path | None, typer.Option(help="Also check this nnU-Net raw dataset.", show_default=False)
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


@app.command()
@_guarded
def example(
    name: Annotated[
        str,
        typer.Argument(
            help="phantom: a generated CT phantom; healthy: the same without tumours; hippocampus: real MR volumes, "
            "downloaded.",
            show_default=False,
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="New dataset folder.", show_default=False)],
    cases: Annotated[int, typer.Option(help="Number of generated cases.", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="Seed; a case depends on the seed and its number only.")] = 0,
    archive: Annotated[
        Path | None, typer.Option(help="Task04_Hippocampus.tar, where it was downloaded already.", show_default=False)
    ] = None,
) -> None:
    """Write or fetch an example dataset in nnU-Net raw layout."""
    from .adapters import data_commands

    console().print(data_commands.example(name, folder, cases, seed, archive))


@app.command()
@_guarded
def convert(
    task: Annotated[Path, typer.Argument(help="Folder of a Decathlon (MSD) task, such as Task04.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="New dataset folder.", show_default=False)],
) -> None:
    """Convert a Medical Segmentation Decathlon task to nnU-Net raw layout, by nnU-Net's own tool."""
    from .adapters import data_commands

    console().print(data_commands.convert(task, folder))


@app.command("import")
@_guarded
def import_command(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Trained models, folders of predictions, or parents of them.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Scores CSV to write.")] = Path("scores.csv"),
    n: Annotated[
        str | None,
        typer.Option("--n", help="Annotated cases of each result, in order: 50,100.  \\[default: from the splits]"),
    ] = None,
    arms: Annotated[
        str | None, typer.Option(help="Name of every result's arm, or one for all.", show_default=False)
    ] = None,
    dataset_json: Annotated[
        Path | None, typer.Option(help="dataset.json that names the labels.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Gather the scores of finished nnU-Net results (summary.json) in a scores CSV."""
    from .adapters import data_commands

    console().print(data_commands.import_results(folders, output, n, arms, dataset_json, force=force))


def main() -> None:
    """Entry point of the console script."""
    tolerate()
    app()


if __name__ == "__main__":
    main()
