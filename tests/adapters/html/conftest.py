"""Pages made of small simulated tables, and a browser to look at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dicecast.cli import app
from dicecast.tests.browser import Opened, looked_at

SIZES = (10, 20, 40, 80)
HOSTILE = "<img  src=x onerror=alert(1)>"


def scores(arms: dict[str, float], structures: tuple[str, ...], cases: int = 8) -> pd.DataFrame:
    """Exponential plateaus by ceiling, scored case by case, two draws."""
    rng, rows = np.random.default_rng(4), []
    for arm, dm in arms.items():
        for place, structure in enumerate(structures):
            for n in SIZES:
                for draw in range(2):
                    y = dm - 0.05 * place - 0.3 * np.exp(-0.03 * n) + 0.004 * rng.normal()
                    rows += [
                        (arm, structure, n, draw, f"case {i} {HOSTILE}", round(min(y + 0.01 * i - 0.03, 1), 4))
                        for i in range(cases)
                    ]
    return pd.DataFrame(rows, columns=["arm", "structure", "n_cases", "draw", "case", "score"])


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms, two structures, one of which is named to do harm."""
    folder = tmp_path_factory.mktemp("page")
    source, target = folder / "scores.csv", folder / "report.html"
    scores({"2d": 0.82, "3d": 0.86}, ("kidney", HOSTILE)).to_csv(source, index=False)
    options = ["--per-case", "20", "--title", f"Report {HOSTILE}", "--json", str(folder / "report.json")]
    result = CliRunner().invoke(app, ["report", str(source), "-o", str(target), *options])
    assert result.exit_code == 0, result.output
    return target


@pytest.fixture
def opened(chromium: Any, page: Path) -> Iterator[Opened]:
    """Opens the page."""
    with looked_at(chromium, page) as found:
        yield found
