"""What becomes of runs whose jobs are lost, fail, are refused, or wait for others: by an engine that does as told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dicecast.adapters.execution.batches import Batch, Entry, last_entries, new_batch, read_batches, tries
from dicecast.adapters.execution.engine import BusyError, Job, JobState
from dicecast.adapters.execution.supervise import TRIES, Standing, work_off
from dicecast.adapters.execution_section import minutes
from dicecast.adapters.files import write_json
from dicecast.adapters.nnunet.spec import PilotSpec
from dicecast.forecast.errors import InputError, WorkError


def spec_at(folder: Path, boxes: Path | None = None) -> PilotSpec:
    """As much of a run as the supervisor looks at."""
    found = SimpleNamespace(folder=folder, name=folder.name, boxes=boxes, scored_by=dict, epochs=10)
    return cast("PilotSpec", found)


def complete(folder: Path) -> None:
    write_json(folder / "scoring.json", {})
    (folder / "scores.csv").write_text("n_cases,score\n")
    record = {"arm": "2d", "n": 1, "draw": 0, "cases": [], "protocol": {}, "seconds": {}}
    write_json(folder / "run.json", {"status": "completed", **record})


class Told:
    """An engine whose jobs end at the next look, as `act` lets them."""

    way_on = "do something"

    def __init__(self, act: Callable[[Path, int], Job], *, retries_errors: bool = False) -> None:
        self.act, self.retries_errors = act, retries_errors
        self.submitted: list[Path] = []
        self.jobs: dict[Path, Job] = {}
        self.refusals = 0

    def submit(self, specs: Sequence[PilotSpec]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise BusyError("the queue is full")
        for spec in specs:
            self.submitted.append(spec.folder)
            self.jobs[spec.folder] = Job(JobState.QUEUED)

    def poll(self, seconds: float) -> Mapping[Path, Job]:
        for folder, job in self.jobs.items():
            if job.alive:
                self.jobs[folder] = self.act(folder, self.tries(folder))
        return self.jobs

    def tries(self, folder: Path) -> int:
        return self.submitted.count(folder)

    def pause(self, seconds: float) -> float:
        return 0.0


def well(folder: Path, tries: int) -> Job:
    complete(folder)
    return Job(JobState.OVER)


def lost(folder: Path, tries: int) -> Job:
    return Job(JobState.OVER, "it vanished")


def work(specs: list[PilotSpec], engine: Told, *, wait: bool = True) -> tuple[Standing, list[str]]:
    notices: list[str] = []
    return work_off(specs, engine, lambda standing: None, notices.append, wait=wait), notices


def test_runs_that_are_complete_are_left_alone(tmp_path: Path) -> None:
    complete(tmp_path / "a")
    engine = Told(well)
    standing, notices = work([spec_at(tmp_path / "a"), spec_at(tmp_path / "b")], engine)
    assert engine.submitted == [tmp_path / "b"]
    assert notices == []
    assert len(standing.done) == 2 and standing.over


def test_a_lost_run_is_tried_again_and_told(tmp_path: Path) -> None:
    engine = Told(lambda folder, tries: well(folder, tries) if tries == 2 else lost(folder, tries))
    standing, notices = work([spec_at(tmp_path / "a")], engine)
    assert len(standing.done) == 1
    assert notices == ["pilot run a: it vanished; trying again."]


def test_a_run_that_is_lost_again_and_again_is_given_up_while_the_others_go_on(tmp_path: Path) -> None:
    engine = Told(lambda folder, tries: lost(folder, tries) if folder.name == "a" else well(folder, tries))
    standing, _ = work([spec_at(tmp_path / "a"), spec_at(tmp_path / "b")], engine)
    assert engine.submitted.count(tmp_path / "a") == TRIES
    assert [spec.name for spec in standing.done] == ["b"]
    with pytest.raises(WorkError, match=r"3 times without a result .it vanished.*do something"):
        standing.raise_first()


def test_what_the_folder_says_counts_and_not_the_word_of_the_engine(tmp_path: Path) -> None:
    def slandered(folder: Path, tries: int) -> Job:
        complete(folder)
        return Job(JobState.OVER, "FAILED", WorkError("the scheduler says so"))

    standing, _ = work([spec_at(tmp_path / "a")], Told(slandered))
    assert len(standing.done) == 1 and not standing.failed
    # and the other way round
    standing, _ = work([spec_at(tmp_path / "b")], Told(lambda folder, tries: Job(JobState.OVER, "COMPLETED")))
    assert len(standing.failed) == 1


def test_a_result_is_seen_while_its_job_is_still_ending(tmp_path: Path) -> None:
    def ending(folder: Path, tries: int) -> Job:
        complete(folder)
        return Job(JobState.ENDING)

    standing, _ = work([spec_at(tmp_path / "a")], Told(ending))
    assert len(standing.done) == 1


@pytest.mark.parametrize(("elsewhere", "tried"), [(False, 1), (True, TRIES)])
def test_an_error_is_worth_another_try_on_another_machine_only(tmp_path: Path, elsewhere: bool, tried: int) -> None:
    def failing(folder: Path, tries: int) -> Job:
        write_json(folder / "run.json", {"status": "failed", "error": "RuntimeError: no GPU"})
        return Job(JobState.OVER)

    engine = Told(failing, retries_errors=elsewhere)
    standing, _ = work([spec_at(tmp_path / "a")], engine)
    assert engine.submitted == [tmp_path / "a"] * tried
    with pytest.raises(WorkError, match="no GPU"):
        standing.raise_first()


def test_a_run_that_needs_anothers_predictions_waits_for_it(tmp_path: Path) -> None:
    first, second = spec_at(tmp_path / "coarse"), spec_at(tmp_path / "fine", boxes=tmp_path / "coarse")
    engine = Told(well)
    work([second, first], engine)
    assert engine.submitted == [first.folder, second.folder]
    engine = Told(lost)
    other = spec_at(tmp_path / "finer", boxes=tmp_path / "lost")
    standing, _ = work([other, spec_at(tmp_path / "lost")], engine)
    assert set(engine.submitted) == {tmp_path / "lost"}
    assert len(standing.failed) == 2


def test_what_is_only_scored_anew_needs_no_predictions_of_others(tmp_path: Path) -> None:
    complete(tmp_path / "fine")
    (tmp_path / "fine" / "scoring.json").unlink()
    engine = Told(well)
    standing, _ = work([spec_at(tmp_path / "fine", boxes=tmp_path / "gone")], engine)
    assert len(standing.done) == 1
    standing, _ = work([spec_at(tmp_path / "finer", boxes=tmp_path / "gone")], engine)
    with pytest.raises(WorkError, match="not asked for"):
        standing.raise_first()


def test_without_waiting_what_is_due_is_handed_over_and_left(tmp_path: Path) -> None:
    engine = Told(lambda folder, tries: Job(JobState.RUNNING))
    specs = [spec_at(tmp_path / "a"), spec_at(tmp_path / "b", boxes=tmp_path / "a")]
    standing, _ = work(specs, engine, wait=False)
    assert [spec.name for spec in standing.running] == ["a"]
    assert [spec.name for spec in standing.held] == ["b"]
    assert not standing.over


def test_what_is_refused_is_handed_over_later(tmp_path: Path) -> None:
    engine = Told(well)
    engine.refusals = 2
    standing, _ = work([spec_at(tmp_path / "a")], engine)
    assert len(standing.done) == 1
    engine.refusals = 1
    standing, _ = work([spec_at(tmp_path / "b")], engine, wait=False)
    assert str(standing.refused) == "the queue is full" and not standing.over


def test_the_first_look_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []

    class Watched(Told):
        def poll(self, seconds: float) -> Mapping[Path, Job]:
            looked.append(seconds)
            return super().poll(seconds)

        def pause(self, seconds: float) -> float:
            return 7.0

    work([spec_at(tmp_path / "a")], Watched(lambda folder, tries: Job(JobState.RUNNING)), wait=False)
    assert looked == [0, 0]
    looked.clear()
    first = Watched(lambda folder, tries: well(folder, tries) if len(looked) > 3 else Job(JobState.RUNNING))
    work([spec_at(tmp_path / "b")], first)
    assert looked == [0, 0, 7, 7]


def batches_of(*handed: tuple[str, int]) -> list[Batch]:
    return [Batch(Path(f"jobs/{i}"), (Entry(run, saved),), float(i), str(i)) for i, (run, saved) in enumerate(handed)]


def test_tries_count_those_in_a_row_that_got_no_further() -> None:
    batches = batches_of(("a", 0), ("a", 0), ("b", 0), ("a", 5), ("a", 5))
    assert tries(batches, "a", 5) == 2
    assert tries(batches, "a", 6) == 0, "it has got further since"
    assert tries(batches, "a", 0) == 0
    assert tries(batches[:3], "a", 0) == 2
    assert tries(batches, "c", 0) == 0
    forgiven = [dataclasses.replace(batch, forgiven=True) for batch in batches[3:]]
    never_taken = dataclasses.replace(batches[4], job=None)
    assert tries([*batches[:3], *forgiven, batches[4], never_taken], "a", 5) == 1


def test_batches_are_read_as_they_were_written_and_a_later_one_counts(tmp_path: Path) -> None:
    entries = [Entry("runs/2d/n3/draw0", 0), Entry("runs/2d/n3/draw1", 2)]
    first = new_batch(tmp_path, entries)
    second = dataclasses.replace(new_batch(tmp_path, entries[1:]), submitted=first.submitted + 1)
    second.write()
    found = read_batches(tmp_path)
    assert found == [first, second]
    assert last_entries(found) == {"runs/2d/n3/draw0": (first, 0), "runs/2d/n3/draw1": (second, 0)}
    assert first.name != second.name
    assert read_batches(tmp_path / "elsewhere") == []


WRITTEN: dict[str, Any] = {"job": "3", "submitted": 1.0, "tasks": [{"run": "runs/2d/n3/draw0", "saved": 0}]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"job": "3"}, "tasks is missing"),
        ({**WRITTEN, "submitted": 10**400}, "submitted must be a number"),
        ({**WRITTEN, "tasks": [{"run": "x", "saved": None}]}, r"tasks\[0\].saved must be a whole number"),
        ({**WRITTEN, "job": "a" * 300}, "job must be an id"),
        ({**WRITTEN, "job": "../3"}, "job must be an id"),
    ],
)
def test_a_batch_that_cannot_be_read_is_named(tmp_path: Path, document: dict[str, Any], words: str) -> None:
    write_json(tmp_path / "jobs" / "broken" / "batch.json", document)
    with pytest.raises(InputError, match=rf"broken.*{words}.*Delete"):
        read_batches(tmp_path)


@pytest.mark.parametrize(("text", "expected"), [(90, 90), ("90", 90), ("24:00:00", 1440), ("2-12:30:00", 3630)])
def test_time_limits_are_read_as_slurm_writes_them(text: Any, expected: int) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["0", 0, "1 day", "24:00", "00:00:30", ""])
def test_other_time_limits_are_refused(text: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        minutes(text)
