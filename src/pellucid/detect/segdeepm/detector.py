"""segDeepM ready to be asked: R-CNN's regions, what is around them, and the segment that speaks most for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from pellucid.detect.config import DetectionConfig
from pellucid.detect.detector import Scored
from pellucid.detect.errors import DetectorError
from pellucid.detect.rcnn.classifiers import Machines
from pellucid.detect.rcnn.crops import CropSettings
from pellucid.detect.rcnn.detector import RCNNDetector
from pellucid.detect.rcnn.features import Backbone, backbone_of
from pellucid.detect.segdeepm.classifiers import LatentMachines
from pellucid.detect.segdeepm.seen import OWNED, Seen, share_of_largest
from pellucid.detect.segments.found import segments_of
from pellucid.detect.segments.potentials import Potentials
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.nn import ModuleError
from pellucid.plain import Array

CONTEXT = 0.5
"""By how much of its width and height a region is enlarged on each side for what is around it."""
AROUND = "around."
"""Before the names of weights of a network of its own for what is around regions."""


class SegDeepMDetector(RCNNDetector):
    """A trained segDeepM: `latent` machines score regions by their vectors, by those of what is `around` them, and by the segment that speaks
    most for each; `potentials` say how much segments look like each class. Boxes are moved as R-CNN's are."""

    system: ClassVar[str] = "segdeepm"

    def __init__(
        self,
        backbone: Backbone,
        around: Backbone,
        potentials: Potentials,
        latent: LatentMachines,
        movers: Array,
        map_scale: float,
        propose: Callable[[Array], Array] | None = None,
    ) -> None:
        own = Machines(latent.weights, latent.biases)
        super().__init__(backbone, potentials.classes, own, movers, map_scale, propose)
        self.around, self.potentials, self.latent = around, potentials, latent

    @property
    def notes(self) -> tuple[str, ...]:
        """Which segments it used, and which network for what is around regions."""
        config = self.config
        return (
            f"segments: {config.segment_source}, up to {config.segments} of a picture, of which {OWNED} count",
            f"what is around regions is looked at by {self.who_looks_around}",
        )

    @property
    def who_looks_around(self) -> str:
        """Which network looks at what is around regions, in words."""
        if self.around.net is not self.backbone.net:
            return "a network of its own"
        return "the same network as at the region (the authors fine-tune a second one)"

    def scored_at(self, image: Array, regions: Array) -> Scored:
        """Scores of regions (R, 4) with the best segment of each class, and where each class moves them."""
        vectors, maps = self.backbone.described(image, regions)
        around, _ = self.around.described(image, regions)
        scores, _ = self.latent.scores(self.latent.together(vectors, around), self.seen(image, regions))
        return Scored(regions, scores, self.moved(image, regions, maps))

    def segments(self, image: Array) -> SegmentSet:
        """All segments of a picture, and how much each looks like each class."""
        found = segments_for(self.config, image)
        return found.with_potentials(self.potentials.of(image, found), self.classes)

    def seen(self, image: Array, regions: Array) -> Seen:
        """What those segments of a picture that count say of regions (R, 4)."""
        size = (image.shape[1], image.shape[2])
        return Seen.of(self.segments(image), regions, share_of_largest(self.propose(image), size))

    def arrays(self) -> dict[str, Array]:
        """Weights of the networks, the classifiers, the potentials and the regressions."""
        own = {
            "weights": self.latent.weights,
            "biases": self.latent.biases,
            "potentials": self.potentials.weights,
            "movers": self.movers,
            "scales": np.array([*self.latent.scales, self.potentials.scale, self.map_scale]),
        }
        others = {} if self.around.net is self.backbone.net else self.around.net.state_dict()
        return {
            **self.backbone.net.state_dict(),
            **{f"{AROUND}{name}": array for name, array in others.items()},
            **{f"segdeepm.{name}": array for name, array in own.items()},
        }

    @classmethod
    def made_of(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> Self:
        """The inverse of `arrays` and `settings`. Raises `DetectorError` where they do not fit."""
        config, classes, preprocessing = DetectionConfig.kept(settings)
        count, own = len(classes), dict(arrays)
        others = {name.removeprefix(AROUND): own.pop(name) for name in arrays if name.startswith(AROUND)}
        wrong = f"its numbers do not fit a segDeepM on {config.backbone} of {count} classes"
        try:
            weights, biases, potentials, movers, scales = (
                own.pop(f"segdeepm.{name}") for name in ("weights", "biases", "potentials", "movers", "scales")
            )
            backbone = Backbone(backbone_of(config, count, untrained=True).net, preprocessing, config)
            backbone.net.load_state_dict(own)
            around = around_of(backbone)
            if others:
                around = around_of(Backbone(backbone_of(config, count, untrained=True).net, preprocessing, config))
                around.net.load_state_dict(others)
        except (KeyError, ModuleError) as error:
            raise DetectorError(f"{wrong}: {error}") from error
        _, vectors, maps = backbone.outputs(1)
        numbers, latent = vectors.shape[1], LatentMachines.untaught(count, 2 * vectors.shape[1])
        wanted = (latent.weights.shape, (count,), (numbers + 1, count), (count, maps.shape[1] + 1, 4), (4,))
        shapes = tuple(a.shape for a in (weights, biases, potentials, movers, scales))
        if shapes != wanted:
            raise DetectorError(f"{wrong}: wants {wanted}, got {shapes}")
        said = Potentials(backbone, classes, potentials, float(scales[2]))
        return cls(backbone, around, said, LatentMachines(weights, biases, scales[:2]), movers, float(scales[3]))


def segments_for(config: DetectionConfig, image: Array) -> SegmentSet:
    """The segments of a picture that settings ask for."""
    return segments_of(image, config.segment_source, config.seed, config.segments)


def around_of(backbone: Backbone) -> Backbone:
    """The same network, looking at what is around regions."""
    how = CropSettings(backbone.crop.side, backbone.crop.padding, CONTEXT)
    return Backbone(backbone.net, backbone.preprocessing, backbone.config, how)
