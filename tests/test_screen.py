"""Names out of files on screens: terminals, drawings, pages and messages show them, and do nothing else."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import pellucid as pl
from pellucid import pictures
from pellucid.data import ArrayDataset, DataError
from pellucid.errors import PellucidError
from pellucid.pictures import Chart, Grid, HeatMap, Page, Picture, Series, Tile, Tiles
from pellucid.progress import start_bar
from pellucid.screen import Screen, markup, one_line, visible
from pellucid.text import text_table

EVIL = (
    "\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x9b31m", "a\x00b", "cr\rgone", "\u202egpj.exe", "\u2066x\u2069", "\ud800", "\udcff",
    "\ufffe", "\u200b", "\U000e0041", "\x08\x08", "</svg><script>alert(1)</script>", "[bold]x[/bold]", "&amp;\"'", "]]>", "\x85",
)  # fmt: skip
NAME = "".join(EVIL)


def sound(text: str) -> None:
    """Nothing in it steers a terminal or hides; it can be written as UTF-8."""
    text.encode()
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"], ascii(text)


@pytest.mark.parametrize("name", EVIL, ids=ascii)
def test_a_name_becomes_visible(name: str) -> None:
    for made in (visible(name), one_line(f"{name}\n\t"), markup(name)):
        sound(made)
    assert visible("é 日本 — × 🙂\n\tend") == "é 日本 — × 🙂\n\tend"
    assert "\n" not in one_line("a\nb")
    ElementTree.fromstring(f'<a b="{markup(name)}">{markup(name)}</a>')


def box(name: str, inside: pictures.Diagram | None = None) -> pictures.DiagramBox:
    return pictures.DiagramBox(name, (NAME,), NAME, inside=inside)


SQUARE = np.zeros((3, 2, 2), np.uint8)
PICTURES: dict[str, Callable[[], Picture]] = {
    "chart": lambda: Chart(
        NAME, NAME, NAME, (Series(NAME, [0, 1], [1, 2]), Series(NAME, [0, 1], [1, 2], "points")), NAME
    ),
    "heat map": lambda: HeatMap(NAME, NAME, NAME, np.eye(2), (0, 1), (0, 1), note=NAME),
    "tiles": lambda: Tiles(NAME, (Tile(SQUARE, NAME),), 1, NAME),
    "overlay": lambda: pictures.Overlay(NAME, SQUARE, np.eye(2), (pictures.Box((0, 1), (0, 1), NAME),), note=NAME),
    "maps": lambda: pictures.Maps(NAME, np.eye(2), captions=(NAME,), note=NAME),
    "grid": lambda: Grid([NAME], [[NAME]], "l", title=NAME),
    "diagram": lambda: pictures.arranged(
        NAME,
        [box(NAME, inside=pictures.Diagram(NAME, (box("x"),))), box("x")],
        [pictures.DiagramEdge(NAME, "x", NAME, NAME)],
        NAME,
    ),
    "page": lambda: Page(NAME, (NAME, Grid([NAME], [[NAME]], "l"), Tiles(NAME, (Tile(SQUARE, NAME),), 1, NAME))),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_drawings_and_pages(kind: str, tmp_path: Path) -> None:
    picture = PICTURES[kind]()
    sound(picture.html())
    assert "<script>" not in picture.html()
    for ending in picture.writers():
        picture.save(tmp_path / f"p{ending}")
    if ".svg" in picture.writers():
        ElementTree.fromstring((tmp_path / "p.svg").read_bytes())


def test_one_function_stands_between_names_and_drawings() -> None:
    source = Path(pl.__file__).parent
    escaping = [
        p.name for p in source.rglob("*.py") if re.search(r"\b(html|saxutils)\b.*\bescape\(|import html", p.read_text())
    ]
    assert escaping == ["screen.py"]


def test_tables_and_messages() -> None:
    table = text_table([NAME], [[f"{NAME}\nforged line"], ["x"]], "l")
    sound(table)
    assert len(table.splitlines()) == 4
    for kind in (PellucidError, DataError, pl.WeightsError if hasattr(pl, "WeightsError") else PellucidError):
        sound(str(kind(NAME)))
    with pytest.raises(DataError) as caught:
        ArrayDataset(np.zeros((1, 1, 2, 2), np.uint8), [3], ["a"], NAME)
    sound(str(caught.value))


def test_a_bar_of_progress_takes_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", Screen(terminal))
    monkeypatch.setenv("TERM", "xterm")
    bar, task = start_bar("[bold red]evil[/] \x1b]0;title\x07")
    bar.update(task, total=2, completed=1)
    bar.refresh()
    bar.stop()
    drawn = terminal.getvalue()
    assert "[bold red]evil[/]" in drawn
    assert "\x1b]0;" not in drawn
    assert "\x1b[" in drawn  # the bar itself may steer


def command(*arguments: str, cwd: Path, encoding: str = "utf-8") -> str:
    """Everything that a command prints, as text."""
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", *arguments], cwd=cwd, capture_output=True, timeout=120,
        env={"PYTHONIOENCODING": encoding, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    printed = (done.stdout + done.stderr).decode(encoding)
    sound(printed)
    return printed


def test_commands_show_names_and_do_nothing_else(tmp_path: Path) -> None:
    names = [name for name in EVIL if "\0" not in name and max(name) < "\ud800"]
    save_file({name: np.zeros((2,), np.float32) for name in names}, tmp_path / "w.safetensors")
    assert "\\x1b]0;title\\x07" in command("inspect", "w.safetensors", cwd=tmp_path)
    assert "\\u202egpj" in command("inspect", "w.safetensors", cwd=tmp_path, encoding="ascii")
    assert "error" in command("inspect", "\x1b[2Jmissing\x9b", cwd=tmp_path)
    assert "error" in command("predict", "lenet", "\u202e.png", cwd=tmp_path)
    assert "Error" in command("inspect", "lenet", "--\x1b]0;title\x07", cwd=tmp_path)


def test_classes_of_a_network_with_names_that_steer(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 1, 8, 8), np.uint8)
    names = ("\x1b]0;title\x07\n", "\u202ecat")
    data = [ArrayDataset(images, np.arange(40) % 2, names, f"\x1b[2J{part}") for part in ("train", "val", "test")]
    net = pl.nn.models.build("mlp", num_classes=2, in_channels=1, image_size=8, hidden=(4,))
    run = pl.fit(net, pl.data.Splits(*data), epochs=1, batch_size=8, out=tmp_path / "run")
    sound((tmp_path / "run/report.html").read_text())
    sound(str(run.test))
    pl.pictures.Tiles("", (Tile(images[0].repeat(3, 0), ""),), 1).save(tmp_path / "x.png")
    printed = command("predict", "run", "x.png", cwd=tmp_path)
    assert "\\x1b]0;title" in printed
    assert len(printed.splitlines()) == 1
