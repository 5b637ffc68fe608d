"""What Fast R-CNN's heads learn from a picture, as part of the graph: some of its proposals, a quarter of them on objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid import ops
from pellucid.detect.fast_rcnn.sampling import FOREGROUND, ON_OBJECT, REGIONS
from pellucid.detect.faster_rcnn.proposing import ProposedRegions, encoded, overlaps
from pellucid.graph import Tensor, constant
from pellucid.ops.selection import is_used

DEVIATION = (0.1, 0.1, 0.2, 0.2)
"""Offsets are learned by parts of so much, as the authors' code does where proposals change while it learns."""


@dataclass(frozen=True)
class LearnedRegions:
    """Regions of a step: `boxes` (R, 4), `labels` (R,) as numbers, 0 for background; which count at all, `used` (R,), and for their box,
    `on_object` (R,), both 0 or 1; the `goals` (R, 4) of their offsets."""

    boxes: Tensor
    labels: Tensor
    used: Tensor
    on_object: Tensor
    goals: Tensor


def learned(regions: ProposedRegions, objects: Tensor, labels: Tensor, chances: Tensor) -> LearnedRegions:
    """Of a picture's proposals and its `objects` (G, 4) with `labels` (G,), 0 for none, some by their `chances` (P + G,) in [0, 1).

    As `fast_rcnn.sampling.sample`, except that every region which overlaps objects by less than a half is background: where the
    network proposes, those that nearly hit are most of them.
    """
    boxes = ops.concat([ops.stop_gradient(regions.boxes), objects], 0)
    there = ops.concat([_numbers(is_used(regions.count, regions.boxes.shape, 0))[:, 0], _numbers(labels > 0.0)], 0)
    most = ops.max(_of_objects(boxes, objects, labels), 1)
    on = there * _numbers(most >= ON_OBJECT)
    first = ops.where(on > 0.0, chances, -1.0)
    count = min(REGIONS, boxes.shape[0])
    (last,) = _largest(first, max(1, round(count * FOREGROUND)), [first])
    taken = on * _numbers(first >= last[-1])
    order = ops.where(taken > 0.0, chances + 2.0, ops.where(there - on > 0.0, chances, -1.0))
    chosen, rank = _largest(order, count, [boxes, order])
    shared = _of_objects(chosen, objects, labels)
    nearest = ops.argmax(shared, 1)
    used = _numbers(rank >= 0.0)
    on_object = _numbers(rank >= 2.0)
    goals = encoded(chosen, ops.gather(objects, nearest)) / constant(np.array(DEVIATION, np.float32))
    return LearnedRegions(chosen, ops.gather(labels, nearest) * on_object, used, on_object, goals * on_object[:, None])


def _of_objects(boxes: Tensor, objects: Tensor, labels: Tensor) -> Tensor:
    """Overlaps (N, G) with what is an object; -1 with what only fills up."""
    return ops.where((labels > 0.0)[None], overlaps(boxes, objects), -1.0)


def _largest(of: Tensor, count: int, taken: list[Tensor]) -> list[Tensor]:
    """The rows of each tensor where `of` is largest, `count` of them."""
    places = ops.top_k(of, count)[1]
    return [ops.gather(each, places) for each in taken]


def _numbers(condition: Tensor) -> Tensor:
    return ops.cast(condition, "float32")
