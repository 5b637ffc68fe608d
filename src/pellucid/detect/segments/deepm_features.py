"""What segDeepM says of a box and a segment: where in a grid of 3 x 3 cells the segment lies, and what it looks like."""

from __future__ import annotations

import numpy as np

from pellucid.detect.boxes import overlaps
from pellucid.detect.segments.counting import counted, nearest, placed, sums_of
from pellucid.detect.segments.dpm_features import NO_OVERLAP
from pellucid.detect.segments.segment_set import tight_boxes
from pellucid.plain import Array

CELLS = 3
"""Of the grid in each direction."""
WEIGHT = 7.0
"""What all of it is multiplied by, so that it counts beside the numbers of a network (the authors' lambda)."""
GRID = 2 * (CELLS * CELLS + 1) + 1
"""Numbers that do not depend on classes."""


def names_of(classes: tuple[str, ...]) -> list[str]:
    """What each number is called."""
    cells = [f"row {y + 1}, column {x + 1}" for y in range(CELLS) for x in range(CELLS)]
    return [
        *(f"segment in {cell}" for cell in cells),
        "segment outside",
        *(f"no segment in {cell}" for cell in cells),
        "no segment outside",
        "overlap",
        *(f"looks like {name}" for name in classes),
    ]


def segdeepm_features(boxes: Array, masks: Array, potentials: Array, shape: tuple[int, ...], largest: float) -> Array:
    """Of boxes (B, 4) on a picture of `shape`, masks bool (S, h, w) with `potentials` (S, K), and behind them of no segment: float64
    (B, S + 1, 21 + K).

    With A the pixels of its largest proposal, which has a share `largest` of the picture: of each cell the segment's pixels there / |S|, and
    1 less all of these; the pixels there that are not the segment's / A - 1/9; of those outside the box, of n on the whole,
    (them / n - (1 - A/n)) / (A/n); intersection over union with the box around the segment, less 0.7; the sigmoids of its
    potentials, 0 where there is no segment. All of it times 7. (Zhu et al., segDeepM, 2015, section 3.2, and its code)
    """
    empty = np.zeros((1, *masks.shape[1:]), bool)
    every = np.concatenate([masks, empty])
    on = placed(boxes, shape[-2:], every)
    sums = sums_of(every)
    rows, columns = borders(on[:, 1], on[:, 3]), borders(on[:, 0], on[:, 2])
    spans = [((rows[:, y], rows[:, y + 1]), (columns[:, x], columns[:, x + 1])) for y, x in np.ndindex(CELLS, CELLS)]
    inside = np.stack([counted(sums, *span) for span in spans], 2)
    areas = np.stack([(bottom - top) * (right - left) for (top, bottom), (left, right) in spans], 1)
    area = max(1.0, largest * masks.shape[1] * masks.shape[2])
    others = areas[:, None] - inside
    sizes = np.maximum(every.sum((1, 2)), 1)[None, :, None]
    looks = np.zeros((len(every), potentials.shape[1]))
    looks[: len(masks)] = 1.0 / (1.0 + np.exp(-potentials))
    of_segment = inside / sizes
    shared = overlaps(on, tight_boxes(every))
    shared[:, -1] = 0.0
    parts = [
        of_segment,
        1.0 - of_segment.sum(2, keepdims=True),
        others / area - 1.0 / CELLS**2,
        1.0 - others.sum(2, keepdims=True) / area,  # what the formula comes to, for a segment that is the picture, too
        shared[:, :, None] - NO_OVERLAP,
        np.broadcast_to(looks, (len(boxes), *looks.shape)),
    ]
    return WEIGHT * np.concatenate(parts, 2)


def borders(first: Array, last: Array) -> Array:
    """Where cells begin along an axis, and behind them where the last ends: int64 (B, 4), the boxes from `first` to `last` pixel.

    The authors' borders, round(first + m (last - first) / 3), are the last pixels of cells; the first cell has its first pixel.
    """
    steps = nearest(first[:, None] + np.arange(CELLS + 1) * (last - first)[:, None] / CELLS)
    return steps + (np.arange(CELLS + 1) > 0)
