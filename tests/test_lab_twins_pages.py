"""The network's room in a browser: two pictures beside each other, other inputs, attributions and paths, pixels, the camera, what is missing."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from lab_server import Lab, running
from pellucid.examples import example_of
from pellucid.lab import Library
from test_inputs import recurrent
from test_lab_pages import CHROMIUM, browser, lab, page, small_run, until  # noqa: F401
from test_lab_twins import indices

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)
ONE, OTHER = "digits[143]", "digits[7]"


def at(page: Any, lab: Lab, query: str) -> None:
    page.goto(lab.address(f"/network?picture=digits%5B143%5D{query}"))
    page.wait_for_selector(".strip .column")


def number(page: Any, name: str, within: str = "") -> float:
    found = page.locator(f"{within} [data-name='{name}']").first.get_attribute("data-value")
    return float(found)


def there(page: Any, selector: str) -> None:
    until(page, lambda: page.locator(selector).count() > 0)


@pytest.fixture(scope="module")
def traces(small_run: str) -> Any:
    network = pl.open_model(small_run)
    return [pl.trace(network.net, example_of(network, name).values) for name in (ONE, OTHER)]


def test_two_pictures_map_by_map_and_cell_by_cell(page: Any, lab: Lab, traces: Any) -> None:
    at(page, lab, "")
    page.get_by_text("Compare two pictures, checkpoints or networks").click()
    page.get_by_label("with the picture").fill(OTHER)
    page.keyboard.press("Enter")
    there(page, ".twins .column.begins")
    told = pl.compare_maps(*traces, "conv1")
    assert page.locator(".column.begins").get_attribute("data-layer") == "conv1"
    assert number(page, "first apart") == number(page, "apart conv1") == told.divergence.error
    likely = page.locator(".both .likely").all_inner_texts()
    assert [words.split()[0] for words in likely] == [trace.label for trace in traces]
    page.locator(".twins .column[data-layer=conv2]").click()
    there(page, ".triples [data-map]")
    wanted = pl.compare_maps(*traces, "conv2")
    maps = page.eval_on_selector_all(".triples [data-map]", "all => all.map(e => Number(e.dataset.map))")
    assert maps == wanted.order[:16].tolist()
    assert "16 of 48 maps shown" in page.locator("[aria-label=Compare]").inner_text()
    page.locator(f".triples [data-map='{maps[0]}']").click()
    there(page, ".reading [data-name=difference]")
    page.locator(".large-twins canvas").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    cell = (maps[0], 1, 1)
    until(page, lambda: number(page, "difference", ".reading") == wanted.difference[cell])
    until(page, lambda: page.locator(".both [data-name=sum]").count() == 2)
    sums = [float(one.get_attribute("data-value")) for one in page.locator(".both [data-name=sum]").all()]
    assert sums == [trace["conv2"][cell].total for trace in traces]
    page.get_by_role("button", name="Look into the second alone").click()
    until(page, lambda: number(page, "score") == traces[1].score)
    until(page, lambda: page.locator("[aria-label='One number']").is_visible())
    assert "against" not in page.url
    page.go_back()
    there(page, ".twins .column.begins")


def test_two_checkpoints_that_are_the_same(page: Any, lab: Lab, small_run: str) -> None:
    at(page, lab, f"&other={small_run}/last.safetensors")
    until(page, lambda: "compute the same" in page.locator("[aria-label=Compare]").inner_text())
    page.locator("#edit").fill("conv1.weight[3]=0")
    page.keyboard.press("Enter")
    until(
        page,
        lambda: "compute the same. Both have the edits above." in page.locator("[aria-label=Compare]").inner_text(),
    )
    page.get_by_role("button", name="Stop comparing").click()
    until(page, lambda: "other" not in page.url)


def test_what_gives_whole_numbers_alone_says_why_nothing_is_attributed(browser: Any, tmp_path: Path) -> None:
    with running(Library(str(indices(tmp_path / "indices.onnx")))) as other, browser.new_page() as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(other.address("/network?what=gradient&layer=conv&map=0"))
        there(page, ".strip .column")
        why = "There is no score to explain here: no output is floating"
        until(page, lambda: why in page.locator("[aria-label=Attribution].stage").inner_text())
        for name in ("Gradients, backward", "Strongest paths back"):
            assert page.get_by_role("button", name=name, include_hidden=True).is_disabled()
        page.locator(".likely button").first.click()  # asked about by its name, it is the same
        until(page, lambda: "target=y" in page.url)
        until(page, lambda: page.locator("[aria-label='Layers'] canvas").count() > 2)
        assert not page.locator("#problem").is_visible()
        assert said == []


def test_attributions_side_by_side_and_paths_back(page: Any, lab: Lab, traces: Any) -> None:
    at(page, lab, "")
    page.get_by_text("Attributions side by side").first.click()
    for name in ("saliency", "lrp-epsilon"):
        page.get_by_role("button", name=name, exact=True).click()
    until(page, lambda: page.locator(".beside svg, .beside img").count() >= 2)
    page.get_by_role("button", name="Strongest paths back").click()
    there(page, ".paths li")
    wanted = pl.walk_back(traces[0], 5, biases=False)
    shares = [number(page, f"path {k + 1}") for k in range(5)]
    assert shares == [path.share for path in wanted.paths]
    page.locator(".paths li").first.get_by_role("button").nth(-2).click()
    step = wanted.paths[0].steps[-2]
    until(page, lambda: f"layer={step.layer}" in page.url and f"map={step.index[0]}" in page.url)
    page.reload()
    until(page, lambda: page.locator(".paths li").count() == 5)
    assert page.locator(".chips [aria-pressed=true]").all_inner_texts() == [
        "saliency",
        "lrp-epsilon",
        "Strongest paths back",
    ]


def test_the_numbers_that_the_network_got(page: Any, lab: Lab, small_run: str) -> None:
    at(page, lab, "")
    example = pl.open_model(small_run).input(ONE)
    page.locator(".got img").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    until(page, lambda: "row 1, column 1" in page.locator(".pixel-numbers").inner_text())
    assert number(page, "channel 0") == example.values[0, 1, 1]
    box = page.locator(".got img").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.95)
    until(page, lambda: "row 7, column 3" in page.locator(".pixel-numbers").inner_text())
    assert number(page, "channel 0") == example.values[0, 7, 3]


def test_what_is_missing_is_said_with_a_way_on(page: Any, lab: Lab, tmp_path: Path) -> None:
    page.on("console", lambda message: None)
    page.goto(lab.address("/network?picture=random:0&target=nobody"))
    until(page, lambda: "nobody" in page.locator("#problem").inner_text())
    page.get_by_role("button", name="Look at").click()
    until(page, lambda: page.get_by_role("button", name="Ask about the highest score").is_visible())
    page.get_by_role("button", name="Ask about the highest score").click()
    there(page, ".strip .column")
    until(page, lambda: not page.locator("#problem").is_visible())


@contextmanager
def opened(browser: Any, lab: Lab, **options: Any) -> Iterator[tuple[Any, list[str]]]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    made, said = context.new_page(), list[str]()
    made.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    made.on("pageerror", lambda error: said.append(str(error)))
    yield made, said
    context.close()


def test_a_picture_that_is_gone(browser: Any, lab: Lab) -> None:
    with opened(browser, lab) as (page, said):
        page.goto(lab.address("/network?picture=0123456789abcdef0123"))
        until(page, lambda: "No picture is called 0123456789abcdef0123" in page.locator("#problem").inner_text())
        page.get_by_role("button", name="Look at test[3] instead").click()
        there(page, ".strip .column")
        assert [words for words in said if "404" not in words] == []


def test_a_network_of_several_inputs_and_one_that_cannot_be_opened(browser: Any, tmp_path: Path) -> None:
    file = str(recurrent(tmp_path / "several.onnx"))
    with running(Library(file)) as lab, opened(browser, lab) as (page, said):
        page.goto(lab.address("/network"))
        there(page, ".strip .column")
        assert "It takes no pictures but input float32" in page.locator(".inputs").inner_text()
        page.get_by_label("sr int64").fill("16000")
        page.keyboard.press("Enter")
        given = ["state=random:0", "sr=16000"]
        network = pl.open_model(file)
        wanted = pl.trace(network.net, example_of(network, "random:0", given).values)
        until(page, lambda: page.locator("[data-name=score]").count() and number(page, "score") == wanted.score)
        kept = tmp_path / "state.npy"
        np.save(kept, np.ones((2, 1, 4), np.float32))
        page.get_by_label("An array for state").set_input_files(kept)
        until(page, lambda: re.search("input=state%3D[0-9a-f]{20}", page.url))
        page.locator("#target").fill("stateN[1,0,2]")
        page.keyboard.press("Enter")
        wanted = pl.trace(
            network.net, example_of(network, "random:0", [f"state={kept}", "sr=16000"]).values, "stateN[1,0,2]"
        )
        until(page, lambda: number(page, "score") == wanted.score)
        assert [words for words in said if "422" not in words] == []
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    with running(Library(str(broken))) as lab, opened(browser, lab) as (page, said):
        page.goto(lab.address(f"/network?model={broken}"))
        until(page, lambda: "not an ONNX file, or damaged" in page.locator("#problem").inner_text())
        assert page.get_by_role("button", name="Look into another network").is_visible()


def test_a_camera(browser: Any, lab: Lab, small_run: str) -> None:
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with_camera = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
    with opened(with_camera, lab) as (page, said):
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        at(page, lab, "")
        page.get_by_role("button", name="Camera", exact=True).click()
        until(page, lambda: sum("passing=true" in url for url in sent) >= 3)
        assert page.locator("video").is_visible()
        page.get_by_role("button", name="Stop the camera").click()
        until(page, lambda: sent[-1].endswith("/pictures"))
        until(page, lambda: re.search("picture=[0-9a-f]{20}", page.url) is not None)
        assert not page.locator("video").is_visible()
        page.reload()
        there(page, ".strip .column")
        page.get_by_role("button", name="Camera", exact=True).click()
        until(page, lambda: page.locator("video").is_visible())
        page.get_by_label("Picture", exact=True).fill("test[5]")
        live = len(sent)
        until(page, lambda: sum("passing=true" in url for url in sent[live:]) >= 3)
        assert page.get_by_label("Picture", exact=True).input_value() == "test[5]"  # the camera overwrites nothing
        page.get_by_label("Picture", exact=True).press("Enter")
        until(page, lambda: "another picture was chosen" in page.locator(".camera").inner_text())
        page.wait_for_timeout(500)
        assert "picture=test%5B5%5D" in page.url and not page.locator("video").is_visible()
        page.get_by_role("button", name="Camera", exact=True).click()
        until(page, lambda: page.locator("video").is_visible())
        page.evaluate(
            "Object.defineProperty(document, 'hidden', { value: true }); document.dispatchEvent(new Event('visibilitychange'))"
        )
        until(page, lambda: "as this page was hidden" in page.locator(".camera").inner_text())
        assert not said
    with_camera.close()


@pytest.mark.parametrize(
    ("flags", "words"),
    [(["--use-fake-device-for-media-stream"], "The camera was denied"), ([], "There is no camera on this machine")],
)
def test_no_camera(browser: Any, lab: Lab, flags: list[str], words: str) -> None:
    without = browser.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])
    allowed = [] if flags else ["camera"]
    with opened(without, lab, permissions=allowed) as (page, said):
        at(page, lab, "")
        page.get_by_role("button", name="Camera", exact=True).click()
        until(page, lambda: words in page.locator(".camera").inner_text())
        assert not said
    without.close()


@pytest.mark.parametrize("width", [768, 360])
def test_nothing_is_wider_than_the_page(browser: Any, lab: Lab, width: int) -> None:
    with opened(browser, lab, reduced_motion="reduce", forced_colors="active") as (page, said):
        page.set_viewport_size({"width": width, "height": 800})
        at(page, lab, "&against=digits%5B7%5D&layer=conv2&map=5&cell=1,1&beside=saliency&walk=2")
        there(page, ".paths li")
        until(page, lambda: page.locator(".both [data-name=sum]").count() == 2)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not said
