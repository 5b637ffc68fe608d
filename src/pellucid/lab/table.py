"""The numbers of a picture as a table of text (CSV), for a program that computes with tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.pictures import Chart, Diagram, Grid, HeatMap, Maps, Overlay, Page, Picture

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_table(picture: Picture) -> str:
    """A line for each number; of a page that of its parts, one below the other."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows_of(picture):
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def rows_of(picture: Picture) -> Iterable[Sequence[Any]]:
    """The rows of a picture's table, the first with the names of the columns."""
    if isinstance(picture, Chart):
        yield "series", picture.x_label or "x", picture.y_label or "y"
        for series in picture.series:
            yield from ((series.name, x, y) for x, y in zip(series.x, series.y, strict=True))
    elif isinstance(picture, Grid):
        yield picture.titles
        yield from picture.rows
    elif isinstance(picture, Diagram):
        yield "source", "target", "above", "below"
        yield from ((edge.source, edge.target, edge.above, edge.below) for edge in picture.edges)
    elif isinstance(picture, HeatMap | Maps | Overlay):
        values = picture.heat if isinstance(picture, Overlay) else picture.values
        if values is not None:
            yield "map", "row", "column", "value"
            maps = values.reshape(-1, *values.shape[-2:])
            for number, one in enumerate(maps):
                for row, line in enumerate(one.tolist()):
                    yield from ((number, row, column, value) for column, value in enumerate(line))
    elif isinstance(picture, Page):
        for part in picture.parts:
            if isinstance(part, Picture):
                yield from rows_of(part)


def _cell(value: Any) -> Any:
    """A text that a table program would take for a formula stays a text."""
    return (
        f"'{value}" if isinstance(value, str) and value.startswith(_STARTS_FORMULA) and not _is_number(value) else value
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
