"""Pictures out of their JSON: every kind comes back as it was, draws the same, and nothing that JSON may hold is believed."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid import pictures
from pellucid.pictures import (
    KINDS,
    Box,
    Chart,
    Diagram,
    DiagramBox,
    DiagramEdge,
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
    arranged,
    from_dict,
    from_json,
)
from pellucid.plain import parse_json
from search import examples

NAN, INF = math.nan, math.inf
ODD = "\x1b]0;t\x07 \u202egpj </svg><script>& \"' \ud800 \udcff 日本 🙂\n\ttab ]]>"
PIXEL = np.array([[[7]]], np.uint8)
PHOTO = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
BITS = np.array([[0x7FC00001, 0xFF800000], [0x80000000, 0x00000001]], np.uint32).view(np.float32)
"""A NaN with a number in it, minus infinity, minus zero, and the smallest number."""
INSIDE = arranged("inside", [DiagramBox("x", ("x",)), DiagramBox("y", ("y",), "output")], [DiagramEdge("x", "y")])
HUGE = (1.7e308, -1.7e308, 5e-324)

PICTURES: dict[str, Picture] = {
    "chart": Chart("Loss", "epoch", "loss", (Series("a", [1, 2, 3], [0.1, NAN, 10]), Series("", [1], [2], "bars"))),
    "chart without series": Chart("", "", "", ()),
    "chart of empty series": Chart("t", "x", "y", (Series("s", [], []), Series("p", [], [], "points"))),
    "chart of odd numbers": Chart("t", "x", "y", (Series("s", [NAN, INF, -INF, -0.0, *HUGE], [-0.0, 1, 2, NAN, INF, *HUGE[:2]]),)),
    "chart of huge numbers": Chart("t", "x", "y", (Series("s", HUGE, HUGE, "bars"),), percent=True),
    "chart of tiny numbers": Chart("t", "x", "y", (Series("s", [0, 5e-324], [-5e-324, 5e-324], "dashed"),)),
    "chart of logarithms": Chart("t", "x", "y", (Series("s", [5e-324, 1.7e308, 0], [1.7e308, 5e-324, -1]),), "n", True, True),
    "chart of odd names": Chart(ODD, ODD, ODD, (Series(ODD, [0], [0]),), ODD),
    "heat map": HeatMap("v", "a", "b", BITS, (0, 1), (-1, 1), "note", True, (Series("p", [0, 1], [0, NAN]),)),
    "heat map of one": HeatMap(ODD, ODD, ODD, np.zeros((1, 1)), [0], [0]),
    "heat map of huge numbers": HeatMap("v", "a", "b", np.array([HUGE]), HUGE, [1.7e308]),
    "heat map of nothing known": HeatMap("v", "a", "b", np.full((2, 2), NAN), [3, 3], [1, 2]),
    "tiles": Tiles("Pictures", (Tile(PHOTO, ODD), Tile(PIXEL, "two\nlines")), 1, "n"),
    "no tiles": Tiles("", ()),
    "maps": Maps("m", BITS, captions=(ODD,), note=ODD),
    "maps of each element type": Maps("m", np.ones((2, 1, 1), np.float16), "each", False, ("", "b"), 1),
    "maps of numbers that are whole": Maps("m", np.array([[[-(2**63), 2**63 - 1]]], np.int64)),
    "maps of truth": Maps.first("m", np.array([[[True, False]]] * 3), 2),
    "maps of huge numbers": Maps("m", np.array([HUGE])),
    "no maps": Maps("m", np.zeros((0, 2, 2))),
    "overlay": Overlay("Cat", PHOTO, BITS, (Box((1, 2), (2, 9), ODD, 0.5), Box((-5, 900), (0, 0))), True, "n", (-1.0, 1.0)),
    "overlay of infinities": Overlay("Cat", PIXEL, np.array([[INF, -INF, NAN]])),
    "overlay alone": Overlay("", PIXEL),
    "diagram": arranged(
        "f",
        [DiagramBox(ODD, (ODD, "= 1"), "variable"), DiagramBox("b", (), ODD), DiagramBox("group", ("g",), "group", inside=INSIDE)],
        [DiagramEdge(ODD, "b", "1.00", ODD), DiagramEdge("b", "group"), DiagramEdge(ODD, "group")],
        ODD,
    ),
    "diagram of nothing": Diagram("", ()),
    "diagram of boxes without room": Diagram("t", (DiagramBox("a", ("a",)), DiagramBox("b", ("b",), "k", -1e6, 1e6, 1e6, 0.0))),
    "diagram whose edges have no place": Diagram("t", (DiagramBox("a", ("a",)),), (DiagramEdge("a", "a", "x"),)),
    "grid": Grid(["a", ODD], [[ODD, "1"], ["", ""]], "lr", [[0, NAN], [-INF, 0.5]], "t"),
    "grid without rows": Grid(("a",), (), "l"),
    "grid of nothing": Grid((), ((), ()), ""),
    "page": Page(ODD, (ODD, Page("inner", (Grid(["a"], [["1"]], "l"), Page("", (), folded=True))), Chart("c", "", "", ()))),
}  # fmt: skip


def refuse(word: str) -> NoReturn:
    raise AssertionError(f"{word} is no JSON")


def drawings(picture: Picture) -> dict[str, bytes]:
    """What it draws; pixels follow from the .svg file."""
    return {ending: make() for ending, make in picture.writers().items() if ending not in (".png", ".pdf")}


def same(picture: Picture) -> None:
    """What its JSON makes is of its kind and draws the same to the byte; the JSON is valid."""
    text = picture.to_json()
    json.loads(text, parse_constant=refuse)
    back = from_json(text)
    assert type(back) is type(picture)
    assert back.to_json() == text
    assert from_dict(picture.to_dict()).to_json() == text
    drawn = drawings(picture)
    assert drawings(back) == drawn
    assert back.fragment() == picture.fragment()
    if ".svg" in drawn:
        ElementTree.fromstring(drawn[".svg"])
        for number in re.findall(rb'[ "(,](nan|inf|-inf)[ ",)]', drawn[".svg"]):
            raise AssertionError(f"{number!r} is a place in a drawing")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_comes_back(name: str) -> None:
    same(PICTURES[name])


def test_the_set_is_closed() -> None:
    """Every kind of picture is in `KINDS`, by the kind that it says, exported, and has an example here."""

    def below(kind: type) -> set[type]:
        return {kind, *(inner for c in kind.__subclasses__() for inner in below(c))}

    ours = {kind for kind in below(Picture) if kind.__module__.startswith("pellucid.")} - {Picture}
    assert ours == set(KINDS.values()) == {type(picture) for picture in PICTURES.values()}
    assert all(name == kind.kind and kind.__name__ in pictures.__all__ for name, kind in KINDS.items())


def test_the_page_on_pictures_names_every_kind() -> None:
    """By its kind, its class and each of its fields."""
    page = (Path(__file__).parent.parent / "docs" / "pictures.md").read_text(encoding="utf-8")
    rows = {found[1]: found[0] for found in re.finditer(r"^\| `([^`]+)` \| `\w+` \|.*$", page, re.MULTILINE)}
    assert rows.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        assert f"`{kind.__name__}`" in rows[name]
        assert [f.name for f in dataclasses.fields(kind) if f"`{f.name}`" not in rows[name]] == []  # type: ignore[arg-type]


def test_arrays_keep_every_bit() -> None:
    for dtype in ("bool", "int8", "uint64", "float16", ">f4", "float64"):
        values = (np.arange(12).reshape(2, 2, 3) % 2).astype(dtype).transpose(0, 2, 1)
        back = from_json(Maps("m", values).to_json())
        assert isinstance(back, Maps)
        assert back.values.dtype == np.dtype(dtype).newbyteorder("=")
        assert np.array_equal(back.values, values)
    back = from_json(Maps("m", BITS).to_json())
    assert isinstance(back, Maps)
    assert back.values.tobytes() == BITS.tobytes()


FLOATS = st.floats(allow_subnormal=True)
WORDS = st.text(max_size=12)
SERIES = st.lists(st.tuples(FLOATS, FLOATS), max_size=6).flatmap(
    lambda points: st.builds(
        lambda name, kind: Series(name, [x for x, _ in points], [y for _, y in points], kind),
        WORDS,
        st.sampled_from(["line", "points", "bars", "dashed"]),
    )
)
NUMBERS = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int16]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=4)
)
IMAGES = hnp.arrays(np.uint8, st.tuples(st.sampled_from([1, 3]), st.integers(1, 4), st.integers(1, 4)))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.integers(0, 3).flatmap(
    lambda wide: st.builds(
        lambda titles, rows, align: Grid(titles, rows, "".join(align)),
        st.lists(WORDS, min_size=wide, max_size=wide),
        st.lists(st.lists(WORDS, min_size=wide, max_size=wide), max_size=3),
        st.lists(st.sampled_from("lr"), min_size=wide, max_size=wide),
    )
)
ANY: st.SearchStrategy[Picture] = st.recursive(
    st.one_of(
        st.builds(
            Chart, WORDS, WORDS, WORDS, st.lists(SERIES, max_size=3).map(tuple), WORDS, st.booleans(), st.booleans(), st.booleans()
        ),
        NUMBERS.flatmap(
            lambda values: st.builds(
                HeatMap,
                WORDS,
                WORDS,
                WORDS,
                st.just(values),
                st.lists(FINITE, min_size=values.shape[1], max_size=values.shape[1]),
                st.lists(FINITE, min_size=values.shape[0], max_size=values.shape[0]),
                WORDS,
                st.booleans(),
                st.lists(SERIES, max_size=2).map(tuple),
            )
        ),
        st.builds(Tiles, WORDS, st.lists(st.builds(Tile, IMAGES, WORDS), max_size=3).map(tuple), st.integers(-3, 2**62), WORDS),
        st.builds(Maps, WORDS, NUMBERS, st.sampled_from(["shared", "each"]), st.none() | st.booleans(), note=WORDS),
        st.builds(Overlay, WORDS, IMAGES, st.none() | NUMBERS, signed=st.booleans(), note=WORDS),
        ROWS,
    ),
    lambda inner: st.builds(Page, WORDS, st.lists(inner | WORDS, max_size=3).map(tuple)),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=examples(150))
@given(picture=ANY)
def test_any_picture_comes_back(picture: Picture) -> None:
    same(picture)


def changed(name: str, **fields: Any) -> dict[str, Any]:
    return {**PICTURES[name].to_dict(), **fields}


def array(dtype: str = "uint8", shape: Any = (1, 1, 1), base64: Any = "Bw==") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "base64": base64}


def nested(depth: int) -> dict[str, Any]:
    page: dict[str, Any] = {"kind": "page", "title": "", "parts": []}
    for _ in range(depth):
        page = {"kind": "page", "title": "", "parts": [page]}
    return page


def box(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "lines": [], **fields}


def edge(source: str, target: str, **fields: Any) -> dict[str, Any]:
    return {"source": source, "target": target, **fields}


def boxed(depth: int) -> dict[str, Any]:
    inner = {"title": "", "boxes": [box("a")]}
    for _ in range(depth):
        inner = {"title": "", "boxes": [box("a", inside=inner)]}
    return {"kind": "diagram", **inner}


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: None, "fields by name"),
    "a list": (list, "fields by name"),
    "no kind": (dict, "kind: must be one of chart, heat map"),
    "another kind": (lambda: {"kind": "pickle"}, "kind: must be one of .* got 'pickle'"),
    "a kind that is no text": (lambda: {"kind": ["chart"]}, "kind: must be one of"),
    "a field too many": (lambda: changed("chart", script="x"), "script: is not known"),
    "a field too few": (lambda: {"kind": "chart", "title": "t"}, "is missing"),
    "a number for text": (lambda: changed("chart", title=3), "title: must be text, got 3"),
    "text for a number": (lambda: changed("tiles", columns="8"), "columns: must be a whole number"),
    "a whole number that no machine holds": (lambda: changed("tiles", columns=10**30), "too large"),
    "a word that is no number": (
        lambda: changed("chart", series=[{"name": "", "x": ["nan"], "y": [1]}]),
        r"series\[0\].x\[0\]: must be a number",
    ),
    "lengths that differ": (lambda: changed("chart", series=[{"name": "", "x": [], "y": [1]}]), "0 x for 1 y"),
    "an element type that runs": (lambda: changed("maps", values=array("object")), "element type must be one of"),
    "bytes too few": (lambda: changed("maps", values=array(shape=(2, 3, 4))), "characters of base64, got 4"),
    "bytes that are none": (lambda: changed("maps", values=array(base64="????")), "is not base64"),
    "padding within": (lambda: changed("maps", values=array(base64="B===")), "base64"),
    "a bool that is neither": (lambda: changed("maps", values=array("bool")), "neither true nor false"),
    "more than memory holds": (lambda: changed("maps", values=array(shape=(2**27, 2**27))), "bytes, at most"),
    "axes below zero": (lambda: changed("maps", values=array(shape=(-1, -1))), "axes of 0 to"),
    "axes without end": (lambda: changed("maps", values=array(shape=(1,) * 40)), "at most 8 axes"),
    "an empty giant": (lambda: changed("maps", values=array(shape=(0, 2**40, 1), base64="")), "axes of 0 to"),
    "an image of floats": (lambda: changed("overlay alone", image=array("float32", base64="AACAPw==")), "wants uint8"),
    "an image of two channels": (
        lambda: changed("tiles", tiles=[{"image": array(shape=(2, 1, 1), base64="BwA="), "caption": ""}]),
        "wants uint8",
    ),
    "an edge to nowhere": (lambda: changed("diagram of nothing", edges=[edge("a", "b")]), "are not both boxes"),
    "two boxes of one name": (lambda: changed("diagram of nothing", boxes=[box("a"), box("a")]), "two boxes have one name"),
    "a box too far away": (lambda: changed("diagram of nothing", boxes=[box("a", x=1e300)]), "within 1,000,000 pixels"),
    "a box of no size": (lambda: changed("diagram of nothing", boxes=[box("a", width="NaN")]), "a place and a size"),
    "a point that is none": (
        lambda: changed("diagram of nothing", boxes=[box("a")], edges=[edge("a", "a", points=[[0, "Infinity"]])]),
        "wants points within",
    ),
    "diagrams within diagrams": (lambda: boxed(60), "nested more than|deep"),
    "pages within pages": (lambda: nested(30), "nested more than"),
    "names that are none": (lambda: {**changed("chart"), 3: 4}, "names that are text"),
    "a part that is none": (lambda: changed("page", parts=[3]), r"parts\[0\]: must be a picture's fields"),
    "words that are none": (lambda: changed("page", parts=[{"kind": "text", "text": 3}]), "text: must be text"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_picture(name: str) -> None:
    make, message = WRONG[name]
    with pytest.raises(PictureError, match=message):
        from_dict(make())


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "NaN", '{"kind": "page", "title": "", "parts": [NaN]}', b"\xff"]
)
def test_what_is_no_json(text: str | bytes) -> None:
    with pytest.raises(PictureError):
        from_json(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=examples(300))
@given(name=st.sampled_from(sorted(PICTURES)), data=st.data())
def test_damaged_data_is_a_picture_or_an_error(name: str, data: st.DataObject) -> None:
    """One place of a picture's data with anything else in it."""
    plain: Any = parse_json(PICTURES[name].to_json())
    place = plain
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(JSON)
        break
    try:
        picture = from_dict(plain)
    except PictureError:
        return
    same(picture)
