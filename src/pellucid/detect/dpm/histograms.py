"""A picture as histograms of its gradients: 32 numbers for each cell of pixels (Felzenszwalb et al. 2010, section 6)."""

from __future__ import annotations

import numpy as np

from pellucid.detect.proposals.compiled import compiled
from pellucid.plain import Array

FEATURES = 32
"""Numbers of a cell: 18 directions, 9 without their sign, 4 of texture, and whether it lies outside of the picture."""
DIRECTIONS = np.round(np.stack([np.cos(np.pi / 9 * np.arange(9)), np.sin(np.pi / 9 * np.arange(9))], 1), 4)
"""Nine directions (x, y), to the four places that the authors' code has."""
OUTSIDE = 31
"""The number that is 1 for a cell outside of the picture and 0 inside."""
_LARGEST, _TEXTURE, _LITTLE = 0.2, 0.2357, 0.0001
MIRROR = np.array([*range(9, -1, -1), *range(17, 9, -1), 18, *range(26, 18, -1), 29, 30, 27, 28, OUTSIDE])
"""Where the numbers of a cell go in a mirror."""


def mirrored(cells: Array) -> Array:
    """Cells, or a filter over them, (rows, columns, 32), as a mirror shows them."""
    return cells[:, ::-1, MIRROR]


def rounded(value: float) -> int:
    """To the nearest whole number, halves up, as C rounds what is positive."""
    return int(np.floor(value + 0.5))


def histograms(image: Array, cell: int) -> Array:
    """Histograms float32 (rows, columns, 32) of a picture float64 (3, H, W), 0 to 255; `cell` pixels to a side.

    The picture has round(H / cell) cells down and round(W / cell) across; those at its edges are used by the others but left out.
    """
    grid = rounded(image.shape[1] / cell), rounded(image.shape[2] / cell)
    if min(grid) < 3 or min(image.shape[1:]) < 3:
        return np.zeros((max(0, grid[0] - 2), max(0, grid[1] - 2), FEATURES), np.float32)
    if (native := compiled()) is None:
        return in_python(image, cell)
    pixels = np.ascontiguousarray(image, np.float64)
    cells = np.empty((grid[0] - 2, grid[1] - 2, FEATURES), np.float32)
    native.gradient_histograms([*image.shape[1:], *grid, cell], pixels.ctypes.data, cells.ctypes.data)
    return cells


def in_python(image: Array, cell: int) -> Array:
    """What `histograms` gives, in Python: the specification."""
    rows, columns = (rounded(side / cell) for side in image.shape[1:])
    votes = _votes(image, cell, rows, columns)
    energy = ((votes[:9] + votes[9:]) ** 2).sum(0)
    blocks = energy[:-1, :-1] + energy[:-1, 1:] + energy[1:, :-1] + energy[1:, 1:]
    scale = 1.0 / np.sqrt(blocks + _LITTLE)
    scales = scale[1:, 1:], scale[:-1, 1:], scale[1:, :-1], scale[:-1, :-1]
    inner = votes[:, 1:-1, 1:-1]
    cells = np.zeros((rows - 2, columns - 2, FEATURES), np.float32)
    signed = np.stack([np.minimum(inner * one, _LARGEST) for one in scales])
    unsigned = np.stack([np.minimum((inner[:9] + inner[9:]) * one, _LARGEST) for one in scales])
    cells[..., :18] = 0.5 * signed.sum(0).transpose(1, 2, 0)
    cells[..., 18:27] = 0.5 * unsigned.sum(0).transpose(1, 2, 0)
    cells[..., 27:OUTSIDE] = _TEXTURE * signed.sum(1).transpose(1, 2, 0)
    return cells


def _votes(image: Array, cell: int, rows: int, columns: int) -> Array:
    """Each pixel's gradient in the four cells nearest to it, by direction: (18, rows, columns)."""
    down, across = np.arange(1, rows * cell - 1), np.arange(1, columns * cell - 1)
    y, x = np.minimum(down, image.shape[1] - 2)[:, None], np.minimum(across, image.shape[2] - 2)[None]
    slopes = np.stack([image[:, y, x + 1] - image[:, y, x - 1], image[:, y + 1, x] - image[:, y - 1, x]], 3)
    strongest = (slopes**2).sum(3).argmax(0)
    slope = np.take_along_axis(slopes, strongest[None, :, :, None], 0)[0]
    along = slope @ DIRECTIONS.T
    turned = np.stack([along, -along], 3).reshape(*along.shape[:2], 18).argmax(2)
    direction = turned // 2 + 9 * (turned % 2)
    size = np.sqrt((slope**2).sum(2))
    votes = np.zeros(18 * rows * columns)
    (top, low), (left, right) = _between(down, cell), _between(across, cell)
    for row, part_down in ((top, 1.0 - low), (top + 1, low)):
        for column, part_across in ((left, 1.0 - right), (left + 1, right)):
            inside = ((row >= 0) & (row < rows))[:, None] & ((column >= 0) & (column < columns))[None]
            place = (direction * rows + row[:, None]) * columns + column[None]
            weight = size * part_down[:, None] * part_across[None]
            votes += np.bincount(place[inside], weight[inside], len(votes))
    return votes.reshape(18, rows, columns)


def _between(pixels: Array, cell: int) -> tuple[Array, Array]:
    """The cell before each pixel's middle, and how far it is on the way to the next."""
    place = (pixels + 0.5) / cell - 0.5
    before = np.floor(place).astype(np.int64)
    return before, place - before
