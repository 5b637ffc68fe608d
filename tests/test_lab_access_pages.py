"""Every room of the lab is open to everybody: by keyboard, by touch, in every color and size; what it shows is what Python answers.

The tests go over whatever rooms there are. PELLUCID_SHOTS=FOLDER keeps a picture of each room, as `make shots` does.
"""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from typer.testing import CliRunner

from lab_server import Lab
from pellucid.cli import app as commands
from pellucid.lab.rooms import ROOMS
from test_lab_pages import CHROMIUM, browser, lab, small_run, until  # noqa: F401

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)
LOOKS = (Path(__file__).parent / "lab_looks.js").read_text(encoding="utf-8")
WATCH = """
window.shifts = [];
const nameOf = ({ node }) => node?.outerHTML?.slice(0, 80) ?? String(node?.textContent);
new PerformanceObserver((list) => { for (const one of list.getEntries()) shifts.push([one.value, one.sources.map(nameOf)]); })
  .observe({ type: "layout-shift", buffered: true });
"""
THEMES = ("light", "dark")
SIZES = (13, 16, 20, 28)
"""Pixels of the lab's letters: one scale for all rooms; figures that Python draws have their own."""
DEEPER = {
    "network": "?picture=digits%5B143%5D&layer=conv2&map=5&cell=2,2",
    "detection": "?picture_=sample:flower&most_=20&search_size_=64",
}
"""A place in a room that has parts which are closed at first, or has them asked for."""


@dataclass
class Seen:
    """A room that is open in a page, what the page said against itself, and the answers that it got."""

    page: Any
    lab: Lab
    room: str
    said: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    pending: set[Any] = field(default_factory=set)
    begun: tuple[str, str] = ("", "")

    def go(self, query: str = "") -> None:
        """Open the room anew."""
        self.answers.clear()
        self.pending.clear()
        self.page.goto(self.lab.address(f"/{self.room}{query}"))
        self.settle()
        self.begun = (query, self.page.url)

    def find(self, query: str = "", theme: str = "light") -> None:
        """The room as it is when it is opened, by light and at a usual size."""
        self.page.set_viewport_size({"width": 1280, "height": 900})
        self.page.emulate_media(color_scheme=theme, forced_colors="none", reduced_motion="no-preference")
        if self.begun != (query, self.page.url):
            self.go(query)

    def settle(self) -> None:
        """Wait until nothing is asked, nothing is worked on, and nothing changes any more."""
        before = None
        for _ in range(600):
            now = self.page.evaluate(
                "document.querySelector('#room:empty, [aria-busy]') ? null : document.body.innerHTML.length"
            )
            if now is not None and now == before and not self.pending:
                return
            before = now
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{self.room} does not come to rest: {self.pending}")

    def asked(self, request: Any) -> None:
        """Note what is asked, and that nothing is asked of elsewhere."""
        if not request.url.startswith((self.lab.place, "data:", "blob:")):
            self.said.append(request.url)
        elif "/api/v1/" in request.url and request.resource_type != "eventsource":
            self.pending.add(request)

    def look(self, what: str) -> Any:
        """What `lab_looks.js` finds on the page."""
        if not self.page.evaluate("'looks' in window"):
            self.page.evaluate(LOOKS)
        return self.page.evaluate(f"looks.{what}()")


