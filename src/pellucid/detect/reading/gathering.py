"""What stands in annotation files becomes a data set: every box is looked at, what makes no sense is refused or left out by name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pellucid.data import DataError, read_image
from pellucid.data.image import picture_size
from pellucid.data.listing import shown, some
from pellucid.detect.boxes import TOO_FAR, are_far, clipped, told
from pellucid.detect.pictures_with_boxes import BoxData, Objects, PicturesWithBoxes
from pellucid.detect.reading.annotation import Marked
from pellucid.files import reason_of
from pellucid.plain import Array
from pellucid.progress import progress, tell

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
    file: str
    """The name of its file with its ending: what it is called instead where others have its name, and in messages."""


@dataclass
class _Gathered:
    bad: list[str] = field(default_factory=list[str])
    cut: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    resized: list[str] = field(default_factory=list[str])


def gather(
    name: str,
    found: Sequence[ToldPicture],
    parts: Mapping[str, Sequence[str]],
    on_bad_box: str,
    notes: Sequence[str] = (),
    bad: Sequence[str] = (),
) -> BoxData:
    """The data set called `name`; `parts` have names of pictures, `bad` are boxes that make no sense before any is looked at. Raises `DataError`."""
    if on_bad_box not in ON_BAD_BOX:
        raise DataError(f"on_bad_box is one of {', '.join(ON_BAD_BOX)}, not {on_bad_box!r:.40}")
    if not found:
        raise DataError(f"{name}: there is no picture with boxes in it")
    classes = tuple(sorted({mark.name for picture in found for mark in picture.objects if mark.name}))
    numbers = {one: number for number, one in enumerate(classes)}
    seen = _Gathered([*bad])
    names = _names(name, found)
    with progress("looking at pictures"):
        sizes: list[tuple[int, int]] = []
        for place, (picture, called) in enumerate(zip(found, names, strict=True), 1):
            sizes.append(_size(picture, called, seen))
            tell(place, len(found))
    objects = [_objects(picture, size, numbers, seen) for picture, size in zip(found, sizes, strict=True)]
    if seen.bad and on_bad_box == "error":
        more = f"\n  and {len(seen.bad) - MOST_SAID} more" if len(seen.bad) > MOST_SAID else ""
        listed = "\n  ".join(seen.bad[:MOST_SAID])
        raise DataError(
            f"{name}: boxes that make no sense:\n  {listed}{more}\nCorrect them, or leave them out: --on-bad-box skip"
        )
    places = {called: place for place, called in enumerate(names)}
    whole = PicturesWithBoxes(
        name,
        classes,
        tuple(names),
        tuple(objects),
        tuple(sizes),
        lambda place: _read(found[place]),
        frozenset(seen.missing),
    )
    told = [
        (seen.bad, "boxes left out, as they make no sense"),
        (seen.cut, "boxes cut at the edge of their picture"),
        (seen.missing, "pictures that are not there"),
        (seen.resized, "pictures of another size than is told of them; their own counts"),
    ]
    named: dict[str, PicturesWithBoxes] = {}
    for part, listed in parts.items():
        once = dict.fromkeys(listed)
        positions = [places[one] for one in once if one in places]
        told.append(([one for one in once if one not in places], f"names of the part {part} have no boxes"))
        again = [one for one, times in Counter(listed).items() if times > 1]
        told.append((again, f"names are in the part {part} more than once, and count once"))
        if positions:
            named[part] = whole.chosen(positions, f"{name}/{part}")
    return BoxData(whole, named, (*notes, *(some(names, what) for names, what in told if names)))


def _names(name: str, found: Sequence[ToldPicture]) -> list[str]:
    """What the pictures are called, each by a name of its own. Raises `DataError`."""
    shared = Counter(picture.name for picture in found)
    names = [one.name if shared[one.name] == 1 else one.file or one.name for one in found]
    twice = [one for one, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{name}: {some(twice, 'names are those of more than one picture')}")
    return names


def _read(picture: ToldPicture) -> Array:
    return read_image(_raw(picture), 3, name=picture.file)


def _raw(picture: ToldPicture) -> bytes:
    """What is in a picture's file. Raises `DataError`, also where it is gone by now."""
    if picture.raw is None:
        raise DataError(f"{picture.source}: its picture is not there")
    try:
        return picture.raw()
    except OSError as error:
        raise DataError(f"{shown(picture.file)}: cannot be read ({reason_of(error)})") from error


def _size(picture: ToldPicture, name: str, seen: _Gathered) -> tuple[int, int]:
    """That of the picture, as its file says; as it is told where there is no file, or none that can be read."""
    if picture.raw is None:
        seen.missing.append(name)
        return picture.size
    try:
        size = picture_size(_raw(picture), picture.file)
    except DataError:
        if min(picture.size) <= 0:
            raise
        return picture.size  # whoever reads it is told what is wrong with it
    if min(picture.size) > 0 and picture.size != size:
        wide, high = picture.size
        seen.resized.append(f"{name} (told {wide}x{high}, is {size[0]}x{size[1]})")
    return size


def _objects(picture: ToldPicture, size: tuple[int, int], numbers: Mapping[str, int], seen: _Gathered) -> Objects:
    kept: list[tuple[Array, int, bool]] = []
    for number, mark in enumerate(picture.objects, 1):
        box = np.array(mark.box, np.float64)
        where = f"{shown(picture.source)}, object {number}"
        fault = "has no class" if not mark.name else _fault(box, mark.sized)
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


def _fault(box: Array, sized: bool) -> str:
    if not all(map(math.isfinite, box)):
        return "is not four numbers"
    if are_far(box):
        return f"is too far away; {TOO_FAR}"
    extent = box[2:] - box[:2]
    if sized and -1 < extent.min() < 0:
        return "is less than a pixel wide or high"
    return "has no extent" if (extent < 0).any() or (not sized and (extent == 0).any()) else ""
