"""The network's room in a browser: what it shows is what the command line prints, and a keyboard goes everywhere."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import pellucid as pl
from lab_server import Lab, running
from pellucid.data.image import usual_preprocessing
from pellucid.examples import example_of
from pellucid.lab import Library
from pellucid.opened import Opened
from test_lab_pages import CHROMIUM, browser, lab, page, photo, small_run, until  # noqa: F401

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)
PICTURE = "digits[143]"


def opened(page: Any, lab: Lab, query: str = "") -> None:
    page.goto(lab.address(f"/network?picture=digits%5B143%5D{query}"))
    page.wait_for_selector(".strip .column")


def shown(page: Any, name: str) -> float:
    return float(page.locator(f"[data-name='{name}']").first.get_attribute("data-value"))


@pytest.fixture(scope="module")
def traced(small_run: str) -> Any:
    network = pl.open_model(small_run)
    return pl.trace(network.net, example_of(network, PICTURE).values)


def test_what_is_shown_is_the_trace(page: Any, lab: Lab, traced: Any) -> None:
    opened(page, lab)
    assert shown(page, "score") == traced.score
    assert shown(page, "probability") == traced.probability
    page.locator(".column[data-layer=conv2]").click()
    page.wait_for_selector(".tiles [data-map='47']")
    row = traced["conv2"].to_dict()
    assert {name: shown(page, name) for name in ("min", "max", "mean")} == {
        name: row[name] for name in ("min", "max", "mean")
    }
    assert "48 of 48 maps shown; one scale for all" in page.locator("[aria-label=Layer]").inner_text()
    page.locator(".tiles [data-map='5']").click()
    page.wait_for_selector(".read [data-value], .read canvas.matrix")
    assert page.url.endswith("layer=conv2&map=5")
    page.locator(".large canvas").click(position={"x": 5, "y": 5})
    until(page, lambda: page.locator("[data-name=sum]").count() == 1)
    neuron = traced["conv2"][5, 0, 0]
    assert (shown(page, "value"), shown(page, "sum")) == (neuron.value, neuron.total)
    assert shown(page, "gradient") == float(traced["conv2"].gradient[5, 0, 0])
    assert page.locator(".field.seen").count() == 1
    terms = page.eval_on_selector_all("[aria-label=Terms] td.number", "all => all.map(e => Number(e.dataset.value))")
    assert terms[:3] == [term.value for term in neuron.strongest(3)]
    page.get_by_role("button", name="Gradients, backward").click()
    why = traced["conv2"].why_gradient((5, 0, 0))
    until(page, lambda: shown(page, "value") == why.value)
    assert shown(page, "sum") == why.total
    page.go_back()
    until(page, lambda: shown(page, "value") == neuron.value)
    page.keyboard.press("Control+Shift+z")


def test_the_network_by_keyboard_alone(page: Any, lab: Lab, traced: Any) -> None:
    opened(page, lab)
    page.locator(".column").first.focus()
    focused = lambda: page.evaluate(  # noqa: E731
        "(({ layer, map }) => JSON.parse(JSON.stringify({ layer, map })))(document.activeElement.dataset)"
    )
    page.keyboard.press("ArrowRight")
    assert focused() == {"layer": "conv1"}
    page.keyboard.press("Enter")
    until(page, lambda: focused() == {"map": "0"})
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    until(page, lambda: page.evaluate("document.activeElement.className") == "matrix")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    until(
        page,
        lambda: page.locator("[data-name=sum]").count() == 1 and shown(page, "value") == traced["conv1"][2, 2, 1].value,
    )
    assert page.locator(".crumbs").inner_text().split()[-3:] == ["cell", "2,1", "values"]
    for left in ("map=2", "layer=conv1", "digits%5B143%5D"):
        page.keyboard.press("Escape")
        until(page, lambda left=left: page.url.endswith(left))
    until(page, lambda: focused() == {"layer": "conv1"})
    page.keyboard.press("/")
    page.keyboard.type("fc3")
    page.keyboard.press("Enter")
    until(page, lambda: page.url.endswith("layer=fc3"))
    until(page, lambda: "map" in focused())
    page.keyboard.press("Control+z")
    until(page, lambda: page.url.endswith("digits%5B143%5D"))


def test_a_picture_of_ones_own_and_another_target(page: Any, lab: Lab, photo: Path, small_run: str) -> None:
    opened(page, lab)
    page.get_by_label("A picture of your own").set_input_files(photo)
    network = pl.open_model(small_run)
    wanted = pl.trace(network.net, network.input(photo).values)
    until(page, lambda: shown(page, "score") == wanted.score)
    assert re.search("picture=[0-9a-f]{20}", page.url)
    page.get_by_label("Score of").fill("4")
    page.keyboard.press("Enter")
    wanted = pl.trace(network.net, network.input(photo).values, 4)
    until(page, lambda: shown(page, "score") == wanted.score)
    page.wait_for_selector(".heat svg, .heat img")
    page.reload()
    until(page, lambda: page.locator("[data-name=score]").count() == 1 and shown(page, "score") == wanted.score)


def test_a_filter_is_switched_off_and_back(page: Any, lab: Lab, traced: Any, small_run: str) -> None:
    opened(page, lab, "&layer=conv1&map=2")
    page.get_by_role("button", name="Zero: conv1.weight[2]=0").click()
    network = pl.open_model(small_run)
    edits = ["conv1.weight[2]=0"]
    wanted = pl.trace(network.net, example_of(network, PICTURE).values, edits=edits)
    until(page, lambda: shown(page, "score") == wanted.score)
    assert page.url.endswith("edit=conv1.weight%5B2%5D%3D0")
    place = traced.place.of(traced.activations.of(traced.output))[0] if wanted.label == traced.label else None
    assert place is None or shown(page, "score before") == place
    page.get_by_label("Edit", exact=True).fill("conv1.bias[2]=-1")
    page.keyboard.press("Enter")
    wanted = pl.trace(network.net, example_of(network, PICTURE).values, edits=[*edits, "conv1.bias[2]=-1"])
    until(page, lambda: shown(page, "score") == wanted.score)
    until(page, lambda: shown(page, "conv1.bias[2]") == -1)
    assert page.locator(".edits li").count() == 2
    page.get_by_role("button", name="Take back conv1.weight[2]=0").click()
    alone = pl.trace(network.net, example_of(network, PICTURE).values, edits=["conv1.bias[2]=-1"])
    until(page, lambda: shown(page, "score") == alone.score)
    page.locator("h1").click()
    for score in (wanted.score, None, traced.score):
        page.keyboard.press("Control+z")
        until(page, lambda score=score: score is None or shown(page, "score") == score)
    page.get_by_label("Edit", exact=True).fill("conv1.bias[99]=0")
    page.keyboard.press("Enter")
    until(page, lambda: "axis 0 goes from 0 to" in page.locator("#problem").inner_text())


def test_whatever_an_edit_does_can_be_taken_back(page: Any, lab: Lab, traced: Any) -> None:
    opened(page, lab, "&layer=conv1&edit=conv1.weight%5B3%5D%3Dnan")
    until(page, lambda: "no class is the likeliest" in page.locator("[aria-label='The prediction']").inner_text())
    page.wait_for_selector(".tiles [data-map='3']")
    page.get_by_role("button", name="Take back conv1.weight[3]=nan").click()
    until(page, lambda: shown(page, "score") == traced.score)
    page.goto(lab.address(f"/network?picture={quote(PICTURE)}&edit=conv9.weight%5B3%5D%3D0"))
    until(page, lambda: "conv9" in page.locator("#problem").inner_text())
    page.get_by_role("button", name="Take back conv9.weight[3]=0").click()
    until(page, lambda: page.locator("[data-name=score]").count() == 1 and shown(page, "score") == traced.score)
    assert page.locator("#network-room .edits").count() == 1


GRID = re.compile("/api/v1/network/maps[?].*side=64")
"""What asks for the maps of a layer that is opened; those of the columns are smaller."""


def test_an_answer_takes_no_problem_away_that_came_after_its_question(page: Any, lab: Lab) -> None:
    opened(page, lab)
    late: list[Any] = []
    page.route(GRID, lambda route: late.append(route))
    page.locator(".column[data-layer=conv1]").click()
    until(page, lambda: bool(late))
    problem = page.locator("#problem")
    page.get_by_label("Edit", exact=True).fill("conv1.bias[99]=0")
    page.keyboard.press("Enter")
    until(page, lambda: "axis 0 goes from 0 to" in problem.inner_text())
    assert not page.locator("[data-map]").count()
    late[0].continue_()
    until(page, lambda: page.locator("[data-map]").count() > 0)
    assert "axis 0 goes from 0 to" in problem.inner_text()
    page.unroute(GRID)
    page.get_by_role("button", name="Take back conv1.bias[99]=0").click()
    page.locator(".column[data-layer=conv1]").click()
    until(page, lambda: problem.is_hidden())


def test_blocks_that_come_again_are_folded_and_arrows_follow_what_is_read(browser: Any, tmp_path: Path) -> None:
    class Part(pl.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = pl.nn.Conv2d(4, 4, 3, padding=1), pl.nn.BatchNorm2d(4)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return pl.relu(self.norm(self.conv(x))) + x

    parts = [pl.nn.Conv2d(1, 4, 3, padding=1), *(Part() for _ in range(8)), pl.nn.GlobalAvgPool2d()]
    pl.save_onnx(pl.nn.Sequential(*parts), tmp_path / "parts.onnx", shape=(1, 8, 8))
    with running(Library(str(tmp_path / "parts.onnx"), preprocessing="unit")) as lab:
        page = browser.new_context().new_page()
        opened(page, lab)
        assert page.locator(".column").count() < 8
        page.get_by_role("button", name=re.compile("layers, 4 maps of 8×8, folded")).click()
        until(page, lambda: page.locator(".column.folded").count() == 8)
        assert page.url.count("open=") == 1
        page.locator(".column.folded").nth(2).click()
        until(page, lambda: page.url.count("open=") == 2)
        focused = lambda: page.evaluate("document.activeElement.getAttribute('aria-label')")  # noqa: E731
        page.locator(".column:not(.folded)[aria-label*='Conv']").nth(1).focus()
        before = focused()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        assert focused() == before
        page.keyboard.press("ArrowDown")
        assert focused() != before
        page.get_by_role("button", name=re.compile("^Fold .* to ")).click()
        until(page, lambda: page.locator(".column").count() < 8)
        page.context.close()


def test_what_is_not_there_is_said(page: Any, lab: Lab) -> None:
    page.goto(lab.address("/network?model=alexnet"))
    until(page, lambda: "no published weights are known" in page.locator("#problem").inner_text())


def test_what_a_link_says_and_the_network_has_not_is_said(page: Any, lab: Lab) -> None:
    opened(page, lab, "&what=slope&open=tower&beside=guess&beside=saliency")
    problem = page.locator("#problem")
    until(page, lambda: "what is looked at is value or gradient, not slope" in problem.inner_text())
    assert "the network has no block tower" in problem.inner_text()
    until(page, lambda: "guess" in page.locator("figure[data-method=guess] .said").inner_text())
    page.wait_for_selector("figure[data-method=saliency] svg")
    page.get_by_role("button", name="Gradients, backward").click()
    until(page, lambda: "slope" not in problem.inner_text())
    assert "tower" in problem.inner_text()


@pytest.mark.parametrize("width", [1440, 768, 360])
def test_nothing_is_wider_than_the_page(browser: Any, lab: Lab, width: int) -> None:
    made = browser.new_context(
        viewport={"width": width, "height": 800}, reduced_motion="reduce", forced_colors="active"
    ).new_page()
    opened(made, lab, "&layer=conv2&map=5&cell=1,1")
    made.wait_for_selector("[aria-label=Terms] tr")
    assert made.evaluate("document.documentElement.scrollWidth") <= width
    made.context.close()


def drawn_models(folder: Path) -> dict[str, Opened]:
    """Networks of several kinds on small pictures, untrained, and one as an ONNX file."""
    found: dict[str, Opened] = {}
    for name in ("deck", "resnet18", "googlenet"):
        net = pl.nn.models.build(name, num_classes=5, image_size=32)
        net.initialize(0)
        net.card = pl.nn.Card(tuple("abcde"), usual_preprocessing("unit", (3, 32, 32)))
        found[name] = Opened(net.eval(), (3, 32, 32), name)
    pl.save_onnx(found["resnet18"].net, folder / "file.onnx", shape=(3, 32, 32))
    return {**found, "file.onnx": pl.open_model(str(folder / "file.onnx"))}


def test_every_kind_of_network_is_looked_into(browser: Any, tmp_path: Path) -> None:
    models = drawn_models(tmp_path)
    with running(Library(next(iter(models)), given=models)) as there:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page, said = context.new_page(), list[str]()
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        for name, network in models.items():
            page.goto(there.address(f"/network?model={name}&picture=sample:china&open_=all"))
            page.wait_for_selector(".strip .column")
            traced = pl.trace(network.net, network.input("sample:china").values)
            assert shown(page, "score") == traced.score, name
            layers = [layer for layer in traced if len(traced[layer].shape) == 3]
            layer = layers[len(layers) // 2]
            page.goto(there.address(f"/network?model={name}&picture=sample:china&layer={quote(layer)}&map=1&cell=0,0"))
            until(page, lambda: page.locator("[data-name=sum]").count() == 1)
            neuron = traced[layer][1, 0, 0]
            assert (shown(page, "value"), shown(page, "sum")) == (neuron.value, neuron.total), (name, layer)
        context.close()
    assert said == []


def test_columns_stand_there_before_anything_is_computed(page: Any, lab: Lab, traced: Any) -> None:
    waiting: list[Any] = []
    page.route("**/network/overview*", lambda route: waiting.append(route))
    opened(page, lab)
    until(page, lambda: len(waiting) == 1)
    first = page.locator(".column").first.element_handle()
    ranges = lambda: page.locator(".column .range").all_inner_texts()  # noqa: E731
    assert ranges() == ["…"] * len(traced)
    assert (page.locator("[data-name=score]").count(), page.locator(".framed.got img").count()) == (0, 1)
    waiting[0].continue_()
    until(page, lambda: page.locator("[data-name=score]").count() == 1)
    assert first.evaluate("one => one.isConnected")
    assert "…" not in ranges()[0] and len(set(ranges())) > 3
    assert shown(page, "score") == traced.score


@pytest.mark.parametrize("late", ["layers", "overview"])
def test_what_is_wrong_is_said_whichever_answer_comes_last(page: Any, lab: Lab, late: str) -> None:
    waiting: list[Any] = []
    page.route(f"**/network/{late}*", lambda route: route.continue_() if waiting else waiting.append(route))
    page.goto(lab.address("/network?target=cat"))
    until(page, lambda: bool(waiting))
    if late == "layers":
        page.locator("#problem").wait_for()
    waiting[0].continue_()
    page.get_by_role("button", name="Ask about the highest score").wait_for()
    page.wait_for_timeout(300)
    assert "cat" in page.locator("#problem").inner_text()
    assert page.locator("#network-room").is_hidden()
    page.get_by_role("button", name="Ask about the highest score").click()
    until(page, lambda: page.locator("[data-name=score]").count() == 1)


class Dense(pl.nn.Module):
    """Layers that each read all before them, `count` of them."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.parts = pl.nn.Sequential(*(pl.nn.Conv2d(k + 1, 1, 1) for k in range(count)))

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        found = [x]
        for _, part in self.parts.children():
            found.append(part(pl.concat(found, 1) if len(found) > 1 else x))
        return pl.flatten(found[-1])


