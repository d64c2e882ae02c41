"""The page as a reader meets it: in a browser, with and without scripts, wide and narrow, on paper, by keyboard."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from dicecast.tests.browser import Opened, barriers, looked_at, reading

from .conftest import HOSTILE, scores

pytestmark = pytest.mark.slow


def entry(page: Path, structure: str, arm: str) -> Any:
    curves = json.loads((page.parent / "report.json").read_text())["curves"]
    return next(one for one in curves if (" ".join(one["structure"].split()), one["arm"]) == (structure, arm))


def slide(tab: Any, index: int) -> None:
    tab.locator("#size").fill(str(index))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_asked_of_the_network_and_nothing_is_cut_off(opened: Opened, width: int, scheme: str) -> None:
    tab = opened(width, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator("h1").inner_text().startswith("Report <img")


def test_on_a_phone_titles_of_tables_stay_in_view(opened: Opened) -> None:
    tab = opened(390)
    captions = tab.locator("article.curve:visible > .scroll caption span, #curves caption span")
    assert captions.count() >= 2
    for caption in captions.all():
        box = caption.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert tab.locator("article.curve:visible .y-title").inner_text() == "dice, mean over 8 test cases"


def test_the_title_of_the_score_axis_stands_clear_of_its_ticks(opened: Opened) -> None:
    tab = opened(1280)
    chart = tab.locator("article.curve:visible svg.chart:visible")
    ticks = chart.locator("text.tick[text-anchor=end]")
    title = chart.locator("text.upright").bounding_box()
    ticks.evaluate_all("found => found.forEach(one => { one.textContent = '0.8375'; })")  # the longest there are
    assert ticks.count() >= 3
    assert min(tick.bounding_box()["x"] for tick in ticks.all()) >= title["x"] + title["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_readers_with_a_screen_reader_or_weak_eyes_can_use_it(opened: Opened, width: int, scheme: str) -> None:
    assert barriers(opened(width, color_scheme=scheme, bypass_csp=True)) == []


def test_the_slider_reads_what_the_forecast_says(opened: Opened, page: Path) -> None:
    tab = opened()
    assert tab.locator("article.curve:visible").count() == 1
    head = tab.locator("article.curve:visible h3").inner_text()
    arm, structure = (part.strip() for part in head.split(" / ")[:2])
    slide(tab, 0)
    first = reading(tab)
    assert first["annotated cases"] == "10" and first["cost of annotating"] == "none: annotated already"
    slide(tab, 10_000)  # as far as it goes
    last, found = reading(tab), entry(page, structure, arm)
    assert last["annotated cases"] == str(found["horizon"]) == "320"
    gain = found["reachable_gain"]["median"]
    assert float(last["gain over now"].replace("−", "-")) == pytest.approx(gain, abs=0.0011)
    assert last["cost of annotating"] == "4,800 EUR"
    tab.locator("#per-case").fill("30")
    assert reading(tab)["cost of annotating"] == "7,200 EUR"
    tab.locator("#per-case").fill("")
    assert reading(tab)["cost of annotating"] == "not known"


def test_the_keyboard_moves_the_slider(opened: Opened) -> None:
    tab = opened()
    slide(tab, 5)
    before = int(reading(tab)["annotated cases"])
    tab.locator("#size").press("ArrowRight")
    assert int(reading(tab)["annotated cases"]) > before
    assert re.fullmatch(r"\d+ cases, expected dice 0\.\d{3}", tab.locator("#size").get_attribute("aria-valuetext"))


def test_arm_and_structure_choose_the_curve(opened: Opened) -> None:
    tab = opened()
    slide(tab, 30)
    at = reading(tab)["annotated cases"]
    for arm in ("2d", "3d"):
        for structure in ("kidney", HOSTILE):
            tab.locator("select[data-key=arm]").select_option(arm)
            tab.locator("select[data-key=structure]").select_option(structure)
            name = " ".join(f"{arm} / {structure} / dice".split())
            assert tab.locator("article.curve:visible h3").all_inner_texts() == [name]
            assert reading(tab)["annotated cases"] == at


def test_hovering_over_the_chart_reads_it_there(opened: Opened) -> None:
    tab = opened()
    chart = tab.locator("article.curve:visible svg.chart.linear")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    found = []
    for share in (0.3, 0.6, 0.9):
        tab.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        found.append(int(reading(tab)["annotated cases"]))
    assert found == sorted(set(found))
    tab.locator("#logarithmic").check()
    assert not chart.is_visible() and tab.locator("article.curve:visible svg.chart.log").is_visible()


def test_without_scripts_every_curve_and_its_table_is_there(opened: Opened) -> None:
    tab = opened(java_script_enabled=False)
    assert tab.locator("article.curve:visible").count() == 4
    assert tab.locator("article.curve > .scroll table:visible").count() == 4
    assert not tab.locator("#controls").is_visible() and not tab.locator("#reading").is_visible()
    assert tab.locator("#verdict h2").inner_text()


def test_downloads_are_tables(opened: Opened, page: Path) -> None:
    tab = opened()
    found = {}
    for link in tab.locator("#downloads a").all():
        with tab.expect_download() as waiting:
            link.click()
        content = Path(waiting.value.path()).read_text(encoding="utf-8-sig")
        found[waiting.value.suggested_filename] = list(csv.DictReader(io.StringIO(content)))
    assert {"forecasts.csv", "expected_scores.csv", "observed.csv", "arms.csv", "scores.csv"} <= set(found)
    assert len(found["scores.csv"]) == 2 * 2 * 4 * 2 * 8
    row = next(one for one in found["forecasts.csv"] if (one["arm"], one["structure"]) == ("3d", "kidney"))
    assert float(row["gain"]) == entry(page, "kidney", "3d")["reachable_gain"]["median"]


def test_on_paper_every_curve_and_number_is_open(opened: Opened) -> None:
    tab = opened()
    tab.emulate_media(media="print")
    assert tab.locator("article.curve:visible").count() == 4
    assert not tab.locator("nav").is_visible() and not tab.locator("#controls").is_visible()
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("details:not([open])").count() == 0
    assert tab.pdf().startswith(b"%PDF")


def test_the_chance_of_a_target_is_read_at_any_number_of_cases(cli: Any, chromium: Any, tmp_path: Path) -> None:
    source, page = tmp_path / "scores.csv", tmp_path / "report.html"
    scores({"a": 0.8}, ("organ",)).to_csv(source, index=False)
    assert cli("report", source, "-o", page, "--target", "0.81").exit_code == 0
    with looked_at(chromium, page) as opened:
        tab = opened()
        slide(tab, 0)
        head = "chance that the mean reaches 0.81"
        assert reading(tab)[head] == "less than 1%"
        slide(tab, 10_000)
        assert re.fullmatch(r"\d+%|(more|less) than \d+%", reading(tab)[head])
