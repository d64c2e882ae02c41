"""Fixtures for tests of everything that touches the world: tiny nnU-Net datasets, the command line, folders."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
import typer.testing

from dicecast.cli import app
from dicecast.tests.browser import browser

Array = npt.NDArray[Any]

hypothesis.settings.register_profile("patient", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("patient")  # how long an example takes tells of the machine only

with warnings.catch_warnings(), contextlib.suppress(ModuleNotFoundError):  # it comes with nnU-Net
    warnings.simplefilter("ignore")
    import SimpleITK


LONGEST = (
    "adapters/test_slurm.py",
    "forecast/test_calibration.py",
    "docs/test_demo.py",
    "adapters/test_kills.py",
    "docs/test_snippets.py",
    "adapters/test_arms.py",
    "adapters/test_loop.py",
    "adapters/html/test_page_in_browser.py",
    "adapters/html/test_report.py",
    "adapters/test_terminal.py",
    "adapters/test_faithful.py",
    "studies/test_pairs.py",
    "adapters/test_compare.py",
    "adapters/figures/test_figures.py",
    "adapters/test_bad_input.py",
    "test_cli.py",
    "forecast/test_posterior.py",
    "forecast/test_comparison.py",
)
"""Files of minutes, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: the short ones at the end keep every worker busy until all are done."""
    place = {Path(__file__).parent / name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def _write_image(
    path: Path, array: Array, spacing: tuple[float, ...] = (), origin: tuple[float, ...] = (), **_: object
) -> None:
    if path.suffix == ".png":
        from PIL import Image

        Image.fromarray(array).save(path)
        return
    pytest.importorskip("SimpleITK")
    volume = SimpleITK.GetImageFromArray(array)
    volume.SetSpacing(spacing or (1.0,) * array.ndim)
    volume.SetOrigin(origin or (0.0,) * array.ndim)
    SimpleITK.WriteImage(volume, str(path))


def _make_dataset(
    folder: Path,
    *,
    cases: int = 6,
    channels: int = 1,
    labels: Mapping[str, int | list[int]] | None = None,
    shape: tuple[int, ...] = (6, 12, 12),
    ending: str = ".nii.gz",
    seed: int = 0,
    **declared: Any,
) -> Path:
    labels = labels or {"background": 0, "organ": 1}
    top = {value for one in labels.values() for value in (one if isinstance(one, list) else [one])} - {0}
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for number in range(cases):
        rng = np.random.default_rng((seed, number))
        case = f"case_{number:03d}"
        label = np.zeros(shape, np.uint8)
        for value in sorted(top):
            start = [int(rng.integers(0, max(1, n - 4))) for n in shape]
            label[tuple(slice(s, s + 4) for s in start)] = value
        for channel in range(channels):
            pixels = rng.normal(100 + 50 * label, 10).astype(np.uint8 if ending == ".png" else np.float32)
            _write_image(folder / "imagesTr" / f"{case}_{channel:04d}{ending}", pixels)
        _write_image(folder / "labelsTr" / f"{case}{ending}", label)
    description = {
        "channel_names": {str(channel): f"channel{channel}" for channel in range(channels)},
        "labels": dict(labels),
        "numTraining": cases,
        "file_ending": ending,
        **declared,
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


def _declare(dataset: Path, **changes: Any) -> None:
    path = dataset / "dataset.json"
    declared = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    kept = {key: value for key, value in declared.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def _snapshot(folder: Path) -> dict[str, str]:
    """Every path below a folder with a hash of its bytes; lock files, which outlive their holder, left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
        if path.name != ".lock"
    }


@pytest.fixture(scope="session")
def write_image() -> Callable[..., None]:
    """write_image(path, array, spacing=(), origin=()): a volume with SimpleITK, a .png with Pillow."""
    return _write_image


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Path]:
    """make_dataset(folder, cases=6, channels=1, labels=..., shape=(6, 12, 12), ending=".nii.gz", seed=0, **declared).

    Writes case_000, case_001, ... as an nnU-Net raw dataset; more keywords go into dataset.json.
    """
    return _make_dataset


@pytest.fixture(scope="session")
def declare() -> Callable[..., None]:
    """declare(dataset, key=value): change dataset.json; None removes the key."""
    return _declare