def columns_of(rows: list[dict[str, Any]], folded: bool) -> list[list[dict[str, Any]]]:
    """The layers of each column, from left to right."""
    called = [(row["repeat"] or row["block"] if folded else "") or row["layer"] for row in rows]
    return [[rows[k] for k in run] for _, run in itertools.groupby(range(len(rows)), called.__getitem__)]


def joined(columns: list[list[dict[str, Any]]]) -> set[tuple[str, str]]:
    """From the last layer of a column to that of another which reads it and is not the next."""
    places = {row["layer"]: k for k, column in enumerate(columns) for row in column}
    found = {
        (places[read], k)
        for k, column in enumerate(columns)
        for row in column
        for read in row["reads"]
        if read in places
    }
    return {(columns[a][-1]["layer"], columns[b][-1]["layer"]) for a, b in found if a not in (b, b - 1)}


def lines(page: Any, group: str) -> list[tuple[str, str]]:
    found = page.eval_on_selector_all(
        f".lines .{group} [data-from]", "all => all.map(e => [e.dataset.from, e.dataset.to])"
    )
    return [(a, b) for a, b in found]


def test_lines_are_the_connections_of_the_graph_that_pass_a_column(
    browser: Any, small_run: str, tmp_path: Path
) -> None:
    models = {**drawn_models(tmp_path), small_run: pl.open_model(small_run)}
    pl.save_onnx(Dense(40), tmp_path / "dense.onnx", shape=(1, 4, 4))
    models["dense"] = pl.open_model(str(tmp_path / "dense.onnx"), preprocessing="unit")
    with running(Library(small_run, given=models)) as there:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        page, counts = context.new_page(), dict[str, int]()
        for name in models:
            opened(page, there, f"&model={quote(name)}")
            asked = f"/api/v1/network/overview?picture=digits[143]&model={quote(name)}"
            rows = context.request.get(there.address(asked)).json()["layers"]
            for folded in (True, False):
                if not folded:
                    blocks = list(dict.fromkeys(row[key] for row in rows for key in ("repeat", "block") if row[key]))
                    page.evaluate(OPEN, blocks)
                columns = columns_of(rows, folded)
                until(page, lambda columns=columns: page.locator(".strip .column").count() == len(columns))
                wanted, drawn = joined(columns), lines(page, "rest")
                said = page.locator(".strip + .caption").inner_text()
                assert len(drawn) == len(set(drawn)) and set(drawn) <= wanted, (name, folded)
                assert (f"{len(drawn)} of {len(wanted)} lines are drawn" in said) == (len(drawn) < len(wanted))
                assert not drawn or str(len(drawn)) in said
                arches = page.eval_on_selector_all(
                    ".lines .rest [data-within]", "all => all.map(e => [e.dataset.of, Number(e.dataset.within)])"
                )
                hidden = {column[-1]["layer"]: len(joined([[row] for row in column])) for column in columns}
                assert dict(arches) == {layer: count for layer, count in hidden.items() if count}
                assert not arches or f"{sum(hidden.values())} line" in said
            counts[name] = len(wanted)
            ends = [end for line in wanted for end in line]
            if not ends:
                continue
            most = max(set(ends), key=ends.count)
            for point in ("focus", "hover"):
                getattr(page.locator(f".column[data-layer='{most}']"), point)()
                own = {line for line in wanted if most in line}
                until(page, lambda own=own: set(lines(page, "lit")) == own)
                marked = page.eval_on_selector_all(".column.joined", "all => all.map(e => e.dataset.layer)")
                assert set(marked) == {end for line in own for end in line}
                page.evaluate("document.activeElement.blur()")
                page.mouse.move(0, 0)
                until(page, lambda: lines(page, "lit") == [])
            assert "reads" in page.locator(f".column[data-layer='{next(b for _, b in wanted)}']").get_attribute(
                "aria-label"
            )
        context.close()
    assert counts["dense"] > 700 and counts["resnet18"] >= 8 and counts[small_run] == counts["deck"] == 0


