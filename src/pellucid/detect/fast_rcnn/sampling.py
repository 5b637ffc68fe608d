"""What a training step sees of a picture: some of its proposals, a quarter of them on objects, and what each should become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.detect.box_coding import encode
from pellucid.detect.boxes import overlaps
from pellucid.detect.config import ON_OBJECT
from pellucid.detect.pictures_with_boxes import Objects
from pellucid.plain import Array

REGIONS = 64
"""Regions of each picture in a step."""
FOREGROUND = 0.25
"""The share of them that lie on an object, at most."""


@dataclass(frozen=True)
class Candidates:
    """Regions of a picture with what each lies on: `boxes` (N, 4), `labels` int64 (N,) of the object that each overlaps most, the
    `overlaps` with it (N,), and `offsets` (N, 4) from region to object. The objects themselves come first."""

    boxes: Array
    labels: Array
    overlaps: Array
    offsets: Array

    @classmethod
    def of(cls, objects: Objects, proposals: Array) -> Candidates:
        """The objects of a picture, difficult ones too, and proposals on it."""
        boxes = np.concatenate([objects.boxes, proposals])
        if not len(objects):
            nothing = np.zeros(len(boxes))
            return cls(boxes, nothing.astype(np.int64), nothing, np.zeros((len(boxes), 4)))
        shared = overlaps(boxes, objects.boxes)
        nearest = shared.argmax(1)
        return cls(boxes, objects.labels[nearest], shared.max(1), encode(boxes, objects.boxes[nearest]))


@dataclass(frozen=True)
class SampledRegions:
    """Regions of a step: `boxes` (R, 4), `labels` (R,) with 0 for background, `offsets` (R, 4) that count where it is not 0."""

    boxes: Array
    labels: Array
    offsets: Array


def sample(
    candidates: Candidates,
    numbers: np.random.Generator,
    count: int = REGIONS,
    background: float = 0.1,
    balanced: bool = False,
) -> SampledRegions:
    """At most `count` regions: up to a quarter on objects, the rest of background, which overlap an object by `background` or more.

    Those that nearly hit teach most (Girshick 2015, section 2.3). Those on objects are drawn evenly over regions, or, if `balanced`, over
    the classes that there are.
    """
    on = np.flatnonzero(candidates.overlaps >= ON_OBJECT)
    off = np.flatnonzero((candidates.overlaps >= background) & (candidates.overlaps < ON_OBJECT))
    if not len(off):  # such as on a picture without objects
        off = np.flatnonzero(candidates.overlaps < ON_OBJECT)
    order = _over_classes(candidates.labels[on], numbers) if balanced else numbers.permutation(len(on))
    front = on[order][: round(count * FOREGROUND)]
    back = numbers.permutation(off)[: count - len(front)]
    chosen = np.concatenate([front, back])
    labels = np.where(np.arange(len(chosen)) < len(front), candidates.labels[chosen] + 1, 0)
    return SampledRegions(candidates.boxes[chosen], labels, candidates.offsets[chosen])


def _over_classes(labels: Array, numbers: np.random.Generator) -> Array:
    """An order of regions at random in which those of each class among `labels` (N,) come equally soon."""
    share = 1.0 / np.bincount(labels)[labels] if len(labels) else np.zeros(0)
    return np.argsort(numbers.exponential(size=len(labels)) / share, kind="stable")


@dataclass(frozen=True)
class Normalization:
    """Mean and deviation of offsets by class, (K, 4) each: what is learned has mean 0 and deviation 1."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, candidates: list[Candidates], classes: int) -> Normalization:
        """Those of all regions on objects; a class with fewer than 2 takes those of all classes together."""
        on = [c.overlaps >= ON_OBJECT for c in candidates]
        offsets = np.concatenate([np.zeros((0, 4)), *(c.offsets[k] for c, k in zip(candidates, on, strict=True))])
        labels = np.concatenate([np.zeros(0, np.int64), *(c.labels[k] for c, k in zip(candidates, on, strict=True))])
        whole = (offsets.mean(0), np.maximum(offsets.std(0), LEAST)) if len(offsets) else (np.zeros(4), np.ones(4))
        mean, deviation = (np.tile(one, (classes, 1)) for one in whole)
        for label in range(classes):
            own = offsets[labels == label]
            if len(own) > 1:
                mean[label], deviation[label] = own.mean(0), np.maximum(own.std(0), LEAST)
        return cls(mean, deviation)


LEAST = 1e-2
"""A deviation is taken to be at least so large: objects that proposals hit exactly have none."""
