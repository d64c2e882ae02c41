"""A page looked at in a browser: whatever goes wrong in it, or is asked of the network, fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Opened = Callable[..., Any]
"""Opens the page in a new window: width in pixels, and what else a browser's context takes."""
BAD = ("serious", "critical")


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium, Debian's or another that is installed; skips without one."""
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.skip("no Chromium is installed (on Debian: apt-get install chromium)")
    pytest.importorskip("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def looked_at(chromium: Any, page: Path) -> Iterator[Opened]:
    """Open a page as often as wanted; at the end nothing may have gone wrong in it."""
    wrong: list[str] = []
    contexts = []

    def told(address: str) -> None:
        if not address.startswith((page.as_uri(), "data:")):
            wrong.append(address)

    def refuse(dialog: Any) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

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

    try:
        yield open_page
    finally:
        for context in contexts:
            context.close()
    assert wrong == []


def barriers(tab: Any) -> list[tuple[str, str, str]]:
    """What axe-core finds of serious barriers, everything that can be opened being open."""
    from axe_playwright_python.sync_playwright import Axe

    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = Axe().run(tab).response["violations"]
    return [(one["id"], one["help"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in BAD]


def reading(tab: Any) -> dict[str, str]:
    """What the slider says, by its heads."""
    cells = tab.locator("#reading > div").all()
    return {cell.locator("span").inner_text(): cell.locator("strong").inner_text() for cell in cells}
