"""Pictures are plain data, well-formed drawings and files; what cannot be drawn is said."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from pellucid.pictures import (
    Box,
    Chart,
    Grid,
    HeatMap,
    Maps,
    Overlay,
    Page,
    Picture,
    PictureError,
    Series,
    Tile,
    Tiles,
)
from pellucid.pictures.axes import Axis, ticks_of
from pellucid.pictures.colors import color
from pellucid.pictures.raster import png_file

RANDOM = np.random.default_rng(0)
PHOTO = RANDOM.integers(0, 256, (3, 20, 30), np.uint8)
LINE = Series("a < b", [1, 2, 3], [0.1, math.nan, 10])
PATHS = (Series("a & b", [0, 1, 9], [0, math.nan, 2]), Series("", [], []), Series("ends", [2], [1], "points"))
PICTURES: dict[str, Picture] = {
    "line": Chart("Loss & more", "epoch", "loss", (LINE, Series("", [1, 2], [3, 4], "bars")), "a note"),
    "log": Chart("Error", "units", "error", (LINE, Series("bound", [0, 2], [-1, 1], "dashed")), "", True, True),
    "percent": Chart("Accuracy", "epoch", "accuracy", (Series("x", [1, 2], [0.5, 1.0], "points"),), percent=True),
    "empty": Chart("Nothing", "x", "y", ()),
    "level": Chart("Level", "x", "y", (Series("x", [1], [0.0]),)),
    "heat": HeatMap("Valley", "a", "b", RANDOM.standard_normal((3, 4)), range(4), range(3)),
    "paths": HeatMap("Valley", "a", "b", np.eye(3), range(3), range(3), paths=PATHS),
    "flat": HeatMap("Flat", "a", "b", np.zeros((1, 1)), [0], [0], signed=True),
    "tiles": Tiles("Pictures", (Tile(PHOTO, "one <1>"), Tile(PHOTO[:1], "two")), note="n"),
    "maps": Maps.first("conv1", RANDOM.standard_normal((70, 5, 5)), 64),
    "overlay": Overlay("Cat", PHOTO, RANDOM.random((4, 4)), (Box((1, 5), (2, 9), "ear", 0.5),)),
    "plain": Overlay("Cat", PHOTO),
}  # fmt: skip
PAGE = Page("All", ("words & signs", Grid(["name", "n"], [["<a>", "1"]], "lr"), *PICTURES.values()))


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_drawn_and_saved(name: str, tmp_path: Path) -> None:
    picture = PICTURES[name]
    assert ElementTree.fromstring(picture.svg()).tag.endswith("svg")
    for suffix in picture.writers():
        picture.save(tmp_path / f"picture{suffix}")
    assert json.loads((tmp_path / "picture.json").read_text())["title"] == picture.title
    assert ElementTree.parse(tmp_path / "picture.svg").getroot().get("aria-label") == picture.title
    assert picture.svg() in (tmp_path / "picture.html").read_text()
    with pytest.raises(PictureError, match=r"saved as \.svg, \.png, \.pdf, \.html, \.json, not as '\.gif'"):
        picture.save(tmp_path / "picture.gif")


def test_a_page_holds_its_parts(tmp_path: Path) -> None:
    PAGE.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert all(picture.svg() in text for picture in PICTURES.values())
    assert "words &amp; signs" in text
    assert "&lt;a&gt;" in text
    assert [part["kind"] for part in json.loads(json.dumps(PAGE.to_dict()))["parts"]][:3] == ["text", "grid", "chart"]


def test_a_page_of_sections_links_to_each() -> None:
    inner = Page("Deep", tuple(Page(name, ("words",)) for name in "abc"))
    page = Page("All", ("first", Page("<One>", ()), inner, Page("More", (inner,), folded=True), Page("Last", ())))
    root = ElementTree.fromstring(page.html().partition("<body>")[2].partition("</body>")[0])
    links = {a.text: (a.get("href") or "")[1:] for nav in root.iter("nav") for a in nav.iter("a")}
    assert list(links) == ["<One>", "Deep", "Last", "a", "b", "c"]
    for section in root.iter("section"):
        if (name := section.get("id")) not in (None, "s"):
            assert links[section[0].text] == name
    assert sorted(["s", *links.values()]) == sorted(name for s in root.iter("section") if (name := s.get("id")))
    (details,) = root.iter("details")
    assert details[0].text == "More"
    headings = [(h.tag, h.text) for h in root.iter() if re.fullmatch("h[1-6]", h.tag)]
    assert headings[:5] == [("h1", "All"), ("h2", "<One>"), ("h2", "Deep"), ("h3", "a"), ("h3", "b")]


def test_the_strongest_maps_come_first() -> None:
    values = np.array([1.0, -7.0, np.nan, 3.0, 5.0])[:, None, None] * np.ones((5, 2, 2))
    maps = Maps.strongest("m", values, 3)
    assert maps.captions == ("1", "4", "3")
    assert maps.values[:, 0, 0].tolist() == [-7.0, 5.0, 3.0]
    assert "blue -7, white 0, red 7 on all maps; 3 of 5 maps" in maps.words
    assert Maps.strongest("m", values, 5).to_json() == Maps.first("m", values, 5).to_json()


def test_maps_are_written_with_a_table_of_colors() -> None:
    from pellucid.pictures.colors import png

    few, many = color(RANDOM.random((40, 40)), 0, 1), RANDOM.integers(0, 256, (40, 40, 3), np.uint8)
    for pixels, mode in ((few, "P"), (many, "RGB"), (few[..., 0], "L")):
        read = Image.open(io.BytesIO(png(pixels)))
        assert read.mode == mode
        assert np.array_equal(np.asarray(read.convert("RGB" if pixels.ndim == 3 else "L")), pixels)


def test_cells_have_a_ground_and_captions_lines() -> None:
    plain, shaded = (Grid(["a", "b"], [["x", "1"]], "lr", shades) for shades in ((), [[0.0, -0.5]]))
    assert "background" not in plain.fragment()
    assert shaded.fragment().count("background:rgba(217,119,6,0.400)") == 1
    one, two = (Tiles("t", (Tile(PHOTO, caption),)).svg() for caption in ("first", "first\nsecond"))
    assert ">second</text>" in two
    heights = [int(re.search(r'height="(\d+)" role', drawing)[1]) for drawing in (one, two)]  # type: ignore[index]
    assert heights[1] - heights[0] == 14


def test_numbers_stand_at_their_place() -> None:
    """The drawn points of a chart are its numbers, by the ticks that are written beside them, each rounded to 0.1."""
    chart = Chart("t", "x", "y", (Series("s", [0, 10], [5, 25]),))
    root = ElementTree.fromstring(chart.svg())
    circles = [e for e in root.iter() if e.tag.endswith("circle") and e.get("r") == "2.6"]
    ticks = {
        e.text: float(e.get("y", 0)) - 4
        for e in root.iter()
        if e.tag.endswith("text") and e.get("text-anchor") == "end"
    }
    slope = (ticks["20"] - ticks["10"]) / 10
    for circle, value in zip(circles, (5, 25), strict=True):
        assert ticks["10"] + (value - 10) * slope == pytest.approx(float(circle.get("cy", 0)), abs=0.3)


def test_paths_stand_in_their_cells() -> None:
    """Cells are 160 wide and high: a path's dots are in the middle of theirs, and what is outside is cut off."""
    root = ElementTree.fromstring(PICTURES["paths"].svg())
    (ground,) = (e for e in root if e.tag.endswith("svg"))
    left, top = float(ground.get("x", 0)), float(ground.get("y", 0))
    dots = [(float(e.get("cx", 0)) - left, float(e.get("cy", 0)) - top) for e in ground if e.get("r") == "4"]
    assert dots == [(80, 400), (400, 240)]
    lines = [e.get("d") for e in ground if e.tag.endswith("path")]
    assert lines == [f"M{left + 80:.1f},{top + 400:.1f}L{left + 1520:.1f},{top + 80:.1f}"] * 2
    assert {e.text for e in root.iter() if e.tag.endswith("text")} >= {"a & b", "ends"}


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0, 1, False), (-3e-9, 2e-9, False), (1e-8, 5, True), (0.98, 0.99, True), (1e7, 3e7, False)],
)
def test_ticks_are_round_and_within(low: float, high: float, log: bool) -> None:
    axis = Axis(low, high, log, 0, 100)
    ticks = ticks_of(axis, 6)
    assert 2 <= len(ticks) <= 14
    for value, words in ticks:
        assert -1e-6 <= axis.at(value) <= 100 + 1e-6
        assert float(words) == pytest.approx(value, rel=0.01, abs=(high - low) * 1e-6)
    assert len({words for _, words in ticks}) == len(ticks)


