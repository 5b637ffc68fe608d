"""The training room in a browser: what it shows is what the run computed, every handle works by keyboard, and links bring it all back."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from lab_server import Lab, running
from pellucid.lab import Library
from test_lab_pages import CHROMIUM, browser, page, until  # noqa: F401

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)
TOY = {"data": "circles noise=0 count=200", "network": "Linear 8, Tanh", "seed": "1", "epochs_": "6", "pace_": "0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training") / "runs"


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Lab]:
    with running(Library(folder=folder)) as made:
        yield made


def opened(page: Any, lab: Lab, **state: str) -> None:
    page.goto(lab.address(f"/training?{urlencode(state)}" if state else "/training"))
    page.wait_for_selector(".layers li")


def shown(page: Any, name: str) -> str:
    return page.locator(f"[data-name='{name}']").first.get_attribute("data-value") or ""


def stands(page: Any, words: str) -> None:
    until(page, lambda: words in page.locator(".stands").inner_text())


def plane_words(page: Any) -> str:
    """What the plane says of the place in its middle."""
    page.locator(".plane").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    return page.locator(".plane-of .caption").inner_text()


def middle(plane: dict[str, Any]) -> str:
    return plane["classes"][plane["winner"][21][20]]


def test_the_first_screen_teaches_before_any_click(page: Any, lab: Lab) -> None:
    opened(page, lab)
    found = pl.decision_plane("circles", "Linear 4, Tanh, Linear 2, Tanh").to_dict()
    assert shown(page, "total") == str(found["network"]["parameters"]) == "28"
    rows = page.eval_on_selector_all(".layers [data-name=parameters]", "all => all.map(e => Number(e.dataset.value))")
    assert rows == [row["parameters"] for row in found["network"]["layers"]]
    assert "Start shows the network 350 points, 10 at a time" in page.locator(".bar .said").inner_text()
    assert f"{middle(found['plane'])}, probability" in plane_words(page)
    value = page.locator(".plane-of .caption").get_attribute("data-value")
    assert float(value) == found["plane"]["probability"][21][20]
    page.get_by_text("As Python").click()
    assert page.locator(".setup pre").inner_text() == found["network"]["python"]
    assert page.get_by_role("button", name="Start", exact=True).is_enabled()
    assert not page.get_by_role("button", name="Stop, with a checkpoint").is_enabled()


def test_a_run_from_start_to_end_and_back(page: Any, lab: Lab, folder: Path) -> None:
    opened(page, lab, **TOY)
    page.locator("body").press("Space")
    stands(page, "finished")
    name = re.search(r"run_=([\w-]+)", page.url)[1]  # type: ignore[index]
    run = pl.load_run(folder / name)
    assert run.config.seed == 1
    last = run.metrics[-1]
    until(page, lambda: shown(page, "accuracy") != "")
    for column in ("accuracy", "validation_accuracy", "validation_loss"):
        assert float(shown(page, column)) == last[column]
    assert shown(page, "step-now") == str(last["step"]) == "84"
    until(page, lambda: page.locator("[data-name='output.weight/weight']").count() == 1)
    taken = page.request.get(f"{lab.place}/api/v1/runs/{name}/snapshots/latest").json()
    weight = pl.load_run(folder / name, "last").net.named_parameters()["output.weight"].value
    assert float(shown(page, "output.weight/weight")) == pytest.approx(float(np.linalg.norm(weight)), rel=1e-6)
    assert f"{middle(taken['plane'])}, probability" in plane_words(page)
    lines = "all => all.map(e => Number(e.getAttribute('y2')) - Number(e.getAttribute('y1')))"
    assert min(page.eval_on_selector_all(".chart .grid, .chart .axis", lines)) >= 0
    slider = page.get_by_label("Snapshots, from the first to the newest")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_url(re.compile("at_=0"))
    untrained = pl.decision_plane(TOY["data"], TOY["network"], seed=1).to_dict()["plane"]
    until(page, lambda: f"{untrained['probability'][21][20]:.4g}"[:5] in plane_words(page))
    page.reload()
    stands(page, "finished")
    assert slider.input_value() == "0"
    page.get_by_role("button", name="The newest snapshot").click()
    until(page, lambda: "at_" not in page.url)
    page.get_by_role("button", name="Rewind: the same seed, from the start").click()
    stands(page, "step 0 of 84, epoch")
    stands(page, "paused")
    page.get_by_role("button", name="One step", exact=True).click()
    stands(page, "step 1 of 84")
    first = float(shown(page, "loss-now"))
    assert (
        f"{first:.6g}"
        == f"{page.request.get(f'{lab.place}/api/v1/curves?runs={name}').json()['runs'][0]['curve']['loss'][0]:.6g}"
    )
    page.get_by_role("button", name="One step, slowly").click()
    page.wait_for_selector(".stage-names")
    assert page.locator(".stage-names button").all_inner_texts() == ["1 forward", "2 loss", "3 backward", "4 update"]
    for words in ("Next: loss", "Next: backward", "Next: update", "Another step"):
        button = page.locator(".stage p.row > button", has_text=words)
        assert page.locator(".stage-numbers [data-value]").count() > 0
        if words != "Another step":
            button.click()
    page.get_by_text("Other runs over it").click()
    page.locator("[data-part=other-runs] input").first.check()
    until(page, lambda: page.locator(".curve .legend li").count() > 6)
    page.wait_for_url(re.compile("with_="))
    page.get_by_role("button", name="Stop, with a checkpoint").click()
    stands(page, "stopped")
    page.get_by_role("button", name="Resume from the last checkpoint").first.click()
    stands(page, "finished")
    page.get_by_role("button", name="New seed: other weights to begin with").click()
    page.wait_for_url(re.compile("seed=2"))
    until(page, lambda: "run_" not in page.url)
    page.keyboard.press("Control+z")
    stands(page, "finished")


def test_a_run_is_measured_and_each_figure_of_it_kept(page: Any, lab: Lab) -> None:
    opened(page, lab, **TOY)
    page.locator("body").press("Space")
    stands(page, "finished")
    measure = page.locator("[data-name=measure]")
    measure.evaluate("button => button.closest('details')?.setAttribute('open', '')")
    measure.click()
    page.wait_for_selector(".results [data-figure='0'] [data-part=tools]")
    figures, tools = page.locator(".results [data-figure]"), page.locator(".results [data-figure] [data-part=tools]")
    assert figures.count() == tools.count() > 2
    for number in range(figures.count()):
        kept = page.request.get(f"{lab.place}/{tools.nth(number).get_by_text('JSON').get_attribute('href')}").json()
        picture = tools.nth(number).locator("..").locator("svg, table, img, canvas")
        assert kept["kind"]
        assert picture.count() > 0
    assert page.get_by_role("group", name="Keep all figures").count() == 1


def test_layers_are_added_removed_and_sized(page: Any, lab: Lab) -> None:
    opened(page, lab)
    units = page.get_by_label("out_features of layer 1, linear1")
    units.fill("7")
    total = lambda network: pl.design(network, (2,), 2).parameters  # noqa: E731
    until(page, lambda: shown(page, "total") == str(total("Linear 7, Tanh, Linear 2, Tanh")))
    page.wait_for_url(re.compile(r"network=Linear\+7%2C\+Tanh"))
    units.press("Alt+ArrowDown")
    page.wait_for_url(re.compile(r"network=Tanh%2C\+Linear\+7"))
    page.get_by_label("Remove layer 1, Tanh").press("Enter")
    until(page, lambda: page.locator(".layers li").count() == 4)
    page.get_by_label("A layer to add").select_option("Dropout")
    page.get_by_role("button", name="Add", exact=True).press("Enter")
    until(page, lambda: page.locator(".layers li").count() == 5)
    page.get_by_label("A layer to add").select_option("Conv2d")
    page.get_by_role("button", name="Add", exact=True).click()
    until(page, lambda: "layer 5 (conv1): reads a row of 2 numbers" in page.locator(".wrong").inner_text())
    page.keyboard.press("Control+z")
    until(page, lambda: page.locator(".wrong").inner_text() == "")
    page.locator("[data-name=digits]").click()
    wanted = pl.design("Conv2d 8 3 padding=1, ReLU, MaxPool2d 2, Flatten, Linear 32, ReLU", (1, 8, 8), 10)
    until(page, lambda: shown(page, "total") == str(wanted.parameters))
    assert page.locator(".examples canvas").count() == 24
    assert page.get_by_label("Learning rate", exact=True).input_value() == "0.002"
    page.locator("#network").select_option("lenet")
    until(page, lambda: shown(page, "total") == str(pl.design("lenet", (1, 8, 8), 10).parameters))
    page.wait_for_url(re.compile("network=lenet"))
    page.reload()
    until(page, lambda: shown(page, "total") == str(pl.design("lenet", (1, 8, 8), 10).parameters))


def test_points_of_ones_own(page: Any, lab: Lab, tmp_path: Path) -> None:
    opened(page, lab)
    page.get_by_role("button", name="paint my own").click()
    until(page, lambda: "train 8" in page.locator(".course .stage > .caption").first.inner_text())
    page.locator("[data-name=brush-orange]").click()
    page.locator(".plane").click(position={"x": 50, "y": 60})
    until(page, lambda: "train 9" in page.locator(".course .stage > .caption").first.inner_text())
    page.locator(".plane").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"orange$|orange&"))
    until(page, lambda: "train 10" in page.locator(".course .stage > .caption").first.inner_text())
    page.keyboard.press("Delete")
    until(page, lambda: "train 9" in page.locator(".course .stage > .caption").first.inner_text())
    (tmp_path / "own.csv").write_text("x,y,class\n" + "\n".join(f"{k % 9},{k % 7},{'abc'[k % 3]}" for k in range(90)))
    page.get_by_text("From a table").click()
    page.get_by_label("A table of points").set_input_files(tmp_path / "own.csv")
    until(page, lambda: page.locator(".course .stage > .caption").first.inner_text().startswith("3 classes"))


def test_a_painted_class_keeps_its_mark_and_painting_does_not_end(page: Any, lab: Lab) -> None:
    opened(page, lab, data="points " + "; ".join(f"{k % 5},{k // 5},{['blue', 'orange'][k % 2]}" for k in range(8)))
    caption = page.locator(".course .stage > .caption").first
    until(page, lambda: "train 8" in caption.inner_text())
    marks = lambda: page.eval_on_selector_all(  # noqa: E731
        "[data-name^=brush-] canvas", "all => all.map(one => one.toDataURL())"
    )
    before = marks()
    assert len(set(before)) == 3
    page.locator("[data-name=brush-third]").click()
    for k in range(150):  # more than an address holds
        page.locator(".plane").click(position={"x": 20 + 25 * (k % 16), "y": 20 + 40 * (k // 16)})
    until(page, lambda: "train 158" in caption.inner_text())
    assert marks() == before
    assert re.search("data=[0-9a-f]{20}", page.url)
    assert page.get_by_role("button", name="paint my own").get_attribute("aria-pressed") == "true"
    assert "held out" not in caption.inner_text() or ". Before" in caption.inner_text()
    page.locator(".plane").press("Delete")
    until(page, lambda: "train 157" in caption.inner_text())
    page.keyboard.press("Control+z")
    until(page, lambda: "train 158" in caption.inner_text())


def test_names_of_ones_own_stay_within_the_page(page: Any, lab: Lab) -> None:
    name = "x" * 300
    opened(page, lab, data=f"points 0,0,{name}; 1,1,b; 2,2,c; 3,1,b")
    until(page, lambda: page.locator("[data-name=brush-b]").count() == 1)
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    signs = page.eval_on_selector_all("[data-name^=brush-] canvas", "all => all.map(one => one.toDataURL())")
    assert len(set(signs)) == len(signs) == 6
    words = page.locator(".bar .said").inner_text()
    assert "Watch the colors separate" in words
    rows = "\n".join(f'{k % 7},{k % 5},"{name}, {k % 2}"' for k in range(60))
    sent = page.request.post(f"{lab.place}/api/v1/points", data=rows, headers={"sec-fetch-site": "same-origin"}).json()
    opened(page, lab, data=sent["data"], network="Linear 2, Tanh", epochs_="1", pace_="0")
    page.get_by_role("button", name="Start", exact=True).click()
    stands(page, "finished")
    page.locator("[data-name=measure]").click()
    page.wait_for_selector(".results [data-figure='0'] [data-part=tools]")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_pictures_that_are_learned_from_are_in_color(page: Any, lab: Lab, folder: Path) -> None:
    paints = {"leaf": (0, 200, 0), "sky": (0, 0, 250)}
    for name, paint in paints.items():
        (place := folder.parent / "colored" / name).mkdir(parents=True)
        for k in range(12):
            Image.new("RGB", (8, 8), paint).save(place / f"{k}.png")
    opened(page, lab, data="colored", network="Conv2d 2 3, Flatten", epochs_="1", pace_="0")
    found = page.request.get(f"{lab.place}/api/v1/training/look?data=colored").json()
    wanted = [list(paints[found["classes"][k]]) for k in found["examples"]["targets"]]
    pixel = "all => all.map(one => [...one.getContext('2d').getImageData(4, 4, 1, 1).data].slice(0, 3))"
    until(page, lambda: page.locator(".examples .tile").count() == len(wanted))
    seen = page.eval_on_selector_all(".examples .tile", pixel)
    assert np.abs(np.subtract(seen, wanted)).max() <= 1
    page.get_by_role("button", name="Start", exact=True).click()
    stands(page, "finished")
    until(page, lambda: page.locator(".probe").is_visible())
    strongest = np.argmax(page.eval_on_selector_all(".probe", pixel)[0])
    assert strongest == (1 if "its class is leaf" in page.locator("figure:has(.probe)").inner_text() else 2)


def test_a_number_that_is_none_and_a_process_that_dies(page: Any, lab: Lab, folder: Path) -> None:
    opened(
        page, lab, data="circles count=100", network="Linear 4, ReLU", optimizer="sgd", learning_rate="1e30", pace_="0"
    )
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_selector(".trouble h2")
    until(page, lambda: "last good picture" in page.locator(".trouble").inner_text())
    assert {name for name in ("where", "step", "rate", "gradient") if shown(page, f"trouble-{name}")} == {
        "where",
        "step",
        "rate",
        "gradient",
    }
    assert page.locator(".curve .line[d*=a]").count() == 2  # a loss and a gradient of a single step are seen, too
    assert page.locator(".curve .odd").get_attribute("data-value") == "NaN"
    assert float(shown(page, "trouble-rate")) == pytest.approx(1e30, rel=1e-3)
    opened(page, lab, **{**TOY, "epochs_": "400", "pace_": "20"})
    page.get_by_role("button", name="Start", exact=True).click()
    stands(page, "s ago")
    name = re.search(r"run_=([\w-]+)", page.url)[1]  # type: ignore[index]
    child = int((folder / name / ".lock").read_text().split()[1])
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(page, lambda: page.request.get(f"{lab.place}/api/v1/runs/{name}").json()["state"] == "paused")

    def killed_meanwhile(route: Any) -> None:
        """The answer that it goes on comes after the news that it ended."""
        answer = route.fetch()
        os.kill(child, signal.SIGKILL)
        until(page, lambda: page.locator(".trouble [data-name=resume]").is_visible())
        route.fulfill(response=answer)

    page.route(f"**/api/v1/runs/{name}", killed_meanwhile, times=1)
    page.evaluate("delete document.hidden")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(1500)
    page.wait_for_selector(".trouble [data-name=resume]")
    page.locator(".trouble [data-name=resume]").click()
    stands(page, "s ago")
    page.get_by_role("button", name="Stop, with a checkpoint").click()
    stands(page, "stopped")


@pytest.mark.parametrize("width", [1440, 768, 360])
def test_nothing_is_wider_than_the_page(browser: Any, lab: Lab, width: int) -> None:
    made = browser.new_context(
        viewport={"width": width, "height": 800}, reduced_motion="reduce", forced_colors="active"
    ).new_page()
    opened(made, lab)
    assert made.evaluate("document.documentElement.scrollWidth") <= width
    made.context.close()


def test_a_step_stays_that_was_done_before_the_answer_to_it_came(page: Any, lab: Lab) -> None:
    opened(page, lab, **{**TOY, "epochs_": "4"})
    page.get_by_role("button", name="One step", exact=True).click()
    stands(page, "step 1 of ")
    stands(page, "paused")
    name = re.search(r"run_=([\w-]+)", page.url)[1]  # type: ignore[index]

    def overtaken(route: Any) -> None:
        """The answer of before the step comes after the news of it."""
        now = page.request.get(f"{lab.place}/api/v1/runs/{name}").json()
        assert now["step"] == 1
        route.fetch()
        stands(page, "step 2 of ")
        route.fulfill(json=now)

    page.route(f"**/api/v1/runs/{name}", overtaken, times=1)
    page.get_by_role("button", name="One step", exact=True).click()
    stands(page, "step 2 of ")
    page.wait_for_timeout(500)
    assert "step 2 of " in page.locator(".stands").inner_text()
    page.get_by_role("button", name="Stop, with a checkpoint").click()
    stands(page, "stopped")


def test_a_run_that_was_not_trained_here_has_no_empty_chart(page: Any, lab: Lab, folder: Path) -> None:
    net = pl.nn.Sequential(pl.nn.Linear(2, 2))
    with pl.quiet():
        pl.fit(net, pl.load("circles count=60"), epochs=2, out=folder / "elsewhere", report=False)
    opened(page, lab, data="circles count=60", network="Linear 2", run_="elsewhere")
    until(page, lambda: page.locator("[data-part=curve-measures] .chart").is_visible())
    assert page.locator("[data-part=curve-gradient-norm]").is_hidden()
