"""Studies on a real SLURM of two virtual nodes, which loses jobs, nodes and its controller while they train."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dicecast.adapters.execution.batches import Batch, last_entries, read_batches
from dicecast.tests.slurm_cluster import Cluster, running_cluster
from dicecast.tests.tiny_study import dicecast, edit, initialise, read, results, run, running, write_dataset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not Cluster.available(), reason="needs root and Debian's packages slurm-wlm and munge"),
]
ON_CLUSTER = ("--engine", "slurm")
EPOCHS, SIZES, DRAWS = 20, (3, 6, 12), 4
RUNS = [f"runs/2d/n{n}/draw{draw}" for n in SIZES for draw in range(DRAWS)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(tmp_path / "slurm", gpus=1) as made:
        yield made


def on_cluster(study: Path, **keys: object) -> Path:
    """Have a study's jobs ask for a GPU and a minute, on a CPU device."""
    edit(study, 'device = "auto"', 'device = "cpu"')
    asked = {"time": 60, "gres": "gpu:1", **keys}
    lines = [f"{key} = {json.dumps(value)}" for key, value in asked.items()]
    edit(study, "[execution.slurm] ", "\n".join(["[execution.slurm]", *lines, "#"]))
    return study


def tiny_study(folder: Path, **keys: object) -> Path:
    """Three runs of a second each."""
    initialise(folder / "study", write_dataset(folder / "dataset"), draws="1")
    return on_cluster(folder / "study", **keys)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, planned and preprocessed."""
    folder = tmp_path_factory.mktemp("planned")
    initialise(folder / "study", write_dataset(folder / "dataset"), draws="1")
    assert dicecast("work", folder / "study", "preparation").returncode == 0
    return folder / "study"


@pytest.fixture
def prepared(planned: Path, tmp_path: Path) -> Path:
    """A copy that asks for jobs."""
    shutil.copytree(planned, tmp_path / "study")
    return on_cluster(tmp_path / "study")


def training_of(study: Path, name: str) -> dict[str, Any] | None:
    """What the process that trains a run last wrote, while it trains."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        found = read(study / name / "progress.json")
        return dict(found) if 0 < found["epochs_saved"] < found["epochs"] else None
    return None


def in_training(study: Path, *, on: str = "") -> str | None:
    """A run in the first half of its training, with a checkpoint; only of that node where one is named."""
    for name in RUNS:
        found = training_of(study, name)
        if found and found["epochs_saved"] > found["epochs"] / 2:
            continue  # it would soon be done
        with contextlib.suppress(OSError):  # it may have ended between two looks
            if found and on in Path(f"/proc/{found['pid']}/environ").read_text(errors="replace"):
                return name
    return None


def attempts(study: Path, name: str) -> int:
    return int(read(study / name / "run.json")["attempts"])


def log_of(study: Path, name: str) -> str:
    return (study / name / "log.txt").read_text(errors="replace")


def wait_for(cluster: Cluster, study: Path, *, on: str = "") -> str:
    return str(cluster.wait(lambda: in_training(study, on=on), 200))


def process_of(study: Path, name: str) -> int:
    found = training_of(study, name)
    assert found is not None, f"{name} has ended"
    return int(found["pid"])


def task_of(study: Path, name: str) -> tuple[Batch, int]:
    return last_entries(read_batches(study))[name]


def restarts(cluster: Cluster, task: tuple[Batch, int]) -> int:
    batch, index = task
    return int(cluster.job(f"{batch.job}_{index}")["Restarts"])


