"""`dicecast forecast SOURCE --forecaster lstm`."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

Cli = Callable[..., Any]
RESULTS = Path(__file__).parents[1] / "data" / "nnunet" / "results" / "Dataset011_Kidney"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    made = [
        (arm, n, draw, top - 0.5 * (n / 20) ** -0.5 + 0.004 * rng.standard_normal())
        for arm, top in (("2d", 0.85), ("3d", 0.95))
        for n in (40, 80, 160, 320)
        for draw in range(2)
    ]
    path = tmp_path / "scores.csv"
    pd.DataFrame(made, columns=["arm", "n_cases", "draw", "score"]).to_csv(path, index=False)
    return path


def lstm(cli: Cli, source: Path, *options: object) -> Any:
    return cli("forecast", source, "--forecaster", "lstm", *options)


def test_the_report_shows_the_lstm_beside_the_average_and_the_last_value(cli: Cli, table: Path) -> None:
    result = lstm(cli, table)
    assert result.exit_code == 0, result.stderr
    text = result.stdout
    assert "2d / all / dice" in text and "3d / all / dice" in text
    for words in (
        "LSTM",
        "average",
        "last value",
        "gain",
        "320 (now)",
        "640",
        "1280",
        "90% interval",
        "Lee et al. 2025",
    ):
        assert words in text
    assert "past horizon" not in text and "untested" not in text


def test_sizes_far_out_are_marked(cli: Cli, table: Path) -> None:
    text = lstm(cli, table, "--at", "640,2000,4000", "--arm", "2d").stdout
    lines = {line.split()[0]: line for line in text.splitlines() if line[:1].isdigit()}
    assert "past horizon" not in lines["640"]
    assert "past horizon" in lines["2000"] and "untested" in lines["4000"]
    assert "beyond what these pilots can tell" in text and "past 8 x the largest" in text


def test_the_document_holds_what_the_report_shows(cli: Cli, table: Path) -> None:
    result = lstm(cli, table, "--at", "640,2000", "--level", "0.8", "--json", "-")
    document = json.loads(result.stdout)
    assert document["forecaster"] == "lstm"
    assert document["level"] == 0.8
    assert set(document) == {"dicecast", "forecaster", "seed", "level", "scope", "prior", "weights", "curves"}
    first = document["curves"][0]
    assert [one["n"] for one in first["at"]] == [640, 2000]
    for one in (first["now"], *first["at"]):
        assert one["model"] == "lstm"
        assert one["lo"] < one["median"] < one["hi"]
        assert one["lo"] < one["mean"] < one["hi"]
        assert one["gain"] == pytest.approx(one["median"] - first["now"]["median"])
        assert one["average"]["lo"] < one["average"]["median"] < one["average"]["hi"]
    assert [one["within_horizon"] for one in first["at"]] == [True, False]
    assert first["last_value"] == first["observed"][-1]


def test_the_average_beside_it_is_that_of_a_forecast(cli: Cli, table: Path) -> None:
    beside = json.loads(lstm(cli, table, "--at", "640", "--json", "-").stdout)["curves"]
    alone = json.loads(cli("forecast", table, "--at", "640", "--json", "-").stdout)["curves"]
    for one, other in zip(beside, alone, strict=True):
        for key in ("median", "lo", "hi", "mean"):
            assert one["at"][0]["average"][key] == pytest.approx(other["at"][0][key])


def test_rows_in_another_order_give_the_same_document(cli: Cli, table: Path) -> None:
    before = lstm(cli, table, "--arm", "2d", "--json", "-").stdout
    pd.read_csv(table).sample(frac=1, random_state=1).to_csv(table, index=False)
    assert lstm(cli, table, "--arm", "2d", "--json", "-").stdout == before


def test_more_cases_annotated_than_trained_are_now(cli: Cli, table: Path) -> None:
    document = json.loads(lstm(cli, table, "--annotated", "400", "--json", "-").stdout)
    assert document["curves"][0]["now"]["n"] == 400


def test_sizes_asked_for_without_a_wish_lie_past_what_is_annotated(cli: Cli, table: Path) -> None:
    (one, _) = json.loads(lstm(cli, table, "--annotated", "1000", "--json", "-").stdout)["curves"]
    assert (one["now"]["n"], [line["n"] for line in one["at"]]) == (1000, [2000, 4000])
    (one, _) = json.loads(lstm(cli, table, "--at", "320,640,640", "--json", "-").stdout)["curves"]
    assert [line["n"] for line in one["at"]] == [640]


def test_a_curve_that_falls_is_said_to(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "falls.csv"
    rows = [(n, draw, y + 0.002 * draw) for n, y in ((20, 0.8), (40, 0.77), (80, 0.74), (160, 0.7)) for draw in (0, 1)]
    pd.DataFrame(rows, columns=["n_cases", "draw", "score"]).to_csv(path, index=False)
    result = lstm(cli, path, "--json", tmp_path / "answer.json")
    assert "ill behaved: the score falls from" in result.stdout
    verdict = json.loads((tmp_path / "answer.json").read_text())["curves"][0]["verdict"]
    assert verdict["code"] == "ill_behaved"


def test_too_few_sizes_are_an_answer(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("n_cases,score\n20,0.5\n40,0.6\n", encoding="utf-8")
    result = lstm(cli, path, "--strict", "--json", "-")
    assert result.exit_code == 3
    (found,) = json.loads(result.stdout)["curves"]
    assert (found["now"], found["at"], found["verdict"]["code"]) == (None, [], "too_few_sizes")
    assert "too few sizes" in lstm(cli, path).stdout


def test_results_of_nnunet_are_read(cli: Cli) -> None:
    result = lstm(cli, RESULTS, "--json", "-")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["curves"]
    assert {(one["arm"], one["structure"]) for one in found} == {("2d", "kidney"), ("2d", "tumour")}
    assert all(one["verdict"]["code"] == "too_few_sizes" for one in found)


def test_a_study_is_read(cli: Cli, new_study: Callable[..., Path], keep_run: Callable[..., Path]) -> None:
    study = new_study("--configuration", "2d", "--sizes", "2,3,4", "--draws", 1)
    cases = pd.read_csv(study / "cases.csv")
    test = cases.loc[cases["role"] == "test", "case"]
    for n in (2, 3, 4):
        scores = {"structure": "organ", "test_set": "test", "metric": "dice", "n_cases": n, "arm": "2d", "draw": 0}
        keep_run(study, pd.DataFrame({"case": test, "score": 0.9 - 1 / n}).assign(**scores), n=n)
    result = lstm(cli, study, "--json", "-")
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(result.stdout)["curves"]
    assert (found["sizes"], found["n_test"], [one["n"] for one in found["at"]]) == ([2, 3, 4], 2, [8, 16])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--family", "hill"], ["goes without --family", "--forecaster bayes"]),
        (["--target", "0.9", "--stability"], ["--target, --stability"]),
        (["--figures", "x"], ["--figures"]),
        (["--scope", "population"], ["--scope population"]),
        (["--scope", "moon"], ["unknown scope 'moon'"]),
        (["--eps", "0.02"], ["--eps"]),
        (["--reach", "0"], ["goes without --reach"]),
        (["--quick", "--jobs", "2"], ["--quick, --jobs"]),
        (["--level", "0.985"], ["level", "0.98"]),
        (["--at", "100"], ["from the largest trained size 320", "asked for 100"]),
        (["--at", "9999"], ["16 times as many cases (5120)"]),
        (["--at", "x"], ["--at must be whole numbers"]),
        (["--annotated", "6000"], ["annotated now", "at most 5120", "found 6000"]),
    ],
)
def test_what_it_has_no_answer_to_is_refused(
    cli: Cli, table: Path, refused: Callable[..., None], options: list[str], words: list[str]
) -> None:
    refused(lstm(cli, table, *options), 2, *words)


def test_unknown_forecasters_are_refused_with_those_there_are(
    cli: Cli, table: Path, refused: Callable[..., None]
) -> None:
    refused(cli("forecast", table, "--forecaster", "oracle"), 2, "'oracle'", "bayes and lstm")


def test_without_torch_the_extra_is_named(
    cli: Cli, table: Path, refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest))
    refused(lstm(cli, table), 2, "needs torch", "pip install -c constraints.txt -e '.[nnunet]'")


def test_the_usual_forecaster_imports_no_torch_and_another_process_says_the_same(
    table: Path, cli: Cli, process: Callable[..., Any]
) -> None:
    check = "import atexit\natexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))"
    usual = process("forecast", table, "--forecaster", "bayes", "--arm", "2d", before=check)
    assert (usual.returncode, usual.stderr.strip()) == (0, "False")
    other = process("forecast", table, "--forecaster", "lstm", "--arm", "2d", "--json", "-", before=check)
    assert (other.returncode, other.stderr.strip()) == (0, "True")
    assert other.stdout == lstm(cli, table, "--arm", "2d", "--json", "-").stdout
