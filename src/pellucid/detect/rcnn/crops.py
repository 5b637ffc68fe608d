"""Regions of a picture as the network sees them: with context around them, warped to one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.data import Preprocessing
from pellucid.detect.boxes import clipped, sizes
from pellucid.detect.canvas import parted
from pellucid.detect.proposals.compiled import compiled
from pellucid.plain import Array


@dataclass(frozen=True)
class CropSettings:
    """How regions become squares of `side` pixels: `padding` of these lie around the region, on each side.

    Before that a region is enlarged by `context` times its width and height on each side: 0 looks at the region itself, 0.5 at
    twice its width and height, as the network for context does (Zhu et al. 2015).
    """

    side: int
    padding: int = 16
    context: float = 0.0


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


def crop_of(box: Array, size: tuple[int, int], side: int, padding: int, context: float = 0.0) -> Crop:
    """The crop of a box on a picture of `size` (rows, columns), as `crops_of` places it."""
    return Crop(*crops_of(box[None], size, CropSettings(side, padding, context))[0].tolist())


def crops_of(boxes: Array, size: tuple[int, int], how: CropSettings) -> Array:
    """The crops of boxes (R, 4) on a picture of `size` (rows, columns): int64 (R, 8), the fields of a `Crop` in their order.

    A box grows about its center by side / (side - 2 padding), without padding not at all, is rounded, cut at the picture's edges, and
    both its sides are scaled to the square's, each by itself. (Girshick et al. 2014, appendix A; the authors' rcnn_im_crop)
    """
    boxes = enlarged(boxes, size, how.context) if how.context else boxes
    low, high = boxes[:, :2] + 1.0, boxes[:, 2:] + 1.0  # the authors count pixels from 1 and round so
    if how.padding:
        grown, halves = how.side / (how.side - 2.0 * how.padding), sizes(boxes) / 2.0
        low, high = low + halves - halves * grown, low + halves + halves * grown
    first, last = _rounded(low) - 1, _rounded(high) - 1
    ends = np.array([size[1], size[0]])
    start, stop = np.maximum(first, 0), np.minimum(last, ends - 1) + 1
    zoom = how.side / (last - first + 1)
    free = _rounded(np.maximum(-first, 0) * zoom)
    extent = np.minimum(_rounded((stop - start) * zoom), how.side - free)
    (left, top), (right, bottom), (x, y), (width, height) = (v.T for v in (start, stop, free, extent))
    return np.stack([top, bottom, left, right, y, x, height, width], 1)


def enlarged(boxes: Array, size: tuple[int, int], share: float) -> Array:
    """Boxes (R, 4) grown by `share` of their width and height on each side, rounded, and cut at the edges of a picture of `size`."""
    more = sizes(boxes) * share
    grown = np.concatenate([_rounded(boxes[:, :2] + 1 - more), _rounded(boxes[:, 2:] + 1 + more)], 1) - 1.0
    cut = clipped(grown, size[1], size[0])
    outside = (cut[:, 2:] < cut[:, :2]).any(1, keepdims=True)
    return np.where(outside, grown, cut)


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


def squares_of(image: Array, boxes: Array, how: CropSettings, preprocessing: Preprocessing) -> Array:
    """Regions (R, 4) of a picture uint8 (3, H, W), each as `cut_out` gives it: float32 (R, 3, side, side)."""
    height, width = image.shape[1:]
    crops = np.ascontiguousarray(crops_of(boxes, (height, width), how))
    found = np.empty((len(crops), 3, how.side, how.side), np.float32)
    if (native := compiled()) is None:
        for number, crop in enumerate(crops.tolist()):
            found[number] = cut_out(image, Crop(*crop), how.side, preprocessing)
        return found
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    affine, picture = np.concatenate([1 / (255 * std), -mean / std]).astype(np.float32), np.ascontiguousarray(image)
    addresses = (array.ctypes.data for array in (picture, crops, affine, found))
    native.cut_squares([len(crops), height, width, how.side], *addresses)
    return found


def onto_picture(values: Array, crop: Crop, size: tuple[int, int]) -> Array:
    """What the square's pixels add, as what those of a picture of `size` do: float64 (H, W), of the same sum but for what is outside."""
    whole = np.zeros(size)
    if not crop.is_empty:
        seen = values[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
        part = crop.bottom - crop.top, crop.right - crop.left
        whole[crop.top : crop.bottom, crop.left : crop.right] = parted(seen, part)
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
