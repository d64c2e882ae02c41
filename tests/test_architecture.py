"""The arrows of the house run one way, and the forecast path stays light."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*ROOT.glob("*.py"), *ROOT.glob("forecast/**/*.py"), *ROOT.glob("adapters/**/*.py")])
FORBIDDEN_IN_FORECAST = {"torch", "nnunetv2", "rich", "typer", "matplotlib", "os", "pathlib", "subprocess"}
HEAVY = {"torch", "nnunetv2"}
WORKER_ONLY = {f"adapters/nnunet/{name}.py" for name in ("trainer", "prediction", "preprocessing", "checkpoints")}
WORKER_ONLY |= {f"adapters/surrogate/{name}.py" for name in ("network", "training")}


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Imported modules, relative ones resolved to the package's folders."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = path.parent.relative_to(ROOT).parts
            upper = base[: len(base) - node.level + 1] if node.level else ()
            found.add("/".join([*upper, *(node.module or "").split(".")]) if node.level else node.module or "")
    return found


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent.name == "forecast"], ids=lambda p: p.name)
def test_forecast_is_pure(path: Path) -> None:
    found = imports(path)
    assert not {name.split(".")[0].split("/")[0] for name in found} & (FORBIDDEN_IN_FORECAST | {"adapters"})
    calls = [
        n.func.id
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    ]
    assert not {"print", "open", "input"} & set(calls)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_is_imported_by_workers_only(path: Path) -> None:
    if str(path.relative_to(ROOT)) not in WORKER_ONLY:
        assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & HEAVY


@pytest.mark.parametrize("path", [p for p in SOURCES if "adapters" in p.parts], ids=lambda p: str(p.relative_to(ROOT)))
def test_adapters_do_not_import_the_command_line(path: Path) -> None:
    assert not {"cli", "/cli"} & imports(path)


def test_no_public_name_hides_a_subpackage() -> None:
    import dicecast

    assert dicecast.__name__ == "dicecast"
    for name in ("forecast", "adapters", "cli"):
        value = getattr(dicecast, name, None)
        assert value is None or type(value).__name__ == "module"
