"""Fast R-CNN ready to be asked: proposals, the network, boxes moved by what it says."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from pellucid import ops
from pellucid.data import Preprocessing
from pellucid.detect.backbones import built
from pellucid.detect.box_coding import decode
from pellucid.detect.boxes import within
from pellucid.detect.canvas import canvas_for, drawn
from pellucid.detect.config import DetectionConfig
from pellucid.detect.detector import Scored
from pellucid.detect.errors import DetectorError
from pellucid.detect.fast_rcnn.network import FastRCNN, channels_of
from pellucid.detect.fast_rcnn.sampling import Normalization
from pellucid.detect.fast_rcnn.truncation import narrow, ranks_of, truncate, usual_ranks
from pellucid.detect.localization import Propose, RegionDetector
from pellucid.detect.proposals.kept import Search
from pellucid.executors import Program, compile
from pellucid.graph import as_tensors, input
from pellucid.nn import ModuleError
from pellucid.plain import Array, PlainError, read
from pellucid.scopes import inference_mode

COUNTS = (128, 300, 1000, 2000)
"""Regions that a program is compiled for; fewer are filled up."""


class FastRCNNDetector(RegionDetector):
    """A trained Fast R-CNN. `propose` gives regions (R, 4) for a picture, selective search's unless said."""

    system: ClassVar[str] = "fast-rcnn"
    taken_on: ClassVar[int] = 1000

    def __init__(
        self,
        net: FastRCNN,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        config: DetectionConfig,
        normalization: Normalization | None = None,
        propose: Propose | None = None,
    ) -> None:
        self.net, self.classes, self.preprocessing, self.config = net, classes, preprocessing, config
        self.normalization = normalization or Normalization(np.zeros((len(classes), 4)), np.ones((len(classes), 4)))
        self.propose = propose or Search(config.proposals, config.search_size, config.search)
        self._programs: dict[tuple[tuple[int, int], int], Program] = {}

    def scored_at(self, image: Array, regions: Array) -> Scored:
        """The same for regions (R, 4) of your own."""
        height, width = image.shape[1:]
        canvas = canvas_for(height, width, self.config.image_size)
        pixels = drawn(image, canvas, self.preprocessing)[None]
        return self.judged(image, regions, *self._run(pixels, canvas.onto(regions)))

    def judged(self, image: Array, regions: Array, scores: Array, offsets: Array) -> Scored:
        """What the network says of regions (R, 4) of a picture, probabilities (R, 1 + K) and offsets (R, 4 + 4K), by class."""
        height, width = image.shape[1:]
        own = offsets.reshape(len(regions), 1 + len(self.classes), 4)[:, 1:]
        own = own * self.normalization.deviation + self.normalization.mean
        boxes = np.empty(own.shape)
        for label in range(len(self.classes)):
            boxes[:, label] = within(decode(regions, own[:, label]), width, height)
        return Scored(regions, scores[:, 1:].astype(np.float64), boxes)

    def truncated(self, ranks: Mapping[str, int] | None = None) -> Self:
        """One whose layers fc1 and fc2 above the regions are products of two smaller ones, with so many numbers between them.

        Unless said that is a quarter of fc1's outputs and a sixteenth of fc2's (Girshick 2015, section 3.1). Raises `DetectorError`.
        """
        made = copy.copy(self)
        made.net, made._programs = copy.deepcopy(self.net), {}
        truncate(made.net, usual_ranks(self.net) if ranks is None else ranks)
        return made

    def _run(self, pixels: Array, regions: Array) -> tuple[Array, Array]:
        """Probabilities (R, 1 + K) and offsets (R, 4 + 4K), float64."""
        scores, offsets = [np.zeros((0, 1 + len(self.classes)))], [np.zeros((0, 4 + 4 * len(self.classes)))]
        for start in range(0, len(regions), COUNTS[-1]):
            part = regions[start : start + COUNTS[-1]]
            count = next(c for c in COUNTS if c >= len(part))
            program = self._program((pixels.shape[2], pixels.shape[3]), count)
            boxes = np.zeros((count, 4), np.float32)
            boxes[: len(part)] = part
            made = program({"images": pixels, "boxes": boxes})
            scores.append(np.asarray(made[0][: len(part)], np.float64))
            offsets.append(np.asarray(made[1][: len(part)], np.float64))
        return np.concatenate(scores), np.concatenate(offsets)

    def _program(self, size: tuple[int, int], count: int) -> Program:
        if (size, count) not in self._programs:
            images, boxes = input((1, 3, *size), name="images"), input((count, 4), name="boxes")
            with inference_mode():
                scores, offsets = self.net(images, boxes, *as_tensors(np.zeros(count, np.int64)))
            setting: dict[str, Any] = {"executor": self.config.executor, "threads": self.config.threads}
            self._programs[size, count] = compile((ops.softmax(scores, 1), offsets), **setting)
        return self._programs[size, count]

    def arrays(self) -> dict[str, Array]:
        """Weights of the network, and what offsets were normalized by."""
        own = {"offsets.mean": self.normalization.mean, "offsets.deviation": self.normalization.deviation}
        return {**self.net.state_dict(), **own}

    def settings(self) -> dict[str, Any]:
        """Classes, preprocessing and config, and the ranks of layers that were truncated."""
        ranks = ranks_of(self.net)
        return {
            "classes": list(self.classes),
            "preprocessing": self.preprocessing.to_dict(),
            "config": self.config.to_dict(),
            **({"ranks": ranks} if ranks else {}),
        }

    @classmethod
    def made_of(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> Self:
        """The inverse of `arrays` and `settings`. Raises `DetectorError` where they do not fit."""
        config, classes, preprocessing = DetectionConfig.kept(settings)
        own = dict(arrays)
        try:
            normalization = Normalization(own.pop("offsets.mean"), own.pop("offsets.deviation"))
            net = cls.untrained(config, len(classes))
            narrow(net, read(dict[str, int], settings.get("ranks", {}), "ranks"))
            net.load_state_dict(own)
        except (KeyError, ModuleError, PlainError) as error:
            raise DetectorError(f"its numbers do not fit a {cls.system} on {config.backbone}: {error}") from error
        return cls(net, classes, preprocessing, config, normalization)

    @staticmethod
    def untrained(config: DetectionConfig, num_classes: int) -> FastRCNN:
        """The network that settings ask for, before numbers are put into it."""
        return network(config, num_classes, untrained=True)[0]


def network(config: DetectionConfig, num_classes: int, untrained: bool = False) -> tuple[FastRCNN, Preprocessing]:
    """The network that settings ask for, with the weights of its backbone unless `untrained`, and how pictures become its input."""
    backbone, preprocessing = built(config, untrained)
    return FastRCNN(backbone, channels_of(backbone), num_classes, config.width), preprocessing
