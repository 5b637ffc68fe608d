"""A training step of Faster R-CNN as one graph: proposals are made, chosen and learned from between the maps and the four losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.detect.fast_rcnn.step import GraphStepper
from pellucid.detect.faster_rcnn.anchors import placed
from pellucid.detect.faster_rcnn.network import FasterRCNN
from pellucid.detect.faster_rcnn.proposing import proposed
from pellucid.detect.faster_rcnn.sampling import LearnedRegions, learned
from pellucid.detect.faster_rcnn.targets import AnchorTargets
from pellucid.graph import Tensor, constant, input
from pellucid.plain import Array

PROPOSALS = 2000
"""Proposals of a picture that the heads' regions are drawn of, at most (Ren et al. 2015, section 3.3)."""
CONSIDERED = 12_000
"""The surest anchors that may become proposals in training."""
SHARPNESS = 9.0
"""How steeply the loss of proposals grows around 0: it turns straight at a ninth, as in the authors' code."""
LOSSES = ("loss_of_objectness", "loss_of_proposals", "loss_of_classes", "loss_of_boxes")
"""What a step makes small: of the anchors, whether they are on an object and where they are moved; of the regions, their class and box."""


@dataclass(frozen=True)
class SeenObjects:
    """What a step is told of a picture: the `targets` of its anchors, its objects' `boxes` (N, 4) on the canvas and `labels` (N,) from 1, its
    last pixel `extent` (x, y) there, and `chances` in [0, 1) by which regions are drawn, one for each that there may be."""

    targets: AnchorTargets
    boxes: Array
    labels: Array
    extent: Array
    chances: Array


class FasterStepper(GraphStepper):
    """Changes the trained weights of `net`, step by step, on `pictures` pictures of a canvas with up to `objects` objects each."""

    def __init__(self, net: FasterRCNN, *given: Any, pictures: int, objects: int, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.net, self.pictures, self.objects = net, pictures, max(1, objects)

    def anchors(self, size: tuple[int, int]) -> Array:
        """All anchors of a canvas."""
        rows, columns = self.net.map_size(size)
        return placed(self.net.anchors, rows, columns)

    def regions(self, size: tuple[int, int]) -> int:
        """How many regions of a picture there may be: proposals, and objects."""
        return min(PROPOSALS, len(self.anchors(size))) + self.objects

    def __call__(self, images: Array, seen: Sequence[SeenObjects], rate: float, step: int) -> dict[str, float]:
        """One step on images (N, 3, H, W). Raises `NonFiniteError` where a number is not finite."""
        size = (images.shape[2], images.shape[3])
        *losses, _ = self.stepped(size, {"images": images, **self.told(size, seen)}, rate, step)
        return dict(zip(LOSSES, losses, strict=True))

    def told(self, size: tuple[int, int], seen: Sequence[SeenObjects]) -> dict[str, Array]:
        """What the program is given; of a picture that is not there nothing counts."""
        told = {name: np.zeros(shape, np.float32) for name, shape in self._inputs(size).items()}
        for number, one in enumerate(seen):
            counts, objects = one.targets.labels >= 0, len(one.labels)
            share = 1.0 / (max(1, int(counts.sum())) * len(seen))
            told["sure"][number] = one.targets.labels == 1
            told["sure_share"][number] = counts * share
            told["moves"][number] = one.targets.offsets
            told["moves_share"][number, :, 0] = (one.targets.labels == 1) * share
            told["objects"][number, :objects], told["labels"][number, :objects] = one.boxes, one.labels
            told["extent"][number], told["chances"][number] = one.extent, one.chances
        return told

    def _inputs(self, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        """Shapes of what the program is given beside the pictures."""
        n, anchors = self.pictures, len(self.anchors(size))
        return {
            "sure": (n, anchors),
            "sure_share": (n, anchors),
            "moves": (n, anchors, 4),
            "moves_share": (n, anchors, 1),
            "objects": (n, self.objects, 4),
            "labels": (n, self.objects),
            "extent": (n, 2),
            "chances": (n, self.regions(size)),
        }

    def losses(self, size: tuple[int, int]) -> Sequence[Tensor]:
        """The four of `LOSSES`."""
        images = input((self.pictures, 3, *size), name="images")
        given = {name: input(shape, name=name) for name, shape in self._inputs(size).items()}
        maps = self.net.maps(images)
        objectness, offsets = self.net.propose(maps)
        sure, moved = losses_of_anchors(objectness, offsets, given)
        anchors, most = self.anchors(size), self.regions(size) - self.objects
        chosen: list[LearnedRegions] = []
        for n in range(self.pictures):
            sure_of, moves = ops.stop_gradient(objectness[n]), ops.stop_gradient(offsets[n])
            regions = proposed(sure_of, moves, anchors, given["extent"][n], most, CONSIDERED)
            chosen.append(learned(regions, given["objects"][n], given["labels"][n], given["chances"][n]))
        boxes = ops.concat([one.boxes for one in chosen], 0)
        count = boxes.shape[0] // self.pictures
        pooled = self.net.pooled(maps, boxes, constant(np.repeat(np.arange(self.pictures), count)))
        return sure, moved, *losses_of_regions(*self.net.heads(pooled), chosen)


def losses_of_anchors(objectness: Tensor, offsets: Tensor, given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The two losses of the proposal network: means over the anchors that a step learns from. (Ren et al. 2015, equation 1)"""
    each = ops.binary_cross_entropy_with_logits(objectness, given["sure"], "none")
    sure = ops.sum(each * given["sure_share"]).named(LOSSES[0])
    moves = ops.smooth_l1(offsets, given["moves"], 1.0 / SHARPNESS, "none")
    return sure, ops.sum(moves * given["moves_share"]).named(LOSSES[1])


def losses_of_regions(scores: Tensor, offsets: Tensor, chosen: Sequence[LearnedRegions]) -> tuple[Tensor, Tensor]:
    """Fast R-CNN's two losses of scores (R, 1 + K) and offsets (R, 4 + 4K): means over the regions that count."""
    labels, used, on_object, goals = (
        ops.concat([getattr(one, name) for one in chosen], 0) for name in ("labels", "used", "on_object", "goals")
    )
    count, classes = scores.shape
    share = 1.0 / ops.maximum(ops.sum(used), 1.0)
    each = ops.cross_entropy(scores, ops.cast(labels, "int64"), reduction="none")
    sure = (ops.sum(each * used) * share).named(LOSSES[2])
    rows = ops.cast(constant(np.arange(count, dtype=np.float32) * classes) + labels, "int64")
    own = ops.gather(ops.reshape(offsets, (count * classes, 4)), rows)
    moves = ops.sum(ops.smooth_l1(own, goals, reduction="none") * on_object[:, None])
    return sure, (moves * share).named(LOSSES[3])
