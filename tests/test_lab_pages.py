"""The lab's pages in a browser: the numbers on them are the answers', every handle works by keyboard, nothing is asked of elsewhere."""

from __future__ import annotations

import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from lab_server import Lab, running
from pellucid.lab import Library

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)
DECK = {"w0": -0.1966, "x0": 0.3932, "w1": -0.3932, "x1": -0.5898, "w2": 0.1966}


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run on digits, trained for an epoch."""
    folder = tmp_path_factory.mktemp("lab") / "digits"
    pl.fit(
        pl.nn.models.build("lenet", image_size=8, in_channels=1), pl.load("digits"), epochs=1, out=folder, report=False
    )
    return str(folder)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture(scope="module")
def lab(small_run: str) -> Iterator[Lab]:
    with running(Library(small_run)) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with sync_playwright() as made:
            found = made.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            yield found
            found.close()


@pytest.fixture
def page(browser: Any, lab: Lab) -> Iterator[Any]:
    """A page that may say nothing on its console, but that a formula was refused (422), and ask nothing of elsewhere."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    made = context.new_page()
    said: list[str] = []
    made.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on(
        "request",
        lambda request: said.append(request.url) if not request.url.startswith((lab.place, "data:")) else None,
    )
    yield made
    context.close()
    assert [words for words in said if "status of 422" not in words] == []


def opened(page: Any, lab: Lab, path: str) -> None:
    """Go to a page, and wait until it is drawn."""
    page.goto(lab.address(path))
    page.wait_for_selector("svg.drawn *", state="attached")


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait until something holds: pages do not let texts be run, so it is asked of here."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        page.wait_for_timeout(20)


def values(page: Any, place: str) -> list[float]:
    return page.eval_on_selector_all(f"{place}[data-value]", "found => found.map(e => Number(e.dataset.value))")


def gradients(page: Any) -> dict[str, float]:
    found = page.eval_on_selector_all(
        "[data-name][data-value]", "all => all.map(e => [e.dataset.name, Number(e.dataset.value)])"
    )
    return dict(found)


