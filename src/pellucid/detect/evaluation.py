"""How well a detector does on pictures with boxes, by the protocol of PASCAL VOC, and what its mistakes are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.data import DataError
from pellucid.detect.average_precision import Matches, average_precision, match, require_metric, require_overlap
from pellucid.detect.detections import Detections, require_fitting
from pellucid.detect.mistakes import KINDS, Mistake, mistakes_of
from pellucid.detect.mistakes_drawn import drawn
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.resampling import draws_of, interval_of, means_of
from pellucid.errors import suggest
from pellucid.pictures import Answer, Chart, Grid, Overlay, Page, Series
from pellucid.plain import Array
from pellucid.progress import long, progress, tell
from pellucid.whole_numbers import whole

RESAMPLED = 1000
"""Times that the pictures are drawn anew for an interval."""
TOGETHER, MOST_POINTS = 5, 400
"""Classes whose curves share a chart, and points of a curve that is drawn."""
SUREST = 24
"""Mistakes that are told one by one."""


@dataclass(frozen=True)
class ClassPrecision:
    """How a detector does on one class: average precision, `objects` to be found, `detections` counted for it.

    `recall` and `precision` (N,) are its curve, `kinds` counts the wrong ones among its `objects` surest by kind (`mistakes.KINDS`).
    `average_precision` is None where there is no object to be found.
    """

    name: str
    average_precision: float | None
    objects: int
    detections: int
    recall: Array
    precision: Array
    kinds: Mapping[str, int]
    matches: Matches = field(repr=False, compare=False)
    """What was held against what."""

    @property
    def mistakes(self) -> dict[str, int]:
        """The same by four kinds: objects of similar and of other classes together."""
        found = self.kinds
        return {
            "duplicate": found["duplicate"],
            "place": found["localization"],
            "other class": found["similar"] + found["other"],
            "background": found["background"],
        }


@dataclass(frozen=True)
class DetectionEvaluation(Answer):
    """How well a detector does on `pictures` of a `part`: mean average precision over the classes that are there.

    `interval` holds the mean in 95 of 100 draws of as many pictures from these (bootstrap). `overlap` is what a right box
    has to have with its object at least. `mistakes` are those that the classes count, the surest first; of each kind the surest
    are `shown` over their pictures.
    """

    classes: tuple[ClassPrecision, ...]
    metric: str
    overlap: float
    pictures: int
    part: str
    interval: tuple[float, float]
    notes: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    shown: Mapping[str, tuple[Overlay, ...]] = field(default_factory=dict[str, tuple[Overlay, ...]])

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
                    "mistakes": c.mistakes,
                    "kinds_of_mistakes": dict(c.kinds),
                }
                for c in self.classes
            ],
            "surest_mistakes": [mistake.plain() for mistake in self.mistakes[:SUREST]],
            "notes": list(self.notes),
        }

    @property
    def words(self) -> str:
        """The result in a line."""
        if not any(c.objects for c in self.classes):
            return f"no mean average precision: no object is to be found on {self.pictures} pictures (difficult ones do not count)"
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
                *(str(c.kinds[kind]) for kind in KINDS),
            ]
            for c in self.classes
        ]
        return Grid(["class", "AP", "objects", "found", "recall", *KINDS], rows, "l" + "r" * (4 + len(KINDS)))

    def __str__(self) -> str:
        return "\n".join([self.words, "", str(self.grid()), *self.notes])

    def curves(self) -> tuple[Chart, ...]:
        """Precision over recall of every class, a few in a chart."""
        series = [_curve(c) for c in self.classes if c.average_precision is not None and len(c.recall)]
        parts = [tuple(series[k : k + TOGETHER]) for k in range(0, max(1, len(series)), TOGETHER)]
        titles = [
            f"Precision over recall{f', {k} of {len(parts)}' if len(parts) > 1 else ''}"
            for k in range(1, len(parts) + 1)
        ]
        return tuple(
            Chart(title, "recall", "precision", part, percent=True) for title, part in zip(titles, parts, strict=True)
        )

    def picture(self) -> Page:
        """The table, the curves of precision over recall, and the surest mistakes of each kind."""
        counts = Counter(mistake.kind for mistake in self.mistakes)
        kinds = [
            Page(f"{kind}: {counts[kind]}", (f"{words[0].upper()}{words[1:]}.", *self.shown.get(kind, ())))
            for kind, words in KINDS.items()
            if counts[kind]
        ]
        why = (
            "Mistakes are counted among as many of each class's surest detections as it has objects, by the kinds of Hoiem et al. "
            "(2012); classes of PASCAL VOC have similar ones (vehicles, animals and people, furniture), others have none."
        )
        page = (f"{self.words}.", self.grid(), *self.curves(), Page("Mistakes", (why, *kinds)), *self.notes)
        return Page("Detection by the protocol of PASCAL VOC", page)


def _curve(found: ClassPrecision) -> Series:
    """The curve of a class with the points that are seen: those where recall rises, and before it does."""
    ends = np.flatnonzero(np.diff(found.recall, prepend=-1.0, append=2.0))
    seen = np.unique(np.concatenate([ends[:-1], ends[1:] - 1]))
    if len(seen) > MOST_POINTS:
        seen = seen[np.linspace(0, len(seen) - 1, MOST_POINTS).astype(int)]
    name = f"{found.name} {found.average_precision or 0.0:.1%}"
    return Series(name, found.recall[seen].tolist(), found.precision[seen].tolist())


def require_measure(metric: str, overlap: float, draws: int = RESAMPLED) -> None:
    """Raise `DataError` for a protocol that there is not, an overlap that no box can have, and an interval of no draws."""
    require_metric(metric)
    require_overlap(overlap)
    if whole("intervals", "draws", draws, raises=DataError) < 1:
        raise DataError(f"draws must be 1 or more, got {draws}")


def _require_classes(pictures: PicturesWithBoxes, classes: Sequence[str]) -> None:
    """Raise `DataError` for classes to be measured that are no list of names, or that are not there, or twice."""
    if isinstance(classes, str):
        raise DataError(f"classes is a list of names, got {classes!r:.60}; [{classes!r:.60}] is one")
    for name, times in Counter(classes).items():
        if name not in pictures.classes:
            raise DataError(f"{pictures.name}: has no class {name!r}{suggest(name, pictures.classes)}")
        if times > 1:
            raise DataError(f"{pictures.name}: the class {name!r} is to be measured {times} times; name it once")


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
    classes: Sequence[str] = (),
) -> DetectionEvaluation:
    """How well `detections`, one of each of `pictures`, find the objects there, by the protocol of VOC 2007 or 2010.

    "voc2007" takes the mean of 11 precisions, "voc2010" the area under the curve. A class without objects is left out of the
    mean. The interval comes of drawing the pictures anew, so many `draws`, by `seed`. With `classes` these alone are measured; objects of
    the others still say what kind a mistake is of. Raises `DataError`.
    """
    require_measure(metric, overlap, draws)
    require_fitting(detections, pictures)
    _require_classes(pictures, classes)
    found: list[ClassPrecision] = []
    matches: list[Matches] = []
    wrong: list[Mistake] = []
    with progress("evaluating"):
        for count, name in enumerate(measured := classes or pictures.classes):
            label = pictures.classes.index(name)
            matched = match(detections, pictures.objects, label, overlap)
            recall, precision = matched.curve()
            average = average_precision(recall, precision, metric) if matched.positives else None
            own = mistakes_of(matched, detections, pictures, label)
            kinds = {kind: sum(mistake.kind == kind for mistake in own) for kind in KINDS}
            found.append(
                ClassPrecision(name, average, matched.positives, len(matched.scores), recall, precision, kinds, matched)
            )
            matches.append(matched)
            wrong += own
            tell(count + 1, len(measured))
    interval = interval_of(means_of(matches, draws_of(len(pictures), draws, seed), metric))
    wrong.sort(key=lambda mistake: -mistake.score)
    shown, why_not = drawn(wrong, pictures)
    notes = (*notes, *([why_not] if why_not else []))
    return DetectionEvaluation(tuple(found), metric, overlap, len(pictures), part, interval, notes, tuple(wrong), shown)


__all__ = ["ClassPrecision", "DetectionEvaluation", "evaluate"]
