"""How well a detector does on pictures with boxes, by the protocol of PASCAL VOC, and what its mistakes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.data import DataError
from pellucid.detect.average_precision import METRICS, WRONG, Matches, average_precision, match
from pellucid.detect.boxes import overlaps
from pellucid.detect.detections import Detections
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.resampling import draws_of, interval_of, means_of
from pellucid.pictures import Answer, Chart, Grid, Page, Series
from pellucid.plain import Array
from pellucid.progress import long, progress, tell

RESAMPLED = 1000
"""Times that the pictures are drawn anew for an interval."""
MOST_DRAWN = 20
"""Classes with a curve of their own."""
NEAR = 0.1
"""The overlap from which on a mistake has to do with an object (Hoiem et al. 2012)."""
MISTAKES: tuple[str, ...] = ("duplicate", "place", "other class", "background")


@dataclass(frozen=True)
class ClassPrecision:
    """How a detector does on one class: average precision, `objects` to be found, `detections` counted for it.

    `recall` and `precision` (N,) are its curve, `mistakes` counts the wrong ones among its `objects` surest by kind.
    `average_precision` is None where there is no object to be found.
    """

    name: str
    average_precision: float | None
    objects: int
    detections: int
    recall: Array
    precision: Array
    mistakes: Mapping[str, int]
    matches: Matches = field(repr=False, compare=False)
    """What was held against what."""


@dataclass(frozen=True)
class DetectionEvaluation(Answer):
    """How well a detector does on `pictures` of a `part`: mean average precision over the classes that are there.

    `interval` holds the mean in 95 of 100 draws of as many pictures from these (bootstrap). `overlap` is what a right box
    has to have with its object at least.
    """

    classes: tuple[ClassPrecision, ...]
    metric: str
    overlap: float
    pictures: int
    part: str
    interval: tuple[float, float]
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Mean average precision; NaN where there is nothing to be found."""
        found = [c.average_precision for c in self.classes if c.average_precision is not None]
        return float(np.mean(found)) if found else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "mean_average_precision": self.mean,
            "interval": list(self.interval),
            "metric": self.metric,
            "overlap": self.overlap,
            "part": self.part,
            "pictures": self.pictures,
            "classes": [
                {
                    "class": c.name,
                    "average_precision": c.average_precision,
                    "objects": c.objects,
                    "detections": c.detections,
                    "recall": float(c.recall[-1]) if len(c.recall) else 0.0,
                    "mistakes": dict(c.mistakes),
                }
                for c in self.classes
            ],
            "notes": list(self.notes),
        }

    @property
    def words(self) -> str:
        """The result in a line."""
        low, high = self.interval
        return (
            f"mean average precision {self.mean:.1%} ({low:.1%} to {high:.1%}) on {self.pictures} pictures, "
            f"{self.metric} at overlap {self.overlap:g}"
        )

    def grid(self) -> Grid:
        """The classes as a table."""
        rows = [
            [
                c.name,
                "-" if c.average_precision is None else f"{c.average_precision:.1%}",
                str(c.objects),
                str(c.detections),
                f"{c.recall[-1]:.1%}" if len(c.recall) else "0.0%",
                *(str(c.mistakes[kind]) for kind in MISTAKES),
            ]
            for c in self.classes
        ]
        return Grid(["class", "AP", "objects", "found", "recall", *MISTAKES], rows, "l" + "r" * (4 + len(MISTAKES)))

    def __str__(self) -> str:
        return "\n".join([self.words, "", str(self.grid()), *self.notes])

    def picture(self) -> Page:
        """The table and the curves of precision over recall."""
        curves = [
            Series(f"{c.name} {c.average_precision:.1%}", c.recall.tolist(), c.precision.tolist())
            for c in self.classes
            if c.average_precision is not None and len(c.recall)
        ]
        chart = Chart("Precision over recall", "recall", "precision", tuple(curves[:MOST_DRAWN]), percent=True)
        why = (
            "Mistakes are counted among as many of the surest detections as there are objects: a second box on an object, "
            "a box in the wrong place, one on an object of another class, one on the background."
        )
        return Page("Detection by the protocol of PASCAL VOC", (f"{self.words}.", self.grid(), why, chart, *self.notes))


def require_measure(metric: str, overlap: float) -> None:
    """Raise `DataError` for a protocol that there is not, and for an overlap that no box can have."""
    if metric not in METRICS:
        raise DataError(f"metric is one of {', '.join(METRICS)}, not {metric!r:.40}")
    if not 0 < overlap <= 1:
        raise DataError(f"overlap lies above 0 and is at most 1, got {overlap:g}")


@long
def evaluate(
    detections: Sequence[Detections],
    pictures: PicturesWithBoxes,
    metric: str = "voc2007",
    overlap: float = 0.5,
    *,
    part: str = "",
    notes: Sequence[str] = (),
    seed: int = 0,
    draws: int = RESAMPLED,
) -> DetectionEvaluation:
    """How well `detections`, one of each of `pictures`, find the objects there, by the protocol of VOC 2007 or 2010.

    "voc2007" takes the mean of 11 precisions, "voc2010" the area under the curve. A class without objects is left out of the
    mean. The interval comes of drawing the pictures anew, so many `draws`, by `seed`. Raises `DataError`.
    """
    require_measure(metric, overlap)
    if len(detections) != len(pictures):
        raise DataError(f"{pictures.name}: {len(pictures)} pictures want as many detections, got {len(detections)}")
    found: list[ClassPrecision] = []
    matches: list[Matches] = []
    with progress("evaluating"):
        for label, name in enumerate(pictures.classes):
            matched = match(detections, pictures.objects, label, overlap)
            recall, precision = matched.curve()
            average = average_precision(recall, precision, metric) if matched.positives else None
            mistakes = _mistakes(matched, detections, pictures, label)
            found.append(
                ClassPrecision(
                    name, average, matched.positives, len(matched.scores), recall, precision, mistakes, matched
                )
            )
            matches.append(matched)
            tell(label + 1, len(pictures.classes))
    interval = interval_of(means_of(matches, draws_of(len(pictures), draws, seed), metric))
    return DetectionEvaluation(tuple(found), metric, overlap, len(pictures), part, interval, tuple(notes))


def _mistakes(
    matched: Matches, detections: Sequence[Detections], pictures: PicturesWithBoxes, label: int
) -> dict[str, int]:
    """The wrong ones among as many of the surest detections as there are objects, by kind (Hoiem et al. 2012, section 3)."""
    counts = dict.fromkeys(MISTAKES, 0)
    for k in np.flatnonzero(matched.verdicts[: matched.positives] == WRONG).tolist():
        where = int(matched.picture[k])
        objects = pictures.objects[where]
        others = objects.boxes[objects.labels != label]
        box = detections[where].boxes[matched.place[k]][None]
        if matched.duplicate[k]:
            counts["duplicate"] += 1
        elif matched.overlap[k] >= NEAR:
            counts["place"] += 1
        elif len(others) and overlaps(box, others).max() >= NEAR:
            counts["other class"] += 1
        else:
            counts["background"] += 1
    return counts


__all__ = ["ClassPrecision", "DetectionEvaluation", "evaluate"]
