"""What is installed is the package, all of it and nothing else, and it works alone in an empty environment.

Needs nothing but pytest, so that the wheel can be tried where dicecast is not installed:
`pytest --noconftest tests/test_packaging.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = ("forecast", "adapters")
TOP = {"__init__.py", "__main__.py", "cli.py", "py.typed"}
EXTRAS = {"torch", "nnunetv2", "SimpleITK", "nibabel", "submitit", "pooch", "arviz_base"}
SCORES = "n_cases,draw,score\n50,0,0.71\n50,1,0.69\n100,0,0.78\n100,1,0.77\n200,0,0.82\n200,1,0.83\n"
API = """
import pandas
from dicecast import Question, curves_from_scores, forecast_curve, plot_curve, recommend, validate_scores

(curve,) = curves_from_scores(validate_scores(pandas.read_csv("scores.csv")))
found = forecast_curve(curve, Question(at=(400,)))
plot_curve(found).figure.savefig("curve.png")
print(found.verdict.code, recommend(found).code)
"""
IMPORT_ALL = """
import importlib, json, pkgutil
import dicecast

missing = {}
for module in pkgutil.walk_packages(dicecast.__path__, "dicecast."):
    if module.name != "dicecast.__main__":
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            missing[module.name] = error.name
print(json.dumps(missing))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Built:
    """What was built of a clean copy of the sources."""

    sources: Path
    sdist: Path
    wheel: Path
    from_sdist: Path
    """The wheel that the sdist makes."""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel and what it depends on."""

    bin: Path
    folder: Path
    """Where commands run; holds a scores.csv."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, without anything of the one around it."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DICECAST", "MPL"))}
        env |= {"PATH": str(self.bin), "HOME": str(self.folder), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        program = [str(self.bin / command[0]), *command[1:]]
        return subprocess.run(
            program, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False
        )


def call(*command: object, cwd: Path | None = None) -> str:
    found = subprocess.run([str(one) for one in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"{command}: {found.stdout}\n{found.stderr}"
    return found.stdout


def environment(folder: Path, *packages: object) -> Path:
    """A new environment with these packages, under the versions that dicecast is tested with; its programs."""
    call(sys.executable, "-m", "venv", folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    call(programs / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *packages)
    return programs


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, its wheel, and the wheel of the sources themselves."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("the sources are not a git checkout, which tells them from other files")
    folder = tmp_path_factory.mktemp("built")
    sources = folder / "sources"
    listed = call("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, sources / name)
    programs = environment(folder / "builder", "build", *METADATA["build-system"]["requires"])
    build = (programs / "python", "-m", "build", "--no-isolation")
    call(*build, "--outdir", folder / "dist", sources)
    call(*build, "--outdir", folder / "direct", "--wheel", sources)
    (sdist,), (from_sdist,) = folder.glob("dist/*.tar.gz"), folder.glob("dist/*.whl")
    (wheel,) = folder.glob("direct/*.whl")
    return Built(sources, sdist, wheel, from_sdist)


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    programs = environment(folder / "environment", built.from_sdist)
    (folder / "work").mkdir()
    (folder / "work" / "scores.csv").write_text(SCORES, encoding="utf-8")
    return Installed(programs, folder / "work")


def contents(wheel: Path) -> dict[str, str]:
    """Files of a wheel, with hashes of what they hold."""
    with zipfile.ZipFile(wheel) as opened:
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist()}


def package_files(sources: Path) -> set[str]:
    """What belongs to the package, as a checkout has it."""
    inside = (path for folder in FOLDERS for path in (sources / folder).rglob("*") if path.is_file())
    return TOP | {path.relative_to(sources).as_posix() for path in inside}


def test_every_folder_of_the_package_is_declared() -> None:
    homes = {path.parent.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    found = {"dicecast", *(".".join(("dicecast", *home.parts)) for home in homes)}
    assert set(METADATA["tool"]["setuptools"]["packages"]) == found


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    found = contents(built.wheel)
    about = f"dicecast-{METADATA['project']['version']}.dist-info"
    expected = {f"dicecast/{name}" for name in package_files(built.sources)}
    expected |= {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt")}
    assert set(found) == expected | {f"{about}/licenses/LICENSE"}


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(built: Built) -> None:
    assert contents(built.from_sdist) == contents(built.wheel)
    with tarfile.open(built.sdist) as opened:
        names = {Path(name).parts[1] for name in opened.getnames() if "/" in name}
    assert names <= {*FOLDERS, *TOP, "dicecast.egg-info", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"} | {
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
    }


@pytest.mark.slow
def test_the_environment_is_whole_and_light(installed: Installed) -> None:
    assert installed.run("python", "-m", "pip", "check").returncode == 0
    listed = json.loads(installed.run("python", "-m", "pip", "list", "--format=json").stdout)
    assert not {one["name"] for one in listed} & {"torch", "nnunetv2", "pytest"}


@pytest.mark.slow
def test_every_module_needs_what_is_declared(installed: Installed) -> None:
    found = installed.run("python", "-c", IMPORT_ALL)
    assert found.returncode == 0, found.stderr
    missing = json.loads(found.stdout)
    assert set(missing.values()) <= EXTRAS
    assert not [name for name in missing if name.startswith("dicecast.forecast")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("dicecast", "--version"), f"dicecast {METADATA['project']['version']}"),
        (("python", "-m", "dicecast", "--version"), f"dicecast {METADATA['project']['version']}"),
        (("dicecast", "--help"), "forecast"),
        (("dicecast", "forecast", "scores.csv"), "MORE CASES HELP"),
        (("dicecast", "recommend", "scores.csv", "--left", "500"), "ANNOTATE"),
        (("dicecast", "report", "scores.csv", "-o", "page.html", "--figures", "figures"), "page.html"),
        (("dicecast", "simulate", "scores.csv"), "cases"),
        (("dicecast", "doctor"), "nnU-Net"),
        (("python", "-c", API), "plateau_ahead annotate"),
    ],
    ids=lambda value: "_".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_the_command_and_the_api_work_alone(installed: Installed, command: tuple[str, ...], said: str) -> None:
    found = installed.run(*command)
    assert found.returncode == 0, found.stderr
    assert said in found.stdout
    assert "Warning" not in found.stderr and "Traceback" not in found.stderr


@pytest.mark.slow
def test_the_page_and_the_figures_are_whole(installed: Installed) -> None:
    assert installed.run("dicecast", "report", "scores.csv", "-o", "whole.html", "--figures", "drawn").returncode == 0
    page = (installed.folder / "whole.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert "<style>" in page and "<script>" in page
    assert list((installed.folder / "drawn").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [("demo",), ("init", "study", "--dataset", "."), ("forecast", "scores.csv", "--forecaster", "lstm")]
)
def test_what_needs_nnunet_says_so(installed: Installed, command: tuple[str, ...]) -> None:
    found = installed.run("dicecast", *command)
    words = " ".join(found.stderr.split())
    assert found.returncode == 2, words
    assert "not installed" in words and ".[nnunet]" in words and "Traceback" not in words
