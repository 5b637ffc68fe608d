"""Tiles: small pictures side by side, each with its caption; and maps of numbers as such tiles."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.op import Array
from pellucid.pictures.colours import as_rgb, colour, image_element, limits, png
from pellucid.pictures.picture import Picture, PictureError, note_below, svg_element, text
from pellucid.text import shortened

SIDE = 76
"""Pixels that a tile is wide in a drawing, at least."""


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

    title: str
    tiles: tuple[Tile, ...]
    columns: int = 8
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        tiles = [
            {"caption": t.caption, "shape": list(t.image.shape), "png": base64.b64encode(png(as_rgb(t.image))).decode()}
            for t in self.tiles
        ]
        return {"kind": "tiles", "title": self.title, "columns": self.columns, "note": self.note, "tiles": tiles}

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
        """The tiles alone as one picture, uint8 (H, W, 3), a grey line between them."""
        columns = max(1, min(self.columns, len(self.tiles)))
        high = max((t.image.shape[1] for t in self.tiles), default=1) + 1
        wide = max((t.image.shape[2] for t in self.tiles), default=1) + 1
        sheet = np.full((-(-len(self.tiles) // columns) * high, columns * wide, 3), 128, np.uint8)
        for number, tile in enumerate(self.tiles):
            top, left = number // columns * high, number % columns * wide
            sheet[top : top + tile.image.shape[1], left : left + tile.image.shape[2]] = as_rgb(tile.image)
        return sheet[:-1, :-1]


def map_tiles(
    title: str,
    maps: Array,
    scale: str = "shared",
    signed: bool = False,
    limit: int = 64,
    captions: tuple[str, ...] = (),
    note: str = "",
) -> Tiles:
    """Maps (K, H, W) as tiles, dark to light from the smallest to the largest value; the note says of what.

    `scale` is "shared" (of all maps together) or "each" (of every map by itself: it shows form, not size). `signed`
    maps are blue below zero, white at zero and red above. At most `limit` are shown.
    """
    if scale not in ("shared", "each"):
        raise PictureError(f"{title}: scale is 'shared' or 'each', not {scale!r}")
    if maps.ndim != 3:
        raise PictureError(f"{title}: wants maps (K, H, W), got {maps.shape}")
    shown = maps[:limit]
    whole = limits(maps, signed)
    tiles: list[Tile] = []
    for number, one in enumerate(shown):
        own = whole if scale == "shared" else limits(one, signed)
        caption = captions[number] if captions else str(number)
        tiles.append(Tile(colour(one, *own, signed).transpose(2, 0, 1), caption))
    ends = "blue {:.4g}, white 0, red {:.4g}" if signed else "dark {:.4g}, light {:.4g}"
    words = [ends.format(*whole) + " on all maps" if scale == "shared" else "each map on its own scale: form, not size"]
    words += [f"{len(shown)} of {len(maps)} maps"] if len(maps) > limit else []
    return Tiles(title, tuple(tiles), min(8, max(1, len(tiles))), "; ".join([*words, *([note] if note else [])]))


def checked_image(what: str, image: Array) -> None:
    """Raise `PictureError` for what is not a picture, uint8 (C, H, W) with 1 or 3 channels."""
    if image.ndim != 3 or image.shape[0] not in (1, 3) or image.dtype != np.uint8 or not image.size:
        raise PictureError(f"{what}: wants uint8 (1 or 3, H, W), got {image.dtype} {image.shape}")
