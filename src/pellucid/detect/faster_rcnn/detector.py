"""Faster R-CNN ready to be asked: one program from the picture to proposals, classes and boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from pellucid import ops
from pellucid.data import Preprocessing
from pellucid.detect.backbones import built
from pellucid.detect.canvas import Canvas, canvas_for, drawn
from pellucid.detect.config import DetectionConfig
from pellucid.detect.detector import Scored
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector
from pellucid.detect.fast_rcnn.network import FastRCNN, channels_of
from pellucid.detect.fast_rcnn.sampling import Normalization
from pellucid.detect.faster_rcnn.anchors import anchors_of, placed
from pellucid.detect.faster_rcnn.network import FasterRCNN
from pellucid.detect.faster_rcnn.proposing import proposed
from pellucid.detect.faster_rcnn.sampling import DEVIATION
from pellucid.detect.recognizing import PROPOSING
from pellucid.executors import Program, compile
from pellucid.graph import as_tensors, input
from pellucid.plain import Array
from pellucid.scopes import inference_mode


@dataclass(frozen=True)
class AnchorLook:
    """What the network says of a picture on its `canvas`. Of its P proposals, the surest first: `boxes` (P, 4), the anchor that each
    was, `places` (P,), `scores` (P, 1 + K) and `offsets` (P, 4 + 4K). Of all A anchors: `anchors` (A, 4), where they are `moved`
    (A, 4) by `moves` (A, 4), and their `objectness` (A,), a logit. All boxes in pixels of the canvas; `map_size` are rows and columns of the maps."""

    canvas: Canvas
    map_size: tuple[int, int]
    boxes: Array
    places: Array
    scores: Array
    offsets: Array
    anchors: Array
    moves: Array
    moved: Array
    objectness: Array


class FasterRCNNDetector(FastRCNNDetector):
    """A trained Faster R-CNN: its own network proposes the regions."""

    system: ClassVar[str] = PROPOSING
    repeats: ClassVar[bool] = False
    net: FasterRCNN

    def __init__(
        self,
        net: FasterRCNN,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        config: DetectionConfig,
        normalization: Normalization | None = None,
    ) -> None:
        usual = Normalization(np.zeros((len(classes), 4)), np.tile(np.array(DEVIATION), (len(classes), 1)))
        super().__init__(net, classes, preprocessing, config, normalization or usual, self.proposed)

    @property
    def kinds(self) -> tuple[tuple[float, float], ...]:
        """Size on the canvas and height by width of each anchor of an element."""
        return tuple((size, ratio) for ratio in self.config.anchor_ratios for size in self.config.anchor_sizes)

    def proposed(self, image: Array) -> Array:
        """The regions (R, 4) of a picture that the network proposes, the surest first."""
        look = self.look(image)
        return look.canvas.back(look.boxes)

    def scored(self, image: Array, threshold: float | None = None) -> Scored:
        """Probabilities of the classes for each proposal, and where each class moves its box."""
        look = self.look(image)
        return self.judged(image, look.canvas.back(look.boxes), look.scores, look.offsets)

    def considered(self, image: Array, threshold: float | None, label: int, box: Array) -> Scored:
        """What `scored` gives: no round leaves any out."""
        return self.scored(image, threshold)

    def look(self, image: Array) -> AnchorLook:
        """All that the network says of a picture uint8 (3, H, W)."""
        height, width = image.shape[1:]
        canvas = canvas_for(height, width, self.config.image_size)
        pixels = drawn(image, canvas, self.preprocessing)[None]
        extent = canvas.onto(np.array([width - 1.0, height - 1.0])).astype(np.float32)
        boxes, places, count, moves, moved, objectness, scores, offsets = (
            np.asarray(one) for one in self._looker(canvas.size)({"images": pixels, "extent": extent})
        )
        there = int(count)
        map_size = self.net.map_size(canvas.size)
        return AnchorLook(
            canvas, map_size, boxes[:there].astype(np.float64), places[:there], scores[:there].astype(np.float64),
            offsets[:there].astype(np.float64), placed(self.net.anchors, *map_size), moves.astype(np.float64), moved.astype(np.float64),
            objectness.astype(np.float64),
        )  # fmt: skip

    def _looker(self, size: tuple[int, int]) -> Program:
        key = (size, 0)  # no regions are given
        if key not in self._programs:
            images, extent = input((1, 3, *size), name="images"), input((2,), name="extent")
            with inference_mode():
                maps = self.net.maps(images)
                objectness, moves = self.net.propose(maps)
                anchors = placed(self.net.anchors, *self.net.map_size(size))
                found = proposed(objectness[0], moves[0], anchors, extent, min(self.config.proposals, len(anchors)))
                first = as_tensors(np.zeros(found.boxes.shape[0], np.int64))
                scores, offsets = self.net.heads(self.net.pooled(maps, found.boxes, *first))
            outputs = (
                found.boxes,
                found.places,
                found.count,
                moves[0],
                found.moved,
                objectness[0],
                ops.softmax(scores, 1),
                offsets,
            )
            setting: dict[str, Any] = {"executor": self.config.executor, "threads": self.config.threads}
            self._programs[key] = compile(outputs, **setting)
        return self._programs[key]

    def truncated(self, ranks: Mapping[str, int] | None = None) -> Self:
        """One whose layers fc1 and fc2 above the regions are products of two smaller ones; see `FastRCNNDetector.truncated`."""
        made = super().truncated(ranks)
        made.propose = made.proposed
        return made

    @staticmethod
    def untrained(config: DetectionConfig, num_classes: int) -> FastRCNN:
        """The network that settings ask for, before numbers are put into it."""
        return network(config, num_classes, untrained=True)[0]


def network(config: DetectionConfig, num_classes: int, untrained: bool = False) -> tuple[FasterRCNN, Preprocessing]:
    """The network that settings ask for, with the weights of its backbone unless `untrained`, and how pictures become its input."""
    backbone, preprocessing = built(config, untrained)
    anchors = anchors_of(config.anchor_sizes, config.anchor_ratios)
    channels = channels_of(backbone)
    net = FasterRCNN(backbone, channels, num_classes, config.width, anchors, config.proposal_width)
    return net, preprocessing