@pytest.fixture(scope="session")
def unchanged() -> Callable[[Path], contextlib.AbstractContextManager[None]]:
    """`with unchanged(folder):` fails when anything below the folder was written, changed or removed."""

    @contextlib.contextmanager
    def check(folder: Path) -> Iterator[None]:
        before = _snapshot(folder)
        yield
        assert _snapshot(folder) == before

    return check


@pytest.fixture(scope="session")
def nnunet() -> None:
    """nnU-Net imported once, its own import-time warnings aside; skips where it is not installed."""
    pytest.importorskip("nnunetv2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nnunetv2.imageio.reader_writer_registry  # noqa: F401


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """cli("forecast", path, ...): the command line in this process, on a wide terminal."""
    monkeypatch.delenv("DICECAST_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Any:
        return typer.testing.CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """process("forecast", path, ..., before="python statements"): the command line in a process of its own."""

    def run(*arguments: object, before: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        code = f"import sys\n{before}\nfrom dicecast.__main__ import main\nmain()"
        env = {key: value for key, value in os.environ.items() if key not in ("DICECAST_DEBUG", "PYTHONWARNINGS")}
        env |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, check=False, timeout=120)

    return run


@pytest.fixture
def refused() -> Callable[..., None]:
    """refused(result, 2, "word", ...): this exit code, one error message with these words, and no traceback."""

    def check(result: Any, code: int, *words: object) -> None:
        message = " ".join(result.stderr.split())
        assert "unexpected" not in message, message
        found = result.returncode if isinstance(result, subprocess.CompletedProcess) else result.exit_code
        assert found == code, f"exit code {found}, not {code}: {message}"
        assert "Traceback" not in message
        missing = [str(word) for word in words if str(word) not in message]
        assert not missing, f"{missing} not in: {message}"

    return check


@pytest.fixture
def new_study(
    tmp_path: Path, make_dataset: Callable[..., Path], cli: Callable[..., Any], nnunet: None
) -> Callable[..., Path]:
    """new_study("--test", 2, ...): a study at tmp_path/study on the six cases of tmp_path/dataset, made by `init`."""

    def build(*options: object) -> Path:
        dataset = tmp_path / "dataset"
        if not dataset.exists():
            make_dataset(dataset)
        defaults = () if "--test" in options else ("--test", 2)
        result = cli("init", tmp_path / "study", "--dataset", dataset, *defaults, *options)
        assert result.exit_code == 0, result.stderr
        return tmp_path / "study"

    return build


@pytest.fixture(scope="session")
def keep_run() -> Callable[..., Path]:
    """keep_run(study, table, arm="2d", n=4): a completed run of a study with these scores, as `run` leaves it."""
    from dicecast.adapters.files import write_json
    from dicecast.adapters.settings import read_settings
    from dicecast.adapters.tables import write_csv

    def keep(study: Path, table: Any, arm: str = "2d", n: int = 4, draw: int = 0) -> Path:
        settings, folder = read_settings(study / "study.toml"), study / "runs" / arm / f"n{n}" / f"draw{draw}"
        write_csv(table, folder / "scores.csv")
        structures = sorted(set(table["structure"]))
        scored = {
            "structures": {name: value for value, name in enumerate(structures, 1)},
            "metrics": settings.scores.metrics,
            "surface_tolerance_mm": {name: settings.scores.tolerance(name) for name in structures},
            "ignore": None,
            "asked": {"structures": settings.scores.structures, "unions": settings.scores.unions},
            "annotators": {one.name: one.labels for one in settings.test.annotator},
        }
        write_json(folder / "scoring.json", scored)
        record = {"status": "completed", "arm": arm, "n": n, "draw": draw, "cases": [], "protocol": {"epochs": 2}}
        write_json(folder / "run.json", {**record, "seconds": {"training": 60.0}})
        return folder

    return keep


@pytest.fixture(scope="module")
def chains_once() -> Iterator[None]:
    """The chains of a curve are walked once in a file: the same curve, seed and family have the same posterior."""
    from dicecast.forecast.sampler import sample_posterior

    known: dict[bytes, Any] = {}

    def sampled(*arguments: Any, **options: Any) -> Any:
        key = pickle.dumps((arguments, options))
        if key not in known:
            known[key] = sample_posterior(*arguments, **options)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for user in ("arms", "forecast", "stability"):
            patch.setattr(f"dicecast.forecast.{user}.sample_posterior", sampled)
        yield


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    with browser() as found:
        yield found
