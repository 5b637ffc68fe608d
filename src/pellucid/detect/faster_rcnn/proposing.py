"""From what the network says of anchors to regions, as part of the graph: boxes are moved, cut, and thinned out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid import ops
from pellucid.detect.box_coding import MOST_GROWTH
from pellucid.graph import Tensor, constant
from pellucid.ops.selection import blank, select_boxes
from pellucid.plain import Array

OVERLAP = 0.7
"""Of two proposals that overlap by more, the surer one stays."""
CONSIDERED = 6000
"""The surest anchors that may become proposals when a picture is looked at, as in the authors' code."""
SMALLEST = 8.0
"""Pixels of the canvas that a proposal is wide and high at least."""
LOWEST = -1e30
"""The objectness of what is no proposal."""


@dataclass(frozen=True)
class ProposedRegions:
    """Proposals on a canvas, the surest first: `boxes` (most, 4), which anchor each was, `places` int64 (most,), and how many there are, `count`.

    `moved` (A, 4) are all anchors where the network moves them; `scores` (A,) their objectness, `LOWEST` for what is too small.
    """

    boxes: Tensor
    places: Tensor
    count: Tensor
    moved: Tensor
    scores: Tensor


def proposed(
    objectness: Tensor, offsets: Tensor, anchors: Array, extent: Tensor, most: int, considered: int = CONSIDERED
) -> ProposedRegions:
    """Of the objectness (A,) and offsets (A, 4) of a picture's `anchors` at most `most` proposals; `extent` (2,) is its last pixel (x, y).

    Only the surest `considered` anchors are looked at.
    """
    moved = within(decoded(constant(anchors.astype(np.float32)), offsets), extent)
    scores = ops.where(large(moved), objectness, LOWEST)
    if len(anchors) > considered:
        surest = ops.top_k(scores, considered)[1]
        boxes, sure = ops.gather(moved, surest), ops.gather(scores, surest)
    else:
        surest, boxes, sure = None, moved, scores
    edges = ops.concat([boxes[:, :2], boxes[:, 2:] + 1.0], 1)  # of the last pixel, which is inside
    chosen, count = select_boxes(edges[None], sure[None, None], most, OVERLAP, LOWEST / 2)
    places = chosen[:, 2] if surest is None else ops.gather(surest, chosen[:, 2])
    found = blank(ops.gather(moved, places), count, 0)  # where none is, the first anchor may have gone anywhere
    return ProposedRegions(found, places, count, moved, scores)


def decoded(boxes: Tensor, offsets: Tensor) -> Tensor:
    """`box_coding.decode` of tensors (N, 4)."""
    sizes = ops.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    centers = (boxes[:, :2] + boxes[:, 2:]) * 0.5 + offsets[:, :2] * sizes
    half = sizes * ops.exp(ops.clip(offsets[:, 2:], -MOST_GROWTH, MOST_GROWTH)) * 0.5
    return ops.concat([centers - half, centers + half], 1)


def encoded(boxes: Tensor, goals: Tensor) -> Tensor:
    """`box_coding.encode` of tensors (N, 4)."""
    ones, others = (ops.maximum(each[:, 2:] - each[:, :2], 1.0) for each in (boxes, goals))
    between = (goals[:, :2] + goals[:, 2:] - boxes[:, :2] - boxes[:, 2:]) * 0.5
    return ops.concat([between / ones, ops.log(others / ones)], 1)


def overlaps(ones: Tensor, others: Tensor) -> Tensor:
    """`boxes.overlaps` of tensors: (N, M) of (N, 4) and (M, 4)."""
    low = ops.maximum(ones[:, None, :2], others[None, :, :2])
    high = ops.minimum(ones[:, None, 2:], others[None, :, 2:])
    sides = ops.maximum(high - low + 1.0, 0.0)
    shared = sides[:, :, 0] * sides[:, :, 1]
    return shared / (_areas(ones)[:, None] + _areas(others)[None] - shared)


def within(boxes: Tensor, extent: Tensor) -> Tensor:
    """Boxes (N, 4) cut at the edges of a picture whose last pixel lies at `extent` (x, y)."""
    return ops.maximum(ops.minimum(boxes, ops.concat([extent, extent], 0)[None]), 0.0)


def large(boxes: Tensor) -> Tensor:
    """Which of boxes (N, 4) are so wide and high that they may be proposals."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1.0
    return ops.minimum(sides[:, 0], sides[:, 1]) >= SMALLEST


def _areas(boxes: Tensor) -> Tensor:
    sides = boxes[:, 2:] - boxes[:, :2] + 1.0
    return sides[:, 0] * sides[:, 1]
