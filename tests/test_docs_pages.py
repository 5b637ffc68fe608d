"""The documentation's pages in a browser, from files: the search by keyboard, and what a page of 400 pixels does with what is wide."""

from __future__ import annotations

import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
import build
from pages import sections

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test these pages")
WIDE = (
    "# One\n\n"
    f"| a | {'b' * 90} |\n|---|---|\n| {'c' * 90} | {'long words ' * 20} |\n\n"
    "```python\nfrom pathlib import Path\n"
    'Path(\'a.svg\').write_text(\'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="300"/>\')\n'
    "for n in range(99):\n    print(n, 'x' * 200)\n```\n\n![A drawing](a.svg)\n\n"
    f"{'w' * 90} and `{'v' * 90}`\n"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "docs").mkdir()
    (folder / "docs" / "one.md").write_text(WIDE, encoding="utf-8")
    two = "# Two\n\nA heron.\n\n## Deep, down\n\nAnother heron `--option`.\n\n## Deeper\n\nHeronry.\n"
    (folder / "docs" / "two.md").write_text(two, encoding="utf-8")
    assert not build.build_site(sections(folder / "docs"), folder / "site")
    return folder / "site"


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of 400 pixels that may say nothing on its console, and ask for nothing but files."""
    from playwright.sync_api import sync_playwright

    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with sync_playwright() as made:
            browser = made.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 400, "height": 800})
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda sent: None if sent.url.startswith("file:") else said.append(sent.url))
            yield page
            browser.close()
    assert not said


def test_the_search_works_by_keyboard(site: Path, page: Any) -> None:
    page.goto((site / "one.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("heron")
    found = page.locator("#found a")
    page.wait_for_selector("#found a")
    assert [re.sub(r"Two$", "", text) for text in found.all_text_contents()] == ["Two", "Deep, down", "Deeper"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.locator("#found [aria-selected=true]").text_content() == "Deep, downTwo"
    assert page.locator(".search input").get_attribute("aria-activedescendant") == "found-1"
    page.keyboard.press("Enter")
    page.wait_for_url("**/two.html#deep-down")

    page.keyboard.press("/")
    page.keyboard.type("no such word")
    page.wait_for_selector("#found li")
    assert page.locator("#found").text_content() == "Nothing found"
    page.keyboard.press("Escape")
    assert not page.locator("#found").is_visible()
    page.keyboard.press("/")
    page.keyboard.type("--option")
    page.keyboard.press("Enter")
    page.wait_for_url("**/two.html#deep-down")


def test_what_is_wide_scrolls_within_its_own_box(site: Path, page: Any) -> None:
    page.goto((site / "one.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    for box in (".wide", "pre.printed", ".picture"):
        assert page.eval_on_selector(box, "box => box.scrollWidth > box.clientWidth && box.clientWidth <= 400"), box
        assert page.eval_on_selector(box, "box => ['auto', 'scroll'].includes(getComputedStyle(box).overflowX)"), box
    shown = page.eval_on_selector("pre.printed", """box => {
        const style = getComputedStyle(box);
        return (box.clientHeight - parseFloat(style.paddingTop)) / parseFloat(style.lineHeight);
    }""")  # fmt: skip
    assert abs(shown - round(shown)) < 0.1, "printed output is cut within a line"
