"""Why a box of Fast R-CNN is here, why it is of its class, and which others it took the place of: every number down to its terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.detect.asked import (
    AskedBox,
    Dropped,
    Fallen,
    ScoreTerm,
    adding,
    drawn_box,
    drawn_origin,
    dropped_lines,
    fallen_lines,
    fallen_pictures,
    made_of,
    part_of,
    rows_of,
    suppressed_pictures,
    table_of,
    terms_of,
)
from pellucid.detect.boxes import told
from pellucid.detect.canvas import canvas_for, drawn
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector
from pellucid.detect.fast_rcnn.network import BINS
from pellucid.detect.proposals.origin import ProposalOrigin, proposed_by
from pellucid.executors import compile
from pellucid.graph import as_tensors, input
from pellucid.pictures import Answer, Chart, Overlay, Page, Series
from pellucid.plain import Array
from pellucid.scopes import inference_mode
from pellucid.text import text_table


@dataclass(frozen=True)
class BoxExplanation(Answer):
    """A box that was found on `image`, uint8 (3, H, W), and where its numbers come from.

    `region` is what it was made of: the `proposal`, or where the round before moved that; `offsets` (center by size, logarithms of
    sizes) moved it to `box`. The `score` is the softmax's share of `logit` among `logits` of all classes, the background first;
    `terms`, `others` (the sum over all units that are not told) and `bias` add up to the logit. `bins` float64 (7, 7): what each bin of the
    region adds to it, and `pixels` float64 (H, W) each pixel: value times slope, summed over channels.
    """

    name: str
    image: Array
    classes: tuple[str, ...]
    number: int | None
    label: int
    score: float
    box: Array
    region: Array
    offsets: Array
    logits: Array
    terms: tuple[ScoreTerm, ...]
    others: float
    bias: float
    bins: Array
    pixels: Array
    dropped: tuple[Dropped, ...]
    proposal: Array
    score_of_box: float | None = None
    """What the box would have, were it looked at as a region itself."""
    origin: ProposalOrigin | None = None
    """Where the proposal comes from, if selective search found it."""
    fallen: Fallen | None = None
    """Why it is not among the boxes found, where that was asked."""

    @property
    def logit(self) -> float:
        """What the class's score is made of, before the softmax."""
        return float(self.logits[1 + self.label])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "picture": self.name,
            "number": self.number,
            "class": self.classes[self.label],
            "score": self.score,
            "score_of_box": self.score_of_box,
            "box": self.box.tolist(),
            "region": self.region.tolist(),
            "proposal": self.proposal.tolist(),
            "offsets": self.offsets.tolist(),
            "logits": dict(zip(("background", *self.classes), self.logits.tolist(), strict=True)),
            "terms": [t.plain() for t in self.terms],
            "others": self.others,
            "bias": self.bias,
            "bins": self.bins.tolist(),
            "origin": None if self.origin is None else self.origin.plain(),
            "dropped": [d.plain() for d in self.dropped],
            **({} if self.fallen is None else {"fallen": self.fallen.plain()}),
        }

    def __str__(self) -> str:
        shares = np.exp(self.logits - self.logits.max())
        shares = shares / shares.sum()
        order = np.argsort(-self.logits)[:5].tolist()
        names = ("background", *self.classes)
        rows = rows_of(self.terms, self.others, self.bias, self.logit)
        return "\n".join(
            [
                f"{self.name}: {self.classes[self.label]} {self.score:.1%}, {told(self.box)}",
                *fallen_lines(self.fallen),
                f"why here: of the {made_of(self.region, self.proposal)}, moved by {', '.join(f'{v:.3g}' for v in self.offsets)} "
                f"(center by width and height, logarithms of both){self._again()}",
                "why this class: " + ", ".join(f"{names[k]} {shares[k]:.1%}" for k in order),
                text_table(["unit", "value", "weight", "product"], rows, "lrrr"),
                *dropped_lines(self.dropped, self.fallen, ".1%", "that overlap it by more than 0.3"),
            ]
        )

    def _again(self) -> str:
        return "" if self.score_of_box is None else f"; looked at itself, the box would have {self.score_of_box:.1%}"

    def picture(self) -> Page:
        """The box and its proposal, what each bin and each pixel add to the score, the units, and what was dropped."""
        kind = self.classes[self.label]
        moved = Overlay(
            "The box, and the proposal that it was made of",
            self.image,
            boxes=(
                drawn_box(self.box, f"{kind} {self.score:.2f}", 1.0, self.score),
                *drawn_origin(self.region, self.proposal),
            ),
            note=f"score {self.score:.3f} as the {made_of(self.region, self.proposal)}{self._again()}",
        )
        rows, columns = part_of(self.region, self.image.shape)
        bins = Overlay(
            "What each bin of the region adds to the score",
            self.image,
            self.bins,
            signed=True,
            rows=rows,
            columns=columns,
            note=f"{BINS} x {BINS} bins, each the largest of its elements of every map: value times slope, summed over maps",
        )
        pixels = adding("What each pixel adds to the score", self.image, self.pixels)
        units = table_of(
            f"What the score of {kind} is made of, before the softmax", self.terms, self.others, self.bias, self.logit
        )
        own = drawn_box(self.box, f"{kind} {self.score:.2f}", 1.0, self.score)
        dropped = suppressed_pictures(self.image, own, self.dropped, self.fallen, ".2f")
        scores = Chart(
            "Scores of all classes before the softmax",
            "class",
            "score",
            (Series("", list(range(len(self.logits))), self.logits.tolist(), "points"),),
            note="0 background, " + ", ".join(f"{k + 1} {name}" for k, name in enumerate(self.classes)),
        )
        origin = () if self.origin is None else (self.origin.picture(),)
        fallen = fallen_pictures(self.fallen, self.image, self.box, self.score)
        return Page(str(self).splitlines()[0], (*fallen, moved, *origin, bins, pixels, units, scores, *dropped))


