"""Anchors: boxes of a few sizes and shapes around every element of the maps, which the network moves onto objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.detect.fast_rcnn.network import STRIDE
from pellucid.plain import Array


def anchors_of(sizes: Sequence[float], ratios: Sequence[float]) -> Array:
    """The anchors of the first element of the maps, float64 (len(ratios) * len(sizes), 4): for each ratio every size.

    A size is the side of a square of the same area, in pixels of the canvas; a ratio is height by width. As the authors do, the shape
    is rounded at the element's own size, 16 pixels, and then enlarged. (Ren et al. 2015, section 3.1.1)
    """
    widths = np.round(STRIDE / np.sqrt(np.asarray(ratios, np.float64)))
    heights = np.round(widths * np.asarray(ratios, np.float64))
    shapes = np.stack([widths, heights], 1)[:, None] * (np.asarray(sizes, np.float64)[None, :, None] / STRIDE)
    half = (shapes.reshape(-1, 2) - 1.0) / 2.0
    center = (STRIDE - 1.0) / 2.0
    return np.concatenate([center - half, center + half], 1)


def placed(anchors: Array, rows: int, columns: int) -> Array:
    """Anchors at every element of maps of so many rows and columns: (A * rows * columns, 4), those of one shape together, row by row."""
    down, across = np.meshgrid(np.arange(rows) * STRIDE, np.arange(columns) * STRIDE, indexing="ij")
    moves = np.stack([across, down, across, down], 2).reshape(1, -1, 4)
    return (anchors[:, None] + moves).reshape(-1, 4)


def place_of(number: int, rows: int, columns: int) -> tuple[int, int, int]:
    """Of an anchor of `placed` which shape it has, and the row and column of its element."""
    shape, rest = divmod(number, rows * columns)
    return shape, *divmod(rest, columns)
