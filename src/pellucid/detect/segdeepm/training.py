"""Training of segDeepM: R-CNN's stages, with segments described before classifiers learn, which choose a segment for each region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from pellucid.detect.config import OWN, DetectionConfig
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.rcnn.classifiers import Mine
from pellucid.detect.rcnn.features import Backbone, backbone_of
from pellucid.detect.rcnn.fine_tuning import FineTuning
from pellucid.detect.rcnn.training import RCNNTraining, Stage
from pellucid.detect.segdeepm.classifiers import LatentMachines
from pellucid.detect.segdeepm.detector import AROUND, SegDeepMDetector, around_of, segments_for
from pellucid.detect.segdeepm.seen import OWNED, Seen, share_of_largest
from pellucid.detect.segments.potentials import Potentials, taken_in
from pellucid.plain import Array

FIRST = 0.2
"""The share of pictures from which on objects choose their segments anew after each fit; until then they have those that overlap them most."""
ROUNDS = 5
"""Fits behind the last picture, at most: until no object chooses another segment."""


class SegDeepMTraining(RCNNTraining):
    """A segDeepM in training on `pictures`. What is said of a picture's segments while it learns was learned from other pictures."""

    def __init__(self, pictures: PicturesWithBoxes, config: DetectionConfig) -> None:
        super().__init__(pictures, config)
        count = len(pictures.classes)
        self.latent = LatentMachines.untaught(count, 2 * self.numbers)
        self.potentials = Potentials(self.backbone, pictures.classes, np.zeros((self.numbers + 1, count)), 1.0)
        self.spoken: list[Array] = []
        """What is said of the segments of each picture, float64 (N, K)."""
        self.choices: list[Array] = []
        """Which of its candidates each object of a class has chosen."""
        self._around: tuple[Backbone, Backbone] | None = None
        self.context_tuning: FineTuning | None = None
        """Fine-tuning of a second network, of what is around regions, where it has one of its own."""
        if config.context_network == OWN:
            self.context_tuning = FineTuning(around_of(backbone_of(config, count)), pictures, self.regions)
            self._own = self.context_tuning.renewed()
            self.parts = [*self.parts, *self.parts]

    @property
    def around(self) -> Backbone:
        """What looks at what is around regions: its own network, or the backbone, both of which fine-tuning renews."""
        if self.context_tuning is not None:
            return self._own
        if self._around is None or self._around[0] is not self.backbone:
            self._around = self.backbone, around_of(self.backbone)
        return self._around[1]

    def title(self, number: int) -> str:
        """The stage."""
        is_second = self.context_tuning is not None and len(self.parts) // 2 <= number < len(self.parts)
        return "fine-tuning of context" if is_second else super().title(number)

    def tune(self, count: int) -> dict[str, float]:
        """Take step `count` of fine-tuning: of the network that looks at regions, then of that which looks at what is around them."""
        if self.context_tuning is None or count < self.config.fine_tune:
            return super().tune(count)
        told = self.context_tuning.step(count - self.config.fine_tune)
        if self.context_tuning.done:
            self._own = self.context_tuning.renewed()
        return {f"{name}_around": value for name, value in told.items()}

    def take_tuned(self, arrays: dict[str, Array]) -> None:
        """The networks, as far as they are."""
        super().take_tuned(arrays)
        if self.context_tuning is not None:
            self.context_tuning.take({n.removeprefix(AROUND): a for n, a in arrays.items() if n.startswith(AROUND)})
            self._own = self.context_tuning.renewed()

    def stages(self) -> Mapping[str, Stage]:
        """Segments are described behind regions."""
        features, *others = super().stages().items()
        return dict([features, ("segments", self._segment), *others])

    def _describe(self, seen: int, last: bool) -> dict[str, float]:
        told = super()._describe(seen, last)
        self.vectors_around(seen)
        if last:
            self.latent.scales = np.array([self.machines.scale, self.scale_of(self.vectors_around)])
        return told

    def _segment(self, seen: int, last: bool) -> dict[str, float]:
        find = partial(segments_for, self.config)
        count, learned = taken_in(seen, self.pictures, find, self.backbone, self.config.seed)
        self.potentials, self.spoken = learned or (self.potentials, self.spoken)
        return {"segments": float(count)}

    def vectors_around(self, picture: int) -> Array:
        """Of what is around all regions of a picture, float16 (R, D)."""
        return self.around.vectors(self.pictures.read(picture), self.regions[picture])

    def seen(self, picture: int) -> tuple[Array, Callable[[int, Array], Array]]:
        """Scores of all regions of a picture, and what a class learns from of some of them, with all its candidates."""
        image, regions = self.pictures.read(picture), self.regions[picture]
        found = segments_for(self.config, image).with_potentials(self.spoken[picture], self.pictures.classes)
        proposals = regions[len(self.pictures.objects[picture]) :]
        there = Seen.of(found, regions, share_of_largest(proposals, image.shape[1:]))
        together = self.latent.together(self.vectors(picture), self.vectors_around(picture))
        scores, _ = self.latent.scores(together, there)
        return scores, lambda label, rows: self.latent.example(label, together, there, rows)

    @property
    def example_numbers(self) -> int:
        """Numbers of an example: what the network says, and what each candidate says."""
        return 2 * self.numbers + OWNED * self.latent.said

    def fit(self, label: int, mine: Mine, picture: int) -> None:
        """Learn a class anew; objects choose their segments anew by what was learned, and behind the last picture that goes on for a while."""
        last = picture == len(self.pictures) - 1
        for _ in range(ROUNDS if last else 1):
            self.latent.fit(label, mine, self.choices[label], self.config.seed)
            chosen = self.latent.chosen(label, mine.positives)
            if picture + 1 < FIRST * len(self.pictures) or np.array_equal(chosen, self.choices[label]) or not len(mine):
                return
            self.choices[label] = chosen

    def begun(self) -> list[Mine]:
        """What each class begins with, its objects, and the segments that these begin with."""
        mines = super().begun()
        if not self.choices:
            self.choices = [self.latent.nearest(mine.positives) for mine in mines]
        return mines

    def arrays(self) -> dict[str, Array]:
        """What was learned, which regions each class has in mind, and which segments its objects have chosen."""
        classes = len(self.pictures.classes)
        found = {
            "latent.weights": self.latent.weights,
            "latent.biases": self.latent.biases,
            "latent.scales": self.latent.scales,
            "potentials": self.potentials.weights,
            "potentials.scale": np.array([self.potentials.scale]),
            "spoken": np.concatenate([np.zeros((0, classes)), *self.spoken]),
            "spoken.ends": np.cumsum([len(one) for one in self.spoken]).astype(np.int64),
        }
        second = {} if self.context_tuning is None else self.context_tuning.arrays()
        return {
            **super().arrays(),
            **{f"{AROUND}{name}": array for name, array in second.items()},
            **found,
            **{f"choices.{label}": one for label, one in enumerate(self.choices)},
        }

    def take(self, arrays: dict[str, Array]) -> None:
        """The inverse of `arrays`: features are read again."""
        self.latent = LatentMachines(arrays["latent.weights"], arrays["latent.biases"], arrays["latent.scales"])
        ends = arrays["spoken.ends"]
        self.spoken = np.split(arrays["spoken"], ends[:-1]) if len(ends) else []
        self.choices = [arrays[f"choices.{k}"] for k in range(len(self.pictures.classes)) if f"choices.{k}" in arrays]
        super().take(arrays)
        scale = float(arrays["potentials.scale"][0])
        self.potentials = Potentials(self.backbone, self.pictures.classes, arrays["potentials"], scale)

    def detector(self) -> SegDeepMDetector:
        """What has been learned so far."""
        return SegDeepMDetector(self.backbone, self.around, self.potentials, self.latent, self.movers, self.map_scale)
