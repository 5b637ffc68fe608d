"""What every room's page has: the rail, the tour, what a lesson's link hides and locks, large letters, and links that are not too long."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import pellucid as pl
from lab_server import Lab
from pellucid.data import read_image
from pellucid.lab.rooms import ROOMS
from pellucid.lab.tours import deck
from test_lab_pages import CHROMIUM, browser, lab, opened, page, small_run, until  # noqa: F401

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)


def test_the_rail_lists_the_rooms_and_what_is_in_use(page: Any, lab: Lab, small_run: str) -> None:
    opened(page, lab, "/graph")
    links = page.locator("#rail a")
    assert [links.nth(k).get_attribute("href").partition("?")[0] for k in range(links.count())] == [
        r.name for r in ROOMS
    ]
    assert page.locator("#rail [aria-current=page]").inner_text().endswith("Graph")
    assert page.locator("#in-use [data-name=model]").get_attribute("title") == small_run
    opened_query = "/convolution?picture=digits%5B7%5D&present=1"
    page.goto(lab.address(opened_query))
    until(page, lambda: page.locator("#in-use [data-name=picture]").inner_text() == "digits[7]")
    page.locator("#rail a[href^=network]").click()
    page.wait_for_selector(".strip .column")
    assert "picture=digits%5B7%5D&present=1" in page.url
    assert "picture=digits%5B7%5D" in page.locator("#rail a[href^=convolution]").get_attribute("href")
    page.get_by_label("Picture", exact=True).fill("test[2]")  # of the run: no other room knows it
    page.keyboard.press("Enter")
    until(page, lambda: page.locator("#in-use [data-name=picture]").inner_text() == "test[2]")
    assert "picture" not in page.locator("#rail a[href^=convolution]").get_attribute("href")
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "20px"
    page.locator("#room").focus()
    page.keyboard.press("p")
    until(page, lambda: "present" not in page.url)
    page.set_viewport_size({"width": 360, "height": 780})
    assert not page.locator("#rail").is_visible()
    page.locator("#fold").click()
    assert page.locator("#rail a").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Escape")
    assert not page.locator("#rail").is_visible()


def test_a_lessons_link_hides_and_locks(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph?hide=tools,one-step-on&lock=inputs,formula&present_=1")
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "20px"
    assert not page.locator(".tools").is_visible()
    assert page.locator(".handles .handle").count() == 5
    field = page.get_by_label("w0", exact=True)
    assert field.get_attribute("aria-disabled") == "true"
    field.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.type("7")
    page.get_by_label("w0, slider").click(position={"x": 3, "y": 8}, force=True)
    page.locator("#formula").focus()
    page.keyboard.type("+1")
    assert page.locator("#live").inner_text() == "locked in this lesson"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.locator("#room").focus()
    page.keyboard.press(".")  # the key of what is hidden
    assert "step_" not in page.url
    assert field.input_value() == "2"
    page.keyboard.press(",")
    page.wait_for_url(re.compile(r"step_=9.*hide=tools%2Cone-step-on&lock=inputs%2Cformula&present=1"))
    page.get_by_label("Examples").select_option(label="A sum times a number")  # the inputs come anew
    until(page, lambda: page.locator(".handles .handle").count() == 3)
    page.get_by_label("x", exact=True).focus()
    page.keyboard.press("ArrowUp")
    assert page.get_by_label("x", exact=True).input_value() == "-2"
    assert page.get_by_label("x", exact=True).get_attribute("aria-disabled") == "true"


def test_the_parts_that_are_documented_are_there(page: Any, lab: Lab) -> None:
    rows = re.findall(
        r"^\| ([A-Z][\w ]*|every room) \| (`[^|]*) \|$",
        Path(__file__).parents[1].joinpath("docs/lab.md").read_text(),
        re.M,
    )
    rooms = {
        "every room": "graph",
        **{(room.short or room.title): room.name for room in ROOMS},
    }
    told = {title: set(re.findall(r"`([\w-]+)`", parts)) for title, parts in rows}
    assert set(told) == set(rooms)
    for title, room in rooms.items():
        page.goto(lab.address(f"/{room}?hide=none"))
        page.wait_for_selector("#room > *", state="attached")
        until(page, lambda: page.locator("[aria-busy]").count() == 0)
        found, large = (
            set(page.eval_on_selector_all(place, "all => all.map(one => one.dataset.part)"))
            for place in ("[data-part]", "#room .stage")
        )
        assert told[title] <= found, (title, told[title] - found)
        if title != "every room":
            assert large <= told[title], (title, large - told[title])


def test_a_link_is_at_most_four_kilobytes(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph?expression=x&values=x%3D1")
    page.get_by_label("f =").fill("x+" * 1300 + "x")
    until(page, lambda: page.locator("#notice").is_visible())
    assert "at most 4,096" in page.locator("#notice").inner_text()
    assert len(page.url) < 4096
    page.get_by_role("button", name="Copy link").click()
    page.get_by_label("f =").fill("x+2")
    until(page, lambda: not page.locator("#notice").is_visible())
    page.goto(lab.address("/graph?expression=" + "x%2B" * 1100 + "x&values=x%3D1"))
    assert "at most 4,096" in page.locator("#notice").inner_text()
    until(page, lambda: page.locator(".box").count() > 10)
    page.goto(lab.address("/convolution?picture=0123456789abcdef0123"))
    until(page, lambda: page.locator("#problem").is_visible())
    assert "a link names a picture of one's own, and does not bring it along" in page.locator("#problem").inner_text()


def test_taste_stays_in_the_browser(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph")
    page.keyboard.press("t")
    page.locator(".more summary").click()
    page.get_by_label("Motion").select_option("still")
    page.get_by_label("What plays goes").select_option("fast")
    opened(page, lab, "/activations")
    told = page.evaluate("({...document.documentElement.dataset, speed: localStorage.getItem('speed')})")
    assert told == {"theme": "dark", "motion": "still", "speed": "fast"}
    assert "?" not in page.url


def test_a_rooms_text_drives_its_figure(page: Any, lab: Lab) -> None:
    opened(page, lab, "/graph?hide=tools")
    page.get_by_role("link", name="where nothing is computed").click()
    until(page, lambda: page.locator(".edge .value.pending").count() > 0)
    assert "step_=0&hide=tools" in page.url
    page.go_back()
    until(page, lambda: page.locator(".edge .value.pending").count() == 0)


def named(page: Any, name: str) -> float:
    return float(page.locator(f"[data-name='{name}'][data-value]").first.get_attribute("data-value"))


def test_connections_are_counted_and_a_shift_is_followed(page: Any, lab: Lab) -> None:
    opened(page, lab, "/why-convolution")
    page.get_by_role("button", name="three layers of 200 units").click()
    until(page, lambda: named(page, "fully connected parameters") == 100_600)
    for preset, size, layers in (("100 x 100", 100, 1), ("10 x 10", 10, 3)):
        page.get_by_role("button", name=preset).click()
        wanted = {f"{way.name} parameters": way.parameters for way in pl.connectivity(size, layers=layers).ways}
        until(page, lambda wanted=wanted: all(named(page, name) == count for name, count in wanted.items()))
        drawn = page.eval_on_selector_all(".wires", "all => all.map(one => one.querySelectorAll('path').length)")
        assert drawn == [len(way.drawn) for way in pl.connectivity(size, layers=layers).ways]
    assert "100 of 100,000 connections are drawn" in page.locator(".way").first.inner_text()
    page.get_by_label("picture size, slider").focus()
    page.keyboard.press("ArrowRight")
    until(page, lambda: page.get_by_label("picture size", exact=True).input_value() == "11")
    page.keyboard.press("Control+z")
    until(page, lambda: named(page, "fully connected parameters") == 100_600)
    page.get_by_label("down", exact=True).fill("1")
    tested = pl.shift_test(read_image(Path("digits[143]"), 1)[0], (1, 1))
    until(page, lambda: page.locator("[data-name='convolution off']").count() == 1)
    until(
        page,
        lambda: (
            {n: named(page, f"{n} off") for n in ("fully connected", "locally connected", "convolution")}
            == {one.name: one.off for one in tested.layers}
        ),
    )
    page.wait_for_url(re.compile("shift_=1%2C1"))


def test_a_function_is_typed_drawn_and_taken_apart(page: Any, lab: Lab) -> None:
    opened(page, lab, "/approximation")
    steps = pl.approximation_steps("sin(3*x)+x^2", (-2, 2), 8)
    assert (named(page, "error"), named(page, "step error")) == (steps.found.error, steps.error)
    assert page.locator(".pieces li").all_inner_texts() == [piece.formula for piece in steps.pieces]
    until(page, lambda: page.locator("b[data-name=units]").count() == 1)
    assert named(page, "units") == pl.approximate("sin(3*x)+x^2", (-2, 2), 0.1).units
    page.get_by_role("button", name="To the start").click()
    until(page, lambda: "before any unit" in page.locator(".said").inner_text())
    page.keyboard.press(".")
    until(page, lambda: named(page, "step error") == pl.approximation_steps("sin(3*x)+x^2", (-2, 2), 8, step=1).error)
    assert page.locator(".pieces [aria-current]").inner_text() == steps.pieces[0].formula
    page.get_by_role("button", name="lattice").click()
    page.get_by_label("hidden units", exact=True).fill("3")
    stone = pl.approximation_steps("sin(3*x)+x^2", (-2, 2), 3, "lattice")
    until(page, lambda: page.locator(".pieces li").count() == len(stone.pieces))
    page.locator(".pieces button").nth(1).click()
    until(page, lambda: page.locator(".said").inner_text() == stone.pieces[1].statement)
    assert "Minimum of 2 affine functions" in stone.pieces[1].statement
    page.get_by_role("button", name="relu").click()
    page.keyboard.press("d")
    box = page.locator(".canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7, steps=6)
    page.mouse.up()
    until(page, lambda: page.get_by_label("f(x) =").input_value().count(",") == 32)
    drawn = page.get_by_label("f(x) =").input_value()
    until(page, lambda: named(page, "error") == pl.approximation_steps(drawn, (-2, 2), 3).found.error)
    until(page, lambda: named(page, "units") == pl.approximate(drawn, (-2, 2), 0.1).units)
    page.keyboard.press("Control+z")
    until(page, lambda: page.get_by_label("f(x) =").input_value() != drawn)
    page.get_by_label("f(x) =").fill("1/x")
    until(page, lambda: page.locator("#problem").is_visible())


def test_the_lectures_chart_of_detection(page: Any, lab: Lab) -> None:
    opened(page, lab, "/detection")
    bars = page.eval_on_selector_all(".bar", "all => all.map(one => [one.dataset.name, Number(one.dataset.value)])")
    assert bars == [
        ["DPM", 33.4],
        ["segDPM", 40.4],
        ["R-CNN", 53.7],
        ["R-CNN*", 62.9],
        ["segDeepM", 67.2],
        ["Fast R-CNN", 70.8],
    ]
    assert [one["precision"] for one in pl.detection_history().to_dict()["systems"]] == [value for _, value in bars]
    page.locator(".bar[tabindex='0']").focus()
    page.keyboard.press("End")
    until(page, lambda: "68.8" in page.locator(".system").inner_text())
    assert page.evaluate("document.activeElement.dataset.name") == "Fast R-CNN"
    page.keyboard.press("ArrowLeft")
    until(page, lambda: "segRCNN" in page.locator(".system").inner_text())
    page.keyboard.press("Control+z")
    until(page, lambda: named(page, "precision") == 70.8)
    assert "pellucid detect explain" in page.locator("[data-part=measure]").inner_text()


@pytest.mark.parametrize("query", ["?picture=sample:china", "?foo=1"])
def test_the_detection_room_says_what_a_link_has_too_much(page: Any, lab: Lab, query: str) -> None:
    page.goto(lab.address(f"/detection{query}"))
    until(
        page,
        lambda: "stumbled" in (said := page.locator("#problem").inner_text()) or query[1:].partition("=")[0] in said,
    )
    assert "stumbled" not in page.locator("#problem").inner_text()
    assert page.get_by_role("button", name="Find proposals").is_visible()
    page.locator("#rail, nav").get_by_role("link", name="Detection").first.click()
    until(page, lambda: page.locator(".bar").count() == 6)


@pytest.mark.parametrize("room", [room.name for room in ROOMS])
def test_no_room_stumbles_on_a_link(page: Any, lab: Lab, room: str) -> None:
    own = page.context.new_page()  # a refused question is on the console, and may be
    hostile = (
        "expression=x*y&values=x%22%5D%3D3&values=y&values=__proto__%3D1&names=x%22%5D&formula=x%22%5D&data=%22%5D"
    )
    for query in (
        hostile,
        "foo=1",
        "surface.foo=1&loss.foo=1&neuron.foo=1&maxout.foo=1",
        "step_=nope&system_=nope&run_=nope",
    ):
        own.goto(lab.address(f"/{room}?{query}"))
        own.wait_for_load_state("networkidle")
        assert "stumbled" not in own.locator("#problem").inner_text(), query


def test_proposals_on_a_picture(page: Any, lab: Lab) -> None:
    """Asked for, they are those of Python; the link has them, and the command prints the same."""
    opened(page, lab, "/detection")
    stage = page.locator("[data-part=proposals]")
    stage.get_by_label("Picture", exact=True).fill("digits[143]")
    stage.get_by_label("at most").fill("3")
    page.get_by_role("button", name="Find proposals").click()
    until(page, lambda: stage.get_by_text("Where an object may be", exact=True).is_visible())
    assert "picture_=digits" in page.url
    assert "most_=3" in page.url
    found = pl.selective_search(read_image(Path("digits[143]")), 3)
    assert f"The first {len(found)} of" in stage.inner_text()
    whole = stage.get_by_label("Keep all figures").get_by_role("link", name="JSON")
    asked = json.loads(page.request.get(whole.evaluate("one => one.href")).text())
    assert asked["answer"] == found.to_dict()
    assert asked["command"] == "pellucid proposals 'digits[143]' --most 3"
    page.go_back()
    until(page, lambda: not stage.get_by_text("Where an object may be", exact=True).is_visible())


def test_the_tour_is_walked(page: Any, lab: Lab) -> None:
    steps = deck()
    page.goto(lab.address("/graph"))
    page.get_by_role("link", name="Take the tour").click()
    for number, step in enumerate(steps, 1):
        page.wait_for_selector(f"#tour [data-step='{number}']:not([hidden])")
        page.wait_for_selector("[data-pointed]", timeout=60_000)
        assert page.locator(f":is({step.focus})[data-pointed]").count() == 1, step
        assert not page.locator("#problem").is_visible(), step
        assert f"tour_={number}" in page.url
        if number == 2:  # what was left is come back to
            page.go_back()
            page.wait_for_selector("#tour [data-step='1']:not([hidden])")
            page.keyboard.press("n")
            page.wait_for_selector("#tour [data-step='2']:not([hidden])")
        if number < len(steps):
            page.keyboard.press("n")
    page.keyboard.press("Escape")
    until(page, lambda: not page.locator("#tour").is_visible())
    until(page, lambda: "tour_" not in page.url)


@pytest.mark.parametrize(
    ("link", "chip"),
    [
        ("activations?names=nosuch", "elu"),
        ("activations?names=relu&names=alpha%3D3", "elu"),
        ("descent?loss.names=nosuch", "huber"),
    ],
)
def test_a_chip_leads_on_from_a_link_that_was_refused(page: Any, lab: Lab, link: str, chip: str) -> None:
    page.goto(lab.address(f"/{link}"))
    problem = page.locator("#problem")
    until(page, lambda: problem.is_visible())
    page.locator(f".chips [data-name={chip}]").click()
    page.wait_for_selector(f".chips [data-name={chip}][aria-pressed=true]")
    until(page, lambda: problem.is_hidden())


def test_a_handle_leads_on_from_a_link_that_was_refused(page: Any, lab: Lab) -> None:
    page.goto(lab.address("/why-convolution?shift_=x&seed_=-1"))
    until(page, lambda: page.locator("#problem").is_visible())
    page.get_by_label("down", exact=True).fill("2")
    page.get_by_label("seed", exact=True).fill("3")
    page.wait_for_url(re.compile("shift_=2%2C1.*seed_=3"))
    until(page, lambda: page.locator("#problem").is_hidden())


@pytest.mark.parametrize(
    "link",
    ["convolution?picture=nosuch", "descent?formula=nosuch(x)", "approximation?formula=1/x", "graph?expression=x+"],
)
def test_what_was_refused_is_not_played(page: Any, lab: Lab, link: str) -> None:
    page.goto(lab.address(f"/{link}"))
    until(page, lambda: page.locator("#problem").is_visible())
    words, place = page.locator("#problem").inner_text(), page.url
    for key in (".", ",", "Space"):
        page.locator("body").press(key)
    page.get_by_role("button", name="To the start").click()
    page.wait_for_timeout(100)
    assert page.locator("#problem").inner_text() == words
    assert page.url == place


def test_what_is_wrong_with_a_question_stays_until_its_own_answer(page: Any, lab: Lab) -> None:
    page.goto(lab.address("/activations?neuron.weights=1&maxout.pieces=zzz"))
    problem, to = (
        page.locator("#problem"),
        "to => { history.pushState(null, '', to); dispatchEvent(new Event('popstate')); }",
    )
    until(page, lambda: "weights" in problem.inner_text() and "zzz" in problem.inner_text())
    page.locator(".chips [data-name=elu]").click()
    page.wait_for_selector(".chips [data-name=elu][aria-pressed=true]")
    assert "weights" in problem.inner_text()
    page.evaluate(to, "?neuron.weights=2,3&maxout.pieces=zzz")
    until(page, lambda: "weights" not in problem.inner_text())
    assert "zzz" in problem.inner_text()
    page.evaluate(to, "?neuron.weights=2,3&maxout.pieces=1,0")
    until(page, lambda: problem.is_hidden())


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("training?foo=bar", "No such parameter: foo"),
        ("training?learning_rate=abc", "learning_rate wants a number"),
        ("training?epochs_=-5&batch_size=0", "epochs_ wants a whole number of 1 or more, got '-5'"),
        ("training?optimizer=adma", "did you mean 'adam'"),
        ("training?pace_=abc", "pace_ wants a number of 0 or more"),
        ("training?size_=1.5", "size_ wants a whole number of 0 or more"),
        ("network?picture=digits[0]&picture=digits[7]", "picture is given more than once"),
        ("network?lay=conv1", "did you mean 'layer'"),
        ("activations?nosuch.x=3", "No such parameter: nosuch.x"),
        ("descent?surface.formula=x*y", "No such parameter: surface.formula"),
        ("ask?question_=nosuch", "No question is called nosuch"),
    ],
)
def test_what_a_link_says_for_nothing_is_told(page: Any, lab: Lab, link: str, words: str) -> None:
    page.goto(lab.address(f"/{link}"))
    until(page, lambda: words in page.locator("#notice").inner_text() + page.locator("#problem").inner_text())


def test_a_link_to_a_part_of_what_is_trained_is_filled(page: Any, lab: Lab) -> None:
    page.goto(lab.address("/training?learning_rate=0.1"))
    page.wait_for_selector(".layers li")
    assert page.get_by_label("Learning rate", exact=True).input_value() == "0.1"
    assert page.locator("[data-name=circles]").get_attribute("aria-pressed") == "true"
    assert page.locator(".plane").is_visible()
    for part in ("notice", "problem"):
        assert not page.locator(f"#{part}").is_visible()
    page.goto(lab.address("/training?data=digits"))
    page.wait_for_selector(".layers li")
    assert page.locator(".examples canvas").count() == 24
