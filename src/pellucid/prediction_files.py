"""Predictions of many pictures in a file, written while they are made: a table, JSON lines, or a page with thumbnails."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TextIO

from pellucid.data.errors import DataError
from pellucid.data.listing import MAX_FILE_BYTES, shown
from pellucid.errors import WriteError
from pellucid.files import reason_of
from pellucid.op import Array
from pellucid.plain import to_json
from pellucid.screen import markup

Add = Callable[[dict[str, Any], Array | None], None]
"""Takes an answer as `Opened.predict` gives it, and the picture uint8 (C, H, W) where it could be read."""
THUMBNAIL = 128
"""Pixels that the longer side of a thumbnail has at most."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that programs for tables take for a formula."""
PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a", b"\0\0\0")
CHUNK = 2**16


@contextlib.contextmanager
def prediction_file(path: Path, title: str) -> Generator[Add]:
    """A file that has each answer as soon as it is added, also where the work ends early. Raises `WriteError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = FORMS[path.suffix.lower()](file, title)
            try:
                yield writer.add
            finally:
                writer.end()
    except OSError as error:
        raise WriteError(f"{shown(str(path))}: cannot be written ({reason_of(error)})") from error


class _Lines:
    """JSON lines: an answer a line, as `--json` has it."""

    def __init__(self, file: TextIO, title: str) -> None:
        self.file = file

    def add(self, answer: dict[str, Any], picture: Array | None) -> None:
        self.file.write(to_json({**answer, "image": shown(answer["image"])}) + "\n")
        self.file.flush()

    def end(self) -> None:
        self.file.flush()


class _Table:
    """A table (CSV) whose columns are those of the first answer; pictures before it that have none follow it."""

    def __init__(self, file: TextIO, title: str) -> None:
        self.file, self.rows = file, csv.writer(file, lineterminator="\n")
        self.columns: list[str] = []
        self.waiting: list[dict[str, str]] = []

    def add(self, answer: dict[str, Any], picture: Array | None) -> None:
        cells = {"file": _place(answer["image"]), **cells_of(answer)}
        if "error" in answer:
            cells["error"] = _text(answer["error"])
        elif not self.columns:
            self._begin([*cells, "error"])
        if self.columns:
            self._write(cells)
        else:
            self.waiting.append(cells)

    def _begin(self, columns: list[str]) -> None:
        self.columns = columns
        self.rows.writerow(map(_text, columns))
        for cells in self.waiting:
            self._write(cells)

    def _write(self, cells: dict[str, str]) -> None:
        self.rows.writerow([cells.get(column, "") for column in self.columns])
        self.file.flush()

    def end(self) -> None:
        if not self.columns:
            self._begin(["file", "error"])
        self.file.flush()


class _PageOfThumbnails:
    """A page with a thumbnail of each picture and what is predicted of it."""

    def __init__(self, file: TextIO, title: str) -> None:
        self.file = file
        file.write(_HEAD.replace("TITLE", markup(title)))

    def add(self, answer: dict[str, Any], picture: Array | None) -> None:
        name = markup(shown(answer["image"]))
        image = "" if picture is None else f'<img src="{thumbnail(picture)}" alt="{name}">'
        lines = [f"<b>{markup(words)}</b>" if n == 0 else markup(words) for n, words in enumerate(lines_of(answer))]
        if "error" in answer:
            lines = [f"<i>{markup(answer['error'])}</i>"]
        self.file.write(
            f"<figure>{image}<figcaption>{'<br>'.join([*lines, f'<small>{name}</small>'])}</figcaption></figure>\n"
        )
        self.file.flush()

    def end(self) -> None:
        self.file.write("</main></html>\n")
        self.file.flush()


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>TITLE</title>
<style>:root{color-scheme:light dark}body{font:14px/1.4 system-ui,sans-serif;margin:16px}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px}figure{margin:0}
img{width:100%;aspect-ratio:1;object-fit:contain;background:#8883;image-rendering:pixelated}
figcaption{overflow-wrap:anywhere}small{opacity:.7}i{color:#c2410c}</style><h1>TITLE</h1><main>
"""
FORMS: dict[str, type[_Lines] | type[_Table] | type[_PageOfThumbnails]] = {
    ".csv": _Table,
    ".jsonl": _Lines,
    ".html": _PageOfThumbnails,
}
"""By the ending of the file's name."""


