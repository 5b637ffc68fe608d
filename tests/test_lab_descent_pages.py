"""The rooms of losses and descent and of the neuron in a browser: places are dragged by pointer and by keys, numbers are the answers'."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import pellucid as pl
from lab_server import Lab, running
from test_lab_pages import CHROMIUM, browser, opened, page, until  # noqa: F401

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)
FIRST = ["sgd", "momentum", "rmsprop", "adam"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running() as made:
        yield made


def numbers(page: Any, place: str) -> list[float]:
    return page.eval_on_selector_all(place, "all => all.map(e => Number(e.dataset.value))")


def value(page: Any, name: str) -> float:
    return float(page.locator(f"[data-name='{name}'][data-value]").first.get_attribute("data-value"))


def rows(descent: Any, step: int) -> list[float]:
    """What the table shows of every walk at a step."""
    return [v[min(step, w.steps)] for w in descent.walks for v in (w.x, w.y, w.loss, w.slope)]


def dragged(page: Any, place: str, by: tuple[int, int]) -> None:
    """Take a mark and move it by so many pixels."""
    mark = page.locator(place)
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2)
    page.mouse.move(x + by[0], y + by[1])
    page.mouse.up()


def start_of(page: Any) -> tuple[float, float]:
    found = re.search(r"start=([-\d.]+)%2C([-\d.]+)", page.url)
    assert found, page.url
    return float(found[1]), float(found[2])


def test_a_race_is_the_commands_and_its_start_is_dragged(page: Any, lab: Lab) -> None:
    opened(page, lab, "/descent")
    found = pl.descend("valley", optimizers=FIRST)
    assert numbers(page, ".walks td[data-value]") == rows(found, 60)
    assert page.locator(".walks td.words").all_inner_texts() == [w.words for w in found.walks]
    assert page.locator(".terrain .spot.circle").count() == 4
    assert page.locator("#live").count() == 1
    page.locator(".spot[data-name=start]").focus()
    page.keyboard.press("ArrowRight")
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(pl.descend("valley", (-3.93, 1.5), FIRST), 60))
    page.wait_for_url(re.compile("start=-3.93%2C1.5"))
    page.keyboard.press("Shift+ArrowDown")
    page.wait_for_url(re.compile("start=-3.93%2C1.1"))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(found, 60))
    dragged(page, ".spot[data-name=start] .reach", (120, 90))
    page.wait_for_timeout(700)
    there = start_of(page)
    assert -3 < there[0] < -1 and 0.5 < there[1] < 1.4
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(pl.descend("valley", there, FIRST), 60))
    page.reload()
    page.wait_for_selector(".walks td[data-value]")
    assert numbers(page, ".walks td[data-value]") == rows(pl.descend("valley", there, FIRST), 60)
    assert page.get_by_label("Surface", exact=True).input_value() == "valley"


def test_steps_are_walked_and_played(page: Any, lab: Lab) -> None:
    opened(page, lab, "/descent?formula=bowl&optimizers=sgd&optimizers=adam,rate%3D0.3&steps=12&step_=3")
    found = pl.descend("bowl", optimizers=["sgd", "adam,rate=0.3"], steps=12)
    assert numbers(page, ".walks td[data-value]") == rows(found, 3)
    page.get_by_role("button", name="One step on (.)").click()
    assert numbers(page, ".walks td[data-value]") == rows(found, 4)
    page.keyboard.press(",")
    page.keyboard.press(",")
    assert numbers(page, ".walks td[data-value]") == rows(found, 2)
    assert page.locator("[data-part=descent] .said").inner_text().startswith("Step 2 of 12.")
    page.get_by_role("button", name="To the start").click()
    assert numbers(page, ".walks td[data-value]") == rows(found, 0)
    page.get_by_role("button", name="Play or pause (space)").click()
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(found, 12))
    assert "step_" not in page.url.partition("?")[2] or page.wait_for_url(lambda url: "step_" not in url) is None
    page.get_by_label("Step", exact=True).fill("5")
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(found, 5))
    page.get_by_label("adam 2, rate", exact=True).fill("0.1")
    other = pl.descend("bowl", optimizers=["sgd", "adam,rate=0.1"], steps=12)
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(other, 5))
    page.get_by_text("its settings").nth(1).click()
    page.get_by_label("adam 2, beta1", exact=True).fill("0.5")
    other = pl.descend("bowl", optimizers=["sgd", "adam,rate=0.1,beta1=0.5"], steps=12)
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(other, 5))
    page.wait_for_url(re.compile("adam%2Crate%3D0.1%2Cbeta1%3D0.5"))
    page.get_by_label("Add an optimizer").select_option("nesterov")
    until(page, lambda: page.locator(".walks tbody tr").count() == 3)
    page.get_by_role("button", name="Take sgd 1 away").click()
    until(page, lambda: page.locator(".walks tbody tr").count() == 2)
    assert page.locator(".runners li").first.get_attribute("data-optimizer") == "adam"


def test_what_diverges_stays_listed(page: Any, lab: Lab) -> None:
    opened(page, lab, "/descent?formula=valley&optimizers=sgd,rate%3D0.081&optimizers=sgd,rate%3D0.2&optimizers=adam")
    words = page.locator(".walks td.words").all_inner_texts()
    assert words[0].startswith("diverged at step 12")
    assert words[1] == "diverged at step 3: it is 10 maps away"
    assert page.locator(".walks td.bad").count() == 2
    page.get_by_label("Surface", exact=True).select_option("plateau")
    wanted = pl.descend("plateau", optimizers=["sgd", "sgd", "adam"])
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(wanted, 60))
    until(page, lambda: "A hole in a plain" in page.locator("[data-part=descent]").inner_text())
    page.locator("svg.terrain").first.hover(position={"x": 200, "y": 200})
    near = pl.surface("plateau").values
    until(page, lambda: page.locator("[data-part=under-the-pointer] b").count() == 1)
    assert numbers(page, "[data-part=under-the-pointer] b")[0] in near
    page.go_back()
    until(page, lambda: page.locator(".walks td.bad").count() == 2)
    page.get_by_label("loss =").fill("x^2 + ")
    page.get_by_label("loss =").press("Enter")
    page.wait_for_selector("#problem:not([hidden])")
    assert "position" in page.locator("#problem").inner_text()
    assert page.locator(".walks td.bad").count() == 2
    page.get_by_label("loss =").fill("x^2 + 3*y^2")
    page.get_by_label("loss =").press("Enter")
    page.wait_for_selector("#problem", state="hidden")
    wanted = pl.descend("x^2 + 3*y^2", optimizers=["sgd,rate=0.081", "sgd,rate=0.2", "adam"])
    until(page, lambda: numbers(page, ".walks td[data-value]") == rows(wanted, 60))


def test_losses_with_their_corners(page: Any, lab: Lab) -> None:
    opened(page, lab, "/descent?loss.names=hinge&loss.names=huber")
    assert page.locator("[data-part=losses] .chips [aria-pressed=true]").all_inner_texts() == ["huber", "hinge"]
    assert value(page, "hinge corner") == pl.loss_curve("hinge").kinks[0].derivative
    assert numbers(page, "[data-part=losses] .corners [data-value]") == [0]
    curves = pl.compare_losses(["hinge", "huber"]).curves
    there = [v for c in curves for v in (c.x[120], c.y[120], c.derivative[120])]
    assert numbers(page, "[data-part=losses] td[data-value]") == there
    page.get_by_label("huber.delta", exact=True).fill("2")
    page.get_by_label("hinge.margin", exact=True).fill("0.5")
    curves = pl.compare_losses(["hinge", "huber"], settings={"hinge": {"margin": 0.5}, "huber": {"delta": 2}}).curves
    page.locator("[data-part=losses] .chart").focus()
    page.keyboard.press("Home")
    wanted = [v for c in curves for v in (c.x[0], c.y[0], c.derivative[0])]
    until(page, lambda: numbers(page, "[data-part=losses] td[data-value]") == wanted)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="focal", exact=True).click()
    until(page, lambda: page.locator("[data-part=losses] tbody tr").count() == 3)
    page.wait_for_url(re.compile(r"loss\.names=huber\.delta%3D2"))
    assert "formula" not in page.url
    page.locator("[data-part=losses]").get_by_role("button", name="Copy command").click()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith("pellucid loss hinge huber focal hinge.margin=0.5 huber.delta=2")


def test_a_neuron_is_dragged(page: Any, lab: Lab) -> None:
    points = [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)]
    query = "&".join(f"neuron.points={x},{y},{label}" for x, y, label in points)
    opened(page, lab, f"/activations?neuron.weights=1,1&neuron.bias=-1.5&neuron.at=2,1&{query}")
    found = pl.two_input_neuron((1, 1), -1.5, (2, 1), points=points)
    assert (value(page, "sum"), value(page, "value")) == (found.sum, found.value)
    assert [value(page, f"∂y/∂{name}") for name in found.gradient] == list(found.gradient.values())
    part = page.locator("[data-part=neuron]")
    assert "4 of 4 examples" in part.inner_text()
    page.locator(".spot[data-name=weights]").focus()
    page.keyboard.press("Shift+ArrowLeft")
    wanted = pl.two_input_neuron((0.2, 1), -1.5, (2, 1)).sum
    until(page, lambda: value(page, "sum") == wanted)
    until(page, lambda: "3 of 4 examples" in part.inner_text())
    assert page.locator(".spot.wrong").count() == 1
    page.keyboard.press("Control+z")
    until(page, lambda: value(page, "sum") == found.sum)
    dragged(page, "[data-part=neuron] .spot[data-name='the place'] .reach", (0, 40))
    until(page, lambda: value(page, "sum") < found.sum)
    page.get_by_label("bias", exact=True).fill("-0.5")
    until(page, lambda: "2 of 4 examples" in part.inner_text())
    page.locator(".spot[data-name='point 4']").focus()
    page.keyboard.press("Delete")
    until(page, lambda: "1 of 3 examples" in part.inner_text())
    part.get_by_role("button", name="Add class 1 here").click()
    until(page, lambda: page.locator("[data-part=neuron] .spot.square").count() == 1)
    part.get_by_label("What is made of the sum").select_option("relu")
    page.wait_for_url(re.compile(r"neuron\.activation=relu"))
    until(page, lambda: "relu(sum)" in part.inner_text())
    assert page.locator(".chips [aria-pressed=true]").first.inner_text() == "sigmoid"  # the other questions stay


def test_a_maxout_unit_of_one_and_of_two_inputs(page: Any, lab: Lab) -> None:
    opened(page, lab, "/activations?maxout.pieces=-1,-1&maxout.pieces=0.25,0&maxout.pieces=2,-3&maxout.at=1")
    part = page.locator("[data-part=maxout]")
    assert value(page, "maxout") == 0.25
    assert "the engine takes their mean, -0.375" in part.inner_text()
    part.locator(".spot").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    until(page, lambda: value(page, "maxout") == pytest.approx(2 * 2.6 - 3))
    part.get_by_label("piece 3, w", exact=True).fill("-3")
    until(page, lambda: value(page, "maxout") == 0.65)
    part.get_by_role("button", name="two inputs").click()
    until(page, lambda: part.locator(".area").count() == 4)
    assert value(page, "maxout") == pl.maxout_unit([(1, 0, -1), (-1, 0, -1), (0, 1, -1), (0, -1, -1)]).value
    part.get_by_role("button", name="Take piece 4 away").click()
    until(page, lambda: part.locator(".area").count() == 3)
    page.go_back()
    until(page, lambda: part.locator(".area").count() == 0)


def test_several_activation_functions_have_sliders(page: Any, lab: Lab) -> None:
    opened(page, lab, "/activations?names=elu&names=leaky_relu&names=elu.alpha%3D2")
    page.get_by_label("leaky_relu.slope", exact=True).fill("0.5")
    curves = pl.compare_activations(["elu", "leaky_relu"], settings={"elu": {"alpha": 2}, "leaky_relu": {"slope": 0.5}})
    page.locator(".chart").focus()
    page.keyboard.press("Home")
    wanted = [v for c in curves.curves for v in (c.x[0], c.y[0], c.derivative[0])]
    until(page, lambda: numbers(page, ".sides td[data-value]") == wanted)
    assert numbers(page, ".corners [data-value]") == [2, 0.5]
    page.keyboard.press("Escape")  # the card with the number in full
    page.get_by_role("button", name="leaky_relu", exact=True).click()
    page.wait_for_url(re.compile(r"names=elu&names=alpha%3D2"))
    assert page.get_by_label("alpha", exact=True).input_value() == "2"


@pytest.mark.parametrize("width", [1440, 768, 360])
def test_nothing_is_wider_than_the_page(browser: Any, lab: Lab, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, reduced_motion="reduce", forced_colors="active"
    )
    made = context.new_page()
    made.goto(lab.address("/descent"))
    made.wait_for_selector("svg.terrain .spot")
    assert made.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
