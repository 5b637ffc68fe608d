"""What goes wrong where a detector is wrong: the kinds of mistakes of Hoiem, Chodpathumwan and Dai (Diagnosing error in object
detectors, 2012, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.detect.average_precision import WRONG, Matches, match, require_overlap
from pellucid.detect.boxes import overlaps
from pellucid.plain import Array

if TYPE_CHECKING:
    from pellucid.detect.detections import Detections
    from pellucid.detect.pictures_with_boxes import Objects, PicturesWithBoxes

NEAR = 0.1
"""The overlap from which on a mistake has to do with an object."""
KINDS = {
    "duplicate": "a second box on an object that a surer one has found (the paper counts these as localization)",
    "localization": f"a box in the wrong place: it overlaps an object of its class by {NEAR:g} or more, but not enough",
    "similar": f"a box on an object of a similar class, by {NEAR:g} or more",
    "other": "a box on an object of any other class, likewise",
    "background": "a box on nothing that is marked",
}
"""Kinds of mistakes; a mistake is of the first one that fits."""
SIMILAR = (
    ("aeroplane", "bicycle", "boat", "bus", "car", "motorbike", "train"),
    ("bird", "cat", "cow", "dog", "horse", "person", "sheep"),
    ("chair", "diningtable", "sofa"),
    ("aeroplane", "bird"),
)
"""Groups of PASCAL VOC's classes that are similar, as the paper has them: vehicles, animals with people, furniture, and what flies.
Classes of other names have no similar ones unless groups are given."""


@dataclass(frozen=True)
class Mistake:
    """A box on picture number `picture`, called `name`, that was wrongly taken for an object of class `taken_for`.

    `nearest` (4,) is the object that makes it a mistake of its `kind` (of background the one that it overlaps most), of
    class `nearest_class`, and `overlap` how much it does; None, "" and 0 where it overlaps none.
    """

    kind: str
    picture: int
    name: str
    taken_for: str
    box: Array
    score: float
    overlap: float
    nearest: Array | None
    nearest_class: str

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        near = None if self.nearest is None else {"class": self.nearest_class, "box": self.nearest.tolist()}
        return {
            "kind": self.kind,
            "picture": self.name,
            "class": self.taken_for,
            "score": self.score,
            "box": self.box.tolist(),
            "overlap": self.overlap,
            "object": near,
        }


def mistakes(
    found: Sequence[Detections],
    truth: PicturesWithBoxes,
    overlap: float = 0.5,
    similar: Sequence[Sequence[str]] = SIMILAR,
) -> list[Mistake]:
    """The wrong ones among as many of each class's surest detections as it has objects, the surest first.

    `found` has one for each picture of `truth`; a right box overlaps its object by `overlap` or more. Classes of one group of
    `similar` are alike. Raises `DataError` where these do not fit together.
    """
    from pellucid.detect.detections import require_fitting  # only now: it reads data sets

    require_overlap(overlap)
    require_fitting(found, truth)
    made = [
        mistake
        for label in range(len(truth.classes))
        for mistake in mistakes_of(match(found, truth.objects, label, overlap), found, truth, label, similar)
    ]
    return sorted(made, key=lambda mistake: -mistake.score)


def mistakes_of(
    matched: Matches,
    found: Sequence[Detections],
    truth: PicturesWithBoxes,
    label: int,
    similar: Sequence[Sequence[str]] = SIMILAR,
) -> list[Mistake]:
    """Those of one class, whose detections are `matched`."""
    name = truth.classes[label]
    alike = {one for group in similar if name in group for one in group}
    likes = np.array([one in alike and one != name for one in truth.classes])
    made: list[Mistake] = []
    for k in np.flatnonzero(matched.verdicts[: matched.positives] == WRONG).tolist():
        where = int(matched.picture[k])
        objects, box = truth.objects[where], found[where].boxes[matched.place[k]]
        shared = overlaps(box[None], objects.boxes)[0] if len(objects) else np.zeros(0)
        kind, nearest = _held_against(objects, shared, label, likes)
        made.append(
            Mistake(
                "duplicate" if matched.duplicate[k] else kind,
                where,
                truth.names[where],
                name,
                box,
                float(matched.scores[k]),
                0.0 if nearest is None else float(shared[nearest]),
                None if nearest is None else objects.boxes[nearest],
                "" if nearest is None else truth.classes[objects.labels[nearest]],
            )
        )
    return made


def _held_against(objects: Objects, shared: Array, label: int, likes: Array) -> tuple[str, int | None]:
    """The kind of a mistake by how much it shares with each object, and which of these it is held against."""
    own, like = objects.labels == label, likes[objects.labels]
    for kind, which in (("localization", own), ("similar", like), ("other", ~own & ~like)):
        of_these = np.where(which, shared, 0.0)
        if len(of_these) and of_these.max() >= NEAR:
            return kind, int(of_these.argmax())
    return "background", int(shared.argmax()) if len(shared) and shared.max() > 0 else None
