"""The demo: its tutorial is followed to the end, and the page that it leaves is looked at in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dicecast.tests.browser import Opened, barriers, looked_at, reading
from dicecast.tests.docs.snippets import DEMO, Reader

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's page, after everything that the tutorial says was done."""
    folder = tmp_path_factory.mktemp("demo")
    Reader(folder, patience=3000).follow(DEMO, slow=True)
    return folder / "dicecast-demo" / "quick" / "study" / "report.html"


@pytest.fixture
def opened(chromium: Any, page: Path) -> Iterator[Opened]:
    with looked_at(chromium, page) as found:
        yield found


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_without_a_complaint_and_without_a_barrier(opened: Opened, page: Path, width: int) -> None:
    assert page.stat().st_size < 3e6
    tab = opened(width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert barriers(opened(width, bypass_csp=True)) == []


def test_slider_and_selectors_work(opened: Opened) -> None:
    tab = opened()
    seen = []
    for structure in ("kidney", "tumour"):
        tab.locator("select[data-key=structure]").select_option(structure)
        assert tab.locator("article.curve:visible h3").all_inner_texts() == [f"2d / {structure} / dice"]
        for place in ("0", "20", "40"):
            tab.locator("#size").fill(place)
            seen.append(tuple(reading(tab).values())[:2])
    assert len(set(seen)) == 6


def test_test_cases_are_pictured(opened: Opened) -> None:
    pictures = opened().locator("#cases img").all()
    assert len(pictures) >= 6
    told = [picture.get_attribute("alt") for picture in pictures]
    assert len(set(told)) == len(told) and all("phantom_" in words for words in told)
