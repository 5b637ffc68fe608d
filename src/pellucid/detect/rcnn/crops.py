"""Regions of a picture as the network sees them: with context around them, warped to one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.data import Preprocessing
from pellucid.plain import Array


@dataclass(frozen=True)
class Crop:
    """Which part of a picture goes where on a square: rows and columns of the picture (`top` to before `bottom`, `left` to before
    `right`) are scaled to `height` x `width` and laid at (`y`, `x`); the rest of the square lies outside the picture."""

    top: int
    bottom: int
    left: int
    right: int
    y: int
    x: int
    height: int
    width: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the picture is seen."""
        return min(self.bottom - self.top, self.right - self.left, self.height, self.width) < 1

    def rows(self) -> Array:
        """Where the centers of its rows lie among those of the picture, float64 (height,)."""
        return _centers(self.top, self.bottom, self.height)

    def columns(self) -> Array:
        """Where the centers of its columns lie among those of the picture, float64 (width,)."""
        return _centers(self.left, self.right, self.width)


def crop_of(box: Array, size: tuple[int, int], side: int, context: int) -> Crop:
    """The crop of a box on a picture of `size` (rows, columns) for a square of `side` pixels, `context` of which are around the box.

    The box grows about its center by side / (side - 2 context), is rounded, cut at the picture's edges, and both its sides are scaled
    to the square's, each by itself. (Girshick et al. 2014, appendix A; the authors' rcnn_im_crop)
    """
    grown = side / (side - 2.0 * context)
    halves = (box[2:] - box[:2] + 1.0) / 2.0
    centers = box[:2] + 1.0 + halves  # the authors count pixels from 1 and round so
    first, last = _rounded(centers - halves * grown) - 1, _rounded(centers + halves * grown) - 1
    ends = np.array([size[1], size[0]])
    start, stop = np.maximum(first, 0), np.minimum(last, ends - 1) + 1
    zoom = side / (last - first + 1)
    free = _rounded(np.maximum(-first, 0) * zoom)
    extent = np.minimum(_rounded((stop - start) * zoom), side - free)
    (left, top), (right, bottom), (x, y), (width, height) = (v.tolist() for v in (start, stop, free, extent))
    return Crop(top, bottom, left, right, y, x, height, width)


def cut_out(image: Array, crop: Crop, side: int, preprocessing: Preprocessing) -> Array:
    """The crop of a picture uint8 (3, H, W), normalized, float32 (3, side, side): bilinear, and exactly 0, the mean, outside the picture."""
    square = np.zeros((3, side, side), np.float32)
    if crop.is_empty:
        return square
    part = image[:, crop.top : crop.bottom, crop.left : crop.right]
    low, high, share = _between(crop.rows() - crop.top, part.shape[1])
    rows = part[:, low] * (1 - share)[:, None] + part[:, high] * share[:, None]
    low, high, share = _between(crop.columns() - crop.left, part.shape[2])
    pixels = rows[:, :, low] * (1 - share) + rows[:, :, high] * share
    square[:, crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] = preprocessing.normalize(pixels)
    return square


def onto_picture(values: Array, crop: Crop, size: tuple[int, int]) -> Array:
    """Numbers of the square's pixels, summed up where they lie on a picture of `size`: float64 (H, W), of the same sum but for what is outside."""
    whole = np.zeros(size)
    if not crop.is_empty:
        seen = values[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
        rows, columns = np.round(crop.rows()).astype(int), np.round(crop.columns()).astype(int)
        np.add.at(whole, (rows[:, None], columns[None]), seen)
    return whole


def _rounded(values: Array) -> Array:
    """The nearest integers, of two equally near ones that farther from 0, as in MATLAB and C."""
    return (np.sign(values) * np.floor(np.abs(values) + 0.5)).astype(np.int64)


def _centers(first: int, end: int, count: int) -> Array:
    inside = (np.arange(count) + 0.5) * ((end - first) / count) - 0.5
    return first + np.clip(inside, 0, end - first - 1)


def _between(places: Array, count: int) -> tuple[Array, Array, Array]:
    """The two pixels that each place lies between, and the second's share, float32."""
    low = np.floor(places).astype(np.int64)
    return low, np.minimum(low + 1, count - 1), (places - low).astype(np.float32)
