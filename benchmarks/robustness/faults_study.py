"""Studies that are moved, read-only, of another version, worked on by two at once, or met by a clock that goes back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from dicecast.benchmarks.robustness.faults_disk import disturbed, once_more
from dicecast.benchmarks.robustness.faults_materials import Bench
from dicecast.benchmarks.robustness.faults_remembered import begin
from dicecast.benchmarks.robustness.faults_trial import Command, Trial, files_of, finish, forked, judge, repeated, start

TOGETHER = 3
"""Repetitions of two processes at once."""
RUN = Path("study/runs/2d/n6/draw0")


def trials(bench: Bench) -> Iterator[Trial]:
    """Everything that happens to a study as a whole."""
    yield from _moved(bench)
    yield from _backwards(bench)
    yield from _other_versions(bench)
    yield from _read_only(bench)
    yield from _together(bench)


def _moved(bench: Bench) -> Iterator[Trial]:
    """Between two commands."""
    for command in bench.some("study: recommend", "study: run again", "study: report"):
        name = command.name
        whole, folder = bench.whole(command), bench.fresh(command)
        # a page says what its study is called
        place = folder / "other place" / ("study" if name == "study: report" else "renamed")
        was = files_of(folder)
        place.parent.mkdir()
        (folder / "study").rename(place)
        words = [str(place.relative_to(folder)) if word == "study" else word for word in command.words]
        ended = forked(words, folder, bench.log, partial(begin, name))
        place.rename(folder / "study")
        place.parent.rmdir()
        trial = judge(Trial("moved", name, "moved and renamed", 0, ""), ended, was, files_of(folder), whole)
        yield once_more(bench, trial, command, was)


def _backwards(bench: Bench) -> Iterator[Trial]:
    """Every look at the clock is an hour earlier than the last."""
    real = time.time
    for command in bench.some("study: recommend", "study: run", "study: report"):

        def before(name: str = command.name) -> None:
            begin(name)
            looks = iter(range(10**9))
            time.time = lambda: real() - 3600 * next(looks)  # type: ignore[assignment]

        yield disturbed(bench, Trial("clock", command.name, "goes back", 0, ""), command, before)


def _edit(path: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / path
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")

    return edit


def _json(path: str, **changes: object) -> Callable[[Path], None]:
    """Keys added or changed; None takes one away."""

    def change(text: str) -> str:
        found = {**json.loads(text), **changes}
        return json.dumps({key: value for key, value in found.items() if value is not None})

    return _edit(path, change)


VERSIONS: dict[str, Callable[[Path], None]] = {
    "format 99": _edit("study/study.toml", lambda text: text.replace("format = 2", "format = 99")),
    "format 1": _edit("study/study.toml", lambda text: text.replace("format = 2", "format = 1")),
    "no format": _edit("study/study.toml", lambda text: text.replace("format = 2\n", "")),
    "a section of later": _edit("study/study.toml", lambda text: text + "\n[later]\nkey = 1\n"),
    "a key of later": _edit("study/study.toml", lambda text: text.replace("format = 2", "format = 2\nlater = 1")),
    "a round of later": _json("study/rounds/0.json", round=0, forecast={"later": []}),
    "a round without promises": _json("study/rounds/0.json", recommendations=None),
    "a run of later": _json(f"{RUN}/run.json", status="paused"),
    "a run without its protocol": _json(f"{RUN}/run.json", protocol=None),
    "scoring of later": _json(f"{RUN}/scoring.json", metrics=["dice", "later"]),
    "scores of later": _edit(f"{RUN}/scores.csv", lambda text: text.replace("score", "value", 1)),
    "cases of later": _edit("study/cases.csv", lambda text: text.replace("pool", "training", 1)),
}
"""What a study of another version, or one somebody spoilt, may look like."""


def _other_versions(bench: Bench) -> Iterator[Trial]:
    for command in bench.some("study: recommend", "study: run again"):
        for words, spoil in VERSIONS.items():
            whole, folder = bench.whole(command), bench.fresh(command)
            sound = files_of(folder)
            spoil(folder)
            was = files_of(folder)
            ended = forked(command.words, folder, bench.log, partial(begin, command.name))
            after = files_of(folder)
            if ended.code == 0:  # it made do with what it was given; what it wrote is its own answer
                given = {name: data for name, data in was.items() if data != sound[name]}
                whole = {**whole, **given, **{name: data for name, data in after.items() if data != was.get(name)}}
            trial = judge(Trial("version", command.name, words, 0, ""), ended, was, after, {**was, **whole})
            for path, data in sound.items():
                (folder / path).write_bytes(data)
            yield once_more(bench, trial, command, sound)


def _read_only(bench: Bench) -> Iterator[Trial]:
    """On a file system that is mounted read-only; whoever only reads works all the same."""
    if subprocess.run(["mount", "--bind", bench.folder, bench.folder], capture_output=True).returncode:
        return
    subprocess.run(["umount", bench.folder], check=True)
    for command in bench.some("study: recommend", "study: run again", "study: run"):
        name = command.name
        for words in (command.words, ("status", "study"), ("forecast", "study", "--quick")):
            reads = words is not command.words
            whole, folder = bench.whole(command), bench.fresh(command)
            was = files_of(folder)
            subprocess.run(["mount", "--bind", folder, folder], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
            try:
                ended = forked(words, folder, bench.log, partial(begin, name))
            finally:
                subprocess.run(["umount", folder], check=True)
            expected = {**was} if reads else whole
            trial = Trial("read-only", name, f"mounted read-only: {words[0]}", 0, "")
            judge(trial, ended, was, files_of(folder), expected, codes=(0,) if reads else (2,))
            yield once_more(bench, trial, command, was)


def _together(bench: Bench) -> Iterator[Trial]:
    """The same command twice at the same time."""
    for command in bench.some("recommend", "compare", "import", "study: recommend", "study: run"):
        for number in range(TOGETHER):
            yield _two(bench, command, number)


def _two(bench: Bench, command: Command, number: int) -> Trial:
    whole, folder = bench.whole(command), bench.fresh(command)
    was = files_of(folder)
    logs = [bench.folder / f"log{i}" for i in range(2)]
    began = time.monotonic()
    pids = [start(command.words, folder, log, partial(begin, command.name)) for log in logs]
    ended = [finish(pid, log, began) for pid, log in zip(pids, logs, strict=True)]
    trial = Trial("two at once", command.name, f"repetition {number}", 0, "")
    after = files_of(folder)
    for one in ended:
        judge(trial, one, was, after, whole)
    if all(one.code for one in ended):
        trial.spoilt.append("none of the two went well")
    again = forked(command.words + command.redo, folder, bench.log, partial(begin, command.name))
    return repeated(trial, again, files_of(folder), whole)
