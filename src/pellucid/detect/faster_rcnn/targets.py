"""What the proposal network is to learn from a picture: which anchors are on an object, and how these become its box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.detect.box_coding import encode
from pellucid.detect.boxes import overlaps
from pellucid.plain import Array

ANCHORS = 256
"""Anchors of a picture that a step learns from."""
FOREGROUND = 0.5
"""The share of them that are on an object, at most."""
ON_OBJECT = 0.7
"""The overlap from which on an anchor is on an object."""
OFF_OBJECTS = 0.3
"""Below this overlap with every object it is background."""
UNUSED = -1


@dataclass(frozen=True)
class AnchorTargets:
    """Of every anchor: `labels` int8 (A,), 1 on an object, 0 for background, UNUSED for neither; `offsets` (A, 4) to the object's box."""

    labels: Array
    offsets: Array

    @property
    def counts(self) -> tuple[int, int]:
        """How many are on an object, and how many are background."""
        return int((self.labels == 1).sum()), int((self.labels == 0).sum())


def targets_of(anchors: Array, boxes: Array, extent: Array) -> AnchorTargets:
    """What anchors (A, 4) are, of objects `boxes` (N, 4) on a picture whose last pixel lies at `extent` (x, y).

    On an object are those that overlap one by 0.7 or more, and of each object those that overlap it most; background are those
    that overlap none by 0.3. Anchors that reach over the edge are neither. (Ren et al. 2015, sections 3.1.2 and 3.1.3)
    """
    labels = np.full(len(anchors), UNUSED, np.int8)
    offsets = np.zeros((len(anchors), 4))
    inside = np.flatnonzero((anchors[:, :2] >= 0).all(1) & (anchors[:, 2:] <= extent).all(1))
    if not len(boxes):
        labels[inside] = 0
        return AnchorTargets(labels, offsets)
    if not len(inside):
        return AnchorTargets(labels, offsets)
    shared = overlaps(anchors[inside], boxes)
    most = shared.max(1)
    of_each = shared.max(0)
    best = ((shared == of_each) & (of_each > 0)).any(1)
    labels[inside[most < OFF_OBJECTS]] = 0
    labels[inside[best | (most >= ON_OBJECT)]] = 1
    offsets[inside] = encode(anchors[inside], boxes[shared.argmax(1)])
    return AnchorTargets(labels, offsets)


def sampled(targets: AnchorTargets, numbers: np.random.Generator, count: int = ANCHORS) -> AnchorTargets:
    """At most `count` of the anchors: up to a half of them on objects, the rest of background."""
    front = numbers.permutation(np.flatnonzero(targets.labels == 1))[: round(count * FOREGROUND)]
    back = numbers.permutation(np.flatnonzero(targets.labels == 0))[: count - len(front)]
    labels = np.full_like(targets.labels, UNUSED)
    labels[front], labels[back] = 1, 0
    return AnchorTargets(labels, targets.offsets)