def cells_of(answer: dict[str, Any]) -> dict[str, str]:
    """What is predicted, by the titles of columns: classes, the likeliest first, or each target, or each output."""
    cells: dict[str, str] = {}
    for number, guess in enumerate(answer.get("predictions", ()), 1):
        if "class" in guess:
            value = "score" if "score" in guess else "probability"
            after = "" if number == 1 else f" {number}"
            cells |= {f"class{after}": _text(guess["class"]), f"{value}{after}": f"{guess[value]:.6g}"}
        else:
            unit = f" [{guess['unit']}]" if guess["unit"] else ""
            cells[f"{guess['target']}{unit}"] = f"{guess['value']:.9g}"
    for output in answer.get("outputs", ()):
        for fact in ("min", "max", "mean"):
            cells[f"{output['name']} {fact}"] = "" if output[fact] is None else f"{output[fact]:.9g}"
    return cells


def lines_of(answer: dict[str, Any]) -> list[str]:
    """What is predicted, in words, a line each."""
    return [
        *map(in_words, answer.get("predictions", ())),
        *(f"{o['name']}: {'x'.join(map(str, o['shape'])) or 'a number'}" for o in answer.get("outputs", ())),
    ]


def in_words(guess: dict[str, Any]) -> str:
    """A class with its probability or score, or a target with its value and unit."""
    if "score" in guess:
        return f"{guess['class']} {guess['score']:z.5g}"
    if "class" in guess:
        return f"{guess['class']} {guess['probability']:.1%}"
    return " ".join(filter(None, (guess["target"], f"{guess['value']:z.5g}", guess["unit"])))


def _place(name: str) -> str:
    """A file's name that no program takes for a formula, and that still names the file."""
    return f"./{shown(name)}" if name.startswith(FORMULA) else shown(name)


def _text(words: str) -> str:
    """A cell's words; an apostrophe before those that a program would take for a formula."""
    return f"'{shown(words)}" if words.startswith(FORMULA) else shown(words)


def thumbnail(picture: Array) -> str:
    """A picture uint8 (C, H, W), made small, as the address of an image in a page."""
    from PIL import Image

    image = Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    small, file = max(image.size) <= 48, io.BytesIO()
    image.save(file, "PNG" if small else "JPEG", quality=80)
    return f"data:image/{'png' if small else 'jpeg'};base64,{base64.b64encode(file.getvalue()).decode()}"


def given_on(stream: Any) -> Iterator[Path | bytes]:
    """Of a binary stream names of files as lines, or with zero bytes between (`find -print0`), one as soon as it is there; or a picture itself."""
    begun = stream.read1(CHUNK)
    if begun.startswith(PICTURE_STARTS) or (begun[:4], begun[8:12]) == (b"RIFF", b"WEBP"):
        raw = begun + stream.read(MAX_FILE_BYTES + 1 - len(begun))
        if len(raw) > MAX_FILE_BYTES:
            raise DataError(f"standard input: larger than {MAX_FILE_BYTES >> 20} MiB")
        yield raw
        return
    between, rest = (b"\0" if b"\0" in begun else b"\n"), b""
    while begun:
        *names, rest = (rest + begun).split(between)
        yield from (Path(os.fsdecode(name.rstrip(b"\r"))) for name in names if name.strip())
        if len(rest) > CHUNK:
            raise DataError("standard input: names of files are expected, one a line, or a picture")
        begun = stream.read1(CHUNK)
    if rest.strip():
        yield Path(os.fsdecode(rest.rstrip(b"\r")))