def test_colors_rise_and_part() -> None:
    rising = color(np.linspace(0, 1, 50), 0, 1).astype(int) @ [299, 587, 114]
    assert (np.diff(rising) > 0).all()
    below, zero, above = color(np.array([-1.0, 0.0, 1.0]), -1, 1, signed=True).astype(int)
    assert below[2] > below[0]
    assert above[0] > above[2]
    assert (zero == 247).all()
    assert (color(np.array([np.nan]), 0, 1) == 128).all()


def test_maps_say_how_they_are_scaled() -> None:
    maps = np.stack([np.eye(3), 10 * np.eye(3)])
    shared, each = Maps("m", maps).tiles(), Maps("m", maps, "each").tiles()
    assert "dark 0, light 10 on all maps" in shared.note
    assert "own scale" in each.note
    assert not np.array_equal(shared.tiles[0].image, shared.tiles[1].image)
    assert np.array_equal(each.tiles[0].image, each.tiles[1].image)
    some = Maps.first("m", np.arange(280.0).reshape(70, 2, 2), 2)
    assert "dark 0, light 279 on all maps; 2 of 70 maps" in some.words
    assert Maps.first("m", -maps, 1).signed
    assert "blue -10, white 0, red 10" in Maps("m", -maps).words
    assert "2 that are not numbers" in Maps("m", np.array([[np.nan, 1], [np.nan, 0]])).words
    assert "hatched: 1 infinite" in Maps("m", np.array([[np.inf, 1]])).words
    with pytest.warns(DeprecationWarning, match="Maps"):
        assert pl.pictures.map_tiles("m", maps).to_dict() == shared.to_dict()


