"""What finds objects on pictures, whatever it is made of."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from pellucid.detect.detections import Detections
from pellucid.detect.errors import DetectorError
from pellucid.detect.looking import GivenPicture, picture_of
from pellucid.detect.suppression import BEYOND, KEPT, suppress
from pellucid.given import argument
from pellucid.plain import Array
from pellucid.text import apart
from pellucid.whole_numbers import whole

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
        if not isinstance(threshold, float):  # which may be a float of a kind of its own
            threshold = argument(float, threshold, "threshold", DetectorError)
        if not self.low <= threshold <= self.high:
            within = "be a number" if self.high == math.inf else f"lie from {self.low:g} to {self.high:g}"
            raise DetectorError(f"threshold must {within}, got {threshold:g}")
        return threshold

    def told(self, score: float, beside: float | None = None) -> str:
        """A score in words: a share as 93.1%, a margin as +0.42; with as many digits as tell it apart from one `beside` it."""
        other = score if beside is None else beside
        return (
            apart(score, other, 1, "{:.{}%}".format) if self.high == 1.0 else apart(score, other, 2, "{:+.{}f}".format)
        )

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
    minus infinity is that of a class which a region is not for. `left_out` int64 (R,), where there is one, is above 0 for regions that were
    left before the end: the round in which that was.
    """

    regions: Array
    scores: Array
    boxes: Array
    made_of: Array | None = None
    left_out: Array | None = None

    @property
    def proposals(self) -> Array:
        """The proposals that the regions are, or were made of, (R, 4)."""
        return self.regions if self.made_of is None else self.made_of

    @property
    def left(self) -> Array:
        """In which round each region was left, int64 (R,), 0 for those that were not."""
        return np.zeros(len(self.regions), np.int64) if self.left_out is None else self.left_out

    def joined(self, more: Scored) -> Scored:
        """These regions, and behind them others."""
        both = (
            (getattr(one, name) for one in (self, more)) for name in ("regions", "scores", "boxes", "proposals", "left")
        )
        return Scored(*(np.concatenate([*each]) for each in both))

    def of_class(self, label: int, rows: Array, left_out: int | Array) -> Scored:
        """Some regions, for one class alone, left in a round."""
        scores = np.full((len(rows), self.scores.shape[1]), -np.inf)
        scores[:, label] = self.scores[rows, label]
        rounds = np.broadcast_to(np.asarray(left_out, np.int64), rows.shape)
        return Scored(self.regions[rows], scores, self.boxes[rows], self.proposals[rows], rounds)


@dataclass(frozen=True)
class Choice:
    """Boxes that had the threshold's score, of one class, the surest first: `by` says what suppressed each, `KEPT` or `BEYOND`.

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
            inside = (scored.boxes[:, label, 2:] >= scored.boxes[:, label, :2]).all(1) & (scored.left == 0)
            rows = np.flatnonzero((own >= self.least(label, threshold)) & (own > -np.inf) & inside)
            rows = rows[np.argsort(-scored.scores[rows, label], kind="stable")]
            boxes, scores = scored.boxes[rows, label], scored.scores[rows, label]
            by = suppress(boxes, scores, self.overlap, self.of_the_other)
            by[np.flatnonzero(by == KEPT)[most:]] = BEYOND
            found.append(Choice(label, rows, boxes, scores, by))
        return found

    def choices(self, image: GivenPicture, threshold: float | None = None, most: int = MOST) -> list[Choice]:
        """For each class the boxes on a picture, as `detect` takes it, that have the threshold's score, and which of them stay."""
        threshold = self.required(threshold)
        most = whole(self.system, "most", most, 0, DetectorError)
        return self.chosen(self.scored(self.checked(image), threshold), threshold, most)

    def detect(self, image: GivenPicture, threshold: float | None = None, most: int = MOST) -> Detections:
        """Objects on a picture, the surest first: those with a score of `threshold` (`scale.shown`) or more, of each class `most`.

        The picture is uint8 (3, H, W) in RGB, a file, or a name as sample:china. Raises `DetectorError`, `DataError`.
        """
        return kept_of(self.choices(image, threshold, most))

    def considered(self, image: Array, threshold: float | None, label: int, box: Array) -> Scored:
        """What `scored` gives, and behind it, for one class, regions near a box (4,) that it left out or left before the end."""
        return self.scored(image, threshold)

    def beyond(self, image: Array) -> tuple[int, Array]:
        """Proposals (R, 4) that are found on a picture and not looked at, as there are too many, and the number of the first."""
        return 0, np.zeros((0, 4))

    def why_left(self, label: int, threshold: float | None, round_: int) -> str:
        """Why a region was left in a round, in words that go on "it was left out: "."""
        return f"it was left in round {round_}"

    def checked(self, image: GivenPicture) -> Array:
        """A picture uint8 (3, H, W), read where it is a file or a name. Raises `DetectorError` for what is none, `DataError`."""
        return picture_of(image, self.system, DetectorError)

    def named(self, found: Detections) -> Sequence[str]:
        """The class of each of what was found."""
        return [self.classes[label] for label in found.labels.tolist()]


def kept_of(choices: Sequence[Choice]) -> Detections:
    """What stays of all classes, the surest first."""
    boxes = np.concatenate([c.boxes[c.stays] for c in choices])
    scores = np.concatenate([c.scores[c.stays] for c in choices])
    labels = np.concatenate([np.full(int(c.stays.sum()), c.label) for c in choices])
    order = np.argsort(-scores, kind="stable")
    return Detections(boxes[order], labels[order], scores[order])


def require_detector(detector: Detector) -> None:
    """Raise `DetectorError` for what is no detector; where one is near, the error says where."""
    if not isinstance(detector, Detector):  # pyright: ignore[reportUnnecessaryIsInstance]
        near = isinstance(getattr(detector, "detector", None), Detector)
        way = "its detector is .detector" if near else "pl.detect.load_detector opens a run, or a file of one"
        raise DetectorError(f"wants a detector, got a {type(detector).__name__}; {way}")
