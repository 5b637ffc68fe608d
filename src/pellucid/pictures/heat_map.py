"""A number for every place of a plane, as colors."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.pictures.axes import Axis, ticks_of
from pellucid.pictures.chart import Series, legend_of, plotly_objects
from pellucid.pictures.colors import LINES, color, image_element, limits
from pellucid.pictures.picture import Picture, PictureError, note_below, svg_element, text
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

    def svg(self) -> str:
        left, top, side, width = 66, 34, 360, 540
        named = {s.name: LINES[number % len(LINES)] for number, s in enumerate(self.paths) if s.name}
        legend, rows = legend_of(named, left, width, 27)
        top += 16 * rows if named else 0
        low, high = limits(self.values, self.signed)
        pixels = color(self.values[::-1], low, high, self.signed)
        across = Axis(*_edges(self.x), False, left, left + side)
        upward = Axis(*_edges(self.y), False, top + side, top)
        parts = [text(left, 18, self.title, style="font-weight:600;font-size:14px")]
        parts.append(image_element(pixels, left, top, side, side))
        parts.append(f'<svg x="{left}" y="{top}" width="{side}" height="{side}" viewBox="{left} {top} {side} {side}">')
        parts += [_walked(s, LINES[n % len(LINES)], across, upward) for n, s in enumerate(self.paths)]
        parts += ["</svg>", legend]
        for value, words in ticks_of(across, 6):
            parts.append(text(across.at(value), top + side + 16, words, "middle"))
        for value, words in ticks_of(upward, 6):
            parts.append(text(left - 6, upward.at(value) + 4, words, "end"))
        parts.append(text(left + side / 2, top + side + 36, self.x_label, "middle"))
        parts.append(f'<g transform="rotate(-90 14 {top + side / 2})">')
        parts += [text(14, top + side / 2, self.y_label, "middle"), "</g>"]
        scale = color((high * _SHARES + low * (1 - _SHARES))[:, None], low, high, self.signed)
        parts.append(image_element(scale, left + side + 24, top, 16, side))
        if high > low:
            ruler = Axis(low, high, False, top + side, top)
            for value, words in ticks_of(ruler, 6):
                parts.append(text(left + side + 46, ruler.at(value) + 4, words))
        else:
            parts.append(text(left + side + 46, top + side / 2, f"{low:z.4g}"))
        note, more = note_below(self.note, left, top + side + 44, width - left)
        return svg_element(width, top + side + 48 + more, self.title, "".join([*parts, note]))

    def figure(self) -> Any:
        """The values as a surface without the paths, a Plotly figure (extra `pellucid[plotly]`)."""
        objects = plotly_objects()
        figure = objects.Figure(objects.Surface(x=self.x, y=self.y, z=self.values))
        axes = {"xaxis_title": self.x_label, "yaxis_title": self.y_label}
        figure.update_layout(title=self.title, scene=axes)
        return figure


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