def explain(detector: FastRCNNDetector, asked: AskedBox) -> BoxExplanation:
    """Where the numbers of a box come from."""
    image, label = asked.image, asked.label
    height, width = image.shape[1:]
    canvas = canvas_for(height, width, detector.config.image_size)
    pixels = drawn(image, canvas, detector.preprocessing)[None]
    logits, offsets, units, bins, slopes = _looked_into(detector, pixels, canvas.onto(asked.region[None]), label)
    state = detector.net.score.state_dict()
    weight, bias = (state[part].astype(np.float64) for part in ("weight", "bias"))
    terms, others = terms_of(units, weight[1 + label])
    way = detector.normalization
    moved = offsets[1 + label] * way.deviation[label] + way.mean[label]
    return BoxExplanation(
        asked.name, image, detector.classes, asked.number, label, asked.score, asked.box, asked.region, moved, logits, terms,
        others, float(bias[1 + label]), bins, canvas.parted(slopes, height, width), asked.dropped, asked.proposal,
        float(detector.scored_at(image, asked.box[None]).scores[0, label]),
        proposed_by(detector.propose, image, asked.proposal), asked.fallen,
    )  # fmt: skip


def _looked_into(
    detector: FastRCNNDetector, pixels: Array, region: Array, label: int
) -> tuple[Array, Array, Array, Array, Array]:
    """Of one region the scores of all classes, offsets (1 + K, 4), units of the last layer, and what bins and pixels add to a class."""
    net = detector.net
    images, boxes = input(pixels.shape, name="images"), input((1, 4), name="boxes")
    (first,) = as_tensors(np.zeros(1, np.int64))
    with inference_mode():
        pooled = net.pooled(net.maps(images), boxes, first)
        units = net.head(ops.flatten(pooled))
        scores, offsets = net.score(units), net.move(units)
    own = scores[0, 1 + label]
    of_bins, of_pixels = gradients(own, [pooled, images])
    outputs = [scores, offsets, units, ops.sum(pooled * of_bins, (0, 1)), ops.sum(images * of_pixels, (0, 1))]
    setting: dict[str, Any] = {"executor": detector.config.executor, "threads": detector.config.threads}
    found = compile(outputs, **setting)({"images": pixels, "boxes": region.astype(np.float32)})
    logits, moves, values, bins, slopes = (np.asarray(one, np.float64) for one in found)
    return logits[0], moves.reshape(-1, 4), values[0], bins, slopes
