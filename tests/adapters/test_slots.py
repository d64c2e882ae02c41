"""Which worker gets which GPU: real workers beside each other, on devices that are only names."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import pytest

from dicecast.adapters.execution.slots import augmentation_workers, cores, slots_of, visible_gpus
from dicecast.adapters.execution.workers import Task, open_workers
from dicecast.forecast.errors import InputError

TRAINING = """
import json, os, time
from pathlib import Path
began = time.time()
time.sleep(0.4)
told = {{"gpu": os.environ["CUDA_VISIBLE_DEVICES"], "pid": os.getpid(), "began": began, "ended": time.time()}}
Path({place!r}, {name!r}).write_text(json.dumps(told))
"""


def trained(folder: Path, slots: list[dict[str, str]], runs: int) -> list[dict[str, float | str]]:
    """What as many runs told of their GPU and their time."""
    code = [TRAINING.format(place=str(folder), name=str(number)) for number in range(runs)]
    with open_workers(slots) as workers:
        outcome = workers.run([Task(str(number), builtins.exec, (text,)) for number, text in enumerate(code)])
    outcome.raise_first()
    return [json.loads((folder / str(number)).read_text()) for number in range(runs)]


def at_once(runs: list[dict[str, float | str]]) -> int:
    """The most that were training at the same moment."""
    return max(sum(one["began"] <= run["began"] < one["ended"] for one in runs) for run in runs)  # type: ignore[operator]


@pytest.mark.parametrize(("gpus", "each"), [(["0", "1"], 1), (["3", "GPU-5a"], 2)])
def test_every_run_sees_one_gpu_and_no_gpu_has_more_runs_than_it_takes(
    tmp_path: Path, gpus: list[str], each: int
) -> None:
    found = trained(tmp_path, slots_of("cuda", None, gpus, each), 8)
    assert {one["gpu"] for one in found} == set(gpus)
    for gpu in gpus:
        assert at_once([one for one in found if one["gpu"] == gpu]) <= each
    assert len({one["pid"] for one in found}) <= len(gpus) * each, "a worker does one run after the other"


def test_jobs_are_spread_over_the_gpus() -> None:
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots_of("cuda", 3, ["0", "1"], 2)] == ["0", "1", "0"]
    with pytest.raises(InputError, match="runs-per-gpu"):
        slots_of("cuda", 5, ["0", "1"], 2)


def test_workers_on_a_cpu_have_one_thread_and_no_word_about_gpus() -> None:
    slots = slots_of("cpu", 2, [], 1)
    assert len(slots) == 2
    assert all(slot["OMP_NUM_THREADS"] == "1" and "CUDA_VISIBLE_DEVICES" not in slot for slot in slots)


def test_the_gpus_are_those_that_the_environment_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert visible_gpus() == ["2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_a_job_has_as_many_cores_as_slurm_grants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert cores() == 1
    assert augmentation_workers("cuda", 1) == 1
    assert augmentation_workers("cpu", 1) == 0
