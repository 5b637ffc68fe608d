"""COCO's annotations: one JSON file of pictures, classes and boxes. Nothing in it is believed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np

from pellucid.data import DataError
from pellucid.data.listing import read_file, shown, some
from pellucid.data.table import name_below
from pellucid.detect.boxes import from_corners_and_sizes
from pellucid.detect.pictures_with_boxes import BoxData
from pellucid.detect.reading.annotation import NO, YES, Marked
from pellucid.detect.reading.gathering import ToldPicture, gather
from pellucid.files import reason_of
from pellucid.plain import PlainError, parse_json

MOST_BYTES = 2**30
MOST_SIDE = 2.0**53
"""Pixels from which on float64 has no fractions, nor all whole numbers."""
UNCLEAR = "annotations do not say whether they are around a crowd or not; they count as ones that are not"
FOLDERS = ("", "images", "..", "../images", "{}", "../{}", "../images/{}")
"""Where pictures lie, from the file on; {} is the part of the data that the file's name ends with, `val2017` of `instances_val2017.json`."""


def read_coco_file(path: Path, on_bad_box: str = "error") -> BoxData:
    """Pictures with boxes of a COCO file; boxes around a crowd count as difficult."""
    name = shown(str(path))
    told = _object(parse_coco(path), name)
    kinds = _by_id(told, "categories", name)
    classes = {number: _text(one.get("name"), f"{name}: category").strip() for number, one in kinds.items()}
    pictures = _by_id(told, "images", name)
    marks: dict[int | str, list[Marked]] = defaultdict(list)
    bad: list[str] = []
    unclear: list[str] = []
    for number, one in enumerate(_objects(told, "annotations", name), 1):
        of, label = (
            key if type(key := one.get(field)) in (int, str) else None for field in ("image_id", "category_id")
        )
        crowd = _said_of(one.get("iscrowd"))
        if crowd is None:
            unclear.append(f"annotation {number} ({one['iscrowd']!r:.20})")
        mark = Marked("" if label is None else classes.get(label, ""), box_of(one.get("bbox")), crowd or False, True)
        if of is not None and of in pictures:
            marks[of].append(mark)
        else:
            bad.append(
                f"{name}, annotation {number} ({shown(mark.name) or '?'}): is of image {one.get('image_id')!r:.40}, which is not there"
            )
    found: list[ToldPicture] = []
    for number, picture in pictures.items():
        file, place = _place(path, _text(picture.get("file_name"), f"{name}: image"))
        size = (_whole(picture.get("width")), _whole(picture.get("height")))
        raw = None if place is None else partial(read_file, place, file)
        short = str(PurePosixPath(file).with_suffix(""))
        found.append(ToldPicture(short, f"{name}, {shown(file)}", size, marks.get(number, []), raw, file))
    return gather(shown(path.stem), found, {}, on_bad_box, [some(unclear, UNCLEAR)] if unclear else (), bad)


def parse_coco(path: Path) -> Any:
    """The plain data of a JSON file; raises `DataError`."""
    try:
        return parse_json(read_file(path, limit=MOST_BYTES))
    except (PlainError, OSError) as error:
        raise DataError(f"{shown(str(path))}: {error}") from error


def box_of(value: Any) -> tuple[float, float, float, float]:
    """COCO's x, y, width, height as corners; NaN where these are not four numbers."""
    sides = cast(list[Any], value) if isinstance(value, list) else []
    if len(sides) != 4 or not all(type(side) in (int, float) and -MOST_SIDE < side < MOST_SIDE for side in sides):
        return math.nan, math.nan, math.nan, math.nan
    x1, y1, x2, y2 = from_corners_and_sizes(np.array([sides], np.float64))[0].tolist()
    return x1, y1, x2, y2


def _place(path: Path, file: str) -> tuple[str, Path | None]:
    """The name of a picture in a COCO file, with / between folders, and where it is; nothing leads out of `FOLDERS`."""
    name = name_below(file, "names no picture beside the annotations")
    part = path.stem.rpartition("_")[2]
    for below in FOLDERS:
        root = path.parent / below.format(part)
        try:
            if (root / name).is_file() and (root / name).resolve().is_relative_to(root.resolve()):
                return name, root / name
        except (OSError, RuntimeError) as error:
            raise DataError(f"{shown(name)[:80]}: cannot be looked at ({reason_of(error)})") from error
    return name, None


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: wants COCO's images, annotations and categories, got {type(value).__name__}")
    return cast(dict[str, Any], value)


def _objects(told: Mapping[str, Any], field: str, where: str) -> list[Mapping[str, Any]]:
    listed = told.get(field)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in cast(list[Any], listed)):
        raise DataError(f"{where}: wants a list of objects called {field!r}, as COCO's annotations have")
    return cast(list[Mapping[str, Any]], listed)


def _by_id(told: Mapping[str, Any], field: str, where: str) -> dict[Any, Mapping[str, Any]]:
    found: dict[Any, Mapping[str, Any]] = {}
    for one in _objects(told, field, where):
        number = one.get("id")
        if type(number) not in (int, str):
            raise DataError(f"{where}: an id is a whole number, got {number!r:.40}")
        if number in found:
            raise DataError(f"{where}: two of its {field} have the id {number!r:.40}")
        found[number] = one
    return found


def _said_of(value: Any) -> bool | None:
    """Whether a mark says yes, as 1, true or a word; None where it says neither yes nor no."""
    word = "" if value is None else str(int(value) if value in (0, 1) else value).strip().lower()
    return True if word in YES else False if word in NO else None


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: wants a name, got {value!r:.40}")
    return value


def _whole(value: Any) -> int:
    return value if type(value) is int and 0 < value < 2**31 else 0
