"""Why a box of Fast R-CNN is here, why it is of its class, and which others it took the place of: every number down to its terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.detect.boxes import overlaps, told
from pellucid.detect.canvas import Canvas, canvas_for, drawn
from pellucid.detect.config import DetectorError
from pellucid.detect.detector import KEPT, SHOWN
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector
from pellucid.detect.fast_rcnn.network import BINS
from pellucid.executors import compile
from pellucid.graph import as_tensors, input
from pellucid.pictures import Answer, Box, Chart, Grid, Overlay, Page, Series
from pellucid.plain import Array
from pellucid.progress import long, progress
from pellucid.scopes import inference_mode
from pellucid.text import amount, text_table

UNITS = 12
"""Units of the last layer that are told one by one; the others are summed up."""


@dataclass(frozen=True)
class Term:
    """What a unit adds to the score: what it says times the weight that the class gives it."""

    name: str
    value: float
    weight: float

    @property
    def product(self) -> float:
        """Value times weight."""
        return self.value * self.weight


@dataclass(frozen=True)
class Dropped:
    """A box that was suppressed: its score, and how much of both together the two share."""

    box: Array
    score: float
    overlap: float


@dataclass(frozen=True)
class BoxExplanation(Answer):
    """A box that was found on `image`, uint8 (3, H, W), and where its numbers come from.

    `region` is the proposal that it was made of, `offsets` (center by size, logarithms of sizes) moved it to `box`. The
    `score` is the softmax's share of `logit` among `logits` of all classes, the background first; `terms`, `others` (the
    sum over all units that are not told) and `bias` add up to the logit. `bins` float64 (7, 7): what each bin of the region adds to
    it, and `pixels` float64 (H, W) each pixel: value times slope, summed over channels.
    """

    name: str
    image: Array
    classes: tuple[str, ...]
    number: int
    label: int
    score: float
    box: Array
    region: Array
    offsets: Array
    logits: Array
    terms: tuple[Term, ...]
    others: float
    bias: float
    bins: Array
    pixels: Array
    dropped: tuple[Dropped, ...]

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
            "box": self.box.tolist(),
            "region": self.region.tolist(),
            "offsets": self.offsets.tolist(),
            "logits": dict(zip(("background", *self.classes), self.logits.tolist(), strict=True)),
            "terms": [{"unit": t.name, "value": t.value, "weight": t.weight, "product": t.product} for t in self.terms],
            "others": self.others,
            "bias": self.bias,
            "bins": self.bins.tolist(),
            "dropped": [{"box": d.box.tolist(), "score": d.score, "overlap": d.overlap} for d in self.dropped],
        }

    def __str__(self) -> str:
        shares = np.exp(self.logits - self.logits.max())
        shares = shares / shares.sum()
        order = np.argsort(-self.logits)[:5].tolist()
        names = ("background", *self.classes)
        rows = [[t.name, f"{t.value:.4g}", f"{t.weight:.4g}", f"{t.product:.4g}"] for t in self.terms]
        rows += [["all others", "", "", f"{self.others:.4g}"], ["bias", "", "", f"{self.bias:.4g}"]]
        rows += [["together", "", "", f"{self.logit:.4g}"]]
        return "\n".join(
            [
                f"{self.name}: {self.classes[self.label]} {self.score:.1%}, {told(self.box)}",
                f"why here: of the proposal {told(self.region)}, moved by {', '.join(f'{v:.3g}' for v in self.offsets)} "
                "(center by width and height, logarithms of both)",
                "why this class: " + ", ".join(f"{names[k]} {shares[k]:.1%}" for k in order),
                text_table(["unit", "value", "weight", "product"], rows, "lrrr"),
                f"in its place went {amount(len(self.dropped), 'box')} of its class that overlap it by more than 0.3",
                *(f"  {told(d.box)}  {d.score:.1%}, overlap {d.overlap:.2f}" for d in self.dropped[:5]),
            ]
        )

    def picture(self) -> Page:
        """The box and its proposal, what each bin and each pixel add to the score, the units, and what was dropped."""
        kind = self.classes[self.label]
        moved = Overlay(
            "The box, and the proposal that it was made of",
            self.image,
            boxes=(_drawn(self.box, f"{kind} {self.score:.2f}", 1.0), _drawn(self.region, "proposal", 0.4)),
        )
        rows, columns = _part(self.region, self.image.shape)
        bins = Overlay(
            "What each bin of the region adds to the score",
            self.image,
            self.bins,
            signed=True,
            rows=rows,
            columns=columns,
            note=f"{BINS} x {BINS} bins, each the largest of its elements of every map: value times slope, summed over maps",
        )
        pixels = Overlay(
            "What each pixel adds to the score",
            self.image,
            self.pixels,
            signed=True,
            note="value times slope, summed over colors",
        )
        units = Grid(
            ["unit", "value", "weight", "product"],
            [[t.name, f"{t.value:.4g}", f"{t.weight:.4g}", f"{t.product:.4g}"] for t in self.terms]
            + [
                ["all others", "", "", f"{self.others:.4g}"],
                ["bias", "", "", f"{self.bias:.4g}"],
                ["together", "", "", f"{self.logit:.4g}"],
            ],
            "lrrr",
            title=f"What the score of {kind} is made of, before the softmax",
        )
        gone = tuple(_drawn(d.box, f"{d.score:.2f}", 0.3) for d in self.dropped)
        dropped = Overlay(
            f"Suppressed by this box: {len(gone)}",
            self.image,
            boxes=(*gone, _drawn(self.box, f"{kind} {self.score:.2f}", 1.0)),
        )
        scores = Chart(
            "Scores of all classes before the softmax",
            "class",
            "score",
            (Series("", list(range(len(self.logits))), self.logits.tolist(), "points"),),
            note="0 background, " + ", ".join(f"{k + 1} {name}" for k, name in enumerate(self.classes)),
        )
        return Page(str(self).splitlines()[0], (moved, bins, pixels, units, scores, dropped))


def _drawn(box: Array, label: str, weight: float) -> Box:
    x1, y1, x2, y2 = box.tolist()
    return Box((int(y1), int(y2) + 1), (int(x1), int(x2) + 1), label, weight)


def _part(box: Array, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns of the picture that a box has, at least one of each."""
    x1, y1, x2, y2 = box.tolist()
    top, left = min(int(y1), shape[1] - 1), min(int(x1), shape[2] - 1)
    return (top, max(top + 1, min(shape[1], int(y2) + 1))), (left, max(left + 1, min(shape[2], int(x2) + 1)))


