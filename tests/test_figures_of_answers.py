"""One figure of an answer by itself: numbered alike on the page, in Python, by the command line and by the lab; every kind has numbers."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.lab.table import as_table
from pellucid.pictures import Box, Chart, Grid, Maps, Overlay, Page, Picture, PictureError, Series, Tile, Tiles

PHOTO = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
THIRD = 1 / 3
GRID = Grid(
    ["unit", "product"], [["unit 1", "0.3333"], ["bias", ""]], "lr", title="Terms", values=[[None, THIRD], [None, None]]
)
FIGURES: dict[str, tuple[Picture, list[list[Any]]]] = {
    "chart": (Chart("c", "x", "y", (Series("s", [1, 2], [0.5, THIRD]),)), [["series", "x", "y"], ["s", 1.0, 0.5], ["s", 2.0, THIRD]]),
    "grid": (GRID, [["unit", "product"], ["unit 1", THIRD], ["bias", ""]]),
    "maps": (Maps("m", np.array([[[1.0, THIRD]]])), [["map", "row", "column", "value"], [0, 0, 0, 1.0], [0, 0, 1, THIRD]]),
    "heat": (Overlay("o", PHOTO, np.array([[THIRD]])), [["map", "row", "column", "value"], [0, 0, 0, THIRD]]),
    "boxes": (
        Overlay("b", PHOTO, boxes=(Box((0, 2), (1, 3), "cat 0.33", value=THIRD), Box((0, 1), (0, 1)))),
        [["box", "top", "bottom", "left", "right", "label", "value"], [0, 0, 2, 1, 3, "cat 0.33", THIRD], [1, 0, 1, 0, 1, "", ""]],
    ),
    "picture": (Overlay("p", PHOTO[:1, :1, :2]), [["map", "row", "column", "value"], [0, 0, 0, 0], [0, 0, 1, 1]]),
    "tiles": (Tiles("t", (Tile(PHOTO, "the region\n3.4%"),)), [["tile", "caption"], [0, "the region 3.4%"]]),
}  # fmt: skip
"""A figure of each kind, and the rows of its table."""


@pytest.mark.parametrize("name", FIGURES)
def test_every_kind_has_its_numbers_in_full(name: str) -> None:
    figure, wanted = FIGURES[name]
    rows = list(csv.reader(io.StringIO(as_table(figure))))
    assert rows == [[str(cell) for cell in row] for row in wanted]


def numbered(page: Page) -> list[str]:
    """The figures of a page as HTML, by their numbers."""
    root = ElementTree.fromstring(page.html().partition("<body>")[2].partition("</body>")[0])
    found = {
        int(e.get("data-figure") or 0): ElementTree.tostring(e, "unicode") for e in root.iter() if e.get("data-figure")
    }
    assert list(found) == list(range(len(found)))
    return list(found.values())


def test_figures_of_nested_pages_are_counted_through() -> None:
    named = [Tiles(f"figure {k}", (Tile(PHOTO, f"<{k}>"),)) for k in range(6)]
    inner = Page("inner", (named[2], "words", named[3]))
    page = Page(
        "all",
        ("first", named[0], named[1], inner, Page("folded", (named[4],), folded=True), Page("none", ()), named[5]),
    )
    assert page.figures() == tuple(named)
    assert [text.count(f"&lt;{k}&gt;") for k, text in enumerate(numbered(page))] == [1] * 6
    assert named[0].figures() == (named[0],)


CONVOLVED = ["convolve", "digits[3]", "--kernel", "blur", "--at", "2,2"]


def test_a_figure_is_asked_for_alone() -> None:
    whole = pl.convolve(pl.data.read_image("digits[3]", channels=1)[0], "blur", (2, 2))
    titles = [figure.title for figure in whole.picture().figures()]
    for number, title in enumerate(titles):
        one = whole.figure(number)
        printed = CliRunner().invoke(app, [*CONVOLVED, "--figure", str(number), "--json"])
        assert json.loads(printed.stdout) == json.loads(one.to_json()) and one.to_dict()["title"] == title
        words = CliRunner().invoke(app, [*CONVOLVED, "--figure", str(number)])
        assert words.stdout.startswith(title) and words.stdout.strip() == str(one)
    assert whole.figure(2).to_dict()["values"] == whole.products.tolist()
    assert "more rows: its JSON has all" in str(whole.figure(0)) or whole.image.size <= 60
    with pytest.raises(PictureError, match=r"there is no figure 9; there are 0 picture, 1 kernel"):
        whole.figure(9)
    assert "there is no figure 9" in str(CliRunner().invoke(app, [*CONVOLVED, "--figure", "9"]).exception)


def test_a_figure_is_a_file(tmp_path: Any) -> None:
    out = tmp_path / "products.svg"
    assert CliRunner().invoke(app, [*CONVOLVED, "--figure", "2", "--out", str(out)]).exit_code == 0
    assert "patch x kernel" in out.read_text() and "max pooling" not in out.read_text()


def test_a_table_says_its_numbers_in_full() -> None:
    assert f'data-value="{THIRD}"' in GRID.fragment() and GRID.fragment().count("data-value") == 1
    odd = Grid(["n"], [["nan"], ["inf"]], "r", values=[[np.nan], [np.inf]])
    assert 'data-value="NaN"' in odd.fragment() and 'data-value="Infinity"' in odd.fragment()
    with pytest.raises(PictureError, match="values want a number for each cell of 1 rows and 1 columns"):
        Grid(["n"], [["1"]], "r", values=[[1.0, 2.0]])
