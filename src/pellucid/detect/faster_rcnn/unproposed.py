"""Why a network does not propose a box: what became of the anchor that it moved nearest to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.detect.boxes import overlaps, sizes, told
from pellucid.detect.faster_rcnn.anchors import place_of
from pellucid.detect.faster_rcnn.answer import said, shares
from pellucid.detect.faster_rcnn.detector import AnchorLook
from pellucid.detect.faster_rcnn.proposing import CONSIDERED, OVERLAP, SMALLEST
from pellucid.detect.fate import ONE_TOO_MANY, SUPPRESSED
from pellucid.plain import Array
from pellucid.text import apart

PROPOSED, TOO_SMALL, UNSURE = "proposed", "too small", "not among the surest"


@dataclass(frozen=True)
class NearestAnchor:
    """The anchor, of `kind` (size on the canvas, height by width) at an `element` (row, column) of the maps, that the network moves to `box`
    (4,), nearest to one that was asked for, by `overlap`. It is an object by `objectness`, as the `rank`th of all anchors; what
    became of it (`step`), and the proposal that it gave way to, `by`, if that is how it went, which it overlaps by `shared`."""

    kind: tuple[float, float]
    element: tuple[int, int]
    box: Array
    overlap: float
    objectness: float
    rank: int
    step: str
    by: int | None = None
    shared: float | None = None

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "size": self.kind[0],
            "ratio": self.kind[1],
            "element": list(self.element),
            "box": self.box.tolist(),
            "overlap": self.overlap,
            "objectness": self.objectness,
            "rank": self.rank,
            "step": self.step,
            "by": self.by,
            "shared": self.shared,
        }

    @property
    def words(self) -> str:
        """It in a line."""
        row, column = self.element
        became = {
            PROPOSED: f"it became proposal {self.by}",
            TOO_SMALL: f"it is smaller than {SMALLEST:g} pixels of the canvas",
            UNSURE: f"only the {CONSIDERED} surest are looked at",
            SUPPRESSED: f"it gave way to proposal {self.by}, which it overlaps by {apart(self.shared or 0.0, OVERLAP, 2)}, more than {OVERLAP:g}",
            ONE_TOO_MANY: "no surer one overlaps it much, but there are as many proposals before it as are made",
        }[self.step]
        return (
            f"the nearest anchor, {said(self.kind)} at row {row}, column {column}, was moved to {told(self.box)}, which overlaps that by "
            f"{self.overlap:.2f}; an object by {self.objectness:.1%}, number {self.rank} of all anchors: {became}"
        )


def nearest_anchor(look: AnchorLook, box: Array, kinds: tuple[tuple[float, float], ...]) -> NearestAnchor:
    """What became of the anchor that is moved nearest to a box (4,) of the picture, of equal ones the surest."""
    shared = overlaps(look.moved, look.canvas.onto(box[None]))[:, 0]
    number = int(np.lexsort((-look.objectness, -shared))[0])
    rank = int((look.objectness > look.objectness[number]).sum())
    step, by, of = _became(look, number)
    shape, row, column = place_of(number, *look.map_size)
    sure = float(shares(look.objectness[number]))
    moved = look.canvas.back(look.moved[number])
    return NearestAnchor(kinds[shape], (row, column), moved, float(shared[number]), sure, rank, step, by, of)


def _became(look: AnchorLook, number: int) -> tuple[str, int | None, float | None]:
    """The step at which an anchor went, and the proposal that it became or gave way to."""
    if len(place := np.flatnonzero(look.places == number)):
        return PROPOSED, int(place[0]), None
    large: Array = np.all(sizes(look.moved) >= SMALLEST, axis=1)
    if not large[number]:
        return TOO_SMALL, None, None
    if (look.objectness[large] > look.objectness[number]).sum() >= CONSIDERED:
        return UNSURE, None, None
    surer = look.objectness[look.places] >= look.objectness[number]
    shared = overlaps(look.moved[number : number + 1], look.boxes)[0]
    over = np.flatnonzero(surer & (shared > OVERLAP))
    return (SUPPRESSED, int(over[0]), float(shared[over[0]])) if len(over) else (ONE_TOO_MANY, None, None)
