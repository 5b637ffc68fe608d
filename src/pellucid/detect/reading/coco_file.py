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
from pellucid.data.listing import read_file, shown
from pellucid.detect.boxes import from_corners_and_sizes
from pellucid.detect.pictures_with_boxes import BoxData
from pellucid.detect.reading.annotation import Marked
from pellucid.detect.reading.gathering import ToldPicture, gather
from pellucid.plain import PlainError, parse_json

MOST_BYTES = 2**30
FOLDERS = ("", "images", "../images")
"""Where pictures lie, from the file on."""


def read_coco_file(path: Path, on_bad_box: str = "error") -> BoxData:
    """Pictures with boxes of a COCO file; boxes around a crowd count as difficult."""
    name = shown(str(path))
    told = _object(parse_coco(path), name)
    classes = {_id(c, name): _text(c.get("name"), f"{name}: category") for c in _objects(told, "categories", name)}
    marks: dict[Any, list[Marked]] = defaultdict(list)
    for one in _objects(told, "annotations", name):
        label = one.get("category_id")
        known = label if isinstance(label, int | str) else ""
        marks[one.get("image_id")].append(
            Marked(classes.get(known, ""), box_of(one.get("bbox")), one.get("iscrowd") in (1, True))
        )
    found: list[ToldPicture] = []
    for picture in _objects(told, "images", name):
        file = _text(picture.get("file_name"), f"{name}: image")
        size = (_whole(picture.get("width")), _whole(picture.get("height")))
        place = _place(path.parent, file)
        raw = None if place is None else partial(read_file, place, file)
        here = f"{name}, {shown(file)}"
        found.append(
            ToldPicture(str(PurePosixPath(file).with_suffix("")), here, size, marks.get(_id(picture, name), []), raw)
        )
    return gather(shown(path.stem), found, {}, on_bad_box)


def parse_coco(path: Path) -> Any:
    """The plain data of a JSON file; raises `DataError`."""
    try:
        return parse_json(read_file(path, limit=MOST_BYTES))
    except (PlainError, OSError) as error:
        raise DataError(f"{shown(str(path))}: {error}") from error


def box_of(value: Any) -> tuple[float, float, float, float]:
    """COCO's x, y, width, height as corners; NaN where these are not four numbers."""
    sides = cast(list[Any], value) if isinstance(value, list) else []
    if len(sides) != 4 or not all(type(side) in (int, float) and math.isfinite(side) for side in sides):
        return math.nan, math.nan, math.nan, math.nan
    x1, y1, x2, y2 = from_corners_and_sizes(np.array([sides], np.float64))[0].tolist()
    return x1, y1, x2, y2


def _place(folder: Path, file: str) -> Path | None:
    """Where a picture is that is named in the file; nothing leads out of the folders of pictures."""
    place = PurePosixPath(file.replace("\\", "/"))
    if not file or "\0" in file or place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
        raise DataError(f"{shown(file[:80])!r} names no picture beside the annotations")
    for below in FOLDERS:
        root = folder / below
        if (root / place).is_file() and (root / place).resolve().is_relative_to(root.resolve()):
            return root / place
    return None


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: wants COCO's images, annotations and categories, got {type(value).__name__}")
    return cast(dict[str, Any], value)


def _objects(told: Mapping[str, Any], field: str, where: str) -> list[Mapping[str, Any]]:
    listed = told.get(field)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in cast(list[Any], listed)):
        raise DataError(f"{where}: wants a list of objects called {field!r}, as COCO's annotations have")
    return cast(list[Mapping[str, Any]], listed)


def _id(one: Mapping[str, Any], where: str) -> int | str:
    found = one.get("id")
    if type(found) not in (int, str):
        raise DataError(f"{where}: an id is a whole number, got {found!r:.40}")
    return cast(int | str, found)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise DataError(f"{where}: wants a name, got {value!r:.40}")
    return value


def _whole(value: Any) -> int:
    return value if type(value) is int and 0 < value < 2**31 else 0
