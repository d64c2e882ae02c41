"""One mutant: made by cosmic-ray, tried by the tests that reach its line in a process forked for it."""

from __future__ import annotations

import ast
import contextlib
import difflib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import coverage
import pytest
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

TESTS = ("tests/forecast", "tests/test_prior.py")
QUIET = ("-q", "-p", "no:cacheprovider", "--noconftest", "--hypothesis-profile=ci", "-m", "not slow")
HERE = Path(__file__).resolve().parent
DEFINED = "test_frozen.py::test_every_dataclass_is_frozen"
"""What is asked of every module once it is imported."""
GRACE = 10.0
"""Seconds of processor a mutant may take beside five times what its tests take."""


@dataclass(frozen=True)
class Mutant:
    """One change that cosmic-ray can make."""

    module: str
    operator: str
    occurrence: int
    line: int
    until: int
    """First and last line of what is changed."""

    def path(self, tree: Path) -> Path:
        return tree / "forecast" / f"{self.module}.py"


@cache
def positions(tree: Path, module: str) -> tuple[Mutant, ...]:
    """Every change that cosmic-ray's operators without arguments can make to a module."""
    nodes = list(ast_nodes(get_ast_from_path(tree / "forecast" / f"{module}.py")))
    found: list[Mutant] = []
    for name in operator_names():
        operator = get_operator(name)
        if not operator.arguments():
            made = operator()
            places = [place for node in nodes for place in made.mutation_positions(node)]
            found += [Mutant(module, name, i, start[0], end[0]) for i, (start, end) in enumerate(places)]
    return tuple(found)


def _code(tree: Path, mutant: Mutant) -> str:
    source = mutant.path(tree).read_text(encoding="utf-8")
    return str(mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence))


def _meaning(source: str) -> str:
    """The code without its annotations, which nothing evaluates."""
    parsed = ast.parse(source)
    for node in ast.walk(parsed):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(parsed)


def changed(tree: Path, mutant: Mutant) -> bool:
    """Whether a mutant is Python, and does anything else than the code does."""
    with contextlib.suppress(SyntaxError):
        return _meaning(_code(tree, mutant)) != _meaning(mutant.path(tree).read_text(encoding="utf-8"))
    return False


def learn_reach(tree: Path, place: Path, tests: Sequence[str]) -> None:
    """Run every quick test once; which lines it reached and what it cost go into a folder."""
    place.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "DICECAST_REACH": str(place / "reach.json"), "COVERAGE_FILE": str(place / "coverage")}
    env["PYTHONPATH"] = os.pathsep.join([str(tree.parent), str(HERE)])
    command = [
        sys.executable,
        "-m",
        "pytest",
        *QUIET,
        "-p",
        "reach",
        "--cov=forecast",
        "--cov-report=",
        "--cov-fail-under=0",
        *tests,
    ]
    if subprocess.run(command, env=env, cwd=tree, check=False).returncode:
        sys.exit("the tests must pass before mutants are tried on them")


def _about(source: str, line: int) -> list[tuple[int, int]]:
    """First and last lines of the statements around a line, the innermost first, the whole module last."""
    around = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            around.append((node.lineno, node.end_lineno or node.lineno))
            body = getattr(node, "body", [])
            if body and not isinstance(node, ast.FunctionDef | ast.ClassDef) and line < body[0].lineno:
                around.append((node.lineno, body[0].lineno - 1))
    around.sort(key=lambda ends: ends[1] - ends[0])
    return [*around, (1, len(source.splitlines()))]


