"""Why a box of R-CNN is here and of its class: the region as the network saw it, the terms of its score, and what each pixel adds."""

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
    rows_of,
    suppressed_pictures,
    table_of,
    terms_of,
)
from pellucid.detect.boxes import told
from pellucid.detect.proposals.origin import ProposalOrigin, proposed_by
from pellucid.detect.rcnn.crops import crop_of, cut_out, onto_picture
from pellucid.detect.rcnn.detector import RCNNDetector
from pellucid.detect.rcnn.features import Backbone
from pellucid.executors import compile
from pellucid.graph import as_tensors
from pellucid.pictures import Answer, Chart, Overlay, Page, Series
from pellucid.plain import Array
from pellucid.scopes import inference_mode
from pellucid.text import text_table


@dataclass(frozen=True)
class RegionExplanation(Answer):
    """A box that R-CNN found on `image`, uint8 (3, H, W), and where its numbers come from.

    `region` is what it was made of: the `proposal`, or where the round before moved that; `crop` uint8 (3, side, side) is what the network
    saw of it. `terms` (numbers of the network times `scale`, times weights), `others` (the sum over all that are not told) and `bias`
    add up to `score`, the margin of its class among `margins` (K,). `offsets` moved the region to `box`; `score_of_box` is what the box
    would have, were it cut out and looked at itself. What each pixel adds, value times slope: `crop_pixels` float64 (side, side),
    `pixels` (H, W).
    """

    name: str
    image: Array
    classes: tuple[str, ...]
    number: int | None
    label: int
    score: float
    score_of_box: float
    box: Array
    region: Array
    offsets: Array
    margins: Array
    terms: tuple[ScoreTerm, ...]
    others: float
    bias: float
    scale: float
    crop: Array
    crop_pixels: Array
    pixels: Array
    dropped: tuple[Dropped, ...]
    proposal: Array
    origin: ProposalOrigin | None = None
    """Where the proposal comes from, if selective search found it."""
    fallen: Fallen | None = None
    """Why it is not among the boxes found, where that was asked."""

    @property
    def was_moved(self) -> bool:
        """Whether the region is no proposal but where one was moved to."""
        return not np.array_equal(self.region, self.proposal)

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
            "margins": dict(zip(self.classes, self.margins.tolist(), strict=True)),
            "terms": [t.plain() for t in self.terms],
            "others": self.others,
            "bias": self.bias,
            "scale": self.scale,
            "origin": None if self.origin is None else self.origin.plain(),
            "dropped": [d.plain() for d in self.dropped],
            **({} if self.fallen is None else {"fallen": self.fallen.plain()}),
        }

    def __str__(self) -> str:
        order = np.argsort(-self.margins, kind="stable")[:5].tolist()
        rows = rows_of(self.terms, self.others, self.bias, self.score)
        return "\n".join(
            [
                f"{self.name}: {self.classes[self.label]} {self.score:+.2f}, {told(self.box)}",
                *fallen_lines(self.fallen),
                f"why here: of the {made_of(self.region, self.proposal)}, moved by {', '.join(f'{v:.3g}' for v in self.offsets)} "
                f"(center by width and height, logarithms of both); cut out itself, the box would have {self.score_of_box:+.2f}",
                "why this class: " + ", ".join(f"{self.classes[k]} {self.margins[k]:+.2f}" for k in order),
                text_table(["unit", "value", "weight", "product"], rows, "lrrr"),
                *dropped_lines(self.dropped, self.fallen, "+.2f", "that overlap it by more than 0.3"),
            ]
        )

    def picture(self) -> Page:
        """The box and its proposal, what the network saw, what each pixel adds to the score, the terms, and what was dropped."""
        kind = self.classes[self.label]
        own = drawn_box(self.box, f"{kind} {self.score:+.2f}", 1.0, self.score)
        what = "region" if self.was_moved else "proposal"
        between = "; between both the region, where the round before moved the proposal" if self.was_moved else ""
        moved = Overlay(
            "The box, and the proposal that it was made of",
            self.image,
            boxes=(own, *drawn_origin(self.region, self.proposal)),
            note=f"score {self.score:+.3f} as the {what}, {self.score_of_box:+.3f} as the box, were it cut out itself{between}",
        )
        side = self.crop.shape[1]
        seen = Overlay(
            f"The {what} as the network saw it",
            self.crop,
            note=f"warped to {side} x {side} pixels with what is around it; outside the picture is the mean color",
        )
        within = adding("What each of these pixels adds to the score", self.crop, self.crop_pixels)
        pixels = adding("The same on the picture", self.image, self.pixels)
        made = f"What the score of {kind} is made of"
        units = table_of(made, self.terms, self.others, self.bias, self.score)
        scores = Chart(
            "Scores of all classes",
            "class",
            "score",
            (Series("", list(range(len(self.margins))), self.margins.tolist(), "points"),),
            note=", ".join(f"{k} {name}" for k, name in enumerate(self.classes)),
        )
        dropped = suppressed_pictures(self.image, own, self.dropped, self.fallen, "+.2f")
        origin = () if self.origin is None else (self.origin.picture(),)
        fallen = fallen_pictures(self.fallen, self.image, self.box, self.score)
        return Page(str(self).splitlines()[0], (*fallen, moved, *origin, seen, within, pixels, units, scores, *dropped))


