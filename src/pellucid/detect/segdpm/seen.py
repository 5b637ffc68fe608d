"""What segments of a class say of boxes, and which one, or none, speaks most for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.detect.segments.dpm_features import NAMES, NO_OVERLAP, VOID, segdpm_features
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.plain import Array

SCALE = 7.0
"""What is said is made as large as what histograms say."""
MOST = 5
"""Segments of a class on a picture that are looked at."""
BIAS = 10.0
"""The feature that the bias is the weight of."""


def of_class(found: SegmentSet, label: int) -> Array:
    """Numbers of the segments that look like a class more than like any other, the likest first, at most `MOST`: int64 (S,)."""
    if not len(found):
        return np.zeros(0, np.int64)
    own = np.flatnonzero(found.potentials.argmax(1) == label)
    return own[np.argsort(-found.potentials[own, label], kind="stable")][:MOST]


def seen(found: SegmentSet, numbers: Array, boxes: Array) -> Array:
    """What each of these segments, and behind them none, says of boxes (B, 4): float64 (B, S + 1, 6)."""
    said = np.zeros((len(boxes), len(numbers) + 1, len(NAMES)))
    said[:, -1] = VOID
    if len(numbers) and len(boxes):
        said[:, :-1] = segdpm_features(boxes, found.masks[numbers], found.size)
    return SCALE * said


@dataclass(frozen=True)
class SegmentWeights:
    """What segments count for K classes: `weights` float64 (K, 6) of what they say, and `biases` (K,). Where they were learned together with
    filters the weights are (K, P, 6), for each pair of components that mirror one another."""

    weights: Array
    biases: Array

    @classmethod
    def none(cls, classes: int) -> SegmentWeights:
        """Those by which segments say nothing."""
        return cls(np.zeros((classes, len(NAMES))), np.zeros(classes))

    @property
    def joint(self) -> bool:
        """Whether they were learned together with filters."""
        return self.weights.ndim == 3

    def of(self, label: int, component: int = 0) -> Array:
        """Weights of a class, and of one of its components, (6,)."""
        return self.weights[label, component // 2] if self.joint else self.weights[label]

    def best(self, label: int, said: Array, components: Array | None = None) -> tuple[Array, Array]:
        """What the segment that speaks most for each box adds to its score (B,), with the bias, and which it is (B,); the last is none.

        The boxes are of `components` (B,), where these have weights of their own.
        """
        if self.joint:
            which = np.zeros(len(said), np.int64) if components is None else components // 2
            each = (said * self.weights[label, which][:, None]).sum(2)
        else:
            each = said @ self.weights[label]
        which = each.argmax(1) if len(each) else np.zeros(0, np.int64)
        return each[np.arange(len(each)), which] + BIAS * self.biases[label], which

    def most(self, label: int) -> float:
        """What can be added to a score at most."""
        each = [_most(weights) for weights in self.weights[label].reshape(-1, len(NAMES))]
        return max(each) + BIAS * float(self.biases[label])


def _most(weights: Array) -> float:
    segin, segout, backin, backout, overlap, void = (SCALE * weights).tolist()
    segment = max(segin, segout) + max(0.0, backin) + max(0.0, backout)
    segment += max((1 - NO_OVERLAP) * overlap, -NO_OVERLAP * overlap)
    return max(segment, -NO_OVERLAP * void)
