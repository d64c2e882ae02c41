"""`dicecast report`: what is in the page, what it refuses, what it leaves alone."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dicecast.adapters.html.downloads import csv_uri
from dicecast.adapters.html.explorer import Axis, _score_ticks, _size_ticks
from dicecast.adapters.html.page import GENERATOR, without_folders
from dicecast.cli import app

from .conftest import HOSTILE, scores

Cli = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("chains_once")


class Reader(HTMLParser):
    """Everything that is shown, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            self.open.reverse()
            self.open.remove(tag)
            self.open.reverse()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


def test_the_answer_comes_first(page: Path) -> None:
    words = " ".join(" ".join(read(page).text).split())
    decision = json.loads((page.parent / "report.json").read_text())["recommendation"]
    reason, paragraph = (" ".join(decision[name].split()) for name in ("reason", "justification"))
    assert words.index(reason[1:]) < words.index("How the score grows")
    for question in ("How many more?", "How sure?", "What does it cost?"):
        assert question in words
    assert "Sample size justification" in words and paragraph in words
    assert "dicecast" in words and "seed 0" in words and "doi:10.1007/s10278-023-00804-1" in words


def test_names_do_no_harm(page: Path) -> None:
    reader = read(page)
    assert [tag for tag, attributes in reader.tags if "onerror" in attributes] == []
    assert sum(HOSTILE in text for text in reader.text) > 3
    data = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert data is not None and "<" not in data[1]
    assert HOSTILE in {curve["key"]["structure"] for curve in json.loads(data[1])}


def test_nothing_is_loaded_from_elsewhere(page: Path) -> None:
    reader = read(page)
    kept = ("src", "href", "action", "data", "poster", "srcset")
    outside = [
        value
        for _, attributes in reader.tags
        for name, value in attributes.items()
        if name in kept and value and not value.startswith(("#", "data:"))
    ]
    assert outside == []
    assert page.stat().st_size < 3e6


def test_every_link_within_the_page_has_one_place_to_go(page: Path) -> None:
    attributes = [one for _, one in read(page).tags]
    ids = [one["id"] for one in attributes if one.get("id")]
    assert len(ids) == len(set(ids))
    assert {link[1:] for one in attributes if (link := one.get("href") or "").startswith("#")} <= set(ids)


