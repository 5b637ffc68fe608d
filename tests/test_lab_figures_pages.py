"""What every figure of the lab does: it can be kept and asked for again, plays until somebody ends it, and draws what is no number."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from lab_server import Lab
from pellucid.shown import missed, shown
from test_lab_pages import CHROMIUM, browser, lab, opened, page, small_run, until  # noqa: F401

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages"
)

MISSED = "As shown, rounded to four digits, the terms miss the sum by 0.0001."
SHOWN = "async ([file, name, given]) => (await import(`/static/${file}`))[name](...given)"
"""What a function of the page's own modules gives."""
WRITTEN = {
    "told": [([0.123456], "0.1235"), ([123456.7], "123500"), ([1e-5], "1.000e-5"), ([0], "0"), ([None], "·"),
             (["NaN"], "NaN"), (["-Infinity"], "-∞")],
    "spoken": [(["-Infinity"], "minus infinity"), (["NaN"], "not a number"), ([None], "not computed yet"), ([-0.5], "minus 0.5")],
    "brief": [([-0.07351, 6], "-0.074"), ([8.744e-5, 6], "8.7e-5"), ([-0.0004, 6], "-4e-4"), ([1234567, 6], "1.2e+6"),
              ([0.123456, 6], "0.1235"), (["Infinity", 6], "∞"), ([-99999.6, 6], "-1e+5")],
    "factor": [([2], "2"), ([-2], "(-2)"), (["-Infinity"], "(-∞)")],
    "added": [([["2", "-3", "4"]], "2 - 3 + 4"), ([["-1"]], "-1")],
    "rounding": [([missed([1, 2, -1], 2)], ""), ([missed([0.33333, 0.33333], 0.66666)], MISSED), ([None], "")],
}  # fmt: skip
"""How numbers are read: four digits that count, in small places as many as fit, never cut; where shown terms do not add up, by how much."""


@pytest.mark.parametrize("name", WRITTEN)
def test_numbers_are_written_for_readers(page: Any, lab: Lab, name: str) -> None:
    opened(page, lab, "/graph")
    found = [page.evaluate(SHOWN, ["numbers.js", name, given]) for given, _ in WRITTEN[name]]
    assert found == [wanted for _, wanted in WRITTEN[name]]


def test_python_rounds_as_pages_do(page: Any, lab: Lab) -> None:
    """What misses a sum is said of the numbers that the page shows."""
    opened(page, lab, "/graph")
    numbers = [
        *(np.random.default_rng(0).standard_normal(200) * 10.0 ** np.arange(-10, 10).repeat(10)).tolist(),
        1000.5,
        -1000.5,
        0.125,
    ]
    assert page.evaluate(
        "async (all) => { const { told } = await import('/static/numbers.js'); return all.map((one) => Number(told(one))); }",
        numbers,
    ) == [float(shown(one)) for one in numbers]


COPIED = """const canvas = document.querySelector(place), { width, height } = canvas;
  const ink = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  ink.drawImage(canvas, 0, 0);"""
"""A canvas as one whose pixels may be read often."""
GRAYS = f"""([place]) => {{ {COPIED} const {{ data }} = ink.getImageData(0, 0, width, height), found = new Set();
  for (let k = 0; k < data.length; k += 4) if (data[k + 3]) found.add([data[k], data[k + 1], data[k + 2]].join()); return [...found]; }}"""
PIXEL = f"([place, row, column]) => {{ {COPIED} return [...ink.getImageData((column + 0.3) * width / 10, (row + 0.3) * width / 10, 1, 1).data]; }}"
HATCHING = {"229,231,235", "99,107,128"}
"""The colors of what is no finite number: two grays, in stripes."""


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_hatched_and_said(page: Any, lab: Lab, odd: float) -> None:
    pixels = np.full((1, 8, 8), 0.5, np.float32)
    pixels[0, 3, 4] = odd
    raw = io.BytesIO()
    np.save(raw, pixels)
    opened(page, lab, "/graph")
    sent = page.request.post(
        f"{lab.place}/api/v1/pictures", data=raw.getvalue(), headers={"sec-fetch-site": "same-origin"}
    )
    page.goto(lab.address(f"/network?picture={sent.json()['picture']}&target=3&layer=image&map=0&cell=3,4"))
    place = page.locator(".large canvas")
    until(page, lambda: place.is_visible() and "3, column 4" in (place.get_attribute("aria-label") or ""))
    for canvas in (".tiles canvas", ".large canvas"):
        until(page, lambda canvas=canvas: set(page.evaluate(GRAYS, [canvas])) >= HATCHING)
    name = "NaN" if np.isnan(odd) else "Infinity" if odd > 0 else "-Infinity"
    assert page.locator(".reading b").get_attribute("data-value") == name
    until(page, lambda: ("not a number" if name == "NaN" else "infinity") in page.locator("#live").inner_text())
    assert not page.locator("#problem").is_visible()


