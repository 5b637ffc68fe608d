"""One of VOC's annotation files (XML): names, boxes and marks of the objects on a picture. Nothing in it is believed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from xml.parsers import expat

from pellucid.data import DataError

MOST_BYTES = 20 * 2**20
YES, NO = ("1", "true", "yes"), ("", "0", "false", "no")
"""What annotations say of whether an object is difficult."""
_DEEPEST = 20
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True)
class Marked:
    """An object as it stands in a file: its class and box; NaN where a side is no number."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool = False
    sized: bool = False
    """Whether its width and height were told, so that one pixel across is meant."""


@dataclass(frozen=True)
class Annotation:
    """What is on one picture: its file as it is named there, its (width, height), (0, 0) where that is not said."""

    file: str
    size: tuple[int, int]
    objects: tuple[Marked, ...]
    unclear: tuple[str, ...] = ()
    """What it says of objects being difficult that is neither yes nor no, which counts as no."""


def read_annotation(raw: bytes, name: str) -> Annotation:
    """An annotation; raises `DataError` for what is none. A document that declares types or entities is refused."""
    if len(raw) > MOST_BYTES:
        raise DataError(f"{name}: larger than {MOST_BYTES >> 20} MiB")
    reader = _Reader(name)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.words
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # LookupError: an encoding that there is not
        raise DataError(f"{name}: is no annotation ({error})") from error
    if reader.root != "annotation":
        raise DataError(f"{name}: is no annotation: its outermost element is {reader.root!r:.40}, not 'annotation'")
    size = (_whole(reader.said.get("size/width", "")), _whole(reader.said.get("size/height", "")))
    said = [one.get("difficult", "") for one in reader.objects]
    unclear = tuple(dict.fromkeys(word for word in said if word.lower() not in (*YES, *NO)))
    return Annotation(reader.said.get("filename", ""), size, tuple(map(_marked, reader.objects)), unclear)


class _Reader:
    """Keeps the words of elements by their path: of each object by itself, without those of its parts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = ""
        self.said: dict[str, str] = {}
        self.objects: list[dict[str, str]] = []
        self._path: list[str] = []
        self._text: list[str] = []

    def doctype(self, *declared: object) -> None:
        raise DataError(f"{self.name}: declares a document type, which annotations do not have")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        if len(self._path) > _DEEPEST:
            raise DataError(f"{self.name}: has elements more than {_DEEPEST} deep")
        if len(self._path) == 1:
            self.root = tag
        if self._path[1:] == ["object"]:
            self.objects.append({})
        self._text.clear()

    def words(self, text: str) -> None:
        self._text.append(text)

    def end(self, tag: str) -> None:
        place, text = self._path[1:], "".join(self._text).strip()
        if place[:1] == ["object"]:
            self.objects[-1].setdefault("/".join(place[1:]), text)
        else:
            self.said.setdefault("/".join(place), text)
        self._path.pop()
        self._text.clear()


def _marked(said: dict[str, str]) -> Marked:
    sides = [number(said.get(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")]
    difficult = said.get("difficult", "").lower() in YES  # the development kit takes "1" alone
    return Marked(said.get("name", ""), (sides[0], sides[1], sides[2], sides[3]), difficult)


def number(text: str) -> float:
    """The number that a text is; NaN for anything else."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def _whole(text: str) -> int:
    value = number(text)
    return int(value) if math.isfinite(value) and 0 < value < 2**31 else 0
