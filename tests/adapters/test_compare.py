"""`dicecast compare` on one and on several sources: names, test cases, costs, figures, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from dicecast.adapters.arm_sources import _prefixes
from dicecast.adapters.study import Study
from dicecast.forecast.quadrature import quadrature

Cli = Callable[..., Any]
Refused = Callable[..., None]
pytestmark = pytest.mark.usefixtures("chains_once")
SIZES = (10, 20, 40, 80)


def write(
    path: Path, arms: dict[str, float], structure: str = "kidney", test_set: str = "test", cases: str = "c"
) -> Path:
    """Exponential plateaus by ceiling, scored on five cases."""
    rng = np.random.default_rng(len(path.name))
    rows = ["arm,structure,test_set,n_cases,draw,case,score"]
    for arm, dm in arms.items():
        for n in SIZES:
            for draw in range(2):
                y = dm - 0.3 * np.exp(-0.05 * n) + 0.004 * rng.normal()
                rows += [f"{arm},{structure},{test_set},{n},{draw},{cases}{i},{y + 0.01 * i - 0.02}" for i in range(5)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return write(tmp_path / "ct.csv", {"2d": 0.8, "3d": 0.85})


@pytest.fixture
def without_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Posteriors by quadrature, which is quick: how figures are called does not hang on them."""
    monkeypatch.setattr("dicecast.forecast.arms.sample_posterior", quadrature)


def document(result: Any) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_one_source_with_two_arms(cli: Cli, ct: Path, tmp_path: Path) -> None:
    figures, answer = tmp_path / "figures", tmp_path / "answer.json"
    result = cli("compare", ct, "--at", "40,160", "--figures", figures, "--json", answer)
    assert result.exit_code == 0, result.stderr
    lines, words = result.stdout.splitlines(), " ".join(result.stdout.split())
    assert lines[0].startswith("kidney / dice: 2d vs 3d")
    assert lines[1].startswith("RUN 3d: with 40 cases 3d is the best with probability")
    assert re.search(r"cases of 3d reach what 80 of 2d do: (> )?\d+% fewer", words)
    assert re.search(r"cases of 2d (do not )?reach what 80 of 3d do: (> )?[\d.]+ times as many", words)
    assert "From 10 to 320 cases 3d is ahead all the way with probability" in words
    assert "Equal performance: cases of 3d for what 2d reaches" in words
    assert "same 5 cases" in words
    (found,) = json.loads(answer.read_text())["comparisons"]
    (pair,) = found["pairs"]
    assert {"first", "second", "equal_performance", "data_efficiency", "p_never", "crossing"} <= set(pair)
    assert [(one["arm"], one["sizes"], one["horizon"]) for one in found["curves"]] == [
        ("2d", list(SIZES), 320),
        ("3d", list(SIZES), 320),
    ]
    sizes = [one["n_first"] for one in pair["equal_performance_curve"]]
    assert sizes == sorted(sizes) and sizes[0] == 10 and sizes[-1] == 320 and {40, 80, 160} <= set(sizes)
    assert pair["equal_performance_reverse"]["n_second"] == 80
    chances = [value for name, value in pair["crossing"].items() if name.startswith("p_")]
    assert sum(chances) == pytest.approx(1)
    assert found["recommendation"]["arm"] == "3d"
    assert found["by_cost"] == []
    names = {path.name for path in figures.iterdir()}
    kinds = "arms", "3d-for-2d"
    assert names == {f"kidney-dice-{kind}.{ending}" for kind in kinds for ending in ("png", "svg", "pdf")}


def test_two_sources_with_one_arm_each_are_called_as_they_are(cli: Cli, tmp_path: Path) -> None:
    first, second = (
        write(tmp_path / "ct.csv", {"default": 0.9}),
        write(tmp_path / "mr.csv", {"default": 0.8}, cases="d"),
    )
    (found,) = document(cli("compare", first, second, "--json", "-"))["comparisons"]
    assert found["arms"] == ["ct", "mr"]
    assert found["pairs"][0]["shared_test_cases"] == 0
    assert "not scored on the very same test cases" in found["recommendation"]["reason"]


def test_sources_with_several_arms_keep_both_names(cli: Cli, ct: Path, tmp_path: Path) -> None:
    mr = write(tmp_path / "other.csv", {"2d": 0.7})
    found = document(cli("compare", ct, f"mr={mr}", "--arms", "mr,ct 3d", "--json", "-"))["comparisons"]
    assert found[0]["arms"] == ["mr", "ct 3d"]


