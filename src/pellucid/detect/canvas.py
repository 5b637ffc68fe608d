"""Pictures of any size on a few sizes of canvas, so that a network is compiled a few times only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.data import Preprocessing
from pellucid.plain import Array

MULTIPLE = 32
"""Sides of a canvas are multiples of it."""


@dataclass(frozen=True)
class Canvas:
    """A canvas of `size` (rows, columns), and how many of its pixels a pixel of the picture takes."""

    size: tuple[int, int]
    zoom: float

    def onto(self, boxes: Array) -> Array:
        """Boxes of the picture on the canvas."""
        return boxes * self.zoom

    def back(self, boxes: Array) -> Array:
        """Boxes on the canvas as they lie on the picture."""
        return boxes / self.zoom

    def taken(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that a picture takes of it, from the corner on."""
        rows, columns = self.size
        return min(rows, max(1, round(height * self.zoom))), min(columns, max(1, round(width * self.zoom)))

    def parted(self, values: Array, height: int, width: int) -> Array:
        """What pixels of the canvas add, as what those of the picture that lie there do: float64 (height, width), of the same sum."""
        rows, columns = self.taken(height, width)
        return parted(values[:rows, :columns], (height, width))


def canvas_for(height: int, width: int, longest: int) -> Canvas:
    """Of a wide, an upright and a square canvas the one that shows a picture largest, with sides up to `longest`."""
    short, square = _rounded(longest * 3 / 4), _rounded(longest * 7 / 8)
    sizes = ((short, _rounded(longest)), (_rounded(longest), short), (square, square))
    return max((Canvas(size, min(size[0] / height, size[1] / width)) for size in sizes), key=lambda canvas: canvas.zoom)


def _rounded(side: float) -> int:
    return max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE)


def drawn(image: Array, canvas: Canvas, preprocessing: Preprocessing, mirrored: bool = False) -> Array:
    """A picture uint8 (3, H, W) on a canvas, normalized, float32 (3, rows, columns); what it leaves free is 0, the mean."""
    from PIL import Image

    rows, columns = canvas.taken(*image.shape[1:])
    scaled = Image.fromarray(image.transpose(1, 2, 0)).resize((columns, rows), Image.Resampling.BILINEAR)
    pixels = np.asarray(scaled).transpose(2, 0, 1)
    whole = np.zeros((3, *canvas.size), np.float32)
    normalized = preprocessing.normalize(pixels[None])[0]
    whole[:, :rows, :columns] = normalized[:, :, ::-1] if mirrored else normalized
    return whole


def mirrored(boxes: Array, width: int) -> Array:
    """Boxes on a picture `width` pixels wide as they lie in a mirror."""
    return np.stack([width - 1 - boxes[:, 2], boxes[:, 1], width - 1 - boxes[:, 0], boxes[:, 3]], 1)


def parted(values: Array, size: tuple[int, int]) -> Array:
    """Numbers (h, w) on a grid of `size` over the same area, each parted among what it covers by their areas: float64, of the same sum."""
    rows, columns = (_covered(*counts) for counts in zip(size, values.shape, strict=True))
    return rows @ values @ columns.T


def _covered(count: int, before: int) -> Array:
    """Of each of `before` equal parts of a line the share that lies in each of `count` equal parts: float64 (count, before), columns add up to 1."""
    starts, own = np.arange(count)[:, None] / count, np.arange(before) / before
    return np.clip(np.minimum(starts + 1 / count, own + 1 / before) - np.maximum(starts, own), 0, None) * before
