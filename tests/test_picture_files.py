"""Every kind of picture becomes a file that one can show: words, size, pages, and what is refused before anything is computed."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from pellucid.cli import app
from pellucid.errors import WriteError
from pellucid.pictures import (
    Chart,
    DiagramBox,
    DiagramEdge,
    Grid,
    Maps,
    Overlay,
    Page,
    Picture,
    PictureError,
    Series,
    arranged,
)
from pellucid.pictures.colors import about_zero, color
from pellucid.pictures.lettering import cut, lines_of, width_of
from pellucid.pictures.picture import size_of
from pellucid.pictures.raster import MOST_PIXELS
from test_pictures import PAGE, PICTURES

RANDOM = np.random.default_rng(1)
KINDS: dict[str, Picture] = {
    **{name: PICTURES[name] for name in ("line", "percent", "heat", "tiles", "maps", "overlay", "plain")},
    "diagram": arranged("d", [DiagramBox("a", ("a",)), DiagramBox("b", ("b",))], [DiagramEdge("a", "b")]),
    "grid": Grid(["name", "a number"], [["what <it> is", "1"]] * 3, "lr", title="A table"),
    "page": Page("All", ("words", PICTURES["line"], Page("Inner", (PICTURES["maps"],)))),
}


def png(picture: Picture, width: int = 0) -> np.ndarray:
    with Image.open(io.BytesIO(picture.writers(width)[".png"]())) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_every_kind_of_file(name: str, tmp_path: Path) -> None:
    picture = KINDS[name]
    for width, wide in ((0, 1280), (400, 400)):
        pixels = png(picture, width)
        assert pixels.shape[1] == wide
        assert 20 < pixels.shape[0] < 4 * 1280
        assert (pixels[0] == 255).all()  # on white
        assert pixels.min() < 80  # with words on it
    picture.save(tmp_path / "new" / "folder" / "it.svg", width=400)
    root = ElementTree.parse(tmp_path / "new" / "folder" / "it.svg").getroot()
    assert root.get("width") == "400"
    box = [float(v) for v in (root.get("viewBox") or "").split()]
    assert float(root.get("height") or 0) == pytest.approx(400 * box[3] / box[2], abs=0.51)
    picture.save(tmp_path / "it.PDF")
    file = (tmp_path / "it.PDF").read_bytes()
    box_of_page, *_ = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", file)
    size, *_ = re.findall(rb"/Width (\d+) /Height (\d+)", file)
    assert float(box_of_page[0]) == pytest.approx(0.75 * size_of(picture.svg())[0])
    assert int(size[0]) == pytest.approx(float(box_of_page[0]) / 72 * 300, abs=1)  # 300 pixels an inch
    data = file.split(b"/FlateDecode ")[1].partition(b"stream\n")[2].partition(b"\nendstream\nendobj")[0]
    assert len(zlib.decompress(data)) == int(size[0]) * int(size[1]) * 3
    assert [int(place) for place in re.findall(rb"(\d{10}) 00000 n", file)] == [
        found.start() for found in re.finditer(rb"\d+ 0 obj", file)
    ]


@pytest.mark.parametrize("width", [400, 640, 1920])
def test_letters_are_large_enough_to_be_read(width: int) -> None:
    """The smallest letters of any kind of picture, in pixels of the file: ten at least, on a slide much more."""
    for picture in KINDS.values():
        drawing = picture.svg(min(width, 640))
        sizes = [float(s) for s in re.findall(r"font-size:(\d+)px", drawing)] + [12.0]
        assert min(sizes) * width / size_of(drawing)[0] >= min(0.8 * width / 40, 10)


def test_words_need_no_font_of_the_machine() -> None:
    """Latin, Greek and signs come along: what is written with them is the same wherever it is drawn."""
    words, nothing = (png(Chart(title, "", "", ()), 640) for title in ("Größe → α ≤ 3 × ½", ""))
    assert (words[4:26, 60:300] < 128).sum() > 300
    assert (nothing[4:26, 60:300] < 128).sum() == 0
    chinese = png(Chart("数字", "", "", ()), 640)
    assert (chinese[4:26, 8:40] < 128).sum() > 20  # in the machine's letters, else as boxes


def test_what_is_too_large_is_said(tmp_path: Path) -> None:
    tall = Page("t", tuple(PICTURES["heat"] for _ in range(40)))
    with pytest.raises(
        PictureError, match=f"pixels are more than {MOST_PIXELS:,}: choose a smaller width, or save it as .svg"
    ):
        tall.save(tmp_path / "tall.png", width=4000)
    for width in (-1, 16385):
        with pytest.raises(PictureError, match="width: a picture is 1 to 16,384 pixels wide"):
            PICTURES["line"].save(tmp_path / "it.png", width=width)
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"it\.svg: cannot be written"):
        PICTURES["line"].save(tmp_path / "file" / "it.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_without_the_rasterizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    for ending in (".png", ".pdf"):
        with pytest.raises(PictureError, match=r"pip install 'pellucid\[pictures\]'"):
            PICTURES["line"].save(tmp_path / f"it{ending}")
    PICTURES["line"].save(tmp_path / "it.svg")


def test_a_page_is_printed_on_sheets() -> None:
    later = Page("Later", (PICTURES["heat"],), folded=True)
    sheets = Page("All", (PAGE, later)).sheets()
    sizes = [size_of(sheet) for sheet in sheets]
    assert len(sizes) > 3
    assert all(wide == 640 and high < 1.6 * wide for wide, high in sizes[1:])
    drawn = "".join(sheets)
    assert "Later" not in drawn
    assert all(f">{picture.title}</text>" in drawn for picture in PICTURES.values() if "&" not in picture.title)


def test_every_command_that_draws_takes_a_width() -> None:
    group = typer.main.get_command(app)
    drawing = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        options = {option: p for p in command.params for option in p.opts}
        if "--out" in options and "draw" in (options["--out"].help or ""):
            drawing[name] = "--width" in options
    assert len(drawing) > 20
    assert all(drawing.values()), drawing


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("inspect", "lenet", "--out", "net.gif"), "net.gif: a picture is saved as .svg, .png, .pdf, .html, .json"),
        (("evaluate", "nothing-there", "--out", "x"), "x: a picture is saved as"),
        (("landscape", "nothing-there", "--out", "x.svg", "--width", "99999"), "1 to 16,384 pixels"),
    ],
)
def test_files_are_refused_before_anything_is_done(words: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, PictureError)
    assert message in str(done.exception)


def test_the_command_line_draws_as_wide_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for out, width in (("a/b/one.png", "333"), ("two.svg", "777")):
        assert CliRunner().invoke(app, ["formula", "x*x", "x=3", "--out", out, "--width", width]).exit_code == 0
    with Image.open("a/b/one.png") as image:
        assert image.width == 333
    assert 'width="777"' in Path("two.svg").read_text()[:200]


def test_wide_tables_wrap_their_cells() -> None:
    table = Grid(["a", "long"], [["x" * 90, "word " * 60]], "ll", title="t")
    for room in (400, 640):
        drawing = table.svg(room)
        assert size_of(drawing)[0] == room
        places = [(float(x), line) for x, line in re.findall(r'<text x="([\d.]+)"[^>]*>([^<]*)</text>', drawing)]
        assert all(x + width_of(line, 11) <= room for x, line in places)


def test_tables_break_no_usual_word() -> None:
    titles = ["method", "insertion", "deletion", "difference", "randomized", "seconds"]
    drawing = Grid(titles, [["gradient-x-input", *["0.12345"] * 5]], "lrrrrr", title="t").svg(400)
    assert re.findall(r">([^<]+)</text>", drawing) == ["t", *titles, "gradient-x-input", *["0.12345"] * 5]


def test_words_stay_in_their_room() -> None:
    for words in ("one two three four five six seven", "x" * 200, "", "日本語" * 30, "a " * 100):
        for line in lines_of(words, 120):
            assert width_of(line) <= 120
        assert width_of(cut(words, 120)) <= 120
    assert " ".join(lines_of("one two three four", 60)) == "one two three four"


AXES = {
    "epochs": ([1, 2, 3], ["1", "2", "3"]),
    "one epoch": ([4], ["4"]),
    "two": ([0, 1], ["0", "1"]),
    "parts": ([0.5, 1.5], ["0.6", "1.0", "1.4"]),
}


@pytest.mark.parametrize("name", AXES)
def test_whole_numbers_have_whole_ticks(name: str) -> None:
    values, wanted = AXES[name]
    drawing = Chart("t", "epoch", "y", (Series("s", values, [0.5] * len(values)),)).svg()
    words = re.findall(r'text-anchor="middle"[^>]*>([^<]*)</text>', drawing)
    shown = [word for word in words if re.fullmatch(r"[\d.]+", word)]
    assert set(wanted) <= set(shown)
    assert name == "parts" or shown == wanted


@pytest.mark.parametrize("room", [320, 400, 640])
@pytest.mark.parametrize("kind", ["line", "points", "bars"])
def test_points_and_bars_are_within_the_axes(room: float, kind: str) -> None:
    many = tuple(Series(f"a rather long name {k}", [0, 5, 10], [0, 1, k], kind) for k in range(6))
    root = ElementTree.fromstring(Chart("t", "x", "y", many).svg(room))
    axis = next(e for e in root.iter() if e.tag.endswith("path") and e.get("stroke-opacity") == ".5")
    left, bottom, right = map(float, re.findall(r"[\d.]+", axis.get("d") or ""))
    legend = max(
        float(e.get("y", 0)) for e in root.iter() if (e.text or "").startswith("a rather long name") and e.get("y")
    )
    shapes = [e for e in root.iter() if e.get("r") == "2.6" or (e.get("fill-opacity") == ".75" and list(e))]
    assert len(shapes) == 18
    for e in shapes:
        x, y, r = (float(e.get(k, 0)) for k in ("cx", "cy", "r"))
        sides = (x - r, x + r, y - r, y + r)
        if kind == "bars":
            x, y, w, h = (float(e.get(k, 0)) for k in ("x", "y", "width", "height"))
            sides = (x, x + w, y, y + h)
        assert sides[0] >= left - 0.1
        assert sides[1] <= right + 0.1
        assert sides[2] > legend + 4
        assert sides[3] <= bottom + 0.1


def test_signed_maps_are_white_at_zero_whatever_their_ends() -> None:
    """One rule: limits are the same both ways, of maps, overlays and what is zero everywhere."""
    assert about_zero((-1.0, 3.0)) == (-3.0, 3.0)
    maps = Maps("m", np.array([[[-1.0, 0.0, 3.0]]]), ends=(-1.0, 3.0))
    assert (maps.tiles().tiles[0].image[:, 0, 1] == 247).all()
    over = Overlay("o", np.zeros((1, 1, 3), np.uint8), np.array([[-1.0, 0.0, 3.0]]), signed=True, ends=(-1.0, 2.0))
    assert ">-2</text>" in over.svg()
    assert ">0</text>" in over.svg()
    assert (color(np.zeros(2), 0.0, 0.0, signed=True) == 247).all()


def test_heat_lies_beside_the_picture_as_it_is() -> None:
    photo = RANDOM.integers(0, 256, (3, 60, 90), np.uint8)
    over = Overlay("o", photo, np.eye(4), rows=(0, 60), columns=(15, 75), quantity="how much")
    wide, narrow = ElementTree.fromstring(over.svg()), ElementTree.fromstring(over.svg(400))
    for root, beside in ((wide, True), (narrow, False)):
        first, second, _ = (e for e in root.iter() if e.tag.endswith("image"))
        assert (first.get("y") == second.get("y")) == beside
        assert (first.get("width"), first.get("height")) == (second.get("width"), second.get("height"))
        assert float(first.get("width", 0)) / float(first.get("height", 1)) == pytest.approx(1.5, rel=0.01)
    assert "how much" in over.svg()
    for part in ((0, 61), (5, 5), (-1, 3)):
        with pytest.raises(PictureError, match="rows of a part lie within 0 to 60"):
            dataclasses.replace(over, rows=part)
