"""A picture file as it is, to draw on, and the part of it that a network is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data.image import Preprocessing, read_image
from pellucid.data.sample import Array

LONGEST = 1600
"""Pixels of a photo's longer side, which is made smaller beyond: more than a slide or a sheet of paper shows."""

Span = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture upright and in color, `pixels` uint8 (3, H, W); the network is given its `rows` and `columns` (ends excluded)."""

    pixels: Array
    rows: Span
    columns: Span

    def within(self, side: int) -> Photo:
        """The same, no longer than `side` pixels."""
        from PIL import Image

        high, wide = self.pixels.shape[1:]
        if max(high, wide) <= side:
            return self
        size = max(1, round(wide * side / max(high, wide))), max(1, round(high * side / max(high, wide)))
        small = Image.fromarray(self.pixels.transpose(1, 2, 0)).resize(size, Image.Resampling.LANCZOS)
        rows, columns = (_scaled(*each) for each in ((self.rows, high, size[1]), (self.columns, wide, size[0])))
        return Photo(np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1)), rows, columns)


def photo_of(preprocessing: Preprocessing, source: Path | bytes) -> Photo:
    """A picture file as it is, no larger than `LONGEST`; what it is read as for the network, `Preprocessing.read` says."""
    pixels = read_image(source, 3)
    return Photo(pixels, *part_read(preprocessing, *pixels.shape[1:])).within(LONGEST)


def part_read(preprocessing: Preprocessing, high: int, wide: int) -> tuple[Span, Span]:
    """The rows and columns of a picture of this size that are resized to the network's input."""
    rows, columns = preprocessing.image_size
    share = preprocessing.crop
    part = (share * min(high, wide * rows / columns), share * min(wide, high * columns / rows))
    return _middle(part[0], high), _middle(part[1], wide)


def _middle(part: float, whole: int) -> Span:
    size = min(whole, max(1, round(part)))
    start = (whole - size + 1) // 2
    return start, start + size


def _scaled(part: Span, whole: int, size: int) -> Span:
    start = min(size - 1, round(part[0] * size / whole))
    return start, max(start + 1, round(part[1] * size / whole))