def test_the_first_screen_is_the_decks_neuron(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph")
    trace = pl.trace_expression(pl.expression("1/(1+exp(-(w0*x0+w1*x1+w2)))", w0=2, x0=-1, w1=-3, x1=-2, w2=-3))
    assert gradients(page) == trace.variable_gradients
    assert {name: round(value, 4) for name, value in gradients(page).items()} == DECK
    edges = [edge for gate in trace.gates for edge in gate.edges]
    assert values(page, ".edge .value") == [edge.value for edge in edges]
    assert values(page, ".edge .gradient") == [edge.downstream for edge in edges]
    assert page.locator(".box.at").get_attribute("data-name") == "1/x [8]"
    assert "1 x -0.5344 = -0.5344" in page.locator(".said").inner_text()
    assert page.locator(".edge .value.pending").count() == 0


def test_the_first_room_is_light(page: Any, lab: Lab) -> None:
    came = list[Any]()
    page.on("response", lambda one: came.append(one))
    opened(page, lab, "/")
    page.wait_for_load_state("networkidle")
    sizes = {one.url: len(one.body()) for one in came if "/static/" in one.url}
    assert {url.rpartition(".")[2] for url in sizes} >= {"js", "css"}
    assert sum(sizes.values()) < 100_000, sizes


def test_steps_tell_what_is_not_computed_yet(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph?step_=0")
    assert values(page, ".edge .gradient") == []
    assert sorted(values(page, ".edge .value")) == [-3, -3, -2, -1, 2]
    page.get_by_role("button", name="One step on").click()
    assert page.locator(".box.at").get_attribute("data-name") == "w0*x0"
    page.keyboard.press(".")
    assert page.locator(".box.at").get_attribute("data-name") == "w1*x1"
    page.keyboard.press(",")
    assert page.locator(".box.at").get_attribute("data-name") == "w0*x0"
    page.get_by_role("button", name="To the end").click()
    assert len(values(page, ".edge .gradient")) == 12
    page.wait_for_url(re.compile("step_=17"))
    page.get_by_role("button", name="Every number at once").click()
    until(page, lambda: "step_" not in page.url)


def test_handles_move_all_numbers(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph")
    field = page.get_by_label("w0", exact=True)
    field.fill("1.5")
    until(page, lambda: gradients(page)["x0"] < 0.36)
    wanted = pl.trace_expression(pl.expression("1/(1+exp(-(w0*x0+w1*x1+w2)))", w0=1.5, x0=-1, w1=-3, x1=-2, w2=-3))
    assert gradients(page) == wanted.variable_gradients
    page.wait_for_url(re.compile("w0%3D1.5"))
    page.keyboard.press("Control+z")
    until(page, lambda: gradients(page)["x0"] > 0.39)
    until(page, lambda: field.input_value() == "2")
    page.keyboard.press("Control+Shift+z")
    until(page, lambda: gradients(page)["x0"] < 0.36)
    slider = page.get_by_label("w2, slider")
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_url(re.compile("w2%3D-2.99"))


def test_a_wrong_formula_keeps_the_graph(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph")
    page.get_by_label("f =").fill("x * (y + ")
    page.wait_for_selector("#problem:not([hidden])")
    assert "position" in page.locator("#problem").inner_text()
    assert page.locator(".box").count() > 5
    page.get_by_label("f =").fill("x * (y + 2)")
    page.wait_for_selector("#problem", state="hidden")
    until(page, lambda: page.locator(".box").count() == 4)
    assert gradients(page) == {"x": 3.0, "y": 1.0}


def test_infinities_break_nothing(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph?expression=1/x&values=x%3D0")
    assert "f = ∞" in page.locator("#room").inner_text()
    assert page.locator("[data-name=x][data-value]").get_attribute("data-value") == "-Infinity"
    assert "infinity" in page.locator(".box.result").get_attribute("aria-label")


def test_back_and_forward_and_links(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph")
    page.get_by_label("Examples").select_option(label="A sum times a number")
    until(page, lambda: page.locator(".box").count() == 5)
    page.go_back()
    until(page, lambda: page.locator(".box").count() > 10)
    page.go_forward()
    until(page, lambda: page.locator(".box").count() == 5)
    before = gradients(page)
    page.reload()
    until(page, lambda: page.locator(".box").count() == 5)
    assert gradients(page) == before == {"x": -4.0, "y": -4.0, "z": 3.0}


def test_the_graph_by_keyboard_alone(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph")
    page.locator(".box[tabindex='0']").focus()
    seen = [page.evaluate("document.activeElement.dataset.name")]
    for _ in range(7):
        page.keyboard.press("ArrowRight")
        seen.append(page.evaluate("document.activeElement.dataset.name"))
    assert seen == ["w0", "w0*x0", "(w0*x0)+(w1*x1)", "+ [4]", "*-1 [5]", "exp [6]", "+1 [7]", "1/x [8]"]
    assert page.locator(".card dl").inner_text().split() == [
        "1/x",
        "1/x",
        "[8]",
        "value",
        "0.7310585786300049",
        "gradient",
        "1",
    ]
    page.keyboard.press("Escape")
    assert page.locator(".card").count() == 0
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.name") == "+1 [7]"


def test_what_can_be_copied_gives_the_same(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph")
    page.get_by_role("button", name="Copy command").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith(
        "pellucid formula '1/(1+exp(-(w0*x0+w1*x1+w2)))' w0=2"
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "formula.csv"


def test_activation_functions(page: Any, lab: Lab) -> None:
    opened(page, lab, "/activations")
    assert page.locator(".chips[aria-label=Functions] [aria-pressed=true]").all_inner_texts() == [
        "sigmoid",
        "tanh",
        "relu",
    ]
    assert values(page, "[aria-label='What they are'] td") == [
        c.steepest for c in pl.compare_activations(["sigmoid", "tanh", "relu"]).curves
    ]
    page.locator(".chart").focus()
    page.keyboard.press("End")
    curves = pl.compare_activations(["sigmoid", "tanh", "relu"]).curves
    wanted = [v for c in curves for v in (c.x[-1], c.y[-1], c.derivative[-1])]
    assert values(page, ".sides td") == wanted
    for name in ("sigmoid", "tanh", "relu"):
        page.get_by_role("button", name=name, exact=True).click()
    until(page, lambda: page.locator(".chips[aria-label=Functions] [aria-pressed=true]").all_inner_texts() == ["relu"])
    opened(page, lab, "/activations?names=leaky_relu")
    page.get_by_label("slope", exact=True).fill("0.5")
    page.wait_for_url(re.compile("slope%3D0.5"))


def test_a_kernel_over_a_picture(page: Any, lab: Lab) -> None:
    page.goto(lab.address("/convolution?picture=digits[143]&kernel=sobel-x&at=2,3"))
    image = pl.data.read_image(Path("digits[143]"), 1)[0]
    found = pl.convolve(image, "sobel-x", (2, 3))
    result = page.locator(".said b")
    assert float(result.get_attribute("data-value")) == found.value
    page.get_by_role("application", name=re.compile("^Output")).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    wanted = pl.convolve(image, "sobel-x", (3, 4)).value
    until(page, lambda: float(result.get_attribute("data-value")) == wanted)
    page.get_by_label("kernel row 1, column 2").fill("5")
    own = [[-1, 0, 1], [-2, 0, 5], [-1, 0, 1]]
    until(page, lambda: float(result.get_attribute("data-value")) == pl.convolve(image, own).value)
    assert page.get_by_label("A known one").input_value() == ""
    page.get_by_label("stride", exact=True).fill("2")
    until(page, lambda: float(result.get_attribute("data-value")) == pl.convolve(image, own, stride=2).value)
    page.get_by_label("dilation", exact=True).fill("5")
    until(page, lambda: page.locator("#problem").is_visible())
    assert "reaches over 11 rows" in page.locator("#problem").inner_text()
    page.keyboard.press("Control+z")
    until(page, lambda: not page.locator("#problem").is_visible())


def test_every_question_can_be_asked(page: Any, lab: Lab) -> None:
    page.goto(lab.address("/ask"))
    page.wait_for_selector(".answer h2")
    assert page.locator(".answer h2").inner_text() == "sin(3*x)+x^2 by relu"
    page.get_by_label("Question", exact=True).select_option("activation")
    page.get_by_label("names", exact=True).fill("elu ; alpha=0.5")
    page.get_by_role("button", name="Ask", exact=True).click()
    wanted = str(pl.activation_curve("elu", alpha=0.5))
    until(page, lambda: page.locator("pre").text_content() == wanted)
    assert "names=elu&names=alpha%3D0.5" in page.url
    page.go_back()
    page.go_back()
    until(page, lambda: page.locator("#question").input_value() == "approximate")
    page.get_by_label("formula *").fill("1/x")
    page.keyboard.press("Enter")
    until(page, lambda: page.locator("#problem").is_visible())


def test_a_network_is_asked_about_a_picture_of_ones_own(page: Any, lab: Lab, photo: Path, small_run: str) -> None:
    page.goto(lab.address("/ask?question_=attribute"))
    page.get_by_label("model *").fill(small_run)
    page.get_by_label("A picture of your own").set_input_files(photo)
    until(page, lambda: len(page.get_by_label("picture *").input_value()) == 20)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_selector(".answer svg, .answer img", timeout=60_000)
    opened_run = pl.open_model(small_run)
    found = pl.attribute(opened_run.net, opened_run.input(photo).values)
    assert page.locator("pre").text_content() == str(found)


def test_long_work_says_how_far_it_is_and_can_be_ended(page: Any, lab: Lab) -> None:
    page.goto(lab.address("/ask?question_=why-convolution&epochs=50"))
    until(page, lambda: page.locator("progress").get_attribute("value") is not None)
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".working", state="hidden", timeout=30_000)
    assert page.locator(".answer").inner_text() == ""


@pytest.mark.parametrize("room", ["graph", "activations", "convolution", "ask"])
@pytest.mark.parametrize("width", [1440, 768, 360])
def test_nothing_is_wider_than_the_page(browser: Any, lab: Lab, room: str, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, reduced_motion="reduce", forced_colors="active"
    )
    made = context.new_page()
    made.goto(lab.address(f"/{room}"))
    made.wait_for_selector("svg.drawn, .answer h2, .matrix")
    assert made.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize(("origin", "shown"), [("https://course.example", True), ("https://other.example", False)])
def test_a_page_of_an_allowed_origin_shows_it_in_a_frame(browser: Any, origin: str, shown: bool) -> None:
    """What the frame asks is answered, by a cookie that belongs to this page's site; another site's page shows nothing."""
    with running(embedders=["https://course.example"]) as lab:
        context = browser.new_context(permissions=["local-network-access"])
        page = context.new_page()
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        frame = f'<iframe src="{lab.address("/graph")}" width="900" height="700" allow="local-network-access; loopback-network"></iframe>'
        context.route(f"{origin}/**", lambda route: route.fulfill(content_type="text/html", body=frame))
        page.goto(f"{origin}/lesson", wait_until="load")
        within = page.frame_locator("iframe")
        if shown:
            within.locator("#formula").fill("x * y")
            within.get_by_label("The graph", exact=True).get_by_text("x*y").first.wait_for()
            (kept,) = context.cookies()
            assert (kept["name"], kept["sameSite"], kept["partitionKey"]) == ("pellucid", "None", origin)
            assert said == []
        else:
            until(page, lambda: page.frames[1].url.startswith("chrome-error:"))
        context.close()


WRITTEN = """window.written = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (letters, ...place) { written.push(letters); return fill.call(this, letters, ...place); };"""


def test_squares_have_their_numbers_whole(page: Any, lab: Lab) -> None:
    page.add_init_script(WRITTEN)
    page.set_viewport_size({"width": 500, "height": 900})
    page.goto(lab.address("/convolution?picture=digits[143]&pooling=none&kernel=0.00012345,-0.12345;-123.456,1e-7"))
    page.wait_for_selector("canvas.matrix")
    until(page, lambda: len(page.evaluate("written")) >= 64 + 4 + 49)
    one = pl.studies.convolve(pl.data.read_image(Path("digits[143]"), 1)[0], [[0.00012345, -0.12345], [-123.456, 1e-7]])
    letters = page.evaluate("written")
    wanted = [value for values in (one.image, one.products, one.output) for value in values.ravel()]
    for text, value in zip(letters, wanted, strict=False):
        assert len(text) <= 6
        assert float(text) == pytest.approx(value, rel=0.06, abs=0)
    sizes = page.eval_on_selector_all(
        "canvas.matrix", "all => all.map(e => [e.width, e.clientWidth * devicePixelRatio])"
    )
    assert all(drawn == round(shown) for drawn, shown in sizes if shown)