def test_a_study_that_loses_jobs_nodes_submitter_and_controller_gets_the_scores_of_an_undisturbed_one(
    cluster: Cluster, tmp_path: Path
) -> None:
    dataset, study, quiet = tmp_path / "phantom", tmp_path / "study", tmp_path / "quiet"
    assert dicecast("example", "phantom", dataset, "--cases", 16).returncode == 0
    initialise(study, dataset, sizes=",".join(map(str, SIZES)), draws=str(DRAWS), epochs=EPOCHS)
    shutil.copytree(study, quiet)
    # SLURM counts in minutes and gives notice up to a minute early; planning must fit in on a busy machine
    on_cluster(study, time=2)

    with running(study, *ON_CLUSTER, "--wait", **cluster.environment) as submitter:
        killed = wait_for(cluster, study)
        os.kill(process_of(study, killed), signal.SIGKILL)
        time.sleep(1)
        submitter.process.kill()
    with running(study, *ON_CLUSTER, "--wait", **cluster.environment) as submitter:
        slow = wait_for(cluster, study)
        process, timed_out = process_of(study, slow), task_of(study, slow)
        os.kill(process, signal.SIGSTOP)  # held up until SLURM gives notice of the time limit
        cluster.wait(lambda: "is timed-out" in timed_out[0].log(timed_out[1]).read_text(errors="replace"), 180)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)

        lost = wait_for(cluster, study, on="SLURMD_NODENAME=n2")
        process, orphaned = process_of(study, lost), task_of(study, lost)
        cluster.node_kill("n2")
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)  # not done before SLURM has missed its node
        cluster.wait(lambda: cluster.nodes()["n2"].startswith("down"), 90)
        cluster.node_start("n2")
        cluster.wait(lambda: restarts(cluster, orphaned) >= 1, 90)
        with contextlib.suppress(ProcessLookupError):  # the kernel may hang up on it with its job's shell
            os.kill(process, signal.SIGCONT)  # it goes on, beside the run that SLURM starts once more

        cluster.controller_stop(kill=True)
        time.sleep(10)
        cluster.controller_start()
        assert submitter.process.wait(timeout=600) == 0, submitter.errors.read_text()
        told = " ".join(submitter.errors.read_text().split())

    run(quiet)
    assert set(results(quiet)) == set(RUNS)
    assert results(study) == results(quiet)
    # every run once in the scores
    scores = pd.read_csv(study / "scores.csv")
    keys = ["arm", "n_cases", "draw", "structure", "metric", "test_set", "case"]
    assert not scores.duplicated(keys).any()
    assert scores.equals(pd.read_csv(quiet / "scores.csv"))
    assert len(scores[["n_cases", "draw"]].drop_duplicates()) == len(RUNS)
    # all of it happened
    assert attempts(study, killed) >= 2 and attempts(study, slow) >= 2
    assert restarts(cluster, timed_out) >= 1
    assert "did not answer" in told and "answers again" in told
    # nothing is left in the queue nor of the jobs
    assert all(job["state"] not in ("RUNNING", "PENDING") for job in cluster.squeue())
    assert not (study / "jobs").exists()


def pending(study: Path, cluster: Cluster, *more: str) -> dict[str, Any]:
    """Hand over what is due and exit."""
    done = dicecast("run", study, *ON_CLUSTER, "--json", "-", *more, **cluster.environment)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def status(study: Path, cluster: Cluster) -> dict[str, Any]:
    told = dicecast("status", study, "--json", "-", **cluster.environment)
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


def hold_nodes(cluster: Cluster) -> None:
    """Whatever is submitted now stays in the queue."""
    cluster.run("scontrol", "update", "PartitionName=main", "State=DOWN")


def release_nodes(cluster: Cluster) -> None:
    cluster.run("scontrol", "update", "PartitionName=main", "State=UP")


def alive(cluster: Cluster) -> list[str]:
    return [job["name"] for job in cluster.squeue() if job["state"] in ("PENDING", "RUNNING", "COMPLETING")]