@pytest.mark.parametrize(
    ("wrong", "runs"), [([], 0), ([(0, 0)], 1), ([(1, 1), (1, 2), (1, 3)], 1), ([(0, 3), (2, 0), (2, 2)], 3)]
)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_is_hatched(wrong: list[tuple[int, int]], runs: int, bad: float) -> None:
    values = np.arange(12.0).reshape(3, 4)
    for place in wrong:
        values[place] = bad
    numbers = list(range(4))
    for picture in (
        Maps("m", values),
        HeatMap("h", "x", "y", values, list(map(float, numbers)), list(map(float, numbers[:3]))),
        Overlay("o", np.zeros((1, 6, 8), np.uint8), values),
    ):
        drawn = picture.svg()
        paths = re.findall(r'<path d="([^"]*)" fill="url\(#hatched\)"', drawn)
        assert len(paths) == bool(wrong)
        assert sum(path.count("M") for path in paths) == runs
        assert png_file(drawn, 200).startswith(b"\x89PNG")


@pytest.mark.parametrize("power", [-1074, -1040, -140, -126, 120, 127, 130, 1023])
def test_heat_of_any_size_looks_the_same(power: int) -> None:
    """Warnings are errors: nothing overflows, and nothing is divided by what became zero."""
    heat = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert np.array_equal(Overlay("t", PHOTO, np.ldexp(heat, power)).pixels(), Overlay("t", PHOTO, heat).pixels())


def test_heat_covers_what_it_is_of() -> None:
    heat = np.zeros((2, 2))
    heat[0, 1] = 1
    pixels = Overlay("t", np.full((3, 40, 40), 128, np.uint8), heat).pixels().astype(int)
    assert np.abs(pixels[2, 37] - 128).sum() > np.abs(pixels[37, 2] - 128).sum()
    part = Overlay("t", PHOTO, heat, rows=(5, 15), columns=(10, 30)).pixels().astype(int)
    assert part.shape == (20, 30, 3)
    outside = np.round(0.45 * PHOTO.transpose(1, 2, 0) + 0.55 * 255)
    outside[5:15, 10:30] = part[5:15, 10:30]
    assert np.array_equal(part, outside)


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "kind": (lambda: Series("s", [1], [1], "pie"), "kind is one of line"),
    "lengths": (lambda: Series("s", [1], [1, 2]), "1 x for 2 y"),
    "heat": (lambda: HeatMap("h", "a", "b", np.zeros((2, 2)), [1], [1, 2]), "2 rows and 1 columns"),
    "tile": (lambda: Tile(np.zeros((2, 3, 3), np.uint8)), "wants uint8"),
    "float": (lambda: Overlay("o", np.zeros((3, 3, 3))), "wants uint8"),
    "axes": (lambda: Overlay("o", PHOTO, np.zeros(3)), "two axes"),
    "maps": (lambda: Maps("m", np.zeros(3)), "wants maps"),
    "no pixels": (lambda: Maps("m", np.zeros((3, 0, 2))), "at least one row"),
    "no rows": (lambda: HeatMap("h", "a", "b", np.zeros((0, 2)), [1, 2], []), "at least one row"),
    "cells": (lambda: Grid(["a"], [["1", "2"]], "l"), "row 0 has 2 cells for 1"),
    "align": (lambda: Grid(["a"], [], "lr"), "a letter l or r"),
    "captions": (lambda: Maps("m", np.zeros((3, 3)), captions=("a", "b")), "2 captions for 1"),
    "scale": (lambda: Maps("m", np.zeros((1, 3, 3)), "both"), "scale is 'shared' or 'each'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_drawn(name: str) -> None:
    call, message = WRONG[name]
    with pytest.raises(PictureError, match=message):
        call()


def test_plotly_figures_hold_the_same_numbers() -> None:
    figure = json.loads(PICTURES["percent"].figure().to_json())  # type: ignore[attr-defined]
    assert figure["layout"]["title"]["text"] == "Accuracy"
    assert figure["layout"]["yaxis"]["tickformat"] == ".1%"
    surface = PICTURES["heat"].figure().data[0]  # type: ignore[attr-defined]
    assert np.array_equal(surface.z, PICTURES["heat"].values)  # type: ignore[attr-defined]
