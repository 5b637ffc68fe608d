"""Why a box of Faster R-CNN is here: what Fast R-CNN's heads say of its proposal, and why the network proposed that at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.detect.asked import AskedBox, Dropped, ScoreTerm, adding, drawn_box, rows_of, table_of, terms_of
from pellucid.detect.boxes import overlaps, told, within
from pellucid.detect.canvas import drawn
from pellucid.detect.fast_rcnn.explaining import BoxExplanation
from pellucid.detect.fast_rcnn.explaining import explain as explain_head
from pellucid.detect.faster_rcnn.anchors import place_of
from pellucid.detect.faster_rcnn.answer import DROPPED, dropped_of, overlapping, said, shares
from pellucid.detect.faster_rcnn.detector import AnchorLook, FasterRCNNDetector
from pellucid.detect.faster_rcnn.proposing import OVERLAP
from pellucid.detect.faster_rcnn.unproposed import NearestAnchor, nearest_anchor
from pellucid.executors import compile
from pellucid.graph import input
from pellucid.pictures import Answer, Overlay, Page
from pellucid.plain import Array
from pellucid.scopes import inference_mode
from pellucid.text import amount, text_table


@dataclass(frozen=True)
class ProposedBoxExplanation(Answer):
    """A box of Faster R-CNN: what the `head` says of its proposal, and why there is that proposal.

    It was the `rank`th of all (from 0). It began as an `anchor` (4,) of `kind` (size on the canvas, height by width) at an `element` (row,
    column) of the maps, and was moved by `offsets`. `terms`, `others` (the sum over all units that are not told) and `bias` add up to
    the `logit` of being an object. `pixels` float64 (H, W): what each adds to it, value times slope, summed over channels.
    `dropped` were anchors that the proposal took the place of.
    """

    head: BoxExplanation
    rank: int
    anchor: Array
    kind: tuple[float, float]
    element: tuple[int, int]
    offsets: Array
    logit: float
    terms: tuple[ScoreTerm, ...]
    others: float
    bias: float
    pixels: Array
    dropped: tuple[Dropped, ...]
    nearest: NearestAnchor | None = None
    """What became of the anchor nearest to the box, where that was asked for by its place."""

    @property
    def objectness(self) -> float:
        """How sure the network is that the proposal is an object, 0 to 1."""
        return float(shares(np.array(self.logit)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the head's, and the proposal's own."""
        return {
            **self.head.to_dict(),
            "proposal": {
                "rank": self.rank,
                "anchor": self.anchor.tolist(),
                "size": self.kind[0],
                "ratio": self.kind[1],
                "element": list(self.element),
                "offsets": self.offsets.tolist(),
                "objectness": self.objectness,
                "logit": self.logit,
                "terms": [t.plain() for t in self.terms],
                "others": self.others,
                "bias": self.bias,
                "dropped": [d.plain() for d in self.dropped],
                **({} if self.nearest is None else {"nearest_anchor": self.nearest.plain()}),
            },
        }

    def __str__(self) -> str:
        row, column = self.element
        return "\n".join(
            [
                str(self.head),
                *([] if self.nearest is None else [self.nearest.words]),
                f"why this proposal: number {self.rank} of the network's own, an object by {self.objectness:.1%}, from the anchor "
                f"{said(self.kind)} at row {row}, column {column}, {told(self.anchor)}",
                f"moved by {', '.join(f'{v:.3g}' for v in self.offsets)} (center by width and height, logarithms of both)",
                text_table(
                    ["unit", "value", "weight", "product"],
                    rows_of(self.terms, self.others, self.bias, self.logit),
                    "lrrr",
                ),
                f"in its place went {amount(len(self.dropped), 'anchor')}, by overlaps of more than {OVERLAP:g}",
                *(f"  {told(d.box)}  {d.score:.1%}, overlap {d.overlap:.2f}" for d in self.dropped[:5]),
            ]
        )

    def _anchor_on_picture(self) -> Array:
        """What of the anchor lies on the picture."""
        return within(self.anchor[None], self.head.image.shape[2], self.head.image.shape[1])[0]

    def picture(self) -> Page:
        """What the head's page shows, then the proposal: its anchor, what each pixel adds, its units, and what was dropped for it."""
        head = self.head
        here = drawn_box(head.region, f"proposal {self.objectness:.2f}", 1.0, self.objectness)
        began = Overlay(
            "The proposal, and the anchor that it was made of",
            head.image,
            boxes=(here, drawn_box(self._anchor_on_picture(), f"anchor {said(self.kind)}", 0.4)),
        )
        pixels = adding("What each pixel adds to being an object", head.image, self.pixels)
        units = table_of(
            "What being an object is made of, before the logistic function",
            self.terms,
            self.others,
            self.bias,
            self.logit,
        )
        gone = tuple(drawn_box(d.box, "", 0.25) for d in self.dropped[:DROPPED])
        count = len(self.dropped)
        title = f"Anchors that the proposal took the place of: {count}"
        dropped = Overlay(title, head.image, boxes=(*gone, here), note=overlapping(count))
        page = head.picture()
        return Page(page.title, (*page.parts, began, pixels, units, dropped))


