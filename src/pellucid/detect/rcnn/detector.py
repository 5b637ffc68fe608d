"""R-CNN ready to be asked: proposals, cut out and described one by one, scored by linear classifiers, moved by regression."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from pellucid.detect.box_coding import decode
from pellucid.detect.boxes import within
from pellucid.detect.config import DetectionConfig
from pellucid.detect.detector import MARGIN, Scale, Scored
from pellucid.detect.errors import DetectorError
from pellucid.detect.localization import Propose, RegionDetector
from pellucid.detect.proposals.kept import Search
from pellucid.detect.rcnn.classifiers import Machines
from pellucid.detect.rcnn.features import Backbone, backbone_of
from pellucid.detect.rcnn.regression import with_one
from pellucid.nn import ModuleError
from pellucid.plain import Array


class RCNNDetector(RegionDetector):
    """A trained R-CNN: `machines` score regions by their vectors; `movers` float64 (K, M + 1, 4) move boxes by their maps, scaled by
    `map_scale`. `propose` gives regions (R, 4) for a picture, selective search's unless said."""

    system: ClassVar[str] = "rcnn"
    scale: ClassVar[Scale] = MARGIN

    def __init__(
        self,
        backbone: Backbone,
        classes: tuple[str, ...],
        machines: Machines,
        movers: Array,
        map_scale: float,
        propose: Propose | None = None,
    ) -> None:
        self.backbone, self.classes, self.machines = backbone, classes, machines
        self.movers, self.map_scale = movers, map_scale
        self.config = backbone.config
        self.propose = propose or Search(self.config.proposals, self.config.search_size, self.config.search)

    def scored_at(self, image: Array, regions: Array) -> Scored:
        """The same for regions (R, 4) of your own."""
        vectors, maps = self.backbone.described(image, regions)
        return Scored(regions, self.machines.scores(vectors), self.moved(image, regions, maps))

    def moved(self, image: Array, regions: Array, maps: Array) -> Array:
        """Where each class moves regions (R, 4) by their maps (R, M): boxes (R, K, 4) within the picture."""
        offsets = self.offsets(maps)
        boxes = np.empty((len(regions), len(self.classes), 4))
        for label in range(len(self.classes)):
            boxes[:, label] = within(decode(regions, offsets[:, label]), image.shape[2], image.shape[1])
        return boxes

    def offsets(self, maps: Array) -> Array:
        """By how much each class moves regions, (R, K, 4); not at all where regression is left out."""
        if not self.config.regression:
            return np.zeros((len(maps), len(self.classes), 4))
        together = self.movers.transpose(1, 0, 2).reshape(self.movers.shape[1], -1)
        return (with_one(maps, self.map_scale) @ together).reshape(len(maps), len(self.classes), 4)

    def arrays(self) -> dict[str, Array]:
        """Weights of the network, the classifiers and the regressions."""
        own = {"weights": self.machines.weights, "biases": self.machines.biases, "movers": self.movers}
        scales = np.array([self.machines.scale, self.map_scale])
        return {**self.backbone.net.state_dict(), **{f"rcnn.{n}": a for n, a in own.items()}, "rcnn.scales": scales}

    def settings(self) -> dict[str, Any]:
        """Classes, preprocessing and config."""
        return {
            "classes": list(self.classes),
            "preprocessing": self.backbone.preprocessing.to_dict(),
            "config": self.config.to_dict(),
        }

    @classmethod
    def made_of(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> Self:
        """The inverse of `arrays` and `settings`. Raises `DetectorError` where they do not fit."""
        config, classes, preprocessing = DetectionConfig.kept(settings)
        own = dict(arrays)
        try:
            weights, biases, movers, scales = (own.pop(f"rcnn.{n}") for n in ("weights", "biases", "movers", "scales"))
            backbone = Backbone(backbone_of(config, len(classes), untrained=True).net, preprocessing, config)
            backbone.net.load_state_dict(own)
        except (KeyError, ModuleError) as error:
            raise DetectorError(f"its numbers do not fit an R-CNN on {config.backbone}: {error}") from error
        _, vectors, maps = backbone.outputs(1)
        wanted = ((len(classes), vectors.shape[1]), (len(classes),), (len(classes), maps.shape[1] + 1, 4), (2,))
        shapes = tuple(a.shape for a in (weights, biases, movers, scales))
        if shapes != wanted:
            raise DetectorError(
                f"its numbers do not fit an R-CNN on {config.backbone} of {len(classes)} classes: wants {wanted}, got {shapes}"
            )
        return cls(backbone, classes, Machines(weights, biases, float(scales[0])), movers, float(scales[1]))


class RCNNStarDetector(RCNNDetector):
    """The same on a stronger network."""

    system: ClassVar[str] = "rcnn-star"