def test_what_only_one_source_has_is_left_out_and_said(cli: Cli, tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", {"a": 0.8})
    two = write(tmp_path / "two.csv", {"a": 0.7})
    other = write(tmp_path / "more.csv", {"a": 0.7}, structure="spleen").read_text().splitlines()[1:]
    two.write_text(two.read_text() + "\n".join(other) + "\n")
    result = cli("compare", one, two)
    assert result.exit_code == 0, result.stderr
    assert "Left out: two / spleen / dice: no other arm has it." in " ".join(result.stdout.split())


def test_the_same_cost_is_compared(cli: Cli, ct: Path, tmp_path: Path) -> None:
    options = ("--per-case", "20", "--per-run", "2d=5,3d=1500", "--spend", "1000,4000", "--unit", "CHF")
    result = cli("compare", ct, *options, "--json", tmp_path / "answer.json")
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "answer.json").read_text())["comparisons"][0]
    costs = {"2d": {"per_case": 20, "per_run": 5}, "3d": {"per_case": 20, "per_run": 1500}}
    assert (found["costs"], found["unit"]) == (costs, "CHF")
    assert [row["cost"] for row in found["by_cost"]] == [1000, 4000]
    poor, rich = (dict(zip(("2d", "3d"), row["arms"], strict=True)) for row in found["by_cost"])
    assert poor["3d"] == {"arm": "3d", "n": 0, "score": None, "p_best": 0.0, "beyond": False}
    assert poor["2d"]["n"] == 80 + 49 and rich["3d"]["n"] == 80 + 125
    assert "with 4,000 CHF to spend" in found["recommendation"]["reason"]
    shown = " ".join(result.stdout.split())
    assert "spent, CHF" in shown and "not affordable" in shown


def test_in_and_out_of_distribution(cli: Cli, ct: Path, tmp_path: Path) -> None:
    external = write(tmp_path / "external.csv", {"2d": 0.7, "3d": 0.72}, test_set="external")
    ct.write_text(ct.read_text() + "\n".join(external.read_text().splitlines()[1:]) + "\n")
    result = cli("compare", ct, "--json", tmp_path / "answer.json")
    assert result.exit_code == 0, result.stderr
    assert "In and out of distribution" in result.stdout
    assert result.stdout.count("external") >= 3
    across = json.loads((tmp_path / "answer.json").read_text())["across_test_sets"]
    assert [one["arm"] for one in across] == ["2d", "3d"]
    assert [view["test_set"] for view in across[0]["test_sets"]] == ["test", "external"]


def test_test_sets_that_choose_different_arms_are_brought_together(cli: Cli, ct: Path, tmp_path: Path) -> None:
    external = write(tmp_path / "external.csv", {"2d": 0.9, "3d": 0.6}, test_set="external")
    ct.write_text(ct.read_text() + "\n".join(external.read_text().splitlines()[1:]) + "\n")
    result = cli("compare", ct, "--json", tmp_path / "answer.json")
    assert result.exit_code == 0, result.stderr
    (words,) = json.loads((tmp_path / "answer.json").read_text())["split_decisions"]
    assert words.startswith("kidney / dice: 3d on test, 2d on external. No arm is the best on every test set")
    assert words in " ".join(result.stdout.split())


def test_scores_that_are_not_compared_are_named(cli: Cli, ct: Path, tmp_path: Path) -> None:
    scores = pd.read_csv(ct)
    both = [scores.assign(metric="dice"), scores.assign(metric="hd95", score=3.5)]
    pd.concat(both).to_csv(ct, index=False)
    result = cli("compare", ct)
    assert result.exit_code == 0, result.stderr
    assert "Not compared: hd95: not Dice-like." in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--arms", "2d,4d"], ["--arms", "'2d,4d'", "2d, 3d"]),
        (["--at", "1000"], ["up to 320", "1000"]),
        (["--reach", "40"], ["reach", "at least the 80 that are", "40"]),
        (["--arms", ","], ["--arms", "2d, 3d"]),
        (["--per-case", "2d=3"], ["every arm or of none", "3d=..."]),
        (["--spend", "100"], ["--per-case"]),
        (["--spend", "-1", "--per-case", "2"], ["--spend", "> 0"]),
        (["--per-case", "4d=3"], ["--per-case", "unknown arm '4d'"]),
        (["--per-case", "0"], ["cost of a case", "> 0"]),
        (["--per-run", "3"], ["--per-case"]),
        (["--per-case", "many"], ["--per-case", "'many'"]),
        (["--structure", "liver"], ["'liver'", "kidney"]),
    ],
)
def test_what_cannot_be_compared(cli: Cli, refused: Refused, ct: Path, options: list[str], words: list[str]) -> None:
    refused(cli("compare", ct, *options), 2, *words)