OPEN = """async (blocks) => {
  const { state } = await import("./static/state.js");
  state.set([...state.pairs().filter(([key]) => key !== "open"), ...blocks.map((name) => ["open", name])]);
}"""


def test_what_is_asked_late_takes_no_problem_away(page: Any, lab: Lab) -> None:
    """The classes of a picture are asked for when its columns have their maps: by then an edit may have gone wrong."""
    late: list[Any] = []
    held = True
    page.route(
        re.compile("/api/v1/network/maps[?].*side=40"), lambda route: late.append(route) if held else route.continue_()
    )
    asked: list[str] = []
    page.on("response", lambda response: asked.append(response.url) if "network/classes?" in response.url else None)
    opened(page, lab)
    until(page, lambda: page.locator("[data-name=score]").count() == 1)
    until(page, lambda: bool(late))
    problem = page.locator("#problem")
    page.get_by_label("Edit", exact=True).fill("conv1.bias[99]=0")
    page.keyboard.press("Enter")
    until(page, lambda: "axis 0 goes from 0 to" in problem.inner_text())
    assert not asked
    held = False
    for one in late:
        one.continue_()
    until(page, lambda: bool(asked))
    page.wait_for_selector(".likely:not([aria-busy])")
    assert "axis 0 goes from 0 to" in problem.inner_text()


