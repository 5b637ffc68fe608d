"""Tiles: small pictures side by side, each with its caption."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid.pictures.colors import as_rgb, image_element, png
from pellucid.pictures.picture import Picture, PictureError, note_below, svg_element, text
from pellucid.plain import Array
from pellucid.text import shortened

SIDE = 76
"""Pixels that a tile is wide in a drawing, at least."""
MOST_PIXELS = 2**27
"""Of tiles as one picture."""


@dataclass(frozen=True)
class Tile:
    """One small picture, uint8 (C, H, W) with 1 or 3 channels, and the lines of words below it."""

    image: Array
    caption: str = ""

    def __post_init__(self) -> None:
        checked_image("tile", self.image)


@dataclass(frozen=True)
class Tiles(Picture):
    """Small pictures in rows of `columns`."""

    kind = "tiles"
    share = "half"
    title: str
    tiles: tuple[Tile, ...]
    columns: int = 8
    note: str = ""

    def svg(self) -> str:
        columns = max(1, min(self.columns, len(self.tiles)))
        wide = max(SIDE, min(240, 600 // columns))
        words = max(8, wide // 7)
        ratio = max((t.image.shape[1] / t.image.shape[2] for t in self.tiles), default=1.0)
        high = wide * min(ratio, 2.0)
        step = high + 4 + 14 * max((len(t.caption.splitlines()) for t in self.tiles), default=0)
        parts = [text(4, 18, self.title, style="font-weight:600;font-size:14px")]
        for number, tile in enumerate(self.tiles):
            x, y = 4 + number % columns * (wide + 4), 30 + number // columns * step
            own = min(high, wide * tile.image.shape[1] / tile.image.shape[2])
            parts.append(image_element(as_rgb(tile.image), x, y, wide, own))
            for row, line in enumerate(tile.caption.splitlines()):
                middle, down = x + wide / 2, y + high + 12 + 14 * row
                parts.append(text(middle, down, shortened(line, words), "middle", "font-size:11px"))
        width = max(columns * (wide + 4) + 4, 320)
        bottom = 30 + -(-len(self.tiles) // columns) * step
        note, more = note_below(self.note, 4, bottom, width - 8)
        return svg_element(width, bottom + 4 + more, self.title, "".join([*parts, note]))

    def writers(self) -> dict[str, Callable[[], bytes]]:
        return {**super().writers(), ".png": lambda: png(self.pixels())}

    def pixels(self) -> Array:
        """The tiles alone as one picture, uint8 (H, W, 3), a gray line between them."""
        columns = max(1, min(self.columns, len(self.tiles)))
        high = max((t.image.shape[1] for t in self.tiles), default=1) + 1
        wide = max((t.image.shape[2] for t in self.tiles), default=1) + 1
        rows = max(1, -(-len(self.tiles) // columns))
        if rows * high * columns * wide > MOST_PIXELS:
            raise PictureError(f"{self.title}: as one picture it has more than {MOST_PIXELS:,} pixels")
        sheet = np.full((rows * high, columns * wide, 3), 128, np.uint8)
        for number, tile in enumerate(self.tiles):
            top, left = number // columns * high, number % columns * wide
            sheet[top : top + tile.image.shape[1], left : left + tile.image.shape[2]] = as_rgb(tile.image)
        return sheet[:-1, :-1]


def drawable(values: Array) -> Array | None:
    """An example as a picture that can be drawn, uint8 (1 or 3, H, W): other numbers from the least, black, to the greatest.

    None for what is no picture, or has another number of channels.
    """
    if values.ndim != 3 or values.shape[0] not in (1, 3) or not values.size:
        return None
    if values.dtype == np.uint8:
        return values
    low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if low < high else 0.0
    return np.rint((values - low) * scale).astype(np.uint8)


def checked_image(what: str, image: Array) -> None:
    """Raise `PictureError` for what is not a picture, uint8 (C, H, W) with 1 or 3 channels."""
    if image.ndim != 3 or image.shape[0] not in (1, 3) or image.dtype != np.uint8 or not image.size:
        raise PictureError(f"{what}: wants uint8 (1 or 3, H, W), got {image.dtype} {image.shape}")


def checked_ends(what: str, ends: tuple[float, float] | None) -> tuple[float, float] | None:
    """The ends of a scale of colors as floats; raise `PictureError` where they are none."""
    if ends is None:
        return None
    low, high = map(float, ends)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise PictureError(f"{what}: a scale ends at two finite numbers, the smaller first, got {low:g} and {high:g}")
    return low, high
