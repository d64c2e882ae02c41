"""The page of a study in its second round: what its campaign adds to forecasts, and asking about parts of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dicecast.adapters.conclusion import conclude, round_document
from dicecast.adapters.study import open_study, write_round
from dicecast.adapters.tables import write_csv
from dicecast.cli import app
from dicecast.tests.browser import looked_at

STRUCTURES = {"kidney": 0.92, "tumour": 0.8}
SETTINGS = """
[study]
format = 2
name = "campaign"
dataset = "/nowhere"
goal = { kidney = 0.9, tumour = "plateau" }

[test]
cases = 6

[pilots]
sizes = [5, 10, 20]
draws = 2

[cost]
per_case = 30
unit = "EUR"

[[arm]]
name = "2d"
configuration = "2d"

[[arm]]
name = "3d"
configuration = "3d_fullres"
"""


def scored(arm: str, n: int, draw: int, longer: float = 0.0) -> pd.DataFrame:
    """A run's scores on six test cases, the last of which has no tumour."""
    rng = np.random.default_rng([n, draw, len(arm), arm == "3d"])
    rows: list[tuple[str, str, str, float]] = []
    for structure, ceiling in STRUCTURES.items():
        mean = ceiling + 0.03 * (arm == "3d") - 0.35 * np.exp(-0.08 * n) + 0.005 * rng.normal() + longer
        for i in range(6):
            if structure == "tumour" and i == 5:
                rows += [(f"c{i}", structure, "false_positive", draw), (f"c{i}", structure, "false_positive_ml", 1.5)]
            else:
                rows.append((f"c{i}", structure, "dice", round(mean + 0.01 * i, 4)))
    table = pd.DataFrame(rows, columns=["case", "structure", "metric", "score"])
    return table.assign(n_cases=n, arm=arm, draw=draw, protocol="p", test_set="test", stratum="all")


def list_cases(study: Path, batches: tuple[int, ...]) -> None:
    """Cases of the rounds so far, the test set, and those that wait to be annotated."""
    pool = [("pool", i) for i, batch in enumerate(batches) for _ in range(batch)]
    rows = [(f"p{k}", role, number) for k, (role, number) in enumerate(pool)]
    table = pd.DataFrame(rows, columns=["case", "role", "round"])
    others = [(f"c{i}", "test", "") for i in range(6)] + [(f"w{i}", "unannotated", "") for i in range(30)]
    table = pd.concat([table, pd.DataFrame(others, columns=table.columns)])
    write_csv(table.assign(patient=table["case"]), study / "cases.csv")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, keep_run: Callable[..., Path]) -> Path:
    """Forecast with 20 cases annotated, and again with 40; its schedule check finds 2D trained short."""
    folder = tmp_path_factory.mktemp("campaign") / "study"
    folder.mkdir()
    (folder / "study.toml").write_text(SETTINGS, encoding="utf-8")
    for batches, sizes in (((20,), (5, 10, 20)), ((20, 20), (40,))):
        list_cases(folder, batches)
        for arm in ("2d", "3d"):
            for n in sizes:
                for draw in range(2):
                    keep_run(folder, scored(arm, n, draw), arm=arm, n=n, draw=draw)
        if len(batches) == 1:
            found = open_study(folder)
            write_round(found, 0, round_document(conclude(found, quick=True)))
    check = folder / "checks" / "2d" / "n5" / "draw0"
    shutil.copytree(folder / "runs" / "2d" / "n5" / "draw0", check)
    write_csv(scored("2d", 5, 0, longer=0.02), check / "scores.csv")
    return folder


@pytest.fixture(scope="module")
def page(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("page") / "report.html"
    asked(study, "report", "--arm", "2d", "-o", str(target), "--json", str(target.with_suffix(".json")))
    return target


def table_of(tab: Any, title: str) -> list[list[str]]:
    """Cells of the table under a title."""
    rows = tab.locator("table", has=tab.locator("caption", has_text=title)).locator("tbody tr")
    return [row.locator("td").all_text_contents() for row in rows.all()]


def asked(study: Path, command: str, *options: str) -> str:
    result = CliRunner().invoke(app, [command, str(study), *options], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture
def tab(chromium: Any, page: Path) -> Iterator[Any]:
    with looked_at(chromium, page) as opened:
        yield opened()


def test_the_campaign_is_told(tab: Any) -> None:
    rounds = table_of(tab, "Round by round")
    assert [row[:3] for row in rounds[:2]] == [["2d / kidney / dice", "0", "20"], ["2d / kidney / dice", "1", "40"]]
    assert len(rounds) == 4
    promises = table_of(tab, "Promises and outcomes")
    assert {row[1] for row in promises} == {"20 → 40"}
    assert {row[-1] for row in promises} <= {"held", "MISSED"}


def test_what_was_checked_beside_the_curves_is_told(tab: Any) -> None:
    schedule = table_of(tab, "Schedule check: is the curve limited by cases or by training?")
    assert {(row[0], row[1], row[2], row[5], row[6]) for row in schedule} == {
        ("2d", "kidney", "5", "+0.020 ± 0.000", "limited by training"),
        ("2d", "tumour", "5", "+0.020 ± 0.000", "limited by training"),
    }
    absent = table_of(tab, "Test cases without the structure")
    assert [row[1:] for row in absent] == [["tumour", "40", "1", "0.50", "1.500"]]


def test_cases_to_annotate_next_are_those_that_wait(study: Path, page: Path) -> None:
    found = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    cases = found["recommendation"]["cases"]
    assert found["recommendation"]["code"] == "annotate" and len(cases) == found["recommendation"]["batch"] > 0
    assert all(case.startswith("w") for case in cases)
    words = page.read_text(encoding="utf-8")
    assert all(case in words for case in cases)


def test_a_part_of_a_study_is_told_by_its_own_rules(study: Path) -> None:
    words = asked(study, "recommend", "--arm", "3d", "--structure", "tumour")
    assert "Promises and outcomes" in words and "3d / tumour / dice 20 → 40" in words
    assert "2d / " not in words and "part of the study" not in words
    assert "limited by training" not in words, "the check was of the other arm"


def test_another_metric_is_told_without_the_rules_of_the_study(study: Path) -> None:
    words = asked(study, "recommend", "--metric", "dice")
    assert "part of the study" in words and "Promises and outcomes" not in words