def test_padding_and_what_no_window_reaches_are_seen(page: Any, lab: Lab) -> None:
    page.goto(lab.address("/convolution?picture=digits%5B143%5D&stride=4&padding=1&at=0,0"))
    canvas = ".steady canvas"
    until(page, lambda: page.locator(canvas).count() == 4)
    until(page, lambda: page.evaluate(PIXEL, [canvas, 5, 1])[3] == 255)
    assert page.evaluate(PIXEL, [canvas, 0, 5])[3] == 0  # padding: nothing is drawn in it
    assert page.evaluate(PIXEL, [canvas, 5, 1])[:3] == [0, 0, 0]  # a zero
    red, green, blue, _ = page.evaluate(PIXEL, [canvas, 8, 5])
    assert red > green + 60
    assert red > blue + 60
    words = page.locator("[aria-label='Picture, kernel and output']").inner_text()
    assert "3 rows and 3 columns, shaded red, are under no window" in words
    assert "padding around the picture, drawn empty" in words


PLAYED = {
    "graph": "w0, slider",
    "descent": "sgd 1, rate, slider",
    "approximation": "hidden units, slider",
    "convolution": "bias, slider",
}
"""Rooms that play, and a handle of each."""


@pytest.mark.parametrize("room", PLAYED)
def test_what_plays_says_who_ended_it(page: Any, lab: Lab, room: str) -> None:
    opened(page, lab, f"/{room}") if room != "convolution" else page.goto(lab.address(f"/{room}"))
    play, ended = page.locator("[aria-label='Play or pause (space)']"), page.locator(".player .ended")
    page.evaluate("localStorage.setItem('speed', 'fast')")
    ways = {
        "Paused by you.": lambda: page.keyboard.press(" "),
        "Paused: you went to another step.": lambda: page.keyboard.press(","),
        "Paused: what is shown was changed.": lambda: page.get_by_label(PLAYED[room]).press("ArrowRight"),
        "Paused while this page was hidden.": lambda: page.evaluate(
            "Object.defineProperty(document, 'hidden', {value: true, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
        ),
    }
    for words, end in ways.items():
        page.locator("#room").focus()
        play.click()
        until(page, lambda: "Pause" in play.inner_text())
        page.locator("#room").focus()
        end()
        until(page, lambda words=words: ended.inner_text() == words)
        assert "Play" in play.inner_text()
    page.evaluate("delete document.hidden")
    page.locator(".player input[type=range]").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.locator("#room").focus()
    play.click()
    until(page, lambda: ended.inner_text() == "Played to the end.")
    if room != "graph":  # where a step is chosen in the address, it is none to undo
        before = page.locator(".player input[type=range]").input_value()
        page.keyboard.press("Control+z")
        until(page, lambda: page.get_by_label(PLAYED[room]).input_value() != before)


def test_counts_are_exact_at_any_size_and_few_connections_are_drawn(page: Any, lab: Lab) -> None:
    opened(page, lab, "/why-convolution?size=1024&maps=64&layers=4")
    ways = {way.name: way for way in pl.connectivity(1024, maps=64, layers=4).ways}  # beyond 2^53
    told = page.eval_on_selector_all(
        ".way[data-name] [data-name$=parameters]", "all => all.map(one => [one.dataset.name, one.dataset.value])"
    )
    assert {name: int(value) for name, value in told} == {
        f"{way.name} parameters": way.parameters for way in ways.values()
    }
    assert page.locator(".wires").first.locator("path").count() <= 400
    assert page.locator(".wires rect").count() == 6
    assert "connections are drawn" in page.locator(".way").first.inner_text()


def test_a_chart_has_as_many_points_as_one_likes(page: Any, lab: Lab) -> None:
    ends = page.goto(lab.address("/graph")) and page.evaluate(
        """async () => {
            const { chart } = await import("/static/draw/chart.js");
            const place = document.body.appendChild(document.createElement("div")), drawing = chart(place, { moved: () => {} });
            const x = Array.from({ length: 300000 }, (_, k) => k);
            drawing.update({ title: "", x_label: "", y_label: "", series: [{ name: "a", x, y: x.map((k) => -k), kind: "line" }] });
            return drawing.ends();
        }"""
    )
    assert ends == [-314998.95, 14999.95]