@dataclass(frozen=True)
class Reach:
    """Which tests reach which lines of a module, and what tests and fixtures cost."""

    tests: dict[str, dict[str, Any]]
    fixtures: dict[str, float]
    lines: dict[str, dict[int, set[str]]]

    @classmethod
    def read(cls, place: Path) -> Reach:
        found = json.loads((place / "reach.json").read_text(encoding="utf-8"))
        users: dict[str, set[str]] = defaultdict(set)
        tests = {test: one for test, one in found["tests"].items() if not one.get("cut")}
        for test, one in tests.items():
            users[test].add(test)
            for name in one["fixtures"]:
                users[f"{test.split('::')[0]}::{name}"].add(test)
        data = coverage.CoverageData(str(place / "coverage"))
        data.read()
        lines = {}
        for file in data.measured_files():
            by_line = data.contexts_by_lineno(file).items()
            lines[Path(file).stem] = {n: set().union(*(users[one] for one in names)) for n, names in by_line}
        return cls(tests, found["fixtures"], lines)

    def only(self, names: frozenset[str]) -> Reach:
        """Without the tests that are not among these."""
        lines = {module: {n: tests & names for n, tests in of.items()} for module, of in self.lines.items()}
        return Reach({test: one for test, one in self.tests.items() if test in names}, self.fixtures, lines)

    def chosen(self, mutant: Mutant, source: str, seconds: float) -> tuple[list[str], float]:
        """Tests that reach a mutant, the module's own and the quickest first, as many as fit; and their seconds.

        What runs at import only (a constant, a default) is tried on the tests that reach any line about it. What is
        kept for later (a cache) was reached by the first test alone: the module's own tests are always among them.
        """
        lines, own = self.lines.get(mutant.module, {}), f"/test_{mutant.module}"
        reached: set[str] = set()
        for first, last in _about(source, mutant.line):
            reached = reached or set().union(*(lines.get(n, set()) for n in range(first, last + 1)))
        reached |= {test for test in set().union(*lines.values()) if own in test}
        reached |= {test for test in self.tests if test.endswith(f"{DEFINED}[{mutant.module}]")}
        alone = {test: self._cost(test, set()) for test in reached}
        picked, made, spent = [], set[str](), 0.0
        for test in sorted(reached, key=lambda test: (alone[test] > 0.2 or own not in test, alone[test], test)):
            more = self._cost(test, made)
            if picked and spent + more > seconds:
                continue
            picked.append(test)
            spent += more
            made |= self._fixtures(test)
        return picked, spent

    def _fixtures(self, test: str) -> set[str]:
        file = test.split("::")[0]
        return {f"{file}::{name}" for name in self.tests[test]["fixtures"]}

    def _cost(self, test: str, made: set[str]) -> float:
        own = float(self.tests[test]["seconds"])
        return own + sum(self.fixtures.get(name, 0.0) for name in self._fixtures(test) - made)


class _Collected:
    """Remembers which tests there are."""

    names: frozenset[str] = frozenset()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.names = frozenset(item.nodeid for item in session.items)


def warm(tree: Path, reach: Reach) -> Reach:
    """Import what the tests need, and forget what is ours: a forked process then begins within a moment.

    What reach was learned of and is no longer there is left out.
    """
    sys.path.insert(0, str(tree.parent))
    files, found = sorted({test.split("::")[0] for test in reach.tests}), _Collected()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main([*QUIET, "--collect-only", *filter(os.path.exists, files)], plugins=[found])
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tree)):
            del sys.modules[name]
    return reach.only(found.names)


class _First:
    """Remembers the first test that fails."""

    name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid


def _run_tests(tests: list[str], limit: float, pipe: int) -> None:
    """In the forked process: say which test failed first, if any, and end."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 2))
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.dont_write_bytecode, first = True, _First()
    likeliest = [test for test in tests if test.split("::")[0] == tests[0].split("::")[0]]
    code: int = 0
    for some in (likeliest, [test for test in tests if test not in likeliest]):  # only what is run is imported
        code = code or (int(pytest.main([*QUIET, "-x", *some], plugins=[first])) if some else 0)
    os.write(pipe, (first.name or ("" if code == 0 else "at import")).encode()[:500])
    os._exit(int(code != 0))


def _forked(tests: list[str], limit: float) -> tuple[str, str]:
    """Outcome, and the test that noticed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _run_tests(tests, limit, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        noticed = pipe.read()
    status = os.waitpid(child, 0)[1]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if os.WIFSIGNALED(status):
        return "timeout", ""
    return ("survived", "") if status == 0 else ("killed", noticed)


def try_out(tree: Path, mutant: Mutant, reach: Reach, seconds: float) -> dict[str, Any]:
    """Put a mutant into the copy, run the tests that reach it, take it out again."""
    path = mutant.path(tree)
    original, code, times = path.read_text(encoding="utf-8"), _code(tree, mutant), path.stat()
    tests, cost = reach.chosen(mutant, original, seconds)
    began = time.monotonic()
    path.write_text(code, encoding="utf-8")
    try:
        outcome, noticed = _forked(tests, GRACE + 5 * cost) if tests else ("survived", "")
    finally:
        path.write_text(original, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # what was compiled of it is valid again
    before, after = original.splitlines(), code.splitlines()
    diff = [line for line in difflib.unified_diff(before, after, lineterm="", n=0) if line[:3] not in ("---", "+++")]
    return {
        "mutant": asdict(mutant),
        "outcome": outcome,
        "noticed": noticed,
        "tests": len(tests),
        "seconds": round(time.monotonic() - began, 1),
        "diff": diff[1:],
    }
