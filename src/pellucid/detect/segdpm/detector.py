"""segDPM ready to be asked: the windows of models of parts, each with the segment that speaks most for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from pellucid.detect.asked import ScoreTerm
from pellucid.detect.config import DetectionConfig
from pellucid.detect.dpm.detector import MEASURED, DPMDetector
from pellucid.detect.dpm.keeping import arrays_of, models_of, told_of
from pellucid.detect.dpm.model import PartsModel
from pellucid.detect.dpm.said import SegmentSaid
from pellucid.detect.dpm.scanning import Adds, Windows
from pellucid.detect.errors import DetectorError
from pellucid.detect.rcnn.features import Backbone, backbone_of
from pellucid.detect.segdeepm.detector import segments_for
from pellucid.detect.segdpm.seen import BIAS, MOST, SCALE, SegmentWeights, of_class, seen
from pellucid.detect.segdpm.speaking import Speaking
from pellucid.detect.segments.dpm_features import NAMES
from pellucid.detect.segments.potentials import Potentials
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.nn import ModuleError
from pellucid.plain import Array

RESERVE = 0.5
"""Windows to which their filters give so much less than the threshold are looked at: a segment may make up for it."""


class SegDPMDetector(DPMDetector):
    """Models of parts, and `counts`, what segments count for each class; `potentials` say how much segments look like each class."""

    system: ClassVar[str] = "segdpm"

    def __init__(self, models: Sequence[PartsModel], counts: SegmentWeights, potentials: Potentials) -> None:
        super().__init__(models)
        self.counts, self.potentials = counts, potentials
        self.config = potentials.backbone.config
        self._last: tuple[bytes, SegmentSet] | None = None

    def segments(self, image: Array) -> SegmentSet:
        """All segments of a picture, and how much each looks like each class; those of the last picture are at hand."""
        key = image.tobytes()
        if self._last is None or self._last[0] != key:
            found = segments_for(self.config, image)
            self._last = key, found.with_potentials(self.potentials.of(image, found), self.classes)
        return self._last[1]

    def floor(self, label: int, threshold: float | None) -> float:
        """Less than the threshold by what a segment can add, `RESERVE` at most; never below what counts when models are measured. The threshold
        itself where segments were learned together with filters: they are looked at everywhere."""
        least = self.least(label, threshold)
        if self.counts.joint:
            return least
        reached = least - min(RESERVE, max(0.0, self.counts.most(label)))
        return min(least, max(reached, min(MEASURED, self.models[label].threshold)))

    def added(self, image: Array, label: int, windows: Windows) -> Array:
        """What the best segment of the class, or none, adds to each window, by where its root is."""
        found = self.segments(image)
        said = seen(found, of_class(found, label), windows.boxes[:, 0])
        return self.counts.best(label, said, windows.components)[0]

    def adds(self, image: Array, label: int) -> Adds | None:
        """What segments add everywhere, where they were learned together with filters."""
        if not self.counts.joint:
            return None
        found = self.segments(image)
        return Speaking(found.chosen(of_class(found, label).tolist()), self.counts, label)

    def reached(self, label: int, threshold: float | None, filters: Array, whole: Array) -> Array:
        """Which windows are looked at: by the whole, where segments were learned together with filters."""
        return (whole if self.counts.joint else filters) >= self.floor(label, threshold)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which segments it used, and how what they count was learned."""
        how = (
            "learned together with filters"
            if self.counts.joint
            else "learned on top of finished models (the authors learn all weights together)"
        )
        return (
            f"segments: {self.config.segment_source}, up to {self.config.segments} of a picture, {MOST} of a class",
            f"what segments count was {how}",
        )

    def said(self, image: Array, label: int, box: Array, component: int = 0) -> SegmentSaid:
        """Which segment speaks for a window, and what it says."""
        found = self.segments(image)
        numbers = of_class(found, label)
        said = seen(found, numbers, box[None])
        which = int(self.counts.best(label, said, np.array([component]))[1][0])
        terms = tuple(
            ScoreTerm(name, float(value), float(weight))
            for name, value, weight in zip(NAMES, said[0, which], self.counts.of(label, component), strict=True)
        )
        bias = BIAS * float(self.counts.biases[label])
        if which == len(numbers):
            return SegmentSaid(found.source, len(found), None, terms, bias, scale=SCALE)
        number = int(numbers[which])
        potential = float(found.potentials[number, label])
        return SegmentSaid(
            found.source, len(found), number, terms, bias, found.boxes[number], found.mask(number), potential, SCALE
        )

    def arrays(self) -> dict[str, Array]:
        """Weights of the models, of segments, and of the network that looks at these."""
        own = {
            "weights": self.counts.weights,
            "biases": self.counts.biases,
            "potentials": self.potentials.weights,
            "scale": np.array([self.potentials.scale]),
        }
        return {
            **{f"net.{name}": array for name, array in self.potentials.backbone.net.state_dict().items()},
            **{f"segdpm.{name}": array for name, array in own.items()},
            **arrays_of(self.models),
        }

    def settings(self) -> dict[str, Any]:
        """Classes, models, preprocessing and config."""
        way = self.potentials.backbone.preprocessing.to_dict()
        return {
            "classes": list(self.classes),
            "models": told_of(self.models),
            "preprocessing": way,
            "config": self.config.to_dict(),
        }

    @classmethod
    def made_of(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> SegDPMDetector:
        """The inverse of `arrays` and `settings`. Raises `DetectorError` where they do not fit."""
        config, classes, preprocessing = DetectionConfig.kept(settings)
        models = models_of(arrays, settings.get("models"))
        wrong = f"its numbers do not fit a segDPM of {len(classes)} classes with segments seen by {config.backbone}"
        try:
            weights, biases, potentials, scale = (
                arrays[f"segdpm.{name}"] for name in ("weights", "biases", "potentials", "scale")
            )
            backbone = Backbone(backbone_of(config, len(classes), untrained=True).net, preprocessing, config)
            own = {name.removeprefix("net."): a for name, a in arrays.items() if name.startswith("net.")}
            backbone.net.load_state_dict(own)
        except (KeyError, ModuleError) as error:
            raise DetectorError(f"{wrong}: {error}") from error
        numbers = backbone.outputs(1)[1].shape[1]
        pairs = (-(-max(len(model.components) for model in models) // 2),) if weights.ndim == 3 else ()
        wanted = ((len(classes), *pairs, len(NAMES)), (len(classes),), (numbers + 1, len(classes)), (1,))
        shapes = tuple(a.shape for a in (weights, biases, potentials, scale))
        if shapes != wanted or tuple(model.name for model in models) != classes:
            raise DetectorError(f"{wrong}: wants {wanted}, got {shapes}")
        said = Potentials(backbone, classes, potentials, float(scale[0]))
        return cls(models, SegmentWeights(weights, biases), said)
