"""What finds objects on pictures, whatever it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.detect.config import DetectorError
from pellucid.detect.detections import Detections
from pellucid.detect.suppression import KEPT, suppress
from pellucid.plain import Array

SHOWN = 0.5
"""The score from which on a box is shown unless asked otherwise."""
MOST = 100
"""Boxes of a class on a picture that are kept, the surest."""
OVERLAP = 0.3
"""Of two boxes of one class that overlap by more, one goes."""


@dataclass(frozen=True)
class Scored:
    """What a detector thinks of regions of a picture: `regions` (R, 4), `scores` (R, K), and `boxes` (R, K, 4) where each class moves them.

    All in pixels of the picture.
    """

    regions: Array
    scores: Array
    boxes: Array


@dataclass(frozen=True)
class Choice:
    """Boxes that had the threshold's score, of one class: what stays of them, `by` the box of `rows` that suppressed each.

    `rows` int64 (N,) are regions, `boxes` (N, 4), `scores` (N,).
    """

    label: int
    rows: Array
    boxes: Array
    scores: Array
    by: Array

    @property
    def stays(self) -> Array:
        """Which boxes stay."""
        return self.by == KEPT


class Detector(ABC):
    """Finds objects of its `classes` on pictures. `system` is what it is called: fast-rcnn and the like."""

    system: ClassVar[str]
    classes: tuple[str, ...]

    @abstractmethod
    def scored(self, image: Array) -> Scored:
        """What it thinks of each region that it looks at, of a picture uint8 (3, H, W)."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """Its numbers by name, as a file keeps them."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What it is made of again, with the numbers, as plain data."""

    def chosen(self, scored: Scored, threshold: float, most: int = MOST) -> list[Choice]:
        """For each class the boxes with a score of `threshold` or more, and which of them stay."""
        found: list[Choice] = []
        for label in range(len(self.classes)):
            rows = np.flatnonzero(scored.scores[:, label] >= threshold)
            rows = rows[np.argsort(-scored.scores[rows, label], kind="stable")]
            boxes, scores = scored.boxes[rows, label], scored.scores[rows, label]
            by = suppress(boxes, scores, OVERLAP)
            last = np.flatnonzero(by == KEPT)[most:]
            if len(last):
                rows, boxes, scores, by = rows[: last[0]], boxes[: last[0]], scores[: last[0]], by[: last[0]]
            found.append(Choice(label, rows, boxes, scores, by))
        return found

    def detect(self, image: Array, threshold: float = SHOWN, most: int = MOST) -> Detections:
        """Objects on a picture uint8 (3, H, W), the surest first: those with a score of `threshold` or more."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[0] != 3 or not image.size:
            raise DetectorError(
                f"{self.system}: wants a picture uint8 (3, H, W) in RGB, got {image.dtype} {image.shape}"
            )
        choices = self.chosen(self.scored(image), threshold, most)
        boxes = np.concatenate([c.boxes[c.stays] for c in choices])
        scores = np.concatenate([c.scores[c.stays] for c in choices])
        labels = np.concatenate([np.full(int(c.stays.sum()), c.label) for c in choices])
        order = np.argsort(-scores, kind="stable")
        return Detections(boxes[order], labels[order], scores[order])

    def named(self, found: Detections) -> Sequence[str]:
        """The class of each of what was found."""
        return [self.classes[label] for label in found.labels.tolist()]