def test_every_image_has_a_text_and_every_chart_says_what_it_shows(page: Path) -> None:
    reader = read(page)
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert images and all(len(image["alt"] or "") > 20 for image in images)
    drawn = [attributes for tag, attributes in reader.tags if tag == "svg"]
    charts = [attributes for attributes in drawn if "chart" in (attributes.get("class") or "")]
    assert len(charts) == 8 and all("Expected dice" in (chart["aria-label"] or "") for chart in charts)


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of one curve with everything asked for, where an earlier page was."""
    folder = tmp_path_factory.mktemp("replaced")
    source, target = folder / "scores.csv", folder / "report.html"
    scores({"a": 0.8}, ("organ",)).to_csv(source, index=False)
    target.write_text(f'<!DOCTYPE html>\n<meta name="generator" content="{GENERATOR}">\nearlier')
    asked = ("--at", "5,187,5000", "--target", "0.79", "--per-case", "3", "--per-round", "50", "--title", "later")
    written = ("-o", str(target), "--json", str(folder / "answer.json"))
    result = CliRunner().invoke(app, ["report", str(source), *written, *asked])
    assert result.exit_code == 0, result.output
    return target


def answer_of(page: Path) -> Any:
    """The document written beside a page."""
    return json.loads(page.with_name("answer.json").read_text(encoding="utf-8"))


def test_a_page_is_replaced_and_nothing_else_is(cli: Cli, tmp_path: Path, replaced: Path) -> None:
    source = tmp_path / "scores.csv"
    scores({"a": 0.8}, ("organ",)).to_csv(source, index=False)
    before = source.read_bytes()
    result = cli("report", source, "-o", source)
    assert result.exit_code == 2 and "holds something else" in result.stderr
    assert source.read_bytes() == before
    result = cli("report", source, "-o", tmp_path)
    assert result.exit_code == 2 and "found the folder" in result.stderr
    assert "<title>later</title>" in replaced.read_text()


def words_of(page: Path) -> str:
    return " ".join(" ".join(read(page).text).split())


def test_sizes_and_a_target_that_are_asked_for_are_told(cli: Cli, replaced: Path) -> None:
    words, (curve,) = words_of(replaced), answer_of(replaced)["curves"]
    assert [one["n"] for one in curve["at"]] == [5, 187, 5000]
    for one in curve["at"]:
        assert f"{one['n']} {one['median']:.3f} [{one['lo']:.3f}, {one['hi']:.3f}]" in words
    assert "A mean dice of 0.79 takes" in words
    source = replaced.with_name("scores.csv")
    assert cli("report", source, "-o", replaced, "--json", replaced).exit_code == 2


def test_the_slider_begins_at_the_answer_and_stops_at_the_horizon(cli: Cli, replaced: Path, tmp_path: Path) -> None:
    source, seven = replaced.with_name("scores.csv"), tmp_path / "report.html"
    assert cli("report", source, "-o", seven, "--json", tmp_path / "answer.json", "--left", "7").exit_code == 0
    for page in (replaced, seven):
        data = re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
        assert data is not None
        (curve,), batch = json.loads(data[1]), answer_of(page)["recommendation"]["batch"]
        assert curve["start"] == 80 + (batch or 7)
        assert {curve["start"], 80, 160, 320} <= set(curve["points"]["n"])


def test_curves_that_cannot_be_told_apart_are_refused(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "scores.csv"
    both = [scores({"a": dm}, ("organ",)).assign(protocol=name) for name, dm in (("e10", 0.8), ("e20", 0.7))]
    pd.concat(both).to_csv(source, index=False)
    result = cli("report", source, "-o", tmp_path / "report.html")
    assert result.exit_code == 2 and "(protocols e10, e20)" in result.stderr


def test_cells_are_no_formulas_and_paths_stay_at_home() -> None:
    uri = csv_uri([{"arm": "=cmd|calc", "score": -0.1}])
    assert base64.b64decode(uri.split(",")[1]).decode("utf-8-sig") == "arm,score\n'=cmd|calc,-0.1\n"
    assert (
        without_folders("no image at /home/me/data/a_0000.nii.gz, see ../b/c")
        == "no image at a_0000.nii.gz, see ../b/c"
    )


def test_a_table_with_too_few_sizes_still_has_a_page(cli: Cli, tmp_path: Path) -> None:
    source, page = tmp_path / "scores.csv", tmp_path / "report.html"
    source.write_text("n_cases,score\n10,0.5\n20,0.6\n")
    result = cli("report", source, "-o", page)
    assert result.exit_code == 0, result.stderr
    words = " ".join(" ".join(read(page).text).split())
    assert "TRAIN MORE PILOTS" in words and "a forecast needs at least 3" in words


@pytest.mark.slow
def test_what_is_left_out_of_many_curves_is_said(cli: Cli, tmp_path: Path) -> None:
    source, page = tmp_path / "scores.csv", tmp_path / "report.html"
    scores({"a": 0.98}, tuple(f"organ {i}" for i in range(13)), cases=2).to_csv(source, index=False)
    assert cli("report", source, "-o", page).exit_code == 0
    words = words_of(page)
    assert "Agreement is drawn for the first 6 of 13 arms and structures." in words
    assert "Posterior, cost, refits and rounds are drawn for the first 4 of 13 curves." in words
    assert re.search(r"MCMC, every family alone and backtests are given for \d+ of 13 curves\.", words)
    assert "--figures FOLDER writes every figure" in words
    assert "single scores are too many" not in words


@pytest.mark.slow
def test_figures_are_written_beside_the_page(cli: Cli, tmp_path: Path) -> None:
    source, figures = tmp_path / "scores.csv", tmp_path / "figures"
    scores({"a": 0.8, "b": 0.7}, ("organ",)).to_csv(source, index=False)
    options = ("-o", tmp_path / "report.html", "--figures", figures, "--per-case", "10")
    assert cli("report", source, *options).exit_code == 0
    names = {path.relative_to(figures).as_posix() for path in figures.rglob("*.*")}
    wanted = (
        "a-organ-dice",
        "a-organ-dice-cost",
        "organ-dice-arms",
        "organ-dice-b-for-a",
        "agreement/a-organ-n80-dice",
    )
    assert {f"{name}.{ending}" for name in wanted for ending in ("png", "svg", "pdf")} <= names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--left", "-1"], ["--left must be >= 0"]),
        (["--per-case", "z=3"], ["unknown arm 'z'", "there is a"]),
        (["--arm", "b"], ["unknown arm 'b'"]),
        (["--target", "0.8", "--per-point", "5"], ["give one"]),
        (["--figures", "scores.csv"], ["--figures must be a folder"]),
    ],
)
def test_what_does_not_fit_is_refused(
    cli: Cli, tmp_path: Path, options: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scores({"a": 0.8}, ("organ",)).to_csv("scores.csv", index=False)
    result = cli("report", "scores.csv", *options)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words)
    assert not Path("report.html").exists()


def test_axes_put_ends_at_their_places() -> None:
    linear, log = Axis(0, 100, 50, 250), Axis(10, 1000, 0, 200, log=True)
    assert [linear.at(value) for value in (0, 50, 100)] == [50, 150, 250]
    assert [log.at(value) for value in (10, 100, 1000)] == [0, 100, 200]
    assert _size_ticks(log) == [10, 20, 50, 100, 200, 500, 1000]


def test_ticks_say_the_scores_they_stand_at() -> None:
    for low, high in ((0.71, 0.93), (0.838, 0.861), (0.0, 1.0), (0.8301, 0.8312)):
        ticks = _score_ticks(low, high)
        assert len(ticks) >= 3
        assert np.allclose([value for value, _ in ticks], [float(label) for _, label in ticks], atol=1e-9)
