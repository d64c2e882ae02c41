"""The files of a study: `study.toml`, `cases.csv`, what runs leave, what rounds said."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from dicecast.adapters import conclusion, study_commands
from dicecast.adapters.execution.batches import read_batches
from dicecast.adapters.new_study import NewStudy, adopted_toml, study_toml
from dicecast.adapters.nnunet.dataset import read_dataset
from dicecast.adapters.run_scores import study_scores
from dicecast.adapters.settings import read_settings
from dicecast.adapters.study import open_study, read_rounds
from dicecast.adapters.terminal.screen import as_text
from dicecast.benchmarks.robustness.breaking import FEW, ODD, VALUES, broken_json, broken_text, encoded
from dicecast.benchmarks.robustness.images import label_seeds
from dicecast.benchmarks.robustness.nnunet_files import DECLARED, broken_documents
from dicecast.benchmarks.robustness.reading import Reader
from dicecast.forecast.forecast import Forecast, forecast_curve

SIZES, TEST = (3, 6, 12), ("t1", "t2", "t3")
POOL = tuple(f"p{number:02d}" for number in range(12))
RUN = Path("runs/2d/n6/draw0")


def make_study(folder: Path, *, rounds: bool = False) -> Path:
    """A study of one arm whose runs are complete, and its dataset."""
    dataset, study = folder / "dataset", folder / "study"
    label = gzip.compress(label_seeds()[0])
    for case in (*POOL, *TEST):
        for path in (dataset / "imagesTr" / f"{case}_0000.nii.gz", dataset / "labelsTr" / f"{case}.nii.gz"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(label)
    (dataset / "dataset.json").write_text(json.dumps(DECLARED[0]), encoding="utf-8")
    study.mkdir()
    asked = NewStudy(study, dataset, configurations=("2d",), draws=2)
    text = study_toml(dataclasses.replace(asked, test=len(TEST)), "study", read_dataset(dataset), SIZES)
    (study / "study.toml").write_text(text, encoding="utf-8")
    (study / "cases.csv").write_text(cases_table(), encoding="utf-8")
    for n in SIZES:
        for draw in (0, 1):
            keep_run(study, n, draw)
    if rounds:
        document = conclusion.round_document(conclusion.conclude(open_study(study), quick=True))
        document["round"] = 0
        (study / "rounds").mkdir()
        (study / "rounds" / "0.json").write_text(json.dumps(document), encoding="utf-8")
    return study


def cases_table() -> str:
    """A `cases.csv` of two rounds."""
    rows = [f"{case},{case},pool,{int(place > 8)},d{case},100,north" for place, case in enumerate(POOL)]
    rows += [f"{case},{case},test,,d{case},100,south" for case in TEST] + ["u1,u1,unannotated,,,,north"]
    return "case,patient,role,round,digest,voxels,site\n" + "\n".join(rows) + "\n"


def run_files(study: Path, n: int, draw: int) -> dict[str, str]:
    """The files of a completed run."""
    settings = read_settings(study / "study.toml").scores
    scored: dict[str, Any] = {
        "structures": {"kidney": 1, "tumour": 2},
        "metrics": list(settings.metrics),
        "surface_tolerance_mm": {"kidney": 1.0, "tumour": 1.0},
        "ignore": None,
        "asked": {"structures": [], "unions": {}},
        "annotators": {},
    }
    record = {
        "status": "completed",
        "arm": "2d",
        "n": n,
        "draw": draw,
        "cases": list(POOL[:n]),
        "protocol": {"epochs": 1000},
        "seconds": {"training": 60.0, "scoring": 2.0},
        "seconds_per_iteration": 0.2,
        "seconds_spent": 70.0,
        "memory_gb": {"host": 2.0, "device": 0.0},
        "train_losses": [0.5],
    }
    lines, ensembles = [], []
    for place, case in enumerate(TEST):
        for structure, top in (("kidney", 0.9), ("tumour", 0.7)):
            score = top - 1 / (n + 3) + 0.01 * place + 0.005 * draw
            own = f"{n},2d,{draw},{case},{structure},"
            lines += [f"{own}dice,{score:.4f}", f"{own}msd_mm,1.5", f"{own}missed,0"]
            ensembles.append(f"{n},2d,{draw},test,{case},vote,{structure},dice,{score:.4f}")
    return {
        "run.json": json.dumps(record),
        "scoring.json": json.dumps(scored),
        "scores.csv": "n_cases,arm,draw,case,structure,metric,score\n" + "\n".join(lines) + "\n",
        "ensembles.csv": "n_cases,arm,draw,test_set,case,rule,structure,metric,score\n" + "\n".join(ensembles) + "\n",
    }


def keep_run(study: Path, n: int, draw: int) -> None:
    """Put a completed run into a study."""
    place = study / "runs" / "2d" / f"n{n}" / f"draw{draw}"
    place.mkdir(parents=True)
    for name, text in run_files(study, n, draw).items():
        (place / name).write_text(text, encoding="utf-8")


SETTINGS = (
    '"plateau"', '"value"', '"ignore"', '{ kidney = 0.9 }', "[1, 2]", "[]", "true", "1e400", "-1", "0", "nan", "-inf",
    '""', '"x"', "2026-01-01", '["dice"]', '["nsd"]', '"AdamW"', "[0.5, 99.5]", '"clip"', '"slurm"',
    '"file.py:Trainer"',
    '{ ratio = 1, folder = "x" }', '{ structure = "kidney", margin_mm = 1 }', '"../dataset"', '["volume/4"]',
    '["site"]',
    "99999999999999999999", "[1.5]", "{}", "[[]]", '["softmax", "vote"]', '["a", "a"]', "1e-320",
    '"random"', '"stratified"', f'"{"a" * 300}"', '"\\u0000"', '"{0}"', '"[bold]"', '"~"', '"/dev/null"', '"."',
    "9" * 5000, "0.5", "2", "20", "[3, 6]", "[2, 1]", '"~no-such-user/x"',
    '["kidney"]', '"kidney"', "false", "1e15", "0x1F",
)  # fmt: skip
"""Values that a key of `study.toml` may have, or have not."""


KEY = re.compile(r"(# )?\w+ *= *")
"""The beginning of a setting, or of an example of one in a comment."""


def uncommented(text: str) -> str:
    """The settings with every example in a comment switched on."""
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ").removeprefix("#")
        lines.append(bare if line.startswith("#") and ("=" in bare or bare.startswith("[")) else line)
    return "\n".join(lines)


@st.composite
def broken_settings(draw: st.DrawFn, texts: tuple[str, ...]) -> str:
    """A `study.toml` with some of its values or lines changed."""
    lines = draw(st.sampled_from(texts)).splitlines()
    for _ in range(draw(FEW)):
        keys = [number for number, line in enumerate(lines) if KEY.match(line)]
        examples = [number for number in keys if lines[number].startswith("#")]
        place, what = draw(st.sampled_from(keys)), draw(st.integers(0, 5))
        if what <= 2:
            key = lines[place].partition("=")[0].lstrip("# ")
            lines[place] = f"{key}= {draw(st.sampled_from(SETTINGS))}"
        elif what <= 4 and examples:
            place = draw(st.sampled_from(examples))
            lines[place] = lines[place][2:]
        else:
            lines.insert(place, draw(st.sampled_from(lines)).removeprefix("# "))
    text = "\n".join(lines)
    return draw(broken_text([text])) if draw(st.integers(0, 9)) == 0 else text


def study_settings(folder: Path) -> Reader:
    """A `study.toml`, to what `init --settings` and `run --dry-run` make of it."""
    study = make_study(folder)
    shutil.rmtree(study / "runs")
    dataset = read_dataset(folder / "dataset")
    asked = NewStudy(study, folder / "dataset", test=3)
    path = study / "study.toml"
    text = path.read_text(encoding="utf-8")
    short = "\n".join(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    texts = (short, text, text)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(Refused):
            adopted_toml(asked, path, "new", dataset)
        as_text(study_commands.dry_run(study, False)[0])

    from dicecast.forecast.errors import InputError as Refused

    broken = encoded(broken_settings(texts))
    return Reader("study.toml", (short.encode(), uncommented(text).encode()), read, broken)


def cases_csv(folder: Path) -> Reader:
    """A `cases.csv`, to the plan of the next run and the next cases."""
    study = make_study(folder)
    shutil.rmtree(study / "runs")
    by_site = (study / "study.toml").read_text(encoding="utf-8")
    by_site = by_site.replace('select = "random"', 'select = "stratified"\nby = ["site"]')
    (study / "study.toml").write_text(by_site, encoding="utf-8")

    def read(data: bytes) -> None:
        (study / "cases.csv").write_bytes(data)
        opened = open_study(study)
        as_text(study_commands.dry_run(study, False)[0])
        opened.next_cases(1)
        opened.ordering(1)

    words = (*ODD, "pool", "test", "unannotated", *POOL[:3], *TEST[:2])
    return Reader("cases.csv", (cases_table().encode(),), read, encoded(broken_text([cases_table()], words)))


def run_json(folder: Path) -> Reader:
    """The `run.json` of a completed run, to the status of its study."""
    study = make_study(folder)
    record = json.loads((study / RUN / "run.json").read_text(encoding="utf-8"))

    def read(data: bytes) -> None:
        (study / RUN / "run.json").write_bytes(data)
        report, document = study_commands.status(study)
        as_text(report)
        json.dumps(document, allow_nan=False)
        study_scores(open_study(study))

    documents = (record, {**record, "status": "failed", "error": "out of memory"})
    words = (*VALUES, "failed", "running", {"training": "x"}, {"training": None}, {"training": float("nan")})
    seeds = tuple(json.dumps(one).encode() for one in documents)
    return Reader("run.json", seeds, read, broken_documents(documents, words))


def run_folder(folder: Path) -> Reader:
    """A run folder with files that are missing, cut or broken, to the round's forecast and decision.

    An input maps file names to their texts; null stands for no such file, a list for a folder.
    """
    study = make_study(folder)
    _remember_forecasts()
    whole = run_files(study, 6, 0)

    def read(data: bytes) -> None:
        place = study / RUN
        shutil.rmtree(place)
        place.mkdir()
        for name, text in json.loads(data).items():
            if isinstance(text, str):
                (place / name).write_bytes(text.encode("utf-8", "surrogatepass"))
            elif text is not None:
                (place / name).mkdir()
        as_text(study_commands.status(study)[0])
        result = conclusion.conclude(open_study(study), quick=True)
        json.dumps(conclusion.round_document(result), allow_nan=False)

    return Reader("run folder", (json.dumps(whole).encode(),), read, _broken_files(whole), seconds=20.0)


@st.composite
def _broken_files(draw: st.DrawFn, whole: Mapping[str, str]) -> bytes:
    files: dict[str, Any] = {**whole, "progress.json": None}
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(files)))
        text = whole.get(name, '{"epochs_done": 1, "epochs": 4}')
        what = draw(st.integers(0, 9))
        if what == 0:
            files[name] = None
        elif what == 1:
            files[name] = []
        elif what == 2:
            files[name] = text[: draw(st.integers(0, len(text)))]
        elif name.endswith(".json"):
            files[name] = draw(broken_json([json.loads(text)])).decode("utf-8", "surrogatepass")
        else:
            files[name] = draw(broken_text([text]))
    return json.dumps(files).encode()


def _remember_forecasts() -> None:
    """Forecast every curve once: here it is not the forecast that is tried."""
    known: dict[Any, Forecast] = {}

    def remembered(curve: Any, question: Any = None, **options: Any) -> Forecast:
        key = (curve.name, curve.n.tobytes(), curve.y.tobytes(), curve.n_annotated, curve.pool, question)
        if len(known) > 200:
            known.clear()
        if key not in known:
            known[key] = forecast_curve(curve, question, **{**options, "draws": 500})
        return known[key]

    vars(conclusion)["forecast_curve"] = remembered


def round_json(folder: Path) -> Reader:
    """A `rounds/0.json`, to the decision of the round after it."""
    study = make_study(folder, rounds=True)
    _remember_forecasts()
    path = study / "rounds" / "0.json"
    seed = json.loads(path.read_text(encoding="utf-8"))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_rounds(open_study(study))
        result = conclusion.conclude(open_study(study), quick=True)
        json.dumps(conclusion.round_document(result), allow_nan=False)

    words = (*VALUES, "2d / kidney / dice", {"median": None}, {"median": "x", "lo": 1, "hi": 2})
    small = _small(seed)
    return Reader(
        "rounds/0.json", (json.dumps(seed).encode(),), read, broken_documents((seed, small, small), words), seconds=20.0
    )


def _small(document: Mapping[str, Any]) -> dict[str, Any]:
    """Only what later rounds look at."""
    names = ("arm", "structure", "metric", "test_set", "stratum", "posterior", "plateau", "n_annotated", "sizes")
    curves = [{name: one[name] for name in (*names, "reachable_gain")} for one in document["forecast"]["curves"][:1]]
    kept = {name: document[name] for name in ("round", "replay", "recommendations")}
    kept["recommendation"] = {"evidence": {"left": 3}}
    kept["recommendations"] = [{k: one[k] for k in ("curve", "promise")} for one in kept["recommendations"][:1]]
    return {**kept, "forecast": {"level": document["forecast"]["level"], "curves": curves}}


def batch_json(folder: Path) -> Reader:
    """What was handed to a cluster, to the batches that a study has there."""
    place = folder / "jobs" / "dicecast-study-1"
    place.mkdir(parents=True)
    seed = {"job": "17", "submitted": 1.7e9, "forgiven": False, "tasks": [{"run": str(RUN), "saved": 0}]}

    def read(data: bytes) -> None:
        (place / "batch.json").write_bytes(data)
        for batch in read_batches(folder):
            batch.last_words(0)

    return Reader("batch.json", (json.dumps(seed).encode(),), read, broken_documents((seed,)))
