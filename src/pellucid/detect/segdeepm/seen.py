"""What the segments of a picture say of its regions: a few that look most like objects, each for the class that it looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.detect.boxes import areas
from pellucid.detect.segments.deepm_features import segdeepm_features
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.plain import Array

OWNED = 3
"""Segments of a picture that count, those with the largest potentials."""


@dataclass(frozen=True)
class Seen:
    """S segments that count, the surest first, each for the class `owners` int64 (S,); what they say of R regions, `features` (R, S + 1, F), of no
    segment last; and which of them each class may choose, `allowed` bool (S + 1, K): its own, or none where it has no own."""

    segments: SegmentSet
    owners: Array
    features: Array
    allowed: Array

    @classmethod
    def of(cls, segments: SegmentSet, regions: Array, largest: float) -> Seen:
        """Of all segments of a picture with their potentials; `largest` is the share of the picture that its largest proposal has."""
        surest = np.argsort(-segments.potentials.max(1), kind="stable")[:OWNED] if len(segments) else np.zeros(0, int)
        few = segments.chosen(surest.tolist())
        owners = few.potentials.argmax(1) if len(few) else np.zeros(0, np.int64)
        allowed = np.zeros((len(few) + 1, segments.potentials.shape[1]), bool)
        allowed[np.arange(len(few)), owners] = True
        allowed[-1] = ~allowed[:-1].any(0)
        features = segdeepm_features(regions, few.masks, few.potentials, few.size, largest)
        return cls(few, owners, features, allowed)

    def candidates(self, label: int) -> Array:
        """What a class may choose from, int64 (OWNED,): where it is less, the first comes again."""
        there = np.flatnonzero(self.allowed[:, label])
        return np.concatenate([there, np.repeat(there[:1], OWNED - len(there))])


def share_of_largest(proposals: Array, size: tuple[int, ...]) -> float:
    """The share of a picture of `size` (rows, columns) that the largest of its proposals has; all of it where there is none."""
    return float(areas(proposals).max()) / (size[0] * size[1]) if len(proposals) else 1.0
