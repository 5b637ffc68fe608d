"""What finds objects on pictures, whatever it is made of."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from pellucid.detect.config import DetectorError
from pellucid.detect.detections import Detections
from pellucid.detect.suppression import KEPT, suppress
from pellucid.plain import Array

MOST = 100
"""Boxes of a class on a picture that are kept, the surest."""
OVERLAP = 0.3
"""Of two boxes of one class that overlap by more, one goes."""


@dataclass(frozen=True)
class Scale:
    """What a system's scores are: numbers from `low` to `high`; from `shown` on a box is shown unless asked otherwise, from `counted`
    on it counts when the detector is measured."""

    low: float
    high: float
    shown: float
    counted: float

    def required(self, threshold: float | None) -> float:
        """A threshold, `shown` unless given. Raises `DetectorError` for one that no score of the scale lies at."""
        if threshold is None:
            return self.shown
        if not self.low <= threshold <= self.high:
            within = "be a number" if self.high == math.inf else f"lie from {self.low:g} to {self.high:g}"
            raise DetectorError(f"threshold must {within}, got {threshold:g}")
        return threshold

    def told(self, score: float) -> str:
        """A score in words: a share as 93.1%, a margin as +0.42."""
        return f"{score:.1%}" if self.high == 1.0 else f"{score:+.2f}"

    def strength(self, score: float) -> float:
        """How heavily a box is drawn, 0.2 to 1."""
        return max(0.2, min(1.0, score if self.high == 1.0 else 0.5 + 0.25 * score))


SHARE = Scale(0.0, 1.0, 0.5, 0.01)
"""Scores that are shares of a softmax."""
MARGIN = Scale(-math.inf, math.inf, 0.0, -math.inf)
"""Scores that are margins of a linear classifier: beyond 0 it says yes."""


@dataclass(frozen=True)
class Scored:
    """What a detector thinks of regions of a picture: `regions` (R, 4), `scores` (R, K), and `boxes` (R, K, 4) where each class moves them.

    All in pixels of the picture. `made_of` (R, 4) are the proposals that the regions were made of where they were moved before; a score of
    minus infinity is that of a class which a region is not for.
    """

    regions: Array
    scores: Array
    boxes: Array
    made_of: Array | None = None

    @property
    def proposals(self) -> Array:
        """The proposals that the regions are, or were made of, (R, 4)."""
        return self.regions if self.made_of is None else self.made_of


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
    """Finds objects of its `classes` on pictures. `system` is what it is called, fast-rcnn and the like; `scale` what its scores are."""

    system: ClassVar[str]
    scale: ClassVar[Scale] = SHARE
    overlap: ClassVar[float] = OVERLAP
    """Of two boxes of one class that overlap by more, the surer one stays."""
    of_the_other: ClassVar[bool] = False
    """Whether that is a share of the area of the box that goes, rather than of both together."""
    classes: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What everything that it finds is to be read with, such as which segments it used."""
        return ()

    @abstractmethod
    def scored(self, image: Array, threshold: float | None = None) -> Scored:
        """What it thinks of each region that it looks at, of a picture uint8 (3, H, W).

        Regions whose scores are all below `threshold` may be left out.
        """

    def required(self, threshold: float | None) -> float | None:
        """A threshold, that of the scale unless given; None where each class has its own. Raises `DetectorError`."""
        return self.scale.required(threshold)

    def least(self, label: int, threshold: float | None) -> float:
        """The score from which on a box of a class is shown, for what `required` gave."""
        return self.scale.required(threshold)

    @property
    def counted(self) -> float:
        """The score from which on a box counts when the detector is measured."""
        return self.scale.counted

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """Its numbers by name, as a file keeps them."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What it is made of again, with the numbers, as plain data."""

    @classmethod
    @abstractmethod
    def made_of(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> Self:
        """The inverse of `arrays` and `settings`. Raises `DetectorError` where they do not fit."""

    def chosen(self, scored: Scored, threshold: float | None, most: int = MOST) -> list[Choice]:
        """For each class the boxes with a score of `threshold` or more, and which of them stay."""
        found: list[Choice] = []
        for label in range(len(self.classes)):
            own = scored.scores[:, label]
            rows = np.flatnonzero((own >= self.least(label, threshold)) & (own > -np.inf))
            rows = rows[np.argsort(-scored.scores[rows, label], kind="stable")]
            boxes, scores = scored.boxes[rows, label], scored.scores[rows, label]
            by = suppress(boxes, scores, self.overlap, self.of_the_other)
            last = np.flatnonzero(by == KEPT)[most:]
            if len(last):
                rows, boxes, scores, by = rows[: last[0]], boxes[: last[0]], scores[: last[0]], by[: last[0]]
            found.append(Choice(label, rows, boxes, scores, by))
        return found

    def detect(self, image: Array, threshold: float | None = None, most: int = MOST) -> Detections:
        """Objects on a picture uint8 (3, H, W), the surest first: those with a score of `threshold` (`scale.shown`) or more."""
        threshold = self.required(threshold)
        choices = self.chosen(self.scored(self.checked(image), threshold), threshold, most)
        boxes = np.concatenate([c.boxes[c.stays] for c in choices])
        scores = np.concatenate([c.scores[c.stays] for c in choices])
        labels = np.concatenate([np.full(int(c.stays.sum()), c.label) for c in choices])
        order = np.argsort(-scores, kind="stable")
        return Detections(boxes[order], labels[order], scores[order])

    def checked(self, image: Array) -> Array:
        """A picture uint8 (3, H, W), looked at. Raises `DetectorError` for anything else."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[0] != 3 or not image.size:
            raise DetectorError(
                f"{self.system}: wants a picture uint8 (3, H, W) in RGB, got {image.dtype} {image.shape}"
            )
        return image

    def named(self, found: Detections) -> Sequence[str]:
        """The class of each of what was found."""
        return [self.classes[label] for label in found.labels.tolist()]
