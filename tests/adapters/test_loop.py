"""The loop on real, tiny nnU-Net trainings: end to end, killed, interrupted, grown, replayed.

One finished study is shared by the tests; those that change it work on a copy.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("nnunetv2")
import SimpleITK

from dicecast.adapters.conclusion import Round, conclude
from dicecast.adapters.loop import RunOptions, _is_final
from dicecast.adapters.study import open_study
from dicecast.tests.tiny_study import (
    CASES,
    EPOCHS,
    PATIENCE,
    TEST_CASES,
    Snapshot,
    cases_of,
    completed,
    dicecast,
    edit,
    in_training,
    initialise,
    progress_of,
    read,
    results,
    roles,
    run,
    run_command,
    running,
    snapshot,
    write_cases,
    write_dataset,
)

SIZES = (3, 6, 12)
RUNS = ("runs/2d/n3/draw0", "runs/2d/n3/draw1", "runs/2d/n6/draw0", "runs/2d/n12/draw0")
LARGEST = RUNS[-1]
PLANNED = Path("nnunet/preprocessed/Dataset001_Study")
processes = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@dataclass(frozen=True)
class Reference:
    """A finished study and what was there before it."""

    study: Path
    dataset: Path
    dataset_before: Snapshot
    users_folder: Path
    """Where the user's own nnU-Net variables point."""


def copied(reference: Reference, folder: Path) -> Path:
    shutil.copytree(reference.study, folder)
    return folder


def without_runs(reference: Reference, folder: Path) -> Path:
    """The reference study planned and preprocessed, but nothing trained."""
    copied(reference, folder)
    shutil.rmtree(folder / "runs")
    shutil.rmtree(folder / "rounds")
    return folder


