"""The detection room with a detector: boxes are clicked and walked, and each says how it came to be there."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import pellucid as pl
from drawn_boxes import drawn, pictures_with_boxes
from lab_server import Lab, running
from pellucid.detect.detector import Detector
from pellucid.lab import kept
from pellucid.lab.export import export
from pellucid.lab.holdings import Library
from pellucid.lab.server import first_address
from test_lab_access_pages import require_answers
from test_lab_export import Silent
from test_lab_pages import CHROMIUM, browser, page, until  # noqa: F401

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A detector of shapes that has seen two pictures."""
    folder = tmp_path_factory.mktemp("detection")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        pl.detect.train(
            pictures_with_boxes(2),
            out=folder / "run",
            epochs=1,
            backbone="resnet18",
            image_size=64,
            width=16,
            proposals=40,
        )
        pl.detect.train(
            pictures_with_boxes(2),
            system="faster-rcnn",
            out=folder / "runs" / "faster",
            epochs=1,
            backbone="resnet18",
            image_size=64,
            width=8,
            anchor_sizes=[16, 32],
            proposal_width=8,
        )
        for name in ("photo.png", "PICTURE.png"):
            Image.fromarray(drawn(7)[0]).save(folder / name)
        yield folder / "run"


@pytest.fixture(scope="module")
def lab(run: Path) -> Iterator[Lab]:
    with running(Library(str(run), run.parent / "runs")) as made:
        yield made


