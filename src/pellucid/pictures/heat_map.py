"""A number for every place of a plane, as colors."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.pictures.axes import Axis, Frame, ticks_of
from pellucid.pictures.chart import Series, plotly_objects
from pellucid.pictures.colors import LINES, color, hatched, image_element, limits
from pellucid.pictures.legend import legend_of
from pellucid.pictures.lettering import MARGIN, note_below, text, titled, width_of
from pellucid.pictures.picture import ROOM, Picture, PictureError, svg_element
from pellucid.plain import Array

_SHARES = np.linspace(1, 0, 64)


@dataclass(frozen=True)
class HeatMap(Picture):
    """`values` (rows, columns) over the numbers `x` of the columns and `y` of the rows, both evenly spaced.

    The first row is at the bottom. `signed` parts negative from positive values by color, zero being white. `paths` are
    drawn over it, a dot where each starts and a line through its points, or the points alone.
    """

    kind = "heat map"
    share = "half"
    title: str
    x_label: str
    y_label: str
    values: Array
    x: Sequence[float]
    y: Sequence[float]
    note: str = ""
    signed: bool = False
    paths: tuple[Series, ...] = ()

    def __post_init__(self) -> None:
        values = np.asarray(self.values, np.float64)
        if values.shape != (len(self.y), len(self.x)):
            raise PictureError(f"{self.title}: {len(self.y)} rows and {len(self.x)} columns, got values {values.shape}")
        object.__setattr__(self, "values", values)
        for axis in ("x", "y"):
            object.__setattr__(self, axis, tuple(float(v) for v in getattr(self, axis)))
        if not values.size or not np.isfinite((*self.x, *self.y)).all():
            raise PictureError(f"{self.title}: wants at least one row and one column, at finite numbers")

    def svg(self, room: float = ROOM) -> str:
        head, top = titled(self.title, MARGIN, room)
        named = [(s.name, LINES[n % len(LINES)], s.kind) for n, s in enumerate(self.paths) if s.name]
        legend, more = legend_of(named, MARGIN, room - MARGIN, top - 2)
        top += more + 8
        low, high = limits(self.values, self.signed)
        ruler = Axis(low, high, False, 1.0, 0.0)
        marks = ticks_of(ruler, 6) if high > low else [(low, f"{low:z.4g}")]
        beside = 24 + 16 + 6 + max(width_of(words) for _, words in marks)
        upward = Axis(*_edges(self.y), False, 1.0, 0.0, _whole(self.y))
        left = MARGIN + 26 + max(width_of(words) for _, words in ticks_of(upward, 6))
        side = min(room - left - beside - MARGIN, 0.75 * room)
        across = Axis(*_edges(self.x), False, left, left + side, _whole(self.x))
        upward, ruler = (replace(axis, start=top + side, end=top) for axis in (upward, ruler))
        frame = Frame(across, upward, left, left + side, top, top + side)
        parts = [head, legend, image_element(color(self.values[::-1], low, high, self.signed), left, top, side, side)]
        parts.append(hatched(self.values[::-1], left, top, side, side))
        box = f"{left:.1f} {top:.1f} {side:.1f} {side:.1f}"
        parts.append(f'<svg x="{left:.1f}" y="{top:.1f}" width="{side:.1f}" height="{side:.1f}" viewBox="{box}">')
        parts += [_walked(s, LINES[n % len(LINES)], across, upward) for n, s in enumerate(self.paths)]
        parts.append("</svg>")
        parts += [text(across.at(value), top + side + 17, words, "middle") for value, words in frame.apart()]
        parts += [text(left - 6, upward.at(value) + 4, words, "end") for value, words in ticks_of(upward, 6)]
        parts.append(frame.named(self.x_label, self.y_label))
        scale = color((high * _SHARES + low * (1 - _SHARES))[:, None], low, high, self.signed)
        parts.append(image_element(scale, left + side + 24, top, 16, side))
        for value, words in marks:
            parts.append(text(left + side + 46, (ruler.at(value) if high > low else top + side / 2) + 4, words))
        note, more = note_below(self.note, MARGIN, frame.low_end, room - 2 * MARGIN)
        return svg_element(room, frame.low_end + more + MARGIN, self.title, "".join([*parts, note]))

    def figure(self) -> Any:
        """The values as a surface without the paths, a Plotly figure (extra `pellucid[plotly]`)."""
        objects = plotly_objects()
        figure = objects.Figure(objects.Surface(x=self.x, y=self.y, z=self.values))
        axes = {"xaxis_title": self.x_label, "yaxis_title": self.y_label}
        figure.update_layout(title=self.title, scene=axes)
        return figure


def _whole(centers: Sequence[float]) -> bool:
    return all(center.is_integer() for center in centers)


def _edges(centers: Sequence[float]) -> tuple[float, float]:
    """The outer edges of evenly spaced cells."""
    steps = 2 * (len(centers) - 1)
    half = centers[-1] / steps - centers[0] / steps if steps else 0.5
    most = sys.float_info.max
    low, high = (min(max(end, -most), most) for end in (centers[0] - half, centers[-1] + half))
    return low, high


def _walked(path: Series, paint: str, across: Axis, upward: Axis) -> str:
    """A path with a white edge, so that it is seen on any color."""
    points = [
        (across.at(x), upward.at(y))
        for x, y in zip(path.x, path.y, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    if not points:
        return ""
    line = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    strokes = [("#fff", 4.0), (paint, 2.0)] if path.kind != "points" else []
    drawn = "".join(
        f'<path d="{line}" fill="none" stroke="{c}" stroke-width="{w}" stroke-linejoin="round"/>' for c, w in strokes
    )
    dots = points if path.kind == "points" else points[:1]
    if len(points) <= 100:  # the single steps of a walk
        drawn += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{paint}"/>' for x, y in points)
    return drawn + "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{paint}" stroke="#fff" stroke-width="1.5"/>' for x, y in dots
    )
