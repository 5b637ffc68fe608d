"""What segDPM says of a box and a segment: how much of the segment lies in the box, and how much of the box is something else."""

from __future__ import annotations

import numpy as np

from pellucid.detect.boxes import overlaps
from pellucid.detect.segments.counting import counted, nearest, placed, sums_of
from pellucid.detect.segments.segment_set import tight_boxes
from pellucid.plain import Array

NAMES = ("seg-in", "seg-out", "back-in", "back-out", "overlap", "void")
NO_OVERLAP = 0.7
"""What is taken off the overlap, so that a weak one costs."""
VOID = np.array([0.0, 0.0, 0.0, 0.0, 0.0, -NO_OVERLAP])
"""What is said of a box where no segment is chosen."""


def segdpm_features(boxes: Array, masks: Array, shape: tuple[int, ...]) -> Array:
    """Of boxes (B, 4) on a picture of `shape` (its last two numbers are rows and columns) and masks bool (S, h, w): float64 (B, S, 6).

    With N pixels of the picture, S those of the segment and B those of the box: |S and B| / |S| and 1 less that; |B without S| /
    (N - |S|) and |neither| / (N - |S|), 0 where the segment is the picture; intersection over union of B and the box around S,
    less 0.7; and 0, as `VOID` alone has something there. (Fidler et al., Bottom-up segmentation for top-down detection, 2013)
    """
    on = placed(boxes, shape[-2:], masks)
    low, high = nearest(on[:, :2]), nearest(on[:, 2:]) + 1
    inside = counted(sums_of(masks), (low[:, 1], high[:, 1]), (low[:, 0], high[:, 0]))
    pixels, sizes = masks.shape[1] * masks.shape[2], masks.sum((1, 2))
    own = (high - low).prod(1)[:, None] - inside
    others = pixels - sizes
    found = np.zeros((*inside.shape, len(NAMES)))
    found[:, :, 0] = inside / np.maximum(sizes, 1)
    found[:, :, 1] = 1.0 - found[:, :, 0]
    found[:, :, 2] = own / np.maximum(others, 1)
    found[:, :, 3] = (others - own) / np.maximum(others, 1)
    found[:, :, 4] = overlaps(on, tight_boxes(masks)) - NO_OVERLAP
    return found
