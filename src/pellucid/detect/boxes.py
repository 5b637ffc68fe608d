"""Boxes: float64 (N, 4), a row x1, y1, x2, y2 for each, in pixels counted from 0, the last row and column inside the box.

So a box is x2 - x1 + 1 pixels wide, as in PASCAL VOC, whose files count from 1. This module alone knows it: what reads or
writes boxes that are told otherwise changes them here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np

from pellucid.errors import PellucidError
from pellucid.plain import Array
from pellucid.whole_numbers import whole

FARTHEST = 2.0**53
"""Pixels from the origin at most: farther away float64 does not tell one from the next, and areas overflow."""
TOO_FAR = f"pixels are counted up to {FARTHEST:.0f}"


class BoxError(PellucidError, ValueError):
    """Boxes are not four finite numbers each, have no extent, or lie where pixels cannot be counted."""


def as_boxes(values: Sequence[Sequence[float]] | Array, what: str = "boxes") -> Array:
    """Boxes as float64 (N, 4); raises `BoxError` for what is none."""
    try:
        boxes = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise BoxError(f"{what}: wants a row x1, y1, x2, y2 of numbers for each box ({error})") from error
    if boxes.size == 0 and boxes.ndim <= 2:
        return np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise BoxError(f"{what}: wants a row x1, y1, x2, y2 for each box, got shape {boxes.shape}")
    wrong = np.flatnonzero(~np.isfinite(boxes).all(1) | (boxes[:, 2:] < boxes[:, :2]).any(1))
    if wrong.size:
        raise BoxError(
            f"{what}: box {wrong[0]} is {told(boxes[wrong[0]])}; wants finite numbers, x1 to the left of x2 and y1 above y2"
        )
    far = np.flatnonzero(are_far(boxes))
    if far.size:
        raise BoxError(f"{what}: box {far[0]} is {told(boxes[far[0]])}; {TOO_FAR}")
    return boxes


def are_far(boxes: Array) -> Array:
    """Which boxes (..., 4) have a side farther away than pixels can be counted."""
    return np.asarray((np.abs(boxes) > FARTHEST).any(-1))


def one_of(name: str, number: SupportsIndex, count: int) -> int:
    """The number of one of `count` boxes, counted from 0. Raises `BoxError` where there is none of it."""
    if not 0 <= (which := whole(name, "a number", number, raises=BoxError)) < count:
        raise BoxError(f"{name}: there are {count}, counted from 0; there is no {which}")
    return which


def told(box: Array) -> str:
    """A box in words: `x 12 to 40, y 5 to 9`."""
    x1, y1, x2, y2 = (f"{value:.6g}" for value in box)
    return f"x {x1} to {x2}, y {y1} to {y2}"


def from_voc(boxes: Array) -> Array:
    """Boxes of VOC's files, which count pixels from 1."""
    return boxes - 1.0


def from_corners_and_sizes(boxes: Array) -> Array:
    """COCO's x, y, width, height, whose edges lie between pixels."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - 1.0], 1)


def sizes(boxes: Array) -> Array:
    """Width and height of each, (N, 2)."""
    return boxes[:, 2:] - boxes[:, :2] + 1.0


def areas(boxes: Array) -> Array:
    """Pixels of each, (N,)."""
    return sizes(boxes).prod(1)


def intersections(ones: Array, others: Array) -> Array:
    """Pixels that each of `ones` (N, 4) shares with each of `others` (M, 4): (N, M)."""
    low = np.maximum(ones[:, None, :2], others[None, :, :2])
    high = np.minimum(ones[:, None, 2:], others[None, :, 2:])
    return np.clip(high - low + 1.0, 0.0, None).prod(2)


def overlaps(ones: Array, others: Array) -> Array:
    """Intersection over union of each of `ones` (N, 4) with each of `others` (M, 4): (N, M)."""
    shared = intersections(ones, others)
    return shared / (areas(ones)[:, None] + areas(others)[None] - shared)


def clipped(boxes: Array, width: float, height: float) -> Array:
    """What of boxes lies within a picture; a box outside it becomes one without extent (x2 < x1 or y2 < y1)."""
    low = np.maximum(boxes[:, :2], 0.0)
    high = np.minimum(boxes[:, 2:], [width - 1.0, height - 1.0])
    return np.concatenate([low, high], 1)


def within(boxes: Array, width: int, height: int) -> Array:
    """Boxes cut at the edges of a picture; one outside of it lies on its edge."""
    low, high = np.zeros(2), np.array([width - 1.0, height - 1.0])
    cut = clipped(boxes, width, height)
    start = np.clip(cut[:, :2], low, high)
    return np.concatenate([start, np.clip(cut[:, 2:], start, high)], 1)
