"""The numbers of a picture as plain data, and as tables with a row for each number or thing that is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, cast

import numpy as np

from pellucid.pictures.chart import Chart
from pellucid.pictures.diagram import Diagram
from pellucid.pictures.heat_map import HeatMap
from pellucid.pictures.maps import Maps
from pellucid.pictures.overlay import Overlay
from pellucid.pictures.page import Grid
from pellucid.pictures.picture import Picture
from pellucid.pictures.tiles import Tiles
from pellucid.plain import Array

Table = tuple[Sequence[str], Iterator[Sequence[Any]]]
"""Names of columns, and rows."""


def numbers_of(figure: Any) -> dict[str, Any]:
    """The fields of a picture, or of a part of one, as plain data; pixels that numbers are drawn over are left out."""
    told = {one.name: _plain(getattr(figure, one.name)) for one in fields(figure) if one.name != "image"}
    return told | ({"pixels": figure.image.tolist()} if _is_bare(figure) else {})


def _is_bare(figure: Any) -> bool:
    """Whether a picture is nothing but its pixels, which are its numbers then."""
    return isinstance(figure, Overlay) and figure.heat is None and not figure.boxes


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast(Sequence[Any], value)]
    if isinstance(value, np.generic):
        return value.item()
    return numbers_of(value) if is_dataclass(value) else value


def tables_of(picture: Picture) -> Iterator[Table]:
    """The tables of a picture; of a page those of its figures, one after the other."""
    for figure in picture.figures():
        yield from _tables(figure)


def _tables(figure: Picture) -> Iterator[Table]:
    if isinstance(figure, Chart):
        points = ((s.name, x, y) for s in figure.series for x, y in zip(s.x, s.y, strict=True))
        yield ("series", figure.x_label or "x", figure.y_label or "y"), points
    elif isinstance(figure, Grid):
        yield figure.titles, iter(figure.full())
    elif isinstance(figure, Diagram):
        yield ("source", "target", "above", "below"), ((e.source, e.target, e.above, e.below) for e in figure.edges)
    elif isinstance(figure, HeatMap | Maps):
        yield _of_maps(figure.values)
    elif isinstance(figure, Tiles):
        yield ("tile", "caption"), ((k, " ".join(t.caption.split())) for k, t in enumerate(figure.tiles))
    elif isinstance(figure, Overlay):
        if figure.heat is not None:
            yield _of_maps(figure.heat)
        if figure.boxes:
            rows = ((k, *b.rows, *b.columns, b.label, b.value) for k, b in enumerate(figure.boxes))
            yield ("box", "top", "bottom", "left", "right", "label", "value"), rows
        if _is_bare(figure):
            yield _of_maps(figure.image)


def _of_maps(values: Array) -> Table:
    """A row for each number of some maps."""
    maps = values.reshape(-1, *values.shape[-2:])
    cells = ((*place, maps[place].item()) for place in np.ndindex(maps.shape))
    return ("map", "row", "column", "value"), cells