def test_sources_that_do_not_go_together(cli: Cli, refused: Refused, ct: Path, tmp_path: Path) -> None:
    spleen = write(tmp_path / "spleen.csv", {"2d": 0.8}, structure="spleen")
    refused(cli("compare", ct, spleen), 2, "share a structure", "ct: kidney", "spleen: spleen")
    (tmp_path / "below").mkdir()
    same = write(tmp_path / "below" / "ct.csv", {"2d": 0.8})
    refused(cli("compare", ct, same), 2, "two sources are called ct", "mr=")
    refused(cli("compare", ct, tmp_path / "nowhere.csv"), 2, "nowhere.csv")
    refused(cli("compare", ct, "mr="), 2, "PATH or NAME=PATH", "'mr='")
    refused(cli("compare", ct, f"={same}"), 2, "PATH or NAME=PATH")
    refused(cli("compare", ct, f"ct 2d={same}"), 2, "both called 'ct 2d'")
    refused(cli("compare", ct, "--figures", same), 2, "--figures", "ct.csv")


def test_arms_whose_names_are_alike_in_file_names_get_figures_of_their_own(
    cli: Cli, tmp_path: Path, without_chains: None
) -> None:
    source = write(tmp_path / "greek.csv", {"α": 0.8, "β": 0.85, "γ": 0.9})
    result = cli("compare", source, "--figures", tmp_path / "figures")
    assert result.exit_code == 0, result.stderr
    assert len(list((tmp_path / "figures").glob("*.png"))) == 4
    alpha, beta = (write(tmp_path / f"{one}.csv", {"2d": 0.8, "3d": 0.9}, structure=one) for one in "αβ")
    alpha.write_text(alpha.read_text() + "\n".join(beta.read_text().splitlines()[1:]) + "\n")
    result = cli("compare", alpha, "--figures", tmp_path / "both")
    assert result.exit_code == 0, result.stderr
    assert len(list((tmp_path / "both").glob("*.png"))) == 4


def test_names_that_a_figure_or_a_file_cannot_take(cli: Cli, tmp_path: Path, without_chains: None) -> None:
    """Mathematics between dollars, other alphabets, and names longer than a file name may be."""
    names = {"x_$&<b> $^": 0.8, "温度": 0.85, "l" * 300: 0.9, "l" * 299 + "m": 0.7}
    source = write(tmp_path / "odd.csv", names)
    result = cli("compare", source, "--figures", tmp_path / "figures")
    assert result.exit_code == 0, result.stderr
    assert "Warning" not in result.stderr
    assert len(list((tmp_path / "figures").glob("*.png"))) == 1 + 6


def test_scores_are_not_written_over(cli: Cli, refused: Refused, ct: Path, tmp_path: Path) -> None:
    before = ct.read_bytes()
    for command in ("compare", "forecast", "recommend"):
        result = cli(command, ct, "--json", ct)
        assert result.exit_code == 2 and "holds something else" in " ".join(result.stderr.replace("│", " ").split())
    assert ct.read_bytes() == before
    answer = tmp_path / "answer.json"
    for _ in range(2):
        assert cli("forecast", ct, "--quick", "--json", answer).exit_code == 0


def test_what_the_pilots_cannot_tell_of_is_marked(cli: Cli, ct: Path) -> None:
    result = cli("compare", ct, "--spend", "9000", "--per-case", "2d=1,3d=300")
    assert result.exit_code == 0, result.stderr
    shown = " ".join(result.stdout.split())
    assert "320+: " in shown and "(+: could be more than the pilots tell of)" in shown


def test_cases_of_one_name_are_the_same_where_their_images_are() -> None:
    def study(digest: str, *cases: str) -> Study:
        table = pd.DataFrame({"case": cases or ("c0", "c1"), "digest": ["same", digest][: len(cases) or 2]})
        return cast(Study, SimpleNamespace(cases=table))

    assert _prefixes({"ct": study("a"), "mr": study("a")}) == {}
    assert _prefixes({"ct": study("a"), "mr": study("b")}) == {"ct": "ct: ", "mr": "mr: "}
    third = _prefixes({"ct": study("a"), "mr": study("b"), "pet": study("a")})
    assert third == {"ct": "ct: ", "mr": "mr: ", "pet": "ct: "}, "a third leaves the other two paired"
    other = _prefixes({"us": study("", "d0"), "ct": study("a"), "mr": study("b")})
    assert other["ct"] != other["mr"]
