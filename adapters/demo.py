"""`dicecast demo`: a complete adaptive study on the renal phantom, with real nnU-Net trainings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from . import loop
from .commands import keep_report
from .conclusion import Round
from .examples.phantom import write_phantom
from .html.command import keep_page
from .initialise import create_study
from .new_study import NewStudy, TrainingKeys
from .nnunet import require_nnunet
from .places import Wanted
from .progress import run_display
from .study import Study, open_study


@dataclass(frozen=True)
class DemoPlan:
    """How large a demo is."""

    cases: int
    test: int
    configurations: tuple[str, ...]
    sizes: tuple[int, ...]
    draws: list[int]
    structures: tuple[str, ...]
    training: TrainingKeys
    arm_training: dict[str, TrainingKeys]


TITLE = "Renal phantom: how many annotated cases are enough?"
"""Of the demo's page."""
TRAINING: TrainingKeys = {
    "epochs": 30,
    "iterations": 20,
    "batch": 12,
    "features": 16,
    "convolutions": 1,
    "optimiser": "AdamW",
    "learning_rate": 0.008,
}
"""Small and fast, yet long enough that cases and not iterations limit the phantom's Dice (which is also why
the demo trains without augmentation)."""
QUICK = DemoPlan(60, 20, ("2d",), (4, 6, 10), [3, 3, 2], ("kidney", "tumour"), TRAINING, {})
FULL = DemoPlan(
    68, 20, ("2d", "3d_fullres"), (4, 6, 8, 12), [4, 4, 4, 3], (), TRAINING, {"3d_fullres": {"batch": 2, "features": 8}}
)


def run_demo(folder: Path, *, full: bool, jobs: int | None, device: str | None, console: Console) -> None:
    """Make the phantom and the study if they are not there, run it as a replay, report.

    Raises:
        InputError: `folder` holds something else, or nnU-Net is not installed.
        WorkError: A training failed.
    """
    require_nnunet()
    plan = FULL if full else QUICK
    console.print(
        f"A phantom of {plan.cases} CT volumes with kidneys, tumours and cysts; {plan.test} are held out, the rest is "
        "revealed round by round.\nEvery score below comes from a real nnU-Net training on this machine.",
        highlight=False,
    )
    study = _study(folder, plan)
    with run_display(console) as watchers:
        wanted = Wanted(engine="local", jobs=jobs, device=device)
        result = loop.run_study(study, loop.RunOptions(replay=True, wanted=wanted), watchers)
    assert isinstance(result, Round)  # on this machine trainings are waited for
    console.print(keep_report(result))
    console.print(keep_page(result, console, TITLE), soft_wrap=True)


def _study(folder: Path, plan: DemoPlan) -> Study:
    target, dataset = folder / "study", folder / "phantom"
    if (target / "study.toml").exists():
        return open_study(target)
    write_phantom(dataset, plan.cases)
    asked = NewStudy(
        folder=target,
        dataset=dataset,
        test=plan.test,
        configurations=plan.configurations,
        sizes=plan.sizes,
        draws=plan.draws,
        structures=plan.structures,
        trainer="nnUNetTrainerNoDA",
        training=plan.training,
        arm_training=plan.arm_training,
    )
    return create_study(asked).study
