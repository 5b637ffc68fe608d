"""How many pixels of masks lie in boxes: sums of a whole mask once, then four look-ups for a box."""

from __future__ import annotations

import numpy as np

from pellucid.detect.boxes import within
from pellucid.detect.segments.segment_set import onto_masks
from pellucid.plain import Array


def sums_of(masks: Array) -> Array:
    """Of masks (N, h, w) the pixels above and to the left of each corner between pixels: int32 (N, h + 1, w + 1), 0 at the edges."""
    found = np.zeros((len(masks), masks.shape[1] + 1, masks.shape[2] + 1), np.int32)
    np.cumsum(masks, axis=1, dtype=np.int32, out=found[:, 1:, 1:])
    np.cumsum(found, axis=2, out=found)
    return found


def counted(sums: Array, rows: tuple[Array, Array], columns: tuple[Array, Array]) -> Array:
    """Pixels of each mask in each box, int64 (B, N): `rows` and `columns` say where boxes begin (B,) and before where they end (B,)."""
    (top, bottom), (left, right) = rows, columns
    inside = sums[:, bottom, right] - sums[:, top, right] - sums[:, bottom, left] + sums[:, top, left]
    return inside.T.astype(np.int64)


def placed(boxes: Array, size: tuple[int, ...], masks: Array) -> Array:
    """Boxes (B, 4) of a picture of `size` (rows, columns) on masks (N, h, w), cut at their edges."""
    height, width = masks.shape[1:]
    return within(onto_masks(boxes, size, (height, width)), width, height)


def nearest(values: Array) -> Array:
    """The nearest whole numbers, of two equally near ones the larger, int64."""
    return np.floor(values + 0.5).astype(np.int64)
