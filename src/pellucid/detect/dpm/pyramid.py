"""A picture at many sizes as histograms: parts are looked for at twice the resolution of their object."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.detect.dpm.histograms import histograms, rounded
from pellucid.plain import Array

SMALLEST = 5
"""Cells that the shorter side of a picture has at least, at its smallest."""


@dataclass(frozen=True)
class Level:
    """A picture at one size: `cells` float32 (rows, columns, 32), without those at its edges, `number` from 1 on.

    A cell is `pixels` of the picture wide and high; `octave` counts halvings from the finest.
    """

    number: int
    cells: Array
    pixels: float
    octave: int

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells, with those at the edges."""
        return self.cells.shape[0] + 2, self.cells.shape[1] + 2


def pixels_of(size: tuple[int, ...], cell: int = 8, interval: int = 10) -> dict[int, float]:
    """How many pixels of a picture of `size` (H, W) a cell is wide on each level that it has."""
    shorter = min(size)
    if shorter < SMALLEST * cell:
        return {}
    step = 2.0 ** (1.0 / interval)
    last = 1 + math.floor(math.log(shorter / (SMALLEST * cell)) / math.log(step))
    numbers = [*range(1, min(interval, last) + 1), *range(interval + 1, interval + last + 1)]
    return {number: cell / 2 * step ** (number - 1) for number in numbers}


def pyramid(image: Array, cell: int = 8, interval: int = 10, wanted: Container[int] | None = None) -> dict[int, Level]:
    """Levels by number of a picture uint8 (3, H, W): `interval` for each halving, the first octave with cells of half the size.

    Level l + interval has half the resolution of level l; levels that are not `wanted` are left out. A picture with a side of less than
    5 cells has none.
    """
    pixels = pixels_of(image.shape[1:], cell, interval)
    levels: dict[int, Level] = {}
    whole = image.astype(np.float64)
    for first in [number for number in pixels if number <= interval]:
        numbers = [number for number in pixels if (number - first) % interval == 0]
        if wanted is not None and not any(number in wanted for number in numbers):
            continue
        scaled = resized(whole, (2.0 ** (1.0 / interval)) ** (1 - first))
        for octave, number in enumerate(numbers):
            if octave > 1:
                scaled = resized(scaled, 0.5)
            if wanted is None or number in wanted:
                made = histograms(scaled, cell if octave else cell // 2)
                levels[number] = Level(number, made, pixels[number], octave)
    return dict(sorted(levels.items()))


def resized(image: Array, scale: float) -> Array:
    """A picture float64 (3, H, W) at `scale`, 1 at most: each pixel is the mean of the area that it covers."""
    if scale == 1:
        return image
    down, across = (_shares(side, max(1, rounded(side * scale))) for side in image.shape[1:])
    return np.stack([(across @ (down @ channel).T).T for channel in image])


def _shares(before: int, after: int) -> Any:
    """What share of each of `after` pixels each of `before` has, sparse (after, before)."""
    from scipy.sparse import csr_matrix

    reach = before / after
    ends = np.arange(after + 1) * reach
    most = int(np.ceil(reach)) + 1
    places = np.floor(ends[:-1])[:, None] + np.arange(most)
    covered = np.minimum(places + 1, ends[1:, None]) - np.maximum(places, ends[:-1, None])
    inside = (covered > 1e-9) & (places < before)
    rows = np.nonzero(inside)[0]
    return csr_matrix((covered[inside] / reach, (rows, places[inside].astype(np.int64))), (after, before))
