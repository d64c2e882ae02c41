"""A study on this machine that is killed again and again, at any moment, and is none the worse for it."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dicecast.tests.tiny_study import (
    PATIENCE,
    Running,
    completed,
    in_training,
    initialise,
    read,
    results,
    run,
    running,
    write_dataset,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"),
]
KILLS = 30
RUNS = 4


def is_checkpointing(study: Path) -> bool:
    return any(study.glob("runs/2d/*/*/models/*/*/fold_0/checkpoint_*.pth.writing-*"))


def is_predicting(study: Path) -> bool:
    return any(
        any(folder.glob("predictions/test/*")) and not (folder / "scores.csv").exists()
        for folder in study.glob("runs/2d/*/draw*")
    )


def is_scoring(study: Path) -> bool:
    return any(
        (folder / "losses.png").exists()
        and len(list(folder.glob("predictions/test/[!.]*"))) == 4
        and not (folder / "run.json").exists()
        for folder in study.glob("runs/2d/*/draw*")
    )


def is_forecasting(study: Path) -> bool:
    return len(completed(study)) == RUNS and not (study / "report.txt").exists()


PHASES: dict[str, Callable[[Path], bool]] = {
    "any": lambda study: True,
    "training": in_training,
    "checkpointing": is_checkpointing,
    "prediction": is_predicting,
    "scoring": is_scoring,
    "forecasting": is_forecasting,
}


def files_of(study: Path) -> set[str]:
    """Every file of a study; nnU-Net starts a log of its own at every attempt."""
    names = {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()}
    return {name for name in names if not re.search(r"/training_log_\w+\.txt$", name)}


def strike(attempt: Running, study: Path, phase: str, rng: random.Random) -> str | None:
    """Kill the command, or one of its workers, in a phase of the study; None where the study was done before."""
    end = time.monotonic() + rng.uniform(0, 9) if phase == "any" else time.monotonic() + 60
    while attempt.process.poll() is None:
        reached = time.monotonic() > end if phase == "any" else PHASES[phase](study)
        if reached or time.monotonic() > end:
            break
        time.sleep(0.002)
    if phase != "forecasting":
        time.sleep(rng.choice([0, 0, rng.uniform(0, 0.3)]))
    if attempt.process.poll() is not None:
        return None
    victims = attempt.alive
    victim = rng.choice([attempt.process.pid, rng.choice(victims or [attempt.process.pid])])
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return None
    return "the command" if victim == attempt.process.pid else "a process of its own"


def test_thirty_kills_at_random_moments_change_no_score_and_leave_nothing_behind(tmp_path: Path) -> None:
    dataset, quiet = write_dataset(tmp_path / "dataset"), tmp_path / "quiet"
    initialise(quiet, dataset)
    run(quiet)
    rng, struck, finished = random.Random(7), Counter[tuple[str, str]](), 0
    while struck.total() < KILLS or finished == 0:
        study = tmp_path / f"study{finished}"
        if not study.exists():
            initialise(study, dataset)
        with running(study) as attempt:
            while struck.total() < KILLS and attempt.process.poll() is None:
                met = Counter(phase for phase, _ in struck.elements())
                phase = rng.choice([one for one in PHASES if met[one] == min(met[each] for each in PHASES)])
                victim = strike(attempt, study, phase, rng)
                if victim is not None:
                    struck[phase, victim] += 1
                if victim == "the command":
                    attempt.process.wait()
            code = attempt.process.wait(timeout=300)
            assert not attempt.left_after(PATIENCE), "orphans"
        # 1: a process was killed that no run can do without, or one run three times without getting further
        assert code in (0, 1, -signal.SIGKILL), attempt.errors.read_text()
        if code == 0:
            assert results(study) == results(quiet)
            assert read(study / "rounds/0.json")["forecast"] == read(quiet / "rounds/0.json")["forecast"]
            assert files_of(study) == files_of(quiet)
            finished += 1
    print(f"{finished} studies survived {dict(struck)}")
    assert {phase for phase, _ in struck} == set(PHASES)
