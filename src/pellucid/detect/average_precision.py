"""Average precision as PASCAL VOC's development kit measures it: which detections count, and the area that they make.

Everingham et al. 2010, section 4.2 (11 points, VOC 2007 to 2009); VOC 2010's development kit (area under the curve).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pellucid.detect.boxes import overlaps
from pellucid.given import argument
from pellucid.plain import Array

if TYPE_CHECKING:
    from pellucid.detect.detections import Detections
    from pellucid.detect.pictures_with_boxes import Objects

RIGHT, WRONG, UNCOUNTED = 1, -1, 0
METRICS = ("voc2007", "voc2010")


def require_overlap(overlap: float) -> None:
    """Raise `DataError` for what a right box has to have at least where no box can have it, or every box does."""
    from pellucid.data import DataError  # only now: these names are there without data sets

    if not 0 < argument(float, overlap, "overlap", DataError) <= 1:
        raise DataError(f"overlap lies above 0 and is at most 1, got {overlap:g}")


def require_metric(metric: str) -> None:
    """Raise `DataError` for a protocol that there is not."""
    if metric not in METRICS:
        from pellucid.data import DataError

        raise DataError(f"metric is one of {', '.join(METRICS)}, not {metric!r:.40}")


@dataclass(frozen=True)
class Matches:
    """All detections of one class, the surest first: `verdicts` int8 (N,) RIGHT, WRONG or UNCOUNTED (a difficult object's),
    with their `scores`, the `overlap` with the object that each was held against, the number of its `picture`, and its
    `place` among the detections there. `objects` (pictures,) counts those of the class that are to be found on each.
    """

    verdicts: Array
    scores: Array
    overlap: Array
    duplicate: Array
    picture: Array
    place: Array
    objects: Array

    @property
    def positives(self) -> int:
        """Objects that are to be found."""
        return int(self.objects.sum())

    def curve(self, weights: Array | None = None) -> tuple[Array, Array]:
        """Recall and precision after each detection; `weights` (pictures,) count every picture so many times."""
        counted = np.ones(len(self.objects)) if weights is None else weights
        each = counted[self.picture]
        right = np.cumsum(each * (self.verdicts == RIGHT))
        wrong = np.cumsum(each * (self.verdicts == WRONG))
        positives = float(counted @ self.objects)
        recall = right / positives if positives else np.zeros(len(right))
        told = right + wrong
        return recall, np.divide(right, told, out=np.zeros(len(right)), where=told > 0)


def match(detections: Sequence[Detections], objects: Sequence[Objects], label: int, overlap: float = 0.5) -> Matches:
    """The detections of class `label` held against the objects of each picture.

    The surest first, each is held against the object of its class that it overlaps most, taken or not. It is right where they
    overlap by `overlap` or more and that object was not taken before; where that object is difficult it counts neither way.
    Raises `DataError` for an overlap that makes no sense, and where pictures are not as many as objects are of.
    """
    require_overlap(overlap)
    if len(detections) != len(objects):
        from pellucid.data import DataError

        raise DataError(f"objects of {len(objects)} pictures want as many detections, got {len(detections)}")
    scores = [d.scores[d.labels == label] for d in detections]
    places = [np.flatnonzero(d.labels == label) for d in detections]
    picture = np.repeat(np.arange(len(detections)), [len(p) for p in places])
    score, place = (np.concatenate([*parts, np.zeros(0)]) for parts in (scores, places))
    order = np.argsort(-score, kind="stable")
    score, place, picture = score[order], place[order].astype(np.int64), picture[order]
    truth = [(o.boxes[o.labels == label], o.difficult[o.labels == label]) for o in objects]
    tables = [
        overlaps(d.boxes[p], boxes) if len(p) and len(boxes) else np.zeros((len(p), 0))
        for d, p, (boxes, _) in zip(detections, places, truth, strict=True)
    ]
    rows = [dict(zip(p.tolist(), range(len(p)), strict=True)) for p in places]
    taken = [np.zeros(len(boxes), bool) for boxes, _ in truth]
    verdicts, best = np.full(len(order), WRONG, np.int8), np.zeros(len(order))
    twice = np.zeros(len(order), bool)
    for k, (where, which) in enumerate(zip(picture.tolist(), place.tolist(), strict=True)):
        row = tables[where][rows[where][which]]
        if not row.size:
            continue
        held = int(row.argmax())
        best[k] = row[held]
        if not row[held] >= overlap:
            continue
        if truth[where][1][held]:
            verdicts[k] = UNCOUNTED
        elif taken[where][held]:
            twice[k] = True
        else:
            verdicts[k] = RIGHT
            taken[where][held] = True
    wanted = np.array([int((~difficult).sum()) for _, difficult in truth], np.int64)
    return Matches(verdicts, score, best, twice, picture, place, wanted)


def average_precision(recall: Array, precision: Array, metric: str = "voc2007") -> float:
    """The average precision of a curve whose recall never falls: by 11 points ("voc2007"), or the area ("voc2010"). Raises `DataError`."""
    require_metric(metric)
    if metric == "voc2007":
        reached = [precision[recall >= k / 10 - 1e-9] for k in range(11)]
        return float(np.mean([p.max() if p.size else 0.0 for p in reached]))
    ends = np.concatenate([[0.0], recall, [1.0]])
    falling = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    return float((np.diff(ends) * falling[1:]).sum())