@pytest.fixture(scope="module", params=[room.name for room in ROOMS])
def at(request: pytest.FixtureRequest, browser: Any, lab: Lab) -> Iterator[Seen]:
    """A room, in a page that may say nothing on its console and ask nothing of elsewhere."""
    context = browser.new_context(has_touch=True, permissions=["clipboard-read", "clipboard-write"])
    context.add_init_script(WATCH)
    seen = Seen(context.new_page(), lab, request.param)
    page = seen.page
    page.on("console", lambda m: seen.said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.on("request", seen.asked)
    page.on("requestfinished", lambda r: seen.pending.discard(r))
    page.on("requestfailed", lambda r: seen.pending.discard(r))
    page.on(
        "response",
        lambda r: seen.answers.append(r) if "application/json" in r.headers.get("content-type", "") else None,
    )
    yield seen
    context.close()


@pytest.fixture(autouse=True)
def quiet_page(request: pytest.FixtureRequest) -> Iterator[None]:
    """A page that has said anything against itself fails the test in which it did."""
    yield
    if "at" in request.fixturenames:
        said = request.getfixturevalue("at").said
        words, said[:] = [text for text in said if "status of 422" not in text], []
        assert words == []


def contrast(one: dict[str, Any]) -> float:
    """The contrast of a text and what is behind it (WCAG 2.2)."""
    light = [np.dot(linear(np.array(one[key][:3]) / 255), (0.2126, 0.7152, 0.0722)) + 0.05 for key in ("ink", "ground")]
    return float(max(light) / min(light))


def linear(srgb: np.ndarray) -> np.ndarray:
    """Light of coded colors from 0 to 1."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def least(one: dict[str, Any]) -> float:
    """The contrast that is wanted: less of large letters and of what is no text."""
    return 3 if one.get("graphic", True) or one["size"] >= 24 or (one["size"] >= 18.66 and one["bold"]) else 4.5


def test_nothing_keeps_anybody_out(at: Seen) -> None:
    """No violation that axe-core finds, in either theme; every text and line is seen, also in the colors that a reader chose."""
    from axe_playwright_python.sync_playwright import Axe

    for theme in THEMES:
        at.find(DEEPER.get(at.room, ""), theme)
        found = Axe().run(at.page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
        weak = [(round(contrast(one), 2), one) for one in at.look("texts") if contrast(one) < least(one)]
        assert (theme, weak) == (theme, [])
        assert [one for one in at.look("lines") if contrast(one) < 3] == []
    at.page.emulate_media(color_scheme="light", forced_colors="active", reduced_motion="reduce")
    assert at.look("moving") == []
    current = "getComputedStyle(document.querySelector('#rail [aria-current]')).outlineStyle"
    assert at.page.evaluate(current) != "none"  # where backgrounds are gone, a frame says which room it is
    assert [one for one in at.look("texts") if contrast(one) < least(one)] == []


def test_every_width_is_enough(at: Seen) -> None:
    """640 is a page of 1280 at 200 %. With PELLUCID_SHOTS a picture of the room is kept at each width, in each theme."""
    at.find(DEEPER.get(at.room, ""))
    for width in (1440, 768, 640, 360):
        at.page.set_viewport_size({"width": width, "height": 900})
        at.settle()
        wide, *over = at.look("wide")
        assert wide <= width, (width, over[:4])
        assert [(width, one) for one in at.look("texts") if one["size"] < 9] == []
        own = [one for one in at.look("texts") if not one["foreign"] and width >= 768]
        assert [(width, one) for one in own if round(one["size"], 1) not in SIZES] == []
        for theme in THEMES if (folder := os.environ.get("PELLUCID_SHOTS")) and width != 640 else ():
            at.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            at.page.screenshot(path=f"{folder}/{at.room}-{width}-{theme}.png", full_page=True)


def test_a_keyboard_goes_everywhere(at: Seen) -> None:
    at.find()
    wanted = at.look("controls")
    reached: list[dict[str, Any]] = []
    for _ in range(len(wanted) + 20):
        at.page.keyboard.press("Tab")
        one = at.look("focused")
        if one is None or (reached and one == reached[0]):
            break
        reached.append(one)
    names = [one["name"] for one in reached]
    assert [one for one in wanted if one not in names] == []
    assert [one for one in reached if not (one["ring"] and one["shown"])] == []
    assert reached[0]["name"] == "To the room"
    at.page.evaluate("scrollTo(0, 0)")


FIGURES = "#room :is([role=application], .tiles, .strip), #room svg.drawn[role=group]"
HEARD = """() => [document.activeElement.getAttribute("aria-label"), document.activeElement.dataset.name, document.activeElement.dataset.map,
  document.activeElement.dataset.layer, document.getElementById("live").textContent, document.querySelector(".card dl")?.textContent].join()"""


def test_arrows_walk_in_figures_and_esc_leaves(at: Seen) -> None:
    at.find(DEEPER.get(at.room, ""))
    figures = at.page.locator(FIGURES)
    for number in range(min(figures.count(), 8)):
        figure = figures.nth(number)
        if not figure.is_visible() or figure.evaluate(
            "e => e.matches('.chart:not(.bars)') && !e.querySelector('.line[d^=M]')"
        ):
            continue  # a chart without a line has nowhere to go
        figure.evaluate("e => (e.hasAttribute('tabindex') ? e : e.querySelector('[tabindex=\"0\"]')).focus()")
        before, moved = at.page.evaluate(HEARD), False
        for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "End"):
            at.page.keyboard.press(key)
            moved = moved or at.page.evaluate(HEARD) != before
        at.settle()
        moved = moved or at.page.evaluate(HEARD) != before
        assert moved, figure.evaluate("e => e.outerHTML.slice(0, 200)")
        assert at.look("focused")["ring"], at.look("focused")
    at.page.keyboard.press("Escape")
    assert at.page.locator(".card").count() == 0


def test_a_finger_sees_what_a_pointer_sees(at: Seen) -> None:
    """A figure of each kind is pointed at in its middle, then tapped; so is the first number."""
    places = (
        "#room canvas[role=application], #room svg[role=application]:has(.line[d^=M])",
        "#room .box",
        "#room canvas[tabindex='-1']",
        "#room b[data-value]",
        "#room td[data-value]",
    )
    at.find(DEEPER.get(at.room, ""))
    for place in places:
        found: list[str] = []
        for way in ("hover", "tap"):
            figure = at.page.locator(f"{place} >> visible=true").first
            if not figure.count():
                break
            figure.scroll_into_view_if_needed()
            at.page.mouse.move(0, 0)
            getattr(figure, way)()
            at.settle()
            found.append(
                at.page.evaluate(
                    "[...document.querySelectorAll('.card dl, .sides td, .plane-of .caption')].map(e => e.textContent).join('|')"
                )
            )
            at.page.keyboard.press("Escape")
            at.settle()
        assert len(set(found)) < 2, (place, found)
        assert not found or found[0], place


def test_numbers_are_read_one_after_another(at: Seen) -> None:
    """v goes to the next number, Shift+V to the one before; each is told in full, in a card that can be kept, and is closed by Esc."""
    at.find(DEEPER.get(at.room, ""))
    at.page.evaluate("document.getElementById('room').focus()")
    if not at.look("numbers"):
        return
    at.page.keyboard.press("v")
    one = at.page.evaluate("document.activeElement.dataset.value ?? document.activeElement.className")
    assert at.look("focused")["ring"]
    assert at.page.locator(".card").count() == 1
    at.page.keyboard.press("k")
    at.page.keyboard.press("v")
    at.page.keyboard.press("Shift+V")
    assert at.page.evaluate("document.activeElement.dataset.value ?? document.activeElement.className") == one
    assert at.page.locator(".card [aria-pressed=true]").count() == 1
    at.page.keyboard.press("Escape")
    assert at.page.locator(".card").count() == 0


def change(at: Seen) -> None:
    """Move a handle of the room: a slider, a number, a choice, a text, or else go on in its figure."""
    for place in ("input[type=range]", "input[type=number]", "select", "input[type=text]"):
        handle = at.page.locator(f"#room {place}:not([disabled]) >> visible=true").last
        if handle.count():
            break
    else:
        place, handle = "figure", at.page.locator(f":is({FIGURES}) [tabindex='0']").first
    handle.focus()
    if place == "select":
        at.page.keyboard.press("ArrowDown")
    elif place == "input[type=text]":
        at.page.keyboard.press("End")
        at.page.keyboard.type("+1")
        at.page.keyboard.press("Enter")
    else:
        before = at.look("state")
        at.page.keyboard.press("ArrowUp" if place != "figure" else "ArrowRight")
        at.settle()
        if at.look("state") == before:  # it was at its end
            at.page.keyboard.press("ArrowDown")
    at.settle()


def test_what_was_done_is_undone_and_found_again(at: Seen) -> None:
    """Ctrl+Z and Shift+Ctrl+Z, then Back and Forward, a reload, and the address in another page."""
    at.go()
    first = at.look("state")
    change(at)
    changed = at.look("state")
    assert changed != first
    for keys, wanted in (("Control+z", first), ("Control+Shift+z", changed)):
        at.page.keyboard.press(keys)
        at.settle()
        assert at.look("state") == wanted
    at.page.goto(at.lab.address("/activations" if at.room == "graph" else "/graph"))
    at.page.go_back()
    at.settle()
    assert at.look("state") == changed
    address = urlsplit(at.page.url)
    at.go(f"?{address.query}")
    assert at.look("state") == changed


def test_nothing_jumps(at: Seen) -> None:
    """Neither while the page comes nor while something is dragged."""
    at.go()
    for number in range(min(2, at.page.locator("#room input[type=range] >> visible=true").count())):
        box = at.page.locator("#room input[type=range] >> visible=true").nth(number).bounding_box()
        at.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        at.page.mouse.down()
        for part in (0.6, 0.75, 0.9, 0.4, 0.2):
            at.page.mouse.move(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
            at.page.wait_for_timeout(30)
        at.page.mouse.up()
        at.settle()
    shifts = at.page.evaluate("shifts")
    assert sum(value for value, _ in shifts) < 0.05, shifts


def numbers_in(found: Any) -> Iterator[float]:
    """Every number in plain data."""
    if isinstance(found, dict | list):
        for one in found.values() if isinstance(found, dict) else found:
            yield from numbers_in(one)
    elif isinstance(found, int | float | str) and not isinstance(found, bool) and len(str(found)) < 40:
        try:
            yield float(found)
        except ValueError:
            return


def told(response: Any) -> Any:
    """What was answered; nothing where that was the page before, of which the browser knows no more."""
    from playwright.sync_api import Error

    try:
        return response.json()
    except Error:
        return None


FILES, COPIES = ("SVG", "PNG", "CSV", "JSON"), ("Copy link", "Copy command", "Copy Python")


def test_every_number_is_an_answers(at: Seen) -> None:
    """No number is made in the browser; what every figure lets one copy, for the command line and for Python, gives what the page was answered."""
    at.find(DEEPER.get(at.room, ""))
    begun = json.loads(at.page.locator("#data").text_content())
    given = set(numbers_in([begun["first"], begun["facts"], *map(told, at.answers)]))
    assert [one for one in at.look("numbers") if one not in ("", "NaN") and float(one) not in given] == []
    assert at.look("bare") == []
    require_answers(at.page, at.lab, at.page.locator("#room"))


def require_answers(page: Any, lab: Lab, within: Any) -> list[str]:
    """Run what each figure lets one copy, and compare it with what its link gives; gives the commands."""
    tools = within.locator(".tools:has(button:not([disabled]):has-text('command')) >> visible=true")
    seen: list[str] = []
    for number in range(tools.count()):
        ways = "all => all.map(one => one.getAttribute('aria-label') ?? one.textContent)"
        assert tools.nth(number).locator("a, button").evaluate_all(ways) == [*FILES, *COPIES]
        copied: list[str] = []
        for what in ("command", "Python"):
            tools.nth(number).get_by_role("button", name=f"Copy {what}").click()
            copied.append(page.evaluate("navigator.clipboard.readText()"))
        command, python = copied
        if command in seen:
            continue
        seen.append(command)
        link = tools.nth(number).get_by_role("link", name="JSON").get_attribute("href")
        answered = page.request.get(f"{lab.place}/{link}").json()["answer"]
        printed = CliRunner().invoke(commands, [*shlex.split(command)[1:], "--json"])
        assert printed.exit_code == 0, (command, printed.output)
        assert json.loads(printed.stdout) == answered, command
        told_: dict[str, Any] = {}
        exec(python.replace("print(answer)", ""), told_)  # noqa: S102 what the page lets one copy
        assert json.loads(told_["answer"].to_json()) == answered, python
    return seen


def test_what_goes_wrong_is_said_where_one_looks(at: Seen) -> None:
    """A fault of the server, then a server that is gone: the page keeps what it has shown and says what is the matter."""
    if at.room != "graph":
        pytest.skip("asking is the same in every room")
    at.find()
    told = json.dumps({"title": "The lab failed", "detail": "out of luck"})
    for answer, words in (({"status": 500, "body": told}, "out of luck"), (None, "does not answer")):
        at.page.route(
            "**/api/v1/formula?*", lambda route, *, answer=answer: route.fulfill(**answer) if answer else route.abort()
        )
        change(at)
        until(at.page, lambda words=words: words in at.page.locator("#problem").inner_text())
        assert at.page.locator(".box").count() > 5
        at.page.unroute("**/api/v1/formula?*")
    change(at)
    assert not at.page.locator("#problem").is_visible()
    at.said.clear()
