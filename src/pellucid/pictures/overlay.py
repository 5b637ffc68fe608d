"""A picture with what was found out about it drawn over it: a heat map, and rectangles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pellucid.pictures.colors import LINES, about_zero, as_rgb, color, hatched, image_element, limits, scale_below
from pellucid.pictures.lettering import MARGIN, note_below, text, titled
from pellucid.pictures.picture import ROOM, Picture, PictureError, svg_element
from pellucid.pictures.tiles import checked_ends, checked_image
from pellucid.plain import Array

OPACITY, DIMMED = 0.6, 0.45
"""Of the heat map over the picture, where it is strongest; and of the picture around the part that the heat is of."""
BETWEEN = 12.0
"""Pixels between the picture and itself under the heat."""


@dataclass(frozen=True)
class Box:
    """A rectangle of rows top to bottom and columns left to right (ends excluded); `weight` 0 to 1 is how plain it is.

    `value` is the number that its label rounds, where it has one.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    label: str = ""
    weight: float = 1.0
    value: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", float(self.weight))
        object.__setattr__(self, "value", None if self.value is None else float(self.value))


@dataclass(frozen=True)
class Overlay(Picture):
    """The picture `image`, uint8 (C, H, W), beside itself with `heat` (h, w) stretched over it; `boxes` are in its pixels.

    Colors end at the smallest and the largest heat, or at `ends`: what is beyond is drawn as these; `quantity` says what
    the numbers are. Where the heat is of a part of the picture, `rows` and `columns` (ends excluded) frame that part.
    """

    kind = "overlay"
    share = "half"
    title: str
    image: Array
    heat: Array | None = None
    boxes: tuple[Box, ...] = ()
    signed: bool = False
    note: str = ""
    ends: tuple[float, float] | None = None
    quantity: str = ""
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        checked_image(self.title, self.image)
        if self.heat is not None and (self.heat.ndim != 2 or not self.heat.size):
            raise PictureError(f"{self.title}: a heat map has two axes, got {self.heat.shape}")
        if self.heat is not None and self.heat.dtype.kind not in "biuf":
            raise PictureError(f"{self.title}: a heat map has real numbers, got {self.heat.dtype}")
        for what, part, size in zip(("rows", "columns"), (self.rows, self.columns), self.image.shape[1:], strict=True):
            if part is not None and not 0 <= part[0] < part[1] <= size:
                raise PictureError(
                    f"{self.title}: {what} of a part lie within 0 to {size}, the first below the last, got {part}"
                )
        object.__setattr__(self, "ends", checked_ends(self.title, self.ends))

    def svg(self, room: float = ROOM) -> str:
        pixels = self.image.shape[1:]
        side_by_side = self.heat is not None and room >= 440 and pixels[1] < 2.5 * pixels[0]
        wide = (room - 2 * MARGIN - BETWEEN) / 2 if side_by_side else room - 2 * MARGIN
        zoom = min(wide / pixels[1], 0.75 * room / pixels[0])
        size = Size(pixels[0] * zoom, pixels[1] * zoom)
        head, top = titled(self.title, MARGIN, room)
        parts, x, y = [head], MARGIN, top
        if self.heat is not None:
            parts += [image_element(as_rgb(self.image), x, y, size.width, size.height), self._framed(x, y, zoom)]
            x, y = (MARGIN + wide + BETWEEN, top) if side_by_side else (x, y + size.height + BETWEEN)
        parts += [image_element(self.pixels(), x, y, size.width, size.height), self._framed(x, y, zoom)]
        if self.heat is not None:
            (top, bottom), (left, right) = self._part()
            place = x + left * zoom, y + top * zoom, (right - left) * zoom, (bottom - top) * zoom
            parts.append(hatched(self.heat, *place))
        parts += [f'<g data-box="{k}">{self._boxed(box, x, y, zoom)}</g>' for k, box in enumerate(self.boxes)]
        bottom = y + size.height + 6
        if self.heat is not None:
            ends = self._ends()
            scale, more = scale_below(*ends, self.signed, (x, bottom, max(size.width, 120.0)), self.quantity)
            parts.append(scale)
            bottom += more
        note, more = note_below(self.note, MARGIN, bottom, room - 2 * MARGIN)
        return svg_element(room, bottom + more + MARGIN, self.title, "".join([*parts, note]))

    def _framed(self, x: float, y: float, zoom: float) -> str:
        """The frame of the part that the heat is of."""
        if self.rows is None and self.columns is None:
            return ""
        (top, bottom), (left, right) = self._part()
        return _frame(x + left * zoom, y + top * zoom, (right - left) * zoom, (bottom - top) * zoom, "#111827", 1.0)

    def _boxed(self, box: Box, x: float, y: float, zoom: float) -> str:
        (top, bottom), (left, right) = box.rows, box.columns
        over, across = y + top * zoom, x + left * zoom
        framed = _frame(
            across, over, (right - left) * zoom, (bottom - top) * zoom, LINES[3], max(0.15, min(1.0, box.weight))
        )
        if not box.label:
            return framed
        halo = "paint-order:stroke;stroke:#fff;stroke-width:3px;fill:#b91c1c;font-weight:600"
        return framed + text(across + 3, max(y + 12, over - 4), box.label, style=halo)

    def _part(self) -> tuple[tuple[int, int], tuple[int, int]]:
        rows, columns = self.image.shape[1:]
        return self.rows or (0, rows), self.columns or (0, columns)

    def _ends(self) -> tuple[float, float]:
        """Where the scale of the heat ends."""
        heat = np.asarray(self.heat, np.float64)
        ends = limits(np.clip(heat, *self.ends) if self.ends else heat, self.signed)
        return about_zero(ends) if self.signed else ends

    def pixels(self) -> Array:
        """The picture under the heat map, uint8 (H, W, 3): the stronger the heat, the less of the picture is seen."""
        from PIL import Image

        ground = as_rgb(self.image)
        if self.heat is None:
            return ground
        (top, bottom), (left, right) = self._part()
        low, high = self._ends()
        heat = np.clip(np.asarray(self.heat, np.float64), low, high)  # infinities are drawn as the ends
        power = -math.frexp(max(-low, high))[1]  # brought to float32, in which it is stretched
        heat, low, high = np.ldexp(heat, power), math.ldexp(low, power), math.ldexp(high, power)
        size = (right - left, bottom - top)
        stretched = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
        reach = max(abs(low), abs(high)) if self.signed else high - low
        strength = np.abs(stretched if self.signed else stretched - low) / (reach or 1.0)
        opacity = np.clip(0.25 + np.nan_to_num(strength, nan=1.0), 0, 1)[..., None] * OPACITY
        inside = ground[top:bottom, left:right]
        mixed = np.round(DIMMED * ground + (1 - DIMMED) * 255)
        mixed[top:bottom, left:right] = inside * (1 - opacity) + color(stretched, low, high, self.signed) * opacity
        return np.round(mixed).astype(np.uint8)


class Size(NamedTuple):
    """Of a picture in a drawing."""

    height: float
    width: float


def _frame(x: float, y: float, width: float, height: float, paint: str, opacity: float) -> str:
    """A rectangle with a white edge, so that it is seen on any picture."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="none"'
    return (
        f'<rect {place} stroke="#fff" stroke-width="4" stroke-opacity="{opacity / 2:.2f}"/>'
        f'<rect {place} stroke="{paint}" stroke-width="2" stroke-opacity="{opacity:.2f}"/>'
    )
