"""What stands in annotation files becomes a data set: every box is looked at, what makes no sense is refused or left out by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pellucid.data import DataError, read_image
from pellucid.data.listing import shown, some
from pellucid.detect.boxes import clipped, told
from pellucid.detect.pictures_with_boxes import BoxData, Objects, PicturesWithBoxes
from pellucid.detect.reading.annotation import Marked
from pellucid.plain import Array

ON_BAD_BOX = ("error", "skip")
MOST_SAID = 20
"""Boxes that one error names."""


@dataclass(frozen=True)
class ToldPicture:
    """A picture as a source tells it: `objects` with boxes as in `boxes`, `size` (width, height), (0, 0) where not told."""

    name: str
    source: str
    """Where it is told, for messages."""
    size: tuple[int, int]
    objects: Sequence[Marked]
    raw: Callable[[], bytes] | None
    """What is in the picture's file; None where there is no such file."""


@dataclass
class _Gathered:
    bad: list[str] = field(default_factory=list[str])
    cut: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])


def gather(
    name: str,
    found: Sequence[ToldPicture],
    parts: Mapping[str, Sequence[str]],
    on_bad_box: str,
    notes: Sequence[str] = (),
) -> BoxData:
    """The data set called `name`; `parts` have names of pictures. Raises `DataError`."""
    if on_bad_box not in ON_BAD_BOX:
        raise DataError(f"on_bad_box is one of {', '.join(ON_BAD_BOX)}, not {on_bad_box!r:.40}")
    if not found:
        raise DataError(f"{name}: there is no picture with boxes in it")
    classes = tuple(sorted({mark.name for picture in found for mark in picture.objects if mark.name}))
    numbers = {one: number for number, one in enumerate(classes)}
    seen = _Gathered()
    sizes = [_size(picture, seen) for picture in found]
    objects = [_objects(picture, size, numbers, seen) for picture, size in zip(found, sizes, strict=True)]
    if seen.bad and on_bad_box == "error":
        more = f"\n  and {len(seen.bad) - MOST_SAID} more" if len(seen.bad) > MOST_SAID else ""
        listed = "\n  ".join(seen.bad[:MOST_SAID])
        raise DataError(
            f"{name}: boxes that make no sense:\n  {listed}{more}\nCorrect them, or leave them out: --on-bad-box skip"
        )
    places = {picture.name: place for place, picture in enumerate(found)}
    whole = PicturesWithBoxes(
        name,
        classes,
        tuple(picture.name for picture in found),
        tuple(objects),
        tuple(sizes),
        lambda place: _read(found[place]),
    )
    told = [
        (seen.bad, "boxes left out, as they make no sense"),
        (seen.cut, "boxes cut at the edge of their picture"),
        (seen.missing, "pictures that are not there"),
    ]
    named: dict[str, PicturesWithBoxes] = {}
    for part, names in parts.items():
        positions = [places[one] for one in names if one in places]
        told.append(([one for one in names if one not in places], f"names of the part {part} have no boxes"))
        if positions:
            named[part] = whole.chosen(positions, f"{name}/{part}")
    return BoxData(whole, named, (*notes, *(some(names, what) for names, what in told if names)))


def _read(picture: ToldPicture) -> Array:
    if picture.raw is None:
        raise DataError(f"{picture.source}: its picture is not there")
    return read_image(picture.raw(), 3, name=picture.name)


def _size(picture: ToldPicture, seen: _Gathered) -> tuple[int, int]:
    """As it is told; else that of the picture."""
    if picture.raw is None:
        seen.missing.append(picture.name)
    if min(picture.size) > 0 or picture.raw is None:
        return picture.size
    _, rows, columns = _read(picture).shape
    return columns, rows


def _objects(picture: ToldPicture, size: tuple[int, int], numbers: Mapping[str, int], seen: _Gathered) -> Objects:
    kept: list[tuple[Array, int, bool]] = []
    for number, mark in enumerate(picture.objects, 1):
        box = np.array(mark.box, np.float64)
        where = f"{shown(picture.source)}, object {number}"
        fault = "has no class" if not mark.name else _fault(box)
        if not fault and min(size) > 0:
            inside = clipped(box[None], *size)[0]
            if (inside[2:] < inside[:2]).any():
                fault = f"lies outside the picture of {size[0]}x{size[1]}"
            elif (inside != box).any():
                seen.cut.append(f"{where} ({shown(mark.name)}, {told(box)})")
                box = inside
        if fault:
            seen.bad.append(f"{where} ({shown(mark.name) or '?'}): {told(box)} {fault}")
        else:
            kept.append((box, numbers[mark.name], mark.difficult))
    if not kept:
        return Objects.none()
    boxes, labels, difficult = zip(*kept, strict=True)
    return Objects(np.stack(boxes), np.array(labels, np.int64), np.array(difficult, bool))


def _fault(box: Array) -> str:
    if not all(map(math.isfinite, box)):
        return "is not four numbers"
    return "has no extent" if (box[2:] <= box[:2]).any() else ""