@pytest.mark.parametrize("single", [False, True])
def test_a_copy_begins_with_what_its_detector_finds(
    browser: Any, run: Path, single: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "PICTURES", 1)
    monkeypatch.setattr(kept, "BOXES", 2)
    monkeypatch.setattr(Detector, "scale", replace(Detector.scale, shown=0.2))  # what it learned of shapes is little
    place = tmp_path / ("lab.html" if single else "lab")
    export(str(run), place, rooms=["detection"], single_file=single)
    found = pl.find_objects(run, "sample:china").to_dict()["pictures"][0]["objects"]
    assert len(found) > 2
    served = functools.partial(Silent, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(place.as_uri() if single else f"http://127.0.0.1:{server.server_port}/lab/detection/")
        stage = page.locator("[data-part=detector]")
        until(page, lambda: stage.locator(".pick [data-box]").count() == len(found))
        until(page, lambda: stage.locator("h3").inner_text().startswith(f"Why box 0 is here: {found[0]['class']}"))
        stage.locator('.pick [data-box="1"]').dispatch_event("click")
        until(page, lambda: stage.locator("h3").inner_text().startswith("Why box 1 is here"))
        assert stage.locator("#detector-threshold").is_disabled()
        assert stage.get_by_role("button", name="Find objects").is_enabled()
        proposals = page.locator("[data-part=proposals]")
        until(page, lambda: "The first 10 of" in proposals.inner_text())
        stage.locator('.pick [data-box="2"]').dispatch_event("click")
        until(page, lambda: "not this one" in page.locator("#problem").inner_text())
        page.close()
        server.shutdown()


def test_every_stage_of_a_box_is_shown(page: Any, lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = run.parent / "photo.png"
    found = pl.find_objects(run, photo, 0.2).to_dict()["pictures"][0]["objects"]
    assert len(found) > 2
    page.goto(lab.address(first_address(str(run))[1]))
    stage = page.locator("[data-part=detector]")
    until(page, lambda: stage.get_by_label("Detector").input_value() == str(run))
    stage.get_by_label("score from").fill("0.2")
    stage.get_by_label("A picture of your own").set_input_files(photo)
    boxes = stage.locator(".pick [data-box]")
    until(page, lambda: boxes.count() == len(found))
    scores = {
        int(at): float(value)
        for at, value in boxes.evaluate_all("all => all.map(b => [b.dataset.box, b.dataset.value])")
    }
    assert [scores[k] for k in range(len(found))] == [one["score"] for one in found]
    until(
        page, lambda: stage.locator("h3").inner_text().startswith("Why box 0 is here")
    )  # the surest, before anything is chosen
    stage.locator(".pick [tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.box") == "1"
    assert found[1]["class"] in page.evaluate("document.activeElement.ariaLabel")
    page.keyboard.press("Enter")
    why = pl.explain_box(run, photo, 1, 0.2)
    until(page, lambda: stage.get_by_text("What each bin of the region adds to the score").is_visible())
    assert f"Why box 1 is here: {found[1]['class']}" in stage.locator("h3").inner_text()
    whole = stage.get_by_label("Keep all figures")
    told = json.loads(page.request.get(whole.get_by_role("link", name="JSON").evaluate("one => one.href")).text())
    assert {**told["answer"], "picture": "photo.png"} == json.loads(why.to_json())
    assert told["command"].startswith("pellucid explain-box ") and "--box 1" in told["command"]
    assert why.figure(0).to_dict()["boxes"][0]["value"] == found[1]["score"]
    (terms,) = [one for one in map(why.figure, range(len(why.picture().figures()))) if one.drawn.kind == "grid"]
    assert [row[3] for row in terms.to_dict()["values"]][: len(why.terms)] == [term.product for term in why.terms]
    figures = stage.locator("[data-figure]")
    assert figures.count() == len(why.picture().figures()) > 5
    monkeypatch.chdir(run.parent)  # where the reader's own picture is the file that the command names
    asked = require_answers(page, lab, figures)
    assert [command.partition(" --figure ")[2] for command in asked] == [str(k) for k in range(figures.count())]
    assert all("--box 1 " in command for command in asked)
    for words in ("The box, and the proposal that it was made of", "What each pixel adds", "Suppressed by this box"):
        assert words in stage.inner_text()
    stage.locator(".pick [data-box='0']").dispatch_event("click")
    until(page, lambda: "box_=0" in page.url and "box 0" in stage.locator("h3").inner_text())
    page.keyboard.press("Control+z")
    until(page, lambda: "box_=1" in page.url)
    stage.get_by_label("score from").fill("1")
    stage.get_by_role("button", name="Find objects").click()
    until(page, lambda: stage.get_by_text("No box has such a score").is_visible())
    page.set_viewport_size({"width": 360, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def told(head: Any) -> str:
    """What a heading says of a box, without the name that the lab has for the reader's picture."""
    return head.inner_text().partition(": ")[2]


def told_of(why: Any) -> str:
    return str(why).splitlines()[0].partition(": ")[2]


def test_why_a_box_is_not_there(page: Any, lab: Lab, run: Path) -> None:
    """One that was dropped, from the list; and a place that is written or dragged over the picture, of a class."""
    photo = run.parent / "photo.png"
    found = pl.find_objects(run, photo, 0.2).to_dict()["pictures"][0]
    page.goto(lab.address(first_address(str(run))[1]))
    stage = page.locator("[data-part=detector]")
    stage.get_by_label("score from").fill("0.2")
    stage.get_by_label("A picture of your own").set_input_files(photo)
    head, missing = stage.locator("h3[tabindex]"), stage.locator("[data-part=missing]")
    until(page, lambda: head.is_visible() and head.inner_text().startswith("Why box 0"))
    gone = missing.locator("[data-dropped]")
    assert gone.count() == min(50, len(found["dropped"])) > 0
    assert [
        float(v) for v in gone.locator("[data-value]").evaluate_all("all => all.map(one => one.dataset.value)")
    ] == [one["score"] for one in found["dropped"][:50]]
    missing.locator("summary").click()
    gone.first.click()
    why = pl.explain_box(run, photo, threshold=0.2, dropped=0)
    until(page, lambda: told(head) == told_of(why))
    assert "dropped_=0" in page.url
    assert "box_=" not in page.url
    stage.locator(".pick [data-box='1']").dispatch_event("click")
    until(page, lambda: head.inner_text().startswith("Why box 1"))
    assert "dropped_" not in page.url
    image = stage.locator(".pick svg image").first
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    at = [[box["x"] + box["width"] * part, box["y"] + box["height"] * part] for part in (0.25, 0.5)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=4)
    page.mouse.up()
    place = missing.get_by_label("at", exact=True).input_value()
    assert [int(part) for part in place.split(",")] == pytest.approx(
        [found["width"] / 4, found["height"] / 4, found["width"] / 2, found["height"] / 2], abs=1
    )
    kind = found["objects"][0]["class"]
    page.keyboard.type(kind)
    page.keyboard.press("Enter")
    asked = pl.explain_box(run, photo, threshold=0.2, at=place, kind=kind)
    until(page, lambda: told(head) == told_of(asked))
    link = page.url
    page.goto(lab.address("/graph"))
    page.goto(link)
    until(page, lambda: head.is_visible() and told(head) == told_of(asked))
    assert missing.get_by_label("at", exact=True).input_value() == place
    missing.get_by_label("of the class").fill("none such")
    page.keyboard.press("Enter")
    until(page, lambda: "none such" in page.locator("#problem").inner_text())
    page.set_viewport_size({"width": 360, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_network_proposes(page: Any, lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Selective search at a size that is chosen, or a Faster R-CNN's own network: what the commands say, and every figure of it."""
    faster = str(run.parent / "runs" / "faster")
    page.goto(lab.address("/detection"))
    stage = page.locator("[data-part=proposals]")
    ways = stage.get_by_label("by", exact=True).locator("option")
    until(page, lambda: ways.evaluate_all("all => all.map(one => one.value)") == ["", faster])
    stage.get_by_label("at most").fill("5")
    stage.get_by_label("searched at").fill("64")
    stage.get_by_label("A picture of your own").set_input_files(run.parent / "photo.png")
    until(page, lambda: stage.get_by_text("Regions merged").first.is_visible())
    assert "search_size_=64" in page.url
    stage.get_by_label("by", exact=True).select_option(faster)
    assert not stage.get_by_label("searched at").is_visible()
    stage.get_by_role("button", name="Find proposals").click()
    until(page, lambda: stage.get_by_text("How sure it is of each anchor").is_visible())
    monkeypatch.chdir(run.parent)
    commands = require_answers(page, lab, stage.locator("[data-figure='3'], [data-figure='5']"))
    assert commands == [f"pellucid proposals PICTURE.png --run {faster} --most 5 --figure {k}" for k in (3, 5)]
    stage.get_by_label("Keep all figures").get_by_role("button", name="Copy command").click()
    assert page.evaluate("navigator.clipboard.readText()") == commands[0].partition(" --figure")[0]
    page.keyboard.press("Control+z")
    until(page, lambda: stage.get_by_text("Regions merged").first.is_visible())
    assert stage.get_by_label("by", exact=True).input_value() == ""
