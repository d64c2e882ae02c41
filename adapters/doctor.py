"""What is installed here, which device would be used, and whether a dataset is usable."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from .. import __version__
from ..forecast.errors import DicecastError, install_words
from .examples.phantom import write_phantom
from .execution.slots import cores
from .files import read_json
from .initialise import create_study
from .loop import RunOptions, Watchers, run_study
from .new_study import NewStudy
from .nnunet import detect_device, require_nnunet
from .nnunet.checks import check_cases
from .nnunet.dataset import read_dataset
from .places import Wanted
from .run_folders import run_folder
from .terminal.fitted_table import FittedTable
from .terminal.screen import DOUBT

PACKAGES = ("numpy", "scipy", "pandas", "lmfit", "emcee", "rich", "typer", "matplotlib", "torch", "nnunetv2")


def examine(dataset: Path | None, *, benchmark: bool) -> tuple[RenderableType, dict[str, Any], bool]:
    """Look around.

    Returns:
        Report, document, and whether everything asked about is usable.
    """
    found: dict[str, Any] = {
        "dicecast": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "cores": cores(),
        "memory_gb": _memory_gb(),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "device": _device(),
    }
    problems = []
    if dataset is not None:
        found["dataset"], problem = _examine_dataset(dataset)
        problems += [problem] if problem else []
    if benchmark:
        require_nnunet()
        found["seconds_per_iteration"] = _benchmark(str(found["device"]))
    return _report(found, problems), {**found, "problems": problems}, not problems


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _device() -> str | None:
    return None if importlib.util.find_spec("torch") is None else detect_device()


def _examine_dataset(folder: Path) -> tuple[dict[str, Any], str | None]:
    try:
        dataset = read_dataset(folder)
        require_nnunet()
        facts = list(check_cases(dataset, dataset.cases))
    except DicecastError as error:
        return {"folder": str(folder), "usable": False}, str(error)
    warnings = [warning for fact in facts for warning in fact.warnings]
    return {
        "folder": str(dataset.folder),
        "usable": True,
        "cases": len(dataset.cases),
        "channels": list(dataset.declared["channel_names"].values()),
        "structures": list(dataset.structures),
        "without_foreground": [fact.case for fact in facts if not fact.has_foreground],
        "warnings": warnings,
    }, None


def _benchmark(device: str) -> dict[str, float]:
    """Seconds per training iteration of nnU-Net's own plans on a small phantom, per configuration."""
    seconds = {}
    with tempfile.TemporaryDirectory() as scratch:
        dataset = write_phantom(Path(scratch) / "phantom", 6)
        for configuration in ("2d", "3d_fullres"):
            training = {"epochs": 3, "iterations": 4}
            asked = NewStudy(
                Path(scratch) / configuration,
                dataset,
                1,
                (configuration,),
                (4,),
                1,
                training=training,
                schedule_check=False,
            )
            study = create_study(asked).study
            run_study(study, RunOptions(wanted=Wanted(engine="local", jobs=1, device=device)), Watchers())
            made = read_json(run_folder(study, configuration, 4, 0) / "run.json")
            seconds[configuration] = made["seconds_per_iteration"]
    return seconds


def _report(found: dict[str, Any], problems: list[str]) -> RenderableType:
    table = FittedTable(show_header=False)
    table.add_row("dicecast", f"{found['dicecast']} on Python {found['python']}")
    missing = [name for name, version in found["packages"].items() if version is None]
    table.add_row("packages", ", ".join(f"{n} {v}" for n, v in found["packages"].items() if v))
    table.add_row(
        "machine", f"{found['cores']} cores, {found['memory_gb']} GB memory, {found['free_disk_gb']} GB free disk here"
    )
    table.add_row("device", found["device"] or "none: torch is not installed")
    for configuration, seconds in found.get("seconds_per_iteration", {}).items():
        hours = seconds * 1000 * 250 / 3600
        words = f"{seconds:g} s per iteration with nnU-Net's own plan on a small phantom: {hours:.1f} h for a run of"
        table.add_row(configuration, f"{words} 1000 x 250 (init --gpu-hours H --seconds-per-iteration {seconds:g})")
    dataset = found.get("dataset")
    if dataset and dataset["usable"]:
        table.add_row(
            "dataset",
            f"usable: {dataset['cases']} cases, channels {', '.join(dataset['channels'])}, "
            f"structures {', '.join(dataset['structures'])}",
        )
    lines: list[RenderableType] = [table]
    if {"torch", "nnunetv2"} & set(missing):
        lines.append(
            Text(
                "Training is not possible here, forecasting a CSV is. Install nnU-Net and torch "
                f"{install_words('nnunet')}.",
                DOUBT,
            )
        )
    lines += [Text(f"warning: {w}", DOUBT) for w in (dataset or {}).get("warnings", [])[:10]]
    lines += [Text(f"problem: {problem}", "red") for problem in problems]
    if not problems:
        lines.append(Text("No problems found.", "green"))
    return Group(*lines)