@long
def explain(
    detector: FastRCNNDetector, image: Array, number: int = 0, threshold: float = SHOWN, name: str = "picture"
) -> BoxExplanation:
    """Where the numbers of box `number` come from, of those that `detect` gives for a picture, the surest being 0. Raises `DetectorError`."""
    with progress("explaining"):
        scored = detector.scored(image)
        every = [
            (float(score), choice, place)
            for choice in detector.chosen(scored, threshold)
            for place, (score, by) in enumerate(zip(choice.scores.tolist(), choice.by.tolist(), strict=True))
            if by == KEPT
        ]
        every.sort(key=lambda one: -one[0])
        if not 0 <= number < len(every):
            raise DetectorError(
                f"{name}: has {amount(len(every), 'box')} with a score of {threshold:g} or more, counted from 0; there is no box {number}"
            )
        score, choice, place = every[number]
        region, box = scored.regions[choice.rows[place]], choice.boxes[place]
        gone = np.flatnonzero(choice.by == place)
        shared = overlaps(box[None], choice.boxes[gone])[0] if len(gone) else np.zeros(0)
        dropped = tuple(
            Dropped(choice.boxes[k], float(choice.scores[k]), float(o))
            for k, o in zip(gone, shared.tolist(), strict=True)
        )
        height, width = image.shape[1:]
        canvas = canvas_for(height, width, detector.config.image_size)
        pixels = drawn(image, canvas, detector.preprocessing)[None]
        logits, offsets, units, bins, slopes = _looked_into(detector, pixels, canvas.onto(region[None]), choice.label)
    state = detector.net.score.state_dict()
    weight, bias = (state[part].astype(np.float64) for part in ("weight", "bias"))
    own = weight[1 + choice.label]
    order = np.argsort(-np.abs(units * own), kind="stable")
    terms = tuple(Term(f"unit {k}", float(units[k]), float(own[k])) for k in order[:UNITS].tolist())
    way = detector.normalization
    moved = offsets[1 + choice.label] * way.deviation[choice.label] + way.mean[choice.label]
    return BoxExplanation(
        name, image, detector.classes, number, choice.label, score, box, region, moved, logits, terms,
        float((units * own)[order[UNITS:]].sum()), float(bias[1 + choice.label]), bins,
        _on_picture(slopes, canvas, (height, width)), dropped,
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


def _on_picture(values: Array, canvas: Canvas, size: tuple[int, int]) -> Array:
    """Numbers of a canvas's pixels as numbers of the picture's, each that of the nearest."""
    rows, columns = (
        np.minimum((np.arange(n) * canvas.zoom).astype(int), m - 1) for n, m in zip(size, values.shape, strict=True)
    )
    return values[rows][:, columns]