@dataclass(frozen=True)
class Look:
    """What a network saw of a region, `crop` uint8 (3, side, side), and says of it: `vector` (D,) and `maps` (M,). What each pixel adds to a sum
    of the vector times weights, value times slope: `crop_pixels` float64 (side, side), `pixels` (H, W) on the picture."""

    crop: Array
    vector: Array
    maps: Array
    crop_pixels: Array
    pixels: Array


def look_at(backbone: Backbone, image: Array, region: Array, weights: Array) -> Look:
    """What a network sees of a region (4,) of a picture, and what each pixel of it adds to its vector times `weights` (D,)."""
    size, crop = (image.shape[1], image.shape[2]), backbone.crop
    there = crop_of(region, size, crop.side, crop.padding, crop.context)
    square = cut_out(image, there, crop.side, backbone.preprocessing)
    (factors,) = as_tensors(weights.astype(np.float32))
    images, vectors, maps = backbone.outputs(1)
    with inference_mode():
        (slopes,) = gradients(ops.sum(vectors * factors), [images])
    setting: dict[str, Any] = {"executor": backbone.config.executor, "threads": backbone.config.threads}
    program = compile((vectors, maps, ops.sum(images * slopes, (0, 1))), inputs=(images,), **setting)
    vector, map, pixels = (np.asarray(one, np.float64) for one in program({"images": square[None]}))
    seen = backbone.preprocessing.denormalize(square)
    return Look(seen, vector[0], map[0], pixels, onto_picture(pixels, there, size))


def explain(detector: RCNNDetector, asked: AskedBox) -> RegionExplanation:
    """Where the numbers of a box come from."""
    image, label, backbone, machines = asked.image, asked.label, detector.backbone, detector.machines
    look = look_at(backbone, image, asked.region, machines.weights[label] * machines.scale)
    terms, others = terms_of(look.vector * machines.scale, machines.weights[label])
    again, _ = backbone.described(image, asked.box[None])
    return RegionExplanation(
        asked.name, image, detector.classes, asked.number, label, asked.score, float(machines.scores(again)[0, label]),
        asked.box, asked.region, detector.offsets(look.maps[None])[0, label], machines.scores(look.vector[None])[0], terms,
        others, float(machines.biases[label]), machines.scale, look.crop, look.crop_pixels, look.pixels, asked.dropped,
        asked.proposal, proposed_by(detector.propose, image, asked.proposal), asked.fallen,
    )  # fmt: skip
