"""What is installed here, which device would be used, and whether a dataset is usable."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .. import __version__
from ..forecast.errors import DicecastError
from .execution import Task, default_jobs, open_workers
from .files import read_json
from .nnunet import require_nnunet
from .nnunet.checks import check_cases
from .nnunet.dataset import read_dataset

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
        "cores": default_jobs("cpu"),
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
        found["seconds_per_iteration"] = _benchmark(found["device"])
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
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    if torch.cuda.is_available():
        return f"cuda ({torch.cuda.get_device_name(0)})"
    return "mps" if torch.backends.mps.is_available() else "cpu"


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


def _benchmark(device: str | None) -> dict[str, float]:
    """Seconds per training iteration of nnU-Net's own plans on a small phantom, per configuration."""
    from .examples.phantom import write_phantom
    from .initialise import NewStudy, create_study
    from .nnunet.pilot import run_pilot
    from .nnunet.planning import make_plans
    from .study import pilot_specs

    kind = (device or "cpu").split()[0]
    with tempfile.TemporaryDirectory() as scratch, open_workers(1, single_threaded=kind == "cpu") as pool:
        dataset_folder = write_phantom(Path(scratch) / "phantom", 5)
        training = {"epochs": 1, "iterations": 10}
        asked = NewStudy(Path(scratch) / "study", dataset_folder, 1, ("2d", "3d_fullres"), (4,), 1, training=training)
        study = create_study(asked).study
        dataset = read_dataset(dataset_folder)
        declared = dict(dataset.declared)
        pool.run([Task("planning", make_plans, (study.workspace, declared, dict(dataset.cases)))]).raise_first()
        from .campaign import preprocessing_tasks
        from .nnunet.planning import read_plans

        pool.run(preprocessing_tasks(study, dataset, read_plans(study.workspace))).raise_first()
        seconds = {}
        for spec in pilot_specs(study, dataset, kind, 0):
            started = time.time()
            pool.run([Task(spec.name, run_pilot, (spec,))]).raise_first()
            took = read_json(spec.folder / "run.json")["seconds"].get("training", time.time() - started)
            seconds[spec.configuration] = round(took / training["iterations"], 3)
    return seconds


def _report(found: dict[str, Any], problems: list[str]) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("dicecast", f"{found['dicecast']} on Python {found['python']}")
    missing = [name for name, version in found["packages"].items() if version is None]
    table.add_row("packages", ", ".join(f"{n} {v}" for n, v in found["packages"].items() if v))
    table.add_row(
        "machine", f"{found['cores']} cores, {found['memory_gb']} GB memory, {found['free_disk_gb']} GB free disk here"
    )
    table.add_row("device", found["device"] or "none: torch is not installed")
    for configuration, seconds in found.get("seconds_per_iteration", {}).items():
        table.add_row(f"{configuration}", f"{seconds:g} s per iteration with nnU-Net's own plan on a small phantom")
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
            Text("Training is not possible here: pip install 'dicecast[nnunet]'. Forecasting a CSV is.", "yellow")
        )
    lines += [Text(f"warning: {w}", "yellow") for w in (dataset or {}).get("warnings", [])[:10]]
    lines += [Text(f"problem: {problem}", "red") for problem in problems]
    if not problems:
        lines.append(Text("No problems found.", "green"))
    return Group(*lines)
