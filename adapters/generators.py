"""Letting a command, a Python function or the built-in lesion generator write extra cases."""

from __future__ import annotations

import importlib
import importlib.util
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..forecast.errors import InputError, WorkError
from .nnunet.checks import check_cases, shared_image
from .nnunet.dataset import NnunetDataset, read_dataset
from .nnunet.environment import output_to
from .sections import ExtraCasesSection


def generate(
    section: ExtraCasesSection,
    like: NnunetDataset,
    folder: Path,
    log: Path,
    count: int,
    start: int,
    seed: int,
    used: Mapping[str, str],
) -> None:
    """Write cases `start` to `start + count - 1` as an nnU-Net raw dataset.

    Args:
        section: Names the generator.
        like: The study's dataset.
        folder: Where to write; there and empty.
        log: Takes what the generator prints.
        count: How many cases.
        start: Number of the first.
        seed: Seed of the whole set.
        used: Digest of every image of the study, by case: the built-in generator takes none of them.

    Raises:
        InputError: No such command, function or healthy cases.
        WorkError: The generator failed.
    """
    if section.lesions is not None:
        _lesions(section, like, folder, count, start, seed, used)
    elif section.callable is not None:
        _call(section.callable, folder, log, count, start, seed)
    else:
        assert section.command is not None
        _command(section.command, folder, log, count, start, seed)


def _lesions(
    section: ExtraCasesSection,
    like: NnunetDataset,
    folder: Path,
    count: int,
    start: int,
    seed: int,
    used: Mapping[str, str],
) -> None:
    from .examples.synthetic import write_synthetic

    assert section.lesions is not None and section.organ is not None and section.lesion is not None
    healthy = read_dataset(Path(section.lesions).expanduser())
    same = shared_image({fact.case: fact.digest for fact in check_cases(healthy, healthy.cases)}, used)
    if same is not None:
        raise InputError(
            f"{healthy.folder}: healthy case {same[0]!r} is the image of case {same[1]!r} of the study: lesions must "
            "be blended into images that are neither trained on nor tested on. Remove it."
        )
    write_synthetic(
        healthy.cases, like.declared, folder, count, seed, start, organ=section.organ, lesion=section.lesion
    )


def _call(target: str, folder: Path, log: Path, count: int, start: int, seed: int) -> None:
    module, _, function = target.rpartition(":")
    try:
        if module.endswith(".py"):
            spec = importlib.util.spec_from_file_location(f"dicecast_extra_{Path(module).stem}", Path(module))
            assert spec is not None and spec.loader is not None
            found = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found)
        else:
            found = importlib.import_module(module)
        write = getattr(found, function)
    except (ImportError, OSError, AttributeError, ValueError) as error:
        raise InputError(
            f"extra_cases.callable must be module:function or file.py:function, found {target!r}: {error}. Correct it."
        ) from error
    try:
        with output_to(log):
            write(folder=folder, count=count, start=start, seed=seed)
    except Exception as error:  # whatever the user's function raises
        raise WorkError(f"extra_cases.callable {target!r} failed: {type(error).__name__}: {error}.") from error


def _command(template: str, folder: Path, log: Path, count: int, start: int, seed: int) -> None:
    values = {"folder": str(folder), "count": str(count), "start": str(start), "seed": str(seed)}
    try:
        words = [word.format(**values) for word in shlex.split(template)]
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"extra_cases.command may hold {{folder}}, {{count}}, {{start}} and {{seed}}, found {template!r}: {error}."
        ) from error
    try:
        with log.open("ab") as stream:
            done = subprocess.run(words, stdout=stream, stderr=stream, check=False)
    except OSError as error:
        raise InputError(f"extra_cases.command cannot be started: {words[0]}: {error.strerror}.") from error
    if done.returncode:
        raise WorkError(
            f"extra_cases.command ended with exit code {done.returncode}: {shlex.join(words)}. Its output is in {log}."
        )
