"""Pages made of small simulated tables, and a browser to look at them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dicecast.cli import app

SIZES = (10, 20, 40, 80)
HOSTILE = "<img src=x onerror=alert(1)>"


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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser, Debian's or another that is installed; skips without one."""
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.skip("no Chromium is installed (on Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield browser
        browser.close()


Opened = Callable[..., Any]


@pytest.fixture
def opened(chromium: Any, page: Path) -> Iterator[Opened]:
    """Opens the page; whatever goes wrong in it, or is asked of the network, fails the test."""
    wrong: list[str] = []
    contexts = []

    def refuse(dialog: Any) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    def told(address: str) -> None:
        if not address.startswith((page.as_uri(), "data:")):
            wrong.append(address)

    def open_page(width: int = 1280, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", refuse)
        tab.on("request", lambda asked: told(asked.url))
        tab.goto(page.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