def explain(detector: FasterRCNNDetector, asked: AskedBox) -> ProposedBoxExplanation:
    """Where the numbers of a box come from, its proposal's too."""
    look = detector.look(asked.image)
    number = int(look.places[asked.row])
    shape, row, column = place_of(number, *look.map_size)
    units, slopes = _looked_into(detector, asked.image, look, number)
    state = detector.net.propose.objectness.state_dict()
    weight, bias = state["weight"].astype(np.float64)[shape, :, 0, 0], float(state["bias"][shape])
    terms, others = terms_of(units, weight)
    back = look.canvas.back
    by_place = None if asked.fallen is None else asked.fallen.nearest
    nearest = None if by_place is None else nearest_anchor(look, by_place.asked, detector.kinds)
    return ProposedBoxExplanation(
        explain_head(detector, asked), asked.row, back(look.anchors[number]),
        detector.kinds[shape], (row, column), look.moves[number],
        float(look.objectness[number]), terms, others, bias,
        look.canvas.parted(slopes, *asked.image.shape[1:]), _dropped(look, asked.row), nearest,
    )  # fmt: skip


def _looked_into(detector: FasterRCNNDetector, image: Array, look: AnchorLook, number: int) -> tuple[Array, Array]:
    """Units of the layer before the objectness of an anchor, and what each pixel of the canvas adds to it."""
    pixels = drawn(image, look.canvas, detector.preprocessing)[None]
    _, row, column = place_of(number, *look.map_size)
    images = input(pixels.shape, name="images")
    with inference_mode():
        seen = detector.net.propose.seen(detector.net.maps(images))
        objectness, _ = detector.net.propose.said(seen)
    (slope,) = gradients(objectness[0, number], [images])
    setting: dict[str, Any] = {"executor": detector.config.executor, "threads": detector.config.threads}
    outputs = [seen[0, :, row, column], ops.sum(images * slope, (0, 1))]
    units, slopes = (np.asarray(one, np.float64) for one in compile(outputs, **setting)({"images": pixels}))
    return units, slopes


def _dropped(look: AnchorLook, rank: int) -> tuple[Dropped, ...]:
    """What the proposal of a rank took the place of, the surest first."""
    gone, by = dropped_of(look)
    own = gone[by == rank]
    shared = overlaps(look.moved[own], look.boxes[rank : rank + 1])[:, 0]
    sure = shares(look.objectness[own])
    return tuple(
        Dropped(look.canvas.back(look.moved[k]), float(s), float(o))
        for k, s, o in zip(own.tolist(), sure, shared, strict=True)
    )
