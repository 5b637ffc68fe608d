"""Proposals of a network on a picture: which anchors they were, how sure it is, and what they took the place of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.detect.asked import drawn_box
from pellucid.detect.boxes import overlaps, sizes, told, within
from pellucid.detect.detector import Detector, require_detector
from pellucid.detect.errors import DetectorError
from pellucid.detect.fast_rcnn.network import STRIDE
from pellucid.detect.faster_rcnn.anchors import place_of
from pellucid.detect.faster_rcnn.detector import AnchorLook, FasterRCNNDetector
from pellucid.detect.faster_rcnn.proposing import CONSIDERED, OVERLAP, SMALLEST
from pellucid.detect.looking import GivenPicture, name_of
from pellucid.pictures import Answer, Grid, Maps, Overlay, Page
from pellucid.plain import Array
from pellucid.text import amount
from pellucid.whole_numbers import whole

SHOWN, DROPPED = 10, 20
"""Proposals that are drawn and said; and others that were dropped for one, drawn."""


@dataclass(frozen=True)
class NetworkProposals(Answer):
    """Where on `image`, uint8 (3, H, W), a network says that an object may be: `boxes` (P, 4), the surest first, with a `logits` (P,)
    of being one. Each was one of `anchors` (P, 4), of the shape number `shapes` (P,) at an element (row, column) of the maps, `elements` (P, 2).

    `objectness` (A, h, w) are the logits of all anchors, shape by shape, of `kinds` (size, ratio); the maps' elements are `stride`
    pixels of the picture apart; `around` (A, 4) are all anchors of the surest proposal's element. `dropped` (D, 4), with
    `dropped_logits` (D,), went for the proposal `dropped_by` (D,).
    """

    name: str
    image: Array
    boxes: Array
    logits: Array
    anchors: Array
    shapes: Array
    elements: Array
    objectness: Array
    kinds: tuple[tuple[float, float], ...]
    stride: float
    around: Array
    dropped: Array
    dropped_logits: Array
    dropped_by: Array

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def scores(self) -> Array:
        """How sure the network is that each is an object, 0 to 1."""
        return shares(self.logits)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "picture": self.name,
            "height": self.image.shape[1],
            "width": self.image.shape[2],
            "boxes": self.boxes.tolist(),
            "scores": self.scores.tolist(),
            "logits": self.logits.tolist(),
            "anchors": self.anchors.tolist(),
            "shapes": self.shapes.tolist(),
            "elements": self.elements.tolist(),
            "kinds": [{"size": size, "ratio": ratio} for size, ratio in self.kinds],
            "objectness": self.objectness.tolist(),
            "stride": self.stride,
            "around": self.around.tolist(),
            "dropped": {
                "boxes": self.dropped.tolist(),
                "logits": self.dropped_logits.tolist(),
                "by": self.dropped_by.tolist(),
            },
        }

    def __str__(self) -> str:
        head = (
            f"{self.name}: {amount(len(self), 'proposal')} of {amount(self.objectness.size, 'anchor')}, "
            f"{amount(len(self.dropped), 'other')} dropped for them; the first:"
        )
        first = range(min(SHOWN, len(self)))
        return "\n".join(
            [head, *(f"  {k}  {self.scores[k]:.1%}  {told(self.boxes[k])}  {self._origin(k)}" for k in first)]
        )

    def _origin(self, number: int) -> str:
        row, column = self.elements[number].tolist()
        return f"anchor {said(self.kinds[self.shapes[number]])} at row {row}, column {column}"

    def picture(self) -> Page:
        """The surest proposals, anchors at an element, how sure the network is everywhere, and what was dropped."""
        first = min(SHOWN, len(self))
        drawn = [
            drawn_box(self.boxes[k], f"{self.scores[k]:.2f}", max(0.3, float(self.scores[k])), float(self.scores[k]))
            for k in range(first)
        ]
        kept = Overlay("Where an object may be", self.image, boxes=tuple(drawn), note=self._words(first))
        everywhere = Overlay(
            "How sure the network is that an object is here",
            self.image,
            on_picture(shares(self.objectness).max(0), self.stride, self.image.shape[1:]),
            ends=(0.0, 1.0),
            quantity="probability",
            note="of each element of the maps that of its surest anchor",
        )
        maps = Maps(
            "How sure it is of each anchor",
            shares(self.objectness),
            captions=tuple(said(kind) for kind in self.kinds),
            columns=len({size for size, _ in self.kinds}),
            ends=(0.0, 1.0),
            note="size, the side of a square of the same area, in pixels of the canvas; and height to width",
        )
        rows = [
            [
                str(k),
                f"{self.scores[k]:.1%}",
                told(self.boxes[k]),
                self._origin(k),
                str(int((self.dropped_by == k).sum())),
            ]
            for k in range(first)
        ]
        names = ["", "sure", "box", "was", "dropped for it"]
        sure = [[None, float(one), None, None, None] for one in self.scores[:first]]
        table = Grid(names, rows, "rrllr", title="The first proposals", values=sure)
        return Page("Proposals of the network", (kept, *self._of_the_surest(), everywhere, maps, table))

    def _seen(self, boxes: Array) -> Array:
        """What of boxes lies on the picture."""
        return within(boxes, self.image.shape[2], self.image.shape[1])

    def _words(self, first: int) -> str:
        return f"The first {first} of {amount(len(self), 'proposal')}." if first else "The network proposes nothing."

    def _of_the_surest(self) -> tuple[Overlay, ...]:
        """The anchors at the element of the surest proposal, and what this took the place of."""
        if not len(self):
            return ()
        around = [
            drawn_box(box, said(kind) if number == self.shapes[0] else "", 1.0 if number == self.shapes[0] else 0.25)
            for number, (box, kind) in enumerate(zip(self._seen(self.around), self.kinds, strict=True))
        ]
        moved = drawn_box(self.boxes[0], f"moved {self.scores[0]:.2f}", 0.7, float(self.scores[0]))
        gone = np.flatnonzero(self.dropped_by == 0)
        others = tuple(drawn_box(box, "", 0.25) for box in self.dropped[gone[:DROPPED]])
        return (
            Overlay(
                "All anchors of the element that the surest proposal is from",
                self.image,
                boxes=(*around, moved),
                note=self._origin(0),
            ),
            Overlay(
                f"Dropped for the surest proposal: {len(gone)}",
                self.image,
                boxes=(*others, drawn_box(self.boxes[0], f"{self.scores[0]:.2f}", 1.0, float(self.scores[0]))),
                note=overlapping(len(gone)),
            ),
        )


def network_proposals(detector: Detector, image: GivenPicture, name: str = "", most: int = 0) -> NetworkProposals:
    """The proposals of a Faster R-CNN on a picture, as `detect` takes it, all or the `most` surest. Raises `DetectorError`."""
    require_detector(detector)
    if not isinstance(detector, FasterRCNNDetector):
        raise DetectorError(f"{detector.system}: has no network that proposes; only faster-rcnn has one")
    most = whole(detector.system, "most", most, 0, DetectorError)
    name, image = name or name_of(image), detector.checked(image)
    look = detector.look(image)
    count = min(most or len(look.boxes), len(look.boxes))
    gone, by = dropped_of(look)
    own = by < count
    places = look.places[:count]
    origins = np.array([place_of(int(place), *look.map_size) for place in places], np.int64).reshape(-1, 3)
    back = look.canvas.back
    return NetworkProposals(
        name,
        image,
        back(look.boxes[:count]),
        look.objectness[places],
        back(look.anchors[places]),
        origins[:, 0],
        origins[:, 1:],
        look.objectness.reshape(-1, *look.map_size),
        detector.kinds,
        STRIDE / look.canvas.zoom,
        back(look.anchors.reshape(-1, *look.map_size, 4)[:, *origins[0, 1:]] if count else look.anchors[:0]),
        back(look.moved[gone[own]]),
        look.objectness[gone[own]],
        by[own],
    )


def dropped_of(look: AnchorLook) -> tuple[Array, Array]:
    """Which anchors were dropped for a proposal, the surest first, and for which: the first that overlaps them too much."""
    large = np.flatnonzero((sizes(look.moved) >= SMALLEST).all(1))
    surest = large[np.argsort(-look.objectness[large], kind="stable")[:CONSIDERED]]
    waiting = surest[~np.isin(surest, look.places)]
    if not len(waiting) or not len(look.boxes):
        return waiting[:0], waiting[:0]
    shared = overlaps(look.moved[waiting], look.boxes) > OVERLAP
    shared &= look.objectness[look.places][None] >= look.objectness[waiting][:, None]
    gone = shared.any(1)
    return waiting[gone], shared[gone].argmax(1)


def overlapping(count: int) -> str:
    """What is said below a picture of so many boxes that were dropped, of which some are drawn."""
    drawn = f"; the first {DROPPED} are drawn" if count > DROPPED else ""
    return f"they overlap it by more than {OVERLAP:g}{drawn}"


def on_picture(values: Array, stride: float, size: tuple[int, ...]) -> Array:
    """Numbers of elements `stride` pixels apart as numbers of a picture's pixels, each that of its element."""
    rows, columns = (
        np.minimum((np.arange(n) / stride).astype(int), m - 1) for n, m in zip(size, values.shape, strict=True)
    )
    return values[rows][:, columns]


def said(kind: tuple[float, float]) -> str:
    """An anchor's size and ratio in words."""
    size, ratio = kind
    return f"{size:g}, {ratio:g}:1" if ratio >= 1 else f"{size:g}, 1:{1 / ratio:g}"


def shares(logits: Array) -> Array:
    """Probabilities of logits."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -500.0, 500.0)))