def test_blocks_are_opened_while_numbers_are_computed(browser: Any, tmp_path: Path) -> None:
    pl.save_onnx(
        pl.nn.Sequential(*(pl.nn.ReLU() for _ in range(430)), pl.nn.Flatten()), tmp_path / "deep.onnx", shape=(1, 4, 4)
    )
    with running(Library(str(tmp_path / "deep.onnx"), preprocessing="unit")) as lab:
        page = browser.new_context().new_page()
        late: list[Any] = []
        page.route("**/api/v1/network/overview?*", lambda route: late.append(route))
        opened(page, lab)
        first = page.locator(".column.folded").first
        first.click()
        until(page, lambda: page.locator(".column").count() > 390)
        focused = "document.activeElement.dataset.layer"
        begin = page.locator(".column").first.get_attribute("data-layer")
        assert page.evaluate(focused) == begin
        assert page.locator(".range").first.inner_text() == "…"
        late[0].continue_()
        until(page, lambda: " to " in page.locator(".range").first.inner_text())
        assert page.locator(".strip > *").last.inner_text().endswith("more ›")
        assert page.evaluate(focused) == begin
        page.context.close()


def test_no_more_columns_are_drawn_than_can_be_though_all_are_open(browser: Any, tmp_path: Path) -> None:
    pl.save_onnx(
        pl.nn.Sequential(*(pl.nn.ReLU() for _ in range(430)), pl.nn.Flatten()), tmp_path / "deep.onnx", shape=(1, 4, 4)
    )
    with running(Library(str(tmp_path / "deep.onnx"), preprocessing="unit")) as lab:
        page = browser.new_context().new_page()
        opened(page, lab)
        page.locator(".column.folded").first.click()
        until(page, lambda: page.locator(".column").count() > 390)
        boxes = lambda: page.locator(".strip > *").evaluate_all("all => all.map(one => one.textContent)")  # noqa: E731
        count = lambda: page.locator(".column, .strip .fold:not([aria-label*=more])").count()  # noqa: E731
        drawn = lambda: page.locator(".column canvas:not([width='0'])").count()  # noqa: E731
        place = "(document.activeElement.offsetLeft - document.querySelector('.column').parentNode.scrollLeft)"
        assert count() == 400
        assert re.fullmatch(r"\d+ more ›", boxes()[-1])
        until(page, lambda: 0 < drawn() < 40)
        page.locator(".column:not(.folded)").first.focus()
        page.keyboard.press("End")
        until(page, lambda: boxes()[0].endswith("more") and "more" not in boxes()[-1])
        assert (
            count(),
            page.evaluate("document.activeElement === document.querySelector('.column').parentNode.lastElementChild"),
        ) == (400, True)
        page.wait_for_timeout(300)
        assert 0 < drawn() < 40
        page.keyboard.press("Home")
        until(page, lambda: "more" not in boxes()[0] and boxes()[-1].endswith("more ›"))
        first = page.locator(".column").first.get_attribute("data-layer")
        assert page.evaluate("document.activeElement.dataset.layer") == first
        page.locator(".strip > :last-child").click()
        until(page, lambda: boxes()[0].startswith("‹"))
        assert page.evaluate(f"{place} < innerWidth") is True
        page.context.close()
