"""Training of R-CNN in stages: the network may learn from regions first; then these are described, classifiers learn from the hard
ones, and regressions from those near objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from pellucid.detect.box_coding import encode
from pellucid.detect.boxes import overlaps
from pellucid.detect.config import DetectionConfig
from pellucid.detect.errors import DetectorError
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.proposals.kept import proposals_of
from pellucid.detect.rcnn.classifiers import BACKGROUND, Machines, Mine, hard, scale_for
from pellucid.detect.rcnn.detector import RCNNDetector, RCNNStarDetector
from pellucid.detect.rcnn.features import backbone_of
from pellucid.detect.rcnn.fine_tuning import FineTuning
from pellucid.detect.rcnn.regression import NEAR, learned
from pellucid.detect.training import Training
from pellucid.plain import Array

Stage = Callable[[int, bool], dict[str, float]]
"""What a stage does with a picture, by its number; it is told whether that is the last one."""
FINE_TUNING, ROWS = "fine-tuning", 10
"""The stage before these, and the rows of metrics.csv that it has at most: it is told in as many parts."""
MEASURED = (200, 200)
"""Pictures and regions of each that scales are measured on."""


class RCNNTraining(Training):
    """An R-CNN in training on `pictures`: a step sees a picture, one of fine-tuning regions of many. Features are kept on disk, by the
    weights as well, so that no stage describes a region twice."""

    unit = "stage"
    made: ClassVar[type[RCNNDetector]] = RCNNDetector

    def __init__(self, pictures: PicturesWithBoxes, config: DetectionConfig) -> None:
        self.pictures, self.config = pictures, config
        self.backbone = backbone_of(config, len(pictures.classes))
        _, vectors, maps = self.backbone.outputs(1)
        self.numbers, self.map_numbers = vectors.shape[1], maps.shape[1]
        found = proposals_of(pictures, config.proposals, longest=config.search_size, search=config.search)
        self.regions = [np.concatenate([o.boxes, p]) for o, p in zip(pictures.objects, found, strict=True)]
        """Objects first, difficult ones too, and proposals behind them."""
        self.tuning = FineTuning(self.backbone, pictures, self.regions) if config.fine_tune else None
        parts = min(ROWS, config.fine_tune)
        self.parts = [len(part) for part in np.array_split(np.arange(config.fine_tune), parts)] if parts else []
        """Steps of fine-tuning in each of its parts."""
        self.machines = Machines.untaught(len(pictures.classes), self.numbers, 1.0)
        self.movers, self.map_scale = np.zeros((len(pictures.classes), self.map_numbers + 1, 4)), 1.0
        self.mines: list[Mine] = []
        self.done = False

    @property
    def lengths(self) -> Sequence[int]:
        """The parts of fine-tuning, and a step for each picture in each stage behind it."""
        return [*self.parts, *[len(self.pictures)] * len(self.stages())]

    def title(self, number: int) -> str:
        """The stage."""
        return FINE_TUNING if number < len(self.parts) else list(self.stages())[number - len(self.parts)]

    def stages(self) -> Mapping[str, Stage]:
        """What comes behind fine-tuning, in order."""
        return {"features": self._describe, "classifiers": self._classify, "boxes": self._move}

    @property
    def ready(self) -> bool:
        """Whether every stage is done."""
        return self.done

    def steps(self, number: int) -> Iterable[int]:
        """Steps of fine-tuning, or the pictures, in their order."""
        return range(self.lengths[number])

    def step(self, seen: int, number: int, count: int) -> dict[str, float]:
        """Fine-tune by one step; or describe a picture's regions, learn from its hard ones, or from those near its objects."""
        if number < len(self.parts):
            return self.tune(count)
        last = seen == len(self.pictures) - 1
        return self.stages()[self.title(number)](seen, last)

    def tune(self, count: int) -> dict[str, float]:
        """Take step `count` of fine-tuning."""
        assert self.tuning is not None
        told = self.tuning.step(count)
        if self.tuning.done:
            self.backbone = self.tuning.renewed()
        return told

    def take_tuned(self, arrays: dict[str, Array]) -> None:
        """Of the inverse of `arrays` the part that fine-tuning needs."""
        if self.tuning is not None:
            self.tuning.take(arrays)
            self.backbone = self.tuning.renewed()

    def _describe(self, seen: int, last: bool) -> dict[str, float]:
        found = self.vectors(seen)
        if last:
            self.machines.scale = self.scale_of(self.vectors)
        return {"regions": float(len(found))}

    def scale_of(self, vectors: Callable[[int], Array]) -> float:
        """What vectors (R, D), which the function gives for a picture, are to be multiplied by, measured on some."""
        count = len(self.pictures)
        measured = np.linspace(0, count - 1, min(MEASURED[0], count)).astype(int)
        return scale_for([vectors(k)[: MEASURED[1]] for k in measured.tolist()])

    def _classify(self, seen: int, last: bool) -> dict[str, float]:
        if not self.mines:
            self.mines = self.begun()
        scores, examples = self.seen(seen)
        objects, background, added = self.pictures.objects[seen], self._background(seen), 0
        for label, mine in enumerate(self.mines):
            chosen = np.flatnonzero(hard(mine, scores[:, label], background[:, label]))
            added += mine.add(examples(label, chosen), np.stack([np.full(len(chosen), seen), chosen], 1))
            if mine.is_due or (last and mine.added and len(mine.positives)):
                self.fit(label, mine, seen)
            if last and len(mine.positives) and not mine.fitted:
                raise DetectorError(
                    f"{self.pictures.name}: no region is background to the class {self.pictures.classes[label]!r}; "
                    "ask for more proposals, or add pictures"
                )
        return {"objects": float(len(objects)), "hard_negatives": added / max(1, len(self.mines))}

    def seen(self, picture: int) -> tuple[Array, Callable[[int, Array], Array]]:
        """Scores of all regions of a picture (R, K), and what a class learns from of some of them, by its label and their numbers: float16 (N, D)."""
        features = self.vectors(picture)
        return self.machines.scores(features), lambda label, rows: features[rows]

    @property
    def example_numbers(self) -> int:
        """D, how many numbers a class learns from of a region."""
        return self.numbers

    def fit(self, label: int, mine: Mine, picture: int) -> None:
        """Learn a class anew, when the pictures up to one have been seen."""
        self.machines.fit(label, mine, self.config.seed)

    def _move(self, seen: int, last: bool) -> dict[str, float]:
        near = self.near(seen)[0]
        if self.config.regression and last:
            everything = [(self.maps(k), *self.near(k)[1:]) for k in range(len(self.pictures))]
            maps, offsets, labels = (np.concatenate(parts) for parts in zip(*everything, strict=True))
            self.map_scale = scale_for([maps])
            for label in range(len(self.pictures.classes)):
                own = labels == label
                self.movers[label] = learned(maps[own], offsets[own], self.map_scale)
        elif self.config.regression:
            self.maps(seen)
        self.done = last
        return {"regions_near_objects": float(len(near))}

    def vectors(self, picture: int) -> Array:
        """Of all regions of a picture, float16 (R, D)."""
        return self.backbone.vectors(self.pictures.read(picture), self.regions[picture])

    def maps(self, picture: int) -> Array:
        """Of the regions of a picture that lie near an object, float16 (N, M)."""
        near = self.near(picture)[0]
        if not len(near):
            return np.zeros((0, self.map_numbers), np.float16)
        return self.backbone.maps(self.pictures.read(picture), self.regions[picture][near])

    def near(self, picture: int) -> tuple[Array, Array, Array]:
        """Which regions of a picture lie near an object, the offsets (N, 4) to it, and its class (N,)."""
        objects, regions = self.pictures.objects[picture], self.regions[picture]
        if not len(objects):
            return np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0, np.int64)
        shared = overlaps(regions, objects.boxes)
        near = np.flatnonzero(shared.max(1) > NEAR)
        nearest = shared[near].argmax(1)
        return near, encode(regions[near], objects.boxes[nearest]), objects.labels[nearest]

    def _background(self, picture: int) -> Array:
        """To which classes regions of a picture are background, bool (R, K)."""
        objects, regions = self.pictures.objects[picture], self.regions[picture]
        found = np.ones((len(regions), len(self.pictures.classes)), bool)
        for label in set(objects.labels.tolist()):
            own = objects.boxes[objects.labels == label]
            found[:, label] = overlaps(regions, own).max(1) < BACKGROUND
        return found

    def begun(self) -> list[Mine]:
        """What each class begins with: its objects."""
        found: list[list[Array]] = [[] for _ in self.pictures.classes]
        for picture, objects in enumerate(self.pictures.objects):
            if len(objects):
                _, examples = self.seen(picture)
                for label in set(objects.labels.tolist()):
                    found[label].append(examples(label, np.flatnonzero(objects.labels == label)))
        none = np.zeros((0, self.example_numbers), np.float16)
        return [Mine(np.concatenate([none, *own])) for own in found]

    def arrays(self) -> dict[str, Array]:
        """What was learned, and which regions each class has in mind."""
        found = {
            "weights": self.machines.weights,
            "biases": self.machines.biases,
            "movers": self.movers,
            "scales": np.array([self.machines.scale, self.map_scale]),
            "done": np.array([self.done]),
            "mined": np.array([[mine.added, mine.fitted] for mine in self.mines], np.int64).reshape(-1, 2),
        }
        tuned = {} if self.tuning is None else self.tuning.arrays()
        return {**tuned, **found, **{f"keys.{label}": mine.keys for label, mine in enumerate(self.mines)}}

    def take(self, arrays: dict[str, Array]) -> None:
        """The inverse of `arrays`: features are read again."""
        self.take_tuned(arrays)
        scale, self.map_scale = arrays["scales"].tolist()
        self.machines = Machines(arrays["weights"], arrays["biases"], scale)
        self.movers, self.done = arrays["movers"], bool(arrays["done"][0])
        self.mines = self.begun() if len(arrays["mined"]) else []
        keys = [arrays[f"keys.{label}"] for label in range(len(self.mines))]
        for picture in np.unique(np.concatenate([one[:, 0] for one in keys])).tolist() if keys else ():
            _, examples = self.seen(picture)
            for label, mine in enumerate(self.mines):
                own = keys[label][keys[label][:, 0] == picture]
                mine.add(examples(label, own[:, 1]), own)
        for mine, (added, fitted) in zip(self.mines, arrays["mined"].tolist(), strict=True):
            mine.added, mine.fitted = added, bool(fitted)

    def detector(self) -> RCNNDetector:
        """What has been learned so far."""
        return self.made(self.backbone, self.pictures.classes, self.machines, self.movers, self.map_scale)


class RCNNStarTraining(RCNNTraining):
    """The same on a stronger network."""

    made = RCNNStarDetector