def test_each_call_hands_over_what_is_due_and_the_last_one_concludes(cluster: Cluster, tmp_path: Path) -> None:
    study = tiny_study(tmp_path)
    edit(study, "schedule_check = false", "schedule_check = true")
    first = pending(study, cluster)
    assert first["pending"] and sum(first["runs"].values()) == 3
    assert {row["status"] for row in status(study, cluster)["runs"]} <= {"queued", "running", "completed"}
    cluster.wait(lambda: not alive(cluster), 120)
    second = pending(study, cluster)
    assert second["pending"] and sum(second["runs"].values()) == 2, "the schedule check"
    cluster.wait(lambda: not alive(cluster), 120)
    last = pending(study, cluster)
    assert last["round"] == 0 and last["recommendation"]["code"]
    assert not (study / "jobs").exists()


def test_a_call_re_attaches_to_what_is_queued_and_submits_nothing_twice(cluster: Cluster, prepared: Path) -> None:
    study = prepared
    hold_nodes(cluster)
    pending(study, cluster)
    names = alive(cluster)
    again = pending(study, cluster)
    assert again["runs"]["queued"] == 3
    assert alive(cluster) == names and len(names) == 3
    refused = dicecast("run", study, "--engine", "local", **cluster.environment)
    assert refused.returncode == 2 and "dicecast cancel" in refused.stderr
    told = dicecast("cancel", study, **cluster.environment)
    assert "3 job(s)" in told.stdout
    assert not alive(cluster) and not (study / "jobs").exists()
    release_nodes(cluster)
    run(study)
    assert len(results(study)) == 3


def test_a_batch_whose_submitter_was_killed_before_it_knew_the_job_is_adopted(cluster: Cluster, prepared: Path) -> None:
    study = prepared
    hold_nodes(cluster)
    pending(study, cluster)
    (batch,) = read_batches(study)
    document = read(batch.folder / "batch.json")
    (batch.folder / "batch.json").write_text(json.dumps({**document, "job": None}))
    for path in batch.folder.glob("*_submitted.pkl"):  # not yet in their places
        path.unlink()
    assert pending(study, cluster)["runs"]["queued"] == 3
    assert len(alive(cluster)) == 3
    release_nodes(cluster)
    cluster.wait(lambda: not alive(cluster), 120)
    assert "recommendation" in pending(study, cluster)


def test_changed_scores_are_made_by_jobs_that_stay_in_the_queue(cluster: Cluster, prepared: Path) -> None:
    run(prepared)
    edit(prepared, '"dice", "jaccard", "recall"', '"dice", "recall"')
    hold_nodes(cluster)
    assert pending(prepared, cluster)["runs"]["queued"] == 3
    assert len(alive(cluster)) == 3
    release_nodes(cluster)
    cluster.wait(lambda: not alive(cluster), 120)
    assert "recommendation" in pending(prepared, cluster)
    for name in ("n3", "n6", "n12"):
        assert "jaccard" not in set(pd.read_csv(prepared / f"runs/2d/{name}/draw0/scores.csv")["metric"])
    assert not (prepared / "jobs").exists()


LIMITED = """#!/bin/bash
if grep -q -- --array= "$@"; then
  echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit)" >&2
  exit 1
fi
exec {real} "$@"
"""


def test_an_array_over_the_limit_of_a_user_is_handed_over_in_parts(cluster: Cluster, prepared: Path) -> None:
    """By a sbatch that lets only single tasks through, and otherwise says what a user at a limit reads."""
    place = prepared.with_name("bin")
    place.mkdir()
    (place / "sbatch").write_text(LIMITED.format(real=shutil.which("sbatch")))
    (place / "sbatch").chmod(0o755)
    hold_nodes(cluster)
    limited = {**cluster.environment, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}
    told = dicecast("run", prepared, *ON_CLUSTER, "--json", "-", **limited)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["runs"]["queued"] == 3
    assert sorted(len(batch.entries) for batch in read_batches(prepared)) == [1, 1, 1]


def test_more_runs_than_an_array_may_have_become_several_arrays(tmp_path: Path, prepared: Path) -> None:
    with running_cluster(tmp_path / "slurm", gpus=1, settings={"MaxArraySize": 3}) as cluster:
        study = prepared
        hold_nodes(cluster)
        pending(study, cluster)
        assert sorted(len(batch.entries) for batch in read_batches(study)) == [1, 2]
        assert [row["status"] for row in status(study, cluster)["runs"]] == ["queued"] * 3


