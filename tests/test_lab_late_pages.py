"""Answers that come late in a browser: what is looked at is what was asked for last, whatever comes after it."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lab_run import train
from lab_server import Lab, running
from pellucid.lab import Library
from test_lab_pages import CHROMIUM, browser, page, small_run, until  # noqa: F401

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)
POINTS = "data=circles&network=Linear+4%2C+Tanh"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("late") / "runs"
    for name, rate in (("ra", 0.01), ("rb", 0.02)):
        train(made / name, "circles", "Linear 4, Tanh", batch_size=100, learning_rate=rate)
    return made


@pytest.fixture(scope="module")
def lab(folder: Path, small_run: str) -> Iterator[Lab]:
    with running(Library(small_run, folder=folder)) as made:
        yield made


def go(page: Any, query: str) -> None:
    """To another address of the room, as Back and Forward do."""
    page.evaluate("to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }", query)


def late(page: Any, address: str, problem: str = "") -> Callable[[], None]:
    """Hold the next answer of an address back, until what is given is called; then it is told, or a problem, and a moment gone by."""
    held = list[Any]()
    page.route(address, lambda route: held.append(route), times=1)

    def come() -> None:
        until(page, lambda: bool(held))
        route = held.pop()
        if problem:
            route.fulfill(status=422, json={"title": problem})
        else:
            route.fulfill(response=route.fetch())
        page.wait_for_timeout(300)

    return come


def begins(page: Any, lab: Lab, path: str, ready: str = ".layers li") -> None:
    page.goto(lab.address(path))
    page.wait_for_selector(ready)


def test_data_that_comes_late_is_not_shown(page: Any, lab: Lab) -> None:
    begins(page, lab, "/training")
    come = late(page, "**/training/look*")
    page.locator("[data-name=digits]").click()
    page.locator("[data-name=xor]").click()
    come()
    assert page.locator(".plane").is_visible()
    assert page.locator(".course .stage > .caption").first.inner_text().startswith("2 classes")


def test_a_run_and_its_snapshots_that_come_late_are_not_shown(page: Any, lab: Lab) -> None:
    begins(page, lab, f"/training?{POINTS}")
    stands = page.locator(".stands")
    come = late(page, "**/api/v1/runs/ra")
    go(page, f"?{POINTS}&run_=ra")
    go(page, f"?{POINTS}&run_=rb")
    until(page, lambda: "rb" in stands.inner_text())
    come()
    assert "rb" in stands.inner_text()
    come = late(page, "**/api/v1/runs/ra")
    go(page, f"?{POINTS}&run_=ra")
    go(page, f"?{POINTS}&run_=rb")
    come()
    assert "rb" in stands.inner_text()
    first, second, *_ = page.request.get(f"{lab.place}/api/v1/runs/rb").json()["snapshots"]
    come = late(page, f"**/snapshots/{first}?")
    go(page, f"?{POINTS}&run_=rb&at_={first}")
    go(page, f"?{POINTS}&run_=rb&at_={second}")
    come()
    assert f"after {second} steps" in page.locator(".scrub").inner_text()
    come = late(page, "**/api/v1/curves?runs=ra")
    go(page, f"?{POINTS}&run_=rb")
    until(page, lambda: "newest" in page.locator(".scrub").inner_text())
    before = page.locator(".curve .legend li").count()
    go(page, f"?{POINTS}&run_=rb&with_=ra")
    go(page, f"?{POINTS}&run_=rb")
    come()
    assert page.locator(".curve .legend li").count() == before


def test_a_run_whose_settings_change_while_it_starts_ends(page: Any, lab: Lab) -> None:
    begins(page, lab, f"/training?{POINTS}&epochs_=400&pace_=10")
    come = late(page, "**/api/v1/runs")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_label("Learning rate", exact=True).fill("0.5")
    page.get_by_label("Learning rate", exact=True).press("Tab")
    come()
    runs = lambda: page.request.get(f"{lab.place}/api/v1/training").json()["runs"]  # noqa: E731
    until(page, lambda: {run["state"] for run in runs() if run["run"] not in ("ra", "rb")} == {"stopped"})
    assert "learning_rate=0.5" in page.url and "run_=" not in page.url
    assert page.get_by_role("button", name="Start", exact=True).is_enabled()


def test_a_network_that_comes_late_is_not_shown(page: Any, lab: Lab) -> None:
    begins(page, lab, "/network", "#network-room:not([hidden])")
    come = late(page, "**/network/begin?model=nosuch", problem="No network is called nosuch")
    page.locator("#model").fill("nosuch")
    page.locator("#model").press("Enter")
    page.locator("#model").evaluate("field => field.blur()")
    page.keyboard.press("Control+z")
    come()
    assert page.locator("#network-room").is_visible()
    assert not page.locator("#problem").is_visible()
    come = late(page, "**/network/maps?*count=*")
    go(page, "?layer=conv1&map=1")
    until(page, lambda: page.get_by_role("heading", name="map 1").count() > 0)
    go(page, "?layer=conv1&map=2")
    come()
    assert page.locator(".tiles [aria-current]").get_attribute("data-map") == "2"


@pytest.mark.parametrize("room", ["convolution", "network"])
def test_a_picture_that_comes_late_is_not_taken(page: Any, lab: Lab, tmp_path: Path, room: str) -> None:
    for name, seed in (("slow", 0), ("quick", 1)):
        noise = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    begins(page, lab, f"/{room}", "#picture")
    until(page, lambda: page.locator("#picture").input_value() != "")
    files = page.get_by_label("A picture of your own")
    come = late(page, "**/api/v1/pictures")
    files.set_input_files(tmp_path / "slow.png")
    page.wait_for_timeout(100)
    files.set_input_files(tmp_path / "quick.png")
    page.wait_for_url("**picture=*")
    taken = page.url
    come()
    assert page.url == taken
    come = late(page, "**/api/v1/pictures")
    files.set_input_files(tmp_path / "slow.png")
    page.locator("#picture").fill("digits[7]")
    page.locator("#picture").press("Enter")
    come()
    assert page.locator("#picture").input_value() == "digits[7]"


def test_an_answer_that_comes_late_is_not_drawn_where_nothing_is_asked(page: Any, lab: Lab) -> None:
    come = late(page, "**/api/v1/formula.drawn?*")
    begins(page, lab, "/ask?question_=formula&expression=x&values=x%3D1", "#question")
    go(page, "?question_=formula")
    answer = page.locator(".answer").first
    until(page, lambda: "Fill in what is marked" in answer.inner_text())
    come()
    assert "Fill in what is marked" in answer.inner_text()
    assert answer.get_attribute("aria-busy") is None
