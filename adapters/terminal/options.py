"""The arguments and options that several commands share."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from .help import CLUSTER, COSTS, HOW, OUTPUT, WHICH

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="Study folder.", show_default=False)]
SourcePath = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="Study folder, scores CSV (also .csv.gz) or folder of nnU-Net results.",
        show_default=False,
    ),
]


ANSWER = re.compile(rb'\s*\{\s*"dicecast":')
"""How a JSON file begins that a command has written."""


def _json_target(target: str | None) -> str | None:
    """Refuse a file that holds anything but an earlier answer, such as the record of a run, before all else."""
    if target in (None, "-"):
        return target
    path = Path(str(target))
    if path.is_file() and os.access(path, os.R_OK) and path.stat().st_size:
        with path.open("rb") as file:
            start = file.read(64)
        if not ANSWER.match(start):
            raise typer.BadParameter(
                f"must name a new file or an earlier answer of dicecast, found {path}, which holds something else."
            )
    return target


Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Also write the answer as JSON; - writes only JSON, to standard output.",
        callback=_json_target,
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", rich_help_panel=OUTPUT, help="Exit with code 3 when the answer is CANNOT TELL."),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        rich_help_panel=HOW,
        help="Seed of the sampler; the same seed gives the same numbers. \\[default: the study's, else 0]",
        show_default=False,
    ),
]
Level = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        rich_help_panel=HOW,
        help="Probability of every interval, 0 to 1. \\[default: the study's, else 0.9]",
        show_default=False,
    ),
]
Eps = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE",
        rich_help_panel=HOW,
        help="Cases are enough when all further ones would add at most this to the score. "
        "\\[default: the study's, else 0.01]",
        show_default=False,
    ),
]
Annotated_ = Annotated[
    int | None,
    typer.Option(
        "--annotated",
        metavar="CASES",
        help="Cases annotated now. \\[default: the largest size]",
        show_default=False,
    ),
]
Reach = Annotated[
    int | None,
    typer.Option(
        "--reach",
        metavar="CASES",
        help="Cases you could ever annotate, those of now included. \\[default: 4 x the largest size]",
        show_default=False,
    ),
]
Family = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=HOW,
        help="Forecast with one family by MCMC: exponential (the named model), stretched-exponential, power-law, hill, "
        "inverse-log. \\[default: average, their weighted average]",
        show_default=False,
    ),
]
Scope = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=HOW,
        help="test-set: the mean on this test set; population: also which patients it holds. \\[default: test-set]",
        show_default=False,
    ),
]
Arm = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=WHICH,
        help="Only this arm: a way of training, such as 2d or 3d_fullres.",
        show_default=False,
    ),
]
Structure = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=WHICH, help="Only this structure: what is segmented.", show_default=False
    ),
]
TestSet = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=WHICH,
        help="Only this test set, such as cross-validation.",
        show_default=False,
    ),
]
Stratum = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=WHICH,
        help="Only this part of the test set (a stratum); all: the whole of it.",
        show_default=False,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=WHICH,
        help="By this metric. \\[default: the study's, else dice]",
        show_default=False,
    ),
]
OnlyMetric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=WHICH,
        help="Only this metric. \\[default: those with a curve]",
        show_default=False,
    ),
]
At = Annotated[
    str | None,
    typer.Option(metavar="SIZES", help="Numbers of cases to forecast the score at: 400,800", show_default=False),
]
Left = Annotated[
    int | None,
    typer.Option(
        metavar="CASES",
        help="Cases that could still be annotated; 0: none. \\[default: unknown, then 4 x the largest size in all]",
        show_default=False,
    ),
]
Target = Annotated[
    float | None,
    typer.Option(
        "--target",
        metavar="SCORE",
        rich_help_panel=COSTS,
        help="Score to reach, instead of the plateau.",
        show_default=False,
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        metavar="AMOUNT",
        rich_help_panel=COSTS,
        help="What is left to spend, in the unit of the costs.",
        show_default=False,
    ),
]
PerCase = Annotated[
    float | None,
    typer.Option(metavar="AMOUNT", rich_help_panel=COSTS, help="Cost of annotating a case.", show_default=False),
]
PerCaseByArm = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT",
        rich_help_panel=COSTS,
        help="Cost of annotating a case; per arm: scratch=300,assisted=5",
        show_default=False,
    ),
]
PerRound = Annotated[
    float | None,
    typer.Option(
        metavar="AMOUNT",
        rich_help_panel=COSTS,
        help="Cost of a round besides its cases (waiting, meetings). \\[default: weighed as 5 % of annotating "
        "everything]",
        show_default=False,
    ),
]
PerPoint = Annotated[
    float | None,
    typer.Option(
        metavar="AMOUNT",
        rich_help_panel=COSTS,
        help="What a point (0.01) of score is worth: annotate as long as that pays, instead of to the plateau.",
        show_default=False,
    ),
]
Unit = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=COSTS,
        help="Unit of the costs: EUR, minutes, ... \\[default: the study's, else EUR]",
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        rich_help_panel=CLUSTER,
        help="Trainings at the same time. \\[default: one per core or GPU; on a cluster 256]",
        show_default=False,
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=CLUSTER,
        help="local: this machine; slurm: a cluster. \\[default: the study's]",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=CLUSTER,
        help="auto, cpu, cuda or mps. \\[default: the study's]",
        show_default=False,
    ),
]
