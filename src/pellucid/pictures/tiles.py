"""Tiles: small pictures side by side, each with its caption."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.pictures.colors import as_rgb, hatched, image_element
from pellucid.pictures.lettering import MARGIN, cut, note_below, text, titled
from pellucid.pictures.picture import ROOM, Picture, PictureError, svg_element
from pellucid.plain import Array

SIDE, GAP = 70.0, 6.0
"""Pixels that a tile is wide in a drawing, at least, and between two of them."""
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

    def svg(self, room: float = ROOM) -> str:
        return self.drawn(room)

    def drawn(
        self,
        room: float,
        scale: Callable[[float, float], tuple[str, float]] | None = None,
        values: Sequence[Array] = (),
    ) -> str:
        """The drawing, with a scale below the tiles, which is drawn from (y, width) on and says its height.

        Where the tiles' `values` (H, W) are given, what is no finite number is hatched.
        """
        across = room - 2 * MARGIN + GAP
        columns = max(1, min(self.columns, len(self.tiles), int(across // (SIDE + GAP))))
        wide = min(across / columns - GAP, 420.0 if len(self.tiles) == 1 and scale is None else 240.0)
        ratio = max((t.image.shape[1] / t.image.shape[2] for t in self.tiles), default=1.0)
        high = max(8.0, wide * min(ratio, 2.0))
        step = high + GAP + 14 * max((len(t.caption.splitlines()) for t in self.tiles), default=0)
        head, top = titled(self.title, MARGIN, room)
        parts = [head]
        for number, tile in enumerate(self.tiles):
            x, y = MARGIN + number % columns * (wide + GAP), top + number // columns * step
            rows, pixels = tile.image.shape[1:]
            zoom = min(wide / pixels, high / rows)
            own = max(1.0, pixels * zoom), max(1.0, rows * zoom)
            left = x + (wide - own[0]) / 2
            parts.append(image_element(as_rgb(tile.image), left, y, *own))
            if number < len(values):
                parts.append(hatched(values[number], left, y, *own))
            for row, line in enumerate(tile.caption.splitlines()):
                middle, down = x + wide / 2, y + high + 12 + 14 * row
                parts.append(text(middle, down, cut(line, wide, 11), "middle", "font-size:11px"))
        bottom = top + -(-len(self.tiles) // columns) * step
        if scale is not None:
            drawn, more = scale(bottom + 2, min(room - 2 * MARGIN, 280.0))
            parts.append(drawn)
            bottom += more + 2
        note, more = note_below(self.note, MARGIN, bottom, room - 2 * MARGIN)
        return svg_element(room, bottom + more + MARGIN, self.title, "".join([*parts, note]))

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
