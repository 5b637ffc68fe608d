"""A picture with what was found out about it drawn over it: a heat map, and rectangles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid.pictures.colors import LINES, as_rgb, color, image_element, limits, png
from pellucid.pictures.picture import Picture, PictureError, note_below, svg_element, text
from pellucid.pictures.tiles import checked_ends, checked_image
from pellucid.plain import Array

OPACITY = 0.6
"""Of the heat map over the picture, where it is strongest."""
_LARGE = 2.0**126
"""Heat is stretched in float32: what is larger is scaled down for it."""


@dataclass(frozen=True)
class Box:
    """A rectangle of rows top to bottom and columns left to right (ends excluded); `weight` 0 to 1 is how plain it is."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    label: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", float(self.weight))


@dataclass(frozen=True)
class Overlay(Picture):
    """The picture `image`, uint8 (C, H, W); `heat` (h, w) is stretched over it; `boxes` are in its pixels.

    Colors end at the smallest and the largest heat, or at `ends`: what is beyond is drawn as these.
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

    def __post_init__(self) -> None:
        checked_image(self.title, self.image)
        if self.heat is not None and (self.heat.ndim != 2 or not self.heat.size):
            raise PictureError(f"{self.title}: a heat map has two axes, got {self.heat.shape}")
        if self.heat is not None and self.heat.dtype.kind not in "biuf":
            raise PictureError(f"{self.title}: a heat map has real numbers, got {self.heat.dtype}")
        object.__setattr__(self, "ends", checked_ends(self.title, self.ends))

    def svg(self) -> str:
        rows, columns = self.image.shape[1:]
        zoom = min(480 / columns, 480 / rows)
        wide, high = columns * zoom, rows * zoom
        parts = [text(4, 18, self.title, style="font-weight:600;font-size:14px")]
        parts.append(image_element(self.pixels() if self.heat is not None else as_rgb(self.image), 4, 28, wide, high))
        for box in self.boxes:
            (top, bottom), (left, right) = box.rows, box.columns
            x, y = 4 + left * zoom, 28 + top * zoom
            place = f'x="{x:.1f}" y="{y:.1f}" width="{(right - left) * zoom:.1f}" height="{(bottom - top) * zoom:.1f}"'
            opacity = max(0.15, min(1.0, box.weight))
            parts.append(
                f'<rect {place} fill="none" stroke="#fff" stroke-width="4" stroke-opacity="{opacity / 2:.2f}"/>'
                f'<rect {place} fill="none" stroke="{LINES[3]}" stroke-width="2" stroke-opacity="{opacity:.2f}"/>'
            )
            if box.label:
                halo = "paint-order:stroke;stroke:#fff;stroke-width:3px;fill:#b91c1c;font-weight:600"
                parts.append(text(x + 3, max(40.0, y - 4), box.label, style=halo))
        width = max(wide + 8, 320)
        note, more = note_below(self.note, 4, 30 + high, width - 8)
        return svg_element(width, 36 + high + more, self.title, "".join([*parts, note]))

    def writers(self) -> dict[str, Callable[[], bytes]]:
        return {**super().writers(), ".png": lambda: png(self.pixels())}

    def pixels(self) -> Array:
        """The picture under the heat map, uint8 (H, W, 3): the stronger the heat, the less of the picture is seen."""
        from PIL import Image

        ground = as_rgb(self.image)
        if self.heat is None:
            return ground
        size = (self.image.shape[2], self.image.shape[1])
        heat = np.asarray(self.heat, np.float64)
        low, high = limits(np.clip(heat, *self.ends) if self.ends else heat, self.signed)
        heat = np.clip(heat, low, high)  # infinities are drawn as the ends
        if max(-low, high) > _LARGE:
            heat, low, high = heat / 2.0**900, low / 2.0**900, high / 2.0**900
        heat = heat.astype(np.float32)
        stretched = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))
        reach = max(abs(low), abs(high)) if self.signed else high - low
        strength = np.abs(stretched if self.signed else stretched - low) / (reach or 1.0)
        opacity = np.clip(0.25 + np.nan_to_num(strength, nan=1.0), 0, 1)[..., None] * OPACITY
        mixed = ground * (1 - opacity) + color(stretched, low, high, self.signed) * opacity
        return np.round(mixed).astype(np.uint8)
