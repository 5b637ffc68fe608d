"""A table of boxes: a CSV file with a line file,x1,y1,x2,y2,class for each, or file alone for a picture without objects."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from pellucid.data import DataError
from pellucid.data.listing import read_file, shown
from pellucid.data.table import inside, lines_of
from pellucid.detect.pictures_with_boxes import BoxData
from pellucid.detect.reading.annotation import Marked, number
from pellucid.detect.reading.gathering import ToldPicture, gather

COLUMNS = ("file", "x1", "y1", "x2", "y2", "class")


def read_box_table(path: Path, on_bad_box: str = "error") -> BoxData:
    """Pictures with boxes of a table, whose pixels count from 0, the last row and column inside the box."""
    marks: dict[str, list[Marked]] = {}
    for line, cells in rows_of(path, COLUMNS):
        try:
            boxes = marks.setdefault(inside(path.parent, cells[0]), [])
        except DataError as error:
            raise DataError(f"{shown(str(path))}: line {line}: {error}") from error
        if any(cells[1:]):
            x1, y1, x2, y2 = map(number, cells[1:5])
            boxes.append(Marked(cells[5], (x1, y1, x2, y2)))
    found = [
        ToldPicture(
            str(PurePosixPath(file).with_suffix("")),
            file,
            (0, 0),
            boxes,
            partial(read_file, path.parent / file, file),
            file,
        )
        for file, boxes in marks.items()
    ]
    return gather(shown(path.stem), found, {}, on_bad_box)


def rows_of(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file below the one that names its columns, each with its number; raises `DataError`."""
    name, lines = shown(str(path)), lines_of(path)
    try:
        head = [cell.strip().lower() for cell in next(lines, [])]
        if tuple(head) != columns:
            raise DataError(f"{name}: its first line must be {','.join(columns)}, got {shown(','.join(head))[:80]!r}")
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            cells = [cell.strip() for cell in cells]
            if len(cells) != len(columns) and not (len(cells) == 1 and columns == COLUMNS):
                raise DataError(f"{name}: line {lines.line_num} has {len(cells)} cells, expected {len(columns)}")
            yield lines.line_num, cells
    except csv.Error as error:
        raise DataError(f"{name}: line {lines.line_num}: is no line of a CSV file ({error})") from error
