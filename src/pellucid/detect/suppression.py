"""Non-maximum suppression: of boxes that overlap, the surest one stays."""

from __future__ import annotations

import numpy as np

from pellucid.detect.boxes import areas, intersections, overlaps
from pellucid.plain import Array

KEPT = -1
"""What stands for a box that stays in place of the one that suppressed it."""
BEYOND = -2
"""What stands there for a box that nothing suppressed, but that was one too many."""


def suppress(boxes: Array, scores: Array, overlap: float = 0.3, of_the_other: bool = False) -> Array:
    """For each of boxes (N, 4) which one suppressed it, int64 (N,): `KEPT` for those that stay.

    From the surest on (of equal ones the first) a box suppresses those that it overlaps by more than `overlap`: intersection
    over union, or (`of_the_other`, as DPM does) over the other's own area.
    """
    order = np.argsort(-scores, kind="stable")
    by = np.full(len(boxes), KEPT)
    waiting = np.ones(len(boxes), bool)
    for number in order.tolist():
        if not waiting[number]:
            continue
        waiting[number] = False
        rest = np.flatnonzero(waiting)
        shared = shared_with(boxes[number], boxes[rest], of_the_other)
        gone = rest[shared > overlap]
        by[gone] = number
        waiting[gone] = False
    return by


def shared_with(one: Array, others: Array, of_the_other: bool = False) -> Array:
    """What boxes (N, 4) share with one (4,): intersection over union, or over each one's own area: (N,)."""
    if of_the_other:
        return intersections(one[None], others)[0] / np.maximum(areas(others), np.finfo(np.float64).tiny)
    return overlaps(one[None], others)[0]
