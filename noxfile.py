"""The Pythons and library versions that dicecast promises, tried by one command: `nox`.

Sessions install what constraints.txt names; `oldest` installs the lower bounds of pyproject.toml instead.
"""

from __future__ import annotations

from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

METADATA = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(METADATA)
CONSTRAINTS = "constraints.txt"
LIGHT = ("slurm", "examples")
"""Extras that go with the oldest libraries, and need neither torch nor nnU-Net."""
PYTEST = ("python", "-m", "pytest", "-p", "no:cacheprovider")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = True


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The fast tests without torch and nnU-Net; those that need them skip."""
    install(session, CONSTRAINTS, (*LIGHT, "arviz", "test"))
    run_tests(session)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """The same with the oldest libraries that pyproject.toml allows."""
    pins = Path(session.create_tmp()).resolve() / "oldest.txt"
    pins.write_text("\n".join(oldest_versions()), encoding="utf-8")
    install(session, str(pins), (*LIGHT, "test"))
    run_tests(session, "-W", "ignore::DeprecationWarning")  # old libraries meet new ones that they do not know


@nox.session(python=PYTHONS[-1])
def wheel(session: nox.Session) -> None:
    """Build the sdist and the wheel, and try the wheel alone in an empty environment."""
    session.install("-c", CONSTRAINTS, "pytest", "pytest-timeout")
    session.run(*PYTEST, "--noconftest", "tests/test_packaging.py", *session.posargs)


@nox.session(python=PYTHONS, default=False)
def nnunet(session: nox.Session) -> None:
    """All fast tests, tiny nnU-Net trainings included; where torch has no CPU build this fetches gigabytes of CUDA."""
    session.install("-c", CONSTRAINTS, "torch")
    install(session, CONSTRAINTS, ("nnunet", "dev"))
    run_tests(session)


def install(session: nox.Session, constraints: str, extras: tuple[str, ...]) -> None:
    """Install dicecast with these extras, and show the versions that came with it."""
    session.install("-c", constraints, "-e", f".[{','.join(extras)}]")
    session.run("python", "-m", "pip", "list", "--format=freeze", "--exclude-editable")


def run_tests(session: nox.Session, *options: str) -> None:
    """Run the fast tests, or those that are named after `--`."""
    session.run(*PYTEST, "-m", "not slow", *options, *session.posargs, env=ONE_THREAD)


def oldest_versions() -> list[str]:
    """Lower bounds of dicecast and its light extras as pins; other packages as constraints.txt has them."""
    project = METADATA["project"]
    texts = [*project["dependencies"], *(text for extra in LIGHT for text in project["optional-dependencies"][extra])]
    bounds = {
        canonicalize_name(named.name): one.version
        for named in map(Requirement, texts)
        for one in named.specifier
        if one.operator == ">="
    }
    tested = Path(CONSTRAINTS).read_text(encoding="utf-8").splitlines()
    others = [line for line in tested if canonicalize_name(line.split("==")[0]) not in bounds]
    return [*(f"{name}=={version}" for name, version in bounds.items()), *others]