def without_two_runs(reference: Reference, folder: Path) -> Path:
    """The reference study before its two larger sizes were trained: one for each worker."""
    copied(reference, folder)
    shutil.rmtree(folder / "rounds")
    for name in RUNS[2:]:
        shutil.rmtree(folder / name)
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("reference")
    dataset = write_dataset(folder / "dataset")
    before = snapshot(dataset)
    users = folder / "users"
    users.mkdir()
    initialise(folder / "study", dataset)
    mine = {name: str(users / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    run(folder / "study", **mine)
    return Reference(folder / "study", dataset, before, users)


# a study runs end to end


def test_every_run_leaves_a_record_scores_and_predictions(reference: Reference) -> None:
    assert completed(reference.study) == set(RUNS)
    test = cases_of(reference.study, "test")
    for name in RUNS:
        folder = reference.study / name
        kept = (folder / "predictions" / "test").iterdir()
        assert {path.name for path in kept} == {f"{case}.nii.gz" for case in test}
        scores = pd.read_csv(folder / "scores.csv").query("metric == 'dice'")
        assert len(scores) == 2 * TEST_CASES
        assert set(scores["case"]) == test
        assert set(scores["structure"]) == {"small", "bright"}
        assert scores["score"].between(0, 1).all()
        assert f"/n{scores['n_cases'].unique().item()}/draw{scores['draw'].unique().item()}" in name
        assert not (folder / "progress.json").exists()


def test_run_json_tells_inputs_seeds_versions_losses_and_durations(reference: Reference) -> None:
    seeds, protocols = [], set()
    for name in RUNS:
        made = read(reference.study / name / "run.json")
        assert made["status"] == "completed"
        assert len(made["cases"]) == made["n"] == int(name.split("/n")[1].split("/")[0])
        assert [len(losses) for losses in made["train_losses"]] == [EPOCHS]
        assert np.isfinite(made["train_losses"]).all()
        assert made["training"]["optimiser"] == "AdamW" and made["training"]["epochs"] == EPOCHS
        assert {"python", "dicecast", "nnunetv2", "torch", "numpy"} <= set(made["versions"])
        assert made["seconds"]["training"] > 0 and made["seconds"]["prediction"] > 0
        assert made["device"] == "cpu" and made["deterministic"] is True
        seeds.append(made["seed"])
        protocols.add(made["protocol_hash"])
        assert set(pd.read_csv(reference.study / name / "scores.csv")["protocol"]) == {made["protocol_hash"]}
    assert len(set(seeds)) == len(RUNS)
    assert len(protocols) == 1


def test_predictions_have_the_geometry_of_the_images_and_give_the_scores(reference: Reference) -> None:
    table = pd.read_csv(reference.study / LARGEST / "scores.csv").query("metric == 'dice'")
    scores = table.set_index(["case", "structure"])["score"]
    for case in cases_of(reference.study, "test"):
        image, label = (
            SimpleITK.ReadImage(str(reference.dataset / name))
            for name in (f"imagesTr/{case}_0000.nii.gz", f"labelsTr/{case}.nii.gz")
        )
        predicted = SimpleITK.ReadImage(str(reference.study / LARGEST / "predictions" / "test" / f"{case}.nii.gz"))
        assert predicted.GetSize() == image.GetSize()
        assert predicted.GetSpacing() == image.GetSpacing()
        for name, value in (("small", 1), ("bright", 2)):
            true, found = (SimpleITK.GetArrayFromImage(one) == value for one in (label, predicted))
            dice = 2 * (true & found).sum() / (true.sum() + found.sum())
            assert scores[case, name] == pytest.approx(dice)


def test_sizes_nest_within_a_draw_and_draws_differ(reference: Reference) -> None:
    smallest, other, middle, largest = (read(reference.study / name / "run.json")["cases"] for name in RUNS)
    assert middle[:3] == smallest
    assert largest[:6] == middle
    assert set(largest) == cases_of(reference.study, "pool")
    assert set(other) != set(smallest)


def test_test_cases_are_never_trained_on_nor_planned_from(reference: Reference) -> None:
    test, pool = cases_of(reference.study, "test"), cases_of(reference.study, "pool")
    assert len(test) == TEST_CASES and not test & pool
    for name in RUNS:
        made = read(reference.study / name / "run.json")
        assert not test & set(made["cases"])
        assert all(not test & {*split["train"], *split["validation"]} for split in made["splits"])
    planned = reference.study / PLANNED
    assert {path.stem for path in (planned / "nnUNetPlans_2d").glob("*.pkl")} == pool
    assert {path.stem for path in (planned / "test_nnUNetPlans_2d").glob("*.pkl")} == test
    assert read(planned / "dataset.json")["numTraining"] == len(pool)
    assert len(read(planned / "dataset_fingerprint.json")["shapes_after_crop"]) == len(pool)
    for path in (planned / "dataset.json", planned / "nnUNetPlans.json", reference.study / "nnunet/planning.log"):
        assert not any(case in path.read_text() for case in test)


def test_the_users_folders_stay_as_they_were(reference: Reference) -> None:
    assert snapshot(reference.dataset) == reference.dataset_before
    assert not list(reference.users_folder.iterdir())


def test_checkpoints_are_kept_for_the_largest_size_only(reference: Reference) -> None:
    kept = {path.relative_to(reference.study) for path in reference.study.rglob("*.pth")}
    assert {str(path).split("/models/")[0] for path in kept} == {LARGEST}
    assert {path.name for path in kept} == {"checkpoint_final.pth"}
    assert [name for name in RUNS if (reference.study / name / "models").exists()] == [LARGEST]


def test_a_finished_round_is_kept_with_forecast_and_recommendation(reference: Reference) -> None:
    kept = read(reference.study / "rounds/0.json")
    assert kept["round"] == 0 and kept["n_annotated"] == 12 and kept["replay"] is False
    assert kept["recommendation"]["code"] and kept["recommendation"]["reason"]
    curves = kept["forecast"]["curves"]
    assert {curve["structure"] for curve in curves} == {"small", "bright"}
    assert all(tuple(curve["sizes"]) == SIZES and curve["n_test"] == TEST_CASES for curve in curves)
    assert [path.name for path in (reference.study / "rounds").iterdir()] == ["0.json"]


def test_status_agrees_with_the_folder(reference: Reference) -> None:
    told = dicecast("status", reference.study, "--json", "-")
    assert told.returncode == 0
    document = json.loads(told.stdout)
    assert document["due"] == 0 and document["hours_left"] == 0
    assert document["n_annotated"] == 12
    assert {f"runs/{r['arm']}/n{r['n']}/draw{r['draw']}" for r in document["runs"]} == set(RUNS)
    assert {r["status"] for r in document["runs"]} == {"completed"}


def test_running_a_finished_study_again_trains_nothing(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    before = {name: snapshot(study / name, without="nothing") for name in ("runs", "nnunet")}
    run(study)
    assert {name: snapshot(study / name, without="nothing") for name in ("runs", "nnunet")} == before
    again, first = read(study / "rounds/0.json"), read(reference.study / "rounds/0.json")
    assert {**again, "created": ""} == {**first, "created": ""}


def test_runs_that_are_no_longer_asked_for_are_scored_anew_too(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    text = (study / "study.toml").read_text()
    (study / "study.toml").write_text(
        re.sub("^metrics = .*$", 'metrics = ["dice", "jaccard"]', text, flags=re.M).replace("[3, 6, 12]", "[3, 12]")
    )
    refused = dicecast("forecast", study)
    assert refused.returncode == 2
    assert f"dicecast run {study}" in " ".join(refused.stderr.split())
    before = snapshot(study / "runs", without="scor")
    run(study)
    assert {name: both for name, both in snapshot(study / "runs", without="scor").items() if "log.txt" not in name} == {
        name: both for name, both in before.items() if "log.txt" not in name
    }
    for name in RUNS:
        assert {"dice", "jaccard"} <= set(pd.read_csv(study / name / "scores.csv")["metric"])
        assert read(study / name / "scoring.json")["metrics"] == ["dice", "jaccard"]
    (curve, *_) = read(study / "rounds/0.json")["forecast"]["curves"]
    assert curve["sizes"] == [3, 6, 12]
    assert dicecast("forecast", study, "--quick").returncode == 0


# killed and interrupted


@processes
def test_a_study_killed_in_training_goes_on_to_the_same_scores(reference: Reference, tmp_path: Path) -> None:
    study = without_two_runs(reference, tmp_path / "study")
    with running(study) as first:
        first.wait_until(lambda: in_training(study))
        workers = {one["pid"] for one in progress_of(study)}
        assert workers & set(first.alive)
        first.process.kill()
        first.process.wait()
        unfinished = set(RUNS) - completed(study)
        assert not first.left_after(PATIENCE)
    assert unfinished
    assert not (study / "rounds").exists()
    assert any(path.name == "checkpoint_latest.pth" for path in study.rglob("*.pth"))
    run(study)
    assert results(study) == results(reference.study)
    assert roles(study).equals(roles(reference.study))


@pytest.mark.slow
@processes
def test_a_study_killed_at_every_stage_goes_on_to_the_same_scores(reference: Reference, tmp_path: Path) -> None:
    study = tmp_path / "study"
    initialise(study, reference.dataset)
    prepared = study / PLANNED / "nnUNetPlans_2d"
    stages: dict[str, Callable[[], bool]] = {
        "planning": lambda: (study / "nnunet/planning/raw").exists(),
        "preprocessing": lambda: 0 < len(list(prepared.glob("*.pkl"))) < 12,
        "training": lambda: in_training(study),
        "prediction": lambda: any((study / LARGEST / "predictions" / "test").glob("*")),
    }
    for name, reached in stages.items():
        with running(study) as attempt:
            attempt.wait_until(reached)
            attempt.process.kill()
            attempt.process.wait()
            assert not attempt.left_after(4 * PATIENCE), name
        assert not (study / "rounds").exists(), name
    run(study)
    assert results(study) == results(reference.study)
    kept = {path.name for path in (study / LARGEST / "predictions" / "test").glob("[!.]*")}
    assert kept == {f"{case}.nii.gz" for case in cases_of(study, "test")}


@processes
def test_ctrl_c_in_training_says_how_to_go_on_and_leaves_no_worker(reference: Reference, tmp_path: Path) -> None:
    study = without_two_runs(reference, tmp_path / "study")
    with running(study) as first:
        first.wait_until(lambda: in_training(study))
        os.killpg(first.process.pid, signal.SIGINT)
        assert first.process.wait(timeout=30) == 130
        assert not first.left_after(PATIENCE)
    told = first.errors.read_text()
    assert "run the same command again" in told
    assert "Traceback" not in told
    assert completed(study) != set(RUNS)
    run(study)
    assert results(study) == results(reference.study)


@processes
def test_ctrl_c_while_workers_start_shows_no_traceback(reference: Reference, tmp_path: Path) -> None:
    study = without_runs(reference, tmp_path / "study")
    with running(study) as first:
        # the command, the resource tracker and the workers
        first.wait_until(lambda: len(first.alive) >= 4)
        time.sleep(0.2)
        os.killpg(first.process.pid, signal.SIGINT)
        assert first.process.wait(timeout=30) == 130
        assert not first.left_after(PATIENCE)
    told = first.errors.read_text()
    assert "run the same command again" in told
    assert "Traceback" not in told


@processes
def test_a_second_run_in_the_same_study_is_refused(reference: Reference, tmp_path: Path) -> None:
    study = without_runs(reference, tmp_path / "study")
    with running(study) as first:
        first.wait_until(lambda: len(first.alive) >= 4)
        second = dicecast(*run_command(study))
    assert second.returncode == 2
    assert "another `dicecast run` is working in this study" in second.stderr


@processes
def test_cancel_stops_a_run_of_this_machine_which_goes_on_later(reference: Reference, tmp_path: Path) -> None:
    study = without_two_runs(reference, tmp_path / "study")
    idle = dicecast("cancel", study)
    assert idle.returncode == 0 and "Nothing of this study" in idle.stdout
    with running(study) as first:
        first.wait_until(lambda: in_training(study))
        told = dicecast("cancel", study)
        assert told.returncode == 0, told.stderr
        assert "was stopped" in told.stdout and "dicecast run" in told.stdout
        assert first.process.wait(timeout=10) == 130
        assert not first.left_after(PATIENCE)
    assert not (study / "running.json").exists()
    run(study)
    assert results(study) == results(reference.study)


# what was finished is never repeated, what is missing is


def test_a_deleted_run_folder_is_run_again_to_the_same_scores(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    shutil.rmtree(study / RUNS[1])
    told = json.loads(dicecast("status", study, "--json", "-").stdout)
    assert told["due"] == 1
    others = {name: snapshot(study / name) for name in RUNS if name != RUNS[1]}
    run(study)
    assert results(study) == results(reference.study)
    assert {name: snapshot(study / name) for name in others} == others


def test_a_grown_pool_trains_its_own_size_only(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    dataset = tmp_path / "dataset"
    shutil.copytree(reference.dataset, dataset)
    edit(study, str(reference.dataset), str(dataset))
    write_cases(dataset, range(CASES, CASES + 8))
    grown = snapshot(dataset)
    runs, planned, table = snapshot(study / "runs"), snapshot(study / PLANNED), roles(study)
    new = {f"case{number:02d}" for number in range(CASES, CASES + 8)}
    run(study)
    after = snapshot(study / "runs")
    assert {name: after[name] for name in runs} == runs
    assert {name.rpartition("/draw")[0] for name in set(after) - set(runs)} == {"2d/n20"}
    now = snapshot(study / PLANNED)
    assert {name: now[name] for name in planned} == planned
    assert {Path(name).name.split("_")[0].split(".")[0] for name in set(now) - set(planned)} == new
    listed = roles(study).set_index("case")
    assert set(listed.index[listed["round"] == "1"]) == new
    assert (listed.loc[sorted(new), "role"] == "pool").all()
    assert listed.loc[table["case"]].reset_index().equals(table)
    first, larger = (read(study / f"runs/2d/{name}/draw0/run.json")["cases"] for name in ("n12", "n20"))
    assert larger[:12] == first
    assert set(larger[12:]) == new
    assert not any(new & set(read(study / name / "run.json")["cases"]) for name in RUNS)
    assert [name for name in (*RUNS, "runs/2d/n20/draw0") if (study / name / "models").exists()] == [
        "runs/2d/n20/draw0"
    ]
    assert read(study / "rounds/1.json")["n_annotated"] == 20
    promises = read(study / "rounds/1.json")["promises"]
    assert {(one["curve"], one["n"], one["draws"]) for one in promises} == {
        ("2d / small / dice", 20, 1),
        ("2d / bright / dice", 20, 1),
    }
    assert "Promises and outcomes" in (study / "report.txt").read_text()
    assert read(study / "rounds/0.json") == read(reference.study / "rounds/0.json")
    assert snapshot(dataset) == grown


def test_a_changed_protocol_is_refused_and_nothing_is_changed(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    edit(study, f"epochs = {EPOCHS}", f"epochs = {EPOCHS + 1}")
    before = snapshot(study, without="nothing")
    refused = dicecast(*run_command(study))
    assert refused.returncode == 2
    assert f"epochs was {EPOCHS}, is {EPOCHS + 1}" in refused.stderr.replace("\n", " ")
    assert "[[arm]]" in refused.stderr
    assert snapshot(study, without="nothing") == before


def test_an_unfinished_run_starts_over_under_a_changed_protocol(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    for name in RUNS:
        (study / name / "run.json").unlink()
    edit(study, f"epochs = {EPOCHS}", f"epochs = {EPOCHS + 1}")
    edit(study, "sizes = [3, 6, 12]", "sizes = [12]")
    edit(study, "draws = [2, 1]", "draws = 1")
    assert (study / LARGEST / "models").exists()
    run(study)
    made = read(study / LARGEST / "run.json")
    assert [len(losses) for losses in made["train_losses"]] == [EPOCHS + 1]


def test_a_replay_is_refused_once_plans_have_seen_the_whole_pool(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    before = snapshot(study)
    refused = dicecast(*run_command(study, "--replay"))
    assert refused.returncode == 2
    assert "must be chosen at the first run" in refused.stderr
    assert snapshot(study) == before


def test_a_later_scan_of_a_test_patient_is_refused(reference: Reference, tmp_path: Path) -> None:
    dataset, study, table = tmp_path / "dataset", tmp_path / "study", tmp_path / "cases.csv"
    shutil.copytree(reference.dataset, dataset)
    known = [f"case{number:02d}" for number in range(CASES)]
    lines = [f"{case},{case}" for case in known] + [f"case{CASES:02d},{known[0]}"]
    table.write_text("case,patient\n" + "\n".join(lines) + "\n")
    test = f"{known[0]},{known[1]}"
    made = dicecast("init", study, "--dataset", dataset, "--test", test, "--cases", table, "--configuration", "2d")
    assert made.returncode == 0, made.stderr
    assert cases_of(study, "unannotated") == {f"case{CASES:02d}"}
    write_cases(dataset, range(CASES, CASES + 1))
    before = snapshot(study)
    refused = dicecast(*run_command(study))
    assert refused.returncode == 2
    assert "are the same patient" in refused.stderr.replace("\n", " ")
    assert {name: kept for name, kept in snapshot(study).items() if name != ".lock"} == before


@pytest.fixture(scope="module")
def concluded(reference: Reference) -> Round:
    return conclude(open_study(reference.study))


@pytest.mark.parametrize(
    ("code", "blocked", "until_all", "final"),
    [
        ("annotate", False, False, False),
        ("cannot_tell", False, False, False),
        ("stop_plateau", False, False, True),
        ("train_pilots", True, False, True),
        ("train_pilots", False, False, False),
        ("stop_plateau", False, True, False),
    ],
)
def test_a_replay_ends_at_a_stop_even_at_one_that_longer_training_blocks(
    concluded: Round, code: str, blocked: bool, until_all: bool, final: bool
) -> None:
    study = concluded.study
    hidden = study.cases.assign(role=study.cases["role"].where(study.cases["role"] != "pool", "unannotated"))
    decision = dataclasses.replace(concluded.recommendation, code=code, stop_blocked=blocked)
    result = dataclasses.replace(concluded, study=dataclasses.replace(study, cases=hidden), recommendation=decision)
    assert _is_final(result, RunOptions(replay=True, until_all=until_all)) == final


def test_a_new_arm_is_trained_beside_the_old_one(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    arm = (
        '[[arm]]\nname = "2d plain"\nconfiguration = "2d"\ntrainer = "nnUNetTrainerNoDA"\nconvolutions = 1\nepochs = 2'
        "\ndepth = 2"  # the least there is: a single output
    )
    edit(study, "[scores]", f"{arm}\n\n[scores]")
    before = snapshot(study / "runs", without="nothing")
    run(study)
    after = snapshot(study / "runs", without="nothing")
    assert {name: after[name] for name in before} == before
    assert completed(study) == {*RUNS, *(name.replace("/2d/", "/2d plain/") for name in RUNS)}
    for name in RUNS:
        old, new = (read(study / one / "run.json") for one in (name, name.replace("/2d/", "/2d plain/")))
        assert old["cases"] == new["cases"]
        assert old["protocol_hash"] != new["protocol_hash"]
        assert old["seed"] != new["seed"]
        assert all(np.isfinite(losses).all() for losses in new["train_losses"])
    curves = read(study / "rounds/0.json")["forecast"]["curves"]
    assert {(curve["arm"], curve["structure"]) for curve in curves} == {
        (arm, structure) for arm in ("2d", "2d plain") for structure in ("small", "bright")
    }


@pytest.mark.slow
def test_a_failed_run_is_told_and_tried_again_while_the_others_are_kept(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    shutil.rmtree(study / LARGEST)
    smaller = set(read(study / RUNS[2] / "run.json")["cases"])
    case = min(cases_of(study, "pool") - smaller)
    image = study / PLANNED / "nnUNetPlans_2d" / f"{case}.b2nd"
    image.rename(tmp_path / "hidden")
    others = {name: snapshot(study / name) for name in RUNS if name != LARGEST}
    failed = dicecast(*run_command(study))
    assert failed.returncode == 1
    assert "2d, n = 12, draw 0" in failed.stderr
    assert "log.txt" in failed.stderr
    assert "Traceback" not in failed.stderr
    told = json.loads(dicecast("status", study, "--json", "-").stdout)
    assert [(row["n"], row["status"]) for row in told["runs"] if row["status"] != "completed"] == [(12, "failed")]
    assert {name: snapshot(study / name) for name in others} == others
    (tmp_path / "hidden").rename(image)
    run(study)
    assert results(study) == results(reference.study)


@pytest.mark.slow
def test_a_training_that_diverges_is_a_failed_run(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    edit(study, "[scores]", '[[arm]]\nname = "wild"\nconfiguration = "2d"\nlearning_rate = 1e30\n\n[scores]')
    failed = dicecast(*run_command(study))
    assert failed.returncode == 1
    assert "the training diverged in epoch 1" in " ".join(failed.stderr.split())
    assert read(study / "runs/wild/n3/draw0/run.json")["status"] == "failed"
    assert not list(study.glob("runs/wild/*/*/scores.csv"))


@pytest.mark.slow
def test_the_schedule_check_doubles_the_epochs_of_the_ends_apart_from_the_curve(
    reference: Reference, tmp_path: Path
) -> None:
    study = copied(reference, tmp_path / "study")
    edit(study, "schedule_check = false", "schedule_check = true")
    before = snapshot(study / "runs")
    run(study)
    assert snapshot(study / "runs") == before
    checks = {str(path.parent.relative_to(study)): read(path) for path in study.glob("checks/**/run.json")}
    assert set(checks) == {"checks/2d/n3/draw0", "checks/2d/n12/draw0"}
    for made in checks.values():
        assert [len(losses) for losses in made["train_losses"]] == [2 * EPOCHS]
    assert not list((study / "checks").rglob("*.pth"))
    kept = read(study / "rounds/0.json")
    assert {(check["n"], check["structure"]) for check in kept["schedule_check"]} == {
        (n, structure) for n in (3, 12) for structure in ("small", "bright")
    }
    first = read(reference.study / "rounds/0.json")["forecast"]["curves"]
    assert [curve["observed"] for curve in kept["forecast"]["curves"]] == [curve["observed"] for curve in first]


# folds


@pytest.mark.slow
def test_folds_vote_voxel_by_voxel(reference: Reference, tmp_path: Path) -> None:
    study = without_runs(reference, tmp_path / "study")
    edit(study, "folds = 1 ", "folds = 2 ")
    edit(study, "sizes = [3, 6, 12]", "sizes = [5, 12]")
    edit(study, "draws = [2, 1]", "draws = 1")
    run(study)
    made = read(study / LARGEST / "run.json")
    assert made["protocol"]["folds"] == 2 and made["protocol"]["ensemble"] == "vote"
    assert [len(losses) for losses in made["train_losses"]] == [EPOCHS, EPOCHS]
    for split in made["splits"]:
        assert sorted(split["train"] + split["validation"]) == sorted(made["cases"])
        assert len(split["validation"]) in (2, 3)
    checkpoints = sorted((study / LARGEST).rglob("checkpoint_final.pth"))
    assert [path.parent.name for path in checkpoints] == ["fold_0", "fold_1"]
    from torch import device

    from dicecast.adapters.nnunet.prediction import load_predictor, predict_cases
    from dicecast.adapters.nnunet.preparation import Preparation, read_plans
    from dicecast.adapters.nnunet.trainers import trainer_class

    plans = read_plans(study / "nnunet", Preparation())
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 8, 16, 32]
    declared, cases = read(reference.dataset / "dataset.json"), sorted(cases_of(study, "test"))
    votes = []
    for path in checkpoints:
        predictor = load_predictor(plans, declared, "2d", [path], device("cpu"), False, trainer_class("nnUNetTrainer"))
        found = predict_cases(predictor, study / PLANNED / "test_nnUNetPlans_2d", cases, ["vote"])
        votes.append({case: maps["vote"] for case, maps, _ in found})
    assert any((votes[0][case] != votes[1][case]).any() for case in cases)
    for case in cases:
        image = SimpleITK.ReadImage(str(study / LARGEST / "predictions" / "test" / f"{case}.nii.gz"))
        # of two votes a tie goes to the lower label
        assert (SimpleITK.GetArrayFromImage(image) == np.minimum(votes[0][case], votes[1][case])).all()


# deciding


def with_waiting_cases(study: Path, count: int) -> set[str]:
    """List cases without annotation, of two sites; the annotated ones are of the first."""
    table = pd.read_csv(study / "cases.csv", dtype=str, keep_default_na=False).assign(site="a")
    names = [f"new{i:03d}" for i in range(count)]
    rows = {"case": names, "patient": names, "role": "unannotated", "site": ["a", "b"] * (count // 2)}
    pd.concat([table, pd.DataFrame(rows)]).fillna("").to_csv(study / "cases.csv", index=False)
    return set(names)


def recommended(study: Path, *options: str) -> Any:
    done = dicecast("recommend", study, *options, "--json", "-")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_next_cases_are_named_and_come_from_every_site(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    waiting = with_waiting_cases(study, 40)
    found = recommended(study)
    assert found["code"] == "annotate", found["reason"]
    assert set(found["cases"]) <= waiting
    assert len(found["cases"]) == found["batch"]
    assert found["selection"]["rule"] == "random"
    edit(study, 'select = "random"', 'select = "stratified"\nby = ["site"]')
    chosen = recommended(study)
    assert (chosen["batch"], chosen["selection"]["by"]) == (found["batch"], ["site"])
    of_b = sum(int(name[3:]) % 2 for name in chosen["cases"])
    assert of_b >= found["batch"] / 2  # the annotated cases are all of site a
    edit(study, 'by = ["site"]', 'by = ["scanner"]')
    refused = dicecast("recommend", study)
    assert refused.returncode == 2
    assert "'scanner' is needed" in refused.stderr.replace("\n", " ")


def test_every_structure_has_its_own_goal(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    with_waiting_cases(study, 40)
    edit(study, 'goal = "plateau"', 'goal = { small = "ignore", bright = 0.001 }')
    found = recommended(study)
    assert found["code"] == "stop_plateau"
    assert [one["curve"] for one in found["curves"]] == ["2d / bright / dice"]
    assert found["goal"] == {"kind": "target", "amount": 0.001}
    edit(study, "bright = 0.001", "brigth = 0.001")
    refused = dicecast("run", study, "--dry-run")
    assert refused.returncode == 2
    assert "'brigth', which is not scored" in refused.stderr.replace("\n", " ")


def test_computing_is_charged_by_the_hours_that_were_measured(reference: Reference, tmp_path: Path) -> None:
    study = copied(reference, tmp_path / "study")
    with_waiting_cases(study, 40)
    edit(study, "# per_case = 20.0", "per_case = 3.0\nper_gpu_hour = 1000.0")
    cost = recommended(study)["cost"]
    hours = [sum(read(study / name / "run.json")["seconds"].values()) / 3600 for name in RUNS]
    assert cost["compute"] == pytest.approx(1000 * float(np.mean(hours)))  # one draw of one arm
    assert cost["amount"] == pytest.approx(cost["cases"] + cost["compute"])


def test_pilots_are_proposed_for_the_hours_there_are(reference: Reference, tmp_path: Path) -> None:
    training = "--epochs 2 --iterations 3 --seconds-per-iteration 600 --configuration 2d --test 4"
    made = dicecast("init", tmp_path / "study", "--dataset", reference.dataset, *training.split(), "--gpu-hours", "13")
    assert made.returncode == 0, made.stderr
    pilots = open_study(tmp_path / "study").settings.pilots
    assert pilots.sizes[-1] == CASES - TEST_CASES
    assert 6 <= sum(pilots.draws_at(n) for n in pilots.sizes) <= 9  # a run takes an hour, the schedule check four
    assert "Proposed pilots" in made.stdout
    few = dicecast("init", tmp_path / "few", "--dataset", reference.dataset, *training.split(), "--gpu-hours", "3")
    assert few.returncode == 2
    assert "at least 6" in few.stderr.replace("\n", " ")
    assert not (tmp_path / "few").exists()


# replay


@pytest.mark.slow
def test_a_replay_reveals_the_pool_round_by_round(reference: Reference, tmp_path: Path) -> None:
    study = tmp_path / "study"
    initialise(study, reference.dataset, sizes="2,3", draws="1")
    edit(study, "# deadline_rounds = 5", "deadline_rounds = 1")
    test = cases_of(study, "test")
    run(study, "--replay", "--json", str(tmp_path / "answer.json"))
    rounds = [read(study / f"rounds/{number}.json") for number in (0, 1)]
    assert not (study / "rounds/2.json").exists()
    assert rounds[0]["n_annotated"] == 3
    assert all(one["replay"] for one in rounds)
    assert not rounds[0]["recommendation"]["code"].startswith("stop")
    assert rounds[1]["recommendation"]["code"].startswith("stop")
    answer = read(tmp_path / "answer.json")
    assert answer.pop("dicecast") and {**answer, "created": ""} == {**rounds[1], "created": ""}
    waiting = cases_of(study, "unannotated")
    assert len(waiting) == 12 - rounds[1]["n_annotated"] > 0
    refused = dicecast(*run_command(study))
    assert refused.returncode == 2
    assert "--replay" in refused.stderr
    finished, plans = snapshot(study / "runs"), snapshot(study / PLANNED)

    run(study, "--replay", "--until-all")
    assert not cases_of(study, "unannotated")
    assert cases_of(study, "test") == test
    after = snapshot(study / "runs")
    assert {name: after[name] for name in finished} == finished
    sizes = [read(study / f"rounds/{k}.json")["n_annotated"] for k in range(len(list((study / "rounds").iterdir())))]
    assert sizes == sorted(set(sizes)) and sizes[0] == 3 and sizes[-1] == 12
    assert {int(name.split("/n")[1].split("/")[0]) for name in completed(study)} == {2, *sizes}
    now = snapshot(study / PLANNED)
    assert {name: now[name] for name in plans} == plans
    assert len(read(study / PLANNED / "dataset_fingerprint.json")["shapes_after_crop"]) == 3
    listed = roles(study)
    for name in completed(study):
        made = read(study / name / "run.json")
        number = next(k for k, size in enumerate(sizes) if made["n"] <= size)
        known = listed[(listed["role"] == "pool") & (listed["round"].isin([str(k) for k in range(number + 1)]))]
        assert set(made["cases"]) <= set(known["case"])
    assert snapshot(reference.dataset) == reference.dataset_before


def test_a_replay_needs_cases_to_reveal(reference: Reference, tmp_path: Path) -> None:
    study = tmp_path / "study"
    initialise(study, reference.dataset, sizes="3,12")
    before = snapshot(study)
    refused = dicecast(*run_command(study, "--replay"))
    assert refused.returncode == 2
    assert "found 12 of 12 pool cases" in refused.stderr.replace("\n", " ")
    assert {name: kept for name, kept in snapshot(study).items() if name != ".lock"} == before


@processes
@pytest.mark.slow
def test_a_killed_replay_goes_on_as_if_it_had_not_been(reference: Reference, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for study in (whole, killed):
        initialise(study, reference.dataset, sizes="2,3", draws="1")
    run(whole, "--replay", "--until-all")
    with running(killed, "--replay", "--until-all") as first:
        first.wait_until(lambda: (killed / "rounds/0.json").exists() and in_training(killed))
        first.process.kill()
        first.process.wait()
        assert not first.left_after(PATIENCE)
    assert cases_of(killed, "unannotated")
    run(killed, "--replay", "--until-all")
    assert results(killed) == results(whole)
    assert roles(killed).equals(roles(whole))