BROKEN = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

class Broken(nnUNetTrainer):
    def train_step(self, batch):
        raise RuntimeError("this GPU is broken")
"""


def test_a_run_that_fails_is_tried_three_times_and_then_only_when_asked(cluster: Cluster, prepared: Path) -> None:
    study = prepared
    edit(study, 'trainer = "nnUNetTrainer"', 'trainer = "broken.py:Broken"')
    (study / "broken.py").write_text(BROKEN)
    done = dicecast("run", study, *ON_CLUSTER, "--wait", **cluster.environment)
    assert done.returncode == 1
    assert "this GPU is broken" in done.stderr and "(2 more failed.)" in done.stderr
    assert len(read_batches(study)) >= 3
    again = dicecast("run", study, *ON_CLUSTER, "--wait", **cluster.environment)
    assert again.returncode == 1 and not alive(cluster), "given up"
    (study / "broken.py").write_text(
        BROKEN.replace('raise RuntimeError("this GPU is broken")', "return super().train_step(batch)")
    )
    mended = dicecast("run", study, *ON_CLUSTER, "--wait", "--retry", **cluster.environment)
    assert mended.returncode == 0, mended.stderr
    assert len(results(study)) == 3


def test_a_preparation_that_fails_is_told_with_its_last_words(cluster: Cluster, tmp_path: Path) -> None:
    study = tiny_study(tmp_path, setup=["echo no such module >&2", "exit 3"])
    done = dicecast("run", study, *ON_CLUSTER, **cluster.environment)
    assert done.returncode == 1
    assert "planning and preprocessing ended 3 times" in " ".join(done.stderr.split())
    assert "no such module" in done.stderr


def test_what_sbatch_refuses_is_told(cluster: Cluster, tmp_path: Path) -> None:
    study = tiny_study(tmp_path, partition="nowhere")
    done = dicecast("run", study, *ON_CLUSTER, **cluster.environment)
    assert done.returncode == 1
    assert "nowhere" in done.stderr or "partition" in done.stderr
    assert not read_batches(study)


def test_without_a_controller_nothing_is_lost_and_nothing_submitted(cluster: Cluster, prepared: Path) -> None:
    study = prepared
    hold_nodes(cluster)
    pending(study, cluster)
    cluster.controller_stop()
    told = pending(study, cluster)
    assert told["runs"]["queued"] == 3
    seen = status(study, cluster)
    assert "did not answer" in seen["problem"]
    cluster.controller_start()
    assert len(alive(cluster)) == 3
    assert pending(study, cluster)["runs"]["queued"] == 3


def test_a_preempted_run_goes_on_from_its_checkpoint(cluster: Cluster, tmp_path: Path) -> None:
    study = tmp_path / "study"
    initialise(study, write_dataset(tmp_path / "dataset"), sizes="12", draws="1", epochs=60)
    on_cluster(study, partition="cheap", gres="gpu:1", cpus=4)
    with running(study, *ON_CLUSTER, "--wait", **cluster.environment) as submitter:
        cluster.wait(lambda: training_of(study, "runs/2d/n12/draw0"), 200)
        (job,) = [one for one in cluster.squeue() if one["state"] == "RUNNING"]
        other = cluster.sbatch("sleep 5", "--exclusive", f"--nodelist={job['node']}")
        cluster.wait(lambda: cluster.states()[other] == "COMPLETED", 60)
        assert submitter.process.wait(timeout=300) == 0, submitter.errors.read_text()
    assert int(cluster.job(job["id"])["Restarts"]) == 1
    assert attempts(study, "runs/2d/n12/draw0") == 2
    local = tmp_path / "local"
    initialise(local, tmp_path / "dataset", sizes="12", draws="1", epochs=60)
    run(local)
    assert results(study) == results(local)
