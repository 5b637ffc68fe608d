"""Boxes as offsets from others: what box regression learns, R-CNN's and Fast R-CNN's."""

from __future__ import annotations

import numpy as np

from pellucid.plain import Array

MOST_GROWTH = float(np.log(1000.0 / 16.0))
"""The logarithm of how many times as large a box is made at most: what a network says at random stays a number."""


def encode(boxes: Array, goals: Array) -> Array:
    """Offsets float64 (N, 4) that turn each of `boxes` into each of `goals`: center by size, and logarithms of sizes.

    Sizes are x2 - x1 here, as in the authors' code, and at least a pixel. (Girshick et al., R-CNN, 2014, appendix C)
    """
    centers, sizes = _centers(boxes)
    wanted, extents = _centers(goals)
    return np.concatenate([(wanted - centers) / sizes, np.log(extents / sizes)], 1)


def decode(boxes: Array, offsets: Array) -> Array:
    """Boxes (N, 4) moved by offsets (N, 4): the inverse of `encode`."""
    centers, sizes = _centers(boxes)
    moved = centers + offsets[:, :2] * sizes
    half = 0.5 * sizes * np.exp(np.clip(offsets[:, 2:], -MOST_GROWTH, MOST_GROWTH))
    return np.concatenate([moved - half, moved + half], 1)


def _centers(boxes: Array) -> tuple[Array, Array]:
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return boxes[:, :2] + 0.5 * (boxes[:, 2:] - boxes[:, :2]), sizes
